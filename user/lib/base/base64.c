// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_digit(char c)
{
	const char *p = c ? strchr(digits, c == '-' ? '+' : c == '_' ? '/' : c) : NULL;

	return p ? (int)(p - digits) : -1;
}

bool base64_decode(const char *s, char *out, size_t *len)
{
	unsigned bits = 0, value = 0;
	size_t n = 0;

	for (; *s && *s != '='; s++) {
		int digit = base64_digit(*s);

		if (digit < 0)
			return false;
		value = value << 6 | (unsigned)digit;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (char)(value >> bits);
		}
	}
	*len = n;
	return bits != 6 && !s[strspn(s, "=")];
}

char *base64_encode(const char *bytes, size_t len)
{
	char *out = malloc((len + 2) / 3 * 4 + 1), *at = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		unsigned value = 0;

		for (size_t j = i; j < i + 3; j++)
			value = value << 8 | (j < len ? (unsigned char)bytes[j] : 0);
		for (int shift = 18; shift >= 0; shift -= 6)
			*at++ = digits[value >> shift & 63];
		for (size_t j = len; j < i + 3; j++)
			at[(ptrdiff_t)(j - i) - 3] = '=';
	}
	*at = '\0';
	return out;
}
