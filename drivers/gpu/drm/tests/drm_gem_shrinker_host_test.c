// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Objects whose memory is the host's: no use to reclaim in the guest, purged on
 * request only, and counted apart.
 */

#include "drm_gem_shrinker_mock.h"

#define TEST_PAGES	4

static struct mock_object *drm_gem_shrinker_test_create_host(struct kunit *test)
{
	struct mock_object *bo = mock_create_bare(test, TEST_PAGES);

	mock_exclude(bo, DRM_GEM_RECLAIM_HOST);
	mock_add(bo);

	return bo;
}

static void drm_gem_shrinker_test_host_is_counted_apart(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_create_host(test);
	struct drm_gem_shrinker_stats stats = mock_stats(mock);

	KUNIT_EXPECT_EQ(test, stats.host_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, stats.host_purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.resident_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.evictable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.unevictable_pages, 0);

	mock_dontneed(bo);
	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.host_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, stats.host_purgeable_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, stats.purgeable_pages, 0);

	KUNIT_EXPECT_EQ(test, mock_pin(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).host_purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).host_pages, TEST_PAGES);
	mock_unpin(bo);

	/* Freed as it is, with nobody having looked at it. */
	mock_put(bo);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).host_pages, 0);
}

/* Memory reclaim gains nothing by it, not even at the last stop. */
static void drm_gem_shrinker_test_host_is_not_reclaimed(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_create_host(test);

	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	mock_dontneed(bo);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 0);
	KUNIT_EXPECT_FALSE(test, bo->offers);
	KUNIT_EXPECT_TRUE(test, mock_willneed(bo));

	mock_put(bo);
}

static void drm_gem_shrinker_test_host_is_purged_on_request(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *guest = mock_create_idle(test, 1);
	struct mock_object *bos[3];
	struct drm_gem_shrinker_stats stats;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos); i++)
		bos[i] = drm_gem_shrinker_test_create_host(test);
	mock_dontneed(bos[0]);
	mock_dontneed(bos[1]);
	/* Asked for by name, it gets no second chance. */
	drm_gem_mark_used(&bos[1]->base);

	drm_gem_shrinker_purge_host(&mock->drm, ULONG_MAX);
	KUNIT_EXPECT_TRUE(test, bos[0]->purge_seq);
	KUNIT_EXPECT_TRUE(test, bos[1]->purge_seq);
	KUNIT_EXPECT_FALSE(test, bos[2]->offers);
	KUNIT_EXPECT_FALSE(test, guest->offers);
	KUNIT_EXPECT_FALSE(test, mock_willneed(bos[0]));
	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.host_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, stats.host_purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.host_purged_pages, 2 * TEST_PAGES);
	/* It is not what the guest's memory has gained. */
	KUNIT_EXPECT_EQ(test, stats.purged_bos, 0);
	KUNIT_EXPECT_EQ(test, stats.purged_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);

	mock_put_many(bos, ARRAY_SIZE(bos));
	mock_put(guest);
}

/* Nor is that what the finisher purges. */
static void drm_gem_shrinker_test_host_answers_late(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_create_host(test);
	struct mock_object *guest;

	mock_dontneed(bo);
	mock->answer = MOCK_ANSWER_NEVER;
	drm_gem_shrinker_purge_host(&mock->drm, ULONG_MAX);
	KUNIT_EXPECT_TRUE(test, drm_gem_is_purged(&bo->base));
	KUNIT_EXPECT_FALSE(test, bo->purge_seq);
	/* What the guest has is to be had all the same. */
	guest = mock_create(test, TEST_PAGES);
	mock_dontneed(guest);
	mock->answer = MOCK_ANSWER_AT_ONCE;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
	mock_put(guest);
	KUNIT_EXPECT_EQ(test, mock_answer(mock, 1), 1);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, READ_ONCE(bo->purge_seq)));
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).host_purged_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 0);

	mock_put(bo);
}

/* What the device keeps stays counted, and is not asked for again. */
static void drm_gem_shrinker_test_host_device_keeps(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_create_host(test);

	mock_dontneed(bo);
	mock->error = -EIO;
	drm_gem_shrinker_purge_host(&mock->drm, ULONG_MAX);
	mock->error = 0;
	drm_gem_shrinker_purge_host(&mock->drm, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, bo->offers, 1);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).host_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).host_purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).host_purged_pages, 0);

	mock_put(bo);
}

static struct kunit_case drm_gem_shrinker_host_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_host_is_counted_apart),
	KUNIT_CASE(drm_gem_shrinker_test_host_is_not_reclaimed),
	KUNIT_CASE(drm_gem_shrinker_test_host_is_purged_on_request),
	KUNIT_CASE(drm_gem_shrinker_test_host_answers_late),
	KUNIT_CASE(drm_gem_shrinker_test_host_device_keeps),
	{}
};

static struct kunit_suite drm_gem_shrinker_host_suite = {
	.name = "drm_gem_shrinker_host",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_host_tests,
};

kunit_test_suite(drm_gem_shrinker_host_suite);
