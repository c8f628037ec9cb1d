// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a host misbehave, and looks from there whether the guest frees memory too early:
 * preloaded into QEMU with a virgl device, or into vhost-user-gpu.
 *
 * The guest's program fills each page of its BOs with one word, see host.h. In QEMU the
 * library keeps the addresses of each resource's backing, from the upload that shows it to
 * be such a BO until the guest is told that the host has let go, and looks at it there: at
 * one word of each page whenever the host is late, and at all before it lets go, also by
 * reset. A page with anything else was freed early (the guest's kernel zeroes what it frees).
 * In vhost-user-gpu it only counts the resources, for tools/host/ram-pages.
 *
 * $VIRGL_PRELOAD is a directory. The last line of its file "control", which the guest's
 * program writes, says what to do, in milliseconds and in per mille of the commands:
 *	delay MIN MAX	executes no command for that long, while the guest runs
 *	refuse N	does not let go of a backing or resource, and answers an error
 *	attach N	does not take the backing, and answers an error
 *	error N		does what was asked for, and answers an error; not to ATTACH_BACKING,
 *			since who says that it took no pages has none to keep
 * Its file "report" has the counts; "early" has what was freed early.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define RESP_OK_NODATA	0x1100
#define RESP_ERR_UNSPEC	0x1200
#define CMD_ATTACH	0x106
#define CMD_HDR		64	/* in QEMU's struct virtio_gpu_ctrl_command, 7.2 to 10 */
#define WORDS		(PAGE / sizeof(uint64_t))
#define MAX_ID		(1u << 20)

/* calls the next definition of the function that this one replaces */
#define REAL(name) ({						\
	static __typeof__(&name) real_;				\
								\
	if (!real_)						\
		real_ = (__typeof__(&name))real(#name, name);	\
	real_;							\
})

struct resource {
	struct resource *next, **prev;
	uint32_t id;
	bool ours;		/* has been uploaded with the words in it */
	int nr;
	struct iovec iov[];
};

static struct resource *resources[MAX_ID], *first;
static int dir_fd = -1, control_fd = -1, report_fd = -1;
static off_t control_size;
static unsigned int delay_min, delay_max, refuse, attach, errors;
static unsigned long checks, early, delays, refused, live;
static uint32_t refusing;		/* the resource of the command in execution */
static uint32_t refused_fences[4096];	/* of those that are answered later */
static uint64_t late_until;

struct search {
	const char *name;
	void *ours, *found;
};

static int search(struct dl_phdr_info *info, size_t size, void *arg)
{
	void *handle = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
	struct search *s = arg;
	void *f = handle ? dlsym(handle, s->name) : NULL;

	(void)size;
	if (f && f != s->ours)
		s->found = f;
	if (handle)
		dlclose(handle);
	return !!s->found;
}

/* RTLD_NEXT does not see what QEMU's modules bring along. */
static void *real(const char *name, void *ours)
{
	struct search s = { .name = name, .ours = ours };

	dl_iterate_phdr(search, &s);
	if (!s.found) {
		fprintf(stderr, "virgl-preload: no %s\n", name);
		abort();
	}
	return s.found;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static void report(void)
{
	char text[160];
	int len = snprintf(text, sizeof(text),
			   "checks %-9lu early %-6lu delays %-6lu refused %-6lu live %-6lu\n",
			   checks, early, delays, refused, live);

	if (report_fd >= 0 && pwrite(report_fd, text, len, 0) != len)
		abort();
}

__attribute__((constructor)) static void begin(void)
{
	const char *dir = getenv("VIRGL_PRELOAD");

	if (!dir || (strncmp(program_invocation_short_name, "qemu-system", 11) &&
		     strcmp(program_invocation_short_name, "vhost-user-gpu")))
		return;
	dir_fd = open(dir, O_DIRECTORY | O_CLOEXEC);
	report_fd = openat(dir_fd, "report", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	report();
}

/* Reads what the guest wants now. */
static void obey(void)
{
	char text[256], *line;
	struct stat st;
	ssize_t len;

	if (control_fd < 0)
		control_fd = openat(dir_fd, "control", O_RDONLY | O_CLOEXEC);
	if (control_fd < 0 || fstat(control_fd, &st) || st.st_size == control_size)
		return;
	len = pread(control_fd, text, sizeof(text) - 1,
		    st.st_size < 255 ? 0 : st.st_size - 255);
	if (len <= 0 || text[len - 1] != '\n')
		return;
	control_size = st.st_size;
	text[len - 1] = 0;
	line = strrchr(text, '\n');
	sscanf(line ? line + 1 : text, "delay %u %u refuse %u attach %u error %u",
	       &delay_min, &delay_max, &refuse, &attach, &errors);
}

static bool chance(unsigned int per_mille)
{
	return per_mille && random() % 1000 < per_mille;
}

/* What word N of a resource's backing is. */
static uint64_t word(const struct resource *res, size_t n)
{
	for (int i = 0; i < res->nr; i++) {
		if (n < res->iov[i].iov_len / sizeof(uint64_t))
			return ((uint64_t *)res->iov[i].iov_base)[n];
		n -= res->iov[i].iov_len / sizeof(uint64_t);
	}
	return 0;
}

static size_t pages(const struct resource *res)
{
	size_t bytes = 0;

	for (int i = 0; i < res->nr; i++)
		bytes += res->iov[i].iov_len;
	return bytes / PAGE;
}

/* Is every STEPth word there? */
static void check(const struct resource *res, size_t step)
{
	uint64_t want = word(res, 0) & ~PATTERN_PAGE;
	size_t n = 0;

	checks++;
	for (int i = 0; i < res->nr; i++) {
		const uint64_t *words = res->iov[i].iov_base;

		for (size_t w = 0; w < res->iov[i].iov_len / sizeof(*words); w += step) {
			size_t page = (n + w) / WORDS;

			if (words[w] == (want | page) && (want & PATTERN_MASK) == PATTERN)
				continue;
			early++;
			if (early <= 20) {
				int fd = openat(dir_fd, "early",
						O_CREAT | O_WRONLY | O_APPEND, 0600);

				dprintf(fd, "resource %u, page %zu: 0x%llx\n", res->id, page,
					(unsigned long long)words[w]);
				close(fd);
			}
			return;
		}
		n += res->iov[i].iov_len / sizeof(*words);
	}
}

static void check_all(size_t step)
{
	for (struct resource *res = first; res; res = res->next) {
		if (res->ours)
			check(res, step);
	}
}

static void forget(struct resource *res)
{
	*res->prev = res->next;
	if (res->next)
		res->next->prev = res->prev;
	resources[res->id] = NULL;
	free(res);
	live--;
}

static struct resource *find(uint32_t id)
{
	return id < MAX_ID ? resources[id] : NULL;
}

/* The host takes the backing of a resource, whose contents come later. */
int virgl_renderer_resource_attach_iov(int id, struct iovec *iov, int nr)
{
	int ret = REAL(virgl_renderer_resource_attach_iov)(id, iov, nr);
	struct resource *res;

	if (ret || report_fd < 0 || (unsigned int)id >= MAX_ID || find(id))
		return ret;
	res = calloc(1, sizeof(*res) + nr * sizeof(*iov));
	res->id = id;
	res->nr = nr;
	memcpy(res->iov, iov, nr * sizeof(*iov));
	res->next = first;
	res->prev = &first;
	if (first)
		first->prev = &res->next;
	first = resources[id] = res;
	live++;
	report();
	return 0;
}

int virgl_renderer_transfer_write_iov(uint32_t id, uint32_t ctx, int level, uint32_t stride,
				      uint32_t layer_stride, void *box, uint64_t offset,
				      struct iovec *iov, unsigned int nr)
{
	struct resource *res = find(id);

	if (res && pages(res) == BO_PAGES && (word(res, 0) & PATTERN_MASK) == PATTERN) {
		res->ours = true;
		check(res, 1);
	}
	return REAL(virgl_renderer_transfer_write_iov)(id, ctx, level, stride, layer_stride,
						       box, offset, iov, nr);
}

/* The host writes into the guest's memory, with what was uploaded. */
int virgl_renderer_transfer_read_iov(uint32_t id, uint32_t ctx, uint32_t level, uint32_t stride,
				     uint32_t layer_stride, void *box, uint64_t offset,
				     struct iovec *iov, int nr)
{
	struct resource *res = find(id);

	if (res && res->ours)
		check(res, 1);
	return REAL(virgl_renderer_transfer_read_iov)(id, ctx, level, stride, layer_stride,
						      box, offset, iov, nr);
}

void virgl_renderer_resource_detach_iov(int id, struct iovec **iov, int *nr)
{
	struct resource *res = find(id);

	refusing = 0;
	if (res && res->ours) {
		check(res, 1);
		report();
		if (chance(refuse)) {
			refusing = id;
			*iov = NULL;
			*nr = 0;
			return;
		}
	}
	if (res)
		forget(res);
	REAL(virgl_renderer_resource_detach_iov)(id, iov, nr);
}

void virgl_renderer_resource_unref(uint32_t id)
{
	if (refusing != id)
		REAL(virgl_renderer_resource_unref)(id);
}

/* The answer to the command in execution comes with its fence. */
int virgl_renderer_create_fence(int fence, uint32_t ctx)
{
	if (refusing)
		refused_fences[fence % 4096u] = fence;
	refusing = 0;
	return REAL(virgl_renderer_create_fence)(fence, ctx);
}

/* What QEMU reads a backing from the guest with. */
int virtio_gpu_create_mapping_iov(void *gpu, uint32_t entries, uint32_t offset, void *cmd,
				  void *addr, void *iov, void *niov)
{
	if (chance(attach)) {
		refused++;
		report();
		return -1;
	}
	return REAL(virtio_gpu_create_mapping_iov)(gpu, entries, offset, cmd, addr, iov, niov);
}

void virtio_gpu_ctrl_response_nodata(void *gpu, void *cmd, int type)
{
	const struct {
		uint32_t type, flags;
		uint64_t fence;
	} *hdr = cmd + CMD_HDR;
	uint32_t *fence = &refused_fences[hdr->fence % 4096];
	bool refuse_it = refusing;

	if (hdr->type < 0x100 || hdr->type >= 0x400) {
		fprintf(stderr, "virgl-preload: does not know this QEMU\n");
		abort();
	}
	if (hdr->flags & 1 && *fence && *fence == (uint32_t)hdr->fence) {
		*fence = 0;
		refuse_it = true;
	}
	if (type == RESP_OK_NODATA &&
	    (refuse_it || (hdr->type != CMD_ATTACH && chance(errors)))) {
		type = RESP_ERR_UNSPEC;
		refused++;
		report();
	}
	refusing = 0;
	REAL(virtio_gpu_ctrl_response_nodata)(gpu, cmd, type);
}

/* QEMU calls this when there are commands, and every 10 ms until there are none. */
void virtio_gpu_process_cmdq(void *gpu)
{
	if (report_fd >= 0)
		obey();
	if (delay_max && !late_until) {
		late_until = now_ms() + delay_min + random() % (delay_max - delay_min + 1);
		delays++;
		report();
	}
	if (late_until && now_ms() < late_until) {
		check_all(WORDS);
		return;
	}
	late_until = 0;
	REAL(virtio_gpu_process_cmdq)(gpu);
}

/* Up to here the host has all backings; QEMU forgets them when it is next sent something. */
void virtio_gpu_reset(void *vdev)
{
	check_all(1);
	while (first)
		forget(first);
	report();
	REAL(virtio_gpu_reset)(vdev);
}

/* In vhost-user-gpu, a resource has such an image. */
static bool is_resource(void *image)
{
	static int (*width)(void *), (*height)(void *);

	if (report_fd < 0 || !image)
		return false;
	if (!height) {
		width = real("pixman_image_get_width", NULL);
		height = real("pixman_image_get_height", NULL);
	}
	return width(image) == BO_WIDTH && height(image) == BO_PAGES * PAGE / BO_WIDTH / 4;
}

void *pixman_image_create_bits(int format, int width, int height, uint32_t *bits, int stride)
{
	void *image = REAL(pixman_image_create_bits)(format, width, height, bits, stride);

	if (image && is_resource(image)) {
		live++;
		report();
	}
	return image;
}

int pixman_image_unref(void *image)
{
	if (is_resource(image)) {
		live--;
		report();
	}
	return REAL(pixman_image_unref)(image);
}
