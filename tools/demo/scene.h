/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs of the scene share: one page in a file on tmpfs, so that the figures
 * of a program that was killed can still be read.
 */
#ifndef SCENE_H
#define SCENE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024UL * 1024)

struct scene {
	volatile int32_t client_pid;
	volatile uint32_t bo_kib;	/* size of one BO */
	volatile uint32_t created;	/* BOs */
	volatile uint32_t idle;		/* BOs told (or meant) to be DONTNEED */
	volatile int32_t hog_pid;
	volatile uint32_t hog_mib;	/* touched by the hog */
	volatile uint32_t hog_goal_mib;
	volatile uint32_t hog_stall_us;	/* its slowest step */
};

static inline struct scene *scene_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct scene *s;

	if (fd < 0 || ftruncate(fd, sizeof(*s)) < 0) {
		perror(path);
		exit(1);
	}
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	close(fd);
	return s;
}

static inline uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

#endif
