// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/file.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_kunit_helpers.h>

#include "../drm_gem_shrinker_internal.h"
#include "drm_gem_shrinker_mock.h"

static void mock_gem_free(struct drm_gem_object *obj)
{
	struct mock_device *mock = to_mock_device(obj->dev);
	struct mock_object *bo = to_mock_object(obj);

	/* Not from reclaim, and not while the device may use the pages. */
	mock_rule(mock, !(current->flags & PF_MEMALLOC));
	mock_rule(mock, !bo->batch);
	mock_rule(mock, mock_wait(mock, !READ_ONCE(mock->hold_frees)));

	drm_gem_reclaim_remove(obj);

	/* As every real one does, for lockdep to see. */
	dma_resv_lock(obj->resv, NULL);
	might_alloc(GFP_KERNEL);
	dma_resv_unlock(obj->resv);

	drm_gem_object_release(obj);
	kfree(bo);

	atomic_inc(&mock->frees);
	wake_up_all(&mock->wait);
}

static int mock_gem_open(struct drm_gem_object *obj, struct drm_file *file)
{
	drm_gem_reclaim_open(obj);

	return 0;
}

static void mock_gem_close(struct drm_gem_object *obj, struct drm_file *file)
{
	drm_gem_reclaim_close(obj, file);
}

static const struct drm_gem_object_funcs mock_gem_funcs = {
	.free = mock_gem_free,
	.open = mock_gem_open,
	.close = mock_gem_close,
	.purge = mock_gem_purge,
	.evict = mock_gem_evict,
	.pageout = mock_gem_pageout,
};

static const struct drm_gem_object_funcs mock_gem_no_evict_funcs = {
	.free = mock_gem_free,
	.open = mock_gem_open,
	.close = mock_gem_close,
	.purge = mock_gem_purge,
};

static int mock_reserve(struct mock_device *mock, enum mock_reserve what)
{
	if (what == MOCK_RESERVE_RING && mock->room &&
	    atomic_read(&mock->reserved[what]) >= mock->room)
		return -EBUSY;
	if (mock->refusal && mock->refused == what) {
		if (!mock->refuse_after)
			return mock->refusal;
		mock->refuse_after--;
	}
	atomic_inc(&mock->reserved[what]);

	return 0;
}

static void mock_unreserve(struct mock_device *mock, enum mock_reserve what)
{
	mock_rule(mock, atomic_dec_return(&mock->reserved[what]) >= 0);
}

/* An answer frees what the command took. */
static void mock_answer_one(struct mock_device *mock, struct mock_object *bo,
			    struct drm_gem_revoke_batch *batch)
{
	int error = mock->error;

	mock_unreserve(mock, MOCK_RESERVE_RING);
	mock_unreserve(mock, MOCK_RESERVE_BUFFER);
	/* Whether it has let go or not, it has the pages that a job told it of. */
	if (error)
		WRITE_ONCE(bo->attached, true);
	drm_gem_revoke_answer(batch, &bo->base, error);
}

static int mock_revoke(struct drm_gem_object *obj,
		       struct drm_gem_revoke_batch *batch)
{
	struct mock_device *mock = to_mock_device(obj->dev);
	struct mock_object *bo = to_mock_object(obj);
	bool evict = drm_gem_revoke_action(batch) == DRM_GEM_REVOKE_EVICT;
	int ret;

	dma_resv_assert_held(obj->resv);
	mock_rule(mock, dma_resv_is_locked(obj->resv));
	mock_rule(mock, dma_resv_test_signaled(obj->resv, DMA_RESV_USAGE_BOOKKEEP));
	mock_rule(mock, current->flags & PF_MEMALLOC);
	mock_rule(mock, !evict || obj->funcs->evict);

	bo->offers++;
	atomic_inc(&mock->offers);
	if (mock->hook)
		mock->hook(bo);

	ret = mock_reserve(mock, MOCK_RESERVE_BUFFER);
	if (ret)
		return ret;
	ret = mock_reserve(mock, MOCK_RESERVE_RING);
	if (ret)
		goto err_buffer;

	if (!drm_gem_revoke_commit(batch, obj)) {
		atomic_inc(&mock->lost);
		ret = -EAGAIN;
		goto err_ring;
	}

	if (mock->unsent) {
		mock->unsent--;
		drm_gem_revoke_answer(batch, obj, -EAGAIN);
		ret = -EBUSY;
		goto err_ring;
	}

	/* A command went out, and not twice for the same pages. */
	mock_rule(mock, drm_gem_is_purged(obj) == !evict);
	mock_rule(mock, !bo->batch && !bo->purge_seq);
	mock_rule(mock, bo->pages || (bo->swapped && !evict));
	WRITE_ONCE(bo->attached, false);
	bo->revoke_seq = atomic_inc_return(&mock->seq);
	atomic_inc(&mock->revoked);

	if (mock->answer == MOCK_ANSWER_AT_ONCE) {
		mock_answer_one(mock, bo, batch);
		return 0;
	}

	spin_lock(&mock->lock);
	bo->batch = batch;
	list_add_tail(&bo->owed, &mock->owed);
	spin_unlock(&mock->lock);

	return 0;

err_ring:
	mock_unreserve(mock, MOCK_RESERVE_RING);
err_buffer:
	mock_unreserve(mock, MOCK_RESERVE_BUFFER);
	return ret;
}

static void mock_revoke_flush(struct drm_device *drm,
			      struct drm_gem_revoke_batch *batch)
{
	struct mock_device *mock = to_mock_device(drm);

	struct mock_object *bo;
	bool soon = false;

	atomic_inc(&mock->flushes);
	/* The test may have changed its mind since revoke. */
	if (mock->answer == MOCK_ANSWER_NEVER)
		return;

	spin_lock(&mock->lock);
	list_for_each_entry(bo, &mock->owed, owed) {
		bo->soon |= bo->batch == batch;
		soon |= bo->soon;
	}
	spin_unlock(&mock->lock);
	if (soon)
		queue_work(system_unbound_wq, &mock->soon);
}

static const struct drm_gem_shrinker_ops mock_shrinker_ops = {
	.revoke = mock_revoke,
	.revoke_flush = mock_revoke_flush,
};

/* The oldest one that is owed an answer, and is no more; its batch in @batch. */
static struct mock_object *mock_next_owed(struct mock_device *mock, bool soon,
					  struct drm_gem_revoke_batch **batch)
{
	struct mock_object *bo, *found = NULL;

	spin_lock(&mock->lock);
	list_for_each_entry(bo, &mock->owed, owed) {
		if (soon && !bo->soon)
			continue;
		list_del(&bo->owed);
		*batch = bo->batch;
		bo->batch = NULL;
		bo->soon = false;
		found = bo;
		break;
	}
	spin_unlock(&mock->lock);

	return found;
}

static unsigned int mock_answer_some(struct mock_device *mock, unsigned int nr, bool soon)
{
	struct drm_gem_revoke_batch *batch;
	struct mock_object *bo;
	unsigned int given;

	for (given = 0; given < nr; given++) {
		bo = mock_next_owed(mock, soon, &batch);
		if (!bo)
			break;
		mock_answer_one(mock, bo, batch);
	}

	return given;
}

/* Gives the oldest @nr answers that are owed, and returns how many there were. */
unsigned int mock_answer(struct mock_device *mock, unsigned int nr)
{
	return mock_answer_some(mock, nr, false);
}

static void mock_soon_work(struct work_struct *work)
{
	struct mock_device *mock = container_of(work, struct mock_device, soon);
	struct mock_object *bo;
	unsigned int nr = 0;

	if (mock->soon_hook)
		mock->soon_hook(mock);

	/* Those that are owed by now: the next flush queues this again. */
	spin_lock(&mock->lock);
	list_for_each_entry(bo, &mock->owed, owed)
		nr += bo->soon;
	spin_unlock(&mock->lock);
	mock_answer_some(mock, nr, true);
}

DEFINE_DRM_GEM_FOPS(mock_fops);

static const struct drm_driver mock_driver = {
	.driver_features = DRIVER_GEM,
	.fops = &mock_fops,
	.name = "mock",
	.desc = "GEM shrinker test",
	.date = "20260101",
	.major = 1,
};

/* A device that has not registered with the shrinker. */
struct mock_device *mock_device_create(struct kunit *test)
{
	struct mock_device *mock;
	struct device *dev;

	dev = drm_kunit_helper_alloc_device(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);

	mock = drm_kunit_helper_alloc_drm_device_with_driver(test, dev,
							     struct mock_device,
							     drm, &mock_driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock);

	spin_lock_init(&mock->lock);
	INIT_LIST_HEAD(&mock->owed);
	INIT_WORK(&mock->soon, mock_soon_work);
	init_waitqueue_head(&mock->wait);

	return mock;
}

static bool mock_has_swap(void)
{
	struct kunit *test = kunit_get_current_test();
	struct mock_device *mock = test->priv;

	return !READ_ONCE(mock->no_swap);
}

int mock_init(struct kunit *test)
{
	struct mock_device *mock = mock_device_create(test);

	test->priv = mock;
	kunit_activate_static_stub(test, drm_gem_shrinker_has_swap, mock_has_swap);

	return drm_gem_shrinker_register(&mock->drm, &mock_shrinker_ops);
}

/* Takes the device down the way that a driver does, and says what was wrong. */
void mock_exit(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct drm_gem_shrinker_stats stats;

	if (IS_ERR_OR_NULL(mock) || !mock->drm.gem_shrinker)
		return;

	flush_delayed_fput();
	drm_gem_shrinker_unregister(&mock->drm);
	flush_work(&mock->soon);
	mock_answer(mock, UINT_MAX);
	drm_gem_shrinker_drain(&mock->drm);
	/* A work item may be in the midst of closing files. */
	mock_wait(mock, !mock_stats(mock).resident_pages);

	stats = mock_stats(mock);
	KUNIT_EXPECT_NULL(test, mock->broken);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->reserved[MOCK_RESERVE_BUFFER]), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->reserved[MOCK_RESERVE_RING]), 0);
	/* All objects are gone: so must be what they counted. */
	KUNIT_EXPECT_EQ(test, stats.resident_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.exported_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.evictable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.unevictable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.host_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.host_purgeable_pages, 0);
	KUNIT_EXPECT_EQ(test, stats.late, 0);
	if (mock->broken)
		kunit_err(test, "rule not kept: %s\n", mock->broken);
}

/* An object that the device has the pages of, and the shrinker does not know yet. */
struct mock_object *mock_create_bare(struct kunit *test, unsigned int pages)
{
	struct mock_device *mock = test->priv;
	struct mock_object *bo;

	bo = kzalloc(sizeof(*bo), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	bo->base.funcs = mock->no_evict ? &mock_gem_no_evict_funcs : &mock_gem_funcs;
	bo->pages = true;
	bo->attached = true;
	drm_gem_private_object_init(&mock->drm, &bo->base, pages * PAGE_SIZE);

	return bo;
}

void mock_add(struct mock_object *bo)
{
	dma_resv_lock(bo->base.resv, NULL);
	drm_gem_reclaim_add(&bo->base);
	dma_resv_unlock(bo->base.resv);
}

struct mock_object *mock_create(struct kunit *test, unsigned int pages)
{
	struct mock_object *bo = mock_create_bare(test, pages);

	mock_add(bo);

	return bo;
}

/* One that user space gave up. */
struct mock_object *mock_create_idle(struct kunit *test, unsigned int pages)
{
	struct mock_object *bo = mock_create(test, pages);

	KUNIT_EXPECT_TRUE(test, mock_dontneed(bo));

	return bo;
}

void mock_create_many(struct kunit *test, struct mock_object **bos,
		      unsigned int nr, unsigned int pages)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		bos[i] = mock_create_idle(test, pages);
}

void mock_put(struct mock_object *bo)
{
	drm_gem_object_put(&bo->base);
}

void mock_put_many(struct mock_object **bos, unsigned int nr)
{
	while (nr--)
		mock_put(bos[nr]);
}

void mock_exclude(struct mock_object *bo, u32 why)
{
	dma_resv_lock(bo->base.resv, NULL);
	drm_gem_reclaim_exclude(&bo->base, why);
	dma_resv_unlock(bo->base.resv);
}

void mock_include(struct mock_object *bo, u32 why)
{
	dma_resv_lock(bo->base.resv, NULL);
	drm_gem_reclaim_include(&bo->base, why);
	dma_resv_unlock(bo->base.resv);
}

/* Opens the device, as a client would. */
struct file *mock_open(struct kunit *test, struct drm_file **file_priv)
{
	struct mock_device *mock = test->priv;
	struct file *file = mock_drm_getfile(mock->drm.primary, O_RDWR);

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	*file_priv = file->private_data;

	return file;
}

void mock_close(struct file *file)
{
	fput(file);
	flush_delayed_fput();
}

/* A scan as vmscan makes it, which sees nothing but what is reported to it. */
unsigned long mock_scan(struct mock_device *mock, unsigned long nr_pages)
{
	struct reclaim_state state = {}, *saved = current->reclaim_state;
	unsigned long freed;

	current->reclaim_state = &state;
	freed = drm_gem_shrinker_purge(&mock->drm, nr_pages);
	current->reclaim_state = saved;
	/* Slabs that happen to be freed in the meantime are reported, too. */
	mock_rule(mock, state.reclaimed >= freed);

	return freed;
}

struct drm_gem_shrinker_stats mock_stats(struct mock_device *mock)
{
	struct drm_gem_shrinker_stats stats;

	drm_gem_shrinker_get_stats(&mock->drm, &stats);

	return stats;
}

/* The same to evict; returns how many pages went, to whosever scan. */
unsigned long mock_evict(struct mock_device *mock, unsigned long nr_pages)
{
	unsigned long before = mock_stats(mock).evicted_pages;

	drm_gem_shrinker_evict(&mock->drm, nr_pages);

	return mock_stats(mock).evicted_pages - before;
}
