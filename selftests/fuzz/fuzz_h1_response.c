/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says what was asked, the others are a response: the answer doesn't depend on how
 * they arrive.
 */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/h1/h1.h"

static void check(const struct h1_response *s, enum h1_asked asked)
{
	if (s->status < 100 || s->status > 599)
		abort();
	if (asked == H1_ASKED_HEAD && s->status != 101 && s->m.framing != H1_NO_BODY)
		abort();
	if ((s->status == 204 || s->status == 304) && s->m.framing != H1_NO_BODY)
		abort();
	if (s->m.framing == H1_LENGTH && !s->m.content_length)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_response s;
	const char *buf = (const char *)data + 1;
	enum h1_asked asked;
	int whole, r = H1_MORE;

	if (size < 2)
		return 0;
	asked = data[0] % 2;
	whole = h1_parse_response(buf, size - 1, 0, asked, &s);
	if (whole > 0)
		check(&s, asked);
	for (size_t len = 1; r == H1_MORE && len < size; len++)
		r = h1_parse_response(buf, len, len - 1, asked, &s);
	/* A line that never ends may be found bad only once all of it is looked at. */
	if (r != whole && (r != H1_MORE || whole != H1_BAD))
		abort();
	return 0;
}
