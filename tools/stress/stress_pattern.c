// SPDX-License-Identifier: GPL-2.0-only
/*
 * What BOs are filled with, so that each word says whose it is: a magic number, the owner
 * (which life of which process, and its thread), a generation that is new with each fill, and
 * its place in the BO. In three of four generations 64 words in a row are alike, so that
 * swap in memory can pack them.
 *
 * A mapping of a purged BO raises SIGBUS, which ends the look or the fill.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stress.h"

#define MAGIC 0xb05ull		/* 12 bits, then 12 of the owner, 22 and 18 */
#define GENERATIONS (1u << 22)
#define PLACES (1ull << 18)
#define MAX_LINES 40

static __thread sigjmp_buf landing;
static __thread volatile sig_atomic_t armed;
static __thread volatile uint64_t page; /* the first word of what is looked at */

static void on_sigbus(int sig)
{
	/* not one of ours: again, and the process ends of it */
	if (!armed) {
		signal(sig, SIG_DFL);
		return;
	}
	siglongjmp(landing, 1);
}

void contents_init(void)
{
	struct sigaction action = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
}

static void arm(bool on)
{
	atomic_signal_fence(memory_order_seq_cst);
	armed = on;
	atomic_signal_fence(memory_order_seq_cst);
}

uint32_t contents_owner(uint32_t life, uint32_t proc, uint32_t thread)
{
	return (life & 0xf) << 8 | proc << 4 | thread;
}

static uint64_t first_word(struct contents contents)
{
	return MAGIC << 52 | (uint64_t)contents.owner << 40 |
	       (uint64_t)(contents.generation % GENERATIONS) << 18;
}

static uint64_t place_mask(struct contents contents)
{
	return contents.generation % 4 ? ~63ull : ~0ull;
}

uint64_t contents_word(struct contents contents, uint64_t index)
{
	return contents.generation ? first_word(contents) | (index & place_mask(contents)) : 0;
}

/* What touches the mapping has nothing that a jump out of it could spoil. */
static __attribute__((noinline)) void fill(volatile uint64_t *map, uint64_t words, uint64_t base,
					   uint64_t mask)
{
	for (uint64_t i = 0; i < words; i++)
		map[i] = base | (i & mask);
}

static __attribute__((noinline)) struct sight look(const volatile uint64_t *map, uint64_t first,
						   uint64_t words, uint64_t base, uint64_t mask)
{
	for (uint64_t i = first; i < first + words; i++) {
		uint64_t word;

		if (i % 512 == 0 || i == first)
			page = i;
		word = map[i];
		if (word != (base | (i & mask)))
			return (struct sight){ SEEN_OTHER, i, word };
	}
	return (struct sight){ .what = SEEN_RIGHT };
}

/* false: SIGBUS */
bool contents_fill(uint64_t *map, uint64_t size, struct contents contents)
{
	if (sigsetjmp(landing, 0)) {
		arm(false);
		return false;
	}
	arm(true);
	fill(map, size / sizeof(*map), first_word(contents), place_mask(contents));
	arm(false);
	return true;
}

struct sight contents_look(const uint64_t *map, uint64_t first, uint64_t words,
			   struct contents contents)
{
	struct sight sight;

	if (sigsetjmp(landing, 0)) {
		arm(false);
		return (struct sight){ SEEN_SIGBUS, page, 0 };
	}
	arm(true);
	if (contents.generation)
		sight = look(map, first, words, first_word(contents), place_mask(contents));
	else
		sight = look(map, first, words, 0, 0);
	arm(false);
	return sight;
}

/* How many words are not right, or cannot be seen, of which the first is known to be one. */
uint64_t contents_wrong(const uint64_t *map, uint64_t first, uint64_t words,
			struct contents contents)
{
	uint64_t end = first + words, wrong = 1;

	while (++first < end) {
		struct sight sight = contents_look(map, first, end - first, contents);

		if (sight.what == SEEN_RIGHT)
			break;
		first = sight.index;
		wrong += sight.what == SEEN_SIGBUS ? end - first : 1;
		if (sight.what == SEEN_SIGBUS)
			break;
	}
	return wrong;
}

/* Is it from a BO of another thread, life or process? */
bool contents_are_foreign(struct contents wanted, uint64_t word)
{
	return word >> 52 == MAGIC && (word >> 40 & 0xfff) != wanted.owner;
}

void contents_describe(char *text, size_t len, uint64_t word)
{
	uint32_t owner = word >> 40 & 0xfff;
	unsigned int generation = (word >> 18) % GENERATIONS, place = word % PLACES;

	if (!word)
		snprintf(text, len, "zero");
	else if (word >> 52 != MAGIC)
		snprintf(text, len, "0x%016" PRIx64 ", not of any BO", word);
	else if (owner == HOG_OWNER)
		snprintf(text, len, "word %u, generation %u of the hog", place, generation);
	else
		snprintf(text, len, "word %u, generation %u of process %u, life %u mod 16, thread %u",
			 place, generation, owner >> 4 & 0xf, owner >> 8, owner & 0xf);
}

/* A line for what must not be. For children too, which may not use stdio. */
void report(const struct stress *me, struct bo *bo, enum count what, const char *format, ...)
{
	static const char *const states[] = { "needed", "given up", "purged" };
	char line[512];
	size_t len;
	va_list args;

	count(what);
	if (bo)
		bo->bad = true;
	if (atomic_fetch_add(&shared->lines, 1) >= MAX_LINES)
		return;

	len = snprintf(line, sizeof(line), "BAD %s: ", count_names[what]);
	if (me)
		len += snprintf(line + len, sizeof(line) - len, "process %u, life %u, thread %u%s: ",
				me->proc, me->life, me->thread, me->is_child ? ", child" : "");
	if (bo)
		len += snprintf(line + len, sizeof(line) - len,
				"BO %u, resource %u, %" PRIu64 " KiB, %s%s%s%s, %s, did %s: ",
				bo->handle, bo->resource, bo->size / 1024, states[bo->state],
				bo->custom ? ", custom" : "", bo->share ? ", shared" : "",
				bo->was_shared ? ", was shared" : "",
				bo->imported ? "imported" : "own", bo->history);
	va_start(args, format);
	len += vsnprintf(line + len, sizeof(line) - len, format, args);
	va_end(args);
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(STDOUT_FILENO, line, len) < 0)
		return;
}
