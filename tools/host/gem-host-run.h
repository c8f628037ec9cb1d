/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What gem-host.c and gem-host-dead.c have in common: what a run counts, how it talks to the
 * host, and what it does with BOs.
 */
#ifndef GEM_HOST_RUN_H
#define GEM_HOST_RUN_H

#include <stdarg.h>
#include <stdatomic.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <termios.h>

#include "gem-host.h"

#define MAX_BOS		1024
#define CALL_BOUND_MS	10000	/* 100 ms for each batch, and the rest for a slow CPU */
#define WAIT_BOUND_US	10000000	/* for one batch; a busy machine has made it 2 s */
#define REMOVE_BOUND_MS	15000

static struct bo bos[MAX_BOS];
static int control_fd;
static unsigned int failures, faults;
static uint64_t lost;
static long base_kib, longest_wait_us = -1;
static atomic_ulong ops, longest_ms;
static atomic_bool in_call;

static inline void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("HOST FAIL ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	failures++;
}

/* There is no event for what this is used for. */
#define until(condition, seconds) ({						\
	uint64_t end_ = now_ms() + (seconds) * 1000;				\
	while (!(condition) && now_ms() < end_)					\
		usleep(5000);							\
	(condition);								\
})

/* Returns when the host has it. */
static inline void control(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vdprintf(control_fd, fmt, args);
	va_end(args);
	tcdrain(control_fd);
}

/* Tells virgl-preload.c what to do. */
static inline void host(unsigned int delay_min, unsigned int delay_max, unsigned int refuse,
			unsigned int attach, unsigned int error)
{
	control("delay %u %u refuse %u attach %u error %u\n", delay_min, delay_max, refuse,
		attach, error);
}

/* One call of the shrinker, which must return soon whatever the host does. */
static inline void reclaim(const char *what)
{
	uint64_t begin = now_ms(), ms;

	in_call = true;
	if (stats_write(what)) {
		/* the device is gone */
		if (errno != ENOENT && errno != EIO)
			fail("%s: %s", what, strerror(errno));
		usleep(1000);
	}
	in_call = false;
	ops++;
	ms = now_ms() - begin;
	if (ms > longest_ms)
		longest_ms = ms;
}

/* Calls it until there is nothing left under KEY. */
static inline void reclaim_all(const char *what, const char *key, unsigned int seconds)
{
	uint64_t end = now_ms() + seconds * 1000;

	while (counter(key) > 0 && now_ms() < end) {
		reclaim(what);
		until(counter("late_batches") <= 0, 5);
	}
}

/* Fills BOs and uploads them; of each four, GIVEN_UP are. */
static inline void fill(int fd, unsigned int count, unsigned int given_up)
{
	struct bo *bo;

	for (bo = bos; bo < bos + count; bo++) {
		if (bo_create(fd, bo)) {
			fail("create: %s", strerror(errno));
			continue;
		}
		bo_fill(bo);
		if (bo_upload(bo))
			fail("upload: %s", strerror(errno));
	}
	for (bo = bos; bo < bos + count; bo++) {
		if (bo_wait(bo))
			fail("wait: %s", strerror(errno));
		if ((bo - bos) % 4 < given_up)
			bo_madvise(bo, VIRTGPU_MADV_DONTNEED);
		ops++;
	}
}

/* Uses all that were not given up once more. */
static inline void upload_again(unsigned int count)
{
	for (struct bo *bo = bos; bo < bos + count; bo++) {
		if (!bo->given_up && (bo_upload(bo) || bo_wait(bo)))
			fail("upload again: %s", strerror(errno));
		ops++;
	}
}

/* Takes back what was given up and looks at all that should be there. */
static inline void verify(unsigned int count, bool purged)
{
	unsigned int gone = 0, kept = 0, live = 0;

	for (struct bo *bo = bos; bo < bos + count; bo++) {
		bool given_up = bo->given_up;
		int retained = given_up ? bo_madvise(bo, VIRTGPU_MADV_WILLNEED) : 1;

		if (retained < 0)
			fail("WILLNEED: %s", strerror(errno));
		live += !given_up;
		gone += given_up && !retained;
		kept += given_up && retained;
		if (retained > 0 && !bo_intact(bo)) {
			lost += BO_SIZE;
			fail("BO %u has lost its contents", bo->number);
		}
		ops++;
	}
	printf("HOST live %u, given up %u, of these purged %u\n", live, gone + kept, gone);
	if (purged && kept)
		fail("%u BOs were not purged", kept);
}

static inline void close_all(void)
{
	for (struct bo *bo = bos; bo < bos + MAX_BOS; bo++)
		bo_close(bo);
}

/* KiB in files that are in memory, with what the CPUs have yet to count */
static inline long all_shmem(void)
{
	if (write_file("/proc/sys/vm/stat_refresh", "1"))
		fail("stat_refresh");
	return meminfo("Shmem");
}

/* KiB in BOs */
static inline long shmem(void)
{
	long kib = all_shmem() - base_kib;

	return kib < 0 ? 0 : kib;
}

/* The figure starts anew with each device. */
static inline void note_longest_wait(void)
{
	long us = counter("longest_wait_us");

	if (us > longest_wait_us)
		longest_wait_us = us;
}

/* Returns the time it took. */
static inline uint64_t device_remove_timed(enum way way)
{
	uint64_t begin = now_ms(), ms;

	note_longest_wait();
	if (device_remove(way))
		fail("%s: %s", way_names[way], strerror(errno));
	ms = now_ms() - begin;
	if (ms > REMOVE_BOUND_MS)
		fail("%s took %llu ms", way_names[way], (unsigned long long)ms);
	return ms;
}

static inline void run_begin(void)
{
	struct termios raw;

	setvbuf(stdout, NULL, _IOLBF, 0);
	control_fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
	tcgetattr(control_fd, &raw);
	cfmakeraw(&raw);
	tcsetattr(control_fd, TCSANOW, &raw);
	for (struct bo *bo = bos; bo < bos + MAX_BOS; bo++)
		bo->fd = -1;
	if (system("echo 512M >/sys/block/zram0/disksize &&"
		   "mkswap /dev/zram0 >/dev/null && swapon /dev/zram0"))
		fail("no swap");
	device_find();
	base_kib = all_shmem();
}

/* What nobody has a pointer to, and nothing younger than 5 s. The runner sees what is said. */
static inline void look_for_leaks(void)
{
	if (access("/sys/kernel/debug/kmemleak", W_OK))
		return;
	sleep(5);
	if (system("echo scan >/sys/kernel/debug/kmemleak && echo scan >/sys/kernel/debug/kmemleak &&"
		   "cat /sys/kernel/debug/kmemleak"))
		fail("kmemleak has given up");
}

/* Says what came of it. Not left to init: a task may be left that waits for the device. */
static inline void run_end(void)
{
	char wait[24] = "-";
	long left;

	note_longest_wait();
	if (longest_wait_us >= 0)
		snprintf(wait, sizeof(wait), "%ld", longest_wait_us);
	printf("HOST longest wait for the device %s us, longest call of the shrinker %lu ms\n", wait,
	       longest_ms);
	if (longest_ms > CALL_BOUND_MS || longest_wait_us > WAIT_BOUND_US)
		fail("reclaim took too long");
	/* What there was at the beginning may have gone to swap. */
	if (swapoff("/dev/zram0"))
		fail("swapoff: %s", strerror(errno));
	until(!shmem(), 5);
	left = shmem();
	if (left)
		fail("%ld KiB of BOs left", left);
	look_for_leaks();
	printf("TALLY ops=%lu faults=%u failures=%u lost=%llu leaked=%llu wait=%s\n", ops, faults,
	       failures, (unsigned long long)lost, left * 1024ULL, wait);
	printf("GUEST-EXIT: %d\n", failures != 0);
	tcdrain(1);
	reboot(RB_POWER_OFF);
}

#endif
