// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a guest of tools/vm/host whose device is a process of its own, which the runner stops or
 * kills in the middle of a purge: reclaim goes on without it, and so does the rest of the guest.
 * Writes to the second serial line when it purges, and when it has found that no answer comes.
 *
 * usage: gem-host-dead stop | kill
 * Prints HOST lines and a TALLY line, and powers the guest off.
 */
#include <signal.h>
#include <sys/wait.h>

#include "gem-host-run.h"

static struct {
	atomic_bool go;
	atomic_ulong mib, processes, longest_ms;
} *hog;

/* The rest of the guest: takes all free memory and some more, and starts processes. */
static void hog_round(void)
{
	size_t size = (meminfo("MemFree") + 8192) * 1024UL;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t begin, ms;
	pid_t child;

	for (size_t at = 0; at < size && hog->go; at += 256 * PAGE) {
		begin = now_ms();
		for (size_t i = at; i < at + 256 * PAGE && i < size; i += PAGE)
			p[i] = 1;
		ms = now_ms() - begin;
		if (ms > hog->longest_ms)
			hog->longest_ms = ms;
		hog->mib++;
	}
	munmap(p, size);
	child = fork();
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	hog->processes++;
}

static void hog_start(void)
{
	hog = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	hog->go = false;
	/* That page counts as one of the files', too. */
	base_kib = all_shmem();
	if (fork())
		return;
	for (;;) {
		if (hog->go)
			hog_round();
		else
			usleep(5000);
	}
}

/* Runs F in a process; returns the time it took, in ms, or -1 when it had to be left behind. */
static long in_process(void (*f)(void), unsigned int seconds)
{
	uint64_t begin = now_ms();
	pid_t pid = fork();

	if (!pid) {
		f();
		_exit(0);
	}
	if (!until(waitpid(pid, NULL, WNOHANG), seconds)) {
		kill(pid, SIGKILL);
		if (!until(waitpid(pid, NULL, WNOHANG), 3))
			return -1;
	}
	return now_ms() - begin;
}

/* Tells the runner, and waits until it has done what it does then. */
static void tell(const char *what)
{
	char answer;

	control("%s", what);
	if (read(control_fd, &answer, 1) != 1)
		fail("no runner");
}

/*
 * Purges until no answer comes any more, and goes on asking for memory as long as none does.
 */
static void purge_until_late(int fd, unsigned int seconds)
{
	unsigned long calls = 0;
	bool told = false;
	long before;
	uint64_t begin;

	fill(fd, MAX_BOS, 3);
	for (begin = now_ms(); now_ms() < begin + 30000; usleep(20000)) {
		if (!counter("purgeable_pages") || counter("late_batches"))
			break;
		reclaim("1");
		if (!told && counter("purged_bos") >= 96) {
			tell("purging\n");
			told = true;
		}
	}
	before = shmem();
	control("late\n");
	if (!counter("late_batches")) {
		fail("the shrinker does not miss the host");
		return;
	}
	faults++;
	/* Not before: it would make BOs go to swap. */
	hog->go = true;

	for (begin = now_ms(); now_ms() < begin + seconds * 1000; usleep(20000)) {
		reclaim("100000");
		reclaim("evict 100000");
		calls += 2;
		if (!counter("late_batches"))
			break;
	}
	hog->go = false;
	printf("HOST no answer for %llu ms and %lu calls; %ld BOs purged before, %ld KiB stay\n",
	       (unsigned long long)(now_ms() - begin), calls, counter("purged_bos"), before);
	until(hog->processes, 10);
	printf("HOST meanwhile the rest of the guest took %lu MiB, each in %lu ms at most\n",
	       hog->mib, hog->longest_ms);
	if (!hog->mib || !hog->processes || hog->longest_ms > CALL_BOUND_MS)
		fail("the rest of the guest stood still");
}

static void stopped(void)
{
	int fd = drm_open();

	purge_until_late(fd, 60);
	if (counter("late_batches"))
		fail("the host did not go on");
	reclaim_all("100000", "purgeable_pages", 10);
	upload_again(MAX_BOS);
	verify(MAX_BOS, true);
	close_all();
	fill(fd, 64, 2);
	reclaim_all("100000", "purgeable_pages", 10);
	verify(64, true);
	close_all();
	close(fd);
}

/* A program that comes when the device is dead, and one that goes on until the ring is full. */
static void new_client(void)
{
	int fd = drm_open();
	struct bo bo;

	if (!bo_create(fd, &bo)) {
		bo_fill(&bo);
		bo_upload(&bo);
	}
}

static void busy_client(void)
{
	while (!bo_upload(&bos[3]))
		;
}

static void remove_now(void)
{
	device_remove_timed(UNBIND_VIRTIO);
}

static void bind_again(void)
{
	device_add(UNBIND_VIRTIO);
}

/* Runs F in a process, and returns whether it came to an end. */
static bool outlives(const char *what, void (*f)(void), unsigned int seconds)
{
	long ms = in_process(f, seconds);

	if (ms < 0)
		printf("HOST dead device: %s hangs and cannot be killed\n", what);
	else
		printf("HOST dead device: %s ends after %ld ms\n", what, ms);
	return ms >= 0;
}

/* What the host had stays until the device is unbound. */
static void killed(void)
{
	bool patched = counter("purgeable_pages") >= 0;
	int fd = drm_open();

	if (patched) {
		purge_until_late(fd, 10);
		/* The runner looks. */
		tell("still\n");
		verify(MAX_BOS, false);
		note_longest_wait();
	} else {
		/* It has no purge. */
		fill(fd, 256, 0);
		tell("purging\n");
		bo_upload(&bos[0]);
		bo_wait(&bos[0]);
		control("late\n");
	}

	if (!outlives("a new client", new_client, 5) && patched)
		fail("a new client hangs");
	outlives("a client that fills the ring", busy_client, 2);
	printf("HOST dead device: %ld KiB of BOs before unbind\n", shmem());
	if (!outlives("unbind", remove_now, 20)) {
		if (patched)
			fail("unbind hangs");
		return;
	}
	close_all();
	close(fd);
	outlives("bind", bind_again, 20);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	run_begin();
	hog_start();
	if (!strcmp(what, "stop"))
		stopped();
	else if (!strcmp(what, "kill"))
		killed();
	else
		fail("usage: gem-host-dead stop | kill");
	run_end();
	return 1;
}
