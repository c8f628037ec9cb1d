/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright 2026 The GEM shrinker project
 *
 * A driver without a device and with gem-shmem for its memory, for the KUnit
 * tests of what the two do together.
 */
#ifndef __DRM_GEM_SHRINKER_MOCK_SHMEM_H__
#define __DRM_GEM_SHRINKER_MOCK_SHMEM_H__

#include <kunit/test.h>

#include <drm/drm_device.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_gem_shrinker.h>

#define TEST_PAGES	4

/* The device answers at once, or, with @hold set, when the test says so. */
struct shmem_device {
	struct drm_device drm;
	bool hold;
	struct drm_gem_revoke_batch *batch;
};

/* init and exit of the suites; test->priv is the struct shmem_device. */
int mock_shmem_init(struct kunit *test);
void mock_shmem_exit(struct kunit *test);

struct drm_gem_shmem_object *mock_shmem_create_bare(struct kunit *test);
void mock_shmem_add(struct drm_gem_shmem_object *shmem);
struct drm_gem_shmem_object *mock_shmem_create(struct kunit *test);
struct drm_gem_shmem_object *mock_shmem_create_idle(struct kunit *test);

unsigned long mock_shmem_scan(struct kunit *test);
unsigned long mock_shmem_evict(struct kunit *test);
struct drm_gem_shrinker_stats mock_shmem_stats(struct kunit *test);

/* Pages in memory, whoever has them. */
static inline unsigned long mock_shmem_pages(struct drm_gem_shmem_object *shmem)
{
	return shmem->base.filp->f_mapping->nrpages;
}

#endif /* __DRM_GEM_SHRINKER_MOCK_SHMEM_H__ */
