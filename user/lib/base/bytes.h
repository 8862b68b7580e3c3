/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_BYTES_H
#define WEFT_LIB_BASE_BYTES_H
/*
 * Bytes as they are in frames and files.
 */
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A little-endian number at any address. */
static inline uint32_t bytes_u32(const char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static inline void bytes_put_u32(char *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

/* Writes all of it to a descriptor that blocks. 0, or -errno with an unknown part of it written. */
int bytes_write(int fd, const void *bytes, size_t size);

#endif
