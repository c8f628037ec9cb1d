// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched/mm.h>

#include <drm/drm_device.h>
#include <drm/drm_print.h>

#include "drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_trace.h"

/**
 * DOC: Scanning
 *
 * A scan works through the list in batches of %DRM_GEM_REVOKE_BATCH objects,
 * since a batch costs the device one round trip and an object by itself costs the
 * same. One that purges does so however few pages it was asked for::
 *
 *	pick     the oldest candidates, each once per scan (mutex, no resv)
 *	pass 1   per object: trylock resv; idle? revoke, which commits and
 *	         sends; unlock
 *	flush    once; when it purges, the next batch is sent before this one
 *	         is waited for
 *	wait     once, for all answers, to a deadline, no lock held
 *	pass 2   per object: finish, which is: trylock resv; zap CPU mappings and
 *	         free the pages; unlock
 *
 * Busy objects are passed over: they become idle by themselves. So is an
 * object that a job used since it was given up, or since a scan looked, once.
 *
 * The driver may be out of reserves in the middle of a batch. The scan goes on
 * when an answer has freed some, and waits no longer for that in all than it
 * would for one answer.
 *
 * There are two shrinkers. The one that purges is asked for as much as the mm
 * can ask for, since what was given up costs nothing to bring back. The one that
 * evicts has nothing to offer while the other has, or when there is no swap
 * space; where filesystems may not be entered it does nothing. The pages are
 * then dirty and inactive ones of shmem. It writes them out if I/O is allowed,
 * when the batch is done with and free for others; else, or when the device took
 * too long, vmscan does so in its own time. Objects are not evicted in part.
 */

/* Returns the reason for which the object stays, or -1 when it was revoked. */
static int drm_gem_revoke_one(struct drm_gem_revoke_batch *batch,
			      struct drm_gem_object *obj,
			      struct drm_gem_scan *scan)
{
	struct drm_gem_shrinker *shrinker = batch->shrinker;
	int why = -1, ret;

	/* resv -> fs_reclaim is the common order, this is the other one. */
	if (!dma_resv_trylock(obj->resv))
		return DRM_GEM_REFUSED_LOCKED;

	if (!dma_resv_test_signaled(obj->resv, DMA_RESV_USAGE_BOOKKEEP)) {
		why = DRM_GEM_REFUSED_BUSY;
	} else if (READ_ONCE(obj->reclaim.used) && !scan->oom &&
		   scan->from != DRM_GEM_LIST_HOST) {
		WRITE_ONCE(obj->reclaim.used, false);
		why = DRM_GEM_REFUSED_USED;
	} else if (drm_gem_state_read(obj) & DRM_GEM_RECLAIM_EXPORTED &&
		   drm_gem_reclaim_is_exported(obj)) {
		why = DRM_GEM_REFUSED_EXPORTED;
	} else {
		ret = shrinker->ops->revoke(obj, batch);
		if (ret)
			why = DRM_GEM_REFUSED_DRIVER;
		if (ret == -EBUSY)
			scan->full = true;
	}

	dma_resv_unlock(obj->resv);

	return why;
}

/*
 * The first pass over the next batch. Returns the batch when the device owes
 * answers for it.
 */
static struct drm_gem_revoke_batch *
drm_gem_scan_send(struct drm_gem_shrinker *shrinker, struct drm_gem_scan *scan)
{
	struct drm_gem_revoke_batch *batch;
	unsigned int i, left;
	ktime_t begin;

	batch = drm_gem_batch_get(shrinker, scan->from);
	if (!batch) {
		scan->full = true;
		return NULL;
	}

	mutex_lock(&shrinker->lock);
	drm_gem_shrinker_pick(shrinker, batch, scan);
	mutex_unlock(&shrinker->lock);
	scan->done = !batch->nr;
	scan->looked_at += batch->nr;

	for (i = 0; i < batch->nr; i++) {
		int why;

		batch->cur = i;
		why = drm_gem_revoke_one(batch, batch->objs[i], scan);
		if (why < 0)
			scan->revoked++;
		else
			atomic_long_inc(&shrinker->refused[why]);
		if (scan->full)
			break;
		scan->scanned += batch->objs[i]->size >> PAGE_SHIFT;
	}

	/* The one that was refused for want of reserves is no further, either. */
	if (scan->full) {
		left = batch->nr - i;
		scan->looked_at -= left;
		scan->budget += left;
		mutex_lock(&shrinker->lock);
		drm_gem_shrinker_unpick(shrinker, batch, i);
		mutex_unlock(&shrinker->lock);
	}

	/* The device may take long, and those it was not asked for may be freed. */
	drm_gem_batch_drop(batch);
	if (!batch->revoked) {
		drm_gem_batch_free(batch);
		return NULL;
	}

	if (shrinker->ops->revoke_flush) {
		begin = ktime_get();
		shrinker->ops->revoke_flush(shrinker->dev, batch);
		drm_gem_note_wait(shrinker, begin);
	}

	return batch;
}

/* The wait for its answers, and the second pass. */
static void drm_gem_scan_finish(struct drm_gem_revoke_batch *batch,
				struct drm_gem_scan *scan)
{
	unsigned long begin;
	bool answered;

	if (!atomic_dec_and_test(&batch->pending)) {
		scan->waits++;
		begin = jiffies;
		answered = drm_gem_batch_wait(batch, scan->timeout);
		/* Little goes out at a time when reserves are short. */
		if (scan->oom || scan->full)
			scan->timeout -= min(scan->timeout, jiffies - begin);
		if (!answered) {
			/* Nor is another one waited for. */
			scan->timeout = 0;
			scan->late = true;
			return;
		}
	}

	/* With an answer the driver has its reserves back. */
	if (batch->revoked & ~batch->failed)
		scan->full = false;
	scan->freed += drm_gem_batch_finish(batch, scan->io, false);
}

/* It may take several scans to look at all. */
static void drm_gem_note_fruitless(struct drm_gem_shrinker *shrinker,
				   const struct drm_gem_scan *scan)
{
	unsigned long fruitless = READ_ONCE(shrinker->fruitless) + scan->looked_at;
	unsigned long nr = READ_ONCE(shrinker->lists[scan->from].nr);

	if (scan->freed)
		WRITE_ONCE(shrinker->fruitless, 0);
	else if (!scan->late && !scan->full)
		WRITE_ONCE(shrinker->fruitless, min(fruitless, nr));
}

/*
 * Does the device owe answers? It may take longer to let go of what is to live on,
 * or of what the host has: whoever only purges asks it all the same.
 */
static bool drm_gem_is_late(struct drm_gem_shrinker *shrinker,
			    enum drm_gem_list_id from)
{
	unsigned int i;

	if (atomic_read(&shrinker->late[DRM_GEM_LIST_GIVEN_UP]))
		return true;
	if (from == DRM_GEM_LIST_GIVEN_UP)
		return false;

	for (i = 0; i < DRM_GEM_LISTS; i++)
		if (atomic_read(&shrinker->late[i]))
			return true;

	return false;
}

/* One pass over a list, and so on until enough was looked at. */
void drm_gem_scan(struct drm_gem_shrinker *shrinker, struct drm_gem_scan *scan)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct drm_gem_revoke_batch *batch, *sent = NULL;

	scan->first = true;
	while (scan->scanned < scan->nr_to_scan && scan->timeout &&
	       !scan->full && !scan->done && !scan->late &&
	       !drm_gem_is_late(shrinker, scan->from)) {
		batch = drm_gem_scan_send(shrinker, scan);
		/* The device has this one to do while the one before is finished. */
		if (sent)
			drm_gem_scan_finish(sent, scan);
		sent = batch;

		/*
		 * What is evicted may be needed, and is not kept from its users
		 * while the one before is written out.
		 */
		if (sent && (scan->full || scan->oom ||
			     scan->from == DRM_GEM_LIST_EVICTABLE)) {
			drm_gem_scan_finish(sent, scan);
			sent = NULL;
		}
		if (scan->oom && scan->freed)
			break;
	}
	if (sent)
		drm_gem_scan_finish(sent, scan);

	if (scan->from == DRM_GEM_LIST_GIVEN_UP)
		drm_gem_note_fruitless(shrinker, scan);

	/* Only for those who make use of it. */
	if (scan->from == DRM_GEM_LIST_GIVEN_UP &&
	    (scan->oom || current->reclaim_state))
		scan->freed += atomic_long_xchg(&shrinker->freed_late, 0);

	atomic_long_inc(&shrinker->scans);
	atomic_long_add(scan->waits, &shrinker->waits);
	trace_drm_gem_scan(shrinker->dev, scan->from, scan->nr_to_scan,
			   scan->scanned, scan->freed, scan->revoked, scan->waits,
			   scan->oom);
	memalloc_noreclaim_restore(noreclaim);
}
