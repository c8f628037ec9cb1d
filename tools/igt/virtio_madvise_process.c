// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about BOs as processes and their files see them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "virtio_madvise.h"

/* bytes, as fdinfo has them at one moment */
struct usage {
	uint64_t total;
	uint64_t shared;
	uint64_t resident;
	uint64_t purgeable;
	uint64_t active;
};

static void read_usage(int fd, struct usage *usage)
{
	const struct { const char *key; uint64_t *value; } keys[] = {
		{ "total", &usage->total },
		{ "shared", &usage->shared },
		{ "resident", &usage->resident },
		{ "purgeable", &usage->purgeable },
		{ "active", &usage->active },
	};
	char path[64], text[4096];
	ssize_t len;
	int info;

	memset(usage, 0, sizeof(*usage));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY);
	len = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	igt_assert_f(len > 0, "%s: %s\n", path, strerror(errno));
	close(info);
	text[len] = '\0';

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		char line[32], unit[8] = "";
		const char *found;

		snprintf(line, sizeof(line), "drm-%s-memory:", keys[i].key);
		found = strstr(text, line);
		/* without BOs it is not known whether the driver tells */
		if (!found && i > 1 && !usage->total)
			continue;
		igt_assert_f(found, "no %s in:\n%s", line, text);
		igt_assert(sscanf(found + strlen(line), " %" SCNu64 "%*[ ]%7[KMiB]",
				  keys[i].value, unit) >= 1);
		*keys[i].value *= !strcmp(unit, "MiB") ? VG_MIB : !strcmp(unit, "KiB") ? VG_KIB : 1;
	}
}

static void expect_usage(int fd, uint64_t total, uint64_t shared, uint64_t resident,
			 uint64_t purgeable)
{
	struct usage usage;

	read_usage(fd, &usage);
	igt_assert_eq(usage.total, total);
	igt_assert_eq(usage.shared, shared);
	igt_assert_eq(usage.resident, resident);
	igt_assert_eq(usage.purgeable, purgeable);
	igt_assert_eq(usage.active, 0);
}

/* Busy, and given up: not to be purged at that moment. The host is fast at times. */
static void expect_active(struct vg_bo *bo)
{
	struct usage usage = { 0 };

	for (int attempt = 0; attempt < 50 && !usage.active; attempt++) {
		for (int i = 0; i < 8 + attempt; i++)
			igt_assert_eq(vg_bo_upload(bo), 0);
		igt_assert_eq(vg_bo_madvise(bo, DONTNEED), 1);
		read_usage(bo->fd, &usage);
		igt_assert_eq(vg_bo_madvise(bo, WILLNEED), 1);
	}
	igt_assert_f(usage.active, "never busy long enough\n");
	igt_assert_eq(usage.active, bo->size);
	igt_assert_eq(usage.purgeable, 0);
	igt_assert_eq(vg_bo_wait(bo, 0), 0);
}

void test_fdinfo(int fd)
{
	const uint64_t a = VG_BIG_SIZE, b = VG_BO_SIZE;
	int other = vg_open(), dmabuf;
	struct vg_bo large, small;
	uint32_t handle;

	vg_swap_on(VG_BIG_SIZE);
	expect_usage(fd, 0, 0, 0, 0);
	vg_bo_create_filled(&large, fd, a, 1);
	vg_bo_create_filled(&small, fd, b, 2);
	expect_usage(fd, a + b, 0, a + b, 0);
	expect_usage(other, 0, 0, 0, 0);
	expect_active(&large);

	igt_assert_eq(vg_bo_madvise(&small, DONTNEED), 1);
	expect_usage(fd, a + b, 0, a + b, b);
	vg_expect_purged(1);
	expect_usage(fd, a + b, 0, a, 0);
	vg_expect_evicted(1);
	expect_usage(fd, a + b, 0, 0, 0);
	vg_bo_check(&large);
	expect_usage(fd, a + b, 0, a, 0);
	igt_assert_eq(vg_bo_replace(&small), 0);
	igt_assert_eq(vg_bo_wait(&small, 0), 0);
	expect_usage(fd, a + b, 0, a + b, 0);

	/* What is given up here is not there, and is kept. */
	dmabuf = vg_bo_export(&large);
	igt_assert(dmabuf >= 0);
	igt_assert_eq(vg_import(other, dmabuf, &handle), 0);
	close(dmabuf);
	expect_usage(fd, a + b, a, a + b, 0);
	expect_usage(other, a, a, a, 0);
	igt_assert_eq(vg_bo_madvise(&large, DONTNEED), 1);
	expect_usage(fd, a + b, a, a + b, 0);
	expect_usage(other, a, a, a, 0);
	igt_assert_eq(vg_close_handle(other, handle), 0);
	expect_usage(other, 0, 0, 0, 0);

	vg_bo_close(&large);
	expect_usage(fd, b, 0, b, 0);
	vg_bo_close(&small);
	expect_usage(fd, 0, 0, 0, 0);
	close(other);
	vg_swap_off();
}

struct child {
	int ask;	/* what to do */
	int answer;	/* and what came of it, as bytes; closed when the child is gone */
	struct vg_bo bo;
};

/*
 * Reads, writes, or gives up the BO whose mapping it inherited, or finds that it is gone.
 * Nothing here may fail the subtest, of which there is another process.
 */
static void run_child(struct child *child)
{
	struct drm_virtgpu_madvise advice = { .bo_handle = child->bo.handle, .madv = DONTNEED };
	char c, *bytes = (char *)child->bo.map;

	while (read(child->ask, &c, 1) == 1) {
		bool ok = false;

		switch (c) {
		case 'r':
			ok = vg_contents_are(bytes, child->bo.size, child->bo.seed);
			break;
		case 'w':
			vg_bo_fill(&child->bo, child->bo.seed + 1);
			ok = true;
			break;
		case 'g':
			ok = !vg_ioctl(child->bo.fd, DRM_IOCTL_VIRTGPU_MADVISE, &advice) &&
			     advice.retained;
			break;
		case 's':
			ok = vg_gives_sigbus(bytes, false) && vg_gives_sigbus(bytes, true) &&
			     vg_gives_sigbus(bytes + child->bo.size - 1, false);
			break;
		}
		if (write(child->answer, ok ? "y" : "n", 1) != 1)
			break;
	}
	_exit(0);
}

static void ask(const int *fds, char what)
{
	char answer = 0;

	igt_assert(write(fds[1], &what, 1) == 1);
	igt_assert(read(fds[0], &answer, 1) == 1);
	igt_assert_f(answer == 'y', "the child answers '%c' with '%c'\n", what, answer);
}

/* A child of this process, or the orphan of one that has exited; both ends of two pipes. */
static void start_child(const struct vg_bo *bo, bool orphan, int *fds)
{
	int to[2], from[2], status = -1;
	pid_t pid;

	igt_assert(!pipe(to) && !pipe(from));
	pid = fork();
	if (!pid) {
		struct child child = { .ask = to[0], .answer = from[1], .bo = *bo };

		close(to[1]);
		close(from[0]);
		if (!orphan || !fork())
			run_child(&child);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	fds[0] = from[0];
	fds[1] = to[1];
	if (orphan)
		igt_assert(waitpid(pid, &status, 0) == pid && !status);
}

static void end_child(const int *fds)
{
	char byte;

	close(fds[1]);
	igt_assert(read(fds[0], &byte, 1) == 0);
	close(fds[0]);
}

void test_fork(int fd)
{
	int other = vg_open(), fds[2];
	uint64_t in;
	struct vg_bo bo;

	vg_swap_on(VG_BIG_SIZE);
	vg_bo_create_filled(&bo, fd, VG_MIB, 1);
	start_child(&bo, false, fds);
	ask(fds, 'r');
	vg_expect_evicted(1);
	in = vg_counter("swapped_in_bos");
	ask(fds, 'r');
	igt_assert_eq(vg_counter("swapped_in_bos") - in, 1);
	vg_bo_check(&bo);
	igt_assert_eq(vg_counter("swapped_in_bos") - in, 1);
	ask(fds, 'w');
	bo.seed++;
	vg_bo_check(&bo);
	vg_expect_evicted(1);
	vg_bo_check(&bo);
	ask(fds, 'r');
	ask(fds, 'g');
	vg_expect_purged(1);
	ask(fds, 's');
	vg_bo_expect_sigbus(&bo);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	end_child(fds);
	igt_assert(waitpid(-1, NULL, 0) > 0);
	vg_bo_close(&bo);

	/* Only the child of a child that has exited has these. */
	vg_bo_create_filled(&bo, other, VG_MIB, 1);
	start_child(&bo, true, fds);
	vg_bo_unmap(&bo);
	close(other);
	ask(fds, 'r');
	vg_expect_evicted(1);
	ask(fds, 'w');
	ask(fds, 'r');
	vg_expect_evicted(1);
	ask(fds, 'r');
	ask(fds, 'g');
	vg_expect_purged(1);
	ask(fds, 's');
	end_child(fds);
	vg_swap_off();
}
