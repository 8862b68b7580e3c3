// SPDX-License-Identifier: Apache-2.0
#include "lib/base/text.h"

#include <string.h>

char *text_put_number(char *at, unsigned v)
{
	char digits[NUMBER_MAX];
	int n = 0;

	do {
		digits[n++] = '0' + v % 10;
		v /= 10;
	} while (v);
	while (n)
		*at++ = digits[--n];
	return at;
}

const char *text_number(char out[NUMBER_MAX], unsigned v)
{
	*text_put_number(out, v) = '\0';
	return out;
}

size_t text_join(char *out, size_t size, const char *const *parts)
{
	size_t length = 0;

	for (; *parts; parts++) {
		size_t n = strlen(*parts), room = length < size ? size - 1 - length : 0;

		memcpy(out + (length < size ? length : size - 1), *parts, n < room ? n : room);
		length += n;
	}
	out[length < size ? length : size - 1] = '\0';
	return length;
}
