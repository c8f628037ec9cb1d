// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does what user space and memory reclaim do with BOs, again and again, each time with
 * another allocation, or another command to the host, that fails: the first, the second, and
 * so on until nothing fails any more; and once with all allocations failing. Whatever fails:
 *
 * - the operation succeeds, or gives ENOMEM or an errno that is said here;
 * - what it was about is as it was before: contents, or the advice, or that it was purged;
 * - it succeeds when it is done once more without a fault;
 * - nothing is left of it when the BOs are closed.
 *
 * The command buffers of the driver's ordinary path are allocated with __GFP_NOFAIL and cannot
 * fail.
 *
 * usage: gem-fault [OPERATION]...	  these only
 *	SITE operation allocation|command function hits   for each place that was hit
 *	TALLY ...
 * Exit: 0 fine, 1 not.
 */
#include "fault.h"
#include "inject.h"
#include "operations.h"

#define MANY 1000000
/* of what can fail in an operation: so many at either end do, each */
#define ENDS 40

/* what was hit */
static struct site {
	const struct operation *op;
	char function[64];
	unsigned int hits;
} sites[1024];

static void count_site(const struct operation *op, const char *function)
{
	struct site *site = sites;

	while (site->op && (site->op != op || strcmp(site->function, function)))
		site++;
	if (site == sites + sizeof(sites) / sizeof(*sites) - 1)
		die("too many sites");
	site->op = op;
	snprintf(site->function, sizeof(site->function), "%s", function);
	site->hits++;
}

/*
 * Once with the @n-th fault, if it comes to that. Returns the number of faults.
 */
static unsigned int try(const struct operation *op, enum injector injector, unsigned int n)
{
	char site[64];
	unsigned int hits;
	int ret;

	snprintf(doing, sizeof(doing), "%s, fault %u", op->name, n);
	op->prepare();
	arm(injector, n);
	ret = op->run();
	hits = disarm(injector);

	if (hits) {
		read_site(site, sizeof(site));
		snprintf(doing, sizeof(doing), "%s, fault %u (%s)", op->name, n,
			 injector == NTH ? site : "all");
		if (injector == NTH)
			count_site(op, site);
	}
	faults += hits;
	ops++;
	if (ret != -op->always &&
	    (!hits || (ret != -ENOMEM && (!op->also || ret != -op->also))))
		fail("gave %d", ret);

	if (ret != -op->always) {
		op->failed();
		ret = op->run();
		if (ret != -op->always)
			fail("gave %d without a fault", ret);
	}
	op->check();
	return hits;
}

/* How many things could have failed. */
static unsigned int count_points(const struct operation *op)
{
	unsigned int left;

	snprintf(doing, sizeof(doing), "%s", op->name);
	op->prepare();
	arm(NTH, MANY);
	if (op->run() != -op->always)
		fail("failed without a fault");
	left = disarm_nth();
	op->check();
	return MANY - left;
}

/* One page is like another: in the middle only some fail. */
static bool is_skipped(const struct operation *op, unsigned int n, unsigned int count)
{
	return op->stride && n > ENDS && n + ENDS < count && n % op->stride;
}

static void test(const struct operation *op)
{
	long resources = host_resources(), shmem = shmem_kib();
	unsigned long before = faults;
	uint64_t begin = now_ms();
	unsigned int n, count;

	resident = counter("resident_pages");
	count = count_points(op);

	/*
	 * Twice, since what the kernel's own checks allocate differs from one time to the next,
	 * and the n-th is not always the same.
	 */
	for (unsigned int round = 0; round < (op->stride ? 1 : 2); round++) {
		for (n = 1; is_skipped(op, n, count) || try(op, NTH, n); n++)
			;
		if (n * 2 < count)
			fail("ended after %u faults", n);
	}
	scanned = MAX_BOS - 1;
	if (!try(op, ALL, 0) && count)
		fail("nothing failed");
	scanned = BOS;

	snprintf(doing, sizeof(doing), "%s, at the end", op->name);
	expect_resident(resident);
	expect_host_resources(resources);
	expect_shmem(shmem);
	printf("ok    %s: %u things can fail, %lu faults in %lu ms\n", op->name, count,
	       faults - before, now_ms() - begin);
}

/* What nobody has a pointer to; a first look may come too soon after it was freed. */
static void check_leaks(void)
{
	char text[4096];
	ssize_t len;
	int fd;

	snprintf(doing, sizeof(doing), "kmemleak");
	put(DEBUG "kmemleak", "scan");
	put(DEBUG "kmemleak", "scan");
	fd = open(DEBUG "kmemleak", O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0)
		die("kmemleak");
	close(fd);
	if (!len)
		return;
	text[len] = '\0';
	fail("memory that nobody has a pointer to:\n%s", text);
	for (char *size = text; (size = strstr(size, "(size ")); size++)
		leaked += atoi(size + 6);
}

static bool is_known(const char *name)
{
	for (unsigned int i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (!strcmp(operations[i].name, name))
			return has_3d || !operations[i].needs_3d;
	}
	return false;
}

static bool is_wanted(const struct operation *op, char **names)
{
	if (op->needs_3d && !has_3d)
		return false;
	for (char **name = names; *name; name++) {
		if (!strcmp(*name, op->name))
			return true;
	}
	return !*names;
}

int main(int argc, char **argv)
{
	uint64_t begin = now_ms();

	if (argc > 1 && *argv[1] == '-') {
		fprintf(stderr, "usage: gem-fault [OPERATION]...\n");
		return 2;
	}
	open_device();
	other_fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (other_fd < 0 || pipe(fds))
		die("%s", DEVICE);
	for (char **name = argv + 1; *name; name++) {
		if (!is_known(*name))
			die("no operation %s on this device", *name);
	}
	swap_on("/dev/zram0", 256);
	inject_setup();
	put(COMMANDS "trigger", "hist:keys=type");
	/* what is left over from boot is not ours */
	put(DEBUG "kmemleak", "clear");

	for (unsigned int i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (is_wanted(&operations[i], argv + 1))
			test(&operations[i]);
	}
	for (const struct site *site = sites; site->op; site++)
		printf("SITE %s %s %s %u\n", site->op->name,
		       is_command(site->function) ? "command" : "allocation", site->function,
		       site->hits);
	put(PROBE "enable", "0");
	swap_off("/dev/zram0");
	check_leaks();
	printf("%lu ms\n", now_ms() - begin);
	return tally();
}
