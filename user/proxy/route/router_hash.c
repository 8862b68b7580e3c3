// SPDX-License-Identifier: Apache-2.0
/*
 * What consistentHash speaks of.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/route/router_priv.h"

uint64_t router_mix(uint64_t h, const void *bytes, size_t n)
{
	h = fnv1a(h, bytes, n);
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccd;
	return h ^ h >> 29;
}

/* name=value among those of a query or a cookie. */
static struct http_span find_pair(struct http_span text, char separator, struct http_span name)
{
	const char *p = text.at, *end = text.at + text.len;

	while (p < end) {
		const char *stop = memchr(p, separator, (size_t)(end - p));

		if (!stop)
			stop = end;
		while (p < stop && *p == ' ')
			p++;
		if ((size_t)(stop - p) > name.len && !memcmp(p, name.at, name.len) &&
		    p[name.len] == '=')
			return (struct http_span){ p + name.len + 1,
						   (size_t)(stop - p) - name.len - 1 };
		p = stop + 1;
	}
	return (struct http_span){ 0 };
}

/* There may be several fields of them; a value may be quoted. */
static struct http_span find_cookie(const struct http_request *q, struct http_span name)
{
	struct http_span value = { 0 };

	for (size_t i = 0; !value.at && i < q->field_count; i++)
		if (http_span_folds(q->fields[i].name, http_span("cookie")))
			value = find_pair(q->fields[i].value, ';', name);
	if (value.at && value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
		value = (struct http_span){ value.at + 1, value.len - 2 };
	return value;
}

static struct http_span find_parameter(struct http_span path, struct http_span name)
{
	const char *mark = memchr(path.at, '?', path.len);

	if (!mark)
		return (struct http_span){ 0 };
	return find_pair((struct http_span){ mark + 1, path.len - (size_t)(mark + 1 - path.at) },
			 '&', name);
}

static struct http_span hash_text(const struct router_plan *p, const struct hs_cluster *c)
{
	struct http_span name = hs_span(p->version->snapshot, c->hash_name);
	const struct http_field *f;

	switch (c->hash) {
	case HS_HASH_HEADER:
		f = http_find_field(&p->request, name);
		return f ? f->value : (struct http_span){ 0 };
	case HS_HASH_COOKIE:
		return find_cookie(&p->request, name);
	case HS_HASH_QUERY:
		return find_parameter(p->request.path, name);
	case HS_HASH_SOURCE_IP:
		return (struct http_span){ (const char *)p->client.b, sizeof(p->client.b) };
	default:
		return (struct http_span){ 0 };
	}
}

/* Each connection gets one of its own. */
static struct http_span make_cookie(struct router_plan *p, const struct hs_cluster *c)
{
	const struct http_snapshot *s = p->version->snapshot;
	uint64_t h = router_mix(ROUTER_HASH, &p->client, sizeof(p->client));
	int name = (int)c->hash_name.len, digits;

	h = router_mix(h, &p->client_port, sizeof(p->client_port));
	h = router_mix(h, &p->called, sizeof(p->called));
	digits = snprintf(NULL, 0, "%llx", (unsigned long long)h);
	p->cookie_len = (size_t)snprintf(p->cookie, sizeof(p->cookie), "%.*s=\"%llx\"%s", name,
					 hs_text(s, c->hash_name), (unsigned long long)h,
					 hs_text(s, c->hash_attributes));
	return (struct http_span){ p->cookie + name + 2, (size_t)digits };
}

void router_hash(struct router_plan *p)
{
	const struct hs_cluster *c = p->decision.cluster;
	struct http_span key = { 0 };

	p->cookie_len = 0;
	if (c && c->hash)
		key = hash_text(p, c);
	if (!key.at && c && c->hash == HS_HASH_COOKIE && c->hash_makes)
		key = make_cookie(p, c);
	p->hashed = key.at;
	if (p->hashed)
		p->hash = router_mix(ROUTER_HASH, key.at, key.len);
}
