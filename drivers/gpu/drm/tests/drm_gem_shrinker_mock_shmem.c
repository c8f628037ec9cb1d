// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/dma-resv.h>

#include <kunit/static_stub.h>

#include <drm/drm_drv.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_kunit_helpers.h>

#include "../drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_mock_shmem.h"

static struct shmem_device *to_shmem_device(struct drm_device *drm)
{
	return container_of(drm, struct shmem_device, drm);
}

static void shmem_gem_free(struct drm_gem_object *obj)
{
	drm_gem_reclaim_remove(obj);
	drm_gem_shmem_object_free(obj);
}

static const struct drm_gem_object_funcs shmem_gem_funcs = {
	.free = shmem_gem_free,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = drm_gem_shmem_object_mmap,
	.purge = drm_gem_shmem_object_purge,
	.evict = drm_gem_shmem_object_evict,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

static int shmem_revoke(struct drm_gem_object *obj,
			struct drm_gem_revoke_batch *batch)
{
	struct shmem_device *shmem_dev = to_shmem_device(obj->dev);

	if (!drm_gem_revoke_commit(batch, obj))
		return -EAGAIN;

	if (shmem_dev->hold)
		shmem_dev->batch = batch;
	else
		drm_gem_revoke_answer(batch, obj, 0);

	return 0;
}

static const struct drm_gem_shrinker_ops shmem_shrinker_ops = {
	.revoke = shmem_revoke,
};

DEFINE_DRM_GEM_FOPS(shmem_fops);

static const struct drm_driver shmem_driver = {
	.driver_features = DRIVER_GEM,
	.fops = &shmem_fops,
	.name = "mock",
	.desc = "GEM shrinker test",
	.date = "20260101",
	.major = 1,
};

static bool shmem_has_swap(void)
{
	return true;
}

int mock_shmem_init(struct kunit *test)
{
	struct shmem_device *shmem_dev;
	struct device *dev;

	dev = drm_kunit_helper_alloc_device(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);

	shmem_dev = drm_kunit_helper_alloc_drm_device_with_driver(test, dev,
								  struct shmem_device,
								  drm, &shmem_driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, shmem_dev);
	test->priv = shmem_dev;
	kunit_activate_static_stub(test, drm_gem_shrinker_has_swap, shmem_has_swap);

	return drm_gem_shrinker_register(&shmem_dev->drm, &shmem_shrinker_ops);
}

void mock_shmem_exit(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shrinker_stats stats;

	if (IS_ERR_OR_NULL(shmem_dev) || !shmem_dev->drm.gem_shrinker)
		return;

	drm_gem_shrinker_unregister(&shmem_dev->drm);
	drm_gem_shrinker_drain(&shmem_dev->drm);
	stats = mock_shmem_stats(test);
	KUNIT_EXPECT_EQ(test, stats.resident_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.evictable_pages, 0);
}

/* An object that the shrinker does not know. */
struct drm_gem_shmem_object *mock_shmem_create_bare(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem;

	shmem = drm_gem_shmem_create(&shmem_dev->drm, TEST_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, shmem);
	shmem->base.funcs = &shmem_gem_funcs;

	return shmem;
}

void mock_shmem_add(struct drm_gem_shmem_object *shmem)
{
	dma_resv_lock(shmem->base.resv, NULL);
	drm_gem_reclaim_add(&shmem->base);
	dma_resv_unlock(shmem->base.resv);
}

/* One that the device has the pages of. */
struct drm_gem_shmem_object *mock_shmem_create(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create_bare(test);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, drm_gem_shmem_get_pages_sgt(shmem));
	mock_shmem_add(shmem);

	return shmem;
}

/* The same, given up. */
struct drm_gem_shmem_object *mock_shmem_create_idle(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);

	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED));

	return shmem;
}

unsigned long mock_shmem_scan(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;

	return drm_gem_shrinker_purge(&shmem_dev->drm, ULONG_MAX);
}

/* Returns the number of pages evicted. */
unsigned long mock_shmem_evict(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	unsigned long before = mock_shmem_stats(test).evicted_pages;

	drm_gem_shrinker_evict(&shmem_dev->drm, ULONG_MAX);

	return mock_shmem_stats(test).evicted_pages - before;
}

struct drm_gem_shrinker_stats mock_shmem_stats(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shrinker_stats stats;

	drm_gem_shrinker_get_stats(&shmem_dev->drm, &stats);

	return stats;
}
