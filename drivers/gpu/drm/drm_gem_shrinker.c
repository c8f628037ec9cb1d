// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/export.h>
#include <linux/sched/mm.h>

#include <drm/drm_device.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "drm_gem_shrinker_internal.h"

/**
 * DOC: overview
 *
 * The GEM shrinker gives memory of idle BOs back to the system. User space
 * tells with a driver's madvise ioctl which BOs it could do without
 * (%DRM_GEM_MADV_DONTNEED); when memory is short, the idle ones among them are
 * *purged*: the device is told to let go of them, their CPU mappings are
 * zapped, and their pages are freed. Before it uses such a BO again user space
 * says %DRM_GEM_MADV_WILLNEED and learns whether the contents survived.
 *
 * Idle BOs that are still needed are *evicted*, if there is swap space: their
 * pages become the system's to write out, and come back when they are used.
 *
 * The state of the objects is in drm_gem_reclaim.c, the lists of those to look
 * at in this file, what a scan does in drm_gem_shrinker_scan.c, what starts one
 * in drm_gem_shrinker_mm.c, and how the device is made to let go in
 * drm_gem_revoke.c. None of these knows what the pages are made of: that is for
 * &drm_gem_object_funcs.purge and &drm_gem_object_funcs.evict, which gem-shmem
 * provides. None knows the device: that is for &drm_gem_shrinker_ops, which a
 * driver provides.
 *
 * A driver opts in with drm_gem_shrinker_register(), and makes an object known
 * with drm_gem_reclaim_add() once the device has its pages:
 *
 * .. code-block:: c
 *
 *	static int my_revoke(struct drm_gem_object *obj,
 *			     struct drm_gem_revoke_batch *batch)
 *	{
 *		struct my_cmd *cmd = my_try_reserve(obj->dev);
 *
 *		if (!cmd)
 *			return -EBUSY;
 *		if (!drm_gem_revoke_commit(batch, obj)) {
 *			my_unreserve(cmd);
 *			return -EAGAIN;
 *		}
 *		my_send_unmap(cmd, obj, batch);
 *		return 0;
 *	}
 *
 * and calls drm_gem_revoke_answer() when the device has done so. In its
 * &drm_gem_object_funcs.free it calls drm_gem_reclaim_remove() first.
 */

/**
 * DOC: Locking
 *
 * madvise takes no lock. An object that becomes a candidate is pushed on an
 * llist, and only the first time: a flag says that it is on the llist or on the
 * list that scans walk, and only a scan takes it off again, by a cmpxchg from a
 * word that is no candidate any more. A DONTNEED that comes in between makes
 * that cmpxchg fail. There is one such list for objects that were given up, one
 * for those that may be evicted, and one for those that only cost the host; the
 * flags are QUEUED for the first and the last, and LISTED for the other.
 *
 * The lists have a mutex, which is a leaf: nothing is locked, allocated, or
 * waited for under it. It nests inside fs_reclaim. The resv of an object is
 * only ever trylocked by reclaim, because resv -> fs_reclaim is the common
 * order, and at most one is held at a time, and none while waiting for the
 * device. The same goes for &drm_device.object_name_lock, which is looked at
 * for objects that were exported.
 *
 * An object on a list is not referenced by it. drm_gem_reclaim_remove()
 * takes it off, and a scan uses only those that it gets a reference to.
 */

static u32 drm_gem_list_flag(enum drm_gem_list_id id)
{
	return id == DRM_GEM_LIST_EVICTABLE ? DRM_GEM_RECLAIM_LISTED :
					      DRM_GEM_RECLAIM_QUEUED;
}

static struct list_head *drm_gem_list_node(struct drm_gem_object *obj,
					   enum drm_gem_list_id id)
{
	return id == DRM_GEM_LIST_EVICTABLE ? &obj->reclaim.evictable.node :
					      &obj->reclaim.given_up.node;
}

static struct drm_gem_object *drm_gem_list_object(struct list_head *node,
						  enum drm_gem_list_id id)
{
	return id == DRM_GEM_LIST_EVICTABLE ?
	       container_of(node, struct drm_gem_object, reclaim.evictable.node) :
	       container_of(node, struct drm_gem_object, reclaim.given_up.node);
}

/* Moves what was queued to the list; the oldest come first. */
static void drm_gem_list_drain(struct drm_gem_list *list)
{
	struct drm_gem_reclaim_link *link;
	struct llist_node *first;

	first = llist_reverse_order(llist_del_all(&list->queue));
	llist_for_each_entry(link, first, queue) {
		list_add_tail(&link->node, &list->list);
		list->nr++;
	}
}

static void drm_gem_list_unlink(struct drm_gem_shrinker *shrinker,
				struct drm_gem_object *obj,
				enum drm_gem_list_id id)
{
	struct list_head *node = drm_gem_list_node(obj, id);
	struct drm_gem_list *list = &shrinker->lists[id];

	lockdep_assert_held(&shrinker->lock);

	drm_gem_list_drain(list);
	if (!list_empty(node)) {
		list_del_init(node);
		list->nr--;
	}
}

/* For objects being freed. */
void drm_gem_shrinker_unlink(struct drm_gem_shrinker *shrinker,
			     struct drm_gem_object *obj)
{
	bool host = drm_gem_state_read(obj) & DRM_GEM_RECLAIM_HOST;

	mutex_lock(&shrinker->lock);
	drm_gem_list_unlink(shrinker, obj, host ? DRM_GEM_LIST_HOST :
						  DRM_GEM_LIST_GIVEN_UP);
	drm_gem_list_unlink(shrinker, obj, DRM_GEM_LIST_EVICTABLE);
	mutex_unlock(&shrinker->lock);
}

/*
 * Takes an object off the list unless it is, or has just become, a candidate.
 * Once the flag is clear the object may be queued again, or freed.
 */
static bool drm_gem_list_dequeue(struct drm_gem_list *list,
				 struct drm_gem_object *obj,
				 enum drm_gem_list_id id)
{
	u32 old = drm_gem_state_read(obj);

	if (drm_gem_state_is_candidate(old, id))
		return false;

	list_del_init(drm_gem_list_node(obj, id));
	do {
		if (drm_gem_state_is_candidate(old, id)) {
			list_add_tail(drm_gem_list_node(obj, id), &list->list);
			return false;
		}
	} while (!drm_gem_state_try(obj, &old, old & ~drm_gem_list_flag(id)));

	list->nr--;
	return true;
}

/*
 * Fills @batch with the oldest candidates. The budget of the scan is how many
 * objects it may still look at: as many as there are when it begins, since all
 * that it looks at go to the end of the list. To evict costs I/O, so that is done
 * for as many pages as were asked for; to purge costs no more for some more.
 */
void drm_gem_shrinker_pick(struct drm_gem_shrinker *shrinker,
			   struct drm_gem_revoke_batch *batch,
			   struct drm_gem_scan *scan)
{
	struct drm_gem_list *list = &shrinker->lists[batch->from];
	unsigned long picked = scan->scanned;

	lockdep_assert_held(&shrinker->lock);

	drm_gem_list_drain(list);
	if (scan->first) {
		scan->budget = list->nr;
		scan->first = false;
	}

	for (; scan->budget && batch->nr < DRM_GEM_REVOKE_BATCH; scan->budget--) {
		struct drm_gem_object *obj;

		if (batch->from == DRM_GEM_LIST_EVICTABLE && batch->nr &&
		    picked >= scan->nr_to_scan)
			break;

		if (list_empty(&list->list)) {
			scan->budget = 0;
			break;
		}

		obj = drm_gem_list_object(list->list.next, batch->from);
		if (drm_gem_list_dequeue(list, obj, batch->from))
			continue;

		list_move_tail(drm_gem_list_node(obj, batch->from), &list->list);
		if (drm_gem_state_read(obj) & DRM_GEM_RECLAIM_REVOKING)
			continue;

		/* Being freed: drm_gem_reclaim_remove() waits for the mutex. */
		if (kref_get_unless_zero(&obj->refcount)) {
			batch->objs[batch->nr++] = obj;
			picked += obj->size >> PAGE_SHIFT;
		}
	}
}

/* Gives those that a scan did not get to, from @first on, their place back. */
void drm_gem_shrinker_unpick(struct drm_gem_shrinker *shrinker,
			     struct drm_gem_revoke_batch *batch,
			     unsigned int first)
{
	struct drm_gem_list *list = &shrinker->lists[batch->from];
	unsigned int i;

	lockdep_assert_held(&shrinker->lock);

	for (i = batch->nr; i-- > first; ) {
		struct list_head *node = drm_gem_list_node(batch->objs[i],
							   batch->from);

		if (!list_empty(node))
			list_move(node, &list->list);
	}
}

unsigned long drm_gem_shrinker_count(struct drm_gem_shrinker *shrinker,
				     enum drm_gem_class class)
{
	long pages = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		pages += READ_ONCE(per_cpu_ptr(shrinker->counts, cpu)->pages[class]);

	/* Sums taken while the counts change may be off for that moment. */
	return max(pages, 0L);
}

static void drm_gem_shrinker_release(struct drm_device *dev, void *data)
{
	struct drm_gem_shrinker *shrinker = data;

	/* Would be a use after free. */
	if (drm_WARN_ON(dev, shrinker->purge))
		drm_gem_shrinker_unregister(dev);

	drm_gem_shrinker_revoke_fini(shrinker);
	free_percpu(shrinker->counts);
}

/**
 * drm_gem_shrinker_register - opt a device in to the shrinker
 * @dev: DRM device
 * @ops: the device side of reclaim
 *
 * To be called before objects are created, once commands can be sent. Memory
 * goes with @dev; drm_gem_shrinker_unregister() has to be called before
 * anything that @ops uses goes away.
 *
 * Context: process context, may sleep.
 *
 * Returns: 0, or -ENOMEM.
 */
int drm_gem_shrinker_register(struct drm_device *dev,
			      const struct drm_gem_shrinker_ops *ops)
{
	struct drm_gem_shrinker *shrinker;
	unsigned int i;
	int ret;

	shrinker = drmm_kzalloc(dev, sizeof(*shrinker), GFP_KERNEL);
	if (!shrinker)
		return -ENOMEM;

	shrinker->counts = alloc_percpu(struct drm_gem_counts);
	if (!shrinker->counts)
		return -ENOMEM;

	shrinker->dev = dev;
	shrinker->ops = ops;
	mutex_init(&shrinker->lock);
	for (i = 0; i < DRM_GEM_LISTS; i++) {
		init_llist_head(&shrinker->lists[i].queue);
		INIT_LIST_HEAD(&shrinker->lists[i].list);
	}

	ret = drmm_add_action_or_reset(dev, drm_gem_shrinker_release, shrinker);
	if (ret)
		return ret;

	/* Teach lockdep that the list is looked at in reclaim. */
	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&shrinker->lock);
	mutex_unlock(&shrinker->lock);
	fs_reclaim_release(GFP_KERNEL);

	ret = drm_gem_shrinker_revoke_init(shrinker);
	if (ret)
		return ret;

	dev->gem_shrinker = shrinker;
	ret = drm_gem_shrinker_mm_init(shrinker);
	if (ret) {
		dev->gem_shrinker = NULL;
		return ret;
	}

	drm_gem_shrinker_debugfs_init(shrinker);

	return 0;
}
EXPORT_SYMBOL(drm_gem_shrinker_register);

/**
 * drm_gem_shrinker_get_stats - read all counters
 * @dev: DRM device that called drm_gem_shrinker_register()
 * @stats: where to
 *
 * Context: any.
 */
void drm_gem_shrinker_get_stats(struct drm_device *dev,
				struct drm_gem_shrinker_stats *stats)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;
	unsigned int i;

	stats->resident_pages =
		drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_RESIDENT);
	stats->purgeable_pages =
		drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_PURGEABLE);
	stats->exported_pages =
		drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_EXPORTED);
	stats->evictable_pages =
		drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_EVICTABLE) +
		drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_EVICTABLE_EXPORTED);
	stats->unevictable_pages =
		drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_UNEVICTABLE);
	stats->host_purgeable_pages =
		drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_HOST_PURGEABLE);
	stats->host_pages = drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_HOST);
	stats->purged_bos = atomic_long_read(&shrinker->purged_bos);
	stats->purged_pages = atomic_long_read(&shrinker->purged_pages);
	stats->host_purged_pages = atomic_long_read(&shrinker->host_purged_pages);
	stats->evicted_bos = atomic_long_read(&shrinker->evicted_bos);
	stats->evicted_pages = atomic_long_read(&shrinker->evicted_pages);
	stats->swapped_in_bos = atomic_long_read(&shrinker->swapped_in_bos);
	stats->swapped_in_pages = atomic_long_read(&shrinker->swapped_in_pages);
	stats->scans = atomic_long_read(&shrinker->scans);
	stats->waits = atomic_long_read(&shrinker->waits);
	stats->longest_wait_us = atomic64_read(&shrinker->longest_wait);
	stats->late = 0;
	for (i = 0; i < DRM_GEM_LISTS; i++)
		stats->late += atomic_read(&shrinker->late[i]);
	for (i = 0; i < DRM_GEM_REFUSALS; i++)
		stats->refused[i] = atomic_long_read(&shrinker->refused[i]);
}
EXPORT_SYMBOL(drm_gem_shrinker_get_stats);
