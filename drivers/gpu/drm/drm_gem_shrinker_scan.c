// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>

#include <drm/drm_device.h>
#include <drm/drm_print.h>

#include "drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_trace.h"

/**
 * DOC: Scanning
 *
 * A scan works through the list in batches of %DRM_GEM_REVOKE_BATCH objects,
 * however few pages it was asked for, since a batch costs the device one round
 * trip and an object by itself costs the same::
 *
 *	pick     the oldest candidates, each once per scan (mutex, no resv)
 *	pass 1   per object: trylock resv; idle? revoke, which commits and
 *	         sends; unlock
 *	flush    once
 *	wait     once, for all answers, to a deadline, no lock held
 *	pass 2   per object: finish, which is: trylock resv; zap CPU mappings and
 *	         free the pages; unlock
 *
 * Busy objects are passed over: they become idle by themselves. So is an
 * object that a job used since it was given up, once.
 */

struct drm_gem_scan {
	unsigned long nr_to_scan;
	unsigned long timeout;	/* jiffies: of each wait, or of all for OOM */
	bool oom;

	unsigned long scanned;	/* pages looked at */
	unsigned long freed;	/* pages */
	unsigned long budget;	/* objects still to look at */
	bool first;
	bool stop;		/* the driver is out of reserves */
	unsigned int revoked;
	unsigned int waits;
};

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
	} else if (READ_ONCE(obj->reclaim.last_used) && !scan->oom) {
		WRITE_ONCE(obj->reclaim.last_used, 0);
		why = DRM_GEM_REFUSED_USED;
	} else if (drm_gem_state_read(obj) & DRM_GEM_RECLAIM_EXPORTED &&
		   drm_gem_reclaim_is_exported(obj)) {
		why = DRM_GEM_REFUSED_EXPORTED;
	} else {
		ret = shrinker->ops->revoke(obj, batch);
		if (ret)
			why = DRM_GEM_REFUSED_DRIVER;
		if (ret == -EBUSY)
			scan->stop = true;
	}

	dma_resv_unlock(obj->resv);

	return why;
}

static bool drm_gem_lock_list(struct drm_gem_shrinker *shrinker, bool oom)
{
	/* Whoever holds it may be waiting for the memory that is missing. */
	if (oom)
		return mutex_trylock(&shrinker->lock);

	mutex_lock(&shrinker->lock);
	return true;
}

/* Both passes over one batch, which is gone afterwards. */
static void drm_gem_batch_run(struct drm_gem_revoke_batch *batch,
			      struct drm_gem_scan *scan)
{
	struct drm_gem_shrinker *shrinker = batch->shrinker;
	unsigned long begin;
	unsigned int i;

	for (i = 0; i < batch->nr && !scan->stop; i++) {
		int why;

		batch->cur = i;
		why = drm_gem_revoke_one(batch, batch->objs[i], scan);
		if (why < 0)
			scan->revoked++;
		else
			atomic_long_inc(&shrinker->refused[why]);
		scan->scanned += batch->objs[i]->size >> PAGE_SHIFT;
	}

	/* The one that was refused for want of reserves is no further, either. */
	if (scan->stop && drm_gem_lock_list(shrinker, scan->oom)) {
		drm_gem_shrinker_unpick(shrinker, batch, i - 1);
		mutex_unlock(&shrinker->lock);
	}

	if (!batch->revoked) {
		drm_gem_batch_put(batch);
		return;
	}

	if (shrinker->ops->revoke_flush)
		shrinker->ops->revoke_flush(shrinker->dev, batch);

	if (!atomic_dec_and_test(&batch->pending)) {
		scan->waits++;
		begin = jiffies;
		if (!drm_gem_batch_wait(batch, scan->timeout)) {
			scan->stop = true;
			return;
		}
		if (scan->oom)
			scan->timeout -= min(scan->timeout, jiffies - begin);
	}

	scan->freed += drm_gem_batch_finish(batch);
}

static void drm_gem_scan(struct drm_gem_shrinker *shrinker,
			 struct drm_gem_scan *scan)
{
	unsigned int noreclaim = memalloc_noreclaim_save();

	scan->first = true;
	do {
		struct drm_gem_revoke_batch *batch;

		if (atomic_read(&shrinker->late))
			break;

		batch = drm_gem_batch_get(shrinker);
		if (!batch)
			break;

		batch->action = DRM_GEM_REVOKE_PURGE;
		if (drm_gem_lock_list(shrinker, scan->oom)) {
			drm_gem_shrinker_pick(shrinker, batch, &scan->budget,
					      &scan->first);
			mutex_unlock(&shrinker->lock);
		}
		if (!batch->nr) {
			drm_gem_batch_free(batch);
			break;
		}

		drm_gem_batch_run(batch, scan);
		if (scan->oom && scan->freed)
			break;
	} while (scan->scanned < scan->nr_to_scan && !scan->stop);

	/* Only for those who make use of it. */
	if (scan->oom || current->reclaim_state)
		scan->freed += atomic_long_xchg(&shrinker->freed_late, 0);

	atomic_long_inc(&shrinker->scans);
	atomic_long_add(scan->waits, &shrinker->waits);
	trace_drm_gem_scan(shrinker->dev, scan->nr_to_scan, scan->scanned,
			   scan->freed, scan->revoked, scan->waits, scan->oom);
	memalloc_noreclaim_restore(noreclaim);
}

static unsigned long drm_gem_purge_count(struct shrinker *shrink,
					 struct shrink_control *sc)
{
	struct drm_gem_shrinker *shrinker = shrink->private_data;

	/* What the finisher freed has to be fetched, too. */
	return drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_PURGEABLE) +
	       drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_EXPORTED) +
	       atomic_long_read(&shrinker->freed_late) ?: SHRINK_EMPTY;
}

static unsigned long drm_gem_purge_scan(struct shrinker *shrink,
					struct shrink_control *sc)
{
	struct drm_gem_scan scan = {
		.nr_to_scan = sc->nr_to_scan,
		.timeout = msecs_to_jiffies(DRM_GEM_REVOKE_DEADLINE_MS),
	};

	drm_gem_scan(shrink->private_data, &scan);

	/* vmscan ignores what is returned when it looks for progress. */
	mm_account_reclaimed_pages(scan.freed);

	if (!scan.scanned && !scan.freed)
		return SHRINK_STOP;

	sc->nr_scanned = max(scan.scanned, sc->nr_to_scan);

	return scan.freed;
}

/**
 * drm_gem_shrinker_purge - purge as if memory were short
 * @dev: DRM device that called drm_gem_shrinker_register()
 * @nr_pages: how many pages to look at; whole batches are
 *
 * For debugfs and tests: the shrinker's own path.
 *
 * Context: process context, may sleep; no resv held.
 *
 * Returns: the number of pages freed.
 */
unsigned long drm_gem_shrinker_purge(struct drm_device *dev,
				     unsigned long nr_pages)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nr_to_scan = nr_pages,
	};
	struct shrinker *purge;
	unsigned long freed;

	/* As vmscan does, so that drm_gem_shrinker_unregister() waits. */
	rcu_read_lock();
	purge = shrinker ? READ_ONCE(shrinker->purge) : NULL;
	if (purge && !shrinker_try_get(purge))
		purge = NULL;
	rcu_read_unlock();
	if (!purge)
		return 0;

	fs_reclaim_acquire(GFP_KERNEL);
	freed = purge->scan_objects(purge, &sc);
	fs_reclaim_release(GFP_KERNEL);
	shrinker_put(purge);

	return freed == SHRINK_STOP ? 0 : freed;
}
EXPORT_SYMBOL(drm_gem_shrinker_purge);

/**
 * drm_gem_shrinker_oom - free what is idle before a victim is chosen
 * @dev: DRM device that called drm_gem_shrinker_register()
 *
 * The body of the OOM notifier. Waits no longer than %DRM_GEM_OOM_DEADLINE_MS,
 * also when the device owes answers.
 *
 * Context: process context, may sleep.
 *
 * Returns: the number of pages freed, by this call, the finisher or other scans.
 */
unsigned long drm_gem_shrinker_oom(struct drm_device *dev)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;
	unsigned long before = atomic_long_read(&shrinker->purged_pages);
	struct drm_gem_scan scan = {
		.nr_to_scan = ULONG_MAX,
		.timeout = msecs_to_jiffies(DRM_GEM_OOM_DEADLINE_MS),
		.oom = true,
	};

	/* Memory under way comes sooner than memory yet to be asked for. */
	if (READ_ONCE(shrinker->busy))
		scan.timeout = wait_event_timeout(shrinker->wait,
						  atomic_long_read(&shrinker->freed_late) ||
						  !READ_ONCE(shrinker->busy),
						  scan.timeout);

	drm_gem_scan(shrinker, &scan);

	/* What other scans freed in the meantime is as good. */
	return max_t(unsigned long, scan.freed,
		     atomic_long_read(&shrinker->purged_pages) - before);
}
EXPORT_SYMBOL(drm_gem_shrinker_oom);

static int drm_gem_oom_notify(struct notifier_block *nb, unsigned long unused,
			      void *data)
{
	struct drm_gem_shrinker *shrinker =
		container_of(nb, struct drm_gem_shrinker, oom);
	unsigned long *freed = data;

	*freed += drm_gem_shrinker_oom(shrinker->dev);

	return NOTIFY_OK;
}

/**
 * drm_gem_shrinker_unregister - stop reclaim on a device
 * @dev: DRM device that may have called drm_gem_shrinker_register()
 *
 * Waits for running scans. When it returns &drm_gem_shrinker_ops.revoke is not
 * called any more. The driver then resets the device, gives the answers that
 * are outstanding, and calls drm_gem_shrinker_drain().
 *
 * Context: process context, may sleep; no resv held.
 */
void drm_gem_shrinker_unregister(struct drm_device *dev)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;

	if (!shrinker || !shrinker->purge)
		return;

	unregister_oom_notifier(&shrinker->oom);
	shrinker_free(xchg(&shrinker->purge, NULL));
}
EXPORT_SYMBOL(drm_gem_shrinker_unregister);

int drm_gem_shrinker_scan_init(struct drm_gem_shrinker *shrinker)
{
	const char *name = dev_name(shrinker->dev->dev);

	shrinker->purge = shrinker_alloc(0, "drm-gem-purge:%s", name);
	if (!shrinker->purge)
		return -ENOMEM;

	shrinker->purge->count_objects = drm_gem_purge_count;
	shrinker->purge->scan_objects = drm_gem_purge_scan;
	shrinker->purge->private_data = shrinker;
	/* What was given up costs nothing to bring back. */
	shrinker->purge->seeks = 0;
	/* The default of 128 pages would leave small caches alone. */
	shrinker->purge->batch = 1;
	shrinker_register(shrinker->purge);

	shrinker->oom.notifier_call = drm_gem_oom_notify;
	register_oom_notifier(&shrinker->oom);

	return 0;
}
