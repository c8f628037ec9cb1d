// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be done with a BO, and what must then be true of it:
 *
 * - The CPU sees what it or the host wrote last, and zero in a BO that is new or replaced.
 * - One that is needed is never lost: advice says that it is retained, nothing is refused.
 * - One that was given up and that nobody else has may be purged. It has its contents, or gives
 *   SIGBUS, for the CPU, and does its jobs, or refuses them with EINVAL. Until its pages are
 *   gone old mappings still show the old contents.
 * - Once it is known to be purged that does not change, until it is replaced. It has another
 *   resource then, of which jobs have to use the id.
 * - While its dma-buf is open, on its way or mapped, it is not purged.
 *
 * ENOMEM is no mistake, and nothing was done then.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../vm/virgl_copy.h"
#include "stress.h"

/* of Gallium and virgl */
#define PIPE_BUFFER 0
#define PIPE_TEXTURE_2D 2
#define PIPE_BIND_RENDER_TARGET (1 << 1)
#define PIPE_BIND_VERTEX_BUFFER (1 << 4)
#define VIRGL_BIND_CUSTOM (1 << 17)
#define VIRGL_FORMAT_B8G8R8A8_UNORM 1
#define VIRGL_FORMAT_R8_UNORM 64

#define PAGE (4 * KIB)

int drm_open(void)
{
	return open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
}

int drm_do(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : ret;
}

/* 0 also where it is not known */
int drm_param(int fd, uint64_t param)
{
	int value = 0;
	struct drm_virtgpu_getparam get = { .param = param, .value = (uintptr_t)&value };

	return drm_do(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get) ? 0 : value;
}

/* Contents that no BO had before. */
struct contents bo_next(struct stress *me)
{
	me->generation = me->generation % ((1u << 22) - 1) + 1;
	return (struct contents){ contents_owner(me->life, me->proc, me->thread), me->generation };
}

/* Asked after the fact: who holds it now has held it since. */
bool may_be_purged(const struct bo *bo)
{
	return bo->state == PURGED || (bo->state == GIVEN_UP && !share_holds(bo) &&
				       bo->dma_buf < 0 && !bo->held_by_map);
}

void bo_set_state(struct stress *me, struct bo *bo, enum bo_state state)
{
	if (!bo->imported && (state == NEEDED) != (bo->state == NEEDED)) {
		if (state == NEEDED)
			me->needed_kib += bo->size / KIB;
		else
			me->needed_kib -= bo->size / KIB;
		atomic_store(&shared->procs[me->proc].needed_kib[me->thread], me->needed_kib);
	}
	bo->state = state;
}

void found_purged(struct stress *me, struct bo *bo)
{
	if (bo->state == PURGED)
		return;
	/* the parent will find it, too */
	if (!me->is_child)
		count(N_PURGED);
	bo_set_state(me, bo, PURGED);
	bo->host_known = false;
}

void bo_did(struct bo *bo, enum count op)
{
	static const char letters[] = "cmwvkudxtDWRSihrfC";
	const size_t last = sizeof(bo->history) - 2;
	size_t len = strlen(bo->history);

	count(op);
	if (len > last)
		memmove(bo->history, bo->history + 1, len--);
	bo->history[len] = letters[op];
	bo->history[len + 1] = '\0';
}

/* What came of something that is refused for a purged BO, and only for such. */
bool bo_done(struct stress *me, struct bo *bo, const char *what, int ret)
{
	if (ret >= 0) {
		if (bo->state == PURGED)
			report(me, bo, N_WRONG, "%s of a purged BO worked", what);
		return true;
	}
	if (ret == -ENOMEM) {
		count(N_NOMEM);
	} else if (ret == -EINVAL && may_be_purged(bo)) {
		count(N_REFUSED);
		found_purged(me, bo);
	} else {
		report(me, bo, N_WRONG, "%s: %s", what, strerror(-ret));
	}
	return false;
}

/*
 * A vertex buffer on virgl, a picture on the 2D device, of which a row is a page. Returns NULL
 * when there is no memory.
 */
struct bo *bo_create(struct stress *me, uint64_t size, bool custom)
{
	struct drm_virtgpu_resource_create create = {
		.target = me->has_3d ? PIPE_BUFFER : PIPE_TEXTURE_2D,
		.format = me->has_3d ? VIRGL_FORMAT_R8_UNORM : VIRGL_FORMAT_B8G8R8A8_UNORM,
		.bind = custom ? VIRGL_BIND_CUSTOM :
			me->has_3d ? PIPE_BIND_VERTEX_BUFFER : PIPE_BIND_RENDER_TARGET,
		.width = me->has_3d ? size : PAGE / 4,
		.height = me->has_3d ? 1 : size / PAGE,
		.depth = 1,
		.array_size = 1,
		.size = size,
		.stride = me->has_3d ? 0 : PAGE,
	};
	int ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create);
	struct bo *bo;

	if (ret == -ENOMEM)
		count(N_NOMEM);
	else if (ret)
		report(me, NULL, N_WRONG, "RESOURCE_CREATE: %s", strerror(-ret));
	if (ret)
		return NULL;

	bo = &me->bos[me->count++];
	*bo = (struct bo){
		.handle = create.bo_handle,
		.resource = create.res_handle,
		.size = size,
		.state = PURGED,
		.custom = custom,
		.dma_buf = -1,
	};
	bo_set_state(me, bo, NEEDED);
	me->total_kib += size / KIB;
	bo_did(bo, OP_CREATE);
	/* The host writes its copy of these to the pages when it is told of them. */
	if (custom)
		bo_wait(me, bo);
	return bo;
}

/* Maps it, or maps it anew. */
bool bo_map(struct stress *me, struct bo *bo)
{
	struct drm_virtgpu_map map = { .handle = bo->handle };
	int ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_MAP, &map);
	void *ptr = NULL;

	bo_did(bo, OP_MAP);
	if (!ret) {
		ptr = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, me->drm, map.offset);
		ret = ptr == MAP_FAILED ? -errno : 0;
	}
	if (!bo_done(me, bo, "mmap", ret))
		return false;
	if (bo->map)
		munmap(bo->map, bo->size);
	bo->map = ptr;
	bo->held_by_map = false;
	return true;
}

/* It has no dma-buf that is open any more. */
void bo_let_go(struct bo *bo)
{
	if (bo->dma_buf >= 0)
		close(bo->dma_buf);
	bo->dma_buf = -1;
}

static void close_handle(struct stress *me, struct bo *bo)
{
	struct drm_gem_close args = { .handle = bo->handle };
	int ret;

	bo_did(bo, OP_CLOSE);
	share_withdraw(bo);
	ret = drm_do(me->drm, DRM_IOCTL_GEM_CLOSE, &args);
	if (ret)
		report(me, bo, N_WRONG, "GEM_CLOSE: %s", strerror(-ret));
}

/*
 * One whose dma-buf is held gets another handle, after a moment without any. The advice goes with
 * the old one.
 */
void bo_reopen(struct stress *me, struct bo *bo)
{
	struct drm_prime_handle args = { .fd = bo->dma_buf };
	int ret;

	close_handle(me, bo);
	ret = drm_do(me->drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
	bo_did(bo, OP_IMPORT);
	if (ret == -ENOMEM) {
		/* so it is lost, and closed as one that was reported */
		count(N_NOMEM);
		bo->bad = bo->handle_closed = true;
	} else if (ret) {
		report(me, bo, N_WRONG, "PRIME_FD_TO_HANDLE: %s", strerror(-ret));
		bo->handle_closed = true;
	} else {
		bo->handle = args.handle;
		bo_set_state(me, bo, NEEDED);
	}
}

void bo_close(struct stress *me, struct bo *bo)
{
	if (!bo->handle_closed)
		close_handle(me, bo);
	if (bo->map) {
		/* The mapping keeps it, but others may have given it up. */
		if (!bo->bad && (!bo->was_shared || bo->held_by_map) && !bo->host_writes &&
		    rnd(me, 4) == 0)
			bo_look(me, bo, 0, bo->size / 8, N_LOST);
		munmap(bo->map, bo->size);
	}
	bo_let_go(bo);
	bo_set_state(me, bo, PURGED);
	if (bo->imported)
		return;
	me->total_kib -= bo->size / KIB;
	*bo = me->bos[--me->count];
}

/* For all jobs. The kernel gives up after 15 s, which a busy host may need, and more. */
void bo_wait(struct stress *me, struct bo *bo)
{
	struct drm_virtgpu_3d_wait wait = { .handle = bo->handle };
	int ret, tries = 20;

	bo_did(bo, OP_WAIT);
	do
		ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_WAIT, &wait);
	while (ret == -EBUSY && --tries);
	if (ret)
		report(me, bo, N_WRONG, "WAIT: %s", strerror(-ret));
	bo->host_reads = bo->host_writes = false;
}

/*
 * Does the CPU see what it has to? The BO is mapped. @blame is what it counts as if contents
 * are gone that have to be there.
 */
bool bo_look(struct stress *me, struct bo *bo, uint64_t first, uint64_t words, enum count blame)
{
	struct sight sight;
	uint64_t wanted, bytes;
	char text[96];

	if (bo->torn)
		return true;
	if (bo->host_writes)
		bo_wait(me, bo);
	sight = contents_look(bo->map, first, words, bo->guest);
	if (sight.what == SEEN_RIGHT)
		return true;

	if (sight.what == SEEN_SIGBUS) {
		if (may_be_purged(bo)) {
			count(N_SIGBUS);
			found_purged(me, bo);
		} else {
			report(me, bo, blame, "SIGBUS at word %" PRIu64, sight.index);
			count_bytes(blame, (first + words - sight.index) * 8);
		}
		return false;
	}

	contents_describe(text, sizeof(text), sight.word);
	wanted = contents_word(bo->guest, sight.index);
	bytes = 8 * contents_wrong(bo->map, sight.index, first + words - sight.index, bo->guest);
	if (!bo->guest.generation || contents_are_foreign(bo->guest, sight.word)) {
		report(me, bo, N_LEAKED, "word %" PRIu64 " is %s, not 0x%" PRIx64, sight.index,
		       text, wanted);
		count_bytes(N_LEAKED, bytes);
	}
	if (bo->guest.generation) {
		if (may_be_purged(bo))
			blame = N_WRONG;
		report(me, bo, blame, "word %" PRIu64 " is %s, not 0x%" PRIx64 ", generation %u",
		       sight.index, text, wanted, bo->guest.generation);
		count_bytes(blame, bytes);
	}
	return false;
}

bool bo_verify(struct stress *me, struct bo *bo, enum count blame)
{
	if (!bo->map && !bo_map(me, bo))
		return false;
	bo_did(bo, OP_VERIFY);
	if (blame == N_LOST && bo->state == NEEDED && bo->guest.generation && !bo->host_reads &&
	    !bo->host_writes && !bo->share && break_now(N_LOST))
		bo->map[rnd(me, bo->size / 8)] ^= 1;
	return bo_look(me, bo, 0, bo->size / 8, blame);
}

void bo_peek(struct stress *me, struct bo *bo)
{
	if (!bo->map && !bo_map(me, bo))
		return;
	bo_did(bo, OP_PEEK);
	bo_look(me, bo, rnd(me, bo->size / 8), 1, N_LOST);
}

/* Not one that is shared, or purged. The host may still read what was there before. */
bool bo_write(struct stress *me, struct bo *bo, struct contents contents)
{
	if (!bo->map && !bo_map(me, bo))
		return false;
	if (bo->host_reads || bo->host_writes)
		bo_wait(me, bo);
	bo_did(bo, OP_WRITE);
	if (contents_fill(bo->map, bo->size, contents)) {
		bo->guest = contents;
		return true;
	}
	if (may_be_purged(bo)) {
		count(N_SIGBUS);
		found_purged(me, bo);
		/* what was mapped already has it, until it is gone */
		bo->torn = true;
	} else {
		report(me, bo, N_LOST, "SIGBUS while it was written to");
		count_bytes(N_LOST, bo->size);
	}
	return false;
}

void bo_upload(struct stress *me, struct bo *bo)
{
	struct drm_virtgpu_3d_transfer_to_host args = {
		.bo_handle = bo->handle,
		.box.w = me->has_3d ? bo->size : PAGE / 4,
		.box.h = me->has_3d ? 1 : bo->size / PAGE,
		.box.d = 1,
	};
	int ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &args);

	bo_did(bo, OP_UPLOAD);
	if (!bo_done(me, bo, "TRANSFER_TO_HOST", ret))
		return;
	bo->host = bo->guest;
	bo->host_known = true;
	bo->host_reads = true;
}

/* virgl only; one of which it is known what the host has, or which is purged. */
void bo_download(struct stress *me, struct bo *bo)
{
	struct drm_virtgpu_3d_transfer_from_host args = {
		.bo_handle = bo->handle,
		.box = { .w = bo->size, .h = 1, .d = 1 },
	};
	int ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &args);

	bo_did(bo, OP_DOWNLOAD);
	if (!bo_done(me, bo, "TRANSFER_FROM_HOST", ret))
		return;
	bo->guest = bo->host;
	bo->host_writes = true;
}

/* virgl only. A job: the host copies all of src to dst, of the same size, in its own memory. */
void bo_copy(struct stress *me, struct bo *dst, struct bo *src)
{
	struct virgl_copy copy;
	int ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_EXECBUFFER,
			 virgl_copy(&copy, (struct virgl_buffer){ dst->handle, dst->resource },
				    (struct virgl_buffer){ src->handle, src->resource }, src->size));
	bool dst_may = may_be_purged(dst), src_may = may_be_purged(src);

	bo_did(dst, OP_COPY);
	if (ret == -EINVAL && dst_may && src_may) {
		/* which of them it was is not known */
		count(N_REFUSED);
		return;
	}
	/* one that cannot be purged is not what EINVAL is about */
	if (bo_done(me, src_may ? src : dst, "EXECBUFFER", ret)) {
		if (src_may && dst->state == PURGED)
			report(me, dst, N_WRONG, "EXECBUFFER with a purged BO worked");
		dst->host = src->host;
		dst->host_known = src->host_known;
		dst->host_reads = src->host_reads = true;
	}
}
