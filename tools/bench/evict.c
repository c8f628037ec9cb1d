// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long it takes to evict idle BOs to zram and to bring them back, against MADV_PAGEOUT
 * of a memfd of the same size and touching that. Contents are verified.
 *
 * usage: evict MIB REPEATS
 */
#include "bench.h"

#include <sys/swap.h>

#define SIZE	(256 * 1024ul)

/* the header of a swap area, see the kernel's union swap_header */
static void swap_on_zram(uint64_t mib)
{
	struct {
		char boot[1024];
		uint32_t version, last_page, bad_pages;
		char unused[PAGE - 1024 - 12 - 10];
		char magic[10];
	} header = { .version = 1, .last_page = mib * 256 - 1, .magic = "SWAPSPACE2" };
	char text[32];
	int fd;

	snprintf(text, sizeof(text), "%lluM", (unsigned long long)mib);
	write_file("/sys/block/zram0/disksize", text);
	fd = open("/dev/zram0", O_RDWR);
	if (fd < 0 || write(fd, &header, PAGE) != (ssize_t)PAGE || fsync(fd))
		die("zram0");
	close(fd);
	if (swapon("/dev/zram0", 0))
		die("swapon");
}

/* pages, since the guest is up */
static uint64_t swapped_out(void)
{
	unsigned long long pages;
	char line[128];
	FILE *f = fopen("/proc/vmstat", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "pswpout %llu", &pages) == 1) {
			fclose(f);
			return pages;
		}
	}
	die("no pswpout in /proc/vmstat");
}

/* half of each page compresses */
static void fill(uint64_t *p, uint64_t seed)
{
	for (uint64_t i = 0; i < SIZE / 8; i++) {
		uint64_t x = (seed << 32 ^ i) * 0x9e3779b97f4a7c15ull;

		p[i] = i % 512 < 256 ? x ^ x >> 29 : seed;
	}
}

static int is_filled(const uint64_t *p, uint64_t seed)
{
	for (uint64_t i = 0; i < SIZE / 8; i += 512) {
		uint64_t x = (seed << 32 ^ i) * 0x9e3779b97f4a7c15ull;

		if (p[i] != (x ^ x >> 29))
			return 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	unsigned int nr, repeats;
	double out[16], in[16], memfd_out[16], memfd_in[16];
	uint32_t *bos;
	uint64_t **maps;
	char *file;
	void *map;
	int fd;

	if (argc != 3 || atoi(argv[2]) > 16)
		die("MIB REPEATS?");
	nr = atoi(argv[1]) * 4;
	repeats = atoi(argv[2]);
	open_gpu();
	swap_on_zram(nr);

	bos = bo_create_many(nr, SIZE);
	maps = calloc(nr, sizeof(*maps));
	for (unsigned int i = 0; i < nr; i++) {
		maps[i] = bo_map(bos[i], SIZE);
		fill(maps[i], i);
	}
	for (unsigned int r = 0; r < repeats; r++) {
		uint64_t begin, before = counter("evicted_bos"), back = counter("swapped_in_bos");
		uint64_t written = swapped_out();

		begin = now();
		/* a scan passes over what was used since the last one: once */
		while (counter("evicted_bos") - before < nr) {
			uint64_t last = counter("evicted_bos");

			write_file(SHRINKER, "evict 100000000");
			if (counter("evicted_bos") == last &&
			    (write_file(SHRINKER, "evict 100000000"),
			     counter("evicted_bos") == last))
				die("%llu of %u evicted", (unsigned long long)(last - before), nr);
		}
		out[r] = now() - begin;
		written = swapped_out() - written;
		if (written < nr * SIZE / PAGE / 20 * 19)
			die("only %llu of %llu pages were written", (unsigned long long)written,
			    (unsigned long long)(nr * SIZE / PAGE));
		begin = now();
		for (unsigned int i = 0; i < nr; i++)
			for (uint64_t at = 0; at < SIZE / 8; at += PAGE / 8)
				((volatile uint64_t *)maps[i])[at];
		in[r] = now() - begin;
		if (counter("swapped_in_bos") - back != nr)
			die("%llu of %u came back",
			    (unsigned long long)(counter("swapped_in_bos") - back), nr);
		for (unsigned int i = 0; i < nr; i++)
			if (!is_filled(maps[i], i))
				die("BO %u has other contents", i);
	}
	for (unsigned int i = 0; i < nr; i++) {
		munmap(maps[i], SIZE);
		bo_close(bos[i]);
	}

	fd = memfd_create_touched(nr * SIZE, &map);
	file = map;
	for (unsigned int i = 0; i < nr; i++)
		fill((uint64_t *)(file + i * SIZE), i);
	for (unsigned int r = 0; r < repeats; r++) {
		uint64_t begin = now();
		unsigned char *core = malloc(nr * SIZE / PAGE);
		uint64_t left = 0;

		if (madvise(file, nr * SIZE, MADV_PAGEOUT))
			die("MADV_PAGEOUT");
		memfd_out[r] = now() - begin;
		if (mincore(file, nr * SIZE, core))
			die("mincore");
		for (uint64_t i = 0; i < nr * SIZE / PAGE; i++)
			left += core[i] & 1;
		if (left > nr * SIZE / PAGE / 20)
			die("%llu pages of the memfd are still there", (unsigned long long)left);
		free(core);
		begin = now();
		for (uint64_t at = 0; at < nr * SIZE; at += PAGE)
			((volatile char *)file)[at];
		memfd_in[r] = now() - begin;
	}
	close(fd);

	result("evict", median(out, repeats));
	result("swapin", median(in, repeats));
	result("memfd-pageout", median(memfd_out, repeats));
	result("memfd-touch", median(memfd_in, repeats));
	return 0;
}
