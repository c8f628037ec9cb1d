// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copyright 2026 The GEM shrinker project
 *
 * Programs of gem-fuzz: made at random, changed, and as text.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* how many slots there are of each kind, and the likeliest are the first */
static const struct {
	char kind;
	unsigned int count;
} slots[] = {
	{ 'f', 3 }, { 'h', FUZZ_SLOTS }, { 'p', 4 }, { 'm', 4 }, { 's', 4 }, { 'x', 2 },
	{ 'k', 2 }, { 'd', 2 },
};

static const uint64_t boundary[] = {
	0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 1000, 4095,
	4096, 4097, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffff000, 0xfffffffe, 0xffffffff,
	0x100000000, 0x100000001, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffff000,
	0xffffffffffffffff,
};

/* what an argument of each kind mostly is */
#define LIST(letter, ...) { letter, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, \
			    (const uint64_t[]){ __VA_ARGS__ } }
static const struct {
	char kind;
	unsigned int count;
	const uint64_t *values;
} lists[] = {
	LIST('g', 1, 1, 1, 1, 1, 2, 2, 3, 4, 4, 16, 64),		/* pages of a BO */
	LIST('a', 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 3),		/* advice */
	LIST('i', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3,
	     4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x100, 0x104, 0x108, 0x110, 0x1f0,
	     0x200),						/* field, see fuzz_patch() */
	LIST('v', 0, 1, 2, 4, 64, 4096, 0xffffffff),		/* its value */
	LIST('b', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3),			/* flags, pad */
	LIST('q', 1, 8, 32, 300, 100000000),			/* pages to scan */
	LIST('w', 0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4),		/* kind of scan */
	LIST('r', 3, 3, 3, 3, 3, 1, 2, 0, 7),			/* PROT_* */
	LIST('c', 0, 0, 0, 0, 1),				/* shared or private */
	LIST('e', 0x80002, 0x80002, 0x80002, 2, 0x80000, 0),	/* O_CLOEXEC, O_RDWR */
	LIST('o', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 15, 63, 255, 0x10000),/* page in a BO */
	LIST('j', 2, 2, 2, 2, 2, 2, 120, 120, 120, 1, 3, 9, 121),	/* type of job */
};

static __thread uint64_t random_state = 1;

void fuzz_seed(uint64_t seed)
{
	random_state = seed * 2 + 1;
	for (int i = 0; i < 8; i++)
		fuzz_random();
}

/* splitmix64 */
uint64_t fuzz_random(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static unsigned int below(unsigned int n)
{
	return fuzz_random() % n;
}

static struct arg garbage(void)
{
	uint64_t value = boundary[below(sizeof(boundary) / sizeof(*boundary))];

	switch (below(6)) {
	case 0:
		value = fuzz_random();
		break;
	case 1:
		value = fuzz_random() >> below(64);
		break;
	case 2:
		value += fuzz_random() % 9 - 4;
		break;
	}
	return (struct arg){ .value = value };
}

static struct arg random_arg(char kind)
{
	for (unsigned int i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
		if (slots[i].kind != tolower(kind))
			continue;
		/* A file has to be one, and so has what is filled. */
		if (islower(kind) && kind != 'f' && !below(32))
			return garbage();
		return (struct arg){
			.slot = slots[i].kind,
			.value = below(3) ? below(slots[i].count) * below(2) : below(slots[i].count),
		};
	}
	if (kind == 't')
		return (struct arg){ .value = below(2) ? below(4) : below(256) };
	for (unsigned int i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (lists[i].kind == kind && below(24))
			return (struct arg){ .value = lists[i].values[below(lists[i].count)] };
	return garbage();
}

/* An argument that some call before number `at` has filled, and that call's first */
static bool filled_arg(const struct program *program, unsigned int at, char kind,
		       struct arg *arg, struct arg *file)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < at; i++) {
		const struct call *call = &program->call[i];
		const char *kinds = fuzz_op[call->op]->args;
		const char *found = strchr(kinds, toupper(kind));

		if (found && !below(++n)) {
			*arg = call->args[found - kinds];
			*file = call->args[0];
		}
	}
	return n;
}

/* Would the call be about something that no call before it has made? */
static bool is_idle(const char *kinds, const struct program *program, unsigned int at)
{
	struct arg arg, file;

	for (; *kinds; kinds++)
		if (strchr("hpmsxkd", *kinds) && !filled_arg(program, at, *kinds, &arg, &file))
			return true;
	return false;
}

/* For place `at`: mostly on what is there by then, in the file where it is. */
static void random_call(struct call *call, const struct program *program, unsigned int at)
{
	static unsigned int total;
	const char *kinds;

	if (!total)
		for (unsigned int i = 0; i < fuzz_ops; i++)
			total += fuzz_op[i]->weight;
	memset(call, 0, sizeof(*call));
	do {
		unsigned int n = below(total);

		call->op = 0;
		while (n >= fuzz_op[call->op]->weight)
			n -= fuzz_op[call->op++]->weight;
		kinds = fuzz_op[call->op]->args;
	} while (below(16) && is_idle(kinds, program, at));
	for (unsigned int i = 0; kinds[i]; i++) {
		struct arg file;

		call->args[i] = random_arg(kinds[i]);
		if (strchr("hpmsxkd", kinds[i]) && below(16) &&
		    filled_arg(program, at, kinds[i], &call->args[i], &file) &&
		    strchr("hs", kinds[i]) && strchr(kinds, 'f') && below(10))
			call->args[strchr(kinds, 'f') - kinds] = file;
	}
}

static void insert(struct program *program, unsigned int at, const struct call *call)
{
	if (program->calls == FUZZ_CALLS)
		program->calls--;
	if (at > program->calls)
		at = program->calls;
	memmove(program->call + at + 1, program->call + at,
		(program->calls - at) * sizeof(*call));
	program->call[at] = *call;
	program->calls++;
}

static void append(struct program *program, const char *name, const struct arg *args)
{
	struct call call = {};

	while (call.op < fuzz_ops && strcmp(fuzz_op[call.op]->name, name))
		call.op++;
	memcpy(call.args, args, sizeof(call.args));
	insert(program, program->calls, &call);
}

void fuzz_generate(struct program *program)
{
	struct call call;

	memset(program, 0, sizeof(*program));
	program->twice = !below(8);
	for (unsigned int n = 4 + below(FUZZ_CALLS / 2); program->calls < n;) {
		const char *kinds;

		random_call(&call, program, program->calls);
		kinds = fuzz_op[call.op]->args;
		if (!program->calls && !strchr(kinds, 'H'))
			continue;
		insert(program, program->calls, &call);
		/* Few things get far without a mapping. */
		if (!strncmp(kinds, "fH", 2) && below(3)) {
			append(program, "map", (struct arg[FUZZ_ARGS]){ call.args[0], call.args[1] });
			append(program, "mmap", (struct arg[FUZZ_ARGS]){
				random_arg('M'), call.args[0], call.args[1],
				call.args[strchr(kinds, 'g') - kinds],
				{ 0 }, { .value = 3 },
			});
		}
	}
}

static void mutate_once(struct program *program, const struct program *other)
{
	unsigned int at = program->calls ? below(program->calls) : 0;
	struct call call;
	const char *kinds;
	unsigned int arg;

	switch (program->calls ? below(10) : 0) {
	case 0:
	case 1:
		at += below(2);
		random_call(&call, program, at);
		insert(program, at, &call);
		break;
	case 2:
		memmove(program->call + at, program->call + at + 1,
			(program->calls - at - 1) * sizeof(call));
		program->calls--;
		break;
	case 3:
		call = program->call[at];
		insert(program, at + below(program->calls - at + 1), &call);
		break;
	case 4:
		/* ends as the other one does */
		for (unsigned int i = other->calls ? below(other->calls) : 0;
		     i < other->calls && at < FUZZ_CALLS; i++)
			program->call[at++] = other->call[i];
		program->calls = at;
		break;
	case 5:
		program->twice ^= !below(4);
		break;
	default:
		kinds = fuzz_op[program->call[at].op]->args;
		if (!*kinds)
			break;
		arg = below(strlen(kinds));
		if (!program->call[at].args[arg].slot && below(2))
			program->call[at].args[arg].value ^= 1ull << below(below(4) ? 8 : 64);
		else
			program->call[at].args[arg] = random_arg(kinds[arg]);
	}
}

/* The one, and then the other, as far as there is room */
void fuzz_append(struct program *program, const struct program *other)
{
	for (unsigned int i = 0; i < other->calls && program->calls < FUZZ_CALLS; i++)
		program->call[program->calls++] = other->call[i];
}

void fuzz_mutate(struct program *program, const struct program *other)
{
	for (unsigned int n = 1 + below(4); n; n--)
		mutate_once(program, other);
}

/* Returns the length. */
int fuzz_print(char *text, const struct program *program)
{
	int n = sprintf(text, "%s", program->twice ? "2: " : "");

	for (unsigned int i = 0; i < program->calls; i++) {
		const struct op *op = fuzz_op[program->call[i].op];

		n += sprintf(text + n, "%s%s", i ? "; " : "", op->name);
		for (unsigned int j = 0; op->args[j]; j++) {
			const struct arg *arg = &program->call[i].args[j];

			if (n > FUZZ_TEXT - 64)
				return n;
			if (arg->slot)
				n += sprintf(text + n, " %c%u", arg->slot, (unsigned int)arg->value);
			else
				n += sprintf(text + n, arg->value < 4096 ? " %llu" : " 0x%llx",
					     (unsigned long long)arg->value);
		}
	}
	return n;
}

static bool parse_call(struct call *call, char *text)
{
	char *rest, *word = strtok_r(text, " ", &rest);
	const struct op *op;

	memset(call, 0, sizeof(*call));
	while (word && call->op < fuzz_ops && strcmp(fuzz_op[call->op]->name, word))
		call->op++;
	if (!word || call->op == fuzz_ops)
		return false;
	op = fuzz_op[call->op];
	for (unsigned int i = 0; op->args[i]; i++) {
		struct arg *arg = &call->args[i];

		word = strtok_r(NULL, " ", &rest);
		if (!word)
			return false;
		for (unsigned int j = 0; j < sizeof(slots) / sizeof(*slots); j++)
			if (slots[j].kind == *word && tolower(op->args[i]) == *word)
				arg->slot = *word;
		arg->value = strtoull(word + !!arg->slot, &word, 0);
		if (*word || (isupper(op->args[i]) && !arg->slot))
			return false;
		for (unsigned int j = 0; arg->slot && j < sizeof(slots) / sizeof(*slots); j++)
			if (slots[j].kind == arg->slot && arg->value >= slots[j].count)
				return false;
		if (op->args[i] == 'f' && !arg->slot)
			return false;
	}
	return true;
}

bool fuzz_parse(struct program *program, const char *text)
{
	char line[FUZZ_TEXT], *rest, *call;

	memset(program, 0, sizeof(*program));
	if (!strncmp(text, "2: ", 3)) {
		program->twice = true;
		text += 3;
	}
	snprintf(line, sizeof(line), "%s", text);
	line[strcspn(line, "\r\n")] = 0;
	for (call = strtok_r(line, ";", &rest); call; call = strtok_r(NULL, ";", &rest)) {
		if (program->calls == FUZZ_CALLS ||
		    !parse_call(&program->call[program->calls++], call))
			return false;
	}
	return program->calls;
}
