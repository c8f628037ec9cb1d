// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Threads against scans. Who comes first is chance, that there are no more than
 * two outcomes is not. Most of it takes several CPUs to mean much; on one, the
 * hook between pick and commit gives the other side its turn.
 */

#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/prandom.h>

#include <drm/drm_file.h>
#include <drm/drm_prime.h>

#include "drm_gem_shrinker_mock.h"

#define RACE_SEED	0x72616365
#define RACE_ROUNDS	2000

struct race_scanner {
	struct mock_device *mock;
	struct task_struct *task;
	unsigned long freed;
	unsigned long scans;
};

static int race_scan(void *data)
{
	struct race_scanner *scanner = data;

	while (!kthread_should_stop()) {
		scanner->freed += mock_scan_batch(scanner->mock);
		WRITE_ONCE(scanner->scans, scanner->scans + 1);
		if (!(scanner->scans % 4))
			usleep_range(1, 5);
	}

	return 0;
}

static void race_start(struct kunit *test, struct race_scanner *scanner)
{
	scanner->mock = test->priv;
	scanner->freed = 0;
	scanner->scans = 0;
	scanner->task = kthread_run(race_scan, scanner, "gem-shrinker-race");
	KUNIT_ASSERT_FALSE(test, IS_ERR(scanner->task));
}

/*
 * Runs between pick and commit. Now and then it lets the others go first; if they
 * count something in @hook_data, until it changes.
 */
static void race_hook(struct mock_object *bo)
{
	struct mock_device *mock = to_mock_device(bo->base.dev);
	unsigned int *count = mock->hook_data, before;

	if (atomic_read(&mock->offers) % 4)
		return;
	if (!count) {
		usleep_range(1, 5);
		return;
	}

	before = READ_ONCE(*count);
	wait_event_timeout(mock->wait, READ_ONCE(*count) != before, 1);
}

/* Anything from nothing to about as long as a scan takes. */
static void race_pause(struct rnd_state *rnd)
{
	u32 pause = prandom_u32_state(rnd) % 64;

	if (pause < 8)
		usleep_range(1, 20);
	else
		ndelay(pause * 50);
}

/*
 * User space gives up and takes back, a scan purges. Either it comes back and is
 * never purged, or it does not and was purged.
 */
static void drm_gem_shrinker_test_one_side_wins(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct race_scanner scanner;
	struct mock_object *bo = mock_create(test, 1);
	unsigned int i, kept = 0, purged = 0;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, RACE_SEED);
	mock->hook = race_hook;
	mock->hook_data = &kept;
	race_start(test, &scanner);

	for (i = 0; i < RACE_ROUNDS && !mock->broken; i++) {
		mock->answer = prandom_u32_state(&rnd) % 4 ? MOCK_ANSWER_AT_ONCE :
							     MOCK_ANSWER_SOON;
		/* From the round before: what came back is not taken later. */
		mock_rule(mock, !READ_ONCE(bo->purge_seq));
		mock_rule(mock, mock_dontneed(bo));
		race_pause(&rnd);
		if (mock_willneed(bo)) {
			mock_rule(mock, !drm_gem_is_purged(&bo->base));
			WRITE_ONCE(kept, kept + 1);
			wake_up_all(&mock->wait);
			race_pause(&rnd);
			continue;
		}
		purged++;
		mock_rule(mock, drm_gem_is_purged(&bo->base));
		mock_rule(mock, mock_wait(mock, READ_ONCE(bo->purge_seq)));
		mock_put(bo);
		bo = mock_create(test, 1);
	}

	kthread_stop(scanner.task);
	kunit_info(test, "%u kept, %u purged, %u within revoke\n", kept, purged,
		   atomic_read(&mock->lost));
	KUNIT_EXPECT_GT(test, kept, 0);
	KUNIT_EXPECT_GT(test, purged, 0);
	KUNIT_EXPECT_GT(test, atomic_read(&mock->lost), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), purged);
	mock_put(bo);
}

/* The same with a dma-buf: handed out and kept, or refused and purged. */
static void drm_gem_shrinker_test_export_or_purge(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct race_scanner scanner;
	unsigned int i, kept = 0, purged = 0;
	struct rnd_state rnd;
	struct drm_file *priv;
	struct file *file = mock_open(test, &priv);

	prandom_seed_state(&rnd, RACE_SEED);
	mock->hook = race_hook;
	race_start(test, &scanner);

	for (i = 0; i < RACE_ROUNDS / 4 && !mock->broken; i++) {
		struct mock_object *bo = mock_create(test, 1);
		struct dma_buf *dma_buf;
		u32 handle;

		mock_rule(mock, !drm_gem_handle_create(priv, &bo->base, &handle));
		mock_dontneed(bo);
		race_pause(&rnd);
		dma_buf = drm_gem_prime_handle_to_dmabuf(&mock->drm, priv, handle, O_CLOEXEC);
		if (IS_ERR(dma_buf)) {
			mock_rule(mock, PTR_ERR(dma_buf) == -EINVAL);
			mock_rule(mock, mock_wait(mock, READ_ONCE(bo->purge_seq)));
			purged++;
		} else {
			race_pause(&rnd);
			mock_rule(mock, !drm_gem_is_purged(&bo->base));
			mock_rule(mock, mock_willneed(bo));
			dma_buf_put(dma_buf);
			kept++;
		}
		drm_gem_handle_delete(priv, handle);
		mock_put(bo);
	}

	kthread_stop(scanner.task);
	kunit_info(test, "%u exported, %u purged\n", kept, purged);
	KUNIT_EXPECT_GT(test, kept, 0);
	KUNIT_EXPECT_GT(test, purged, 0);
	mock_close(file);
	flush_delayed_fput();
}

#define RACE_TOGGLED	16

struct race_toggler {
	struct mock_object *bos[RACE_TOGGLED];
	struct task_struct *task;
	struct completion done;
	unsigned int seed;
};

/* Ends with each of its objects given up. */
static int race_toggle(void *data)
{
	struct race_toggler *toggler = data;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, toggler->seed);
	for (i = 0; i < 10 * RACE_TOGGLED; i++) {
		struct mock_object *bo = toggler->bos[prandom_u32_state(&rnd) % RACE_TOGGLED];

		mock_willneed(bo);
		ndelay(prandom_u32_state(&rnd) % 1000);
		mock_dontneed(bo);
	}
	for (i = 0; i < RACE_TOGGLED; i++)
		mock_dontneed(toggler->bos[i]);
	complete(&toggler->done);

	return 0;
}

/* Advice that comes while a scan takes the object off its list is not lost. */
static void drm_gem_shrinker_test_dontneed_is_not_lost(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct race_toggler togglers[2];
	struct race_scanner scanner;
	unsigned int i, j, round;

	for (i = 0; i < ARRAY_SIZE(togglers); i++) {
		mock_create_many(test, togglers[i].bos, RACE_TOGGLED, 1);
		init_completion(&togglers[i].done);
	}
	/* Looked at for ever, and never taken. */
	mock->refusal = -EAGAIN;

	for (round = 0; round < 50 && !mock->broken; round++) {
		race_start(test, &scanner);
		for (i = 0; i < ARRAY_SIZE(togglers); i++) {
			togglers[i].seed = RACE_SEED + 2 * round + i;
			togglers[i].task = kthread_run(race_toggle, &togglers[i],
						       "gem-shrinker-toggle");
			KUNIT_ASSERT_FALSE(test, IS_ERR(togglers[i].task));
		}
		for (i = 0; i < ARRAY_SIZE(togglers); i++)
			wait_for_completion(&togglers[i].done);
		kthread_stop(scanner.task);

		/* All have been given up: so all have to be found. */
		mock_rule(mock, mock_stats(mock).purgeable_pages ==
			  ARRAY_SIZE(togglers) * RACE_TOGGLED);
		for (i = 0; i < ARRAY_SIZE(togglers); i++)
			for (j = 0; j < RACE_TOGGLED; j++)
				togglers[i].bos[j]->offers = 0;
		mock_scan_all(mock);
		for (i = 0; i < ARRAY_SIZE(togglers); i++)
			for (j = 0; j < RACE_TOGGLED; j++)
				mock_rule(mock, togglers[i].bos[j]->offers == 1);
	}

	mock->refusal = 0;
	KUNIT_EXPECT_EQ(test, mock_scan_all(mock), ARRAY_SIZE(togglers) * RACE_TOGGLED);
	for (i = 0; i < ARRAY_SIZE(togglers); i++)
		mock_put_many(togglers[i].bos, RACE_TOGGLED);
}

/* Several scans at once take each object once, and report each page once. */
static void drm_gem_shrinker_test_scans_share_the_work(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct race_scanner scanners[3];
	unsigned long freed = 0;
	unsigned int i, nr = 1000;
	struct mock_object **bos;

	bos = kunit_kcalloc(test, nr, sizeof(*bos), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bos);

	mock->hook = race_hook;
	mock->answer = MOCK_ANSWER_SOON;
	for (i = 0; i < ARRAY_SIZE(scanners); i++)
		race_start(test, &scanners[i]);
	mock_create_many(test, bos, nr, 3);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->purges) == nr));
	for (i = 0; i < ARRAY_SIZE(scanners); i++) {
		kthread_stop(scanners[i].task);
		freed += scanners[i].freed;
	}
	drm_gem_shrinker_drain(&mock->drm);
	freed += mock_scan_all(mock);

	KUNIT_EXPECT_EQ(test, freed, 3 * nr);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purged_pages, 3 * nr);
	KUNIT_EXPECT_EQ(test, mock_stats(mock).purged_bos, nr);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->purges), nr);
	mock_put_many(bos, nr);
}

/* Objects come and go in all states that a scan may find them in. */
static void drm_gem_shrinker_test_frees_race_scans(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct race_scanner scanners[2];
	unsigned int i, nr = 4 * RACE_ROUNDS;
	struct mock_object *bos[16] = {};
	struct rnd_state rnd;

	prandom_seed_state(&rnd, RACE_SEED);
	mock->hook = race_hook;
	for (i = 0; i < ARRAY_SIZE(scanners); i++)
		race_start(test, &scanners[i]);

	for (i = 0; i < nr + ARRAY_SIZE(bos); i++) {
		struct mock_object **bo = &bos[prandom_u32_state(&rnd) % ARRAY_SIZE(bos)];

		if (i >= nr)
			bo = &bos[i - nr];
		mock->answer = prandom_u32_state(&rnd) % 4 ? MOCK_ANSWER_AT_ONCE :
							     MOCK_ANSWER_SOON;
		if (*bo)
			mock_put(*bo);
		*bo = i < nr ? mock_create_idle(test, 1) : NULL;
		if (*bo && prandom_u32_state(&rnd) % 4 == 0)
			mock_willneed(*bo);
		race_pause(&rnd);
	}

	for (i = 0; i < ARRAY_SIZE(scanners); i++)
		kthread_stop(scanners[i].task);
	KUNIT_EXPECT_TRUE(test, mock_wait(mock, atomic_read(&mock->frees) == nr));
	kunit_info(test, "%u purged of %u\n", atomic_read(&mock->purges), nr);
	KUNIT_EXPECT_GT(test, atomic_read(&mock->purges), 0);
}

static struct kunit_case drm_gem_shrinker_race_tests[] = {
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_one_side_wins),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_export_or_purge),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_dontneed_is_not_lost),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_scans_share_the_work),
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_frees_race_scans),
	{}
};

static struct kunit_suite drm_gem_shrinker_race_suite = {
	.name = "drm_gem_shrinker_race",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_race_tests,
};

kunit_test_suite(drm_gem_shrinker_race_suite);
