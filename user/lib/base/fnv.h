/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_FNV_H
#define WEFT_LIB_BASE_FNV_H
/*
 * FNV-1a with 64 bits (draft-eastlake-fnv), piece by piece: the same on every machine, and not for
 * what an attacker may choose.
 */
#include <stddef.h>
#include <stdint.h>

#define FNV1A_BEGIN 0xcbf29ce484222325u

static inline uint64_t fnv1a(uint64_t hash, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * 0x100000001b3u;
	return hash;
}

#endif
