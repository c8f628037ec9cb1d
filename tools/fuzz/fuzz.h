/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copyright 2026 The GEM shrinker project
 *
 * What the parts of gem-fuzz share.
 *
 * A program is a list of calls on slots: files, handles, dma-bufs, mappings and so on, each
 * of which a call fills and later ones use. As text it is one line, e.g.
 *
 *	create f0 h1 0 4 0 0; madvise f0 h1 1 0 0; scan 0 100; madvise f0 h1 0 0 0
 *
 * where h1 is what is in slot 1 of the handles, and a number is that number wherever it
 * stands. "2: " in front of it has two threads run it at the same time, on the same slots.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_CALLS 48		/* of a program */
#define FUZZ_ARGS 10		/* of a call */
#define FUZZ_OPS 64
#define FUZZ_ERRNOS 134
#define FUZZ_TEXT 12000
#define FUZZ_PAGE 4096ul
#define FUZZ_SLOTS 8		/* of handles, which there are most of */
#define FUZZ_OBJECTS 64
#define FUZZ_HANDLES 64		/* of a file: it cannot get to higher numbers */

enum { FUZZ_VIRTIO = 1, FUZZ_PANFROST = 2 };

struct arg {
	uint64_t value;		/* a number, or that of a slot */
	uint8_t slot;		/* which kind, a letter of the text, or 0 */
};

struct call {
	uint8_t op;
	struct arg args[FUZZ_ARGS];
};

struct program {
	uint8_t calls;
	bool twice;
	struct call call[FUZZ_CALLS];
};

/* What is known of a BO, if only one thread runs the program */
struct object {
	uint64_t bytes;
	bool given_up;		/* DONTNEED was said once */
	bool lost;		/* the last time it was asked for */
	bool written;		/* by the device, or may have been */
	uint32_t stamp;		/* what its first word is, or 0 */
};

struct handle {
	uint32_t name;		/* in its file, 0 is none */
	int object;
	uint64_t offset;	/* for mmap, of that: */
	int mapped;
	uint64_t va;		/* of the GPU */
	uint32_t resource;
};

struct mapping {
	char *at;
	size_t bytes;
	uint64_t page;		/* of the object it begins with */
	int object;
	int prot;
	bool shared;
};

struct dmabuf {
	int fd;
	int object;
};

/* A program while it runs */
struct run {
	int file[3];
	struct handle handle[FUZZ_SLOTS];
	struct dmabuf dmabuf[4];
	struct mapping mapping[4];
	uint32_t syncobj[4];
	int fence[2];
	uint32_t name[2];
	uint32_t fb[2];
	bool twice;
	bool exact;		/* one thread: what is below is true */
	unsigned int objects;
	struct object object[FUZZ_OBJECTS];
	int8_t open[3][FUZZ_HANDLES];	/* the object of each handle, + 1 */
};

/*
 * args: a letter for each argument. Small ones say which slot is used, large ones which is
 * filled: f file, h handle, p dma-buf, m mapping, s syncobj, x fence, k flink name, d
 * framebuffer. Digits and the rest are numbers, see fuzz-program.c.
 */
struct op {
	const char *name;
	const char *args;
	unsigned int weight;
	unsigned int drivers;
	/* v: the arguments, with that in place of a slot which is in it, or the slot's number
	 * if it is to be filled. Returns 0 or a negative errno.
	 */
	int (*run)(struct run *run, const uint64_t *v);
	const short *errnos;	/* that it may return, ends with 0 */
	bool needs_handle;	/* fails if the first h is no handle of the first f */
};

#define ERRNOS(...) (const short[]){ __VA_ARGS__, 0 }

/* fuzz-calls.c, fuzz-virtgpu.c, fuzz-panfrost.c */
extern const struct op fuzz_common_ops[], fuzz_virtgpu_ops[], fuzz_panfrost_ops[];
void fuzz_on_fault(int number);
bool fuzz_virtgpu_has_3d(const char *render_node);

/* fuzz-run.c */
extern const struct op *fuzz_op[FUZZ_OPS];
extern unsigned int fuzz_ops, fuzz_driver;
extern bool fuzz_has_3d;
extern __thread const struct call *fuzz_call;	/* that this thread makes */
void fuzz_init(const char *driver);
void fuzz_run(struct run *run, const struct program *program);
int fuzz_ioctl(int fd, unsigned long request, void *arg, uint64_t field, uint64_t value);
void fuzz_patch(void *arg, size_t size, uint64_t field, uint64_t value);
void fuzz_replace_fd(int *slot, int fd);
int fuzz_replace_mapping(struct mapping *slot, struct mapping mapping);
bool fuzz_is_plain(uint64_t field);
uint64_t fuzz_limit(uint64_t value, uint64_t most, uint64_t huge);
void fuzz_fill_handle(struct run *run, uint64_t file, uint64_t slot, struct handle handle,
		      uint64_t bytes);
bool fuzz_madvise_is_plain(struct run *run, uint64_t field, const struct object *object, bool bad,
			   int ret);
int fuzz_created(struct run *run, int ret, uint64_t field, uint64_t slot, struct handle handle,
		 uint64_t bytes);
void fuzz_fill_offset(struct run *run, uint64_t offset);
struct object *fuzz_object(struct run *run, unsigned int file_arg, uint64_t name);
void fuzz_advised(struct run *run, uint64_t name, uint32_t advice, uint32_t retained);
unsigned int fuzz_card(void);

/* fuzz-program.c */
uint64_t fuzz_random(void);
void fuzz_seed(uint64_t seed);
void fuzz_generate(struct program *program);
void fuzz_append(struct program *program, const struct program *other);
void fuzz_mutate(struct program *program, const struct program *other);
int fuzz_print(char *text, const struct program *program);
bool fuzz_parse(struct program *program, const char *text);

/* fuzz-worker.c: what a call of a program did wrong */
void fuzz_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fuzz_count(unsigned int op, int error);

#endif
