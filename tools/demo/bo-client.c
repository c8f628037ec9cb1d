// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client that behaves like a GL application's buffer cache, on the raw virtio-gpu ioctls:
 * creates, maps, fills and uploads BOs, and gives some of them the advice DONTNEED.
 * At SIGUSR1 it takes all of them back and compares every byte that must still be there.
 *
 * usage: bo-client [-i PERCENT] [-a] [-r PERCENT] [-u] STATE-FILE COUNT SIZE-KIB SEED READY-FILE
 *	-i PERCENT  of the BOs become idle (60)
 *	-a          each at once when it is filled, else when all are
 *	-r PERCENT  of each page is random, the rest is one value (100)
 *	-u          then uploads the live ones again, which needs a device that answers
 *
 * When the kernel refuses to create a BO for want of memory, it carries on with fewer.
 * Exit: 0 every live BO intact, 1 an error, 3 contents were lost.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../vm/virtgpu_madvise.h"
#include "scene.h"

struct bo {
	uint32_t handle;
	int dontneed;
	uint64_t *map;
};

static int drm_fd;
static uint64_t bo_size, seed;
static unsigned int idle_percent = 60, random_words = 512;
static volatile sig_atomic_t asked;

static void on_usr1(int sig)
{
	(void)sig;
	asked = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "bo-client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int drm(unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(drm_fd, request, arg);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret;
}

static uint32_t get_param(uint64_t param)
{
	uint32_t value = 0;
	struct drm_virtgpu_getparam gp = { .param = param, .value = (uintptr_t)&value };

	return drm(DRM_IOCTL_VIRTGPU_GETPARAM, &gp) ? 0 : value;
}

/* word WORD of BO number I: any two differ */
static uint64_t pattern(uint64_t i, uint64_t word)
{
	uint64_t x = (seed << 48) ^ (i << 32) ^ word;

	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15ULL;
	return x ^ (x >> 29);
}

/* word WORD that BO number I is filled with, in pages of 512 words */
static uint64_t content(uint64_t i, uint64_t word)
{
	return pattern(i, word % 512 < random_words ? word : word | 511);
}

/* evenly spread */
static int becomes_idle(unsigned int i)
{
	return ((i + 1) * idle_percent + 99) / 100 > (i * idle_percent + 99) / 100;
}

static void bo_wait(uint32_t handle)
{
	struct drm_virtgpu_3d_wait wait = { .handle = handle };
	int tries = 3;

	/* the kernel gives up after 15 s with EBUSY */
	while (drm(DRM_IOCTL_VIRTGPU_WAIT, &wait)) {
		if (errno != EBUSY || !tries--)
			die("WAIT");
	}
}

static void bo_upload(const struct bo *bo, int has_3d)
{
	struct drm_virtgpu_3d_transfer_to_host upload = {
		.bo_handle = bo->handle,
		.box.w = has_3d ? bo_size : 256,
		.box.h = has_3d ? 1 : bo_size / 1024,
		.box.d = 1,
	};

	if (drm(DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &upload))
		die("TRANSFER_TO_HOST");
	bo_wait(bo->handle);
}

/* 0, or -1 when there is no memory for another one */
static int bo_create(struct bo *bo, uint64_t i, int has_3d)
{
	/* a vertex buffer on virgl, a picture of the same size on the 2D device */
	struct drm_virtgpu_resource_create create = {
		.target = has_3d ? 0 : 2,
		.format = has_3d ? 64 : 1,
		.bind = has_3d ? 1 << 4 : 1 << 1,
		.width = has_3d ? bo_size : 256,
		.height = has_3d ? 1 : bo_size / 1024,
		.depth = 1,
		.array_size = 1,
		.size = bo_size,
		.stride = has_3d ? 0 : 1024,
	};
	struct drm_virtgpu_map map = { 0 };

	if (drm(DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create)) {
		if (errno == ENOMEM)
			return -1;
		die("RESOURCE_CREATE");
	}
	bo->handle = create.bo_handle;
	map.handle = bo->handle;
	if (drm(DRM_IOCTL_VIRTGPU_MAP, &map))
		die("MAP");
	bo->map = mmap(NULL, bo_size, PROT_READ | PROT_WRITE, MAP_SHARED, drm_fd, map.offset);
	if (bo->map == MAP_FAILED)
		die("mmap");
	for (uint64_t w = 0; w < bo_size / sizeof(uint64_t); w++)
		bo->map[w] = content(i, w);

	bo_upload(bo, has_3d);
	return 0;
}

static int bo_intact(const struct bo *bo, uint64_t i)
{
	for (uint64_t w = 0; w < bo_size / sizeof(uint64_t); w++)
		if (bo->map[w] != content(i, w))
			return 0;
	return 1;
}

/* 1 the contents are still there, 0 they were purged, negative: error */
static int madvise_bo(const struct bo *bo, uint32_t madv)
{
	struct drm_virtgpu_madvise arg = { .bo_handle = bo->handle, .madv = madv };

	return drm(DRM_IOCTL_VIRTGPU_MADVISE, &arg) ? -errno : (int)arg.retained;
}

static void give_up(struct bo *bo, int has_madvise)
{
	bo->dontneed = 1;
	if (has_madvise && madvise_bo(bo, VIRTGPU_MADV_DONTNEED) != 1)
		die("MADVISE DONTNEED");
}

static int verify(struct bo *bos, unsigned int count, int has_madvise)
{
	unsigned int live = 0, live_intact = 0, idle = 0, idle_intact = 0, purged = 0;

	for (unsigned int i = 0; i < count; i++) {
		int retained = 1;

		if (bos[i].dontneed && has_madvise) {
			retained = madvise_bo(&bos[i], VIRTGPU_MADV_WILLNEED);
			if (retained < 0)
				die("MADVISE WILLNEED");
		}
		if (bos[i].dontneed) {
			idle++;
			purged += !retained;
			idle_intact += retained && bo_intact(&bos[i], i);
		} else {
			live++;
			live_intact += bo_intact(&bos[i], i);
		}
	}
	printf("CLIENT live %u intact %u idle %u purged %u retained_intact %u\n",
	       live, live_intact, idle, purged, idle_intact);
	return live_intact == live && idle_intact + purged == idle;
}

static void usage(void)
{
	fputs("usage: bo-client [-i PERCENT] [-a] [-r PERCENT] [-u] STATE-FILE COUNT SIZE-KIB SEED READY-FILE\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	int has_madvise, has_3d, ready, opt, at_once = 0, again = 0;
	sigset_t usr1, old;
	struct scene *scene;
	struct bo *bos;
	unsigned int count, i;

	while ((opt = getopt(argc, argv, "i:ar:u")) != -1) {
		switch (opt) {
		case 'i':
			idle_percent = atoi(optarg);
			break;
		case 'a':
			at_once = 1;
			break;
		case 'r':
			random_words = 512 * atoi(optarg) / 100;
			break;
		case 'u':
			again = 1;
			break;
		default:
			usage();
		}
	}
	argv += optind;
	if (argc - optind != 5)
		usage();
	scene = scene_open(argv[0]);
	count = atoi(argv[1]);
	bo_size = atoi(argv[2]) * 1024UL;
	seed = atoi(argv[3]);
	setvbuf(stdout, NULL, _IOLBF, 0);

	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &old);

	drm_fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	if (drm_fd < 0)
		drm_fd = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	bos = calloc(count, sizeof(*bos));
	if (drm_fd < 0 || !bos)
		die("/dev/dri");

	has_3d = get_param(VIRTGPU_PARAM_3D_FEATURES);
	has_madvise = get_param(VIRTGPU_PARAM_MADVISE) & (1 << VIRTGPU_MADV_DONTNEED);
	if (!has_madvise)
		printf("CLIENT this kernel has no MADVISE: idle BOs stay, carrying on\n");

	scene->bo_kib = bo_size / 1024;
	scene->client_pid = getpid();
	for (i = 0; i < count; i++) {
		if (bo_create(&bos[i], i, has_3d)) {
			printf("CLIENT no memory for BO %u of %u, carrying on without\n", i, count);
			count = i;
			break;
		}
		scene->created = i + 1;
		if (at_once && becomes_idle(i)) {
			give_up(&bos[i], has_madvise);
			scene->idle++;
		}
	}
	for (i = 0; i < count && !at_once; i++) {
		if (becomes_idle(i)) {
			give_up(&bos[i], has_madvise);
			scene->idle++;
		}
	}
	printf("CLIENT filled %u BOs of %u KiB, %u of them idle\n",
	       count, scene->bo_kib, scene->idle);

	ready = open(argv[4], O_CREAT | O_WRONLY, 0600);
	if (ready < 0)
		die(argv[4]);
	close(ready);

	while (!asked)
		sigsuspend(&old);
	if (!verify(bos, count, has_madvise))
		return 3;
	for (i = 0; i < count && again; i++) {
		if (!bos[i].dontneed)
			bo_upload(&bos[i], has_3d);
	}
	if (again)
		printf("CLIENT uploaded again\n");
	return 0;
}
