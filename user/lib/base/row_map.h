/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_ROW_MAP_H
#define WEFT_LIB_BASE_ROW_MAP_H
/*
 * An array of rows in a map that outlives the process, or in its own memory. All of an array that
 * is mapped counts as memory of the process, used or not: only the rows that are reached are, and
 * address space is reserved for the others, since rows do not move. Not locked: the caller sees to
 * that.
 */
#include <stddef.h>
#include <stdint.h>

struct row_map {
	char *bytes;
	size_t mapped;
	int fd; /* its own; -1: memory */
	int prot;
	size_t row_size;
	uint32_t rows;
};

/* The map's descriptor stays the caller's; -1: memory. `prot` as of mmap(2). 0 or -errno. */
int row_map_open(struct row_map *m, int fd, int prot, size_t row_size, uint32_t rows);
void row_map_close(struct row_map *m); /* accepts one that is half open, or closed */
/* Makes row `i` and those in front of it usable. 0 or -errno. */
int row_map_reach(struct row_map *m, uint32_t i);

static inline void *row_map_at(const struct row_map *m, uint32_t i)
{
	return m->bytes + i * m->row_size;
}

#endif
