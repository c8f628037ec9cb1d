// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * The functions that igt_min.h takes from libigt.so.0, for programs that are linked
 * statically: a guest without a root file system has no libraries. A failed fixture, and
 * a subtest that is killed, end the program. In an IGT tree this file is not used.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "igt_min.h"

enum { IGT_STATIC_SKIP = 77, IGT_STATIC_INVALID = 79, IGT_STATIC_FAIL = 98 };
#define IGT_STATIC_CHILDREN 64

sigjmp_buf igt_subtest_jmpbuf;

static const char *wanted;
static bool list_only, in_fixture, skip_all, in_child;
static int passed, failed, skipped;
static pid_t children[IGT_STATIC_CHILDREN];
static int child_count;

void igt_subtest_init_parse_opts(int *argc, char **argv, const char *short_opts,
				 const void *long_opts, const char *help,
				 int (*handler)(int opt, int index, void *data), void *data)
{
	static const struct option options[] = {
		{ "list-subtests", no_argument, NULL, 'l' },
		{ "run-subtest", required_argument, NULL, 'r' },
		{ }
	};
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt_long(*argc, argv, "", options, NULL)) != -1) {
		if (c == 'l') {
			list_only = true;
		} else if (c == 'r') {
			wanted = optarg;
		} else {
			fprintf(stderr, "usage: %s [--list-subtests | --run-subtest NAME]\n",
				argv[0]);
			exit(2);
		}
	}
}

void igt_exit(void)
{
	if (failed)
		exit(IGT_STATIC_FAIL);
	if (passed || list_only)
		exit(0);
	exit(skipped ? IGT_STATIC_SKIP : IGT_STATIC_INVALID);
}

bool __igt_fixture(void)
{
	if (list_only || skip_all)
		return false;
	in_fixture = true;
	return true;
}

void __igt_fixture_complete(void)
{
	in_fixture = false;
}

bool __igt_run_subtest(const char *name, const char *file, int line)
{
	if (list_only) {
		puts(name);
		return false;
	}
	if (wanted && strcmp(wanted, name))
		return false;
	if (skip_all) {
		skipped++;
		return false;
	}
	printf("Starting subtest: %s\n", name);
	return true;
}

void igt_success(void)
{
	passed++;
	siglongjmp(igt_subtest_jmpbuf, 1);
}

void igt_describe_f(const char *format, ...)
{
}

void __igt_fail_assert(const char *domain, const char *file, int line, const char *func,
		       const char *assertion, const char *format, ...)
{
	int error = errno;
	va_list args;

	printf("%s:%d: %s: Failed assertion: %s\n", file, line, func, assertion);
	if (format) {
		va_start(args, format);
		printf("  ");
		vprintf(format, args);
		va_end(args);
	}
	printf("Last errno: %d, %s\n", error, strerror(error));
	fflush(stdout);
	if (in_child || in_fixture)
		_exit(IGT_STATIC_FAIL);
	failed++;
	siglongjmp(igt_subtest_jmpbuf, 1);
}

void igt_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("SKIP: ");
	vprintf(format, args);
	va_end(args);
	fflush(stdout);
	if (in_child)
		_exit(IGT_STATIC_SKIP);
	if (in_fixture) {
		in_fixture = false;
		skip_all = true;
	} else {
		skipped++;
	}
	siglongjmp(igt_subtest_jmpbuf, 1);
}

void igt_log(const char *domain, int level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

bool __igt_fork(void)
{
	pid_t pid;

	igt_assert(child_count < IGT_STATIC_CHILDREN);
	fflush(stdout);
	pid = fork();
	igt_assert(pid >= 0);
	if (!pid) {
		in_child = true;
		child_count = 0;
		return true;
	}
	children[child_count++] = pid;
	return false;
}

void igt_waitchildren(void)
{
	int status, worst = 0;

	for (int i = 0; i < child_count; i++) {
		if (waitpid(children[i], &status, 0) == children[i] && status)
			worst = status;
	}
	child_count = 0;
	igt_assert_f(!worst, "a child has wait status 0x%x, not 0\n", worst);
}

uint64_t igt_get_total_ram_mb(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (uint64_t)info.totalram * info.mem_unit >> 20;
}

/* There is one device that has such files. */
int igt_debugfs_open(int fd, const char *name, int mode)
{
	char pattern[128];
	glob_t found;
	int ret = -1;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/dri/*/%s", name);
	if (!glob(pattern, 0, NULL, &found)) {
		ret = open(found.gl_pathv[0], mode);
		globfree(&found);
	}
	return ret;
}
