// SPDX-License-Identifier: Apache-2.0
#include "lib/route/path.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Without the query. */
static size_t path_length(const char *path, size_t n)
{
	const char *query = memchr(path, '?', n);

	return query ? (size_t)(query - path) : n;
}

/* It may be, and nearly always is not. */
static bool is_unusual(const char *path, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path[i] == '%' || path[i] == '\\' || (path[i] == '.' && path[i - 1] == '/'))
			return true;
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character that the escape at `at` needn't be, or 0. */
static char needless_escape(const char *at, size_t n)
{
	int high, low, c;

	if (n < 3 || *at != '%')
		return 0;
	high = hex_digit(at[1]);
	low = hex_digit(at[2]);
	if (high < 0 || low < 0)
		return 0;
	c = high << 4 | low;
	return c < 0x80 && c && (isalnum(c) || strchr("-._~", c)) ? (char)c : 0;
}

static size_t unescape(char *path, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		char c = needless_escape(path + i, n - i);

		if (c)
			i += 2;
		else
			c = path[i] == '\\' ? '/' : path[i];
		path[to++] = c;
	}
	return to;
}

/* The length of the segment at `path`, which begins with '/'. */
static size_t segment(const char *path, size_t n)
{
	const char *next = memchr(path + 1, '/', n - 1);

	return next ? (size_t)(next - path) : n;
}

static size_t without_last(const char *path, size_t n)
{
	while (n && path[--n] != '/')
		;
	return n;
}

/* RFC 3986 5.2.4 */
static size_t resolve_dots(char *path, size_t n)
{
	size_t to = 0, len;

	for (size_t i = 0; i < n; i += len) {
		bool up, stay;

		len = segment(path + i, n - i);
		up = len == 3 && !memcmp(path + i, "/..", 3);
		stay = len == 2 && !memcmp(path + i, "/.", 2);
		if (up)
			to = without_last(path, to);
		if (!up && !stay) {
			memmove(path + to, path + i, len);
			to += len;
		} else if (i + len == n) {
			path[to++] = '/';
		}
	}
	return to;
}

size_t http_path_normalize(char *path, size_t n)
{
	size_t end, to;

	if (!n || *path != '/')
		return n;
	end = path_length(path, n);
	if (!is_unusual(path, end))
		return n;
	to = resolve_dots(path, unescape(path, end));
	memmove(path + to, path + end, n - end);
	return to + n - end;
}
