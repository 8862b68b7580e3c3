/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request: the answer doesn't depend on how they arrive, and no span leaves the
 * input.
 */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/h1/h1.h"

static void check_span(struct h1_span s, const char *buf, size_t len)
{
	/* The path of an absolute target without one is not in the input. */
	if (s.p && (s.p < buf || s.p + s.n > buf + len) && !h1_is(s, "/") && !h1_is(s, "*"))
		abort();
}

static void check(const struct h1_request *q, const char *buf, size_t len)
{
	check_span(q->method, buf, len);
	check_span(q->target, buf, len);
	check_span(q->authority, buf, len);
	check_span(q->path, buf, len);
	for (size_t i = 0; i < q->m.header_count; i++) {
		check_span(q->m.headers[i].name, buf, len);
		check_span(q->m.headers[i].value, buf, len);
	}
	if ((q->m.framing == H1_LENGTH) != (q->m.content_length > 0) ||
	    (q->m.framing == H1_CHUNKED) != q->m.chunked || (q->m.chunked && q->m.has_length))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_request q;
	const char *buf = (const char *)data;
	int whole = h1_parse_request(buf, size, 0, &q), r = H1_MORE;

	if (whole > 0)
		check(&q, buf, (size_t)whole);
	for (size_t len = 1; r == H1_MORE && len <= size; len++)
		r = h1_parse_request(buf, len, len - 1, &q);
	/* A line that never ends may be found bad only once all of it is looked at. */
	if (size && r != whole && (r != H1_MORE || whole != H1_BAD))
		abort();
	return 0;
}
