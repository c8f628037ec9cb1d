// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 */
/**
 * TEST: virtio madvise
 * Description: Advice on BOs, and what becomes of those that are given up
 * Category: Core
 * Mega feature: General Core features
 * Sub-category: Memory management
 * Functionality: madvise
 * Feature: madvise
 * Test category: functionality test
 *
 * SUBTEST: getparam
 * Description: The parameter is a mask of the advice that the kernel takes.
 *
 * SUBTEST: invalid-handle
 * Description: ENOENT for handles never given, already closed, or of another file.
 *
 * SUBTEST: invalid-madv
 * Description: EINVAL for advice that is not in the mask, which changes nothing.
 *
 * SUBTEST: invalid-pad
 * Description: EINVAL when res_handle is not zero, which changes nothing.
 *
 * SUBTEST: retained-without-pressure
 * Description: As long as memory is not short contents are retained, of BOs of any size.
 *
 * SUBTEST: purge
 * Description: What is given up and idle goes: its pages, and its resource on the host, by
 *	one command. What is not given up stays.
 *
 * SUBTEST: purged-not-retained
 * Description: A BO that was purged is not retained, whatever is said of it afterwards.
 *
 * SUBTEST: purge-mmapped
 * Description: A BO that is mapped, here twice, is purged, and all its pages go.
 *
 * SUBTEST: access-purged-sigbus
 * Description: Reading and writing the mapping of a purged BO gives SIGBUS, also after
 *	WILLNEED, in pages that had been touched and in others, and EFAULT to the kernel.
 *
 * SUBTEST: mmap-after-purge
 * Description: A purged BO cannot be mapped, and the mappings that there are give SIGBUS.
 *
 * SUBTEST: wait-purged
 * Description: Waiting for a BO that was given up, or purged, succeeds at once.
 *
 * SUBTEST: close-purged
 * Description: A purged BO closes like any other, by its handle and with its file, and
 *	nothing of it is left to tell the host.
 *
 * SUBTEST: busy-dontneed
 * Description: Advice on a busy BO is taken, and it is not purged until it is idle.
 *
 * SUBTEST: exec-dontneed
 * Description: A job may use BOs that are given up but not purged, and reads and writes
 *	their contents.
 *
 * SUBTEST: exec-purged
 * Description: A job that names a purged BO is refused with EINVAL before anything is
 *	sent, and the others that it names are as they were.
 *
 * SUBTEST: transfer-purged
 * Description: Transfers of a purged BO are refused with EINVAL and nothing is sent.
 *
 * SUBTEST: race-willneed
 * Description: Whoever takes a BO back while it is being purged has either all of its
 *	contents or is told that they are lost.
 *
 * SUBTEST: purge-exported
 * Description: A BO is kept as long as its dma-buf is open or mapped.
 *
 * SUBTEST: purge-after-export-closed
 * Description: A BO that once was exported is purged like any other, and can be exported
 *	again before that.
 *
 * SUBTEST: purge-shared-handle
 * Description: A BO of which another file has a handle, by prime or by name, is kept until
 *	that is closed. Each file's advice holds as long as its handle.
 *
 * SUBTEST: race-close
 * Description: Advice that is given while its handle is closed ends with the handle, and the
 *	other file that has the BO does not lose it.
 *
 * SUBTEST: export-purged
 * Description: A purged BO cannot be exported, nor can one that was exported before.
 *
 * SUBTEST: purge-scanout
 * Description: A BO that is shown is kept, and purged when it is not shown any more.
 *
 * SUBTEST: scanout-purged
 * Description: A purged BO cannot be shown.
 *
 * SUBTEST: evict-contents
 * Description: Idle BOs of any size are evicted, by one command each, and written to swap;
 *	when the CPU looks all of their contents come back.
 *
 * SUBTEST: evict-mmapped-contents
 * Description: A BO that is mapped is evicted, and its mappings stay good: reading or
 *	writing one brings the pages back, and all of them see the same.
 *
 * SUBTEST: evict-exec
 * Description: A job brings the evicted BOs that it names back, for the host to use.
 *
 * SUBTEST: evict-transfer
 * Description: Transfers bring an evicted BO back, and carry what was in swap.
 *
 * SUBTEST: evict-device-written
 * Description: What only the host wrote to the pages is evicted with them.
 *
 * SUBTEST: evict-export
 * Description: An evicted BO can be exported, and its dma-buf has the contents. It is not
 *	evicted as long as the dma-buf is open or mapped. Other handles are no obstacle.
 *
 * SUBTEST: evict-scanout-refused
 * Description: A BO that is shown is not evicted. One that was evicted can be shown.
 *
 * SUBTEST: evict-without-swap-refused
 * Description: Nothing is evicted without swap space.
 *
 * SUBTEST: evict-swap-full
 * Description: Nothing is evicted when swap is full, and nothing is lost when it fills up
 *	while evicted BOs are written to it.
 *
 * SUBTEST: evict-custom-refused
 * Description: BOs of which the host keeps a copy in its memory, and those of more than
 *	64 MiB, are counted as unevictable and purged, but not evicted.
 *
 * SUBTEST: replace
 * Description: A purged BO is replaced by one with the same handle, size and mmap offset,
 *	and a resource id of its own, which can be used and purged like any other, over and
 *	over.
 *
 * SUBTEST: replace-never-purged
 * Description: A BO that has its contents, in memory or in swap, keeps them, and is needed
 *	from then on.
 *
 * SUBTEST: replace-zeroed
 * Description: A replaced BO of any size is zero, in old and new mappings.
 *
 * SUBTEST: replace-mmapped-twice
 * Description: Two mappings live through purges and replacements, and give SIGBUS while the
 *	BO is purged, the same new contents afterwards, and never an old byte.
 *
 * SUBTEST: replace-shared
 * Description: EBUSY for BOs with several handles, and EINVAL for those that cannot be made
 *	again, in any state, which changes nothing.
 *
 * SUBTEST: replace-race
 * Description: Whoever replaces a BO while it is being purged, or evicted, has either all of
 *	its contents or zeros, and what is written then stays.
 *
 * SUBTEST: blob-purge
 * Description: A guest blob that was given up is purged like any other BO. None is evicted.
 *
 * SUBTEST: blob-host3d
 * Description: Blobs with memory of the host are counted apart and kept, given up or not,
 *	until it is asked that those given up go, and what is mapped of the host even then.
 *
 * SUBTEST: fdinfo
 * Description: The file's fdinfo tells how much of its BOs is in memory, shared, given up
 *	and busy.
 *
 * SUBTEST: fork
 * Description: A child sees what becomes of the BOs whose mappings it inherited, also after
 *	its parent has exited.
 *
 * SUBTEST: madvise-fast-path
 * Description: 10,000 pairs of madvise send nothing to the host.
 *
 * SUBTEST: madvise-flood
 * Description: Processes that give up and take back BOs all the time, exported or not, do not
 *	keep those of others from being purged by one scan after the other, and 200,000
 *	times of it take no memory.
 *
 * SUBTEST: ring-flood
 * Description: Processes that fill the ring of the device with commands leave some of it to
 *	those that purge.
 *
 * SUBTEST: purge-cost
 * Description: 1,000 BOs are purged by 1,000 commands, at most 40 waits for the host, and
 *	at most 8 writes to drop_caches.
 *
 * SUBTEST: oom-survive-1-client
 * Description: With memory full of BOs, most of them given up, there is room for a program
 *	that needs most of it, and what was not given up is intact.
 *
 * SUBTEST: oom-survive-8-clients
 * Description: The same, with the BOs in eight processes.
 *
 * SUBTEST: oom-survive-swap
 * Description: With half of the memory in idle BOs, none of them given up, and swap space,
 *	there is room for a program that needs most of it, and all contents are intact.
 */
#include <errno.h>
#include <unistd.h>

#include "virtio_madvise.h"

IGT_TEST_DESCRIPTION("Advice on virtio-gpu BOs, and what becomes of those that are given up");

static void test_getparam(int fd)
{
	const int want = 1 << WILLNEED | 1 << DONTNEED | 1 << REPLACE;
	int mask;

	igt_assert_eq(vg_param(fd, VIRTGPU_PARAM_MADVISE, &mask), 0);
	igt_info("mask 0x%x\n", mask);
	igt_assert_eq(mask & want, want);
}

static void test_invalid_handle(int fd)
{
	int other = vg_open();
	struct vg_bo bo;

	vg_bo_create(&bo, fd, VG_BO_SIZE);
	for (uint32_t madv = WILLNEED; madv <= REPLACE; madv++) {
		igt_assert_eq(vg_madvise(fd, 0, madv), -ENOENT);
		igt_assert_eq(vg_madvise(fd, bo.handle + 1, madv), -ENOENT);
		igt_assert_eq(vg_madvise(fd, UINT32_MAX, madv), -ENOENT);
		igt_assert_eq(vg_madvise(other, bo.handle, madv), -ENOENT);
	}
	close(other);
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	vg_bo_unmap(&bo);
	igt_assert_eq(vg_close_handle(fd, bo.handle), 0);
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), -ENOENT);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), -ENOENT);
	igt_assert_eq(vg_bo_madvise(&bo, REPLACE), -ENOENT);
}

static void test_invalid_madv(int fd)
{
	struct vg_bo bo;
	int mask;

	igt_assert_eq(vg_param(fd, VIRTGPU_PARAM_MADVISE, &mask), 0);
	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	for (uint32_t madv = 0; madv < 32; madv++) {
		if (!((uint32_t)mask & 1u << madv))
			igt_assert_eq(vg_bo_madvise(&bo, madv), -EINVAL);
	}
	/* with bits that a narrower type would lose */
	igt_assert_eq(vg_bo_madvise(&bo, 1 << 8 | DONTNEED), -EINVAL);
	igt_assert_eq(vg_bo_madvise(&bo, 1 << 16 | DONTNEED), -EINVAL);
	igt_assert_eq(vg_bo_madvise(&bo, 1u << 31 | DONTNEED), -EINVAL);
	igt_assert_eq(vg_bo_madvise(&bo, UINT32_MAX), -EINVAL);
	vg_expect_kept();
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 1);
	vg_bo_check(&bo);
	vg_bo_close(&bo);
}

static void test_invalid_pad(int fd)
{
	struct vg_bo bo;

	vg_bo_create_filled(&bo, fd, VG_BO_SIZE, 1);
	for (int bit = 0; bit < 32; bit++) {
		struct drm_virtgpu_madvise args = {
			.bo_handle = bo.handle,
			.madv = bit % 2 ? DONTNEED : REPLACE,
			.res_handle = 1u << bit,
		};

		igt_assert_eq(vg_ioctl(fd, DRM_IOCTL_VIRTGPU_MADVISE, &args), -EINVAL);
	}
	vg_expect_kept();
	vg_bo_check(&bo);
	vg_bo_close(&bo);
}

static void test_retained_without_pressure(int fd)
{
	static const uint64_t sizes[] = { 4 * VG_KIB, 12 * VG_KIB, VG_BO_SIZE, 4 * VG_MIB };
	const int count = sizeof(sizes) / sizeof(*sizes);
	struct vg_bo bos[count];

	for (int i = 0; i < count; i++)
		vg_bo_create_filled(&bos[i], fd, sizes[i], i + 1);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < count; i++) {
			igt_assert_eq(vg_bo_madvise(&bos[i], WILLNEED), 1);
			igt_assert_eq(vg_bo_madvise(&bos[i], DONTNEED), 1);
			igt_assert_eq(vg_bo_madvise(&bos[i], DONTNEED), 1);
			vg_bo_check(&bos[i]);
		}
		for (int i = 0; i < count; i++) {
			igt_assert_eq(vg_bo_madvise(&bos[i], WILLNEED), 1);
			vg_bo_check(&bos[i]);
		}
	}
	/* What was taken back stays when memory is short. */
	vg_expect_kept();
	for (int i = 0; i < count; i++) {
		vg_bo_check(&bos[i]);
		vg_bo_close(&bos[i]);
	}
}

struct subtest {
	const char *name;
	void (*run)(int fd);
	const char *about;
	bool needs_virgl;
};

static const struct subtest subtests[] = {
	{ "getparam", test_getparam, "mask of supported advice" },
	{ "invalid-handle", test_invalid_handle, "ENOENT" },
	{ "invalid-madv", test_invalid_madv, "EINVAL" },
	{ "invalid-pad", test_invalid_pad, "EINVAL" },
	{ "retained-without-pressure", test_retained_without_pressure, "nothing is lost" },
	{ "purge", test_purge, "pages and host resource go" },
	{ "purged-not-retained", test_purged_not_retained, "and never again" },
	{ "purge-mmapped", test_purge_mmapped, "a mapping is no pin" },
	{ "access-purged-sigbus", test_access_purged_sigbus, "SIGBUS" },
	{ "mmap-after-purge", test_mmap_after_purge, "EINVAL" },
	{ "wait-purged", test_wait_purged, "succeeds at once" },
	{ "close-purged", test_close_purged, "like any other" },
	{ "busy-dontneed", test_busy_dontneed, "kept while busy" },
	{ "exec-dontneed", test_exec_dontneed, "accepted", true },
	{ "exec-purged", test_exec_purged, "EINVAL", true },
	{ "transfer-purged", test_transfer_purged, "EINVAL" },
	{ "race-willneed", test_race_willneed, "all contents, or none" },
	{ "purge-exported", test_purge_exported, "kept while exported" },
	{ "purge-after-export-closed", test_purge_after_export_closed, "not kept for ever" },
	{ "purge-shared-handle", test_purge_shared_handle, "kept while shared" },
	{ "race-close", test_race_close, "advice ends with its handle" },
	{ "export-purged", test_export_purged, "EINVAL" },
	{ "purge-scanout", test_purge_scanout, "kept while shown" },
	{ "scanout-purged", test_scanout_purged, "EINVAL" },
	{ "evict-contents", test_evict_contents, "come back from swap" },
	{ "evict-mmapped-contents", test_evict_mmapped, "mappings stay good" },
	{ "evict-exec", test_evict_exec, "a job brings them back", true },
	{ "evict-transfer", test_evict_transfer, "a transfer brings it back" },
	{ "evict-device-written", test_evict_device_written, "is dirty, too", true },
	{ "evict-export", test_evict_export, "not while exported" },
	{ "evict-scanout-refused", test_evict_scanout, "not while shown" },
	{ "evict-without-swap-refused", test_evict_without_swap, "needs swap space" },
	{ "evict-swap-full", test_evict_swap_full, "nothing is lost" },
	{ "evict-custom-refused", test_evict_custom, "purged only", true },
	{ "replace", test_replace, "usable again" },
	{ "replace-never-purged", test_replace_never_purged, "contents are kept" },
	{ "replace-zeroed", test_replace_zeroed, "no old bytes" },
	{ "replace-mmapped-twice", test_replace_mmapped_twice, "mappings stay" },
	{ "replace-shared", test_replace_shared, "EBUSY and EINVAL" },
	{ "replace-race", test_replace_race, "all contents, or zeros" },
	{ "blob-purge", test_blob_purge, "guest blobs" },
	{ "blob-host3d", test_blob_host3d, "kept until asked for" },
	{ "fdinfo", test_fdinfo, "memory of a file" },
	{ "fork", test_fork, "inherited mappings" },
	{ "madvise-fast-path", test_madvise_fast_path, "sends nothing" },
	{ "madvise-flood", test_madvise_flood, "keeps nobody from purging" },
	{ "ring-flood", test_ring_flood, "leaves room to purge" },
	{ "purge-cost", test_purge_cost, "commands and waits" },
	{ "oom-survive-1-client", test_oom_survive_1, "nothing is killed" },
	{ "oom-survive-8-clients", test_oom_survive_8, "nothing is killed" },
	{ "oom-survive-swap", test_oom_survive_swap, "nothing is killed" },
};

/* Each with a file of its own, and with as much memory in BOs afterwards as before. */
static void run(const struct subtest *test)
{
	int fd = vg_open();
	uint64_t resident;

	igt_assert(fd >= 0);
	vg_trace_stop();
	vg_swap_off();
	if (test->needs_virgl && !vg_has_3d(fd)) {
		close(fd);
		igt_skip("needs virgl: the 2D device has no execbuffer\n");
	}
	vg_reclaim_open(fd);
	resident = vg_counter("resident_pages");
	test->run(fd);
	vg_expect_resident(resident);
	vg_reclaim_close();
	close(fd);
}

int igt_main()
{
	igt_fixture() {
		int fd = vg_open(), mask, ret;

		if (fd < 0)
			igt_skip("needs a virtio-gpu device\n");
		ret = vg_param(fd, VIRTGPU_PARAM_MADVISE, &mask);
		close(fd);
		if (ret)
			igt_skip("needs VIRTGPU_PARAM_MADVISE: %s\n", strerror(-ret));
	}

	for (unsigned int i = 0; i < sizeof(subtests) / sizeof(*subtests); i++) {
		igt_describe(subtests[i].about);
		igt_subtest(subtests[i].name)
			run(&subtests[i]);
	}

	igt_fixture() {
		vg_trace_stop();
		vg_swap_off();
	}
}
