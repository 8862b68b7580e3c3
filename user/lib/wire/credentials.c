// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/credentials.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

struct credentials {
	size_t count;
	struct credential items[];
};

static int compare_texts(struct credential_text a, struct credential_text b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.at, b.at, len) : 0;

	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int compare_names(const void *a, const void *b)
{
	const struct credential *x = a, *y = b;

	return compare_texts(x->name, y->name);
}

/* ---- reading ---- */

static bool part_read(const char *bytes, size_t size, size_t from, struct credentials_part part,
		      struct credential_text *out)
{
	if (part.at < from || part.at > size || part.len > size - part.at)
		return false;
	*out = (struct credential_text){ bytes + part.at, part.len };
	return true;
}

static bool row_read(const char *bytes, size_t size, size_t from, const struct credential_row *row,
		     struct credential *out)
{
	return part_read(bytes, size, from, row->name, &out->name) && out->name.len &&
	       part_read(bytes, size, from, row->chain, &out->chain) &&
	       part_read(bytes, size, from, row->key, &out->key) &&
	       part_read(bytes, size, from, row->ca, &out->ca) &&
	       part_read(bytes, size, from, row->crl, &out->crl);
}

static bool head_ok(const struct credentials_head *h, size_t size)
{
	return h->magic == CREDENTIALS_MAGIC && h->version == CREDENTIALS_VERSION &&
	       h->size == size && h->count <= (size - sizeof(*h)) / sizeof(struct credential_row);
}

int credentials_open(const void *bytes, size_t size, struct credentials **out)
{
	_cleanup_free_ struct credentials *c = NULL;
	struct credentials_head head;
	size_t from;

	if (size < sizeof(head) || size > CREDENTIALS_SIZE_MAX)
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	if (!head_ok(&head, size))
		return -EBADMSG;
	c = calloc(1, sizeof(*c) + head.count * sizeof(*c->items));
	if (!c)
		return -ENOMEM;
	from = sizeof(head) + head.count * sizeof(struct credential_row);
	for (; c->count < head.count; c->count++) {
		struct credential *to = &c->items[c->count];
		struct credential_row row;

		memcpy(&row, (const char *)bytes + sizeof(head) + c->count * sizeof(row),
		       sizeof(row));
		if (!row_read(bytes, size, from, &row, to) ||
		    (c->count && compare_names(to - 1, to) >= 0))
			return -EBADMSG;
	}
	*out = TAKE_PTR(c);
	return 0;
}

void credentials_close(struct credentials *c)
{
	free(c);
}

size_t credentials_count(const struct credentials *c)
{
	return c->count;
}

const struct credential *credentials_at(const struct credentials *c, size_t i)
{
	return &c->items[i];
}

const struct credential *credentials_find(const struct credentials *c, const char *name, size_t len)
{
	struct credential key = { .name = { name, len } };

	return bsearch(&key, c->items, c->count, sizeof(*c->items), compare_names);
}

/* ---- writing ---- */

/* Where the next bytes go. */
struct writer {
	char *bytes;
	uint32_t at;
};

static struct credentials_part put(struct writer *w, struct credential_text text)
{
	struct credentials_part part = { w->at, text.len };

	if (text.len)
		memcpy(w->bytes + w->at, text.at, text.len);
	w->at += text.len;
	return part;
}

static void put_row(struct writer *w, size_t i, const struct credential *c)
{
	struct credential_row row = { .name = put(w, c->name),
				      .chain = put(w, c->chain),
				      .key = put(w, c->key),
				      .ca = put(w, c->ca),
				      .crl = put(w, c->crl) };

	memcpy(w->bytes + sizeof(struct credentials_head) + i * sizeof(row), &row, sizeof(row));
}

static size_t size_of(const struct credential *items, size_t count)
{
	size_t size = sizeof(struct credentials_head) + count * sizeof(struct credential_row);

	for (size_t i = 0; i < count && size <= CREDENTIALS_SIZE_MAX; i++)
		size += items[i].name.len + items[i].chain.len + items[i].key.len +
			items[i].ca.len + items[i].crl.len;
	return size;
}

int credentials_pack(const struct credential *items, size_t count, void **out, size_t *size)
{
	size_t need = count <= CREDENTIALS_SIZE_MAX / sizeof(struct credential_row)
			      ? size_of(items, count)
			      : SIZE_MAX;
	struct credentials_head head = { CREDENTIALS_MAGIC, CREDENTIALS_VERSION, count, need };
	struct writer w = { .at = sizeof(head) + count * sizeof(struct credential_row) };
	_cleanup_free_ struct credential *sorted = NULL;

	if (need > CREDENTIALS_SIZE_MAX)
		return -E2BIG;
	sorted = calloc(count + 1, sizeof(*sorted));
	w.bytes = sorted ? malloc(need) : NULL;
	if (!w.bytes)
		return -ENOMEM;
	if (count)
		memcpy(sorted, items, count * sizeof(*items));
	qsort(sorted, count, sizeof(*sorted), compare_names);
	memcpy(w.bytes, &head, sizeof(head));
	for (size_t i = 0; i < count; i++)
		put_row(&w, i, &sorted[i]);
	*out = w.bytes;
	*size = need;
	return 0;
}
