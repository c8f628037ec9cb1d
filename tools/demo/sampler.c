// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the state of the scene to stdout, several times a second:
 *
 *   SAMPLE ms free_kib bo_kib purgeable_kib hog_kib swap_kib evicted_kib
 *
 * BO figures come from the driver's gem_shrinker file; a kernel without one never takes a
 * BO back, so there they are what the client created, for as long as it lives.
 *
 * At SIGTERM it adds what client and hog came to, whether they were killed or not:
 *
 *   BOS created idle
 *   HOG reached_mib goal_mib slowest_step_us
 *
 * usage: sampler STATE-FILE PERIOD-MS GEM-SHRINKER-FILE
 */
#include <signal.h>
#include <string.h>

#include "scene.h"

static volatile sig_atomic_t done;

static void on_term(int sig)
{
	(void)sig;
	done = 1;
}

/* value of the line that begins with KEY, or -1; a fixed buffer, for when memory is short */
static long value(const char *path, const char *key)
{
	static char buf[8192];
	size_t len = strlen(key);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	for (char *line = buf; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && strchr(" \t:", line[len]))
			return strtol(line + len + 1, NULL, 10);
	}
	return -1;
}

/* memory that process PID has in RAM; 0 once it is gone */
static unsigned long rss_kib(int pid)
{
	unsigned long size, resident = 0;
	char path[64], buf[128] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, buf, sizeof(buf) - 1) <= 0 ||
	    sscanf(buf, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	close(fd);
	return resident * 4;
}

static int alive(int pid)
{
	return pid > 0 && !kill(pid, 0);
}

int main(int argc, char **argv)
{
	struct timespec period;
	struct scene *scene;
	unsigned int ms;

	if (argc != 4) {
		fprintf(stderr, "usage: %s STATE-FILE PERIOD-MS GEM-SHRINKER-FILE\n", argv[0]);
		return 2;
	}
	scene = scene_open(argv[1]);
	ms = atoi(argv[2]);
	period.tv_sec = ms / 1000;
	period.tv_nsec = ms % 1000 * 1000000L;
	mlockall(MCL_CURRENT | MCL_FUTURE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_term);

	while (!done) {
		long resident = value(argv[3], "resident_pages");
		long purgeable = value(argv[3], "purgeable_pages");
		long evicted = value(argv[3], "evicted_pages");
		long swap_total = value("/proc/meminfo", "SwapTotal");
		long swap_free = value("/proc/meminfo", "SwapFree");
		int client = alive(scene->client_pid);

		if (resident >= 0 && purgeable >= 0) {
			resident *= 4;
			purgeable *= 4;
		} else {
			resident = client ? (long)scene->created * scene->bo_kib : 0;
			purgeable = client ? (long)scene->idle * scene->bo_kib : 0;
		}
		printf("SAMPLE %llu %ld %ld %ld %lu %ld %ld\n",
		       (unsigned long long)now_us() / 1000, value("/proc/meminfo", "MemFree"),
		       resident, purgeable, scene->hog_pid ? rss_kib(scene->hog_pid) : 0,
		       swap_total - swap_free, evicted > 0 ? evicted * 4 : 0);
		nanosleep(&period, NULL);
	}
	printf("BOS %u %u\n", scene->created, scene->idle);
	printf("HOG %u %u %u\n", scene->hog_mib, scene->hog_goal_mib, scene->hog_stall_us);
	return 0;
}
