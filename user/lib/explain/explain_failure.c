// SPDX-License-Identifier: Apache-2.0
/*
 * Why a request gets 503 although a rule routes it: the reasons that the proxy has.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/explain/explain_authz.h"
#include "lib/explain/explain_http.h"
#include "lib/explain/explain_mutual.h"
#include "lib/explain/explain_target.h"
#include "lib/route/ejections.h"
#include "lib/route/workload.h"

static const char no_healthy[] = "no healthy upstream";
static const char connection_failure[] =
	"upstream connect error or disconnect/reset before headers. reset reason: connection "
	"failure";
static const char overflow[] = "upstream connect error or disconnect/reset before headers. "
			       "reset reason: overflow";

void explain_failure_free(struct explain_failure *f)
{
	free(f->reason);
	json_decref(f->ejected);
	json_decref(f->closed);
	json_decref(f->policies);
	json_decref(f->denied);
	json_decref(f->authorizations);
}

__attribute__((format(printf, 1, 2))) static char *printed(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

/* Takes `reason` over. */
static int fails(struct explain_failure *f, const char *flags, const char *body, char *reason)
{
	f->flags = flags;
	f->body = body;
	f->reason = reason;
	return reason ? 0 : -ENOMEM;
}

static bool has_port(const struct service_spec *s, unsigned port)
{
	for (size_t i = 0; i < s->ports.count; i++)
		if (s->ports.items[i].port == port)
			return true;
	return false;
}

char *explain_no_cluster(const struct objects *objects, const char *host, unsigned port,
			 const char *subset)
{
	const struct object *o = explain_find_service(objects, host);
	_cleanup_free_ char *ports = NULL;

	if (!o)
		return printed("there is no service %s", host);
	if (*subset && has_port(&o->service, port))
		return printed("no DestinationRule in force defines subset %s of %s", subset, host);
	ports = explain_service_ports(o);
	return ports ? printed("service %s/%s is there, with %s, not %u", o->meta.namespace,
			       o->meta.name, ports, port)
		     : NULL;
}

static int no_cluster(const struct http_answer *a, const struct hs_cluster *c,
		      struct explain_failure *out)
{
	return fails(out, "NC", NULL,
		     explain_no_cluster(a->mesh->objects, hs_text(a->s, c->host), c->port,
					hs_text(a->s, c->subset)));
}

static int no_endpoint(const struct http_answer *a, const struct hs_cluster *c,
		       struct explain_failure *out)
{
	const char *host = hs_text(a->s, c->host);
	__u32 service = http_members(a->s, c).service;

	if (c->subset.len && service)
		return fails(
			out, "UH", no_healthy,
			printed("subset %s of %s has no endpoint: none of the service's %u has its "
				"labels",
				hs_text(a->s, c->subset), host, service));
	return fails(out, "UH", no_healthy,
		     printed("%s has no endpoint at port %u", host, c->port));
}

/* Those that a call by that address can get: the proxy keeps to the client's family. */
static struct http_members reachable(const struct http_answer *a, const struct hs_cluster *c)
{
	struct http_members m = http_members(a->s, c);

	if (a->called && addr_is_v4(a->called)) {
		m.count = m.v4;
	} else if (a->called) {
		m.items += m.v4;
		m.count -= m.v4;
	}
	return m;
}

/* Fills in out->ejected, too. */
static int find_ejected(const struct http_answer *a, const struct hs_cluster *c,
			const struct explain_load *load, struct explain_failure *out)
{
	struct http_members m = reachable(a, c);
	char text[ADDR_TEXT_MAX];
	__u64 first = 0;
	__u32 count = 0;

	for (__u32 i = 0; i < m.count; i++) {
		const struct hs_endpoint *e = &m.items[i];
		__u64 back = http_ejected_until(c, load->ejected, e->endpoint.id, load->now_ms);

		if (!back)
			continue;
		if (!count++)
			out->ejected = json_array();
		addr_format_port(&e->endpoint.addr, e->endpoint.port, text);
		if (json_array_append_new(out->ejected, json_string(text)))
			return -ENOMEM;
		first = !first || back < first ? back : first;
	}
	/* Unless as few as that are as good as all (minHealthPercent). */
	if (!count || count < m.count || c->outliers.min_health_percent)
		return 0;
	return fails(
		out, "UH", no_healthy,
		printed("outlier detection has ejected all %u endpoints; one is back in %llu s",
			count, (unsigned long long)(first - load->now_ms + 999) / 1000));
}

static int add_why(const struct hs_endpoint *e, const char *why, json_t **endpoints,
		   json_t **policies)
{
	char text[ADDR_TEXT_MAX];
	json_t *known;
	size_t i;

	if (!*endpoints) {
		*endpoints = json_array();
		*policies = json_array();
	}
	addr_format_port(&e->endpoint.addr, e->endpoint.port, text);
	if (json_array_append_new(*endpoints, json_string(text)))
		return -ENOMEM;
	json_array_foreach(*policies, i, known) if (str_eq(json_string_value(known), why)) return 0;
	return json_array_append_new(*policies, json_text(why)) ? -ENOMEM : 0;
}

/* Fills in out->closed, too. A request fails where every endpoint is closed, or where kube-proxy
 * chooses among some that are. */
static int find_closed(const struct http_answer *a, const struct hs_cluster *c,
		       struct explain_failure *out)
{
	struct http_members m = reachable(a, c);
	const char *why, *last = NULL;
	__u32 count = 0;

	for (__u32 i = 0; i < m.count; i++) {
		const struct hs_endpoint *e = &m.items[i];

		if (explain_policies_ask(a->policies, &e->endpoint.addr, e->endpoint.port, &why))
			return -ENOMEM;
		if (!why)
			continue;
		if (add_why(e, why, &out->closed, &out->policies))
			return -ENOMEM;
		last = why;
		count++;
	}
	if (!count || (count < m.count && c->lb != LB_PASSTHROUGH))
		return 0;
	return fails(out, "UF", connection_failure, printed("%s", last));
}

static bool is_from_gateway(const struct http_answer *a)
{
	return a->server || (a->decision.listener && a->decision.listener->scope == SCOPE_NODE);
}

/* Whether weft-proxy speaks mutual TLS with the endpoint, which takes the caller's identity there.
 */
static bool is_mutual(const struct http_answer *a, const struct hs_cluster *c,
		      const struct endpoint *e)
{
	const struct hs_workload *w = http_workload(a->s, &e->addr);

	if (!w || w->here)
		return false;
	if (c->client_tls)
		return hs_client_tls(a->s, c->client_tls - 1)->mode == HS_TLS_ISTIO_MUTUAL;
	return http_workload_mode(a->s, w, e->port) == HS_MTLS_STRICT;
}

/* Fills in out->denied, too. A request is refused by the endpoint that was chosen for it. */
static int find_denied(const struct http_answer *a, const struct hs_cluster *c,
		       struct explain_failure *out)
{
	struct explain_authz_request q = { .s = a->s,
					   .request = a->sni ? NULL : &a->request,
					   .decision = &a->decision,
					   .gateway = is_from_gateway(a) };
	struct http_members m = reachable(a, c);
	const char *why, *last = NULL;
	__u32 count = 0;

	for (__u32 i = 0; i < m.count; i++) {
		const struct hs_endpoint *e = &m.items[i];

		q.mutual = is_mutual(a, c, &e->endpoint);
		if (explain_authz_ask(a->authz, &q, &e->endpoint.addr, e->endpoint.port, &why))
			return -ENOMEM;
		if (!why)
			continue;
		if (add_why(e, why, &out->denied, &out->authorizations))
			return -ENOMEM;
		last = why;
		count++;
	}
	if (!count || count < m.count)
		return 0;
	out->status = 403;
	return fails(out, "-", "RBAC: access denied", printed("%s", last));
}

/* Where no endpoint can be called by mutual TLS, or without. */
static int find_mutual(const struct http_answer *a, const struct hs_cluster *c,
		       struct explain_failure *out)
{
	struct http_members m = reachable(a, c);
	const char *last = NULL;
	__u32 count = 0;

	for (__u32 i = 0; http_uses_mutual(a->s) && i < m.count; i++) {
		const char *why = explain_mutual_refuses(a, c, &m.items[i].endpoint);

		last = why ? why : last;
		count += !!why;
	}
	if (!count || count < m.count)
		return 0;
	return fails(out, "UF", connection_failure,
		     printed(m.count == 1 ? "the endpoint is refused: %s"
					  : "each endpoint is refused: %s",
			     last));
}

/* How many may have a connection or wait for one; 0: any number. */
static __u64 admitted_most(const struct hs_cluster *c, const struct explain_load *load)
{
	if (!c->max_connections || !c->max_pending)
		return 0;
	return (c->max_connections > load->steered ? c->max_connections - load->steered : 0) +
	       c->max_pending;
}

static int at_limit(const struct hs_cluster *c, const struct explain_load *load,
		    struct explain_failure *out)
{
	__u64 most = admitted_most(c, load);

	if (most && load->requests + load->pending >= most)
		return fails(
			out, "UO", overflow,
			printed("over the limit: %llu requests are under way and %llu wait, with "
				"maxConnections %u and http1MaxPendingRequests %u",
				(unsigned long long)load->requests,
				(unsigned long long)load->pending, c->max_connections,
				c->max_pending));
	if (c->max_requests && load->requests >= c->max_requests)
		return fails(out, "UO", overflow,
			     printed("over the limit: %llu requests are under way, with "
				     "http2MaxRequests "
				     "%u",
				     (unsigned long long)load->requests, c->max_requests));
	return 0;
}

/* A connection that is none of HTTP does not wait for a place. */
static int at_connection_limit(const struct hs_cluster *c, const struct explain_load *load,
			       struct explain_failure *out)
{
	if (!c->max_connections || load->connections < c->max_connections)
		return 0;
	return fails(out, "UO", NULL,
		     printed("over the limit: %llu connections are open, with maxConnections %u",
			     (unsigned long long)load->connections, c->max_connections));
}

int explain_cluster_failure(const struct http_answer *a, const struct hs_cluster *c,
			    struct explain_failure *out)
{
	struct explain_load load = { 0 };
	int r;

	if (!c->known)
		return no_cluster(a, c, out);
	if (c->lb != LB_PASSTHROUGH && !reachable(a, c).count)
		return no_endpoint(a, c, out);
	r = find_closed(a, c, out);
	if (!r && !out->flags)
		r = find_denied(a, c, out);
	if (!r && !out->flags)
		r = find_mutual(a, c, out);
	if (r || out->flags || !a->live || c->lb == LB_PASSTHROUGH)
		return r;
	r = a->live->load(a->live->arg, c->id, hs_text(a->s, c->name), &load);
	if (!r)
		r = find_ejected(a, c, &load, out);
	if (r || out->flags)
		return r;
	return a->sni ? at_connection_limit(c, &load, out) : at_limit(c, &load, out);
}
