// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json_io.h"

/* The length of the well-formed UTF-8 sequence at `s` (RFC 3629), 0 if there is none. */
static size_t sequence(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	/* No overlong forms, no surrogates, nothing above U+10FFFF. */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

static json_t *repaired(const char *text, size_t len)
{
	_cleanup_free_ char *out = malloc(3 * len + 1);
	size_t used = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t n = sequence((const unsigned char *)text + i);

		memcpy(out + used, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
		used += n ? n : 3;
		i += n ? n : 1;
	}
	return json_stringn(out, used);
}

/* DEL and C1 are a terminal's, too: U+007F to U+009F. */
static bool is_control(const unsigned char *s)
{
	return s[0] < ' ' || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

void json_clean(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		size_t n = sequence(s);

		if (n && !is_control(s)) {
			s += n;
			continue;
		}
		for (size_t i = 0; i < (n ? n : 1); i++)
			*s++ = '?';
	}
}

json_t *json_text(const char *text)
{
	json_t *j;

	if (!text)
		return json_null();
	j = json_string(text);
	return j ? j : repaired(text, strlen(text));
}

json_t *json_texts(const char *const *texts, size_t count)
{
	json_auto_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(list, json_text(texts[i])))
			return NULL;
	return TAKE_PTR(list);
}

json_t *json_textn(const char *text, size_t len)
{
	_cleanup_free_ char *ended = NULL; /* a sequence that is cut off ends at its NUL */
	json_t *j = json_stringn(text, len);

	if (j)
		return j;
	ended = malloc(len + 1);
	if (!ended)
		return NULL;
	memcpy(ended, text, len);
	ended[len] = '\0';
	return repaired(ended, len);
}

json_t *json_textf(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return NULL;
	}
	return json_text(text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **json_sorted_keys(const json_t *object)
{
	const char **keys = calloc(json_object_size(object) + 1, sizeof(*keys)), *key;
	json_t *value;
	size_t n = 0;

	if (!keys)
		return NULL;
	json_object_foreach((json_t *)object, key, value) keys[n++] = key;
	qsort(keys, n, sizeof(*keys), by_text);
	return keys;
}

const char *json_get_text(const json_t *object, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : otherwise;
}

json_int_t json_get_int(const json_t *object, const char *key, json_int_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}
