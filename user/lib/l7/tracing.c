// SPDX-License-Identifier: Apache-2.0
/*
 * Traces: what is sampled and told, and of whom.
 */
#include <ctype.h>
#include <errno.h>

#include "lib/l7/l7_priv.h"

_Static_assert((int)SAMPLING_ALL == (int)HS_SAMPLING_ALL &&
		       (int)TRACING_TAGS_MAX <= (int)HS_TAGS_MAX &&
		       (int)TRACING_CLIENT == (int)HS_TRACING_CLIENT &&
		       (int)TRACING_SERVER == (int)HS_TRACING_SERVER,
	       "rows are as the model has them");

static void write_tag(struct http_compiler *c, const struct tracing_tag *tag)
{
	char header[TRACING_TEXT_MAX + 1] = "";
	struct hs_tag row = { .name = http_build_str(&c->build, tag->name) };

	for (size_t i = 0; tag->header && tag->header[i] && i < TRACING_TEXT_MAX; i++)
		header[i] = (char)tolower((unsigned char)tag->header[i]);
	row.header = http_build_str(&c->build, header);
	row.value = http_build_str(&c->build, tag->literal ? tag->literal : tag->default_value);
	http_build_add(&c->build, HS_TAGS, &row);
}

static void write_row(struct http_compiler *c, const struct tracing *from)
{
	struct http_build *b = &c->build;
	struct hs_tracing row = { .sampling = from->sampling,
				  .flags = (__u32)from->told,
				  .tags.first = http_build_count(b, HS_TAGS) };

	for (size_t i = 0; i < from->tag_count; i++)
		write_tag(c, &from->tags[i]);
	row.tags.count = http_build_count(b, HS_TAGS) - row.tags.first;
	http_build_add(b, HS_TRACINGS, &row);
}

int http_tracings_write(struct http_compiler *c)
{
	const struct telemetries *t = &c->mesh->telemetries;

	if (t->rows.count > UINT16_MAX + 1)
		return -E2BIG;
	for (size_t i = 0; i < t->rows.count; i++)
		write_row(c, &t->rows.items[i]);
	c->build.gateway_tracing = c->mesh->gateways.count ? t->gateway : 0;
	return 0;
}
