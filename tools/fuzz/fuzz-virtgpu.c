// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * The calls of gem-fuzz that virtio-gpu has.
 *
 * What reaches the host is kept to what it answers, if with an error: virglrenderer gets no
 * textures that would take its memory, and command streams of no-ops and of copies between
 * two resources, whose ids may be anything. Boxes of transfers are random.
 */
#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <virtgpu_drm.h>

#include "fuzz.h"

/* of Gallium and virgl */
#define PIPE_BUFFER 0
#define PIPE_TEXTURE_2D 2
#define BIND_RENDER_TARGET (1 << 1)
#define BIND_VERTEX_BUFFER (1 << 4)
#define BIND_CUSTOM (1 << 17)
#define FORMAT_B8G8R8A8 1
#define FORMAT_R8 64
#define CCMD_RESOURCE_COPY_REGION 17

#define MOST_BYTES (4ull << 20)

bool fuzz_virtgpu_has_3d(const char *render_node)
{
	int value = 0, fd = open(render_node, O_RDWR | O_CLOEXEC);
	struct drm_virtgpu_getparam args = {
		.param = VIRTGPU_PARAM_3D_FEATURES,
		.value = (uintptr_t)&value,
	};

	if (fd < 0 || ioctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &args)) {
		perror(render_node);
		exit(2);
	}
	close(fd);
	return value;
}

static void limit_texture(struct drm_virtgpu_resource_create *args)
{
	uint64_t texels = args->width;

	args->size = fuzz_limit(args->size, MOST_BYTES, 1ull << 32);
	if (!fuzz_has_3d)
		return;
	args->width &= 0xfffff;
	args->nr_samples &= 0xf;
	texels = args->width;
	texels *= args->height ? args->height : 1;
	if (texels <= 0x100000)
		texels *= args->depth ? args->depth : 1;
	if (texels <= 0x100000)
		texels *= args->array_size ? args->array_size : 1;
	if (texels > 0x100000)
		args->height = args->depth = args->array_size = 1;
}

static int do_create(struct run *run, const uint64_t *v)
{
	uint32_t pages = 1 + (v[3] - 1) % 256, kind = v[2] & 3;
	bool buffer = fuzz_has_3d && kind != 1;
	struct drm_virtgpu_resource_create args = {
		.target = buffer ? PIPE_BUFFER : PIPE_TEXTURE_2D,
		.format = buffer ? FORMAT_R8 : FORMAT_B8G8R8A8,
		.bind = !buffer ? BIND_RENDER_TARGET : kind == 2 ? BIND_CUSTOM : BIND_VERTEX_BUFFER,
		.width = buffer ? pages * FUZZ_PAGE : 1024,
		.height = buffer ? 1 : pages,
		.depth = 1,
		.array_size = 1,
		.size = pages * FUZZ_PAGE,
	};
	int ret;

	fuzz_patch(&args, sizeof(args), v[4], v[5]);
	limit_texture(&args);
	ret = fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &args, v[4], v[5]);
	return fuzz_created(run, ret, v[4], v[1], (struct handle){
		.name = args.bo_handle,
		.resource = args.res_handle,
	}, args.size ? args.size : FUZZ_PAGE);
}

static int do_blob(struct run *run, const uint64_t *v)
{
	static const uint32_t mem[] = {
		VIRTGPU_BLOB_MEM_GUEST, VIRTGPU_BLOB_MEM_HOST3D, VIRTGPU_BLOB_MEM_HOST3D_GUEST,
		VIRTGPU_BLOB_MEM_GUEST,
	};
	struct drm_virtgpu_resource_create_blob args = {
		.blob_mem = mem[v[2] & 3],
		.blob_flags = v[2] >> 2 & 7,
		.size = (1 + (v[3] - 1) % 256) * FUZZ_PAGE,
	};
	int ret;

	fuzz_patch(&args, sizeof(args), v[4], v[5]);
	args.size = fuzz_limit(args.size, MOST_BYTES, 1ull << 39);
	args.cmd_size = fuzz_limit(args.cmd_size, 4096, 0x80000000);
	ret = fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &args, v[4], v[5]);
	return fuzz_created(run, ret, v[4], v[1], (struct handle){
		.name = args.bo_handle,
		.resource = args.res_handle,
	}, args.size);
}

static int do_madvise(struct run *run, const uint64_t *v)
{
	struct drm_virtgpu_madvise args = {
		.bo_handle = v[1], .madv = v[2], .res_handle = v[3], .retained = v[4],
	};
	struct object *object = fuzz_object(run, 0, v[1]);
	bool bad = args.res_handle || args.madv > VIRTGPU_MADV_WILLNEED_REPLACE;
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_MADVISE, &args, v[5], v[6]);

	if (!fuzz_madvise_is_plain(run, v[5], object, bad, ret))
		return ret;
	if (!bad && run->exact && object && ret && args.madv != VIRTGPU_MADV_WILLNEED_REPLACE)
		fuzz_wrong("madvise: %d for a handle that is one", ret);
	if (!ret && args.madv != VIRTGPU_MADV_WILLNEED_REPLACE && args.res_handle)
		fuzz_wrong("madvise: res_handle is %u", args.res_handle);
	if (!ret && args.madv == VIRTGPU_MADV_WILLNEED_REPLACE && !args.res_handle)
		fuzz_wrong("madvise: no res_handle after WILLNEED_REPLACE");
	if (!ret)
		fuzz_advised(run, args.bo_handle, args.madv, args.retained);
	if (!ret && args.res_handle && fuzz_call->args[1].slot)
		run->handle[fuzz_call->args[1].value].resource = args.res_handle;
	return ret;
}

static int do_info(struct run *run, const uint64_t *v)
{
	struct drm_virtgpu_resource_info args = { .bo_handle = v[1] };

	return fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &args, v[2], v[3]);
}

static int do_map(struct run *run, const uint64_t *v)
{
	struct drm_virtgpu_map args = { .handle = v[1], .pad = v[2] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_MAP, &args, 0, 0);

	if (!ret)
		fuzz_fill_offset(run, args.offset);
	return ret;
}

/* The host writes to it, or a job may, or could: what is in it is not known any more. */
static void written(struct run *run)
{
	for (unsigned int i = 0; run->exact && i < run->objects; i++)
		run->object[i].written = true;
}

static int transfer(struct run *run, const uint64_t *v, unsigned long request)
{
	struct drm_virtgpu_3d_transfer_to_host args = {
		.bo_handle = v[1],
		.box = { .w = 1 + v[2] % 1024, .h = 1, .d = 1 },
	};

	fuzz_patch(&args, sizeof(args), v[3], v[4]);
	return fuzz_ioctl(v[0], request, &args, v[3], v[4]);
}

static int do_to_host(struct run *run, const uint64_t *v)
{
	return transfer(run, v, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST);
}

static int do_from_host(struct run *run, const uint64_t *v)
{
	written(run);
	return transfer(run, v, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST);
}

static int do_wait(struct run *run, const uint64_t *v)
{
	struct drm_virtgpu_3d_wait args = { .handle = v[1], .flags = v[2] };

	return fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_WAIT, &args, 0, 0);
}

enum {
	EXEC_BOS = 1, EXEC_COPY = 2, EXEC_IN_SYNC = 4, EXEC_OUT_SYNC = 8, EXEC_OUT_FENCE = 16,
	EXEC_IN_FENCE = 32, EXEC_RESET = 64, EXEC_RING = 128,
};

static uint32_t resource_of(struct run *run, unsigned int arg)
{
	const struct arg *from = &fuzz_call->args[arg];

	return from->slot ? run->handle[from->value].resource : from->value;
}

static int do_exec(struct run *run, const uint64_t *v)
{
	static uint32_t none[0x200000];
	uint32_t handles[] = { v[3], v[4], 0 };
	uint32_t stream[16] = {};
	struct drm_virtgpu_execbuffer_syncobj sync = {
		.handle = v[5],
		.flags = v[2] & EXEC_RESET ? VIRTGPU_EXECBUF_SYNCOBJ_RESET : 0,
	}, out_sync = { .handle = v[5] };
	struct drm_virtgpu_execbuffer args = {
		.flags = (v[2] & EXEC_OUT_FENCE ? VIRTGPU_EXECBUF_FENCE_FD_OUT : 0) |
			 (v[2] & EXEC_IN_FENCE ? VIRTGPU_EXECBUF_FENCE_FD_IN : 0) |
			 (v[2] & EXEC_RING ? VIRTGPU_EXECBUF_RING_IDX : 0),
		.size = sizeof(stream),
		.command = (uintptr_t)stream,
		.bo_handles = (uintptr_t)handles,
		.num_bo_handles = v[2] & EXEC_BOS ? 2 - (v[4] == v[3]) : 0,
		.fence_fd = fuzz_call->args[6].slot ? run->fence[v[6]] : -1,
		.syncobj_stride = sizeof(sync),
		.in_syncobjs = (uintptr_t)&sync,
		.num_in_syncobjs = !!(v[2] & EXEC_IN_SYNC),
		.out_syncobjs = (uintptr_t)&out_sync,
		.num_out_syncobjs = !!(v[2] & EXEC_OUT_SYNC),
	};
	int ret;

	if (v[2] & EXEC_COPY)
		memcpy(stream, (uint32_t[]){
			CCMD_RESOURCE_COPY_REGION | 13 << 16, resource_of(run, 3), 0, 0, 0, 0,
			resource_of(run, 4), 0, 0, 0, 0, 4096, 1, 1,
		}, 56);
	written(run);
	fuzz_patch(&args, sizeof(args), v[7], v[8]);
	args.size = fuzz_limit(args.size, sizeof(stream), 0x80000000);
	args.num_bo_handles = fuzz_limit(args.num_bo_handles, sizeof(none) / 4, 0x20000000);
	if (args.num_bo_handles > 0x4000)
		args.bo_handles = (uintptr_t)none;
	args.num_in_syncobjs = fuzz_limit(args.num_in_syncobjs, 0x1000, 0x20000000);
	args.num_out_syncobjs = fuzz_limit(args.num_out_syncobjs, 0x1000, 0x20000000);
	ret = fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_EXECBUFFER, &args, v[7], v[8]);
	if (!ret && args.flags & VIRTGPU_EXECBUF_FENCE_FD_OUT && fuzz_is_plain(v[7]))
		fuzz_replace_fd(&run->fence[v[6]], args.fence_fd);
	return ret;
}

static int do_getparam(struct run *run, const uint64_t *v)
{
	int value;
	struct drm_virtgpu_getparam args = { .param = v[1], .value = (uintptr_t)&value };

	return fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_GETPARAM, &args, v[2], v[3]);
}

static int do_caps(struct run *run, const uint64_t *v)
{
	static char caps[65536];
	struct drm_virtgpu_get_caps args = {
		.cap_set_id = v[1], .cap_set_ver = v[2], .addr = (uintptr_t)caps, .size = 1024,
	};

	fuzz_patch(&args, sizeof(args), v[3], v[4]);
	return fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_GET_CAPS, &args, v[3], v[4]);
}

static int do_context(struct run *run, const uint64_t *v)
{
	struct drm_virtgpu_context_set_param params[] = {
		{ .param = VIRTGPU_CONTEXT_PARAM_CAPSET_ID, .value = 1 + (v[1] & 1) },
		{ .param = VIRTGPU_CONTEXT_PARAM_NUM_RINGS, .value = v[2] },
		{ .param = VIRTGPU_CONTEXT_PARAM_POLL_RINGS_MASK, .value = v[3] },
	};
	struct drm_virtgpu_context_init args = {
		.num_params = v[1] >> 1 & 3,
		.ctx_set_params = (uintptr_t)params,
	};

	fuzz_patch(&args, sizeof(args), v[4], v[5]);
	return fuzz_ioctl(v[0], DRM_IOCTL_VIRTGPU_CONTEXT_INIT, &args, v[4], v[5]);
}

static int do_dumb(struct run *run, const uint64_t *v)
{
	struct drm_mode_create_dumb args = { .width = v[2], .height = v[3], .bpp = 32 };
	uint64_t bytes;
	int ret;

	fuzz_patch(&args, sizeof(args), v[4], v[5]);
	bytes = (uint64_t)args.width * args.height;
	if (args.bpp > 64 || bytes > MOST_BYTES / 8) {
		args.width &= 0xff;
		args.height &= 0xff;
	}
	ret = fuzz_ioctl(v[0], DRM_IOCTL_MODE_CREATE_DUMB, &args, v[4], v[5]);
	return fuzz_created(run, ret, v[4], v[1], (struct handle){ .name = args.handle },
			    args.size);
}

static int do_fb(struct run *run, const uint64_t *v)
{
	struct drm_mode_fb_cmd args = {
		.handle = v[1], .width = v[3] % 256, .height = v[4] % 256, .pitch = v[3] % 256 * 4,
		.bpp = 32, .depth = 24,
	};
	int ret;

	fuzz_patch(&args, sizeof(args), v[5], v[6]);
	ret = fuzz_ioctl(v[0], DRM_IOCTL_MODE_ADDFB, &args, v[5], v[6]);
	if (!ret)
		run->fb[v[2]] = args.fb_id;
	return ret;
}

static int do_rmfb(struct run *run, const uint64_t *v)
{
	unsigned int id = v[1];

	return fuzz_ioctl(v[0], DRM_IOCTL_MODE_RMFB, &id, 0, 0);
}

static int do_dirty(struct run *run, const uint64_t *v)
{
	struct drm_mode_fb_dirty_cmd args = { .fb_id = v[1] };

	return fuzz_ioctl(v[0], DRM_IOCTL_MODE_DIRTYFB, &args, 0, 0);
}

/* Shows it, in a mode that fits. */
static int do_show(struct run *run, const uint64_t *v)
{
	uint32_t crtc = 0, connector = 0;
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)&crtc, .count_crtcs = 1,
		.connector_id_ptr = (uintptr_t)&connector, .count_connectors = 1,
	};
	struct drm_mode_crtc args = {
		.set_connectors_ptr = (uintptr_t)&connector, .count_connectors = 1,
		.fb_id = v[1], .mode_valid = 1,
		.mode = {
			.clock = 25175, .hdisplay = v[2] % 256, .hsync_start = 656, .hsync_end = 752,
			.htotal = 800, .vdisplay = v[3] % 256, .vsync_start = 490, .vsync_end = 492,
			.vtotal = 525, .vrefresh = 60,
		},
	};

	fuzz_ioctl(v[0], DRM_IOCTL_MODE_GETRESOURCES, &res, 0, 0);
	args.crtc_id = crtc;
	fuzz_patch(&args, sizeof(args), v[4], v[5]);
	args.count_connectors &= 1;
	return fuzz_ioctl(v[0], DRM_IOCTL_MODE_SETCRTC, &args, v[4], v[5]);
}

/* Hosts without blobs, or 3D, say EINVAL or ENOSYS. Modes are for the master. */
const struct op fuzz_virtgpu_ops[] = {
	{ "create", "fHtgiv", 12, FUZZ_VIRTIO, do_create, ERRNOS(EINVAL, EFAULT, ENOMEM) },
	{ "blob", "fHtgiv", 3, FUZZ_VIRTIO, do_blob, ERRNOS(EINVAL, EFAULT, ENOMEM, ENOSPC) },
	{ "dumb", "fHggiv", 2, FUZZ_VIRTIO, do_dumb, ERRNOS(EINVAL, EFAULT, ENOMEM, EACCES) },
	{ "madvise", "fhabbiv", 24, FUZZ_VIRTIO, do_madvise,
	  ERRNOS(EINVAL, ENOENT, EFAULT, EBUSY, ENOMEM), true },
	{ "info", "fhiv", 2, FUZZ_VIRTIO, do_info, ERRNOS(ENOENT, EFAULT), true },
	{ "map", "fhb", 8, FUZZ_VIRTIO, do_map, ERRNOS(ENOENT, EINVAL), true },
	{ "tohost", "fhniv", 6, FUZZ_VIRTIO, do_to_host, ERRNOS(EINVAL, ENOENT, EFAULT), true },
	{ "fromhost", "fhniv", 4, FUZZ_VIRTIO, do_from_host,
	  ERRNOS(EINVAL, ENOENT, EFAULT, ENOSYS), true },
	{ "wait", "fhb", 4, FUZZ_VIRTIO, do_wait, ERRNOS(ENOENT, EBUSY), true },
	{ "exec", "fbthhsXiv", 8, FUZZ_VIRTIO, do_exec,
	  ERRNOS(EINVAL, ENOENT, EFAULT, ENOSYS, ENOMEM, EALREADY) },
	{ "param", "fbiv", 1, FUZZ_VIRTIO, do_getparam, ERRNOS(EINVAL, EFAULT) },
	{ "caps", "fbbiv", 1, FUZZ_VIRTIO, do_caps, ERRNOS(EINVAL, EFAULT, ENOSYS) },
	{ "context", "ftnniv", 1, FUZZ_VIRTIO, do_context, ERRNOS(EINVAL, EFAULT, EEXIST) },
	{ "fb", "fhDggiv", 2, FUZZ_VIRTIO, do_fb,
	  ERRNOS(EINVAL, ENOENT, EFAULT, EACCES, ENOMEM, ERANGE), true },
	{ "rmfb", "fd", 1, FUZZ_VIRTIO, do_rmfb, ERRNOS(ENOENT, EACCES, EINVAL) },
	{ "dirty", "fd", 1, FUZZ_VIRTIO, do_dirty, ERRNOS(ENOENT, EINVAL, EACCES, ENOSYS) },
	{ "show", "fdggiv", 1, FUZZ_VIRTIO, do_show,
	  ERRNOS(ENOENT, EINVAL, EACCES, EFAULT, ENOSPC, ERANGE, EBUSY) },
	{ }
};
