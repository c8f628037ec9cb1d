// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast pairs of DONTNEED and WILLNEED are given on two CPUs.
 *
 * usage: madvise scan	while another thread scans, and without
 *	  madvise two	by two processes against one, as that of RESOURCE_INFO
 */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#define SECONDS	2

static int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* ns that a call of an op spent on what is not to count */
static uint64_t aside;

/* calls of @op per second, for SECONDS */
static double rate(void (*op)(uint32_t bo), uint32_t bo)
{
	uint64_t begin = now(), end = begin + SECONDS * 1000000000ull, t, calls = 0;

	aside = 0;
	do {
		for (unsigned int i = 0; i < 100; i++)
			op(bo);
		calls += 100;
		t = now();
	} while (t < end);
	return calls * 1e9 / (t - begin - aside);
}

static volatile int stop;
static uint64_t scans;

static void *scanner(void *unused)
{
	(void)unused;
	if (pin(1))
		die("no second CPU");
	while (!stop) {
		write_file(SHRINKER, "1000000");
		scans++;
	}
	return NULL;
}

/* taken away now and then, as it may be; then it is another one */
static uint32_t scanned;

static void pair_scanned(uint32_t bo)
{
	uint64_t begin;

	(void)bo;
	bo_madvise(scanned, VIRTGPU_MADV_DONTNEED);
	if (bo_madvise(scanned, VIRTGPU_MADV_WILLNEED))
		return;
	begin = now();
	bo_close(scanned);
	scanned = bo_create(PAGE);
	bo_wait(scanned);
	aside += now() - begin;
}

static void scan(void)
{
	uint32_t *bos = bo_create_many(1000, PAGE);
	double alone, together;
	uint64_t before;
	pthread_t thread;

	scanned = bos[0];
	if (pin(0))
		die("no CPU");
	alone = rate(pair_scanned, 0);
	before = counter("scans");
	if (pthread_create(&thread, NULL, scanner, NULL))
		die("no thread");
	together = rate(pair_scanned, 0);
	stop = 1;
	pthread_join(thread, NULL);
	if (counter("scans") - before < scans || scans < 10)
		die("only %llu scans", (unsigned long long)scans);
	result("pair-rate-alone", alone);
	result("pair-rate-scanned", together);
}

/* Says when it is ready, waits until @start ends, and says what it did. */
__attribute__((noreturn))
static void process(void (*op)(uint32_t bo), int cpu, int start, int say)
{
	double done = 0;
	uint32_t bo;
	char c;

	if (pin(cpu))
		die("no CPU %d", cpu);
	open_gpu();
	bo = bo_create(PAGE);
	bo_wait(bo);
	if (write(say, &done, sizeof(done)) != sizeof(done))
		die("write");
	while (read(start, &c, 1) > 0)
		;
	done = rate(op, bo);
	if (write(say, &done, sizeof(done)) != sizeof(done))
		die("write");
	_exit(0);
}

/* What a process says, which is nothing when it ended: nobody else can write there. */
static double hear(int fd)
{
	double value;

	if (read(fd, &value, sizeof(value)) != sizeof(value))
		die("a process failed");
	return value;
}

/* Calls per second of one or two processes, each on a CPU and with a BO of its own. */
static double processes(void (*op)(uint32_t bo), int nr)
{
	int start[2], say[2], from[2];
	double sum = 0;

	if (pipe(start))
		die("pipe");
	for (int i = 0; i < nr; i++) {
		if (pipe(say))
			die("pipe");
		if (!fork()) {
			close(start[1]);
			process(op, i, start[0], say[1]);
		}
		close(say[1]);
		from[i] = say[0];
	}
	for (int i = 0; i < nr; i++)
		hear(from[i]);
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < nr; i++) {
		sum += hear(from[i]);
		close(from[i]);
	}
	while (wait(NULL) > 0)
		;
	return sum;
}

static void two(void)
{
	double scaling[2][3];

	for (int i = 0; i < 3; i++) {
		scaling[0][i] = processes(info_twice, 1);
		scaling[0][i] = processes(info_twice, 2) / scaling[0][i];
		scaling[1][i] = processes(pair, 1);
		scaling[1][i] = processes(pair, 2) / scaling[1][i];
	}
	result("info-scaling", median(scaling[0], 3));
	result("pair-scaling", median(scaling[1], 3));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "two")) {
		two();
	} else if (!strcmp(what, "scan")) {
		open_gpu();
		scan();
	} else {
		die("scan or two?");
	}
	return 0;
}
