// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include "virtgpu_drv.h"

/**
 * DOC: Memory reclaim in virtio-gpu
 *
 * The pages of a BO are the backing of a resource on the host. To purge the BO
 * the resource is UNREFed, which detaches the backing and every context with
 * it and lets the host free what it has for it, too. The host answers each
 * UNREF by itself and in no order that would be relied on; the pages go when
 * all answers of a batch are in.
 *
 * No other BO gets the resource id before this one is freed or replaced, and until
 * then it tells the host's mistakes from ours.
 */

static int virtio_gpu_revoke(struct drm_gem_object *obj,
			     struct drm_gem_revoke_batch *batch)
{
	struct virtio_gpu_device *vgdev = obj->dev->dev_private;
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	return virtio_gpu_cmd_revoke_resource(vgdev, bo, batch);
}

static void virtio_gpu_revoke_flush(struct drm_device *dev,
				    struct drm_gem_revoke_batch *batch)
{
	virtio_gpu_notify(dev->dev_private);
}

static const struct drm_gem_shrinker_ops virtio_gpu_shrinker_ops = {
	.revoke = virtio_gpu_revoke,
	.revoke_flush = virtio_gpu_revoke_flush,
};

int virtio_gpu_shrinker_init(struct virtio_gpu_device *vgdev)
{
	return drm_gem_shrinker_register(vgdev->ddev, &virtio_gpu_shrinker_ops);
}
