// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <linux/export.h>
#include <linux/pagemap.h>
#include <linux/pagevec.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "internal.h"

/* pages isolated at a time: 1 MiB with pages of 4 KiB */
#define SHMEM_PAGEOUT_BATCH	256

/**
 * shmem_pageout - write out the pages of a shmem file and free them
 * @mapping: of the shmem file
 *
 * What MADV_PAGEOUT does for a range of addresses, for the owner of a file that
 * knows it to be idle. Folios that are mapped are unmapped. Those that are
 * locked, unevictable, or used by others stay, and so do dirty ones when there
 * is no room in swap. Folios that a slow device takes its time to write are
 * freed by the end of that, and not counted.
 *
 * Context: process context, may sleep for memory, and for swap I/O to be queued.
 * May be called in reclaim if both __GFP_FS and __GFP_IO are allowed there.
 *
 * Returns: the number of pages that are free by now.
 */
unsigned long shmem_pageout(struct address_space *mapping)
{
	unsigned long freed = 0, nr_isolated = 0;
	struct folio_batch fbatch;
	LIST_HEAD(folios);
	pgoff_t index = 0;
	unsigned int i;

	/* Those on the way to the LRU lists could not be isolated. */
	lru_add_drain();

	folio_batch_init(&fbatch);
	while (filemap_get_folios(mapping, &index, ULONG_MAX, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];

			if (folio_test_unevictable(folio))
				continue;

			folio_clear_referenced(folio);
			if (!folio_isolate_lru(folio))
				continue;

			list_add(&folio->lru, &folios);
			nr_isolated += folio_nr_pages(folio);
		}
		folio_batch_release(&fbatch);

		/* Others who look for memory do not see what is isolated. */
		if (nr_isolated >= SHMEM_PAGEOUT_BATCH) {
			freed += reclaim_pages(&folios);
			nr_isolated = 0;
		}
		cond_resched();
	}

	return freed + reclaim_pages(&folios);
}
EXPORT_SYMBOL_GPL(shmem_pageout);
