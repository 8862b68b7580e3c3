// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_line.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { FEW_DIGITS = 10000000 };

uint32_t metrics_crc(const char *bytes, size_t len)
{
	return ~(uint32_t)crc32(UINT32_MAX, (const Bytef *)bytes, (uInt)len);
}

struct metrics_name metrics_name_of(const char *family, const char *suffix)
{
	struct metrics_name name;

	snprintf(name.text, sizeof(name.text), "%s%s{", family, suffix);
	name.len = strlen(name.text);
	name.crc = metrics_crc(name.text, name.len);
	return name;
}

struct metrics_labels metrics_labels_of(const char *text, size_t len)
{
	return (struct metrics_labels){ .text = text,
					.len = len,
					.crc = metrics_crc(text, len),
					.crc_op = (uint32_t)crc32_combine_gen((z_off_t)len) };
}

#define BUCKET(end) METRICS_BUCKET_BEGINS end "\"} "

/* As the clients of either format write it: OpenMetrics has floats only. */
static const char *const ends[2][METRICS_ENDS] = {
	[METRICS_TEXT] = { BUCKET("0.5"),     BUCKET("1"),	BUCKET("5"),
			   BUCKET("10"),      BUCKET("25"),	BUCKET("50"),
			   BUCKET("100"),     BUCKET("250"),	BUCKET("500"),
			   BUCKET("1000"),    BUCKET("2500"),	BUCKET("5000"),
			   BUCKET("10000"),   BUCKET("30000"),	BUCKET("60000"),
			   BUCKET("300000"),  BUCKET("600000"), BUCKET("1800000"),
			   BUCKET("3600000"), BUCKET("+Inf"),	"} " },
	[METRICS_OPENMETRICS] = { BUCKET("0.5"),      BUCKET("1.0"),	  BUCKET("5.0"),
				  BUCKET("10.0"),     BUCKET("25.0"),	  BUCKET("50.0"),
				  BUCKET("100.0"),    BUCKET("250.0"),	  BUCKET("500.0"),
				  BUCKET("1000.0"),   BUCKET("2500.0"),	  BUCKET("5000.0"),
				  BUCKET("10000.0"),  BUCKET("30000.0"),  BUCKET("60000.0"),
				  BUCKET("300000.0"), BUCKET("600000.0"), BUCKET("1.8e+06"),
				  BUCKET("3.6e+06"),  BUCKET("+Inf"),	  "} " },
};

const char *metrics_end(enum metrics_format format, unsigned end)
{
	return ends[format][end];
}

static void put_before(struct metrics_number *number, char c)
{
	number->room[METRICS_NUMBER_ROOM - ++number->len] = c;
}

static void put_digits_before(struct metrics_number *number, uint64_t n)
{
	do
		put_before(number, (char)('0' + n % 10));
	while (n /= 10);
}

/* Eight digits as numbers, the first one lowest: 4, 2 and 1 at a time. n / 100 is n * 10486 / 2^20
 * below 10,000, and n / 10 is n * 103 / 2^10 below 100. */
static uint64_t eight_digits(uint32_t n)
{
	uint64_t fours = n / 10000 | (uint64_t)(n % 10000) << 32;
	uint64_t hundreds = (fours * 10486 >> 20) & 0x7f0000007f;
	uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
	uint64_t tens = (twos * 103 >> 10) & 0xf000f000f000f;

	return tens | (twos - 10 * tens) << 8;
}

/* Below 10^7: in one word with the newline. */
static struct metrics_number few_digits(uint32_t n)
{
	const uint64_t digits = eight_digits(n);
	const unsigned zeros = n ? (unsigned)__builtin_ctzll(digits) / 8 : 7;
	struct metrics_number out = { .len = 9 - zeros };
	uint64_t text = (digits | 0x3030303030303030) >> 8 | (uint64_t)'\n' << 56;

	text = htole64(text & UINT64_MAX << (8 * (zeros - 1)));
	memcpy(out.room + METRICS_NUMBER_ROOM - sizeof(text), &text, sizeof(text));
	return out;
}

struct metrics_number metrics_number_of(uint64_t n)
{
	struct metrics_number out = { .len = 0 };

	if (n < FEW_DIGITS)
		return few_digits((uint32_t)n);
	put_before(&out, '\n');
	put_digits_before(&out, n);
	return out;
}

struct metrics_number metrics_number_of_thousandths(uint64_t n)
{
	struct metrics_number out = { .len = 0 };
	unsigned left = (unsigned)(n % 1000), digits = 3;

	put_before(&out, '\n');
	for (; left && left % 10 == 0; left /= 10)
		digits--;
	if (left) {
		for (; digits; digits--, left /= 10)
			put_before(&out, (char)('0' + left % 10));
		put_before(&out, '.');
	}
	put_digits_before(&out, n / 1000);
	return out;
}
