// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_gzip.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>

enum {
	LENGTH_MIN = 3, /* of a match, in the format */
	LENGTH_MAX = 258,
	WORTH_MIN = 4, /* a shorter one is longer than what it stands for */
	DISTANCE_MAX = 32768,
	END_OF_BLOCK = 256,
	CRC_LONG = 64,	      /* bytes */
	WORTH_LOOKING = 24,   /* what is left of a line that is otherwise alike: a number */
	LITERALS_AT_ONCE = 6, /* of 9 bits at most, in 56 */
	SLACK = 64,	      /* bytes beside what lines take */
};

static const uint32_t CRC_POLYNOMIAL = 0xedb88320; /* RFC 1952, 8: its lowest power is highest */

/* ---- bits ---- */

/* At most 56. There is room. */
static void put_bits(struct metrics_gzip *g, uint64_t value, unsigned count)
{
	uint64_t little;

	g->bits |= value << g->bit_count;
	g->bit_count += count;
	little = htole64(g->bits);
	memcpy(g->out.bytes + g->out.size, &little, sizeof(little));
	g->out.size += g->bit_count / 8;
	g->bits >>= g->bit_count & ~7u;
	g->bit_count &= 7;
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

/* Bits that are put together: each put_bits() waits for the one before. */
struct code {
	uint64_t bits;
	unsigned count;
};

static struct code then(struct code a, uint64_t bits, unsigned count)
{
	return (struct code){ a.bits | bits << a.count, a.count + count };
}

static struct code length_code(const struct metrics_gzip *g, size_t length)
{
	struct split s = split((unsigned)length - LENGTH_MIN, 2);
	unsigned symbol;

	if (length == LENGTH_MAX) /* has a code of its own */
		s = (struct split){ .code = 28 };
	symbol = 257 + s.code;
	return then((struct code){ g->codes[symbol], g->code_bits[symbol] }, s.extra, s.extra_bits);
}

static struct code distance_code(size_t distance)
{
	struct split s = split((unsigned)distance - 1, 1);

	return then((struct code){ reversed(s.code, 5), 5 }, s.extra, s.extra_bits);
}

/* Those that lie that far back. */
static void put_match(struct metrics_gzip *g, size_t count, size_t distance)
{
	const struct code far = distance_code(distance);
	struct code one = length_code(g, LENGTH_MAX), two;

	one = then(one, far.bits, far.count);
	two = then(one, one.bits, one.count);
	for (; count >= 2 * LENGTH_MAX + LENGTH_MIN; count -= 2 * LENGTH_MAX)
		put_bits(g, two.bits, two.count);
	while (count) {
		size_t some = count;

		if (some > LENGTH_MAX)
			some = count - LENGTH_MAX < LENGTH_MIN ? count - LENGTH_MIN : LENGTH_MAX;
		one = length_code(g, some);
		one = then(one, far.bits, far.count);
		put_bits(g, one.bits, one.count);
		count -= some;
	}
}

static void put_literals(struct metrics_gzip *g, const char *at, size_t count)
{
	while (count) {
		size_t some = count < LITERALS_AT_ONCE ? count : LITERALS_AT_ONCE;
		struct code code = { 0 };

		for (size_t i = 0; i < some; i++) {
			unsigned symbol = (unsigned char)at[i];

			code = then(code, g->codes[symbol], g->code_bits[symbol]);
		}
		put_bits(g, code.bits, code.count);
		at += some;
		count -= some;
	}
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

/* A part of a line by the same part of the last one, which lies `distance` back. `alike`: so many
 * bytes in front of it, not put yet, are as that far back, too. */
static void pack_part(struct metrics_gzip *g, const char *part, size_t len, const char *last,
		      size_t last_len, size_t distance, size_t alike)
{
	size_t same = common(part, last, least(len, last_len)), i = 0, k = 0, next;

	if (alike) {
		put_match(g, alike + same, distance);
		i = k = same;
		same = 0;
	}
	if (alike && len - i < WORTH_LOOKING) {
		put_literals(g, part + i, len - i);
		return;
	}
	for (; i < len; same = common(part + i, last + k, least(len - i, last_len - k))) {
		if (same >= WORTH_MIN && distance + i - k <= DISTANCE_MAX) {
			put_match(g, same, distance + i - k);
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
		put_literals(g, part + i, next - i);
		i = next;
	}
}

static size_t line_len(const struct metrics_gzip_line *l)
{
	return l->before_len + l->labels.len + l->after_len;
}

static bool has_labels_of(const struct metrics_gzip_line *a, const struct metrics_gzip_line *b)
{
	return a->labels.len && a->labels.text == b->labels.text;
}

/* Whether the two are alike up to the end of their labels. */
static bool has_head_of(const struct metrics_gzip_line *a, const struct metrics_gzip_line *b)
{
	return has_labels_of(a, b) && a->before_len == b->before_len &&
	       !memcmp(a->before, b->before, a->before_len);
}

static void pack_line(struct metrics_gzip *g, const struct metrics_gzip_line *line, bool same_head)
{
	const struct metrics_gzip_line *last = &g->last;
	size_t far = line_len(last), head = line->before_len + line->labels.len;
	size_t last_head = last->before_len + last->labels.len;

	if (same_head && head >= WORTH_MIN && far <= DISTANCE_MAX) {
		pack_part(g, line->after, line->after_len, last->after, last->after_len, far, head);
		return;
	}
	pack_part(g, line->before, line->before_len, last->before, last->before_len, far, 0);
	far = far + line->before_len - last->before_len;
	if (has_labels_of(line, last) && line->labels.len >= WORTH_MIN && far <= DISTANCE_MAX)
		put_match(g, line->labels.len, far);
	else
		pack_part(g, line->labels.text, line->labels.len, last->labels.text,
			  last->labels.len, far, 0);
	pack_part(g, line->after, line->after_len, last->after, last->after_len,
		  line_len(last) + head - last_head, 0);
}

/* ---- the CRC: what is told to be as before is not gone over again ---- */

/* What so many bytes behind a CRC do to it, as crc32_combine_gen() has it, for each four bits. */
static void make_shift(uint32_t shift[8][16], uint32_t op)
{
	for (int i = 8; i--;) {
		for (unsigned bit = 8; bit; bit >>= 1) {
			shift[i][bit] = op;
			op = op & 1 ? op >> 1 ^ CRC_POLYNOMIAL : op >> 1;
		}
		shift[i][0] = 0;
		for (unsigned n = 3; n < 16; n++)
			shift[i][n] = shift[i][n & (n - 1)] ^ shift[i][n & -n];
	}
}

static uint32_t shifted(uint32_t crc, uint32_t shift[8][16])
{
	uint32_t out = 0;

	for (int i = 0; i < 8; i++)
		out ^= shift[i][crc >> (4 * i) & 15];
	return out;
}

/* tables[n][byte]: what a byte does that n others follow. */
static void make_crc_tables(uint32_t tables[4][256])
{
	const z_crc_t *first = get_crc_table();

	for (unsigned i = 0; i < 256; i++) {
		tables[0][i] = (uint32_t)first[i];
		for (int n = 1; n < 4; n++)
			tables[n][i] = tables[n - 1][i] >> 8 ^ first[tables[n - 1][i] & 255];
	}
}

/* zlib goes over what is short byte by byte, which takes three times as long. */
static uint32_t crc_of(const struct metrics_gzip *g, uint32_t crc, const char *bytes, size_t len)
{
	if (len >= CRC_LONG)
		return (uint32_t)crc32(crc, (const Bytef *)bytes, (uInt)len);
	crc = ~crc;
	for (; len >= 4; len -= 4, bytes += 4) {
		uint32_t four;

		memcpy(&four, bytes, sizeof(four));
		crc ^= le32toh(four);
		crc = g->crc_tables[3][crc & 255] ^ g->crc_tables[2][crc >> 8 & 255] ^
		      g->crc_tables[1][crc >> 16 & 255] ^ g->crc_tables[0][crc >> 24];
	}
	for (; len; len--, bytes++)
		crc = crc >> 8 ^ g->crc_tables[0][(crc ^ (unsigned char)*bytes) & 255];
	return ~crc;
}

static uint32_t with_labels(uint32_t crc, const struct metrics_labels *l)
{
	return (uint32_t)crc32_combine_op(crc, l->crc, l->crc_op);
}

static void make_head(struct metrics_gzip *g, const struct metrics_gzip_line *line)
{
	struct metrics_gzip_head *head = &g->head;
	uint32_t before = (uint32_t)crc32_combine_gen((z_off_t)line->before_len);

	head->is = true;
	head->crc = with_labels(crc_of(g, 0, line->before, line->before_len), &line->labels);
	/* Both, one after the other. */
	make_shift(head->shift, (uint32_t)crc32_combine_op(before, 0, line->labels.crc_op));
}

static void add_crc(struct metrics_gzip *g, const struct metrics_gzip_line *line, bool same_head)
{
	if (same_head && !g->head.is)
		make_head(g, line);
	g->head.is = same_head;
	if (same_head) {
		g->crc = shifted(g->crc, g->head.shift) ^ g->head.crc;
	} else {
		g->crc = crc_of(g, g->crc, line->before, line->before_len);
		if (line->labels.len)
			g->crc = with_labels(g->crc, &line->labels);
	}
	g->crc = crc_of(g, g->crc, line->after, line->after_len);
	g->size += (uint32_t)line_len(line);
}

/* What it points to but for the labels is the caller's. */
static int keep_last(struct metrics_gzip *g)
{
	struct metrics_gzip_line *last = &g->last;

	if (last->before == g->kept.bytes)
		return 0;
	g->kept.size = 0;
	if (buffer_add(&g->kept, last->before, last->before_len) ||
	    buffer_add(&g->kept, last->after, last->after_len))
		return -ENOMEM;
	last->before = g->kept.bytes;
	last->after = g->kept.bytes + last->before_len;
	return 0;
}

static struct metrics_gzip_line line_of(const char *text, size_t len,
					const struct metrics_labels *labels)
{
	const char *mark = labels ? memchr(text, METRICS_MARK[0], len) : NULL;
	struct metrics_gzip_line line = {
		.before = text, .before_len = len, .after = text + len, .labels = { .text = "" }
	};

	if (!mark)
		return line;
	line.before_len = (size_t)(mark - text);
	line.labels = *labels;
	line.after = mark + 1;
	line.after_len = len - line.before_len - 1;
	return line;
}

static int add_line(struct metrics_gzip *g, const struct metrics_gzip_line *line)
{
	size_t len = line_len(line);
	bool same_head = has_head_of(line, &g->last);

	if (buffer_reserve(&g->out, len + len / 8 + SLACK))
		return -ENOMEM;
	pack_line(g, line, same_head);
	add_crc(g, line, same_head);
	g->last = *line;
	return 0;
}

int metrics_gzip_add(struct metrics_gzip *g, const char *lines, size_t size,
		     const struct metrics_labels *labels)
{
	const char *end = size ? lines + size : lines;
	int r = 0;

	while (!r && lines < end) {
		const char *newline = memchr(lines, '\n', (size_t)(end - lines));
		size_t len = (size_t)((newline ? newline + 1 : end) - lines);
		struct metrics_gzip_line line = line_of(lines, len, labels);

		r = add_line(g, &line);
		lines += len;
	}
	return r ? r : keep_last(g);
}

int metrics_gzip_begin(struct metrics_gzip *g)
{
	static const char header[] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3 /* Unix */ };
	int r = buffer_reserve(&g->out, SLACK);

	if (!r)
		r = buffer_add(&g->out, header, sizeof(header));
	if (!r)
		r = buffer_add(&g->kept, "", 1);
	if (r)
		return r;
	g->last = line_of(g->kept.bytes, 0, NULL);
	make_codes(g);
	make_crc_tables(g->crc_tables);
	put_bits(g, 1, 1); /* the last block, */
	put_bits(g, 1, 2); /* by the fixed codes */
	return 0;
}

int metrics_gzip_end(struct metrics_gzip *g)
{
	uint32_t trailer[2];
	int r = buffer_reserve(&g->out, SLACK);

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
