/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM drm_gem_shrinker

#if !defined(_DRM_GEM_SHRINKER_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _DRM_GEM_SHRINKER_TRACE_H_

#include <linux/tracepoint.h>

#include <drm/drm_device.h>
#include <drm/drm_gem.h>

#include "drm_gem_shrinker_internal.h"

TRACE_EVENT(drm_gem_madvise,
	TP_PROTO(const struct drm_gem_object *obj, u32 madv, bool retained),
	TP_ARGS(obj, madv, retained),
	TP_STRUCT__entry(__string(dev, dev_name(obj->dev->dev))
			 __field(const void *, obj)
			 __field(size_t, size)
			 __field(u32, madv)
			 __field(bool, retained)),
	TP_fast_assign(__assign_str(dev);
		       __entry->obj = obj;
		       __entry->size = obj->size;
		       __entry->madv = madv;
		       __entry->retained = retained;),
	TP_printk("dev=%s obj=%p size=%zu madv=%u retained=%d",
		  __get_str(dev), __entry->obj, __entry->size, __entry->madv,
		  __entry->retained)
);

DECLARE_EVENT_CLASS(drm_gem_pages,
	TP_PROTO(const struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages),
	TP_STRUCT__entry(__string(dev, dev_name(obj->dev->dev))
			 __field(const void *, obj)
			 __field(unsigned long, pages)),
	TP_fast_assign(__assign_str(dev);
		       __entry->obj = obj;
		       __entry->pages = pages;),
	TP_printk("dev=%s obj=%p pages=%lu", __get_str(dev), __entry->obj,
		  __entry->pages)
);

DEFINE_EVENT(drm_gem_pages, drm_gem_purge,
	TP_PROTO(const struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages)
);

DEFINE_EVENT(drm_gem_pages, drm_gem_evict,
	TP_PROTO(const struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages)
);

DEFINE_EVENT(drm_gem_pages, drm_gem_swapin,
	TP_PROTO(const struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages)
);

DEFINE_EVENT(drm_gem_pages, drm_gem_replace,
	TP_PROTO(const struct drm_gem_object *obj, unsigned long pages),
	TP_ARGS(obj, pages)
);

TRACE_DEFINE_ENUM(DRM_GEM_LIST_GIVEN_UP);
TRACE_DEFINE_ENUM(DRM_GEM_LIST_EVICTABLE);
TRACE_DEFINE_ENUM(DRM_GEM_LIST_HOST);

/* One per pass over the list, whatever asked for it. */
TRACE_EVENT(drm_gem_scan,
	TP_PROTO(const struct drm_device *drm, unsigned int list,
		 unsigned long nr_to_scan, unsigned long scanned,
		 unsigned long freed, unsigned int revoked, unsigned int waits,
		 bool oom),
	TP_ARGS(drm, list, nr_to_scan, scanned, freed, revoked, waits, oom),
	TP_STRUCT__entry(__string(dev, dev_name(drm->dev))
			 __field(unsigned int, list)
			 __field(unsigned long, nr_to_scan)
			 __field(unsigned long, scanned)
			 __field(unsigned long, freed)
			 __field(unsigned int, revoked)
			 __field(unsigned int, waits)
			 __field(bool, oom)),
	TP_fast_assign(__assign_str(dev);
		       __entry->list = list;
		       __entry->nr_to_scan = nr_to_scan;
		       __entry->scanned = scanned;
		       __entry->freed = freed;
		       __entry->revoked = revoked;
		       __entry->waits = waits;
		       __entry->oom = oom;),
	TP_printk("dev=%s list=%s nr_to_scan=%lu scanned=%lu freed=%lu revoked=%u waits=%u oom=%d",
		  __get_str(dev),
		  __print_symbolic(__entry->list,
				   { DRM_GEM_LIST_GIVEN_UP, "given-up" },
				   { DRM_GEM_LIST_EVICTABLE, "evictable" },
				   { DRM_GEM_LIST_HOST, "host" }),
		  __entry->nr_to_scan,
		  __entry->scanned, __entry->freed, __entry->revoked, __entry->waits,
		  __entry->oom)
);

#endif /* _DRM_GEM_SHRINKER_TRACE_H_ */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../drivers/gpu/drm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE drm_gem_shrinker_trace
#include <trace/define_trace.h>
