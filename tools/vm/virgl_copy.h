/* SPDX-License-Identifier: GPL-2.0-only */
/* A job for virgl by which the host copies all of one buffer to another, in its own memory. */
#ifndef VIRGL_COPY_H
#define VIRGL_COPY_H

#include <stdint.h>

#include <libdrm/virtgpu_drm.h>

struct virgl_buffer {
	uint32_t handle;
	uint32_t resource;
};

struct virgl_copy {
	uint32_t stream[14];
	uint32_t handles[2];
	struct drm_virtgpu_execbuffer exec;
};

/* What to give to EXECBUFFER; it points into @copy. */
static inline struct drm_virtgpu_execbuffer *
virgl_copy(struct virgl_copy *copy, struct virgl_buffer dst, struct virgl_buffer src,
	   uint32_t size)
{
	*copy = (struct virgl_copy){
		.stream = {
			17 | 13 << 16, /* VIRGL_CCMD_RESOURCE_COPY_REGION, 13 words follow */
			dst.resource, 0, 0, 0, 0,
			src.resource, 0, 0, 0, 0, size, 1, 1,
		},
		.handles = { dst.handle, src.handle },
		.exec = {
			.size = sizeof(copy->stream),
			.command = (uintptr_t)copy->stream,
			.bo_handles = (uintptr_t)copy->handles,
			.num_bo_handles = 2,
			.fence_fd = -1,
		},
	};
	return &copy->exec;
}

#endif
