// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about BOs that others use, too.
 */
#include <errno.h>
#include <sys/mman.h>
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
