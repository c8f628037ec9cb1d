// SPDX-License-Identifier: GPL-2.0-only
/*
 * BOs go from one process to another as dma-bufs, over a unix socket. So that each knows what
 * to expect, there is a word for each offer, in memory that all have:
 *
 *   FREE -> OFFERED (by the exporter, to one process) -> TAKEN (by a thread of it)
 *        -> LEAVING (it is about to close its handle) -> DONE (it has) -> FREE
 *
 * While it is not DONE, the exporter does not change the contents, and the importer compares
 * them. While it is OFFERED or TAKEN the BO is not purged, whatever the exporter says. The
 * exporter may close its handle before: the number of the offer is another one then, and
 * the importer has the BO for itself. Nobody counts any more on who is about to be killed, but
 * what it has is left alone until it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stress.h"

enum offer_state { FREE, OFFERED, TAKEN, LEAVING, DONE };

/* the number of the offer 32 bits, state 8, process that it is for 8, and its life 16 */
static uint64_t offer_word(uint32_t offer, enum offer_state state, uint8_t to, uint16_t life)
{
	return (uint64_t)offer << 32 | state << 24 | to << 16 | life;
}

static uint32_t offer_number(uint64_t word)
{
	return word >> 32;
}

static enum offer_state offer_state(uint64_t word)
{
	return word >> 24 & 0xff;
}

static bool is_for_living(uint64_t word)
{
	uint16_t life = atomic_load(&shared->procs[word >> 16 & 0xff].life);

	return life == (word & 0xffff);
}

static bool is_for_gone(uint64_t word)
{
	uint16_t gone = atomic_load(&shared->procs[word >> 16 & 0xff].gone);

	return (int16_t)(gone - (word & 0xffff)) > 0;
}

/* what goes over the socket, with a dma-buf */
struct message {
	uint8_t proc, thread, slot;
	bool custom;
	uint32_t life;
	uint32_t offer;
	uint64_t size;
	struct contents contents;
};

/* Is there somebody else because of whom it may not be purged? For both sides. */
bool share_holds(const struct bo *bo)
{
	uint64_t word;

	if (!bo->share)
		return false;
	word = atomic_load(bo->share);
	if (offer_number(word) != bo->offer)
		return false;
	if (bo->imported)
		return atomic_load(&shared->procs[bo->exporter].life) == bo->exporter_life;
	return (offer_state(word) == OFFERED || offer_state(word) == TAKEN) && is_for_living(word);
}

static void end_offer(struct bo *bo)
{
	atomic_store(bo->share, offer_word(bo->offer + 1, FREE, 0, 0));
	bo->share = NULL;
}

/* Is it over? The importer's jobs may not be. */
void share_settle(struct stress *me, struct bo *bo)
{
	uint64_t word;

	if (!bo->share)
		return;
	word = atomic_load(bo->share);
	if (offer_state(word) != DONE && !is_for_gone(word))
		return;
	/* children of one that was killed may live on for a moment, and have its handles */
	if (offer_state(word) == DONE)
		bo->was_shared = false;
	end_offer(bo);
	bo_wait(me, bo);
}

/* For one that is about to be closed. */
void share_withdraw(struct bo *bo)
{
	if (bo->share && !bo->imported)
		end_offer(bo);
}

/* What a thread of this place offered in an earlier life. */
void share_forget(struct stress *me)
{
	for (int i = 0; i < MAX_SHARES; i++) {
		_Atomic uint64_t *share = &shared->shares[me->proc][me->thread][i];

		atomic_store(share, offer_word(offer_number(atomic_load(share)) + 1, FREE, 0, 0));
	}
}

/* A dma-buf, or what is wrong. */
int bo_export(struct stress *me, struct bo *bo)
{
	struct drm_prime_handle args = { .handle = bo->handle, .flags = DRM_CLOEXEC | DRM_RDWR };
	int ret = drm_do(me->drm, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	return bo_done(me, bo, "PRIME_HANDLE_TO_FD", ret) ? args.fd : ret ?: -EINVAL;
}

/* A message, and room for a file descriptor. */
struct packet {
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	struct iovec iov;
	struct msghdr header;
};

static struct msghdr *packet_of(struct packet *packet, struct message *message)
{
	*packet = (struct packet){
		.iov = { message, sizeof(*message) },
		.header = {
			.msg_iov = &packet->iov,
			.msg_iovlen = 1,
			.msg_control = &packet->control,
			.msg_controllen = sizeof(packet->control),
		},
	};
	return &packet->header;
}

static int send_message(int to, struct message *message, int fd)
{
	struct packet packet;
	struct msghdr *header = packet_of(&packet, message);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(to, header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The dma-buf, or -1: nothing there. */
static int receive_message(int from, struct message *message)
{
	struct packet packet;
	struct msghdr *header = packet_of(&packet, message);
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(from, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(*message))
		return -1;
	cmsg = CMSG_FIRSTHDR(header);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* One that is needed and not shared. */
void share_offer(struct stress *me, struct bo *bo)
{
	uint8_t to = (me->proc + 1 + rnd(me, options.procs - 1)) % options.procs;
	struct message message = {
		.proc = me->proc,
		.thread = me->thread,
		.custom = bo->custom,
		.life = me->life,
		.size = bo->size,
		.contents = bo->guest,
	};
	_Atomic uint64_t *share = NULL;
	int fd;

	for (int i = 0; i < MAX_SHARES && !share; i++) {
		message.slot = i;
		if (offer_state(atomic_load(&shared->shares[me->proc][me->thread][i])) == FREE)
			share = &shared->shares[me->proc][me->thread][i];
	}
	if (!share)
		return;

	bo_wait(me, bo);
	fd = bo_export(me, bo);
	if (fd < 0)
		return;
	bo_did(bo, OP_SHARE);
	bo->was_shared = true;
	/* who gets it may upload what the CPU sees */
	bo->host_known = false;
	bo->share = share;
	bo->offer = message.offer = offer_number(atomic_load(share)) + 1;
	atomic_store(share, offer_word(bo->offer, OFFERED, to,
				       atomic_load(&shared->procs[to].life)));
	/* it may have too many already */
	if (send_message(sockets[to][1], &message, fd))
		end_offer(bo);
	close(fd);
}

/* Says what comes next of an offer, unless the exporter has withdrawn it. */
static bool move_offer(struct stress *me, struct bo *bo, enum offer_state from, enum offer_state to)
{
	uint64_t old = offer_word(bo->offer, from, me->proc, me->life);

	return atomic_compare_exchange_strong(bo->share, &old,
					      offer_word(bo->offer, to, me->proc, me->life));
}

/* Before it is closed, from when on nobody counts on it. */
void share_leave(struct stress *me, struct bo *bo)
{
	move_offer(me, bo, TAKEN, LEAVING);
}

/* By the handle, or by the dma-buf itself. */
static bool map_import(struct stress *me, struct bo *bo, int fd)
{
	if (rnd(me, 3))
		return bo_map(me, bo);
	bo->map = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bo->held_by_map = bo->map != MAP_FAILED;
	if (bo->held_by_map)
		return true;
	bo_done(me, bo, "mmap of the dma-buf", -errno);
	bo->map = NULL;
	return false;
}

/* A job of this side with it, by the id that its resource has now. */
static void copy_import(struct stress *me, struct bo *bo)
{
	struct bo *copy;

	if (!me->has_3d || bo->custom || me->count == MAX_BOS)
		return;
	bo_upload(me, bo);
	if (!bo->host_known || bo->bad)
		return;
	copy = bo_create(me, bo->size, false);
	if (!copy)
		return;
	bo_copy(me, copy, bo);
	bo_wait(me, bo);
	if (!copy->bad && copy->host_known)
		bo_download(me, copy);
	if (!copy->bad)
		bo_verify(me, copy, N_LOST);
	bo_close(me, copy);
}

/* Advice of this side is its own, and does not outlive its handle. */
static void play_with(struct stress *me, struct bo *bo)
{
	for (int i = rnd(me, 6); i > 0 && bo->state != PURGED && !bo->bad; i--) {
		switch (rnd(me, 8)) {
		case 0:
			bo_upload(me, bo);
			bo_wait(me, bo);
			break;
		case 4:
			copy_import(me, bo);
			break;
		case 1:
			bo_replace(me, bo);
			break;
		case 2:
			usleep(rnd(me, 20000));
			break;
		case 3:
			bo_peek(me, bo);
			break;
		default:
			bo_advise(me, bo, rnd(me, 2));
		}
	}
}

/* Takes what was offered, looks at it for a while, and lets it go. */
void share_take(struct stress *me)
{
	struct bo bo = { .imported = true, .was_shared = true, .dma_buf = -1 };
	struct drm_virtgpu_resource_info info = { 0 };
	struct drm_prime_handle args = { 0 };
	struct message message;
	int ret;

	args.fd = receive_message(sockets[me->proc][0], &message);
	if (args.fd < 0)
		return;
	bo.share = &shared->shares[message.proc][message.thread][message.slot];
	bo.offer = message.offer;
	bo.exporter = message.proc;
	bo.exporter_life = message.life;
	bo.size = message.size;
	bo.custom = message.custom;
	bo.guest = message.contents;
	if (!move_offer(me, &bo, OFFERED, TAKEN)) {
		close(args.fd);
		return;
	}

	if (rnd(me, 3) == 0) {
		race_import(me, &bo, args.fd);
		share_leave(me, &bo);
		move_offer(me, &bo, LEAVING, DONE);
		return;
	}
	ret = drm_do(me->drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
	bo.handle = info.bo_handle = args.handle;
	bo_did(&bo, OP_IMPORT);
	if (bo_done(me, &bo, "PRIME_FD_TO_HANDLE", ret)) {
		ret = drm_do(me->drm, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);
		if (ret)
			report(me, &bo, N_WRONG, "RESOURCE_INFO: %s", strerror(-ret));
		bo.resource = info.res_handle;
		map_import(me, &bo, args.fd);
		close(args.fd);
		if (bo.map)
			bo_look(me, &bo, 0, bo.size / 8, N_LOST);
		play_with(me, &bo);
		if (bo.map && bo.state != PURGED && !bo.bad)
			bo_look(me, &bo, 0, bo.size / 8, N_LOST);
		share_leave(me, &bo);
		bo_close(me, &bo);
	} else {
		close(args.fd);
		share_leave(me, &bo);
	}
	move_offer(me, &bo, LEAVING, DONE);
}
