/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright 2026 The GEM shrinker project
 */
#ifndef __DRM_GEM_SHRINKER_H__
#define __DRM_GEM_SHRINKER_H__

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/types.h>

struct drm_device;
struct drm_file;
struct drm_gem_object;
struct drm_gem_revoke_batch;

/**
 * enum drm_gem_madv - what user space says of the contents of a BO
 * @DRM_GEM_MADV_WILLNEED: the contents are needed; they may go to swap
 * @DRM_GEM_MADV_DONTNEED: the contents may be lost when memory is short
 * @DRM_GEM_MADV_PURGED: they were lost; never passed in by user space
 */
enum drm_gem_madv {
	DRM_GEM_MADV_WILLNEED = 0,
	DRM_GEM_MADV_DONTNEED = 1,
	DRM_GEM_MADV_PURGED = 2,
};

/*
 * The bits of struct drm_gem_reclaim.state. The lowest two hold an enum
 * drm_gem_madv, those from DRM_GEM_RECLAIM_HANDLES up the number of handles.
 */
#define DRM_GEM_RECLAIM_MADV		GENMASK(1, 0)
/** @DRM_GEM_RECLAIM_RESIDENT: the BO has pages, and the shrinker knows it */
#define DRM_GEM_RECLAIM_RESIDENT	BIT(2)
/** @DRM_GEM_RECLAIM_REVOKING: the device was told to let go of the pages */
#define DRM_GEM_RECLAIM_REVOKING	BIT(3)
/** @DRM_GEM_RECLAIM_QUEUED: on the queue or list of BOs that were given up */
#define DRM_GEM_RECLAIM_QUEUED		BIT(4)
/** @DRM_GEM_RECLAIM_PINNED: scanout, vmap or a dma-buf attachment holds it */
#define DRM_GEM_RECLAIM_PINNED		BIT(5)
/** @DRM_GEM_RECLAIM_EXPORTED: its dma-buf was, and may still be, in use */
#define DRM_GEM_RECLAIM_EXPORTED	BIT(6)
/** @DRM_GEM_RECLAIM_NEVER: the driver cannot give it up, or the device did not */
#define DRM_GEM_RECLAIM_NEVER		BIT(7)
/** @DRM_GEM_RECLAIM_NOEVICT: may be purged, not evicted */
#define DRM_GEM_RECLAIM_NOEVICT		BIT(8)
/** @DRM_GEM_RECLAIM_EVICTED: its contents are the system's to swap, no pages */
#define DRM_GEM_RECLAIM_EVICTED		BIT(9)
/** @DRM_GEM_RECLAIM_WANTED: used while REVOKING, which is not to evict it */
#define DRM_GEM_RECLAIM_WANTED		BIT(10)
/** @DRM_GEM_RECLAIM_HOST: its memory is the host's, and is counted apart */
#define DRM_GEM_RECLAIM_HOST		BIT(11)
/** @DRM_GEM_RECLAIM_LISTED: on the queue or list of BOs that may be evicted */
#define DRM_GEM_RECLAIM_LISTED		BIT(12)
#define DRM_GEM_RECLAIM_HANDLES		BIT(16)
#define DRM_GEM_RECLAIM_HANDLES_MASK	GENMASK(31, 16)

/**
 * struct drm_gem_reclaim_link - an object's place with the scanner
 */
struct drm_gem_reclaim_link {
	/** @queue: in a lock-free queue, until a scan comes by */
	struct llist_node queue;

	/** @node: in the list that this becomes, under the scanner's mutex */
	struct list_head node;
};

/**
 * struct drm_gem_reclaim - what the shrinker keeps in each GEM object
 *
 * Embedded in &struct drm_gem_object. Drivers use the functions below and do
 * not look inside.
 */
struct drm_gem_reclaim {
	/** @state: advice, flags and handle count, see "States" */
	atomic_t state;

	/** @used: a job used it since it was given up, or since a scan looked */
	bool used;

	/** @adviser: the file that said DONTNEED last; only compared */
	const struct drm_file *adviser;

	/** @dma_buf_cached: references to the dma-buf kept by PRIME caches */
	atomic_t dma_buf_cached;

	/** @given_up: link among those that user space gave up; see QUEUED */
	struct drm_gem_reclaim_link given_up;

	/** @evictable: link among those that may go to swap; see LISTED */
	struct drm_gem_reclaim_link evictable;

	/** @put: link in the list of objects to drop the last reference of */
	struct llist_node put;
};

/**
 * enum drm_gem_revoke_action - why the device has to let go of a BO
 * @DRM_GEM_REVOKE_PURGE: its contents will be dropped
 * @DRM_GEM_REVOKE_EVICT: its contents go to swap and come back
 */
enum drm_gem_revoke_action {
	DRM_GEM_REVOKE_PURGE,
	DRM_GEM_REVOKE_EVICT,
};

/**
 * struct drm_gem_shrinker_ops - the device side of reclaim, one per driver
 */
struct drm_gem_shrinker_ops {
	/**
	 * @revoke: make the device let go of the pages of one BO.
	 *
	 * Called with the BO's resv held (by trylock) and the BO idle. Takes
	 * whatever it needs (command buffer, ring room), then calls
	 * drm_gem_revoke_commit(), and sends only when that returned true.
	 * For each committed BO drm_gem_revoke_answer() is called once, now
	 * or when the device has answered.
	 *
	 * Context: reclaim. Must not wait, lock a resv, or allocate beyond
	 * reserves of its own.
	 *
	 * Returns: 0 when committed, -EAGAIN when this BO cannot be revoked
	 * now, -EBUSY when no other BO can either until the device answers
	 * (out of reserves). A driver that committed and then could not send
	 * gives -EAGAIN as the answer and returns -EBUSY; without commit
	 * nothing has changed on error.
	 */
	int (*revoke)(struct drm_gem_object *obj,
		      struct drm_gem_revoke_batch *batch);

	/**
	 * @revoke_flush: start what @revoke queued, once per batch; optional.
	 *
	 * Context: reclaim, no resv held. Must not wait, but for a device that
	 * is told by registers: some 300 ms at most, after which it is given up.
	 */
	void (*revoke_flush)(struct drm_device *dev,
			     struct drm_gem_revoke_batch *batch);
};

/**
 * enum drm_gem_refusal - why a scan passed a BO over
 * @DRM_GEM_REFUSED_LOCKED: its resv was held by someone else
 * @DRM_GEM_REFUSED_BUSY: the device still works with it
 * @DRM_GEM_REFUSED_USED: it was used since it was given up; second chance
 * @DRM_GEM_REFUSED_EXPORTED: its dma-buf has users
 * @DRM_GEM_REFUSED_DRIVER: the driver's revoke, or the evict hook, could not
 * @DRM_GEM_REFUSED_DEVICE: the device answered with an error and keeps it
 * @DRM_GEM_REFUSED_WANTED: it was used again before it could be evicted
 * @DRM_GEM_REFUSALS: their number
 */
enum drm_gem_refusal {
	DRM_GEM_REFUSED_LOCKED,
	DRM_GEM_REFUSED_BUSY,
	DRM_GEM_REFUSED_USED,
	DRM_GEM_REFUSED_EXPORTED,
	DRM_GEM_REFUSED_DRIVER,
	DRM_GEM_REFUSED_DEVICE,
	DRM_GEM_REFUSED_WANTED,
	DRM_GEM_REFUSALS
};

/**
 * struct drm_gem_shrinker_stats - a snapshot for debugfs and tests
 */
struct drm_gem_shrinker_stats {
	/** @resident_pages: pages of all BOs that the shrinker knows */
	unsigned long resident_pages;
	/** @purgeable_pages: pages of BOs that the next scan may purge */
	unsigned long purgeable_pages;
	/** @exported_pages: pages given up whose dma-buf must be looked at */
	unsigned long exported_pages;
	/** @evictable_pages: pages of BOs that may go to swap */
	unsigned long evictable_pages;
	/** @unevictable_pages: pages of idle BOs that the driver cannot evict */
	unsigned long unevictable_pages;
	/** @host_pages: of BOs whose memory is the host's, in pages */
	unsigned long host_pages;
	/** @host_purgeable_pages: those of them that user space gave up */
	unsigned long host_purgeable_pages;
	/** @purged_bos: BOs purged since registration */
	unsigned long purged_bos;
	/** @purged_pages: their pages */
	unsigned long purged_pages;
	/** @host_purged_pages: of BOs whose memory is the host's, not in the above */
	unsigned long host_purged_pages;
	/** @evicted_bos: evictions since registration */
	unsigned long evicted_bos;
	/** @evicted_pages: their pages */
	unsigned long evicted_pages;
	/** @swapped_in_bos: evicted BOs that were brought back */
	unsigned long swapped_in_bos;
	/** @swapped_in_pages: their pages */
	unsigned long swapped_in_pages;
	/** @scans: passes over the list since registration */
	unsigned long scans;
	/** @waits: batches that had to be waited for */
	unsigned long waits;
	/** @longest_wait_us: the longest wait for a batch, or of the OOM notifier */
	u64 longest_wait_us;
	/** @late: batches that the device owes an answer past the deadline, now */
	unsigned long late;
	/** @refused: BOs passed over, by reason */
	unsigned long refused[DRM_GEM_REFUSALS];
};

/*
 * How long a scan waits for the device, in ms; see DOC: Waiting. After the OOM notifier
 * something is killed, so it has to outlast a host that is short of CPUs: with three
 * emulated guests on two of them answers took up to 820 ms.
 */
#define DRM_GEM_REVOKE_DEADLINE_MS	100
#define DRM_GEM_OOM_DEADLINE_MS		1000

/* Number of BOs revoked together, and of batches that may be under way. */
#define DRM_GEM_REVOKE_BATCH		32
#define DRM_GEM_REVOKE_BATCHES		8

#if IS_ENABLED(CONFIG_DRM_GEM_SHRINKER)

int drm_gem_shrinker_register(struct drm_device *dev,
			      const struct drm_gem_shrinker_ops *ops);
void drm_gem_shrinker_unregister(struct drm_device *dev);
void drm_gem_shrinker_drain(struct drm_device *dev);

void drm_gem_reclaim_init(struct drm_gem_object *obj);
void drm_gem_reclaim_add(struct drm_gem_object *obj);
void drm_gem_reclaim_remove(struct drm_gem_object *obj);
void drm_gem_reclaim_exclude(struct drm_gem_object *obj, u32 why);
void drm_gem_reclaim_include(struct drm_gem_object *obj, u32 why);
void drm_gem_reclaim_open(struct drm_gem_object *obj);
void drm_gem_reclaim_close(struct drm_gem_object *obj,
			   const struct drm_file *file);
int drm_gem_reclaim_export(struct drm_gem_object *obj);
void drm_gem_reclaim_dma_buf_cached(struct drm_gem_object *obj, int refs);
bool drm_gem_madvise(struct drm_gem_object *obj, const struct drm_file *file,
		     enum drm_gem_madv madv);

enum drm_gem_revoke_action
drm_gem_revoke_action(const struct drm_gem_revoke_batch *batch);
bool drm_gem_revoke_commit(struct drm_gem_revoke_batch *batch,
			   struct drm_gem_object *obj);
void drm_gem_revoke_answer(struct drm_gem_revoke_batch *batch,
			   struct drm_gem_object *obj, int err);
void drm_gem_revoke_answer_all(struct drm_gem_revoke_batch *batch, int err);

bool drm_gem_reclaim_want(struct drm_gem_object *obj);
void drm_gem_reclaim_swapped_in(struct drm_gem_object *obj);
int drm_gem_reclaim_replace(struct drm_gem_object *obj);
void drm_gem_reclaim_replaced(struct drm_gem_object *obj);
int drm_gem_reclaim_wait_finished(struct drm_gem_object *obj);
bool drm_gem_reclaim_is_known(const struct drm_gem_object *obj);

unsigned long drm_gem_shrinker_purge(struct drm_device *dev,
				     unsigned long nr_pages);
void drm_gem_shrinker_evict(struct drm_device *dev, unsigned long nr_pages);
void drm_gem_shrinker_purge_host(struct drm_device *dev, unsigned long nr_pages);
unsigned long drm_gem_shrinker_oom(struct drm_device *dev);
void drm_gem_shrinker_get_stats(struct drm_device *dev,
				struct drm_gem_shrinker_stats *stats);

#else

static inline void drm_gem_reclaim_init(struct drm_gem_object *obj)
{
}

static inline void drm_gem_reclaim_exclude(struct drm_gem_object *obj, u32 why)
{
}

static inline void drm_gem_reclaim_include(struct drm_gem_object *obj, u32 why)
{
}

static inline int drm_gem_reclaim_export(struct drm_gem_object *obj)
{
	return 0;
}

static inline void
drm_gem_reclaim_dma_buf_cached(struct drm_gem_object *obj, int refs)
{
}

static inline void drm_gem_reclaim_swapped_in(struct drm_gem_object *obj)
{
}

static inline bool drm_gem_reclaim_is_known(const struct drm_gem_object *obj)
{
	return false;
}

#endif /* CONFIG_DRM_GEM_SHRINKER */

#endif /* __DRM_GEM_SHRINKER_H__ */
