// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "virtio_madvise.h"

/* Swap in memory. The priority tells it from what others may have there. */
#define ZRAM "/dev/zram0"
#define ZRAM_SYSFS "/sys/block/zram0/"
#define PRIORITY 32123

/* as mkswap writes it, at the beginning of the first page; magic at its end */
struct swap_header {
	char boot[1024];
	uint32_t version;
	uint32_t last_page;
};

static const char magic[] = "SWAPSPACE2";

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool is_on(void)
{
	FILE *file = fopen("/proc/swaps", "r");
	bool found = false;
	char line[256];
	int priority;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, ZRAM " %*s %*u %*u %d", &priority) == 1)
			found |= priority == PRIORITY;
	}
	if (file)
		fclose(file);
	return found;
}

static void write_header(uint64_t size)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	struct swap_header *header = calloc(1, page);
	int fd = open(ZRAM, O_WRONLY);
	bool ok;

	header->version = 1;
	header->last_page = size / page - 1;
	memcpy((char *)header + page - strlen(magic), magic, strlen(magic));
	ok = fd >= 0 && write(fd, header, page) == (ssize_t)page && !fsync(fd);
	free(header);
	close(fd);
	igt_assert_f(ok, "writing a swap header to " ZRAM ": %s\n", strerror(errno));
}

/* On a machine that has none, so that all that is evicted can only go there. */
void vg_swap_on(uint64_t size)
{
	char text[32];

	if (vg_file_value("/proc/meminfo", "SwapTotal"))
		igt_skip("needs a machine without swap\n");
	snprintf(text, sizeof(text), "%" PRIu64, size);
	if (!write_text(ZRAM_SYSFS "disksize", text))
		igt_skip("needs a " ZRAM " that nobody uses: %s\n", strerror(errno));
	write_header(size);
	igt_assert_f(!swapon(ZRAM, SWAP_FLAG_PREFER | PRIORITY), "swapon: %s\n",
		     strerror(errno));
}

/* Also for what a failed subtest left. What is still in it comes back to memory. */
void vg_swap_off(void)
{
	if (!is_on())
		return;
	igt_assert_f(!swapoff(ZRAM), "swapoff: %s\n", strerror(errno));
	igt_assert_f(write_text(ZRAM_SYSFS "reset", "1"), "resetting " ZRAM ": %s\n",
		     strerror(errno));
}

/*
 * Takes memory in another process, which is the one to be killed if one is, until a line
 * of /proc/meminfo is down to so many KiB, and lets go of it.
 */
void vg_squeeze(const char *key, uint64_t goal)
{
	uint64_t limit = vg_file_value("/proc/meminfo", "MemAvailable") +
			 vg_file_value("/proc/meminfo", "Shmem") +
			 vg_file_value("/proc/meminfo", "SwapFree");

	igt_fork(hog, 1) {
		uint64_t taken = 0;

		write_text("/proc/self/oom_score_adj", "1000");
		while (vg_file_value("/proc/meminfo", key) > goal) {
			igt_assert_f(taken < limit, "%s is not down to %" PRIu64 " KiB with %"
				     PRIu64 " KiB taken\n", key, goal, taken);
			igt_assert(mmap(NULL, VG_MIB, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
					0) != MAP_FAILED);
			taken += VG_MIB / VG_KIB;
		}
	}
	igt_waitchildren();
}

/*
 * Evicts so many BOs, of @size in all, and goes on until that much has been written to swap
 * and is not in memory any more, whether or not the kernel is in a hurry to do so. Shmem
 * is counted per CPU, so some pages may be overlooked.
 */
void vg_expect_swapped_out(unsigned int bos, uint64_t size)
{
	uint64_t written = vg_file_value("/proc/vmstat", "pswpout");
	uint64_t shmem = vg_file_value("/proc/meminfo", "Shmem");
	uint64_t least = size / VG_KIB * 15 / 16;

	igt_assert_f(shmem > least, "only %" PRIu64 " KiB of shmem\n", shmem);
	vg_expect_evicted(bos);
	vg_squeeze("Shmem", shmem - least);
	written = (vg_file_value("/proc/vmstat", "pswpout") - written) *
		  sysconf(_SC_PAGESIZE) / VG_KIB;
	igt_assert_f(written >= least, "only %" PRIu64 " KiB written to swap\n", written);
}
