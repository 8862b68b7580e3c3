// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_blocks.h"

#include <stdlib.h>
#include <string.h>

struct metrics_block {
	struct traffic_histogram value; /* or as much of it as there is */
	struct metrics_gzip_block packed;
};

/* NULL: there is no memory. */
static struct metrics_block *block_of(struct metrics_blocks *b, unsigned family, size_t i)
{
	while (b->of[family].count <= i)
		if (!table_push(&b->of[family]))
			return NULL;
	return &b->of[family].items[i];
}

static int write_anew(struct metrics_block *block, struct metrics_out *out, unsigned family,
		      const struct metrics_series *s, const struct metrics_numbers *n, size_t i)
{
	struct metrics_gzip_mark mark = metrics_gzip_mark(out->gzip);
	int r = metrics_series_write(out, family, s, n, i);
	const void *value;
	size_t size;

	if (r)
		return r;
	value = metrics_series_value(family, n, i, &size);
	memcpy(&block->value, value, size);
	metrics_gzip_keep(out->gzip, &mark, &block->packed);
	return 0;
}

int metrics_blocks_write(struct metrics_blocks *b, struct metrics_out *out, unsigned family,
			 const struct metrics_series *s, const struct metrics_numbers *n, size_t i)
{
	size_t size;
	const void *value = metrics_series_value(family, n, i, &size);
	struct metrics_block *block;
	int r = 1;

	if (b->drops != s->drops) {
		metrics_blocks_free(b);
		b->drops = s->drops;
	}
	block = value && out->gzip ? block_of(b, family, i) : NULL;
	if (!block)
		return metrics_series_write(out, family, s, n, i);
	if (!memcmp(&block->value, value, size))
		r = metrics_gzip_again(out->gzip, &block->packed);
	return r <= 0 ? r : write_anew(block, out, family, s, n, i);
}

void metrics_blocks_free(struct metrics_blocks *b)
{
	for (int family = 0; family < METRICS_SERIES_FAMILIES; family++) {
		for (size_t i = 0; i < b->of[family].count; i++)
			metrics_gzip_block_free(&b->of[family].items[i].packed);
		free(b->of[family].items);
	}
	*b = (struct metrics_blocks){ 0 };
}
