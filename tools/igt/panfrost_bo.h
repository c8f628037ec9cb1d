/* SPDX-License-Identifier: MIT */
/*
 * Copyright 2026 The GEM shrinker project
 *
 * BOs, jobs and memory reclaim for panfrost_madvise. Functions return 0 or more, or a
 * negative errno, where the name does not say that they assert.
 */
#ifndef PANFROST_BO_H
#define PANFROST_BO_H

#include <stdbool.h>
#include <stdint.h>

#include <drm.h>
#include <panfrost_drm.h>

#include "igt_min.h"

#define PF_KIB 1024ull
#define PF_MIB (1024 * PF_KIB)
#define PF_BO_SIZE (256 * PF_KIB)
#define WILLNEED PANFROST_MADV_WILLNEED
#define DONTNEED PANFROST_MADV_DONTNEED
#define PF_HEAP (PANFROST_BO_HEAP | PANFROST_BO_NOEXEC)

struct pf_bo {
	int fd;
	uint32_t handle;
	uint32_t seed;
	uint64_t va, size;
	uint32_t *map;
};

/* The BO with the jobs of a chain, made by pf_chain_create() */
struct pf_chain {
	struct pf_bo bo;
	unsigned int count;
};

int pf_open(void);
int pf_open_name(const char *driver, bool primary);
int pf_ioctl(int fd, unsigned long request, void *args);

void pf_bo_create(struct pf_bo *bo, int fd, uint64_t size, uint32_t flags);
void pf_bo_create_filled(struct pf_bo *bo, int fd, uint64_t size, uint32_t seed);
int pf_bo_try_create(struct pf_bo *bo, int fd, uint64_t size, uint32_t flags);
void pf_bo_map(struct pf_bo *bo);
void pf_bo_unmap(struct pf_bo *bo);
void pf_bo_fill(struct pf_bo *bo, uint32_t seed);
void pf_bo_check(struct pf_bo *bo);
uint32_t pf_bo_word(const struct pf_bo *bo, uint64_t index);
void pf_bo_close(struct pf_bo *bo);
int pf_close_handle(int fd, uint32_t handle);
int pf_madvise(int fd, uint32_t handle, uint32_t madv);
int pf_bo_madvise(struct pf_bo *bo, uint32_t madv);
int pf_export(int fd, uint32_t handle);
int pf_import(int fd, int dmabuf, uint32_t *handle);
int pf_va(int fd, uint32_t handle, uint64_t *va);
int pf_wait(int fd, uint32_t handle, int ms);
/* does an access raise SIGBUS? */
bool pf_sigbus(volatile uint32_t *word, bool write);

void pf_chain_create(struct pf_chain *chain, int fd);
void pf_chain_reset(struct pf_chain *chain);
void pf_job_write(struct pf_chain *chain, uint64_t to, uint32_t value);
void pf_job_copy(struct pf_chain *chain, uint64_t to, uint64_t from, uint32_t bytes);
void pf_job_delay(struct pf_chain *chain, uint32_t ms);
void pf_job_hang(struct pf_chain *chain);
/* the exception with which job `index` ended, 1 is none */
uint32_t pf_job_status(struct pf_chain *chain, unsigned int index);
int pf_submit(struct pf_chain *chain, const uint32_t *handles, unsigned int count, bool fragment);
void pf_run(struct pf_chain *chain, const uint32_t *handles, unsigned int count);

/* The counters of the GEM shrinker; skips where there are none */
bool pf_has_shrinker(void);
void pf_need_shrinker(void);
uint64_t pf_counter(const char *name);
/* idle BOs that were given up */
void pf_purge(void);
/* idle BOs that were not */
void pf_evict(void);
void pf_swap_on(void);
void pf_swap_off(void);
uint64_t pf_meminfo_kib(const char *name);
/* retries, as what a job holds is let go a little after its fence */
void pf_expect_purged(struct pf_bo *bo);
void pf_expect_kept(struct pf_bo *bo);

/* parameters of the register model, 0 if there is none */
uint64_t pf_model(const char *param);
void pf_model_set(const char *param, uint64_t value);

#endif
