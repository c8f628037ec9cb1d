// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include "virtgpu_drv.h"

/**
 * DOC: Eviction in virtio-gpu
 *
 * To evict a BO its backing is detached, and its pages are given to the system.
 * The resource stays, and so does what the host made of it. Whatever lets the
 * host use the pages again brings them back first and attaches them: jobs and
 * transfers where they validate their BOs, planes before they show one, and
 * export to devices that know the resource by its UUID. The host works on its
 * queue in order, so an ATTACH may follow a DETACH that is not yet answered. For
 * a CPU fault, vmap, or a dma-buf attachment the pages alone will do.
 */

/*
 * Sees to it that the host has the pages of a BO. The command is fenced, so that
 * the BO is not evicted before it is executed.
 *
 * Context: resv held, and by those with several no pages of theirs are reclaimed.
 * Returns 0, -EINVAL when purged, -ENOMEM, what reading from swap gave, or why
 * the command could not be queued.
 */
int virtio_gpu_object_restore(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct virtio_gpu_device *vgdev = obj->dev->dev_private;
	struct virtio_gpu_mem_entry *ents;
	struct virtio_gpu_fence *fence;
	struct sg_table *pages;
	unsigned int nents;
	int ret;

	dma_resv_assert_held(obj->resv);

	if (likely(!READ_ONCE(bo->detached)))
		return 0;

	if (!drm_gem_reclaim_want(obj))
		return -EINVAL;

	pages = drm_gem_shmem_get_pages_sgt_locked(&bo->base);
	if (IS_ERR(pages))
		return PTR_ERR(pages);

	ret = dma_resv_reserve_fences(obj->resv, 1);
	if (ret)
		return ret;

	fence = virtio_gpu_fence_alloc(vgdev, vgdev->fence_drv.context, 0);
	if (!fence)
		return -ENOMEM;

	ret = virtio_gpu_object_mem_entries(vgdev, pages, &ents, &nents);
	if (ret)
		goto out_put_fence;

	/* An error to the DETACH may be answered from now on, and is no matter. */
	WRITE_ONCE(bo->detached, false);
	ret = virtio_gpu_object_attach(vgdev, bo, NULL, ents, nents, fence);
	if (ret)
		WRITE_ONCE(bo->detached, true);
	else
		dma_resv_add_fence(obj->resv, &fence->f, DMA_RESV_USAGE_WRITE);

out_put_fence:
	dma_fence_put(&fence->f);
	return ret;
}

/*
 * Pins a BO that the host has the pages of; drm_gem_shmem_unpin() ends it.
 * Returns 0, -EINTR, or an error of virtio_gpu_object_restore() or
 * drm_gem_shmem_pin_locked().
 */
int virtio_gpu_object_pin(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	int ret;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;

	ret = virtio_gpu_object_restore(bo);
	if (!ret)
		ret = drm_gem_shmem_pin_locked(&bo->base);

	dma_resv_unlock(obj->resv);

	return ret;
}
