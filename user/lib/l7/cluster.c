// SPDX-License-Identifier: Apache-2.0
/*
 * Destinations: the clusters of policy.h with what matters to requests.
 */
#include <string.h>

#include "lib/mesh/entries.h"
#include "lib/mesh/proxied.h"
#include "lib/mesh/endpoints.h"
#include "lib/l7/l7_priv.h"

enum {
	DEFAULT_5XX = 5,
	DEFAULT_INTERVAL_MS = 10000,
	DEFAULT_EJECTION_MS = 30000,
	MAX_EJECTION_MS = 300000,
	DEFAULT_MAX_EJECTION_PERCENT = 10,
	HTTP_IDLE_MS = 3600000,
};

/* A cluster as the clients of the view see it. */
struct place_of {
	struct mesh_port *sp;
	struct view *view;
	const char *subset;
	const struct object *gateway; /* that calls; NULL: clients in the mesh */
	bool direct;		      /* see struct http_site */
};

static __u32 positive(int64_t given)
{
	return given < 0 ? 0 : given > UINT32_MAX ? UINT32_MAX : given;
}

static __u32 or_default(int64_t given, __u32 otherwise)
{
	return given < 0 ? otherwise : positive(given);
}

/* consecutiveErrors counted what consecutiveGatewayErrors counts today, and nothing else. */
static struct hs_outliers outliers(const struct outlier_detection *o)
{
	struct hs_outliers row = { 0 };
	bool old = o && o->consecutive_old > 0 && o->consecutive_5xx < 0 &&
		   o->consecutive_gateway < 0;

	if (!o)
		return row;
	row.given = 1;
	row.consecutive_5xx = old ? 0 : or_default(o->consecutive_5xx, DEFAULT_5XX);
	row.consecutive_gateway = positive(old ? o->consecutive_old : o->consecutive_gateway);
	row.split_local_origin = o->split_local_origin;
	if (o->split_local_origin)
		row.consecutive_local_origin = or_default(o->consecutive_local_origin, DEFAULT_5XX);
	row.interval_ms = or_default(o->interval, DEFAULT_INTERVAL_MS);
	row.base_ejection_ms = or_default(o->base_ejection, DEFAULT_EJECTION_MS);
	row.max_ejection_ms = row.base_ejection_ms > MAX_EJECTION_MS ? row.base_ejection_ms
								     : MAX_EJECTION_MS;
	row.max_ejection_percent =
		or_default(o->max_ejection_percent, DEFAULT_MAX_EJECTION_PERCENT);
	row.min_health_percent = positive(o->min_health_percent);
	return row;
}

/* As Envoy writes it. A time of less than a second is none: a cookie of the session. */
static struct hs_str cookie_attributes(struct http_compiler *c, const struct hash_cookie *cookie)
{
	struct pool **pool = &c->mesh->pool;
	const char *text = "";

	if (cookie->ttl >= 1000)
		text = pool_printf(pool, "; Max-Age=%lld", (long long)cookie->ttl / 1000);
	if (text && cookie->path && *cookie->path)
		text = pool_printf(pool, "%s; Path=%s", text, cookie->path);
	for (size_t i = 0; text && i < cookie->attributes.count; i++) {
		const struct kv *kv = &cookie->attributes.items[i];
		bool value = kv->value && *kv->value;

		text = pool_printf(pool, "%s; %s%s%s", text, kv->key, value ? "=" : "",
				   value ? kv->value : "");
	}
	if (text)
		text = pool_printf(pool, "%s; HttpOnly", text);
	c->mesh->nomem |= !text;
	return http_build_str(&c->build, text);
}

static void set_hash(struct http_compiler *c, const struct hash_policy *h, struct hs_cluster *row)
{
	const char *name = h->header ? h->header : h->query_parameter;

	row->hash = h->header		 ? HS_HASH_HEADER
		    : h->cookie		 ? HS_HASH_COOKIE
		    : h->query_parameter ? HS_HASH_QUERY
		    : h->source_ip	 ? HS_HASH_SOURCE_IP
					 : HS_HASH_NONE;
	if (h->cookie) {
		name = h->cookie->name;
		row->hash_makes = h->cookie->ttl >= 0;
		row->hash_attributes = cookie_attributes(c, h->cookie);
	}
	row->hash_name = http_build_str(&c->build, name);
}

static void set_warmup(const struct warmup *mesh, struct hs_cluster *row)
{
	if (!mesh->duration)
		return;
	row->warmup_ms = positive(mesh->duration);
	row->warmup_least = (__u32)(mesh->minimum_percent * 10000 + 0.5);
	row->warmup_root =
		(__u32)(mesh->aggression < 1000000 ? mesh->aggression * 1000 + 0.5 : 1e9);
}

static struct traffic_policy policy_at(const struct place_of *at)
{
	return view_policy(at->view, at->sp->port->port,
			   *at->subset ? view_subset(at->view, at->subset) : NULL);
}

static void set_policy(struct http_compiler *c, const struct place_of *at, struct hs_cluster *row)
{
	struct traffic_policy policy = policy_at(at);
	const struct http_pool *pool = policy.http;

	row->http_idle_timeout_ms = HTTP_IDLE_MS;
	if (policy.tcp.given)
		row->http_idle_timeout_ms = or_default(policy.tcp.idle_timeout, HTTP_IDLE_MS);
	if (pool) {
		row->max_pending = positive(pool->max_pending);
		row->max_requests = positive(pool->max_requests);
		row->max_requests_per_connection = positive(pool->max_requests_per_connection);
		row->max_retries = positive(pool->max_retries);
		row->max_concurrent_streams = positive(pool->max_concurrent_streams);
		row->http_idle_timeout_ms =
			or_default(pool->idle_timeout, row->http_idle_timeout_ms);
		row->use_client_protocol = pool->use_client_protocol;
	}
	if (policy.lb.hash)
		set_hash(c, policy.lb.hash, row);
	set_warmup(&policy.lb.warmup, row);
	row->retry_budget = policy.retry_budget.given;
	row->retry_budget_share = (__u32)(policy.retry_budget.percent * 10000 + 0.5);
	row->retry_budget_least = positive(policy.retry_budget.least);
	row->outliers = outliers(policy.outliers);
	row->client_tls = http_client_tls_of(c, policy.tls, at->sp->host, at->gateway);
}

static void endpoint_rows(struct http_compiler *c, const struct plan_cluster *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct hs_endpoint row = { .endpoint = p->members[i]->endpoint };

		if (c->policies.sets.count)
			row.ingress = policy_classes_ingress(&c->policies,
							     member_pod(c->mesh, p->members[i]));
		http_build_add(&c->build, HS_ENDPOINTS, &row);
	}
}

size_t http_members_count(const struct mesh_port *sp)
{
	size_t count = 0;

	for (enum family family = 0; family < FAMILY_MAX; family++)
		count += sp->members[family] ? sp->members[family]->count : 0;
	return count;
}

static struct hs_cluster start_row(struct http_compiler *c, const struct plan_cluster *p)
{
	const struct cluster *from = &p->values;
	struct http_build *b = &c->build;

	return (struct hs_cluster){ .id = from->id,
				    .name = http_build_str(b, p->name),
				    .host = http_build_str(b, p->host),
				    .subset = http_build_str(b, p->subset),
				    .port = p->port,
				    .known = !!p->sp,
				    .lb = from->lb,
				    .max_connections = from->max_connections,
				    .connect_timeout_ms = from->connect_timeout_ms,
				    .idle_timeout_ms = from->idle_timeout_ms,
				    .max_duration_ms = from->max_duration_ms,
				    .keepalive = from->keepalive,
				    .keepalive_time_s = from->keepalive_time_s,
				    .keepalive_interval_s = from->keepalive_interval_s,
				    .keepalive_probes = from->keepalive_probes };
}

/* For l7_patch(). */
static void note_row(struct http_compiler *c, const struct place_of *at,
		     const struct plan_cluster *v4, const struct plan_cluster *v6)
{
	struct http_row *note = pool_alloc(&c->mesh->pool, sizeof(*note));

	if (!note) {
		c->mesh->nomem = true;
		return;
	}
	*note = (struct http_row){ .next = at->sp->http_rows,
				   .row = http_build_count(&c->build, HS_CLUSTERS),
				   .view = at->view,
				   .v4 = v4,
				   .v6 = v6 };
	at->sp->http_rows = note;
}

/* What it says is for Gateways alone. */
static bool is_gateways(const struct client_tls *t)
{
	return client_tls_is_for(t, true) && !client_tls_is_for(t, false);
}

/* The row that is there. */
static __u32 patched_row(struct http_compiler *c, const struct place_of *at,
			 const struct plan_cluster *v4, const struct plan_cluster *v6)
{
	const struct http_row *note = at->sp->http_rows;

	/* A row of the same view may be a Gateway's, with a certificate of its own. */
	c->anew |= is_gateways(policy_at(at).tls);
	while (note && (note->view != at->view || note->v4 != v4 || note->v6 != v6))
		note = note->next;
	c->anew |= !note;
	return note ? note->row : 0;
}

static __u32 known_row(struct http_compiler *c, const struct place_of *at,
		       const struct plan_cluster *v4, const struct plan_cluster *v6)
{
	struct hs_cluster row;
	struct http_build *b = &c->build;

	if (c->patching)
		return patched_row(c, at, v4, v6);
	row = start_row(c, v4);
	row.endpoints.first = http_build_count(b, HS_ENDPOINTS);
	endpoint_rows(c, v4);
	row.endpoints_v4 = http_build_count(b, HS_ENDPOINTS) - row.endpoints.first;
	endpoint_rows(c, v6);
	row.endpoints.count = http_build_count(b, HS_ENDPOINTS) - row.endpoints.first;
	row.service_endpoints = http_members_count(at->sp);
	set_policy(c, at, &row);
	note_row(c, at, v4, v6);
	return http_build_add(b, HS_CLUSTERS, &row);
}

/* Without endpoints: the one that is called is. */
static __u32 direct_row(struct http_compiler *c, const struct place_of *at,
			const struct plan_cluster *p)
{
	struct hs_cluster row = start_row(c, p);

	row.lb = LB_PASSTHROUGH;
	set_policy(c, at, &row);
	return http_build_add(&c->build, HS_CLUSTERS, &row);
}

static __u32 unknown_row(struct http_compiler *c, const struct plan_cluster *p)
{
	struct hs_cluster row = start_row(c, p);

	return http_build_add(&c->build, HS_CLUSTERS, &row);
}

/* Where the row of that key is noted, as its number + 1; NULL when out of memory. */
static void **find_row(struct http_compiler *c, const char *key)
{
	const char *copy = key ? pool_copy(&c->mesh->pool, key, strlen(key)) : NULL;
	void **at = copy ? bytemap_at(&c->clusters, copy, strlen(copy)) : NULL;

	c->mesh->nomem |= !at;
	return at;
}

static __u32 no_cluster(struct http_compiler *c, const struct plan_cluster *p)
{
	void **at;

	if (!p) {
		c->mesh->nomem = true;
		return 0;
	}
	c->anew = true;
	at = find_row(c, p->name);
	if (at && !*at)
		*at = (void *)(uintptr_t)(unknown_row(c, p) + 1);
	return at ? (uintptr_t)*at - 1 : 0;
}

/* Whose row it is, for find_row(): that of Gateways may have a certificate of their own. */
static const char *key_of(struct http_compiler *c, const struct place_of *where)
{
	const struct client_tls *tls = where->gateway ? policy_at(where).tls : NULL;
	const char *credential = is_gateways(tls) ? http_client_credential(c, tls, where->gateway)
						  : "";

	return credential ? pool_printf(&c->mesh->pool, "%p %p %s %s%s", (void *)where->sp,
					(void *)where->view, where->subset, credential,
					where->direct ? " direct" : "")
			  : NULL;
}

__u32 http_cluster_of(struct http_compiler *c, const struct http_site *site, struct mesh_port *sp,
		      const char *subset)
{
	struct mesh *mesh = c->mesh;
	const struct place_of where = { sp, host_view(mesh, sp->host, site->client), subset,
					site->gateway, site->direct };
	struct plan_cluster *v4, *v6;
	void **at;

	if (!where.view) {
		mesh->nomem = true;
		return 0;
	}
	if (*subset && !view_subset(where.view, subset))
		return no_cluster(c, cluster_unknown(mesh, sp->host->name, sp->port->port, subset));
	at = find_row(c, key_of(c, &where));
	if (!at || *at)
		return at ? (uintptr_t)*at - 1 : 0;
	v4 = cluster_known(mesh, sp, subset, FAMILY_V4, where.view);
	v6 = cluster_known(mesh, sp, subset, FAMILY_V6, where.view);
	mesh->nomem |= !v4 || !v6;
	if (v4 && v6)
		*at = (void *)(uintptr_t)((where.direct ? direct_row(c, &where, v4)
							: known_row(c, &where, v4, v6)) +
					  1);
	return *at ? (uintptr_t)*at - 1 : 0;
}

/* Without a port the only one of the service is meant, or else the one that was called. */
__u32 http_cluster_row(struct http_compiler *c, const struct http_site *site, const char *ns,
		       const struct destination *d)
{
	const char *subset = d->subset ? d->subset : "";
	unsigned port = d->port ? d->port : site->port;
	char name[HOST_MAX];
	struct mesh_port *sp;
	struct host *h;

	if (host_complete(d->host, ns, name))
		name[0] = '\0';
	h = host_concrete(c->mesh, mesh_host(c->mesh, name));
	if (h && !d->port && h->port_count == 1)
		port = h->ports[0].port->port;
	sp = h ? host_port(h, port) : NULL;
	if (sp && host_is_seen(h, site->client))
		return http_cluster_of(c, site, sp, subset);
	return no_cluster(c, cluster_unknown(c->mesh, name, port, subset));
}
