// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about BOs that others use, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "virtio_madvise.h"

void test_purge_exported(int fd)
{
	struct vg_bo bo;
	uint64_t *map;
	int dmabuf;

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	dmabuf = vg_bo_export(&bo);
	igt_assert(dmabuf >= 0);
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	vg_expect_kept();
	vg_bo_check(&bo);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 1);
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);

	map = mmap(NULL, bo.size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	igt_assert_f(map != MAP_FAILED, "mmap of the dma-buf: %s\n", strerror(errno));
	close(dmabuf);
	vg_expect_kept();
	igt_assert(vg_contents_are(map, bo.size, bo.seed));
	igt_assert_eq(munmap(map, bo.size), 0);

	vg_expect_purged(1);
	vg_bo_close(&bo);
}

void test_purge_after_export_closed(int fd)
{
	struct vg_bo bo;

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	for (int i = 0; i < 2; i++) {
		int dmabuf = vg_bo_export(&bo);

		igt_assert(dmabuf >= 0);
		close(dmabuf);
	}
	vg_expect_kept();
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	vg_bo_close(&bo);
}

/* A handle of another file, by name or by prime. */
static uint32_t share(const struct vg_bo *bo, int other, bool by_name)
{
	uint32_t handle, name;

	if (by_name) {
		igt_assert_eq(vg_bo_flink(bo, &name), 0);
		igt_assert_eq(vg_open_name(other, name, &handle), 0);
	} else {
		int dmabuf = vg_bo_export(bo);

		igt_assert_eq(vg_import(other, dmabuf, &handle), 0);
		close(dmabuf);
	}
	return handle;
}

static void shared_handle(int fd, bool by_name)
{
	int other = vg_open();
	uint32_t handle;
	struct vg_bo bo;

	/* What the other file says is the other's word, and goes with its handle. */
	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	handle = share(&bo, other, by_name);
	igt_assert_eq(vg_madvise(other, handle, DONTNEED), 1);
	vg_expect_kept();
	igt_assert_eq(vg_close_handle(other, handle), 0);
	vg_expect_kept();
	vg_bo_check(&bo);

	/* What this file says holds when it is alone again. */
	handle = share(&bo, other, by_name);
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	vg_expect_kept();
	vg_bo_check(&bo);
	igt_assert_eq(vg_close_handle(other, handle), 0);
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	vg_bo_close(&bo);
	close(other);
}

void test_purge_shared_handle(int fd)
{
	shared_handle(fd, false);
	shared_handle(fd, true);
}

struct giving_up {
	int file;
	_Atomic uint32_t handle;
	_Atomic uint32_t taken;		/* how often the advice was */
	_Atomic uint32_t refused;
	_Atomic bool end;
};

/*
 * A thread that gives up a handle all the time, whether it is there or not. Not a process: of a
 * file that is used by several in turn the kernel notes which, and waits for RCU.
 */
static void *give_up(void *arg)
{
	struct giving_up *race = arg;
	struct sched_param normal = { 0 };

	pthread_setschedparam(pthread_self(), SCHED_OTHER, &normal);
	while (!race->end) {
		struct drm_virtgpu_madvise args = { .bo_handle = race->handle, .madv = DONTNEED };

		if (ioctl(race->file, DRM_IOCTL_VIRTGPU_MADVISE, &args))
			race->refused++;
		else
			race->taken++;
	}
	return NULL;
}

/* Until it has gone once through the ioctl at least. */
static void wait_for(const _Atomic uint32_t *count, long ns)
{
	const struct timespec pause = { .tv_nsec = ns };
	uint32_t before = *count;

	for (int tries = 10000; *count == before; tries--) {
		igt_assert(tries);
		nanosleep(&pause, NULL);
	}
}

/*
 * Who closes is woken on the CPU of who gives up, and comes first: anywhere in the ioctl, if the
 * kernel can be preempted.
 */
void test_race_close(int fd)
{
	static struct giving_up race;
	struct sched_param first = { .sched_priority = 1 }, normal = { 0 };
	int closes, lost = 0;
	cpu_set_t before, one;
	time_t end = time(NULL) + 5;
	struct vg_bo bo;
	pthread_t thread;

	memset(&race, 0, sizeof(race));
	race.file = vg_open();
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	igt_assert_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	igt_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	igt_assert_eq(sched_setscheduler(0, SCHED_FIFO, &first), 0);
	igt_assert_eq(pthread_create(&thread, NULL, give_up, &race), 0);

	vg_bo_create_filled(&bo, fd, 4 * VG_KIB, 1);
	/* once in ten times is what it takes */
	for (closes = 0; closes < 1000 && time(NULL) < end; closes++) {
		race.handle = share(&bo, race.file, false);
		wait_for(&race.taken, 100000 + closes * 7919 % 200000);
		igt_assert_eq(vg_close_handle(race.file, race.handle), 0);
		wait_for(&race.refused, 50000);
		vg_scan();
		lost = !vg_bo_madvise(&bo, WILLNEED);
		if (lost)
			break;
	}
	vg_bo_close(&bo);

	race.end = true;
	pthread_join(thread, NULL);
	sched_setscheduler(0, SCHED_OTHER, &normal);
	sched_setaffinity(0, sizeof(before), &before);
	close(race.file);
	igt_assert_f(!lost, "lost after %d closes\n", closes);
}

void test_export_purged(int fd)
{
	struct vg_bo bo;

	vg_bo_create_purged(&bo, fd, VG_BO_SIZE);
	igt_assert_eq(vg_bo_export(&bo), -EINVAL);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	igt_assert_eq(vg_bo_export(&bo), -EINVAL);
	vg_bo_close(&bo);

	/* also if it was exported before */
	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	close(vg_bo_export(&bo));
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_export(&bo), -EINVAL);
	vg_bo_close(&bo);
}
