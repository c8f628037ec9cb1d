// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Fuzzes madvise of virtio-gpu and panfrost, and the calls around it: random programs of
 * calls, see fuzz.h, run in processes of their own, and those that reach code which none
 * before did (KCOV) are kept and changed further. Beside them another process scans: it
 * purges, evicts and drops caches at random.
 *
 * usage: gem-fuzz [-n CALLS] [-t SECONDS] [-s SEED] [-w WORKERS] [-c FILE]... [-l FILE] DRIVER
 *	-n CALLS    ends after that many (200000; 0: only runs the programs of -c)
 *	-t SECONDS  or after that time, without what the programs of -c take
 *	-s SEED     of the random numbers (1)
 *	-w WORKERS  processes that run programs (2)
 *	-c FILE     programs to begin with, a line each; lines with # are comments
 *	-l FILE     where to write each program before it runs (/dev/kmsg)
 *
 * What has to hold: retained is 0 or 1, and 1 for what was never given up, and 0 once it was
 * 0; a handle that is none is refused; a call returns no error that is not in its list; the
 * first word of a BO stays what it was; no call takes longer than 120 s; and when all files
 * are closed the shrinker knows of no page, nor the kernel of a dma-buf. The kernel's log is
 * for the caller to check; without -l the last programs are in it at the level "debug",
 * which a panic prints with panic_print=0x20.
 *
 * Prints the programs that reach all that was reached, "SEED program", what each call
 * returned how often, and TALLY.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz-worker.h"

#define FAILURES 5		/* enough is enough */

struct shared *shared;
uint64_t most_calls = 200000, seed = 1, begin, replayed;
unsigned int most_seconds;
int journal = -1;
static unsigned int workers = 2, failures, leaked;

/* Does this program, alone, do what it should not? Says what in text. */
static bool fails(const struct program *program, char *text)
{
	unsigned int before = leftovers(text);
	pid_t pid = fork();

	if (!pid) {
		become_worker(0, seed);
		for (int i = 0; i < 3 && !me->wrong[0]; i++)
			run_program(program);
		_exit(0);
	}
	if (!wait_for(&pid, 1) || shared->worker[0].wrong[0]) {
		strcpy(text, shared->worker[0].wrong);
		return true;
	}
	return leaks(text, before);
}

/* The program, and the calls of it that it takes */
static void report(const struct program *program, const char *why)
{
	struct program best = *program, shorter;
	char text[300];

	failures++;
	printf("FAIL %s\n", why);
	say("FAIL in", program);
	for (unsigned int at = best.calls; at-- > 0 && best.calls > 1 && !unwell();) {
		shorter = best;
		without(&shorter, at);
		if (fails(&shorter, text))
			best = shorter;
	}
	say("FAIL minimal", &best);
	leaks(text, 0);
	leaked = leftovers(text);
}

static void tell_all(const char *why)
{
	failures++;
	printf("FAIL %s\n", why);
	for (unsigned int i = 0; i < workers; i++) {
		struct worker *worker = &shared->worker[i];

		if (worker->wrong[0])
			printf("FAIL worker %u: %s\n", i, worker->wrong);
		for (unsigned int j = worker->programs > 8 ? worker->programs - 8 : 0;
		     j < worker->programs; j++)
			say("FAIL among", &worker->program[j % RECENT]);
	}
}

/* Which of the programs of the batch left something behind? */
static void find_leak(const char *what)
{
	static struct program all[WORKERS * RECENT];
	unsigned int n = 0;
	char text[300];

	leaked = leftovers(text);
	for (unsigned int i = 0; i < workers; i++)
		for (unsigned int j = 0; j < shared->worker[i].programs && j < RECENT; j++)
			all[n++] = shared->worker[i].program[j];
	for (unsigned int i = 0; i < n; i++) {
		if (fails(&all[i], text)) {
			report(&all[i], text);
			return;
		}
	}
	failures++;
	printf("FAIL %s by one of %u programs, and not again\n", what, n);
}

/* Forks workers for a batch each, and looks at what they did. Returns whether to go on. */
static bool batch(uint64_t number)
{
	pid_t pids[WORKERS];
	char text[300];

	for (unsigned int i = 0; i < workers; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			become_worker(i, (seed << 32 | number) * WORKERS + i);
			work();
			_exit(0);
		}
	}
	if (!wait_for(pids, workers)) {
		tell_all("stuck");
		return false;
	}
	if (unwell()) {
		tell_all("the kernel is unwell");
		return false;
	}
	for (unsigned int i = 0; i < workers; i++) {
		struct worker *worker = &shared->worker[i];
		struct program last = worker->program[(worker->programs - 1) % RECENT];

		if (worker->wrong[0]) {
			strcpy(text, worker->wrong);
			report(&last, text);
			return failures < FAILURES;
		}
	}
	if (leaks(text, leaked))
		find_leak(text);
	return failures < FAILURES;
}

/* The programs of a file, each alone: what they leave behind is theirs. */
static bool replay(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[FUZZ_TEXT], text[300];
	struct program program;
	unsigned int n = 0;

	if (!file) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), file) && failures < FAILURES) {
		pid_t pid;

		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (!fuzz_parse(&program, line)) {
			printf("FAIL not a program: %s", line);
			failures++;
			continue;
		}
		n++;
		pid = fork();
		if (!pid) {
			unsigned int at;

			become_worker(0, seed + n);
			run_program(&program);
			at = new_pcs(shared->pc, NULL, 0);
			shared->pcs += at;
			if (shared->kept < CORPUS)
				shared->corpus[shared->kept++] = program;
			_exit(0);
		}
		if (!wait_for(&pid, 1) || unwell()) {
			say("FAIL unwell or stuck:", &program);
			failures++;
			return false;
		}
		strcpy(text, shared->worker[0].wrong);
		if (text[0] || leaks(text, leaked))
			report(&program, text);
	}
	fclose(file);
	printf("gem-fuzz: ran %u programs of %s\n", n, path);
	return failures < FAILURES;
}

/* Those of the corpus that it takes to reach everything, short ones first */
static void distill(void)
{
	static uint32_t table[PCS];
	uint64_t calls = shared->calls;
	pid_t pid = fork();

	if (!pid) {
		become_worker(0, seed);
		for (unsigned int length = 1; length <= FUZZ_CALLS && !me->wrong[0]; length++) {
			for (unsigned int i = 0; i < kept(); i++) {
				const struct program *program = &shared->corpus[i];

				if (program->calls != length)
					continue;
				run_program(program);
				if (new_pcs(table, NULL, 0))
					say("SEED", program);
			}
		}
		_exit(0);
	}
	if (!wait_for(&pid, 1) || unwell())
		tell_all("stuck or unwell while the seeds were sought");
	else if (shared->worker[0].wrong[0])
		tell_all("wrong when done once more");
	shared->calls = calls;
}

static void print_counts(void)
{
	for (unsigned int i = 0; i < fuzz_ops; i++) {
		uint64_t sum = 0;

		for (unsigned int j = 0; j < FUZZ_ERRNOS; j++)
			sum += shared->count[i][j];
		printf("CALLS %-10s %9llu: ok %llu", fuzz_op[i]->name, (unsigned long long)sum,
		       (unsigned long long)shared->count[i][0]);
		for (unsigned int j = 1; j < FUZZ_ERRNOS; j++)
			if (shared->count[i][j])
				printf(", %s %llu", strerrorname_np(j) ?: "?",
				       (unsigned long long)shared->count[i][j]);
		printf("\n");
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: gem-fuzz [-n CALLS] [-t SECONDS] [-s SEED] [-w WORKERS] "
		"[-c FILE]... [-l FILE] virtio_gpu|panfrost\n");
	exit(2);
}

int main(int argc, char **argv)
{
	const char *files[8], *journal_path = "/dev/kmsg";
	unsigned int nr_files = 0;
	unsigned long wait_us, slab;
	uint64_t told = 0;
	pid_t scanner;
	sigset_t set;
	bool go_on = true, covered;
	uint64_t batches = 0;
	int opt;

	while ((opt = getopt(argc, argv, "n:t:s:w:c:l:")) != -1) {
		if (opt == 'n')
			most_calls = strtoull(optarg, NULL, 0);
		else if (opt == 't')
			most_seconds = strtoul(optarg, NULL, 0);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'w')
			workers = strtoul(optarg, NULL, 0);
		else if (opt == 'c' && nr_files < 8)
			files[nr_files++] = optarg;
		else if (opt == 'l')
			journal_path = optarg;
		else
			usage();
	}
	if (optind != argc - 1 || !workers || workers > WORKERS)
		usage();
	fuzz_init(argv[optind]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	me = shared->worker;
	journal = open(journal_path, O_WRONLY | O_CLOEXEC);
	covered = open_kcov(workers);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	scanner = start_scanner();
	begin = now_ms();
	printf("gem-fuzz: seed %llu, %s coverage%s\n", (unsigned long long)seed,
	       covered ? "with" : "without", fuzz_has_3d ? ", has 3D" : "");
	for (unsigned int i = 0; i < nr_files && go_on; i++)
		go_on = replay(files[i]);
	slab = number_in("/proc/meminfo", "\nSUnreclaim: ");
	replayed = now_ms();
	for (; go_on && !over(); batches++) {
		go_on = batch(batches);
		if (now_ms() - told > 10000) {
			told = now_ms();
			printf("gem-fuzz: %llu s, %llu calls, %llu programs, %u PCs, %u kept, "
			       "%llu scans, slab %+ld KiB, shmem %lu KiB\n",
			       (unsigned long long)(told - begin) / 1000,
			       (unsigned long long)shared->calls,
			       (unsigned long long)shared->programs, shared->pcs, shared->kept,
			       (unsigned long long)shared->scans,
			       (long)(number_in("/proc/meminfo", "\nSUnreclaim: ") - slab),
			       number_in("/proc/meminfo", "\nShmem: "));
			fflush(stdout);
		}
	}
	if (covered && go_on)
		distill();
	stop_scanner(scanner);
	if (!shared->calls || (most_calls && (!shared->scans || !batches))) {
		printf("FAIL nothing was called, or nothing scanned\n");
		failures++;
	}
	print_counts();
	printf("gem-fuzz: %llu calls in %llu s, %llu programs, %u PCs, %u kept, %llu scans, "
	       "%u failures\n", (unsigned long long)shared->calls,
	       (unsigned long long)(now_ms() - begin) / 1000,
	       (unsigned long long)shared->programs, shared->pcs, shared->kept,
	       (unsigned long long)shared->scans, failures);
	wait_us = statistic("\nlongest_wait_us ");
	printf("TALLY ops=%llu faults=- failures=%u lost=%u leaked=%lu wait=",
	       (unsigned long long)shared->calls, failures, shared->lost_words * 4,
	       statistic("\nresident_pages ") * FUZZ_PAGE);
	printf(wait_us ? "%lu\n" : "-\n", wait_us);
	return failures ? 1 : 0;
}
