// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must not depend on how many BOs there are.
 *
 * usage: many cpu COUNT	pairs of DONTNEED and WILLNEED, and RESOURCE_INFO, round robin
 *				over COUNT BOs; the scan that then takes them all off the
 *				list, per BO; a scan that frees nothing among as many
 *	  many find COUNT	finding 100 purgeable BOs among COUNT that are in use, all
 *				of which were given up and taken back before: right after
 *				that, and once a scan has been there
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
	uint64_t before = counter("purged_bos"), scans = counter("scans"), begin;
	double first, nothing;
	char name[64];

	snprintf(name, sizeof(name), "pair-%u", nr);
	result(name, cost(pair, bos, nr, calls));
	snprintf(name, sizeof(name), "info-%u", nr);
	result(name, cost(info_twice, bos, nr, calls));
	if (counter("scans") != scans)
		die("memory got short");

	/* each BO is on the list that scans walk, and wanted */
	begin = now();
	scan(0);
	first = now() - begin;
	nothing = cost(scan, bos, nr, 1);
	if (counter("scans") - scans != 1 + SAMPLES)
		die("%llu scans", (unsigned long long)(counter("scans") - scans));
	if (counter("purged_bos") != before)
		die("something was purged");
	if (first - nothing < 10.0 * nr)
		die("there was nothing on the list");
	snprintf(name, sizeof(name), "first-scan-%u", nr);
	result(name, (first - nothing) / nr);
	snprintf(name, sizeof(name), "scan-%u", nr);
	result(name, nothing);
}

static void find(unsigned int nr)
{
	uint32_t *bos = bo_create_many(nr, PAGE);
	double values[1 + SAMPLES];
	char name[64];

	for (unsigned int i = 0; i < nr; i++)
		pair(bos[i]);
	for (unsigned int s = 0; s < 1 + SAMPLES; s++) {
		uint32_t *idle = bo_create_many(100, PAGE);
		uint64_t before = counter("purged_bos"), scans = counter("scans"), begin;

		for (unsigned int i = 0; i < 100; i++)
			bo_madvise(idle[i], VIRTGPU_MADV_DONTNEED);
		begin = now();
		write_file(SHRINKER, "1000000");
		values[s] = now() - begin;
		if (counter("scans") - scans != 1)
			die("%llu scans", (unsigned long long)(counter("scans") - scans));
		if (counter("purged_bos") - before != 100)
			die("%llu of 100 were found",
			    (unsigned long long)(counter("purged_bos") - before));
		for (unsigned int i = 0; i < 100; i++)
			bo_close(idle[i]);
		free(idle);
	}
	snprintf(name, sizeof(name), "find-100-first-of-%u", nr);
	result(name, values[0]);
	snprintf(name, sizeof(name), "find-100-of-%u", nr);
	result(name, median(values + 1, SAMPLES));
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
