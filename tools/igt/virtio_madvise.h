/* SPDX-License-Identifier: MIT */
/*
 * Copyright 2026 The GEM shrinker project
 */
#ifndef VIRTIO_MADVISE_H
#define VIRTIO_MADVISE_H

#if __has_include("igt.h")
#include "igt.h"
#else
#include "igt_min.h"
#endif

#include <virtgpu_drm.h>

#ifndef DRM_IOCTL_VIRTGPU_MADVISE
#define VIRTGPU_PARAM_MADVISE 10
#define VIRTGPU_MADV_WILLNEED 0
#define VIRTGPU_MADV_DONTNEED 1
struct drm_virtgpu_madvise {
	__u32 bo_handle;
	__u32 retained;
	__u32 madv;
	__u32 res_handle;
};
#define DRM_IOCTL_VIRTGPU_MADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + 0x0c, struct drm_virtgpu_madvise)
#endif

#ifndef VIRTGPU_MADV_WILLNEED_REPLACE
#define VIRTGPU_MADV_WILLNEED_REPLACE 2
#endif

#ifndef DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB
#define VIRTGPU_PARAM_RESOURCE_BLOB 3
#define VIRTGPU_PARAM_HOST_VISIBLE 4
#define VIRTGPU_PARAM_CROSS_DEVICE 5
#define VIRTGPU_BLOB_MEM_GUEST 1
#define VIRTGPU_BLOB_MEM_HOST3D 2
#define VIRTGPU_BLOB_MEM_HOST3D_GUEST 3
#define VIRTGPU_BLOB_FLAG_USE_MAPPABLE 1
#define VIRTGPU_BLOB_FLAG_USE_SHAREABLE 2
#define VIRTGPU_BLOB_FLAG_USE_CROSS_DEVICE 4
struct drm_virtgpu_resource_create_blob {
	__u32 blob_mem;
	__u32 blob_flags;
	__u32 bo_handle;
	__u32 res_handle;
	__u64 size;
	__u32 pad;
	__u32 cmd_size;
	__u64 cmd;
	__u64 blob_id;
};
#define DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB \
	DRM_IOWR(DRM_COMMAND_BASE + 0x0a, struct drm_virtgpu_resource_create_blob)
#endif

#define WILLNEED VIRTGPU_MADV_WILLNEED
#define DONTNEED VIRTGPU_MADV_DONTNEED
#define REPLACE VIRTGPU_MADV_WILLNEED_REPLACE

#define VG_KIB 1024ull
#define VG_MIB (1024 * VG_KIB)

/* what subtests use where the size does not matter, and where it has to show */
#define VG_BO_SIZE (256 * VG_KIB)
#define VG_BIG_SIZE (16 * VG_MIB)

/* of the virtio-gpu protocol; 0 here for any */
#define VG_CMD_ANY 0
#define VG_CMD_RESOURCE_UNREF 0x102
#define VG_CMD_ATTACH_BACKING 0x106
#define VG_CMD_DETACH_BACKING 0x107

/* in a seed: contents that swap in memory can pack, a few different words in a page */
#define VG_SEED_PACKS (1ull << 63)

/*
 * virtio_bo.c: BOs. Functions that return int give a negative errno or what they say,
 * so that a subtest can ask for an error; the others assert that it worked.
 */
struct vg_bo {
	int fd;
	uint32_t handle;	/* of GEM */
	uint32_t resource;	/* on the host */
	uint32_t width;
	uint32_t height;
	uint64_t size;
	uint64_t seed;		/* of the contents */
	uint64_t *map;
};

int vg_ioctl(int fd, unsigned long request, void *arg);
int vg_open(void);
int vg_param(int fd, uint64_t param, int *value);
bool vg_has_3d(int fd);

void vg_bo_create(struct vg_bo *bo, int fd, uint64_t size);
void vg_bo_create_custom(struct vg_bo *bo, int fd, uint64_t size);
void vg_bo_create_filled(struct vg_bo *bo, int fd, uint64_t size, uint64_t seed);
void vg_bo_create_dumb(struct vg_bo *bo, int fd, uint32_t width, uint32_t height);
int vg_bo_mmap(struct vg_bo *bo);
void vg_bo_unmap(struct vg_bo *bo);
void vg_bo_close(struct vg_bo *bo);
void vg_bo_fill(struct vg_bo *bo, uint64_t seed);
void vg_bo_check(const struct vg_bo *bo);
uint64_t vg_bo_pages(const struct vg_bo *bo);
void vg_bo_expect_sigbus(const struct vg_bo *bo);

int vg_madvise(int fd, uint32_t handle, uint32_t madv); /* retained */
int vg_bo_madvise(const struct vg_bo *bo, uint32_t madv);
int vg_bo_replace(struct vg_bo *bo); /* retained; and sets the resource */
int vg_bo_wait(const struct vg_bo *bo, uint32_t flags);
int vg_bo_upload(const struct vg_bo *bo);
int vg_bo_download(const struct vg_bo *bo);
int vg_bo_copy(const struct vg_bo *dst, const struct vg_bo *src);
int vg_bo_export(const struct vg_bo *bo); /* file descriptor */
int vg_import(int fd, int dmabuf, uint32_t *handle);
int vg_bo_flink(const struct vg_bo *bo, uint32_t *name);
int vg_open_name(int fd, uint32_t name, uint32_t *handle);
int vg_close_handle(int fd, uint32_t handle);
bool vg_contents_are(const void *map, uint64_t size, uint64_t seed);
bool vg_contents_are_zero(const void *map, uint64_t size);
bool vg_gives_sigbus(volatile char *byte, bool store);

/* virtio_reclaim.c: makes the kernel purge, and looks at what it did */
void vg_reclaim_open(int fd);
void vg_reclaim_close(void);
uint64_t vg_counter(const char *key);
void vg_scan(void);
void vg_scan_host(void);
void vg_bo_create_purged(struct vg_bo *bo, int fd, uint64_t size);
void vg_expect_purged(unsigned int bos);
void vg_expect_kept(void);
void vg_expect_resident(uint64_t pages);
void vg_evict(void);
void vg_expect_evicted(unsigned int bos);
void vg_expect_not_evicted(void);
void vg_expect_host_purged(const struct vg_bo *bo);
uint64_t vg_file_value(const char *path, const char *key);

void vg_trace_start(void);
void vg_trace_stop(void);
void vg_trace_clear(void);
unsigned int vg_trace_commands(unsigned int type);
unsigned int vg_trace_waits(void);

/* virtio_swap.c: swap space of our own, and pressure that makes the kernel use it */
void vg_swap_on(uint64_t size);
void vg_swap_off(void);
void vg_squeeze(const char *key, uint64_t goal);
void vg_expect_swapped_out(unsigned int bos, uint64_t size);

/* Subtests; what they must see is said in virtio_madvise.c. */

/* virtio_madvise_purge.c */
void test_purge(int fd);
void test_purged_not_retained(int fd);
void test_purge_mmapped(int fd);
void test_access_purged_sigbus(int fd);
void test_mmap_after_purge(int fd);
void test_wait_purged(int fd);
void test_close_purged(int fd);
void test_race_willneed(int fd);

/* virtio_madvise_jobs.c */
void test_busy_dontneed(int fd);
void test_exec_dontneed(int fd);
void test_exec_purged(int fd);
void test_transfer_purged(int fd);

/* virtio_madvise_share.c */
void test_purge_exported(int fd);
void test_purge_after_export_closed(int fd);
void test_purge_shared_handle(int fd);
void test_race_close(int fd);
void test_export_purged(int fd);

/* virtio_madvise_kms.c: BOs that are shown */
void test_purge_scanout(int fd);
void test_scanout_purged(int fd);
void test_evict_scanout(int fd);

/* virtio_madvise_evict.c: what is evicted comes back */
void test_evict_contents(int fd);
void test_evict_mmapped(int fd);
void test_evict_exec(int fd);
void test_evict_transfer(int fd);
void test_evict_device_written(int fd);
void test_evict_export(int fd);

/* virtio_madvise_swap.c: what is not evicted */
void test_evict_without_swap(int fd);
void test_evict_swap_full(int fd);
void test_evict_custom(int fd);

/* virtio_madvise_replace.c */
void test_replace(int fd);
void test_replace_never_purged(int fd);
void test_replace_zeroed(int fd);
void test_replace_mmapped_twice(int fd);
void test_replace_shared(int fd);
void test_replace_race(int fd);

/* virtio_madvise_blob.c */
void test_blob_purge(int fd);
void test_blob_host3d(int fd);
int vg_blob_create(struct vg_bo *bo, int fd, uint64_t size, uint32_t mem, uint32_t flags);

/* virtio_madvise_process.c: BOs as processes and their files see them */
void test_fdinfo(int fd);
void test_fork(int fd);

/* virtio_madvise_load.c: many BOs */
void test_madvise_fast_path(int fd);
void test_madvise_flood(int fd);
void test_ring_flood(int fd);
void test_purge_cost(int fd);
void test_oom_survive_1(int fd);
void test_oom_survive_8(int fd);
void test_oom_survive_swap(int fd);

#endif
