// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Objects and devices that go away while the shrinker is at work on them.
 */

#include <linux/sched.h>

#include "drm_gem_shrinker_mock.h"

/* Given up and freed before any scan: first, middle and last of the queue. */
static void drm_gem_shrinker_test_free_while_queued(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[5];

	mock_create_many(test, bos, 5, 1);
	mock_put(bos[0]);
	mock_put(bos[2]);
	mock_put(bos[4]);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 3);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 2);

	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->offers), 2);
	mock_put(bos[1]);
	mock_put(bos[3]);
}

/* The same after a scan has seen them, and when they are no candidates any more. */
static void drm_gem_shrinker_test_free_while_listed(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[6];

	mock_create_many(test, bos, 6, 1);
	mock->refusal = -EAGAIN;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock->refusal = 0;

	mock_willneed(bos[3]);
	mock_put(bos[3]);
	mock_put(bos[0]);
	mock_put(bos[5]);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 3);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 3);

	mock_exclude(bos[1], DRM_GEM_RECLAIM_PINNED);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 2);
	mock_put(bos[1]);
	mock_put(bos[2]);
	mock_put(bos[4]);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
}

/* Lets go of all objects of a batch while the first is being revoked. */
static void drm_gem_shrinker_test_hook_put(struct mock_object *bo)
{
	struct mock_device *mock = to_mock_device(bo->base.dev);
	struct mock_object **bos = mock->hook_data;

	mock->hook = NULL;
	while (*bos)
		mock_put(*bos++);
	mock_rule(mock, !atomic_read(&mock->frees));
}

/*
 * The scan is left with the last references. Free paths lock and allocate (see
 * the rules in the mock's): reclaim has to leave that to somebody else.
 */
static void drm_gem_shrinker_test_free_in_batch(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[10 + 1] = {};

	mock_create_many(test, bos, 10, 1);
	mock->hook = drm_gem_shrinker_test_hook_put;
	mock->hook_data = bos;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 10);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == 10));
}

/* The same when nothing comes of the batch. */
static void drm_gem_shrinker_test_free_in_refused_batch(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[10 + 1] = {};

	mock_create_many(test, bos, 10, 1);
	mock->hook = drm_gem_shrinker_test_hook_put;
	mock->hook_data = bos;
	mock->refusal = -EBUSY;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == 10));
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), 0);
}

/* However long that takes somebody else: scans go on. */
static void drm_gem_shrinker_test_slow_free_holds_no_scan(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[1 + 1] = {};
	unsigned int i, nr = 2 * DRM_GEM_REVOKE_BATCHES;

	mock->hold_frees = true;
	for (i = 0; i < nr; i++) {
		bos[0] = mock_create_idle(test, 1);
		mock->hook = drm_gem_shrinker_test_hook_put;
		mock->hook_data = bos;
		KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), nr);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 0);

	WRITE_ONCE(mock->hold_frees, false);
	wake_up_all(&mock->wait);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == nr));
}

/* What the device may still use lives until the device has answered. */
static void drm_gem_shrinker_test_free_while_revoking(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 3, 2);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_put_many(bos, 3);

	KUNIT_EXPECT_EQ(test, mock_answer(mock, 2), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 6);
	KUNIT_EXPECT_EQ(test, mock_answer(mock, 1), 1);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == 3));
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), 3);
}

/* What was in the same batch, and the device was not asked for, need not wait. */
static void drm_gem_shrinker_test_free_when_passed_over(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 3, 2);
	drm_gem_mark_used(&bos[0]->base);
	drm_gem_mark_used(&bos[2]->base);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).late, 1);
	mock_put_many(bos, 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 2);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).resident_pages, 2);

	KUNIT_EXPECT_EQ(test, mock_answer(mock, 1), 1);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == 3));
}

/* Also when the answer is an error. */
static void drm_gem_shrinker_test_free_after_error(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock->answer = MOCK_ANSWER_NEVER;
	mock->error = -EIO;
	mock_create_many(test, bos, 3, 2);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_put_many(bos, 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 0);
	KUNIT_EXPECT_EQ(test, mock_answer(mock, 3), 3);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == 3));
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), 0);
}

/* Purged, and then freed like any other. */
static void drm_gem_shrinker_test_free_after_purge(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[3];

	mock_create_many(test, bos, 3, 2);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 6);
	mock_put(bos[1]);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_put(bos[0]);
	mock_put(bos[2]);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 3);
}

/* The order in which a driver unbinds: unregister, reset the device, drain. */
static void drm_gem_shrinker_test_unregister_while_owed(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bos[4];

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 3, 2);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	bos[3] = mock_create_idle(test, 2);
	mock_put(bos[0]);

	drm_gem_shrinker_unregister(&mock->drm);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 0);
	KUNIT_EXPECT_EQ(test, mock_answer(mock, 3), 3);
	drm_gem_shrinker_drain(&mock->drm);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 1);

	/* Objects outlive that. They take advice, and go. */
	KUNIT_EXPECT_FALSE(test, mock_willneed(bos[1]));
	KUNIT_EXPECT_TRUE(test, mock_willneed(bos[3]));
	KUNIT_EXPECT_TRUE(test, mock_dontneed(bos[3]));
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purgeable_pages, 2);
	mock_put_many(bos + 1, 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->frees), 4);

	/* Twice is once. */
	drm_gem_shrinker_unregister(&mock->drm);
	drm_gem_shrinker_drain(&mock->drm);
}

struct drm_gem_shrinker_test_drain {
	struct work_struct work;
	struct mock_device *mock;
	bool drained;
};

static void drm_gem_shrinker_test_drain_work(struct work_struct *work)
{
	struct drm_gem_shrinker_test_drain *drain =
		container_of(work, struct drm_gem_shrinker_test_drain, work);

	drm_gem_shrinker_drain(&drain->mock->drm);
	WRITE_ONCE(drain->drained, true);
	/* All that was under way is over: pages and references. */
	mock_rule(drain->mock, atomic_read(&drain->mock->purges) == 2);
	mock_rule(drain->mock, atomic_read(&drain->mock->frees) == 2);
	wake_up_all(&drain->mock->wait);
}

static void drm_gem_shrinker_test_drain_waits_for_last(struct kunit *test)
{
	struct drm_gem_shrinker_test_drain drain = { .mock = test->priv };
	struct mock_device *mock = test->priv;
	struct mock_object *bos[2];

	mock->answer = MOCK_ANSWER_NEVER;
	mock_create_many(test, bos, 2, 1);
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 0);
	mock_put_many(bos, 2);
	drm_gem_shrinker_unregister(&mock->drm);

	INIT_WORK_ONSTACK(&drain.work, drm_gem_shrinker_test_drain_work);
	queue_work(system_unbound_wq, &drain.work);
	mock_answer(mock, 1);
	/* However long this is, it must not be over. */
	schedule_timeout_uninterruptible(2);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(drain.drained));
	mock_answer(mock, 1);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, READ_ONCE(drain.drained)));
	flush_work(&drain.work);
	destroy_work_on_stack(&drain.work);
}

static struct kunit_case drm_gem_shrinker_life_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_free_while_queued),
	KUNIT_CASE(drm_gem_shrinker_test_free_while_listed),
	KUNIT_CASE(drm_gem_shrinker_test_free_in_batch),
	KUNIT_CASE(drm_gem_shrinker_test_free_in_refused_batch),
	KUNIT_CASE(drm_gem_shrinker_test_slow_free_holds_no_scan),
	KUNIT_CASE(drm_gem_shrinker_test_free_while_revoking),
	KUNIT_CASE(drm_gem_shrinker_test_free_when_passed_over),
	KUNIT_CASE(drm_gem_shrinker_test_free_after_error),
	KUNIT_CASE(drm_gem_shrinker_test_free_after_purge),
	KUNIT_CASE(drm_gem_shrinker_test_unregister_while_owed),
	KUNIT_CASE(drm_gem_shrinker_test_drain_waits_for_last),
	{}
};

static struct kunit_suite drm_gem_shrinker_life_suite = {
	.name = "drm_gem_shrinker_life",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_life_tests,
};

kunit_test_suite(drm_gem_shrinker_life_suite);
