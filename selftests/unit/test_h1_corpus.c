// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>

#include "proxy/h1/h1.h"
#include "h1_corpus.h"

static bool chunks_refused(const char *p, size_t n)
{
	struct h1_chunks c = { 0 };
	long r;

	while (n) {
		r = h1_chunks_next(&c, p, n);
		if (r == H1_BAD)
			return true;
		if (c.done)
			return false;
		p += r;
		n -= (size_t)r;
	}
	return false;
}

static bool refused(const char *p, size_t len, size_t seen)
{
	static struct h1_request q;
	int r = h1_parse_request(p, len, seen, &q);

	if (r == H1_BAD)
		return true;
	return r > 0 && q.m.framing == H1_CHUNKED && chunks_refused(p + r, len - (size_t)r);
}

Test(h1_corpus, none_of_a_hundred_ambiguous_requests_is_accepted)
{
	size_t count = sizeof(h1_corpus) / sizeof(*h1_corpus);

	cr_assert_geq(count, 100u);
	for (size_t i = 0; i < count; i++)
		cr_expect(refused(h1_corpus[i].bytes, h1_corpus[i].len, 0), "accepted: %s",
			  h1_corpus[i].name);
}

/* However they are cut into segments. */
Test(h1_corpus, none_is_accepted_byte_by_byte)
{
	static struct h1_request q;

	for (size_t i = 0; i < sizeof(h1_corpus) / sizeof(*h1_corpus); i++) {
		size_t len = 1;
		int r = H1_MORE;

		for (; len <= h1_corpus[i].len && r == H1_MORE; len++)
			r = h1_parse_request(h1_corpus[i].bytes, len, len - 1, &q);
		if (r > 0)
			r = q.m.framing == H1_CHUNKED &&
					    chunks_refused(h1_corpus[i].bytes + r,
							   h1_corpus[i].len - (size_t)r)
				    ? H1_BAD
				    : 0;
		cr_expect_eq(r, H1_BAD, "accepted: %s", h1_corpus[i].name);
	}
}
