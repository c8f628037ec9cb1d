/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What gem-host.c works with: BOs of 64 KiB, each page filled as host.h says, the statistics of
 * the shrinker, and the device as sysfs has it.
 */
#ifndef GEM_HOST_H
#define GEM_HOST_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../vm/virtgpu_madvise.h"
#include "host.h"

#define BO_SIZE (BO_PAGES * PAGE)
#define BO_HEIGHT (BO_SIZE / BO_WIDTH / 4)

struct bo {
	int fd;			/* -1: there is none */
	uint32_t handle, number;
	bool given_up;
	volatile uint64_t *map;
};

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static inline int drm(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret;
}

/* the device of the moment; those that are gone have other numbers while they are open */
static inline int drm_open(void)
{
	glob_t found;
	int fd = -1;

	if (!glob("/dev/dri/renderD*", 0, NULL, &found))
		fd = open(found.gl_pathv[found.gl_pathc - 1], O_RDWR | O_CLOEXEC);
	globfree(&found);
	return fd;
}

static inline bool has_3d(int fd)
{
	uint32_t value = 0;
	struct drm_virtgpu_getparam get = {
		.param = VIRTGPU_PARAM_3D_FEATURES,
		.value = (uintptr_t)&value,
	};

	return !drm(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get) && value;
}

/* what word W of a BO has to be */
static inline uint64_t bo_word(const struct bo *bo, size_t w)
{
	return PATTERN | (uint64_t)bo->number << 16 | w / (PAGE / sizeof(uint64_t));
}

static inline bool bo_intact(const struct bo *bo)
{
	for (size_t w = 0; w < BO_SIZE / sizeof(uint64_t); w++)
		if (bo->map[w] != bo_word(bo, w))
			return false;
	return true;
}

static inline void bo_close(struct bo *bo)
{
	struct drm_gem_close close = { .handle = bo->handle };

	if (bo->map)
		munmap((void *)bo->map, BO_SIZE);
	if (bo->fd >= 0)
		drm(bo->fd, DRM_IOCTL_GEM_CLOSE, &close);
	memset(bo, 0, sizeof(*bo));
	bo->fd = -1;
}

/* a vertex buffer on virgl, a picture of the same size on the 2D device; mapped and filled */
static inline int bo_create(int fd, struct bo *bo)
{
	static _Atomic uint32_t numbers;
	bool is_3d = has_3d(fd);
	struct drm_virtgpu_resource_create create = {
		.target = is_3d ? 0 : 2,
		.format = is_3d ? 64 : 1,
		.bind = is_3d ? 1 << 4 : 1 << 1,
		.width = is_3d ? BO_SIZE : BO_WIDTH,
		.height = is_3d ? 1 : BO_HEIGHT,
		.depth = 1,
		.array_size = 1,
		.size = BO_SIZE,
		.stride = is_3d ? 0 : BO_WIDTH * 4,
	};
	struct drm_virtgpu_map map = { 0 };

	memset(bo, 0, sizeof(*bo));
	bo->fd = -1;
	bo->number = ++numbers;
	if (drm(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create))
		return -1;
	bo->fd = fd;
	bo->handle = map.handle = create.bo_handle;
	if (drm(fd, DRM_IOCTL_VIRTGPU_MAP, &map))
		goto err_close;
	bo->map = mmap(NULL, BO_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, map.offset);
	if (bo->map == MAP_FAILED)
		goto err_close;
	/* To fork takes the lock of the BO, which whoever waits for a dead device has. */
	madvise((void *)bo->map, BO_SIZE, MADV_DONTFORK);
	return 0;

err_close:
	bo->map = NULL;
	bo_close(bo);
	return -1;
}

static inline void bo_fill(struct bo *bo)
{
	for (size_t w = 0; w < BO_SIZE / sizeof(uint64_t); w++)
		bo->map[w] = bo_word(bo, w);
}

static inline int bo_transfer(const struct bo *bo, unsigned long request)
{
	bool is_3d = has_3d(bo->fd);
	struct drm_virtgpu_3d_transfer_to_host arg = {
		.bo_handle = bo->handle,
		.box.w = is_3d ? BO_SIZE : BO_WIDTH,
		.box.h = is_3d ? 1 : BO_HEIGHT,
		.box.d = 1,
	};

	_Static_assert(sizeof(arg) == sizeof(struct drm_virtgpu_3d_transfer_from_host), "");
	return drm(bo->fd, request, &arg);
}

static inline int bo_upload(const struct bo *bo)
{
	return bo_transfer(bo, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST);
}

static inline int bo_download(const struct bo *bo)
{
	return bo_transfer(bo, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST);
}

/* The kernel gives up after 15 s with EBUSY. */
static inline int bo_wait(const struct bo *bo)
{
	struct drm_virtgpu_3d_wait wait = { .handle = bo->handle };

	return drm(bo->fd, DRM_IOCTL_VIRTGPU_WAIT, &wait);
}

/* 1 the contents are still there, 0 they were purged, negative: error */
static inline int bo_madvise(struct bo *bo, uint32_t madv)
{
	struct drm_virtgpu_madvise arg = { .bo_handle = bo->handle, .madv = madv };

	if (drm(bo->fd, DRM_IOCTL_VIRTGPU_MADVISE, &arg))
		return -errno;
	bo->given_up = madv == VIRTGPU_MADV_DONTNEED;
	return arg.retained;
}

static inline int stats_open(int flags)
{
	glob_t found;
	int fd = -1;

	if (!glob("/sys/kernel/debug/dri/*/gem_shrinker", 0, NULL, &found))
		fd = open(found.gl_pathv[0], flags | O_CLOEXEC);
	else
		errno = ENOENT;
	globfree(&found);
	return fd;
}

/* a counter of the shrinker, or -1 */
static inline long counter(const char *key)
{
	char text[2048] = "\n", *line;
	char want[64];
	int fd = stats_open(O_RDONLY);
	ssize_t len = read(fd, text + 1, sizeof(text) - 2);

	close(fd);
	snprintf(want, sizeof(want), "\n%s ", key);
	line = len > 0 ? strstr(text, want) : NULL;
	return line ? atol(line + strlen(want)) : -1;
}

static inline int stats_write(const char *what)
{
	int fd = stats_open(O_WRONLY), err;
	ssize_t len;

	if (fd < 0)
		return -1;
	len = write(fd, what, strlen(what));
	err = errno;
	close(fd);
	errno = err;
	return len < 0 ? -1 : 0;
}

/* in KiB */
static inline long meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			kib = atol(line + strlen(key) + 1);
	if (f)
		fclose(f);
	return kib;
}

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;
	ssize_t len = write(fd, text, strlen(text));

	err = errno;
	close(fd);
	errno = err;
	return len < 0 ? -1 : 0;
}

/* The ways to take the device from its driver, and to give it back. */
enum way { UNBIND_VIRTIO, UNBIND_PCI, REMOVE_PCI };

static const char * const way_names[] = {
	[UNBIND_VIRTIO] = "unbind of virtio_gpu",
	[UNBIND_PCI] = "unbind of virtio-pci",
	[REMOVE_PCI] = "PCI remove",
};

static char virtio_name[32], pci_name[32];

/* Finds the names that the device has now. */
static inline void device_find(void)
{
	char real[4096], *slash;
	glob_t found;

	if (!glob("/sys/bus/virtio/drivers/virtio_gpu/virtio*", 0, NULL, &found) &&
	    realpath(found.gl_pathv[0], real)) {
		slash = strrchr(real, '/');
		snprintf(virtio_name, sizeof(virtio_name), "%.31s", slash + 1);
		*slash = 0;
		snprintf(pci_name, sizeof(pci_name), "%.31s", strrchr(real, '/') + 1);
	}
	globfree(&found);
}

static inline int device_remove(enum way way)
{
	char path[64];

	switch (way) {
	case UNBIND_VIRTIO:
		return write_file("/sys/bus/virtio/drivers/virtio_gpu/unbind", virtio_name);
	case UNBIND_PCI:
		return write_file("/sys/bus/pci/drivers/virtio-pci/unbind", pci_name);
	case REMOVE_PCI:
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", pci_name);
		return write_file(path, "1");
	}
	return -1;
}

static inline int device_add(enum way way)
{
	switch (way) {
	case UNBIND_VIRTIO:
		return write_file("/sys/bus/virtio/drivers/virtio_gpu/bind", virtio_name);
	case UNBIND_PCI:
		return write_file("/sys/bus/pci/drivers/virtio-pci/bind", pci_name);
	case REMOVE_PCI:
		return write_file("/sys/bus/pci/rescan", "1");
	}
	return -1;
}

#endif
