// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about what a purge takes away, and what is left.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "virtio_madvise.h"

void test_purge(int fd)
{
	uint64_t purged, purged_pages, resident, shmem;
	struct vg_bo bo, live;

	vg_bo_create_filled(&bo, fd, VG_BIG_SIZE, 1);
	vg_bo_create_filled(&live, fd, VG_BO_SIZE, 2);
	purged = vg_counter("purged_bos");
	purged_pages = vg_counter("purged_pages");
	resident = vg_counter("resident_pages");
	shmem = vg_file_value("/proc/meminfo", "Shmem");

	vg_trace_start();
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_counter("purgeable_pages"), vg_bo_pages(&bo));
	vg_expect_purged(1);
	igt_assert_eq(vg_trace_commands(VG_CMD_RESOURCE_UNREF), 1);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 1);
	vg_trace_stop();

	igt_assert_eq(vg_counter("purgeable_pages"), 0);
	igt_assert_eq(vg_counter("purged_bos") - purged, 1);
	igt_assert_eq(vg_counter("purged_pages") - purged_pages, vg_bo_pages(&bo));
	igt_assert_eq(resident - vg_counter("resident_pages"), vg_bo_pages(&bo));
	/* in KiB, and not to the page: counted per CPU */
	shmem -= vg_file_value("/proc/meminfo", "Shmem");
	igt_assert_f(shmem >= VG_BIG_SIZE / VG_KIB * 15 / 16, "Shmem shrank by %" PRIu64 " KiB\n",
		     shmem);

	vg_bo_check(&live);
	igt_assert_eq(vg_bo_upload(&live), 0);
	igt_assert_eq(vg_bo_wait(&live, 0), 0);
	vg_bo_close(&live);
	vg_bo_close(&bo);
}

void test_purged_not_retained(int fd)
{
	struct vg_bo bo;

	vg_bo_create_purged(&bo, fd, VG_BO_SIZE);
	for (int i = 0; i < 3; i++) {
		igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
		igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 0);
		igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 0);
		vg_expect_kept();
	}
	vg_bo_close(&bo);
}

void test_purge_mmapped(int fd)
{
	struct vg_bo bo, again;
	uint64_t shmem;

	vg_bo_create_filled(&bo, fd, VG_BIG_SIZE, 1);
	again = bo;
	igt_assert_eq(vg_bo_mmap(&again), 0);
	vg_bo_check(&again);
	shmem = vg_file_value("/proc/meminfo", "Shmem");

	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	vg_expect_purged(1);
	shmem -= vg_file_value("/proc/meminfo", "Shmem");
	igt_assert_f(shmem >= VG_BIG_SIZE / VG_KIB * 15 / 16, "Shmem shrank by %" PRIu64 " KiB\n",
		     shmem);
	vg_bo_expect_sigbus(&again);
	vg_bo_unmap(&again);
	vg_bo_close(&bo);
}

void test_access_purged_sigbus(int fd)
{
	struct vg_bo bo, untouched;

	vg_bo_create_purged(&bo, fd, VG_BO_SIZE);
	vg_bo_expect_sigbus(&bo);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	vg_bo_expect_sigbus(&bo);
	vg_bo_close(&bo);

	vg_bo_create(&untouched, fd, VG_BO_SIZE);
	igt_assert_eq(vg_bo_wait(&untouched, 0), 0);
	igt_assert_eq(vg_bo_madvise(&untouched, DONTNEED), 1);
	vg_expect_purged(1);
	vg_bo_expect_sigbus(&untouched);
	vg_bo_close(&untouched);
}

void test_mmap_after_purge(int fd)
{
	struct vg_bo bo, again;

	vg_bo_create_purged(&bo, fd, VG_BO_SIZE);
	again = bo;
	igt_assert_eq(vg_bo_mmap(&again), -EINVAL);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	igt_assert_eq(vg_bo_mmap(&again), -EINVAL);
	vg_bo_expect_sigbus(&bo);
	vg_bo_close(&bo);
}

void test_wait_purged(int fd)
{
	struct timespec begin, end;
	struct vg_bo bo;

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_bo_wait(&bo, VIRTGPU_WAIT_NOWAIT), 0);
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_wait(&bo, VIRTGPU_WAIT_NOWAIT), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	igt_assert(end.tv_sec - begin.tv_sec <= 1);
	vg_bo_close(&bo);
}

void test_close_purged(int fd)
{
	int other = vg_open();
	struct vg_bo bo, orphan;

	vg_bo_create_purged(&bo, fd, VG_BO_SIZE);
	vg_bo_create_purged(&orphan, other, VG_BO_SIZE);
	vg_trace_start();
	vg_bo_close(&bo);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), -ENOENT);

	vg_bo_unmap(&orphan);
	close(other);
	igt_assert_eq(vg_trace_commands(VG_CMD_RESOURCE_UNREF), 0);
	vg_trace_stop();

	/* Its id on the host may be used again now. */
	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 3);
	vg_bo_check(&bo);
	vg_bo_close(&bo);
}

struct race {
	unsigned int retained;
	unsigned int lost;
	unsigned int refused;
};

/*
 * Takes a BO out of the cache sooner or later after it went in, now and then used in
 * between, until the shrinker has come first a few times.
 */
static void race_client(struct race *race)
{
	int fd = vg_open();
	struct vg_bo bo;

	igt_assert(fd >= 0);
	vg_bo_create_filled(&bo, fd, 16 * VG_KIB, getpid());
	for (int i = 0; i < 1000 || (race->lost < 20 && i < 100000); i++) {
		int ret = 0, retained;

		igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
		for (volatile int pause = i % 64 * 50; pause; pause--)
			;
		if (i % 4 == 0)
			ret = vg_bo_upload(&bo);
		retained = vg_bo_madvise(&bo, WILLNEED);
		if (retained) {
			igt_assert_eq(ret, 0);
			vg_bo_check(&bo);
			race->retained++;
			continue;
		}
		/* the job came before the purge, or was refused */
		igt_assert(ret == 0 || ret == -EINVAL);
		race->refused += ret != 0;
		race->lost++;
		vg_bo_close(&bo);
		vg_bo_create_filled(&bo, fd, 16 * VG_KIB, getpid() + i);
	}
	vg_bo_close(&bo);
	close(fd);
}

void test_race_willneed(int fd)
{
	const int clients = 2;
	struct race *races, sum = { 0 };
	struct pollfd alive;
	int fds[2];

	races = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(races != MAP_FAILED);
	igt_assert(!pipe(fds));
	igt_fork(client, clients)
		race_client(&races[client]);
	close(fds[1]);

	/* until the last client has closed its end, by exiting */
	alive.fd = fds[0];
	do
		vg_scan();
	while (poll(&alive, 1, 0) == 0);
	close(fds[0]);
	igt_waitchildren();

	for (int i = 0; i < clients; i++) {
		sum.retained += races[i].retained;
		sum.lost += races[i].lost;
		sum.refused += races[i].refused;
	}
	munmap(races, sysconf(_SC_PAGESIZE));
	igt_info("%u times retained, %u times lost, %u jobs refused\n", sum.retained, sum.lost,
		 sum.refused);
	igt_assert_f(sum.retained && sum.lost, "there was no race\n");
}
