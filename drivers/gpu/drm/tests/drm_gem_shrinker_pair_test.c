// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Two threads that start together, many times over, one of them a scan and the
 * other something that must not come to harm by it. This finds windows of a few
 * instructions, given more than one CPU: on a single one it shows little.
 */

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/prandom.h>

#include <drm/drm_file.h>
#include <drm/drm_prime.h>

#include "drm_gem_shrinker_mock.h"

#define PAIR_SEED	0x70616972
#define PAIR_ROUNDS	5000
#define PAIR_TIME	(num_online_cpus() > 1 ? 4 * HZ : HZ / 4)	/* at most */

struct pair {
	struct mock_device *mock;
	struct task_struct *task;
	struct completion done;
	struct rnd_state rnd;
	unsigned long end;	/* in jiffies */
	unsigned int rounds;	/* so far */
	unsigned int meetings;
	atomic_t arrived;
	bool stop;
	u32 took;		/* ns, by the last scans */
};

/* Both sides have to get here for either to go on. */
static void pair_meet(struct pair *pair, unsigned int meetings)
{
	atomic_inc(&pair->arrived);
	while (atomic_read(&pair->arrived) < 2 * meetings) {
		if (num_online_cpus() > 1)
			cpu_relax();
		else
			usleep_range(1, 2);
	}
}

static int pair_scan(void *data)
{
	struct pair *pair = data;
	unsigned int meetings = 0;
	ktime_t begin;

	for (;;) {
		pair_meet(pair, ++meetings);
		if (READ_ONCE(pair->stop))
			break;
		begin = ktime_get();
		mock_scan_batch(pair->mock);
		WRITE_ONCE(pair->took, (3 * pair->took +
					(u32)ktime_to_ns(ktime_sub(ktime_get(), begin))) / 4);
		pair_meet(pair, ++meetings);
	}
	complete(&pair->done);

	return 0;
}

static void pair_start(struct kunit *test, struct pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	pair->mock = test->priv;
	pair->end = jiffies + PAIR_TIME;
	init_completion(&pair->done);
	prandom_seed_state(&pair->rnd, PAIR_SEED);
	pair->task = kthread_run(pair_scan, pair, "gem-shrinker-pair");
	KUNIT_ASSERT_FALSE(test, IS_ERR(pair->task));
}

/* Returns false when it has been enough. */
static bool pair_again(struct pair *pair)
{
	if (++pair->rounds <= PAIR_ROUNDS && time_before(jiffies, pair->end) &&
	    !pair->mock->broken)
		return true;

	pair->rounds--;
	WRITE_ONCE(pair->stop, true);
	pair_meet(pair, ++pair->meetings);
	wait_for_completion(&pair->done);

	return false;
}

/* The scan begins; returns some time before its end. */
static void pair_begin(struct pair *pair)
{
	u32 delay = READ_ONCE(pair->took) + 1;

	pair_meet(pair, ++pair->meetings);
	delay = prandom_u32_state(&pair->rnd) % min(delay, 100000u);
	ndelay(delay);
}

static void pair_end(struct pair *pair)
{
	pair_meet(pair, ++pair->meetings);
}

/* A scan is about to take the object off its list, and it is given up again. */
static void drm_gem_shrinker_test_dontneed_while_dequeued(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create_idle(test, 1);
	struct pair pair;

	mock->refusal = -EAGAIN;
	mock_scan_all(mock);

	pair_start(test, &pair);
	while (pair_again(&pair)) {
		mock_willneed(bo);
		pair_begin(&pair);
		mock_dontneed(bo);
		pair_end(&pair);

		bo->offers = 0;
		mock_scan_all(mock);
		mock_rule(mock, bo->offers == 1);
	}

	mock->refusal = 0;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 1);
	mock_put(bo);
}

/* A scan is about to pick the object, or has, and the last reference goes. */
static void drm_gem_shrinker_test_put_while_picked(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo;
	struct pair pair;

	pair_start(test, &pair);
	while (pair_again(&pair)) {
		bo = mock_create_idle(test, 1);
		pair_begin(&pair);
		mock_put(bo);
		pair_end(&pair);
	}

	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == pair.rounds));
	kunit_info(test, "%u purged of %u\n", atomic_read(&mock->purges), pair.rounds);
}

static void drm_gem_shrinker_test_willneed_while_revoked(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo;
	unsigned int kept = 0;
	struct pair pair;
	bool retained;

	pair_start(test, &pair);
	while (pair_again(&pair)) {
		bo = mock_create_idle(test, 1);
		pair_begin(&pair);
		retained = mock_willneed(bo);
		pair_end(&pair);

		kept += retained;
		mock_rule(mock, retained == !bo->purge_seq);
		mock_rule(mock, retained == !drm_gem_is_purged(&bo->base));
		mock_put(bo);
	}

	kunit_info(test, "%u kept of %u\n", kept, pair.rounds);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), pair.rounds - kept);
}

/* Exported before and not in use; a scan finds that out, and it is again. */
static void drm_gem_shrinker_test_export_while_looked_at(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	unsigned int kept = 0;
	struct dma_buf *dma_buf;
	struct mock_object *bo;
	struct drm_file *priv;
	struct file *file = mock_open(test, &priv);
	struct pair pair;
	u32 handle;

	pair_start(test, &pair);
	while (pair_again(&pair)) {
		bo = mock_create_idle(test, 1);
		mock_rule(mock, !drm_gem_handle_create(priv, &bo->base, &handle));
		dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
		if (!IS_ERR(dma_buf))
			dma_buf_put(dma_buf);

		pair_begin(&pair);
		dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
		pair_end(&pair);

		mock_rule(mock, IS_ERR(dma_buf) == drm_gem_is_purged(&bo->base));
		mock_rule(mock, IS_ERR(dma_buf) == !!bo->purge_seq);
		if (!IS_ERR(dma_buf)) {
			mock_rule(mock, mock_scan_all(mock) == 0);
			dma_buf_put(dma_buf);
			kept++;
		}
		drm_gem_handle_delete(priv, handle);
		mock_put(bo);
		flush_delayed_fput();
	}

	kunit_info(test, "%u exported of %u\n", kept, pair.rounds);
	mock_close(file);
	flush_delayed_fput();
}

static int pair_handles(void *data)
{
	struct pair *pair = data;
	struct mock_object *bo = pair->mock->hook_data;
	unsigned int i;

	for (i = 0; i < 50 * PAIR_ROUNDS; i++) {
		drm_gem_reclaim_open(&bo->base);
		drm_gem_reclaim_open(&bo->base);
		drm_gem_reclaim_close(&bo->base, MOCK_OTHER_FILE);
		drm_gem_reclaim_close(&bo->base, MOCK_OTHER_FILE);
	}
	complete(&pair->done);

	return 0;
}

/* Each change of the word is of all of it: none overwrites another. */
static void drm_gem_shrinker_test_no_change_is_lost(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo = mock_create(test, 3);
	struct pair pair = { .mock = mock };
	struct drm_gem_shrinker_stats stats;
	unsigned int i;

	mock->refusal = -EAGAIN;
	mock->hook_data = bo;
	init_completion(&pair.done);
	pair.task = kthread_run(pair_handles, &pair, "gem-shrinker-pair");
	KUNIT_ASSERT_FALSE(test, IS_ERR(pair.task));
	for (i = 0; !completion_done(&pair.done); i++) {
		mock_dontneed(bo);
		if (!(i % 64)) {
			mock_scan_all(mock);
			cond_resched();
		}
		mock_willneed(bo);
	}
	wait_for_completion(&pair.done);

	stats = mock_stats(mock);
	KUNIT_EXPECT_EQ(test, stats.resident_pages, 3);
	KUNIT_EXPECT_EQ(test, stats.purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.evictable_pages, 3);
	/* No handle too many, which would make it a shared one. */
	drm_gem_reclaim_open(&bo->base);
	mock_dontneed(bo);
	mock->refusal = 0;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), 3);
	drm_gem_reclaim_close(&bo->base, NULL);
	mock_put(bo);
}

static struct kunit_case drm_gem_shrinker_pair_tests[] = {
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_dontneed_while_dequeued),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_put_while_picked),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_willneed_while_revoked),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_export_while_looked_at),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_no_change_is_lost),
	{}
};

static struct kunit_suite drm_gem_shrinker_pair_suite = {
	.name = "drm_gem_shrinker_race_pair",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_pair_tests,
};

kunit_test_suite(drm_gem_shrinker_pair_suite);
