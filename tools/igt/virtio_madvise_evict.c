// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about BOs that are evicted, and brought back by whatever
 * needs them.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio_madvise.h"

#define SWAP_SIZE (128 * VG_MIB)

/* large enough for the system to notice when it is swapped out */
#define SIZE (4 * VG_MIB)

static void expect_swapped_in(uint64_t before, unsigned int bos)
{
	igt_assert_eq(vg_counter("swapped_in_bos") - before, bos);
}

void test_evict_contents(int fd)
{
	static const uint64_t sizes[] = { 4 * VG_KIB, 12 * VG_KIB, VG_BO_SIZE, SIZE, VG_BIG_SIZE };
	const int count = sizeof(sizes) / sizeof(*sizes);
	uint64_t resident, evictable, evicted, in, in_pages, pages = 0;
	struct vg_bo bos[count];

	resident = vg_counter("resident_pages");
	evictable = vg_counter("evictable_pages");
	for (int i = 0; i < count; i++) {
		vg_bo_create_filled(&bos[i], fd, sizes[i], i + 1);
		pages += vg_bo_pages(&bos[i]);
	}
	igt_assert_eq(vg_counter("resident_pages") - resident, pages);
	igt_assert_eq(vg_counter("evictable_pages") - evictable, pages);

	vg_swap_on(SWAP_SIZE);
	evicted = vg_counter("evicted_pages");
	in = vg_counter("swapped_in_bos");
	in_pages = vg_counter("swapped_in_pages");
	vg_trace_start();
	vg_expect_swapped_out(count, pages * sysconf(_SC_PAGESIZE));
	igt_assert_eq(vg_counter("evicted_pages") - evicted, pages);
	igt_assert_eq(vg_counter("resident_pages"), resident);
	igt_assert_eq(vg_counter("evictable_pages"), evictable);
	igt_assert_eq(vg_trace_commands(VG_CMD_DETACH_BACKING), count);

	/* The CPU gets them back without a word to the host. */
	for (int i = 0; i < count; i++) {
		igt_assert_eq(vg_bo_madvise(&bos[i], WILLNEED), 1);
		vg_bo_check(&bos[i]);
	}
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), count);
	expect_swapped_in(in, count);
	igt_assert_eq(vg_counter("swapped_in_pages") - in_pages, pages);
	igt_assert_eq(vg_counter("resident_pages") - resident, pages);
	igt_assert_eq(vg_counter("evictable_pages") - evictable, pages);

	/* Once more, with nothing left to detach, and closed while evicted. */
	vg_trace_clear();
	vg_expect_evicted(count);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
	vg_bo_check(&bos[0]);
	for (int i = 0; i < count; i++)
		vg_bo_close(&bos[i]);
	vg_swap_off();
}

void test_evict_mmapped(int fd)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	struct vg_bo bo, again, late;
	char *copy = malloc(page);
	uint64_t in;
	int fds[2];

	vg_swap_on(SWAP_SIZE);
	vg_bo_create_filled(&bo, fd, VG_BIG_SIZE, 1);
	again = bo;
	igt_assert_eq(vg_bo_mmap(&again), 0);
	vg_bo_check(&again);

	/* One byte brings all pages back. */
	vg_expect_swapped_out(1, bo.size);
	in = vg_counter("swapped_in_bos");
	igt_assert(vg_contents_are(again.map, 8, 1));
	expect_swapped_in(in, 1);
	vg_bo_check(&bo);
	vg_bo_check(&again);
	expect_swapped_in(in, 1);

	/* What one mapping writes the other reads, before, while and after it is evicted. */
	vg_bo_fill(&again, bo.seed = 2);
	vg_expect_evicted(1);
	vg_bo_check(&bo);
	vg_expect_evicted(1);
	vg_bo_fill(&bo, again.seed = 3);
	vg_bo_check(&again);

	/* The kernel can read it for us. */
	vg_expect_evicted(1);
	igt_assert(!pipe(fds) && copy);
	igt_assert(write(fds[1], again.map, page) == (ssize_t)page);
	igt_assert(read(fds[0], copy, page) == (ssize_t)page);
	igt_assert(vg_contents_are(copy, page, 3));
	close(fds[0]);
	close(fds[1]);
	free(copy);

	/* It can be mapped and unmapped while it is evicted. */
	vg_expect_evicted(1);
	vg_bo_unmap(&again);
	late = bo;
	igt_assert_eq(vg_bo_mmap(&late), 0);
	vg_bo_check(&late);
	vg_bo_check(&bo);


	/* What is left of a mapping shows the pages that it showed. */
	igt_assert_eq(munmap(late.map, page), 0);
	vg_expect_evicted(1);
	igt_assert(!memcmp((char *)late.map + page, (char *)bo.map + page, bo.size - page));
	igt_assert_eq(munmap((char *)late.map + page, bo.size - page), 0);

	vg_bo_close(&bo);
	vg_swap_off();
}

void test_evict_exec(int fd)
{
	struct vg_bo src, dst;
	uint64_t in;

	vg_swap_on(SWAP_SIZE);
	vg_bo_create_filled(&src, fd, SIZE, 1);
	vg_bo_create_filled(&dst, fd, SIZE, 2);
	vg_expect_swapped_out(2, 2 * SIZE);

	in = vg_counter("swapped_in_bos");
	vg_trace_start();
	igt_assert_eq(vg_bo_copy(&dst, &src), 0);
	expect_swapped_in(in, 2);
	igt_assert_eq(vg_trace_commands(VG_CMD_ATTACH_BACKING), 2);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 3);
	vg_trace_stop();
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	vg_bo_check(&src);
	vg_bo_check(&dst);

	/* into pages that it was told of anew */
	dst.seed = src.seed;
	igt_assert_eq(vg_bo_download(&dst), 0);
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	vg_bo_check(&dst);

	/* one that is there and one that is not */
	vg_expect_evicted(2);
	vg_bo_fill(&src, 3);
	igt_assert_eq(vg_bo_upload(&src), 0);
	igt_assert_eq(vg_bo_copy(&dst, &src), 0);
	igt_assert_eq(vg_bo_download(&dst), 0);
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	dst.seed = src.seed;
	vg_bo_check(&dst);
	vg_bo_check(&src);
	vg_bo_close(&src);
	vg_bo_close(&dst);
	vg_swap_off();
}

void test_evict_transfer(int fd)
{
	struct vg_bo bo;
	uint64_t in;

	vg_swap_on(SWAP_SIZE);
	vg_bo_create_filled(&bo, fd, SIZE, 1);
	vg_bo_fill(&bo, 2);
	vg_expect_swapped_out(1, SIZE);

	in = vg_counter("swapped_in_bos");
	vg_trace_start();
	igt_assert_eq(vg_bo_upload(&bo), 0);
	expect_swapped_in(in, 1);
	igt_assert_eq(vg_trace_commands(VG_CMD_ATTACH_BACKING), 1);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 2);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	vg_bo_check(&bo);

	/* When the CPU was first the host has yet to be told. */
	vg_expect_evicted(1);
	vg_bo_check(&bo);
	vg_trace_clear();
	igt_assert_eq(vg_bo_upload(&bo), 0);
	igt_assert_eq(vg_trace_commands(VG_CMD_ATTACH_BACKING), 1);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 2);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);

	/* Only virgl gives it back: it is what was in swap. */
	if (vg_has_3d(fd)) {
		vg_bo_fill(&bo, 3);
		vg_expect_evicted(1);
		vg_trace_clear();
		igt_assert_eq(vg_bo_download(&bo), 0);
		igt_assert_eq(vg_trace_commands(VG_CMD_ATTACH_BACKING), 1);
		igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 2);
		igt_assert_eq(vg_bo_wait(&bo, 0), 0);
		bo.seed = 2;
		vg_bo_check(&bo);
	}
	vg_trace_stop();
	vg_bo_close(&bo);
	vg_swap_off();
}

/* The pages of dst are dirty, but only the host knows. */
void test_evict_device_written(int fd)
{
	struct vg_bo src, dst;

	vg_swap_on(SWAP_SIZE);
	vg_bo_create_filled(&src, fd, SIZE, 1);
	vg_bo_create(&dst, fd, SIZE);
	igt_assert_eq(vg_bo_copy(&dst, &src), 0);
	igt_assert_eq(vg_bo_download(&dst), 0);
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	vg_expect_swapped_out(2, 2 * SIZE);
	dst.seed = src.seed;
	vg_bo_check(&dst);

	/* Also into pages that came from swap, and that the CPU has only read. */
	vg_bo_fill(&src, 2);
	igt_assert_eq(vg_bo_upload(&src), 0);
	igt_assert_eq(vg_bo_copy(&dst, &src), 0);
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	vg_expect_swapped_out(2, 2 * SIZE);
	igt_assert_eq(vg_bo_download(&dst), 0);
	igt_assert_eq(vg_bo_wait(&dst, 0), 0);
	vg_expect_swapped_out(1, SIZE);
	dst.seed = src.seed;
	vg_bo_check(&dst);
	vg_bo_close(&src);
	vg_bo_close(&dst);
	vg_swap_off();
}

void test_evict_export(int fd)
{
	int dmabuf, other = vg_open();
	struct vg_bo bo, shared;
	uint64_t *map;

	vg_swap_on(SWAP_SIZE);
	vg_bo_create_filled(&bo, fd, SIZE, 1);
	vg_expect_swapped_out(1, SIZE);
	dmabuf = vg_bo_export(&bo);
	igt_assert(dmabuf >= 0);
	map = mmap(NULL, bo.size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	igt_assert_f(map != MAP_FAILED, "mmap of the dma-buf: %s\n", strerror(errno));
	igt_assert(vg_contents_are(map, bo.size, bo.seed));
	vg_bo_check(&bo);

	/* It stays as long as the dma-buf is mapped, or open. */
	vg_expect_not_evicted();
	close(dmabuf);
	vg_expect_not_evicted();
	igt_assert(vg_contents_are(map, bo.size, bo.seed));
	igt_assert_eq(munmap(map, bo.size), 0);
	dmabuf = vg_bo_export(&bo);
	igt_assert(dmabuf >= 0);
	vg_expect_not_evicted();

	/* A handle of another file is no obstacle: nothing is lost. */
	shared = bo;
	shared.fd = other;
	igt_assert_eq(vg_import(other, dmabuf, &shared.handle), 0);
	close(dmabuf);
	igt_assert_eq(vg_bo_mmap(&shared), 0);
	vg_bo_check(&shared);
	vg_expect_swapped_out(1, SIZE);
	vg_bo_check(&shared);
	vg_bo_fill(&shared, bo.seed = 2);
	vg_expect_evicted(1);
	vg_bo_close(&shared);
	vg_bo_check(&bo);
	close(other);

	vg_expect_evicted(1);
	vg_bo_check(&bo);
	vg_bo_close(&bo);
	vg_swap_off();
}
