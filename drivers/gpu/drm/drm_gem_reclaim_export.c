// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/export.h>

#include <drm/drm_device.h>
#include <drm/drm_util.h>

#include "drm_gem_shrinker_internal.h"

/**
 * drm_gem_reclaim_export - note that an object is handed out as a dma-buf
 * @obj: GEM object
 *
 * The caller already holds the reference to the dma-buf that it is about to
 * hand out, so that a scan that finds no such reference comes before this.
 *
 * Context: any.
 *
 * Returns: 0, or -EINVAL when the object is purged.
 */
int drm_gem_reclaim_export(struct drm_gem_object *obj)
{
	u32 old = drm_gem_state_read(obj);

	if (!obj->dev->gem_shrinker)
		return 0;

	do {
		if (drm_gem_state_madv(old) == DRM_GEM_MADV_PURGED)
			return -EINVAL;
	} while (!drm_gem_state_try(obj, &old, old | DRM_GEM_RECLAIM_EXPORTED));

	return 0;
}
EXPORT_SYMBOL_FOR_TESTS_ONLY(drm_gem_reclaim_export);

/**
 * drm_gem_reclaim_dma_buf_cached - count references that PRIME caches hold
 * @obj: GEM object
 * @refs: 1 after a reference to its dma-buf was taken for a handle cache, -1
 *	  before it is dropped
 *
 * Context: any.
 */
void drm_gem_reclaim_dma_buf_cached(struct drm_gem_object *obj, int refs)
{
	atomic_add(refs, &obj->reclaim.dma_buf_cached);
}

/*
 * Has the dma-buf of an exported object users beyond GEM's own references?
 * These are the object's, and one for each handle that a PRIME cache maps.
 *
 * EXPORTED is cleared before the look, and set again by drm_gem_reclaim_export()
 * after a reference was taken: either the look sees that, or the flag stays.
 * Scans of one object exclude each other by its resv.
 */
bool drm_gem_reclaim_is_exported(struct drm_gem_object *obj)
{
	struct drm_device *dev = obj->dev;
	long count;
	bool used;

	dma_resv_assert_held(obj->resv);

	/* Allocations are made under this lock, so reclaim may not wait for it. */
	if (!mutex_trylock(&dev->object_name_lock))
		return true;

	drm_gem_state_change(obj, DRM_GEM_RECLAIM_EXPORTED, 0);
	/* Without a handle GEM keeps no pointer, but the dma-buf may live on. */
	used = !obj->dma_buf;
	if (!used) {
		count = file_count(obj->dma_buf->file);
		/*
		 * In this order: a cache counts a handle off before it drops
		 * the reference, which is taken for that of a user at worst.
		 */
		smp_rmb();
		used = count > 1 + atomic_read(&obj->reclaim.dma_buf_cached);
	}
	if (used)
		drm_gem_state_change(obj, 0, DRM_GEM_RECLAIM_EXPORTED);

	mutex_unlock(&dev->object_name_lock);

	return used;
}
