/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/yaml/tree.h"

/*
 * The length of the UTF-8 sequence at `p`, 0 if it is none. Overlong forms, surrogates and what
 * lies beyond U+10FFFF are none (RFC 3629).
 */
static size_t sequence_length(const unsigned char *p, size_t left)
{
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	unsigned code;

	if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
		return 0;
	code = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && code < 0x800) || (n == 4 && code < 0x10000) || code > 0x10ffff)
		return 0;
	if (code >= 0xd800 && code <= 0xdfff)
		return 0;
	return n;
}

/* Whether the file ends in the middle of a sequence. */
static bool truncated(const unsigned char *p, size_t left)
{
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (p[0] < 0xc2 || p[0] > 0xf4 || left >= n)
		return false;
	for (size_t i = 1; i < left; i++)
		if ((p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

static bool allowed_control(unsigned char c)
{
	return c == '\t' || c == '\n' || c == '\r';
}

static struct pos position_of(const char *bytes, size_t at)
{
	struct pos pos = { 1, 1 };

	for (size_t i = 0; i < at; i++) {
		if (bytes[i] == '\n') {
			pos.line++;
			pos.col = 1;
		} else if (((unsigned char)bytes[i] & 0xc0) != 0x80) {
			pos.col++;
		}
	}
	return pos;
}

int yaml_check_bytes(const char *name, const char *bytes, size_t len, struct errors *errors)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t i = 0, n;

	while (i < len) {
		if (p[i] < 0x80) {
			if ((p[i] >= 0x20 && p[i] != 0x7f) || allowed_control(p[i])) {
				i++;
				continue;
			}
			errors_add(errors, name, position_of(bytes, i),
				   "expected text, not the control character 0x%02x", p[i]);
			return -EINVAL;
		}
		n = sequence_length(p + i, len - i);
		if (!n) {
			errors_add(errors, name, position_of(bytes, i),
				   "expected UTF-8, not %s 0x%02x",
				   truncated(p + i, len - i) ? "a truncated sequence from"
							     : "the byte",
				   p[i]);
			return -EINVAL;
		}
		i += n;
	}
	return 0;
}
