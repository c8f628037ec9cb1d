// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * The calls of gem-fuzz that panfrost has. Jobs are put together by "job", in a BO that is
 * mapped; the types are those of drivers/gpu/drm/panfrost/tests/panfrost_model.h.
 */
#include <drm.h>
#include <errno.h>
#include <panfrost_drm.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"

#define MOST_BYTES (4ull << 20)
#define JOB_BYTES 128

static int do_create(struct run *run, const uint64_t *v)
{
	static const uint32_t flags[] = {
		PANFROST_BO_NOEXEC, 0, 0, PANFROST_BO_NOEXEC,
		PANFROST_BO_NOEXEC | PANFROST_BO_HEAP, PANFROST_BO_NOEXEC, 0, PANFROST_BO_HEAP,
	};
	struct drm_panfrost_create_bo args = {
		.size = (1 + (v[3] - 1) % 256) * FUZZ_PAGE,
		.flags = flags[v[2] & 7],
	};
	int ret;

	fuzz_patch(&args, sizeof(args), v[4], v[5]);
	/* The address space of the GPU has no room for the largest. */
	args.size = fuzz_limit(args.size, MOST_BYTES, 0xfe000001);
	ret = fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_CREATE_BO, &args, v[4], v[5]);
	return fuzz_created(run, ret, v[4], v[1], (struct handle){
		.name = args.handle,
		.va = args.offset,
	}, args.size);
}

static int do_madvise(struct run *run, const uint64_t *v)
{
	struct drm_panfrost_madvise args = { .handle = v[1], .madv = v[2], .retained = v[3] };
	struct object *object = fuzz_object(run, 0, v[1]);
	bool bad = args.madv > PANFROST_MADV_DONTNEED;
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_MADVISE, &args, v[4], v[5]);

	if (!fuzz_madvise_is_plain(run, v[4], object, bad, ret))
		return ret;
	/* Who shares a BO may not give it up. */
	if (!bad && run->exact && object && ret && args.madv == PANFROST_MADV_WILLNEED)
		fuzz_wrong("madvise: %d for a handle that is one", ret);
	if (!ret)
		fuzz_advised(run, args.handle, args.madv, args.retained);
	return ret;
}

static int do_map(struct run *run, const uint64_t *v)
{
	struct drm_panfrost_mmap_bo args = { .handle = v[1], .flags = v[2] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_MMAP_BO, &args, v[3], v[4]);

	if (!ret && args.flags && !v[3])
		fuzz_wrong("map: no error with flags");
	if (!ret)
		fuzz_fill_offset(run, args.offset);
	return ret;
}

static int do_offset(struct run *run, const uint64_t *v)
{
	struct drm_panfrost_get_bo_offset args = { .handle = v[1], .pad = v[2] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_GET_BO_OFFSET, &args, v[3], v[4]);

	if (!ret && fuzz_call->args[1].slot)
		run->handle[fuzz_call->args[1].value].va = args.offset;
	return ret;
}

static int do_param(struct run *run, const uint64_t *v)
{
	struct drm_panfrost_get_param args = { .param = v[1], .pad = v[2] };

	return fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_GET_PARAM, &args, v[3], v[4]);
}

/* Until when is an absolute time. */
static int do_wait(struct run *run, const uint64_t *v)
{
	struct drm_panfrost_wait_bo args = { .handle = v[1], .pad = v[2] };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (v[3] == 3)
		args.timeout_ns = INT64_MAX;
	else if (v[3] && v[3] < 256)
		args.timeout_ns = now.tv_sec * 1000000000ll + now.tv_nsec + v[3] * 1000000;
	else
		args.timeout_ns = v[3];
	return fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_WAIT_BO, &args, v[4], v[5]);
}

/* A job in a mapping, what it is about is a BO, and the next one is in a BO, too. */
static int do_job(struct run *run, const uint64_t *v)
{
	const struct arg *in = &fuzz_call->args[0], *about = &fuzz_call->args[3];
	const struct arg *next = &fuzz_call->args[4];
	struct mapping *mapping = in->slot ? &run->mapping[in->value] : NULL;
	struct {
		uint32_t status, first_incomplete;
		uint64_t fault_pointer;
		uint8_t type, barrier;
		uint16_t index, depends[2];
		uint64_t next, to, from, value;
	} job = {
		.type = v[2] << 1 | 1,
		.next = next->slot ? run->handle[next->value].va : next->value,
		.to = about->slot ? run->handle[about->value].va + 64 : about->value,
		.from = 6,
		.value = v[5],
	};

	if (!mapping || !mapping->at || !mapping->shared || mapping->prot != 3 ||
	    !run->exact || mapping->object < 0 || run->object[mapping->object].given_up)
		return -EINVAL;
	if (v[2] == 120) {
		job.from = job.to + 64;
		job.value = v[5] & 0xfff;
	}
	if (v[2] == 121)
		job.to = v[5] & 7;
	/* One that hangs takes half a second, and those cannot be many. */
	if (v[2] == 122)
		job.type = 121 << 1 | 1;
	if ((v[1] & 15) * JOB_BYTES + mapping->page * FUZZ_PAGE + JOB_BYTES >
	    run->object[mapping->object].bytes)
		return -EINVAL;
	run->object[mapping->object].written = true;
	memcpy(mapping->at + (v[1] & 15) * JOB_BYTES, &job, sizeof(job));
	return 0;
}

static int do_submit(struct run *run, const uint64_t *v)
{
	const struct arg *chain = &fuzz_call->args[1];
	uint32_t handles[] = { v[1], v[3], v[4], 0 }, sync = v[5];
	struct drm_panfrost_submit args = {
		.jc = chain->slot ? run->handle[chain->value].va + (v[2] >> 4 & 15) * JOB_BYTES :
				    chain->value,
		.in_syncs = (uintptr_t)&sync,
		.in_sync_count = !!(v[2] & 4),
		.out_sync = v[2] & 8 ? v[6] : 0,
		.bo_handles = (uintptr_t)handles,
		.bo_handle_count = 3,
		.requirements = v[2] & 1 ? PANFROST_JD_REQ_FS : 0,
	};

	for (unsigned int i = 0; run->exact && i < run->objects; i++)
		run->object[i].written = true;
	/* None twice, unless it says so */
	if (!(v[2] & 2) && (v[4] == v[3] || v[4] == v[1]))
		args.bo_handle_count = 2 - (v[3] == v[1]);
	fuzz_patch(&args, sizeof(args), v[7], v[8]);
	args.bo_handle_count = fuzz_limit(args.bo_handle_count, 0x4000, 0x20000000);
	args.in_sync_count = fuzz_limit(args.in_sync_count, 0x4000, 0x20000000);
	return fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_SUBMIT, &args, v[7], v[8]);
}

static int do_counters(struct run *run, const uint64_t *v)
{
	struct drm_panfrost_perfcnt_enable args = { .enable = v[1], .counterset = v[2] };

	return fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_PERFCNT_ENABLE, &args, 0, 0);
}

static int do_dump(struct run *run, const uint64_t *v)
{
	static char counters[65536];
	struct drm_panfrost_perfcnt_dump args = { .buf_ptr = (uintptr_t)counters };

	return fuzz_ioctl(v[0], DRM_IOCTL_PANFROST_PERFCNT_DUMP, &args, v[1], v[2]);
}

/* The counters are off after a reset: ETIMEDOUT. */
const struct op fuzz_panfrost_ops[] = {
	{ "create", "fHtgiv", 12, FUZZ_PANFROST, do_create, ERRNOS(EINVAL, EFAULT, ENOMEM, ENOSPC) },
	{ "madvise", "fhabiv", 24, FUZZ_PANFROST, do_madvise,
	  ERRNOS(EINVAL, ENOENT, EFAULT), true },
	{ "map", "fhbiv", 8, FUZZ_PANFROST, do_map, ERRNOS(ENOENT, EINVAL, EFAULT), true },
	{ "offset", "fhbiv", 2, FUZZ_PANFROST, do_offset, ERRNOS(ENOENT, EINVAL, EFAULT), true },
	{ "param", "fbbiv", 1, FUZZ_PANFROST, do_param, ERRNOS(EINVAL, EFAULT) },
	{ "wait", "fhbniv", 4, FUZZ_PANFROST, do_wait,
	  ERRNOS(ENOENT, EINVAL, EFAULT, EBUSY, ETIMEDOUT), true },
	{ "job", "mbjhhn", 6, FUZZ_PANFROST, do_job, ERRNOS(EINVAL) },
	{ "submit", "fhthhssiv", 8, FUZZ_PANFROST, do_submit,
	  ERRNOS(EINVAL, ENOENT, EFAULT, ENODEV, ENOMEM, EALREADY) },
	{ "counters", "fbb", 1, FUZZ_PANFROST, do_counters, ERRNOS(EINVAL, EBUSY, ENOSYS) },
	{ "dump", "fiv", 1, FUZZ_PANFROST, do_dump, ERRNOS(EINVAL, EFAULT, ENOSYS, ETIMEDOUT) },
	{ }
};
