// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes to purge idle BOs, against ftruncate(0) of a memfd with as many touched
 * pages, and against closing as many, for which the host destroys as many resources.
 *
 * usage: purge scan COUNT SIZE-KIB REPEATS
 *	  purge mapped COUNT SIZE-KIB REPEATS	with CPU mappings, as the memfd's
 *	  purge drop REPEATS	1000 BOs of 256 KiB by writes to drop_caches, how many, and
 *				how many waits for the host
 */
#include "bench.h"

static uint64_t resident;

/* with touched pages, and idle; mapped at @maps, unless there is none */
static uint32_t *create_touched(unsigned int nr, uint64_t size, char **maps)
{
	uint32_t *bos = bo_create_many(nr, size);

	for (unsigned int i = 0; i < nr; i++) {
		char *p = bo_map(bos[i], size);

		for (uint64_t at = 0; at < size; at += PAGE)
			p[at] = 1;
		if (maps)
			maps[i] = p;
		else
			munmap(p, size);
	}
	return bos;
}

static void by_file(void)
{
	write_file(SHRINKER, "100000000");
}

static void by_drop_caches(void)
{
	write_file("/proc/sys/vm/drop_caches", "2");
}

/* what it took, how many calls of @drop, and how many waits for the host */
static double purge(void (*drop)(void), unsigned int nr, uint64_t size, int mapped,
		    unsigned int *calls, unsigned int *waits)
{
	char **maps = mapped ? calloc(nr, sizeof(*maps)) : NULL;
	uint32_t *bos = create_touched(nr, size, maps);
	uint64_t want = nr * size / PAGE, before, begin;
	double ns;

	/* what is not ours goes first: dentries and such */
	if (drop == by_drop_caches)
		write_file("/proc/sys/vm/drop_caches", "3");
	before = counter("purged_pages");
	*waits = counter("host_waits");
	for (unsigned int i = 0; i < nr; i++)
		bo_madvise(bos[i], VIRTGPU_MADV_DONTNEED);
	*calls = 0;
	begin = now();
	do {
		drop();
		ns = now() - begin;
	} while (++*calls < 100 && counter("purged_pages") - before < want);
	if (counter("purged_pages") - before != want)
		die("%llu of %llu pages were purged",
		    (unsigned long long)(counter("purged_pages") - before),
		    (unsigned long long)want);
	*waits = counter("host_waits") - *waits;
	for (unsigned int i = 0; i < nr; i++) {
		if (mapped)
			munmap(maps[i], size);
		bo_close(bos[i]);
	}
	free(bos);
	free(maps);
	return ns;
}

static double truncate_memfd(uint64_t size, int mapped)
{
	uint64_t begin;
	double ns;
	void *map;
	int fd = memfd_create_touched(size, &map);

	if (!mapped)
		munmap(map, size);
	begin = now();
	if (ftruncate(fd, 0))
		die("ftruncate");
	ns = now() - begin;
	if (mapped)
		munmap(map, size);
	close(fd);
	return ns;
}

/*
 * Until the host has done what comes after the last UNREF. With a context an UNREF is sent
 * when the host has answered that the BO is detached from that, and then the BO is gone.
 */
static double close_all(unsigned int nr, uint64_t size)
{
	uint32_t *bos = create_touched(nr, size, NULL), after;
	uint64_t begin = now();
	double ns;

	for (unsigned int i = 0; i < nr; i++)
		bo_close(bos[i]);
	/* the CPU is for those who do it */
	while (counter("resident_pages") > resident)
		usleep(500);
	after = bo_create(PAGE);
	bo_wait(after);
	ns = now() - begin;
	bo_close(after);
	free(bos);
	return ns;
}

static void report(const char *what, unsigned int nr, unsigned int kib, double value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-%ux%u", what, nr, kib);
	result(name, value);
}

static void scan(unsigned int nr, unsigned int kib, unsigned int repeats, int mapped)
{
	double purged[16], truncated[16], closed, least = 0;
	unsigned int waits = 0, calls;

	for (unsigned int r = 0; r < repeats; r++) {
		purged[r] = purge(by_file, nr, kib * 1024ull, mapped, &calls, &waits);
		if (calls != 1)
			die("it took %u scans", calls);
		truncated[r] = truncate_memfd(nr * kib * 1024ull, mapped);
		if (mapped)
			continue;
		closed = close_all(nr, kib * 1024ull);
		if (!r || closed < least)
			least = closed;
	}
	report(mapped ? "mapped" : "purge", nr, kib, median(purged, repeats));
	report(mapped ? "truncate-mapped" : "truncate", nr, kib, median(truncated, repeats));
	if (mapped)
		return;
	/* many small steps of guest and host by turns: at times it takes ten times as long */
	report("close", nr, kib, least);
	report("waits", nr, kib, waits);
}

static void drop(unsigned int repeats)
{
	unsigned int calls, most = 0, waits;
	double dropped[16], truncated[16];

	for (unsigned int r = 0; r < repeats; r++) {
		dropped[r] = purge(by_drop_caches, 1000, 64 * PAGE, 0, &calls, &waits);
		truncated[r] = truncate_memfd(1000 * 64 * PAGE, 0);
		most = calls > most ? calls : most;
	}
	result("drop-caches", median(dropped, repeats));
	result("drop-caches-truncate", median(truncated, repeats));
	result("drop-caches-writes", most);
	result("drop-caches-waits", waits);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int repeats = argc > 2 ? atoi(argv[argc - 1]) : 0;

	if (repeats < 1 || repeats > 16)
		die("1 to 16 REPEATS?");
	open_gpu();
	resident = counter("resident_pages");
	if (argc == 5 && (!strcmp(what, "scan") || !strcmp(what, "mapped")))
		scan(atoi(argv[2]), atoi(argv[3]), repeats, !strcmp(what, "mapped"));
	else if (argc == 3 && !strcmp(what, "drop"))
		drop(repeats);
	else
		die("scan or mapped COUNT SIZE-KIB REPEATS, or drop REPEATS?");
	return 0;
}
