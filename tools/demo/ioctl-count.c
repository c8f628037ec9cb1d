// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the ioctls of a GL program, as it makes them: a library for LD_PRELOAD. When the
 * program ends, a line is added to the file that IOCTLS names:
 *
 *   IOCTLS program seconds S total N execbuffer N refused N create N madvise N failed N
 *          dontneed N willneed N lost N replace N                  (all in one line)
 *
 * refused: command buffers that failed, and maps and transfers that failed with EINVAL, as all
 * of them do that name a purged BO; madvise: all calls, of which the last four are those that
 * succeeded; lost: BOs that WILLNEED or WILLNEED_REPLACE found purged. What the caller has to
 * repeat (EINTR, EAGAIN) has not failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* numbers of include/uapi/drm/virtgpu_drm.h, of which the build has an old one */
enum {
	MAP = 0x41, EXECBUFFER, RESOURCE_CREATE = 0x44, TRANSFER_FROM_HOST = 0x46, TRANSFER_TO_HOST,
	CREATE_BLOB = 0x4a, MADVISE = 0x4c,
};
enum { WILLNEED, DONTNEED, WILLNEED_REPLACE, ADVICES };

struct madvise {
	uint32_t bo_handle;
	uint32_t retained;
	uint32_t madv;
	uint32_t res_handle;
};

static unsigned long total, execbuffer, refused, create, madvises, failed, advice[ADVICES], lost;
static struct timespec begin;

static void add(unsigned long *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

int ioctl(int fd, unsigned long request, ...)
{
	struct madvise *madvise;
	va_list args;
	int ret, error;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	ret = syscall(SYS_ioctl, fd, request, arg);
	error = ret && errno != EINTR && errno != EAGAIN ? errno : 0;

	add(&total);
	if (_IOC_TYPE(request) != 'd')
		return ret;
	switch (_IOC_NR(request)) {
	case EXECBUFFER:
		add(&execbuffer);
		if (error)
			add(&refused);
		break;
	case MAP:
	case TRANSFER_FROM_HOST:
	case TRANSFER_TO_HOST:
		if (error == EINVAL)
			add(&refused);
		break;
	case RESOURCE_CREATE:
	case CREATE_BLOB:
		add(&create);
		break;
	case MADVISE:
		madvise = arg;
		add(&madvises);
		if (error)
			add(&failed);
		if (ret || madvise->madv >= ADVICES)
			break;
		add(&advice[madvise->madv]);
		if (madvise->madv != DONTNEED && !madvise->retained)
			add(&lost);
		break;
	}
	return ret;
}

__attribute__((constructor))
static void start(void)
{
	clock_gettime(CLOCK_MONOTONIC, &begin);
}

__attribute__((destructor))
static void report(void)
{
	const char *path = getenv("IOCTLS");
	struct timespec end;
	char line[512];
	int fd, len;

	if (!path || !total)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	len = snprintf(line, sizeof(line),
		       "IOCTLS %s seconds %.2f total %lu execbuffer %lu refused %lu create %lu madvise %lu failed %lu dontneed %lu willneed %lu lost %lu replace %lu\n",
		       program_invocation_short_name,
		       end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9, total,
		       execbuffer, refused, create, madvises, failed, advice[DONTNEED],
		       advice[WILLNEED], lost, advice[WILLNEED_REPLACE]);
	/* one write, since others add their lines at the same time */
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, len) != len)
		perror(path);
	if (fd >= 0)
		close(fd);
}
