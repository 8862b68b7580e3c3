// SPDX-License-Identifier: Apache-2.0
/*
 * Names on listeners.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/l7/l7_priv.h"

enum { DOMAIN_KEY_MAX = HOST_MAX + 80 };

/* "SCOPE/PORT/GROUP/SERVER/NS/NAME". Returns its length. */
static size_t domain_key(char out[DOMAIN_KEY_MAX], const struct http_domain *d)
{
	const __u32 numbers[] = { d->scope, d->port, d->group, d->server, d->ns };
	char *to = out;
	size_t len;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		to = text_put_number(to, numbers[i]);
		*to++ = '/';
	}
	len = strnlen(d->name, out + DOMAIN_KEY_MAX - to);
	memcpy(to, d->name, len);
	return to - out + len;
}

void http_domain_add(struct http_compiler *c, const struct http_domain *d)
{
	struct http_domain *slot;
	char key[DOMAIN_KEY_MAX];
	size_t len = domain_key(key, d);
	char *copy = pool_copy(&c->mesh->pool, key, len);
	void **at = copy ? bytemap_at(&c->seen, copy, len) : NULL;

	if (!at) {
		c->mesh->nomem = true;
		return;
	}
	if (*at)
		return;
	*at = (void *)d->name;
	slot = table_push(&c->domains);
	if (!slot) {
		c->mesh->nomem = true;
		return;
	}
	*slot = *d;
	slot->order = c->domains.count;
}

static int compare(__u64 a, __u64 b)
{
	return a < b ? -1 : a > b;
}

/* By listener and server; exact names in order, then wildcards, the longest first, those of a
 * namespace before the others. */
static int compare_domains(const void *a, const void *b)
{
	const struct http_domain *x = a, *y = b;
	bool wild = host_is_wildcard(x->name);
	int r = compare(x->scope, y->scope);

	if (!r)
		r = compare(x->port, y->port);
	if (!r)
		r = compare(x->group, y->group);
	if (!r)
		r = compare(x->server, y->server);
	if (!r)
		r = compare(wild, host_is_wildcard(y->name));
	if (!r && wild)
		r = compare(strlen(y->name), strlen(x->name));
	if (!r && wild)
		r = compare(!x->ns, !y->ns);
	if (!r)
		r = strcmp(x->name, y->name);
	if (!r)
		r = compare(x->ns, y->ns);
	return r ? r : compare(x->order, y->order);
}

static void write_domain(struct http_compiler *c, const struct http_domain *d,
			 struct hs_listener *l)
{
	bool wild = host_is_wildcard(d->name);
	struct hs_domain row = { .name = http_build_str(&c->build, d->name + wild),
				 .ns = d->ns,
				 .vhost = d->vhost };
	__u32 at = http_build_count(&c->build, HS_DOMAINS);
	struct hs_server *server = d->server ? &c->servers.items[d->server - 1] : NULL;
	struct hs_range *range = server ? (wild ? &server->wild : &server->exact)
					: (wild ? &l->wild : &l->exact);

	/* A listener that has no other name than this is only there to be found. */
	if (!*d->name)
		return;
	if (!range->count)
		range->first = at;
	range->count++;
	http_build_add(&c->build, HS_DOMAINS, &row);
}

static bool is_of(const struct http_domain *d, const struct hs_listener *l)
{
	return d->scope == l->scope && d->port == l->port && d->group == l->group;
}

int http_listeners_write(struct http_compiler *c)
{
	struct http_domain *items = c->domains.items;
	size_t count = c->domains.count;

	if (count)
		qsort(items, count, sizeof(*items), compare_domains);
	for (size_t i = 0, end; i < count; i = end) {
		struct hs_listener l = { .scope = items[i].scope,
					 .port = items[i].port,
					 .group = items[i].group };

		for (end = i; end < count && is_of(&items[end], &l); end++) {
			write_domain(c, &items[end], &l);
			l.tls |= items[end].tls;
		}
		if (l.tls)
			http_snis_write(c, &l);
		http_build_add(&c->build, HS_LISTENERS, &l);
	}
	for (size_t i = 0; i < c->servers.count; i++)
		http_build_add(&c->build, HS_SERVERS, &c->servers.items[i]);
	return c->build.nomem ? -ENOMEM : 0;
}
