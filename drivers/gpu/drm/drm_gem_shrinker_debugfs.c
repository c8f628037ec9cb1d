// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <drm/drm_device.h>

#include "drm_gem_shrinker_internal.h"

/**
 * DOC: Debugfs
 *
 * Each device that opted in has a file *gem_shrinker* in its DRM debugfs
 * directory. Reading it gives the counters, a line each. Writing a number to
 * it looks at that many pages that were given up, in whole batches, on the path
 * that memory pressure takes; *evict N* does so for those that may go to swap.
 * *host N* purges what was given up and costs only the host memory, which is
 * done for no other reason.
 */

static const char * const drm_gem_refusal_names[] = {
	[DRM_GEM_REFUSED_LOCKED] = "locked",
	[DRM_GEM_REFUSED_BUSY] = "busy",
	[DRM_GEM_REFUSED_USED] = "used",
	[DRM_GEM_REFUSED_EXPORTED] = "exported",
	[DRM_GEM_REFUSED_DRIVER] = "driver",
	[DRM_GEM_REFUSED_DEVICE] = "device",
	[DRM_GEM_REFUSED_WANTED] = "wanted",
};

static int drm_gem_shrinker_show(struct seq_file *m, void *unused)
{
	struct drm_gem_shrinker *shrinker = m->private;
	struct drm_gem_shrinker_stats stats;
	unsigned int i;

	drm_gem_shrinker_get_stats(shrinker->dev, &stats);

	seq_printf(m, "resident_pages %lu\n", stats.resident_pages);
	seq_printf(m, "purgeable_pages %lu\n", stats.purgeable_pages);
	seq_printf(m, "exported_pages %lu\n", stats.exported_pages);
	seq_printf(m, "evictable_pages %lu\n", stats.evictable_pages);
	seq_printf(m, "unevictable_pages %lu\n", stats.unevictable_pages);
	seq_printf(m, "host_pages %lu\n", stats.host_pages);
	seq_printf(m, "host_purgeable_pages %lu\n", stats.host_purgeable_pages);
	seq_printf(m, "host_purged_pages %lu\n", stats.host_purged_pages);
	seq_printf(m, "purged_bos %lu\n", stats.purged_bos);
	seq_printf(m, "purged_pages %lu\n", stats.purged_pages);
	seq_printf(m, "evicted_bos %lu\n", stats.evicted_bos);
	seq_printf(m, "evicted_pages %lu\n", stats.evicted_pages);
	seq_printf(m, "swapped_in_bos %lu\n", stats.swapped_in_bos);
	seq_printf(m, "swapped_in_pages %lu\n", stats.swapped_in_pages);
	seq_printf(m, "scans %lu\n", stats.scans);
	seq_printf(m, "host_waits %lu\n", stats.waits);
	seq_printf(m, "longest_wait_us %llu\n", stats.longest_wait_us);
	seq_printf(m, "late_batches %lu\n", stats.late);
	for (i = 0; i < DRM_GEM_REFUSALS; i++)
		seq_printf(m, "refused_%s %lu\n", drm_gem_refusal_names[i],
			   stats.refused[i]);

	return 0;
}

static int drm_gem_shrinker_open(struct inode *inode, struct file *file)
{
	return single_open(file, drm_gem_shrinker_show, inode->i_private);
}

static ssize_t drm_gem_shrinker_write(struct file *file, const char __user *buf,
				      size_t len, loff_t *pos)
{
	struct seq_file *m = file->private_data;
	struct drm_gem_shrinker *shrinker = m->private;
	unsigned long nr_pages;
	char text[32] = {}, *nr;
	bool evict, host;
	int ret;

	if (len >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, len))
		return -EFAULT;

	evict = str_has_prefix(text, "evict ");
	host = str_has_prefix(text, "host ");
	nr = evict || host ? strchr(text, ' ') + 1 : text;
	ret = kstrtoul(strim(nr), 0, &nr_pages);
	if (ret)
		return ret;

	if (evict)
		drm_gem_shrinker_evict(shrinker->dev, nr_pages);
	else if (host)
		drm_gem_shrinker_purge_host(shrinker->dev, nr_pages);
	else
		drm_gem_shrinker_purge(shrinker->dev, nr_pages);

	return len;
}

static const struct file_operations drm_gem_shrinker_fops = {
	.owner = THIS_MODULE,
	.open = drm_gem_shrinker_open,
	.read = seq_read,
	.write = drm_gem_shrinker_write,
	.llseek = seq_lseek,
	.release = single_release,
};

void drm_gem_shrinker_debugfs_init(struct drm_gem_shrinker *shrinker)
{
	/* Devices made for unit tests have none. */
	if (shrinker->dev->debugfs_root)
		debugfs_create_file("gem_shrinker", 0644,
				    shrinker->dev->debugfs_root, shrinker,
				    &drm_gem_shrinker_fops);
}
