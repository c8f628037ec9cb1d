// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Jobs against scans of both kinds. The mock sees to it that no pages go which
 * the device has, and each job looks whether all is there that the last one left.
 */

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/prandom.h>

#include "drm_gem_shrinker_mock.h"

#define RACE_SEED	0x65766963
#define RACE_ROUNDS	4000
#define RACE_SHARED	16
#define RACE_OWN	8

enum race_role {
	RACE_EVICT,
	RACE_PURGE,
	RACE_JOBS,
	RACE_ROLES
};

struct race {
	struct kunit *test;
	struct mock_device *mock;
	struct mock_object *shared[RACE_SHARED];	/* always needed */
	unsigned int jobs;
};

struct race_thread {
	struct race *race;
	enum race_role role;
	struct task_struct *task;
};

static void race_did_job(struct race *race)
{
	WRITE_ONCE(race->jobs, race->jobs + 1);
	wake_up_all(&race->mock->wait);
}

static void race_role(struct race *race, enum race_role role, struct rnd_state *rnd)
{
	switch (role) {
	case RACE_EVICT:
		mock_evict(race->mock, 1);
		break;
	case RACE_PURGE:
		mock_scan_batch(race->mock);
		break;
	default:
		mock_rule(race->mock, !mock_job(race->shared[prandom_u32_state(rnd) %
							     RACE_SHARED]));
		race_did_job(race);
	}
}

static int race_run(void *data)
{
	struct race_thread *thread = data;
	struct race *race = thread->race;
	struct rnd_state rnd;

	/* Who is no part of the test would find no swap space. */
	current->kunit_test = race->test;
	prandom_seed_state(&rnd, RACE_SEED + thread->role);
	while (!kthread_should_stop()) {
		race_role(race, thread->role, &rnd);
		if (!(prandom_u32_state(&rnd) % 4))
			usleep_range(1, 5);
	}
	current->kunit_test = NULL;

	return 0;
}

/* The device takes a while, in which a job may come by. */
static void race_soon_hook(struct mock_device *mock)
{
	struct race *race = mock->hook_data;
	unsigned int before = READ_ONCE(race->jobs);

	wait_event_timeout(mock->wait, READ_ONCE(race->jobs) != before, 1);
}

/* A job on an object of the test's own, which it may have lost by giving it up. */
static unsigned int race_own_job(struct race *race, struct mock_object **bo,
				 struct rnd_state *rnd)
{
	struct mock_device *mock = race->mock;
	struct dma_fence *fence;
	bool kept;

	if (prandom_u32_state(rnd) % 4 == 0) {
		mock_dontneed(*bo);
		return 0;
	}

	kept = mock_willneed(*bo);
	if (mock_job_busy(race->test, *bo, &fence)) {
		mock_rule(mock, !kept);
		mock_put(*bo);
		*bo = mock_create(race->test, 1);
		return 1;
	}
	mock_rule(mock, kept);
	race_did_job(race);
	if (prandom_u32_state(rnd) % 4 == 0)
		usleep_range(1, 20);
	mock_idle(fence);

	return 0;
}

/* What is rare on a slow or busy machine is waited for. */
static bool race_goes_on(struct mock_device *mock, unsigned int rounds)
{
	if (mock->broken || rounds > 50 * RACE_ROUNDS)
		return false;

	return rounds < RACE_ROUNDS ||
	       !mock_stats(mock).refused[DRM_GEM_REFUSED_WANTED];
}

static void drm_gem_shrinker_test_jobs_race_scans(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct race race = { .test = test, .mock = mock };
	struct race_thread threads[RACE_ROLES + 1];
	struct mock_object *own[RACE_OWN];
	struct drm_gem_shrinker_stats stats;
	unsigned int i, purged = 0;
	struct rnd_state rnd;

	for (i = 0; i < RACE_SHARED; i++)
		race.shared[i] = mock_create(test, 1);
	for (i = 0; i < RACE_OWN; i++)
		own[i] = mock_create(test, 1);
	prandom_seed_state(&rnd, RACE_SEED);
	mock->hook_data = &race;
	mock->soon_hook = race_soon_hook;
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		threads[i].race = &race;
		/* Two of those that do jobs. */
		threads[i].role = min(i, RACE_JOBS);
		threads[i].task = kthread_run(race_run, &threads[i], "gem-shrinker-race");
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i].task));
	}

	for (i = 0; race_goes_on(mock, i); i++) {
		mock->answer = prandom_u32_state(&rnd) % 4 ? MOCK_ANSWER_SOON :
							     MOCK_ANSWER_AT_ONCE;
		WRITE_ONCE(mock->error, prandom_u32_state(&rnd) % 16 ? 0 : -EAGAIN);
		purged += race_own_job(&race, &own[prandom_u32_state(&rnd) % RACE_OWN], &rnd);
	}

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		kthread_stop(threads[i].task);
	mock->error = 0;
	flush_work(&mock->soon);
	drm_gem_shrinker_drain(&mock->drm);
	/* All of it can be had, once more. */
	for (i = 0; i < RACE_SHARED; i++)
		KUNIT_EXPECT_EQ(test, mock_job(race.shared[i]), 0);

	stats = mock_stats(mock);
	kunit_info(test, "%lu evicted, %lu back, %lu called off, %u purged\n",
		   stats.evicted_bos, stats.swapped_in_bos,
		   stats.refused[DRM_GEM_REFUSED_WANTED], purged);
	KUNIT_EXPECT_GT(test, stats.evicted_bos, 0);
	KUNIT_EXPECT_GT(test, stats.swapped_in_bos, 0);
	KUNIT_EXPECT_GT(test, stats.refused[DRM_GEM_REFUSED_WANTED], 0);
	KUNIT_EXPECT_GT(test, purged, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->evictions), stats.evicted_bos);
	mock_put_many(race.shared, RACE_SHARED);
	mock_put_many(own, RACE_OWN);
}

static struct kunit_case drm_gem_shrinker_race_evict_tests[] = {
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_jobs_race_scans),
	{}
};

static struct kunit_suite drm_gem_shrinker_race_evict_suite = {
	.name = "drm_gem_shrinker_race_evict",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_race_evict_tests,
};

kunit_test_suite(drm_gem_shrinker_race_evict_suite);
