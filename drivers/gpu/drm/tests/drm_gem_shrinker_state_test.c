// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * The state of one object: what advice it takes, what keeps its pages, and what
 * it counts as.
 */

#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>

#include <drm/drm_file.h>
#include <drm/drm_prime.h>

#include "drm_gem_shrinker_mock.h"

#define TEST_PAGES	4

/* Advice may come before the pages; it counts from when they are there. */
static void drm_gem_shrinker_test_advice_before_pages(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_bare(test, TEST_PAGES);

	KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 0);
	KUNIT_EXPECT_TRUE(test, mock_willneed(bo));

	KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));
	mock_add(bo);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);

	mock_put(bo);
}

static void drm_gem_shrinker_test_needed_is_kept(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_TRUE(test, mock_willneed(bo));
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);

	KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));
	KUNIT_EXPECT_TRUE(test, mock_willneed(bo));
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_FALSE(test, drm_gem_is_purged(&bo->base));
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), 0);

	mock_put(bo);
}

static void drm_gem_shrinker_test_purged_stays_purged(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, TEST_PAGES);
	struct drm_gem_shrinker_stats stats;

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
	KUNIT_EXPECT_TRUE(test, drm_gem_is_purged(&bo->base));
	KUNIT_EXPECT_FALSE(test, mock_willneed(bo));
	KUNIT_EXPECT_FALSE(test, mock_dontneed(bo));
	KUNIT_EXPECT_FALSE(test, mock_willneed(bo));
	KUNIT_EXPECT_TRUE(test, drm_gem_is_purged(&bo->base));
	KUNIT_EXPECT_EQ(test, drm_gem_reclaim_export(&bo->base), -EINVAL);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), 1);
	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.purged_bos, 1);
	KUNIT_EXPECT_EQ(test, stats.purged_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, stats.resident_pages, 0);

	mock_put(bo);
}

/* Every way to a state, and what the object counts as there. */
static void drm_gem_shrinker_test_counted_by_state(struct kunit *test)
{
	static const struct {
		u32 excluded;
		bool dontneed, exported, no_evict;
		unsigned int handles;
		/* What it has to count as. */
		bool purgeable, exported_count, evictable, unevictable;
	} cases[] = {
		{ .evictable = true },
		{ .handles = 1, .evictable = true },
		{ .handles = 2, .evictable = true },
		{ .exported = true, .evictable = true },
		{ .no_evict = true, .unevictable = true },
		{ .no_evict = true, .exported = true, .unevictable = true },
		{ .no_evict = true, .excluded = DRM_GEM_RECLAIM_PINNED },
		{ .excluded = DRM_GEM_RECLAIM_PINNED },
		{ .excluded = DRM_GEM_RECLAIM_NEVER },
		{ .excluded = DRM_GEM_RECLAIM_NOEVICT, .unevictable = true },
		{ .dontneed = true, .purgeable = true },
		{ .dontneed = true, .handles = 1, .purgeable = true },
		/* To evict what is shared does not lose it. */
		{ .dontneed = true, .handles = 2, .evictable = true },
		{ .dontneed = true, .handles = 2, .no_evict = true, .unevictable = true },
		{ .dontneed = true, .exported = true, .exported_count = true },
		{ .dontneed = true, .exported = true, .handles = 2, .evictable = true },
		{ .dontneed = true, .no_evict = true, .purgeable = true },
		{ .dontneed = true, .excluded = DRM_GEM_RECLAIM_PINNED },
		{ .dontneed = true, .excluded = DRM_GEM_RECLAIM_NEVER },
		{ .dontneed = true, .excluded = DRM_GEM_RECLAIM_NOEVICT, .purgeable = true },
		{ .dontneed = true, .excluded = DRM_GEM_RECLAIM_NOEVICT |
		  DRM_GEM_RECLAIM_PINNED },
	};
	struct mock_device *mock = test->priv;
	struct drm_gem_shrinker_stats stats;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mock_object *bo;
		bool evictable;

		mock->no_evict = cases[i].no_evict;
		bo = mock_create(test, TEST_PAGES);
		for (j = 0; j < cases[i].handles; j++)
			drm_gem_reclaim_open(&bo->base);
		if (cases[i].dontneed)
			mock_dontneed(bo);
		if (cases[i].excluded)
			mock_exclude(bo, cases[i].excluded);
		if (cases[i].exported)
			KUNIT_EXPECT_EQ(test, drm_gem_reclaim_export(&bo->base), 0);

		stats = mock_stats(mock);
		KUNIT_EXPECT_EQ_MSG(test, stats.resident_pages, TEST_PAGES, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, stats.purgeable_pages,
				    cases[i].purgeable * TEST_PAGES, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, stats.exported_pages,
				    cases[i].exported_count * TEST_PAGES, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, stats.evictable_pages,
				    cases[i].evictable * TEST_PAGES, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, stats.unevictable_pages,
				    cases[i].unevictable * TEST_PAGES, "case %u", i);

		/* And the counts are what scans go by. */
		KUNIT_EXPECT_EQ_MSG(test, mock_scan_all(mock),
				    cases[i].purgeable * TEST_PAGES, "case %u", i);
		evictable = cases[i].evictable && !cases[i].exported;
		KUNIT_EXPECT_EQ_MSG(test, mock_evict_all(mock),
				    evictable * TEST_PAGES, "case %u", i);
		for (j = 0; j < cases[i].handles; j++)
			drm_gem_reclaim_close(&bo->base, MOCK_OTHER_FILE);
		mock_put(bo);
		KUNIT_EXPECT_EQ_MSG(test, mock_stats(mock).resident_pages, 0, "case %u", i);
	}
}

/* Exclusion ends, and the advice given before or meanwhile still stands. */
static void drm_gem_shrinker_test_excluded_for_a_while(struct kunit *test)
{
	static const u32 flags[] = { DRM_GEM_RECLAIM_PINNED, DRM_GEM_RECLAIM_NEVER };
	struct mock_device *mock = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags) * 2; i++) {
		struct mock_object *bo = mock_create(test, TEST_PAGES);
		u32 flag = flags[i / 2];

		if (i % 2)
			mock_dontneed(bo);
		mock_exclude(bo, flag);
		if (!(i % 2))
			KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));
		/* The first scan forgets the object, the second does not see it. */
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_FALSE(test, bo->offers);

		mock_include(bo, flag);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
		mock_put(bo);
	}
}

/* What one client gives up, another may need. */
static void drm_gem_shrinker_test_shared_is_kept(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);
	struct drm_file *priv[2];
	struct file *file[2];
	u32 handle[2];
	int i;

	for (i = 0; i < 2; i++) {
		file[i] = mock_open(test, &priv[i]);
		KUNIT_EXPECT_EQ(test, drm_gem_handle_create(priv[i], &bo->base, &handle[i]), 0);
	}
	mock_put(bo);	/* the handles keep it */

	KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 0);

	/* The advice is the object's: whose handle remains does not matter. */
	KUNIT_EXPECT_EQ(test, drm_gem_handle_delete(priv[0], handle[0]), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
	KUNIT_EXPECT_FALSE(test, mock_willneed(bo));

	mock_close(file[0]);
	mock_close(file[1]);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 1);
}

static void drm_gem_shrinker_test_exported_is_kept(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, TEST_PAGES);
	struct dma_buf *dma_buf, *again;
	struct drm_file *priv;
	struct file *file = mock_open(test, &priv);
	u32 handle;

	KUNIT_EXPECT_EQ(test, drm_gem_handle_create(priv, &bo->base, &handle), 0);
	mock_put(bo);

	dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dma_buf));
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_EXPORTED], 1);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).exported_pages, TEST_PAGES);

	/* A second user, which outlives the first. */
	again = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
	KUNIT_EXPECT_PTR_EQ(test, again, dma_buf);
	dma_buf_put(dma_buf);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), 0);

	/* GEM keeps references of its own, which are no use of the dma-buf. */
	dma_buf_put(again);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);

	again = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
	KUNIT_EXPECT_PTR_EQ(test, again, ERR_PTR(-EINVAL));

	mock_close(file);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 1);
}

/* Whether it is in use is looked up under a lock, which reclaim only tries. */
static void drm_gem_shrinker_test_exported_unknown_is_kept(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, TEST_PAGES);
	struct dma_buf *dma_buf;
	struct drm_file *priv;
	struct file *file = mock_open(test, &priv);
	u32 handle;

	KUNIT_EXPECT_EQ(test, drm_gem_handle_create(priv, &bo->base, &handle), 0);
	mock_put(bo);
	dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dma_buf));
	dma_buf_put(dma_buf);

	mutex_lock(&mock->drm.object_name_lock);
	/* lockdep need not hear of a recursion that trylock avoids. */
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mutex_unlock(&mock->drm.object_name_lock);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);

	mock_close(file);
}

/* Another client gets the BO as a dma-buf: from then on both have a handle. */
static void drm_gem_shrinker_test_imported_is_shared(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, TEST_PAGES);
	struct drm_file *priv[2];
	struct file *file[2];
	u32 handle[2];
	int fd;

	file[0] = mock_open(test, &priv[0]);
	file[1] = mock_open(test, &priv[1]);
	KUNIT_EXPECT_EQ(test, drm_gem_handle_create(priv[0], &bo->base, &handle[0]), 0);
	mock_put(bo);

	KUNIT_ASSERT_EQ(test, drm_gem_prime_handle_to_fd(&mock->drm, priv[0], handle[0],
							 O_CLOEXEC, &fd), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_ASSERT_EQ(test, drm_gem_prime_fd_to_handle(&mock->drm, priv[1], fd,
							 &handle[1]), 0);
	close_fd(fd);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), 0);

	/* The exporter goes; two caches held the dma-buf, now one does. */
	KUNIT_EXPECT_EQ(test, drm_gem_handle_delete(priv[0], handle[0]), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
	KUNIT_EXPECT_FALSE(test, mock_willneed(bo));

	mock_close(file[0]);
	mock_close(file[1]);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 1);
}

/* With its handles an object loses its dma-buf pointer, but not its users. */
static void drm_gem_shrinker_test_outlived_by_dma_buf(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, TEST_PAGES);
	struct dma_buf *dma_buf;
	struct drm_file *priv;
	struct file *file = mock_open(test, &priv);
	u32 handle;

	KUNIT_EXPECT_EQ(test, drm_gem_handle_create(priv, &bo->base, &handle), 0);
	mock_put(bo);
	dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dma_buf));
	mock_close(file);

	KUNIT_EXPECT_NULL(test, bo->base.dma_buf);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 0);

	dma_buf_put(dma_buf);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 1);
}

static void drm_gem_shrinker_test_retained_without_shrinker(struct kunit *test)
{
	struct mock_device *mock = mock_device_create(test);
	struct drm_gem_object *obj;

	/* Not registered: an ordinary driver's device. */
	KUNIT_EXPECT_NULL(test, mock->drm.gem_shrinker);

	obj = kunit_kzalloc(test, sizeof(*obj), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, obj);
	drm_gem_private_object_init(&mock->drm, obj, PAGE_SIZE);

	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(obj, NULL, DRM_GEM_MADV_DONTNEED));
	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(obj, NULL, DRM_GEM_MADV_WILLNEED));
	KUNIT_EXPECT_FALSE(test, drm_gem_is_purged(obj));
	KUNIT_EXPECT_EQ(test, drm_gem_reclaim_export(obj), 0);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_purge(&mock->drm, ULONG_MAX), 0);
	drm_gem_reclaim_remove(obj);

	/* Drivers need not remember whether they registered. */
	drm_gem_shrinker_unregister(&mock->drm);
	drm_gem_shrinker_drain(&mock->drm);

	drm_gem_object_release(obj);
}

/* Who is left with a handle did not give the contents up. */
static void drm_gem_shrinker_test_advice_goes_with_handle(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);

	/* Another file's handle comes and goes: the advice stays. */
	drm_gem_reclaim_open(&bo->base);
	drm_gem_reclaim_open(&bo->base);
	mock_dontneed(bo);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	drm_gem_reclaim_close(&bo->base, MOCK_OTHER_FILE);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, TEST_PAGES);

	/* The file that gave it goes: the one that is left needs them. */
	drm_gem_reclaim_open(&bo->base);
	drm_gem_reclaim_close(&bo->base, NULL);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_TRUE(test, mock_willneed(bo));

	/* The one that is left may give them up, as may the last to go. */
	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(&bo->base, MOCK_OTHER_FILE,
						DRM_GEM_MADV_DONTNEED));
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, TEST_PAGES);
	drm_gem_reclaim_close(&bo->base, MOCK_OTHER_FILE);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_put(bo);
}

static struct kunit_case drm_gem_shrinker_state_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_advice_before_pages),
	KUNIT_CASE(drm_gem_shrinker_test_needed_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_purged_stays_purged),
	KUNIT_CASE(drm_gem_shrinker_test_counted_by_state),
	KUNIT_CASE(drm_gem_shrinker_test_excluded_for_a_while),
	KUNIT_CASE(drm_gem_shrinker_test_shared_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_advice_goes_with_handle),
	KUNIT_CASE(drm_gem_shrinker_test_exported_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_exported_unknown_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_imported_is_shared),
	KUNIT_CASE(drm_gem_shrinker_test_outlived_by_dma_buf),
	{}
};

static struct kunit_suite drm_gem_shrinker_state_suite = {
	.name = "drm_gem_shrinker_state",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_state_tests,
};

/* Devices of drivers that did not opt in. */
static struct kunit_case drm_gem_shrinker_none_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_retained_without_shrinker),
	{}
};

static struct kunit_suite drm_gem_shrinker_none_suite = {
	.name = "drm_gem_shrinker_none",
	.test_cases = drm_gem_shrinker_none_tests,
};

kunit_test_suites(&drm_gem_shrinker_state_suite, &drm_gem_shrinker_none_suite);

MODULE_DESCRIPTION("KUnit tests of the GEM shrinker");
MODULE_LICENSE("GPL");
