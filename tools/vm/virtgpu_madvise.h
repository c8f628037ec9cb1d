/* SPDX-License-Identifier: MIT */
/*
 * The uapi that the series adds to virtgpu_drm.h, for machines whose kernel headers do not
 * have it yet.
 */
#ifndef VIRTGPU_MADVISE_H
#define VIRTGPU_MADVISE_H

#include <libdrm/virtgpu_drm.h>

#ifndef DRM_IOCTL_VIRTGPU_MADVISE
struct drm_virtgpu_madvise {
	__u32 bo_handle;
	__u32 retained;
	__u32 madv;
	__u32 res_handle;
};
#define VIRTGPU_PARAM_MADVISE 10
#define VIRTGPU_MADV_WILLNEED 0
#define VIRTGPU_MADV_DONTNEED 1
#define VIRTGPU_MADV_WILLNEED_REPLACE 2
#define DRM_IOCTL_VIRTGPU_MADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + 0x0c, struct drm_virtgpu_madvise)
#endif

#endif
