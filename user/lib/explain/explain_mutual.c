// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/explain_mutual.h"

#include "lib/base/json_io.h"
#include "lib/explain/explain_authz.h"
#include "lib/route/workload.h"

/* How an endpoint is called. */
enum way {
	WAY_PLAIN,     /* in clear: nobody asks for anything else */
	WAY_HERE,      /* in clear: it is on this node */
	WAY_ENCRYPTED, /* by mutual TLS */
	WAY_STRANGER,  /* not: it is no pod of the mesh */
	WAY_STRICT,    /* not: it takes nothing but mutual TLS, and the rule wants none */
};

static const struct hs_client_tls *row_of(const struct http_snapshot *s, const struct hs_cluster *c)
{
	return c->client_tls ? hs_client_tls(s, c->client_tls - 1) : NULL;
}

static enum way way_of(const struct http_snapshot *s, const struct hs_client_tls *tls,
		       const struct endpoint *e)
{
	const struct hs_workload *w = http_workload(s, &e->addr);
	bool strict = w && !w->here && http_workload_mode(s, w, e->port) == HS_MTLS_STRICT;

	if (tls && tls->mode == HS_TLS_ISTIO_MUTUAL)
		return !w ? WAY_STRANGER : w->here ? WAY_HERE : WAY_ENCRYPTED;
	if (tls && tls->mode == HS_TLS_DISABLE)
		return strict ? WAY_STRICT : WAY_PLAIN;
	return strict && !tls ? WAY_ENCRYPTED : WAY_PLAIN;
}

/* The endpoints that may be called: where that is not for weft to choose, the address that was
 * called, which *one then is. */
static struct http_members members_of(const struct http_answer *a, const struct hs_cluster *c,
				      struct hs_endpoint *one)
{
	if (c->lb != LB_PASSTHROUGH || !a->called)
		return http_members(a->s, c);
	*one = (struct hs_endpoint){ .endpoint = { .addr = *a->called, .port = (__u16)c->port } };
	return (struct http_members){ .items = one, .count = 1 };
}

bool explain_mutual_is_used(const struct http_answer *a, const struct hs_cluster *c)
{
	const struct hs_client_tls *tls = row_of(a->s, c);
	struct hs_endpoint one;
	struct http_members m = members_of(a, c, &one);

	if (tls)
		return tls->mode == HS_TLS_ISTIO_MUTUAL || tls->mode == HS_TLS_DISABLE;
	for (__u32 i = 0; http_uses_mutual(a->s) && i < m.count; i++)
		if (way_of(a->s, NULL, &m.items[i].endpoint) == WAY_ENCRYPTED)
			return true;
	return false;
}

/* What the client shows as its own; NULL: it has none. */
static const char *identity_of(const struct http_answer *a)
{
	const struct explain_client *client = a->authz->client;
	const struct hs_workload *w;

	if (a->at_gateway)
		return GATEWAY_IDENTITY;
	w = client->pod ? http_workload(a->s, &client->addr) : NULL;
	return w && w->here ? hs_text(a->s, w->identity) : NULL;
}

const char *explain_mutual_refuses(const struct http_answer *a, const struct hs_cluster *c,
				   const struct endpoint *e)
{
	const struct hs_client_tls *tls = row_of(a->s, c);

	if (tls && tls->mode != HS_TLS_ISTIO_MUTUAL && tls->mode != HS_TLS_DISABLE)
		return NULL;
	switch (way_of(a->s, tls, e)) {
	case WAY_STRANGER:
		return "it is no pod of the mesh, with which ISTIO_MUTUAL could be spoken";
	case WAY_STRICT:
		return "it takes nothing but mutual TLS (STRICT), and the DestinationRule's tls "
		       "is DISABLE";
	case WAY_ENCRYPTED:
		return a->authz->client->pod && !a->at_gateway && !identity_of(a)
			       ? "the client is no pod of the mesh on this node: it has no "
				 "identity for mutual TLS"
			       : NULL;
	default:
		return NULL;
	}
}

/* The list of that name, made when it is first asked for. */
static json_t *list_of(json_t *j, const char *name)
{
	if (!json_object_get(j, name))
		json_object_set_new(j, name, json_array());
	return json_object_get(j, name);
}

static void put_endpoint(const struct http_answer *a, json_t *j, const struct hs_client_tls *tls,
			 const struct endpoint *e, json_t *peers)
{
	const struct hs_workload *w = http_workload(a->s, &e->addr);
	char text[ADDR_TEXT_MAX];

	addr_format_port(&e->addr, e->port, text);
	switch (way_of(a->s, tls, e)) {
	case WAY_ENCRYPTED:
		json_object_set_new(peers, text, json_text(hs_text(a->s, w->identity)));
		break;
	case WAY_STRANGER:
	case WAY_STRICT:
		json_array_append_new(list_of(j, "refused"), json_string(text));
		break;
	default:
		json_array_append_new(list_of(j, "in_clear"), json_string(text));
	}
}

json_t *explain_mutual_json(const struct http_answer *a, const struct hs_cluster *c)
{
	const struct hs_client_tls *tls = row_of(a->s, c);
	struct hs_endpoint one;
	struct http_members m = members_of(a, c, &one);
	const char *identity = identity_of(a);
	json_t *j = json_object(), *peers = json_object();

	json_object_set_new(j, "mode",
			    json_string(tls && tls->mode == HS_TLS_DISABLE ? "DISABLE"
									   : "ISTIO_MUTUAL"));
	for (__u32 i = 0; i < m.count; i++)
		put_endpoint(a, j, tls, &m.items[i].endpoint, peers);
	if (json_object_size(peers)) {
		json_object_set(j, "peers", peers);
		if (identity)
			json_object_set_new(j, "identity", json_text(identity));
	}
	json_decref(peers);
	return j;
}
