// SPDX-License-Identifier: Apache-2.0
/*
 * Servers of TLS: what the handshake needs, and the names that clients ask for.
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

struct hs_range http_texts(struct http_compiler *c, const struct strs *list)
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

static struct hs_str server_name(struct http_compiler *c, const struct object *gw,
				 const struct gw_server *server)
{
	const char *name = pool_printf(&c->mesh->pool, "%s/%s servers[%zu]", gw->meta.namespace,
				       gw->meta.name, (size_t)(server - gw->gateway.servers.items));

	c->mesh->nomem |= !name;
	return http_build_str(&c->build, name);
}

/* One that ends TLS. */
static struct hs_server make_server(struct http_compiler *c, const struct object *gw,
				    const struct gw_server *server, enum hs_server_kind kind,
				    struct http_bytes to)
{
	const struct gw_tls *t = &server->tls;
	const char *credential = gateway_credential(c->mesh, gw, server);

	c->mesh->nomem |= !credential;
	return (struct hs_server){
		.name = server_name(c, gw, server),
		.credential = http_build_str(&c->build, credential),
		.mode = mode_of(server->tls_mode),
		.min_version = t->min_version ? t->min_version : TLS_1_2,
		.max_version = t->max_version ? t->max_version : TLS_1_3,
		.ciphers = ciphers(c, &t->ciphers),
		.alt_names = http_texts(c, &t->alt_names),
		.spkis = http_texts(c, &t->spkis),
		.hashes = hashes(c, &t->hashes),
		.kind = kind,
		.action = to.action,
		.place = to.place,
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

void http_sni_add(struct http_compiler *c, unsigned port, const char *host, __u32 server)
{
	const char *slash = strchr(host, '/');
	char *name = pool_copy(&c->mesh->pool, slash ? slash + 1 : host,
			       strlen(slash ? slash + 1 : host));
	struct http_sni *slot;

	for (char *at = name; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	if (name && is_taken(c, port, name))
		return;
	slot = name ? table_push(&c->snis.list) : NULL;
	if (slot)
		*slot = (struct http_sni){ .port = port,
					   .name = name,
					   .server = server - 1,
					   .match = HS_NONE,
					   .group = c->group };
	else
		c->mesh->nomem = true;
}

/* Its index + 1; 0 when out of memory. */
static __u32 add_row(struct http_compiler *c, struct hs_server row)
{
	struct hs_server *slot = table_push(&c->servers);

	if (!slot)
		return 0;
	*slot = row;
	return c->servers.count;
}

static __u32 add_server(struct http_compiler *c, const struct gw_server *server,
			struct hs_server row)
{
	__u32 at = add_row(c, row);

	for (size_t i = 0; at && i < server->hosts.count; i++)
		http_sni_add(c, server->port, server->hosts.items[i], at);
	return at;
}

static const struct http_bytes nowhere = { HS_NONE, HS_NONE };

__u32 http_server_add(struct http_compiler *c, const struct object *gw,
		      const struct gw_server *server)
{
	return add_server(c, server, make_server(c, gw, server, HS_SERVER_HTTP, nowhere));
}

__u32 http_tcp_server_add(struct http_compiler *c, const struct object *gw,
			  const struct gw_server *server, struct http_bytes to)
{
	return add_server(c, server, make_server(c, gw, server, HS_SERVER_TCP, to));
}

__u32 http_passthrough_add(struct http_compiler *c, const struct object *gw,
			   const struct gw_server *server, struct http_bytes to)
{
	struct hs_server row = { .kind = HS_SERVER_PASSTHROUGH,
				 .action = to.action,
				 .place = to.place };

	if (server)
		row.name = server_name(c, gw, server);
	return add_row(c, row);
}

/* Exact names in order, then wildcards, the longest first. */
static int compare_snis(const void *a, const void *b)
{
	const struct http_sni *x = a, *y = b;
	bool wild = host_is_wildcard(x->name);
	size_t n = strlen(x->name), m = strlen(y->name);
	int r;

	if (wild != host_is_wildcard(y->name))
		return wild ? 1 : -1;
	if (wild && n != m)
		return n > m ? -1 : 1;
	r = strcmp(x->name, y->name);
	return r ? r : (x->order > y->order) - (x->order < y->order);
}

void http_sni_rows(struct http_compiler *c, struct http_sni *items, size_t count,
		   struct hs_range *exact, struct hs_range *wild)
{
	const char *closed = NULL;

	for (size_t i = 0; i < count; i++)
		items[i].order = i;
	if (count)
		qsort(items, count, sizeof(*items), compare_snis);
	for (size_t i = 0; i < count; i++) {
		bool star = host_is_wildcard(items[i].name);
		struct hs_range *range = star ? wild : exact;
		struct hs_sni row = { .name = http_build_str(&c->build, items[i].name + star),
				      .server = items[i].server,
				      .match = items[i].match };
		__u32 at;

		if (str_eq(closed, items[i].name))
			continue;
		if (row.match == HS_NONE)
			closed = items[i].name;
		at = http_build_add(&c->build, HS_SNI, &row);
		if (!range->count++)
			range->first = at;
	}
}

static int compare_places(const struct http_sni *sni, __u32 port, __u32 group)
{
	if (sni->port != port)
		return sni->port < port ? -1 : 1;
	return (sni->group > group) - (sni->group < group);
}

static int compare_listeners(const void *a, const void *b)
{
	const struct http_sni *y = b;

	return compare_places(a, y->port, y->group);
}

void http_snis_write(struct http_compiler *c, struct hs_listener *l)
{
	struct http_sni *items = c->snis.list.items;
	size_t first = 0, end;

	if (c->snis.list.count)
		qsort(items, c->snis.list.count, sizeof(*items), compare_listeners);
	while (first < c->snis.list.count && compare_places(&items[first], l->port, l->group))
		first++;
	for (end = first;
	     end < c->snis.list.count && !compare_places(&items[end], l->port, l->group); end++)
		l->peek |= c->servers.items[items[end].server].kind == HS_SERVER_PASSTHROUGH;
	http_sni_rows(c, items + first, end - first, &l->sni_exact, &l->sni_wild);
}
