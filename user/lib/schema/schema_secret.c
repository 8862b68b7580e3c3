/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets. What is in them is put into no message.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/schema/decode.h"

/* What of a Secret is read, by the names that Istio has for it. */
enum secret_item { SECRET_CHAIN, SECRET_KEY, SECRET_CA, SECRET_CRL, SECRET_ITEMS };

/* A Secret while it is decoded: the generic names and those of kubernetes.io/tls, from `data` and,
 * which counts before it, from `stringData`. */
struct secret_draft {
	struct secret_bytes generic[SECRET_ITEMS], tls[SECRET_ITEMS];
};

static const char *const generic_names[SECRET_ITEMS] = { "cert", "key", "cacert", "crl" };
static const char *const tls_names[SECRET_ITEMS] = { "tls.crt", "tls.key", "ca.crt", "ca.crl" };

static struct secret_bytes *item_of(struct secret_draft *draft, const char *name)
{
	for (int i = 0; i < SECRET_ITEMS; i++) {
		if (!strcmp(name, generic_names[i]))
			return &draft->generic[i];
		if (!strcmp(name, tls_names[i]))
			return &draft->tls[i];
	}
	return NULL;
}

/* The API server passes over line breaks in base64. */
static void copy_unbroken(char *to, const char *text)
{
	char *at = to;

	for (; *text; text++)
		if (*text != '\n' && *text != '\r')
			*at++ = *text;
	*at = '\0';
}

/* Never what is there. */
static void refuse_item(struct decoder *d, const struct node *key, bool encoded, const char *what)
{
	char field[64];

	snprintf(field, sizeof(field), "%s[\"%s\"]", encoded ? "data" : "stringData",
		 node_text(key));
	decode_error(d, key->next, field, "expected %s", what);
}

static void take_item(struct decoder *d, const struct node *key, bool encoded,
		      struct secret_draft *draft)
{
	struct secret_bytes *item = item_of(draft, node_text(key));
	const struct node *value = node_target(key->next);
	const char *text = node_text(value);
	size_t len = text ? strlen(text) : 0;
	char *bytes;

	if (!item || node_is_null(value))
		return;
	bytes = text ? decode_alloc(d, len + 1) : NULL;
	if (!text)
		refuse_item(d, key, encoded, "a text");
	if (!bytes)
		return;
	if (encoded)
		copy_unbroken(bytes, text);
	else
		memcpy(bytes, text, len);
	if (encoded && !base64_decode(bytes, bytes, &len)) {
		refuse_item(d, key, encoded, "base64");
		return;
	}
	bytes[len] = '\0';
	*item = (struct secret_bytes){ bytes, len };
}

static void take_items(struct decoder *d, const struct node *self, const char *field, bool encoded,
		       struct secret_draft *draft)
{
	const struct node *map = node_get(self, field);

	if (!map || node_is_null(map))
		return;
	map = node_target(map);
	if (map->type != NODE_MAP) {
		decode_error(d, map, field, "expected a map");
		return;
	}
	for (const struct node *key = map->child; key; key = key->next->next)
		if (node_text(key))
			take_item(d, key, encoded, draft);
}

static struct secret_bytes first_of(const struct secret_draft *draft, enum secret_item item)
{
	return draft->generic[item].len ? draft->generic[item] : draft->tls[item];
}

/* As Istio's ExtractCertInfo() and ExtractRoot() choose: a certificate and its key have names of
 * one kind. */
static void finish_secret(struct decoder *d, const struct node *self_node, void *self)
{
	struct object *o = self;
	struct secret_draft draft = { 0 };
	bool generic;

	take_items(d, self_node, "data", true, &draft);
	take_items(d, self_node, "stringData", false, &draft);
	generic = draft.generic[SECRET_CHAIN].len && draft.generic[SECRET_KEY].len;
	o->secret.chain = generic ? draft.generic[SECRET_CHAIN] : draft.tls[SECRET_CHAIN];
	o->secret.key = generic ? draft.generic[SECRET_KEY] : draft.tls[SECRET_KEY];
	o->secret.ca = first_of(&draft, SECRET_CA);
	o->secret.crl = first_of(&draft, SECRET_CRL);
}

static const struct field secret_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ "type", FIELD_STRING, .offset = offsetof(struct object, secret.type) },
	{ 0 },
};

const struct message schema_secret = {
	.what = "a Secret (a map)",
	.size = OBJECT_SIZE(secret),
	.fields = secret_fields,
	.finish = finish_secret,
};
