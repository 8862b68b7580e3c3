/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_BUFFER_H
#define WEFT_LIB_BASE_BUFFER_H
/*
 * Bytes that grow. Zero-initialise; free with buffer_free().
 */
#include <stddef.h>

struct buffer {
	char *bytes;
	size_t size, room;
};

/* Appends. 0 or -ENOMEM: nothing is appended then. */
int buffer_add(struct buffer *b, const void *bytes, size_t size);
int buffer_add_text(struct buffer *b, const char *text);
/* Room for so many bytes more, from bytes + size on. 0 or -ENOMEM. */
int buffer_reserve(struct buffer *b, size_t more);
/* Empties it. What has room for more than `keep` bytes gives it back. */
void buffer_clear(struct buffer *b, size_t keep);
void buffer_free(struct buffer *b);
/* As buffer_free(); what is in it is cleared before. */
void buffer_wipe(struct buffer *b);

#endif
