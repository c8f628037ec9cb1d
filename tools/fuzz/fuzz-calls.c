// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * The calls of gem-fuzz that both drivers know.
 */
#define _GNU_SOURCE
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* linux/dma-buf.h */
struct dma_buf_sync {
	uint64_t flags;
};
#define DMA_BUF_IOCTL_SYNC _IOW('b', 0, struct dma_buf_sync)

static __thread sigjmp_buf fault;
static __thread volatile sig_atomic_t may_fault;

static int handle_object(struct run *run, unsigned int file_arg, uint64_t name)
{
	struct object *object = fuzz_object(run, file_arg, name);

	return object ? (int)(object - run->object) : -1;
}

static int do_gem_close(struct run *run, const uint64_t *v)
{
	struct drm_gem_close args = { .handle = v[1], .pad = v[2] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_GEM_CLOSE, &args, 0, 0);

	if (!ret && run->exact && args.handle < FUZZ_HANDLES)
		run->open[fuzz_call->args[0].value][args.handle] = 0;
	return ret;
}

static int do_flink(struct run *run, const uint64_t *v)
{
	struct drm_gem_flink args = { .handle = v[1] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_GEM_FLINK, &args, 0, 0);

	if (!ret)
		run->name[v[2]] = args.name;
	return ret;
}

/* Whose name it is nobody wrote down. */
static int do_open_name(struct run *run, const uint64_t *v)
{
	struct drm_gem_open args = { .name = v[1] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_GEM_OPEN, &args, 0, 0);

	if (!ret) {
		run->exact = false;
		fuzz_fill_handle(run, 0, v[2], (struct handle){ .name = args.handle }, 0);
	}
	return ret;
}

static int do_export(struct run *run, const uint64_t *v)
{
	struct drm_prime_handle args = { .handle = v[1], .flags = v[3], .fd = -1 };
	struct dmabuf *dmabuf = &run->dmabuf[v[2]];
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_PRIME_HANDLE_TO_FD, &args, v[4], v[5]);

	if (!ret && fuzz_is_plain(v[4])) {
		fuzz_replace_fd(&dmabuf->fd, args.fd);
		dmabuf->object = handle_object(run, 0, args.handle);
	}
	return ret;
}

static int do_import(struct run *run, const uint64_t *v)
{
	struct drm_prime_handle args = { .fd = v[1] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_PRIME_FD_TO_HANDLE, &args, 0, 0);
	const struct arg *from = &fuzz_call->args[1];

	if (!ret) {
		if (!from->slot)
			run->exact = false;
		fuzz_fill_handle(run, fuzz_call->args[0].value, v[2], (struct handle){
			.name = args.handle,
			.object = from->slot ? run->dmabuf[from->value].object : -1,
		}, 0);
	}
	return ret;
}

static int do_close_dmabuf(struct run *run, const uint64_t *v)
{
	struct dmabuf *dmabuf = &run->dmabuf[fuzz_call->args[0].value % 4];

	if (!fuzz_call->args[0].slot || dmabuf->fd < 0)
		return -EBADF;
	fuzz_replace_fd(&dmabuf->fd, -1);
	return 0;
}

static int do_sync_dmabuf(struct run *run, const uint64_t *v)
{
	struct dma_buf_sync args = { .flags = v[1] };

	return fuzz_ioctl(v[0], DMA_BUF_IOCTL_SYNC, &args, 0, 0);
}

static int map(struct run *run, uint64_t slot, struct mapping mapping, int fd, uint64_t offset)
{
	void *at;

	if (!mapping.bytes)
		mapping.bytes = FUZZ_PAGE;
	at = mmap(NULL, mapping.bytes, mapping.prot, mapping.shared ? MAP_SHARED : MAP_PRIVATE,
		  fd, offset);
	if (at == MAP_FAILED)
		return -errno;
	mapping.at = at;
	fuzz_replace_mapping(&run->mapping[slot], mapping);
	return 0;
}

static int do_mmap(struct run *run, const uint64_t *v)
{
	const struct arg *from = &fuzz_call->args[2];
	struct handle none = { .mapped = -1, .offset = v[2] * FUZZ_PAGE };
	struct handle *handle = from->slot ? &run->handle[from->value] : &none;

	return map(run, v[0], (struct mapping){
		.bytes = v[3] % 257 * FUZZ_PAGE,
		.page = v[4],
		.object = handle->mapped,
		.prot = v[5] & 7,
		.shared = !v[6],
	}, v[1], handle->offset + v[4] * FUZZ_PAGE);
}

static int do_mmap_dmabuf(struct run *run, const uint64_t *v)
{
	const struct arg *from = &fuzz_call->args[1];

	return map(run, v[0], (struct mapping){
		.bytes = v[2] % 257 * FUZZ_PAGE,
		.page = v[3],
		.object = from->slot ? run->dmabuf[from->value].object : -1,
		.prot = v[4] & 7,
		.shared = true,
	}, v[1], v[3] * FUZZ_PAGE);
}

static struct mapping *mapping_of(struct run *run)
{
	const struct arg *arg = &fuzz_call->args[0];
	struct mapping *mapping = arg->slot ? &run->mapping[arg->value] : NULL;

	return mapping && mapping->at ? mapping : NULL;
}

static int do_munmap(struct run *run, const uint64_t *v)
{
	struct mapping *mapping = mapping_of(run);

	return mapping ? fuzz_replace_mapping(mapping, (struct mapping){ .object = -1 }) : -EINVAL;
}

/* madvise(2), of which the kernel does with a device's mapping what it likes */
static int do_advise_map(struct run *run, const uint64_t *v)
{
	struct mapping *mapping = mapping_of(run);

	if (!mapping)
		return -EINVAL;
	/* not those that poison pages */
	return madvise(mapping->at, mapping->bytes, v[1] % 26) ? -errno : 0;
}

void fuzz_on_fault(int number)
{
	if (!may_fault)
		_exit(99);
	siglongjmp(fault, number);
}

/*
 * Reads or writes a word of a page. The first word of a BO is one that the fuzzer knows,
 * as long as nobody gave it up and no device wrote there.
 */
static int do_touch(struct run *run, const uint64_t *v)
{
	struct mapping *mapping = mapping_of(run);
	struct object *volatile object;
	volatile uint32_t *word;
	bool known, write = v[2] & 1;
	uint32_t value = 0;
	int number;

	if (!mapping)
		return -EINVAL;
	object = run->exact && mapping->object >= 0 ? &run->object[mapping->object] : NULL;
	word = (uint32_t *)(mapping->at + v[1] * FUZZ_PAGE % mapping->bytes);
	known = object && mapping->shared && !object->given_up && !object->written;

	number = sigsetjmp(fault, 1);
	if (!number) {
		may_fault = true;
		if (write)
			*word = 0x66757a00 + fuzz_random() % 255 + 1;
		value = *word;
	}
	may_fault = false;
	if (number == SIGBUS && known &&
	    ((char *)word - mapping->at) + mapping->page * FUZZ_PAGE < object->bytes)
		fuzz_wrong("SIGBUS in a BO that was never given up");
	if (number)
		return -EFAULT;
	if (known && !mapping->page && (char *)word == mapping->at) {
		if (!write && object->stamp && value != object->stamp)
			fuzz_wrong("the first word is %#x, not %#x", value, object->stamp);
		if (write)
			object->stamp = value;
	}
	return 0;
}

static int do_sync_create(struct run *run, const uint64_t *v)
{
	struct drm_syncobj_create args = { .flags = v[2] };
	int ret = fuzz_ioctl(v[0], DRM_IOCTL_SYNCOBJ_CREATE, &args, 0, 0);

	if (!ret)
		run->syncobj[v[1]] = args.handle;
	return ret;
}

static int do_sync_destroy(struct run *run, const uint64_t *v)
{
	struct drm_syncobj_destroy args = { .handle = v[1] };

	return fuzz_ioctl(v[0], DRM_IOCTL_SYNCOBJ_DESTROY, &args, 0, 0);
}

static int do_sync_signal(struct run *run, const uint64_t *v)
{
	uint32_t name = v[1];
	struct drm_syncobj_array args = { .handles = (uintptr_t)&name, .count_handles = 1 };

	return fuzz_ioctl(v[0], v[2] & 1 ? DRM_IOCTL_SYNCOBJ_RESET : DRM_IOCTL_SYNCOBJ_SIGNAL,
			  &args, 0, 0);
}

/* Files are opened when they are used. */
static int do_close_file(struct run *run, const uint64_t *v)
{
	unsigned int slot = fuzz_call->args[0].value;

	memset(run->open[slot], 0, sizeof(run->open[slot]));
	fuzz_replace_fd(&run->file[slot], -1);
	return 0;
}

static int do_read(struct run *run, const uint64_t *v)
{
	char events[256];
	int ret = read(v[0], events, v[1] % sizeof(events));

	return ret < 0 ? -errno : 0;
}

static int do_fdinfo(struct run *run, const uint64_t *v)
{
	char path[64], text[4096];
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", (int)v[0]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = read(fd, text, sizeof(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* any ioctl of the driver's, and those of GEM, with small words */
static int do_raw(struct run *run, const uint64_t *v)
{
	uint32_t words[64];
	unsigned int nr = v[1] % 20 < 16 ? 0x40 + v[1] % 20 : 0x9 + v[1] % 3;

	for (unsigned int i = 0; i < 64; i++)
		words[i] = (v[3] >> i % 48) & 0xff;
	/* Whatever makes a BO, or waits, would take what it does not mean. */
	return fuzz_ioctl(v[0], _IOC(v[1] >> 8 & 3, 'd', nr, v[2] % 257), words, 0, 0);
}

static int do_scan(struct run *run, const uint64_t *v)
{
	static const char * const kinds[] = { "", "evict ", "host " };
	char text[32], path[64];
	int fd, ret = 0;

	if (v[0] > 2) {
		strcpy(text, "2");
		strcpy(path, "/proc/sys/vm/drop_caches");
	} else {
		snprintf(text, sizeof(text), "%s%llu", kinds[v[0]], (unsigned long long)v[1]);
		snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/gem_shrinker", fuzz_card());
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* EACCES: names are for files that are authenticated. NULL: whatever it says is fine. */
const struct op fuzz_common_ops[] = {
	{ "close", "fhb", 5, 3, do_gem_close, ERRNOS(EINVAL), true },
	{ "flink", "fhK", 2, 3, do_flink, ERRNOS(ENOENT, EINVAL, EACCES), true },
	{ "open", "fkH", 2, 3, do_open_name, ERRNOS(ENOENT, EINVAL, EACCES) },
	{ "export", "fhPeiv", 8, 3, do_export,
	  ERRNOS(ENOENT, EINVAL, EFAULT, EACCES, ENODEV, ENOSYS), true },
	{ "import", "fpH", 8, 3, do_import, ERRNOS(EBADF, EINVAL, ENODEV, ENOSYS, ENOENT, EACCES) },
	{ "closefd", "p", 4, 3, do_close_dmabuf, ERRNOS(EBADF) },
	{ "syncfd", "pb", 2, 3, do_sync_dmabuf, ERRNOS(EBADF, EINVAL, ENOTTY, ENOENT) },
	{ "mmap", "Mfhgorc", 12, 3, do_mmap,
	  ERRNOS(EINVAL, EACCES, ENOMEM, EOVERFLOW, EPERM, ENODEV) },
	{ "mmapfd", "Mpgor", 4, 3, do_mmap_dmabuf,
	  ERRNOS(EBADF, EINVAL, EACCES, ENOMEM, EOVERFLOW, EPERM, ENODEV) },
	{ "munmap", "m", 4, 3, do_munmap, ERRNOS(EINVAL) },
	{ "advise", "mn", 1, 3, do_advise_map, NULL },
	{ "touch", "mob", 14, 3, do_touch, ERRNOS(EINVAL, EFAULT) },
	{ "sync", "fSb", 2, 3, do_sync_create, ERRNOS(EINVAL) },
	{ "unsync", "fs", 1, 3, do_sync_destroy, ERRNOS(EINVAL) },
	{ "signal", "fsb", 1, 3, do_sync_signal, ERRNOS(ENOENT, EINVAL) },
	{ "closefile", "f", 1, 3, do_close_file, ERRNOS(EIO) },
	{ "read", "fn", 1, 3, do_read, ERRNOS(EAGAIN, EINVAL, EFAULT) },
	{ "fdinfo", "f", 1, 3, do_fdinfo, ERRNOS(EIO) },
	{ "scan", "wq", 8, 3, do_scan, ERRNOS(EINVAL, EINTR) },
	{ "raw", "fnnn", 2, 3, do_raw, NULL },
	{ }
};
