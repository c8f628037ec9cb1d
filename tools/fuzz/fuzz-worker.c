// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Runs batches of programs, sees what they reach, and keeps those that reach more.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz-worker.h"

#define KCOV_INIT_TRACE _IOR('c', 1, unsigned long)
#define KCOV_ENABLE _IO('c', 100)
#define KCOV_WORDS (64 << 10)

struct worker *me;
static int kcov[WORKERS];
static unsigned long *cover[WORKERS], *my_cover;

void fuzz_count(unsigned int op, int error)
{
	__atomic_add_fetch(&shared->count[op][error < FUZZ_ERRNOS ? error : FUZZ_ERRNOS - 1], 1,
			   __ATOMIC_RELAXED);
	__atomic_add_fetch(&shared->calls, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&me->progress, 1, __ATOMIC_RELAXED);
	if (fuzz_random() % 64 == 0)
		scan_sometimes();
}

void fuzz_wrong(const char *format, ...)
{
	va_list args;

	if (me->wrong[0])
		return;
	if (strstr(format, "first word"))
		shared->lost_words++;
	va_start(args, format);
	vsnprintf(me->wrong, sizeof(me->wrong), format, args);
	va_end(args);
}

/* The last programs, for the case that the kernel does not survive them */
static void note(const struct program *program)
{
	char text[FUZZ_TEXT], line[1000];
	int n = fuzz_print(text, program);

	for (int at = 0; journal >= 0 && at < n; at += 900) {
		int length = snprintf(line, sizeof(line), "<7>fuzz %d%s: %.900s\n",
				      (int)(me - shared->worker), at ? " goes on" : "", text + at);

		if (write(journal, line, length) < 0)
			break;
	}
}

void say(const char *what, const struct program *program)
{
	char text[FUZZ_TEXT];

	fuzz_print(text, program);
	printf("%s %s\n", what, text);
	fflush(stdout);
}

/* Is this PC new? Then it is not any more. */
static bool add_pc(uint32_t *table, uint32_t pc)
{
	for (uint32_t i = pc * 0x9e3779b1u >> 16;; i = (i + 1) % PCS) {
		uint32_t old = __atomic_load_n(&table[i], __ATOMIC_RELAXED);

		if (!old && __atomic_compare_exchange_n(&table[i], &old, pc, false,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
		if (old == pc)
			return false;
	}
}

void run_program(const struct program *program)
{
	static struct run run;

	me->program[me->programs++ % RECENT] = *program;
	note(program);
	if (my_cover)
		__atomic_store_n(&my_cover[0], 0, __ATOMIC_RELAXED);
	fuzz_run(&run, program);
	__atomic_add_fetch(&shared->programs, 1, __ATOMIC_RELAXED);
}

/* Of the last program. Returns how many PCs are new, and which, if there is a list. */
unsigned int new_pcs(uint32_t *table, uint32_t *list, unsigned int most)
{
	unsigned int n = 0;

	for (unsigned long i = 1; my_cover && i <= my_cover[0] && i < KCOV_WORDS; i++) {
		if (!add_pc(table, my_cover[i]))
			continue;
		if (list && n < most)
			list[n] = my_cover[i];
		n++;
	}
	return n;
}

static bool covers(const uint32_t *list, unsigned int n)
{
	for (unsigned int j = 0; j < n; j++) {
		unsigned long i = 1;

		while (i <= my_cover[0] && (uint32_t)my_cover[i] != list[j])
			i++;
		if (i > my_cover[0])
			return false;
	}
	return true;
}

void without(struct program *program, unsigned int at)
{
	program->calls--;
	memmove(program->call + at, program->call + at + 1,
		(program->calls - at) * sizeof(*program->call));
}

/* Keeps what reached new code, without the calls that it does not take. */
static void keep(const struct program *program)
{
	uint32_t list[64];
	unsigned int n = new_pcs(shared->pc, list, 64), at;
	struct program best = *program, shorter;

	if (!n)
		return;
	__atomic_add_fetch(&shared->pcs, n, __ATOMIC_RELAXED);
	if (n > 64)
		n = 64;
	for (at = best.calls; at-- > 0 && best.calls > 1 && !me->wrong[0];) {
		shorter = best;
		without(&shorter, at);
		run_program(&shorter);
		if (covers(list, n))
			best = shorter;
	}
	at = __atomic_fetch_add(&shared->kept, 1, __ATOMIC_RELAXED);
	shared->corpus[at < CORPUS ? at : fuzz_random() % CORPUS] = best;
}

unsigned int kept(void)
{
	return shared->kept < CORPUS ? shared->kept : CORPUS;
}

bool over(void)
{
	return shared->calls >= most_calls ||
	       (most_seconds && replayed && now_ms() - replayed > most_seconds * 1000ull);
}

/* Is there coverage? */
bool open_kcov(unsigned int workers)
{
	for (unsigned int i = 0; i < workers; i++) {
		kcov[i] = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
		if (kcov[i] < 0 || ioctl(kcov[i], KCOV_INIT_TRACE, KCOV_WORDS))
			return false;
		cover[i] = mmap(NULL, KCOV_WORDS * sizeof(long), PROT_READ | PROT_WRITE,
				MAP_SHARED, kcov[i], 0);
		if (cover[i] == MAP_FAILED)
			return false;
	}
	return true;
}

/* What a process that runs programs begins with */
void become_worker(unsigned int number, uint64_t random)
{
	me = &shared->worker[number];
	me->programs = 0;
	me->wrong[0] = 0;
	fuzz_seed(random);
	my_cover = cover[number];
	if (my_cover && ioctl(kcov[number], KCOV_ENABLE, 0))
		my_cover = NULL;
}

/*
 * What hangs on the GPU keeps its BOs until it times out, which is seconds for several jobs, and
 * nobody can take them meanwhile: wait until there is memory for another program.
 */
static void wait_for_memory(void)
{
	for (unsigned int ms = 0; ms < 60000; ms++) {
		if (number_in("/proc/meminfo", "\nMemAvailable: ") > 128 << 10)
			return;
		me->progress++;
		usleep(1000);
	}
}

/* A batch of programs */
void work(void)
{
	struct program program;

	while (me->programs < BATCH && !me->wrong[0] && !over()) {
		unsigned int n = kept();

		if (!n || fuzz_random() % 8 == 0) {
			fuzz_generate(&program);
		} else {
			/* Some of them one after the other: to open files takes longest. */
			program = shared->corpus[fuzz_random() % n];
			while (fuzz_random() % 6)
				fuzz_append(&program, &shared->corpus[fuzz_random() % n]);
			fuzz_mutate(&program, &shared->corpus[fuzz_random() % n]);
		}
		wait_for_memory();
		run_program(&program);
		keep(&program);
	}
}
