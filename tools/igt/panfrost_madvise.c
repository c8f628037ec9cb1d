// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 */
/**
 * TEST: panfrost madvise
 * Description: Advice on BOs, and what becomes of those that are idle when memory is short
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management
 * Functionality: madvise
 * Feature: madvise
 * Test category: functionality test
 *
 * The jobs are of types that only the register model has, which tools/uml/panfrost runs.
 *
 * SUBTEST: madvise-retained
 * Description: As long as memory is not short contents are retained, of BOs of any size.
 *
 * SUBTEST: invalid-madv
 * Description: EINVAL for unknown advice, which changes nothing.
 *
 * SUBTEST: bad-handle
 * Description: ENOENT for handles never given, already closed, or of another file.
 *
 * SUBTEST: dontneed-shared
 * Description: EINVAL for a BO that two contexts have, until one of them closes it.
 *
 * SUBTEST: jobs
 * Description: Jobs on both slots read and write BOs, alone and queued.
 *
 * SUBTEST: heap-grow
 * Description: A heap gets memory where jobs touch it, and keeps it.
 *
 * SUBTEST: heap-after-fault
 * Description: A job that touches what is not mapped fails, and heaps grow afterwards.
 *
 * SUBTEST: heap-after-bind
 * Description: Heaps grow right after the driver was bound to the device.
 *
 * SUBTEST: hang-recovery
 * Description: A job that hangs is stopped, and others run after it.
 *
 * SUBTEST: purge-idle
 * Description: What is given up and idle goes, and is not retained whatever is said of it
 *	afterwards. What is not given up stays.
 *
 * SUBTEST: purge-submit
 * Description: A job that names a purged BO is refused with EINVAL, and others run.
 *
 * SUBTEST: purge-mmapped
 * Description: A BO that is mapped is purged, its memory is free, and access is SIGBUS.
 *
 * SUBTEST: purge-busy
 * Description: Advice on a busy BO is taken, and it is not purged until it is idle.
 *
 * SUBTEST: purge-while-job-queued
 * Description: A BO is not purged while a job that uses it waits for its turn.
 *
 * SUBTEST: purge-flushes-tlb
 * Description: The GPU keeps no translations of what was purged while it was awake.
 *
 * SUBTEST: purge-exported-kept
 * Description: A BO is kept as long as its dma-buf is open.
 *
 * SUBTEST: purge-after-export-closed
 * Description: A BO that once was exported is purged like any other.
 *
 * SUBTEST: purge-imported-kept
 * Description: A BO whose memory is another driver's is kept.
 *
 * SUBTEST: purge-close
 * Description: A purged BO closes like any other, by its handle and with its file.
 *
 * SUBTEST: heap-purge
 * Description: The part of a heap that has memory is purged.
 *
 * SUBTEST: heap-grow-after-evict
 * Description: A heap keeps what it has, and grows, when other BOs are evicted.
 *
 * SUBTEST: evict-contents
 * Description: Idle BOs of any size are evicted, and come back when the CPU looks.
 *
 * SUBTEST: evict-then-submit
 * Description: Jobs read from and write to BOs that were evicted.
 *
 * SUBTEST: evict-device-written
 * Description: What only the GPU wrote is evicted, too.
 *
 * SUBTEST: evict-flushes-tlb
 * Description: The GPU keeps no translations of what was evicted while it was awake.
 *
 * SUBTEST: evict-two-contexts
 * Description: A BO that two files have is evicted, and jobs of both use it.
 *
 * SUBTEST: evict-heap-refused
 * Description: Heaps are not evicted, which is counted.
 *
 * SUBTEST: evict-exported
 * Description: A BO is not evicted as long as its dma-buf is open.
 *
 * SUBTEST: evict-busy
 * Description: A BO is not evicted while a job uses it.
 *
 * SUBTEST: fault-timeout-then-reclaim
 * Description: What a job held that faulted or hung is reclaimed afterwards.
 *
 * SUBTEST: flush-timeout
 * Description: When the GPU does not answer to a flush, nothing that it could reach is given
 *	away, and everything works after the reset.
 *
 * SUBTEST: perfcnt-kept
 * Description: The BO that performance counters are written to is not reclaimed.
 *
 * SUBTEST: oom-survive
 * Description: With most of the memory in BOs that were given up there is room for a program
 *	that needs most of it, and what was not given up is intact.
 *
 * SUBTEST: swap-2x
 * Description: Two clients hold three times the memory in idle BOs, half of them given up,
 *	and what is not is intact for jobs that read it all the while.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "panfrost_bo.h"

IGT_TEST_DESCRIPTION("Advice on panfrost BOs, and what becomes of them when memory is short");

#define ARRAY_SIZE(array) (sizeof(array) / sizeof(*(array)))

static const uint64_t sizes[] = { 4 * PF_KIB, 12 * PF_KIB, PF_BO_SIZE, 3 * PF_MIB };

static void test_madvise_retained(int fd)
{
	struct pf_bo bos[ARRAY_SIZE(sizes)];

	for (int i = 0; i < ARRAY_SIZE(sizes); i++)
		pf_bo_create_filled(&bos[i], fd, sizes[i], i + 1);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
			igt_assert_eq(pf_bo_madvise(&bos[i], WILLNEED), 1);
			igt_assert_eq(pf_bo_madvise(&bos[i], DONTNEED), 1);
			igt_assert_eq(pf_bo_madvise(&bos[i], DONTNEED), 1);
		}
		for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
			igt_assert_eq(pf_bo_madvise(&bos[i], WILLNEED), 1);
			pf_bo_check(&bos[i]);
		}
	}
	/* What was taken back stays when memory is short. */
	pf_purge();
	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		igt_assert_eq(pf_bo_madvise(&bos[i], WILLNEED), 1);
		pf_bo_check(&bos[i]);
		pf_bo_close(&bos[i]);
	}
}

static void test_invalid_madv(int fd)
{
	static const uint32_t bad[] = { 2, 3, 1 << 8 | DONTNEED, 1u << 31 | DONTNEED, UINT32_MAX };
	struct pf_chain chain;
	struct pf_bo bo;

	pf_chain_create(&chain, fd);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		igt_assert_eq(pf_bo_madvise(&bo, bad[i]), -EINVAL);
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 1);
	pf_purge();
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 1);
	pf_bo_check(&bo);
	pf_job_write(&chain, bo.va, 0xabcd);
	pf_run(&chain, &bo.handle, 1);
	igt_assert_eq(bo.map[0], 0xabcd);
	/* Nor does it change what was given up. */
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(pf_bo_madvise(&bo, UINT32_MAX), -EINVAL);
	pf_expect_purged(&bo);
	igt_assert_eq(pf_bo_madvise(&bo, 2), -EINVAL);
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 0);
	pf_bo_close(&bo);
}

static void test_bad_handle(int fd)
{
	int other = pf_open();
	struct pf_bo bo;

	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	for (uint32_t madv = WILLNEED; madv <= DONTNEED; madv++) {
		igt_assert_eq(pf_madvise(fd, 0, madv), -ENOENT);
		igt_assert_eq(pf_madvise(fd, bo.handle + 1, madv), -ENOENT);
		igt_assert_eq(pf_madvise(fd, UINT32_MAX, madv), -ENOENT);
		igt_assert_eq(pf_madvise(other, bo.handle, madv), -ENOENT);
	}
	close(other);
	pf_bo_close(&bo);
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), -ENOENT);
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), -ENOENT);
}

/* A handle of the same BO in another file */
static uint32_t share(struct pf_bo *bo, int other)
{
	int dmabuf = pf_export(bo->fd, bo->handle);
	uint32_t handle;

	igt_assert(dmabuf >= 0);
	igt_assert_eq(pf_import(other, dmabuf, &handle), 0);
	close(dmabuf);
	return handle;
}

static void test_dontneed_shared(int fd)
{
	int other = pf_open();
	uint32_t handle;
	struct pf_bo bo;

	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	handle = share(&bo, other);
	for (int i = 0; i < 2; i++) {
		igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), -EINVAL);
		igt_assert_eq(pf_madvise(other, handle, DONTNEED), -EINVAL);
		igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 1);
		igt_assert_eq(pf_madvise(other, handle, WILLNEED), 1);
	}
	pf_purge();
	pf_bo_check(&bo);
	igt_assert_eq(pf_close_handle(other, handle), 0);
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 1);
	pf_bo_check(&bo);
	/* Given up by one, and then found by another: needed again. */
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 1);
	handle = share(&bo, other);
	close(other);
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	pf_bo_close(&bo);
}

static void test_jobs(int fd)
{
	struct pf_chain chain[2];
	struct pf_bo bo, copy;
	uint32_t handles[2];

	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	pf_bo_create_filled(&copy, fd, PF_BO_SIZE, 2);
	handles[0] = bo.handle;
	handles[1] = copy.handle;
	for (int i = 0; i < 2; i++)
		pf_chain_create(&chain[i], fd);

	/* a long chain, then many short ones on both slots */
	for (int i = 0; i < 256; i++)
		pf_job_write(&chain[0], bo.va + 1024 * i, 100 + i);
	pf_run(&chain[0], handles, 1);
	for (int i = 0; i < 256; i++)
		igt_assert_eq(bo.map[256 * i], 100 + i);

	pf_bo_fill(&bo, 3);
	for (int i = 0; i < 2; i++) {
		pf_chain_reset(&chain[i]);
		pf_job_copy(&chain[i], copy.va + i * PF_BO_SIZE / 2, bo.va + i * PF_BO_SIZE / 2,
			    PF_BO_SIZE / 2);
	}
	for (int i = 0; i < 100; i++)
		igt_assert_eq(pf_submit(&chain[i % 2], handles, 2, i % 2), 0);
	igt_assert_eq(pf_wait(fd, copy.handle, 5000), 0);
	copy.seed = bo.seed;
	pf_bo_check(&copy);
}

static void heap_touch(struct pf_chain *chain, struct pf_bo *heap, unsigned int first,
		       unsigned int count)
{
	pf_chain_reset(chain);
	for (unsigned int i = first; i < first + count; i++)
		pf_job_write(chain, heap->va + i * 2 * PF_MIB + 4096 * i, 0x1000 + i);
	pf_run(chain, &heap->handle, 1);
}

static void heap_check(struct pf_chain *chain, struct pf_bo *heap, struct pf_bo *result,
		       unsigned int count)
{
	uint32_t handles[] = { heap->handle, result->handle };

	pf_chain_reset(chain);
	for (unsigned int i = 0; i < count; i++)
		pf_job_copy(chain, result->va + 4 * i, heap->va + i * 2 * PF_MIB + 4096 * i, 4);
	pf_run(chain, handles, 2);
	for (unsigned int i = 0; i < count; i++)
		igt_assert_eq(result->map[i], 0x1000 + i);
}

static void test_heap_grow(int fd)
{
	uint64_t shmem = pf_meminfo_kib("Shmem");
	struct pf_bo heap, result;
	struct pf_chain chain;

	pf_chain_create(&chain, fd);
	pf_bo_create(&result, fd, PF_BO_SIZE, 0);
	pf_bo_create(&heap, fd, 16 * PF_MIB, PF_HEAP);
	heap_touch(&chain, &heap, 0, 2);
	igt_assert(pf_meminfo_kib("Shmem") - shmem < 6 * 1024);
	heap_touch(&chain, &heap, 2, 2);
	igt_assert(pf_meminfo_kib("Shmem") - shmem >= 8 * 1024);
	heap_check(&chain, &heap, &result, 4);
	pf_purge();
	heap_check(&chain, &heap, &result, 4);
}

/* As two jobs, so that the second one finds the address space enabled again. */
static void test_heap_after_fault(int fd)
{
	struct pf_chain chain;
	struct pf_bo heap;

	pf_chain_create(&chain, fd);
	pf_bo_create(&heap, fd, 16 * PF_MIB, PF_HEAP);
	/* The GPU stays awake: it is the way back from there that is looked at. */
	for (int i = 0; i < 3; i++) {
		pf_chain_reset(&chain);
		pf_job_write(&chain, 0xf0000000, 1);
		igt_assert_eq(pf_submit(&chain, NULL, 0, false), 0);
		igt_assert_eq(pf_wait(fd, chain.bo.handle, 5000), 0);
		igt_assert(pf_job_status(&chain, 0) != 1);
		heap_touch(&chain, &heap, i, 1);
	}
}

static void bind(const char *verb)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/panfrost/%s", verb);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		igt_skip("needs %s\n", path);
	igt_assert(write(fd, "f00000000.gpu", 13) == 13);
	close(fd);
}

static void test_heap_after_bind(int fd)
{
	struct pf_chain chain;
	struct pf_bo heap;

	for (int i = 0; i < 3; i++) {
		int other;

		bind("unbind");
		bind("bind");
		other = pf_open();
		igt_assert(other >= 0);
		pf_chain_create(&chain, other);
		pf_bo_create(&heap, other, 4 * PF_MIB, PF_HEAP);
		heap_touch(&chain, &heap, 0, 2);
		pf_bo_close(&heap);
		pf_bo_close(&chain.bo);
		close(other);
	}
}

static void test_hang_recovery(int fd)
{
	struct pf_chain chain, other;
	struct pf_bo bo;

	pf_chain_create(&chain, fd);
	pf_chain_create(&other, fd);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	for (int i = 0; i < 2; i++) {
		pf_chain_reset(&chain);
		pf_job_hang(&chain);
		igt_assert_eq(pf_submit(&chain, &bo.handle, 1, i), 0);
		pf_chain_reset(&other);
		pf_job_write(&other, bo.va, 100 + i);
		/* on the other slot, and on this one behind it */
		igt_assert_eq(pf_submit(&other, NULL, 0, !i), 0);
		igt_assert_eq(pf_submit(&other, &bo.handle, 1, i), 0);
		igt_assert_eq(pf_wait(fd, bo.handle, 100), -ETIMEDOUT);
		igt_assert_eq(pf_wait(fd, bo.handle, 5000), 0);
		igt_assert_eq(pf_wait(fd, other.bo.handle, 5000), 0);
		igt_assert_eq(bo.map[0], 100 + i);
	}
}

static void test_purge_idle(int fd)
{
	struct pf_bo given[ARRAY_SIZE(sizes)], kept[ARRAY_SIZE(sizes)];

	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		pf_bo_create_filled(&given[i], fd, sizes[i], i + 1);
		pf_bo_create_filled(&kept[i], fd, sizes[i], i + 11);
		pf_bo_unmap(&given[i]);
		igt_assert_eq(pf_bo_madvise(&given[i], DONTNEED), 1);
	}
	pf_purge();
	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		igt_assert_eq(pf_bo_madvise(&given[i], WILLNEED), 0);
		igt_assert_eq(pf_bo_madvise(&given[i], DONTNEED), 0);
		igt_assert_eq(pf_bo_madvise(&given[i], WILLNEED), 0);
		igt_assert_eq(pf_bo_madvise(&kept[i], WILLNEED), 1);
		pf_bo_check(&kept[i]);
		pf_bo_close(&kept[i]);
		pf_bo_close(&given[i]);
	}
}

static void test_purge_submit(int fd)
{
	struct pf_bo bo, live;
	struct pf_chain chain;
	uint32_t handles[2];

	pf_chain_create(&chain, fd);
	pf_bo_create_filled(&live, fd, PF_BO_SIZE, 1);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 2);
	handles[0] = live.handle;
	handles[1] = bo.handle;
	pf_job_write(&chain, live.va, 5);
	pf_run(&chain, handles, 2);
	pf_expect_purged(&bo);
	live.map[0] = 0;
	igt_assert_eq(pf_submit(&chain, handles, 2, false), -EINVAL);
	igt_assert_eq(pf_wait(fd, live.handle, 0), 0);
	igt_assert_eq(live.map[0], 0);
	pf_run(&chain, handles, 1);
	igt_assert_eq(live.map[0], 5);
	/* nor can it be exported */
	igt_assert_eq(pf_export(fd, bo.handle), -EINVAL);
}

/*
 * Purged is purged at once, but the pages go when the GPU has let go of them. A CPU keeps
 * up to an eighth of the memory in lists of its own, which MemFree does not count: what is
 * looked for is half of what was given up, and that is to be more than that eighth.
 */
static void expect_free(uint64_t before, uint64_t bytes)
{
	uint64_t now = 0;

	for (int i = 0; i < 20; i++) {
		now = pf_meminfo_kib("MemFree");
		if (now >= before + bytes / PF_KIB / 2)
			return;
		usleep(50000);
	}
	igt_assert_f(false, "%llu KiB are free, not %llu and half of %llu more; Shmem %llu\n",
		     (unsigned long long)now, (unsigned long long)before,
		     (unsigned long long)bytes / PF_KIB,
		     (unsigned long long)pf_meminfo_kib("Shmem"));
}

static void test_purge_mmapped(int fd)
{
	uint64_t size = 96 * PF_MIB, before;
	struct drm_panfrost_mmap_bo offset;
	uint32_t *second;
	struct pf_bo bo;

	pf_bo_create_filled(&bo, fd, size, 1);
	offset = (struct drm_panfrost_mmap_bo) { .handle = bo.handle };
	igt_assert_eq(pf_ioctl(fd, DRM_IOCTL_PANFROST_MMAP_BO, &offset), 0);
	second = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, offset.offset);
	igt_assert(second != MAP_FAILED && second[0] == bo.map[0]);
	/*
	 * What else there is to free goes first. Pages that are cut off their file but still
	 * held by the driver are not in Shmem any more, and not free.
	 */
	pf_purge();
	before = pf_meminfo_kib("MemFree");
	pf_expect_purged(&bo);
	expect_free(before, size);
	igt_assert(pf_sigbus(bo.map, false));
	igt_assert(pf_sigbus(bo.map + size / 8, true));
	igt_assert(pf_sigbus(second, false));
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 0);
	igt_assert(pf_sigbus(bo.map, true));
	munmap(second, size);
	pf_bo_close(&bo);
}

static void test_purge_busy(int fd)
{
	struct pf_chain chain;
	struct pf_bo bo;

	pf_chain_create(&chain, fd);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	pf_job_delay(&chain, 200);
	pf_job_write(&chain, bo.va + 4096, 7);
	igt_assert_eq(pf_submit(&chain, &bo.handle, 1, false), 0);
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	pf_purge();
	igt_assert_eq(pf_wait(fd, bo.handle, 0), -EBUSY);
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 1);
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(pf_wait(fd, bo.handle, 5000), 0);
	igt_assert_eq(pf_job_status(&chain, 1), 1);
	igt_assert_eq(bo.map[1024], 7);
	pf_expect_purged(&bo);
}

static void test_purge_while_queued(int fd)
{
	struct pf_chain first, second;
	struct pf_bo bo;

	pf_chain_create(&first, fd);
	pf_chain_create(&second, fd);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	pf_job_delay(&first, 200);
	pf_job_write(&second, bo.va + 4096, 7);
	igt_assert_eq(pf_submit(&first, NULL, 0, false), 0);
	igt_assert_eq(pf_submit(&second, &bo.handle, 1, false), 0);
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	pf_purge();
	igt_assert_eq(pf_wait(fd, first.bo.handle, 0), -EBUSY);
	igt_assert_eq(pf_bo_madvise(&bo, WILLNEED), 1);
	igt_assert_eq(pf_wait(fd, bo.handle, 5000), 0);
	igt_assert_eq(pf_job_status(&second, 0), 1);
	igt_assert_eq(bo.map[1024], 7);
	pf_expect_purged(&bo);
}

/*
 * A job uses BOs, so that the GPU knows their translations, and then another keeps the GPU
 * awake while they are reclaimed.
 */
static void reclaim_while_awake(int fd, bool evict)
{
	struct pf_chain chain, busy;
	struct pf_bo bo[8];
	uint32_t handles[8];
	uint64_t evicted;

	if (!pf_model("as_command_us"))
		igt_skip("needs the register model\n");
	pf_chain_create(&chain, fd);
	pf_chain_create(&busy, fd);
	for (int i = 0; i < 8; i++) {
		pf_bo_create_filled(&bo[i], fd, PF_BO_SIZE, i + 1);
		handles[i] = bo[i].handle;
		pf_job_write(&chain, bo[i].va + 4096 * i, 1);
	}
	pf_run(&chain, handles, 8);
	usleep(20000);
	pf_job_delay(&busy, 300);
	igt_assert_eq(pf_submit(&busy, NULL, 0, true), 0);
	if (evict) {
		pf_swap_on();
		evicted = pf_counter("evicted_bos");
		pf_evict();
		igt_assert(pf_counter("evicted_bos") - evicted >= 8);
	} else {
		for (int i = 0; i < 8; i++)
			igt_assert_eq(pf_bo_madvise(&bo[i], DONTNEED), 1);
		pf_purge();
		for (int i = 0; i < 8; i++)
			igt_assert_eq(pf_bo_madvise(&bo[i], WILLNEED), 0);
	}
	igt_assert_eq(pf_model("tlb_stale"), 0);
	igt_assert_eq(pf_wait(fd, busy.bo.handle, 0), -EBUSY);
	igt_assert_eq(pf_wait(fd, busy.bo.handle, 5000), 0);
}

static void test_purge_flushes_tlb(int fd)
{
	reclaim_while_awake(fd, false);
}

static void test_purge_exported(int fd)
{
	struct pf_bo bo;
	int dmabuf;

	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	dmabuf = pf_export(fd, bo.handle);
	igt_assert(dmabuf >= 0);
	pf_expect_kept(&bo);
	pf_bo_check(&bo);
	close(dmabuf);
	pf_bo_close(&bo);
}

static void test_purge_after_export(int fd)
{
	struct pf_bo bo;
	int dmabuf;

	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	dmabuf = pf_export(fd, bo.handle);
	igt_assert(dmabuf >= 0);
	close(dmabuf);
	pf_expect_purged(&bo);
	pf_bo_close(&bo);
}

static void test_purge_imported(int fd)
{
	struct drm_mode_create_dumb dumb = { .width = 64, .height = 64, .bpp = 32 };
	struct drm_mode_map_dumb offset = { };
	int vgem = pf_open_name("vgem", true), dmabuf;
	struct pf_chain chain;
	struct pf_bo bo = { .fd = fd, .size = 64 * 64 * 4 };
	uint32_t *map;

	if (vgem < 0)
		igt_skip("needs vgem\n");
	igt_assert_eq(pf_ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb), 0);
	offset.handle = dumb.handle;
	igt_assert_eq(pf_ioctl(vgem, DRM_IOCTL_MODE_MAP_DUMB, &offset), 0);
	map = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, vgem, offset.offset);
	igt_assert(map != MAP_FAILED);
	dmabuf = pf_export(vgem, dumb.handle);
	igt_assert(dmabuf >= 0);
	igt_assert_eq(pf_import(fd, dmabuf, &bo.handle), 0);
	close(dmabuf);
	igt_assert_eq(pf_va(fd, bo.handle, &bo.va), 0);

	pf_chain_create(&chain, fd);
	map[0] = 1;
	pf_expect_kept(&bo);
	if (pf_has_shrinker()) {
		pf_swap_on();
		pf_evict();
	}
	igt_assert_eq(map[0], 1);
	pf_job_write(&chain, bo.va, 0x77);
	pf_run(&chain, &bo.handle, 1);
	igt_assert_eq(map[0], 0x77);
	munmap(map, dumb.size);
	igt_assert_eq(pf_close_handle(fd, bo.handle), 0);
	close(vgem);
}

static void test_purge_close(int fd)
{
	int other = pf_open();
	struct pf_bo bo[4];

	for (int i = 0; i < 4; i++) {
		pf_bo_create_filled(&bo[i], i % 2 ? other : fd, PF_BO_SIZE, i + 1);
		pf_expect_purged(&bo[i]);
	}
	pf_bo_close(&bo[0]);
	igt_assert_eq(pf_close_handle(fd, bo[2].handle), 0);
	igt_assert(pf_sigbus(bo[2].map, false));
	pf_bo_close(&bo[1]);
	close(other);
	igt_assert(pf_sigbus(bo[3].map, false));
	pf_bo_unmap(&bo[2]);
	pf_bo_unmap(&bo[3]);
}

static void test_heap_purge(int fd)
{
	struct pf_chain chain;
	struct pf_bo heap;
	uint64_t before;

	pf_chain_create(&chain, fd);
	pf_bo_create(&heap, fd, 128 * PF_MIB, PF_HEAP);
	heap_touch(&chain, &heap, 0, 40);
	pf_purge();
	before = pf_meminfo_kib("MemFree");
	pf_expect_purged(&heap);
	expect_free(before, 80 * PF_MIB);
	igt_assert_eq(pf_submit(&chain, &heap.handle, 1, false), -EINVAL);
	pf_bo_close(&heap);
}

static void test_heap_grow_after_evict(int fd)
{
	struct pf_bo heap, bo, result;
	struct pf_chain chain;

	pf_swap_on();
	pf_chain_create(&chain, fd);
	pf_bo_create(&result, fd, PF_BO_SIZE, 0);
	pf_bo_create(&heap, fd, 16 * PF_MIB, PF_HEAP);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	heap_touch(&chain, &heap, 0, 2);
	usleep(20000);
	pf_evict();
	heap_touch(&chain, &heap, 2, 2);
	heap_check(&chain, &heap, &result, 4);
	pf_bo_check(&bo);
}

/*
 * Evicts until at least that many BOs went: what jobs held is let go a little after their
 * fences, and a GPU that is about to be suspended is not asked to forget anything.
 */
static void evict_at_least(unsigned int count)
{
	uint64_t before = pf_counter("evicted_bos"), went = 0;

	pf_swap_on();
	for (int i = 0; i < 200 && went < count; i++) {
		if (i)
			usleep(5000);
		pf_evict();
		went = pf_counter("evicted_bos") - before;
	}
	igt_assert_f(went >= count, "%llu BOs went, not %u\n", (unsigned long long)went, count);
}

static void test_evict_contents(int fd)
{
	struct pf_bo bos[ARRAY_SIZE(sizes)];

	for (int i = 0; i < ARRAY_SIZE(sizes); i++)
		pf_bo_create_filled(&bos[i], fd, sizes[i], i + 1);
	for (int round = 0; round < 3; round++) {
		evict_at_least(ARRAY_SIZE(sizes));
		for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
			pf_bo_check(&bos[i]);
			pf_bo_fill(&bos[i], i + 10 * round);
		}
	}
	/* Given up while they are out: gone when a scan comes by. */
	evict_at_least(ARRAY_SIZE(sizes));
	for (int i = 0; i < ARRAY_SIZE(sizes); i++)
		pf_expect_purged(&bos[i]);
}

static void test_evict_then_submit(int fd)
{
	struct pf_bo bo, result;
	struct pf_chain chain;
	uint32_t handles[2];

	pf_chain_create(&chain, fd);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	pf_bo_create(&result, fd, PF_BO_SIZE, 0);
	handles[0] = bo.handle;
	handles[1] = result.handle;
	for (int round = 0; round < 3; round++) {
		evict_at_least(2);
		pf_chain_reset(&chain);
		pf_job_copy(&chain, result.va, bo.va, PF_BO_SIZE);
		pf_job_write(&chain, bo.va + PF_BO_SIZE - 4, round);
		pf_run(&chain, handles, 2);
		result.seed = bo.seed;
		pf_bo_check(&result);
		igt_assert_eq(bo.map[PF_BO_SIZE / 4 - 1], round);
		pf_bo_fill(&bo, round + 2);
	}
	/* The job itself, too. Twice the same BO is as good as once. */
	evict_at_least(3);
	handles[1] = bo.handle;
	pf_chain_reset(&chain);
	pf_job_write(&chain, bo.va, 9);
	pf_run(&chain, handles, 1);
	igt_assert_eq(bo.map[0], 9);
}

static void test_evict_device_written(int fd)
{
	struct pf_bo bo, source;
	struct pf_chain chain;
	uint32_t handles[2];

	pf_chain_create(&chain, fd);
	pf_bo_create_filled(&source, fd, PF_BO_SIZE, 5);
	igt_assert_eq(pf_bo_try_create(&bo, fd, PF_BO_SIZE, PANFROST_BO_NOEXEC), 0);
	handles[0] = bo.handle;
	handles[1] = source.handle;
	pf_job_copy(&chain, bo.va, source.va, PF_BO_SIZE);
	pf_run(&chain, handles, 2);
	evict_at_least(2);
	pf_bo_map(&bo);
	bo.seed = source.seed;
	pf_bo_check(&bo);
}

static void test_evict_flushes_tlb(int fd)
{
	reclaim_while_awake(fd, true);
}

static void test_evict_two_contexts(int fd)
{
	int other = pf_open();
	struct pf_bo bo, result[2];
	struct pf_chain chain[2];
	uint32_t handles[2];
	uint64_t va;

	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	handles[1] = share(&bo, other);
	igt_assert_eq(pf_va(other, handles[1], &va), 0);
	for (int i = 0; i < 2; i++) {
		pf_chain_create(&chain[i], i ? other : fd);
		pf_bo_create(&result[i], i ? other : fd, PF_BO_SIZE, 0);
		pf_job_copy(&chain[i], result[i].va, i ? va : bo.va, PF_BO_SIZE);
	}
	for (int round = 0; round < 3; round++) {
		evict_at_least(1);
		/* by turns, as the second finds what the first one restored */
		for (int j = 0; j < 2; j++) {
			int i = (round + j) % 2;
			uint32_t both[] = { i ? handles[1] : bo.handle, result[i].handle };

			pf_run(&chain[i], both, 2);
			result[i].seed = bo.seed;
			pf_bo_check(&result[i]);
		}
		pf_bo_fill(&bo, round + 2);
	}
	evict_at_least(1);
	close(other);
	pf_bo_check(&bo);
}

static void test_evict_heap(int fd)
{
	struct pf_bo heap, result;
	struct pf_chain chain;
	uint64_t shmem;

	pf_swap_on();
	pf_chain_create(&chain, fd);
	pf_bo_create(&result, fd, PF_BO_SIZE, 0);
	pf_bo_create(&heap, fd, 16 * PF_MIB, PF_HEAP);
	heap_touch(&chain, &heap, 0, 4);
	usleep(50000);
	igt_assert(pf_counter("unevictable_pages") >= 8 * PF_MIB / 4096);
	pf_evict();
	shmem = pf_meminfo_kib("Shmem");
	igt_assert(shmem >= 8 * 1024);
	igt_assert(pf_counter("unevictable_pages") >= 8 * PF_MIB / 4096);
	heap_check(&chain, &heap, &result, 4);
	pf_bo_close(&heap);
}

static void test_evict_exported(int fd)
{
	struct pf_bo bo;
	uint64_t before;
	int dmabuf;

	pf_swap_on();
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	dmabuf = pf_export(fd, bo.handle);
	igt_assert(dmabuf >= 0);
	/* What other BOs there are goes first. */
	pf_evict();
	before = pf_counter("evicted_bos");
	pf_evict();
	igt_assert_eq(pf_counter("evicted_bos"), before);
	pf_bo_check(&bo);
	close(dmabuf);
	evict_at_least(1);
	pf_bo_check(&bo);
}

static void test_evict_busy(int fd)
{
	struct pf_chain chain;
	struct pf_bo bo;
	uint64_t before;

	pf_swap_on();
	pf_chain_create(&chain, fd);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	pf_job_delay(&chain, 300);
	pf_job_write(&chain, bo.va, 3);
	igt_assert_eq(pf_submit(&chain, &bo.handle, 1, false), 0);
	before = pf_counter("evicted_bos");
	pf_evict();
	igt_assert_eq(pf_counter("evicted_bos"), before);
	igt_assert_eq(pf_wait(fd, bo.handle, 0), -EBUSY);
	igt_assert_eq(pf_wait(fd, bo.handle, 5000), 0);
	igt_assert_eq(bo.map[0], 3);
	evict_at_least(2);
	igt_assert_eq(bo.map[0], 3);
}

static void test_fault_then_reclaim(int fd)
{
	struct pf_bo hung, faulted, kept;
	struct pf_chain chain, again;
	uint32_t handles[2];

	pf_chain_create(&chain, fd);
	pf_chain_create(&again, fd);
	pf_bo_create_filled(&hung, fd, PF_BO_SIZE, 1);
	pf_bo_create_filled(&faulted, fd, PF_BO_SIZE, 2);
	pf_bo_create_filled(&kept, fd, PF_BO_SIZE, 3);
	handles[1] = kept.handle;

	pf_job_write(&chain, 0xf0000000, 1);
	handles[0] = faulted.handle;
	igt_assert_eq(pf_submit(&chain, handles, 2, false), 0);
	igt_assert_eq(pf_wait(fd, faulted.handle, 5000), 0);
	pf_chain_reset(&chain);
	pf_job_hang(&chain);
	handles[0] = hung.handle;
	igt_assert_eq(pf_submit(&chain, handles, 2, false), 0);
	igt_assert_eq(pf_bo_madvise(&hung, DONTNEED), 1);
	pf_purge();
	igt_assert_eq(pf_bo_madvise(&hung, WILLNEED), 1);
	igt_assert_eq(pf_wait(fd, hung.handle, 5000), 0);

	pf_expect_purged(&faulted);
	pf_expect_purged(&hung);
	if (pf_has_shrinker())
		evict_at_least(1);
	pf_bo_check(&kept);
	pf_job_write(&again, kept.va, 4);
	pf_run(&again, &kept.handle, 1);
	igt_assert_eq(kept.map[0], 4);
}

static void test_flush_timeout(int fd)
{
	const struct sched_param fifo = { .sched_priority = 1 }, other_class = { };
	uint64_t freed = pf_model("tlb_freed");
	struct pf_chain chain, busy, again;
	struct pf_bo bo, other;
	uint32_t handles[2];

	pf_chain_create(&chain, fd);
	pf_chain_create(&busy, fd);
	pf_chain_create(&again, fd);
	pf_bo_create_filled(&bo, fd, PF_BO_SIZE, 1);
	pf_bo_create_filled(&other, fd, PF_BO_SIZE, 2);
	handles[0] = bo.handle;
	handles[1] = other.handle;
	/* for the GPU to know all of its pages */
	pf_job_copy(&chain, bo.va, other.va, PF_BO_SIZE);
	pf_run(&chain, handles, 2);
	usleep(20000);
	pf_job_delay(&busy, 400);
	igt_assert_eq(pf_submit(&busy, NULL, 0, true), 0);
	igt_assert_eq(pf_bo_madvise(&bo, DONTNEED), 1);
	pf_model_set("as_stuck", 1);
	/* The reset that the timeout calls for must not come before pages are freed. */
	igt_assert_eq(sched_setscheduler(0, SCHED_FIFO, &fifo), 0);
	pf_purge();
	igt_assert_eq(sched_setscheduler(0, SCHED_OTHER, &other_class), 0);
	igt_assert_eq(pf_model("as_stuck"), 0);
	igt_assert_eq(pf_wait(fd, busy.bo.handle, 5000), 0);
	/* Until the reset the GPU could write to the BO's memory. */
	igt_assert_eq(pf_model("tlb_freed"), freed);
	pf_expect_purged(&bo);
	pf_job_write(&again, other.va, 4);
	pf_run(&again, &other.handle, 1);
	igt_assert_eq(other.map[0], 4);
}

static void test_perfcnt(int fd)
{
	struct drm_panfrost_perfcnt_enable enable = { .enable = 1 };
	uint32_t counters[7 * 64] = { 0 };
	struct drm_panfrost_perfcnt_dump dump = { .buf_ptr = (uintptr_t)counters };
	int ret = pf_ioctl(fd, DRM_IOCTL_PANFROST_PERFCNT_ENABLE, &enable);

	if (ret == -ENOSYS)
		igt_skip("needs panfrost.unstable_ioctls=1\n");
	igt_assert_eq(ret, 0);
	for (int i = 0; i < 3; i++) {
		pf_purge();
		if (pf_has_shrinker()) {
			pf_swap_on();
			pf_evict();
		}
		memset(counters, 0, sizeof(counters));
		igt_assert_eq(pf_ioctl(fd, DRM_IOCTL_PANFROST_PERFCNT_DUMP, &dump), 0);
		igt_assert_eq(counters[2], UINT32_MAX);
		igt_assert_eq(counters[6 * 64 + 63] - counters[63], 6 * 64);
	}
	enable.enable = 0;
	igt_assert_eq(pf_ioctl(fd, DRM_IOCTL_PANFROST_PERFCNT_ENABLE, &enable), 0);
}

/* Takes memory and keeps it for a moment. */
static void hog(uint64_t bytes)
{
	volatile char *memory;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	igt_assert(write(fd, "1000", 4) == 4);
	close(fd);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	igt_assert(memory != MAP_FAILED);
	/* not to be taken for the same in all pages by swap */
	for (uint64_t i = 0; i < bytes; i += 64)
		memory[i] = i * 2654435761u >> 13;
	usleep(100000);
}

static void test_oom_survive(int fd)
{
	uint64_t available = pf_meminfo_kib("MemAvailable") * PF_KIB;
	unsigned int count = available / PF_MIB * 3 / 4, purged = 0;
	struct pf_bo *bos = calloc(count, sizeof(*bos));

	for (unsigned int i = 0; i < count; i++) {
		pf_bo_create_filled(&bos[i], fd, PF_MIB, i + 1);
		pf_bo_unmap(&bos[i]);
		if (i % 8)
			igt_assert_eq(pf_bo_madvise(&bos[i], DONTNEED), 1);
	}
	igt_fork(child, 1)
		hog(available * 3 / 4);
	igt_waitchildren();
	for (unsigned int i = 0; i < count; i++) {
		if (i % 8) {
			purged += !pf_bo_madvise(&bos[i], WILLNEED);
		} else {
			pf_bo_map(&bos[i]);
			pf_bo_check(&bos[i]);
		}
		pf_bo_close(&bos[i]);
	}
	igt_info("%u of %u MiB were purged\n", purged, count);
	igt_assert(purged);
	free(bos);
}

/* Fills BOs of 1 MiB, gives up every second one, and has jobs read some of the others. */
static void client(unsigned int count, unsigned int id)
{
	struct pf_bo *bos = calloc(count, sizeof(*bos)), result;
	int fd = pf_open();
	struct pf_chain chain;

	igt_assert(bos && fd >= 0);
	pf_chain_create(&chain, fd);
	pf_bo_create(&result, fd, PF_MIB, 0);
	for (unsigned int i = 0; i < count; i++) {
		unsigned int old = (i * 7919u) % (i + 1) & ~1u;
		uint32_t handles[2];

		pf_bo_create_filled(&bos[i], fd, PF_MIB, id * 10000 + i);
		pf_bo_unmap(&bos[i]);
		if (i % 2)
			igt_assert_eq(pf_bo_madvise(&bos[i], DONTNEED), 1);
		if (i % 4)
			continue;
		handles[0] = bos[old].handle;
		handles[1] = result.handle;
		pf_chain_reset(&chain);
		pf_job_copy(&chain, result.va, bos[old].va, PF_MIB);
		pf_run(&chain, handles, 2);
		result.seed = bos[old].seed;
		pf_bo_check(&result);
	}
	for (unsigned int i = 0; i < count; i += 2) {
		igt_assert_eq(pf_bo_madvise(&bos[i], WILLNEED), 1);
		pf_bo_map(&bos[i]);
		pf_bo_check(&bos[i]);
		pf_bo_close(&bos[i]);
	}
	close(fd);
	free(bos);
}

static void test_swap_2x(int fd)
{
	unsigned int count = igt_get_total_ram_mb() * 3 / 2;

	pf_swap_on();
	igt_fork(child, 2)
		client(count, child + 1);
	igt_waitchildren();
	igt_info("%u MiB in BOs, %llu BOs purged, %llu evicted, %llu swapped in\n", 2 * count,
		 (unsigned long long)pf_counter("purged_bos"),
		 (unsigned long long)pf_counter("evicted_bos"),
		 (unsigned long long)pf_counter("swapped_in_bos"));
}

struct subtest {
	const char *name;
	void (*run)(int fd);
	const char *about;
	bool needs_shrinker;
	/* An open file is more than the driver survives. */
	bool unbinds;
};

static const struct subtest subtests[] = {
	{ "madvise-retained", test_madvise_retained, "nothing is lost" },
	{ "invalid-madv", test_invalid_madv, "EINVAL" },
	{ "bad-handle", test_bad_handle, "ENOENT" },
	{ "dontneed-shared", test_dontneed_shared, "EINVAL" },
	{ "jobs", test_jobs, "read and write" },
	{ "heap-grow", test_heap_grow, "on faults" },
	{ "heap-after-fault", test_heap_after_fault, "grows again" },
	{ "hang-recovery", test_hang_recovery, "others run" },
	{ "purge-idle", test_purge_idle, "contents go" },
	{ "purge-submit", test_purge_submit, "EINVAL" },
	{ "purge-mmapped", test_purge_mmapped, "a mapping is no pin" },
	{ "purge-busy", test_purge_busy, "kept while busy" },
	{ "purge-while-job-queued", test_purge_while_queued, "kept while wanted" },
	{ "purge-flushes-tlb", test_purge_flushes_tlb, "the GPU has let go" },
	{ "purge-exported-kept", test_purge_exported, "kept while exported" },
	{ "purge-after-export-closed", test_purge_after_export, "not kept for ever" },
	{ "purge-imported-kept", test_purge_imported, "is not ours" },
	{ "purge-close", test_purge_close, "like any other" },
	{ "heap-purge", test_heap_purge, "as far as it has grown" },
	{ "heap-grow-after-evict", test_heap_grow_after_evict, "nothing is lost", true },
	{ "evict-contents", test_evict_contents, "come back from swap", true },
	{ "evict-then-submit", test_evict_then_submit, "a job brings them back", true },
	{ "evict-device-written", test_evict_device_written, "is dirty, too", true },
	{ "evict-flushes-tlb", test_evict_flushes_tlb, "the GPU has let go", true },
	{ "evict-two-contexts", test_evict_two_contexts, "each maps it again", true },
	{ "evict-heap-refused", test_evict_heap, "counted", true },
	{ "evict-exported", test_evict_exported, "kept while exported", true },
	{ "evict-busy", test_evict_busy, "kept while busy", true },
	{ "fault-timeout-then-reclaim", test_fault_then_reclaim, "nothing stays held" },
	{ "flush-timeout", test_flush_timeout, "nothing is given away" },
	{ "perfcnt-kept", test_perfcnt, "still written" },
	{ "oom-survive", test_oom_survive, "nothing is killed" },
	{ "swap-2x", test_swap_2x, "all contents are intact", true },
	{ "heap-after-bind", test_heap_after_bind, "grows at once", .unbinds = true },
};

/* Each with a file of its own. The GPU must know nothing that is not true afterwards. */
static void run(const struct subtest *test)
{
	uint64_t stale = pf_model("stale"), freed = pf_model("tlb_freed");
	int fd;

	if (test->needs_shrinker)
		pf_need_shrinker();
	fd = test->unbinds ? -1 : pf_open();
	igt_assert(fd >= 0 || test->unbinds);
	pf_swap_off();
	test->run(fd);
	igt_assert_eq(pf_model("tlb_stale"), 0);
	if (fd >= 0)
		close(fd);
	igt_assert_eq(pf_model("tlb_stale"), 0);
	igt_assert_eq(pf_model("stale"), stale);
	igt_assert_eq(pf_model("tlb_freed"), freed);
}

int igt_main()
{
	igt_fixture() {
		int fd = pf_open();

		if (fd < 0)
			igt_skip("needs a device of panfrost\n");
		close(fd);
	}

	for (unsigned int i = 0; i < ARRAY_SIZE(subtests); i++) {
		igt_describe(subtests[i].about);
		igt_subtest(subtests[i].name)
			run(&subtests[i]);
	}

	igt_fixture()
		pf_swap_off();
}
