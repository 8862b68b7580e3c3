// SPDX-License-Identifier: Apache-2.0
/*
 * HTTPS servers of Gateways: what the handshake needs, and the names that clients ask for.
 */
#include <ctype.h>
#include <string.h>

#include "lib/l7/l7_priv.h"
#include "lib/mesh/gateways.h"

enum { TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };

static __u32 mode_of(const char *mode)
{
	return str_eq(mode, "SIMPLE")	? HS_TLS_SIMPLE
	       : str_eq(mode, "MUTUAL") ? HS_TLS_MUTUAL
					: HS_TLS_OPTIONAL_MUTUAL;
}

static void add_text(struct http_compiler *c, struct hs_range *to, struct hs_str text)
{
	struct hs_text_row row = { .text = text };
	__u32 at = http_build_add(&c->build, HS_TEXTS, &row);

	if (!to->count++)
		to->first = at;
}

static struct hs_range texts(struct http_compiler *c, const struct strs *list)
{
	struct hs_range range = { 0 };

	for (size_t i = 0; i < list->count; i++)
		add_text(c, &range, http_build_str(&c->build, list->items[i]));
	return range;
}

/* Without colons, in lower case. */
static struct hs_range hashes(struct http_compiler *c, const struct strs *list)
{
	enum { HASH_DIGITS = 64 };
	struct hs_range range = { 0 };

	for (size_t i = 0; i < list->count; i++) {
		char digits[HASH_DIGITS];
		size_t n = 0;

		for (const char *at = list->items[i]; *at && n < HASH_DIGITS; at++)
			if (*at != ':')
				digits[n++] = (char)tolower((unsigned char)*at);
		add_text(c, &range, http_build_bytes(&c->build, digits, n));
	}
	return range;
}

static struct hs_str ciphers(struct http_compiler *c, const struct strs *list)
{
	const char *text = "";

	for (size_t i = 0; i < list->count && text; i++)
		text = pool_printf(&c->mesh->pool, "%s%s%s", text, i ? ":" : "", list->items[i]);
	c->mesh->nomem |= !text;
	return http_build_str(&c->build, text);
}

static struct hs_server make_server(struct http_compiler *c, const struct object *gw,
				    const struct gw_server *server)
{
	const struct gw_tls *t = &server->tls;
	const char *name = pool_printf(&c->mesh->pool, "%s/%s servers[%zu]", gw->meta.namespace,
				       gw->meta.name, (size_t)(server - gw->gateway.servers.items));
	const char *credential = gateway_credential(c->mesh, gw, server);

	c->mesh->nomem |= !name || !credential;
	return (struct hs_server){
		.name = http_build_str(&c->build, name),
		.credential = http_build_str(&c->build, credential),
		.mode = mode_of(server->tls_mode),
		.min_version = t->min_version ? t->min_version : TLS_1_2,
		.max_version = t->max_version ? t->max_version : TLS_1_3,
		.ciphers = ciphers(c, &t->ciphers),
		.alt_names = texts(c, &t->alt_names),
		.spkis = texts(c, &t->spkis),
		.hashes = hashes(c, &t->hashes),
	};
}

/* Whether an older server of the listener has the name; else it is taken now. */
static bool is_taken(struct http_compiler *c, unsigned port, const char *name)
{
	const char *key = pool_printf(&c->mesh->pool, "%u %u %s", port, c->group, name);
	void **slot = key ? bytemap_at(&c->sni_names, key, strlen(key)) : NULL;
	bool taken = slot && *slot;

	c->mesh->nomem |= !slot;
	if (slot)
		*slot = c; /* any will do */
	return taken;
}

static void add_sni(struct http_compiler *c, unsigned port, const char *host, __u32 server)
{
	const char *slash = strchr(host, '/');
	char *name = pool_copy(&c->mesh->pool, slash ? slash + 1 : host,
			       strlen(slash ? slash + 1 : host));
	struct http_sni *slot;

	for (char *at = name; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	if (name && is_taken(c, port, name))
		return;
	slot = name ? table_push(&c->snis) : NULL;
	if (slot)
		*slot = (struct http_sni){ port, name, server, c->group };
	else
		c->mesh->nomem = true;
}

__u32 http_server_add(struct http_compiler *c, const struct object *gw,
		      const struct gw_server *server)
{
	struct hs_server row = make_server(c, gw, server);
	struct hs_server *slot = table_push(&c->servers);

	if (!slot)
		return 0;
	*slot = row;
	for (size_t i = 0; i < server->hosts.count; i++)
		add_sni(c, server->port, server->hosts.items[i], c->servers.count - 1);
	return c->servers.count;
}

/* Exact names in order, then wildcards, the longest first. */
static int compare_snis(const void *a, const void *b)
{
	const struct http_sni *x = a, *y = b;
	bool wild = host_is_wildcard(x->name);
	size_t n = strlen(x->name), m = strlen(y->name);

	if (wild != host_is_wildcard(y->name))
		return wild ? 1 : -1;
	if (wild && n != m)
		return n > m ? -1 : 1;
	return strcmp(x->name, y->name);
}

void http_snis_write(struct http_compiler *c, struct hs_listener *l)
{
	if (c->snis.count)
		qsort(c->snis.items, c->snis.count, sizeof(*c->snis.items), compare_snis);
	for (size_t i = 0; i < c->snis.count; i++) {
		const struct http_sni *sni = &c->snis.items[i];
		bool wild = host_is_wildcard(sni->name);
		struct hs_range *range = wild ? &l->sni_wild : &l->sni_exact;
		struct hs_sni row = { .name = http_build_str(&c->build, sni->name + wild),
				      .server = sni->server };
		__u32 at;

		if (sni->port != l->port || sni->group != l->group)
			continue;
		at = http_build_add(&c->build, HS_SNI, &row);
		if (!range->count++)
			range->first = at;
	}
}
