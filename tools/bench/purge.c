// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes to purge idle BOs, against ftruncate(0) of a memfd with as many touched
 * pages, and against closing as many: what the host takes to destroy their resources.
 *
 * usage: purge scan COUNT SIZE-KIB REPEATS
 *	  purge drop	how many writes to drop_caches purge 1000 BOs
 */
#include "bench.h"

/* with touched pages, and idle */
static uint32_t *create_touched(unsigned int nr, uint64_t size)
{
	uint32_t *bos = bo_create_many(nr, size);

	for (unsigned int i = 0; i < nr; i++) {
		char *p = bo_map(bos[i], size);

		for (uint64_t at = 0; at < size; at += PAGE)
			p[at] = 1;
		munmap(p, size);
	}
	return bos;
}

static double purge(unsigned int nr, uint64_t size, unsigned int *waits)
{
	uint32_t *bos = create_touched(nr, size);
	uint64_t pages = counter("purged_pages"), before = counter("host_waits"), begin;
	double ns;

	for (unsigned int i = 0; i < nr; i++)
		bo_madvise(bos[i], VIRTGPU_MADV_DONTNEED);
	begin = now();
	write_file(SHRINKER, "100000000");
	ns = now() - begin;
	pages = counter("purged_pages") - pages;
	if (pages != nr * size / PAGE)
		die("%llu of %llu pages were purged", (unsigned long long)pages,
		    (unsigned long long)(nr * size / PAGE));
	*waits = counter("host_waits") - before;
	for (unsigned int i = 0; i < nr; i++)
		bo_close(bos[i]);
	free(bos);
	return ns;
}

static double truncate_memfd(uint64_t size)
{
	uint64_t begin;
	double ns;
	void *map;
	int fd = memfd_create_touched(size, &map);

	munmap(map, size);
	begin = now();
	if (ftruncate(fd, 0))
		die("ftruncate");
	ns = now() - begin;
	close(fd);
	return ns;
}

/* What the host takes to let go: until it has done what comes after the last UNREF. */
static double close_all(unsigned int nr, uint64_t size)
{
	uint32_t *bos = create_touched(nr, size), after;
	uint64_t begin = now();
	double ns;

	for (unsigned int i = 0; i < nr; i++)
		bo_close(bos[i]);
	after = bo_create(PAGE);
	bo_wait(after);
	ns = now() - begin;
	bo_close(after);
	free(bos);
	return ns;
}

static void by_scan(unsigned int nr, unsigned int kib, unsigned int repeats)
{
	double purged[16], truncated[16], closed[16];
	unsigned int waits = 0;
	char name[64];

	if (repeats > 16)
		die("at most 16 repeats");
	for (unsigned int r = 0; r < repeats; r++) {
		purged[r] = purge(nr, kib * 1024ull, &waits);
		truncated[r] = truncate_memfd(nr * kib * 1024ull);
		closed[r] = close_all(nr, kib * 1024ull);
	}
	snprintf(name, sizeof(name), "purge-%ux%u", nr, kib);
	result(name, median(purged, repeats));
	snprintf(name, sizeof(name), "truncate-%ux%u", nr, kib);
	result(name, median(truncated, repeats));
	snprintf(name, sizeof(name), "close-%ux%u", nr, kib);
	result(name, median(closed, repeats));
	snprintf(name, sizeof(name), "waits-%ux%u", nr, kib);
	result(name, waits);
}

static void by_drop_caches(void)
{
	uint32_t *bos = bo_create_many(1000, 64 * PAGE);
	uint64_t before = counter("purged_bos");
	unsigned int writes = 0;

	for (unsigned int i = 0; i < 1000; i++)
		bo_madvise(bos[i], VIRTGPU_MADV_DONTNEED);
	while (counter("purged_bos") - before < 1000) {
		if (writes++ == 100)
			die("%llu of 1000 purged after 100 writes",
			    (unsigned long long)(counter("purged_bos") - before));
		write_file("/proc/sys/vm/drop_caches", "2");
	}
	result("drop-caches-writes", writes);
	for (unsigned int i = 0; i < 1000; i++)
		bo_close(bos[i]);
}

int main(int argc, char **argv)
{
	open_gpu();
	if (argc == 5 && !strcmp(argv[1], "scan"))
		by_scan(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	else if (argc == 2 && !strcmp(argv[1], "drop"))
		by_drop_caches();
	else
		die("scan COUNT SIZE-KIB REPEATS, or drop?");
	return 0;
}
