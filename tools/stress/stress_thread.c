// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process under stress: threads that choose what to do next.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

static bool is_needed(const struct bo *bo)
{
	return bo->state == NEEDED && !bo->share;
}

static bool is_any(const struct bo *bo)
{
	(void)bo;
	return true;
}

static bool is_whole(const struct bo *bo)
{
	return bo->state != PURGED;
}

static bool is_purged(const struct bo *bo)
{
	return bo->state == PURGED;
}

static bool is_given_up(const struct bo *bo)
{
	return bo->state == GIVEN_UP;
}

static bool is_spare(const struct bo *bo)
{
	return bo->state != NEEDED;
}

/* Jobs that change what is in it. */
static bool is_own(const struct bo *bo)
{
	return bo->state != PURGED && !bo->share;
}

static bool is_on_host(const struct bo *bo)
{
	return is_own(bo) && bo->host_known && !bo->custom;
}

static bool is_target(const struct bo *bo)
{
	return is_own(bo) && !bo->custom;
}

static bool is_held(const struct bo *bo)
{
	return bo->dma_buf >= 0;
}

static bool is_holdable(const struct bo *bo)
{
	return is_own(bo) && !is_held(bo) && bo->size <= 256 * KIB;
}

static bool is_shareable(const struct bo *bo)
{
	return is_needed(bo) && bo->size <= 256 * KIB;
}

/* One that fits, or NULL; not @but. */
static struct bo *pick(struct stress *me, bool (*fits)(const struct bo *), const struct bo *but)
{
	unsigned int start = me->count ? rnd(me, me->count) : 0;

	for (unsigned int i = 0; i < me->count; i++) {
		struct bo *bo = &me->bos[(start + i) % me->count];

		share_settle(me, bo);
		if (bo != but && !bo->bad && fits(bo))
			return bo;
	}
	return NULL;
}

/* Gives up others until what is needed, and another @kib, is no more than the limit. */
static void make_room(struct stress *me, uint64_t kib)
{
	struct bo *bo;

	while (me->needed_kib + kib > limit_kib() / (options.procs * options.threads) &&
	       (bo = pick(me, is_needed, NULL)))
		bo_advise(me, bo, false);
}

/* What a thread may have in BOs. */
static uint64_t most_kib(void)
{
	return options.mib * KIB / (options.procs * options.threads);
}

static void do_create(struct stress *me)
{
	static const uint16_t sizes_kib[] = {
		4, 4, 16, 16, 64, 64, 64, 256, 256, 256, 256, 256, 512, 1024, 1024, 2048
	};
	uint64_t kib = sizes_kib[rnd(me, 16)];
	bool custom = me->has_3d && kib <= 256 && rnd(me, 16) == 0;
	struct bo *bo;

	while (me->count && (me->total_kib + kib > most_kib() || me->count == MAX_BOS)) {
		bo = pick(me, rnd(me, 2) ? is_purged : is_spare, NULL) ?: pick(me, is_any, NULL);
		if (!bo)
			return;
		bo_close(me, bo);
	}
	make_room(me, kib);
	bo = bo_create(me, kib * KIB, custom);
	if (!bo)
		return;
	/* what is not looked at now is looked at some time, unless it is written to before */
	if (rnd(me, 4))
		bo_verify(me, bo, N_LOST);
	if (rnd(me, 4))
		bo_write(me, bo, bo_next(me));
	if (rnd(me, 2))
		bo_upload(me, bo);
}

static void do_map(struct stress *me)
{
	struct bo *bo = pick(me, is_any, NULL);

	if (!bo)
		return;
	/* some are never mapped for long */
	if (bo->map && rnd(me, 2)) {
		munmap(bo->map, bo->size);
		bo->map = NULL;
	} else {
		bo_map(me, bo);
	}
}

static void do_write(struct stress *me)
{
	struct bo *bo = pick(me, rnd(me, 8) ? is_needed : is_own, NULL);

	if (!bo || !bo_write(me, bo, bo_next(me)))
		return;
	if (rnd(me, 2))
		bo_upload(me, bo);
}

static void do_verify(struct stress *me)
{
	struct bo *bo = pick(me, rnd(me, 4) ? is_needed : is_whole, NULL);

	if (bo)
		bo_verify(me, bo, N_LOST);
}

static void do_peek(struct stress *me)
{
	struct bo *bo = pick(me, is_any, NULL);

	if (bo && (bo->map || bo->state != PURGED))
		bo_peek(me, bo);
}

static void do_upload(struct stress *me)
{
	struct bo *bo = pick(me, is_whole, NULL);

	if (bo)
		bo_upload(me, bo);
}

/* Often over what the CPU wrote. */
static void do_download(struct stress *me)
{
	struct bo *bo = me->has_3d ? pick(me, is_on_host, NULL) : NULL;

	if (!bo)
		return;
	if (rnd(me, 4) == 0 && !bo_write(me, bo, bo_next(me)))
		return;
	bo_download(me, bo);
	if (!bo->bad && rnd(me, 2))
		bo_verify(me, bo, N_LOST);
}

static void do_copy(struct stress *me)
{
	struct bo *src = me->has_3d ? pick(me, is_on_host, NULL) : NULL;
	struct bo *dst = src ? pick(me, is_target, src) : NULL;

	for (int tries = 16; dst && dst->size != src->size && tries; tries--)
		dst = pick(me, is_target, src);
	if (!dst || dst->size != src->size)
		return;
	bo_copy(me, dst, src);
	if (!dst->bad && dst->host_known && rnd(me, 2))
		bo_download(me, dst);
}

static void do_wait(struct stress *me)
{
	struct bo *bo = pick(me, is_any, NULL);

	if (bo)
		bo_wait(me, bo);
}

static void do_dontneed(struct stress *me)
{
	struct bo *bo = pick(me, rnd(me, 8) ? is_whole : is_any, NULL);
	unsigned int times = 1;

	if (!bo)
		return;
	/* in a race with scans, or with the advice of who has it as well */
	if (bo->share || rnd(me, 16) == 0) {
		make_room(me, bo->size / KIB);
		times = 1 + rnd(me, 40);
	}
	while (times-- > 0 && !bo->bad && bo->state != PURGED) {
		if (bo->state == GIVEN_UP)
			bo_advise(me, bo, true);
		if (bo->state != PURGED && !bo->bad)
			bo_advise(me, bo, false);
	}
	/* busy when it is given up, or used when it already is */
	if (!bo->bad && rnd(me, 8) == 0)
		bo_upload(me, bo);
}

static void do_willneed(struct stress *me)
{
	struct bo *bo = pick(me, rnd(me, 8) ? is_given_up : is_any, NULL);

	if (!bo)
		return;
	if (bo->state != NEEDED)
		make_room(me, bo->size / KIB);
	bo_advise(me, bo, true);
}

static void do_replace(struct stress *me)
{
	struct bo *bo = pick(me, rnd(me, 8) ? is_spare : is_any, NULL);

	if (!bo)
		return;
	if (bo->state != NEEDED)
		make_room(me, bo->size / KIB);
	bo_replace(me, bo);
	if (!bo->bad && is_needed(bo) && rnd(me, 2))
		bo_write(me, bo, bo_next(me));
}

/* What must be refused. */
static void do_purged(struct stress *me)
{
	struct bo *bo = pick(me, is_purged, NULL), *other;
	int fd;

	if (!bo)
		return;
	switch (rnd(me, 6)) {
	case 0:
		bo_upload(me, bo);
		break;
	case 1:
		if (me->has_3d)
			bo_download(me, bo);
		break;
	case 2:
		bo_map(me, bo);
		break;
	case 3:
		fd = bo_export(me, bo);
		if (fd >= 0)
			close(fd);
		break;
	case 4:
		bo_advise(me, bo, rnd(me, 2));
		break;
	case 5:
		other = me->has_3d ? pick(me, is_target, NULL) : NULL;
		if (other && rnd(me, 2))
			bo_copy(me, other, bo);
		else if (other)
			bo_copy(me, bo, other);
	}
}

/* To another process, or for a moment only. */
static void do_share(struct stress *me)
{
	struct bo *bo = pick(me, rnd(me, 4) ? is_shareable : is_own, NULL);
	int fd;

	if (!bo)
		return;
	if (is_shareable(bo) && options.procs > 1 && rnd(me, 8)) {
		share_offer(me, bo);
		return;
	}
	fd = bo_export(me, bo);
	if (fd < 0)
		return;
	if (bo->state == NEEDED && rnd(me, 2))
		bo_advise(me, bo, false);
	close(fd);
}

/* A dma-buf that stays open for a while, by which the BO is not purged, and may be opened again. */
static void do_hold(struct stress *me)
{
	struct bo *bo = pick(me, is_held, NULL);

	if (bo && !bo->share && rnd(me, 3) == 0) {
		if (bo->state != NEEDED)
			make_room(me, bo->size / KIB);
		bo_reopen(me, bo);
	} else if (bo) {
		bo_let_go(bo);
	} else {
		bo = pick(me, is_holdable, NULL);
		if (!bo)
			return;
		bo->dma_buf = bo_export(me, bo);
		bo_did(bo, OP_HOLD);
	}
}

/* Looks at its parent's BOs, and writes to one. Ends of its own accord, or not. */
static void run_child(struct stress *me, struct bo *mine, struct contents contents, bool killed)
{
	me->is_child = true;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 6; i++) {
		struct bo *bo = &me->bos[rnd(me, me->count)];

		if (bo->map && !bo->bad && !bo->host_writes && bo->state != PURGED)
			bo_look(me, bo, 0, bo->size / 8, N_LOST);
	}
	if (mine)
		bo_write(me, mine, contents);
	if (killed)
		kill(getpid(), SIGKILL);
	_exit(0);
}

static void do_fork(struct stress *me)
{
	struct bo *bo = pick(me, is_needed, NULL);
	struct contents contents = bo_next(me);
	bool killed = rnd(me, 4) == 0;
	int status = -1;
	pid_t pid;

	if (!bo)
		return;
	if (!bo->map || bo->host_reads || bo->host_writes)
		bo = NULL;
	pid = fork();
	if (!pid)
		run_child(me, bo, contents, killed);
	if (pid < 0) {
		if (errno == ENOMEM || errno == EAGAIN)
			count(N_NOMEM);
		else
			report(me, NULL, N_WRONG, "fork: %s", strerror(errno));
		return;
	}
	count(OP_FORK);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (killed ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : status != 0)
		report(me, NULL, N_WRONG, "a child ended with wait status 0x%x", status);
	if (bo) {
		bo_did(bo, OP_FORK);
		bo->guest = contents;
		bo_peek(me, bo);
	}
}

static void do_close(struct stress *me)
{
	struct bo *bo = pick(me, is_any, NULL);

	if (bo)
		bo_close(me, bo);
}

static const struct {
	void (*run)(struct stress *me);
	unsigned int weight;
} jobs[] = {
	{ do_create, 14 }, { do_map, 4 }, { do_write, 12 }, { do_verify, 14 }, { do_peek, 6 },
	{ do_upload, 8 }, { do_download, 8 }, { do_copy, 8 }, { do_wait, 3 }, { do_dontneed, 9 },
	{ do_willneed, 8 }, { do_replace, 12 }, { do_purged, 4 }, { do_share, 4 },
	{ do_hold, 3 }, { share_take, 6 }, { race_own, 1 }, { do_fork, 1 }, { do_close, 2 },
};

static void do_something(struct stress *me)
{
	unsigned int sum = 0, at;

	for (unsigned int i = 0; i < sizeof(jobs) / sizeof(*jobs); i++)
		sum += jobs[i].weight;
	at = rnd(me, sum);
	/* one that was killed should soon have as much as before */
	if (me->total_kib < most_kib() / 2 && rnd(me, 2))
		at = 0;
	for (unsigned int i = 0; ; i++) {
		if (at < jobs[i].weight) {
			jobs[i].run(me);
			return;
		}
		at -= jobs[i].weight;
	}
}

/* Looks at all that there is once more. */
static void finish(struct stress *me)
{
	while (me->count) {
		struct bo *bo = &me->bos[me->count - 1];

		share_settle(me, bo);
		if (!bo->bad && bo->state == GIVEN_UP)
			bo_advise(me, bo, true);
		if (!bo->bad && bo->state == PURGED && rnd(me, 2))
			bo_replace(me, bo);
		if (!bo->bad && bo->state == NEEDED)
			bo_verify(me, bo, N_LOST);
		bo_close(me, bo);
	}
}

static void *run_thread(void *arg)
{
	struct stress *me = arg;

	share_forget(me);
	while (!atomic_load(&shared->stop)) {
		me->random = mix(me->seed + ++me->operation);
		make_room(me, 0);
		do_something(me);
		for (unsigned int i = me->count; i-- > 0;)
			if (me->bos[i].bad)
				bo_close(me, &me->bos[i]);
	}
	finish(me);
	return NULL;
}

void run_process(unsigned int proc, uint32_t life)
{
	pthread_t threads[MAX_THREADS];
	pthread_attr_t small;
	int drm = drm_open();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	contents_init();
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 * KIB);
	for (unsigned int i = 0; i < options.threads; i++) {
		struct stress *me = calloc(1, sizeof(*me));

		if (drm < 0 || !me)
			_exit(2);
		me->drm = drm;
		me->has_3d = drm_param(drm, 1 /* VIRTGPU_PARAM_3D_FEATURES */);
		me->proc = proc;
		me->thread = i;
		me->life = life;
		me->seed = mix(options.seed ^ mix(life << 16 | proc << 8 | i));
		if (pthread_create(&threads[i], &small, run_thread, me))
			_exit(2);
	}
	for (unsigned int i = 0; i < options.threads; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}
