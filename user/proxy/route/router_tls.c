// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/router_tls.h"

#include <errno.h>

#include "lib/route/workload.h"
#include "proxy/route/router_priv.h"

enum { MISDIRECTED = 421 };

bool router_tls_is_spoken(const struct http_snapshot *s)
{
	return hs_count(s, HS_SERVERS) || http_uses_mutual(s);
}

static uint64_t mix_text(uint64_t h, const struct http_snapshot *s, struct hs_str text)
{
	return router_mix(router_mix(h, &text.len, sizeof(text.len)), hs_text(s, text), text.len);
}

static uint64_t mix_texts(uint64_t h, const struct http_snapshot *s, struct hs_range range)
{
	h = router_mix(h, &range.count, sizeof(range.count));
	for (uint32_t i = 0; i < range.count; i++)
		h = mix_text(h, s, hs_text_row(s, range.first + i)->text);
	return h;
}

/* What a client has been asked for, as a number. Another certificate of the server's own is
 * nothing to the client's connection. */
static uint64_t terms_of(const struct http_snapshot *s, const struct hs_server *server)
{
	uint64_t h = router_mix(ROUTER_HASH, &server->mode, sizeof(server->mode));

	if (server->mode == HS_TLS_SIMPLE)
		return h;
	h = mix_text(h, s, server->credential);
	h = mix_texts(h, s, server->alt_names);
	h = mix_texts(h, s, server->spkis);
	return mix_texts(h, s, server->hashes);
}

int router_tls_choose(struct tls_store *store, const struct http_snapshot *s,
		      const struct hs_listener *l, struct http_span name, struct tls_context **out,
		      struct route_tls *tls)
{
	const struct hs_server *server = l && l->tls ? http_server_for(s, l, NULL, name) : NULL;

	if (!server || server->kind == HS_SERVER_PASSTHROUGH)
		return -ENOENT;
	tls->terms = terms_of(s, server);
	tls->tcp = server->kind == HS_SERVER_TCP;
	return tls_store_server(store, s, server, out);
}

const struct hs_server *router_tls_server(const struct http_snapshot *s,
					  const struct hs_listener *l, const struct route_tls *tls)
{
	const struct http_span name = { tls->facts.name, tls->facts.name_len };
	const struct hs_server *server = l && l->tls ? http_server_for(s, l, NULL, name) : NULL;
	const __u32 kind = tls->tcp ? HS_SERVER_TCP : HS_SERVER_HTTP;

	return server && server->kind == kind && terms_of(s, server) == tls->terms ? server : NULL;
}

struct http_decision router_tls_misdirected(const struct hs_listener *l, struct http_span authority)
{
	return (struct http_decision){ .action = HTTP_MISDIRECTED,
				       .status = MISDIRECTED,
				       .listener = l,
				       .authority = authority };
}
