// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/router_inbound.h"

#include <string.h>

#include "lib/route/authz.h"
#include "proxy/route/router_priv.h"

const struct plan router_inbound_refused = {
	.action = PLAN_ANSWER,
	.answer = { .flags = "-", .details = "plaintext_denied" },
};

static const struct hs_workload *workload_here(const struct http_snapshot *s,
					       const struct addr *addr)
{
	const struct hs_workload *w = http_workload(s, addr);

	return w && w->here ? w : NULL;
}

struct router_inbound router_inbound_at(const struct http_snapshot *s, const struct route_ask *ask)
{
	const struct hs_workload *w = workload_here(s, &ask->called);
	const struct hs_workload_port *port;
	struct router_inbound in = { 0 };

	if (!w || workload_here(s, &ask->client))
		return in;
	in.mode = http_workload_mode(s, w, ask->called_port);
	if (in.mode == HS_MTLS_DISABLE)
		return in;
	port = http_workload_port(s, w, ask->called_port);
	in.requests = port && port->requests;
	in.judged = http_authz_is_inbound(s, &ask->called);
	in.workload = w;
	return in;
}

enum router_inbound_way router_inbound_way(const struct router_inbound *in,
					   const struct route_hello *hello)
{
	if (hello->mesh)
		return INBOUND_TLS;
	if (in->mode == HS_MTLS_STRICT)
		return INBOUND_REFUSED;
	/* TLS of the pod's own is for the pod to end. */
	return in->requests && in->judged && !hello->tls ? INBOUND_HTTP : INBOUND_TUNNEL;
}

/* Whose server a client has reached, as a number. */
static uint64_t terms_of(const struct http_snapshot *s, const struct hs_workload *w)
{
	return router_mix(ROUTER_HASH, hs_text(s, w->identity), w->identity.len);
}

int router_inbound_choose(struct tls_store *store, const struct http_snapshot *s,
			  const struct router_inbound *in, struct tls_context **out,
			  struct route_tls *tls)
{
	const struct hs_str identity = in->workload->identity;

	tls->mutual = true;
	tls->terms = terms_of(s, in->workload);
	tls->tcp = !in->requests;
	return tls_store_workload(store, hs_text(s, identity), identity.len, out);
}

bool router_inbound_holds(const struct http_snapshot *s, const struct route_ask *ask)
{
	const struct hs_workload *w = workload_here(s, &ask->called);

	return w && terms_of(s, w) == ask->tls->terms;
}

void router_inbound_caller(const struct route_tls *tls, struct authz_text *ns,
			   struct authz_text *account)
{
	const char *uri = tls->facts.peer.uris;

	/* Its certificate was taken because it is one. */
	if (!uri || identity_parse(uri, strlen(uri), ns, account))
		*ns = *account = (struct authz_text){ "", 0 };
}
