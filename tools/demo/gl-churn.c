// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GL program as a user has them: allocates vertex buffers, textures and renderbuffers, draws
 * with them, frees them, and compares every pixel with what it must be. Each frame replaces
 * half of the buffers and textures, writes some of the others again, and draws with all of
 * them. First and last, it draws with new buffers of indices, vertices and uniforms, asks
 * queries which parts of that were visible, and frees them all. What it does depends on
 * nothing but its arguments.
 *
 * usage: gl-churn [-s SEED] [-b BUFFERS] [-k KIB] [-t TEXTURES] [-f FRAMES] [-d SECONDS]
 *                 [-i STATE-FILE READY-FILE]
 *	-s SEED      (1)
 *	-b BUFFERS   vertex buffers that are there at a time (64)
 *	-k KIB       size of the largest; the smallest has 5/8 of that (64)
 *	-t TEXTURES  that are there at a time (4)
 *	-f FRAMES    frames to draw (10)
 *	-d SECONDS   draws for that long instead
 *	-i           then frees everything and lies idle, and draws one more frame at SIGUSR1;
 *	             STATE-FILE is that of the scene (scene.h), READY-FILE appears when it is idle
 *
 * Prints
 *	GL-DRIVER file renderer           what it draws with
 *	GL-IDLE buffers N bytes N ms T    it has freed so much, in that time: all of it can be
 *	                                  in the driver's cache, if that keeps it for long enough
 *	GL-NEXT wrong N ms T              the frame after that
 *	GL frames N pixels N wrong N      last line; queries that were wrong count as pixels
 *
 * Exit: 0 no wrong pixel, 1 an error of GL or EGL, a lost context, or another driver than
 * virgl, 3 wrong pixels.
 */
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GLES3/gl3.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "scene.h"

typedef GLenum (*reset_status_fn)(void); /* of GL_EXT_robustness */

#define STRIDE 2048	/* one point for each half page of a buffer, so that a lost page is seen */
#define TEX_SIZE 64

/* what is drawn by indices: buffers of one page each, smaller than any other */
#define PAGE 4096
#define GRID 32		/* points in a row and in a column */
#define INDICES (PAGE / 2)
#define UNIFORMS (PAGE / 16)
#define PARTS 8		/* with a query each */

struct vertex {
	float x, y;
	uint8_t colour[4];
};

struct buffer {
	GLuint name;
	uint32_t size, version;
};

struct texture {
	GLuint name;
	uint32_t version;
};

static unsigned int seed = 1, nr_buffers = 64, max_kib = 64, nr_textures = 4;
static unsigned int width;		/* and height of a frame */
static unsigned int max_points;		/* in one buffer */
static struct buffer *buffers;
static struct texture *textures;
static uint8_t *staging, *pixels, (*expected)[4];
static GLuint points_program, points_invert, quad_program, quad, indexed_program;
static GLuint indices, vertices, uniforms;	/* all new for indexed_program */
static reset_status_fn reset_status;
static uint64_t random_state, nr_frames, nr_pixels, nr_wrong;
static volatile sig_atomic_t asked;

static void on_usr1(int sig)
{
	(void)sig;
	asked = 1;
}

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("gl-churn: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void check(const char *what)
{
	GLenum error = glGetError();

	if (error != GL_NO_ERROR)
		die("GL error 0x%04x, %s, frame %llu", error, what, (unsigned long long)nr_frames);
	error = reset_status ? reset_status() : GL_NO_ERROR;
	if (error != GL_NO_ERROR)
		die("context lost (0x%04x), %s, frame %llu", error, what,
		    (unsigned long long)nr_frames);
}

static uint32_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ULL;
	return x >> 32;
}

/* one in N, roughly */
static int one_in(unsigned int n)
{
	return mix(++random_state) % n == 0;
}

/* word I of what version VERSION of slot SLOT consists of: any two differ */
static uint32_t content(uint32_t slot, uint32_t version, uint32_t i)
{
	return mix((uint64_t)seed << 56 ^ (uint64_t)slot << 40 ^ (uint64_t)version << 20 ^ i);
}

static GLuint shader(GLenum type, const char *source)
{
	GLuint name = glCreateShader(type);
	GLint good = 0;

	glShaderSource(name, 1, &source, NULL);
	glCompileShader(name);
	glGetShaderiv(name, GL_COMPILE_STATUS, &good);
	if (!good)
		die("a shader does not compile");
	return name;
}

static GLuint program(const char *vertex, const char *fragment)
{
	GLuint name = glCreateProgram();
	GLint good = 0;

	glAttachShader(name, shader(GL_VERTEX_SHADER, vertex));
	glAttachShader(name, shader(GL_FRAGMENT_SHADER, fragment));
	glBindAttribLocation(name, 0, "place");
	glBindAttribLocation(name, 1, "colour");
	glLinkProgram(name);
	glGetProgramiv(name, GL_LINK_STATUS, &good);
	if (!good)
		die("a program does not link");
	return name;
}

/* the file of the driver, as it is mapped, and what the driver says it is */
static void print_driver(void)
{
	const char *renderer = (const char *)glGetString(GL_RENDERER);
	char line[512], path[256] = "-";
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "/libgallium"))
			sscanf(strchr(line, '/'), "%255s", path);
	}
	if (maps)
		fclose(maps);
	printf("GL-DRIVER %s %s\n", path, renderer ? renderer : "-");
	/* software would pass every test */
	if (!renderer || strncmp(renderer, "virgl", 5))
		die("this is not virgl");
}

static void start_gl(void)
{
	static const EGLint attributes[] = { EGL_CONTEXT_CLIENT_VERSION, 3, EGL_NONE };
	static const float corners[] = { -1, -1, 1, -1, -1, 1, 1, 1 };
	EGLDisplay display = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA,
						   EGL_DEFAULT_DISPLAY, NULL);
	const char *extensions;
	EGLContext context;

	if (!eglInitialize(display, NULL, NULL) || !eglBindAPI(EGL_OPENGL_ES_API))
		die("no EGL: 0x%04x", eglGetError());
	context = eglCreateContext(display, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT, attributes);
	if (!context || !eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context))
		die("no context: 0x%04x", eglGetError());
	print_driver();
	extensions = (const char *)glGetString(GL_EXTENSIONS);
	if (extensions && strstr(extensions, "GL_EXT_robustness"))
		reset_status = (reset_status_fn)eglGetProcAddress("glGetGraphicsResetStatusEXT");

	points_program = program(
		"attribute vec2 place; attribute vec4 colour; varying vec4 c; uniform float invert;"
		"void main() { gl_Position = vec4(place, 0.0, 1.0); gl_PointSize = 1.0;"
		" c = abs(vec4(invert, invert, invert, 0.0) - colour); }",
		"precision highp float; varying vec4 c; void main() { gl_FragColor = c; }");
	points_invert = glGetUniformLocation(points_program, "invert");
	quad_program = program(
		"attribute vec2 place; varying vec2 at;"
		"void main() { gl_Position = vec4(place, 0.0, 1.0); at = place * 0.5 + 0.5; }",
		"precision highp float; varying vec2 at; uniform sampler2D texture;"
		"void main() { gl_FragColor = texture2D(texture, at); }");
	/* UNIFORMS and GRID */
	indexed_program = program(
		"#version 300 es\n"
		"in vec4 colour; flat out vec4 c; layout(std140) uniform block { vec4 invert[256]; };"
		"void main() { int i = gl_VertexID; gl_PointSize = 1.0;"
		" gl_Position = vec4((vec2(i % 32, i / 32) + 0.5) / 16.0 - 1.0, 0.0, 1.0);"
		" c = abs(invert[i % 256] - colour); }",
		"#version 300 es\n"
		"precision highp float; flat in vec4 c; out vec4 to; void main() { to = c; }");
	glGenBuffers(1, &quad);
	glBindBuffer(GL_ARRAY_BUFFER, quad);
	glBufferData(GL_ARRAY_BUFFER, sizeof(corners), corners, GL_STATIC_DRAW);
	glPixelStorei(GL_PACK_ALIGNMENT, 1);
	check("at the start");
}

static void colour_of(uint32_t slot, uint32_t version, uint32_t i, uint8_t colour[4])
{
	uint32_t word = content(slot, version, i);

	memcpy(colour, &word, 4);
	/* no point at all looks different */
	colour[3] = 255;
}

/* writes a point for each half page of a buffer */
static void fill_buffer(const struct buffer *b, uint32_t slot, uint8_t *to)
{
	for (uint32_t i = 0; i < b->size / STRIDE; i++) {
		uint32_t at = slot * max_points + i;
		struct vertex v = {
			.x = (at % width + 0.5f) * 2 / width - 1,
			.y = (at / width + 0.5f) * 2 / width - 1,
		};

		colour_of(slot, b->version, i, v.colour);
		memcpy(to + i * STRIDE, &v, sizeof(v));
	}
}

static void delete_buffer(struct buffer *b)
{
	glDeleteBuffers(1, &b->name);
	b->name = 0;
}

static void update_buffer(struct buffer *b, uint32_t slot)
{
	int is_new = !b->name;

	if (is_new) {
		glGenBuffers(1, &b->name);
		b->size = max_kib * 1024 / 8 * (5 + mix(++random_state) % 4) / STRIDE * STRIDE;
	}
	b->version++;
	glBindBuffer(GL_ARRAY_BUFFER, b->name);
	if (is_new && slot % 2) {
		uint8_t *map;

		glBufferData(GL_ARRAY_BUFFER, b->size, NULL, GL_STATIC_DRAW);
		map = glMapBufferRange(GL_ARRAY_BUFFER, 0, b->size, GL_MAP_WRITE_BIT);
		if (!map)
			die("cannot map a buffer: 0x%04x", glGetError());
		fill_buffer(b, slot, map);
		if (!glUnmapBuffer(GL_ARRAY_BUFFER))
			die("a buffer lost its contents");
		return;
	}
	fill_buffer(b, slot, staging);
	if (is_new)
		glBufferData(GL_ARRAY_BUFFER, b->size, staging, GL_STATIC_DRAW);
	else
		glBufferSubData(GL_ARRAY_BUFFER, 0, b->size, staging);
}

static void update_texture(struct texture *t, uint32_t slot)
{
	if (!t->name) {
		glGenTextures(1, &t->name);
		glBindTexture(GL_TEXTURE_2D, t->name);
		glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
		glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
	}
	t->version++;
	for (uint32_t i = 0; i < TEX_SIZE * TEX_SIZE; i++)
		colour_of(nr_buffers + slot, t->version, i, staging + i * 4);
	glBindTexture(GL_TEXTURE_2D, t->name);
	glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, TEX_SIZE, TEX_SIZE, 0, GL_RGBA, GL_UNSIGNED_BYTE,
		     staging);
}

static void update_all(void)
{
	for (uint32_t i = 0; i < nr_buffers; i++) {
		struct buffer *b = &buffers[i];

		if (b->name && one_in(2))
			delete_buffer(b);
		if (!b->name || one_in(4))
			update_buffer(b, i);
	}
	for (uint32_t i = 0; i < nr_textures; i++) {
		struct texture *t = &textures[i];

		if (t->name && one_in(2)) {
			glDeleteTextures(1, &t->name);
			t->name = 0;
		}
		if (!t->name || one_in(4))
			update_texture(t, i);
	}
	check("while it updated buffers and textures");
}

/* reads SIZE x SIZE pixels and compares; number of wrong ones */
static uint64_t compare(uint32_t size, const char *what)
{
	uint64_t wrong = 0;

	memset(pixels, 0x5a, size * size * 4);
	glReadPixels(0, 0, size, size, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
	check("while it read pixels");
	nr_pixels += size * size;
	for (uint32_t i = 0; i < size * size; i++) {
		const uint8_t *is = pixels + i * 4, *want = expected[i];

		if (!memcmp(is, want, 4))
			continue;
		if (!wrong++ && !nr_wrong)
			fprintf(stderr,
				"gl-churn: frame %llu, %s, pixel %u,%u is %02x%02x%02x%02x, not %02x%02x%02x%02x\n",
				(unsigned long long)nr_frames, what, i % size, i / size,
				is[0], is[1], is[2], is[3], want[0], want[1], want[2], want[3]);
	}
	nr_wrong += wrong;
	return wrong;
}

static void draw_buffers(int invert)
{
	glUniform1f(points_invert, invert);
	for (uint32_t i = 0; i < nr_buffers; i++) {
		glBindBuffer(GL_ARRAY_BUFFER, buffers[i].name);
		glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, STRIDE, NULL);
		glVertexAttribPointer(1, 4, GL_UNSIGNED_BYTE, GL_TRUE, STRIDE,
				      (void *)offsetof(struct vertex, colour));
		glDrawArrays(GL_POINTS, 0, buffers[i].size / STRIDE);
	}
}

/* a point for each half page of every buffer; draws all again where depth forbids it */
static uint64_t check_buffers(void)
{
	glViewport(0, 0, width, width);
	glClearColor(0, 0, 0, 0);
	glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
	glUseProgram(points_program);
	glEnable(GL_DEPTH_TEST);
	glDepthFunc(GL_LESS);
	glEnableVertexAttribArray(0);
	glEnableVertexAttribArray(1);
	draw_buffers(0);
	draw_buffers(1);
	glDisable(GL_DEPTH_TEST);
	glDisableVertexAttribArray(1);
	check("while it drew points");

	memset(expected, 0, width * width * 4);
	for (uint32_t slot = 0; slot < nr_buffers; slot++) {
		struct buffer *b = &buffers[slot];

		for (uint32_t i = 0; i < b->size / STRIDE; i++)
			colour_of(slot, b->version, i, expected[slot * max_points + i]);
	}
	return compare(width, "buffers");
}

static uint64_t check_textures(void)
{
	uint64_t wrong = 0;

	glViewport(0, 0, TEX_SIZE, TEX_SIZE);
	glUseProgram(quad_program);
	glBindBuffer(GL_ARRAY_BUFFER, quad);
	glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
	for (uint32_t slot = 0; slot < nr_textures; slot++) {
		glBindTexture(GL_TEXTURE_2D, textures[slot].name);
		glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
		check("while it drew a texture");
		for (uint32_t i = 0; i < TEX_SIZE * TEX_SIZE; i++)
			colour_of(nr_buffers + slot, textures[slot].version, i, expected[i]);
		wrong += compare(TEX_SIZE, "texture");
	}
	return wrong;
}

static GLuint new_buffer(GLenum target)
{
	GLuint name;

	glGenBuffers(1, &name);
	glBindBuffer(target, name);
	glBufferData(target, PAGE, NULL, GL_STATIC_DRAW);
	return name;
}

/* indices come first: the driver's cache is searched for them before it throws old ones away */
static void new_indexed(void)
{
	indices = new_buffer(GL_ELEMENT_ARRAY_BUFFER);
	vertices = new_buffer(GL_ARRAY_BUFFER);
	uniforms = new_buffer(GL_UNIFORM_BUFFER);
}

/*
 * Draws some of a grid of points, in parts, of which depth hides some. Nothing else has an index
 * buffer, so this one may be what the host drew with last. If it was replaced since, and the
 * host still has the old one, other points are drawn than these.
 */
static uint64_t check_indexed(void)
{
	static uint32_t version;
	uint32_t slot = nr_buffers + nr_textures;
	GLuint queries[PARTS];
	float invert[UNIFORMS][4] = { 0 };
	uint16_t index[INDICES];
	uint64_t wrong;

	version++;
	for (uint32_t i = 0; i < INDICES; i++)
		index[i] = content(slot + 1, version, i) % (GRID * GRID);
	for (uint32_t i = 0; i < UNIFORMS * 3; i++)
		invert[i / 3][i % 3] = content(slot + 2, version, i) % 2;
	for (uint32_t i = 0; i < GRID * GRID; i++)
		colour_of(slot, version, i, staging + i * 4);
	glBufferSubData(GL_ELEMENT_ARRAY_BUFFER, 0, sizeof(index), index);
	glBufferSubData(GL_ARRAY_BUFFER, 0, GRID * GRID * 4, staging);
	glBufferSubData(GL_UNIFORM_BUFFER, 0, sizeof(invert), invert);
	glBindBufferBase(GL_UNIFORM_BUFFER, 0, uniforms);
	glGenQueries(PARTS, queries);

	glViewport(0, 0, GRID, GRID);
	glClearColor(0, 0, 0, 0);
	glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
	glUseProgram(indexed_program);
	glEnable(GL_DEPTH_TEST);
	glEnableVertexAttribArray(1);
	glVertexAttribPointer(1, 4, GL_UNSIGNED_BYTE, GL_TRUE, 0, NULL);
	memset(expected, 0, GRID * GRID * 4);
	for (uint32_t part = 0; part < PARTS; part++) {
		uint32_t first = part * INDICES / PARTS, visible = content(slot + 3, version, part) % 2;

		glDepthFunc(visible ? GL_ALWAYS : GL_NEVER);
		glBeginQuery(GL_ANY_SAMPLES_PASSED, queries[part]);
		glDrawElements(GL_POINTS, INDICES / PARTS, GL_UNSIGNED_SHORT, (void *)(first * 2UL));
		glEndQuery(GL_ANY_SAMPLES_PASSED);
		for (uint32_t i = first; visible && i < first + INDICES / PARTS; i++) {
			uint8_t *to = expected[index[i]];

			memcpy(to, staging + index[i] * 4, 4);
			for (uint32_t j = 0; j < 3; j++)
				to[j] ^= invert[index[i] % UNIFORMS][j] ? 0xff : 0;
		}
	}
	glDisable(GL_DEPTH_TEST);
	check("while it drew by indices");
	wrong = compare(GRID, "indexed");
	for (uint32_t part = 0; part < PARTS; part++) {
		GLuint is, want = content(slot + 3, version, part) % 2;

		glGetQueryObjectuiv(queries[part], GL_QUERY_RESULT, &is);
		if (is == want)
			continue;
		if (!wrong++ && !nr_wrong)
			fprintf(stderr, "gl-churn: frame %llu, query %u is %u, not %u\n",
				(unsigned long long)nr_frames, part, is, want);
		nr_wrong++;
	}

	/* no triangle: the driver turns to other vertices, and has nothing to tell the host */
	glBindBuffer(GL_ARRAY_BUFFER, quad);
	glVertexAttribPointer(1, 4, GL_UNSIGNED_BYTE, GL_TRUE, 0, NULL);
	glDrawArrays(GL_TRIANGLES, 0, 2);
	glDisableVertexAttribArray(1);
	glDeleteBuffers(1, &indices);
	glDeleteBuffers(1, &vertices);
	glDeleteBuffers(1, &uniforms);
	glDeleteQueries(PARTS, queries);
	check("after it drew by indices");
	return wrong;
}

static uint64_t frame(void)
{
	GLuint framebuffer, colour_depth[2];
	uint64_t wrong;

	new_indexed();
	glGenFramebuffers(1, &framebuffer);
	glGenRenderbuffers(2, colour_depth);
	glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
	glBindRenderbuffer(GL_RENDERBUFFER, colour_depth[0]);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, width, width);
	glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER,
				  colour_depth[0]);
	glBindRenderbuffer(GL_RENDERBUFFER, colour_depth[1]);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_DEPTH_COMPONENT16, width, width);
	glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, GL_RENDERBUFFER,
				  colour_depth[1]);
	if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE)
		die("the framebuffer is not complete");
	wrong = check_indexed();
	update_all();
	wrong += check_buffers();
	wrong += check_textures();
	/* what it draws last is small: the driver holds on to what it used last */
	new_indexed();
	wrong += check_indexed();
	glBindFramebuffer(GL_FRAMEBUFFER, 0);
	glDeleteFramebuffers(1, &framebuffer);
	glDeleteRenderbuffers(2, colour_depth);
	check("after a frame");
	nr_frames++;
	return wrong;
}

/* frees everything, says so, and waits for SIGUSR1; then draws again */
static void idle(struct scene *scene, const char *ready_file, const sigset_t *waiting)
{
	uint64_t begin = now_us(), bytes = 0, wrong;
	int ready;

	for (uint32_t i = 0; i < nr_buffers; i++) {
		bytes += (buffers[i].size + 4095) & ~4095u;
		delete_buffer(&buffers[i]);
	}
	for (uint32_t i = 0; i < nr_textures; i++) {
		glDeleteTextures(1, &textures[i].name);
		textures[i].name = 0;
	}
	glFinish();
	check("while it freed everything");
	printf("GL-IDLE buffers %u bytes %llu ms %llu\n", nr_buffers, (unsigned long long)bytes,
	       (unsigned long long)(now_us() - begin) / 1000);

	scene->client_pid = getpid();
	/* where the kernel does not tell how much it is */
	scene->bo_kib = 1;
	scene->created = bytes / 1024;
	ready = open(ready_file, O_CREAT | O_WRONLY, 0600);
	if (ready < 0)
		die("cannot create %s", ready_file);
	close(ready);
	while (!asked)
		sigsuspend(waiting);

	begin = now_us();
	wrong = frame();
	printf("GL-NEXT wrong %llu ms %llu\n", (unsigned long long)wrong,
	       (unsigned long long)(now_us() - begin) / 1000);
}

static void usage(void)
{
	fputs("usage: gl-churn [-s SEED] [-b BUFFERS] [-k KIB] [-t TEXTURES] [-f FRAMES] [-d SECONDS]\n"
	      "                [-i STATE-FILE READY-FILE]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_usr1 };
	unsigned long frames = 10, seconds = 0;
	int opt, then_idle = 0;
	sigset_t usr1, waiting;
	uint64_t end;

	while ((opt = getopt(argc, argv, "s:b:k:t:f:d:i")) != -1) {
		switch (opt) {
		case 's':
			seed = atoi(optarg);
			break;
		case 'b':
			nr_buffers = atoi(optarg);
			break;
		case 'k':
			max_kib = atoi(optarg);
			break;
		case 't':
			nr_textures = atoi(optarg);
			break;
		case 'f':
			frames = atoi(optarg);
			break;
		case 'd':
			seconds = atoi(optarg);
			break;
		case 'i':
			then_idle = 1;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2 * then_idle || !nr_buffers || max_kib < 16 || max_kib % 16)
		usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &waiting);

	random_state = (uint64_t)seed << 32;
	max_points = max_kib * 1024 / STRIDE;
	for (width = TEX_SIZE; width * width < nr_buffers * max_points; width += 16)
		;
	buffers = calloc(nr_buffers, sizeof(*buffers));
	textures = calloc(nr_textures, sizeof(*textures));
	pixels = malloc(width * width * 4);
	expected = malloc(width * width * 4);
	/* of a buffer or of a texture */
	staging = calloc(1, max_kib * 1024 + TEX_SIZE * TEX_SIZE * 4);
	if (!buffers || !textures || !pixels || !expected || !staging)
		die("no memory");
	start_gl();

	end = now_us() + seconds * 1000000;
	while (seconds ? now_us() < end : nr_frames < frames)
		frame();
	if (then_idle)
		idle(scene_open(argv[optind]), argv[optind + 1], &waiting);

	printf("GL frames %llu pixels %llu wrong %llu\n", (unsigned long long)nr_frames,
	       (unsigned long long)nr_pixels, (unsigned long long)nr_wrong);
	if (!nr_frames)
		die("drew nothing");
	return nr_wrong ? 3 : 0;
}
