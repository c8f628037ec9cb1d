/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright 2026 The GEM shrinker project
 */
#ifndef __PANFROST_MODEL_H__
#define __PANFROST_MODEL_H__

#include <linux/build_bug.h>
#include <linux/types.h>

/* where the registers are, in any system that has the model */
#define PANFROST_MODEL_BASE		0xf00000000ULL
#define PANFROST_MODEL_SIZE		0x10000

/* the interrupts, by their number in the device tree */
enum panfrost_model_line {
	PANFROST_MODEL_JOB,
	PANFROST_MODEL_MMU,
	PANFROST_MODEL_GPU,
	PANFROST_MODEL_LINES,
};

/* Job types. Those from 120 on are private to the model, no GPU has them. */
enum panfrost_model_job_type {
	PANFROST_MODEL_JOB_NULL = 1,
	PANFROST_MODEL_JOB_WRITE_VALUE = 2,
	PANFROST_MODEL_JOB_CACHE_FLUSH = 3,
	PANFROST_MODEL_JOB_FRAGMENT = 9,
	PANFROST_MODEL_JOB_COPY = 120,
	PANFROST_MODEL_JOB_DELAY = 121,
	PANFROST_MODEL_JOB_HANG = 122,
};

/* struct panfrost_model_job.write.type */
enum panfrost_model_write_type {
	PANFROST_MODEL_WRITE_ZERO = 3,
	PANFROST_MODEL_WRITE_U8 = 4,
	PANFROST_MODEL_WRITE_U16 = 5,
	PANFROST_MODEL_WRITE_U32 = 6,
	PANFROST_MODEL_WRITE_U64 = 7,
};

/*
 * A job in the GPU's memory: the header of a Midgard job, of which the model uses these
 * fields, and what follows it in those that the model runs.
 */
struct panfrost_model_job {
	__le32 status;		/* written: a DRM_PANFROST_EXCEPTION_* */
	__le32 first_incomplete;
	__le64 fault_pointer;	/* written: the address that faulted */
	u8 type;		/* type << 1 | "next is 64 bits wide" */
	u8 barrier;
	__le16 index;
	__le16 depends[2];
	__le64 next;		/* 0 ends the chain */
	union {
		struct {
			__le64 to;
			__le32 type;
			__le32 reserved;
			__le64 value;
		} write;
		struct {
			__le64 to;
			__le64 from;
			__le32 bytes;	/* a multiple of 4; 0 is 4 */
		} copy;
		struct {
			__le32 ms;
		} delay;
	};
};

static_assert(offsetof(struct panfrost_model_job, next) == 24);
static_assert(offsetof(struct panfrost_model_job, write.to) == 32);
static_assert(offsetof(struct panfrost_model_job, write.value) == 48);

int panfrost_model_irq(enum panfrost_model_line line);
unsigned int panfrost_model_stale(void);
unsigned int panfrost_model_freed(void);

#endif
