// SPDX-License-Identifier: Apache-2.0
/*
 * How TLS is spoken with an endpoint that was chosen.
 */
#include <errno.h>

#include "lib/model/hostname.h"
#include "lib/route/workload.h"
#include "proxy/route/router_priv.h"
#include "proxy/route/tls_store.h"

/* What the store has answered. Without memory there is none for now. */
static struct tls_client *keep(struct router_client *own, uint64_t round, int r,
			       struct tls_client *made)
{
	if (r == -ENOMEM)
		return NULL;
	tls_client_unref(own->client);
	*own = (struct router_client){ r ? NULL : made, round };
	return own->client;
}

/* The worker's own, as long as no other credentials have come. */
static struct tls_client *client_of_row(const struct router_version *v, uint32_t row)
{
	struct tls_store *store = shared_state_tls(v->state);
	struct router_client *own = &v->clients[row];
	struct tls_client *made = NULL;
	uint64_t round = tls_store_round(store);
	int r;

	if (own->round == round)
		return own->client;
	r = tls_store_client(store, v->snapshot, hs_client_tls(v->snapshot, row), &made);
	return keep(own, round, r, made);
}

/* Likewise. `own` is one of v->identities, that of the identity. */
static struct tls_client *client_of_identity(const struct router_version *v,
					     struct router_client *own, struct http_span identity)
{
	struct tls_store *store = shared_state_tls(v->state);
	struct tls_client *made = NULL;
	uint64_t round = tls_store_round(store);
	int r;

	if (own->round == round)
		return own->client;
	r = tls_store_identity_client(store, identity, &made);
	return keep(own, round, r, made);
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

/* `lack`: what is wrong where there is no client. */
static void speak(struct tls_client *client, enum target_broken lack, struct target_tls *out)
{
	if (client)
		out->client = tls_client_ref(client);
	else
		out->broken = lack;
}

static void speak_by_row(const struct router_plan *p, const struct hs_cluster *c,
			 const struct hs_client_tls *tls, struct target *out)
{
	struct tls_client *client = client_of_row(p->version, c->client_tls - 1);
	struct http_span name = name_for(p, c, tls);

	out->tls = (struct target_tls){ .name = name.at,
					.name_len = name.len,
					.check = tls->check_host && p->decision.authority.len };
	speak(name.len > TLS_CLIENT_NAME_MAX ? NULL : client, TARGET_NO_CLIENT, &out->tls);
}

/* ---- mutual TLS between workloads ---- */

/* With the identity of who calls: the Gateway, else the pod of this node at the client's address.
 */
static void speak_as_caller(const struct router_plan *p, const struct hs_workload *peer,
			    struct target *out)
{
	static const struct http_span gateway = { GATEWAY_IDENTITY, sizeof(GATEWAY_IDENTITY) - 1 };
	const struct router_version *v = p->version;
	const struct http_snapshot *s = v->snapshot;
	const struct hs_workload *own = p->gateway ? NULL : http_workload(s, &p->client);
	uint32_t row = own ? (uint32_t)(own - hs_workload(s, 0)) : hs_count(s, HS_WORKLOADS);

	if (!p->gateway && (!own || !own->here)) {
		out->tls.broken = TARGET_NO_IDENTITY;
		return;
	}
	out->tls = (struct target_tls){ .name = "", .peer = hs_text(s, peer->identity) };
	speak(client_of_identity(v, &v->identities[row], own ? hs_span(s, own->identity) : gateway),
	      TARGET_NO_IDENTITY, &out->tls);
}

/* Between pods of one node the kernel carries what is said, and knows both. `wanted`: a rule asks
 * for mutual TLS; else the endpoint does, or not. */
static void speak_in_mesh(const struct router_plan *p, bool wanted, struct target *out)
{
	const struct http_snapshot *s = p->version->snapshot;
	const struct hs_workload *w = http_workload(s, &out->addr);

	if (!w && wanted)
		out->tls.broken = TARGET_NOT_IN_MESH;
	else if (w && !w->here && (wanted || http_workload_mode(s, w, out->port) == HS_MTLS_STRICT))
		speak_as_caller(p, w, out);
}

void router_target_tls(const struct router_plan *p, const struct hs_cluster *c, struct target *out)
{
	const struct hs_client_tls *tls =
		c->client_tls ? hs_client_tls(p->version->snapshot, c->client_tls - 1) : NULL;

	if (!tls || tls->mode == HS_TLS_ISTIO_MUTUAL)
		speak_in_mesh(p, tls, out);
	else if (tls->mode != HS_TLS_DISABLE)
		speak_by_row(p, c, tls, out);
}
