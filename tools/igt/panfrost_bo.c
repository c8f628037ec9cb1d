// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * See panfrost_bo.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "panfrost_bo.h"

#define PF_SWAP "/dev/zram0"
#define PF_JOB_BYTES 128
#define PF_MAX_HANDLES 64

int pf_ioctl(int fd, unsigned long request, void *args)
{
	int ret;

	do {
		ret = ioctl(fd, request, args);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

/* The primary node, if it is a driver for which a render node is not enough */
int pf_open_name(const char *driver, bool primary)
{
	for (int i = 0; i < 8; i++) {
		char path[32], name[32] = "";
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
		int fd;

		snprintf(path, sizeof(path), primary ? "/dev/dri/card%d" : "/dev/dri/renderD%d",
			 primary ? i : 128 + i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!pf_ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, driver))
			return fd;
		close(fd);
	}
	return -ENODEV;
}

int pf_open(void)
{
	return pf_open_name("panfrost", false);
}

int pf_bo_try_create(struct pf_bo *bo, int fd, uint64_t size, uint32_t flags)
{
	struct drm_panfrost_create_bo args = { .size = size, .flags = flags };
	int ret = pf_ioctl(fd, DRM_IOCTL_PANFROST_CREATE_BO, &args);

	*bo = (struct pf_bo) { .fd = fd, .handle = args.handle, .va = args.offset, .size = size };
	return ret;
}

void pf_bo_create(struct pf_bo *bo, int fd, uint64_t size, uint32_t flags)
{
	igt_assert_eq(pf_bo_try_create(bo, fd, size, flags), 0);
	if (!(flags & PANFROST_BO_HEAP))
		pf_bo_map(bo);
}

void pf_bo_map(struct pf_bo *bo)
{
	struct drm_panfrost_mmap_bo args = { .handle = bo->handle };

	igt_assert_eq(pf_ioctl(bo->fd, DRM_IOCTL_PANFROST_MMAP_BO, &args), 0);
	bo->map = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, bo->fd, args.offset);
	igt_assert(bo->map != MAP_FAILED);
}

void pf_bo_unmap(struct pf_bo *bo)
{
	if (bo->map)
		munmap(bo->map, bo->size);
	bo->map = NULL;
}

/* Each page differs from all others, and compresses well. */
uint32_t pf_bo_word(const struct pf_bo *bo, uint64_t index)
{
	return bo->seed * 0x01000193u + (uint32_t)(index / 1024) * 0x10001u + index % 7;
}

void pf_bo_fill(struct pf_bo *bo, uint32_t seed)
{
	bo->seed = seed;
	for (uint64_t i = 0; i < bo->size / 4; i++)
		bo->map[i] = pf_bo_word(bo, i);
}

void pf_bo_check(struct pf_bo *bo)
{
	for (uint64_t i = 0; i < bo->size / 4; i++)
		igt_assert_f(bo->map[i] == pf_bo_word(bo, i), "word %llu is 0x%x, not 0x%x\n",
			     (unsigned long long)i, bo->map[i], pf_bo_word(bo, i));
}

void pf_bo_create_filled(struct pf_bo *bo, int fd, uint64_t size, uint32_t seed)
{
	pf_bo_create(bo, fd, size, PANFROST_BO_NOEXEC);
	pf_bo_fill(bo, seed);
}

int pf_close_handle(int fd, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	return pf_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

void pf_bo_close(struct pf_bo *bo)
{
	pf_bo_unmap(bo);
	igt_assert_eq(pf_close_handle(bo->fd, bo->handle), 0);
}

int pf_madvise(int fd, uint32_t handle, uint32_t madv)
{
	struct drm_panfrost_madvise args = { .handle = handle, .madv = madv, .retained = 99 };
	int ret = pf_ioctl(fd, DRM_IOCTL_PANFROST_MADVISE, &args);

	return ret ? ret : (int)args.retained;
}

int pf_bo_madvise(struct pf_bo *bo, uint32_t madv)
{
	return pf_madvise(bo->fd, bo->handle, madv);
}

int pf_export(int fd, uint32_t handle)
{
	struct drm_prime_handle args = { .handle = handle, .flags = O_RDWR | O_CLOEXEC };
	int ret = pf_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

int pf_import(int fd, int dmabuf, uint32_t *handle)
{
	struct drm_prime_handle args = { .fd = dmabuf };
	int ret = pf_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*handle = args.handle;
	return ret;
}

int pf_va(int fd, uint32_t handle, uint64_t *va)
{
	struct drm_panfrost_get_bo_offset args = { .handle = handle };
	int ret = pf_ioctl(fd, DRM_IOCTL_PANFROST_GET_BO_OFFSET, &args);

	*va = args.offset;
	return ret;
}

int pf_wait(int fd, uint32_t handle, int ms)
{
	struct drm_panfrost_wait_bo args = { .handle = handle };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (ms)
		args.timeout_ns = now.tv_sec * 1000000000ll + now.tv_nsec + ms * 1000000ll;
	return pf_ioctl(fd, DRM_IOCTL_PANFROST_WAIT_BO, &args);
}

static sigjmp_buf pf_sigbus_jump;

static void pf_sigbus_handler(int signal)
{
	siglongjmp(pf_sigbus_jump, 1);
}

bool pf_sigbus(volatile uint32_t *word, bool write)
{
	struct sigaction action = { .sa_handler = pf_sigbus_handler }, old;
	bool caught = true;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(pf_sigbus_jump, 1)) {
		if (write)
			*word = 1;
		else
			(void)*word;
		caught = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return caught;
}

/*
 * The header of a Midgard job, and the types that drivers/gpu/drm/panfrost/tests/
 * panfrost_model.h describes: 2 is of the hardware, the others are the model's.
 */
struct pf_job {
	uint32_t status, first_incomplete;
	uint64_t fault_pointer;
	uint8_t type, barrier;
	uint16_t index, depends[2];
	uint64_t next;
	union {
		struct {
			uint64_t to;
			uint32_t type, reserved;
			uint64_t value;
		} write;
		struct {
			uint64_t to, from;
			uint32_t bytes;
		} copy;
		uint32_t ms;
	};
};

enum { PF_JOB_WRITE = 2, PF_JOB_COPY = 120, PF_JOB_DELAY = 121, PF_JOB_HANG = 122 };

void pf_chain_create(struct pf_chain *chain, int fd)
{
	chain->count = 0;
	pf_bo_create(&chain->bo, fd, 64 * PF_KIB, 0);
}

void pf_chain_reset(struct pf_chain *chain)
{
	chain->count = 0;
}

static struct pf_job *pf_job(struct pf_chain *chain, unsigned int index)
{
	return (struct pf_job *)((char *)chain->bo.map + index * PF_JOB_BYTES);
}

static struct pf_job *pf_job_add(struct pf_chain *chain, unsigned int type)
{
	unsigned int n = chain->count++;
	struct pf_job *job = pf_job(chain, n);

	igt_assert((n + 1) * PF_JOB_BYTES <= chain->bo.size);
	*job = (struct pf_job) { .type = type << 1 | 1 };
	if (n)
		pf_job(chain, n - 1)->next = chain->bo.va + n * PF_JOB_BYTES;
	return job;
}

void pf_job_write(struct pf_chain *chain, uint64_t to, uint32_t value)
{
	struct pf_job *job = pf_job_add(chain, PF_JOB_WRITE);

	job->write.to = to;
	job->write.type = 6;
	job->write.value = value;
}

void pf_job_copy(struct pf_chain *chain, uint64_t to, uint64_t from, uint32_t bytes)
{
	struct pf_job *job = pf_job_add(chain, PF_JOB_COPY);

	job->copy.to = to;
	job->copy.from = from;
	job->copy.bytes = bytes;
}

void pf_job_delay(struct pf_chain *chain, uint32_t ms)
{
	pf_job_add(chain, PF_JOB_DELAY)->ms = ms;
}

void pf_job_hang(struct pf_chain *chain)
{
	pf_job_add(chain, PF_JOB_HANG);
}

uint32_t pf_job_status(struct pf_chain *chain, unsigned int index)
{
	return pf_job(chain, index)->status;
}

int pf_submit(struct pf_chain *chain, const uint32_t *handles, unsigned int count, bool fragment)
{
	uint32_t all[PF_MAX_HANDLES];
	struct drm_panfrost_submit args = {
		.jc = chain->bo.va,
		.bo_handles = (uintptr_t)all,
		.bo_handle_count = count + 1,
		.requirements = fragment ? PANFROST_JD_REQ_FS : 0,
	};

	igt_assert(count < PF_MAX_HANDLES);
	all[0] = chain->bo.handle;
	memcpy(all + 1, handles, count * sizeof(*handles));
	return pf_ioctl(chain->bo.fd, DRM_IOCTL_PANFROST_SUBMIT, &args);
}

void pf_run(struct pf_chain *chain, const uint32_t *handles, unsigned int count)
{
	igt_assert_eq(pf_submit(chain, handles, count, false), 0);
	igt_assert_eq(pf_wait(chain->bo.fd, chain->bo.handle, 5000), 0);
	for (unsigned int i = 0; i < chain->count; i++)
		igt_assert_eq(pf_job_status(chain, i), 1);
}

/* 0, or -1 with errno */
static int pf_write_text(const char *path, int fd, const char *text)
{
	int ret;

	if (path)
		fd = open(path, O_WRONLY);
	ret = fd < 0 ? -1 : write(fd, text, strlen(text));
	if (fd >= 0)
		close(fd);
	return ret < 0 ? -1 : 0;
}

bool pf_has_shrinker(void)
{
	int fd = igt_debugfs_open(-1, "gem_shrinker", O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void pf_need_shrinker(void)
{
	if (!pf_has_shrinker())
		igt_skip("needs the GEM shrinker's file in debugfs\n");
}

uint64_t pf_counter(const char *name)
{
	int fd = igt_debugfs_open(-1, "gem_shrinker", O_RDONLY);
	char text[4096] = "\n", key[64], *at;
	int ret;

	igt_assert(fd >= 0);
	ret = read(fd, text + 1, sizeof(text) - 2);
	close(fd);
	igt_assert(ret > 0);
	snprintf(key, sizeof(key), "\n%s ", name);
	at = strstr(text, key);
	igt_assert_f(at, "there is no counter %s\n", name);
	return strtoull(at + strlen(key), NULL, 10);
}

void pf_purge(void)
{
	int fd = igt_debugfs_open(-1, "gem_shrinker", O_WRONLY);

	/* Without the file there is this, which calls every shrinker. */
	igt_assert_eq(pf_write_text(fd < 0 ? "/proc/sys/vm/drop_caches" : NULL, fd,
				    fd < 0 ? "2" : "100000000"), 0);
}

void pf_evict(void)
{
	int fd = igt_debugfs_open(-1, "gem_shrinker", O_WRONLY);

	igt_assert(fd >= 0);
	/* The first time only takes note that BOs were not used since. */
	igt_assert_eq(pf_write_text(NULL, fd, "evict 100000000"), 0);
	fd = igt_debugfs_open(-1, "gem_shrinker", O_WRONLY);
	igt_assert_eq(pf_write_text(NULL, fd, "evict 100000000"), 0);
}

void pf_swap_on(void)
{
	if (swapon(PF_SWAP, 0) && errno != EBUSY)
		igt_skip("needs swap space on " PF_SWAP ": %s\n", strerror(errno));
}

void pf_swap_off(void)
{
	swapoff(PF_SWAP);
}

uint64_t pf_meminfo_kib(const char *name)
{
	char line[128];
	unsigned long long value = 0;
	size_t length = strlen(name);
	FILE *file = fopen("/proc/meminfo", "r");

	igt_assert(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, length) && line[length] == ':')
			value = strtoull(line + length + 1, NULL, 10);
	fclose(file);
	return value;
}

void pf_expect_purged(struct pf_bo *bo)
{
	int retained = 1;

	for (int i = 0; i < 20 && retained == 1; i++) {
		if (i)
			usleep(50000);
		igt_assert(pf_bo_madvise(bo, DONTNEED) >= 0);
		pf_purge();
		retained = pf_bo_madvise(bo, WILLNEED);
	}
	igt_assert_eq(retained, 0);
}

void pf_expect_kept(struct pf_bo *bo)
{
	igt_assert_eq(pf_bo_madvise(bo, DONTNEED), 1);
	pf_purge();
	igt_assert_eq(pf_bo_madvise(bo, WILLNEED), 1);
}

static void pf_model_path(char *path, size_t size, const char *param)
{
	snprintf(path, size, "/sys/module/panfrost_model/parameters/%s", param);
}

uint64_t pf_model(const char *param)
{
	char path[128], text[32] = "";
	FILE *file;

	pf_model_path(path, sizeof(path), param);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = 0;
	fclose(file);
	return strtoull(text, NULL, 10);
}

void pf_model_set(const char *param, uint64_t value)
{
	char path[128], text[32];

	pf_model_path(path, sizeof(path), param);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (pf_write_text(path, -1, text))
		igt_skip("needs the register model's parameter %s\n", param);
}
