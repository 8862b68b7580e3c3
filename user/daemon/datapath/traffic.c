// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/traffic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/addr.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/text.h"

#define UNKNOWN "unknown"

/* ---- the texts of a row ---- */

/* "NAME.NAMESPACE.svc.cluster.local" */
static void tell_service(struct traffic_texts *x, const char *host)
{
	static const char domain[] = ".svc.cluster.local";
	const char *dot = strchr(host, '.'), *second = dot ? strchr(dot + 1, '.') : NULL;

	snprintf(x->service, sizeof(x->service), "%s", *host ? host : UNKNOWN);
	snprintf(x->service_name, sizeof(x->service_name), "%s", x->service);
	snprintf(x->service_namespace, sizeof(x->service_namespace), UNKNOWN);
	if (!second || strcmp(second, domain) != 0 || second == dot + 1 || dot == host)
		return;
	x->service_name[dot - host] = '\0';
	snprintf(x->service_namespace, sizeof(x->service_namespace), "%.*s",
		 (int)(second - dot - 1), dot + 1);
}

/* "outbound|9080|v1|reviews.default.svc.cluster.local": what is behind the last bar. */
static const char *host_of_cluster(const char *cluster)
{
	const char *bar = strrchr(cluster, '|');

	return bar ? bar + 1 : cluster;
}

static void tell_names(struct traffic_texts *x, const char *source, const char *destination,
		       const char *cluster, const char *host, struct traffic *out)
{
	peer_parse(source, &x->source);
	peer_parse(destination, &x->destination);
	tell_service(x, cluster ? host_of_cluster(cluster) : host);
	*out = (struct traffic){ .source = &x->source,
				 .destination = &x->destination,
				 .service = x->service,
				 .service_name = x->service_name,
				 .service_namespace = x->service_namespace,
				 .cluster = cluster };
}

void traffic_of_http(const struct http_traffic *row, const char *source, const char *destination,
		     const char *cluster, struct traffic_texts *texts, struct traffic *out)
{
	tell_names(texts, source, destination, cluster, row->host, out);
	out->protocol = row->key.is_tcp ? "tcp" : row->key.is_grpc ? "grpc" : "http";
	out->by = "proxy";
	out->flags = flags_text(row->key.flags, texts->flags);
	out->reporters = row->key.reporters;
	out->security = (enum traffic_security)row->key.security;
	if (!row->key.is_tcp) {
		out->http = row;
		return;
	}
	texts->tcp = (struct tcp_traffic){ .opened = row->requests,
					   .closed = row->closed,
					   .received = row->request_bytes.sum,
					   .sent = row->response_bytes.sum };
	out->tcp = &texts->tcp;
}

void traffic_of_tcp(const struct tcp_sum *sum, const char *source, const char *destination,
		    const char *cluster, struct traffic_texts *texts, struct traffic *out)
{
	tell_names(texts, source, destination, cluster, "", out);
	out->protocol = "tcp";
	out->by = "kernel";
	out->flags = "-";
	out->reporters = sum->who.reporters;
	out->security = TRAFFIC_PLAIN;
	out->tcp = &sum->count;
}

/* ---- requests ---- */

const struct http_traffic *traffic_http_rows(const struct kernel *k)
{
	return (const struct http_traffic *)k->loader.http_traffic.bytes;
}

bool traffic_http_reach(struct kernel *k, __u32 i)
{
	return loader_reach_traffic(&k->loader, i);
}

/* What all that found no row left is told by: nothing but that it was. */
static void forget_key(struct http_traffic *row)
{
	row->key = (struct http_traffic_key){ .grpc = TRAFFIC_GRPC_NONE,
					      .reporters = TRAFFIC_SOURCE,
					      .security = TRAFFIC_SECURITY_UNKNOWN };
	row->host[0] = '\0';
}

static void check_key(struct http_traffic_key *key)
{
	key->reporters &= TRAFFIC_SOURCE | TRAFFIC_DESTINATION;
	key->flags &= FLAGS_ALL;
	key->is_grpc = !!key->is_grpc;
	key->is_tcp = !!key->is_tcp;
	if (key->security > TRAFFIC_SECURITY_UNKNOWN)
		key->security = TRAFFIC_SECURITY_UNKNOWN;
	if (!key->reporters)
		key->reporters = TRAFFIC_SOURCE;
	if (key->source >= TRAFFIC_PEER_IDS_MAX)
		key->source = 0;
	if (key->destination >= TRAFFIC_PEER_IDS_MAX)
		key->destination = 0;
	if (key->cluster >= CLUSTER_IDS_MAX)
		key->cluster = 0;
}

/* Read one by one: weft-proxy goes on counting. */
static bool has_counted(const struct http_traffic *row)
{
	return __atomic_load_n(&row->requests, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&row->closed, __ATOMIC_RELAXED);
}

static bool is_readable(const struct http_traffic *row)
{
	__u32 taken = __atomic_load_n(&row->taken, __ATOMIC_ACQUIRE);

	return taken == TRAFFIC_TAKEN || taken == TRAFFIC_LEAVING;
}

/* False: it has become another's meanwhile. */
static bool copy_row(const struct http_traffic *row, struct http_traffic *out)
{
	__u32 epoch = __atomic_load_n(&row->epoch, __ATOMIC_ACQUIRE);

	if (!is_readable(row))
		return false;
	memcpy(out, row, sizeof(*out));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	out->epoch = epoch;
	return is_readable(row) && __atomic_load_n(&row->epoch, __ATOMIC_RELAXED) == epoch;
}

bool traffic_http_read(const struct http_traffic *rows, __u32 i, struct http_traffic *out,
		       bool *end)
{
	const struct http_traffic *row = &rows[i];

	*end = i && __atomic_load_n(&row->taken, __ATOMIC_ACQUIRE) == TRAFFIC_FREE;
	if (*end || !has_counted(row))
		return false;
	if (!i) {
		memcpy(out, row, sizeof(*out));
		out->epoch = 0; /* it counts something else there */
		forget_key(out);
		return true;
	}
	if (!copy_row(row, out))
		return false;
	out->host[sizeof(out->host) - 1] = '\0';
	json_clean(out->host);
	check_key(&out->key);
	return true;
}

struct walk {
	const struct traffic_walk *w;
	int (*each)(void *arg, const struct traffic *t);
	void *arg;
	struct traffic_texts texts;
};

static int tell_http(struct walk *w, const struct http_traffic *row)
{
	struct registry *r = w->w->registry;
	struct traffic t;

	traffic_of_http(row, registry_name(r, REG_PEER, row->key.source),
			registry_name(r, REG_PEER, row->key.destination),
			registry_name(r, REG_CLUSTER, row->key.cluster), &w->texts, &t);
	return w->each(w->arg, &t);
}

static int each_http(struct walk *w)
{
	const struct http_traffic *rows = traffic_http_rows(w->w->kernel);
	struct http_traffic row;
	bool end = !rows;
	int r = 0;

	/* In the place of a row that goes weft-proxy may have another one of the same key by now.
	 */
	for (__u32 i = 0; !r && !end && traffic_http_reach(w->w->kernel, i); i++)
		if (traffic_http_read(rows, i, &row, &end) && (!i || row.taken != TRAFFIC_LEAVING))
			r = tell_http(w, &row);
	return r;
}

/* ---- connections ---- */

/* "10.0.0.1:9080", "[fd00::1]:9080". NULL: there is no such endpoint, or its address is no pod's.
 */
static const struct object *endpoint_pod(const struct traffic_walk *w, __u32 endpoint)
{
	const char *name = registry_name(w->registry, REG_ENDPOINT, endpoint);
	const char *colon = name ? strrchr(name, ':') : NULL;
	char text[ADDR_TEXT_MAX];
	struct addr addr;
	size_t len;

	if (!colon)
		return NULL;
	name += *name == '[';
	len = (size_t)(colon - name) - (colon > name && colon[-1] == ']');
	if (len >= sizeof(text))
		return NULL;
	memcpy(text, name, len);
	text[len] = '\0';
	return addr_parse(text, &addr) ? NULL : w->pod_at(w->arg, &addr);
}

static __u32 pod_peer(struct registry *r, const struct object *pod)
{
	return pod ? peer_id(r, pod) : 0;
}

/* A caller that is a pod of this node tells of it, and an endpoint that is any pod: no other weftd
 * counts what this one has steered. */
static struct tcp_who name_tcp(void *arg, const struct tcp_traffic_key *key)
{
	static const struct addr none;
	const struct traffic_walk *w = arg;
	bool from_pod = memcmp(&key->caller, &none, sizeof(none)) != 0;
	const struct object *caller = from_pod ? w->pod_at(w->arg, &key->caller) : NULL;
	const struct object *endpoint = endpoint_pod(w, key->endpoint);

	return (struct tcp_who){ .source = pod_peer(w->registry, caller),
				 .destination = pod_peer(w->registry, endpoint),
				 .cluster = key->cluster,
				 .reporters = (from_pod || !endpoint ? TRAFFIC_SOURCE : 0) |
					      (endpoint ? TRAFFIC_DESTINATION : 0) };
}

static int take_tcp(void *arg, const void *key, const void *value)
{
	const struct traffic_walk *w = arg;

	return tcp_ledger_take(&w->kernel->ledger, key, value, w->version, name_tcp, arg);
}

int traffic_tcp_update(const struct traffic_walk *walk)
{
	struct tcp_ledger *l = &walk->kernel->ledger;
	int r;

	tcp_ledger_begin(l, clock_ms());
	r = map_walk(walk->kernel->loader.map[MAP_TCP_TRAFFIC], sizeof(struct tcp_traffic_key),
		     sizeof(struct tcp_traffic), take_tcp, (void *)walk);
	return r ? r : tcp_ledger_end(l);
}

const struct tcp_sum *traffic_tcp(const struct kernel *k, size_t *count)
{
	return tcp_ledger_list(&k->ledger, count);
}

static int each_tcp(struct walk *w)
{
	size_t count;
	int r = traffic_tcp_update(w->w);
	const struct tcp_sum *sums = traffic_tcp(w->w->kernel, &count);
	struct registry *names = w->w->registry;
	struct traffic t;

	for (size_t i = 0; !r && i < count; i++) {
		const struct tcp_who *who = &sums[i].who;

		traffic_of_tcp(&sums[i], registry_name(names, REG_PEER, who->source),
			       registry_name(names, REG_PEER, who->destination),
			       registry_name(names, REG_CLUSTER, who->cluster), &w->texts, &t);
		r = w->each(w->arg, &t);
	}
	return r;
}

int traffic_each(const struct traffic_walk *walk, int (*each)(void *arg, const struct traffic *t),
		 void *arg)
{
	struct walk w = { .w = walk, .each = each, .arg = arg };
	int r = each_http(&w);

	return r ? r : each_tcp(&w);
}
