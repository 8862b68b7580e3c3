// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_gzip.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	LENGTH_MIN = 3, /* of a match, in the format */
	LENGTH_MAX = 258,
	WORTH_MIN = 4, /* a shorter one is longer than what it stands for */
	DISTANCE_MAX = 32768,
	END_OF_BLOCK = 256,
	HEAD_MIN = 128, /* from here on it is faster not to go over it again */
	SLACK = 64,	/* bytes beside what lines take */
};

/* ---- bits ---- */

/* There is room. */
static void put_bits(struct metrics_gzip *g, uint32_t value, unsigned count)
{
	uint64_t little;

	g->bits |= (uint64_t)value << g->bit_count;
	g->bit_count += count;
	little = htole64(g->bits);
	memcpy(g->out.bytes + g->out.size, &little, sizeof(little));
	g->out.size += g->bit_count / 8;
	g->bits >>= g->bit_count & ~7u;
	g->bit_count &= 7;
}

static int make_room(struct metrics_gzip *g, size_t more)
{
	size_t size = g->out.size, room = g->out.room ? g->out.room : 4096;
	char *bytes;

	while (room < size + more)
		room *= 2;
	if (room == g->out.room)
		return 0;
	bytes = realloc(g->out.bytes, room);
	if (!bytes)
		return -ENOMEM;
	g->out.bytes = bytes;
	g->out.room = room;
	return 0;
}

/* ---- the fixed codes of RFC 1951, 3.2.6: the first bit of a code is its highest ---- */

static uint32_t reversed(uint32_t code, unsigned count)
{
	uint32_t out = 0;

	for (; count; count--, code >>= 1)
		out = out << 1 | (code & 1);
	return out;
}

static void make_codes(struct metrics_gzip *g)
{
	for (unsigned i = 0; i < GZIP_SYMBOLS; i++) {
		unsigned code = i < 144	  ? 0x30 + i
				: i < 256 ? 0x190 + i - 144
				: i < 280 ? i - 256
					  : 0xc0 + i - 280;

		g->code_bits[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
		g->codes[i] = (uint16_t)reversed(code, g->code_bits[i]);
	}
}

static void put_symbol(struct metrics_gzip *g, unsigned symbol)
{
	put_bits(g, g->codes[symbol], g->code_bits[symbol]);
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

static void put_length(struct metrics_gzip *g, size_t length)
{
	struct split s = split((unsigned)length - LENGTH_MIN, 2);

	if (length == LENGTH_MAX) /* has a code of its own */
		s = (struct split){ .code = 28 };
	put_symbol(g, 257 + s.code);
	put_bits(g, s.extra, s.extra_bits);
}

static void put_distance(struct metrics_gzip *g, size_t distance)
{
	struct split s = split((unsigned)distance - 1, 1);

	put_bits(g, reversed(s.code, 5), 5);
	put_bits(g, s.extra, s.extra_bits);
}

/* Those that lie that far back. */
static void put_match(struct metrics_gzip *g, size_t count, size_t distance)
{
	while (count) {
		size_t some = count;

		if (some > LENGTH_MAX)
			some = count - LENGTH_MAX < LENGTH_MIN ? count - LENGTH_MIN : LENGTH_MAX;
		put_length(g, some);
		put_distance(g, distance);
		count -= some;
	}
}

static void put_literals(struct metrics_gzip *g, const char *at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_symbol(g, (unsigned char)at[i]);
}

/* ---- lines ---- */

static size_t common(const char *a, const char *b, size_t max)
{
	size_t n = 0;
	uint64_t x, y;

	for (; n + sizeof(x) <= max; n += sizeof(x)) {
		memcpy(&x, a + n, sizeof(x));
		memcpy(&y, b + n, sizeof(y));
		if (x != y)
			break;
	}
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* Where two lines may go on alike after they have differed: at the end of a name or a value. */
static size_t next_end(const char *line, size_t from, size_t len)
{
	while (from < len && line[from] != '"' && line[from] != '{')
		from++;
	return from;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* `same`: how much of the line is as in the last one. */
static void pack_line(struct metrics_gzip *g, const char *line, size_t len, size_t same)
{
	const char *last = g->last;
	size_t last_len = g->last_len, i = 0, k = 0, next;

	for (; i < len; same = common(line + i, last + k, least(len - i, last_len - k))) {
		if (same >= WORTH_MIN && last_len + i - k <= DISTANCE_MAX) {
			put_match(g, same, last_len + i - k);
			i += same;
			k += same;
			continue;
		}
		next = next_end(line, i + same, len);
		k = next_end(last, k + same, last_len);
		if (next == i && (k == last_len || last[k] != line[i])) { /* no such end */
			next++;
			k += k < last_len;
		}
		put_literals(g, line + i, next - i);
		i = next;
	}
}

/* What lines have in common at their beginning is gone over once. */
static void add_crc(struct metrics_gzip *g, const char *line, size_t len, size_t same)
{
	if (same < HEAD_MIN) {
		g->head = 0;
	} else if (!g->head || same < g->head) {
		g->head = same;
		g->head_crc = (uint32_t)crc32(0, (const Bytef *)line, (uInt)same);
		g->head_op = (uint32_t)crc32_combine_gen((z_off_t)same);
	}
	if (g->head)
		g->crc = (uint32_t)crc32_combine_op(g->crc, g->head_crc, g->head_op);
	g->crc = (uint32_t)crc32(g->crc, (const Bytef *)line + g->head, (uInt)(len - g->head));
	g->size += (uint32_t)len;
}

/* What it points to is the caller's. */
static int keep_last(struct metrics_gzip *g)
{
	int r;

	if (g->last == g->kept.bytes)
		return 0;
	g->kept.size = 0;
	r = buffer_add(&g->kept, g->last, g->last_len);
	g->last = g->kept.bytes;
	return r;
}

int metrics_gzip_add(struct metrics_gzip *g, const char *lines, size_t size)
{
	const char *end = lines + size;
	int r = make_room(g, size + size / 8 + SLACK);

	while (!r && lines < end) {
		const char *newline = memchr(lines, '\n', (size_t)(end - lines));
		size_t len = (size_t)((newline ? newline + 1 : end) - lines);
		size_t same = common(lines, g->last, least(len, g->last_len));

		pack_line(g, lines, len, same);
		add_crc(g, lines, len, same);
		g->last = lines;
		g->last_len = len;
		lines += len;
	}
	return r ? r : keep_last(g);
}

int metrics_gzip_begin(struct metrics_gzip *g)
{
	static const char header[] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3 /* Unix */ };
	int r = make_room(g, SLACK);

	if (!r)
		r = buffer_add(&g->out, header, sizeof(header));
	if (!r)
		r = buffer_add(&g->kept, "", 1);
	if (r)
		return r;
	g->last = g->kept.bytes;
	make_codes(g);
	put_bits(g, 1, 1); /* the last block, */
	put_bits(g, 1, 2); /* by the fixed codes */
	return 0;
}

int metrics_gzip_end(struct metrics_gzip *g)
{
	uint32_t trailer[2];
	int r = make_room(g, SLACK);

	if (r)
		return r;
	put_symbol(g, END_OF_BLOCK);
	put_bits(g, 0, (8 - g->bit_count) & 7);
	trailer[0] = htole32(g->crc);
	trailer[1] = htole32(g->size);
	return buffer_add(&g->out, trailer, sizeof(trailer));
}

void metrics_gzip_free(struct metrics_gzip *g)
{
	buffer_free(&g->out);
	buffer_free(&g->kept);
}
