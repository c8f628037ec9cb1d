/* SPDX-License-Identifier: MIT */
/*
 * Copyright 2026 The GEM shrinker project
 */
#ifndef VIRTIO_MADVISE_H
#define VIRTIO_MADVISE_H

#if __has_include("igt.h")
#include "igt.h"
#else
#include "igt_min.h"
#endif

#include <virtgpu_drm.h>

#ifndef DRM_IOCTL_VIRTGPU_MADVISE
#define VIRTGPU_PARAM_MADVISE 10
#define VIRTGPU_MADV_WILLNEED 0
#define VIRTGPU_MADV_DONTNEED 1
struct drm_virtgpu_madvise {
	__u32 bo_handle;
	__u32 retained;
	__u32 madv;
	__u32 pad;
};
#define DRM_IOCTL_VIRTGPU_MADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + 0x0c, struct drm_virtgpu_madvise)
#endif

#define WILLNEED VIRTGPU_MADV_WILLNEED
#define DONTNEED VIRTGPU_MADV_DONTNEED

#define VG_KIB 1024ull
#define VG_MIB (1024 * VG_KIB)

/* what subtests use where the size does not matter, and where it has to show */
#define VG_BO_SIZE (256 * VG_KIB)
#define VG_BIG_SIZE (16 * VG_MIB)

/* of the virtio-gpu protocol; 0 here for any */
#define VG_CMD_ANY 0
#define VG_CMD_RESOURCE_UNREF 0x102

/*
 * virtio_bo.c: BOs. Functions that return int give a negative errno or what they say,
 * so that a subtest can ask for an error; the others assert that it worked.
 */
struct vg_bo {
	int fd;
	uint32_t handle;	/* of GEM */
	uint32_t resource;	/* on the host */
	uint32_t width;
	uint32_t height;
	uint64_t size;
	uint64_t seed;		/* of the contents */
	uint64_t *map;
};

int vg_ioctl(int fd, unsigned long request, void *arg);
int vg_open(void);
int vg_param(int fd, uint64_t param, int *value);

void vg_bo_create(struct vg_bo *bo, int fd, uint64_t size);
void vg_bo_create_filled(struct vg_bo *bo, int fd, uint64_t size, uint64_t seed);
void vg_bo_create_dumb(struct vg_bo *bo, int fd, uint32_t width, uint32_t height);
int vg_bo_mmap(struct vg_bo *bo);
void vg_bo_unmap(struct vg_bo *bo);
void vg_bo_close(struct vg_bo *bo);
void vg_bo_fill(struct vg_bo *bo, uint64_t seed);
void vg_bo_check(const struct vg_bo *bo);

int vg_madvise(int fd, uint32_t handle, uint32_t madv); /* retained */
int vg_bo_madvise(const struct vg_bo *bo, uint32_t madv);
int vg_bo_wait(const struct vg_bo *bo, uint32_t flags);
int vg_bo_upload(const struct vg_bo *bo);
int vg_bo_download(const struct vg_bo *bo);
int vg_bo_copy(const struct vg_bo *dst, const struct vg_bo *src);
int vg_bo_export(const struct vg_bo *bo); /* file descriptor */
int vg_import(int fd, int dmabuf, uint32_t *handle);
int vg_bo_flink(const struct vg_bo *bo, uint32_t *name);
int vg_open_name(int fd, uint32_t name, uint32_t *handle);
int vg_close_handle(int fd, uint32_t handle);
bool vg_contents_are(const void *map, uint64_t size, uint64_t seed);

/* virtio_reclaim.c: makes the kernel purge, and looks at what it did */
void vg_reclaim_open(int fd);
void vg_reclaim_close(void);
uint64_t vg_counter(const char *key);
void vg_scan(void);
void vg_bo_create_purged(struct vg_bo *bo, int fd, uint64_t size);
void vg_expect_purged(unsigned int bos);
void vg_expect_kept(void);
void vg_expect_resident(uint64_t pages);
uint64_t vg_file_value(const char *path, const char *key);

void vg_trace_start(void);
void vg_trace_stop(void);
void vg_trace_clear(void);
unsigned int vg_trace_commands(unsigned int type);
unsigned int vg_trace_waits(void);

/* Subtests; what they must see is said in virtio_madvise.c. */

/* virtio_madvise_purge.c */
void test_purge(int fd);
void test_purged_not_retained(int fd);
void test_purge_mmapped(int fd);
void test_access_purged_sigbus(int fd);
void test_mmap_after_purge(int fd);
void test_wait_purged(int fd);
void test_close_purged(int fd);
void test_race_willneed(int fd);

/* virtio_madvise_jobs.c */
void test_busy_dontneed(int fd);
void test_exec_dontneed(int fd);
void test_exec_purged(int fd);
void test_transfer_purged(int fd);

/* virtio_madvise_share.c */
void test_purge_exported(int fd);
void test_purge_after_export_closed(int fd);
void test_purge_shared_handle(int fd);
void test_export_purged(int fd);

/* virtio_madvise_kms.c: BOs that are shown */
void test_purge_scanout(int fd);
void test_scanout_purged(int fd);

/* virtio_madvise_load.c: many BOs */
void test_madvise_fast_path(int fd);
void test_purge_cost(int fd);
void test_oom_survive_1(int fd);
void test_oom_survive_8(int fd);

#endif
