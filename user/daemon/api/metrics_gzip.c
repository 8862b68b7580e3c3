// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_gzip.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	WORTH_MIN = 4, /* a shorter match is longer than what it stands for */
	DISTANCE_MAX = 32768,
	BYTES_PER_BYTE = 2, /* that one takes at most, packed */
	SLACK = 512,	    /* bytes beside what lines take: the header is in it */
};

static const uint32_t CRC_POLYNOMIAL = 0xedb88320; /* its lowest power is highest */

/* ---- bits ---- */

/* There is room. */
static inline void put_bits(struct metrics_gzip_bits *b, uint64_t value, unsigned count)
{
	uint64_t little;

	b->bits |= value << b->count;
	b->count += count;
	little = htole64(b->bits);
	memcpy(b->at, &little, sizeof(little));
	b->at += b->count / 8;
	b->bits >>= b->count & ~7u;
	b->count &= 7;
}

static inline void put_codes(struct metrics_gzip_bits *b, struct gzip_codes c)
{
	put_bits(b, c.bits, c.count);
}

/* Up to the first that is empty, or all. */
static inline void put_all_codes(struct metrics_gzip_bits *b, const struct gzip_codes *c, int max)
{
	for (; max && c->count; max--)
		put_codes(b, *c++);
}

/* RFC 1951, 3.2.7: with codes of 4 bits each for the lengths of 1 to 15 bits, and no others. */
static void put_tables(struct metrics_gzip_bits *b)
{
	const struct gzip_tables *t = b->tables;

	put_bits(b, GZIP_LITERALS - 257, 5);
	put_bits(b, GZIP_DISTANCES - 1, 5);
	put_bits(b, 19 - 4, 4);
	for (int i = 0; i < 3; i++) /* what repeats others */
		put_bits(b, 0, 3);
	for (int i = 0; i < 16; i++)
		put_bits(b, 4, 3);
	for (int i = 0; i < GZIP_LITERALS; i++)
		put_bits(b, gzip_reversed(t->literals[i].count, 4), 4);
	for (int i = 0; i < GZIP_DISTANCES; i++)
		put_bits(b, gzip_reversed(t->distances[i].count, 4), 4);
}

/* ---- the CRC ---- */

/* What labels do, for each four bits. */
static void make_shift(struct metrics_gzip_shift *s, const struct metrics_labels *l)
{
	uint32_t op = l->crc_op;

	s->len = l->len;
	for (int i = 8; i--;) {
		for (unsigned bit = 8; bit; bit >>= 1) {
			s->by[i][bit] = op;
			op = op & 1 ? op >> 1 ^ CRC_POLYNOMIAL : op >> 1;
		}
		s->by[i][0] = 0;
		for (unsigned n = 3; n < 16; n++)
			s->by[i][n] = s->by[i][n & (n - 1)] ^ s->by[i][n & -n];
	}
}

static uint32_t crc_behind_labels(struct metrics_gzip *g, uint32_t crc,
				  const struct metrics_labels *l)
{
	struct metrics_gzip_shift *s = &g->shifts[l->len % METRICS_GZIP_SHIFTS];

	if (s->len != l->len)
		make_shift(s, l);
	return s->by[0][crc & 15] ^ s->by[1][crc >> 4 & 15] ^ s->by[2][crc >> 8 & 15] ^
	       s->by[3][crc >> 12 & 15] ^ s->by[4][crc >> 16 & 15] ^ s->by[5][crc >> 20 & 15] ^
	       s->by[6][crc >> 24 & 15] ^ s->by[7][crc >> 28];
}

static void add_crc(struct metrics_gzip *g, const struct metrics_line *line,
		    const struct gzip_end *end)
{
	const struct gzip_tables *t = g->bits.tables;
	const size_t number = line->number->len;
	uint32_t crc = gzip_crc_behind(t, g->crc, line->name->len) ^ line->name->crc;

	crc = crc_behind_labels(g, crc, &line->labels) ^ line->labels.crc;
	g->crc = gzip_crc_behind(t, crc, end->len + number) ^ end->crc_before[number] ^
		 g->number.crc;
}

/* ---- matches ---- */

/* Behind those that are gathered, which are put first if there is no room for it any more. */
static inline struct gzip_codes gather(struct metrics_gzip_bits *b, struct gzip_codes gathered,
				       struct gzip_codes c)
{
	if (gathered.count + c.count > GZIP_BITS_AT_ONCE) {
		put_codes(b, gathered);
		return c;
	}
	return gzip_append(gathered, c.bits, c.count);
}

static struct gzip_codes match_codes(const struct gzip_tables *t, size_t length,
				     struct gzip_code far)
{
	const struct gzip_code near = t->lengths[length];

	return gzip_append((struct gzip_codes){ near.bits, near.count }, far.bits, far.count);
}

/* So many bytes that lie that far back. */
static void put_match(struct metrics_gzip_bits *b, size_t count, size_t distance)
{
	const struct gzip_tables *t = b->tables;
	const struct gzip_code far = gzip_distance(t, distance);
	const struct gzip_codes most = match_codes(t, GZIP_LENGTH_MAX, far);
	struct gzip_codes codes = { 0 };

	for (; count >= GZIP_LENGTH_MAX + GZIP_LENGTH_MIN; count -= GZIP_LENGTH_MAX)
		codes = gather(b, codes, most);
	if (count > GZIP_LENGTH_MAX) { /* what would be left is too short for a code */
		codes = gather(b, codes, match_codes(t, GZIP_LENGTH_MIN, far));
		count -= GZIP_LENGTH_MIN;
	}
	put_codes(b, gather(b, codes, match_codes(t, count, far)));
}

static void put_literals(struct metrics_gzip_bits *b, const char *at, size_t count)
{
	while (count) {
		struct gzip_codes codes;
		size_t some = gzip_literals(b->tables, at, count, &codes);

		put_codes(b, codes);
		at += some;
		count -= some;
	}
}

static size_t common(const char *a, const char *b, size_t max)
{
	size_t n = 0;
	uint64_t x, y;

	for (; n + sizeof(x) <= max; n += sizeof(x)) {
		memcpy(&x, a + n, sizeof(x));
		memcpy(&y, b + n, sizeof(y));
		if (x != y)
			return n + (size_t)__builtin_ctzll(le64toh(x ^ y)) / 8;
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

/* A part of a line by the same part of the last one, which lies `distance` back. */
static void pack_part(struct metrics_gzip_bits *b, const char *part, size_t len, const char *last,
		      size_t last_len, size_t distance)
{
	size_t k = 0, next;

	for (size_t i = 0; i < len;) {
		size_t same = common(part + i, last + k, least(len - i, last_len - k));

		if (same >= WORTH_MIN && distance + i - k <= DISTANCE_MAX) {
			put_match(b, same, distance + i - k);
			i += same;
			k += same;
			continue;
		}
		next = next_end(part, i + same, len);
		k = next_end(last, k + same, last_len);
		if (next == i && (k == last_len || last[k] != part[i])) { /* no such end */
			next++;
			k += k < last_len;
		}
		put_literals(b, part + i, next - i);
		i = next;
	}
}

/* ---- lines that tell of traffic ---- */

static bool has_labels_of(const struct metrics_line *line, const struct metrics_gzip_last *last)
{
	return last->labels == line->labels.text && line->labels.len >= WORTH_MIN;
}

static void pack_labels(struct metrics_gzip_bits *b, const struct metrics_line *line,
			const struct metrics_gzip_last *last)
{
	size_t far = last->len + line->name->len - last->head_len;

	if (has_labels_of(line, last) && far <= DISTANCE_MAX)
		put_match(b, line->labels.len, far);
	else
		pack_part(b, line->labels.text, line->labels.len, last->labels, last->labels_len,
			  far);
}

/* Names follow each other in the same way again and again. */
static struct metrics_gzip_turn *turn_to(struct metrics_gzip *g, const struct metrics_name *name)
{
	struct metrics_gzip_turn *turn =
		&g->turns[(uintptr_t)name / sizeof(*name) % METRICS_GZIP_TURNS];
	const struct metrics_name *from = g->last.name;
	size_t same;

	if (turn->from == from && turn->to == name)
		return turn;
	same = common(name->text, from->text, least(name->len, from->len));
	*turn = (struct metrics_gzip_turn){ .from = from, .to = name, .same = same };
	gzip_all_literals(g->bits.tables, name->text + same, name->len - same, turn->rest,
			  METRICS_GZIP_TURN_CODES);
	return turn;
}

static void pack_name(struct metrics_gzip *g, struct metrics_gzip_bits *b,
		      const struct metrics_name *name)
{
	const struct metrics_gzip_last *last = &g->last;
	const struct metrics_gzip_turn *turn;

	if (!last->name || last->len > DISTANCE_MAX) {
		pack_part(b, name->text, name->len, last->head, last->head_len, last->len);
		return;
	}
	turn = turn_to(g, name);
	if (turn->same >= WORTH_MIN)
		put_match(b, turn->same, last->len);
	else
		put_literals(b, name->text, turn->same);
	put_all_codes(b, turn->rest, METRICS_GZIP_TURN_CODES);
}

static void pack_line(struct metrics_gzip *g, const struct metrics_line *line,
		      const struct gzip_end *end)
{
	const struct metrics_gzip_last *last = &g->last;
	struct metrics_gzip_bits b = g->bits; /* in registers */

	if (last->name == line->name && has_labels_of(line, last) && last->len <= DISTANCE_MAX &&
	    line->end < METRICS_END && last->end < METRICS_END) {
		put_match(&b, line->name->len + line->labels.len + strlen(METRICS_BUCKET_BEGINS),
			  last->len);
		put_all_codes(&b, end->rest, GZIP_END_CODES);
	} else {
		pack_name(g, &b, line->name);
		pack_labels(&b, line, last);
		put_all_codes(&b, end->all, GZIP_END_CODES);
	}
	for (unsigned i = 0; i < g->number.count; i++)
		put_codes(&b, g->number.codes[i]);
	g->bits = b;
}

static uint32_t number_crc(const struct gzip_tables *t, const struct metrics_number *n)
{
	const unsigned char *end = (const unsigned char *)n->room + sizeof(n->room);
	uint32_t crc = 0;

#pragma GCC unroll 8
	for (size_t i = 0; i < 8; i++) /* zeros before it do nothing */
		crc ^= t->crc_ahead[i][end[-1 - (int)i]];
	for (size_t i = 8; i < n->len; i++)
		crc ^= t->crc_ahead[i][end[-1 - (int)i]];
	return crc;
}

/* Of a number: digits and its newline are of 5 bits at most, and a point is of 8. */
static struct gzip_codes eight_codes(const struct gzip_tables *t, const char *at)
{
	struct gzip_codes codes = { 0 };

#pragma GCC unroll 8
	for (int i = 0; i < 8; i++) {
		struct gzip_code c = t->digits[(unsigned char)at[i]];

		codes = gzip_append(codes, c.bits, c.count);
	}
	return codes;
}

/* Often it is the last line's. */
static void look_at_number(struct metrics_gzip *g, const struct metrics_number *number)
{
	struct metrics_gzip_number *n = &g->number;
	const char *end = number->room + sizeof(number->room);

	if (!memcmp(n->is.room, number->room, sizeof(number->room)))
		return;
	n->is = *number;
	n->crc = number_crc(g->bits.tables, number);
	n->count = (unsigned)(number->len + 7) / 8;
	for (unsigned i = 0; i < n->count; i++)
		n->codes[i] = eight_codes(g->bits.tables, end - 8 * (n->count - i));
}

/* Room for what so many bytes take, packed: from bits.at on. */
static int reserve(struct metrics_gzip *g, size_t len)
{
	size_t want = len * BYTES_PER_BYTE + SLACK;

	if (g->out.room - g->out.size < want && buffer_reserve(&g->out, want))
		return -ENOMEM;
	g->bits.at = g->out.bytes + g->out.size;
	return 0;
}

/* What has been put there. */
static void commit(struct metrics_gzip *g)
{
	g->out.size = (size_t)(g->bits.at - g->out.bytes);
}

int metrics_gzip_line(struct metrics_gzip *g, const struct metrics_line *line)
{
	const struct gzip_end *end = &g->bits.tables->ends[g->format][line->end];
	size_t len = line->name->len + line->labels.len + end->len + line->number->len;

	if (reserve(g, len))
		return -ENOMEM;
	look_at_number(g, line->number);
	pack_line(g, line, end);
	commit(g);
	add_crc(g, line, end);
	g->size += (uint32_t)len;
	g->last = (struct metrics_gzip_last){ .name = line->name,
					      .head = line->name->text,
					      .head_len = line->name->len,
					      .labels = line->labels.text,
					      .labels_len = line->labels.len,
					      .end = line->end,
					      .len = len };
	return 0;
}

/* ---- any others ---- */

static struct metrics_gzip_last text_line(const char *line, size_t len)
{
	return (struct metrics_gzip_last){
		.head = line, .head_len = len, .labels = "", .len = len
	};
}

static int add_text(struct metrics_gzip *g, const char *line, size_t len)
{
	const struct metrics_gzip_last *last = &g->last;

	if (reserve(g, len))
		return -ENOMEM;
	pack_part(&g->bits, line, len, last->head, last->head_len, last->len);
	commit(g);
	g->crc = ~(uint32_t)crc32(~g->crc, (const Bytef *)line, (uInt)len);
	g->size += (uint32_t)len;
	g->last = text_line(line, len);
	return 0;
}

static int keep_last(struct metrics_gzip *g)
{
	g->kept.size = 0;
	if (buffer_add(&g->kept, g->last.head, g->last.head_len))
		return -ENOMEM;
	g->last.head = g->kept.bytes;
	return 0;
}

int metrics_gzip_text(struct metrics_gzip *g, const char *lines, size_t size)
{
	const char *end = size ? lines + size : lines;
	int r = 0;

	if (!size)
		return 0;
	while (!r && lines < end) {
		const char *newline = memchr(lines, '\n', (size_t)(end - lines));
		size_t len = (size_t)((newline ? newline + 1 : end) - lines);

		r = add_text(g, lines, len);
		lines += len;
	}
	return r ? r : keep_last(g);
}

/* ---- blocks ---- */

static bool is_same_place(const struct metrics_gzip_last *a, const struct metrics_gzip_last *b)
{
	return a->name == b->name && a->labels == b->labels && a->end == b->end && a->len == b->len;
}

struct metrics_gzip_mark metrics_gzip_mark(const struct metrics_gzip *g)
{
	return (struct metrics_gzip_mark){ g->last, g->out.size, g->bits.count, g->crc, g->size };
}

/* Those from there on that one can have at once; there are some behind them, or SLACK is. */
static uint64_t bits_at(const char *bytes, size_t bit, unsigned count)
{
	uint64_t word;

	memcpy(&word, bytes + bit / 8, sizeof(word));
	return (le64toh(word) >> bit % 8) & (UINT64_MAX >> (64 - count));
}

static bool has_room(struct metrics_gzip_block *b, size_t count)
{
	uint64_t *more;

	if (b->room >= count)
		return true;
	more = realloc(b->bits, count * sizeof(*more));
	if (!more)
		return false;
	b->bits = more;
	b->room = count;
	return true;
}

void metrics_gzip_keep(const struct metrics_gzip *g, const struct metrics_gzip_mark *m,
		       struct metrics_gzip_block *out)
{
	const size_t end = g->out.size * 8 + g->bits.count;
	size_t at = m->at * 8 + m->bit;

	out->last_bits = 0;
	out->count = (end - at + GZIP_BITS_AT_ONCE - 1) / GZIP_BITS_AT_ONCE;
	if (!m->before.name || !g->last.name || !has_room(out, out->count))
		return;
	for (size_t i = 0; i + 1 < out->count; i++, at += GZIP_BITS_AT_ONCE)
		out->bits[i] = bits_at(g->out.bytes, at, GZIP_BITS_AT_ONCE);
	out->last_bits = (unsigned)(end - at);
	out->bits[out->count - 1] = bits_at(g->out.bytes, at, out->last_bits);
	out->format = g->format;
	out->before = m->before;
	out->after = g->last;
	out->size = g->size - m->size;
	out->crc_before = m->crc;
	out->crc_after = g->crc;
	out->crc_op = 0;
}

/* Behind another one than the CRC was that the block was packed behind. */
static uint32_t crc_behind_block(uint32_t crc, struct metrics_gzip_block *b)
{
	if (!b->crc_op)
		b->crc_op = (uint32_t)crc32_combine_gen(b->size);
	return (uint32_t)crc32_combine_op(crc ^ b->crc_before, b->crc_after, b->crc_op);
}

int metrics_gzip_again(struct metrics_gzip *g, struct metrics_gzip_block *b)
{
	struct metrics_gzip_bits to;

	if (!b->last_bits || b->format != g->format || !is_same_place(&g->last, &b->before))
		return 1;
	if (reserve(g, b->count * sizeof(*b->bits)))
		return -ENOMEM;
	to = g->bits;
	for (size_t i = 0; i + 1 < b->count; i++)
		put_bits(&to, b->bits[i], GZIP_BITS_AT_ONCE);
	put_bits(&to, b->bits[b->count - 1], b->last_bits);
	g->bits = to;
	commit(g);
	g->crc = crc_behind_block(g->crc, b);
	g->size += b->size;
	g->last = b->after;
	return 0;
}

void metrics_gzip_block_free(struct metrics_gzip_block *b)
{
	free(b->bits);
	*b = (struct metrics_gzip_block){ 0 };
}

/* ---- the beginning and the end ---- */

int metrics_gzip_begin(struct metrics_gzip *g, const struct gzip_tables *t,
		       enum metrics_format format)
{
	static const char header[] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3 /* Unix */ };

	if (buffer_add(&g->out, header, sizeof(header)) || reserve(g, 0))
		return -ENOMEM;
	g->bits.tables = t;
	g->format = format;
	g->crc = UINT32_MAX;
	g->last = text_line("", 0);
	put_bits(&g->bits, 1, 1); /* the last block, */
	put_bits(&g->bits, 2, 2); /* by codes of its own */
	put_tables(&g->bits);
	commit(g);
	return 0;
}

int metrics_gzip_end(struct metrics_gzip *g)
{
	const struct gzip_code stop = g->bits.tables->literals[GZIP_END_OF_BLOCK];
	uint32_t trailer[2];

	if (reserve(g, sizeof(trailer)))
		return -ENOMEM;
	put_bits(&g->bits, stop.bits, stop.count);
	put_bits(&g->bits, 0, (8 - g->bits.count) & 7);
	commit(g);
	trailer[0] = htole32(~g->crc);
	trailer[1] = htole32(g->size);
	return buffer_add(&g->out, trailer, sizeof(trailer));
}

void metrics_gzip_free(struct metrics_gzip *g)
{
	buffer_free(&g->out);
	buffer_free(&g->kept);
}
