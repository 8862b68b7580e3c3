// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include <sys/random.h>
#include <time.h>

void random_begin(struct random *r)
{
	struct timespec t;

	/* Whatever the kernel says: all zeros would stay so. */
	clock_gettime(CLOCK_REALTIME, &t);
	*r = (struct random){ { (uint64_t)t.tv_nsec, (uint64_t)t.tv_sec, (uintptr_t)r, 1 } };
	if (getrandom(r->s, 3 * sizeof(*r->s), GRND_NONBLOCK) < 0)
		return;
}

static uint64_t rotate(uint64_t n, int by)
{
	return n << by | n >> (64 - by);
}

uint64_t random_next(struct random *r)
{
	uint64_t *s = r->s, out = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return out;
}

void random_hex(struct random *r, char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t bits = 0, any = 0;

	for (size_t i = 0; i < n; i++) {
		if (i % 16 == 0)
			bits = random_next(r);
		out[i] = digits[bits & 15];
		any |= bits & 15;
		bits >>= 4;
	}
	if (n && !any)
		out[n - 1] = '1';
}
