// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "virtio_madvise.h"

/*
 * The debugfs file gem_shrinker of the device: lines "key value", and a number that is
 * written to it makes the shrinker look at that many pages that were given up, "evict"
 * and a number at those that may go to swap, on the path that memory pressure takes, and
 * wait a bounded time for the host's answers.
 */
static int reclaim_fd = -1;

/* For the moments in which what a test waits for cannot be waited for. */
#define PATIENCE_MS 10000

#define TRACE_ROOT "/sys/kernel/tracing"
#define TRACE_DIR TRACE_ROOT "/instances/virtio_madvise"

static unsigned int now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000u + now.tv_nsec / 1000000;
}

void vg_reclaim_open(int fd)
{
	vg_reclaim_close();
	reclaim_fd = igt_debugfs_open(fd, "gem_shrinker", O_RDWR);
	igt_assert_f(reclaim_fd >= 0, "no gem_shrinker in the device's debugfs directory\n");
}

void vg_reclaim_close(void)
{
	if (reclaim_fd >= 0)
		close(reclaim_fd);
	reclaim_fd = -1;
}

static const char *read_counters(void)
{
	static char text[4096];
	ssize_t len = pread(reclaim_fd, text, sizeof(text) - 1, 0);

	igt_assert_f(len > 0, "reading gem_shrinker: %s\n", strerror(errno));
	text[len] = '\0';
	return text;
}

/* The number behind a word at the beginning of a line. */
static bool find_value(const char *text, const char *key, uint64_t *value)
{
	size_t len = strlen(key);

	while (text) {
		if (!strncmp(text, key, len) && strchr(": \t", text[len])) {
			*value = strtoull(text + len + strspn(text + len, ": \t"), NULL, 0);
			return true;
		}
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return false;
}

uint64_t vg_counter(const char *key)
{
	uint64_t value = 0;

	igt_assert_f(find_value(read_counters(), key, &value), "gem_shrinker has no %s\n", key);
	return value;
}

/* Of a file of /proc. */
uint64_t vg_file_value(const char *path, const char *key)
{
	static char text[32768];
	uint64_t value = 0;
	FILE *file = fopen(path, "r");
	size_t len;

	igt_assert_f(file, "%s: %s\n", path, strerror(errno));
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	igt_assert_f(find_value(text, key, &value), "%s has no %s\n", path, key);
	return value;
}

/* Looks at every BO once, in as many pages as any guest has. */
static void scan(const char *what)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%s0x10000000", what);

	igt_assert_f(write(reclaim_fd, text, len) == len, "writing %s to gem_shrinker: %s\n",
		     text, strerror(errno));
}

void vg_scan(void)
{
	scan("");
}

void vg_scan_host(void)
{
	scan("host ");
}

void vg_evict(void)
{
	scan("evict ");
}

/*
 * Scans until @count more are counted than at the beginning, which are all that may be: a
 * first look passes over BOs that were used or are locked, and answers of the host may
 * be late.
 */
static void expect_done(const char *key, unsigned int count, void (*look)(void))
{
	uint64_t goal = vg_counter(key) + count;
	unsigned int begin = now_ms();

	for (;;) {
		look();
		if (vg_counter(key) >= goal)
			break;
		igt_assert_f(now_ms() - begin < PATIENCE_MS, "%s is not %" PRIu64 ":\n%s", key,
			     goal, read_counters());
		usleep(1000);
	}
	look();
	igt_assert_f(vg_counter(key) == goal, "%s is not %" PRIu64 " any more:\n%s", key, goal,
		     read_counters());
}

/* Scans more often than a BO gets second chances. */
static void expect_not_done(const char *key, void (*look)(void))
{
	uint64_t before = vg_counter(key);

	for (int i = 0; i < 4; i++)
		look();
	igt_assert_f(vg_counter(key) == before, "%s was %" PRIu64 ":\n%s", key, before,
		     read_counters());
}

void vg_expect_purged(unsigned int bos)
{
	expect_done("purged_bos", bos, vg_scan);
}

void vg_bo_create_purged(struct vg_bo *bo, int fd, uint64_t size)
{
	vg_bo_create_filled(bo, fd, size, 1);
	igt_assert_eq(vg_bo_madvise(bo, DONTNEED), 1);
	vg_expect_purged(1);
}

void vg_expect_kept(void)
{
	expect_not_done("purged_bos", vg_scan);
}

void vg_expect_evicted(unsigned int bos)
{
	expect_done("evicted_bos", bos, vg_evict);
}

void vg_expect_not_evicted(void)
{
	expect_not_done("evicted_bos", vg_evict);
}

/* Blobs with memory of the host, on request. */
void vg_expect_host_purged(const struct vg_bo *bo)
{
	expect_done("host_purged_pages", vg_bo_pages(bo), vg_scan_host);
}

/* A BO that is closed goes when the host has answered. */
void vg_expect_resident(uint64_t pages)
{
	unsigned int begin = now_ms();

	while (vg_counter("resident_pages") != pages) {
		igt_assert_f(now_ms() - begin < PATIENCE_MS, "not %" PRIu64 " resident:\n%s",
			     pages, read_counters());
		usleep(1000);
	}
}

static void trace_write(const char *file, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TRACE_DIR "/%s", file);
	fd = open(path, O_WRONLY | O_TRUNC);
	igt_assert_f(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		     "%s: %s\n", path, strerror(errno));
	close(fd);
}

/* Commands to the host and passes of the shrinker, in a trace buffer of our own. */
void vg_trace_start(void)
{
	rmdir(TRACE_DIR);
	if (mkdir(TRACE_DIR, 0755))
		igt_skip("needs tracefs in " TRACE_ROOT ": %s\n", strerror(errno));
	trace_write("buffer_size_kb", "1024");
	trace_write("events/virtio_gpu/virtio_gpu_cmd_queue/enable", "1");
	trace_write("events/drm_gem_shrinker/drm_gem_scan/enable", "1");
	trace_write("tracing_on", "1");
}

/* Also for what a failed subtest left. */
void vg_trace_stop(void)
{
	if (access(TRACE_DIR, F_OK))
		return;
	trace_write("events/enable", "0");
	igt_assert_f(!rmdir(TRACE_DIR), "rmdir " TRACE_DIR ": %s\n", strerror(errno));
}

void vg_trace_clear(void)
{
	trace_write("trace", "");
}

/* The sum of the numbers behind @key in lines with @event and @match, or of 1s. */
static unsigned int trace_sum(const char *event, const char *match, const char *key)
{
	FILE *file = fopen(TRACE_DIR "/trace", "r");
	unsigned int sum = 0;
	char line[512];

	igt_assert_f(file, TRACE_DIR "/trace: %s\n", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		const char *value = key ? strstr(line, key) : NULL;
		unsigned int kept, written;

		if (sscanf(line, "# entries-in-buffer/entries-written: %u/%u", &kept, &written) == 2)
			igt_assert_f(kept == written, "the trace buffer overflowed\n");
		if (*line == '#' || !strstr(line, event) || !strstr(line, match))
			continue;
		igt_assert_f(value || !key, "no %s in: %s", key, line);
		sum += key ? strtoul(value + strlen(key), NULL, 0) : 1;
	}
	fclose(file);
	return sum;
}

/* Commands of one type, or all, that were sent since the trace was started or cleared. */
unsigned int vg_trace_commands(unsigned int type)
{
	char match[32] = "";

	if (type != VG_CMD_ANY)
		snprintf(match, sizeof(match), " type=0x%x ", type);
	return trace_sum("virtio_gpu_cmd_queue:", match, NULL);
}

/* How often scans have waited for the host. */
unsigned int vg_trace_waits(void)
{
	return trace_sum("drm_gem_scan:", "", "waits=");
}
