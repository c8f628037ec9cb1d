// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about blobs: BOs whose pages the host maps, and those whose
 * memory is the host's.
 */
#include <errno.h>
#include <unistd.h>

#include "virtio_madvise.h"

/* of Gallium and virgl: a vertex buffer that stays mapped while it is used */
#define VIRGL_CCMD_PIPE_RESOURCE_CREATE 48
#define PIPE_BUFFER 0
#define PIPE_BIND_VERTEX_BUFFER (1 << 4)
#define VIRGL_FORMAT_R8_UNORM 64
#define VIRGL_RESOURCE_FLAG_MAP_PERSISTENT (1 << 1)
#define VIRGL_RESOURCE_FLAG_MAP_COHERENT (1 << 2)

static void need_blobs(int fd)
{
	int value;

	vg_param(fd, VIRTGPU_PARAM_RESOURCE_BLOB, &value);
	if (!value)
		igt_skip("the device has no blobs\n");
}

/* Mapped, if it may be. What the host has memory for is made there by a command stream. */
int vg_blob_create(struct vg_bo *bo, int fd, uint64_t size, uint32_t mem, uint32_t flags)
{
	static uint32_t id;
	uint32_t stream[] = {
		VIRGL_CCMD_PIPE_RESOURCE_CREATE | 11 << 16,
		PIPE_BUFFER, VIRGL_FORMAT_R8_UNORM, PIPE_BIND_VERTEX_BUFFER, size, 1, 1, 1, 0, 0,
		VIRGL_RESOURCE_FLAG_MAP_PERSISTENT | VIRGL_RESOURCE_FLAG_MAP_COHERENT, ++id,
	};
	struct drm_virtgpu_resource_create_blob create = {
		.blob_mem = mem,
		.blob_flags = flags,
		.size = size,
	};
	int ret;

	if (mem != VIRTGPU_BLOB_MEM_GUEST) {
		create.cmd = (uintptr_t)stream;
		create.cmd_size = sizeof(stream);
		create.blob_id = id;
	}
	memset(bo, 0, sizeof(*bo));
	ret = vg_ioctl(fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &create);
	if (ret)
		return ret;
	bo->fd = fd;
	bo->handle = create.bo_handle;
	bo->resource = create.res_handle;
	bo->width = size;
	bo->height = 1;
	bo->size = size;
	return flags & VIRTGPU_BLOB_FLAG_USE_MAPPABLE ? vg_bo_mmap(bo) : 0;
}

void test_blob_purge(int fd)
{
	uint64_t resident, unevictable, shmem;
	struct vg_bo bo;
	int value;

	need_blobs(fd);
	vg_swap_on(128 * VG_MIB);
	resident = vg_counter("resident_pages");
	unevictable = vg_counter("unevictable_pages");
	igt_assert_eq(vg_blob_create(&bo, fd, VG_BIG_SIZE, VIRTGPU_BLOB_MEM_GUEST,
				     VIRTGPU_BLOB_FLAG_USE_MAPPABLE), 0);
	vg_bo_fill(&bo, 1);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	igt_assert_eq(vg_counter("resident_pages") - resident, vg_bo_pages(&bo));
	igt_assert_eq(vg_counter("unevictable_pages") - unevictable, vg_bo_pages(&bo));

	/* Its backing is for life. */
	vg_trace_start();
	vg_expect_not_evicted();
	vg_expect_kept();
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_counter("unevictable_pages"), unevictable);
	igt_assert_eq(vg_counter("purgeable_pages"), vg_bo_pages(&bo));
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 1);
	vg_expect_kept();
	vg_bo_check(&bo);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);

	shmem = vg_file_value("/proc/meminfo", "Shmem");
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	vg_expect_purged(1);
	shmem -= vg_file_value("/proc/meminfo", "Shmem");
	igt_assert_f(shmem >= VG_BIG_SIZE / VG_KIB * 15 / 16, "Shmem shrank by %" PRIu64 " KiB\n",
		     shmem);
	igt_assert_eq(vg_trace_commands(VG_CMD_RESOURCE_UNREF), 1);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 1);
	igt_assert_eq(vg_counter("resident_pages"), resident);
	vg_bo_expect_sigbus(&bo);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	vg_bo_close(&bo);
	vg_trace_stop();

	/* Other devices may have it. */
	vg_param(fd, VIRTGPU_PARAM_CROSS_DEVICE, &value);
	if (value) {
		igt_assert_eq(vg_blob_create(&bo, fd, VG_BO_SIZE, VIRTGPU_BLOB_MEM_GUEST,
					     VIRTGPU_BLOB_FLAG_USE_MAPPABLE |
					     VIRTGPU_BLOB_FLAG_USE_SHAREABLE |
					     VIRTGPU_BLOB_FLAG_USE_CROSS_DEVICE), 0);
		vg_bo_fill(&bo, 1);
		igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
		vg_expect_kept();
		vg_bo_check(&bo);
		vg_bo_close(&bo);
	} else {
		igt_info("the device has no blobs across devices\n");
	}
	vg_swap_off();
}

static void host3d(int fd, uint32_t mem)
{
	uint64_t resident = vg_counter("resident_pages");
	uint64_t host = vg_counter("host_pages");
	uint64_t purged = vg_counter("host_purged_pages");
	struct vg_bo bo, again, live;
	int ret;

	ret = vg_blob_create(&bo, fd, VG_BO_SIZE, mem, VIRTGPU_BLOB_FLAG_USE_MAPPABLE);
	igt_assert_f(!ret, "creating or mapping a blob of kind %u: %s\n", mem, strerror(-ret));
	vg_bo_fill(&bo, 1);
	igt_assert_eq(vg_bo_wait(&bo, 0), 0);
	vg_bo_check(&bo);
	igt_assert_eq(vg_counter("host_pages") - host, vg_bo_pages(&bo));
	igt_assert_eq(vg_counter("resident_pages"), resident);
	igt_assert_eq(vg_counter("host_purgeable_pages"), 0);

	/* What is needed stays, and pressure in the guest is no reason. */
	vg_trace_start();
	vg_scan_host();
	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	igt_assert_eq(vg_counter("host_purgeable_pages"), vg_bo_pages(&bo));
	igt_assert_eq(vg_counter("purgeable_pages"), 0);
	vg_expect_kept();
	vg_expect_not_evicted();
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 1);
	igt_assert_eq(vg_counter("host_purgeable_pages"), 0);
	vg_scan_host();
	vg_bo_check(&bo);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);

	igt_assert_eq(vg_bo_madvise(&bo, DONTNEED), 1);
	if (mem == VIRTGPU_BLOB_MEM_HOST3D) {
		/* What is mapped is in use. */
		vg_scan_host();
		igt_assert_eq(vg_counter("host_purged_pages"), purged);
		igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
		vg_bo_check(&bo);
		vg_bo_unmap(&bo);
	}
	vg_expect_host_purged(&bo);
	igt_assert_eq(vg_counter("host_purged_pages") - purged, vg_bo_pages(&bo));
	igt_assert_eq(vg_counter("host_pages"), host);
	igt_assert_eq(vg_trace_commands(VG_CMD_RESOURCE_UNREF), 1);
	igt_assert_eq(vg_bo_madvise(&bo, WILLNEED), 0);
	if (bo.map)
		vg_bo_expect_sigbus(&bo);
	again = bo;
	igt_assert_eq(vg_bo_mmap(&again), -EINVAL);
	igt_assert_eq(vg_bo_export(&bo), -EINVAL);

	vg_bo_create_filled(&live, fd, VG_BO_SIZE, 2);
	vg_trace_clear();
	igt_assert_eq(vg_bo_copy(&live, &bo), -EINVAL);
	igt_assert_eq(vg_bo_copy(&bo, &live), -EINVAL);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_bo_close(&live);
	vg_expect_resident(resident);

	/* Nothing of it is left to tell the host. */
	vg_trace_clear();
	vg_bo_close(&bo);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
}

void test_blob_host3d(int fd)
{
	int visible;

	need_blobs(fd);
	if (!vg_has_3d(fd))
		igt_skip("needs virgl: the 2D device has no memory of the host\n");
	vg_param(fd, VIRTGPU_PARAM_HOST_VISIBLE, &visible);
	if (!visible)
		igt_skip("needs memory of the host that the guest can map\n");
	vg_swap_on(VG_BIG_SIZE);
	host3d(fd, VIRTGPU_BLOB_MEM_HOST3D);
	host3d(fd, VIRTGPU_BLOB_MEM_HOST3D_GUEST);
	vg_swap_off();
}
