// SPDX-License-Identifier: Apache-2.0
/*
 * How TLS is spoken with an endpoint that was chosen.
 */
#include <errno.h>

#include "lib/model/hostname.h"
#include "proxy/route/router_priv.h"
#include "proxy/route/tls_store.h"

/* The worker's own, as long as no other credentials have come. Without memory there is none for
 * now. */
static struct tls_client *client_of(const struct router_version *v, uint32_t row)
{
	struct tls_store *store = shared_state_tls(v->state);
	struct router_client *own = &v->clients[row];
	struct tls_client *made = NULL;
	uint64_t round = tls_store_round(store);
	int r;

	if (own->round == round)
		return own->client;
	r = tls_store_client(store, v->snapshot, hs_client_tls(v->snapshot, row), &made);
	if (r == -ENOMEM)
		return NULL;
	if (r)
		made = NULL;
	tls_client_unref(own->client);
	*own = (struct router_client){ made, round };
	return made;
}

/* Without a port, and without the brackets of an IPv6 address. */
static struct http_span host_of(struct http_span authority)
{
	const char *end = memchr(authority.at, ']', authority.len), *colon;

	if (end && *authority.at == '[')
		return (struct http_span){ authority.at + 1, (size_t)(end - authority.at) - 1 };
	colon = memchr(authority.at, ':', authority.len);
	if (colon)
		authority.len = (size_t)(colon - authority.at);
	return authority;
}

static struct http_span name_for(const struct router_plan *p, const struct hs_cluster *c,
				 const struct hs_client_tls *tls)
{
	const struct http_snapshot *s = p->version->snapshot;

	if (tls->sni.len)
		return hs_span(s, tls->sni);
	if (p->decision.authority.len)
		return host_of(p->decision.authority);
	return hs_span(s, c->host);
}

void router_target_tls(const struct router_plan *p, const struct hs_cluster *c, struct target *out)
{
	uint32_t row = c->client_tls - 1;
	const struct hs_client_tls *tls = hs_client_tls(p->version->snapshot, row);
	struct tls_client *client = client_of(p->version, row);
	struct http_span name = name_for(p, c, tls);

	out->tls = (struct target_tls){ .name = name.at,
					.name_len = name.len,
					.check = tls->check_host && p->decision.authority.len,
					.broken = !client || name.len > TLS_CLIENT_NAME_MAX };
	if (!out->tls.broken)
		out->tls.client = tls_client_ref(client);
}
