// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/jiffies.h>

#include <drm/drm_device.h>
#include <drm/drm_print.h>

#include "drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_trace.h"

/**
 * DOC: States
 *
 * All that the shrinker has to know of an object is in one atomic word,
 * &drm_gem_reclaim.state: the advice, the flags, and the number of handles.
 * Every change is a cmpxchg of the whole word, but the last, of an object that
 * nobody else has. Its winner adds the difference to the per-CPU page counts, so
 * that these are always the sum over all words, and queues the object for the
 * scanner when it has become one to look at.
 *
 * An object leaves DONTNEED for PURGED in drm_gem_revoke_commit(), by a
 * cmpxchg that fails when user space said WILLNEED first. Whoever wins decides
 * what "retained" will say; there is no third outcome, also when the device
 * takes its time or fails: the pages of a PURGED object stay until the device
 * has let go, but nobody gets to see them again.
 *
 * Objects that are pinned, shared between several handles, or whose dma-buf
 * has users, take the advice and keep their contents while that lasts. To evict
 * one that is shared does no harm, since nothing is lost.
 *
 * An evicted object keeps its advice, and has EVICTED for RESIDENT until whoever
 * next needs the pages brings them back. A job that comes between revoke and
 * finish sets WANTED: the pages stay, and the driver tells the device of them
 * again.
 */

bool drm_gem_state_excluded(u32 state)
{
	return state & (DRM_GEM_RECLAIM_PINNED | DRM_GEM_RECLAIM_NEVER);
}

/* What one owner gives up the other may need. */
static bool drm_gem_state_given_up(u32 state)
{
	switch (drm_gem_state_madv(state)) {
	case DRM_GEM_MADV_DONTNEED:
		return (state & DRM_GEM_RECLAIM_HANDLES_MASK) <=
		       DRM_GEM_RECLAIM_HANDLES;
	case DRM_GEM_MADV_PURGED:
		return true;
	default:
		return false;
	}
}

/*
 * Has a scan of that list to look at it? Exported objects count: nobody tells
 * when the last user of a dma-buf goes, so the scan has to see for itself.
 */
bool drm_gem_state_is_candidate(u32 state, enum drm_gem_list_id from)
{
	bool given_up = drm_gem_state_given_up(state);
	bool host = state & DRM_GEM_RECLAIM_HOST;

	if (drm_gem_state_excluded(state))
		return false;

	switch (from) {
	case DRM_GEM_LIST_GIVEN_UP:
		/* The contents of an evicted object still cost swap. */
		return given_up && !host &&
		       state & (DRM_GEM_RECLAIM_RESIDENT | DRM_GEM_RECLAIM_EVICTED);
	case DRM_GEM_LIST_EVICTABLE:
		return !given_up && !host && state & DRM_GEM_RECLAIM_RESIDENT &&
		       !(state & DRM_GEM_RECLAIM_NOEVICT);
	case DRM_GEM_LIST_HOST:
		return given_up && host && state & DRM_GEM_RECLAIM_RESIDENT;
	default:
		return false;
	}
}

static enum drm_gem_class drm_gem_state_total(u32 state)
{
	return state & DRM_GEM_RECLAIM_HOST ? DRM_GEM_CLASS_HOST :
					      DRM_GEM_CLASS_RESIDENT;
}

/* The class beside the total, which stands for none here. */
static enum drm_gem_class drm_gem_state_class(u32 state)
{
	bool exported = state & DRM_GEM_RECLAIM_EXPORTED;

	if (state & DRM_GEM_RECLAIM_REVOKING || drm_gem_state_excluded(state))
		return drm_gem_state_total(state);

	if (!(state & DRM_GEM_RECLAIM_RESIDENT))
		return drm_gem_state_is_candidate(state, DRM_GEM_LIST_GIVEN_UP) ?
		       DRM_GEM_CLASS_PURGEABLE_EVICTED : drm_gem_state_total(state);

	if (drm_gem_state_given_up(state)) {
		if (state & DRM_GEM_RECLAIM_HOST)
			return DRM_GEM_CLASS_HOST_PURGEABLE;
		return exported ? DRM_GEM_CLASS_EXPORTED :
				  DRM_GEM_CLASS_PURGEABLE;
	}

	if (state & DRM_GEM_RECLAIM_HOST)
		return DRM_GEM_CLASS_HOST;
	if (state & DRM_GEM_RECLAIM_NOEVICT)
		return DRM_GEM_CLASS_UNEVICTABLE;
	return exported ? DRM_GEM_CLASS_EVICTABLE_EXPORTED :
			  DRM_GEM_CLASS_EVICTABLE;
}

static void drm_gem_state_move(struct drm_gem_shrinker *shrinker, long pages,
			       enum drm_gem_class from, enum drm_gem_class to)
{
	struct drm_gem_counts __percpu *counts = shrinker->counts;

	this_cpu_sub(counts->pages[from], pages);
	this_cpu_add(counts->pages[to], pages);
}

/* Hands an object to the scanner that it was not handed to by @old. */
static noinline void drm_gem_state_enqueue(struct drm_gem_object *obj, u32 old,
					   u32 new)
{
	struct drm_gem_shrinker *shrinker = obj->dev->gem_shrinker;
	enum drm_gem_list_id id = new & DRM_GEM_RECLAIM_HOST ?
				  DRM_GEM_LIST_HOST : DRM_GEM_LIST_GIVEN_UP;

	if (new & ~old & DRM_GEM_RECLAIM_QUEUED)
		llist_add(&obj->reclaim.given_up.queue,
			  &shrinker->lists[id].queue);
	if (new & ~old & DRM_GEM_RECLAIM_LISTED)
		llist_add(&obj->reclaim.evictable.queue,
			  &shrinker->lists[DRM_GEM_LIST_EVICTABLE].queue);
}

static void drm_gem_state_account(struct drm_gem_shrinker *shrinker,
				  long pages, u32 old, u32 new)
{
	struct drm_gem_counts __percpu *counts = shrinker->counts;
	enum drm_gem_class from = drm_gem_state_class(old);
	enum drm_gem_class to = drm_gem_state_class(new);

	if (from != to) {
		if (from != drm_gem_state_total(old))
			this_cpu_sub(counts->pages[from], pages);
		if (to != drm_gem_state_total(new))
			this_cpu_add(counts->pages[to], pages);
	}

	if ((old ^ new) & DRM_GEM_RECLAIM_RESIDENT) {
		if (new & DRM_GEM_RECLAIM_RESIDENT)
			this_cpu_add(counts->pages[drm_gem_state_total(new)], pages);
		else
			this_cpu_sub(counts->pages[drm_gem_state_total(old)], pages);
	}
}

/*
 * The writer of the word, but for shortcuts below. Tries to replace *@old by
 * @new, as adjusted here; on failure *@old holds what is there now.
 *
 * A scan that clears QUEUED or LISTED holds no reference, and the object may be
 * freed as soon as that is visible: all that is needed later is read before.
 * Setting them is only done by those who do hold one.
 */
bool drm_gem_state_try(struct drm_gem_object *obj, u32 *old, u32 new)
{
	struct drm_gem_shrinker *shrinker = obj->dev->gem_shrinker;
	long pages = obj->size >> PAGE_SHIFT;
	enum drm_gem_list_id id = new & DRM_GEM_RECLAIM_HOST ?
				  DRM_GEM_LIST_HOST : DRM_GEM_LIST_GIVEN_UP;

	if (drm_gem_state_is_candidate(new, id))
		new |= DRM_GEM_RECLAIM_QUEUED;
	else if (drm_gem_state_is_candidate(new, DRM_GEM_LIST_EVICTABLE))
		new |= DRM_GEM_RECLAIM_LISTED;

	if (!atomic_try_cmpxchg(&obj->reclaim.state, (int *)old, new))
		return false;

	if ((*old | new) & (DRM_GEM_RECLAIM_RESIDENT | DRM_GEM_RECLAIM_EVICTED))
		drm_gem_state_account(shrinker, pages, *old, new);

	if (new & ~*old & (DRM_GEM_RECLAIM_QUEUED | DRM_GEM_RECLAIM_LISTED))
		drm_gem_state_enqueue(obj, *old, new);

	return true;
}

u32 drm_gem_state_read(const struct drm_gem_object *obj)
{
	return atomic_read(&obj->reclaim.state);
}

/* How many handles there are matters only to what was given up. */
static bool drm_gem_state_try_handles(struct drm_gem_object *obj, u32 *old,
				      u32 new)
{
	if ((*old | new) & DRM_GEM_RECLAIM_MADV)
		return drm_gem_state_try(obj, old, new);

	return atomic_try_cmpxchg(&obj->reclaim.state, (int *)old, new);
}

void drm_gem_state_change(struct drm_gem_object *obj, u32 clear, u32 set)
{
	u32 old = drm_gem_state_read(obj);

	while (!drm_gem_state_try(obj, &old, (old & ~clear) | set))
		;
}

/**
 * drm_gem_reclaim_init - initialize the shrinker's part of a GEM object
 * @obj: GEM object
 *
 * Called by drm_gem_private_object_init().
 *
 * Context: any.
 */
void drm_gem_reclaim_init(struct drm_gem_object *obj)
{
	struct drm_gem_reclaim *reclaim = &obj->reclaim;

	atomic_set(&reclaim->state, 0);
	atomic_set(&reclaim->dma_buf_cached, 0);
	reclaim->used = false;
	reclaim->adviser = NULL;
	INIT_LIST_HEAD(&reclaim->given_up.node);
	INIT_LIST_HEAD(&reclaim->evictable.node);
}

/**
 * drm_gem_reclaim_add - make an object known to the shrinker
 * @obj: GEM object of a device that called drm_gem_shrinker_register()
 *
 * To be called when the object has its pages and the command that gives them
 * to the device is on its way, in the same section under resv.
 *
 * Context: holds the resv of @obj.
 */
void drm_gem_reclaim_add(struct drm_gem_object *obj)
{
	dma_resv_assert_held(obj->resv);

	if (drm_WARN_ON_ONCE(obj->dev, !obj->dev->gem_shrinker))
		return;

	drm_gem_state_change(obj, 0, DRM_GEM_RECLAIM_RESIDENT |
			     (obj->funcs->evict ? 0 : DRM_GEM_RECLAIM_NOEVICT));
}
EXPORT_SYMBOL(drm_gem_reclaim_add);

/**
 * drm_gem_reclaim_remove - make the shrinker forget an object
 * @obj: GEM object whose last reference is gone
 *
 * The first thing that &drm_gem_object_funcs.free has to do, before pages or
 * commands are touched. Does nothing for objects never added.
 *
 * Context: process context, may sleep; may be called with resv locks held.
 */
void drm_gem_reclaim_remove(struct drm_gem_object *obj)
{
	struct drm_gem_shrinker *shrinker = obj->dev->gem_shrinker;
	const u32 counted = DRM_GEM_RECLAIM_RESIDENT | DRM_GEM_RECLAIM_EVICTED;
	u32 state = drm_gem_state_read(obj), last;

	if (!shrinker)
		return;

	/* A scan that unlinks an object clears the flag after it has done so. */
	if (state & (DRM_GEM_RECLAIM_QUEUED | DRM_GEM_RECLAIM_LISTED)) {
		drm_gem_shrinker_unlink(shrinker, obj);
		state = drm_gem_state_read(obj);
	}

	/* Nobody else has it any more. NEVER keeps it from being queued again. */
	last = (state & ~counted) | DRM_GEM_RECLAIM_NEVER;
	atomic_set(&obj->reclaim.state, last);
	if (state & counted)
		drm_gem_state_account(shrinker, obj->size >> PAGE_SHIFT, state, last);
}
EXPORT_SYMBOL(drm_gem_reclaim_remove);

/**
 * drm_gem_reclaim_exclude - keep an object from being reclaimed
 * @obj: GEM object
 * @why: %DRM_GEM_RECLAIM_PINNED, %DRM_GEM_RECLAIM_NEVER or
 *	 %DRM_GEM_RECLAIM_NOEVICT; or, before the object is added,
 *	 %DRM_GEM_RECLAIM_HOST
 *
 * An object whose revoke is under way is not called back: who pins takes the
 * resv and checks drm_gem_is_purged() after this.
 *
 * Context: holds the resv of @obj.
 */
void drm_gem_reclaim_exclude(struct drm_gem_object *obj, u32 why)
{
	dma_resv_assert_held(obj->resv);

	if (obj->dev->gem_shrinker)
		drm_gem_state_change(obj, 0, why);
}
EXPORT_SYMBOL(drm_gem_reclaim_exclude);

/**
 * drm_gem_reclaim_include - end what drm_gem_reclaim_exclude() began
 * @obj: GEM object
 * @why: the same flag
 *
 * Context: holds the resv of @obj.
 */
void drm_gem_reclaim_include(struct drm_gem_object *obj, u32 why)
{
	dma_resv_assert_held(obj->resv);

	if (obj->dev->gem_shrinker)
		drm_gem_state_change(obj, why, 0);
}
EXPORT_SYMBOL(drm_gem_reclaim_include);

/**
 * drm_gem_reclaim_open - count a handle
 * @obj: GEM object
 *
 * To be called from &drm_gem_object_funcs.open. An object with more than one
 * handle is not purged: what one owner gives up the other may need. The
 * count saturates at 2^16 - 1, the object is then shared for good.
 *
 * Context: any.
 */
void drm_gem_reclaim_open(struct drm_gem_object *obj)
{
	u32 old = drm_gem_state_read(obj);

	do {
		if ((old & DRM_GEM_RECLAIM_HANDLES_MASK) ==
		    DRM_GEM_RECLAIM_HANDLES_MASK)
			return;
	} while (!drm_gem_state_try_handles(obj, &old, old + DRM_GEM_RECLAIM_HANDLES));
}
EXPORT_SYMBOL(drm_gem_reclaim_open);

/**
 * drm_gem_reclaim_close - count a handle less
 * @obj: GEM object
 * @file: the file whose handle it is
 *
 * To be called from &drm_gem_object_funcs.close. The advice of a file goes with
 * its handle: those who are left have not given the contents up. If another one
 * has, its advice stays.
 *
 * Context: any.
 */
void drm_gem_reclaim_close(struct drm_gem_object *obj,
			   const struct drm_file *file)
{
	u32 old = drm_gem_state_read(obj);
	u32 new;

	do {
		new = old;
		if (drm_gem_state_madv(old) == DRM_GEM_MADV_DONTNEED &&
		    READ_ONCE(obj->reclaim.adviser) == file)
			new = old & ~DRM_GEM_RECLAIM_MADV;

		if (drm_WARN_ON_ONCE(obj->dev, !(old & DRM_GEM_RECLAIM_HANDLES_MASK)))
			return;
		if ((old & DRM_GEM_RECLAIM_HANDLES_MASK) !=
		    DRM_GEM_RECLAIM_HANDLES_MASK)
			new -= DRM_GEM_RECLAIM_HANDLES;
	} while (!drm_gem_state_try_handles(obj, &old, new));
}
EXPORT_SYMBOL(drm_gem_reclaim_close);

/*
 * After the change of the state: whoever is noted has then given it up and not taken
 * that back itself. Until then it may be another file, at whose close it stays.
 */
static void drm_gem_note_adviser(struct drm_gem_object *obj,
				 const struct drm_file *file,
				 enum drm_gem_madv madv)
{
	if (madv != DRM_GEM_MADV_DONTNEED)
		return;

	WRITE_ONCE(obj->reclaim.adviser, file);
	/* Jobs from before do not earn it a second chance. */
	WRITE_ONCE(obj->reclaim.used, false);
}

static noinline bool drm_gem_madvise_any(struct drm_gem_object *obj,
					 const struct drm_file *file,
					 enum drm_gem_madv madv)
{
	u32 old = drm_gem_state_read(obj);
	bool retained = true;

	do {
		if (drm_gem_state_madv(old) == DRM_GEM_MADV_PURGED) {
			retained = false;
			break;
		}
	} while (!drm_gem_state_try(obj, &old, (old & ~DRM_GEM_RECLAIM_MADV) | madv));

	if (retained)
		drm_gem_note_adviser(obj, file, madv);

	trace_drm_gem_madvise(obj, madv, retained);

	return retained;
}

/**
 * drm_gem_madvise - take user space's advice on the contents of an object
 * @obj: GEM object
 * @file: the file that gives it, to be told from others that have a handle
 * @madv: %DRM_GEM_MADV_WILLNEED or %DRM_GEM_MADV_DONTNEED; other values are
 *	  for the caller to refuse
 *
 * Takes no lock, does not allocate, and sends nothing to the device. Advice on
 * an object that the shrinker does not know is accepted and has no effect.
 *
 * Context: any; the handle of @file is not closed meanwhile, or the advice would
 * outlive it. Under &drm_file.table_lock it is not, nor under a lock of the driver
 * that its &drm_gem_object_funcs.close takes for drm_gem_reclaim_close().
 *
 * Returns: true when the contents are still there. After WILLNEED they stay;
 * after DONTNEED they may be gone by the time that the caller looks.
 */
bool drm_gem_madvise(struct drm_gem_object *obj, const struct drm_file *file,
		     enum drm_gem_madv madv)
{
	const u32 ignored = DRM_GEM_RECLAIM_QUEUED | DRM_GEM_RECLAIM_LISTED |
			    DRM_GEM_RECLAIM_NOEVICT;
	const u32 plain = DRM_GEM_RECLAIM_RESIDENT | DRM_GEM_RECLAIM_HANDLES;
	u32 other = madv ^ DRM_GEM_MADV_DONTNEED;
	u32 old = drm_gem_state_read(obj);
	enum drm_gem_class live;
	u32 new;

	/*
	 * No other call is as frequent: what drm_gem_state_try() would do is
	 * spelled out for objects that nothing special is known of.
	 */
	if (unlikely((old & ~ignored) != (plain | other)))
		return drm_gem_madvise_any(obj, file, madv);

	new = old ^ DRM_GEM_MADV_DONTNEED;
	live = DRM_GEM_CLASS_UNEVICTABLE;
	if (madv == DRM_GEM_MADV_DONTNEED)
		new |= DRM_GEM_RECLAIM_QUEUED;
	if (!(old & DRM_GEM_RECLAIM_NOEVICT)) {
		live = DRM_GEM_CLASS_EVICTABLE;
		if (madv == DRM_GEM_MADV_WILLNEED)
			new |= DRM_GEM_RECLAIM_LISTED;
	}

	if (unlikely(atomic_cmpxchg(&obj->reclaim.state, old, new) != old))
		return drm_gem_madvise_any(obj, file, madv);

	drm_gem_note_adviser(obj, file, madv);
	drm_gem_state_move(obj->dev->gem_shrinker, obj->size >> PAGE_SHIFT,
			   madv == DRM_GEM_MADV_DONTNEED ? live : DRM_GEM_CLASS_PURGEABLE,
			   madv == DRM_GEM_MADV_DONTNEED ? DRM_GEM_CLASS_PURGEABLE : live);
	if (unlikely(new & ~old & (DRM_GEM_RECLAIM_QUEUED | DRM_GEM_RECLAIM_LISTED)))
		drm_gem_state_enqueue(obj, old, new);

	trace_drm_gem_madvise(obj, madv, true);

	return true;
}
EXPORT_SYMBOL(drm_gem_madvise);

/**
 * drm_gem_reclaim_is_known - was an object added?
 * @obj: GEM object
 *
 * Context: any.
 *
 * Returns: true when the shrinker can free the pages that are left with it.
 */
bool drm_gem_reclaim_is_known(const struct drm_gem_object *obj)
{
	u32 state = drm_gem_state_read(obj);

	return state & DRM_GEM_RECLAIM_RESIDENT && !(state & DRM_GEM_RECLAIM_NEVER);
}
EXPORT_SYMBOL(drm_gem_reclaim_is_known);
