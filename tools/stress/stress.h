/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gem-stress: what its parts share. gem-stress.c says what it is.
 *
 * The controller and all processes have one struct shared between them, which outlives each
 * of them. A process opens the device once; each of its threads has BOs of its own, and is
 * the only one that changes them. What several do with one at a time, in stress_race.c, is in
 * a file of its own.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../vm/virtgpu_madvise.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

#define MAX_PROCS 16
#define MAX_THREADS 16
#define MAX_SHARES 4	/* BOs that a thread has offered to others at a time */
#define MAX_BOS 1024	/* of a thread */
#define HOG_OWNER 0xfff

enum count {
	/* what was done, see op_names */
	OP_CREATE, OP_MAP, OP_WRITE, OP_VERIFY, OP_PEEK, OP_UPLOAD, OP_DOWNLOAD, OP_COPY, OP_WAIT,
	OP_DONTNEED, OP_WILLNEED, OP_REPLACE, OP_SHARE, OP_IMPORT, OP_HOLD, OP_RACE, OP_FORK,
	OP_CLOSE, OPS,

	/* what came of it: BOs found purged, made anew, taken back whole, ... */
	N_PURGED = OPS, N_REPLACED, N_RETAINED, N_SIGBUS, N_REFUSED, N_NOMEM, N_BUSY,
	/* what the controller did */
	N_KILLED, N_SCANS, N_SWAPOFF,
	/* what must not be: bytes gone, bytes of others, other lies */
	N_LOST, N_LEAKED, N_WRONG, COUNTS
};

/* What a BO has in it: zero for generation 0, or a pattern that says whose it is. */
struct contents {
	uint32_t owner;
	uint32_t generation;
};

struct sight {
	enum { SEEN_RIGHT, SEEN_SIGBUS, SEEN_OTHER } what;
	uint64_t index;		/* of the first word that is not right */
	uint64_t word;
};

enum bo_state {
	NEEDED,
	GIVEN_UP,	/* may be purged at any time, unless shared */
	PURGED,		/* the kernel said so, which is final but for REPLACE */
};

struct bo {
	uint32_t handle;
	uint32_t resource;	/* its id on the host */
	uint64_t size;
	uint64_t *map;
	enum bo_state state;
	struct contents guest;	/* what the CPU has to see */
	struct contents host;	/* what the host has, if that is known */
	bool host_known;
	bool host_reads;	/* jobs of which the end was not waited for */
	bool host_writes;
	bool custom;		/* not evicted, not replaced */
	bool torn;		/* purged while it was written to */
	bool bad;		/* was reported, and is to be closed */
	bool handle_closed;
	bool imported;
	bool was_shared;	/* somebody who was killed may have it still */
	int dma_buf;		/* open, by which it is not purged, or -1 */
	bool held_by_map;	/* mapped by a dma-buf, which does the same */
	_Atomic uint64_t *share;	/* see stress_share.c */
	uint32_t offer;
	uint8_t exporter;
	uint32_t exporter_life;
	char history[24];	/* operations, by letter */
};

/* A thread. */
struct stress {
	int drm;
	bool has_3d;
	bool is_child;
	uint8_t proc;
	uint8_t thread;
	uint32_t life;		/* how often the process was killed before */
	uint32_t generation;
	uint64_t seed;
	uint64_t random;	/* begins anew with each operation, by its number */
	uint64_t operation;
	uint64_t total_kib;
	uint64_t needed_kib;
	unsigned int count;
	struct bo bos[MAX_BOS];
};

struct shared {
	_Atomic uint64_t counts[COUNTS];
	_Atomic uint64_t bytes[COUNTS];	/* lost, or leaked */
	_Atomic uint64_t shares[MAX_PROCS][MAX_THREADS][MAX_SHARES];
	struct {
		/* how often it was killed: goes up before, so that nobody counts on it */
		_Atomic uint32_t life;
		/* and this when it is gone, and what it asked of the host is on its way */
		_Atomic uint32_t gone;
		_Atomic uint32_t needed_kib[MAX_THREADS];
	} procs[MAX_PROCS];
	_Atomic uint64_t available_kib;	/* memory, in the beginning */
	_Atomic bool has_swap;
	_Atomic uint32_t hog_mib;	/* what the hog is to have, and has */
	_Atomic uint32_t hog_has_mib;
	_Atomic uint32_t lines;
	_Atomic bool stop;
	_Atomic uint32_t broken;	/* N_LOST, N_LEAKED or N_WRONG: what to do wrong, once */
};

struct options {
	unsigned int seconds, procs, threads, mib;
	uint64_t seed;
	const char *swap;
};

extern struct options options;
extern struct shared *shared;
extern int sockets[MAX_PROCS][2];	/* to receive BOs from, and to send them to a process */
extern const char *const count_names[COUNTS];

/* gem-stress.c */
uint64_t mix(uint64_t x);
uint64_t random_next(uint64_t *state);
uint64_t now_ms(void);
uint64_t ticks(void);
uint64_t sum_needed_kib(void);
uint64_t limit_kib(void);

static inline uint32_t rnd(struct stress *me, uint32_t below)
{
	return (random_next(&me->random) >> 32) % below;
}

static inline void count(enum count what)
{
	atomic_fetch_add_explicit(&shared->counts[what], 1, memory_order_relaxed);
}

static inline void count_bytes(enum count what, uint64_t bytes)
{
	atomic_fetch_add_explicit(&shared->bytes[what], bytes, memory_order_relaxed);
}

/* Once in a run that is broken for a test. */
static inline bool break_now(enum count what)
{
	uint32_t wanted = what;

	return atomic_load(&shared->broken) == wanted &&
	       atomic_compare_exchange_strong(&shared->broken, &wanted, 0);
}

/* stress_pattern.c */
void contents_init(void);
uint32_t contents_owner(uint32_t life, uint32_t proc, uint32_t thread);
uint64_t contents_word(struct contents contents, uint64_t index);
bool contents_fill(uint64_t *map, uint64_t size, struct contents contents);
struct sight contents_look(const uint64_t *map, uint64_t first, uint64_t words,
			   struct contents contents);
uint64_t contents_wrong(const uint64_t *map, uint64_t first, uint64_t words,
			struct contents contents);
bool contents_are_foreign(struct contents wanted, uint64_t word);
void contents_describe(char *text, size_t len, uint64_t word);
void report(const struct stress *me, struct bo *bo, enum count what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* stress_bo.c */
int drm_open(void);
int drm_do(int fd, unsigned long request, void *arg);
int drm_param(int fd, uint64_t param);
struct contents bo_next(struct stress *me);
void bo_set_state(struct stress *me, struct bo *bo, enum bo_state state);
bool may_be_purged(const struct bo *bo);
void found_purged(struct stress *me, struct bo *bo);
bool bo_done(struct stress *me, struct bo *bo, const char *what, int ret);
struct bo *bo_create(struct stress *me, uint64_t size, bool custom);
bool bo_map(struct stress *me, struct bo *bo);
void bo_reopen(struct stress *me, struct bo *bo);
void bo_close(struct stress *me, struct bo *bo);
void bo_wait(struct stress *me, struct bo *bo);
bool bo_look(struct stress *me, struct bo *bo, uint64_t first, uint64_t words, enum count blame);
bool bo_verify(struct stress *me, struct bo *bo, enum count blame);
void bo_peek(struct stress *me, struct bo *bo);
bool bo_write(struct stress *me, struct bo *bo, struct contents contents);
void bo_upload(struct stress *me, struct bo *bo);
void bo_download(struct stress *me, struct bo *bo);
void bo_copy(struct stress *me, struct bo *dst, struct bo *src);
void bo_did(struct bo *bo, enum count op);
void bo_let_go(struct bo *bo);

/* stress_advice.c */
void bo_advise(struct stress *me, struct bo *bo, bool needed);
void bo_replace(struct stress *me, struct bo *bo);

/* stress_share.c */
bool share_holds(const struct bo *bo);
void share_settle(struct stress *me, struct bo *bo);
void share_withdraw(struct bo *bo);
void share_offer(struct stress *me, struct bo *bo);
void share_take(struct stress *me);
void share_leave(struct stress *me, struct bo *bo);
void share_forget(struct stress *me);
int bo_export(struct stress *me, struct bo *bo);

/* stress_race.c */
void race_own(struct stress *me);
void race_import(struct stress *me, struct bo *bo, int dma_buf);

/* stress_thread.c */
void run_process(unsigned int proc, uint32_t life);

/* stress_pressure.c */
uint64_t file_value(const char *path, const char *key);
uint64_t counter(const char *key);
bool find_counter(const char *key, uint64_t *value);
void scan(const char *what, uint64_t pages);
void run_pressure(void);
void run_hog(void);

#endif
