// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buffer.h"

enum { ROOM_MIN = 256 };

int buffer_reserve(struct buffer *b, size_t more)
{
	size_t room = b->room ? b->room : ROOM_MIN;
	char *bytes;

	if (more > SIZE_MAX / 4 - b->size)
		return -ENOMEM;
	while (room < b->size + more)
		room *= 2;
	if (b->bytes && room == b->room)
		return 0;
	bytes = realloc(b->bytes, room);
	if (!bytes)
		return -ENOMEM;
	b->bytes = bytes;
	b->room = room;
	return 0;
}

int buffer_add(struct buffer *b, const void *bytes, size_t size)
{
	if (!size)
		return 0;
	if (buffer_reserve(b, size))
		return -ENOMEM;
	memcpy(b->bytes + b->size, bytes, size);
	b->size += size;
	return 0;
}

int buffer_add_text(struct buffer *b, const char *text)
{
	return buffer_add(b, text, strlen(text));
}

void buffer_clear(struct buffer *b, size_t keep)
{
	b->size = 0;
	if (b->room > keep)
		buffer_free(b);
}

void buffer_free(struct buffer *b)
{
	free(b->bytes);
	*b = (struct buffer){ 0 };
}

void buffer_wipe(struct buffer *b)
{
	if (b->bytes)
		explicit_bzero(b->bytes, b->size); /* more would be pages that were never used */
	buffer_free(b);
}
