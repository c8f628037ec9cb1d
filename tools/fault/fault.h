/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs of tools/vm/fault share: files of the kernel, what the shrinker says, and a
 * count of what went wrong. A program that cannot do what it tests ends with status 1.
 */
#ifndef FAULT_H
#define FAULT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHRINKER "/sys/kernel/debug/dri/0/gem_shrinker"
#define PAGE 4096ul
#define PATIENCE_MS 20000

/* for the line TALLY */
static unsigned long ops, faults, failures, lost, leaked;
/* what is being done, for messages */
static char doing[160];

__attribute__((noreturn, format(printf, 1, 2)))
static inline void die(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	printf("FAIL  %s: ", doing);
	vprintf(format, args);
	printf(" (%s)\n", strerror(error));
	va_end(args);
	exit(1);
}

__attribute__((format(printf, 1, 2)))
static inline void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("FAIL  %s: ", doing);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
	if (++failures >= 25) {
		printf("too many failures\n");
		exit(1);
	}
}

static inline uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 2, 3)))
static inline void put(const char *path, const char *format, ...)
{
	char text[128];
	va_list args;
	int fd, len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != len)
		die("writing %s to %s", text, path);
	close(fd);
}

/* Finds the number behind @key in a file, or at its beginning without one. */
static inline bool find(const char *path, const char *key, long *value)
{
	static char text[32768];
	size_t len = key ? strlen(key) : 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (got < 0)
		die("%s", path);
	close(fd);
	text[got] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (key && (strncmp(line, key, len) || (line[len] != ':' && line[len] != ' ')))
			continue;
		*value = strtol(line + len + strspn(line + len, ": "), NULL, 0);
		return true;
	}
	return false;
}

static inline long get(const char *path, const char *key)
{
	long value;

	if (!find(path, key, &value))
		die("%s has no %s", path, key);
	return value;
}

static inline long counter(const char *key)
{
	return get(SHRINKER, key);
}

/* memory in BOs and other files, without what the CPUs have yet to count */
static inline long shmem_kib(void)
{
	put("/proc/sys/vm/stat_refresh", "1");
	return get("/proc/meminfo", "Shmem");
}

static inline void expect_shmem(long kib)
{
	uint64_t begin = now_ms();

	while (shmem_kib() > kib) {
		if (now_ms() - begin > PATIENCE_MS) {
			fail("%ld KiB of shmem, %ld before", shmem_kib(), kib);
			leaked += (shmem_kib() - kib) * 1024;
			return;
		}
		usleep(1000);
	}
}

static inline void swap_on(const char *device, unsigned int mib)
{
	char command[128];

	if (strstr(device, "zram")) {
		put("/sys/block/zram0/reset", "1");
		put("/sys/block/zram0/disksize", "%uM", mib);
	}
	snprintf(command, sizeof(command), "mkswap %s >/dev/null && swapon %s", device, device);
	if (system(command))
		die("swap on %s", device);
}

static inline void swap_off(const char *device)
{
	char command[128];

	snprintf(command, sizeof(command), "swapoff %s", device);
	if (system(command))
		die("swapoff %s", device);
}

static inline int tally(void)
{
	char wait[24] = "-";
	long us;

	if (find(SHRINKER, "longest_wait_us", &us))
		snprintf(wait, sizeof(wait), "%ld", us);
	printf("TALLY ops=%lu faults=%lu failures=%lu lost=%lu leaked=%lu wait=%s\n", ops, faults,
	       failures, lost, leaked, wait);
	return failures || lost || leaked;
}

#endif
