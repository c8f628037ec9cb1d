/* SPDX-License-Identifier: GPL-2.0-only */
/* The operations of gem-fault. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "bo.h"

#define BO_SIZE (16 * PAGE)
/* a page array of more than a page, a scatter/gather table of several */
#define LARGE_SIZE (640 * PAGE)
#define BOS 3
#define MAX_BOS 40

struct operation {
	const char *name;
	void (*prepare)(void);
	int (*run)(void);		/* nothing but what is to fail */
	void (*failed)(void);		/* what must be true after it failed */
	void (*check)(void);		/* and after it succeeded; leaves no BO */
	int also;			/* a positive errno, other than ENOMEM */
	int always;			/* what it gives without a fault, as an errno */
	bool needs_3d;
	unsigned int stride;		/* in the middle: every so many-th only, see gem-fault.c */
};

static struct bo bos[MAX_BOS];
/* pages of BOs that are none of these */
static long resident;
static int other_fd = -1, dmabuf = -1, fds[2];
static bool given_up;

static void make(void)
{
	bos_make(bos, 1, BO_SIZE);
}

static void make_two(void)
{
	bos_make(bos, 2, BO_SIZE);
}

static void make_evicted(void)
{
	make();
	bos_evict(1);
}

static void make_two_evicted(void)
{
	make_two();
	bos_evict(2);
}

static void make_large_evicted(void)
{
	bos_make(bos, 1, LARGE_SIZE);
	bos_evict(1);
}

static void make_purged(void)
{
	make();
	bos_purge(bos, 1);
}

static void make_large_purged(void)
{
	bos_make(bos, 1, LARGE_SIZE);
	bos_purge(bos, 1);
}

/* It can be used as if nothing had happened. */
static void check_usable(struct bo *bo)
{
	int ret;

	/* the host may be about to write to it */
	bo_wait(bo);
	bo_fill(bo);
	ret = bo_upload(bo);
	if (ret)
		fail("TRANSFER_TO_HOST gave %d", ret);
	bo_wait(bo);
	if (has_3d) {
		memset(bo->map, 0, bo->size);
		ret = bo_download(bo);
		if (ret)
			fail("TRANSFER_FROM_HOST gave %d", ret);
		bo_wait(bo);
	}
	bo_check(bo, false);
}

static void check_kept(void)
{
	bo_check(&bos[0], false);
	check_usable(&bos[0]);
	bos_close(bos, 1);
}

static void intact(void)
{
	bo_check(&bos[0], false);
}

static void check_two(void)
{
	bo_check(&bos[0], false);
	bo_check(&bos[1], false);
	check_usable(&bos[0]);
	check_usable(&bos[1]);
	bos_close(bos, 2);
}

/* create */
static void nothing(void)
{
}

static int run_create(void)
{
	return bo_create(&bos[0], BO_SIZE);
}

static void check_create(void)
{
	int ret = bo_mmap(&bos[0]);

	if (ret)
		die("mmap gave %d", ret);
	check_usable(&bos[0]);
	bos_close(bos, 1);
}

/* mmap: the BO is mapped once more */
static struct bo again;

static int run_mmap(void)
{
	again = bos[0];
	return bo_mmap(&again) ?: bo_touch(&again);
}

static int run_munmap(void)
{
	return munmap(again.map, again.size) ? -errno : 0;
}

static void check_mmap(void)
{
	bo_check(&again, false);
	if (run_munmap())
		fail("munmap");
	check_kept();
}

static void make_mapped_twice(void)
{
	make();
	if (run_mmap())
		die("mmap");
}

/* advice */
static int expect_advice(uint32_t madv, int retained)
{
	int ret = bo_madvise(&bos[0], madv);

	if (ret >= 0 && ret != retained)
		fail("retained is %d, not %d", ret, retained);
	return ret < 0 ? ret : 0;
}

static int run_dontneed(void)
{
	return expect_advice(DONTNEED, 1);
}

static void check_given_up(void)
{
	int ret = expect_advice(WILLNEED, 1);

	if (ret)
		fail("WILLNEED gave %d", ret);
	check_kept();
}

static void make_given_up(void)
{
	make();
	run_dontneed();
}

static int run_willneed(void)
{
	return expect_advice(WILLNEED, 1);
}

static int run_willneed_purged(void)
{
	return expect_advice(WILLNEED, 0);
}

/* Lost it is, and lost it stays. */
static void purged(void)
{
	if (expect_advice(WILLNEED, 0))
		fail("WILLNEED failed");
	if (bo_touch(&bos[0]) != -EFAULT)
		fail("no SIGBUS in a purged BO");
}

static void check_purged(void)
{
	purged();
	bos_close(bos, 1);
}

static int run_replace(void)
{
	return expect_advice(REPLACE, 0);
}

static void check_replaced(void)
{
	bo_check(&bos[0], true);
	if (expect_advice(WILLNEED, 1))
		fail("WILLNEED failed");
	check_usable(&bos[0]);
	bos_close(bos, 1);
}

static int run_replace_evicted(void)
{
	return expect_advice(REPLACE, 1);
}

/* What is scanned is BOS BOs that were given up and one that was not, or that many that are idle. */
static unsigned int scanned = BOS;

static void make_scanned(void)
{
	bos_make(bos, scanned + 1, BO_SIZE);
	/* The first look passes over what was used. */
	if (scan("evict "))
		die("scanning");
	given_up = false;
}

static void make_scanned_given_up(void)
{
	make_scanned();
	for (unsigned int i = 0; i < scanned; i++) {
		if (bo_madvise(&bos[i], DONTNEED) != 1)
			fail("DONTNEED: not retained");
	}
	given_up = true;
}

static int run_purge(void)
{
	return scan("");
}

static int run_evict(void)
{
	return scan("evict ");
}

/*
 * What is still there is whole. The first and every other one is closed, also when it was decided
 * to be purged, of which the host could not be told: it has to be told now. Those that are left
 * are had by the next scan.
 */
static void check_scanned(void)
{
	unsigned int i, left = 0;

	for (i = 0; i < scanned + 1; i++) {
		int retained = bo_madvise(&bos[i], WILLNEED);

		if (retained == 1)
			bo_check(&bos[i], false);
		else if (retained || !given_up || i == scanned)
			fail("BO %u: WILLNEED gave %d", i, retained);
		if (i % 2 == 0 && i < scanned)
			bos_close(&bos[i], 1);
		else
			bos[left++] = bos[i];
	}

	if (given_up) {
		for (i = 0; i < left - 1; i++)
			bo_madvise(&bos[i], DONTNEED);
		if (!scan_until("", "resident_pages", resident + BO_SIZE / PAGE))
			fail("%ld pages left", counter("resident_pages") - resident);
		for (i = 0; i < left - 1; i++) {
			if (bo_madvise(&bos[i], WILLNEED) || bo_touch(&bos[i]) != -EFAULT)
				fail("BO %u is not purged", i);
		}
	} else {
		bos_evict(left);
	}
	bo_check(&bos[left - 1], false);
	bos_close(bos, left);
}

/* a page fault, of the program and of the kernel for it */
static int run_fault(void)
{
	return bo_touch(&bos[0]);
}

static int run_kernel_fault(void)
{
	uint64_t word;

	if (write(fds[1], bos[0].map, sizeof(word)) != sizeof(word))
		return -errno;
	return read(fds[0], &word, sizeof(word)) == sizeof(word) ? 0 : -errno;
}

/* commands that name pages */
static int run_upload(void)
{
	return bo_upload(&bos[0]);
}

static int run_download(void)
{
	return bo_download(&bos[0]);
}

static int run_copy(void)
{
	return bo_copy(&bos[1], &bos[0]);
}

static void two_intact(void)
{
	bo_check(&bos[0], false);
	bo_check(&bos[1], false);
}

static void check_copied(void)
{
	int ret;

	bo_wait(&bos[1]);
	ret = bo_download(&bos[1]);
	if (ret)
		fail("TRANSFER_FROM_HOST gave %d", ret);
	bo_wait(&bos[1]);
	bos[1].seed = bos[0].seed;
	check_two();
}

static void make_one_of_two_purged(void)
{
	make_two();
	bos_purge(&bos[1], 1);
}

static void check_not_copied(void)
{
	intact();
	bos_close(bos, 2);
}

/* sharing */
static int run_export(void)
{
	struct drm_prime_handle args = { .handle = bos[0].handle, .flags = DRM_CLOEXEC | DRM_RDWR };
	int ret = drm(DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	dmabuf = ret ? -1 : args.fd;
	return ret;
}

static void check_exported(void)
{
	close(dmabuf);
	check_kept();
}

static void make_exported(void)
{
	make_evicted();
	if (run_export())
		die("export");
}

static uint32_t imported;

static int run_import(void)
{
	struct drm_prime_handle args = { .fd = dmabuf };
	int ret = drm_of(other_fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	imported = args.handle;
	return ret;
}

static void check_imported(void)
{
	struct drm_gem_close args = { .handle = imported };
	int ret = drm_of(other_fd, DRM_IOCTL_GEM_CLOSE, &args);

	if (ret)
		fail("closing the other handle gave %d", ret);
	check_exported();
}

static void make_unmapped(void)
{
	make();
	if (munmap(bos[0].map, bos[0].size))
		die("munmap");
	bos[0].map = NULL;
}

static int run_close(void)
{
	return bo_close(&bos[0]);
}

/* all that a program does to get a BO and to end */
static int run_file(void)
{
	struct bo bo;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = bo_create_on(fd, &bo, BO_SIZE);
	close(fd);
	return ret;
}

static const struct operation operations[] = {
	/* ENOSPC is what a file system says that has no memory for an inode */
	{ .name = "create", nothing, run_create, nothing, check_create, .also = ENOSPC },
	{ .name = "mmap", make, run_mmap, intact, check_mmap },
	{ .name = "munmap", make_mapped_twice, run_munmap, intact, check_kept },
	{ .name = "dontneed", make, run_dontneed, intact, check_given_up },
	{ .name = "willneed", make_given_up, run_willneed, intact, check_kept },
	{ .name = "willneed-purged", make_purged, run_willneed_purged, purged, check_purged },
	{ .name = "replace", make_purged, run_replace, purged, check_replaced },
	{ .name = "replace-evicted", make_evicted, run_replace_evicted, intact, check_kept },
	{ .name = "purge", make_scanned_given_up, run_purge, nothing, check_scanned },
	{ .name = "evict", make_scanned, run_evict, nothing, check_scanned, .stride = 3 },
	{ .name = "fault", make_evicted, run_fault, nothing, check_kept },
	/* a fault of the kernel is not tried again */
	{ .name = "kernel-fault", make_evicted, run_kernel_fault, nothing, check_kept,
	  .also = EFAULT },
	{ .name = "upload", make_evicted, run_upload, intact, check_kept },
	{ .name = "download", make_evicted, run_download, intact, check_kept, .needs_3d = true },
	{ .name = "copy", make_two_evicted, run_copy, two_intact, check_copied, .needs_3d = true },
	{ .name = "copy-purged", make_one_of_two_purged, run_copy, intact, check_not_copied,
	  .always = EINVAL, .needs_3d = true },
	{ .name = "export", make_evicted, run_export, intact, check_exported },
	{ .name = "import", make_exported, run_import, intact, check_imported },
	{ .name = "close", make_unmapped, run_close, nothing, nothing },
	{ .name = "file", nothing, run_file, nothing, nothing, .also = ENOSPC },
	{ .name = "replace-large", make_large_purged, run_replace, purged, check_replaced,
	  .stride = 101 },
	{ .name = "upload-large", make_large_evicted, run_upload, intact, check_kept,
	  .stride = 101 },
};

#endif
