// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Random operations, and a model that says in plain words what they should have
 * come to. The counters have to agree with it after every single one.
 */

#include <linux/prandom.h>

#include "drm_gem_shrinker_mock.h"

#define MODEL_SEED	0x67656d73
#define MODEL_STEPS	20000
#define MODEL_BOS	48

struct model_bo {
	struct mock_object *bo;
	struct dma_fence *busy;

	bool known;		/* the shrinker was told, and it is not purged yet */
	bool evicted;		/* has contents, but no pages */
	bool dontneed;
	bool purged;
	bool owed;		/* the device has not answered yet */
	bool wanted;		/* but a job has come for it */
	bool pinned, never, noevict, exported;
	unsigned int handles;
	const struct drm_file *adviser;	/* who said DONTNEED last */
	bool used, maybe_used;	/* a second chance is due, or may be */
};

struct model {
	struct kunit *test;
	struct mock_device *mock;
	struct rnd_state rnd;
	struct model_bo bos[MODEL_BOS];
	bool late;
	bool late_purge;
	unsigned int purges, evictions, swapins, called_off;
};

enum model_scan {
	MODEL_PURGE,
	MODEL_OOM,
	MODEL_EVICT
};

static unsigned int model_random(struct model *model, unsigned int below)
{
	return prandom_u32_state(&model->rnd) % below;
}

static const struct drm_file *model_file(struct model *model)
{
	return model_random(model, 2) ? MOCK_OTHER_FILE : NULL;
}

static unsigned long model_pages(const struct model_bo *m)
{
	return m->bo->base.size >> PAGE_SHIFT;
}

static bool model_kept(const struct model_bo *m)
{
	return m->pinned || m->never;
}

static bool model_given_up(const struct model_bo *m)
{
	return m->purged || (m->dontneed && m->handles <= 1);
}

/* Not counting the second chance. */
static bool model_takeable(const struct model_bo *m, enum model_scan what)
{
	if (!m->known || m->owed || model_kept(m) || m->exported || m->busy)
		return false;

	return what == MODEL_EVICT ?
	       !model_given_up(m) && !m->evicted && !m->noevict :
	       model_given_up(m);
}

static void model_compare(struct model *model, unsigned int step)
{
	struct drm_gem_shrinker_stats want = {}, got = mock_stats(model->mock);
	struct kunit *test = model->test;
	unsigned int i;

	for (i = 0; i < MODEL_BOS; i++) {
		const struct model_bo *m = &model->bos[i];

		if (!m->bo)
			continue;
		KUNIT_ASSERT_EQ_MSG(test, drm_gem_is_purged(&m->bo->base), m->purged,
				    "step %u object %u", step, i);
		if (!m->known || m->evicted)
			continue;
		want.resident_pages += model_pages(m);
		if (m->owed || model_kept(m))
			continue;
		if (model_given_up(m)) {
			if (m->exported)
				want.exported_pages += model_pages(m);
			else
				want.purgeable_pages += model_pages(m);
		} else if (m->noevict) {
			want.unevictable_pages += model_pages(m);
		} else {
			want.evictable_pages += model_pages(m);
		}
	}

	KUNIT_ASSERT_EQ_MSG(test, got.resident_pages, want.resident_pages, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.purgeable_pages, want.purgeable_pages, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.exported_pages, want.exported_pages, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.evictable_pages, want.evictable_pages, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.unevictable_pages, want.unevictable_pages, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.purged_bos, model->purges, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.evicted_bos, model->evictions, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.swapped_in_bos, model->swapins, "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.refused[DRM_GEM_REFUSED_WANTED], model->called_off,
			    "step %u", step);
	KUNIT_ASSERT_EQ_MSG(test, got.late, model->late, "step %u", step);
}

static void model_create(struct model *model, struct model_bo *m)
{
	memset(m, 0, sizeof(*m));
	model->mock->no_evict = !model_random(model, 8);
	m->bo = mock_create_bare(model->test, 1 + model_random(model, 16));
}

/* Once known it is not to be evicted for want of a hook, or as told. */
static void model_add(struct model_bo *m)
{
	if (m->known || m->purged)
		return;

	m->known = true;
	m->noevict |= !m->bo->base.funcs->evict;
	mock_add(m->bo);
}

static void model_job(struct model *model, struct model_bo *m)
{
	KUNIT_ASSERT_EQ(model->test, mock_job(m->bo), m->purged ? -EINVAL : 0);
	if (m->purged)
		return;

	m->wanted |= m->owed;
	model->swapins += m->evicted;
	m->used |= m->evicted;
	m->maybe_used |= m->evicted;
	m->evicted = false;
}

/* The device has let go of it, or keeps it, or another scan has to try again. */
static unsigned long model_answered(struct model *model, struct model_bo *m, int error)
{
	m->bo->revoke_seq = 0;
	if (m->purged) {
		m->never |= error == -EIO;
		if (error)
			return 0;
		KUNIT_ASSERT_TRUE(model->test, m->bo->purge_seq);
		m->known = false;
		m->evicted = false;
		model->purges++;
		return model_pages(m);
	}

	m->noevict |= error == -EIO;
	if (!error && (m->wanted || model_kept(m) || m->exported))
		model->called_off++;
	else
		m->evicted = !error;
	m->wanted = false;
	KUNIT_ASSERT_EQ(model->test, !!m->bo->evict_seq, m->evicted);
	m->bo->evict_seq = 0;
	model->evictions += m->evicted;
	return 0;
}

static void model_free(struct model_bo *m)
{
	/* Those owed an answer live on; they have a test of their own. */
	if (m->owed)
		return;
	if (m->busy)
		mock_idle(m->busy);
	mock_put(m->bo);
	memset(m, 0, sizeof(*m));
}

/* Looks at what a scan did, and whether it was right to. */
static void model_scanned(struct model *model, enum model_scan what, bool all,
			  unsigned long freed, unsigned int step)
{
	struct mock_device *mock = model->mock;
	struct kunit *test = model->test;
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < MODEL_BOS; i++) {
		struct model_bo *m = &model->bos[i];
		bool takeable;

		if (!m->bo || m->owed)
			continue;

		takeable = !(what == MODEL_EVICT ? model->late : model->late_purge) &&
			   model_takeable(m, what);
		if (m->bo->revoke_seq) {
			KUNIT_ASSERT_TRUE_MSG(test, takeable && (what == MODEL_OOM || !m->used),
					      "step %u object %u", step, i);
			m->purged = what != MODEL_EVICT;
			if (mock->answer == MOCK_ANSWER_NEVER)
				m->owed = true;
			else
				sum += model_answered(model, m, mock->error);
		} else if (takeable) {
			/* Left alone with no reason. */
			KUNIT_ASSERT_FALSE_MSG(test, all && !m->maybe_used,
					       "step %u object %u", step, i);
			if (all)
				m->maybe_used = false;
			m->used = false;
		}
	}
	KUNIT_ASSERT_EQ_MSG(test, freed, sum, "step %u", step);
}

/* A scan that looks at nothing and reports what was freed since the last one. */
static unsigned long model_freed_late(struct model *model)
{
	struct mock_device *mock = model->mock;
	unsigned long freed;
	unsigned int i;

	mock->refusal = -EBUSY;
	freed = mock_scan_all(mock);
	mock->refusal = 0;
	/* It may have passed over the first ones. */
	for (i = 0; i < MODEL_BOS; i++)
		model->bos[i].used = false;

	return freed;
}

static void model_choose_answer(struct model *model)
{
	struct mock_device *mock = model->mock;

	mock->answer = MOCK_ANSWER_AT_ONCE;
	switch (model_random(model, 100)) {
	case 0 ... 4:
		mock->error = -EIO;
		break;
	case 5 ... 9:
		mock->error = -EAGAIN;
		break;
	case 10 ... 11:
		/* Costs a deadline each time. */
		mock->answer = model->late ? MOCK_ANSWER_AT_ONCE : MOCK_ANSWER_NEVER;
		break;
	case 12 ... 50:
		mock->answer = MOCK_ANSWER_SOON;
		break;
	}
}

static void model_scan(struct model *model, unsigned int step)
{
	struct mock_device *mock = model->mock;
	unsigned int how = model_random(model, 7), i;
	unsigned long scans = mock_stats(mock).scans, freed = 0;
	enum model_scan what = MODEL_PURGE;
	bool may_evict;

	model_choose_answer(model);
	WRITE_ONCE(mock->no_swap, !model_random(model, 8));
	may_evict = !mock->no_swap && !mock_stats(mock).purgeable_pages;

	if (model->late && how == 2)
		how = 0;
	if (how == 0) {
		freed = mock_scan_batch(mock);
	} else if (how == 1) {
		freed = mock_scan_all(mock);
	} else if (how == 2) {
		what = MODEL_OOM;
		freed = drm_gem_shrinker_oom(&mock->drm);
		/* What was evicted is freed by the finisher. */
		if (mock->answer != MOCK_ANSWER_NEVER) {
			drm_gem_shrinker_drain(&mock->drm);
			freed += model_freed_late(model);
		}
	} else if (how == 3) {
		freed = mock_scan(mock, 1 + model_random(model, 99));
	} else {
		what = MODEL_EVICT;
		/* Much may happen to an object until it is evicted. */
		if (!model->late && !model_random(model, 4))
			mock->answer = MOCK_ANSWER_NEVER;
		mock_evict(mock, how == 4 ? ULONG_MAX : 1);
	}

	if (what == MODEL_EVICT && mock_stats(mock).scans == scans) {
		KUNIT_ASSERT_FALSE_MSG(model->test, may_evict, "step %u", step);
	} else {
		KUNIT_ASSERT_FALSE(model->test, what == MODEL_EVICT && mock->no_swap);
		model_scanned(model, what, (how == 1 || how == 4) &&
			      mock->answer != MOCK_ANSWER_NEVER, freed, step);
	}
	for (i = 0; i < MODEL_BOS; i++) {
		model->late |= model->bos[i].owed;
		model->late_purge |= model->bos[i].owed && model->bos[i].purged;
	}
	mock->error = 0;
}

static void model_answer(struct model *model)
{
	struct mock_device *mock = model->mock;
	unsigned long pages = 0;
	unsigned int i;

	if (!model->late)
		return;

	mock->error = model_random(model, 2) ? -EIO : 0;
	mock_answer(mock, UINT_MAX);
	drm_gem_shrinker_drain(&mock->drm);
	model->late = false;
	model->late_purge = false;

	for (i = 0; i < MODEL_BOS; i++) {
		struct model_bo *m = &model->bos[i];

		if (!m->bo || !m->owed)
			continue;
		m->owed = false;
		pages += model_answered(model, m, mock->error);
	}

	KUNIT_ASSERT_EQ(model->test, model_freed_late(model), pages);
	mock->error = 0;
}

static void model_step(struct model *model, unsigned int step)
{
	struct model_bo *m = &model->bos[model_random(model, MODEL_BOS)];
	struct kunit *test = model->test;
	const struct drm_file *file;
	struct drm_gem_object *obj;
	unsigned int op = model_random(model, 56);

	if (op >= 48)
		return model_scan(model, step);
	if (op == 0)
		return model_answer(model);
	if (!m->bo)
		return model_create(model, m);

	obj = &m->bo->base;
	switch (op) {
	case 1 ... 2:
		return model_free(m);
	case 3 ... 8:
		return model_add(m);
	case 9 ... 18:
		file = model_file(model);
		KUNIT_ASSERT_EQ(test, mock_dontneed_by(m->bo, file), !m->purged);
		m->dontneed = true;
		m->adviser = file;
		if (!m->purged) {
			m->used = false;
			m->maybe_used = false;
		}
		return;
	case 19 ... 24:
		KUNIT_ASSERT_EQ(test, mock_willneed(m->bo), !m->purged);
		m->dontneed = false;
		return;
	case 25:
		/* Who pins has brought the pages in before. */
		if (!m->pinned && m->evicted)
			model_job(model, m);
		m->pinned = !m->pinned;
		(m->pinned ? mock_exclude : mock_include)(m->bo, DRM_GEM_RECLAIM_PINNED);
		return;
	case 26:
		if (!obj->funcs->evict)
			return;
		m->noevict = !m->noevict;
		(m->noevict ? mock_exclude : mock_include)(m->bo, DRM_GEM_RECLAIM_NOEVICT);
		return;
	case 27:
		if (m->owed)
			return;
		m->never = !m->never;
		(m->never ? mock_exclude : mock_include)(m->bo, DRM_GEM_RECLAIM_NEVER);
		return;
	case 28 ... 29:
		m->handles++;
		return drm_gem_reclaim_open(obj);
	case 30 ... 32:
		if (!m->handles)
			return;
		file = model_file(model);
		m->handles--;
		if (file == m->adviser)
			m->dontneed = false;
		return drm_gem_reclaim_close(obj, file);
	case 33:
		if (model_random(model, 8))
			return;
		KUNIT_ASSERT_EQ(test, drm_gem_reclaim_export(obj), m->purged ? -EINVAL : 0);
		m->exported |= !m->purged;
		return;
	case 34 ... 35:
		drm_gem_mark_used(obj);
		m->used = true;
		m->maybe_used = true;
		return;
	case 36:
	case 42 ... 47:
		return model_job(model, m);
	case 37 ... 38:
		if (m->busy)
			return;
		model_job(model, m);
		if (m->purged)
			return;
		m->busy = mock_busy(test, m->bo, DMA_RESV_USAGE_BOOKKEEP);
		return;
	default:
		if (!m->busy)
			return;
		mock_idle(m->busy);
		m->busy = NULL;
	}
}

static void drm_gem_shrinker_test_counters_match_model(struct kunit *test)
{
	struct mock_device *mock = test->priv;
	struct model *model;
	unsigned int i;

	model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model);
	model->test = test;
	model->mock = mock;
	prandom_seed_state(&model->rnd, MODEL_SEED);

	for (i = 0; i < MODEL_STEPS; i++) {
		model_step(model, i);
		model_compare(model, i);
	}
	kunit_info(test, "%u steps: %u revoked, %u purged, %u evicted, %u back, %u called off, %u freed\n",
		   MODEL_STEPS, atomic_read(&mock->revoked), model->purges, model->evictions,
		   model->swapins, model->called_off, atomic_read(&mock->frees));
	/* Had it been quiet, it would have said little. */
	KUNIT_EXPECT_GT(test, model->purges, MODEL_STEPS / 100);
	KUNIT_EXPECT_GT(test, model->evictions, MODEL_STEPS / 200);
	KUNIT_EXPECT_GT(test, model->swapins, MODEL_STEPS / 400);
	KUNIT_EXPECT_GT(test, model->called_off, 0);
	KUNIT_EXPECT_GT(test, atomic_read(&mock->frees), MODEL_STEPS / 100);

	model_answer(model);
	for (i = 0; i < MODEL_BOS; i++)
		if (model->bos[i].bo)
			model_free(&model->bos[i]);
}

static struct kunit_case drm_gem_shrinker_model_tests[] = {
	KUNIT_CASE_SLOW(drm_gem_shrinker_test_counters_match_model),
	{}
};

static struct kunit_suite drm_gem_shrinker_model_suite = {
	.name = "drm_gem_shrinker_model",
	.init = mock_init,
	.exit = mock_exit,
	.test_cases = drm_gem_shrinker_model_tests,
};

kunit_test_suite(drm_gem_shrinker_model_suite);
