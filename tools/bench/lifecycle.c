// SPDX-License-Identifier: GPL-2.0-only
/*
 * What BOs cost whose owner gives no advice; the same program runs on both kernels.
 *
 * usage: lifecycle create	create, mmap, touch and close of a BO of 64 KiB; close alone
 *	  lifecycle exec COUNT	execbuffer with COUNT BOs (needs virgl)
 */
#include "bench.h"

#define SIZE	(16 * PAGE)
#define SAMPLES	200

static void create(void)
{
	uint64_t best = UINT64_MAX, best_close = UINT64_MAX;

	for (unsigned int i = 0; i < SAMPLES; i++) {
		uint64_t begin = now(), closing, end;
		uint32_t bo = bo_create(SIZE);
		char *p = bo_map(bo, SIZE);

		for (uint64_t at = 0; at < SIZE; at += PAGE)
			p[at] = 1;
		munmap(p, SIZE);
		bo_wait(bo);
		closing = now();
		bo_close(bo);
		end = now();
		if (end - begin < best)
			best = end - begin;
		if (end - closing < best_close)
			best_close = end - closing;
		/* what the host answers is not to fall into the next sample */
		usleep(1000);
	}
	result("create-touch-close", best);
	result("close-attached", best_close);
}

static void exec(unsigned int nr)
{
	uint32_t *bos = bo_create_many(nr, PAGE), nop = 0;
	struct drm_virtgpu_execbuffer args = {
		.size = sizeof(nop),
		.command = (uintptr_t)&nop,
		.bo_handles = (uintptr_t)bos,
		.num_bo_handles = nr,
	};
	uint64_t best = UINT64_MAX;
	char name[32];

	if (!has_3d())
		die("no virgl");
	for (unsigned int i = 0; i < SAMPLES; i++) {
		uint64_t begin = now(), end;

		drm(DRM_IOCTL_VIRTGPU_EXECBUFFER, &args, "EXECBUFFER");
		end = now();
		if (end - begin < best)
			best = end - begin;
		bo_wait(bos[nr - 1]);
	}
	snprintf(name, sizeof(name), "exec-%u", nr);
	result(name, best);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	open_gpu();
	if (!strcmp(what, "create"))
		create();
	else if (!strcmp(what, "exec") && argc == 3)
		exec(atoi(argv[2]));
	else
		die("create or exec COUNT?");
	return 0;
}
