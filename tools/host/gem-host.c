// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a guest of tools/vm/host: BOs on a host that is late, that refuses, or that is taken away,
 * in the middle of purge and eviction. virgl-preload.c in the host does what this writes to the
 * second serial line, and looks whether memory is freed before the host has let go of it.
 *
 * usage: gem-host late | errors SECONDS | unbind ROUNDS
 * Prints HOST lines and a TALLY line, and powers the guest off.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "gem-host-run.h"

#define USER_BOS	16

static atomic_bool stop;
static bool errors_answered;	/* what was uploaded may not have arrived, and be downloaded */
static _Thread_local sigjmp_buf bus;

static void purge_all(unsigned int seconds)
{
	reclaim_all("100000", "purgeable_pages", seconds);
}

static void evict_all(unsigned int seconds)
{
	reclaim_all("evict 100000", "evictable_pages", seconds);
}

/* The host takes longer than reclaim waits. */
static void late(void)
{
	int fd = drm_open(), i;
	long seen = 0;

	fill(fd, 256, 2);
	host(150, 250, 0, 0, 0);
	for (i = 0; i < 8 && counter("purgeable_pages") > 0; i++) {
		reclaim("1");
		seen += counter("late_batches") > 0;
		until(!counter("late_batches"), 10);
	}
	printf("HOST purge: reclaim gave up waiting %ld times\n", seen);
	if (!seen)
		fail("the host was not late");
	faults += seen;
	purge_all(30);

	/* each was used, and is passed over once */
	reclaim("evict 100000");
	for (seen = 0, i = 0; i < 8 && counter("evictable_pages") > 0; i++) {
		reclaim("evict 512");
		seen += counter("late_batches") > 0;
		until(!counter("late_batches"), 10);
	}
	printf("HOST evict: reclaim gave up waiting %ld times\n", seen);
	if (!seen)
		fail("the host was not late");
	faults += seen;
	host(0, 120, 0, 0, 0);
	evict_all(30);
	printf("HOST purged %ld BOs, evicted %ld\n", counter("purged_bos"), counter("evicted_bos"));
	if (counter("evicted_bos") < 128)
		fail("not all were evicted");
	host(0, 0, 0, 0, 0);
	upload_again(256);
	verify(256, true);
	close_all();

	/* The host is about to write to BOs that are given up meanwhile. */
	fill(fd, 64, 0);
	host(150, 250, 0, 0, 0);
	for (i = 0; i < 64; i++) {
		if (bo_download(&bos[i]))
			fail("download: %s", strerror(errno));
		bo_madvise(&bos[i], VIRTGPU_MADV_DONTNEED);
	}
	reclaim("100000");
	reclaim("100000");
	purge_all(30);
	host(0, 0, 0, 0, 0);
	verify(64, true);
	close_all();
	close(fd);
}

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(bus, 1);
}

/* Is a BO intact, which may be gone with the device, too? */
static bool touch(const struct bo *bo)
{
	if (sigsetjmp(bus, 1))
		return false;
	if (bo_intact(bo))
		return true;
	if (!errors_answered) {
		lost += BO_SIZE;
		fail("BO %u has lost its contents", bo->number);
	}
	return false;
}

static void *purger(void *what)
{
	while (!stop)
		reclaim(what);
	return NULL;
}

/* A program that has some BOs. */
static void *user(void *from)
{
	struct bo *mine = from;
	unsigned int seed = mine - bos;

	while (!stop) {
		struct bo *bo = &mine[rand_r(&seed) % USER_BOS];

		int ret = 0;

		switch (rand_r(&seed) % 4) {
		case 0:
			ret = bo_madvise(bo, VIRTGPU_MADV_DONTNEED);
			break;
		case 1:
			ret = bo_download(bo);
			break;
		default:
			ret = bo_madvise(bo, VIRTGPU_MADV_WILLNEED);
			if (ret > 0 && touch(bo))
				ret = bo_upload(bo);
		}
		if (ret < 0)
			usleep(1000);
		ops++;
	}
	return NULL;
}

/* A program that makes and closes BOs. */
static void *churner(void *arg)
{
	int fd = *(int *)arg;

	while (!stop) {
		struct bo bo;

		if (bo_create(fd, &bo)) {
			usleep(1000);
		} else {
			if (!sigsetjmp(bus, 1)) {
				bo_fill(&bo);
				bo_upload(&bo);
				bo_madvise(&bo, VIRTGPU_MADV_DONTNEED);
			}
			bo_close(&bo);
		}
		ops++;
	}
	return NULL;
}

static pthread_t threads[5];

/* All at the same time, on the first BOs and others. */
static void threads_start(int *fd)
{
	stop = false;
	pthread_create(&threads[0], NULL, purger, "1");
	pthread_create(&threads[1], NULL, purger, "evict 512");
	pthread_create(&threads[2], NULL, user, bos);
	pthread_create(&threads[3], NULL, user, bos + USER_BOS);
	pthread_create(&threads[4], NULL, churner, fd);
}

static void threads_end(void)
{
	stop = true;
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
}

/* The host does not let go, does not take pages, or answers an error to anything. */
static void errors(unsigned int seconds)
{
	int fd = drm_open();

	/* What it did not take it does not have, also if it does not say so in the end. */
	host(0, 0, 0, 1000, 1000);
	for (struct bo *bo = bos; bo < bos + 64; bo++) {
		if (bo_create(fd, bo))
			fail("create: %s", strerror(errno));
		else
			bo_fill(bo);
	}
	close_all();
	until(!shmem(), 5);
	if (shmem())
		fail("%ld KiB left of what the host did not take", shmem());
	host(0, 0, 0, 0, 0);

	fill(fd, 256, 2);
	host(0, 0, 500, 0, 0);
	reclaim("100000");
	reclaim("100000");
	reclaim("evict 100000");
	reclaim("evict 100000");
	printf("HOST refused: purged %ld BOs, evicted %ld, device refused %ld\n",
	       counter("purged_bos"), counter("evicted_bos"), counter("refused_device"));
	if (counter("refused_device") < 32)
		fail("the host did not refuse");
	verify(256, true);
	/* What it has not let go of has to stay when it is closed, too. */
	close_all();
	host(0, 0, 0, 0, 0);

	fill(fd, 256, 0);
	evict_all(10);
	host(0, 0, 0, 500, 0);
	upload_again(256);
	host(0, 0, 0, 0, 0);
	upload_again(256);
	verify(256, false);
	evict_all(10);
	upload_again(256);
	verify(256, false);
	close_all();

	fill(fd, 2 * USER_BOS, 0);
	errors_answered = true;
	host(0, 20, 100, 100, 100);
	threads_start(&fd);
	sleep(seconds);
	threads_end();
	host(0, 0, 0, 0, 0);
	close_all();
	until(!shmem(), 3);
	printf("HOST %ld KiB of closed BOs that the host did not let go of\n", shmem());
	printf("HOST unbind took %llu ms\n",
	       (unsigned long long)device_remove_timed(UNBIND_VIRTIO));
	close(fd);
}

/* Takes the device away from those who use it, in each way in turn. */
static void unbind(unsigned int rounds)
{
	uint64_t ms, longest[3] = { 0 };
	unsigned int mid = 0, overdue = 0;
	int fd = -1;

	for (unsigned int i = 0; i < rounds; i++) {
		enum way way = i % 3;
		unsigned long begin;
		bool is_late;

		device_find();
		fd = drm_open();
		if (fd < 0) {
			fail("no device in round %u", i);
			break;
		}
		fill(fd, 96, 2);
		host(60, 400, 0, 0, 0);
		threads_start(&fd);
		begin = ops;
		/* In mid-reclaim: in a call, or, every second time, with answers overdue. */
		if (i / 3 % 2)
			until(counter("late_batches") > 0, 5);
		else
			until(ops > begin + 4 && in_call, 10);
		is_late = counter("late_batches") > 0;
		overdue += is_late;
		mid += in_call || is_late;
		ms = device_remove_timed(way);
		if (ms > longest[way])
			longest[way] = ms;
		faults++;
		host(0, 0, 0, 0, 0);
		begin = ops;
		until(ops > begin + 50, 10);
		threads_end();
		/* They are closed with another device there, or with none. */
		if (i % 2 && device_add(way))
			fail("%s, undone: %s", way_names[way], strerror(errno));
		for (struct bo *bo = bos; bo < bos + 96; bo++)
			touch(bo);
		close_all();
		close(fd);
		if (i % 2 == 0 && device_add(way))
			fail("%s, undone: %s", way_names[way], strerror(errno));
		until(!shmem(), 5);
		if (shmem())
			fail("%ld KiB left after round %u", shmem(), i);
	}
	printf("HOST %u removals, %u in mid-reclaim, of these %u with answers overdue\n", rounds,
	       mid, overdue);
	for (enum way way = UNBIND_VIRTIO; way <= REMOVE_PCI; way++)
		printf("HOST %s took %llu ms at most\n", way_names[way],
		       (unsigned long long)longest[way]);
	if (mid < rounds / 2 || !overdue)
		fail("too few removals in mid-reclaim");
}

int main(int argc, char **argv)
{
	struct sigaction on_sigbus = { .sa_handler = on_bus };
	const char *what = argc > 1 ? argv[1] : "";
	unsigned int number = argc > 2 ? atoi(argv[2]) : 0;

	run_begin();
	sigaction(SIGBUS, &on_sigbus, NULL);
	if (!strcmp(what, "late"))
		late();
	else if (!strcmp(what, "errors"))
		errors(number);
	else if (!strcmp(what, "unbind"))
		unbind(number);
	else
		fail("usage: gem-host late | errors SECONDS | unbind ROUNDS");
	run_end();
	return 1;
}
