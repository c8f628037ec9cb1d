/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright 2026 The GEM shrinker project
 *
 * A driver without a device, for the KUnit tests of the GEM shrinker. It keeps
 * the contract that real ones have to keep, watches that the core keeps its
 * own, and answers revokes when and as a test wants.
 */
#ifndef __DRM_GEM_SHRINKER_MOCK_H__
#define __DRM_GEM_SHRINKER_MOCK_H__

#include <linux/dma-resv.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <kunit/test.h>

#include <drm/drm_device.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_shrinker.h>

struct dma_fence;
struct drm_file;
struct file;

/* Long enough for any machine; only ever waited for in full by a failing test. */
#define MOCK_PATIENCE	(10 * HZ)

enum mock_answer {
	MOCK_ANSWER_AT_ONCE,	/* from within revoke */
	MOCK_ANSWER_SOON,	/* from a work item */
	MOCK_ANSWER_NEVER,	/* when the test calls mock_answer() */
};

/* What revoke reserves, in this order. */
enum mock_reserve {
	MOCK_RESERVE_BUFFER,
	MOCK_RESERVE_RING,
	MOCK_RESERVES
};

struct mock_object {
	struct drm_gem_object base;

	/* When the device was told, and when the pages went: 1 is first. */
	unsigned int revoke_seq;
	unsigned int purge_seq;
	unsigned int evict_seq;
	unsigned int offers;	/* calls of revoke */
	struct task_struct *purger;	/* only compared */

	/* The memory manager's: changed under resv. */
	bool pages;		/* there are some, */
	u32 contents;		/* with this in them; */
	bool swapped;		/* or it is in swap, */
	u32 swap;		/* where it is this; */
	u32 expected;		/* and either has to be what jobs left */

	/* The device has the pages, or is told of them by a command on its way. */
	bool attached;

	/* The answer owed, by MOCK_ANSWER_SOON or NEVER. */
	struct drm_gem_revoke_batch *batch;
	struct list_head owed;
	bool soon;
};

struct mock_device {
	struct drm_device drm;

	/* What revoke does: set by the test. */
	enum mock_answer answer;
	int error;			/* that the answers carry */
	int refusal;			/* returned by revoke, with nothing done */
	enum mock_reserve refused;	/* in place of which reserve */
	unsigned int refuse_after;	/* that many reserves were granted */
	unsigned int room;		/* of the ring, in commands without answer; 0: any */
	unsigned int unsent;		/* that many commands fail after commit */
	/* Runs before anything is reserved, that is, between pick and commit. */
	void (*hook)(struct mock_object *bo);
	void *hook_data;
	/* Runs in the work of MOCK_ANSWER_SOON, before it answers. */
	void (*soon_hook)(struct mock_device *mock);
	bool hold_frees;		/* the last reference may take long to drop */
	/* Runs in pageout. */
	void (*pageout_hook)(struct mock_object *bo);
	/* What the memory manager and the system do. */
	bool no_evict;			/* new objects lack the hook */
	int evict_error;
	int swapin_error;
	bool no_swap;			/* no swap space is left */

	/* What happened. */
	atomic_t seq;
	atomic_t offers;	/* calls of revoke */
	atomic_t revoked;	/* committed and sent */
	atomic_t lost;		/* refused by drm_gem_revoke_commit() */
	atomic_t flushes;
	atomic_t purges;
	atomic_t evictions;
	atomic_t pageouts;
	atomic_t frees;
	atomic_t reserved[MOCK_RESERVES];
	const char *broken;	/* the first rule that was not kept */

	spinlock_t lock;	/* protects the owed answers */
	struct list_head owed;
	struct work_struct soon;
	wait_queue_head_t wait;	/* pages or an object were freed */
};

static inline struct mock_device *to_mock_device(struct drm_device *drm)
{
	return container_of(drm, struct mock_device, drm);
}

static inline struct mock_object *to_mock_object(struct drm_gem_object *obj)
{
	return container_of(obj, struct mock_object, base);
}

/* For rules that may be broken by, or in, any thread; mock_exit() reports. */
#define mock_rule(mock, cond)						\
	do {								\
		if (!(cond))						\
			cmpxchg(&(mock)->broken, NULL, #cond);		\
	} while (0)

/* Waits, for an event and not for a time. */
#define mock_wait(mock, cond)						\
	wait_event_timeout((mock)->wait, cond, MOCK_PATIENCE)

/* init and exit of the suites; test->priv is the struct mock_device. */
int mock_init(struct kunit *test);
void mock_exit(struct kunit *test);
struct mock_device *mock_device_create(struct kunit *test);

struct mock_object *mock_create_bare(struct kunit *test, unsigned int pages);
struct mock_object *mock_create(struct kunit *test, unsigned int pages);
struct mock_object *mock_create_idle(struct kunit *test, unsigned int pages);
void mock_create_many(struct kunit *test, struct mock_object **bos,
		      unsigned int nr, unsigned int pages);
void mock_put(struct mock_object *bo);
void mock_put_many(struct mock_object **bos, unsigned int nr);

/* The memory manager's side, in drm_gem_shrinker_mock_memory.c. */
unsigned long mock_gem_purge(struct drm_gem_object *obj);
int mock_gem_evict(struct drm_gem_object *obj);
unsigned long mock_gem_pageout(struct drm_gem_object *obj);
int mock_job(struct mock_object *bo);
int mock_job_busy(struct kunit *test, struct mock_object *bo,
		  struct dma_fence **fence);
int mock_pin(struct mock_object *bo);
void mock_unpin(struct mock_object *bo);

void mock_add(struct mock_object *bo);
void mock_exclude(struct mock_object *bo, u32 why);
void mock_include(struct mock_object *bo, u32 why);

struct dma_fence *mock_busy_locked(struct kunit *test, struct mock_object *bo,
				   enum dma_resv_usage usage);
struct dma_fence *mock_busy(struct kunit *test, struct mock_object *bo,
			    enum dma_resv_usage usage);
void mock_idle(struct dma_fence *fence);

unsigned int mock_answer(struct mock_device *mock, unsigned int nr);

struct file *mock_open(struct kunit *test, struct drm_file **file_priv);
void mock_close(struct file *file);

struct drm_gem_shrinker_stats mock_stats(struct mock_device *mock);

unsigned long mock_scan(struct mock_device *mock, unsigned long nr_pages);
unsigned long mock_evict(struct mock_device *mock, unsigned long nr_pages);

/* Advice comes from the file NULL, unless a test says otherwise. Only compared. */
#define MOCK_OTHER_FILE ((const struct drm_file *)ERR_PTR(-ENXIO))

static inline bool mock_dontneed_by(struct mock_object *bo,
				    const struct drm_file *file)
{
	return drm_gem_madvise(&bo->base, file, DRM_GEM_MADV_DONTNEED);
}

static inline bool mock_dontneed(struct mock_object *bo)
{
	return mock_dontneed_by(bo, NULL);
}

static inline bool mock_willneed(struct mock_object *bo)
{
	return drm_gem_madvise(&bo->base, NULL, DRM_GEM_MADV_WILLNEED);
}

/* A scan of everything, and one of as little as possible. */
static inline unsigned long mock_scan_all(struct mock_device *mock)
{
	return mock_scan(mock, ULONG_MAX);
}

static inline unsigned long mock_scan_batch(struct mock_device *mock)
{
	return mock_scan(mock, 1);
}

static inline unsigned long mock_evict_all(struct mock_device *mock)
{
	return mock_evict(mock, ULONG_MAX);
}

/* What just came back is passed over once. */
static inline unsigned long mock_evict_again(struct mock_device *mock)
{
	mock_rule(mock, !mock_evict_all(mock));

	return mock_evict_all(mock);
}

#endif /* __DRM_GEM_SHRINKER_MOCK_H__ */
