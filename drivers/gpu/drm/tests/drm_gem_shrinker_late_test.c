// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Answers that come late, with an error, or never; and how long a scan and the
 * OOM notifier put up with that.
 */

#include <linux/delay.h>
#include <linux/ktime.h>

#include "drm_gem_shrinker_mock.h"

/*
 * Timers are late on a busy machine. The best of a few tries has to show that the
 * deadline was waited for once.
 */
#define TEST_TRIES	8
#define TEST_ONCE(ms)	((ms) * 19 / 10)

/* Adds to *@freed what @scan freed, and returns the shortest time it has taken. */
static s64 drm_gem_shrinker_test_timed(struct mock_device *mock, s64 best,
				       unsigned long (*scan)(struct mock_device *),
				       unsigned long *freed)
{
	ktime_t begin = ktime_get();

	*freed += scan(mock);

	return min(best, ktime_ms_delta(ktime_get(), begin));
}

static unsigned long drm_gem_shrinker_test_oom_scan(struct mock_device *mock)
{
	return drm_gem_shrinker_oom(&mock->drm);
}

/* The pages stay as long as the answer does not come, whatever user space says. */
static void drm_gem_shrinker_test_unanswered_keeps_pages(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];
	struct drm_gem_shrinker_stats stats;

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 3, 2);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->revoked), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), 0);
	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.resident_pages, 6);
	KUNIT_EXPECT_EQ(test, stats.purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.waits, 1);
	/* Jiffies may be shorter than they should be by one. */
	KUNIT_EXPECT_GE(test, stats.longest_wait_us,
			DRM_GEM_REVOKE_DEADLINE_MS * 900);
	KUNIT_EXPECT_EQ(test, stats.late, 1);

	/* It was decided when the command went out. */
	KUNIT_EXPECT_FALSE(test, mock_willneed(bos[0]));
	KUNIT_EXPECT_FALSE(test, mock_dontneed(bos[1]));
	KUNIT_EXPECT_EQ(test, drm_gem_reclaim_export(&bos[2]->base), -EINVAL);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), 0);

	KUNIT_EXPECT_EQ(test, mock_answer(mock, 3), 3);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->purges) == 3));
	mock_put_many(bos, 3);
}

/* One deadline is paid per answer that does not come, not one per scan. */
static void drm_gem_shrinker_test_waits_once(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[2];
	s64 best = S64_MAX;
	unsigned long waits, freed = 0;
	unsigned int i;

	for (i = 0; i < TEST_TRIES; i++) {
		waits = mock_stats(mock).waits;
		mock->answer = MOCK_ANSWER_NEVER;
		bos[0] = mock_create_idle(test, 1);
		best = drm_gem_shrinker_test_timed(mock, best, mock_scan_all, &freed);
		KUNIT_EXPECT_EQ(test, freed, 0);
		KUNIT_EXPECT_EQ(test, mock_stats(mock).waits, waits + 1);

		/* The device is not given more to do, or waited for. */
		bos[1] = mock_create_idle(test, 1);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_EQ(test, mock_scan_batch(mock), 0);
		KUNIT_EXPECT_FALSE(test, bos[1]->offers);
		KUNIT_EXPECT_EQ(test, mock_stats(mock).waits, waits + 1);

		/* It is once it has answered. */
		KUNIT_EXPECT_EQ(test, mock_answer(mock, 1), 1);
		KUNIT_EXPECT_TRUE(test, mock_wait(mock, READ_ONCE(bos[0]->purge_seq)));
		drm_gem_shrinker_drain(&mock->drm);
		mock->answer = MOCK_ANSWER_SOON;
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 2);
		KUNIT_EXPECT_TRUE(test, bos[1]->purge_seq);
		mock_put_many(bos, 2);
	}
	KUNIT_EXPECT_GE(test, best, DRM_GEM_REVOKE_DEADLINE_MS / 2);
	KUNIT_EXPECT_LE(test, best, TEST_ONCE(DRM_GEM_REVOKE_DEADLINE_MS));
}

static void drm_gem_shrinker_test_hook_slow(struct mock_device *mock)
{
	msleep(DRM_GEM_REVOKE_DEADLINE_MS / 4);
}

/* Whoever gets but little done at a time does not pay a deadline each time. */
static void drm_gem_shrinker_test_slow_with_little_room(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[20];
	unsigned long freed;

	mock->answer = MOCK_ANSWER_SOON;
	mock->soon_hook = drm_gem_shrinker_test_hook_slow;
	mock->room = 1;
	mock_create_many(test, bos, ARRAY_SIZE(bos), 1);

	freed = mock_scan_all(mock);
	KUNIT_EXPECT_GE(test, freed, 1);
	/* Jiffies may be shorter than they should be by one. */
	KUNIT_EXPECT_LT(test, freed, 8);

	drm_gem_shrinker_drain(&mock->drm);
	mock->soon_hook = NULL;
	mock->room = 0;
	mock_put_many(bos, ARRAY_SIZE(bos));
}

/* Nobody scans any more, and the memory comes back all the same. */
static void drm_gem_shrinker_test_late_needs_no_scan(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[5];
	unsigned long scans;

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 5, 2);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	scans = mock_stats(mock).scans;

	/* The last answer ends it; until then the batch stays together. */
	KUNIT_EXPECT_EQ(test, mock_answer(mock, 4), 4);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).late, 1);
	KUNIT_EXPECT_EQ(test, mock_answer(mock, 1), 1);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->purges) == 5));
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).late, 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).scans, scans);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 0);

	/* The next scan that is made for the mm tells it so, once. */
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_purge(&mock->drm, ULONG_MAX), 0);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 10);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);

	mock_put_many(bos, 5);
}

/* Somebody holds the resv when the answer comes: it is for later, not for never. */
static void drm_gem_shrinker_test_late_and_locked(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 3, 1);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);

	dma_resv_lock(bos[1]->base.resv, NULL);
	mock_answer(mock, 3);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->purges) == 2));
	KUNIT_EXPECT_FALSE(test, bos[1]->purge_seq);
	KUNIT_EXPECT_TRUE(test, drm_gem_is_purged(&bos[1]->base));
	dma_resv_unlock(bos[1]->base.resv);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->purges) == 3));

	mock_put_many(bos, 3);
}

/* The device keeps the pages, so they are neither freed nor asked for again. */
static void drm_gem_shrinker_test_error_keeps_pages(struct kunit *test)
{
	static const enum mock_answer answers[] = {
		MOCK_ANSWER_AT_ONCE, MOCK_ANSWER_SOON, MOCK_ANSWER_NEVER,
	};
	struct mock_device *mock = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		struct mock_object *bo = mock_create_idle(test, 4);

		mock->error = -EIO;
		mock->answer = answers[i];
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		mock_answer(mock, 1);
		drm_gem_shrinker_drain(&mock->drm);
		mock->error = 0;
		mock->answer = MOCK_ANSWER_AT_ONCE;

		KUNIT_EXPECT_EQ(test, mock_stats(mock).refused[DRM_GEM_REFUSED_DEVICE], i + 1);
		KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 4);
		KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 0);
		KUNIT_EXPECT_FALSE(test, mock_willneed(bo));
		KUNIT_EXPECT_FALSE(test, mock_dontneed(bo));
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
		KUNIT_EXPECT_EQ(test, bo->offers, 1);
		KUNIT_EXPECT_FALSE(test, bo->purge_seq);

		mock_put(bo);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), ARRAY_SIZE(answers));
}

/* A command that was not sent after all is, by a later scan; contents are gone. */
static void drm_gem_shrinker_test_unsent_is_tried_again(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[2];

	mock->error = -EAGAIN;
	mock_create_many(test, bos, 2, 4);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_FALSE(test, mock_willneed(bos[0]));
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 8);

	mock->error = 0;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 8);
	KUNIT_EXPECT_EQ(test, bos[0]->offers, 2);

	mock_put_many(bos, 2);
}

/* The same when the driver notices by itself, with the contents given up. */
static void drm_gem_shrinker_test_failed_to_send(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock->answer = MOCK_ANSWER_SOON;
	mock->unsent = 1;
	mock_create_many(test, bos, 3, 4);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 12);
	KUNIT_EXPECT_FALSE(test, mock_willneed(bos[0]));
	KUNIT_EXPECT_FALSE(test, bos[1]->offers);
	KUNIT_EXPECT_TRUE(test, mock_willneed(bos[1]));
	mock_dontneed(bos[1]);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 12);
	KUNIT_EXPECT_LT(test, bos[0]->revoke_seq, bos[1]->revoke_seq);

	mock_put_many(bos, 3);
}

/* The answers carry errors for some, and free the pages of the others. */
static void drm_gem_shrinker_test_error_is_for_one(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 3, 1);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_answer(mock, 1);
	mock->error = -EIO;
	mock_answer(mock, 1);
	mock->error = 0;
	mock_answer(mock, 1);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->purges) == 2));
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_TRUE(test, bos[0]->purge_seq);
	KUNIT_EXPECT_FALSE(test, bos[1]->purge_seq);
	KUNIT_EXPECT_TRUE(test, bos[2]->purge_seq);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 1);

	mock_put_many(bos, 3);
}

static void drm_gem_shrinker_test_oom_waits_shortly(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo;
	s64 best = S64_MAX, best_owed = S64_MAX;
	unsigned long freed = 0;
	unsigned int i;

	mock->answer = MOCK_ANSWER_NEVER;
	for (i = 0; i < TEST_TRIES; i++) {
		/* For what it revokes itself, */
		bo = mock_create_idle(test, 1);
		best = drm_gem_shrinker_test_timed(mock, best,
						   drm_gem_shrinker_test_oom_scan,
						   &freed);
		KUNIT_EXPECT_TRUE(test, bo->revoke_seq);
		/* and for what others did. */
		best_owed = drm_gem_shrinker_test_timed(mock, best_owed,
							drm_gem_shrinker_test_oom_scan,
							&freed);
		KUNIT_EXPECT_EQ(test, freed, 0);

		KUNIT_EXPECT_EQ(test, mock_answer(mock, 1), 1);
		drm_gem_shrinker_drain(&mock->drm);
		KUNIT_EXPECT_TRUE(test, bo->purge_seq);
		mock_scan_all(mock);	/* takes note of the page */
		mock_put(bo);
	}
	KUNIT_EXPECT_LE(test, best, TEST_ONCE(DRM_GEM_OOM_DEADLINE_MS));
	KUNIT_EXPECT_LE(test, best_owed, TEST_ONCE(DRM_GEM_OOM_DEADLINE_MS));
}

static void drm_gem_shrinker_test_soon_is_later(struct mock_device *mock)
{
	msleep(DRM_GEM_OOM_DEADLINE_MS / 2);
}

/* Many batches that come to nothing cost no more than one. */
static void drm_gem_shrinker_test_oom_waits_shortly_in_all(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[5 * DRM_GEM_REVOKE_BATCH];
	s64 best = S64_MAX;
	unsigned long freed = 0;
	unsigned int i;

	mock->error = -EIO;
	mock->answer = MOCK_ANSWER_SOON;
	mock->soon_hook = drm_gem_shrinker_test_soon_is_later;
	for (i = 0; i < TEST_TRIES; i++) {
		mock_create_many(test, bos, ARRAY_SIZE(bos), 1);
		best = drm_gem_shrinker_test_timed(mock, best,
						   drm_gem_shrinker_test_oom_scan,
						   &freed);
		flush_work(&mock->soon);
		drm_gem_shrinker_drain(&mock->drm);
		mock_put_many(bos, ARRAY_SIZE(bos));
	}
	KUNIT_EXPECT_EQ(test, freed, 0);
	KUNIT_EXPECT_LE(test, best, TEST_ONCE(DRM_GEM_OOM_DEADLINE_MS));
}

static void drm_gem_shrinker_test_has_no_cpu(struct mock_device *mock)
{
	msleep(300);
}

/* A host that is short of CPUs is no reason to kill. */
static void drm_gem_shrinker_test_oom_outlasts_slow(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, 6);

	mock->answer = MOCK_ANSWER_SOON;
	mock->soon_hook = drm_gem_shrinker_test_has_no_cpu;
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 6);

	mock_put(bo);
}

static void drm_gem_shrinker_test_oom_takes_what_was_owed(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, 6);

	mock->answer = MOCK_ANSWER_NEVER;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_answer(mock, 1);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, READ_ONCE(bo->purge_seq)));
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 6);

	mock_put(bo);
}

/* Last stop: what a job used not long ago is better lost than its process. */
static void drm_gem_shrinker_test_oom_gives_no_second_chance(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, 6);

	drm_gem_mark_used(&bo->base);
	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 6);

	mock_put(bo);
}

/* And what can be had is had, behind however many that can not. */
static void drm_gem_shrinker_test_oom_looks_past_busy(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3 * DRM_GEM_REVOKE_BATCH];
	struct dma_fence *fences[ARRAY_SIZE(bos) - 1];
	unsigned int i;

	mock_create_many(test, bos, ARRAY_SIZE(bos), 1);
	for (i = 0; i < ARRAY_SIZE(fences); i++)
		fences[i] = mock_busy(test, bos[i], DMA_RESV_USAGE_BOOKKEEP);

	KUNIT_EXPECT_EQ(test, drm_gem_shrinker_oom(&mock->drm), 1);

	for (i = 0; i < ARRAY_SIZE(fences); i++)
		mock_idle(fences[i]);
	mock_put_many(bos, ARRAY_SIZE(bos));
}

/* A device that is slow to let go of what lives on is asked to purge all the same. */
static void drm_gem_shrinker_test_late_evict_purge(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *live = mock_create(test, 1);
	struct mock_object *bos[2];
	unsigned int i;

	mock->answer = MOCK_ANSWER_NEVER;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	mock->answer = MOCK_ANSWER_AT_ONCE;

	for (i = 0; i < 2; i++) {
		bos[i] = mock_create(test, 1);
		mock_dontneed(bos[i]);
		KUNIT_EXPECT_EQ(test,
				i ? drm_gem_shrinker_oom(&mock->drm) : mock_scan_all(mock), 1);
		KUNIT_EXPECT_TRUE(test, drm_gem_is_purged(&bos[i]->base));
	}

	KUNIT_EXPECT_EQ(test, mock_answer(mock, UINT_MAX), 1);
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_TRUE(test, live->evict_seq);
	KUNIT_EXPECT_EQ(test, mock_job(live), 0);

	mock_put_many(bos, 2);
	mock_put(live);
}

/* The other way round it is not: what is in use has time. */
static void drm_gem_shrinker_test_late_purge_evict(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *given_up = mock_create(test, 1);
	struct mock_object *live = mock_create(test, 1);

	mock_dontneed(given_up);
	mock->answer = MOCK_ANSWER_NEVER;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock->answer = MOCK_ANSWER_AT_ONCE;
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 0);
	KUNIT_EXPECT_EQ(test, live->offers, 0);

	KUNIT_EXPECT_EQ(test, mock_answer(mock, UINT_MAX), 1);
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_EQ(test, mock_evict_all(mock), 1);
	KUNIT_EXPECT_EQ(test, mock_job(live), 0);

	mock_put(given_up);
	mock_put(live);
}

static struct kunit_case drm_gem_shrinker_late_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_unanswered_keeps_pages),
	KUNIT_CASE(drm_gem_shrinker_test_waits_once),
	KUNIT_CASE(drm_gem_shrinker_test_late_needs_no_scan),
	KUNIT_CASE(drm_gem_shrinker_test_late_evict_purge),
	KUNIT_CASE(drm_gem_shrinker_test_late_purge_evict),
	KUNIT_CASE(drm_gem_shrinker_test_late_and_locked),
	KUNIT_CASE(drm_gem_shrinker_test_error_keeps_pages),
	KUNIT_CASE(drm_gem_shrinker_test_error_is_for_one),
	KUNIT_CASE(drm_gem_shrinker_test_unsent_is_tried_again),
	KUNIT_CASE(drm_gem_shrinker_test_failed_to_send),
	KUNIT_CASE(drm_gem_shrinker_test_slow_with_little_room),
	KUNIT_CASE(drm_gem_shrinker_test_oom_waits_shortly),
	KUNIT_CASE(drm_gem_shrinker_test_oom_waits_shortly_in_all),
	KUNIT_CASE(drm_gem_shrinker_test_oom_outlasts_slow),
	KUNIT_CASE(drm_gem_shrinker_test_oom_takes_what_was_owed),
	KUNIT_CASE(drm_gem_shrinker_test_oom_gives_no_second_chance),
	KUNIT_CASE(drm_gem_shrinker_test_oom_looks_past_busy),
	{}
};

static struct kunit_suite drm_gem_shrinker_late_suite = {
	.name = "drm_gem_shrinker_late",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_late_tests,
};

kunit_test_suite(drm_gem_shrinker_late_suite);
