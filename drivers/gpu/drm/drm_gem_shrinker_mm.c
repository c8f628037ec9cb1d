// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * What starts scans: vmscan, the OOM killer, and those who ask for it.
 */

#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/swap.h>

#include <kunit/static_stub.h>

#include <drm/drm_device.h>
#include <drm/drm_util.h>

#include "drm_gem_shrinker_internal.h"

/* Has all been looked at that was given up, with nothing to be had? */
static bool drm_gem_is_fruitless(struct drm_gem_shrinker *shrinker)
{
	struct drm_gem_list *list = &shrinker->lists[DRM_GEM_LIST_GIVEN_UP];

	return llist_empty(&list->queue) &&
	       READ_ONCE(shrinker->fruitless) >= READ_ONCE(list->nr);
}

static unsigned long drm_gem_given_up(struct drm_gem_shrinker *shrinker)
{
	return drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_PURGEABLE) +
	       drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_PURGEABLE_EVICTED) +
	       drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_EXPORTED);
}

static unsigned long drm_gem_purge_count(struct shrinker *shrink,
					 struct shrink_control *sc)
{
	struct drm_gem_shrinker *shrinker = shrink->private_data;

	/* What the finisher freed has to be fetched, too. */
	return drm_gem_given_up(shrinker) +
	       atomic_long_read(&shrinker->freed_late) ?: SHRINK_EMPTY;
}

static unsigned long drm_gem_purge(struct shrinker *shrink,
				   struct shrink_control *sc)
{
	struct drm_gem_scan scan = {
		.nr_to_scan = sc->nr_to_scan,
		.io = (sc->gfp_mask & (__GFP_FS | __GFP_IO)) ==
		      (__GFP_FS | __GFP_IO),
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

/*
 * vmscan wants half of what it was told of, but asks for a page at a time. Given
 * all of that to do at once, a scan keeps the device busy while it frees pages.
 */
static unsigned long drm_gem_purge_scan(struct shrinker *shrink,
					struct shrink_control *sc)
{
	sc->nr_to_scan = max(sc->nr_to_scan,
			     drm_gem_given_up(shrink->private_data) / 2);

	return drm_gem_purge(shrink, sc);
}

/* Unit tests, which run where there is none, put another in its place. */
bool drm_gem_shrinker_has_swap(void)
{
	KUNIT_STATIC_STUB_REDIRECT(drm_gem_shrinker_has_swap);

	return get_nr_swap_pages() > 0;
}
EXPORT_SYMBOL_FOR_TESTS_ONLY(drm_gem_shrinker_has_swap);

static bool drm_gem_may_evict(struct drm_gem_shrinker *shrinker, gfp_t gfp)
{
	if (!(gfp & __GFP_FS) || !drm_gem_shrinker_has_swap())
		return false;

	/* What is given up goes first, unless it is to be had by no means. */
	return drm_gem_is_fruitless(shrinker) ||
	       !drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_PURGEABLE);
}

static unsigned long drm_gem_evict_count(struct shrinker *shrink,
					 struct shrink_control *sc)
{
	struct drm_gem_shrinker *shrinker = shrink->private_data;

	if (!drm_gem_may_evict(shrinker, sc->gfp_mask))
		return 0;

	return drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_EVICTABLE) +
	       drm_gem_shrinker_count(shrinker, DRM_GEM_CLASS_EVICTABLE_EXPORTED) ?:
	       SHRINK_EMPTY;
}

static unsigned long drm_gem_evict_scan(struct shrinker *shrink,
					struct shrink_control *sc)
{
	struct drm_gem_scan scan = {
		.from = DRM_GEM_LIST_EVICTABLE,
		.nr_to_scan = sc->nr_to_scan,
		.io = sc->gfp_mask & __GFP_IO,
		.timeout = msecs_to_jiffies(DRM_GEM_REVOKE_DEADLINE_MS),
	};

	if (!drm_gem_may_evict(shrink->private_data, sc->gfp_mask))
		return SHRINK_STOP;

	drm_gem_scan(shrink->private_data, &scan);
	mm_account_reclaimed_pages(scan.freed);
	if (!scan.scanned)
		return SHRINK_STOP;

	sc->nr_scanned = max(scan.scanned, sc->nr_to_scan);

	return scan.freed;
}

/* As vmscan does, so that drm_gem_shrinker_unregister() waits. */
static struct shrinker *drm_gem_shrinker_get(struct shrinker **where)
{
	struct shrinker *shrink;

	rcu_read_lock();
	shrink = READ_ONCE(*where);
	if (shrink && !shrinker_try_get(shrink))
		shrink = NULL;
	rcu_read_unlock();

	return shrink;
}

/* The path that memory pressure takes, for debugfs and tests, but no further. */
static unsigned long drm_gem_shrinker_run(struct drm_device *dev, bool evict,
					  unsigned long nr_pages)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nr_to_scan = nr_pages,
	};
	struct shrinker *shrink;
	unsigned long freed;

	if (!shrinker)
		return 0;
	shrink = drm_gem_shrinker_get(evict ? &shrinker->evict : &shrinker->purge);
	if (!shrink)
		return 0;

	fs_reclaim_acquire(GFP_KERNEL);
	freed = evict ? drm_gem_evict_scan(shrink, &sc) :
			drm_gem_purge(shrink, &sc);
	fs_reclaim_release(GFP_KERNEL);
	shrinker_put(shrink);

	return freed == SHRINK_STOP ? 0 : freed;
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
	return drm_gem_shrinker_run(dev, false, nr_pages);
}
EXPORT_SYMBOL(drm_gem_shrinker_purge);

/**
 * drm_gem_shrinker_evict - evict as if memory were short
 * @dev: DRM device that called drm_gem_shrinker_register()
 * @nr_pages: how many pages to look at, in whole objects
 *
 * For debugfs and tests: the shrinker's own path, with its conditions.
 *
 * Context: process context, may sleep; no resv held.
 */
void drm_gem_shrinker_evict(struct drm_device *dev, unsigned long nr_pages)
{
	drm_gem_shrinker_run(dev, true, nr_pages);
}
EXPORT_SYMBOL(drm_gem_shrinker_evict);

/**
 * drm_gem_shrinker_purge_host - purge what costs the host memory, not the guest
 * @dev: DRM device that called drm_gem_shrinker_register()
 * @nr_pages: how many pages to look at; whole batches are
 *
 * Nothing in the guest knows when the host is short of memory, so this is on
 * request only. Objects used since they were given up get no second chance.
 *
 * Context: process context, may sleep; no resv held.
 */
void drm_gem_shrinker_purge_host(struct drm_device *dev, unsigned long nr_pages)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;
	struct drm_gem_scan scan = {
		.from = DRM_GEM_LIST_HOST,
		.nr_to_scan = nr_pages,
		.timeout = msecs_to_jiffies(DRM_GEM_REVOKE_DEADLINE_MS),
	};
	struct shrinker *purge;

	if (!shrinker)
		return;
	purge = drm_gem_shrinker_get(&shrinker->purge);
	if (!purge)
		return;

	drm_gem_scan(shrinker, &scan);
	shrinker_put(purge);
}
EXPORT_SYMBOL(drm_gem_shrinker_purge_host);

/* Waits for others to free something; returns what is left of @timeout. */
static unsigned long drm_gem_oom_wait(struct drm_gem_shrinker *shrinker,
				      unsigned long before,
				      unsigned long timeout)
{
	ktime_t begin = ktime_get();

	timeout = wait_event_timeout(shrinker->wait,
				     atomic_long_read(&shrinker->freed_late) ||
				     atomic_long_read(&shrinker->purged_pages) != before ||
				     !READ_ONCE(shrinker->busy), timeout);
	drm_gem_note_wait(shrinker, begin);

	return timeout;
}

/*
 * Scans until something was freed, or all that can be had was looked at. Where
 * clients keep the device full there is no answer of ours to wait for. Returns the
 * number of pages freed; @timeout is what is left of it.
 */
static unsigned long drm_gem_oom_scan(struct drm_gem_shrinker *shrinker,
				      unsigned long before,
				      unsigned long *timeout)
{
	ktime_t begin = ktime_get();

	for (;;) {
		struct drm_gem_scan scan = {
			.nr_to_scan = ULONG_MAX,
			.timeout = *timeout,
			.oom = true,
		};
		unsigned long slept;

		drm_gem_scan(shrinker, &scan);
		*timeout = scan.timeout;
		if (scan.freed || !scan.full || *timeout <= 1 ||
		    atomic_long_read(&shrinker->purged_pages) != before)
			return scan.freed;

		slept = jiffies;
		schedule_timeout_uninterruptible(1);
		slept = jiffies - slept;
		/* The last look comes when the time is over. */
		*timeout -= min(*timeout - 1, slept);
		drm_gem_note_wait(shrinker, begin);
	}
}

/**
 * drm_gem_shrinker_oom - free what is idle before a victim is chosen
 * @dev: DRM device that called drm_gem_shrinker_register()
 *
 * The body of the OOM notifier. Waits no longer than %DRM_GEM_OOM_DEADLINE_MS,
 * also when the device owes answers or has no room for more to do.
 *
 * Context: process context, may sleep.
 *
 * Returns: the number of pages freed, by this call, the finisher or other scans.
 */
unsigned long drm_gem_shrinker_oom(struct drm_device *dev)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;
	unsigned long before = atomic_long_read(&shrinker->purged_pages);
	unsigned long timeout = msecs_to_jiffies(DRM_GEM_OOM_DEADLINE_MS) / 2;
	unsigned long freed;

	/* Memory under way comes sooner than memory yet to be asked for. */
	timeout += drm_gem_oom_wait(shrinker, before, timeout);

	freed = drm_gem_oom_scan(shrinker, before, &timeout);

	/* What was evicted is freed by the finisher. */
	if (!freed) {
		drm_gem_oom_wait(shrinker, before, timeout);
		freed = atomic_long_xchg(&shrinker->freed_late, 0);
	}

	/* What other scans freed in the meantime is as good. */
	return max_t(unsigned long, freed,
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
	shrinker_free(xchg(&shrinker->evict, NULL));
	shrinker_free(xchg(&shrinker->purge, NULL));
}
EXPORT_SYMBOL(drm_gem_shrinker_unregister);

int drm_gem_shrinker_mm_init(struct drm_gem_shrinker *shrinker)
{
	const char *name = dev_name(shrinker->dev->dev);

	shrinker->purge = shrinker_alloc(0, "drm-gem-purge:%s", name);
	shrinker->evict = shrinker_alloc(0, "drm-gem-evict:%s", name);
	if (!shrinker->purge || !shrinker->evict) {
		shrinker_free(shrinker->purge);
		shrinker_free(shrinker->evict);
		shrinker->purge = NULL;
		shrinker->evict = NULL;
		return -ENOMEM;
	}

	shrinker->purge->count_objects = drm_gem_purge_count;
	shrinker->purge->scan_objects = drm_gem_purge_scan;
	shrinker->purge->private_data = shrinker;
	/* What was given up costs nothing to bring back. */
	shrinker->purge->seeks = 0;
	/* The default of 128 pages would leave small caches alone. */
	shrinker->purge->batch = 1;
	shrinker_register(shrinker->purge);

	/* Comes after the other, which may find that all was purged. */
	shrinker->evict->count_objects = drm_gem_evict_count;
	shrinker->evict->scan_objects = drm_gem_evict_scan;
	shrinker->evict->private_data = shrinker;
	/* 2 MiB: less makes too little of the wait for the device. */
	shrinker->evict->batch = SZ_2M >> PAGE_SHIFT;
	shrinker_register(shrinker->evict);

	shrinker->oom.notifier_call = drm_gem_oom_notify;
	register_oom_notifier(&shrinker->oom);

	return 0;
}
