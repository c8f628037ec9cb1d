// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that makes memory scarce, at random: with a hog that grows and shrinks, scans
 * through debugfs, dropping of caches, and swap that goes and comes back.
 *
 * The system must not run out of memory. Without swap what is needed and the hog together are less
 * than what is available in the beginning. With swap they are more; so before it is taken
 * away, the threads give up as much as they have to.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <unistd.h>

#include "stress.h"

#define COUNTERS "/sys/kernel/debug/dri/0/gem_shrinker"
#define DROP_CACHES "/proc/sys/vm/drop_caches"
#define MAX_HOG_MIB 4096

/* percent of what is available in the beginning, without and with swap */
#define HOG_PERCENT 30
#define SWAP_HOG_PERCENT 45

/* The number behind a word at the beginning of a line, if there is such a line. */
static bool find_value(const char *path, const char *key, uint64_t *value)
{
	static char text[32768];
	size_t len = strlen(key);
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		exit(2);
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	for (char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, key, len) && strchr(": \t", at[len])) {
			*value = strtoull(at + len + strspn(at + len, ": \t"), NULL, 0);
			return true;
		}
	}
	return false;
}

uint64_t file_value(const char *path, const char *key)
{
	uint64_t value;

	if (find_value(path, key, &value))
		return value;
	fprintf(stderr, "gem-stress: no %s in %s\n", key, path);
	exit(2);
}

bool find_counter(const char *key, uint64_t *value)
{
	return find_value(COUNTERS, key, value);
}

static uint64_t meminfo(const char *key)
{
	return file_value("/proc/meminfo", key);
}

uint64_t counter(const char *key)
{
	return file_value(COUNTERS, key);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		report(NULL, NULL, N_WRONG, "writing %s to %s: %s", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void scan(const char *what, uint64_t pages)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%" PRIu64, what, pages);
	write_file(COUNTERS, text);
	count(N_SCANS);
}

static void swap_on(void)
{
	if (swapon(options.swap, 0))
		report(NULL, NULL, N_WRONG, "swapon: %s", strerror(errno));
	else
		atomic_store(&shared->has_swap, true);
}

/* Takes swap away, if what is in it fits into memory. */
static void swap_off(void)
{
	uint64_t begin = now_ms(), deadline = ticks() + 20000;
	uint64_t room;

	atomic_store(&shared->has_swap, false);
	atomic_store(&shared->hog_mib, 0);
	do {
		usleep(200000);
		scan("", 1 << 28);
		room = meminfo("MemAvailable") * 3 / 4;
	} while ((sum_needed_kib() > limit_kib() || atomic_load(&shared->hog_has_mib) ||
		  meminfo("SwapTotal") - meminfo("SwapFree") > room) && ticks() < deadline &&
		 !atomic_load(&shared->stop));

	if (ticks() < deadline && !atomic_load(&shared->stop) && !swapoff(options.swap)) {
		count(N_SWAPOFF);
		printf("SWAPOFF after %" PRIu64 " ms\n", now_ms() - begin);
	} else {
		/* no mistake, but it should not be so every time */
		printf("swap stays after %" PRIu64 " ms\n", now_ms() - begin);
		atomic_store(&shared->has_swap, true);
	}
}

static bool is_due(uint64_t *when, uint64_t *random, uint32_t least, uint32_t most)
{
	if (ticks() < *when)
		return false;
	*when = ticks() + least + (random_next(random) >> 32) % (most - least);
	return true;
}

static uint32_t hog_goal(uint32_t dice)
{
	uint32_t percent = atomic_load(&shared->has_swap) ? SWAP_HOG_PERCENT : HOG_PERCENT;
	uint32_t most = shared->available_kib / KIB * percent / 100;

	return dice % 4 ? dice / 4 % (most + 1) : most;
}

void run_pressure(void)
{
	uint64_t random = mix(options.seed + 1), next_scan = 0, next_hog = 0, next_caches = 0;
	uint64_t next_swap = 20000;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* no line in the log each time */
	write_file(DROP_CACHES, "4");
	if (options.swap)
		swap_on();
	while (!atomic_load(&shared->stop)) {
		uint32_t dice = random_next(&random) >> 32;

		usleep(20000);
		if (is_due(&next_scan, &random, 50, 600))
			scan(dice / 4 % 2 ? "" : "evict ",
			     dice % 4 ? 1 + dice / 8 % 2000 : 1 << 28);
		if (is_due(&next_hog, &random, 500, 4000))
			atomic_store(&shared->hog_mib, hog_goal(dice));
		if (is_due(&next_caches, &random, 2000, 10000))
			write_file(DROP_CACHES, dice % 3 == 0 ? "1" : dice % 3 == 1 ? "2" : "3");
		if (options.swap && is_due(&next_swap, &random, 15000, 40000)) {
			if (atomic_load(&shared->has_swap)) {
				swap_off();
				next_swap = ticks() + 8000;
			} else {
				swap_on();
			}
		}
	}
	_exit(0);
}

/*
 * A process with other memory. It looks at that, too: pages of BOs that were freed while the
 * host was still about to write to them are likely to be here.
 */
void run_hog(void)
{
	static uint64_t *chunks[MAX_HOG_MIB];
	static struct contents contents[MAX_HOG_MIB];
	struct contents next = { HOG_OWNER, 0 };
	uint32_t has = 0, looked = 0;
	struct sight sight;
	char text[96];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_file("/proc/self/oom_score_adj", "1000");
	contents_init();
	while (!atomic_load(&shared->stop) || has) {
		uint32_t goal = atomic_load(&shared->stop) ? 0 : atomic_load(&shared->hog_mib);

		if (has < goal && has < MAX_HOG_MIB) {
			chunks[has] = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (chunks[has] == MAP_FAILED)
				break;
			/* of those that pack well */
			next.generation += 1 + next.generation % 4 / 3;
			contents[has] = next;
			contents_fill(chunks[has], MIB, next);
			has++;
		}
		if (has) {
			uint32_t i = has > goal ? has - 1 : looked++ % has;

			sight = contents_look(chunks[i], 0, MIB / 8, contents[i]);
			if (sight.what != SEEN_RIGHT) {
				contents_describe(text, sizeof(text), sight.word);
				report(NULL, NULL, N_LOST, "the hog's word %" PRIu64 " is %s",
				       sight.index, text);
				count_bytes(N_LOST, 8 * contents_wrong(chunks[i], sight.index,
								       MIB / 8 - sight.index,
								       contents[i]));
				contents_fill(chunks[i], MIB, contents[i]);
			}
		}
		if (has > goal)
			munmap(chunks[--has], MIB);
		else
			usleep(has < goal ? 2000 : 50000);
		atomic_store(&shared->hog_has_mib, has);
	}
	_exit(0);
}
