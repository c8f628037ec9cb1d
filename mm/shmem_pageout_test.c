// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * What goes and what stays. None of it needs swap, which a unit test has not:
 * a folio that nobody wrote to is freed, one that is dirty stays.
 */

#include <linux/err.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <linux/swap.h>

#include <kunit/test.h>

#define PAGEOUT_PAGES	600	/* more than are isolated at a time, twice */

struct pageout_file {
	struct file *file;
	struct address_space *mapping;
};

/* Brings a page in, and in reach of reclaim: not in a CPU's batch. */
static struct page *pageout_get(struct kunit *test, pgoff_t index)
{
	struct pageout_file *f = test->priv;
	struct page *page = shmem_read_mapping_page(f->mapping, index);

	KUNIT_ASSERT_FALSE(test, IS_ERR(page));

	return page;
}

static void pageout_fill(struct kunit *test, bool dirty)
{
	unsigned int i;

	for (i = 0; i < PAGEOUT_PAGES; i++) {
		struct page *page = pageout_get(test, i);

		if (dirty) {
			memset_page(page, 0, (u8)(i + 1), PAGE_SIZE);
			set_page_dirty(page);
		}
		put_page(page);
	}
	lru_add_drain_all();
}

static int shmem_pageout_test_init(struct kunit *test)
{
	struct pageout_file *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;

	f->file = shmem_file_setup("pageout", PAGEOUT_PAGES * PAGE_SIZE, VM_NORESERVE);
	if (IS_ERR(f->file))
		return PTR_ERR(f->file);
	f->mapping = f->file->f_mapping;
	test->priv = f;

	return 0;
}

static void shmem_pageout_test_exit(struct kunit *test)
{
	struct pageout_file *f = test->priv;

	if (f)
		fput(f->file);
}

static void shmem_pageout_test_clean_goes(struct kunit *test)
{
	struct pageout_file *f = test->priv;

	pageout_fill(test, false);
	KUNIT_EXPECT_EQ(test, shmem_pageout(f->mapping), PAGEOUT_PAGES);
	KUNIT_EXPECT_EQ(test, f->mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, shmem_pageout(f->mapping), 0);
}

/* What this CPU just brought in is not on the LRU lists yet. */
static void shmem_pageout_test_new_goes(struct kunit *test)
{
	struct pageout_file *f = test->priv;
	unsigned int i;

	migrate_disable();
	for (i = 0; i < 3; i++)
		put_page(pageout_get(test, i));
	KUNIT_EXPECT_EQ(test, shmem_pageout(f->mapping), 3);
	migrate_enable();
}

/* Nothing is lost, and nothing is left off the LRU. */
static void shmem_pageout_test_dirty_stays(struct kunit *test)
{
	struct pageout_file *f = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, total_swap_pages, 0);
	pageout_fill(test, true);
	KUNIT_EXPECT_EQ(test, shmem_pageout(f->mapping), 0);
	KUNIT_EXPECT_EQ(test, f->mapping->nrpages, PAGEOUT_PAGES);
	lru_add_drain_all();

	for (i = 0; i < PAGEOUT_PAGES; i++) {
		struct page *page = pageout_get(test, i);
		u8 *p = kmap_local_page(page);

		KUNIT_EXPECT_EQ(test, p[0], (u8)(i + 1));
		KUNIT_EXPECT_NULL(test, memchr_inv(p, (u8)(i + 1), PAGE_SIZE));
		kunmap_local(p);
		KUNIT_EXPECT_TRUE(test, folio_test_lru(page_folio(page)));
		KUNIT_EXPECT_FALSE(test, folio_test_locked(page_folio(page)));
		put_page(page);
	}
}

static void shmem_pageout_test_used_stays(struct kunit *test)
{
	struct pageout_file *f = test->priv;
	struct page *used, *locked;

	pageout_fill(test, false);
	used = pageout_get(test, 3);
	locked = pageout_get(test, 35);
	lock_page(locked);
	put_page(locked);

	KUNIT_EXPECT_EQ(test, shmem_pageout(f->mapping), PAGEOUT_PAGES - 2);
	KUNIT_EXPECT_EQ(test, f->mapping->nrpages, 2);

	unlock_page(locked);
	put_page(used);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, shmem_pageout(f->mapping), 2);
}

static void shmem_pageout_test_unevictable_stays(struct kunit *test)
{
	struct pageout_file *f = test->priv;

	mapping_set_unevictable(f->mapping);
	pageout_fill(test, false);
	KUNIT_EXPECT_EQ(test, shmem_pageout(f->mapping), 0);
	KUNIT_EXPECT_EQ(test, f->mapping->nrpages, PAGEOUT_PAGES);
	mapping_clear_unevictable(f->mapping);
}

static struct kunit_case shmem_pageout_test_cases[] = {
	KUNIT_CASE(shmem_pageout_test_clean_goes),
	KUNIT_CASE(shmem_pageout_test_new_goes),
	KUNIT_CASE(shmem_pageout_test_dirty_stays),
	KUNIT_CASE(shmem_pageout_test_used_stays),
	KUNIT_CASE(shmem_pageout_test_unevictable_stays),
	{}
};

static struct kunit_suite shmem_pageout_test_suite = {
	.name = "shmem_pageout",
	.init = shmem_pageout_test_init,
	.exit = shmem_pageout_test_exit,
	.test_cases = shmem_pageout_test_cases,
};

kunit_test_suite(shmem_pageout_test_suite);
