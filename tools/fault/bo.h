/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BOs of virtio-gpu, as the programs of tools/vm/fault use them. Functions that return int give 0
 * or a negative errno, or what they say; the others count what goes wrong.
 */
#ifndef BO_H
#define BO_H

#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "../vm/virgl_copy.h"
#include "../vm/virtgpu_madvise.h"
#include "fault.h"

#define WILLNEED VIRTGPU_MADV_WILLNEED
#define DONTNEED VIRTGPU_MADV_DONTNEED
#define REPLACE VIRTGPU_MADV_WILLNEED_REPLACE

#define DEVICE "/dev/dri/renderD128"

struct bo {
	uint32_t handle;
	uint32_t resource;
	uint64_t size;
	uint64_t seed;
	uint64_t *map;
};

static int drm_fd = -1, scan_fd = -1;
static bool has_3d;
static uint64_t last_seed;

static inline int drm_of(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

static inline int drm(unsigned long request, void *arg)
{
	return drm_of(drm_fd, request, arg);
}

static inline int param_of(uint64_t param)
{
	uint32_t value = 0;
	struct drm_virtgpu_getparam gp = { .param = param, .value = (uintptr_t)&value };

	return drm(DRM_IOCTL_VIRTGPU_GETPARAM, &gp) ? 0 : value;
}

static inline void open_device(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	drm_fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	scan_fd = open(SHRINKER, O_WRONLY | O_CLOEXEC);
	if (drm_fd < 0 || scan_fd < 0)
		die("%s, %s", DEVICE, SHRINKER);
	has_3d = param_of(VIRTGPU_PARAM_3D_FEATURES);
}

/* any two words of all BOs differ */
static inline uint64_t word(uint64_t seed, uint64_t i)
{
	uint64_t x = (seed << 32 ^ i) + 0x6a09e667f3bcc909;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	return x ^ x >> 31;
}

/* a vertex buffer on virgl, a picture on the 2D device, with a page in each row */
static inline int bo_create_on(int fd, struct bo *bo, uint64_t size)
{
	struct drm_virtgpu_resource_create create = {
		.target = has_3d ? 0 : 2,
		.format = has_3d ? 64 : 1,
		.bind = has_3d ? 1 << 4 : 1 << 1,
		.width = has_3d ? size : PAGE / 4,
		.height = has_3d ? 1 : size / PAGE,
		.depth = 1,
		.array_size = 1,
		.size = size,
		.stride = has_3d ? 0 : PAGE,
	};
	int ret = drm_of(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create);

	memset(bo, 0, sizeof(*bo));
	if (ret)
		return ret;
	bo->handle = create.bo_handle;
	bo->resource = create.res_handle;
	bo->size = size;
	return 0;
}

static inline int bo_create(struct bo *bo, uint64_t size)
{
	return bo_create_on(drm_fd, bo, size);
}

static inline int bo_mmap(struct bo *bo)
{
	struct drm_virtgpu_map map = { .handle = bo->handle };
	int ret = drm(DRM_IOCTL_VIRTGPU_MAP, &map);
	void *ptr;

	if (ret)
		return ret;
	ptr = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, drm_fd, map.offset);
	if (ptr == MAP_FAILED)
		return -errno;
	bo->map = ptr;
	return 0;
}

static inline void bo_fill(struct bo *bo)
{
	bo->seed = ++last_seed;
	for (uint64_t i = 0; i < bo->size / 8; i++)
		bo->map[i] = word(bo->seed, i);
}

static inline int bo_upload(const struct bo *bo)
{
	struct drm_virtgpu_3d_transfer_to_host args = {
		.bo_handle = bo->handle,
		.box = {
			.w = has_3d ? bo->size : PAGE / 4,
			.h = has_3d ? 1 : bo->size / PAGE,
			.d = 1,
		},
	};

	return drm(DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &args);
}

static inline int bo_download(const struct bo *bo)
{
	struct drm_virtgpu_3d_transfer_from_host args = {
		.bo_handle = bo->handle,
		.box = { .w = bo->size, .h = 1, .d = 1 },
	};

	return drm(DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &args);
}

/* a job by which the host copies all of @src to @dst */
static inline int bo_copy(const struct bo *dst, const struct bo *src)
{
	struct virgl_copy copy;

	return drm(DRM_IOCTL_VIRTGPU_EXECBUFFER,
		   virgl_copy(&copy, (struct virgl_buffer){ dst->handle, dst->resource },
			      (struct virgl_buffer){ src->handle, src->resource }, src->size));
}

/* The kernel gives up after 15 s with EBUSY; a busy host may need more. */
static inline void bo_wait(const struct bo *bo)
{
	struct drm_virtgpu_3d_wait wait = { .handle = bo->handle };
	int ret = -EBUSY;

	for (unsigned int i = 0; i < 20 && ret == -EBUSY; i++)
		ret = drm(DRM_IOCTL_VIRTGPU_WAIT, &wait);
	if (ret)
		fail("WAIT gave %d", ret);
}

/* retained, or a negative errno */
static inline int bo_madvise(struct bo *bo, uint32_t madv)
{
	struct drm_virtgpu_madvise args = {
		.bo_handle = bo->handle,
		.retained = 0xdead,
		.madv = madv,
	};
	int ret = drm(DRM_IOCTL_VIRTGPU_MADVISE, &args);

	if (ret)
		return ret;
	if (args.retained > 1)
		fail("retained is 0x%x", args.retained);
	if (madv == REPLACE)
		bo->resource = args.res_handle;
	return args.retained;
}

static inline int bo_close(struct bo *bo)
{
	struct drm_gem_close args = { .handle = bo->handle };

	if (bo->map && munmap(bo->map, bo->size))
		return -errno;
	bo->map = NULL;
	return drm(DRM_IOCTL_GEM_CLOSE, &args);
}

static sigjmp_buf on_bus;
static volatile sig_atomic_t in_touch;

static inline void bus(int sig)
{
	if (!in_touch) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	siglongjmp(on_bus, 1);
}

/* Reads a word of each page: 0, or -EFAULT when that gives SIGBUS. */
static inline int bo_touch(const struct bo *bo)
{
	int ret = -EFAULT;

	signal(SIGBUS, bus);
	in_touch = 1;
	if (!sigsetjmp(on_bus, 1)) {
		for (uint64_t i = 0; i < bo->size / 8; i += PAGE / 8)
			(void)*(volatile uint64_t *)&bo->map[i];
		ret = 0;
	}
	in_touch = 0;
	return ret;
}

/* Counts what is not as it was filled, or not zero. */
static inline void bo_check(const struct bo *bo, bool zero)
{
	uint64_t bad = 0, first = 0;

	if (bo_touch(bo)) {
		fail("SIGBUS in a BO that must be there");
		lost += bo->size;
		return;
	}
	for (uint64_t i = 0; i < bo->size / 8; i++) {
		if (bo->map[i] != (zero ? 0 : word(bo->seed, i)) && !bad++)
			first = i;
	}
	if (bad) {
		fail("%lu of %lu words are wrong, from word %lu on, which is 0x%lx", bad,
		     bo->size / 8, first, bo->map[first]);
		lost += bad * 8;
	}
}

/* BOs filled, uploaded and idle */
static inline void bos_make(struct bo *bos, unsigned int count, uint64_t size)
{
	for (unsigned int i = 0; i < count; i++) {
		int ret = bo_create(&bos[i], size) ?: bo_mmap(&bos[i]);

		if (ret)
			die("creating a BO: %d", ret);
		bo_fill(&bos[i]);
		ret = bo_upload(&bos[i]);
		if (ret)
			fail("TRANSFER_TO_HOST gave %d", ret);
		bo_wait(&bos[i]);
	}
}

/* As memory pressure does; looks at every BO. */
static inline int scan(const char *what)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%s0x10000000", what);

	return write(scan_fd, text, len) == len ? 0 : -errno;
}

/* Until @key has come to @goal: a BO that was used gets a second chance, answers may be late. */
static inline bool scan_until(const char *what, const char *key, long goal)
{
	bool up = counter(key) < goal;
	uint64_t begin = now_ms();

	for (;;) {
		int ret = scan(what);
		long now;

		if (ret)
			die("scanning: %d", ret);
		now = counter(key);
		if (up ? now >= goal : now <= goal)
			return true;
		if (now_ms() - begin > PATIENCE_MS)
			return false;
		usleep(1000);
	}
}

static inline void bos_purge(struct bo *bos, unsigned int count)
{
	long goal = counter("purged_bos") + count;

	for (unsigned int i = 0; i < count; i++) {
		if (bo_madvise(&bos[i], DONTNEED) != 1)
			fail("DONTNEED: not retained");
	}
	if (!scan_until("", "purged_bos", goal))
		fail("not purged in %d ms", PATIENCE_MS);
}

static inline void bos_evict(unsigned int count)
{
	if (!scan_until("evict ", "evicted_bos", counter("evicted_bos") + count))
		fail("not evicted in %d ms", PATIENCE_MS);
}

static inline void bos_close(struct bo *bos, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		int ret = bo_close(&bos[i]);

		if (ret)
			fail("closing a BO gave %d", ret);
	}
}

/* The commands to the host are counted by type, for host_resources(). */
#define COMMANDS "/sys/kernel/tracing/events/virtio_gpu/virtio_gpu_cmd_queue/"

/* How many resources the host was told to make, without those it was told to free. */
static inline long host_resources(void)
{
	unsigned long type, count;
	char line[256];
	FILE *file = fopen(COMMANDS "hist", "r");
	long resources = 0;

	if (!file)
		die(COMMANDS "hist");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "{ type: %lu } hitcount: %lu", &type, &count) != 2)
			continue;
		switch (type) {
		case 0x101: /* VIRTIO_GPU_CMD_RESOURCE_CREATE_2D */
		case 0x204: /* VIRTIO_GPU_CMD_RESOURCE_CREATE_3D */
			resources += count;
			break;
		case 0x102: /* VIRTIO_GPU_CMD_RESOURCE_UNREF */
			resources -= count;
		}
	}
	fclose(file);
	return resources;
}

/* A BO that is freed is freed by the host, too, or it would keep its pages. */
static inline void expect_host_resources(long resources)
{
	uint64_t begin = now_ms();

	while (host_resources() != resources) {
		if (now_ms() - begin > PATIENCE_MS) {
			fail("the host has %ld resources, not %ld", host_resources(), resources);
			return;
		}
		usleep(1000);
	}
}

/* A BO that is closed goes when the host has answered. */
static inline void expect_resident(long pages)
{
	uint64_t begin = now_ms();

	while (counter("resident_pages") != pages) {
		if (now_ms() - begin > PATIENCE_MS) {
			fail("%ld pages resident, not %ld", counter("resident_pages"), pages);
			leaked += (counter("resident_pages") - pages) * PAGE;
			return;
		}
		usleep(1000);
	}
}

#endif
