/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest's program of tools/vm/host and the library in its host agree on: each page of
 * a BO is filled with one word, which tells the BO and the page.
 */
#ifndef HOST_H
#define HOST_H

#include <stdint.h>

#define PAGE		4096UL
#define BO_PAGES	16UL
#define BO_WIDTH	256		/* on the 2D device, of 4 bytes */
#define PATTERN		(0x6b3aULL << 48)
#define PATTERN_MASK	(0xffffULL << 48)
#define PATTERN_PAGE	0xffffULL	/* page; above it 32 bits of BO */

#endif
