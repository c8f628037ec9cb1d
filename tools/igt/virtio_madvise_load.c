// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise with many BOs: what advice and purging cost, and that a
 * machine whose memory is full of BOs that nobody needs does not kill anything.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "virtio_madvise.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	igt_assert_f(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		     "%s: %s\n", path, strerror(errno));
	close(fd);
}

static struct vg_bo *create_bos(int fd, unsigned int count, uint64_t size)
{
	struct vg_bo *bos = calloc(count, sizeof(*bos));

	igt_assert(bos);
	for (unsigned int i = 0; i < count; i++)
		vg_bo_create_filled(&bos[i], fd, size, i + 1);
	return bos;
}

static void close_bos(struct vg_bo *bos, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		vg_bo_close(&bos[i]);
	free(bos);
}

/* One BO over and over, then many in turn. */
void test_madvise_fast_path(int fd)
{
	const unsigned int count = 50, pairs = 10000;
	struct vg_bo *bos = create_bos(fd, count, VG_BO_SIZE);
	unsigned int commands;

	vg_trace_start();
	for (unsigned int i = 0; i < pairs; i++) {
		struct vg_bo *bo = &bos[i < pairs / 2 ? 0 : i % count];

		igt_assert_eq(vg_bo_madvise(bo, DONTNEED), 1);
		igt_assert_eq(vg_bo_madvise(bo, WILLNEED), 1);
	}
	commands = vg_trace_commands(VG_CMD_ANY);
	igt_info("%u pairs of madvise: %u commands\n", pairs, commands);
	igt_assert_eq(commands, 0);
	/* Would it have been seen? */
	igt_assert_eq(vg_bo_upload(&bos[0]), 0);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 1);
	vg_trace_stop();

	for (unsigned int i = 0; i < count; i++)
		vg_bo_check(&bos[i]);
	close_bos(bos, count);
}

/* For clients to fill their BOs, on a slow machine. */
#define PATIENCE_MS 120000

struct flood {
	_Atomic unsigned int ready;
	_Atomic unsigned int calls;
	_Atomic bool end;
};

/*
 * In a process of its own: says one thing and then the other of many BOs, of which none is
 * purged if they are exported, and all are before long if not. To replace these takes commands,
 * as many as the ring of the device has room for.
 */
static void run_flood(struct flood *flood, bool exported, uint32_t last)
{
	const unsigned int count = 500;
	struct vg_bo *bos;
	int fd = vg_open();

	igt_assert(fd >= 0);
	bos = create_bos(fd, count, 16 * VG_KIB);
	for (unsigned int i = 0; exported && i < count; i++)
		igt_assert(vg_bo_export(&bos[i]) >= 0);
	flood->ready++;
	while (!flood->end) {
		for (unsigned int i = 0; i < count; i++) {
			igt_assert(vg_bo_madvise(&bos[i], DONTNEED) >= 0);
			if (i % 2)
				igt_assert(vg_bo_madvise(&bos[i - 1], WILLNEED) >= 0);
		}
		for (unsigned int i = 0; i < count; i++)
			igt_assert(vg_bo_madvise(&bos[i], last) >= 0);
		flood->calls += 5 * count / 2;
	}
	close_bos(bos, count);
	close(fd);
}

static struct flood *new_flood(void)
{
	struct flood *flood = mmap(NULL, sizeof(*flood), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	igt_assert(flood != MAP_FAILED);
	return flood;
}

static void wait_for_flood(const struct flood *flood)
{
	for (int ms = 0; flood->ready < 2; ms++) {
		igt_assert_f(ms < PATIENCE_MS, "a process died or is stuck\n");
		usleep(1000);
	}
}

static void end_flood(struct flood *flood)
{
	flood->end = true;
	igt_waitchildren();
	munmap(flood, sizeof(*flood));
}

/* Gives up all, once more; how many were not purged. */
static unsigned int give_up(struct vg_bo *bos, unsigned int count)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < count; i++)
		left += vg_bo_madvise(&bos[i], DONTNEED);
	return left;
}

/* What another process does neither keeps a scan from the end of the list, nor takes memory. */
void test_madvise_flood(int fd)
{
	const unsigned int count = 200, max_scans = 4, calls = 200000;
	struct flood *flood = new_flood();
	uint64_t slab, before;

	igt_fork(child, 2)
		run_flood(flood, child, WILLNEED);
	wait_for_flood(flood);

	/* once round before it counts: there is more of everything then */
	slab = before = 0;
	while (!slab || flood->calls < before + calls) {
		struct vg_bo *bos = create_bos(fd, count, 16 * VG_KIB);
		unsigned int scans = 0, left = give_up(bos, count);

		igt_assert_eq(left, count);
		for (; left && scans < max_scans; scans++) {
			vg_scan();
			left = give_up(bos, count);
		}
		igt_assert_f(!left, "%u of %u BOs left after %u scans\n", left, count, scans);
		close_bos(bos, count);
		if (!slab) {
			slab = vg_file_value("/proc/meminfo", "SUnreclaim");
			before = flood->calls;
		}
	}
	slab = vg_file_value("/proc/meminfo", "SUnreclaim") - slab;
	before = flood->calls - before;
	igt_info("%" PRIu64 " advices, slab grew by %" PRId64 " KiB\n", before, (int64_t)slab);
	end_flood(flood);
	/* not even the smallest object for each */
	igt_assert((int64_t)slab < (int64_t)before * 8 / 1024);
}

/*
 * Processes that fill the ring leave some of it to memory reclaim: a scan that finds no room has
 * asked the device for something, or the device still owes answers.
 */
void test_ring_flood(int fd)
{
	const unsigned int count = 200, rounds = 10;
	struct flood *flood = new_flood();
	unsigned int scans = 0, full = 0, idle = 0;

	igt_fork(child, 2)
		run_flood(flood, false, REPLACE);
	wait_for_flood(flood);

	for (unsigned int round = 0; round < rounds; round++) {
		struct vg_bo *bos = create_bos(fd, count, 16 * VG_KIB);
		time_t begin = time(NULL);

		give_up(bos, count);
		do {
			uint64_t refused = vg_counter("refused_driver");
			uint64_t asked = vg_counter("purged_bos") + vg_counter("host_waits") +
					 vg_counter("late_batches");

			vg_scan();
			scans++;
			if (vg_counter("refused_driver") == refused)
				continue;
			full++;
			idle += vg_counter("purged_bos") + vg_counter("host_waits") +
				vg_counter("late_batches") == asked;
		} while (give_up(bos, count) && time(NULL) - begin < PATIENCE_MS / 1000);
		igt_assert_eq(give_up(bos, count), 0);
		close_bos(bos, count);
	}
	end_flood(flood);
	igt_info("%u scans, %u found no room, %u of these before anything was asked\n", scans, full,
		 idle);
	igt_assert_eq(idle, 0);
}

void test_purge_cost(int fd)
{
	const unsigned int count = 1000, max_writes = 8, max_waits = 40;
	unsigned int writes = 0, commands, waits;
	uint64_t purged, waited;
	struct vg_bo *bos;

	if (igt_get_total_ram_mb() < 400)
		igt_skip("needs 400 MiB of RAM, not %" PRIu64 "\n", igt_get_total_ram_mb());

	bos = create_bos(fd, count, VG_BO_SIZE);
	purged = vg_counter("purged_bos");
	waited = vg_counter("host_waits");
	vg_trace_start();
	for (unsigned int i = 0; i < count; i++)
		igt_assert_eq(vg_bo_madvise(&bos[i], DONTNEED), 1);
	while (writes < max_writes && vg_counter("purged_bos") - purged < count) {
		write_file("/proc/sys/vm/drop_caches", "2");
		writes++;
	}
	purged = vg_counter("purged_bos") - purged;
	waited = vg_counter("host_waits") - waited;
	commands = vg_trace_commands(VG_CMD_ANY);
	waits = vg_trace_waits();
	igt_info("%" PRIu64 " BOs purged by %u writes to drop_caches: %u commands, %u waits\n",
		 purged, writes, commands, waits);

	igt_assert_eq(purged, count);
	igt_assert_eq(commands, count);
	igt_assert_eq(vg_trace_commands(VG_CMD_RESOURCE_UNREF), count);
	igt_assert(waits <= max_waits);
	igt_assert_eq(waited, waits);

	/* Nor is there anything left to tell the host when they are closed. */
	vg_trace_clear();
	for (unsigned int i = 0; i < count; i++)
		igt_assert_eq(vg_bo_madvise(&bos[i], WILLNEED), 0);
	close_bos(bos, count);
	igt_assert_eq(vg_trace_commands(VG_CMD_ANY), 0);
	vg_trace_stop();
}

/*
 * The load: clients fill 60 % of the RAM with BOs and give up three of four; then a hog
 * takes 90 % of what was available in the beginning less what is still needed. That is
 * far more than there would be if nothing were purged, and leaves room for programs and
 * for what the kernel needs for each BO and process.
 */
#define LOAD_PERCENT 60
#define HOG_PERCENT 90

struct load {
	unsigned int bos;	/* of one client */
	unsigned int hog_mib;
	bool hog_packs;		/* or else it is no better off in swap in memory */
	int ready[2];		/* a byte from each client that has its BOs */
	int go[2];		/* closed when they shall look at them */
};

static bool is_live(unsigned int i)
{
	return i % 4 == 3;
}

/* In a process of its own. */
static void run_client(struct load *load)
{
	unsigned int lost = 0;
	struct vg_bo *bos;
	char byte = 0;
	int fd;

	close(load->go[1]);
	fd = vg_open();
	igt_assert(fd >= 0);
	bos = create_bos(fd, load->bos, VG_BO_SIZE);
	for (unsigned int i = 0; i < load->bos; i++) {
		if (!is_live(i))
			igt_assert_eq(vg_bo_madvise(&bos[i], DONTNEED), 1);
	}
	igt_assert(write(load->ready[1], &byte, 1) == 1);
	igt_assert(read(load->go[0], &byte, 1) == 0);

	for (unsigned int i = 0; i < load->bos; i++) {
		int retained = vg_bo_madvise(&bos[i], WILLNEED);

		if (is_live(i))
			igt_assert_eq(retained, 1);
		if (retained)
			vg_bo_check(&bos[i]);
		else
			lost++;
	}
	igt_info("client: %u of %u BOs purged, the others intact\n", lost, load->bos);
	close_bos(bos, load->bos);
	close(fd);
}

/* In a process of its own; it is the one to be killed if one is. */
static void run_hog(const struct load *load)
{
	write_file("/proc/self/oom_score_adj", "1000");
	for (unsigned int i = 0; i < load->hog_mib; i++) {
		uint64_t *map = mmap(NULL, VG_MIB, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (map == MAP_FAILED)
			_exit(1);
		for (unsigned int j = 0; j < VG_MIB / sizeof(*map); j += load->hog_packs ? 64 : 1)
			map[j] = (((uint64_t)i << 32) + j) * 0xbf58476d1ce4e5b9;
	}
	/* It has to be able to stay, too. */
	sleep(1);
	_exit(0);
}

static void test_oom_survive(int clients)
{
	uint64_t kills = vg_file_value("/proc/vmstat", "oom_kill");
	uint64_t purged = vg_counter("purged_bos");
	unsigned int ram = igt_get_total_ram_mb();
	unsigned int available = vg_file_value("/proc/meminfo", "MemAvailable") / 1024;
	struct load load = { .hog_packs = true };
	unsigned int live_mib;
	int status = -1;
	pid_t hog;

	if (ram > 4096)
		igt_skip("takes all memory: needs a machine of at most 4096 MiB, not %u\n", ram);
	if (vg_file_value("/proc/meminfo", "SwapTotal"))
		igt_skip("needs a machine without swap\n");

	load.bos = ram * LOAD_PERCENT / 100 * (VG_MIB / VG_BO_SIZE) / clients;
	live_mib = load.bos / 4 * clients / (VG_MIB / VG_BO_SIZE);
	load.hog_mib = available * HOG_PERCENT / 100 - live_mib;
	igt_info("%u of %u MiB available, %d x %u BOs, a hog of %u MiB\n", available, ram,
		 clients, load.bos, load.hog_mib);
	igt_assert(!pipe2(load.ready, O_CLOEXEC) && !pipe2(load.go, O_CLOEXEC));

	igt_fork(client, clients)
		run_client(&load);
	close(load.ready[1]);
	close(load.go[0]);
	for (int i = 0; i < clients; i++) {
		struct pollfd ready = { .fd = load.ready[0], .events = POLLIN };
		char byte;

		igt_assert_f(poll(&ready, 1, PATIENCE_MS) == 1 &&
			     read(ready.fd, &byte, 1) == 1, "a client died or is stuck\n");
	}

	hog = fork();
	if (!hog)
		run_hog(&load);
	igt_assert(hog > 0 && waitpid(hog, &status, 0) == hog);

	close(load.go[1]);
	close(load.ready[0]);
	igt_waitchildren();
	igt_assert_f(WIFEXITED(status) && !WEXITSTATUS(status), "the hog was killed\n");
	igt_assert_eq(vg_file_value("/proc/vmstat", "oom_kill") - kills, 0);
	igt_assert_f(vg_counter("purged_bos") > purged, "the load was too light\n");
}

void test_oom_survive_1(int fd)
{
	test_oom_survive(1);
}

void test_oom_survive_8(int fd)
{
	test_oom_survive(8);
}

/*
 * Nothing is given up here: half of the RAM is in idle BOs that are needed, and the hog
 * takes 80 % of what was available without them. Swap in memory packs the BOs, which
 * makes room for the hog, but not the hog, so that it is no use to swap that.
 */
#define LIVE_PERCENT 50
#define LIVE_HOG_PERCENT 80

void test_oom_survive_swap(int fd)
{
	uint64_t kills = vg_file_value("/proc/vmstat", "oom_kill");
	uint64_t evicted = vg_counter("evicted_bos");
	uint64_t written = vg_file_value("/proc/vmstat", "pswpout");
	unsigned int ram = igt_get_total_ram_mb();
	unsigned int available = vg_file_value("/proc/meminfo", "MemAvailable") / 1024;
	unsigned int count = ram * LIVE_PERCENT / 100 * (VG_MIB / VG_BO_SIZE);
	struct load load = { .hog_mib = available * LIVE_HOG_PERCENT / 100 };
	struct vg_bo *bos;
	int status = -1;
	pid_t hog;

	if (ram > 4096)
		igt_skip("takes all memory: needs a machine of at most 4096 MiB, not %u\n", ram);

	vg_swap_on(2ull * ram * VG_MIB);
	bos = calloc(count, sizeof(*bos));
	igt_assert(bos);
	for (unsigned int i = 0; i < count; i++)
		vg_bo_create_filled(&bos[i], fd, VG_BO_SIZE, VG_SEED_PACKS | (i + 1));
	igt_info("%u of %u MiB available, %u BOs, a hog of %u MiB\n", available, ram, count,
		 load.hog_mib);

	hog = fork();
	if (!hog)
		run_hog(&load);
	igt_assert(hog > 0 && waitpid(hog, &status, 0) == hog);

	evicted = vg_counter("evicted_bos") - evicted;
	written = vg_file_value("/proc/vmstat", "pswpout") - written;
	igt_info("%" PRIu64 " BOs evicted, %" PRIu64 " pages written to swap\n", evicted, written);
	for (unsigned int i = 0; i < count; i++) {
		igt_assert_eq(vg_bo_madvise(&bos[i], WILLNEED), 1);
		vg_bo_check(&bos[i]);
	}
	close_bos(bos, count);
	igt_assert_f(WIFEXITED(status) && !WEXITSTATUS(status), "the hog was killed\n");
	igt_assert_eq(vg_file_value("/proc/vmstat", "oom_kill") - kills, 0);
	igt_assert_f(evicted && written, "the load was too light\n");
	vg_swap_off();
}
