// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Objects on their way out, or evicted: what may happen to them then, and what
 * goes wrong.
 */

#include <linux/shrinker.h>

#include "../drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_mock.h"

#define TEST_PAGES	4

/* An object that the device was told to let go of, and has not answered for. */
static struct mock_object *drm_gem_shrinker_test_revoking(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);

	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	mock->answer = MOCK_ANSWER_NEVER;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, bo->offers, 1);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).late, 1);
	/* It has its pages, and nobody is to count on getting them twice. */
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).evictable_pages, 0);
	mock->answer = MOCK_ANSWER_AT_ONCE;

	return bo;
}

static void drm_gem_shrinker_test_answered(struct kunit *test)
{
	struct mock_device *mock = test->priv;

	KUNIT_EXPECT_EQ(test, mock_answer(mock, UINT_MAX), 1);
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).late, 0);
}

/* It was not evicted, is as it was, and may be evicted another time. */
static void drm_gem_shrinker_test_expect_kept_for(struct kunit *test, struct mock_object *bo,
						  enum drm_gem_refusal why)
{
	struct mock_device *mock = test->priv;

	KUNIT_EXPECT_FALSE(test, bo->evict_seq);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[why], 1);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).evicted_bos, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).swapped_in_bos, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).evictable_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);

	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[why], 1);
}

static void drm_gem_shrinker_test_expect_kept(struct kunit *test, struct mock_object *bo)
{
	drm_gem_shrinker_test_expect_kept_for(test, bo, DRM_GEM_REFUSED_WANTED);
}

static void drm_gem_shrinker_test_used_while_revoking(struct kunit *test)
{
	struct mock_object *bo = drm_gem_shrinker_test_revoking(test);

	/* The device is told of the same pages again, and answers after that. */
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	drm_gem_shrinker_test_answered(test);
	drm_gem_shrinker_test_expect_kept(test, bo);

	mock_put(bo);
}

static void drm_gem_shrinker_test_pinned_while_revoking(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_revoking(test);

	KUNIT_EXPECT_EQ(test, mock_pin(bo), 0);
	drm_gem_shrinker_test_answered(test);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).evictable_pages, 0);
	mock_unpin(bo);
	drm_gem_shrinker_test_expect_kept(test, bo);

	mock_put(bo);
}

/* Its dma-buf may be mapped from now on, and nobody can zap that. */
static void drm_gem_shrinker_test_exported_while_revoking(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_revoking(test);

	KUNIT_EXPECT_EQ(test, drm_gem_reclaim_export(&bo->base), 0);
	drm_gem_shrinker_test_answered(test);
	KUNIT_EXPECT_FALSE(test, bo->evict_seq);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);

	mock_put(bo);
}

/* Given up before it is evicted: it is, and then purged, and swap is freed. */
static void drm_gem_shrinker_test_dontneed_while_revoking(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_revoking(test);
	struct drm_gem_shrinker_stats stats;

	KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, bo->offers, 1);
	drm_gem_shrinker_test_answered(test);
	KUNIT_EXPECT_TRUE(test, bo->evict_seq);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 0);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
	KUNIT_EXPECT_TRUE(test, bo->purge_seq);
	KUNIT_EXPECT_FALSE(test, bo->swapped);
	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.purged_bos, 1);
	KUNIT_EXPECT_EQ(test, stats.purged_pages, 0);
	KUNIT_EXPECT_FALSE(test, mock_willneed(bo));
	KUNIT_EXPECT_EQ(test, mock_job(bo), -EINVAL);

	mock_put(bo);
}

/* What vmscan is told that there is to purge. */
static unsigned long drm_gem_shrinker_test_offer(struct mock_device *mock)
{
	struct shrinker *purge = mock->drm.gem_shrinker->purge;
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };

	return purge->count_objects(purge, &sc);
}

/* Evicted, then given up: it is not resident, but costs swap. */
static void drm_gem_shrinker_test_dontneed_when_evicted(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		bos[i] = mock_create(test, TEST_PAGES);
		KUNIT_EXPECT_EQ(test, mock_job(bos[i]), 0);
	}
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 2 * TEST_PAGES);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock), SHRINK_EMPTY);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_TRUE(test, mock_dontneed(bos[i]));
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock), 2 * TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 0);

	/* Taken back in time it is all there. */
	KUNIT_EXPECT_TRUE(test, mock_willneed(bos[0]));
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, mock_job(bos[0]), 0);
	KUNIT_EXPECT_FALSE(test, bos[0]->purge_seq);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).evictable_pages, TEST_PAGES);

	KUNIT_EXPECT_TRUE(test, bos[1]->purge_seq);
	KUNIT_EXPECT_FALSE(test, bos[1]->swapped);
	KUNIT_EXPECT_FALSE(test, mock_willneed(bos[1]));
	KUNIT_EXPECT_EQ(test, mock_job(bos[1]), -EINVAL);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, TEST_PAGES);

	mock_put_many(bos, 2);
}

/* To free swap may take I/O, so not all scans can do it by themselves. */
static void drm_gem_shrinker_test_who_frees_swap(struct kunit *test)
{
	static const struct {
		gfp_t gfp;	/* 0 is the OOM notifier */
		bool self;
	} cases[] = {
		{ GFP_KERNEL, true }, { GFP_NOFS }, { GFP_NOIO }, { GFP_NOWAIT }, {},
	};
	struct mock_device *mock = test->priv;
	struct shrinker *purge = mock->drm.gem_shrinker->purge;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct shrink_control sc = { .gfp_mask = cases[i].gfp, .nr_to_scan = 1 };
		struct mock_object *bo = mock_create(test, TEST_PAGES);
		unsigned long freed;

		KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
		mock_dontneed(bo);
		if (sc.gfp_mask)
			freed = purge->scan_objects(purge, &sc);
		else
			freed = drm_gem_shrinker_oom(&mock->drm);
		KUNIT_EXPECT_TRUE(test, mock_wait(mock, READ_ONCE(bo->purge_seq)));
		drm_gem_shrinker_drain(&mock->drm);
		KUNIT_EXPECT_EQ(test, bo->purger == current, cases[i].self);

		/* A victim is spared by it, and vmscan hears of it later. */
		if (cases[i].self || !sc.gfp_mask)
			KUNIT_EXPECT_EQ(test, freed, TEST_PAGES);
		else
			KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock), TEST_PAGES);
		mock_scan_all(mock);
		KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock), SHRINK_EMPTY);

		mock_put(bo);
	}
}

/* A job may use what is given up. What comes back is purgeable then. */
static void drm_gem_shrinker_test_dontneed_comes_back(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);

	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
	KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).evictable_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);

	mock_put(bo);
}

/* To keep it from being lost, too, is not for the device to decide. */
static void drm_gem_shrinker_test_device_keeps_evicted(struct kunit *test)
{
	static const enum mock_answer answers[] = {
		MOCK_ANSWER_AT_ONCE, MOCK_ANSWER_SOON, MOCK_ANSWER_NEVER,
	};
	struct mock_device *mock = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		struct mock_object *bo = mock_create(test, TEST_PAGES);

		mock->error = -EIO;
		mock->answer = answers[i];
		KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
		mock_answer(mock, 1);
		drm_gem_shrinker_drain(&mock->drm);
		mock->error = 0;
		mock->answer = MOCK_ANSWER_AT_ONCE;

		KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_DEVICE], i + 1);
		KUNIT_EXPECT_EQ(test, mock_stats(mock).evictable_pages, 0);
		KUNIT_EXPECT_EQ(test, mock_stats(mock).unevictable_pages, TEST_PAGES);
		KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
		KUNIT_EXPECT_EQ(test, bo->offers, 1);
		KUNIT_EXPECT_EQ(test, mock_job(bo), 0);

		mock_dontneed(bo);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
		mock_put(bo);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->evictions), 0);
}

/* A command that was not sent is, by the next scan. */
static void drm_gem_shrinker_test_evict_unsent(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		bos[i] = mock_create(test, TEST_PAGES);
	mock->unsent = 1;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).evictable_pages, 2 * TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 2 * TEST_PAGES);
	KUNIT_EXPECT_LT(test, bos[0]->evict_seq, bos[1]->evict_seq);

	mock_put_many(bos, 2);
}

static void drm_gem_shrinker_test_evict_hook_fails(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);

	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	mock->evict_error = -EBUSY;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, bo->offers, 1);
	mock->evict_error = 0;
	drm_gem_shrinker_test_expect_kept_for(test, bo, DRM_GEM_REFUSED_DRIVER);

	mock_put(bo);
}

/* The finisher evicts, without a scan, each as soon as it gets the resv. */
static void drm_gem_shrinker_test_late_evict_needs_no_scan(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[2];
	unsigned long scans;
	unsigned int i;

	for (i = 0; i < 2; i++)
		bos[i] = mock_create(test, TEST_PAGES);
	mock->answer = MOCK_ANSWER_NEVER;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	/* The device is not given more of the kind to do meanwhile. */
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	scans = mock_stats(mock).scans;

	dma_resv_lock(bos[0]->base.resv, NULL);
	KUNIT_EXPECT_EQ(test, mock_answer(mock, 2), 2);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, READ_ONCE(bos[1]->evict_seq)));
	KUNIT_EXPECT_FALSE(test, bos[0]->evict_seq);
	dma_resv_unlock(bos[0]->base.resv);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, READ_ONCE(bos[0]->evict_seq)));
	drm_gem_shrinker_drain(&mock->drm);

	KUNIT_EXPECT_EQ(test, mock_stats(mock).evicted_pages, 2 * TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).scans, scans);
	/* Nothing was freed, and nobody is told that it was. */
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, mock_job(bos[i]), 0);

	mock_put_many(bos, 2);
}

static void drm_gem_shrinker_test_free_evicted(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos); i++)
		bos[i] = mock_create(test, TEST_PAGES);
	/* Before a scan has seen it, after, evicted, and evicted and given up. */
	mock_put(bos[1]);
	mock->refusal = -EAGAIN;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	mock->refusal = 0;
	mock_put(bos[2]);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 2 * TEST_PAGES);
	mock_put(bos[0]);
	mock_dontneed(bos[3]);
	mock_put(bos[3]);

	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), ARRAY_SIZE(bos));
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
}

/* Lets go of all objects of a batch while the first is being revoked. */
static void drm_gem_shrinker_test_evict_hook_put(struct mock_object *bo)
{
	struct mock_device *mock = to_mock_device(bo->base.dev);
	struct mock_object **bos = mock->hook_data;

	mock->hook = NULL;
	while (*bos)
		mock_put(*bos++);
}

static void drm_gem_shrinker_test_free_in_evict_batch(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[10 + 1] = {};
	unsigned int i;

	for (i = 0; i < 10; i++)
		bos[i] = mock_create(test, 1);
	mock->hook = drm_gem_shrinker_test_evict_hook_put;
	mock->hook_data = bos;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 10);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == 10));
}

static void drm_gem_shrinker_test_free_while_evicting(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = drm_gem_shrinker_test_revoking(test);

	mock_put(bo);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 0);
	drm_gem_shrinker_test_answered(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 1);
}

/* Who needs the pages hears that they cannot be read; next time they can. */
static void drm_gem_shrinker_test_swapin_fails(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);

	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
	mock->swapin_error = -ENOMEM;
	KUNIT_EXPECT_EQ(test, mock_job(bo), -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_pin(bo), -ENOMEM);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).swapped_in_bos, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 0);
	mock->swapin_error = 0;
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, TEST_PAGES);

	mock_put(bo);
}

/* The device kept what was evicted before: there is no place for another one. */
static void drm_gem_shrinker_test_replace_kept(struct kunit *test)
{
	static const int errors[] = { -EIO, -EAGAIN };
	struct mock_device *mock = test->priv;
	unsigned int i, evicted;

	for (i = 0; i < 2 * ARRAY_SIZE(errors); i++) {
		struct mock_object *bo = mock_create(test, TEST_PAGES);

		evicted = i % 2;
		if (evicted)
			KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
		mock_dontneed(bo);
		mock->error = errors[i / 2];
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		mock->error = 0;
		KUNIT_EXPECT_TRUE(test, drm_gem_is_purged(&bo->base));
		KUNIT_EXPECT_FALSE(test, bo->purge_seq);

		dma_resv_lock(bo->base.resv, NULL);
		KUNIT_EXPECT_EQ_MSG(test, drm_gem_reclaim_replace(&bo->base), -EBUSY,
				    "case %u", i);
		dma_resv_unlock(bo->base.resv);
		mock_put(bo);
	}
}

static struct kunit_case drm_gem_shrinker_evict_late_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_used_while_revoking),
	KUNIT_CASE(drm_gem_shrinker_test_pinned_while_revoking),
	KUNIT_CASE(drm_gem_shrinker_test_exported_while_revoking),
	KUNIT_CASE(drm_gem_shrinker_test_dontneed_while_revoking),
	KUNIT_CASE(drm_gem_shrinker_test_dontneed_when_evicted),
	KUNIT_CASE(drm_gem_shrinker_test_who_frees_swap),
	KUNIT_CASE(drm_gem_shrinker_test_dontneed_comes_back),
	KUNIT_CASE(drm_gem_shrinker_test_device_keeps_evicted),
	KUNIT_CASE(drm_gem_shrinker_test_evict_unsent),
	KUNIT_CASE(drm_gem_shrinker_test_evict_hook_fails),
	KUNIT_CASE(drm_gem_shrinker_test_late_evict_needs_no_scan),
	KUNIT_CASE(drm_gem_shrinker_test_free_evicted),
	KUNIT_CASE(drm_gem_shrinker_test_free_in_evict_batch),
	KUNIT_CASE(drm_gem_shrinker_test_free_while_evicting),
	KUNIT_CASE(drm_gem_shrinker_test_swapin_fails),
	KUNIT_CASE(drm_gem_shrinker_test_replace_kept),
	{}
};

static struct kunit_suite drm_gem_shrinker_evict_late_suite = {
	.name = "drm_gem_shrinker_evict_late",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_evict_late_tests,
};

kunit_test_suite(drm_gem_shrinker_evict_late_suite);
