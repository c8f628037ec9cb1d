// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that needs more and more memory: maps and touches one MiB at a time until it is
 * killed or holds its goal, and keeps the time of its slowest step in the state file.
 *
 * usage: hog STATE-FILE RESERVED-MIB PAUSE-MS
 *        the goal is 90% of the RAM that the kernel has, less RESERVED-MIB
 */
#include "scene.h"

static unsigned long mem_total_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;

	if (!f || fscanf(f, "MemTotal: %lu kB", &kib) != 1) {
		perror("/proc/meminfo");
		exit(1);
	}
	fclose(f);
	return kib;
}

/* fills one MiB, so that no page is like another; microseconds */
static uint64_t step(uint32_t salt)
{
	uint64_t begin = now_us();
	uint32_t *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("hog: mmap");
		exit(1);
	}
	for (uint32_t i = 0; i < MIB / sizeof(*p); i += 64)
		p[i] = salt * 2654435761u + i;
	return now_us() - begin;
}

int main(int argc, char **argv)
{
	struct scene *scene;
	struct timespec pause;
	unsigned int ms;

	if (argc != 4) {
		fprintf(stderr, "usage: %s STATE-FILE RESERVED-MIB PAUSE-MS\n", argv[0]);
		return 2;
	}
	scene = scene_open(argv[1]);
	ms = atoi(argv[3]);
	pause.tv_sec = ms / 1000;
	pause.tv_nsec = ms % 1000 * 1000000L;
	scene->hog_goal_mib = mem_total_kib() * 9 / 10 / 1024 - atoi(argv[2]);
	scene->hog_pid = getpid();

	while (scene->hog_mib < scene->hog_goal_mib) {
		uint64_t us = step(scene->hog_mib);

		if (us > scene->hog_stall_us)
			scene->hog_stall_us = us;
		scene->hog_mib++;
		nanosleep(&pause, NULL);
	}
	/* hold it: memory that was only just enough must stay enough */
	sleep(3);
	return 0;
}
