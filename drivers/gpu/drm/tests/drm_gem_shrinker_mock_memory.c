// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * The memory of the mock driver's objects: a word of contents, which is in the
 * pages, in swap, or lost. Each job looks whether it finds what the one before
 * has left. A job that goes on is a fence.
 */

#include <linux/dma-fence.h>
#include <linux/slab.h>

#include "drm_gem_shrinker_mock.h"

/* What is read where nothing was written. */
#define MOCK_POISON	0xdead

unsigned long mock_gem_purge(struct drm_gem_object *obj)
{
	struct mock_device *mock = to_mock_device(obj->dev);
	struct mock_object *bo = to_mock_object(obj);
	unsigned long freed = bo->pages ? obj->size >> PAGE_SHIFT : 0;

	dma_resv_assert_held(obj->resv);
	mock_rule(mock, dma_resv_is_locked(obj->resv));
	mock_rule(mock, dma_resv_test_signaled(obj->resv, DMA_RESV_USAGE_BOOKKEEP));
	mock_rule(mock, drm_gem_is_purged(obj));
	mock_rule(mock, bo->revoke_seq);
	mock_rule(mock, !bo->batch);
	mock_rule(mock, !READ_ONCE(bo->attached));
	mock_rule(mock, !bo->purge_seq);

	bo->pages = false;
	bo->swapped = false;
	bo->contents = MOCK_POISON;
	bo->purger = current;
	WRITE_ONCE(bo->purge_seq, atomic_inc_return(&mock->seq));
	atomic_inc(&mock->purges);
	wake_up_all(&mock->wait);

	return freed;
}

int mock_gem_evict(struct drm_gem_object *obj)
{
	struct mock_device *mock = to_mock_device(obj->dev);
	struct mock_object *bo = to_mock_object(obj);
	u32 state = atomic_read(&obj->reclaim.state);

	dma_resv_assert_held(obj->resv);
	mock_rule(mock, dma_resv_is_locked(obj->resv));
	mock_rule(mock, dma_resv_test_signaled(obj->resv, DMA_RESV_USAGE_BOOKKEEP));
	mock_rule(mock, !drm_gem_is_purged(obj));
	mock_rule(mock, bo->revoke_seq);
	mock_rule(mock, !bo->batch);
	mock_rule(mock, !READ_ONCE(bo->attached));
	mock_rule(mock, bo->pages);
	/* Mappings of a dma-buf are not to be found, and would keep the pages. */
	mock_rule(mock, !(state & (DRM_GEM_RECLAIM_PINNED | DRM_GEM_RECLAIM_EXPORTED)));

	if (mock->evict_error)
		return mock->evict_error;

	bo->swap = bo->contents;
	bo->swapped = true;
	bo->contents = MOCK_POISON;
	bo->pages = false;
	WRITE_ONCE(bo->evict_seq, atomic_inc_return(&mock->seq));
	atomic_inc(&mock->evictions);
	wake_up_all(&mock->wait);

	return 0;
}

/* A slow device: nothing is free at once. */
unsigned long mock_gem_pageout(struct drm_gem_object *obj)
{
	struct mock_device *mock = to_mock_device(obj->dev);

	mock_rule(mock, current->flags & PF_MEMALLOC);
	atomic_inc(&mock->pageouts);
	if (mock->pageout_hook)
		mock->pageout_hook(to_mock_object(obj));

	return 0;
}

static int mock_swap_in_locked(struct mock_object *bo)
{
	struct mock_device *mock = to_mock_device(bo->base.dev);

	if (bo->pages)
		return 0;

	mock_rule(mock, bo->swapped && !bo->attached);
	if (mock->swapin_error)
		return mock->swapin_error;

	bo->contents = bo->swap;
	bo->swapped = false;
	bo->pages = true;
	drm_gem_reclaim_swapped_in(&bo->base);

	return 0;
}

static int mock_job_locked(struct mock_object *bo)
{
	int ret;

	if (!drm_gem_reclaim_want(&bo->base))
		return -EINVAL;

	ret = mock_swap_in_locked(bo);
	if (ret)
		return ret;

	WRITE_ONCE(bo->attached, true);
	mock_rule(to_mock_device(bo->base.dev), bo->contents == bo->expected);
	bo->contents = ++bo->expected;

	return 0;
}

/*
 * What is done with an object before a job is queued, and by the job, which is
 * over at once.
 *
 * Returns 0, -EINVAL when the object is purged, or the error set by the test.
 */
int mock_job(struct mock_object *bo)
{
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = mock_job_locked(bo);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

/* The same with a job that lasts until mock_idle(). */
int mock_job_busy(struct kunit *test, struct mock_object *bo,
		  struct dma_fence **fence)
{
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = mock_job_locked(bo);
	if (!ret)
		*fence = mock_busy_locked(test, bo, DMA_RESV_USAGE_BOOKKEEP);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

/* Pins the pages for the CPU: the device is not told. */
int mock_pin(struct mock_object *bo)
{
	int ret = -EINVAL;

	dma_resv_lock(bo->base.resv, NULL);
	if (!drm_gem_is_purged(&bo->base)) {
		ret = mock_swap_in_locked(bo);
		if (!ret)
			drm_gem_reclaim_exclude(&bo->base, DRM_GEM_RECLAIM_PINNED);
	}
	dma_resv_unlock(bo->base.resv);

	return ret;
}

void mock_unpin(struct mock_object *bo)
{
	mock_include(bo, DRM_GEM_RECLAIM_PINNED);
}

static const char *mock_fence_name(struct dma_fence *fence)
{
	return "mock";
}

static const struct dma_fence_ops mock_fence_ops = {
	.get_driver_name = mock_fence_name,
	.get_timeline_name = mock_fence_name,
};

static DEFINE_SPINLOCK(mock_fence_lock);

struct dma_fence *mock_busy_locked(struct kunit *test, struct mock_object *bo,
				   enum dma_resv_usage usage)
{
	struct dma_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fence);
	dma_fence_init(fence, &mock_fence_ops, &mock_fence_lock,
		       dma_fence_context_alloc(1), 1);
	KUNIT_EXPECT_EQ(test, dma_resv_reserve_fences(bo->base.resv, 1), 0);
	dma_resv_add_fence(bo->base.resv, fence, usage);

	return fence;
}

/* Makes an object look in use by a job until mock_idle(). */
struct dma_fence *mock_busy(struct kunit *test, struct mock_object *bo,
			    enum dma_resv_usage usage)
{
	struct dma_fence *fence;

	dma_resv_lock(bo->base.resv, NULL);
	fence = mock_busy_locked(test, bo, usage);
	dma_resv_unlock(bo->base.resv);

	return fence;
}

void mock_idle(struct dma_fence *fence)
{
	dma_fence_signal(fence);
	dma_fence_put(fence);
}
