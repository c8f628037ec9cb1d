// SPDX-License-Identifier: MIT
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Subtests of virtio_madvise about BOs that a CRTC shows, on plain ioctls.
 */
#include <errno.h>

#include <drm_mode.h>

#include "virtio_madvise.h"

struct screen {
	uint32_t crtc;
	uint32_t connector;
	struct drm_mode_modeinfo mode;
	struct vg_bo bo;
	uint32_t fb;
};

/* The first connector that has a mode, and any CRTC: each fits on virtio-gpu's outputs. */
static bool screen_find(int fd, struct screen *screen)
{
	uint32_t crtcs[16], connectors[16];
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)crtcs,
		.connector_id_ptr = (uintptr_t)connectors,
		.count_crtcs = 16,
		.count_connectors = 16,
	};

	if (vg_ioctl(fd, DRM_IOCTL_MODE_GETRESOURCES, &res) || !res.count_crtcs)
		return false;
	for (uint32_t i = 0; i < res.count_connectors && i < 16; i++) {
		static struct drm_mode_modeinfo modes[128];
		struct drm_mode_get_connector get = { .connector_id = connectors[i] };

		/* the first call probes and counts, the second gives the modes */
		if (vg_ioctl(fd, DRM_IOCTL_MODE_GETCONNECTOR, &get) || !get.count_modes ||
		    get.count_modes > 128)
			continue;
		get = (struct drm_mode_get_connector) {
			.connector_id = connectors[i],
			.modes_ptr = (uintptr_t)modes,
			.count_modes = 128,
		};
		if (vg_ioctl(fd, DRM_IOCTL_MODE_GETCONNECTOR, &get) || !get.count_modes)
			continue;
		screen->crtc = crtcs[0];
		screen->connector = connectors[i];
		screen->mode = modes[0];
		return true;
	}
	return false;
}

/* A dumb BO of the mode's size, known as a framebuffer, not shown. */
static void screen_init(int fd, struct screen *screen)
{
	struct drm_mode_fb_cmd add = { .bpp = 32, .depth = 24 };

	if (!screen_find(fd, screen))
		igt_skip("needs a connector with a mode\n");
	vg_bo_create_dumb(&screen->bo, fd, screen->mode.hdisplay, screen->mode.vdisplay);
	vg_bo_fill(&screen->bo, 1);

	add.width = screen->bo.width;
	add.height = screen->bo.height;
	add.pitch = screen->bo.width * 4;
	add.handle = screen->bo.handle;
	igt_assert_eq(vg_ioctl(fd, DRM_IOCTL_MODE_ADDFB, &add), 0);
	screen->fb = add.fb_id;
}

static void screen_fini(struct screen *screen)
{
	igt_assert_eq(vg_ioctl(screen->bo.fd, DRM_IOCTL_MODE_RMFB, &screen->fb), 0);
	vg_bo_close(&screen->bo);
}

static int screen_show(struct screen *screen, bool on)
{
	struct drm_mode_crtc set = { .crtc_id = screen->crtc };

	if (on) {
		set.fb_id = screen->fb;
		set.set_connectors_ptr = (uintptr_t)&screen->connector;
		set.count_connectors = 1;
		set.mode = screen->mode;
		set.mode_valid = 1;
	}
	return vg_ioctl(screen->bo.fd, DRM_IOCTL_MODE_SETCRTC, &set);
}

void test_purge_scanout(int fd)
{
	struct screen screen;

	screen_init(fd, &screen);
	igt_assert_eq(screen_show(&screen, true), 0);
	igt_assert_eq(vg_bo_wait(&screen.bo, 0), 0);

	igt_assert_eq(vg_bo_madvise(&screen.bo, DONTNEED), 1);
	vg_expect_kept();
	vg_bo_check(&screen.bo);
	igt_assert_eq(vg_bo_madvise(&screen.bo, WILLNEED), 1);
	igt_assert_eq(vg_bo_madvise(&screen.bo, DONTNEED), 1);
	vg_expect_kept();

	/* What was said while it was shown holds afterwards. */
	igt_assert_eq(screen_show(&screen, false), 0);
	vg_expect_purged(1);
	igt_assert_eq(vg_bo_madvise(&screen.bo, WILLNEED), 0);
	screen_fini(&screen);
}

void test_scanout_purged(int fd)
{
	struct screen screen;

	screen_init(fd, &screen);
	igt_assert_eq(vg_bo_wait(&screen.bo, 0), 0);
	igt_assert_eq(vg_bo_madvise(&screen.bo, DONTNEED), 1);
	vg_expect_purged(1);
	igt_assert_eq(screen_show(&screen, true), -EINVAL);
	screen_fini(&screen);
}

/* What is shown stays, and what was evicted comes back before it is shown. */
void test_evict_scanout(int fd)
{
	uint64_t evictable = vg_counter("evictable_pages"), in;
	struct screen screen;
	struct vg_bo *bo = &screen.bo;

	vg_swap_on(128 * VG_MIB);
	screen_init(fd, &screen);
	igt_assert_eq(screen_show(&screen, true), 0);
	igt_assert_eq(vg_bo_wait(bo, 0), 0);
	igt_assert_eq(vg_counter("evictable_pages"), evictable);
	vg_expect_not_evicted();
	vg_bo_check(bo);

	igt_assert_eq(screen_show(&screen, false), 0);
	igt_assert_eq(vg_bo_wait(bo, 0), 0);
	igt_assert_eq(vg_counter("evictable_pages") - evictable, vg_bo_pages(bo));
	vg_expect_swapped_out(1, bo->size);
	in = vg_counter("swapped_in_bos");
	vg_trace_start();
	igt_assert_eq(screen_show(&screen, true), 0);
	igt_assert_eq(vg_counter("swapped_in_bos") - in, 1);
	igt_assert_eq(vg_trace_commands(VG_CMD_ATTACH_BACKING), 1);
	vg_trace_stop();
	igt_assert_eq(vg_bo_wait(bo, 0), 0);
	vg_expect_not_evicted();
	vg_bo_check(bo);

	igt_assert_eq(screen_show(&screen, false), 0);
	screen_fini(&screen);
	vg_swap_off();
}
