// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must not depend on how many BOs there are.
 *
 * usage: many cpu COUNT	pairs of DONTNEED and WILLNEED, and RESOURCE_INFO, round robin
 *				over COUNT BOs; a scan that frees nothing among as many
 *	  many find COUNT	finding 100 purgeable BOs among COUNT that are in use
 */
#include "bench.h"

#define SAMPLES	9

/* the least of a few */
static double cost(void (*op)(uint32_t bo), const uint32_t *bos, unsigned int nr,
		   unsigned int calls)
{
	uint64_t best = UINT64_MAX, begin, end;

	for (unsigned int sample = 0; sample < SAMPLES; sample++) {
		begin = now();
		for (unsigned int i = 0; i < calls; i++)
			op(bos[i % nr]);
		end = now();
		if (end - begin < best)
			best = end - begin;
	}
	return (double)best / calls;
}

static void scan(uint32_t bo)
{
	(void)bo;
	write_file(SHRINKER, "1000000");
}

static void cpu(unsigned int nr)
{
	uint32_t *bos = bo_create_many(nr, PAGE);
	unsigned int calls = nr < 1000 ? 1000 : nr;
	uint64_t before = counter("purged_bos");
	char name[64];

	snprintf(name, sizeof(name), "scan-%u", nr);
	result(name, cost(scan, bos, nr, 1));
	snprintf(name, sizeof(name), "pair-%u", nr);
	result(name, cost(pair, bos, nr, calls));
	snprintf(name, sizeof(name), "info-%u", nr);
	result(name, cost(info_twice, bos, nr, calls));
	if (counter("purged_bos") != before)
		die("something was purged");
}

static void find(unsigned int nr)
{
	double values[SAMPLES];
	char name[64];

	bo_create_many(nr, PAGE);
	for (unsigned int s = 0; s < SAMPLES; s++) {
		uint32_t *idle = bo_create_many(100, PAGE);
		uint64_t before = counter("purged_bos"), begin;

		for (unsigned int i = 0; i < 100; i++)
			bo_madvise(idle[i], VIRTGPU_MADV_DONTNEED);
		begin = now();
		write_file(SHRINKER, "1000000");
		values[s] = now() - begin;
		if (counter("purged_bos") - before != 100)
			die("%llu of 100 were found",
			    (unsigned long long)(counter("purged_bos") - before));
		for (unsigned int i = 0; i < 100; i++)
			bo_close(idle[i]);
		free(idle);
	}
	snprintf(name, sizeof(name), "find-100-of-%u", nr);
	result(name, median(values, SAMPLES));
}

int main(int argc, char **argv)
{
	open_gpu();
	if (argc == 3 && !strcmp(argv[1], "cpu"))
		cpu(atoi(argv[2]));
	else if (argc == 3 && !strcmp(argv[1], "find"))
		find(atoi(argv[2]));
	else
		die("cpu COUNT or find COUNT?");
	return 0;
}
