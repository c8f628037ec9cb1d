// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a program waits for its next 64 MiB when memory is short and half of what BOs
 * have was given up, against clean page cache of the same size in place of that half.
 *
 * usage: pressure MIB DEVICE REPEATS
 *	  MIB of BOs, half of them in use; DEVICE: a block device of at least half of that
 */
#include "bench.h"

#include <sys/wait.h>

#define SIZE	(256 * 1024ul)
#define MIB	(1024 * 1024ul)
#define STEP	(64 * MIB)

/* without the pages of BOs, which are shmem */
static unsigned long page_cache_kib(void)
{
	return meminfo_kib("Buffers") + meminfo_kib("Cached") - meminfo_kib("Shmem");
}

static void *take(uint64_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	for (uint64_t at = 0; at < size; at += PAGE)
		p[at] = 1;
	return p;
}

/* In a process of its own, which gives all back: fills what is free, then takes the step. */
static double next_step(void)
{
	int pipes[2];
	double ns = 0;

	if (pipe(pipes))
		die("pipe");
	if (!fork()) {
		uint64_t begin;

		/* what kswapd keeps free is not to be had without it */
		while (meminfo_kib("MemFree") > 12 * 1024)
			take(MIB);
		begin = now();
		take(STEP);
		ns = now() - begin;
		if (write(pipes[1], &ns, sizeof(ns)) != sizeof(ns))
			_exit(1);
		_exit(0);
	}
	close(pipes[1]);
	if (read(pipes[0], &ns, sizeof(ns)) != sizeof(ns))
		die("the hog did not get its 64 MiB");
	close(pipes[0]);
	wait(NULL);
	return ns;
}

static double with_bos(unsigned int nr)
{
	uint32_t *bos = bo_create_many(nr, SIZE);
	uint64_t before = counter("purged_pages");
	double ns;

	for (unsigned int i = 0; i < nr; i++)
		bo_madvise(bos[i], VIRTGPU_MADV_DONTNEED);
	ns = next_step();
	if (counter("purged_pages") - before < STEP / PAGE / 4)
		die("only %llu pages were purged",
		    (unsigned long long)(counter("purged_pages") - before));
	for (unsigned int i = 0; i < nr; i++)
		bo_close(bos[i]);
	free(bos);
	return ns;
}

static double with_page_cache(const char *device, uint64_t size)
{
	int fd = open(device, O_RDONLY);
	unsigned long before, after;
	static char buffer[MIB];
	double ns;

	if (fd < 0)
		die("%s", device);
	for (uint64_t at = 0; at < size; at += MIB)
		if (pread(fd, buffer, MIB, at) != (ssize_t)MIB)
			die("%s has no %llu MiB", device, (unsigned long long)(size / MIB));
	before = page_cache_kib();
	if (before < size / 1024)
		die("what was read is not in the page cache");
	ns = next_step();
	after = page_cache_kib();
	if (after + STEP / 1024 / 4 > before)
		die("the page cache shrank from %lu to %lu KiB only", before, after);
	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("fadvise");
	close(fd);
	return ns;
}

int main(int argc, char **argv)
{
	double bos[16], cache[16];
	unsigned int repeats;
	uint64_t half;

	if (argc != 4 || atoi(argv[3]) > 16)
		die("MIB DEVICE REPEATS?");
	half = atoi(argv[1]) / 2 * MIB;
	repeats = atoi(argv[3]);
	open_gpu();
	bo_create_many(half / SIZE, SIZE);

	for (unsigned int i = 0; i < repeats; i++) {
		bos[i] = with_bos(half / SIZE);
		cache[i] = with_page_cache(argv[2], half);
	}
	result("step-bos", median(bos, repeats));
	result("step-page-cache", median(cache, repeats));
	return 0;
}
