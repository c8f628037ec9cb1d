// SPDX-License-Identifier: GPL-2.0-only
/*
 * Advice on BOs, and what it says of their contents.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "stress.h"

static int madvise_bo(struct stress *me, struct bo *bo, uint32_t advice, uint32_t *resource)
{
	struct drm_virtgpu_madvise args = {
		.bo_handle = bo->handle,
		.retained = 0xdead,
		.madv = advice,
	};
	int ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_MADVISE, &args);

	*resource = args.res_handle;
	if (!ret && args.retained > 1)
		report(me, bo, N_WRONG, "retained is 0x%x", args.retained);
	return ret ?: (int)args.retained;
}

/* The contents that a BO had when it was given up must be there. */
static void taken_back(struct stress *me, struct bo *bo)
{
	if (bo->state != NEEDED && !me->is_child)
		count(N_RETAINED);
	bo_set_state(me, bo, NEEDED);
	if (rnd(me, 4))
		bo_verify(me, bo, N_WRONG);
}

void bo_advise(struct stress *me, struct bo *bo, bool needed)
{
	uint32_t resource;
	int ret = madvise_bo(me, bo, needed ? VIRTGPU_MADV_WILLNEED : VIRTGPU_MADV_DONTNEED,
			     &resource);

	bo_did(bo, needed ? OP_WILLNEED : OP_DONTNEED);
	if (ret < 0) {
		report(me, bo, N_WRONG, "MADVISE: %s", strerror(-ret));
		return;
	}
	if (resource)
		report(me, bo, N_WRONG, "MADVISE returned resource %u", resource);
	if (!ret && needed && !bo->torn && !bo->imported && break_now(N_WRONG)) {
		bo_set_state(me, bo, NEEDED);
		/* old mappings have the contents until the host has answered */
		for (int tries = 500; tries && bo_verify(me, bo, N_WRONG); tries--)
			usleep(20000);
		return;
	}

	if (!ret && !may_be_purged(bo))
		report(me, bo, N_WRONG, "retained 0 of a BO that may not be purged");
	else if (!ret)
		found_purged(me, bo);
	else if (bo->state == PURGED)
		report(me, bo, N_WRONG, "retained 1 of a purged BO");
	else if (needed)
		taken_back(me, bo);
	else
		bo_set_state(me, bo, GIVEN_UP);
}

/* Who asks for it is told the same id as who replaced it. */
static void check_resource(struct stress *me, struct bo *bo)
{
	struct drm_virtgpu_resource_info info = { .bo_handle = bo->handle };
	int ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);

	if (ret)
		report(me, bo, N_WRONG, "RESOURCE_INFO: %s", strerror(-ret));
	else if (info.res_handle != bo->resource)
		report(me, bo, N_WRONG, "RESOURCE_INFO says resource %u", info.res_handle);
}

void bo_replace(struct stress *me, struct bo *bo)
{
	int ret, tries = 200;
	uint32_t resource;

	bo_did(bo, OP_REPLACE);
	for (;;) {
		ret = madvise_bo(me, bo, VIRTGPU_MADV_WILLNEED_REPLACE, &resource);
		/* Somebody else has it, or had it and is about to end. */
		if (ret != -EBUSY || bo->was_shared || bo->imported)
			break;
		/*
		 * The kernel has waited a second for the host to let go of the old pages. If it
		 * could not ask the host, a scan does so again.
		 */
		count(N_BUSY);
		if (!--tries)
			break;
		scan("", 1 << 28);
		usleep(20000);
	}

	if (ret == -ENOMEM) {
		count(N_NOMEM);
	} else if (ret == -EBUSY && (bo->was_shared || bo->imported)) {
		count(N_BUSY);
	} else if (ret == -EINVAL && bo->custom) {
		count(N_REFUSED);
	} else if (ret < 0) {
		report(me, bo, N_WRONG, "WILLNEED_REPLACE: %s", strerror(-ret));
	} else if (bo->custom) {
		report(me, bo, N_WRONG, "WILLNEED_REPLACE of this kind worked");
	} else if ((resource == bo->resource) != ret) {
		report(me, bo, N_WRONG, "retained %d, but the resource is %u now", ret, resource);
	} else if (ret && bo->state == PURGED) {
		report(me, bo, N_WRONG, "retained 1 of a purged BO");
	} else if (ret) {
		taken_back(me, bo);
	} else if (!may_be_purged(bo)) {
		report(me, bo, N_WRONG, "replaced, but it may not be purged");
	} else {
		found_purged(me, bo);
		count(N_REPLACED);
		bo->resource = resource;
		bo->guest = (struct contents){ 0 };
		bo->host_known = bo->host_reads = bo->host_writes = bo->torn = false;
		bo_set_state(me, bo, NEEDED);
		if ((bo->map || bo_map(me, bo)) && break_now(N_LEAKED))
			bo->map[rnd(me, bo->size / 8)] =
				contents_word((struct contents){ HOG_OWNER - 1, 1 }, 7);
		bo_verify(me, bo, N_LEAKED);
		check_resource(me, bo);
	}
}
