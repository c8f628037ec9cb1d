// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 */

#define pr_fmt(fmt) "panfrost-model: " fmt

#include <linux/bitfield.h>
#include <linux/hardirq.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/logic_iomem.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/of.h>
#include <linux/sysfs.h>

#include "../panfrost_device.h"
#include "../panfrost_regs.h"
#include "panfrost_model.h"

/**
 * DOC: overview
 *
 * A Mali-T860 of which only that exists which a driver has to get right when it
 * manages memory: what it reads from memory are page tables and job headers, and
 * what it writes is what the jobs say. It is attached by the address of its
 * registers and by interrupts of a controller that is *uml,mali-model* in the
 * device tree; the panfrost driver runs on it unchanged.
 *
 * Interrupts are levels. A line is up while RAWSTAT & MASK is not 0, and raised
 * again for as long as it is.
 *
 * A job slot runs the chain it was given, job by job, and then what was put in its
 * NEXT registers; after a chain that failed, or was stopped, only when that was
 * acknowledged in JOB_INT_CLEAR. JOB_INT_JS_STATE is sampled there, too. A soft
 * stop ends a chain between two jobs, or in one that waits, and has no effect on a
 * job that hangs. Soft reset and hard stop always have.
 *
 * An address space takes what is in its registers when it is told to UPDATE.
 * Commands take time: until AS_STATUS says that they are done they are not, so a
 * driver that does not wait has not flushed. Jobs cannot enter a region that is
 * locked. An access that faults stalls until any address space was flushed, as
 * hardware does it, or until its own one is disabled, which ends the job.
 *
 * Translations that were used once are kept until the driver says FLUSH_PT,
 * FLUSH_MEM or UPDATE, or resets or powers down the GPU. When a job comes to one
 * that is not what the page table says any more, the driver has taken memory away
 * that the GPU could still write to: it is counted in the parameter *stale*,
 * printed, and the job fails. Nothing is written there. The parameter *tlb_stale*
 * finds those that no job has come to yet.
 */

/**
 * DOC: Locking
 *
 * One raw spinlock for everything, as registers are accessed in interrupts and with
 * interrupts off. Slots and interrupts have a thread each. A slot's thread holds the
 * lock for each access to the GPU's memory, so there is none after the write to a
 * register that forbids it.
 */

#define MODEL_SLOTS		3
#define MODEL_SPACES		8
#define MODEL_TLB_SIZE		4096
#define MODEL_REGS		0x4000
#define MODEL_SHADERS		0xf
#define MODEL_CLOCK_MHZ		500
#define MODEL_COUNTERS		((1 + 4 + 2) * 64)
/* what a job copies before others have their turn */
#define MODEL_COPY_BYTES	4096

#define MODEL_PTE_TYPE		GENMASK_ULL(1, 0)
#define MODEL_PTE_LEAF		1
#define MODEL_PTE_TABLE		3
#define MODEL_PTE_READ		BIT_ULL(6)
#define MODEL_PTE_WRITE		BIT_ULL(7)
#define MODEL_PTE_ADDRESS	GENMASK_ULL(39, 12)

struct model_slot {
	struct task_struct *task;
	bool next;		/* there is a chain in the NEXT registers */
	bool active;
	bool soft_stop;
	bool killed;		/* its address space was disabled */
	bool hung;
	bool stalled;
	unsigned int stalled_at;	/* what model.restarts was then */
	bool waited;		/* the delay of this job is over */
	ktime_t until;		/* or goes on until then, if not 0 */
	u64 head, tail, fault;
	u32 config, status;
	u32 copied;
};

struct model_tlb_entry {
	u64 page;		/* virtual page number + 1 */
	u64 leaf;
};

struct model_as {
	u64 transtab, memattr;	/* in use, as of the last UPDATE */
	bool locked;
	u64 lock_first, lock_last;
	u32 command;		/* in progress, until then: */
	ktime_t until;
	struct model_tlb_entry tlb[MODEL_TLB_SIZE];
};

static struct {
	raw_spinlock_t lock;
	u32 reg[MODEL_REGS / 4];
	u32 raw[PANFROST_MODEL_LINES], mask[PANFROST_MODEL_LINES];
	bool line_masked[PANFROST_MODEL_LINES];
	unsigned int virq[PANFROST_MODEL_LINES];
	struct task_struct *irq_task;
	struct model_slot slot[MODEL_SLOTS];
	u32 js_state;
	struct model_as as[MODEL_SPACES];
	unsigned int restarts;
	bool counting;
	ktime_t counting_since;
	u64 cycles;
	u32 flush_id;
} model = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(model.lock),
};

static const u32 model_int_base[PANFROST_MODEL_LINES] = {
	[PANFROST_MODEL_JOB] = JOB_INT_RAWSTAT,
	[PANFROST_MODEL_MMU] = MMU_INT_RAWSTAT,
	[PANFROST_MODEL_GPU] = GPU_INT_RAWSTAT,
};

static unsigned int stale;
module_param(stale, uint, 0444);
MODULE_PARM_DESC(stale, "stale translations that jobs came to");

static unsigned int tlb_freed;
module_param(tlb_freed, uint, 0444);
MODULE_PARM_DESC(tlb_freed, "translations of free memory that only a reset ended");

static unsigned int jobs;
module_param(jobs, uint, 0444);
MODULE_PARM_DESC(jobs, "jobs that were run to their end");

static unsigned int chain_delay_ms;
module_param(chain_delay_ms, uint, 0644);
MODULE_PARM_DESC(chain_delay_ms, "time before each chain of jobs starts");

static unsigned int as_command_us = 10;
module_param(as_command_us, uint, 0644);
MODULE_PARM_DESC(as_command_us, "time that a command to an address space takes");

static unsigned int as_stuck;
module_param(as_stuck, uint, 0644);
MODULE_PARM_DESC(as_stuck, "that many of the next such commands do not end before a reset");

/* --- interrupts --- */

static bool model_line_is_up(unsigned int line)
{
	return model.raw[line] & model.mask[line] && !model.line_masked[line];
}

static void model_lines_changed(void)
{
	unsigned int line;

	lockdep_assert_held(&model.lock);

	for (line = 0; line < PANFROST_MODEL_LINES; line++)
		if (model_line_is_up(line) && model.irq_task)
			wake_up_process(model.irq_task);
}

static void model_raise(enum panfrost_model_line line, u32 bits)
{
	model.raw[line] |= bits;
	model_lines_changed();
}

static void model_irq_set_masked(struct irq_data *data, bool masked)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&model.lock, flags);
	model.line_masked[data->hwirq] = masked;
	model_lines_changed();
	raw_spin_unlock_irqrestore(&model.lock, flags);
}

static void model_irq_mask(struct irq_data *data)
{
	model_irq_set_masked(data, true);
}

static void model_irq_unmask(struct irq_data *data)
{
	model_irq_set_masked(data, false);
}

static struct irq_chip model_irq_chip = {
	.name = "panfrost-model",
	.irq_mask = model_irq_mask,
	.irq_unmask = model_irq_unmask,
};

static int model_irq_map(struct irq_domain *domain, unsigned int virq,
			 irq_hw_number_t line)
{
	irq_set_chip_and_handler(virq, &model_irq_chip, handle_level_irq);
	model.virq[line] = virq;
	model.line_masked[line] = true;
	return 0;
}

static const struct irq_domain_ops model_irq_ops = {
	.map = model_irq_map,
	.xlate = irq_domain_xlate_onecell,
};

/* What the interrupt entry of a CPU does */
static void model_interrupt(unsigned int virq)
{
	unsigned long flags;

	local_irq_save(flags);
	irq_enter();
	generic_handle_irq(virq);
	irq_exit();
	local_irq_restore(flags);
}

static int model_irq_thread(void *unused)
{
	unsigned int line;
	unsigned long up;

	for (;;) {
		set_current_state(TASK_IDLE);
		up = 0;
		raw_spin_lock_irq(&model.lock);
		for (line = 0; line < PANFROST_MODEL_LINES; line++)
			if (model_line_is_up(line))
				up |= BIT(line);
		raw_spin_unlock_irq(&model.lock);
		if (!up) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		for_each_set_bit(line, &up, PANFROST_MODEL_LINES)
			model_interrupt(model.virq[line]);
		/* A line that stays up must not keep its thread from running. */
		cond_resched();
	}
	return 0;
}

/* --- address spaces --- */

static u64 model_reg64(u32 lo)
{
	return model.reg[lo / 4] | (u64)model.reg[lo / 4 + 1] << 32;
}

static bool model_as_enabled(const struct model_as *as)
{
	return (as->transtab & AS_TRANSTAB_LPAE_ADRMODE_MASK) ==
		AS_TRANSTAB_LPAE_ADRMODE_TABLE;
}

static void model_slots_restart(void)
{
	unsigned int n;

	model.restarts++;
	for (n = 0; n < MODEL_SLOTS; n++)
		wake_up_process(model.slot[n].task);
}

static void model_tlb_drop(struct model_as *as, u64 first, u64 last)
{
	unsigned int i;

	for (i = 0; i < MODEL_TLB_SIZE; i++) {
		u64 page = as->tlb[i].page;

		if (page && page - 1 >= first >> PAGE_SHIFT &&
		    page - 1 <= last >> PAGE_SHIFT)
			as->tlb[i].page = 0;
	}
}

static void model_as_update(unsigned int n)
{
	struct model_as *as = &model.as[n];
	unsigned int i;

	as->transtab = model_reg64(AS_TRANSTAB_LO(n));
	as->memattr = model_reg64(AS_MEMATTR_LO(n));
	model_tlb_drop(as, 0, U64_MAX);
	if (model_as_enabled(as))
		return;
	for (i = 0; i < MODEL_SLOTS; i++)
		if (model.slot[i].active && (model.slot[i].config & 0x7) == n)
			model.slot[i].killed = true;
}

/* The region is 2^(width + 1) bytes, aligned to that. */
static void model_as_region(unsigned int n, u64 *first, u64 *last)
{
	u64 lock = model_reg64(AS_LOCKADDR_LO(n));
	u64 mask = GENMASK_ULL(lock & 0x3f, 0);

	*first = lock & ~mask;
	*last = lock | mask;
}

/* Has the command that is in progress come to its end? Then that is when it counts. */
static void model_as_settle(unsigned int n)
{
	struct model_as *as = &model.as[n];
	u32 command = as->command;
	u64 first, last;

	if (!command || ktime_before(ktime_get(), as->until))
		return;
	as->command = AS_COMMAND_NOP;
	model_as_region(n, &first, &last);
	switch (command) {
	case AS_COMMAND_LOCK:
		as->locked = true;
		as->lock_first = first;
		as->lock_last = last;
		return;
	case AS_COMMAND_FLUSH_PT:
	case AS_COMMAND_FLUSH_MEM:
		model_tlb_drop(as, first, last);
		model.flush_id++;
		fallthrough;
	case AS_COMMAND_UNLOCK:
		as->locked = false;
		break;
	case AS_COMMAND_UPDATE:
		model_as_update(n);
		break;
	}
	model_slots_restart();
}

static void model_as_command(unsigned int n, u32 command)
{
	struct model_as *as = &model.as[n];

	model_as_settle(n);
	if (!model.reg[L2_READY_LO / 4]) {
		pr_err("AS%u: command %u without power\n", n, command);
		return;
	}
	if (as->command) {
		pr_err("AS%u: command %u before the end of %u\n", n, command, as->command);
		return;
	}
	as->command = command;
	as->until = ktime_add_us(ktime_get(), as_command_us);
	if (command && as_stuck) {
		as_stuck--;
		as->until = KTIME_MAX;
	}
}

/* From address to the physical page with its access bits, or a fault */
static u32 model_walk(u64 transtab, u64 va, u64 *leaf)
{
	u64 table = transtab & MODEL_PTE_ADDRESS, pte, size;
	unsigned int level;

	for (level = 0; level < 4; level++) {
		size = BIT_ULL(39 - 9 * level);
		if (!pfn_valid(PHYS_PFN(table)))
			return DRM_PANFROST_EXCEPTION_TRANSTAB_BUS_FAULT_0 + level;
		pte = READ_ONCE(((u64 *)phys_to_virt(table))[va / size % 512]);
		switch (pte & MODEL_PTE_TYPE) {
		case MODEL_PTE_TABLE:
			table = pte & MODEL_PTE_ADDRESS;
			break;
		case MODEL_PTE_LEAF:
			*leaf = ((pte & MODEL_PTE_ADDRESS & ~(size - 1)) |
				 (va & (size - 1) & PAGE_MASK)) +
				(pte & (MODEL_PTE_READ | MODEL_PTE_WRITE));
			if (!pfn_valid(PHYS_PFN(*leaf)))
				return DRM_PANFROST_EXCEPTION_ADDR_SIZE_FAULT_OUT0 + level;
			return 0;
		default:
			return DRM_PANFROST_EXCEPTION_TRANSLATION_FAULT_0 + level;
		}
	}
	return DRM_PANFROST_EXCEPTION_TRANSLATION_FAULT_3;
}

static unsigned int model_as_count_stale(const struct model_as *as)
{
	unsigned int i, count = 0;
	u64 leaf;

	for (i = 0; i < MODEL_TLB_SIZE; i++) {
		u64 page = as->tlb[i].page;

		if (page && (model_walk(as->transtab, (page - 1) << PAGE_SHIFT, &leaf) ||
			     leaf != as->tlb[i].leaf))
			count++;
	}
	return count;
}

static int tlb_stale_get(char *buffer, const struct kernel_param *kp)
{
	unsigned int n, count = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&model.lock, flags);
	for (n = 0; n < MODEL_SPACES; n++) {
		model_as_settle(n);
		count += model_as_count_stale(&model.as[n]);
	}
	raw_spin_unlock_irqrestore(&model.lock, flags);
	return sysfs_emit(buffer, "%u\n", count);
}

static const struct kernel_param_ops tlb_stale_ops = {
	.get = tlb_stale_get,
};
module_param_cb(tlb_stale, &tlb_stale_ops, NULL, 0444);
MODULE_PARM_DESC(tlb_stale, "stale translations that there are now");

/*
 * The GPU forgets all translations. What it could write to up to now must not have been
 * anybody else's.
 */
static void model_tlb_lost(void)
{
	unsigned int n, i;

	for (n = 0; n < MODEL_SPACES; n++) {
		for (i = 0; i < MODEL_TLB_SIZE; i++) {
			struct model_tlb_entry *entry = &model.as[n].tlb[i];

			if (entry->page && !page_count(pfn_to_page(PHYS_PFN(entry->leaf)))) {
				tlb_freed++;
				pr_err("freed before it was flushed: AS%u VA 0x%llx\n",
				       n, (entry->page - 1) << PAGE_SHIFT);
			}
			entry->page = 0;
		}
	}
}

static void model_as_fault(unsigned int n, u64 va, u32 exception, bool write)
{
	/* The registers hold the first fault; the others come again. */
	if (model.raw[PANFROST_MODEL_MMU] & BIT(n))
		return;
	model.reg[AS_FAULTSTATUS(n) / 4] = exception |
		(write ? AS_FAULTSTATUS_ACCESS_TYPE_WRITE : AS_FAULTSTATUS_ACCESS_TYPE_READ);
	model.reg[AS_FAULTADDRESS_LO(n) / 4] = lower_32_bits(va);
	model.reg[AS_FAULTADDRESS_HI(n) / 4] = upper_32_bits(va);
	model_raise(PANFROST_MODEL_MMU, BIT(n));
}

/*
 * Translates an address for an access to its page. Returns 0; -EBUSY when the access
 * has to wait for a command that is in progress; -EAGAIN when it has to wait for a
 * flush, after a fault or because of a lock; or the exception that ends the job.
 */
static int model_translate(unsigned int n, u64 va, bool write, void **out)
{
	struct model_as *as = &model.as[n];
	struct model_tlb_entry *entry;
	u64 page = va >> PAGE_SHIFT, leaf = 0;
	u32 fault;

	model_as_settle(n);
	if (as->command == AS_COMMAND_UPDATE)
		return -EBUSY;
	if (!model_as_enabled(as))
		return write ? DRM_PANFROST_EXCEPTION_JOB_WRITE_FAULT :
			       DRM_PANFROST_EXCEPTION_JOB_READ_FAULT;
	if (as->locked && va >= as->lock_first && va <= as->lock_last)
		return -EAGAIN;

	fault = model_walk(as->transtab, va, &leaf);
	entry = &as->tlb[page % MODEL_TLB_SIZE];
	if (entry->page == page + 1 && (fault || leaf != entry->leaf)) {
		stale++;
		pr_err("stale translation used: AS%u VA 0x%llx was 0x%llx, is 0x%llx\n",
		       n, va, entry->leaf, fault ? 0 : leaf);
		return DRM_PANFROST_EXCEPTION_JOB_BUS_FAULT;
	}
	if (!fault && !(leaf & (write ? MODEL_PTE_WRITE : MODEL_PTE_READ)))
		fault = DRM_PANFROST_EXCEPTION_PERM_FAULT_3;
	if (fault) {
		model_as_fault(n, va, fault, write);
		return -EAGAIN;
	}
	entry->page = page + 1;
	entry->leaf = leaf;
	*out = phys_to_virt(leaf & PAGE_MASK) + offset_in_page(va);
	return 0;
}

/* --- jobs --- */

static int model_access(struct model_slot *slot, u64 va, bool write, void **out)
{
	int ret = model_translate(slot->config & 0x7, va, write, out);

	if (ret == -EAGAIN) {
		slot->stalled = true;
		slot->stalled_at = model.restarts;
	}
	if (ret)
		slot->fault = va;
	return ret;
}

static int model_run_write(struct model_slot *slot, const struct panfrost_model_job *job)
{
	static const u8 bytes[] = {
		[PANFROST_MODEL_WRITE_ZERO] = 8, [PANFROST_MODEL_WRITE_U8] = 1,
		[PANFROST_MODEL_WRITE_U16] = 2, [PANFROST_MODEL_WRITE_U32] = 4,
		[PANFROST_MODEL_WRITE_U64] = 8,
	};
	u32 type = le32_to_cpu(job->write.type);
	u64 to = le64_to_cpu(job->write.to);
	__le64 value = type == PANFROST_MODEL_WRITE_ZERO ? 0 : job->write.value;
	void *dst;
	int ret;

	if (type >= ARRAY_SIZE(bytes) || !bytes[type] || to % bytes[type])
		return DRM_PANFROST_EXCEPTION_JOB_CONFIG_FAULT;
	ret = model_access(slot, to, true, &dst);
	if (!ret)
		memcpy(dst, &value, bytes[type]);
	return ret;
}

static int model_run_copy(struct model_slot *slot, const struct panfrost_model_job *job)
{
	u64 from = le64_to_cpu(job->copy.from) + slot->copied;
	u64 to = le64_to_cpu(job->copy.to) + slot->copied;
	u32 bytes = le32_to_cpu(job->copy.bytes) ?: 4, part;
	void *dst, *src;
	int ret;

	if ((bytes | from | to) % 4)
		return DRM_PANFROST_EXCEPTION_JOB_CONFIG_FAULT;
	part = min3(bytes - slot->copied, (u32)(PAGE_SIZE - offset_in_page(from)),
		    (u32)(PAGE_SIZE - offset_in_page(to)));
	part = min(part, MODEL_COPY_BYTES);
	ret = model_access(slot, from, false, &src);
	if (!ret)
		ret = model_access(slot, to, true, &dst);
	if (ret)
		return ret;
	memmove(dst, src, part);
	slot->copied += part;
	return slot->copied < bytes ? -EINPROGRESS : 0;
}

static int model_run_delay(struct model_slot *slot, const struct panfrost_model_job *job)
{
	if (!slot->waited) {
		slot->until = ktime_add_ms(ktime_get(), le32_to_cpu(job->delay.ms));
		return -EINPROGRESS;
	}
	return 0;
}

/* One step of the job that is at slot->head */
static int model_run(struct model_slot *slot)
{
	struct panfrost_model_job *job;
	void *header;
	u64 next;
	int ret;

	if (slot->head % 64)
		return DRM_PANFROST_EXCEPTION_JOB_CONFIG_FAULT;
	ret = model_access(slot, slot->head, false, &header);
	if (ret)
		return ret;
	job = header;
	next = le64_to_cpu(job->next);
	if (!(job->type & 1))
		next = lower_32_bits(next);

	switch (job->type >> 1) {
	case PANFROST_MODEL_JOB_NULL:
	case PANFROST_MODEL_JOB_CACHE_FLUSH ... PANFROST_MODEL_JOB_FRAGMENT:
		break;
	case PANFROST_MODEL_JOB_WRITE_VALUE:
		ret = model_run_write(slot, job);
		break;
	case PANFROST_MODEL_JOB_COPY:
		ret = model_run_copy(slot, job);
		break;
	case PANFROST_MODEL_JOB_DELAY:
		ret = model_run_delay(slot, job);
		break;
	case PANFROST_MODEL_JOB_HANG:
		slot->hung = true;
		ret = -EINPROGRESS;
		break;
	default:
		ret = DRM_PANFROST_EXCEPTION_JOB_CONFIG_FAULT;
	}
	if (ret < 0)
		return ret;

	if (!(slot->config & JS_CONFIG_DISABLE_DESCRIPTOR_WR_BK)) {
		u32 status = ret ?: DRM_PANFROST_EXCEPTION_DONE;
		int failed = model_access(slot, slot->head, true, &header);

		if (failed)
			return failed;
		job->status = cpu_to_le32(status);
		job->fault_pointer = cpu_to_le64(ret ? slot->fault : 0);
	}
	if (ret)
		return ret;
	jobs++;
	slot->tail = slot->head;
	slot->head = next;
	slot->copied = 0;
	slot->waited = false;
	return next ? -EINPROGRESS : 0;
}

/* --- slots --- */

static void model_slot_finish(unsigned int n, u32 status)
{
	struct model_slot *slot = &model.slot[n];

	slot->active = false;
	slot->status = status;
	if (status != DRM_PANFROST_EXCEPTION_DONE)
		slot->tail = slot->head;
	model_raise(PANFROST_MODEL_JOB, status == DRM_PANFROST_EXCEPTION_DONE ?
		    JOB_INT_MASK_DONE(n) : JOB_INT_MASK_ERR(n));
}

static bool model_slot_start(unsigned int n)
{
	struct model_slot *slot = &model.slot[n];

	if (!slot->next || model.raw[PANFROST_MODEL_JOB] & JOB_INT_MASK_ERR(n) ||
	    !model.reg[L2_READY_LO / 4] || !model.reg[SHADER_READY_LO / 4])
		return false;
	*slot = (struct model_slot) {
		.task = slot->task,
		.active = true,
		.head = model_reg64(JS_HEAD_NEXT_LO(n)),
		.config = model.reg[JS_CONFIG_NEXT(n) / 4],
		.status = DRM_PANFROST_EXCEPTION_ACTIVE,
	};
	if (chain_delay_ms)
		slot->until = ktime_add_ms(ktime_get(), chain_delay_ms);
	return true;
}

/* Does what can be done at once. Returns how long to wait for more. */
static ktime_t model_slot_step(unsigned int n)
{
	struct model_slot *slot = &model.slot[n];
	int ret;

	if (!slot->active && !model_slot_start(n))
		return KTIME_MAX;

	if (slot->killed) {
		model_slot_finish(n, DRM_PANFROST_EXCEPTION_JOB_BUS_FAULT);
		return 0;
	}
	if (slot->hung)
		return KTIME_MAX;
	if (slot->soft_stop) {
		model_slot_finish(n, DRM_PANFROST_EXCEPTION_STOPPED);
		return 0;
	}
	if (slot->until) {
		ktime_t now = ktime_get();

		if (ktime_before(now, slot->until))
			return ktime_sub(slot->until, now);
		slot->until = 0;
		slot->waited = true;
	}
	if (slot->stalled && slot->stalled_at == model.restarts)
		return KTIME_MAX;
	slot->stalled = false;

	ret = model_run(slot);
	if (ret == -EBUSY)
		return ns_to_ktime(NSEC_PER_USEC * max(as_command_us, 1U));
	if (ret >= 0)
		model_slot_finish(n, ret ?: DRM_PANFROST_EXCEPTION_DONE);
	/* Drivers rely on it that NEXT is free again when they see that one is done. */
	if (!slot->active)
		model_slot_start(n);
	return 0;
}

static int model_slot_thread(void *data)
{
	unsigned int n = (struct model_slot *)data - model.slot;
	ktime_t wait;

	for (;;) {
		set_current_state(TASK_IDLE);
		raw_spin_lock_irq(&model.lock);
		wait = model_slot_step(n);
		raw_spin_unlock_irq(&model.lock);
		if (wait) {
			schedule_hrtimeout(wait == KTIME_MAX ? NULL : &wait, HRTIMER_MODE_REL);
		} else {
			__set_current_state(TASK_RUNNING);
			cond_resched();
		}
	}
	return 0;
}

static void model_slot_command(unsigned int n, u32 command)
{
	struct model_slot *slot = &model.slot[n];
	bool flag = slot->config & JS_CONFIG_JOB_CHAIN_FLAG;

	if (!slot->active || command < JS_COMMAND_SOFT_STOP)
		return;
	if (command == JS_COMMAND_SOFT_STOP_0 || command == JS_COMMAND_HARD_STOP_0) {
		if (flag)
			return;
	} else if (command > JS_COMMAND_HARD_STOP_0 && !flag) {
		return;
	}
	if (command & 1)
		model_slot_finish(n, DRM_PANFROST_EXCEPTION_TERMINATED);
	else
		slot->soft_stop = true;
	wake_up_process(slot->task);
}

static void model_job_clear(u32 bits)
{
	unsigned int n;

	for (n = 0; n < MODEL_SLOTS; n++) {
		struct model_slot *slot = &model.slot[n];

		if (!(bits & MK_JS_MASK(n)))
			continue;
		model.js_state &= ~MK_JS_MASK(n);
		if (slot->active)
			model.js_state |= BIT(n);
		if (slot->next)
			model.js_state |= BIT(n + 16);
		if (!slot->active)
			model_slot_start(n);
		wake_up_process(slot->task);
	}
}

/* --- the rest of the GPU --- */

static u64 model_cycles(void)
{
	u64 cycles = model.cycles;

	if (model.counting)
		cycles += ktime_us_delta(ktime_get(), model.counting_since) * MODEL_CLOCK_MHZ;
	return cycles;
}

static void model_count(bool on)
{
	model.cycles = model_cycles();
	model.counting_since = ktime_get();
	model.counting = on;
}

/* Counters that say: who counts, and how many jobs there have been */
static void model_perfcnt_sample(void)
{
	u32 cfg = model.reg[GPU_PERFCNT_CFG / 4];
	u64 va = model_reg64(GPU_PERFCNT_BASE_LO);
	unsigned int n = (cfg >> 4) & 0xf, i;
	__le32 *out;

	if ((cfg & 0xf) != GPU_PERFCNT_CFG_MODE_MANUAL || n >= MODEL_SPACES)
		return;
	/* There is nobody to wait for an update that was just begun. */
	if (model.as[n].command == AS_COMMAND_UPDATE && model.as[n].until != KTIME_MAX)
		model.as[n].until = 0;
	if (model_translate(n, va, true, (void **)&out))
		return;
	for (i = 0; i < MODEL_COUNTERS; i++)
		out[i] = cpu_to_le32(i % 64 == 2 ? model.reg[GPU_PRFCNT_JM_EN / 4] : jobs + i);
	model_raise(PANFROST_MODEL_GPU, GPU_IRQ_PERFCNT_SAMPLE_COMPLETED);
}

static void model_reset(void)
{
	unsigned int n;

	model_tlb_lost();
	memset(model.reg, 0, sizeof(model.reg));
	memset(model.raw, 0, sizeof(model.raw));
	memset(model.mask, 0, sizeof(model.mask));
	memset(model.as, 0, sizeof(model.as));
	model.js_state = 0;
	for (n = 0; n < MODEL_SLOTS; n++)
		model.slot[n] = (struct model_slot) { .task = model.slot[n].task };
	model_count(false);
	model_raise(PANFROST_MODEL_GPU, GPU_IRQ_RESET_COMPLETED);
}

static void model_gpu_command(u32 command)
{
	switch (command) {
	case GPU_CMD_SOFT_RESET:
	case GPU_CMD_HARD_RESET:
		model_reset();
		break;
	case GPU_CMD_PERFCNT_CLEAR:
		jobs = 0;
		break;
	case GPU_CMD_PERFCNT_SAMPLE:
		model_perfcnt_sample();
		break;
	case GPU_CMD_CYCLE_COUNT_START:
	case GPU_CMD_CYCLE_COUNT_STOP:
		model_count(command == GPU_CMD_CYCLE_COUNT_START);
		break;
	case GPU_CMD_CLEAN_CACHES:
	case GPU_CMD_CLEAN_INV_CACHES:
		model.flush_id++;
		model_raise(PANFROST_MODEL_GPU, GPU_IRQ_CLEAN_CACHES_COMPLETED);
		break;
	}
}

static void model_power(u32 ready, u32 bits, bool on)
{
	unsigned int n;

	if (on)
		model.reg[ready / 4] |= bits;
	else
		model.reg[ready / 4] &= ~bits;
	if (!model.reg[L2_READY_LO / 4])
		model_tlb_lost();
	model_raise(PANFROST_MODEL_GPU, GPU_IRQ_POWER_CHANGED | GPU_IRQ_POWER_CHANGED_ALL);
	for (n = 0; n < MODEL_SLOTS; n++)
		wake_up_process(model.slot[n].task);
}

/* --- registers --- */

static u32 model_read_slot(unsigned int n, u32 offset)
{
	const struct model_slot *slot = &model.slot[n];

	switch (offset + JS_BASE) {
	case JS_HEAD_LO(0):
		return lower_32_bits(slot->head);
	case JS_HEAD_HI(0):
		return upper_32_bits(slot->head);
	case JS_TAIL_LO(0):
		return lower_32_bits(slot->tail);
	case JS_TAIL_HI(0):
		return upper_32_bits(slot->tail);
	case JS_CONFIG(0):
		return slot->config;
	case JS_STATUS(0):
		return slot->status;
	case JS_COMMAND_NEXT(0):
		return slot->next ? JS_COMMAND_START : JS_COMMAND_NOP;
	}
	return model.reg[(JS_BASE + n * JS_SLOT_STRIDE + offset) / 4];
}

static void model_write_slot(unsigned int n, u32 offset, u32 value)
{
	struct model_slot *slot = &model.slot[n];

	switch (offset + JS_BASE) {
	case JS_COMMAND(0):
		model_slot_command(n, value);
		break;
	case JS_COMMAND_NEXT(0):
		slot->next = value == JS_COMMAND_START;
		if (!slot->active)
			model_slot_start(n);
		wake_up_process(slot->task);
		break;
	}
}

static u32 model_read_fixed(u32 offset)
{
	switch (offset) {
	case GPU_ID:
		return 0x08602000;
	case GPU_L2_FEATURES:
		return 0x07130206;
	case GPU_TILER_FEATURES:
		return 0x809;
	case GPU_MEM_FEATURES:
		return GROUPS_L2_COHERENT;
	case GPU_MMU_FEATURES:
		/* 40 bits of physical, 48 of virtual address */
		return 0x2830;
	case GPU_AS_PRESENT:
		return GENMASK(MODEL_SPACES - 1, 0);
	case GPU_JS_PRESENT:
		return GENMASK(MODEL_SLOTS - 1, 0);
	case GPU_JS_FEATURES(0):
		return 0x20e;
	case GPU_JS_FEATURES(1):
		return 0x1fe;
	case GPU_JS_FEATURES(2):
		return 0x7e;
	case GPU_THREAD_MAX_THREADS:
	case GPU_THREAD_MAX_WORKGROUP_SIZE:
	case GPU_THREAD_MAX_BARRIER_SIZE:
		return 256;
	case GPU_THREAD_FEATURES:
		return 0x0a040400;
	case GPU_SHADER_PRESENT_LO:
		return MODEL_SHADERS;
	case GPU_TILER_PRESENT_LO:
	case GPU_L2_PRESENT_LO:
		return 1;
	case GPU_LATEST_FLUSH_ID:
		return model.flush_id;
	case GPU_CYCLE_COUNT_LO:
		return lower_32_bits(model_cycles());
	case GPU_CYCLE_COUNT_HI:
		return upper_32_bits(model_cycles());
	case JOB_INT_JS_STATE:
		return model.js_state;
	}
	return model.reg[offset / 4];
}

static unsigned long model_read(void *priv, unsigned int offset, int size)
{
	unsigned long flags;
	unsigned int line, n;
	u32 value = 0;

	if (WARN_ON_ONCE(size != 4 || offset % 4) || offset >= MODEL_REGS)
		return 0;

	raw_spin_lock_irqsave(&model.lock, flags);
	for (line = 0; line < PANFROST_MODEL_LINES; line++) {
		u32 base = model_int_base[line];

		if (offset == base)
			value = model.raw[line];
		else if (offset == base + 8)
			value = model.mask[line];
		else if (offset == base + 12)
			value = model.raw[line] & model.mask[line];
		else
			continue;
		goto out;
	}
	n = (offset - JS_BASE) / JS_SLOT_STRIDE;
	if (offset >= JS_BASE && n < MODEL_SLOTS) {
		value = model_read_slot(n, offset % JS_SLOT_STRIDE);
		goto out;
	}
	n = (offset - MMU_BASE) / MMU_AS_STRIDE;
	if (offset >= MMU_BASE && n < MODEL_SPACES && offset == AS_STATUS(n)) {
		model_as_settle(n);
		value = model.as[n].command ? AS_STATUS_AS_ACTIVE : 0;
		goto out;
	}
	value = model_read_fixed(offset);
out:
	raw_spin_unlock_irqrestore(&model.lock, flags);
	return value;
}

static void model_write_fixed(u32 offset, u32 value)
{
	switch (offset) {
	case GPU_CMD:
		model_gpu_command(value);
		break;
	case SHADER_PWRON_LO:
	case SHADER_PWROFF_LO:
		model_power(SHADER_READY_LO, value & MODEL_SHADERS, offset == SHADER_PWRON_LO);
		break;
	case TILER_PWRON_LO:
	case TILER_PWROFF_LO:
		model_power(TILER_READY_LO, value & 1, offset == TILER_PWRON_LO);
		break;
	case L2_PWRON_LO:
	case L2_PWROFF_LO:
		model_power(L2_READY_LO, value & 1, offset == L2_PWRON_LO);
		break;
	}
}

static void model_write(void *priv, unsigned int offset, int size, unsigned long value)
{
	unsigned long flags;
	unsigned int line, n;

	if (WARN_ON_ONCE(size != 4 || offset % 4) || offset >= MODEL_REGS)
		return;

	raw_spin_lock_irqsave(&model.lock, flags);
	for (line = 0; line < PANFROST_MODEL_LINES; line++) {
		u32 base = model_int_base[line];

		if (offset < base || offset > base + 12)
			continue;
		if (offset == base + 4) {
			model.raw[line] &= ~value;
			if (line == PANFROST_MODEL_JOB)
				model_job_clear(value);
		} else if (offset == base + 8) {
			model.mask[line] = value;
			model_lines_changed();
		}
		goto out;
	}
	model.reg[offset / 4] = value;
	n = (offset - JS_BASE) / JS_SLOT_STRIDE;
	if (offset >= JS_BASE && n < MODEL_SLOTS) {
		model_write_slot(n, offset % JS_SLOT_STRIDE, value);
		goto out;
	}
	n = (offset - MMU_BASE) / MMU_AS_STRIDE;
	if (offset >= MMU_BASE && n < MODEL_SPACES) {
		if (offset == AS_COMMAND(n))
			model_as_command(n, value);
		goto out;
	}
	model_write_fixed(offset, value);
out:
	raw_spin_unlock_irqrestore(&model.lock, flags);
}

static const struct logic_iomem_ops model_ops = {
	.read = model_read,
	.write = model_write,
};

static long model_map(unsigned long offset, size_t size,
		      const struct logic_iomem_ops **ops, void **priv)
{
	*ops = &model_ops;
	return offset;
}

static const struct logic_iomem_region_ops model_region_ops = {
	.map = model_map,
};

static struct resource model_resource =
	DEFINE_RES_MEM_NAMED(PANFROST_MODEL_BASE, PANFROST_MODEL_SIZE, "panfrost-model");

/* --- init --- */

/**
 * panfrost_model_irq - number of an interrupt of the model
 * @line: which
 *
 * Returns: what request_irq() takes.
 */
int panfrost_model_irq(enum panfrost_model_line line)
{
	return model.virq[line];
}

/**
 * panfrost_model_stale - stale translations that jobs came to
 *
 * Returns: their number since boot.
 */
unsigned int panfrost_model_stale(void)
{
	return READ_ONCE(stale);
}

/**
 * panfrost_model_freed - translations of free memory that only a reset ended
 *
 * Returns: their number since boot.
 */
unsigned int panfrost_model_freed(void)
{
	return READ_ONCE(tlb_freed);
}

static int __init model_init(void)
{
	struct device_node *np = of_find_compatible_node(NULL, NULL, "uml,mali-model");
	struct fwnode_handle *fwnode;
	struct irq_domain *domain;
	struct task_struct *task;
	unsigned int n;
	int ret;

	/* Without one in the device tree it is for the unit tests alone. */
	fwnode = np ? of_fwnode_handle(np) : irq_domain_alloc_named_fwnode("panfrost-model");
	domain = irq_domain_create_linear(fwnode, PANFROST_MODEL_LINES, &model_irq_ops, NULL);
	if (!domain)
		return -ENOMEM;
	for (n = 0; n < PANFROST_MODEL_LINES; n++)
		if (!irq_create_mapping(domain, n))
			return -ENOMEM;

	for (n = 0; n < MODEL_SLOTS; n++) {
		task = kthread_create(model_slot_thread, &model.slot[n], "mali-slot%u", n);
		if (IS_ERR(task))
			return PTR_ERR(task);
		model.slot[n].task = task;
	}
	task = kthread_create(model_irq_thread, NULL, "mali-irq");
	if (IS_ERR(task))
		return PTR_ERR(task);
	model.irq_task = task;
	for (n = 0; n < MODEL_SLOTS; n++)
		wake_up_process(model.slot[n].task);
	wake_up_process(model.irq_task);

	ret = logic_iomem_add_region(&model_resource, &model_region_ops);
	if (ret)
		pr_err("no room for the registers: %d\n", ret);
	return ret;
}
arch_initcall(model_init);
