/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright 2026 The GEM shrinker project
 *
 * What the processes of gem-fuzz share: workers run programs in batches, and the parent
 * looks at what they left behind.
 */
#ifndef FUZZ_WORKER_H
#define FUZZ_WORKER_H

#include <sys/types.h>

#include "fuzz.h"

#define WORKERS 4
#define CORPUS 1024
#define BATCH 256		/* programs between two looks at what is left behind */
#define RECENT 512		/* that are remembered: a batch, and how some were made shorter */
#define PCS (1 << 16)		/* a table for fewer */

struct worker {
	uint64_t progress;
	unsigned int programs;
	struct program program[RECENT];	/* the last of them is the current one */
	char wrong[200];
};

struct shared {
	uint64_t calls, programs, scans;
	uint64_t count[FUZZ_OPS][FUZZ_ERRNOS];
	uint32_t pc[PCS];		/* those seen, by hash */
	unsigned int pcs, kept, lost_words;
	struct program corpus[CORPUS];
	struct worker worker[WORKERS];
};

extern struct shared *shared;
extern uint64_t most_calls, seed, begin, replayed;
extern unsigned int most_seconds;
extern int journal;		/* where programs are written before they run, or -1 */

/* fuzz-worker.c */
extern struct worker *me;
void become_worker(unsigned int number, uint64_t random);
void work(void);
void run_program(const struct program *program);
unsigned int new_pcs(uint32_t *table, uint32_t *list, unsigned int most);
unsigned int kept(void);
bool over(void);
bool open_kcov(unsigned int workers);
void say(const char *what, const struct program *program);
void without(struct program *program, unsigned int at);

/* fuzz-watch.c */
uint64_t now_ms(void);
unsigned long number_in(const char *path, const char *key);
unsigned long statistic(const char *key);
unsigned int leftovers(char *what);
bool leaks(char *what, unsigned int before);
bool unwell(void);
bool wait_for(pid_t *pids, unsigned int n);
pid_t start_scanner(void);
void scan_sometimes(void);
void stop_scanner(pid_t pid);

#endif
