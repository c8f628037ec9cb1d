// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about BOs that are not evicted, for want of swap space or
 * because of what they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio_madvise.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

void test_evict_without_swap(int fd)
{
	uint64_t evictable = vg_counter("evictable_pages");
	struct vg_bo bo;

	if (vg_file_value("/proc/meminfo", "SwapTotal"))
		igt_skip("needs a machine without swap\n");

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	vg_trace_start();
	vg_expect_not_evicted();
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
	igt_assert_eq(vg_counter("evictable_pages") - evictable, vg_bo_pages(&bo));
	vg_bo_check(&bo);

	/* Nor any more when there is none. */
	vg_swap_on(VG_BIG_SIZE);
	vg_expect_evicted(1);
	vg_bo_check(&bo);
	vg_swap_off();
	vg_expect_not_evicted();
	vg_bo_check(&bo);
	vg_bo_close(&bo);
}

void test_evict_swap_full(int fd)
{
	const uint64_t swap = 4 * VG_MIB, size = 16 * VG_MIB;
	struct vg_bo bo, other;
	char *ballast;

	vg_swap_on(swap);
	vg_bo_create_filled(&bo, fd, VG_BIG_SIZE, 1);
	vg_bo_create_filled(&other, fd, VG_BO_SIZE, 2);
	ballast = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	igt_assert(ballast != MAP_FAILED);
	memset(ballast, 1, size);
	igt_assert_f(!madvise(ballast, size, MADV_PAGEOUT), "MADV_PAGEOUT: %s\n",
		     strerror(errno));
	igt_assert_eq(vg_file_value("/proc/meminfo", "SwapFree"), 0);
	vg_trace_start();
	vg_expect_not_evicted();
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
	vg_bo_check(&bo);
	vg_bo_check(&other);

	/* There is room when they are evicted, but not for all of them. */
	igt_assert_eq(munmap(ballast, size), 0);
	igt_assert(vg_file_value("/proc/meminfo", "SwapFree") > 0);
	vg_expect_evicted(2);
	vg_squeeze("SwapFree", 0);
	vg_bo_check(&bo);
	vg_bo_check(&other);
	vg_bo_close(&bo);
	vg_bo_close(&other);
	vg_swap_off();
}

/* Scattered after swap its pages may be more than the host takes in one command. */
static void evict_large(int fd)
{
	uint64_t unevictable = vg_counter("unevictable_pages");
	struct vg_bo bo;

	vg_bo_create(&bo, fd, 64 * VG_MIB);
	igt_assert_eq(vg_counter("unevictable_pages"), unevictable);
	vg_bo_close(&bo);

	vg_bo_create(&bo, fd, 65 * VG_MIB);
	igt_assert_eq(vg_counter("unevictable_pages") - unevictable, vg_bo_pages(&bo));
	vg_bo_close(&bo);
}

/* Of these the host keeps a copy, which it would write over what the CPU wrote. */
void test_evict_custom(int fd)
{
	uint64_t evictable = vg_counter("evictable_pages");
	uint64_t unevictable = vg_counter("unevictable_pages");
	struct vg_bo bo;

	vg_swap_on(VG_BIG_SIZE);
	vg_bo_create_custom(&bo, fd, VG_BO_SIZE);
	/* The first time that is when they are attached, which may take a busy host a while. */
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	vg_bo_fill(&bo, 1);
	igt_assert_eq(vg_bo_upload(&bo), 0);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	igt_assert_eq(vg_counter("evictable_pages"), evictable);
	igt_assert_eq(vg_counter("unevictable_pages") - unevictable, vg_bo_pages(&bo));
	vg_trace_start();
	vg_expect_not_evicted();
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
	vg_bo_check(&bo);

	/* It is purged like any other. */
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_counter("unevictable_pages"), unevictable);
	igt_assert_eq(vg_counter("purgeable_pages"), vg_bo_pages(&bo));
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	vg_bo_close(&bo);
	vg_swap_off();

	evict_large(fd);
}
