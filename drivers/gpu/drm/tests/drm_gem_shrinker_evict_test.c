// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Eviction: when it is offered, what it takes and in which order, and that the
 * contents come back.
 */

#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/shrinker.h>

#include <drm/drm_file.h>
#include <drm/drm_prime.h>

#include "../drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_mock.h"

#define TEST_PAGES	4
#define TEST_MANY	100
#define TEST_ASKED	5

/* What vmscan is told that there is; in words: all, none, or that it be off. */
static unsigned long drm_gem_shrinker_test_offer(struct mock_device *mock, gfp_t gfp)
{
	struct shrinker *evict = mock->drm.gem_shrinker->evict;
	struct shrink_control sc = { .gfp_mask = gfp };

	return evict->count_objects(evict, &sc);
}

/* Counted, and scanned by one who does not believe the count. */
static void drm_gem_shrinker_test_expect_off(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	int offers = atomic_read(&mock->offers);

	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), offers);
}

static void drm_gem_shrinker_test_evicted_comes_back(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);
	struct drm_gem_shrinker_stats stats;
	unsigned int i;

	for (i = 1; i <= 3; i++) {
		KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
		KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock, GFP_KERNEL), TEST_PAGES);
		if (i > 1)
			KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
		KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
		stats = mock_stats(mock);
		KUNIT_EXPECT_EQ(test, stats.resident_pages, 0);
		KUNIT_EXPECT_EQ(test, stats.evictable_pages, 0);
		KUNIT_EXPECT_EQ(test, stats.evicted_bos, i);
		KUNIT_EXPECT_EQ(test, stats.evicted_pages, i * TEST_PAGES);

		/* It is no more to be had, and not lost. */
		KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock, GFP_KERNEL), SHRINK_EMPTY);
		KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_EQ(test, bo->offers, i);
		KUNIT_EXPECT_FALSE(test, drm_gem_is_purged(&bo->base));
		KUNIT_EXPECT_FALSE(test, bo->pages);

		KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
		stats = mock_stats(mock);
		KUNIT_EXPECT_EQ(test, stats.swapped_in_bos, i);
		KUNIT_EXPECT_EQ(test, stats.swapped_in_pages, i * TEST_PAGES);
		KUNIT_EXPECT_EQ(test, stats.resident_pages, TEST_PAGES);
		KUNIT_EXPECT_EQ(test, stats.evictable_pages, TEST_PAGES);
	}
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purged_bos, 0);

	mock_put(bo);
}

static void drm_gem_shrinker_test_no_swap_no_evict(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos); i++)
		bos[i] = mock_create(test, TEST_PAGES);

	WRITE_ONCE(mock->no_swap, true);
	drm_gem_shrinker_test_expect_off(test);
	/* To purge takes none. */
	mock_dontneed(bos[0]);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);

	WRITE_ONCE(mock->no_swap, false);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock, GFP_KERNEL), 2 * TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 2 * TEST_PAGES);

	mock_put_many(bos, ARRAY_SIZE(bos));
}

/* Whoever holds a lock of the filesystem must not be made to wait for it. */
static void drm_gem_shrinker_test_evict_needs_fs(struct kunit *test)
{
	static const gfp_t refused[] = { GFP_NOFS, GFP_NOIO, GFP_NOWAIT, GFP_ATOMIC };
	struct mock_device *mock = test->priv;
	struct shrinker *evict = mock->drm.gem_shrinker->evict;
	struct mock_object *bo = mock_create(test, TEST_PAGES);
	struct shrink_control sc = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		sc.gfp_mask = refused[i];
		sc.nr_to_scan = TEST_PAGES;
		KUNIT_EXPECT_EQ(test, evict->count_objects(evict, &sc), 0);
		KUNIT_EXPECT_EQ(test, evict->scan_objects(evict, &sc), SHRINK_STOP);
	}
	KUNIT_EXPECT_FALSE(test, bo->offers);

	/* Nothing is free at once, and what was looked at is said. */
	sc.gfp_mask = GFP_KERNEL;
	sc.nr_to_scan = 1;
	sc.nr_scanned = 1;
	KUNIT_EXPECT_EQ(test, evict->scan_objects(evict, &sc), 0);
	KUNIT_EXPECT_EQ(test, sc.nr_scanned, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->evictions), 1);

	mock_put(bo);
}

static void drm_gem_shrinker_test_purge_before_evict(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *needed = mock_create(test, TEST_PAGES);
	struct mock_object *bo = mock_create_idle(test, 1);

	drm_gem_shrinker_test_expect_off(test);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);

	mock_put(bo);
	mock_put(needed);
}

/* What cannot be purged stands in the way only until that is known. */
static void drm_gem_shrinker_test_unpurgeable_does_not_block(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *needed = mock_create(test, TEST_PAGES);
	struct mock_object *bos[3];
	struct dma_fence *fence;

	mock_create_many(test, bos, 2, 1);
	fence = mock_busy(test, bos[0], DMA_RESV_USAGE_BOOKKEEP);

	/* A scan that finds something may find more. */
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);
	drm_gem_shrinker_test_expect_off(test);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock, GFP_KERNEL), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);

	/* Of what is given up after that nothing is known. */
	KUNIT_EXPECT_EQ(test, mock_job(needed), 0);
	bos[2] = mock_create_idle(test, 1);
	drm_gem_shrinker_test_expect_off(test);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);

	mock_idle(fence);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);
	mock_put_many(bos, 3);
	mock_put(needed);
}

/* However many they are: vmscan asks for a page at a time, which is a batch. */
static void drm_gem_shrinker_test_many_unpurgeable(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *needed = mock_create(test, TEST_PAGES);
	struct mock_object *bos[3 * DRM_GEM_REVOKE_BATCH];
	unsigned int i;

	mock_create_many(test, bos, ARRAY_SIZE(bos), 1);
	mock->refusal = -EAGAIN;
	for (i = 0; i < ARRAY_SIZE(bos); i += DRM_GEM_REVOKE_BATCH) {
		drm_gem_shrinker_test_expect_off(test);
		KUNIT_EXPECT_EQ(test, mock_scan_batch(mock), 0);
	}
	mock->refusal = 0;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);

	mock_put_many(bos, ARRAY_SIZE(bos));
	mock_put(needed);
}

/* That a scan looked at nothing says nothing of what there is. */
static void drm_gem_shrinker_test_not_looked_at(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *needed = mock_create(test, TEST_PAGES);
	struct mock_object *bos[2];

	mock->answer = MOCK_ANSWER_NEVER;
	bos[0] = mock_create_idle(test, 1);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	bos[1] = mock_create_idle(test, 1);
	/* The device owes an answer, so this one does nothing. */
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_answer(mock, 1);
	drm_gem_shrinker_drain(&mock->drm);

	mock->answer = MOCK_ANSWER_AT_ONCE;
	drm_gem_shrinker_test_expect_off(test);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 2);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);

	mock_put_many(bos, 2);
	mock_put(needed);
}

static void drm_gem_shrinker_test_evict_oldest_first(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];
	unsigned int i, scans = 0;

	for (i = 0; i < TEST_MANY; i++)
		bos[i] = mock_create(test, 1);

	/* As many as are asked for, unlike purging. */
	while (mock_evict(mock, TEST_ASKED)) {
		unsigned int nr = min(++scans * TEST_ASKED, TEST_MANY);

		for (i = 0; i < TEST_MANY; i++)
			KUNIT_EXPECT_EQ(test, !!bos[i]->evict_seq, i < nr);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->flushes),
			DIV_ROUND_UP(TEST_MANY, TEST_ASKED));
	for (i = 1; i < TEST_MANY; i++)
		KUNIT_EXPECT_GT(test, bos[i]->revoke_seq, bos[i - 1]->revoke_seq);

	/* Those that come back are the youngest, in the order in which they did. */
	KUNIT_EXPECT_EQ(test, mock_job(bos[7]), 0);
	KUNIT_EXPECT_EQ(test, mock_job(bos[3]), 0);
	KUNIT_EXPECT_EQ(test, mock_evict_again(mock), 2);
	KUNIT_EXPECT_LT(test, bos[7]->evict_seq, bos[3]->evict_seq);

	mock_put_many(bos, TEST_MANY);
}

/* I/O takes its time, and keeps nobody else from anything. */
static void drm_gem_shrinker_test_holds_nothing(struct mock_object *bo)
{
	struct mock_device *mock = to_mock_device(bo->base.dev);

	mock_rule(mock, !READ_ONCE(mock->drm.gem_shrinker->busy));
	mock_rule(mock, dma_resv_trylock(bo->base.resv));
	dma_resv_unlock(bo->base.resv);
	/* Whoever has another needs this one no more, either. */
	mock_rule(mock, atomic_read(&mock->evictions) == 2);
}

static void drm_gem_shrinker_test_evict_writes(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct shrinker *evict = mock->drm.gem_shrinker->evict;
	struct shrink_control sc = { .nr_to_scan = 2 * TEST_PAGES };
	struct mock_object *bos[2];

	bos[0] = mock_create(test, TEST_PAGES);
	bos[1] = mock_create(test, TEST_PAGES);
	mock->pageout_hook = drm_gem_shrinker_test_holds_nothing;
	sc.gfp_mask = GFP_KERNEL;
	evict->scan_objects(evict, &sc);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->pageouts), 2);
	mock_put_many(bos, 2);

	/* Swap may be a file of a filesystem, and a disk that needs memory. */
	bos[0] = mock_create(test, TEST_PAGES);
	sc.gfp_mask = GFP_KERNEL & ~__GFP_IO;
	evict->scan_objects(evict, &sc);
	KUNIT_EXPECT_TRUE(test, bos[0]->evict_seq);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->pageouts), 2);
	mock_put(bos[0]);
}

static void drm_gem_shrinker_test_evict_second_chance(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos); i++)
		bos[i] = mock_create(test, 1);
	drm_gem_mark_used(&bos[0]->base);

	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 2);
	KUNIT_EXPECT_FALSE(test, bos[0]->offers);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_USED], 1);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 1);

	mock_put_many(bos, ARRAY_SIZE(bos));
}

static void drm_gem_shrinker_test_evict_passes_over(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct drm_gem_shrinker_stats stats;
	struct mock_object *bos[5];
	struct dma_fence *fence;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos); i++)
		bos[i] = mock_create(test, 1);
	fence = mock_busy(test, bos[0], DMA_RESV_USAGE_BOOKKEEP);
	mock_exclude(bos[1], DRM_GEM_RECLAIM_NEVER);
	KUNIT_EXPECT_EQ(test, mock_pin(bos[2]), 0);
	dma_resv_lock(bos[3]->base.resv, NULL);

	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 1);
	KUNIT_EXPECT_TRUE(test, bos[4]->evict_seq);
	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.refused[DRM_GEM_REFUSED_BUSY], 1);
	KUNIT_EXPECT_EQ(test, stats.refused[DRM_GEM_REFUSED_LOCKED], 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), 1);

	dma_resv_unlock(bos[3]->base.resv);
	mock_unpin(bos[2]);
	mock_idle(fence);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 3);

	mock_put_many(bos, ARRAY_SIZE(bos));
}

/* Some drivers cannot at all, others not with each object. */
static void drm_gem_shrinker_test_unevictable_is_purged(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[2];

	mock->no_evict = true;
	bos[0] = mock_create(test, TEST_PAGES);
	mock->no_evict = false;
	bos[1] = mock_create(test, TEST_PAGES);
	mock_exclude(bos[1], DRM_GEM_RECLAIM_NOEVICT);

	KUNIT_EXPECT_EQ(test, mock_stats(mock).unevictable_pages, 2 * TEST_PAGES);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock, GFP_KERNEL), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), 0);

	mock_include(bos[1], DRM_GEM_RECLAIM_NOEVICT);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
	mock_exclude(bos[1], DRM_GEM_RECLAIM_NOEVICT);

	mock_dontneed(bos[0]);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_PAGES);
	/* It was evicted, and user space may still give it up. */
	mock_dontneed(bos[1]);
	mock_scan_all(mock);
	KUNIT_EXPECT_TRUE(test, bos[1]->purge_seq);

	mock_put_many(bos, 2);
}

/* One has given it up and the other has not: neither loses anything. */
static void drm_gem_shrinker_test_shared_is_evicted(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);

	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	drm_gem_reclaim_open(&bo->base);
	drm_gem_reclaim_open(&bo->base);
	mock_dontneed(bo);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_job(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_evict_again(mock), TEST_PAGES);

	/* The one that is left did give it up: now the swap is freed. */
	drm_gem_reclaim_close(&bo->base, MOCK_OTHER_FILE);
	KUNIT_EXPECT_FALSE(test, bo->purge_seq);
	mock_scan_all(mock);
	KUNIT_EXPECT_TRUE(test, bo->purge_seq);
	KUNIT_EXPECT_EQ(test, mock_job(bo), -EINVAL);

	drm_gem_reclaim_close(&bo->base, MOCK_OTHER_FILE);
	mock_put(bo);
}

static void drm_gem_shrinker_test_exported_is_not_evicted(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, TEST_PAGES);
	struct dma_buf *dma_buf;
	struct drm_file *priv;
	struct file *file = mock_open(test, &priv);
	u32 handle;

	KUNIT_EXPECT_EQ(test, drm_gem_handle_create(priv, &bo->base, &handle), 0);
	dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dma_buf));

	/* It is counted: who else would notice when the last user goes? */
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_test_offer(mock, GFP_KERNEL), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_EXPORTED], 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), 0);

	dma_buf_put(dma_buf);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_PAGES);

	/* What is evicted can be exported; who attaches to it brings it back. */
	dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dma_buf));
	KUNIT_EXPECT_EQ(test, mock_pin(bo), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, TEST_PAGES);
	mock_unpin(bo);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	dma_buf_put(dma_buf);

	mock_close(file);
	flush_delayed_fput();
	mock_put(bo);
}

static struct kunit_case drm_gem_shrinker_evict_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_evicted_comes_back),
	KUNIT_CASE(drm_gem_shrinker_test_no_swap_no_evict),
	KUNIT_CASE(drm_gem_shrinker_test_evict_needs_fs),
	KUNIT_CASE(drm_gem_shrinker_test_purge_before_evict),
	KUNIT_CASE(drm_gem_shrinker_test_unpurgeable_does_not_block),
	KUNIT_CASE(drm_gem_shrinker_test_many_unpurgeable),
	KUNIT_CASE(drm_gem_shrinker_test_not_looked_at),
	KUNIT_CASE(drm_gem_shrinker_test_evict_oldest_first),
	KUNIT_CASE(drm_gem_shrinker_test_evict_writes),
	KUNIT_CASE(drm_gem_shrinker_test_evict_second_chance),
	KUNIT_CASE(drm_gem_shrinker_test_evict_passes_over),
	KUNIT_CASE(drm_gem_shrinker_test_unevictable_is_purged),
	KUNIT_CASE(drm_gem_shrinker_test_shared_is_evicted),
	KUNIT_CASE(drm_gem_shrinker_test_exported_is_not_evicted),
	{}
};

static struct kunit_suite drm_gem_shrinker_evict_suite = {
	.name = "drm_gem_shrinker_evict",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_evict_tests,
};

kunit_test_suite(drm_gem_shrinker_evict_suite);
