// SPDX-License-Identifier: GPL-2.0-only
/*
 * What BOs cost whose owner gives no advice; the same program runs on both kernels.
 *
 * usage: lifecycle create	create, mmap, touch and close of a BO of 64 KiB; close alone
 *	  lifecycle exec COUNT	execbuffer with COUNT BOs (needs virgl)
 *	  lifecycle slab COUNT	bytes that the slab allocator has for each of COUNT BOs
 */
#include "bench.h"

#define SIZE	(16 * PAGE)
#define SAMPLES	200
#define LAPS	1000

static unsigned long interrupts(void)
{
	static char text[16384];
	int fd = open("/proc/stat", O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text) - 1);
	char *intr = len > 0 ? strstr(text, "\nintr ") : NULL;

	if (!intr)
		die("no intr in /proc/stat");
	close(fd);
	return strtoul(intr + 6, NULL, 10);
}

static uint64_t begin;
static unsigned long before;

/* One begins when the host has answered all that was asked before. */
static void lap_begin(void)
{
	usleep(1000);
	before = interrupts();
	begin = now();
}

/* Keeps what a lap took, unless the host was so fast to answer that it fell into it. */
static void lap_end(double *values, unsigned int *nr)
{
	double took = now() - begin;

	if (interrupts() == before && *nr < LAPS)
		values[(*nr)++] = took;
}

static double mean(const double *values, unsigned int nr)
{
	double sum = 0;

	for (unsigned int i = 0; i < nr; i++)
		sum += values[i];
	return sum / nr;
}

/*
 * How many pieces the pages of a BO are in is chance, and each costs some instructions when
 * it is created: the mean of many is the same again, the least is not.
 */
static void create(void)
{
	static double created[LAPS], touched[LAPS], closed[LAPS];
	unsigned int creates = 0, touches = 0, closes = 0;

	for (unsigned int i = 0; creates < LAPS || touches < LAPS || closes < LAPS; i++) {
		uint32_t bo;
		char *p;

		if (i == 100 * LAPS)
			die("the host always answers at once");
		lap_begin();
		bo = bo_create(SIZE);
		lap_end(created, &creates);
		lap_begin();
		p = bo_map(bo, SIZE);
		for (uint64_t at = 0; at < SIZE; at += PAGE)
			p[at] = 1;
		munmap(p, SIZE);
		lap_end(touched, &touches);
		bo_wait(bo);
		lap_begin();
		bo_close(bo);
		lap_end(closed, &closes);
	}
	result("create-touch-close", mean(created, LAPS) + median(touched, LAPS) +
				     median(closed, LAPS));
	result("close-attached", median(closed, LAPS));
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

/* Of one page each, which is not counted. */
static void slab(unsigned int nr)
{
	unsigned long kib = meminfo_kib("Slab");
	uint32_t *bos = bo_create_many(nr, PAGE);

	bo_wait(bos[nr - 1]);
	kib = meminfo_kib("Slab") - kib;
	if (kib * 1024 / nr < 512 || kib * 1024 / nr > 8192)
		die("%lu KiB of slab for %u BOs", kib, nr);
	result("slab", kib * 1024. / nr);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	open_gpu();
	if (!strcmp(what, "create"))
		create();
	else if (!strcmp(what, "exec") && argc == 3)
		exec(atoi(argv[2]));
	else if (!strcmp(what, "slab") && argc == 3)
		slab(atoi(argv[2]));
	else
		die("create, exec COUNT or slab COUNT?");
	return 0;
}
