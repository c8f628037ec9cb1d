// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Looks at the kernel from outside: is it well, did it free everything, does anything hang.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz-worker.h"

/* on a busy machine what waits for the host may do so for 30 */
#define STUCK_S 120

static int scan_pipe[2] = { -1, -1 };

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* The number that follows key in the file, each line of which begins after a \n */
unsigned long number_in(const char *path, const char *key)
{
	char text[8192] = "\n", *at;
	int fd = open(path, O_RDONLY | O_CLOEXEC), n;

	if (fd < 0)
		return 0;
	n = read(fd, text + 1, sizeof(text) - 2);
	close(fd);
	text[n < 0 ? 1 : n + 1] = 0;
	at = strstr(text, key);
	return at ? strtoul(at + strlen(key), NULL, 10) : 0;
}

static const char *stats_path(void)
{
	static char path[64];

	if (!*path)
		sprintf(path, "/sys/kernel/debug/dri/%u/gem_shrinker", fuzz_card());
	return path;
}

/* of the shrinker; key is "\nname " */
unsigned long statistic(const char *key)
{
	return number_in(stats_path(), key);
}

/* What is left when nobody has a file open, or may be: in pages and dma-bufs, and as text */
unsigned int leftovers(char *what)
{
	static const char * const keys[] = {
		"\nresident_pages ", "\npurgeable_pages ", "\nexported_pages ",
		"\nevictable_pages ", "\nunevictable_pages ", "\nhost_pages ",
		"\nhost_purgeable_pages ",
	};
	unsigned int sum = number_in("/sys/kernel/debug/dma_buf/bufinfo", "\nTotal ");

	what += sprintf(what, "left behind:");
	if (sum)
		what += sprintf(what, " %u dma-bufs", sum);
	for (unsigned int i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		unsigned long n = statistic(keys[i]);

		if (n)
			what += sprintf(what, " %s%lu", keys[i] + 1, n);
		sum += n;
	}
	return sum;
}

/* Is there more than before? The kernel may take a while to free things. */
bool leaks(char *what, unsigned int before)
{
	uint64_t until = now_ms() + 60000;

	while (leftovers(what) > before) {
		if (now_ms() > until)
			return true;
		usleep(1000);
	}
	return false;
}

/* Whether the kernel has said something that only the console has */
bool unwell(void)
{
	unsigned long tainted = number_in("/proc/sys/kernel/tainted", "\n");

	/* bad page, died, warned, locked up */
	if (tainted & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14))
		return true;
	return !access("/proc/lockdep_stats", R_OK) &&
	       !number_in("/proc/lockdep_stats", " debug_locks: ");
}

/* Waits for children; one that does nothing for STUCK_S has hung. */
bool wait_for(pid_t *pids, unsigned int n)
{
	uint64_t progress[WORKERS] = {}, since[WORKERS];
	const struct timespec second = { .tv_sec = 1 };
	unsigned int left = n;
	sigset_t set;
	bool fine = true;

	for (unsigned int i = 0; i < n; i++)
		since[i] = now_ms();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		for (unsigned int i = 0; i < n; i++) {
			struct worker *worker = &shared->worker[i];
			int status;

			if (pids[i] && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
				pids[i] = 0;
				left--;
				if (status && !worker->wrong[0])
					snprintf(worker->wrong, sizeof(worker->wrong),
						 "the program died of %#x", status);
			}
			if (worker->progress != progress[i]) {
				progress[i] = worker->progress;
				since[i] = now_ms();
			}
			if (pids[i] && now_ms() - since[i] > STUCK_S * 1000) {
				snprintf(worker->wrong, sizeof(worker->wrong),
					 "a call takes longer than %u s", STUCK_S);
				fine = false;
			}
		}
		if (!left || !fine)
			return fine;
		sigtimedwait(&set, NULL, &second);
	}
}

/* Beside the workers, an action for each byte that they write */
static void scan_forever(void)
{
	static const char * const texts[] = {
		"1", "32", "100000000", "100000000", "evict 8", "evict 100000000", "host 100000000",
	};
	char byte;

	close(scan_pipe[1]);
	fuzz_seed(seed ^ 0x5ca9);
	while (read(scan_pipe[0], &byte, 1) == 1) {
		unsigned int n = fuzz_random() % 9;
		const char *text = n < 7 ? texts[n] : "2";
		int fd = open(n < 7 ? stats_path() : "/proc/sys/vm/drop_caches", O_WRONLY);

		if (fd >= 0 && write(fd, text, strlen(text)) > 0)
			shared->scans++;
		close(fd);
	}
	_exit(0);
}

pid_t start_scanner(void)
{
	pid_t pid;

	/* Who writes must not wait for it. */
	if (pipe2(scan_pipe, O_CLOEXEC) || fcntl(scan_pipe[1], F_SETFL, O_NONBLOCK)) {
		perror("pipe");
		exit(2);
	}
	pid = fork();
	if (!pid)
		scan_forever();
	return pid;
}

void scan_sometimes(void)
{
	/* If the pipe is full it has enough to do. */
	if (write(scan_pipe[1], "", 1) < 0)
		return;
}

void stop_scanner(pid_t pid)
{
	close(scan_pipe[1]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
