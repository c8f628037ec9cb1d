// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Runs a program of gem-fuzz: slots, handles and what is known of BOs, and the ioctl itself.
 */
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

const struct op *fuzz_op[FUZZ_OPS];
unsigned int fuzz_ops, fuzz_driver;
bool fuzz_has_3d;
__thread const struct call *fuzz_call;

static char render_node[32], card_node[32];
/* Threads share slots: what is in one is taken out by one of them only. */
static pthread_mutex_t slots = PTHREAD_MUTEX_INITIALIZER;

static int open_file(unsigned int slot)
{
	return open(slot == 1 ? card_node : render_node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/*
 * Words of the ioctl's argument are changed where a field says so: 0 is none, 1 to 0xff the
 * word before that. 0x100 + n passes n bytes, and 0x200 a bad pointer.
 */
void fuzz_patch(void *arg, size_t size, uint64_t field, uint64_t value)
{
	uint32_t word = value;

	if (field && field <= size / 4)
		memcpy((char *)arg + (field - 1) * 4, &word, 4);
}

bool fuzz_is_plain(uint64_t field)
{
	return field < 0x100 || field > 0x200;
}

/* What is neither small, nor more than anybody could get, would only use up all memory. */
uint64_t fuzz_limit(uint64_t value, uint64_t most, uint64_t huge)
{
	return value <= most || value >= huge ? value : value % most;
}

int fuzz_ioctl(int fd, unsigned long request, void *arg, uint64_t field, uint64_t value)
{
	char copy[256] = {};
	size_t size = _IOC_SIZE(request);
	int ret;

	if (field == 0x200)
		arg = (void *)(uintptr_t)(value & 0xfff);
	if (field >= 0x100 && field < 0x200) {
		memcpy(copy, arg, size);
		request = _IOC(_IOC_DIR(request), _IOC_TYPE(request), _IOC_NR(request),
			       field - 0x100);
		ret = ioctl(fd, request, copy);
		memcpy(arg, copy, size);
	} else {
		ret = ioctl(fd, request, arg);
	}
	return ret < 0 ? -errno : ret;
}

/* Closes what was there. */
void fuzz_replace_fd(int *slot, int fd)
{
	int old;

	pthread_mutex_lock(&slots);
	old = *slot;
	*slot = fd;
	pthread_mutex_unlock(&slots);
	if (old >= 0)
		close(old);
}

int fuzz_replace_mapping(struct mapping *slot, struct mapping mapping)
{
	struct mapping old;

	pthread_mutex_lock(&slots);
	old = *slot;
	*slot = mapping;
	pthread_mutex_unlock(&slots);
	if (!old.at)
		return -EINVAL;
	return munmap(old.at, old.bytes) ? -errno : 0;
}

/* New handles: which object they are of. 0 for bytes means one that is known. */
void fuzz_fill_handle(struct run *run, uint64_t file, uint64_t slot, struct handle handle,
		      uint64_t bytes)
{
	if (run->exact) {
		if (bytes && run->objects < FUZZ_OBJECTS) {
			handle.object = run->objects++;
			run->object[handle.object] = (struct object){ .bytes = bytes };
		} else if (bytes) {
			handle.object = -1;
		}
		if (handle.object < 0)
			run->exact = false;
		else if (handle.name < FUZZ_HANDLES)
			run->open[file][handle.name] = handle.object + 1;
	}
	handle.mapped = -1;
	run->handle[slot] = handle;
}

/* What holds of advice for both drivers; false if its arguments were not passed as they are. */
bool fuzz_madvise_is_plain(struct run *run, uint64_t field, const struct object *object, bool bad,
			   int ret)
{
	if (field >= 0x100) {
		run->exact = false;
		return false;
	}
	if (bad && ret != -EINVAL)
		fuzz_wrong("madvise: %d for bad arguments", ret);
	if (!bad && run->exact && !object && ret != -ENOENT)
		fuzz_wrong("madvise: %d for a handle that is none", ret);
	return true;
}

/* A BO that a call of @ret made, unless its arguments in @field were changed to whatever. */
int fuzz_created(struct run *run, int ret, uint64_t field, uint64_t slot, struct handle handle,
		 uint64_t bytes)
{
	if (!ret && fuzz_is_plain(field))
		fuzz_fill_handle(run, fuzz_call->args[0].value, slot, handle, bytes);
	else if (!ret)
		run->exact = false;
	return ret;
}

/* The object of the handle `name` of the file that argument `file_arg` is; NULL is none. */
struct object *fuzz_object(struct run *run, unsigned int file_arg, uint64_t name)
{
	unsigned int file = fuzz_call->args[file_arg].value % 3;
	int object = (uint32_t)name < FUZZ_HANDLES ? run->open[file][(uint32_t)name] - 1 : -1;

	return object < 0 ? NULL : &run->object[object];
}

/* mmap's offset, of what argument 1 is in the file that argument 0 is */
void fuzz_fill_offset(struct run *run, uint64_t offset)
{
	const struct arg *from = &fuzz_call->args[1];
	struct handle *handle = &run->handle[from->value];

	if (!from->slot)
		return;
	handle->offset = offset;
	handle->mapped = run->open[fuzz_call->args[0].value][handle->name % FUZZ_HANDLES] - 1;
}

/* After madvise: is what it returned possible? */
void fuzz_advised(struct run *run, uint64_t name, uint32_t advice, uint32_t retained)
{
	struct object *object;

	if (retained > 1)
		fuzz_wrong("retained is %u", retained);
	if (!run->exact)
		return;
	object = fuzz_object(run, 0, name);
	if (!object)
		return;
	if (!retained && !object->given_up)
		fuzz_wrong("lost, and was never given up");
	if (retained && object->lost)
		fuzz_wrong("retained, after it was lost");
	object->lost = !retained;
	if (advice == 1)
		object->given_up = true;
	if (!retained)
		object->stamp = 0;
	if (!retained && advice == 2)
		object->lost = false;
}

/* the number of the device in debugfs */
unsigned int fuzz_card(void)
{
	return strtoul(strrchr(card_node, 'd') + 1, NULL, 10);
}

static uint64_t slot_value(struct run *run, const struct arg *arg)
{
	switch (arg->slot) {
	case 'f':
		pthread_mutex_lock(&slots);
		if (run->file[arg->value] < 0)
			run->file[arg->value] = open_file(arg->value);
		pthread_mutex_unlock(&slots);
		return run->file[arg->value];
	case 'h':
		return run->handle[arg->value].name;
	case 'p':
		return run->dmabuf[arg->value].fd;
	case 's':
		return run->syncobj[arg->value];
	case 'x':
		return run->fence[arg->value];
	case 'k':
		return run->name[arg->value];
	case 'd':
		return run->fb[arg->value];
	case 'm':
		return arg->value;
	}
	return arg->value;
}

/* Is what the call returned among what it may? */
static void judge(const struct op *op, int ret, bool may_succeed, bool twice)
{
	const short *errnos = op->errnos;

	/* The other thread may have closed the file, and opened another by the same number. */
	if (ret < 0 && errnos && !twice) {
		while (*errnos && *errnos != -ret)
			errnos++;
		if (!*errnos)
			fuzz_wrong("%s: %s", op->name, strerror(-ret));
	}
	if (ret >= 0 && !may_succeed)
		fuzz_wrong("%s: no error with a handle that the file does not have", op->name);
}

static void run_call(struct run *run, const struct call *call)
{
	const struct op *op = fuzz_op[call->op];
	const char *field = strchr(op->args, 'i');
	uint64_t v[FUZZ_ARGS] = {};
	bool may_succeed;
	int ret;

	fuzz_call = call;
	for (unsigned int i = 0; op->args[i]; i++)
		v[i] = op->args[i] >= 'A' && op->args[i] <= 'Z' ? call->args[i].value :
			slot_value(run, &call->args[i]);
	may_succeed = !op->needs_handle || !run->exact || (field && v[field - op->args]) ||
		      fuzz_object(run, 0, v[1]);
	ret = op->run(run, v);
	fuzz_count(call->op, ret < 0 ? -ret : 0);
	judge(op, ret, may_succeed, run->twice);
}

static const struct program *second_program;
static pthread_barrier_t second_barrier;

static void *run_second(void *run)
{
	pthread_barrier_wait(&second_barrier);
	for (unsigned int i = 0; i < second_program->calls; i++)
		run_call(run, &second_program->call[i]);
	return NULL;
}

void fuzz_run(struct run *run, const struct program *program)
{
	pthread_t second;
	bool twice;

	memset(run, 0, sizeof(*run));
	run->twice = program->twice;
	run->exact = !program->twice;
	for (unsigned int i = 0; i < 3; i++)
		run->file[i] = -1;
	for (unsigned int i = 0; i < 4; i++)
		run->dmabuf[i] = (struct dmabuf){ .fd = -1, .object = -1 };
	for (unsigned int i = 0; i < FUZZ_SLOTS; i++)
		run->handle[i].object = run->handle[i].mapped = -1;
	run->fence[0] = run->fence[1] = -1;

	second_program = program;
	twice = program->twice && !pthread_barrier_init(&second_barrier, NULL, 2) &&
		!pthread_create(&second, NULL, run_second, run);
	if (twice)
		pthread_barrier_wait(&second_barrier);
	for (unsigned int i = 0; i < program->calls; i++)
		run_call(run, &program->call[i]);
	if (twice) {
		pthread_join(second, NULL);
		pthread_barrier_destroy(&second_barrier);
	}

	for (unsigned int i = 0; i < 4; i++) {
		if (run->mapping[i].at)
			munmap(run->mapping[i].at, run->mapping[i].bytes);
		if (run->dmabuf[i].fd >= 0)
			close(run->dmabuf[i].fd);
	}
	for (unsigned int i = 0; i < 2; i++)
		if (run->fence[i] >= 0)
			close(run->fence[i]);
	for (unsigned int i = 0; i < 3; i++)
		if (run->file[i] >= 0)
			close(run->file[i]);
}

static void add_ops(const struct op *ops)
{
	for (; ops->name; ops++)
		if (ops->drivers & fuzz_driver && fuzz_ops < FUZZ_OPS)
			fuzz_op[fuzz_ops++] = ops;
}

static bool find_node(char *node, const char *format, unsigned int first, const char *driver)
{
	for (unsigned int i = first; i < first + 8; i++) {
		char name[32] = "";
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
		int fd, ret;

		sprintf(node, format, i);
		fd = open(node, O_RDWR | O_CLOEXEC);
		ret = fd < 0 ? -1 : ioctl(fd, DRM_IOCTL_VERSION, &version);
		if (fd >= 0)
			close(fd);
		if (!ret && !strcmp(name, driver))
			return true;
	}
	return false;
}

void fuzz_init(const char *driver)
{
	struct sigaction action = { .sa_handler = fuzz_on_fault, .sa_flags = SA_NODEFER };

	if (!find_node(render_node, "/dev/dri/renderD%u", 128, driver) ||
	    !find_node(card_node, "/dev/dri/card%u", 0, driver)) {
		fprintf(stderr, "gem-fuzz: no device of %s\n", driver);
		exit(2);
	}
	fuzz_driver = strcmp(driver, "panfrost") ? FUZZ_VIRTIO : FUZZ_PANFROST;
	fuzz_has_3d = fuzz_driver == FUZZ_VIRTIO && fuzz_virtgpu_has_3d(render_node);
	add_ops(fuzz_driver == FUZZ_VIRTIO ? fuzz_virtgpu_ops : fuzz_panfrost_ops);
	add_ops(fuzz_common_ops);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}
