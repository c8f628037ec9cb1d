// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/dma-resv.h>
#include <linux/export.h>

#include <drm/drm_device.h>

#include "drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_trace.h"

/**
 * drm_gem_reclaim_want - note that the pages of an object have to stay
 * @obj: GEM object
 *
 * To be called by a driver that tells the device of the pages again. If the
 * object was on its way out it is not evicted after all.
 *
 * Context: holds the resv of @obj.
 *
 * Returns: false when there are no pages, because the object is purged.
 */
bool drm_gem_reclaim_want(struct drm_gem_object *obj)
{
	u32 old = drm_gem_state_read(obj);

	dma_resv_assert_held(obj->resv);

	if (!obj->dev->gem_shrinker)
		return true;

	do {
		if (drm_gem_state_madv(old) == DRM_GEM_MADV_PURGED)
			return false;
		if (!(old & DRM_GEM_RECLAIM_REVOKING))
			return true;
	} while (!drm_gem_state_try(obj, &old, old | DRM_GEM_RECLAIM_WANTED));

	return true;
}
EXPORT_SYMBOL(drm_gem_reclaim_want);

/**
 * drm_gem_reclaim_swapped_in - note that an evicted object has pages again
 * @obj: GEM object
 *
 * For the memory manager. Does nothing when the object was not evicted. Scans
 * pass it over once, like one that a job used.
 *
 * Context: holds the resv of @obj.
 */
void drm_gem_reclaim_swapped_in(struct drm_gem_object *obj)
{
	struct drm_gem_shrinker *shrinker = obj->dev->gem_shrinker;
	unsigned long pages = obj->size >> PAGE_SHIFT;

	dma_resv_assert_held(obj->resv);

	if (!(drm_gem_state_read(obj) & DRM_GEM_RECLAIM_EVICTED))
		return;

	drm_gem_state_change(obj, DRM_GEM_RECLAIM_EVICTED,
			     DRM_GEM_RECLAIM_RESIDENT);
	drm_gem_mark_used(obj);
	atomic_long_inc(&shrinker->swapped_in_bos);
	atomic_long_add(pages, &shrinker->swapped_in_pages);
	trace_drm_gem_swapin(obj, pages);
}
EXPORT_SYMBOL(drm_gem_reclaim_swapped_in);

/**
 * drm_gem_reclaim_replace - may a purged object be made usable again?
 * @obj: GEM object
 *
 * Makes an object WILLNEED that is not purged. For one that is, and whose pages
 * are gone, the caller brings in new ones, tells the device of them, and calls
 * drm_gem_reclaim_replaced(), all in the same section under resv; until then it
 * stays purged.
 *
 * Context: holds the resv of @obj.
 *
 * Returns: 1 when the contents are still there, 0 when they have to be replaced,
 * -EAGAIN when drm_gem_reclaim_wait_finished() has to be called without resv
 * first, -EBUSY when the object has several handles, or the device kept the old
 * pages or, since they were evicted, what belonged to them.
 */
int drm_gem_reclaim_replace(struct drm_gem_object *obj)
{
	u32 old = drm_gem_state_read(obj);

	dma_resv_assert_held(obj->resv);

	do {
		if ((old & DRM_GEM_RECLAIM_HANDLES_MASK) > DRM_GEM_RECLAIM_HANDLES)
			return -EBUSY;

		if (drm_gem_state_madv(old) == DRM_GEM_MADV_PURGED) {
			if (old & DRM_GEM_RECLAIM_REVOKING)
				return -EAGAIN;
			return old & (DRM_GEM_RECLAIM_RESIDENT |
				      DRM_GEM_RECLAIM_EVICTED |
				      DRM_GEM_RECLAIM_NEVER) ? -EBUSY : 0;
		}
	} while (!drm_gem_state_try(obj, &old, old & ~DRM_GEM_RECLAIM_MADV));

	return 1;
}
EXPORT_SYMBOL(drm_gem_reclaim_replace);

/**
 * drm_gem_reclaim_replaced - note that a purged object has new pages
 * @obj: GEM object for which drm_gem_reclaim_replace() returned 0
 *
 * Context: holds the resv of @obj.
 */
void drm_gem_reclaim_replaced(struct drm_gem_object *obj)
{
	dma_resv_assert_held(obj->resv);

	drm_gem_state_change(obj, DRM_GEM_RECLAIM_MADV, DRM_GEM_RECLAIM_RESIDENT);
	trace_drm_gem_replace(obj, obj->size >> PAGE_SHIFT);
}
EXPORT_SYMBOL(drm_gem_reclaim_replaced);

/**
 * drm_gem_reclaim_wait_finished - wait until the pages of an object are gone
 * @obj: GEM object
 *
 * Context: process context, may sleep; no resv held. Not for reclaim.
 *
 * Returns: 0, -ERESTARTSYS, or -EBUSY when the device has not answered for a
 * second.
 */
int drm_gem_reclaim_wait_finished(struct drm_gem_object *obj)
{
	struct drm_gem_shrinker *shrinker = obj->dev->gem_shrinker;
	long ret;

	ret = wait_event_interruptible_timeout(shrinker->wait,
					       !(drm_gem_state_read(obj) &
						 DRM_GEM_RECLAIM_REVOKING), HZ);
	if (ret < 0)
		return ret;

	return ret ? 0 : -EBUSY;
}
EXPORT_SYMBOL(drm_gem_reclaim_wait_finished);

/**
 * drm_gem_reclaim_status - the shrinker's part of &drm_gem_object_funcs.status
 * @obj: GEM object
 *
 * Context: any.
 *
 * Returns: what is known of the object, for fdinfo: nothing when it is purged,
 * evicted, or was not added. Who was exported is not purgeable until a scan finds
 * that its dma-buf has no users.
 */
enum drm_gem_object_status
drm_gem_reclaim_status(struct drm_gem_object *obj)
{
	u32 state = drm_gem_state_read(obj);
	enum drm_gem_object_status status = 0;

	if (state & DRM_GEM_RECLAIM_RESIDENT)
		status |= DRM_GEM_OBJECT_RESIDENT;
	if (!(state & DRM_GEM_RECLAIM_EXPORTED) &&
	    (drm_gem_state_is_candidate(state, DRM_GEM_LIST_GIVEN_UP) ||
	     drm_gem_state_is_candidate(state, DRM_GEM_LIST_HOST)))
		status |= DRM_GEM_OBJECT_PURGEABLE;

	return status;
}
EXPORT_SYMBOL(drm_gem_reclaim_status);
