// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * gem-shmem under the GEM shrinker: what its purge frees, what keeps an object,
 * and what can not be had of a purged one.
 */

#include <linux/iosys-map.h>
#include <linux/pagevec.h>
#include <linux/preempt.h>

#include "drm_gem_shrinker_mock_shmem.h"

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
	struct drm_gem_shmem_object *shmem;
	struct page *pages[TEST_PAGES];
	struct folio_batch drain;
	unsigned int i;

	/* New pages wait on this CPU to be put on a list, with a reference. */
	migrate_disable();
	folio_batch_init(&drain);
	shmem = mock_shmem_create_idle(test);
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), TEST_PAGES);
	for (i = 0; i < TEST_PAGES; i++) {
		pages[i] = shmem->pages[i];
		get_page(pages[i]);
	}
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), TEST_PAGES);
	get_page(pages[0]);
	folio_batch_add(&drain, page_folio(pages[0]));
	__folio_batch_release(&drain);
	migrate_enable();
	/* The file has let go of the pages, and so has the object. */
	for (i = 0; i < TEST_PAGES; i++) {
		KUNIT_EXPECT_EQ(test, page_count(pages[i]), 1);
		put_page(pages[i]);
	}
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), 0);
	KUNIT_EXPECT_NULL(test, shmem->pages);
	KUNIT_EXPECT_NULL(test, shmem->sgt);
	KUNIT_EXPECT_FALSE(test, drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_WILLNEED));
	shmem_expect_refused(test, shmem);
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), 0);

	drm_gem_object_put(&shmem->base);
}

/* Contents are lost when that is decided: the pages may be there for longer. */
static void drm_gem_shrinker_test_shmem_refused_early(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem = mock_shmem_create_idle(test);

	shmem_dev->hold = true;
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);
	KUNIT_EXPECT_NOT_NULL(test, shmem->pages);
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), TEST_PAGES);
	shmem_expect_refused(test, shmem);

	drm_gem_revoke_answer(shmem_dev->batch, &shmem->base, 0);
	drm_gem_shrinker_drain(&shmem_dev->drm);
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), 0);

	drm_gem_object_put(&shmem->base);
}

static void drm_gem_shrinker_test_shmem_pinned_is_kept(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create_idle(test);

	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);
	drm_gem_shmem_unpin(shmem);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);
	KUNIT_EXPECT_FALSE(test, drm_gem_is_purged(&shmem->base));
	drm_gem_shmem_unpin(shmem);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), TEST_PAGES);

	drm_gem_object_put(&shmem->base);
}

static void drm_gem_shrinker_test_shmem_vmapped_is_kept(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create_idle(test);
	struct iosys_map map;

	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&shmem->base, &map), 0);
	iosys_map_memset(&map, 0, 0xa5, TEST_PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);
	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_WILLNEED));
	KUNIT_EXPECT_EQ(test, *((u8 *)map.vaddr + TEST_PAGES * PAGE_SIZE - 1), 0xa5);
	drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED);
	drm_gem_vunmap_unlocked(&shmem->base, &map);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), TEST_PAGES);

	drm_gem_object_put(&shmem->base);
}

/* A pin taken before the shrinker knew of the object counts as well. */
static void drm_gem_shrinker_test_shmem_pinned_before(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create_bare(test);

	drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED);
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, drm_gem_shmem_get_pages_sgt(shmem));
	mock_shmem_add(shmem);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);
	drm_gem_shmem_unpin(shmem);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), TEST_PAGES);

	drm_gem_object_put(&shmem->base);
}

/* Freed with its pages, in whatever state. */
static void drm_gem_shrinker_test_shmem_freed(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem = mock_shmem_create_idle(test);

	drm_gem_object_put(&shmem->base);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);

	shmem = mock_shmem_create_idle(test);
	shmem_dev->hold = true;
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), 0);
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
	.init = mock_shmem_init,
	.exit = mock_shmem_exit,
	.test_cases = drm_gem_shrinker_shmem_tests,
};

kunit_test_suite(drm_gem_shrinker_shmem_suite);
