/* SPDX-License-Identifier: MIT */
/*
 * Copyright 2026 The GEM shrinker project
 *
 * The little of IGT that virtio_madvise needs, for building it where IGT's library is
 * but its headers are not: Debian packages libigt.so.0 alone. The macros have the form
 * that IGT has had since after its release 2.2 (igt_main() and igt_fixture() with
 * parentheses); tools/igt/upstream rewrites the callers for an older tree. In an IGT
 * tree this file is not used.
 */
#ifndef IGT_MIN_H
#define IGT_MIN_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* libigt.so.0, the same in IGT 2.0 and 2.5 */
extern sigjmp_buf igt_subtest_jmpbuf;

void igt_subtest_init_parse_opts(int *argc, char **argv, const char *short_opts,
				 const void *long_opts, const char *help,
				 int (*handler)(int opt, int index, void *data), void *data);
__attribute__((noreturn)) void igt_exit(void);

bool __igt_fixture(void);
void __igt_fixture_complete(void);

bool __igt_run_subtest(const char *name, const char *file, int line);
void igt_success(void);
void igt_describe_f(const char *format, ...) __attribute__((format(printf, 1, 2)));

__attribute__((noreturn, format(printf, 6, 7)))
void __igt_fail_assert(const char *domain, const char *file, int line, const char *func,
		       const char *assertion, const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2)))
void igt_skip(const char *format, ...);
__attribute__((format(printf, 3, 4)))
void igt_log(const char *domain, int level, const char *format, ...);

bool __igt_fork(void);
void igt_waitchildren(void);

uint64_t igt_get_total_ram_mb(void);
int igt_debugfs_open(int fd, const char *name, int mode);

/* the only level that is used; shown unless --quiet */
#define igt_info(...) igt_log(NULL, 1, __VA_ARGS__)

#define IGT_TEST_DESCRIPTION(text) const char *__igt_test_description = text

/* `int igt_main() { ... }` */
#define igt_main() \
	main(int argc, char **argv); \
	static void igt_min_body(void); \
	int main(int argc, char **argv) \
	{ \
		igt_subtest_init_parse_opts(&argc, argv, NULL, NULL, NULL, NULL, NULL); \
		igt_min_body(); \
		igt_exit(); \
	} \
	static void igt_min_body(void)

/* What skips or fails comes back through the jump buffer, and success does, too. */
#define igt_min_entered() (sigsetjmp(igt_subtest_jmpbuf, 1) == 0)

#define igt_fixture() \
	for (volatile bool igt_min_done = false; \
	     !igt_min_done && __igt_fixture() && igt_min_entered(); \
	     igt_min_done = true, __igt_fixture_complete())

#define igt_subtest(name) \
	for (; __igt_run_subtest(name, __FILE__, __LINE__) && igt_min_entered(); igt_success())

#define igt_describe(text) igt_describe_f("%s", text)

#define igt_assert_f(cond, ...) do { \
		if (!(cond)) \
			__igt_fail_assert(NULL, __FILE__, __LINE__, __func__, #cond, __VA_ARGS__); \
	} while (0)
#define igt_assert(cond) do { \
		if (!(cond)) \
			__igt_fail_assert(NULL, __FILE__, __LINE__, __func__, #cond, NULL); \
	} while (0)
#define igt_assert_eq(a, b) do { \
		long igt_min_a = (a), igt_min_b = (b); \
		igt_assert_f(igt_min_a == igt_min_b, "%s is %ld, not %ld\n", #a, \
			     igt_min_a, igt_min_b); \
	} while (0)

#define igt_fork(child, count) \
	for (int child = 0; child < (count); child++) \
		for (; __igt_fork(); exit(0))

#endif
