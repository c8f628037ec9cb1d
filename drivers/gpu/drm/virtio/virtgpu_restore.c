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

/* What QEMU takes in an ATTACH, see its virtio_gpu_create_mapping_iov(). */
#define VIRTIO_GPU_ATTACH_ENTRIES	16384

/*
 * Can a BO of @size bytes be attached again, however scattered its pages are when
 * they come back from swap? With 4 KiB pages, BOs of up to 64 MiB can.
 */
bool virtio_gpu_may_restore(struct virtio_gpu_device *vgdev, size_t size)
{
	size_t nents = size >> PAGE_SHIFT;
	size_t descs = DIV_ROUND_UP(nents * sizeof(struct virtio_gpu_mem_entry),
				    PAGE_SIZE);

	if (nents > VIRTIO_GPU_ATTACH_ENTRIES)
		return false;

	/* and those of the command and its answer */
	return vgdev->has_indirect ||
	       descs + 2 <= vgdev->ctrlq.size;
}

/*
 * Tells the host of the pages of a BO. The command is fenced, so that the BO is
 * not reclaimed before it is executed.
 *
 * Context: resv held. Returns 0, -ENOMEM, or why the command could not be queued.
 */
int virtio_gpu_object_attach_pages(struct virtio_gpu_object *bo,
				   struct sg_table *pages)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct virtio_gpu_device *vgdev = obj->dev->dev_private;
	enum virtio_gpu_backing backing = READ_ONCE(bo->backing);
	struct virtio_gpu_mem_entry *ents;
	struct virtio_gpu_fence *fence;
	unsigned int nents;
	int ret;

	ret = dma_resv_reserve_fences(obj->resv, 1);
	if (ret)
		return ret;

	fence = virtio_gpu_fence_alloc(vgdev, vgdev->fence_drv.context, 0);
	if (!fence)
		return -ENOMEM;

	ret = virtio_gpu_object_mem_entries(vgdev, pages, &ents, &nents);
	if (ret)
		goto out_put_fence;

	/* Whatever the host has of the last time. */
	if (backing == VIRTIO_GPU_BACKING_REFUSED)
		virtio_gpu_cmd_detach_backing(vgdev, bo);

	/* An error to the DETACH may be answered from now on, and is no matter. */
	WRITE_ONCE(bo->backing, VIRTIO_GPU_BACKING_ATTACHED);
	ret = virtio_gpu_object_attach(vgdev, bo, NULL, ents, nents, fence);
	if (ret)
		WRITE_ONCE(bo->backing, backing);
	else
		dma_resv_add_fence(obj->resv, &fence->f, DMA_RESV_USAGE_WRITE);

out_put_fence:
	dma_fence_put(&fence->f);
	return ret;
}

/*
 * Sees to it that the host has the pages of a BO.
 *
 * Context: resv held; memory reclaim leaves the pages alone until it is dropped.
 *
 * Returns 0, -EINVAL when purged, -ENOMEM, what reading from swap gave, or why
 * the command could not be queued.
 */
int virtio_gpu_object_restore(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct sg_table *pages;

	dma_resv_assert_held(obj->resv);

	if (likely(READ_ONCE(bo->backing) == VIRTIO_GPU_BACKING_ATTACHED))
		return 0;

	if (!drm_gem_reclaim_want(obj))
		return -EINVAL;

	pages = drm_gem_shmem_get_pages_sgt_locked(&bo->base);
	if (IS_ERR(pages))
		return PTR_ERR(pages);

	return virtio_gpu_object_attach_pages(bo, pages);
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
	virtio_gpu_notify(obj->dev->dev_private);

	return ret;
}
