/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml/yaml_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE = 6, PAIR = 2 * ESCAPE }; /* "\\ud83d" */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool yaml_is_json(const char *bytes, size_t len)
{
	size_t i = 0;

	while (i < len && is_space(bytes[i]))
		i++;
	return i < len && (bytes[i] == '{' || bytes[i] == '[');
}

/* YAML allows tabs between tokens inside of brackets only. */
static void replace_outer_tabs(char *bytes, size_t len)
{
	for (size_t i = 0; i < len && is_space(bytes[i]); i++)
		if (bytes[i] == '\t')
			bytes[i] = ' ';
	for (size_t i = len; i && is_space(bytes[i - 1]); i--)
		if (bytes[i - 1] == '\t')
			bytes[i - 1] = ' ';
}

/* The code unit of "\\uXXXX" if it lies in first..last, else 0. */
static unsigned escaped_unit(const char *s, unsigned first, unsigned last)
{
	char digits[5] = { 0 }, *end;
	unsigned long unit;

	if (s[0] != '\\' || s[1] != 'u')
		return 0;
	memcpy(digits, s + 2, 4);
	unit = strtoul(digits, &end, 16);
	return *end || unit < first || unit > last ? 0 : (unsigned)unit;
}

/* Writes what the pair at `s` stands for, if it is one. Returns how much was written. */
static size_t write_pair(const char *s, size_t left, char *out)
{
	unsigned high, low;

	if (left < PAIR)
		return 0;
	high = escaped_unit(s, 0xd800, 0xdbff);
	low = escaped_unit(s + ESCAPE, 0xdc00, 0xdfff);
	if (!high || !low)
		return 0;
	return (size_t)snprintf(out, PAIR, "\\U%08x",
				0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
}

char *yaml_from_json(const char *bytes, size_t *len)
{
	char *copy = malloc(*len + PAIR);
	bool in_string = false;
	size_t n = 0;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < *len; i++) {
		size_t written = in_string ? write_pair(bytes + i, *len - i, copy + n) : 0;

		if (written) {
			n += written;
			i += PAIR - 1;
			continue;
		}
		if (bytes[i] == '"')
			in_string = !in_string;
		copy[n++] = bytes[i];
		if (in_string && bytes[i] == '\\' && i + 1 < *len)
			copy[n++] = bytes[++i];
	}
	replace_outer_tabs(copy, n);
	*len = n;
	return copy;
}
