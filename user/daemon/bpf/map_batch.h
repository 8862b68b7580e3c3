/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_BPF_MAP_BATCH_H
#define WEFT_DAEMON_BPF_MAP_BATCH_H
/*
 * BPF hash maps by batches: a system call per some hundred entries.
 */
#include <stddef.h>

/*
 * One call of `each` per entry. Returns 0, -errno or the callback's non-zero answer. An entry that
 * is added or deleted meanwhile may or may not be seen; no other is missed.
 */
int map_walk(int fd, size_t key_size, size_t value_size,
	     int (*each)(void *arg, const void *key, const void *value), void *arg);
/* Writes `count` entries, in place of those that are there. */
int map_fill(int fd, const void *keys, size_t key_size, const void *values, size_t value_size,
	     size_t count);
/* Deletes `count` entries; those that aren't there are no error. */
int map_delete(int fd, const void *keys, size_t key_size, size_t count);

#endif
