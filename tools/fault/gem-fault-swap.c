// SPDX-License-Identifier: GPL-2.0-only
/*
 * What evicted BOs do when there is no swap space left for them, when it cannot be written or
 * read, and when a memory cgroup has no room for them. What cannot be had is an error for who
 * wants it, and nothing else is lost.
 *
 * usage: gem-fault-swap DISK
 *	DISK, and /dev/zram0, become swap space; there is none yet. All cgroups are in the
 *	root of cgroup2, which is mounted.
 *	TALLY ...
 * Exit: 0 fine, 1 not.
 */
#include <sys/wait.h>

#include "bo.h"

#define FAIL_IO "/sys/kernel/debug/fail_make_request/"
#define CGROUP "/sys/fs/cgroup/"
#define ZRAM "/dev/zram0"
#define BO_SIZE (64 * PAGE)
#define MANY 0x100000

/* The next @times pieces of I/O on @device fail. */
static void io_fail(const char *device, unsigned int times)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s/make-it-fail", strrchr(device, '/') + 1);
	put(path, "%d", !!times);
	put(FAIL_IO "probability", "100");
	put(FAIL_IO "interval", "1");
	put(FAIL_IO "space", "0");
	put(FAIL_IO "verbose", "0");
	put(FAIL_IO "task-filter", "N");
	put(FAIL_IO "times", "%u", times);
}

/* No more of that. Returns how many failed. */
static unsigned int io_mend(const char *device, unsigned int times)
{
	unsigned int hits = times - get(FAIL_IO "times", NULL);

	io_fail(device, 0);
	faults += hits;
	return hits;
}

static void doing_it(const char *what, const char *device)
{
	snprintf(doing, sizeof(doing), "%s, %s", what, device);
}

static void expect(const char *what, int got, int wanted)
{
	ops++;
	if (got != wanted)
		fail("%s gave %d, not %d", what, got, wanted);
}

/* This process, so that nothing of it is in the swap cache: it is all about BOs. */
static void stay(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
}

/* Out of memory, and not only on the way: what was written but not freed is not read again. */
static void push_out(const char *group)
{
	uint64_t begin = now_ms();
	char path[64];
	int fd;

	snprintf(path, sizeof(path), CGROUP "%s/memory.reclaim", group);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	while (get("/proc/meminfo", "SwapCached") > 0) {
		/* EAGAIN says that there was not that much */
		if (write(fd, "16M", 3) < 0 && errno != EAGAIN)
			die("%s", path);
		if (now_ms() - begin > PATIENCE_MS)
			die("%ld KiB stay in the swap cache", get("/proc/meminfo", "SwapCached"));
	}
	close(fd);
}

static void join(const char *group)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUP "%s", group);
	if (mkdir(path, 0755) && errno != EEXIST)
		die("%s", path);
	snprintf(path, sizeof(path), CGROUP "%s/cgroup.procs", group);
	put(path, "0");
}

/* A child that is given two minutes to end; its wait status, or -1. */
static int wait_for(pid_t pid)
{
	uint64_t begin = now_ms();
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_ms() - begin > 120000) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
		usleep(10000);
	}
	return status;
}

/* More than the guest has, in a process that is the one to be killed. */
static void hog(void)
{
	put("/proc/self/oom_score_adj", "1000");
	for (;;) {
		uint64_t *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (map == MAP_FAILED)
			_exit(2);
		for (unsigned int i = 0; i < (1 << 20) / 8; i += 512)
			map[i] = word(getpid(), i);
	}
}

static void test_full(void)
{
	enum { COUNT = 40 };
	static struct bo bos[COUNT];
	unsigned int rounds = 0;
	uint64_t begin, longest = 0;
	pid_t pid;
	int status;

	doing_it("swap full", ZRAM);
	swap_on(ZRAM, 4);
	bos_make(bos, COUNT, BO_SIZE);
	do {
		begin = now_ms();
		expect("evict", scan("evict "), 0);
		begin = now_ms() - begin;
		if (begin > longest)
			longest = begin;
	} while (get("/proc/meminfo", "SwapFree") && ++rounds < 20);
	if (get("/proc/meminfo", "SwapFree"))
		fail("%ld KiB of swap are free", get("/proc/meminfo", "SwapFree"));
	if (longest > PATIENCE_MS)
		fail("a scan took %lu ms", longest);

	/* A process that takes all that is left is killed; nobody waits for swap. */
	pid = fork();
	if (!pid)
		hog();
	status = wait_for(pid);
	if (status < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("a hog has wait status 0x%x", status);
	for (unsigned int i = 0; i < COUNT; i++)
		bo_check(&bos[i], false);
	bos_close(bos, COUNT);
	swap_off(ZRAM);
	printf("ok    swap full: %u scans, the longest %lu ms\n", rounds + 1, longest);
}

static void test_write(const char *device)
{
	enum { COUNT = 8 };
	static struct bo bos[COUNT];
	unsigned int hits;
	long out;

	doing_it("write errors", device);
	swap_on(device, 64);
	bos_make(bos, COUNT, BO_SIZE);
	io_fail(device, MANY);
	bos_evict(COUNT);
	hits = io_mend(device, MANY);
	if (hits < COUNT)
		fail("%u pieces of I/O failed", hits);
	for (unsigned int i = 0; i < COUNT; i++)
		bo_check(&bos[i], false);
	expect("upload", bo_upload(&bos[0]), 0);
	bo_wait(&bos[0]);

	/* It is written as soon as that can be done. */
	out = get("/proc/vmstat", "pswpout");
	bos_evict(COUNT);
	push_out("fault");
	out = get("/proc/vmstat", "pswpout") - out;
	/* but for some that the kernel got to before */
	if (out < (long)(COUNT * BO_SIZE / PAGE * 9 / 10))
		fail("%ld pages written", out);
	for (unsigned int i = 0; i < COUNT; i++)
		bo_check(&bos[i], false);
	bos_close(bos, COUNT);
	swap_off(device);
	printf("ok    write errors, %s: %u\n", device, hits);
}

/* What cannot be read is lost, which is the mm's to decide; what user space sees of it is ours. */
static void test_read(const char *device)
{
	enum { FAULTED, UPLOADED, SOURCE, TARGET, BYSTANDER, COUNT };
	static struct bo bos[COUNT];
	long resident = counter("resident_pages"), shmem = shmem_kib();

	doing_it("read errors", device);
	swap_on(device, 64);
	bos_make(bos, COUNT, BO_SIZE);
	bos_evict(COUNT);
	push_out("fault");

	io_fail(device, 1);
	expect("access", bo_touch(&bos[FAULTED]), -EFAULT);
	expect("errors", io_mend(device, 1), 1);
	/* not once for the first to look and zeros for the next */
	expect("access again", bo_touch(&bos[FAULTED]), -EFAULT);
	expect("upload of it", bo_upload(&bos[FAULTED]), -EIO);

	io_fail(device, 1);
	expect("upload", bo_upload(&bos[UPLOADED]), -EIO);
	expect("errors", io_mend(device, 1), 1);
	expect("upload again", bo_upload(&bos[UPLOADED]), -EIO);
	expect("access", bo_touch(&bos[UPLOADED]), -EFAULT);

	if (has_3d) {
		io_fail(device, 1);
		expect("job", bo_copy(&bos[TARGET], &bos[SOURCE]), -EIO);
		expect("errors", io_mend(device, 1), 1);
		expect("job again", bo_copy(&bos[TARGET], &bos[SOURCE]), -EIO);
		/* whichever of them it was that was read first */
		if (!bo_touch(&bos[SOURCE]))
			bo_check(&bos[SOURCE], false);
		else
			bo_check(&bos[TARGET], false);
	}
	bo_check(&bos[BYSTANDER], false);

	/* Given up, such a BO is like any other. */
	bos_purge(&bos[FAULTED], 1);
	expect("REPLACE", bo_madvise(&bos[FAULTED], REPLACE), 0);
	bo_check(&bos[FAULTED], true);
	bo_fill(&bos[FAULTED]);
	expect("upload", bo_upload(&bos[FAULTED]), 0);
	bo_wait(&bos[FAULTED]);
	bo_check(&bos[FAULTED], false);

	bos_close(bos, COUNT);
	expect_resident(resident);
	expect_shmem(shmem);
	swap_off(device);
	printf("ok    read errors, %s\n", device);
}

/* In a cgroup that may have 24 MiB: BOs until there are no more, all given up. */
static void fill_cgroup(void)
{
	enum { COUNT = 256 };
	static struct bo bos[COUNT];
	long purged = counter("purged_bos");
	unsigned int i, made;
	int ret = 0;

	join("limited");
	for (made = 0; made < COUNT; made++) {
		ret = bo_create(&bos[made], BO_SIZE);
		if (ret)
			break;
		if (bo_mmap(&bos[made]))
			die("mmap");
		bo_fill(&bos[made]);
		expect("DONTNEED", bo_madvise(&bos[made], DONTNEED), 1);
	}
	expect("the first BO over the limit", ret, -ENOMEM);
	expect("purged BOs", counter("purged_bos") - purged, 0);
	if (made * BO_SIZE < 16 << 20 || made * BO_SIZE > 24 << 20)
		fail("%u BOs fit", made);
	for (i = 0; i < made; i++) {
		expect("WILLNEED", bo_madvise(&bos[i], WILLNEED), 1);
		bo_check(&bos[i], false);
	}
	/* Closing some makes room. */
	bos_close(bos, 8);
	expect_resident((made - 8) * BO_SIZE / PAGE);
	expect("a BO when there is room", bo_create(&bos[0], BO_SIZE), 0);
	printf("memcg of 24 MiB: %u BOs of 256 KiB, then ENOMEM, none purged\n", made);
}

/* Eviction does not look at limits; what is brought back has to fit. */
static void shrink_cgroup(bool fault)
{
	struct bo bo;

	join("limited");
	bos_make(&bo, 1, 16 << 20);
	bos_evict(1);
	push_out("limited");
	put(CGROUP "limited/memory.max", "8M");
	if (fault) {
		/* a fault has no other way to fail than to kill */
		bo_touch(&bo);
		fail("the fault was served");
		return;
	}
	expect("upload over the limit", bo_upload(&bo), -ENOMEM);
	put(CGROUP "limited/memory.max", "32M");
	expect("upload when there is room", bo_upload(&bo), 0);
	bo_wait(&bo);
	bo_check(&bo, false);
}

enum scene { FILL, UPLOAD, FAULT };

static void in_cgroup(enum scene scene, const char *what, int wanted)
{
	long kills = get("/proc/vmstat", "oom_kill"), resident = counter("resident_pages");
	pid_t pid;
	int status;

	snprintf(doing, sizeof(doing), "memcg limit, %s", what);
	put(CGROUP "limited/memory.max", "24M");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* a file of its own, so that its BOs go with it */
		failures = ops = lost = 0;
		/* else inherited from what must not be killed */
		put("/proc/self/oom_score_adj", "0");
		stay();
		open_device();
		if (scene == FILL)
			fill_cgroup();
		else
			shrink_cgroup(scene == FAULT);
		fflush(stdout);
		_exit(failures || lost ? 1 : 0);
	}
	status = wait_for(pid);
	expect("wait status", status, wanted);
	expect("OOM kills", get("/proc/vmstat", "oom_kill") - kills, !!wanted);
	expect_resident(resident);
	printf("ok    memcg limit, %s\n", what);
}

static void test_cgroup(void)
{
	if (mkdir(CGROUP "limited", 0755))
		die(CGROUP "limited");
	swap_on(ZRAM, 64);
	in_cgroup(FILL, "new BOs", 0);
	in_cgroup(UPLOAD, "transfer of an evicted BO", 0);
	in_cgroup(FAULT, "fault on an evicted BO", SIGKILL);
	swap_off(ZRAM);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: gem-fault-swap DISK\n");
		return 2;
	}
	open_device();
	stay();
	/* no read-ahead: what fails is what was asked for */
	put("/proc/sys/vm/page-cluster", "0");
	put(CGROUP "cgroup.subtree_control", "+memory");
	join("fault");

	test_write(ZRAM);
	test_write(argv[1]);
	test_read(ZRAM);
	test_read(argv[1]);
	test_full();
	test_cgroup();
	return tally();
}
