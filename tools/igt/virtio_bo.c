// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm_mode.h>

#include "virtio_madvise.h"

/* of Gallium and virgl: what the host does with resources and command streams */
#define PIPE_BUFFER 0
#define PIPE_TEXTURE_2D 2
#define PIPE_BIND_RENDER_TARGET (1 << 1)
#define PIPE_BIND_VERTEX_BUFFER (1 << 4)
#define VIRGL_BIND_CUSTOM (1 << 17)
#define VIRGL_FORMAT_B8G8R8A8_UNORM 1
#define VIRGL_FORMAT_R8_UNORM 64
#define VIRGL_CCMD_RESOURCE_COPY_REGION 17

int vg_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : ret;
}

/* The first card that virtio-gpu drives: releases of IGT differ in whether they know it. */
int vg_open(void)
{
	for (int i = 0; i < 16; i++) {
		char path[32], name[16] = "";
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!vg_ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "virtio_gpu"))
			return fd;
		close(fd);
	}
	return -ENODEV;
}

int vg_param(int fd, uint64_t param, int *value)
{
	struct drm_virtgpu_getparam get = { .param = param, .value = (uintptr_t)value };

	*value = 0;
	return vg_ioctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get);
}

bool vg_has_3d(int fd)
{
	int value;

	return !vg_param(fd, VIRTGPU_PARAM_3D_FEATURES, &value) && value;
}

static void create(struct vg_bo *bo, int fd, uint64_t size, uint32_t bind)
{
	bool has_3d = vg_has_3d(fd);
	struct drm_virtgpu_resource_create create = {
		.target = has_3d ? PIPE_BUFFER : PIPE_TEXTURE_2D,
		.format = has_3d ? VIRGL_FORMAT_R8_UNORM : VIRGL_FORMAT_B8G8R8A8_UNORM,
		.bind = bind,
		.width = has_3d ? size : 1024,
		.height = has_3d ? 1 : size / 4096,
		.depth = 1,
		.array_size = 1,
		.size = size,
		.stride = has_3d ? 0 : 4096,
	};

	memset(bo, 0, sizeof(*bo));
	igt_assert_eq(vg_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create), 0);
	bo->fd = fd;
	bo->handle = create.bo_handle;
	bo->resource = create.res_handle;
	bo->width = create.width;
	bo->height = create.height;
	bo->size = size;
	igt_assert_eq(vg_bo_mmap(bo), 0);
}

/*
 * A vertex buffer on virgl, a picture on the 2D device, mapped. A row of the picture is
 * a page.
 */
void vg_bo_create(struct vg_bo *bo, int fd, uint64_t size)
{
	create(bo, fd, size, vg_has_3d(fd) ? PIPE_BIND_VERTEX_BUFFER : PIPE_BIND_RENDER_TARGET);
}

/* On virgl: one of which the host keeps its copy in memory, and not in GL's. */
void vg_bo_create_custom(struct vg_bo *bo, int fd, uint64_t size)
{
	create(bo, fd, size, VIRGL_BIND_CUSTOM);
}

/* With contents in the guest and on the host, and idle. */
void vg_bo_create_filled(struct vg_bo *bo, int fd, uint64_t size, uint64_t seed)
{
	vg_bo_create(bo, fd, size);
	vg_bo_fill(bo, seed);
	igt_assert_eq(vg_bo_upload(bo), 0);
	igt_assert_eq(vg_bo_wait(bo, 0), 0);
}

void vg_bo_create_dumb(struct vg_bo *bo, int fd, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb create = { .width = width, .height = height, .bpp = 32 };

	memset(bo, 0, sizeof(*bo));
	igt_assert_eq(vg_ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create), 0);
	bo->fd = fd;
	bo->handle = create.handle;
	bo->width = width;
	bo->height = height;
	bo->size = create.size;
	igt_assert_eq(vg_bo_mmap(bo), 0);
}

int vg_bo_mmap(struct vg_bo *bo)
{
	struct drm_virtgpu_map map = { .handle = bo->handle };
	int ret = vg_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_MAP, &map);
	void *ptr;

	if (ret)
		return ret;
	ptr = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, bo->fd, map.offset);
	if (ptr == MAP_FAILED)
		return -errno;
	bo->map = ptr;
	return 0;
}

void vg_bo_unmap(struct vg_bo *bo)
{
	igt_assert_eq(munmap(bo->map, bo->size), 0);
	bo->map = NULL;
}

void vg_bo_close(struct vg_bo *bo)
{
	if (bo->map)
		vg_bo_unmap(bo);
	igt_assert_eq(vg_close_handle(bo->fd, bo->handle), 0);
	bo->handle = 0;
}

int vg_close_handle(int fd, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	return vg_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

/* No two words of one BO are alike, or no two runs of them, and those of two seeds differ. */
static uint64_t vg_word(uint64_t seed, uint64_t index)
{
	uint64_t x = (seed << 40 ^ (seed & VG_SEED_PACKS ? index / 64 : index)) +
		     0x6a09e667f3bcc909;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	return x ^ x >> 31;
}

void vg_bo_fill(struct vg_bo *bo, uint64_t seed)
{
	bo->seed = seed;
	for (uint64_t i = 0; i < bo->size / sizeof(*bo->map); i++)
		bo->map[i] = vg_word(seed, i);
}

bool vg_contents_are(const void *map, uint64_t size, uint64_t seed)
{
	const uint64_t *words = map;

	for (uint64_t i = 0; i < size / sizeof(*words); i++) {
		if (words[i] != vg_word(seed, i)) {
			igt_info("byte %" PRIu64 ": 0x%" PRIx64 ", not 0x%" PRIx64 "\n",
				 i * sizeof(*words), words[i], vg_word(seed, i));
			return false;
		}
	}
	return true;
}

bool vg_contents_are_zero(const void *map, uint64_t size)
{
	const uint64_t *words = map;

	for (uint64_t i = 0; i < size / sizeof(*words); i++) {
		if (words[i]) {
			igt_info("byte %" PRIu64 ": 0x%" PRIx64 ", not 0\n", i * sizeof(*words),
				 words[i]);
			return false;
		}
	}
	return true;
}

/* Every byte. */
void vg_bo_check(const struct vg_bo *bo)
{
	igt_assert_f(vg_contents_are(bo->map, bo->size, bo->seed), "contents are lost\n");
}

uint64_t vg_bo_pages(const struct vg_bo *bo)
{
	return bo->size / sysconf(_SC_PAGESIZE);
}

static sigjmp_buf fault;

static void on_sigbus(int sig)
{
	siglongjmp(fault, sig);
}

/* Does reading, or writing, this byte give SIGBUS? */
bool vg_gives_sigbus(volatile char *byte, bool store)
{
	struct sigaction action = { .sa_handler = on_sigbus }, old;
	bool faulted;

	sigaction(SIGBUS, &action, &old);
	faulted = sigsetjmp(fault, 1);
	if (!faulted) {
		if (store)
			*byte = 1;
		else
			(void)*byte;
	}
	sigaction(SIGBUS, &old, NULL);
	return faulted;
}

void vg_bo_expect_sigbus(const struct vg_bo *bo)
{
	char *bytes = (char *)bo->map;
	int fds[2];

	for (int store = 0; store < 2; store++) {
		igt_assert(vg_gives_sigbus(bytes, store));
		igt_assert(vg_gives_sigbus(bytes + bo->size / 2, store));
		igt_assert(vg_gives_sigbus(bytes + bo->size - 1, store));
	}

	/* nor can the kernel read it for us */
	igt_assert(!pipe(fds));
	igt_assert(write(fds[1], bytes, 1) == -1 && errno == EFAULT);
	close(fds[0]);
	close(fds[1]);
}

static int advise(int fd, uint32_t handle, uint32_t madv, uint32_t *resource)
{
	struct drm_virtgpu_madvise args = {
		.bo_handle = handle,
		.retained = 0xdead,
		.madv = madv,
	};
	int ret = vg_ioctl(fd, DRM_IOCTL_VIRTGPU_MADVISE, &args);

	*resource = args.res_handle;
	if (ret)
		return ret;
	igt_assert_f(args.retained <= 1, "retained is 0x%x\n", args.retained);
	return args.retained;
}

int vg_madvise(int fd, uint32_t handle, uint32_t madv)
{
	uint32_t resource;
	int ret = advise(fd, handle, madv, &resource);

	if (ret >= 0 && madv != REPLACE)
		igt_assert_eq(resource, 0);
	return ret;
}

int vg_bo_madvise(const struct vg_bo *bo, uint32_t madv)
{
	return vg_madvise(bo->fd, bo->handle, madv);
}

int vg_bo_replace(struct vg_bo *bo)
{
	uint32_t resource;
	int ret = advise(bo->fd, bo->handle, REPLACE, &resource);

	if (ret < 0)
		return ret;
	/* The host may still have the id of one that was lost bound to something. */
	igt_assert_f(ret == (resource == bo->resource), "resource %u, after %u\n",
		     resource, bo->resource);
	bo->resource = resource;
	return ret;
}

int vg_bo_wait(const struct vg_bo *bo, uint32_t flags)
{
	struct drm_virtgpu_3d_wait wait = { .handle = bo->handle, .flags = flags };

	return vg_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_WAIT, &wait);
}

int vg_bo_upload(const struct vg_bo *bo)
{
	struct drm_virtgpu_3d_transfer_to_host args = {
		.bo_handle = bo->handle,
		.box = { .w = bo->width, .h = bo->height, .d = 1 },
	};

	return vg_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &args);
}

int vg_bo_download(const struct vg_bo *bo)
{
	struct drm_virtgpu_3d_transfer_from_host args = {
		.bo_handle = bo->handle,
		.box = { .w = bo->width, .h = bo->height, .d = 1 },
	};

	return vg_ioctl(bo->fd, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &args);
}

/*
 * A job: the host copies all of src to dst. The stream runs in the sub-context that each
 * virgl context begins with; it needs no GL state.
 */
int vg_bo_copy(const struct vg_bo *dst, const struct vg_bo *src)
{
	uint32_t stream[] = {
		VIRGL_CCMD_RESOURCE_COPY_REGION | 13 << 16,
		dst->resource, 0, 0, 0, 0,
		src->resource, 0, 0, 0, 0, src->width, 1, 1,
	};
	uint32_t handles[] = { dst->handle, src->handle };
	struct drm_virtgpu_execbuffer exec = {
		.size = sizeof(stream),
		.command = (uintptr_t)stream,
		.bo_handles = (uintptr_t)handles,
		.num_bo_handles = 2,
		.fence_fd = -1,
	};

	return vg_ioctl(dst->fd, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec);
}

int vg_bo_export(const struct vg_bo *bo)
{
	struct drm_prime_handle args = {
		.handle = bo->handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};
	int ret = vg_ioctl(bo->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	return ret ?: args.fd;
}

int vg_import(int fd, int dmabuf, uint32_t *handle)
{
	struct drm_prime_handle args = { .fd = dmabuf };
	int ret = vg_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*handle = args.handle;
	return ret;
}

int vg_bo_flink(const struct vg_bo *bo, uint32_t *name)
{
	struct drm_gem_flink args = { .handle = bo->handle };
	int ret = vg_ioctl(bo->fd, DRM_IOCTL_GEM_FLINK, &args);

	*name = args.name;
	return ret;
}

int vg_open_name(int fd, uint32_t name, uint32_t *handle)
{
	struct drm_gem_open args = { .name = name };
	int ret = vg_ioctl(fd, DRM_IOCTL_GEM_OPEN, &args);

	*handle = args.handle;
	return ret;
}
