// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <string.h>

#include "proxy/h1/h1.h"

/* The data of a body that comes in pieces of `step` bytes; how many bytes belong to the body, or
 * H1_BAD, or H1_MORE. */
static int decode(const char *text, size_t len, size_t step, char *data)
{
	struct h1_chunks c = { 0 };
	size_t at = 0;

	while (at < len && !c.done) {
		size_t piece = len - at < step ? len - at : step;
		long r = h1_chunks_next(&c, text + at, piece);

		if (r < 0)
			return (int)r;
		if (c.data) {
			memcpy(data, text + at, (size_t)r);
			data += r;
		}
		at += (size_t)r;
	}
	*data = 0;
	return c.done ? (int)at : H1_MORE;
}

static const struct {
	const char *name, *text, *data;
	int rest; /* bytes after the body */
} good[] = {
	{ "empty", "0\r\n\r\n", "", 0 },
	{ "one", "5\r\nhello\r\n0\r\n\r\n", "hello", 0 },
	{ "two", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", 0 },
	{ "hexadecimal, both cases", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
	  "01234567890123456789a", 0 },
	{ "zeros in front", "0005\r\nhello\r\n000\r\n\r\n", "hello", 0 },
	{ "data looks like framing", "7\r\n0\r\n\r\n0\r\r\n0\r\n\r\n", "0\r\n\r\n0\r", 0 },
	{ "trailer", "1\r\na\r\n0\r\nX: y\r\nGrpc-Status: 0\r\nEmpty:\r\n\r\n", "a", 0 },
	{ "extensions", "5;a=1;q=\"a b\"\r\nhello\r\n0;last\r\n\r\n", "hello", 0 },
	{ "extensions with blanks about them",
	  "5 \t; a = 1 ;\tb= \"\\\";\\\\\" \r\nhello\r\n0 ;a;b\r\n\r\n", "hello", 0 },
	{ "an extension that quotes framing", "5;a=\";0 =\"\r\nhello\r\n0\r\n\r\n", "hello", 0 },
	{ "padded sizes", "2  \r\nhi\r\n0 \t\r\n\r\n", "hi", 0 },
	{ "next request", "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "a", 16 },
};

static const char *const bad[] = {
	"g\r\n",
	"\r\n",
	"\n",
	"5\n",
	"5\r5",
	"5;\r\n",
	"5;;a\r\n",
	"5; \r\n",
	"5;=a\r\n",
	"5;a=\r\n",
	"5;a\n",
	"5;a\rb\r\n",
	"5;a=\"b\r\n",
	"5;a=\"b\n\"\r\n",
	"5;a=\"\\\r\n",
	"5;a=\"b\"c\r\n",
	"5;a=b\001\r\n",
	"5;a=\303\274\r\n",
	"5;a b\r\n",
	"5 5\r\n",
	"5 \n",
	"\t5\r\n",
	" \r\n",
	";a\r\n",
	"0;a\r\n\n",
	" 5\r\n",
	"5\r\nhelloX",
	"5\r\nhello\n",
	"5\r\nhello\rX",
	"0\r\n\n",
	"0\r\n\rX",
	"0\r\n X: y\r\n",
	"0\r\nX : y\r\n",
	"0\r\nX\r\n",
	"0\r\n: y\r\n",
	"0\r\nX: y\r\n z\r\n",
	"0\r\nX: y\n",
	"0\r\nX: \001\r\n",
	"0\r\nContent-Length: 1\r\n",
	"0\r\ncontent_length: 1\r\n",
	"0\r\nTransfer-Encoding: chunked\r\n",
	"0\r\nHost: a\r\n",
	"0\r\nConnection: close\r\n",
	"1000000000000000\r\n",
	"fffffffffffffffff\r\n",
	"0000000000000001\r\n",
};

Test(h1_chunks, good)
{
	char data[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		for (size_t step = 1; step <= 64; step++) {
			int len = (int)strlen(good[i].text);
			int r = decode(good[i].text, (size_t)len, step, data);

			cr_expect_eq(r, len - good[i].rest, "%s in steps of %zu: %d", good[i].name,
				     step, r);
			cr_expect_str_eq(data, good[i].data);
		}
}

Test(h1_chunks, the_beginning_of_a_good_one_asks_for_more)
{
	char data[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		for (int len = 0; len < (int)strlen(good[i].text) - good[i].rest; len++)
			cr_expect_eq(decode(good[i].text, (size_t)len, 64, data), H1_MORE, "%s: %d",
				     good[i].name, len);
}

Test(h1_chunks, bad)
{
	char data[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		for (size_t step = 1; step <= 64; step += 63)
			cr_expect_eq(decode(bad[i], strlen(bad[i]), step, data), H1_BAD,
				     "accepted: %s", bad[i]);
}

Test(h1_chunks, a_trailer_section_has_a_limit)
{
	struct h1_chunks c = { 0 };
	static const char line[] = "X: 0123456789012345678901234567890123456789\r\n";
	long r = h1_chunks_next(&c, "0\r\n", 3);
	size_t total = 0;

	while (r > 0 && total < 2 * H1_MAX_TRAILER) {
		r = h1_chunks_next(&c, line, sizeof(line) - 1);
		total += sizeof(line) - 1;
	}
	cr_assert_eq(r, H1_BAD);
	cr_assert_gt(total, (size_t)H1_MAX_TRAILER);
	cr_assert_lt(total, H1_MAX_TRAILER + sizeof(line));
}

/* How many bytes of the text, again and again, are taken before it is too much. */
static size_t taken(struct h1_chunks *c, const char *text, size_t most)
{
	size_t n = strlen(text), total = 0;

	while (total < most) {
		long r = h1_chunks_next(c, text + total % n, n - total % n);

		if (r < 0)
			break;
		total += (size_t)r;
	}
	return total;
}

/* Much beside the data would cost a reader time for nothing. */
Test(h1_chunks, extensions_have_a_limit)
{
	enum { MUCH = 1000 * 1000 };
	struct h1_chunks one = { 0 }, many = { 0 }, some = { 0 };

	cr_assert_eq(h1_chunks_next(&one, "5;", 1), 1);
	cr_expect_eq(h1_chunks_next(&one, ";", 1), 1);
	cr_expect_lt(taken(&one, "aaaaaaaaaaaaaaaa", MUCH), (size_t)H1_MAX_EXTENSIONS + 1);
	cr_expect_lt(taken(&many, "1;abcdefghijklmnopqrstuvwxyz0123\r\na\r\n", MUCH),
		     (size_t)20000);
	cr_expect_geq(taken(&some, "5;ext=1;q=\"a b\"\r\nhello\r\n", MUCH), (size_t)MUCH);
}

Test(h1_chunks, what_is_ignored_is_told_apart)
{
	static const char text[] = "2 ;a=\"b\"\r\nhi\r\n0;c\r\n\r\n";

	for (size_t step = 1; step < sizeof(text); step++) {
		struct h1_chunks c = { 0 };
		char kept[sizeof(text)] = "", *to = kept;

		for (size_t at = 0; at < sizeof(text) - 1;) {
			size_t left = sizeof(text) - 1 - at;
			long r = h1_chunks_next(&c, text + at, left < step ? left : step);

			cr_assert_gt(r, 0);
			if (!c.ignored)
				to = mempcpy(to, text + at, (size_t)r);
			at += (size_t)r;
		}
		*to = '\0';
		cr_expect_str_eq(kept, "2\r\nhi\r\n0\r\n\r\n");
	}
}

Test(h1_chunks, data_may_go_past_unseen)
{
	struct h1_chunks c = { 0 };

	cr_assert_eq(h1_chunks_next(&c, "fffffffffffffff\r\n", 17), 17);
	cr_assert_eq(c.left, 0xfffffffffffffffull);
	h1_chunks_skip(&c, c.left - 2);
	cr_assert_eq(h1_chunks_next(&c, "ab\r\n0\r\n\r\n", 9), 2);
	cr_assert(c.data);
	cr_assert_eq(h1_chunks_next(&c, "\r\n0\r\n\r\n", 7), 7);
	cr_assert(c.done);
}
