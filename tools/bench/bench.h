/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the benchmark programs share: virtio-gpu's ioctls, the shrinker's debugfs file, a
 * clock, and lines of results that tools/bench/run reads:
 *	BENCH NAME VALUE
 * A program that cannot do what it measures says so and exits with 1.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../vm/virtgpu_madvise.h"

#define SHRINKER "/sys/kernel/debug/dri/0/gem_shrinker"
#define PAGE 4096ul

static int drm_fd = -1;

__attribute__((noreturn, format(printf, 1, 2)))
static inline void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stdout);
	vprintf(format, args);
	printf(" (%s)\n", strerror(errno));
	va_end(args);
	exit(1);
}

static inline void drm(unsigned long request, void *arg, const char *what)
{
	while (ioctl(drm_fd, request, arg) < 0)
		if (errno != EINTR && errno != EAGAIN)
			die("%s", what);
}

/* under icount one nanosecond is one instruction */
static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static inline void result(const char *name, double value)
{
	printf("BENCH %s %.3f\n", name, value);
	fflush(stdout);
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double median(double *values, unsigned int nr)
{
	qsort(values, nr, sizeof(*values), by_value);
	return values[nr / 2];
}

static inline void open_gpu(void)
{
	drm_fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	if (drm_fd < 0)
		drm_fd = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	if (drm_fd < 0)
		die("no virtio-gpu");
}

static inline int has_3d(void)
{
	int value = 0;
	struct drm_virtgpu_getparam get = {
		.param = VIRTGPU_PARAM_3D_FEATURES,
		.value = (uintptr_t)&value,
	};

	drm(DRM_IOCTL_VIRTGPU_GETPARAM, &get, "GETPARAM");
	return value;
}

/* A BO of whole pages, with its resource on the host: a buffer, or a picture on a 2D device. */
static inline uint32_t bo_create(uint64_t size)
{
	int buffer = has_3d();
	struct drm_virtgpu_resource_create create = {
		.target = buffer ? 0 : 2,
		.format = buffer ? 64 : 1,
		.bind = buffer ? 1 << 4 : 1 << 1,
		.width = buffer ? size : 32,
		.height = buffer ? 1 : size / (32 * 4),
		.depth = 1,
		.array_size = 1,
		.size = size,
		.stride = buffer ? 0 : 32 * 4,
	};

	drm(DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create, "RESOURCE_CREATE");
	return create.bo_handle;
}

static inline void bo_wait(uint32_t handle)
{
	struct drm_virtgpu_3d_wait wait = { .handle = handle };

	drm(DRM_IOCTL_VIRTGPU_WAIT, &wait, "WAIT");
}

static inline unsigned long meminfo_kib(const char *key)
{
	unsigned long kib;
	char line[128], name[64];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^:]: %lu", name, &kib) == 2 && !strcmp(name, key)) {
			fclose(f);
			return kib;
		}
	}
	die("no %s in /proc/meminfo", key);
}

static inline uint32_t *bo_create_many(unsigned int nr, uint64_t size)
{
	uint32_t *bos = calloc(nr, sizeof(*bos));

	if (!bos)
		die("no memory");
	for (unsigned int i = 0; i < nr; i++)
		bos[i] = bo_create(size);
	/* the host works on its queue in order, but answers when it likes */
	for (unsigned int i = 0; i < nr; i++)
		bo_wait(bos[i]);
	return bos;
}

static inline void *bo_map(uint32_t handle, uint64_t size)
{
	struct drm_virtgpu_map map = { .handle = handle };
	void *p;

	drm(DRM_IOCTL_VIRTGPU_MAP, &map, "MAP");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, drm_fd, map.offset);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static inline void bo_close(uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	drm(DRM_IOCTL_GEM_CLOSE, &args, "GEM_CLOSE");
}

static inline int bo_madvise(uint32_t handle, uint32_t madv)
{
	struct drm_virtgpu_madvise args = { .bo_handle = handle, .madv = madv };

	drm(DRM_IOCTL_VIRTGPU_MADVISE, &args, "MADVISE");
	return args.retained;
}

static inline void bo_info(uint32_t handle)
{
	struct drm_virtgpu_resource_info info = { .bo_handle = handle };

	drm(DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info, "RESOURCE_INFO");
}

/* What is measured against what: every ioctl on a BO looks a handle up and puts it. */
static inline void pair(uint32_t bo)
{
	bo_madvise(bo, VIRTGPU_MADV_DONTNEED);
	if (!bo_madvise(bo, VIRTGPU_MADV_WILLNEED))
		die("a BO was lost that nobody wanted");
}

static inline void info_twice(uint32_t bo)
{
	bo_info(bo);
	bo_info(bo);
}

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s", path);
	close(fd);
}

/* a line of the shrinker's statistics */
static inline uint64_t counter(const char *name)
{
	unsigned long long value;
	char line[128], key[64];
	FILE *f = fopen(SHRINKER, "r");

	if (!f)
		die("no %s", SHRINKER);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^: ]%*[: ]%llu", key, &value) == 2 && !strcmp(key, name)) {
			fclose(f);
			return value;
		}
	}
	die("no %s in %s", name, SHRINKER);
}

/* touched pages of a file that is nobody else's */
static inline int memfd_create_touched(uint64_t size, void **map)
{
	int fd = memfd_create("bench", 0);

	if (fd < 0 || ftruncate(fd, size))
		die("memfd");
	*map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*map == MAP_FAILED)
		die("mmap of a memfd");
	for (uint64_t i = 0; i < size; i += PAGE)
		((volatile char *)*map)[i] = 1;
	return fd;
}

#endif
