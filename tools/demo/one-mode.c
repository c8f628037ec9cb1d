// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows a KMS program one mode of a connector, that of 800 x 600: a library for LD_PRELOAD.
 * glmark2 takes the largest one that there is, 5120 x 2160, in which the host's software does
 * nothing but fill; and its own validation of what it drew is made for 800 x 600. It gets a
 * line more, because it creates no window when it wants just the size of the display.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <stdarg.h>
#include <stdint.h>

#define WIDTH 800
#define HEIGHT 600

int ioctl(int fd, unsigned long request, ...)
{
	static int (*next)(int fd, unsigned long request, ...);
	struct drm_mode_get_connector *connector;
	struct drm_mode_modeinfo *modes;
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	/* other libraries count on ioctl() too */
	if (!next)
		next = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	connector = arg;
	if (request != DRM_IOCTL_MODE_GETCONNECTOR || !connector->count_modes)
		return next(fd, request, arg);

	ret = next(fd, request, arg);
	modes = (struct drm_mode_modeinfo *)(uintptr_t)connector->modes_ptr;
	for (uint32_t i = 0; !ret && i < connector->count_modes; i++) {
		if (modes[i].hdisplay != WIDTH || modes[i].vdisplay != HEIGHT)
			continue;
		modes[0] = modes[i];
		modes[0].vdisplay++;
		modes[0].type |= DRM_MODE_TYPE_PREFERRED;
		connector->count_modes = 1;
	}
	return ret;
}
