// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include "virtgpu_drv.h"

/* Only of these can the host be asked for another one. */
static bool virtio_gpu_object_is_replaceable(struct virtio_gpu_object *bo)
{
	return virtio_gpu_is_shmem(bo) && !bo->blob_mem &&
	       !(bo->classic.bind & VIRTIO_GPU_BIND_CUSTOM);
}

/*
 * The new resource has an id of its own: virglrenderer (0.10.4, 1.1.0) does not
 * look up an index or vertex buffer of the id that is bound already, and would go
 * on drawing with the one that was purged. With virglhack=0 an id comes back, as it
 * does when BOs are freed.
 */
static int virtio_gpu_create_again(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo)
{
	struct virtio_gpu_object_params params = { .classic = bo->classic };
	uint32_t old_id = bo->hw_res_handle;
	uint32_t id;
	int ret;

	/* If the rest failed the last time. */
	if (bo->host_state == VIRTIO_GPU_HOST_LIVE)
		return 0;

	ret = virtio_gpu_resource_id_get(vgdev, &id);
	if (ret)
		return ret;

	/* Whatever it was with the one before. */
	WRITE_ONCE(bo->backing, VIRTIO_GPU_BACKING_DETACHED);
	WRITE_ONCE(bo->hw_res_handle, id);

	if (vgdev->has_virgl_3d && !bo->dumb)
		ret = virtio_gpu_cmd_resource_create_3d(vgdev, bo, &params);
	else
		ret = virtio_gpu_cmd_create_resource(vgdev, bo, &params);
	if (ret) {
		WRITE_ONCE(bo->hw_res_handle, old_id);
		virtio_gpu_resource_id_put(vgdev, id);
		return ret;
	}

	virtio_gpu_resource_id_put(vgdev, old_id);
	return 0;
}

/*
 * New pages, and a new resource, which is attached to the context of @vfpriv if
 * there is one, and last, with a fence, to the pages. resv held.
 */
static int virtio_gpu_object_refill(struct virtio_gpu_object *bo,
				    struct virtio_gpu_fpriv *vfpriv)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct virtio_gpu_device *vgdev = obj->dev->dev_private;
	struct sg_table *pages;
	int ret;

	pages = drm_gem_shmem_replace_locked(&bo->base);
	if (IS_ERR(pages))
		return PTR_ERR(pages);

	ret = virtio_gpu_create_again(vgdev, bo);
	if (!ret && vfpriv)
		ret = virtio_gpu_cmd_context_attach_resource(vgdev,
							     vfpriv->ctx_id,
							     bo);
	if (!ret)
		ret = virtio_gpu_object_attach_pages(bo, pages);
	if (ret) {
		drm_gem_shmem_purge_pages_locked(&bo->base);
		return ret;
	}

	drm_gem_reclaim_replaced(obj);

	return 0;
}

/*
 * Is the handle still there, and the same? Who may have closed it has no say in a
 * BO that others opened since. To be called when there is one handle only: it is
 * taken out of the table before it is counted as closed.
 */
static bool virtio_gpu_object_has_handle(struct drm_gem_object *obj,
					 struct drm_file *file, u32 handle)
{
	bool has;

	spin_lock(&file->table_lock);
	has = idr_find(&file->object_idr, handle) == obj;
	spin_unlock(&file->table_lock);

	return has;
}

/*
 * WILLNEED_REPLACE by @file, whose context was detached from the resource when the
 * BO was purged. Sets what @args returns.
 *
 * Returns 0, -EINVAL for BOs with which that cannot be done, -EBUSY when it cannot
 * be done now, -ENOENT when the handle was closed meanwhile, -ERESTARTSYS, -ENOMEM,
 * or why a command could not be queued. On error the BO is as lost as before; the
 * host may have a resource for it again, of another id, which the next call uses
 * and the end of the BO destroys.
 */
int virtio_gpu_object_replace(struct virtio_gpu_object *bo,
			      struct drm_file *file,
			      struct drm_virtgpu_madvise *args)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct virtio_gpu_device *vgdev = obj->dev->dev_private;
	struct virtio_gpu_fpriv *vfpriv = file->driver_priv;
	int ret;

	if (!virtio_gpu_object_is_replaceable(bo)) {
		drm_dbg_driver(obj->dev, "this kind of BO is not replaced\n");
		return -EINVAL;
	}

	for (;;) {
		ret = dma_resv_lock_interruptible(obj->resv, NULL);
		if (ret)
			return ret;
		ret = drm_gem_reclaim_replace(obj);
		if (ret != -EAGAIN)
			break;
		dma_resv_unlock(obj->resv);

		ret = drm_gem_reclaim_wait_finished(obj);
		if (ret)
			return ret;
	}

	args->retained = ret > 0;
	if (!ret) {
		if (virtio_gpu_object_has_handle(obj, file, args->bo_handle))
			ret = virtio_gpu_object_refill(bo, vfpriv);
		else
			ret = -ENOENT;
	}
	if (ret >= 0)
		args->res_handle = bo->hw_res_handle;
	dma_resv_unlock(obj->resv);
	virtio_gpu_notify(vgdev);

	return min(ret, 0);
}
