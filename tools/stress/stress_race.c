// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads that do what they like with one handle, in a file of its own. Then one of them
 * closes it while the other goes on: it is woken on the same CPU, and comes first there, so that
 * the other is anywhere in the kernel. What each call returns cannot be foretold, but:
 *
 * - there are no other errors than those for BOs that are purged, or handles that are closed;
 * - a mapping shows what the BO had, or zero when it was replaced;
 * - in the end it has the one or the other, all of it;
 * - if it came from another process, that does not lose it, see stress_share.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stress.h"

struct race {
	struct stress *me;
	struct bo bo;
	uint64_t random[2];
	bool closes;		/* the first of the two does */
	_Atomic bool closed;
	_Atomic uint32_t taken;	/* how often advice was */
	_Atomic bool replaced;
};

struct racer {
	struct race *race;
	unsigned int nr;
};

static void expect(struct race *race, const char *what, int ret, bool may_fail)
{
	if (ret >= 0 || ret == -ENOMEM || (may_fail && ret == -EINVAL) ||
	    (race->closes && ret == -ENOENT))
		return;
	report(race->me, NULL, N_WRONG, "in a race, %s: %s", what, strerror(-ret));
}

static void race_map(struct race *race, uint64_t index)
{
	struct bo *bo = &race->bo;
	struct drm_virtgpu_map map = { .handle = bo->handle };
	struct contents zero = { 0 };
	struct sight sight;
	uint64_t *ptr;
	int ret;

	ret = drm_do(race->me->drm, DRM_IOCTL_VIRTGPU_MAP, &map);
	expect(race, "MAP", ret, false);
	if (ret)
		return;
	ptr = mmap(NULL, bo->size, PROT_READ, MAP_SHARED, race->me->drm, map.offset);
	if (ptr == MAP_FAILED) {
		/* its place may be another BO's by now, which is of another file */
		if (!race->closes || errno != EACCES)
			expect(race, "mmap", -errno, true);
		return;
	}
	sight = contents_look(ptr, index, 1, bo->guest);
	if (sight.what == SEEN_OTHER)
		sight = contents_look(ptr, index, 1, zero);
	if (sight.what == SEEN_OTHER) {
		report(race->me, NULL, N_LEAKED, "in a race, word %" PRIu64 " is 0x%" PRIx64,
		       index, sight.word);
		count_bytes(N_LEAKED, 8);
	}
	munmap(ptr, bo->size);
}

static void race_advise(struct race *race, uint32_t advice)
{
	struct drm_virtgpu_madvise args = { .bo_handle = race->bo.handle, .madv = advice };
	int ret = drm_do(race->me->drm, DRM_IOCTL_VIRTGPU_MADVISE, &args);

	/* somebody else has it, or scans have not let go of it yet */
	if (ret == -EBUSY && advice == VIRTGPU_MADV_WILLNEED_REPLACE)
		return;
	expect(race, "MADVISE", ret, race->bo.custom && advice == VIRTGPU_MADV_WILLNEED_REPLACE);
	if (!ret && !args.retained && advice == VIRTGPU_MADV_WILLNEED_REPLACE)
		atomic_store(&race->replaced, true);
	atomic_fetch_add(&race->taken, !ret);
}

static void race_transfer(struct race *race)
{
	struct drm_virtgpu_3d_transfer_to_host args = {
		.bo_handle = race->bo.handle,
		.box.w = race->me->has_3d ? race->bo.size : 1024,
		.box.h = race->me->has_3d ? 1 : race->bo.size / 4096,
		.box.d = 1,
	};

	expect(race, "TRANSFER_TO_HOST",
	       drm_do(race->me->drm, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &args), true);
}

/* A job that does nothing with it. */
static void race_exec(struct race *race)
{
	uint32_t nop = 0;
	struct drm_virtgpu_execbuffer exec = {
		.size = sizeof(nop),
		.command = (uintptr_t)&nop,
		.bo_handles = (uintptr_t)&race->bo.handle,
		.num_bo_handles = 1,
		.fence_fd = -1,
	};

	if (race->me->has_3d)
		expect(race, "EXECBUFFER",
		       drm_do(race->me->drm, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec), true);
}

static void race_export(struct race *race)
{
	struct drm_prime_handle args = { .handle = race->bo.handle, .flags = DRM_CLOEXEC };
	int ret = drm_do(race->me->drm, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	expect(race, "PRIME_HANDLE_TO_FD", ret, true);
	if (!ret)
		close(args.fd);
}

static void race_wait(struct race *race)
{
	struct drm_virtgpu_3d_wait args = { .handle = race->bo.handle };
	int ret = drm_do(race->me->drm, DRM_IOCTL_VIRTGPU_WAIT, &args);

	if (ret != -EBUSY)
		expect(race, "WAIT", ret, false);
}

static void race_step(struct race *race, uint32_t what)
{
	switch (what % 16) {
	case 0:
		race_map(race, what / 16 % (race->bo.size / 8));
		break;
	case 1:
		race_transfer(race);
		break;
	case 2:
		race_exec(race);
		break;
	case 3:
		race_export(race);
		break;
	case 4:
		race_wait(race);
		break;
	case 5:
	case 6:
	case 7:
		race_advise(race, VIRTGPU_MADV_WILLNEED_REPLACE);
		break;
	case 8:
	case 9:
		race_advise(race, VIRTGPU_MADV_WILLNEED);
		break;
	default:
		race_advise(race, VIRTGPU_MADV_DONTNEED);
	}
}

static uint32_t dice(struct racer *racer)
{
	return random_next(&racer->race->random[racer->nr]) >> 32;
}

static void *run_steps(void *arg)
{
	for (int i = 0; i < 24; i++)
		race_step(((struct racer *)arg)->race, dice(arg));
	return NULL;
}

static void *run_until_closed(void *arg)
{
	struct racer *racer = arg;

	while (!atomic_load(&racer->race->closed)) {
		if (dice(racer) % 4)
			race_advise(racer->race, VIRTGPU_MADV_DONTNEED);
		else
			race_step(racer->race, dice(racer));
	}
	return NULL;
}

static void close_first(struct racer *racer)
{
	struct drm_gem_close args = { .handle = racer->race->bo.handle };
	struct sched_param first = { .sched_priority = 1 }, normal = { 0 };

	sched_setscheduler(0, SCHED_FIFO, &first);
	for (int tries = 1000; !atomic_load(&racer->race->taken) && tries; tries--)
		usleep(50 + dice(racer) % 50);
	expect(racer->race, "GEM_CLOSE", drm_do(racer->race->me->drm, DRM_IOCTL_GEM_CLOSE, &args),
	       false);
	sched_setscheduler(0, SCHED_OTHER, &normal);
	atomic_store(&racer->race->closed, true);
}

static void run_race(struct race *race, bool closes)
{
	struct racer racers[2] = { { race, 0 }, { race, 1 } };
	pthread_attr_t small;
	cpu_set_t all, one;
	pthread_t other;
	bool alone;

	race->closes = closes;
	atomic_store(&race->closed, false);
	atomic_store(&race->taken, 0);
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (closes)
		sched_setaffinity(0, sizeof(one), &one);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 * KIB);
	alone = pthread_create(&other, &small, closes ? run_until_closed : run_steps, &racers[1]);
	pthread_attr_destroy(&small);
	if (closes)
		close_first(&racers[0]);
	else
		run_steps(&racers[0]);
	sched_setaffinity(0, sizeof(all), &all);
	if (!alone)
		pthread_join(other, NULL);
}

/* What @me is in a file of its own, or NULL when there is no memory for that. */
static struct stress *open_file(const struct stress *me)
{
	struct stress *other = calloc(1, sizeof(*other));

	if (!other)
		return NULL;
	other->drm = drm_open();
	other->has_3d = me->has_3d;
	other->proc = me->proc;
	other->thread = me->thread;
	other->life = me->life;
	other->generation = me->generation;
	other->random = me->random;
	other->needed_kib = me->needed_kib;
	if (other->drm >= 0)
		return other;
	free(other);
	return NULL;
}

static void close_file(struct stress *me, struct stress *other)
{
	close(other->drm);
	me->generation = other->generation;
	me->random = other->random;
	free(other);
}

static void begin(struct race *race, struct stress *other, const struct bo *bo)
{
	*race = (struct race){ .me = other, .bo = *bo };
	race->random[0] = random_next(&other->random);
	race->random[1] = random_next(&other->random);
}

/* One or the other is true of it when the race is over. */
static void settle(struct race *race, struct bo *bo)
{
	struct drm_virtgpu_madvise args = { .bo_handle = bo->handle };
	struct drm_virtgpu_resource_info info = { .bo_handle = bo->handle };
	int ret = drm_do(race->me->drm, DRM_IOCTL_VIRTGPU_MADVISE, &args);

	expect(race, "MADVISE", ret, false);
	if (ret)
		return;
	if (!args.retained) {
		found_purged(race->me, bo);
		bo->torn = true;
		bo_replace(race->me, bo);
		return;
	}
	expect(race, "RESOURCE_INFO", drm_do(race->me->drm, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info),
	       false);
	if (atomic_load(&race->replaced))
		bo->guest = (struct contents){ 0 };
	if (atomic_load(&race->replaced) == (bo->resource == info.res_handle))
		report(race->me, bo, N_WRONG, "in a race: resource %u", info.res_handle);
	bo->resource = info.res_handle;
	bo_verify(race->me, bo, N_LOST);
}

/* Of a new BO. */
void race_own(struct stress *me)
{
	static const uint16_t sizes_kib[] = { 4, 16, 64, 256 };
	struct stress *other = open_file(me);
	struct race race;
	struct bo *bo;

	if (!other)
		return;
	count(OP_RACE);
	bo = bo_create(other, sizes_kib[rnd(other, 4)] * KIB, false);
	if (bo && bo_write(other, bo, bo_next(other))) {
		if (rnd(other, 2))
			bo_upload(other, bo);
		begin(&race, other, bo);
		run_race(&race, false);
		settle(&race, bo);
		/* or its end is that of the file */
		if (rnd(other, 4))
			run_race(&race, true);
		bo->bad = bo->handle_closed = true;
	}
	if (bo)
		bo_close(other, bo);
	close_file(me, other);
}

/* Of one that is imported. The dma-buf is closed. */
void race_import(struct stress *me, struct bo *bo, int dma_buf)
{
	struct drm_prime_handle args = { .fd = dma_buf };
	struct stress *other = open_file(me);
	struct race race;
	int ret;

	if (!other) {
		close(dma_buf);
		return;
	}
	count(OP_RACE);
	ret = drm_do(other->drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
	close(dma_buf);
	bo->handle = args.handle;
	if (bo_done(other, bo, "PRIME_FD_TO_HANDLE", ret)) {
		begin(&race, other, bo);
		run_race(&race, false);
		share_leave(me, bo);
		run_race(&race, true);
	}
	close_file(me, other);
}
