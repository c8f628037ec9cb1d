// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about commands that name BOs that were given up.
 */
#include <errno.h>

#include "virtio_madvise.h"

void test_busy_dontneed(int fd)
{
	bool caught = false;
	struct vg_bo bo;

	vg_bo_create_filled(&bo, fd, VG_BIG_SIZE, 1);
	/* The host is fast at times. What counts is that it was busy before and after. */
	for (int attempt = 0; attempt < 50 && !caught; attempt++) {
		uint64_t purged = vg_counter("purged_bos");

		for (int i = 0; i < 8 + attempt; i++)
			igt_assert_eq(vg_bo_upload(&bo), 0);
		igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
		vg_scan();
		vg_scan();
		caught = vg_bo_wait(&bo, VIRTGPU_WAIT_NOWAIT) == -EBUSY;
		if (!caught) {
			/* idle: the second scan was free to purge it */
			if (vg_bo_madvise(&bo, WILLNEED))
				continue;
			vg_bo_close(&bo);
			vg_bo_create_filled(&bo, fd, VG_BIG_SIZE, 1);
			continue;
		}
		igt_assert_eq(vg_counter("purged_bos"), purged);
	}
	igt_assert_f(caught, "never busy long enough\n");
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 1);
	vg_bo_check(&bo);

	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	vg_bo_close(&bo);
}

void test_exec_dontneed(int fd)
{
	struct vg_bo src, dst;

	vg_bo_create_filled(&src, fd, VG_BO_SIZE, 1);
	vg_bo_create_filled(&dst, fd, VG_BO_SIZE, 2);
	igt_assert_eq(vg_bo_madvise(&src, DONTNEED), 1);
	igt_assert_eq(vg_bo_madvise(&dst, DONTNEED), 1);
	igt_assert_eq(vg_bo_copy(&dst, &src), 0);
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	igt_assert_eq(vg_bo_madvise(&dst, WILLNEED), 1);
	igt_assert_eq(vg_bo_madvise(&src, WILLNEED), 1);
	vg_bo_check(&src);

	/* The host's copy is in the host's resource only, until it is asked for. */
	vg_bo_check(&dst);
	dst.seed = src.seed;
	igt_assert_eq(vg_bo_download(&dst), 0);
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	vg_bo_check(&dst);

	/* The fence of the job does not keep them for ever. */
	igt_assert_eq(vg_bo_madvise(&src, DONTNEED), 1);
	igt_assert_eq(vg_bo_madvise(&dst, DONTNEED), 1);
	vg_expect_purged(2);
	vg_bo_close(&src);
	vg_bo_close(&dst);
}

void test_exec_purged(int fd)
{
	struct vg_bo purged, live;

	vg_bo_create_purged(&purged, fd, VG_BO_SIZE);
	vg_bo_create_filled(&live, fd, VG_BO_SIZE, 2);

	/* in memory, then in swap, from where it is not brought back for such a job */
	vg_trace_start();
	igt_assert_eq(vg_bo_copy(&live, &purged), -EINVAL);
	igt_assert_eq(vg_bo_copy(&purged, &live), -EINVAL);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
	vg_swap_on(VG_BIG_SIZE);
	vg_expect_evicted(1);
	vg_trace_start();
	igt_assert_eq(vg_bo_copy(&live, &purged), -EINVAL);
	igt_assert_eq(vg_bo_copy(&purged, &live), -EINVAL);
	igt_assert_eq(vg_bo_madvise(&purged, WILLNEED), 0);
	igt_assert_eq(vg_bo_copy(&live, &purged), -EINVAL);
	igt_assert_eq(vg_bo_wait(&live, VIRTGPU_WAIT_NOWAIT), 0);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();

	vg_bo_check(&live);
	vg_swap_off();
	memset(live.map, 0, live.size);
	igt_assert_eq(vg_bo_download(&live), 0);
	igt_assert_eq(vg_bo_wait(&live, 0), 0);
	vg_bo_check(&live);
	vg_bo_close(&live);
	vg_bo_close(&purged);
}

void test_transfer_purged(int fd)
{
	int has_3d;
	struct vg_bo bo;

	igt_assert_eq(vg_param(fd, VIRTGPU_PARAM_3D_FEATURES, &has_3d), 0);
	vg_bo_create_purged(&bo, fd, VG_BO_SIZE);
	vg_trace_start();
	for (int i = 0; i < 2; i++) {
		igt_assert_eq(vg_bo_upload(&bo), -EINVAL);
		if (has_3d)
			igt_assert_eq(vg_bo_download(&bo), -EINVAL);
		igt_assert_eq(vg_bo_wait(&bo, VIRTGPU_WAIT_NOWAIT), 0);
		igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	}
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
	vg_bo_close(&bo);
}
