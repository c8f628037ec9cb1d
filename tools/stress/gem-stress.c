// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stress for memory reclaim of virtio-gpu BOs, in a guest: processes whose threads do at random
 * all that can be done with BOs, and know what must be in each of them, while memory is scarce
 * and processes are killed.
 *
 * usage: gem-stress [-t SECONDS] [-p PROCESSES] [-j THREADS] [-m MIB] [-s SEED] [-z DEVICE]
 *                   [-B lost|leaked|wrong]
 *	-t SECONDS    (60); then all BOs that are left are looked at once more
 *	-p PROCESSES  (4)
 *	-j THREADS    of each (3)
 *	-m MIB        BOs in all (twice the memory)
 *	-s SEED       the same seed makes the n-th operation of a thread the same; which thread
 *	              comes first, and what was purged by then, is the scheduler's and the host's,
 *	              so it is the same load and not the same run (time)
 *	-z DEVICE     swap space, which is turned on and off
 *	-B WHAT       does something wrong once, that must be found, and then stops
 *
 * Lines that begin with BAD say what is not as it must be: which BO, what was done with it
 * (letters as in bo_did()), and what it has. Last line:
 *
 *   STRESS seed N seconds N ops N create N ... lost N leaked N wrong N
 *   TALLY ops=N faults=- failures=WRONG lost=BYTES leaked=BYTES wait=US
 *
 *	purged    BOs that were found to be purged
 *	replaced  of those, made usable again
 *	retained  given up, and taken back with their contents
 *	sigbus    accesses to purged BOs
 *	refused   EINVAL for them
 *	nomem, busy  what could not be done
 *	lost      BOs that were needed, without their contents
 *	leaked    new or replaced BOs that were not zero, or any with contents of others
 *	wrong     any other lie of the kernel, or a process that ended or hung
 *
 * Exit: 0 fine, 1 one of the last three is not 0, nothing was purged, replaced or (with swap)
 * evicted, or in 100000 operations nothing was killed, imported and so on, 2 it could not be done.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

#define PARAM_MADVISE 10

/* for another operation of any thread, or for pages to be freed, on a busy machine */
#define PATIENCE_MS 180000

struct options options = { .seconds = 60, .procs = 4, .threads = 3 };
struct shared *shared;
int sockets[MAX_PROCS][2];

const char *const count_names[COUNTS] = {
	[OP_CREATE] = "create", [OP_MAP] = "map", [OP_WRITE] = "write", [OP_VERIFY] = "verify",
	[OP_PEEK] = "peek", [OP_UPLOAD] = "upload", [OP_DOWNLOAD] = "download", [OP_COPY] = "copy",
	[OP_WAIT] = "wait", [OP_DONTNEED] = "dontneed", [OP_WILLNEED] = "willneed",
	[OP_REPLACE] = "replace", [OP_SHARE] = "share", [OP_IMPORT] = "import",
	[OP_HOLD] = "hold", [OP_RACE] = "race", [OP_FORK] = "fork", [OP_CLOSE] = "close", [N_PURGED] = "purged",
	[N_REPLACED] = "replaced", [N_RETAINED] = "retained", [N_SIGBUS] = "sigbus",
	[N_REFUSED] = "refused", [N_NOMEM] = "nomem", [N_BUSY] = "busy",
	[N_KILLED] = "killed", [N_SCANS] = "scans", [N_SWAPOFF] = "swapoff",
	[N_LOST] = "lost", [N_LEAKED] = "leaked", [N_WRONG] = "wrong",
};

/* percent that may be needed: of the memory in the beginning, or of all BOs, with swap */
#define NEEDED_PERCENT 40
#define SWAP_NEEDED_PERCENT 60

static pid_t pids[MAX_PROCS], hog, pressure;

uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t random_next(uint64_t *state)
{
	return mix(*state += 0x9e3779b97f4a7c15);
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

/* What all threads need. */
uint64_t sum_needed_kib(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < options.procs * options.threads; i++)
		sum += atomic_load(&shared->procs[i / options.threads].needed_kib[i % options.threads]);
	return sum;
}

uint64_t limit_kib(void)
{
	if (atomic_load(&shared->has_swap))
		return options.mib * KIB * SWAP_NEEDED_PERCENT / 100;
	return atomic_load(&shared->available_kib) * NEEDED_PERCENT / 100;
}

static uint64_t got(enum count what)
{
	return atomic_load(&shared->counts[what]);
}

static uint64_t operations(void)
{
	uint64_t ops = 0;

	for (int i = 0; i < OPS; i++)
		ops += got(i);
	return ops;
}

/* About milliseconds on an idle machine; on a busy one all takes longer, but happens. */
uint64_t ticks(void)
{
	return 2 * operations();
}

static uint64_t bad(void)
{
	return got(N_LOST) + got(N_LEAKED) + got(N_WRONG);
}

static pid_t try_fork(void)
{
	int tries = 100;
	pid_t pid;

	/* there may be no memory for it just now */
	while ((pid = fork()) < 0 && --tries)
		usleep(100000);
	if (pid < 0) {
		perror("gem-stress: fork");
		exit(2);
	}
	return pid;
}

static pid_t start(void (*run)(void))
{
	pid_t pid = try_fork();

	if (!pid)
		run();
	return pid;
}

static void begin_process(unsigned int proc)
{
	for (int i = 0; i < MAX_THREADS; i++)
		atomic_store(&shared->procs[proc].needed_kib[i], 0);
	pids[proc] = try_fork();
	if (!pids[proc])
		run_process(proc, atomic_load(&shared->procs[proc].life));
}

/* Looks after those that ended. Returns whether any is left. */
static bool reap(bool ending)
{
	bool left = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		const char *who = NULL;

		for (unsigned int i = 0; i < options.procs; i++) {
			if (pid == pids[i]) {
				who = "process";
				pids[i] = 0;
			}
		}
		if (pid == hog || pid == pressure) {
			who = pid == hog ? "hog" : "source of pressure";
			*(pid == hog ? &hog : &pressure) = 0;
		}
		/* children of those that were killed come here, too */
		if (who && (!ending || status))
			report(NULL, NULL, N_WRONG, "a %s ended with wait status 0x%x; %" PRIu64
			       " pages are given up, %" PRIu64 " batches not answered", who, status,
			       counter("purgeable_pages"), counter("late_batches"));
	}
	for (unsigned int i = 0; i < options.procs; i++) {
		if (!pids[i] && !ending)
			begin_process(i);
		left |= pids[i] != 0;
	}
	return left || hog || pressure;
}

static void kill_process(unsigned int proc)
{
	int status;

	atomic_fetch_add(&shared->procs[proc].life, 1);
	kill(pids[proc], SIGKILL);
	while (waitpid(pids[proc], &status, 0) < 0 && errno == EINTR)
		;
	atomic_fetch_add(&shared->procs[proc].gone, 1);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		report(NULL, NULL, N_WRONG, "a process ended with wait status 0x%x", status);
	count(N_KILLED);
	begin_process(proc);
}

/* A line now and then, MiB. */
static void sample(void)
{
	static uint64_t next;

	if (now_ms() < next)
		return;
	next = now_ms() + 10000;
	printf("SAMPLE needed %" PRIu64 " resident %" PRIu64 " purgeable %" PRIu64 " hog %u free %"
	       PRIu64 " swap %" PRIu64 "\n", sum_needed_kib() / KIB,
	       counter("resident_pages") / 256, counter("purgeable_pages") / 256,
	       atomic_load(&shared->hog_has_mib), file_value("/proc/meminfo", "MemFree") / KIB,
	       (file_value("/proc/meminfo", "SwapTotal") -
		file_value("/proc/meminfo", "SwapFree")) / KIB);
}

static void run(void)
{
	uint64_t end = now_ms() + options.seconds * 1000ull, next_kill = 5000;
	uint64_t random = mix(options.seed);
	bool breaks = atomic_load(&shared->broken);

	while (now_ms() < end && !(breaks && bad())) {
		usleep(50000);
		reap(false);
		sample();
		if (ticks() >= next_kill) {
			uint32_t dice = random_next(&random) >> 32;

			next_kill = ticks() + 5000 + dice / 16 % 10000;
			kill_process(dice % options.procs);
		}
	}
}

/* All end of their own accord, and nothing is left of their BOs. */
static void end(uint64_t resident)
{
	uint64_t last = 0, deadline = 0, pages;
	bool left;

	atomic_store(&shared->stop, true);
	while ((left = reap(true))) {
		if (operations() != last) {
			last = operations();
			deadline = now_ms() + PATIENCE_MS;
		}
		if (now_ms() >= deadline)
			break;
		usleep(50000);
		sample();
	}
	if (left)
		report(NULL, NULL, N_WRONG, "a process hangs");
	for (unsigned int i = 0; i < options.procs; i++) {
		if (pids[i])
			kill(pids[i], SIGKILL);
		close(sockets[i][0]);
		close(sockets[i][1]);
	}
	for (last = 0; (pages = counter("resident_pages")) > resident; usleep(50000)) {
		if (pages != last)
			deadline = now_ms() + PATIENCE_MS;
		last = pages;
		if (now_ms() >= deadline)
			break;
	}
	if (pages > resident)
		report(NULL, NULL, N_WRONG, "%" PRIu64 " pages of BOs are left, %" PRIu64 " before",
		       pages, resident);
}

static uint64_t got_bytes(enum count what)
{
	return atomic_load(&shared->bytes[what]);
}

static int judge(uint64_t ms, uint64_t evicted, uint64_t swapped_in)
{
	int status = bad() != 0;
	uint64_t longest;
	char wait[32];

	if (!got(N_PURGED) || !got(N_REPLACED) || !got(N_RETAINED) ||
	    (options.swap && (!evicted || !swapped_in))) {
		printf("nothing was purged, replaced, retained, or evicted: this was no test\n");
		status = 1;
	}
	/* the first swapoff may have to wait for 40000, or for the next one */
	if (operations() >= 100000 &&
	    (!got(N_KILLED) || !got(N_SIGBUS) || !got(OP_IMPORT) ||
	     (options.swap && !got(N_SWAPOFF)))) {
		printf("nothing was killed, gave SIGBUS, was imported, or swap was never taken away\n");
		status = 1;
	}
	printf("STRESS seed %" PRIu64 " seconds %" PRIu64 " ops %" PRIu64, options.seed, ms / 1000,
	       operations());
	for (int i = 0; i < N_LOST; i++)
		printf(" %s %" PRIu64, count_names[i], got(i));
	printf(" evicted %" PRIu64 " swapped_in %" PRIu64, evicted, swapped_in);
	for (int i = N_LOST; i < COUNTS; i++)
		printf(" %s %" PRIu64, count_names[i], got(i));
	printf("\n");

	/* not every kernel has it */
	if (!find_counter("longest_wait_us", &longest))
		snprintf(wait, sizeof(wait), "-");
	else
		snprintf(wait, sizeof(wait), "%" PRIu64, longest);
	printf("TALLY ops=%" PRIu64 " faults=- failures=%" PRIu64 " lost=%" PRIu64 " leaked=%" PRIu64
	       " wait=%s\n", operations(), got(N_WRONG) + !!status,
	       /* what is not there though it was retained counts as wrong, and is lost, too */
	       got_bytes(N_LOST) + got_bytes(N_WRONG), got_bytes(N_LEAKED), wait);
	return status;
}

static void usage(void)
{
	fputs("usage: gem-stress [-t SECONDS] [-p PROCESSES] [-j THREADS] [-m MIB] [-s SEED]\n"
	      "                  [-z DEVICE] [-B lost|leaked|wrong]\n", stderr);
	exit(2);
}

static uint64_t number(uint64_t least, uint64_t most)
{
	char *end;
	uint64_t n = strtoull(optarg, &end, 0);

	if (!*optarg || *end || n < least || n > most)
		usage();
	return n;
}

static enum count fault(void)
{
	for (int i = N_LOST; i < COUNTS; i++)
		if (!strcmp(optarg, count_names[i]))
			return i;
	usage();
	return 0;
}

static void parse(int argc, char **argv)
{
	int opt;

	options.seed = time(NULL);
	while ((opt = getopt(argc, argv, "t:p:j:m:s:z:B:")) != -1) {
		switch (opt) {
		case 't':
			options.seconds = number(1, 1000000);
			break;
		case 'p':
			options.procs = number(1, MAX_PROCS);
			break;
		case 'j':
			options.threads = number(1, MAX_THREADS);
			break;
		case 'm':
			options.mib = number(1, 1 << 20);
			break;
		case 's':
			options.seed = number(0, UINT64_MAX);
			break;
		case 'z':
			options.swap = optarg;
			break;
		case 'B':
			atomic_store(&shared->broken, fault());
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	if (!options.mib)
		options.mib = 2 * file_value("/proc/meminfo", "MemTotal") / KIB;
}

int main(int argc, char **argv)
{
	uint64_t resident, evicted, swapped_in, began;
	int drm;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED) {
		perror("gem-stress: mmap");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	drm = drm_open();
	if (drm < 0 || drm_param(drm, PARAM_MADVISE) != 7) {
		fprintf(stderr, "gem-stress: no virtio-gpu that takes advice\n");
		return 2;
	}
	close(drm);
	printf("gem-stress: seed %" PRIu64 ", %u processes of %u threads, %u MiB of BOs, %s\n",
	       options.seed, options.procs, options.threads, options.mib,
	       options.swap ?: "no swap");

	for (unsigned int i = 0; i < options.procs; i++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets[i])) {
			perror("gem-stress: socketpair");
			return 2;
		}
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	resident = counter("resident_pages");
	evicted = counter("evicted_bos");
	swapped_in = counter("swapped_in_bos");
	began = now_ms();
	atomic_store(&shared->available_kib, file_value("/proc/meminfo", "MemAvailable"));
	hog = start(run_hog);
	pressure = start(run_pressure);
	run();
	end(resident);
	return judge(now_ms() - began, counter("evicted_bos") - evicted,
		     counter("swapped_in_bos") - swapped_in);
}
