// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * gem-shmem under the GEM shrinker: what its purge frees, what keeps an object,
 * and what can not be had of a purged one.
 */

#include <linux/dma-mapping.h>
#include <linux/iosys-map.h>
#include <linux/pagemap.h>
#include <linux/scatterlist.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_kunit_helpers.h>

#include <kunit/test.h>

#define TEST_PAGES	4

/* The device answers at once, or, with this set, when the test says so. */
struct shmem_device {
	struct drm_device drm;
	bool hold;
	struct drm_gem_revoke_batch *batch;
};

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
	.purge = drm_gem_shmem_object_purge,
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

static int drm_gem_shrinker_shmem_init(struct kunit *test)
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

	return drm_gem_shrinker_register(&shmem_dev->drm, &shmem_shrinker_ops);
}

static void drm_gem_shrinker_shmem_exit(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shrinker_stats stats;

	if (IS_ERR_OR_NULL(shmem_dev))
		return;

	drm_gem_shrinker_unregister(&shmem_dev->drm);
	drm_gem_shrinker_drain(&shmem_dev->drm);
	drm_gem_shrinker_get_stats(&shmem_dev->drm, &stats);
	KUNIT_EXPECT_EQ(test, stats.resident_pages, 0);
}

/* An object that the device has the pages of, given up. */
static struct drm_gem_shmem_object *shmem_create_idle(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem;

	shmem = drm_gem_shmem_create(&shmem_dev->drm, TEST_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, shmem);
	shmem->base.funcs = &shmem_gem_funcs;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, drm_gem_shmem_get_pages_sgt(shmem));
	dma_resv_lock(shmem->base.resv, NULL);
	drm_gem_reclaim_add(&shmem->base);
	dma_resv_unlock(shmem->base.resv);
	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED));

	return shmem;
}

static unsigned long shmem_scan(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;

	return drm_gem_shrinker_purge(&shmem_dev->drm, ULONG_MAX);
}

static unsigned long shmem_pages(struct drm_gem_shmem_object *shmem)
{
	return shmem->base.filp->f_mapping->nrpages;
}

static void shmem_expect_refused(struct kunit *test,
				 struct drm_gem_shmem_object *shmem)
{
	struct iosys_map map;

	KUNIT_EXPECT_EQ(test, drm_gem_shmem_pin(shmem), -EINVAL);
	KUNIT_EXPECT_EQ(test, drm_gem_vmap_unlocked(&shmem->base, &map), -EINVAL);
	KUNIT_EXPECT_PTR_EQ(test, drm_gem_shmem_get_pages_sgt(shmem), ERR_PTR(-EINVAL));
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_pin_count), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->vmap_use_count), 0);
}

static void drm_gem_shrinker_test_shmem_purge_frees(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_idle(test);

	KUNIT_EXPECT_EQ(test, shmem_pages(shmem), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, shmem_pages(shmem), 0);
	KUNIT_EXPECT_NULL(test, shmem->pages);
	KUNIT_EXPECT_NULL(test, shmem->sgt);
	KUNIT_EXPECT_FALSE(test, drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_WILLNEED));
	shmem_expect_refused(test, shmem);
	KUNIT_EXPECT_EQ(test, shmem_pages(shmem), 0);

	drm_gem_object_put(&shmem->base);
}

/* Contents are lost when that is decided: the pages may be there for longer. */
static void drm_gem_shrinker_test_shmem_refused_early(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem = shmem_create_idle(test);

	shmem_dev->hold = true;
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);
	KUNIT_EXPECT_NOT_NULL(test, shmem->pages);
	KUNIT_EXPECT_EQ(test, shmem_pages(shmem), TEST_PAGES);
	shmem_expect_refused(test, shmem);

	drm_gem_revoke_answer(shmem_dev->batch, &shmem->base, 0);
	drm_gem_shrinker_drain(&shmem_dev->drm);
	KUNIT_EXPECT_EQ(test, shmem_pages(shmem), 0);

	drm_gem_object_put(&shmem->base);
}

static void drm_gem_shrinker_test_shmem_pinned_is_kept(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_idle(test);

	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);
	drm_gem_shmem_unpin(shmem);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);
	KUNIT_EXPECT_FALSE(test, drm_gem_is_purged(&shmem->base));
	drm_gem_shmem_unpin(shmem);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), TEST_PAGES);

	drm_gem_object_put(&shmem->base);
}

static void drm_gem_shrinker_test_shmem_vmapped_is_kept(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_idle(test);
	struct iosys_map map;

	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&shmem->base, &map), 0);
	iosys_map_memset(&map, 0, 0xa5, TEST_PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);
	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_WILLNEED));
	KUNIT_EXPECT_EQ(test, *((u8 *)map.vaddr + TEST_PAGES * PAGE_SIZE - 1), 0xa5);
	drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED);
	drm_gem_vunmap_unlocked(&shmem->base, &map);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), TEST_PAGES);

	drm_gem_object_put(&shmem->base);
}

/* A pin taken before the shrinker knew of the object counts as well. */
static void drm_gem_shrinker_test_shmem_pinned_before(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem;

	shmem = drm_gem_shmem_create(&shmem_dev->drm, TEST_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, shmem);
	shmem->base.funcs = &shmem_gem_funcs;

	drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED);
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, drm_gem_shmem_get_pages_sgt(shmem));
	dma_resv_lock(shmem->base.resv, NULL);
	drm_gem_reclaim_add(&shmem->base);
	dma_resv_unlock(shmem->base.resv);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);
	drm_gem_shmem_unpin(shmem);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), TEST_PAGES);

	drm_gem_object_put(&shmem->base);
}

/* Freed with its pages, in whatever state. */
static void drm_gem_shrinker_test_shmem_freed(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem = shmem_create_idle(test);

	drm_gem_object_put(&shmem->base);
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);

	shmem = shmem_create_idle(test);
	shmem_dev->hold = true;
	KUNIT_EXPECT_EQ(test, shmem_scan(test), 0);
	drm_gem_object_put(&shmem->base);
	drm_gem_revoke_answer(shmem_dev->batch, &shmem->base, -EIO);
	drm_gem_shrinker_drain(&shmem_dev->drm);
}

static struct kunit_case drm_gem_shrinker_shmem_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_shmem_purge_frees),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_refused_early),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_pinned_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_vmapped_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_pinned_before),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_freed),
	{}
};

static struct kunit_suite drm_gem_shrinker_shmem_suite = {
	.name = "drm_gem_shrinker_shmem",
	.init = drm_gem_shrinker_shmem_init,
	.exit = drm_gem_shrinker_shmem_exit,
	.test_cases = drm_gem_shrinker_shmem_tests,
};

kunit_test_suite(drm_gem_shrinker_shmem_suite);
