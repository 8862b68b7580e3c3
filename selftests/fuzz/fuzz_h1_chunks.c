/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte is a step, the others are a chunked body: the data and the end don't depend on how
 * it is cut, and what is passed on of it, without what is ignored, is the same body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/h1/h1.h"

struct outcome {
	long end; /* bytes of the body, or H1_BAD, or H1_MORE */
	uint64_t data, sum;
};

/* Copies what is passed on to `kept`. */
static struct outcome decode(const char *buf, size_t len, size_t step, char *kept, size_t *kept_len)
{
	struct h1_chunks c = { 0 };
	struct outcome o = { 0 };
	size_t at = 0;

	*kept_len = 0;
	while (at < len && !c.done) {
		long r = h1_chunks_next(&c, buf + at, len - at < step ? len - at : step);

		if (r == H1_BAD)
			return (struct outcome){ H1_BAD, 0, 0 };
		if (r <= 0)
			abort();
		for (long i = 0; c.data && i < r; i++)
			o.sum = o.sum * 31 + (unsigned char)buf[at + (size_t)i];
		o.data += c.data ? (uint64_t)r : 0;
		if (!c.ignored) {
			memmove(kept + *kept_len, buf + at, (size_t)r);
			*kept_len += (size_t)r;
		}
		at += (size_t)r;
	}
	o.end = c.done ? (long)at : H1_MORE;
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *buf = (const char *)data + 1;
	size_t len, again;
	struct outcome a, b;
	char *kept;

	if (size < 2)
		return 0;
	kept = malloc(size);
	a = decode(buf, size - 1, size, kept, &len);
	b = decode(buf, size - 1, 1u + data[0] % 16, kept, &len);
	if (a.end != b.end || a.data != b.data || a.sum != b.sum)
		abort();
	b = decode(kept, len, size, kept, &again);
	if (a.end > 0 && (b.end != (long)len || again != len || a.data != b.data || a.sum != b.sum))
		abort();
	free(kept);
	return 0;
}
