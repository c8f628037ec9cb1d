// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * gem-shmem under the GEM shrinker: what its eviction takes away, what it leaves,
 * and who brings the pages back; and what is kept though nobody uses it.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/scatterlist.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_vma_manager.h>

#include "drm_gem_shrinker_mock_shmem.h"

static u8 shmem_byte(unsigned int page)
{
	return 0xa0 + page;
}

/* Writes as a device does, and nobody is told that the pages are dirty. */
static void shmem_device_write(struct drm_gem_shmem_object *shmem)
{
	unsigned int i;

	for (i = 0; i < TEST_PAGES; i++) {
		u8 *addr = kmap_local_page(shmem->pages[i]);

		memset(addr, shmem_byte(i), PAGE_SIZE);
		kunmap_local(addr);
	}
}

/* Reads by way of the table, as a device does. */
static void shmem_expect_device_reads(struct kunit *test, struct sg_table *sgt)
{
	struct sg_page_iter iter;
	unsigned int i = 0;

	for_each_sgtable_page(sgt, &iter, 0) {
		u8 *addr = kmap_local_page(sg_page_iter_page(&iter));

		KUNIT_EXPECT_EQ(test, addr[0], shmem_byte(i));
		KUNIT_EXPECT_EQ(test, addr[PAGE_SIZE - 1], shmem_byte(i));
		kunmap_local(addr);
		i++;
	}
	KUNIT_EXPECT_EQ(test, i, TEST_PAGES);
}

/* What just came back is passed over once. */
static void shmem_expect_evict_again(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), 0);
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
}

static struct drm_gem_shmem_object *shmem_create_evicted(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);

	shmem_device_write(shmem);
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);

	return shmem;
}

static void shmem_expect_resident(struct kunit *test, struct drm_gem_shmem_object *shmem)
{
	KUNIT_EXPECT_NOT_NULL(test, shmem->pages);
	KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).resident_pages, TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).swapped_in_pages, TEST_PAGES);
}

static void drm_gem_shrinker_test_shmem_evict_lets_go(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);

	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_use_count), 1);
	KUNIT_EXPECT_TRUE(test, mapping_unevictable(shmem->base.filp->f_mapping));

	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
	KUNIT_EXPECT_NULL(test, shmem->pages);
	KUNIT_EXPECT_NULL(test, shmem->sgt);
	KUNIT_EXPECT_NULL(test, shmem->vaddr);
	/* The use of the table went with it. */
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_use_count), 0);
	/* The pages are the system's, and still there. */
	KUNIT_EXPECT_FALSE(test, mapping_unevictable(shmem->base.filp->f_mapping));
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).resident_pages, 0);

	drm_gem_object_put(&shmem->base);
}

/* Only their being dirty tells what the device has written. */
static void drm_gem_shrinker_test_shmem_evict_marks_dirty(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);
	struct address_space *mapping = shmem->base.filp->f_mapping;
	struct sg_table *sgt;
	struct folio *folio;
	struct page *page;
	unsigned int i;
	u8 *addr;

	shmem_device_write(shmem);
	for (i = 0; i < TEST_PAGES; i++) {
		folio = page_folio(shmem->pages[i]);
		folio_lock(folio);
		folio_clear_dirty(folio);
		folio_unlock(folio);
	}

	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
	for (i = 0; i < TEST_PAGES; i++) {
		folio = filemap_get_folio(mapping, i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
		folio_put(folio);
	}

	/* What reclaim does with clean ones. */
	invalidate_mapping_pages(mapping, 0, -1);
	for (i = 0; i < TEST_PAGES; i++) {
		page = shmem_read_mapping_page(mapping, i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(page));
		addr = kmap_local_page(page);
		KUNIT_EXPECT_EQ(test, addr[0], shmem_byte(i));
		KUNIT_EXPECT_EQ(test, addr[PAGE_SIZE - 1], shmem_byte(i));
		kunmap_local(addr);
		put_page(page);
	}

	sgt = drm_gem_shmem_get_pages_sgt(shmem);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt));
	shmem_expect_device_reads(test, sgt);
	drm_gem_object_put(&shmem->base);
}

/* Those who want pages are counted all the time, and get them again. */
static void drm_gem_shrinker_test_shmem_evict_keeps_uses(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);
	struct sg_table *sgt;

	/* As a driver with a mapping in the GPU's address space does, or a mmap. */
	refcount_inc(&shmem->pages_use_count);
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
	KUNIT_EXPECT_NULL(test, shmem->pages);
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_use_count), 1);

	sgt = drm_gem_shmem_get_pages_sgt(shmem);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt));
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_use_count), 2);
	/* It is the same for all until it goes. */
	KUNIT_EXPECT_PTR_EQ(test, drm_gem_shmem_get_pages_sgt(shmem), sgt);
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_use_count), 2);
	shmem_expect_resident(test, shmem);

	/* And what was put in the meantime is not put twice. */
	shmem_expect_evict_again(test);
	dma_resv_lock(shmem->base.resv, NULL);
	drm_gem_shmem_put_pages_locked(shmem);
	dma_resv_unlock(shmem->base.resv);
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_use_count), 0);

	drm_gem_object_put(&shmem->base);
}

static void drm_gem_shrinker_test_shmem_sgt_comes_back(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_evicted(test);
	struct sg_table *sgt = drm_gem_shmem_get_pages_sgt(shmem);

	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt));
	KUNIT_EXPECT_PTR_EQ(test, shmem->sgt, sgt);
	shmem_expect_resident(test, shmem);
	shmem_expect_device_reads(test, sgt);
	shmem_expect_evict_again(test);

	drm_gem_object_put(&shmem->base);
}

static void drm_gem_shrinker_test_shmem_pin_brings_back(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_evicted(test);

	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	shmem_expect_resident(test, shmem);
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), 0);
	KUNIT_EXPECT_NOT_NULL(test, shmem->pages);
	drm_gem_shmem_unpin(shmem);
	shmem_expect_evict_again(test);

	drm_gem_object_put(&shmem->base);
}

static void drm_gem_shrinker_test_shmem_vmap_brings_back(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_evicted(test);
	struct iosys_map map;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&shmem->base, &map), 0);
	shmem_expect_resident(test, shmem);
	for (i = 0; i < TEST_PAGES; i++)
		KUNIT_EXPECT_EQ(test, *((u8 *)map.vaddr + i * PAGE_SIZE), shmem_byte(i));
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), 0);
	drm_gem_vunmap_unlocked(&shmem->base, &map);
	shmem_expect_evict_again(test);

	drm_gem_object_put(&shmem->base);
}

/* A mmap is no pin: it is zapped, and a fault brings the pages back. */
static void drm_gem_shrinker_test_shmem_fault_brings_back(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);
	struct file *file = mock_drm_getfile(shmem_dev->drm.primary, O_RDWR);
	u8 wrote = 0x5a, byte;
	unsigned long addr;
	unsigned int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	KUNIT_ASSERT_EQ(test, drm_vma_node_allow(&shmem->base.vma_node, file->private_data), 0);
	addr = kunit_vm_mmap(test, file, 0, TEST_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_SHARED, drm_vma_node_offset_addr(&shmem->base.vma_node));
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));

	for (i = 0; i < TEST_PAGES; i++) {
		void __user *user = (void __user *)(addr + i * PAGE_SIZE + 7);

		KUNIT_ASSERT_EQ(test, copy_to_user(user, &wrote, 1), 0);
		if (i)
			KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), 0);
		KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
		KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).resident_pages, 0);
		byte = 0;
		KUNIT_EXPECT_EQ(test, copy_from_user(&byte, user, 1), 0);
		KUNIT_EXPECT_EQ(test, byte, wrote);
		KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).resident_pages, TEST_PAGES);
		KUNIT_EXPECT_NOT_NULL(test, shmem->pages);
		/* The device has to be told by a job. */
		KUNIT_EXPECT_NULL(test, shmem->sgt);
	}

	/* Purged it is lost to whoever looks. */
	drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), TEST_PAGES);
	KUNIT_EXPECT_NE(test, copy_from_user(&byte, (void __user *)addr, 1), 0);

	vm_munmap(addr, TEST_PAGES * PAGE_SIZE);
	drm_vma_node_revoke(&shmem->base.vma_node, file->private_data);
	fput(file);
	flush_delayed_fput();
	drm_gem_object_put(&shmem->base);
}

/* What is left of a mapping shows the pages that it showed. */
static void drm_gem_shrinker_test_shmem_fault_in_part(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);
	struct file *file = mock_drm_getfile(shmem_dev->drm.primary, O_RDWR);
	unsigned long addr;
	u8 byte;

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	KUNIT_ASSERT_EQ(test, drm_vma_node_allow(&shmem->base.vma_node, file->private_data), 0);
	addr = kunit_vm_mmap(test, file, 0, TEST_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_SHARED, drm_vma_node_offset_addr(&shmem->base.vma_node));
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	for (byte = 0; byte < TEST_PAGES; byte++)
		KUNIT_ASSERT_EQ(test, put_user(byte, (u8 __user *)(addr + byte * PAGE_SIZE)), 0);

	KUNIT_ASSERT_EQ(test, vm_munmap(addr, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
	KUNIT_EXPECT_EQ(test, get_user(byte, (u8 __user *)(addr + PAGE_SIZE)), 0);
	KUNIT_EXPECT_EQ(test, byte, 1);
	KUNIT_EXPECT_EQ(test, get_user(byte, (u8 __user *)(addr + (TEST_PAGES - 1) * PAGE_SIZE)),
			0);
	KUNIT_EXPECT_EQ(test, byte, TEST_PAGES - 1);

	vm_munmap(addr + PAGE_SIZE, (TEST_PAGES - 1) * PAGE_SIZE);
	drm_vma_node_revoke(&shmem->base.vma_node, file->private_data);
	fput(file);
	flush_delayed_fput();
	drm_gem_object_put(&shmem->base);
}

/*
 * An error is the caller's to hear, changes nothing, and is not for ever. Here
 * the file is found too short, after a page of it was read.
 */
static void drm_gem_shrinker_test_shmem_swapin_fails(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_evicted(test);
	struct inode *inode = file_inode(shmem->base.filp);
	struct iosys_map map;
	struct sg_table *sgt;

	i_size_write(inode, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, IS_ERR(drm_gem_shmem_get_pages_sgt(shmem)));
	KUNIT_EXPECT_LT(test, drm_gem_shmem_pin(shmem), 0);
	KUNIT_EXPECT_LT(test, drm_gem_vmap_unlocked(&shmem->base, &map), 0);
	KUNIT_EXPECT_NULL(test, shmem->pages);
	KUNIT_EXPECT_NULL(test, shmem->sgt);
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_use_count), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->pages_pin_count), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&shmem->vmap_use_count), 0);
	KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).resident_pages, 0);
	KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).swapped_in_bos, 0);
	KUNIT_EXPECT_FALSE(test, drm_gem_is_purged(&shmem->base));

	i_size_write(inode, TEST_PAGES * PAGE_SIZE);
	sgt = drm_gem_shmem_get_pages_sgt(shmem);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt));
	shmem_expect_resident(test, shmem);
	shmem_expect_device_reads(test, sgt);

	drm_gem_object_put(&shmem->base);
}

/* Evicted and given up: the swap is freed, and what is in memory still. */
static void drm_gem_shrinker_test_shmem_evicted_is_purged(struct kunit *test)
{
	struct drm_gem_shmem_object *shmem = shmem_create_evicted(test);

	KUNIT_EXPECT_TRUE(test, drm_gem_madvise(&shmem->base, NULL, DRM_GEM_MADV_DONTNEED));
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), TEST_PAGES);
	mock_shmem_scan(test);
	KUNIT_EXPECT_EQ(test, mock_shmem_pages(shmem), 0);
	KUNIT_EXPECT_EQ(test, mock_shmem_stats(test).purged_bos, 1);
	KUNIT_EXPECT_EQ(test, drm_gem_shmem_pin(shmem), -EINVAL);
	KUNIT_EXPECT_PTR_EQ(test, drm_gem_shmem_get_pages_sgt(shmem), ERR_PTR(-EINVAL));

	drm_gem_object_put(&shmem->base);
}

/* Pages that reclaim can take are kept for the next user, others are not. */
static void drm_gem_shrinker_test_shmem_unused_is_kept(struct kunit *test)
{
	struct drm_gem_shmem_object *known = mock_shmem_create_bare(test);
	struct drm_gem_shmem_object *unknown = mock_shmem_create_bare(test);
	struct page **pages;

	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(known), 0);
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(unknown), 0);
	mock_shmem_add(known);
	pages = known->pages;
	drm_gem_shmem_unpin(known);
	drm_gem_shmem_unpin(unknown);
	KUNIT_EXPECT_EQ(test, refcount_read(&known->pages_use_count), 0);
	KUNIT_EXPECT_PTR_EQ(test, known->pages, pages);
	KUNIT_EXPECT_EQ(test, refcount_read(&unknown->pages_use_count), 0);
	KUNIT_EXPECT_NULL(test, unknown->pages);

	/* Nobody had to bring them in. */
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(known), 0);
	KUNIT_EXPECT_PTR_EQ(test, known->pages, pages);
	drm_gem_shmem_unpin(known);

	/* And reclaim does take them. */
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
	KUNIT_EXPECT_NULL(test, known->pages);
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(known), 0);
	drm_gem_shmem_unpin(known);
	drm_gem_madvise(&known->base, NULL, DRM_GEM_MADV_DONTNEED);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), TEST_PAGES);
	KUNIT_EXPECT_NULL(test, known->pages);

	drm_gem_object_put(&known->base);
	drm_gem_object_put(&unknown->base);
}

/* The same with mappings, where there is room for them. */
static void drm_gem_shrinker_test_shmem_vmap_is_kept(struct kunit *test)
{
	struct drm_gem_shmem_object *known = mock_shmem_create(test);
	struct drm_gem_shmem_object *unknown = mock_shmem_create_bare(test);
	struct iosys_map map;
	void *vaddr;

	if (!IS_ENABLED(CONFIG_64BIT)) {
		drm_gem_object_put(&known->base);
		drm_gem_object_put(&unknown->base);
		kunit_skip(test, "address space is scarce");
	}

	/* Not even if the pages are there for another reason. */
	KUNIT_ASSERT_FALSE(test, IS_ERR(drm_gem_shmem_get_pages_sgt(unknown)));
	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&unknown->base, &map), 0);
	drm_gem_vunmap_unlocked(&unknown->base, &map);
	KUNIT_EXPECT_NULL(test, unknown->vaddr);

	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&known->base, &map), 0);
	vaddr = map.vaddr;
	drm_gem_vunmap_unlocked(&known->base, &map);
	KUNIT_EXPECT_EQ(test, refcount_read(&known->vmap_use_count), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&known->pages_pin_count), 0);
	KUNIT_EXPECT_PTR_EQ(test, known->vaddr, vaddr);
	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&known->base, &map), 0);
	KUNIT_EXPECT_PTR_EQ(test, map.vaddr, vaddr);
	memset(map.vaddr, 0x77, TEST_PAGES * PAGE_SIZE);
	drm_gem_vunmap_unlocked(&known->base, &map);

	/* It is of these pages, and goes with them. */
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
	KUNIT_EXPECT_NULL(test, known->vaddr);
	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&known->base, &map), 0);
	KUNIT_EXPECT_EQ(test, *((u8 *)map.vaddr + TEST_PAGES * PAGE_SIZE - 1), 0x77);
	drm_gem_vunmap_unlocked(&known->base, &map);
	KUNIT_EXPECT_NOT_NULL(test, known->vaddr);
	drm_gem_madvise(&known->base, NULL, DRM_GEM_MADV_DONTNEED);
	KUNIT_EXPECT_EQ(test, mock_shmem_scan(test), TEST_PAGES);
	KUNIT_EXPECT_NULL(test, known->vaddr);
	drm_gem_object_put(&known->base);

	/* Freed with one, too. */
	known = mock_shmem_create(test);
	KUNIT_ASSERT_EQ(test, drm_gem_vmap_unlocked(&known->base, &map), 0);
	drm_gem_vunmap_unlocked(&known->base, &map);
	drm_gem_object_put(&known->base);
	drm_gem_object_put(&unknown->base);
}

/* Somebody pins what the device is about to let go of. */
static void drm_gem_shrinker_test_shmem_pinned_meanwhile(struct kunit *test)
{
	struct shmem_device *shmem_dev = test->priv;
	struct drm_gem_shmem_object *shmem = mock_shmem_create(test);

	shmem_device_write(shmem);
	shmem_dev->hold = true;
	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), 0);
	KUNIT_ASSERT_EQ(test, drm_gem_shmem_pin(shmem), 0);
	drm_gem_revoke_answer(shmem_dev->batch, &shmem->base, 0);
	drm_gem_shrinker_drain(&shmem_dev->drm);
	shmem_dev->hold = false;
	KUNIT_EXPECT_NOT_NULL(test, shmem->pages);
	KUNIT_EXPECT_NOT_NULL(test, shmem->sgt);
	drm_gem_shmem_unpin(shmem);

	KUNIT_EXPECT_EQ(test, mock_shmem_evict(test), TEST_PAGES);
	drm_gem_object_put(&shmem->base);
}

static struct kunit_case drm_gem_shrinker_shmem_evict_tests[] = {
	KUNIT_CASE(drm_gem_shrinker_test_shmem_evict_lets_go),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_evict_marks_dirty),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_evict_keeps_uses),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_sgt_comes_back),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_pin_brings_back),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_vmap_brings_back),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_fault_brings_back),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_fault_in_part),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_swapin_fails),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_evicted_is_purged),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_unused_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_vmap_is_kept),
	KUNIT_CASE(drm_gem_shrinker_test_shmem_pinned_meanwhile),
	{}
};

static struct kunit_suite drm_gem_shrinker_shmem_evict_suite = {
	.name = "drm_gem_shrinker_shmem_evict",
	.init = mock_shmem_init,
	.exit = mock_shmem_exit,
	.test_cases = drm_gem_shrinker_shmem_evict_tests,
};

kunit_test_suite(drm_gem_shrinker_shmem_evict_suite);
