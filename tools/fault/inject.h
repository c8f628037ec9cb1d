/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults, and where they hit. The kernel fails the n-th thing of this task that can be made to
 * fail (/proc/self/fail-nth), which is an allocation or a command to the host, or all of its
 * allocations for a while.
 *
 * What was hit is known by a probe on the one function that decides, which records the stack
 * when it says yes: the kernel's own reports leave out what is allocated with __GFP_NOWARN.
 */
#ifndef INJECT_H
#define INJECT_H

#include "fault.h"

#define DEBUG "/sys/kernel/debug/"
#define TRACING "/sys/kernel/tracing/"
#define INSTANCE TRACING "instances/fault/"
#define PROBE INSTANCE "events/fault/hit/"
/* how many in a row; then a page fault, which is tried again and again, gets through */
#define ALL_TIMES 200

enum injector { NTH, ALL };

static int nth_fd = -1, task_fd = -1, pipe_fd = -1;

/* Says how a kind of fault is to be injected, without injecting any. */
static inline void attr_setup(const char *name)
{
	char path[128];
	static const struct {
		const char *file;
		int value;
	} values[] = {
		{ "probability", 0 }, { "interval", 1 }, { "times", 0 }, { "space", 0 },
		{ "verbose", 0 },
	};

	for (unsigned int i = 0; i < sizeof(values) / sizeof(*values); i++) {
		snprintf(path, sizeof(path), DEBUG "%s/%s", name, values[i].file);
		put(path, "%d", values[i].value);
	}
}

static inline void inject_setup(void)
{
	attr_setup("failslab");
	put(DEBUG "failslab/ignore-gfp-wait", "N");
	attr_setup("fail_page_alloc");
	put(DEBUG "fail_page_alloc/ignore-gfp-wait", "N");
	put(DEBUG "fail_page_alloc/ignore-gfp-highmem", "N");
	put(DEBUG "fail_page_alloc/min-order", "0");
	/* these two fail with the task that asked for it only */
	put(DEBUG "failslab/task-filter", "Y");
	put(DEBUG "fail_page_alloc/task-filter", "Y");
	put(DEBUG "failslab/probability", "100");
	put(DEBUG "fail_page_alloc/probability", "100");

	/* of virtio-gpu */
	attr_setup("dri/0/fail_command");

	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	task_fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	put(TRACING "kprobe_events", "r:fault/hit should_fail_ex hit=$retval:u8");
	if (nth_fd < 0 || task_fd < 0 || mkdir(INSTANCE, 0755))
		die("fail-nth, make-it-fail, or %s", INSTANCE);
	put(INSTANCE "buffer_size_kb", "64");
	put(INSTANCE "options/stacktrace", "1");
	put(PROBE "filter", "hit != 0");
	put(PROBE "enable", "1");
	pipe_fd = open(INSTANCE "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (pipe_fd < 0)
		die("%s", INSTANCE "trace_pipe");
}

static inline void write_number(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fd, text, len, 0) != len)
		die("fault injection");
}

static inline void arm(enum injector injector, unsigned int n)
{
	if (injector == NTH) {
		write_number(nth_fd, n);
		return;
	}
	put(DEBUG "failslab/times", "%d", ALL_TIMES);
	put(DEBUG "fail_page_alloc/times", "%d", ALL_TIMES);
	write_number(task_fd, 1);
}

/* Ends fail-nth; how far it was from 0, when something failed. */
static inline unsigned int disarm_nth(void)
{
	char text[16] = "";

	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0)
		die("fail-nth");
	write_number(nth_fd, 0);
	return atoi(text);
}

/* Ends any; how many faults there were. */
static inline unsigned int disarm(enum injector injector)
{
	unsigned int hits;

	if (injector == NTH)
		return disarm_nth() == 0;
	write_number(task_fd, 0);
	hits = 2 * ALL_TIMES - get(DEBUG "failslab/times", NULL) -
	       get(DEBUG "fail_page_alloc/times", NULL);
	put(DEBUG "failslab/times", "0");
	put(DEBUG "fail_page_alloc/times", "0");
	return hits;
}

static inline bool begins(const char *function, const char * const *with)
{
	for (; *with; with++) {
		if (!strncmp(function, *with, strlen(*with)))
			return true;
	}
	return false;
}

/* Part of the tracing, of the fault injection, or of an allocator that others call? */
static inline bool is_plumbing(const char *function)
{
	static const char * const with[] = {
		"trace_", "__trace_", "kretprobe_", "__kretprobe_", "rethook_", "arch_rethook_",
		"should_fail", "kmem_cache_alloc", "__kmalloc", "___kmalloc", "kmalloc",
		"__do_kmalloc", "__kvmalloc", "kvmalloc", "kmemdup", "krealloc", "___slab_alloc",
		"__slab_alloc", "new_slab", "allocate_slab", "alloc_slab", "alloc_pages",
		"__alloc_pages", "__folio_alloc", "folio_alloc", "get_free_pages", "__get_free",
		"get_zeroed_page", "vmalloc", "__vmalloc", "__vmap", "slab_", "___cache",
		"prepare_alloc", NULL
	};

	return begins(function, with);
}

/* What the kernel's own checks allocate for themselves. They get along without. */
static inline bool is_check(const char *function)
{
	static const char * const with[] = {
		"kmemleak", "create_object", "__create_object", "__alloc_object", "mem_pool_alloc",
		"stack_depot", "kasan_", "__kasan", "debug_object", NULL
	};

	return begins(function, with);
}

static inline bool is_command(const char *function)
{
	return !strncmp(function, "virtio_gpu_queue_", strlen("virtio_gpu_queue_")) ||
	       !strcmp(function, "virtio_gpu_add_command") ||
	       !strcmp(function, "virtio_gpu_try_add") ||
	       !strcmp(function, "virtio_gpu_cmd_revoke_resource");
}

/*
 * Who asked for what the last fault was injected into; "-" if that is for the kernel's own
 * checks, "?" if it was not recorded.
 */
static inline void read_site(char *site, size_t size)
{
	static char text[65536];
	size_t len = 0;
	ssize_t got;

	while (len < sizeof(text) - 1 &&
	       (got = read(pipe_fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	text[len] = '\0';

	snprintf(site, size, "?");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char function[64];

		/* without what the compiler adds, as in .constprop.0 */
		if (sscanf(line, " => %63[^+. \n]", function) != 1 || is_plumbing(function))
			continue;
		snprintf(site, size, "%s", is_check(function) ? "-" : function);
		return;
	}
}

#endif
