// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#include <kunit/test.h>

#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/sizes.h>

#include "../panfrost_device.h"
#include "../panfrost_regs.h"
#include "panfrost_model.h"

/**
 * DOC: overview
 *
 * Tests of the register model, which see nothing of it but registers, interrupts and
 * memory, as a driver does. They need the model for themselves: a system whose device
 * tree has the GPU gives it to the driver.
 */

#define TEST_VA			0x12345000ULL
#define TEST_JOBS_VA		0x40000000ULL
#define TEST_BLOCK_VA		0x80000000ULL
#define TEST_READ		BIT_ULL(6)
#define TEST_WRITE		BIT_ULL(7)
#define TEST_PAGES		64
#define TEST_TIMEOUT_US		1000000

struct model_test {
	void __iomem *io;
	unsigned long pages[TEST_PAGES];
	unsigned int page_count;
	u64 *pgd;
	void *jobs;		/* mapped at TEST_JOBS_VA */
	u32 *data;		/* mapped at TEST_VA */
	unsigned int job_count;
};

struct model_test_irq {
	struct model_test *priv;
	unsigned int seen, clear_after;
};

static u32 get_reg(struct model_test *priv, u32 reg)
{
	return readl(priv->io + reg);
}

static void set_reg(struct model_test *priv, u32 reg, u32 value)
{
	writel(value, priv->io + reg);
}

static void set_reg64(struct model_test *priv, u32 lo, u64 value)
{
	set_reg(priv, lo, lower_32_bits(value));
	set_reg(priv, lo + 4, upper_32_bits(value));
}

/* Waits until one of the bits is set, and returns all of the register. */
static u32 wait_reg(struct kunit *test, u32 reg, u32 bits)
{
	struct model_test *priv = test->priv;
	u32 value;
	int ret;

	ret = readl_poll_timeout(priv->io + reg, value, value & bits, 100, TEST_TIMEOUT_US);
	KUNIT_EXPECT_EQ_MSG(test, ret, 0, "register 0x%x never had one of 0x%x", reg, bits);
	return value;
}

static void *new_page(struct kunit *test)
{
	struct model_test *priv = test->priv;
	unsigned long page = get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NE(test, page, 0);
	KUNIT_ASSERT_LT(test, priv->page_count, TEST_PAGES);
	priv->pages[priv->page_count++] = page;
	return (void *)page;
}

/* The entry for an address at a level, with tables up to there */
static u64 *get_pte(struct kunit *test, u64 va, unsigned int level)
{
	struct model_test *priv = test->priv;
	u64 *table = priv->pgd;
	unsigned int i;

	for (i = 0;; i++) {
		u64 *entry = &table[va >> (39 - 9 * i) & 511];

		if (i == level)
			return entry;
		if (!*entry)
			*entry = virt_to_phys(new_page(test)) | 3;
		table = phys_to_virt(*entry & PAGE_MASK);
	}
}

static void map_page(struct kunit *test, u64 va, void *page, u64 access)
{
	*get_pte(test, va, 3) = virt_to_phys(page) | access | 1;
}

static void as_wait(struct kunit *test)
{
	struct model_test *priv = test->priv;
	u32 value;

	KUNIT_EXPECT_EQ(test, 0, readl_poll_timeout(priv->io + AS_STATUS(0), value, !value,
						    1, TEST_TIMEOUT_US));
}

static void as_command(struct kunit *test, u32 command)
{
	as_wait(test);
	set_reg(test->priv, AS_COMMAND(0), command);
	as_wait(test);
}

static void as_flush(struct kunit *test, u64 va, unsigned int log2)
{
	set_reg64(test->priv, AS_LOCKADDR_LO(0), va | (log2 - 1));
	as_command(test, AS_COMMAND_LOCK);
	as_command(test, AS_COMMAND_FLUSH_PT);
}

static void as_update(struct kunit *test, u64 transtab)
{
	set_reg64(test->priv, AS_TRANSTAB_LO(0), transtab);
	as_command(test, AS_COMMAND_UPDATE);
}

static void power(struct kunit *test)
{
	struct model_test *priv = test->priv;

	set_reg(priv, L2_PWRON_LO, get_reg(priv, GPU_L2_PRESENT_LO));
	wait_reg(test, L2_READY_LO, 1);
	set_reg(priv, SHADER_PWRON_LO, get_reg(priv, GPU_SHADER_PRESENT_LO));
	wait_reg(test, SHADER_READY_LO, 1);
	set_reg(priv, TILER_PWRON_LO, 1);
	wait_reg(test, TILER_READY_LO, 1);
}

static struct panfrost_model_job *get_job(struct kunit *test, unsigned int index)
{
	struct model_test *priv = test->priv;

	return priv->jobs + index * 128;
}

/* Adds a job; all between two calls of start_jobs() are a chain. */
static struct panfrost_model_job *add_job(struct kunit *test, unsigned int type)
{
	struct model_test *priv = test->priv;
	struct panfrost_model_job *job = get_job(test, priv->job_count++);

	memset(job, 0, sizeof(*job));
	job->type = type << 1 | 1;
	if (priv->job_count > 1)
		get_job(test, priv->job_count - 2)->next =
			cpu_to_le64(TEST_JOBS_VA + 128 * (priv->job_count - 1));
	return job;
}

static void add_write(struct kunit *test, u64 va, u32 value)
{
	struct panfrost_model_job *job = add_job(test, PANFROST_MODEL_JOB_WRITE_VALUE);

	job->write.to = cpu_to_le64(va);
	job->write.type = cpu_to_le32(PANFROST_MODEL_WRITE_U32);
	job->write.value = cpu_to_le64(value);
}

static void submit(struct kunit *test, unsigned int first, u32 config)
{
	struct model_test *priv = test->priv;

	set_reg64(priv, JS_HEAD_NEXT_LO(1), TEST_JOBS_VA + 128 * first);
	set_reg(priv, JS_CONFIG_NEXT(1), config);
	set_reg(priv, JS_COMMAND_NEXT(1), JS_COMMAND_START);
}

static u32 finish(struct kunit *test)
{
	struct model_test *priv = test->priv;
	u32 raw = wait_reg(test, JOB_INT_RAWSTAT, MK_JS_MASK(1));

	set_reg(priv, JOB_INT_CLEAR, raw);
	priv->job_count = 0;
	return raw;
}

static void model_test_reset(struct kunit *test)
{
	struct model_test *priv = test->priv;
	unsigned int line;
	static const u32 masks[] = { GPU_INT_MASK, JOB_INT_MASK, MMU_INT_MASK };

	set_reg(priv, GPU_INT_CLEAR, GPU_IRQ_MASK_ALL);
	KUNIT_EXPECT_EQ(test, get_reg(priv, GPU_INT_RAWSTAT), 0);
	set_reg64(priv, AS_TRANSTAB_LO(0), 0x1234567890003ULL);
	set_reg(priv, GPU_CMD, GPU_CMD_SOFT_RESET);
	wait_reg(test, GPU_INT_RAWSTAT, GPU_IRQ_RESET_COMPLETED);
	KUNIT_EXPECT_EQ(test, get_reg(priv, GPU_ID) >> 16, 0x860);
	KUNIT_EXPECT_EQ(test, get_reg(priv, AS_TRANSTAB_LO(0)), 0);
	/* A driver has to enable the interrupts again. */
	for (line = 0; line < ARRAY_SIZE(masks); line++)
		KUNIT_EXPECT_EQ(test, get_reg(priv, masks[line]), 0);
}

static void model_test_power(struct kunit *test)
{
	struct model_test *priv = test->priv;

	set_reg(priv, GPU_INT_CLEAR, GPU_IRQ_MASK_ALL);
	set_reg(priv, SHADER_PWROFF_LO, 0xf);
	KUNIT_EXPECT_EQ(test, get_reg(priv, SHADER_READY_LO), 0);
	KUNIT_EXPECT_TRUE(test, get_reg(priv, GPU_INT_RAWSTAT) & GPU_IRQ_POWER_CHANGED);

	/* What is submitted without power waits for it. */
	add_write(test, TEST_VA, 5);
	submit(test, 0, 0);
	usleep_range(5000, 10000);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_RAWSTAT), 0);
	KUNIT_EXPECT_EQ(test, priv->data[0], 0);
	power(test);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, priv->data[0], 5);
}

static irqreturn_t model_test_handler(int irq, void *data)
{
	struct model_test_irq *state = data;

	/* as a handler of hardware interrupts may expect */
	WARN_ON_ONCE(!in_hardirq() || !irqs_disabled());
	if (!(get_reg(state->priv, GPU_INT_STAT)))
		return IRQ_NONE;
	if (++state->seen >= state->clear_after)
		set_reg(state->priv, GPU_INT_CLEAR, ~0);
	return IRQ_HANDLED;
}

static void model_test_interrupt_level(struct kunit *test)
{
	struct model_test *priv = test->priv;
	struct model_test_irq state = { .priv = priv, .clear_after = 3 };
	int irq = panfrost_model_irq(PANFROST_MODEL_GPU);

	set_reg(priv, GPU_INT_CLEAR, ~0);
	KUNIT_ASSERT_EQ(test, 0, request_irq(irq, model_test_handler, 0, "model-test", &state));

	/* masked: not seen, not lost */
	set_reg(priv, GPU_CMD, GPU_CMD_CLEAN_CACHES);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, READ_ONCE(state.seen), 0);
	KUNIT_EXPECT_EQ(test, get_reg(priv, GPU_INT_STAT), 0);

	/* unmasked: raised until it is cleared */
	set_reg(priv, GPU_INT_MASK, GPU_IRQ_CLEAN_CACHES_COMPLETED);
	usleep_range(10000, 20000);
	KUNIT_EXPECT_EQ(test, READ_ONCE(state.seen), 3);
	KUNIT_EXPECT_EQ(test, get_reg(priv, GPU_INT_RAWSTAT), 0);

	/* disabled by the kernel: kept, too */
	disable_irq(irq);
	set_reg(priv, GPU_CMD, GPU_CMD_CLEAN_CACHES);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, READ_ONCE(state.seen), 3);
	enable_irq(irq);
	usleep_range(10000, 20000);
	KUNIT_EXPECT_EQ(test, READ_ONCE(state.seen), 4);
	free_irq(irq, &state);
}

static void model_test_jobs(struct kunit *test)
{
	struct model_test *priv = test->priv;
	struct panfrost_model_job *job;

	add_write(test, TEST_VA, 1);
	add_write(test, TEST_VA + 4, 2);
	job = add_job(test, PANFROST_MODEL_JOB_COPY);
	job->copy.from = cpu_to_le64(TEST_VA);
	job->copy.to = cpu_to_le64(TEST_VA + 0x100);
	job->copy.bytes = cpu_to_le32(8);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, priv->data[0], 1);
	KUNIT_EXPECT_EQ(test, priv->data[0x41], 2);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(get_job(test, 0)->status), DRM_PANFROST_EXCEPTION_DONE);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(get_job(test, 2)->status), DRM_PANFROST_EXCEPTION_DONE);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_STATUS(1)), DRM_PANFROST_EXCEPTION_DONE);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_TAIL_LO(1)), TEST_JOBS_VA + 256);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_JS_STATE), 0);

	/* no such type */
	add_job(test, 99);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_STATUS(1)),
			DRM_PANFROST_EXCEPTION_JOB_CONFIG_FAULT);
}

/* What is in NEXT follows by itself, but after a failure only when that is acknowledged. */
static void model_test_next(struct kunit *test)
{
	struct model_test *priv = test->priv;

	add_job(test, PANFROST_MODEL_JOB_DELAY)->delay.ms = cpu_to_le32(20);
	submit(test, 0, 0);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, 0, get_reg(priv, JS_COMMAND_NEXT(1)));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_STATUS(1)), DRM_PANFROST_EXCEPTION_ACTIVE);
	priv->job_count = 0;
	memcpy(get_job(test, 4), get_job(test, 0), 128);
	get_job(test, 4)->type = PANFROST_MODEL_JOB_NULL << 1 | 1;
	submit(test, 4, 0);
	set_reg(priv, JOB_INT_CLEAR, MK_JS_MASK(1));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_JS_STATE), MK_JS_MASK(1));
	wait_reg(test, JOB_INT_RAWSTAT, JOB_INT_MASK_DONE(1));
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_JS_STATE), 0);

	add_job(test, 99);
	submit(test, 0, 0);
	wait_reg(test, JOB_INT_RAWSTAT, JOB_INT_MASK_ERR(1));
	submit(test, 4, 0);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, 1, get_reg(priv, JS_COMMAND_NEXT(1)));
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
}

/* A job that stops at an address that is not mapped, as a heap's does */
static u32 fault_at(struct kunit *test, u64 va)
{
	struct model_test *priv = test->priv;

	add_write(test, va, 7);
	submit(test, 0, 0);
	wait_reg(test, MMU_INT_RAWSTAT, BIT(0));
	KUNIT_EXPECT_EQ(test, get_reg(priv, AS_FAULTADDRESS_LO(0)), lower_32_bits(va));
	KUNIT_EXPECT_EQ(test, get_reg(priv, AS_FAULTADDRESS_HI(0)), upper_32_bits(va));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_RAWSTAT), 0);
	set_reg(priv, MMU_INT_CLEAR, BIT(0));
	return get_reg(priv, AS_FAULTSTATUS(0));
}

static void model_test_fault_resume(struct kunit *test)
{
	u64 va = TEST_VA + 0x10000;
	u32 *page = new_page(test);

	KUNIT_EXPECT_EQ(test, fault_at(test, va), DRM_PANFROST_EXCEPTION_TRANSLATION_FAULT_3 |
			AS_FAULTSTATUS_ACCESS_TYPE_WRITE);
	map_page(test, va, page, TEST_READ | TEST_WRITE);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, page[0], 0);
	as_flush(test, va, 15);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, page[0], 7);
}

static void model_test_fault_terminal(struct kunit *test)
{
	struct model_test *priv = test->priv;

	/* no table below the first one */
	KUNIT_EXPECT_EQ(test, fault_at(test, 0xf0000000),
			DRM_PANFROST_EXCEPTION_TRANSLATION_FAULT_1 |
			AS_FAULTSTATUS_ACCESS_TYPE_WRITE);
	as_update(test, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_TRUE(test, get_reg(priv, JS_STATUS(1)) & 0x40);

	/* an address space that is not enabled */
	add_write(test, TEST_VA, 7);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_STATUS(1)), DRM_PANFROST_EXCEPTION_JOB_READ_FAULT);
	KUNIT_EXPECT_EQ(test, priv->data[0], 0);
}

static void model_test_access(struct kunit *test)
{
	u64 va = TEST_VA + 0x10000;
	u32 *page = new_page(test);

	map_page(test, va, page, TEST_READ);
	KUNIT_EXPECT_EQ(test, fault_at(test, va) & 0xf8, DRM_PANFROST_EXCEPTION_PERM_FAULT_0);
	map_page(test, va, page, TEST_READ | TEST_WRITE);
	as_flush(test, va, 15);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, page[0], 7);
}

static void model_test_block(struct kunit *test)
{
	struct page *pages = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN, 9);
	u32 *data;

	if (!pages)
		kunit_skip(test, "no block of 2 MiB is free");
	data = page_address(pages);
	*get_pte(test, TEST_BLOCK_VA, 2) = page_to_phys(pages) | TEST_READ | TEST_WRITE | 1;
	add_write(test, TEST_BLOCK_VA, 1);
	add_write(test, TEST_BLOCK_VA + SZ_2M - 4, 2);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, data[0], 1);
	KUNIT_EXPECT_EQ(test, data[SZ_2M / 4 - 1], 2);
	*get_pte(test, TEST_BLOCK_VA, 2) = 0;
	as_flush(test, TEST_BLOCK_VA, 21);
	__free_pages(pages, 9);
}

static void model_test_stale(struct kunit *test)
{
	struct model_test *priv = test->priv;
	unsigned int stale = panfrost_model_stale();
	u64 *pte = get_pte(test, TEST_VA, 3), old = *pte;

	add_write(test, TEST_VA, 1);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, priv->data[0], 1);

	/* gone without a flush, or with one of some other region */
	*pte = 0;
	as_flush(test, TEST_VA + 0x100000, 15);
	add_write(test, TEST_VA, 2);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_STATUS(1)), DRM_PANFROST_EXCEPTION_JOB_BUS_FAULT);
	KUNIT_EXPECT_EQ(test, priv->data[0], 1);
	KUNIT_EXPECT_EQ(test, panfrost_model_stale(), stale + 1);

	/* another page in its place */
	*pte = virt_to_phys(new_page(test)) | TEST_READ | TEST_WRITE | 1;
	add_write(test, TEST_VA, 2);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_EQ(test, panfrost_model_stale(), stale + 2);

	/* the same as was known is not stale */
	*pte = old;
	add_write(test, TEST_VA, 3);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));

	/* and with the flush it is an ordinary fault */
	*pte = 0;
	as_flush(test, TEST_VA, 15);
	fault_at(test, TEST_VA);
	*pte = old;
	as_flush(test, TEST_VA, 15);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, priv->data[0], 7);
	KUNIT_EXPECT_EQ(test, panfrost_model_stale(), stale + 2);
}

/* Memory that is given away while the GPU knows it is found when the GPU forgets. */
static void model_test_freed(struct kunit *test)
{
	struct model_test *priv = test->priv;
	unsigned int freed = panfrost_model_freed(), i;
	unsigned long pages[16];

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = get_zeroed_page(GFP_KERNEL);
		KUNIT_ASSERT_NE(test, pages[i], 0);
		map_page(test, TEST_VA + 0x1000 * (i + 1), (void *)pages[i],
			 TEST_READ | TEST_WRITE);
		add_write(test, TEST_VA + 0x1000 * (i + 1), 1);
	}
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	set_reg(priv, GPU_CMD, GPU_CMD_SOFT_RESET);
	KUNIT_EXPECT_EQ(test, panfrost_model_freed(), freed);

	power(test);
	as_update(test, virt_to_phys(priv->pgd) | AS_TRANSTAB_LPAE_ADRMODE_TABLE);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		free_page(pages[i]);
	set_reg(priv, GPU_CMD, GPU_CMD_SOFT_RESET);
	/* Some may be somebody else's already. */
	KUNIT_EXPECT_GT(test, panfrost_model_freed(), freed);
}

static void model_test_lock(struct kunit *test)
{
	struct model_test *priv = test->priv;

	set_reg64(priv, AS_LOCKADDR_LO(0), (TEST_VA & ~0x7fffULL) | 14);
	as_command(test, AS_COMMAND_LOCK);
	add_write(test, TEST_VA, 3);
	submit(test, 0, 0);
	usleep_range(2000, 4000);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_RAWSTAT), 0);
	KUNIT_EXPECT_EQ(test, priv->data[0], 0);
	as_command(test, AS_COMMAND_UNLOCK);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, priv->data[0], 3);
}

static void model_test_stop(struct kunit *test)
{
	struct model_test *priv = test->priv;

	/* A soft stop says where to go on. */
	add_write(test, TEST_VA, 1);
	add_job(test, PANFROST_MODEL_JOB_DELAY)->delay.ms = cpu_to_le32(10000);
	submit(test, 0, 0);
	usleep_range(5000, 10000);
	set_reg(priv, JS_COMMAND(1), JS_COMMAND_SOFT_STOP);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_STATUS(1)), DRM_PANFROST_EXCEPTION_STOPPED);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_TAIL_LO(1)), TEST_JOBS_VA + 128);

	/* One that hangs does not hear it, nor what is meant for another chain. */
	add_job(test, PANFROST_MODEL_JOB_HANG);
	submit(test, 0, JS_CONFIG_JOB_CHAIN_FLAG);
	usleep_range(5000, 10000);
	set_reg(priv, JS_COMMAND(1), JS_COMMAND_SOFT_STOP);
	set_reg(priv, JS_COMMAND(1), JS_COMMAND_HARD_STOP_0);
	usleep_range(5000, 10000);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_RAWSTAT), 0);
	set_reg(priv, JS_COMMAND(1), JS_COMMAND_HARD_STOP_1);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_ERR(1));
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_STATUS(1)), DRM_PANFROST_EXCEPTION_TERMINATED);
}

static void model_test_reset_running(struct kunit *test)
{
	struct model_test *priv = test->priv;

	/* It would write in 30 ms. */
	add_job(test, PANFROST_MODEL_JOB_DELAY)->delay.ms = cpu_to_le32(30);
	add_write(test, TEST_VA, 1);
	submit(test, 0, 0);
	submit(test, 0, 0);
	usleep_range(5000, 10000);
	set_reg(priv, GPU_CMD, GPU_CMD_SOFT_RESET);
	wait_reg(test, GPU_INT_RAWSTAT, GPU_IRQ_RESET_COMPLETED);
	power(test);
	as_update(test, virt_to_phys(priv->pgd) | AS_TRANSTAB_LPAE_ADRMODE_TABLE);
	msleep(60);
	KUNIT_EXPECT_EQ(test, priv->data[0], 0);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_RAWSTAT), 0);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JOB_INT_JS_STATE), 0);
	KUNIT_EXPECT_EQ(test, get_reg(priv, JS_COMMAND_NEXT(1)), 0);

	priv->job_count = 0;
	add_write(test, TEST_VA, 2);
	submit(test, 0, 0);
	KUNIT_EXPECT_EQ(test, finish(test), JOB_INT_MASK_DONE(1));
	KUNIT_EXPECT_EQ(test, priv->data[0], 2);
}

static void model_test_counters(struct kunit *test)
{
	struct model_test *priv = test->priv;
	u32 cycles;

	set_reg(priv, GPU_CMD, GPU_CMD_CYCLE_COUNT_START);
	cycles = get_reg(priv, GPU_CYCLE_COUNT_LO);
	usleep_range(1000, 2000);
	KUNIT_EXPECT_GE(test, get_reg(priv, GPU_CYCLE_COUNT_LO) - cycles, 400000);
	set_reg(priv, GPU_CMD, GPU_CMD_CYCLE_COUNT_STOP);
	cycles = get_reg(priv, GPU_CYCLE_COUNT_LO);
	usleep_range(1000, 2000);
	KUNIT_EXPECT_EQ(test, get_reg(priv, GPU_CYCLE_COUNT_LO), cycles);

	set_reg(priv, GPU_INT_CLEAR, ~0);
	set_reg(priv, GPU_PRFCNT_JM_EN, 0x55);
	set_reg(priv, GPU_PERFCNT_CFG, GPU_PERFCNT_CFG_MODE(GPU_PERFCNT_CFG_MODE_MANUAL));
	set_reg64(priv, GPU_PERFCNT_BASE_LO, TEST_VA);
	set_reg(priv, GPU_CMD, GPU_CMD_PERFCNT_SAMPLE);
	wait_reg(test, GPU_INT_RAWSTAT, GPU_IRQ_PERFCNT_SAMPLE_COMPLETED);
	KUNIT_EXPECT_EQ(test, priv->data[2], 0x55);
	KUNIT_EXPECT_EQ(test, priv->data[447] - priv->data[4], 443);
}

static int model_test_init(struct kunit *test)
{
	struct device_node *np = of_find_compatible_node(NULL, NULL, "uml,mali-model");
	struct model_test *priv;

	of_node_put(np);
	if (np)
		kunit_skip(test, "the device tree gives the model to the driver");

	priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, priv);
	test->priv = priv;
	priv->io = ioremap(PANFROST_MODEL_BASE, PANFROST_MODEL_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, (void __force *)priv->io);

	set_reg(priv, GPU_CMD, GPU_CMD_SOFT_RESET);
	wait_reg(test, GPU_INT_RAWSTAT, GPU_IRQ_RESET_COMPLETED);
	power(test);
	priv->pgd = new_page(test);
	priv->jobs = new_page(test);
	priv->data = new_page(test);
	map_page(test, TEST_JOBS_VA, priv->jobs, TEST_READ | TEST_WRITE);
	map_page(test, TEST_VA, priv->data, TEST_READ | TEST_WRITE);
	as_update(test, virt_to_phys(priv->pgd) | AS_TRANSTAB_LPAE_ADRMODE_TABLE);
	return 0;
}

static void model_test_exit(struct kunit *test)
{
	struct model_test *priv = test->priv;

	if (!priv)
		return;
	if (priv->io) {
		set_reg(priv, GPU_CMD, GPU_CMD_SOFT_RESET);
		iounmap(priv->io);
	}
	while (priv->page_count)
		free_page(priv->pages[--priv->page_count]);
}

static struct kunit_case model_test_cases[] = {
	KUNIT_CASE(model_test_reset),
	KUNIT_CASE(model_test_power),
	KUNIT_CASE(model_test_interrupt_level),
	KUNIT_CASE(model_test_jobs),
	KUNIT_CASE(model_test_next),
	KUNIT_CASE(model_test_fault_resume),
	KUNIT_CASE(model_test_fault_terminal),
	KUNIT_CASE(model_test_access),
	KUNIT_CASE(model_test_block),
	KUNIT_CASE(model_test_stale),
	KUNIT_CASE(model_test_freed),
	KUNIT_CASE(model_test_lock),
	KUNIT_CASE(model_test_stop),
	KUNIT_CASE(model_test_reset_running),
	KUNIT_CASE(model_test_counters),
	{}
};

static struct kunit_suite model_test_suite = {
	.name = "panfrost_model",
	.init = model_test_init,
	.exit = model_test_exit,
	.test_cases = model_test_cases,
};

kunit_test_suite(model_test_suite);

MODULE_DESCRIPTION("Tests of the register model of a Mali GPU");
MODULE_LICENSE("GPL");
