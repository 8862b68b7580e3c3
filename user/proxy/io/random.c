// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/random.h"

#include <string.h>
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

/* The eight digits of `n`, the lowest first; all eight bytes are worked on at once. */
static uint64_t hex(uint32_t n)
{
	const uint64_t ones = 0x0101010101010101, to_letter = 'a' - '0' - 10;
	uint64_t x = n;

	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	return x + ones * '0' + (((x + ones * 6) >> 4) & ones) * to_letter;
}

void random_hex(struct random *r, char *out, size_t n)
{
	uint64_t any = 0;

	for (size_t i = 0; i < n; i += 8) {
		uint32_t bits = (uint32_t)(random_next(r) >> 32);
		uint64_t digits = hex(bits);

		memcpy(out + i, &digits, 8);
		any |= bits;
	}
	if (n && !any)
		out[n - 1] = '1';
}
