// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_gzip_tables.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	FIRST_LENGTH = 257,
	BITS_MAX = 15, /* of a code */
};

/* ---- codes ---- */

/* How often each comes, more or less, in 1,000 lines: most of it is matches of 258, numbers, and
 * what is around numbers. */
static unsigned literal_weight(unsigned symbol)
{
	if (symbol >= '0' && symbol <= '9')
		return 1000;
	if (symbol == GZIP_LITERALS - 1)
		return 2000;
	if (symbol == '"' || symbol == '}' || symbol == ' ' || symbol == '\n')
		return 500;
	if (symbol == '.' || symbol == 'e' || symbol == '+')
		return 60;
	if (symbol > GZIP_END_OF_BLOCK)
		return 25;
	return symbol >= ' ' && symbol <= 'z' ? 5 : 2;
}

/* A line is 500 to 1,500 bytes long. */
static unsigned distance_weight(unsigned symbol)
{
	return symbol >= 18 && symbol <= 20 ? 100 : symbol >= 16 && symbol <= 21 ? 30 : 1;
}

/* A tree over symbols and over what has been put together. */
struct tree {
	unsigned weights[2 * GZIP_LITERALS],
		parents[2 * GZIP_LITERALS]; /* 0: none, which the root is */
	unsigned count;
};

static unsigned lightest(const struct tree *t)
{
	unsigned best = t->count;

	for (unsigned i = 0; i < t->count; i++)
		if (!t->parents[i] && (best == t->count || t->weights[i] < t->weights[best]))
			best = i;
	return best;
}

/* Huffman's: the two lightest are put together until one is left. */
static void grow(struct tree *t, unsigned symbols)
{
	while (t->count < 2 * symbols - 1) {
		unsigned one = lightest(t), other;

		t->parents[one] = t->count;
		other = lightest(t);
		t->parents[other] = t->count;
		t->weights[t->count] = t->weights[one] + t->weights[other];
		t->parents[t->count++] = 0;
	}
}

uint32_t gzip_reversed(uint32_t code, unsigned count)
{
	uint32_t out = 0;

	for (; count; count--, code >>= 1)
		out = out << 1 | (code & 1);
	return out;
}

static void make_codes(struct gzip_code *codes, unsigned symbols,
		       unsigned (*weight)(unsigned symbol))
{
	struct tree tree = { .count = symbols };
	uint32_t code = 0;

	for (unsigned i = 0; i < symbols; i++)
		tree.weights[i] = weight(i);
	grow(&tree, symbols);
	for (unsigned i = 0; i < symbols; i++) {
		codes[i].count = 0;
		for (unsigned at = i; tree.parents[at]; at = tree.parents[at])
			codes[i].count++;
	}
	for (unsigned bits = 1; bits <= BITS_MAX; bits++, code <<= 1)
		for (unsigned i = 0; i < symbols; i++)
			if (codes[i].count == bits)
				codes[i].bits = gzip_reversed(code++, bits);
}

/* A number of which the highest bits are the code, and the others follow. */
struct split {
	unsigned code, extra_bits, extra;
};

/* `fine`: how many bits of it, behind the highest, the code has. */
static struct split split(unsigned n, unsigned fine)
{
	unsigned high = n >> (fine + 1) ? 31 - (unsigned)__builtin_clz(n) : fine;
	unsigned extra_bits = high > fine ? high - fine : 0;

	return (struct split){ .code = (extra_bits << fine) + (n >> extra_bits),
			       .extra_bits = extra_bits,
			       .extra = n & ((1u << extra_bits) - 1) };
}

static struct gzip_code with_extra(struct gzip_code c, struct split s)
{
	return (struct gzip_code){ c.bits | s.extra << c.count, c.count + s.extra_bits };
}

static void make_lengths(struct gzip_tables *t)
{
	for (unsigned n = GZIP_LENGTH_MIN; n < GZIP_LENGTH_MAX; n++) {
		struct split s = split(n - GZIP_LENGTH_MIN, 2);

		t->lengths[n] = with_extra(t->literals[FIRST_LENGTH + s.code], s);
	}
	t->lengths[GZIP_LENGTH_MAX] = t->literals[GZIP_LITERALS - 1]; /* a code of its own */
}

static void make_digits(struct gzip_tables *t)
{
	for (const char *c = "0123456789.\n"; *c; c++)
		t->digits[(unsigned char)*c] = t->literals[(unsigned char)*c];
}

struct gzip_code gzip_distance(const struct gzip_tables *t, size_t distance)
{
	struct split s = split((unsigned)distance - 1, 1);

	return with_extra(t->distances[s.code], s);
}

size_t gzip_literals(const struct gzip_tables *t, const char *text, size_t len,
		     struct gzip_codes *out)
{
	size_t i = 0;

	*out = (struct gzip_codes){ 0 };
	for (; i < len; i++) {
		struct gzip_code c = t->literals[(unsigned char)text[i]];

		if (out->count + c.count > GZIP_BITS_AT_ONCE)
			break;
		*out = gzip_append(*out, c.bits, c.count);
	}
	return i;
}

void gzip_all_literals(const struct gzip_tables *t, const char *text, size_t len,
		       struct gzip_codes *out, int max)
{
	for (size_t done = 0; max; max--)
		done += gzip_literals(t, text + done, len - done, out++);
}

/* ---- the CRC ---- */

static void make_crc_ahead(uint32_t ahead[GZIP_CRC_AHEAD][256])
{
	const z_crc_t *first = get_crc_table();

	for (unsigned i = 0; i < 256; i++) {
		ahead[0][i] = (uint32_t)first[i];
		for (int n = 1; n < GZIP_CRC_AHEAD; n++)
			ahead[n][i] = ahead[n - 1][i] >> 8 ^ first[ahead[n - 1][i] & 255];
	}
}

/* ---- ends ---- */

static void make_end(const struct gzip_tables *t, const char *text, struct gzip_end *out)
{
	const size_t begins = strlen(METRICS_BUCKET_BEGINS);

	out->len = strlen(text);
	for (size_t i = 0; i <= METRICS_NUMBER_ROOM; i++)
		out->crc_before[i] = gzip_crc_behind(t, metrics_crc(text, out->len), i);
	gzip_all_literals(t, text, out->len, out->all, GZIP_END_CODES);
	if (out->len > begins)
		gzip_all_literals(t, text + begins, out->len - begins, out->rest, GZIP_END_CODES);
}

struct gzip_tables *gzip_tables_new(void)
{
	struct gzip_tables *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	make_codes(t->literals, GZIP_LITERALS, literal_weight);
	make_codes(t->distances, GZIP_DISTANCES, distance_weight);
	make_lengths(t);
	make_digits(t);
	make_crc_ahead(t->crc_ahead);
	for (int format = METRICS_TEXT; format <= METRICS_OPENMETRICS; format++)
		for (unsigned i = 0; i < METRICS_ENDS; i++)
			make_end(t, metrics_end(format, i), &t->ends[format][i]);
	return t;
}
