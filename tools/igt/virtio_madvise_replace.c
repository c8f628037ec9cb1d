// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about WILLNEED_REPLACE, which makes purged BOs usable again.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio_madvise.h"

static void purge(const struct vg_bo *bo)
{
	igt_assert_eq(vg_bo_madvise(bo, DONTNEED), 1);
	vg_expect_purged(1);
}

static void expect_zero(const struct vg_bo *bo)
{
	igt_assert_f(vg_contents_are_zero(bo->map, bo->size), "old bytes\n");
}

static uint64_t map_offset(const struct vg_bo *bo)
{
	struct drm_virtgpu_map map = { .handle = bo->handle };

	igt_assert_eq(vg_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_MAP, &map), 0);
	return map.offset;
}

static void expect_info(const struct vg_bo *bo)
{
	struct drm_virtgpu_resource_info info = { .bo_handle = bo->handle };

	igt_assert_eq(vg_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info), 0);
	igt_assert_eq(info.res_handle, bo->resource);
	igt_assert_eq(info.size, bo->size);
}

/* Everything that can be done with a BO. */
static void expect_usable(struct vg_bo *bo, uint64_t seed)
{
	int dmabuf;

	vg_bo_fill(bo, seed);
	igt_assert_eq(vg_bo_upload(bo), 0);
	igt_assert_eq(vg_bo_wait(bo, 0), 0);
	if (vg_has_3d(bo->fd)) {
		struct vg_bo other;

		vg_bo_create_filled(&other, bo->fd, bo->size, seed + 1);
		igt_assert_eq(vg_bo_copy(&other, bo), 0);
		igt_assert_eq(vg_bo_download(&other), 0);
		igt_assert_eq(vg_bo_wait(&other, 0), 0);
		other.seed = seed;
		vg_bo_check(&other);
		vg_bo_close(&other);

		memset(bo->map, 0, bo->size);
		igt_assert_eq(vg_bo_download(bo), 0);
		igt_assert_eq(vg_bo_wait(bo, 0), 0);
	}
	vg_bo_check(bo);
	dmabuf = vg_bo_export(bo);
	igt_assert(dmabuf >= 0);
	close(dmabuf);
}

void test_replace(int fd)
{
	uint64_t resident = vg_counter("resident_pages"), offset;
	struct vg_bo bo, again;

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	offset = map_offset(&bo);
	for (int round = 0; round < 3; round++) {
		purge(&bo);
		igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
		igt_assert_eq(vg_bo_replace(&bo), 0);
		igt_assert_eq(map_offset(&bo), offset);
		expect_info(&bo);
		igt_assert_eq(vg_counter("resident_pages") - resident, vg_bo_pages(&bo));

		/* It is needed now, and whole. */
		vg_expect_kept();
		igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 1);
		igt_assert_eq(vg_bo_replace(&bo), 1);
		expect_usable(&bo, 10 + round);
		again = bo;
		igt_assert_eq(vg_bo_mmap(&again), 0);
		vg_bo_check(&again);
		vg_bo_unmap(&again);
	}

	/* One that was never mapped, and dumb ones, too. */
	vg_bo_unmap(&bo);
	purge(&bo);
	igt_assert_eq(vg_bo_replace(&bo), 0);
	igt_assert_eq(vg_bo_mmap(&bo), 0);
	expect_zero(&bo);
	vg_bo_close(&bo);
	vg_bo_create_dumb(&bo, fd, 64, 64);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	vg_bo_fill(&bo, 1);
	purge(&bo);
	igt_assert_eq(vg_bo_replace(&bo), 0);
	expect_zero(&bo);
	igt_assert_eq(vg_bo_upload(&bo), 0);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	vg_bo_close(&bo);
}

void test_replace_never_purged(int fd)
{
	struct vg_bo bo;

	vg_swap_on(VG_BIG_SIZE);
	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	vg_trace_start();
	igt_assert_eq(vg_bo_replace(&bo), 1);
	vg_bo_check(&bo);

	/* It is taken back, as by WILLNEED. */
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_bo_replace(&bo), 1);
	vg_expect_kept();
	vg_bo_check(&bo);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();

	/* What was evicted is not lost. */
	vg_expect_evicted(1);
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_bo_replace(&bo), 1);
	vg_expect_kept();
	vg_bo_check(&bo);

	/* Unless it was given up as well. */
	vg_expect_evicted(1);
	purge(&bo);
	vg_bo_expect_sigbus(&bo);
	igt_assert_eq(vg_bo_replace(&bo), 0);
	expect_zero(&bo);
	vg_bo_close(&bo);
	vg_swap_off();
}

void test_replace_zeroed(int fd)
{
	static const uint64_t sizes[] = { 4 * VG_KIB, 12 * VG_KIB, VG_BO_SIZE, 4 * VG_MIB };

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct vg_bo bo, again;

		vg_bo_create_filled(&bo, fd, sizes[i], i + 1);
		for (int round = 0; round < 2; round++) {
			purge(&bo);
			igt_assert_eq(vg_bo_replace(&bo), 0);
			again = bo;
			igt_assert_eq(vg_bo_mmap(&again), 0);
			expect_zero(&again);
			expect_zero(&bo);
			vg_bo_fill(&again, i + 100);
			vg_bo_unmap(&again);
		}
		vg_bo_close(&bo);
	}
}

static void expect_sigbus_everywhere(const struct vg_bo *bo)
{
	vg_bo_expect_sigbus(bo);
	for (uint64_t i = 0; i < bo->size; i += sysconf(_SC_PAGESIZE))
		igt_assert(vg_gives_sigbus((char *)bo->map + i, false));
}

void test_replace_mmapped_twice(int fd)
{
	struct vg_bo bo, again;

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	again = bo;
	igt_assert_eq(vg_bo_mmap(&again), 0);
	vg_bo_check(&again);
	for (int round = 0; round < 4; round++) {
		struct vg_bo *writer = round % 2 ? &bo : &again;

		purge(&bo);
		expect_sigbus_everywhere(&bo);
		expect_sigbus_everywhere(&again);
		igt_assert_eq(vg_bo_replace(&bo), 0);
		/* in the last round only one of them is looked at before it is purged */
		expect_zero(&bo);
		if (round < 3)
			expect_zero(&again);
		vg_bo_fill(writer, 10 + round);
		bo.seed = again.seed = writer->seed;
		vg_bo_check(&bo);
		if (round < 3)
			vg_bo_check(&again);
		igt_assert_eq(vg_bo_upload(&bo), 0);
		igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	}
	purge(&bo);
	expect_sigbus_everywhere(&bo);
	expect_sigbus_everywhere(&again);
	vg_bo_unmap(&again);
	vg_bo_close(&bo);
}

/* Nothing is changed by what is refused, in any state. */
static void expect_refused(struct vg_bo *bo, int error)
{
	igt_assert_eq(vg_bo_replace(bo), error);
	vg_expect_kept();
	vg_bo_check(bo);
	igt_assert_eq(vg_bo_madvise(bo, WILLNEED), 1);

	igt_assert_eq(vg_bo_madvise(bo, DONTNEED), 1);
	igt_assert_eq(vg_bo_replace(bo), error);
	if (error == -EBUSY)
		return;
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_replace(bo), error);
	vg_bo_expect_sigbus(bo);
	igt_assert_eq(vg_bo_madvise(bo, WILLNEED), 0);
	vg_bo_close(bo);
}

void test_replace_shared(int fd)
{
	uint32_t name, handle;
	int other = vg_open(), blobs;
	struct vg_bo bo;

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	igt_assert_eq(vg_bo_flink(&bo, &name), 0);
	igt_assert_eq(vg_open_name(other, name, &handle), 0);
	expect_refused(&bo, -EBUSY);
	igt_assert_eq(vg_madvise(other, handle, REPLACE), -EBUSY);
	igt_assert_eq(vg_close_handle(other, handle), 0);

	/* It was given up above, and its owner is alone now. */
	vg_expect_purged(1);
	igt_assert_eq(vg_open_name(other, name, &handle), 0);
	igt_assert_eq(vg_bo_replace(&bo), -EBUSY);
	igt_assert_eq(vg_madvise(other, handle, REPLACE), -EBUSY);
	vg_bo_expect_sigbus(&bo);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	igt_assert_eq(vg_close_handle(other, handle), 0);
	igt_assert_eq(vg_bo_replace(&bo), 0);
	expect_zero(&bo);
	expect_usable(&bo, 2);
	vg_bo_close(&bo);

	/* These cannot be made again. */
	if (vg_has_3d(fd)) {
		vg_bo_create_custom(&bo, fd, VG_BO_SIZE);
		igt_assert_eq(vg_bo_wait(&bo, 0), 0);
		vg_bo_fill(&bo, 1);
		expect_refused(&bo, -EINVAL);
	}
	vg_param(fd, VIRTGPU_PARAM_RESOURCE_BLOB, &blobs);
	if (blobs) {
		igt_assert_eq(vg_blob_create(&bo, fd, VG_BO_SIZE, VIRTGPU_BLOB_MEM_GUEST,
					     VIRTGPU_BLOB_FLAG_USE_MAPPABLE), 0);
		vg_bo_fill(&bo, 1);
		expect_refused(&bo, -EINVAL);
	}
	close(other);
}

struct race {
	unsigned int retained;
	unsigned int replaced;
};

/* As in race-willneed, with a BO that is never given back. */
static void race_client(struct race *race)
{
	int fd = vg_open();
	struct vg_bo bo, again;

	igt_assert(fd >= 0);
	vg_bo_create_filled(&bo, fd, 16 * VG_KIB, getpid());
	again = bo;
	igt_assert_eq(vg_bo_mmap(&again), 0);
	for (int i = 0; i < 1000 || (race->replaced < 50 && i < 100000); i++) {
		igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
		for (volatile int pause = i % 64 * 500; pause; pause--)
			;
		if (vg_bo_replace(&bo)) {
			vg_bo_check(&bo);
			race->retained++;
		} else {
			expect_zero(&again);
			race->replaced++;
		}
		vg_bo_fill(&bo, again.seed = getpid() + i);
		if (i % 4 == 0)
			igt_assert_eq(vg_bo_upload(&bo), 0);
		vg_bo_check(&again);
		igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 1);
	}
	vg_bo_unmap(&again);
	vg_bo_close(&bo);
	close(fd);
}

void test_replace_race(int fd)
{
	const int clients = 2;
	struct race *races, sum = { 0 };
	struct pollfd alive;
	int fds[2];

	/* so that what was taken back is evicted now and then */
	vg_swap_on(VG_BIG_SIZE);
	races = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	igt_assert(races != MAP_FAILED);
	igt_assert(!pipe(fds));
	igt_fork(client, clients)
		race_client(&races[client]);
	close(fds[1]);

	/* until the last client has closed its end, by exiting */
	alive.fd = fds[0];
	do {
		vg_scan();
		vg_evict();
	} while (poll(&alive, 1, 0) == 0);
	close(fds[0]);
	igt_waitchildren();

	for (int i = 0; i < clients; i++) {
		sum.retained += races[i].retained;
		sum.replaced += races[i].replaced;
	}
	munmap(races, sysconf(_SC_PAGESIZE));
	igt_info("%u times retained, %u times replaced\n", sum.retained, sum.replaced);
	igt_assert_f(sum.retained && sum.replaced, "there was no race\n");
	vg_swap_off();
}
