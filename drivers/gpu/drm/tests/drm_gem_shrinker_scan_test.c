// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * What a scan takes, in which order, what it passes over, and what it asks of
 * the device.
 */

#include <linux/shrinker.h>

#include "../drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_mock.h"

#define TEST_MANY	100

/* All scan in the order in which they were given up, over any number of scans. */
static void drm_gem_shrinker_test_oldest_first(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];
	unsigned int i, scans = 0;

	for (i = 0; i < TEST_MANY; i++)
		bos[i] = mock_create(test, 1);
	for (i = 0; i < TEST_MANY; i++)
		mock_dontneed(bos[i * 37 % TEST_MANY]);

	while (mock_scan_batch(mock)) {
		unsigned int nr = min(++scans * DRM_GEM_REVOKE_BATCH, TEST_MANY);

		for (i = 0; i < TEST_MANY; i++)
			KUNIT_EXPECT_EQ(test, !!bos[i * 37 % TEST_MANY]->purge_seq, i < nr);
	}
	for (i = 1; i < TEST_MANY; i++)
		KUNIT_EXPECT_GT(test, bos[i * 37 % TEST_MANY]->revoke_seq,
				bos[(i - 1) * 37 % TEST_MANY]->revoke_seq);

	mock_put_many(bos, TEST_MANY);
}

static void drm_gem_shrinker_test_second_chance_once(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock_create_many(test, bos, 3, 1);
	drm_gem_mark_used(&bos[0]->base);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 2);
	KUNIT_EXPECT_FALSE(test, bos[0]->offers);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_USED], 1);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);

	mock_put_many(bos, 3);
}

/* A scan that comes by again is another scan, also if it is the same call. */
static void drm_gem_shrinker_test_looks_once_per_scan(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];
	unsigned int i;

	mock_create_many(test, bos, TEST_MANY, 1);
	for (i = 0; i < TEST_MANY; i++)
		drm_gem_mark_used(&bos[i]->base);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_USED], TEST_MANY);

	mock->refusal = -EAGAIN;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	for (i = 0; i < TEST_MANY; i++)
		KUNIT_EXPECT_EQ(test, bos[i]->offers, 1);

	mock_put_many(bos, TEST_MANY);
}

/* Jobs from before it was given up do not count. */
static void drm_gem_shrinker_test_used_before_is_unused(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, 1);

	drm_gem_mark_used(&bo->base);
	mock_dontneed(bo);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);

	mock_put(bo);
}

static void drm_gem_shrinker_test_busy_until_signaled(struct kunit *test)
{
	static const enum dma_resv_usage usages[] = {
		DMA_RESV_USAGE_KERNEL, DMA_RESV_USAGE_WRITE,
		DMA_RESV_USAGE_READ, DMA_RESV_USAGE_BOOKKEEP,
	};
	struct mock_device *mock = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(usages); i++) {
		struct mock_object *bos[3];
		struct dma_fence *fence;

		mock_create_many(test, bos, 3, 1);
		fence = mock_busy(test, bos[1], usages[i]);

		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 2);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_FALSE(test, bos[1]->offers);
		KUNIT_EXPECT_FALSE(test, drm_gem_is_purged(&bos[1]->base));
		KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_BUSY], 2 * (i + 1));

		mock_idle(fence);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);
		mock_put_many(bos, 3);
	}
}

static void drm_gem_shrinker_test_locked_is_skipped(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock_create_many(test, bos, 3, 1);

	dma_resv_lock(bos[1]->base.resv, NULL);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 2);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_LOCKED], 1);
	dma_resv_unlock(bos[1]->base.resv);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);

	mock_put_many(bos, 3);
}

static void drm_gem_shrinker_test_resv_unlocked(struct mock_device *mock)
{
	struct mock_object *bo;

	list_for_each_entry(bo, &mock->owed, owed)
		mock_rule(mock, !dma_resv_is_locked(bo->base.resv));
}

/* One resv is held at a time, none while waiting, and objects may share one. */
static void drm_gem_shrinker_test_shared_resv(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos); i++) {
		bos[i] = mock_create_bare(test, 1);
		/* The first one's is used by the first half. */
		if (i && i < ARRAY_SIZE(bos) / 2)
			bos[i]->base.resv = bos[0]->base.resv;
		mock_add(bos[i]);
		mock_dontneed(bos[i]);
	}

	mock->answer = MOCK_ANSWER_SOON;
	mock->soon_hook = drm_gem_shrinker_test_resv_unlocked;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), ARRAY_SIZE(bos));
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->flushes), 1);

	mock_put_many(bos, ARRAY_SIZE(bos));
}

static void drm_gem_shrinker_test_one_flush_per_batch(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];

	mock->answer = MOCK_ANSWER_SOON;
	mock_create_many(test, bos, TEST_MANY, 64);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_MANY * 64);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->revoked), TEST_MANY);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->flushes),
			DIV_ROUND_UP(TEST_MANY, DRM_GEM_REVOKE_BATCH));
	KUNIT_EXPECT_LE(test, mock_stats(mock).waits,
			DIV_ROUND_UP(TEST_MANY, DRM_GEM_REVOKE_BATCH));

	mock_put_many(bos, TEST_MANY);
}

static void drm_gem_shrinker_test_hook_ahead(struct mock_object *bo)
{
	struct mock_device *mock = to_mock_device(bo->base.dev);
	unsigned int *ahead = mock->hook_data;

	*ahead = max_t(unsigned int, *ahead, atomic_read(&mock->revoked) -
					     atomic_read(&mock->purges) -
					     atomic_read(&mock->evictions));
}

/*
 * While what it has let go of is freed, the device has more to do; but not much, and
 * not with what may be needed while others are written out.
 */
static void drm_gem_shrinker_test_sends_ahead(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];
	unsigned int i, ahead = 0;

	mock->answer = MOCK_ANSWER_SOON;
	mock->hook = drm_gem_shrinker_test_hook_ahead;
	mock->hook_data = &ahead;
	for (i = 0; i < TEST_MANY; i++)
		bos[i] = mock_create(test, 1);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_MANY);
	KUNIT_EXPECT_LT(test, ahead, DRM_GEM_REVOKE_BATCH);
	mock_put_many(bos, TEST_MANY);

	mock_create_many(test, bos, TEST_MANY, 1);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_MANY);
	KUNIT_EXPECT_GE(test, ahead, DRM_GEM_REVOKE_BATCH);
	KUNIT_EXPECT_LT(test, ahead, 2 * DRM_GEM_REVOKE_BATCH);

	mock->hook = NULL;
	mock_put_many(bos, TEST_MANY);
}

/* However few pages it asks for, vmscan wants half of what there is, and at once. */
static void drm_gem_shrinker_test_vmscan_wants_half(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct shrinker *purge = mock->drm.gem_shrinker->purge;
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = 1 };
	struct mock_object *bos[TEST_MANY];
	unsigned int ahead = 0;

	mock->answer = MOCK_ANSWER_SOON;
	mock->hook = drm_gem_shrinker_test_hook_ahead;
	mock->hook_data = &ahead;
	mock_create_many(test, bos, TEST_MANY, 1);

	KUNIT_EXPECT_EQ(test, purge->scan_objects(purge, &sc),
			round_up(TEST_MANY / 2, DRM_GEM_REVOKE_BATCH));
	KUNIT_EXPECT_EQ(test, sc.nr_scanned,
			round_up(TEST_MANY / 2, DRM_GEM_REVOKE_BATCH));
	KUNIT_EXPECT_GE(test, ahead, DRM_GEM_REVOKE_BATCH);

	mock->hook = NULL;
	mock_put_many(bos, TEST_MANY);
}

/* A ring that is smaller than the batches is waited for, and does not end the scan. */
static void drm_gem_shrinker_test_little_room(struct kunit *test)
{
	static const unsigned int rooms[] = {
		1, 10, DRM_GEM_REVOKE_BATCH, DRM_GEM_REVOKE_BATCH + 10,
	};
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];
	unsigned int i, j;

	mock->answer = MOCK_ANSWER_SOON;
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		mock->room = rooms[i];
		for (j = 0; j < TEST_MANY; j++)
			bos[j] = mock_create(test, 1);
		KUNIT_EXPECT_EQ(test, mock_evict_all(mock), TEST_MANY);
		mock_put_many(bos, TEST_MANY);

		mock_create_many(test, bos, TEST_MANY, 1);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), TEST_MANY);
		for (j = 1; j < TEST_MANY; j++)
			KUNIT_EXPECT_GT(test, bos[j]->revoke_seq,
					bos[j - 1]->revoke_seq);
		mock_put_many(bos, TEST_MANY);
	}
}

static void drm_gem_shrinker_test_clients_make_room(struct mock_object *bo)
{
	struct mock_device *mock = to_mock_device(bo->base.dev);

	if (bo->offers == 5)
		atomic_set(&mock->reserved[MOCK_RESERVE_RING], 0);
}

/* A ring full of what others sent has room again soon, too soon to kill for it. */
static void drm_gem_shrinker_test_oom_waits_for_room(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, 6);

	mock->room = 1;
	atomic_set(&mock->reserved[MOCK_RESERVE_RING], 1);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, bo->offers, 1);

	/* Not for ever: a client may fill it again each time. */
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 0);
	KUNIT_EXPECT_GT(test, bo->offers, 2);

	bo->offers = 0;
	mock->hook = drm_gem_shrinker_test_clients_make_room;
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 6);
	KUNIT_EXPECT_EQ(test, bo->offers, 5);

	mock_put(bo);
}

/* Being asked for one page is no reason for one round trip per object. */
static void drm_gem_shrinker_test_small_scan_is_a_batch(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];

	mock_create_many(test, bos, TEST_MANY, 2);
	KUNIT_EXPECT_EQ(test, mock_scan_batch(mock), 2 * DRM_GEM_REVOKE_BATCH);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->flushes), 1);
	/* But not of all: what a scan is asked for is what it stops after. */
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), DRM_GEM_REVOKE_BATCH);

	mock_put_many(bos, TEST_MANY);
}

static void drm_gem_shrinker_test_nothing_to_do(struct kunit *test)
{
	struct mock_device *mock = test->priv;

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->flushes), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).waits, 0);
}

static void drm_gem_shrinker_test_refuse(struct kunit *test, enum mock_reserve reserve,
					 unsigned int after, int refusal)
{
	struct mock_device *mock = test->priv;
	struct drm_gem_shrinker_stats before, stats;
	struct mock_object *bos[8];
	unsigned int i;

	mock_create_many(test, bos, ARRAY_SIZE(bos), 1);
	mock->refused = reserve;
	mock->refuse_after = after;
	mock->refusal = refusal;
	before = mock_stats(mock);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), after);

	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.purgeable_pages, ARRAY_SIZE(bos) - after);
	KUNIT_EXPECT_EQ(test, stats.resident_pages, ARRAY_SIZE(bos) - after);
	KUNIT_EXPECT_EQ(test, stats.purged_bos, before.purged_bos + after);
	/* EBUSY is for all the rest until there was an answer, EAGAIN for this one. */
	KUNIT_EXPECT_EQ(test, stats.refused[DRM_GEM_REFUSED_DRIVER] -
			before.refused[DRM_GEM_REFUSED_DRIVER],
			refusal == -EAGAIN ? ARRAY_SIZE(bos) - after : after ? 2 : 1);
	for (i = 0; i < ARRAY_SIZE(bos); i++) {
		KUNIT_EXPECT_EQ(test, !!bos[i]->purge_seq, i < after);
		KUNIT_EXPECT_EQ(test, drm_gem_is_purged(&bos[i]->base), i < after);
	}

	/* User space sees nothing of it, and the next scan has more luck. */
	KUNIT_EXPECT_TRUE(test, mock_willneed(bos[7]));
	mock_dontneed(bos[7]);
	mock->refusal = 0;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), ARRAY_SIZE(bos) - after);
	mock_put_many(bos, ARRAY_SIZE(bos));
}

/* A driver that is out of something leaves all as it was, wherever it stops. */
static void drm_gem_shrinker_test_refused_reserve(struct kunit *test)
{
	static const unsigned int after[] = { 0, 1, 7 };
	unsigned int i, reserve;

	for (reserve = 0; reserve < MOCK_RESERVES; reserve++) {
		for (i = 0; i < ARRAY_SIZE(after); i++) {
			drm_gem_shrinker_test_refuse(test, reserve, after[i], -EAGAIN);
			drm_gem_shrinker_test_refuse(test, reserve, after[i], -EBUSY);
		}
	}
}

/* Those that the driver had no room for were not looked at: they are next. */
static void drm_gem_shrinker_test_refused_keeps_order(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[TEST_MANY];
	unsigned int i;

	mock_create_many(test, bos, TEST_MANY, 1);
	for (i = 0; i < TEST_MANY; i += 10) {
		mock->refusal = -EBUSY;
		mock->refuse_after = 10;
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 10);
	}
	for (i = 1; i < TEST_MANY; i++)
		KUNIT_EXPECT_GT(test, bos[i]->revoke_seq, bos[i - 1]->revoke_seq);

	mock_put_many(bos, TEST_MANY);
}

static void drm_gem_shrinker_test_hook_willneed(struct mock_object *bo)
{
	mock_rule(to_mock_device(bo->base.dev), mock_willneed(bo));
}

static void drm_gem_shrinker_test_hook_open(struct mock_object *bo)
{
	drm_gem_reclaim_open(&bo->base);
	drm_gem_reclaim_open(&bo->base);
}

static void drm_gem_shrinker_test_hook_export(struct mock_object *bo)
{
	mock_rule(to_mock_device(bo->base.dev), !drm_gem_reclaim_export(&bo->base));
}

/* Who comes in after the scan picked the object, and before it is too late. */
static void drm_gem_shrinker_test_lost_race_sends_nothing(struct kunit *test)
{
	static void (* const hooks[])(struct mock_object *bo) = {
		drm_gem_shrinker_test_hook_willneed,
		drm_gem_shrinker_test_hook_open,
		drm_gem_shrinker_test_hook_export,
	};
	struct mock_device *mock = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		struct mock_object *bo = mock_create_idle(test, 1);

		mock->hook = hooks[i];
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		mock->hook = NULL;
		KUNIT_EXPECT_EQ(test, atomic_read(&mock->lost), i + 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&mock->revoked), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&mock->flushes), 0);

		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_TRUE(test, mock_willneed(bo));
		mock_put(bo);
	}
}

static struct kunit_case drm_gem_shrinker_scan_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_oldest_first),
	KUNIT_CASE(drm_gem_shrinker_test_second_chance_once),
	KUNIT_CASE(drm_gem_shrinker_test_looks_once_per_scan),
	KUNIT_CASE(drm_gem_shrinker_test_used_before_is_unused),
	KUNIT_CASE(drm_gem_shrinker_test_busy_until_signaled),
	KUNIT_CASE(drm_gem_shrinker_test_locked_is_skipped),
	KUNIT_CASE(drm_gem_shrinker_test_shared_resv),
	KUNIT_CASE(drm_gem_shrinker_test_one_flush_per_batch),
	KUNIT_CASE(drm_gem_shrinker_test_sends_ahead),
	KUNIT_CASE(drm_gem_shrinker_test_vmscan_wants_half),
	KUNIT_CASE(drm_gem_shrinker_test_little_room),
	KUNIT_CASE(drm_gem_shrinker_test_oom_waits_for_room),
	KUNIT_CASE(drm_gem_shrinker_test_small_scan_is_a_batch),
	KUNIT_CASE(drm_gem_shrinker_test_nothing_to_do),
	KUNIT_CASE(drm_gem_shrinker_test_refused_reserve),
	KUNIT_CASE(drm_gem_shrinker_test_refused_keeps_order),
	KUNIT_CASE(drm_gem_shrinker_test_lost_race_sends_nothing),
	{}
};

static struct kunit_suite drm_gem_shrinker_scan_suite = {
	.name = "drm_gem_shrinker_scan",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_scan_tests,
};

kunit_test_suite(drm_gem_shrinker_scan_suite);
