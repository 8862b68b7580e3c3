/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct node *node_key(const struct node *map, const char *key)
{
	const struct node *k;

	if (!map)
		return NULL;
	map = node_target(map);
	if (map->type != NODE_MAP)
		return NULL;
	for (k = map->child; k; k = k->next->next) {
		const struct node *text = node_target(k);

		if (text->type == NODE_SCALAR && !strcmp(text->text, key))
			return k;
	}
	return NULL;
}

const struct node *node_get(const struct node *map, const char *key)
{
	const struct node *k = node_key(map, key);

	return k ? k->next : NULL;
}

const char *node_text(const struct node *n)
{
	n = node_target(n);
	return n->type == NODE_SCALAR ? n->text : NULL;
}

/* Control characters would garble a terminal; the rest is shown as it stands. */
static void quote(const char *text, char *buf, size_t size)
{
	enum { SHOWN = 64 };
	size_t used = 1, taken = 0;

	buf[0] = '"';
	for (; text[taken] && taken < SHOWN && used + 8 < size; taken++) {
		unsigned char c = (unsigned char)text[taken];

		if (c < 0x20 || c == 0x7f)
			used += (size_t)snprintf(buf + used, size - used, "\\x%02x", c);
		else
			buf[used++] = (char)c;
	}
	/* Not in the middle of a character. */
	while (text[taken] && used > 1 && ((unsigned char)text[taken] & 0xc0) == 0x80) {
		taken--;
		used--;
	}
	snprintf(buf + used, size - used, text[taken] ? "...\"" : "\"");
}

const char *node_describe(const struct node *n, char *buf, size_t size)
{
	n = node_target(n);
	if (n->type == NODE_LIST)
		snprintf(buf, size, "a list");
	else if (n->type == NODE_MAP)
		snprintf(buf, size, "a map");
	else if (node_is_null(n))
		snprintf(buf, size, "nothing");
	else
		quote(n->text, buf, size);
	return buf;
}

void documents_free(struct documents *docs)
{
	for (size_t i = 0; i < docs->count; i++)
		arena_unref(docs->items[i].arena);
	free(docs->items);
	memset(docs, 0, sizeof(*docs));
}
