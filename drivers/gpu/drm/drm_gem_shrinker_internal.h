/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright 2026 The GEM shrinker project
 */
#ifndef __DRM_GEM_SHRINKER_INTERNAL_H__
#define __DRM_GEM_SHRINKER_INTERNAL_H__

#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_gem.h>
#include <drm/drm_gem_shrinker.h>

struct shrinker;

/*
 * What a BO counts as. Each resident BO is in one of the first two classes, and
 * in at most one of the others. PURGEABLE_EVICTED are not resident.
 */
enum drm_gem_class {
	DRM_GEM_CLASS_RESIDENT,
	DRM_GEM_CLASS_HOST,
	DRM_GEM_CLASS_PURGEABLE,
	DRM_GEM_CLASS_PURGEABLE_EVICTED,
	DRM_GEM_CLASS_EXPORTED,
	DRM_GEM_CLASS_EVICTABLE,
	DRM_GEM_CLASS_EVICTABLE_EXPORTED,
	DRM_GEM_CLASS_UNEVICTABLE,
	DRM_GEM_CLASS_HOST_PURGEABLE,
	DRM_GEM_CLASSES
};

/* What scans walk. An object is on one of GIVEN_UP and HOST, and on EVICTABLE. */
enum drm_gem_list_id {
	DRM_GEM_LIST_GIVEN_UP,
	DRM_GEM_LIST_EVICTABLE,
	DRM_GEM_LIST_HOST,
	DRM_GEM_LISTS
};

struct drm_gem_list {
	/* newest first, not yet seen by a scan */
	struct llist_head queue;
	/* the same, oldest first; protected by the mutex */
	struct list_head list;
	unsigned long nr;
};

struct drm_gem_counts {
	long pages[DRM_GEM_CLASSES];
};

enum drm_gem_batch_phase {
	DRM_GEM_BATCH_SENT,		/* a scan is waiting, or about to */
	DRM_GEM_BATCH_ABANDONED,	/* it gave up, the finisher takes over */
	DRM_GEM_BATCH_ANSWERED,
};

/*
 * BOs that the device is told to let go of together. A fixed number of these
 * lives in the shrinker: they are the reserve from which reclaim works.
 */
struct drm_gem_revoke_batch {
	struct drm_gem_shrinker *shrinker;
	enum drm_gem_list_id from;

	/* Each one holds a reference. A slot is NULL once that was dropped. */
	struct drm_gem_object *objs[DRM_GEM_REVOKE_BATCH];
	unsigned int nr;
	unsigned int cur;	/* the one that ops->revoke works on */
	u32 revoked;		/* bit per object: committed, not finished */
	unsigned long failed;	/* bit per object: the device keeps it */

	atomic_t pending;	/* answers owed, and one while sending */
	atomic_t phase;
	struct completion answered;

	struct delayed_work finish;
};

struct drm_gem_scan {
	enum drm_gem_list_id from;
	unsigned long nr_to_scan;
	unsigned long timeout;	/* jiffies: of each wait, or of all for OOM */
	bool oom;
	bool io;		/* filesystems may be entered, and I/O done */

	unsigned long looked_at; /* objects */
	unsigned long scanned;	/* pages looked at */
	unsigned long freed;	/* pages */
	unsigned long budget;	/* objects still to look at */
	bool first;
	bool full;		/* no reserves are left */
	bool done;		/* nothing is left to look at */
	bool late;		/* the device did not answer */
	unsigned int revoked;
	unsigned int waits;
};

/* One shrinker per device that opted in. */
struct drm_gem_shrinker {
	struct drm_device *dev;
	const struct drm_gem_shrinker_ops *ops;

	struct drm_gem_counts __percpu *counts;

	struct drm_gem_list lists[DRM_GEM_LISTS];
	/* protects the lists; a leaf: nothing is locked or allocated */
	struct mutex lock;

	struct shrinker *purge;
	struct shrinker *evict;
	unsigned long fruitless; /* BOs given up, looked at in a row for nothing */
	struct notifier_block oom;

	struct workqueue_struct *wq;
	struct drm_gem_revoke_batch batches[DRM_GEM_REVOKE_BATCHES];
	unsigned long busy;	/* bit per batch */
	wait_queue_head_t wait;	/* an object was finished, or a batch answered or freed */
	struct llist_head put;	/* objects with but our reference left */
	struct work_struct put_work;
	atomic_t late[DRM_GEM_LISTS]; /* batches abandoned and unanswered */
	atomic_long_t freed_late; /* pages the finisher freed, not yet reported */

	atomic_long_t purged_bos;
	atomic_long_t purged_pages;
	atomic_long_t host_purged_pages;
	atomic_long_t evicted_bos;
	atomic_long_t evicted_pages;
	atomic_long_t swapped_in_bos;
	atomic_long_t swapped_in_pages;
	atomic_long_t scans;
	atomic_long_t waits;
	atomic64_t longest_wait; /* us */
	atomic_long_t refused[DRM_GEM_REFUSALS];
};

static inline enum drm_gem_madv drm_gem_state_madv(u32 state)
{
	return state & DRM_GEM_RECLAIM_MADV;
}

/* drm_gem_reclaim.c */
u32 drm_gem_state_read(const struct drm_gem_object *obj);
bool drm_gem_state_try(struct drm_gem_object *obj, u32 *old, u32 new);
void drm_gem_state_change(struct drm_gem_object *obj, u32 clear, u32 set);
bool drm_gem_state_excluded(u32 state);
bool drm_gem_state_is_candidate(u32 state, enum drm_gem_list_id from);

/* drm_gem_reclaim_export.c */
bool drm_gem_reclaim_is_exported(struct drm_gem_object *obj);

/* drm_gem_shrinker.c */
void drm_gem_shrinker_unlink(struct drm_gem_shrinker *shrinker,
			     struct drm_gem_object *obj);
void drm_gem_shrinker_pick(struct drm_gem_shrinker *shrinker,
			   struct drm_gem_revoke_batch *batch,
			   struct drm_gem_scan *scan);
void drm_gem_shrinker_unpick(struct drm_gem_shrinker *shrinker,
			     struct drm_gem_revoke_batch *batch,
			     unsigned int first);
unsigned long drm_gem_shrinker_count(struct drm_gem_shrinker *shrinker,
				     enum drm_gem_class class);

/* drm_gem_revoke.c */
struct drm_gem_revoke_batch *
drm_gem_batch_get(struct drm_gem_shrinker *shrinker, enum drm_gem_list_id from);
void drm_gem_batch_free(struct drm_gem_revoke_batch *batch);
void drm_gem_batch_drop(struct drm_gem_revoke_batch *batch);
void drm_gem_note_wait(struct drm_gem_shrinker *shrinker, ktime_t begin);
bool drm_gem_batch_wait(struct drm_gem_revoke_batch *batch,
			unsigned long timeout);
unsigned long drm_gem_batch_finish(struct drm_gem_revoke_batch *batch, bool io,
				   bool late);
int drm_gem_shrinker_revoke_init(struct drm_gem_shrinker *shrinker);
void drm_gem_shrinker_revoke_fini(struct drm_gem_shrinker *shrinker);

/* drm_gem_shrinker_scan.c */
void drm_gem_scan(struct drm_gem_shrinker *shrinker, struct drm_gem_scan *scan);

/* drm_gem_shrinker_mm.c */
bool drm_gem_shrinker_has_swap(void);
int drm_gem_shrinker_mm_init(struct drm_gem_shrinker *shrinker);

/* drm_gem_shrinker_debugfs.c */
void drm_gem_shrinker_debugfs_init(struct drm_gem_shrinker *shrinker);

#endif /* __DRM_GEM_SHRINKER_INTERNAL_H__ */
