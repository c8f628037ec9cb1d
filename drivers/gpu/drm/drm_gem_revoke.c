// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched/mm.h>

#include <drm/drm_device.h>

#include "drm_gem_shrinker_internal.h"

#define CREATE_TRACE_POINTS
#include "drm_gem_shrinker_trace.h"

/**
 * DOC: Waiting
 *
 * The device gets %DRM_GEM_REVOKE_DEADLINE_MS to answer; a paravirtual one
 * takes some 100 microseconds, a hundred times less than the 10 ms for which
 * throttled reclaim sleeps anyway, so only a host in trouble exceeds it. The
 * scan then leaves the batch to the *finisher*, a work item that runs when the
 * answer comes, whether or not a scan comes by. Until that happens further
 * scans do nothing: a device that does not answer is given no more to do than
 * the next batch, which was sent, and its slowness is paid for once. Pages
 * that the finisher frees are reported to the mm by the next scan that is made
 * for it.
 *
 * The OOM notifier is the last stop before a victim is chosen. It goes on until
 * something was freed or nothing is left to look at, waits for the device, and
 * for room in it, for %DRM_GEM_OOM_DEADLINE_MS in all, and ignores second
 * chances. It takes resv, the list and &drm_device.object_name_lock by trylock.
 * Zapping may sleep on i_mmap_rwsem, as it does for all of reclaim.
 *
 * To free swap space is another matter. A folio of an evicted object that vmscan
 * is about to write is waited for, and the first one may be read back. So where
 * I/O is not allowed, and for the OOM notifier, the finisher purges what was
 * evicted, and the notifier waits for that like for the device.
 *
 * Reclaim works from reserves: the batches are part of the shrinker, and what
 * a driver needs to send is the driver's to reserve. References that turn out
 * to be the last are dropped by another work item, because free paths lock and
 * allocate; no batch waits for that.
 */

void drm_gem_batch_free(struct drm_gem_revoke_batch *batch)
{
	struct drm_gem_shrinker *shrinker = batch->shrinker;

	clear_bit_unlock(batch - shrinker->batches, &shrinker->busy);
	wake_up_all(&shrinker->wait);
}

struct drm_gem_revoke_batch *
drm_gem_batch_get(struct drm_gem_shrinker *shrinker, enum drm_gem_list_id from)
{
	struct drm_gem_revoke_batch *batch;
	int i, first;

	/*
	 * The first is only for those who purge what the guest has, and they
	 * take it when there is no other.
	 */
	first = from == DRM_GEM_LIST_GIVEN_UP ? 0 : 1;
	for (i = DRM_GEM_REVOKE_BATCHES - 1; i >= first; i--)
		if (!test_and_set_bit_lock(i, &shrinker->busy))
			break;
	if (i < first)
		return NULL;

	batch = &shrinker->batches[i];
	batch->from = from;
	batch->nr = 0;
	batch->revoked = 0;
	batch->failed = 0;
	atomic_set(&batch->pending, 1);
	atomic_set(&batch->phase, DRM_GEM_BATCH_SENT);
	reinit_completion(&batch->answered);

	return batch;
}

/* The last reference to an object is left to a work item that nobody waits for. */
static void drm_gem_put_in_reclaim(struct drm_gem_shrinker *shrinker,
				   struct drm_gem_object *obj)
{
	if (!refcount_dec_not_one(&obj->refcount.refcount) &&
	    llist_add(&obj->reclaim.put, &shrinker->put))
		schedule_work(&shrinker->put_work);
}

/* Drops the references to those objects that a batch has no more to do with. */
void drm_gem_batch_drop(struct drm_gem_revoke_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr; i++) {
		struct drm_gem_object *obj = batch->objs[i];

		if (!obj || batch->revoked & BIT(i))
			continue;

		WRITE_ONCE(batch->objs[i], NULL);
		drm_gem_put_in_reclaim(batch->shrinker, obj);
	}
}

static void drm_gem_put_work(struct work_struct *work)
{
	struct drm_gem_shrinker *shrinker =
		container_of(work, struct drm_gem_shrinker, put_work);
	struct drm_gem_reclaim *reclaim, *tmp;

	llist_for_each_entry_safe(reclaim, tmp, llist_del_all(&shrinker->put), put)
		drm_gem_object_put(container_of(reclaim, struct drm_gem_object,
						reclaim));
}

/*
 * Gives the pages of one object to the system, unless somebody came who needs
 * them to stay: that happens under the resv, which we hold. Who got hold of a
 * dma-buf of it may have mapped that by now, and such mappings are not zapped.
 */
static bool drm_gem_finish_evict(struct drm_gem_shrinker *shrinker,
				 struct drm_gem_object *obj)
{
	u32 state = drm_gem_state_read(obj);
	int why = -1;

	if (state & (DRM_GEM_RECLAIM_WANTED | DRM_GEM_RECLAIM_EXPORTED) ||
	    drm_gem_state_excluded(state))
		why = DRM_GEM_REFUSED_WANTED;
	else if (obj->funcs->evict(obj))
		why = DRM_GEM_REFUSED_DRIVER;

	if (why >= 0) {
		drm_gem_state_change(obj, DRM_GEM_RECLAIM_REVOKING |
				     DRM_GEM_RECLAIM_WANTED, 0);
		atomic_long_inc(&shrinker->refused[why]);
		return false;
	}

	drm_gem_state_change(obj, DRM_GEM_RECLAIM_REVOKING |
			     DRM_GEM_RECLAIM_RESIDENT, DRM_GEM_RECLAIM_EVICTED);
	atomic_long_inc(&shrinker->evicted_bos);
	atomic_long_add(obj->size >> PAGE_SHIFT, &shrinker->evicted_pages);
	trace_drm_gem_evict(obj, obj->size >> PAGE_SHIFT);

	return true;
}

/*
 * Frees the pages of one object that the device has let go of, or has refused
 * to. Returns false when that has to be tried again, by the finisher.
 */
static bool drm_gem_finish_one(struct drm_gem_revoke_batch *batch,
			       unsigned int i, bool io, unsigned long *freed,
			       bool *evicted)
{
	struct drm_gem_shrinker *shrinker = batch->shrinker;
	struct drm_gem_object *obj = batch->objs[i];
	unsigned long pages;
	bool swapped;

	/* resv -> fs_reclaim is the common order, this is the other one. */
	if (!dma_resv_trylock(obj->resv))
		return false;

	swapped = drm_gem_state_read(obj) & DRM_GEM_RECLAIM_EVICTED;
	if (swapped && !io && !test_bit(i, &batch->failed)) {
		dma_resv_unlock(obj->resv);
		return false;
	}

	if (test_bit(i, &batch->failed)) {
		drm_gem_state_change(obj, DRM_GEM_RECLAIM_REVOKING |
				     DRM_GEM_RECLAIM_WANTED, 0);
	} else if (batch->from == DRM_GEM_LIST_EVICTABLE) {
		*evicted = drm_gem_finish_evict(shrinker, obj);
	} else {
		pages = obj->funcs->purge(obj);
		drm_gem_state_change(obj, DRM_GEM_RECLAIM_REVOKING |
				     DRM_GEM_RECLAIM_RESIDENT |
				     DRM_GEM_RECLAIM_EVICTED, 0);
		if (batch->from == DRM_GEM_LIST_HOST) {
			atomic_long_add(pages, &shrinker->host_purged_pages);
		} else {
			atomic_long_inc(&shrinker->purged_bos);
			atomic_long_add(pages, &shrinker->purged_pages);
		}
		trace_drm_gem_purge(obj, pages);
		/* Swap space that is free again lets reclaim go on as well. */
		*freed += swapped ? obj->size >> PAGE_SHIFT : pages;
	}

	dma_resv_unlock(obj->resv);

	return true;
}

/*
 * Finishes what can be, and sees to it that the rest will be. Returns the number
 * of pages freed, or of swap.
 *
 * With @io, what was evicted is written out at once. Left to vmscan, 27 to 130
 * of 200 MiB of idle objects stayed in memory, while it wrote out the pages of
 * the process that was in need of more; with this, 2 MiB at most.
 *
 * With @late, what was freed is left for vmscan to fetch, and that before the
 * batch is seen to be free: the OOM notifier waits for either.
 */
unsigned long drm_gem_batch_finish(struct drm_gem_revoke_batch *batch, bool io,
				   bool late)
{
	struct drm_gem_shrinker *shrinker = batch->shrinker;
	struct drm_gem_object *write[DRM_GEM_REVOKE_BATCH];
	unsigned int i, nr_write = 0;
	unsigned long freed = 0;

	for (i = 0; i < batch->nr; i++) {
		struct drm_gem_object *obj = batch->objs[i];
		bool evicted = false;

		if (!(batch->revoked & BIT(i)) ||
		    !drm_gem_finish_one(batch, i, io, &freed, &evicted))
			continue;

		batch->revoked &= ~BIT(i);
		if (evicted && io && obj->funcs->pageout) {
			write[nr_write++] = obj;
			WRITE_ONCE(batch->objs[i], NULL);
		}
	}

	if (late && batch->from != DRM_GEM_LIST_HOST)
		atomic_long_add(freed, &shrinker->freed_late);

	drm_gem_batch_drop(batch);
	if (batch->revoked) {
		/* Some may be waited for, see drm_gem_reclaim_wait_finished(). */
		wake_up_all(&shrinker->wait);
		queue_delayed_work(shrinker->wq, &batch->finish, 1);
	} else {
		drm_gem_batch_free(batch);
	}

	for (i = 0; i < nr_write; i++) {
		freed += write[i]->funcs->pageout(write[i]);
		drm_gem_put_in_reclaim(shrinker, write[i]);
	}

	return freed;
}

static void drm_gem_finisher(struct work_struct *work)
{
	struct drm_gem_revoke_batch *batch =
		container_of(work, struct drm_gem_revoke_batch, finish.work);
	unsigned int noreclaim = memalloc_noreclaim_save();

	/* It can wait for swap to be freed; to write is left to vmscan. */
	drm_gem_batch_finish(batch, batch->from == DRM_GEM_LIST_GIVEN_UP, true);
	memalloc_noreclaim_restore(noreclaim);
}

/**
 * drm_gem_revoke_action - what a batch is for
 * @batch: the batch
 *
 * Context: any.
 *
 * Returns: the action.
 */
enum drm_gem_revoke_action
drm_gem_revoke_action(const struct drm_gem_revoke_batch *batch)
{
	return batch->from == DRM_GEM_LIST_EVICTABLE ? DRM_GEM_REVOKE_EVICT :
						       DRM_GEM_REVOKE_PURGE;
}
EXPORT_SYMBOL(drm_gem_revoke_action);

/**
 * drm_gem_revoke_commit - decide that an object is purged, or to be evicted
 * @batch: the batch that &drm_gem_shrinker_ops.revoke was called with
 * @obj: the object that it was called with
 *
 * To be called when the driver has all that it needs to send; the command has
 * to follow. If there is nothing to send because the device has let go already,
 * drm_gem_revoke_answer() may follow at once.
 *
 * Context: reclaim; holds the resv of @obj; may be called under spinlocks.
 *
 * Returns: false when the object is no longer to be had, because user space
 * wants it after all. Nothing may be sent then.
 */
bool drm_gem_revoke_commit(struct drm_gem_revoke_batch *batch,
			   struct drm_gem_object *obj)
{
	u32 old = drm_gem_state_read(obj);
	u32 new;

	dma_resv_assert_held(obj->resv);

	do {
		if (!drm_gem_state_is_candidate(old, batch->from) ||
		    old & (DRM_GEM_RECLAIM_REVOKING | DRM_GEM_RECLAIM_EXPORTED))
			return false;

		new = old | DRM_GEM_RECLAIM_REVOKING;
		if (batch->from != DRM_GEM_LIST_EVICTABLE)
			new = (new & ~DRM_GEM_RECLAIM_MADV) | DRM_GEM_MADV_PURGED;
	} while (!drm_gem_state_try(obj, &old, new));

	atomic_inc(&batch->pending);
	batch->revoked |= BIT(batch->cur);

	return true;
}
EXPORT_SYMBOL(drm_gem_revoke_commit);

/**
 * drm_gem_revoke_answer - the device has let go of an object, or will not
 * @batch: the batch in which the object was committed
 * @obj: the object
 * @err: 0, or a negative error code: the device may still use the pages. After
 *	 -EAGAIN, when the command could not be sent, a later scan tries again;
 *	 after any other they stay until the object is freed or, if it was to
 *	 be evicted, purged.
 *
 * To be called once for each committed object. A reset of the device counts as
 * an answer once it is done.
 *
 * Context: any, also interrupts.
 */
void drm_gem_revoke_answer(struct drm_gem_revoke_batch *batch,
			   struct drm_gem_object *obj, int err)
{
	struct drm_gem_shrinker *shrinker = batch->shrinker;
	unsigned int i;

	if (err) {
		for (i = 0; i < batch->nr; i++)
			if (READ_ONCE(batch->objs[i]) == obj)
				set_bit(i, &batch->failed);
		if (err != -EAGAIN)
			drm_gem_state_change(obj, 0,
					     batch->from == DRM_GEM_LIST_EVICTABLE ?
					     DRM_GEM_RECLAIM_NOEVICT :
					     DRM_GEM_RECLAIM_NEVER);
		atomic_long_inc(&shrinker->refused[DRM_GEM_REFUSED_DEVICE]);
	}

	if (!atomic_dec_and_test(&batch->pending))
		return;

	/* After complete() the batch is no longer ours. */
	if (atomic_xchg(&batch->phase, DRM_GEM_BATCH_ANSWERED) ==
	    DRM_GEM_BATCH_SENT) {
		complete(&batch->answered);
		return;
	}

	atomic_dec(&shrinker->late[batch->from]);
	queue_delayed_work(shrinker->wq, &batch->finish, 0);
	wake_up_all(&shrinker->wait);
}
EXPORT_SYMBOL(drm_gem_revoke_answer);

/**
 * drm_gem_revoke_answer_all - the same answer for all objects of a batch
 * @batch: the batch that &drm_gem_shrinker_ops.revoke_flush was called with
 * @err: as for drm_gem_revoke_answer()
 *
 * For devices that are told of all objects at once, by a driver that gives no
 * other answer.
 *
 * Context: from &drm_gem_shrinker_ops.revoke_flush only.
 */
void drm_gem_revoke_answer_all(struct drm_gem_revoke_batch *batch, int err)
{
	unsigned int i;

	for (i = 0; i < batch->nr; i++)
		if (batch->revoked & BIT(i))
			drm_gem_revoke_answer(batch, batch->objs[i], err);
}
EXPORT_SYMBOL(drm_gem_revoke_answer_all);

void drm_gem_note_wait(struct drm_gem_shrinker *shrinker, ktime_t begin)
{
	s64 us = ktime_us_delta(ktime_get(), begin);
	s64 longest = atomic64_read(&shrinker->longest_wait);

	while (us > longest &&
	       !atomic64_try_cmpxchg(&shrinker->longest_wait, &longest, us))
		;
}

/*
 * Waits for @timeout jiffies at most. Returns false when the batch now belongs to
 * the finisher.
 */
bool drm_gem_batch_wait(struct drm_gem_revoke_batch *batch,
			unsigned long timeout)
{
	struct drm_gem_shrinker *shrinker = batch->shrinker;
	ktime_t begin = ktime_get();
	unsigned long left;

	left = wait_for_completion_timeout(&batch->answered, timeout);
	drm_gem_note_wait(shrinker, begin);
	if (left)
		return true;

	atomic_inc(&shrinker->late[batch->from]);
	if (atomic_cmpxchg(&batch->phase, DRM_GEM_BATCH_SENT,
			   DRM_GEM_BATCH_ABANDONED) == DRM_GEM_BATCH_SENT)
		return false;

	/* The answer came just now, and whoever gave it is in complete(). */
	atomic_dec(&shrinker->late[batch->from]);
	wait_for_completion(&batch->answered);

	return true;
}

/**
 * drm_gem_shrinker_drain - wait until the last batch is finished
 * @dev: DRM device that may have called drm_gem_shrinker_unregister()
 *
 * To be called once all answers are given.
 *
 * Context: process context, may sleep; no resv held.
 */
void drm_gem_shrinker_drain(struct drm_device *dev)
{
	struct drm_gem_shrinker *shrinker = dev->gem_shrinker;

	if (!shrinker)
		return;

	wait_event(shrinker->wait, !READ_ONCE(shrinker->busy));
	/* Whoever cleared the last bit may still be about to wake us. */
	flush_workqueue(shrinker->wq);
	flush_work(&shrinker->put_work);
}
EXPORT_SYMBOL(drm_gem_shrinker_drain);

int drm_gem_shrinker_revoke_init(struct drm_gem_shrinker *shrinker)
{
	struct drm_gem_revoke_batch *batch;

	init_waitqueue_head(&shrinker->wait);
	for (batch = shrinker->batches;
	     batch < shrinker->batches + DRM_GEM_REVOKE_BATCHES; batch++) {
		batch->shrinker = shrinker;
		init_completion(&batch->answered);
		INIT_DELAYED_WORK(&batch->finish, drm_gem_finisher);
	}
	init_llist_head(&shrinker->put);
	INIT_WORK(&shrinker->put_work, drm_gem_put_work);

	shrinker->wq = alloc_workqueue("drm-gem-shrinker:%s", WQ_MEM_RECLAIM, 0,
				       dev_name(shrinker->dev->dev));

	return shrinker->wq ? 0 : -ENOMEM;
}

void drm_gem_shrinker_revoke_fini(struct drm_gem_shrinker *shrinker)
{
	if (!shrinker->wq)
		return;

	destroy_workqueue(shrinker->wq);
	flush_work(&shrinker->put_work);
}
