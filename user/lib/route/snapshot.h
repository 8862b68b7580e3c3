/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_SNAPSHOT_H
#define WEFT_LIB_ROUTE_SNAPSHOT_H
/*
 * The HTTP tables of one generation: one immutable, position-independent block of bytes, and what
 * patches (patch.h) have changed of it since: the endpoints of clusters, which pods there are, and
 * the rules of virtual hosts, whose rows are behind the block's own.
 *
 * compile() makes the block, weftd hands it on as a file to be mapped read-only,
 * http_snapshot_open() checks every offset and index in it before anything else looks at it. Rows
 * refer to each other by index, to strings by offset; HS_NONE is "no row". Integers are in host
 * byte order, times in milliseconds (0: none), lists in the order in which they are tried.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "lib/authz/authz.h"
#include "weft/addr.h"
#include "weft/service.h"

enum {
	HS_MAGIC = 0x77656674,
	HS_VERSION = 13,
	HS_NONE = 0xffffffffu,
};

enum hs_table {
	HS_BYTES, /* all strings, each with a NUL after it */
	HS_NAMESPACES,
	HS_LISTENERS,
	HS_DOMAINS,
	HS_VHOSTS,
	HS_RULES,
	HS_MATCHES,
	HS_NAMED,
	HS_VALUES,
	HS_LABELS,
	HS_ACTIONS,
	HS_DESTS,
	HS_OPS,
	HS_MIRRORS,
	HS_CORS,
	HS_STATUSES,
	HS_CLUSTERS,
	HS_ENDPOINTS,
	HS_REGEXES,
	HS_PLACES,
	HS_SKIPPED,
	HS_SOURCES,
	HS_ADDRESSES,
	HS_DOORS,
	HS_POLICIES,
	HS_POLICY_RULES,
	HS_CLASSES,
	HS_BLOCKS,
	HS_EXCEPTS,
	HS_PEERS,
	HS_SNI,
	HS_SERVERS,
	HS_TEXTS,
	HS_AUTHZ_SETS,
	HS_AUTHZ_MEMBERS,
	HS_AUTHZ_POLICIES,
	HS_AUTHZ_RULES,
	HS_AUTHZ_ALTERNATIVES,
	HS_AUTHZ_CLAUSES,
	HS_AUTHZ_VALUES,
	HS_AUTHZ_BYTES,
	HS_AUTHZ_PODS,
	HS_CLIENT_TLS,
	HS_WORKLOADS,
	HS_WORKLOAD_PORTS,
	HS_TRACINGS,
	HS_TAGS,
	HS_TABLES,
};

/* Rows are compared as bytes, and are read by another process: none has bytes that no field has. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* `count` rows from byte `at` on, which is a multiple of 8. */
struct hs_extent {
	__u32 at, count;
};

enum hs_flags {
	HS_REGISTRY_ONLY = 1, /* what no rule and no service claims is answered, not passed on */
};

struct hs_header {
	__u32 magic, version;
	__u32 size;  /* of everything, this header included */
	__u32 flags; /* enum hs_flags */
	/* Who calls through a Gateway: as hs_source.peer, and of HS_TRACINGS. */
	__u32 gateway_peer;
	__u32 gateway_tracing;
	struct hs_extent tables[HS_TABLES];
};

struct hs_str {
	__u32 at, len;
};

struct hs_range {
	__u32 first, count;
};

/* Ordered by id. */
struct hs_namespace {
	struct hs_str name;
	__u32 id; /* what weftd knows it by */
};

/* A port on which HTTP is spoken, ordered by scope, port and group. Port 0 in SCOPE_MESH stands for
 * every port that no known service has: only rules for hosts outside the cluster are there. */
struct hs_listener {
	__u32 scope; /* enum service_scope */
	__u32 port;
	struct hs_range exact; /* domains, ordered by name, then namespace */
	struct hs_range wild;  /* domains, longest first, those of a namespace first */
	/* A Gateway's port of TLS. The name that a client asks for in its ClientHello (SNI) chooses
	 * a server; the domains are the server's, the listener has none. */
	__u32 tls;
	struct hs_range sni_exact; /* of HS_SNI, ordered by name; none unless `tls` */
	struct hs_range sni_wild;  /* of HS_SNI, longest first */
	__u32 peek; /* some server is PASSTHROUGH: the ClientHello is read before it is known
		       whether TLS is ended here */
	/* Gateways that have nothing to do with each other may have the same port, each at ways of
	 * their own: this tells their listeners apart. 0: at the node's own port, and in the mesh.
	 */
	__u32 group;
};

/* A name by which clients ask for a server. Rows of one name stand together, in the order in which
 * they are tried: the first whose match holds for the client counts; where none does, the next less
 * specific name is tried. */
struct hs_sni {
	struct hs_str
		name; /* in lower case; a wildcard without its `*`: "" also stands for no SNI */
	__u32 server;
	__u32 match; /* of HS_MATCHES (sources only), or HS_NONE: every client */
};

enum hs_tls_mode {
	HS_TLS_SIMPLE = 1,
	HS_TLS_MUTUAL,		/* a client without a certificate is refused */
	HS_TLS_OPTIONAL_MUTUAL, /* it may do without; one that it gives is checked */
	/* Only to endpoints: with the caller's identity, to an endpoint of this node in clear;
	 * never TLS, whatever the endpoint asks for. */
	HS_TLS_ISTIO_MUTUAL,
	HS_TLS_DISABLE,
};

enum hs_server_kind {
	HS_SERVER_HTTP = 1,    /* TLS is ended, requests are inside */
	HS_SERVER_TCP,	       /* TLS is ended, the bytes go by `action` */
	HS_SERVER_PASSTHROUGH, /* the bytes go by `action`, as they are */
};

/* A Gateway's server of TLS, or a `tls` route of the mesh. */
struct hs_server {
	struct hs_range exact,
		wild;		  /* of HS_DOMAINS, as in a listener: what Host requests may have */
	struct hs_str name;	  /* "NAMESPACE/GATEWAY servers[i]"; in the mesh empty */
	struct hs_str credential; /* its name in lib/wire/credentials.h; PASSTHROUGH: empty */
	__u32 mode;		  /* enum hs_tls_mode; PASSTHROUGH: 0 */
	__u32 min_version, max_version; /* as on the wire: 0x0301 (TLS 1.0) to 0x0304 (TLS 1.3) */
	/* OpenSSL's names with ':' between, of TLS up to 1.2. Empty: ECDHE with AEAD only. */
	struct hs_str ciphers;
	/* Of HS_TEXTS. Where any are given, a client's certificate must have one of the names; and
	 * its key one of the SPKI hashes (base64 of SHA-256), or itself one of the hashes
	 * (lower-case hex of SHA-256, no colons). */
	struct hs_range alt_names;
	struct hs_range spkis, hashes;
	__u32 kind; /* enum hs_server_kind */
	/* Of HS_ACTIONS, with the type HS_ROUTE: destinations, weights, id and name count. HS_NONE
	 * for HS_SERVER_HTTP; for the others that no route is there: the connection is closed (NR).
	 */
	__u32 action;
	__u32 place; /* of HS_PLACES: of the tls or tcp route; or HS_NONE */
};

struct hs_text_row {
	struct hs_str text;
};

/* A name by which clients may call. */
struct hs_domain {
	struct hs_str name; /* in lower case; a wildcard without its `*` */
	__u32 ns;	    /* only for clients of the namespace with this id; 0: for all */
	__u32 vhost;
};

enum hs_vhost_flags {
	HS_VHOST_HTTPS_ONLY = 1, /* tls.httpsRedirect */
};

struct hs_vhost {
	struct hs_str name;
	struct hs_range rules;	 /* none: the plain service */
	struct hs_range skipped; /* rules that can never hold here */
	__u32 plain;		 /* action without a rule: the service itself; or HS_NONE */
	__u32 flags;		 /* enum hs_vhost_flags */
};

/* Rules of one group are those of one VirtualService. Where any of a group is for the client, the
 * groups behind it are not asked. */
struct hs_rule {
	__u32 match; /* HS_NONE: everything */
	__u32 action;
	__u32 place;
	__u32 group; /* rises; 0 throughout at a gateway, where all are asked */
};

struct hs_value {
	__u32 type; /* enum match_type */
	struct hs_str value;
	__u32 regex; /* MATCH_REGEX */
	__u32 fold;  /* without regard to case */
};

/* A header, its name in lower case, or a query parameter. */
struct hs_named {
	struct hs_str name;
	struct hs_value value;
};

struct hs_match {
	struct hs_value uri, scheme, method, authority;
	struct hs_range headers, without_headers, query_params; /* of HS_NAMED */
	struct hs_str source_namespace;				/* empty: any */
	struct hs_range source_labels;				/* all of them */
	struct hs_str source_labels_text;			/* "app=sleep, version=v1" */
};

struct hs_label {
	struct hs_str key, value;
};

enum hs_action_type { HS_ROUTE, HS_REDIRECT, HS_DIRECT_RESPONSE };

enum hs_retry_on {
	HS_RETRY_5XX = 1 << 0,
	HS_RETRY_GATEWAY_ERROR = 1 << 1,
	HS_RETRY_RESET = 1 << 2,
	HS_RETRY_CONNECT_FAILURE = 1 << 3,
	HS_RETRY_REFUSED_STREAM = 1 << 4,
	HS_RETRY_RETRIABLE_4XX = 1 << 5,
	HS_RETRY_RESET_BEFORE_REQUEST = 1 << 6,
	HS_RETRY_ENVOY_RATELIMITED = 1 << 7,
	HS_RETRY_CANCELLED = 1 << 8, /* this and the following: gRPC statuses */
	HS_RETRY_DEADLINE_EXCEEDED = 1 << 9,
	HS_RETRY_INTERNAL = 1 << 10,
	HS_RETRY_RESOURCE_EXHAUSTED = 1 << 11,
	HS_RETRY_UNAVAILABLE = 1 << 12,
	HS_RETRY_HTTP3_POST_CONNECT_FAILURE = 1 << 13, /* never happens here */
};

struct hs_retries {
	__u32 attempts; /* beyond the first; 0: none */
	__u32 on;	/* enum hs_retry_on */
	struct hs_range statuses;
	__u32 per_try_timeout_ms;
	__u32 backoff_ms;
	__u32 same_too; /* another try need not prefer another endpoint */
	struct hs_str text;
};

/* What a rule does. Which fields count depends on `type`. */
struct hs_action {
	__u32 type;  /* enum hs_action_type */
	__u32 id;    /* stable, of the route's counters */
	__u32 place; /* of the plain service; HS_NONE: the rule has it */
	struct hs_str name;
	struct hs_range request, response; /* of HS_OPS; with one destination that's included */

	struct hs_range dests;
	__u32 total; /* of the weights */
	__u32 timeout_ms;
	struct hs_retries retries;
	struct hs_str rewrite;	 /* takes the place of what the match has of the path */
	__u32 rewrite_regex;	 /* or of what this finds; HS_NONE: not so */
	struct hs_str authority; /* empty: as it is */
	struct hs_range mirrors;
	__u32 cors; /* or HS_NONE */

	/* Shares of 2^32; a delay or an abort that never happens is 0. */
	__u64 delay_share, abort_share;
	__u32 delay_ms;
	__u32 abort_status;	  /* HTTP */
	struct hs_str abort_grpc; /* or a gRPC status */

	struct hs_str scheme, host,
		path;	    /* redirect; empty: the request's. `path` may have a query */
	__u32 path_prefix;  /* `path` takes the place of the matched prefix only */
	__u32 port;	    /* 0: none */
	__u32 port_derived; /* it is the one that was called */
	__u32 status;	    /* redirect, direct response */
	struct hs_str body;
};

struct hs_dest {
	__u32 cluster;
	__u32 end;			   /* this and all earlier weights of the route added up */
	struct hs_range request, response; /* of HS_OPS; carried out before the route's own */
	struct hs_str authority;	   /* if the route says none */
};

enum hs_op_type { HS_OP_REMOVE, HS_OP_SET, HS_OP_ADD };

struct hs_op {
	__u32 type; /* enum hs_op_type */
	struct hs_str name, value;
};

struct hs_mirror {
	__u64 share; /* of 2^32 */
	__u32 cluster;
	__u32 pad;
};

struct hs_cors {
	struct hs_range origins; /* of HS_VALUES */
	struct hs_str methods, headers, expose, max_age;
	__u32 credentials;
	__u32 ignore_unmatched; /* a preflight from elsewhere is answered, not passed on */
};

struct hs_status {
	__u32 status;
};

struct hs_outliers {
	__u32 given;
	__u32 consecutive_5xx, consecutive_gateway, consecutive_local_origin; /* 0: off */
	__u32 split_local_origin;
	__u32 interval_ms, base_ejection_ms, max_ejection_ms;
	__u32 max_ejection_percent, min_health_percent;
};

enum hs_hash { HS_HASH_NONE, HS_HASH_HEADER, HS_HASH_COOKIE, HS_HASH_QUERY, HS_HASH_SOURCE_IP };

enum { HS_COOKIE_MAX = 400 }; /* bytes of a cookie that is made: name and attributes */

struct hs_cluster {
	__u32 id; /* stable, key of `clusters` */
	struct hs_str name, host, subset;
	__u32 port;		   /* of the service */
	__u32 known;		   /* the service and the subset exist */
	struct hs_range endpoints; /* this and the next two as the block has it: http_members() */
	__u32 endpoints_v4;
	__u32 service_endpoints;
	__u32 lb;		       /* enum lb_policy, where `hash` says nothing */
	__u32 hash;		       /* enum hs_hash */
	struct hs_str hash_name;       /* header, cookie, parameter */
	__u32 hash_makes;	       /* a cookie that is missing is made, */
	struct hs_str hash_attributes; /* with this behind it: "; Max-Age=60; Path=/; HttpOnly" */
	/* 0: unlimited, or none */
	__u32 max_connections, connect_timeout_ms, idle_timeout_ms, max_duration_ms;
	/* As in struct cluster. */
	__u32 keepalive, keepalive_time_s, keepalive_interval_s, keepalive_probes;
	__u32 max_pending, max_requests, max_requests_per_connection, max_retries;
	__u32 http_idle_timeout_ms, max_concurrent_streams, use_client_protocol;
	/* An endpoint that is new to the proxy: 0 ms, not at all; the least share that it gets, of
	 * a million; the root by which it grows, times a thousand. */
	__u32 warmup_ms, warmup_least, warmup_root;
	/* In place of max_retries: a share, of a million, of the requests; so many always may. */
	__u32 retry_budget, retry_budget_share, retry_budget_least;
	struct hs_outliers outliers;
	__u32 client_tls; /* index of HS_CLIENT_TLS + 1; 0: endpoints are spoken to in clear */
};

/* How TLS is spoken with a cluster's endpoints. */
struct hs_client_tls {
	/* Names in lib/wire/credentials.h. `credential`: the client's certificate and key, and the
	 * CA of servers, of which it may lack either; empty: none. `ca`: of the CA where the
	 * credential has none; empty: servers are not verified. */
	struct hs_str credential, ca;
	struct hs_str
		sni; /* empty: the request's Host; of what is no request, the cluster's host */
	struct hs_range alt_names; /* of HS_TEXTS: of which a server's certificate must have one */
	/* HS_TLS_SIMPLE; HS_TLS_MUTUAL: with a certificate of its own; HS_TLS_ISTIO_MUTUAL and
	 * HS_TLS_DISABLE, where nothing else here counts. */
	__u32 mode;
	/* Without `sni` and `alt_names`: a server's certificate must have the request's Host. */
	__u32 check_host;
};

struct hs_endpoint {
	struct endpoint endpoint;
	__u32 ingress; /* NetworkPolicies of its pod: index of HS_POLICIES + 1; 0: none */
	__u32 pad;     /* 0 */
};

struct hs_regex {
	struct hs_str pattern;
	__u32 search; /* anywhere in the text; else the whole of it */
};

/* Where something stands in the rules. */
struct hs_place {
	struct hs_str kind, ns, name, route, file;
	struct hs_str label; /* the route's own name */
	__u32 line, col;     /* of the match */
	__u32 whole_line, whole_col;
};

struct hs_skipped {
	__u32 place;
	struct hs_str why;
};

/* A pod, ordered by address, as the block has it: http_source_at(). */
struct hs_source {
	struct addr addr;
	__u32 ns;		/* struct hs_namespace.id */
	struct hs_range labels; /* those that sourceLabels of some match ask for */
	__u32 egress;		/* its NetworkPolicies: index of HS_POLICIES + 1; 0: none */
	__u32 peer;		/* who it is to `http_traffic` (weft/traffic.h); 0: not known */
	__u16 in_mesh;
	__u16 tracing; /* of HS_TRACINGS */
};

/* A service's address, ordered by address and port: where a request goes that no host claims. At ::
 * it is the names of ServiceEntries that carry TLS at no address of their own: `action` counts for
 * nothing there. */
struct hs_address {
	struct addr addr;
	__u32 port;
	__u32 action;
	/* Of HS_SNI: the port carries TLS, and `tls` routes are for it: the SNI chooses a server of
	 * the kind PASSTHROUGH; else `action` has the connection. Where all names are "", the port
	 * carries any bytes, which are not looked at. Empty: HTTP. */
	struct hs_range sni_exact, sni_wild;
};

/* Where a Gateway's listener is called by another port or address than the node's own: a NodePort
 * (`addr` is ::), a Service's address, or the one that a server is bound to, which may be one of
 * the node's. Ordered by address and port. */
struct hs_door {
	struct addr addr;
	__u32 port;
	__u32 listener_port;
	__u32 listener_group;
	__u32 pad;
};

/*
 * NetworkPolicies (network_policy.h). Pods that no policy tells apart are of one class; class 0 is
 * what no policy knows by its labels. A policy here is what all those say together that select the
 * same pods in one direction. It lets through what one of its rules does.
 */
struct hs_policy {
	struct hs_range rules; /* of HS_POLICY_RULES; none: nothing is let through */
};

struct hs_policy_rule {
	__u32 first, last; /* ports */
	__u32 everyone;
	__u32 both;		 /* peers in the classes and in the blocks; else in either */
	struct hs_range classes; /* of HS_CLASSES */
	struct hs_range blocks;
};

/* A bit for each of 32 classes. */
struct hs_class_bits {
	__u32 bits;
};

struct hs_block {
	struct addr addr;
	__u32 prefix; /* 0..128 */
	struct hs_range except;
	__u32 pad;
};

struct hs_except {
	struct addr addr;
	__u32 prefix;
	__u32 pad;
};

/* An address that policies know more of than its bytes, ordered by address. */
struct hs_peer {
	struct addr addr;
	__u32 class;
	__u32 ingress, egress; /* index of HS_POLICIES + 1; 0: none */
	__u32 node;	       /* 1..: where the pod is; 0: not known */
	__u32 host;	       /* the address is the node's own */
	__u32 pad;
};

/* A pod of this node, as AuthorizationPolicies know it; ordered by address. The tables before this
 * one are those of lib/authz. */
struct hs_authz_pod {
	struct addr addr;
	struct authz_str ns, account; /* who it is, as a caller */
	__u32 set; /* index of HS_AUTHZ_SETS + 1: what holds for its callers; 0: nothing */
	__u32 pad;
};

/* What a pod of the mesh takes, by the PeerAuthentication that is in force for it. */
enum hs_mtls {
	HS_MTLS_DISABLE = 1, /* no mutual TLS is ended for it */
	HS_MTLS_PERMISSIVE,
	HS_MTLS_STRICT, /* from other nodes and from outside the mesh, nothing else */
};

/* A pod of the mesh, wherever it is; ordered by address. None while mutual TLS is not in use. */
struct hs_workload {
	struct addr addr;
	/* "spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT": what its certificate says, and for pods
	 * of this node the name of its credential. */
	struct hs_str identity;
	__u32 here;	       /* it is of this node: it is called in clear, and never by a wire */
	__u32 mode;	       /* enum hs_mtls: at all ports that are not listed */
	struct hs_range ports; /* of HS_WORKLOAD_PORTS, ordered by port */
};

struct hs_workload_port {
	__u32 port; /* of the pod, host byte order */
	__u32 mode; /* enum hs_mtls */
	/* Of pods of this node: what comes by mutual TLS is read as requests, and so is what comes
	 * in clear where the pod has AuthorizationPolicies. */
	__u32 requests;
	struct hs_str service; /* FQDN of the Service that leads there; empty: not known */
};

enum hs_tracing_flags {
	HS_TRACING_CLIENT = 1, /* spans of requests that its pods make are told */
	HS_TRACING_SERVER = 2, /* of those that its pods get */
};

enum {
	HS_SAMPLING_ALL = 10000, /* hs_tracing.sampling is of so many */
	HS_TAGS_MAX = 32,	 /* of one row */
};

/* What Telemetries and the mesh's options say of the traces of some pods. Row 0 is the mesh's own,
 * which is also for what has no row of HS_SOURCES. Without any row no trace is sampled that begins
 * here, and nothing is told. */
struct hs_tracing {
	__u32 sampling;	      /* how many are sampled of the traces that begin there */
	__u32 flags;	      /* enum hs_tracing_flags; 0: nothing is told of them */
	struct hs_range tags; /* of HS_TAGS */
};

/* One more attribute of a span: a constant, or a field of the request. */
struct hs_tag {
	struct hs_str name;
	struct hs_str header; /* in lower case; empty: `value` is it */
	struct hs_str value;  /* also where the request has no such field; empty: none then */
};

#pragma GCC diagnostic pop

/* The endpoints of a cluster, those of IPv4 first. */
struct http_members {
	const struct hs_endpoint *items;
	__u32 count, v4;
	__u32 service; /* that the service has in all */
};

struct http_block;
struct http_changes;
struct http_regexes;

/* Rows that patches have added, numbered on from the block's. Snapshots that build on each other
 * share them: each has as many as its counts say, and none is ever changed or moved. */
struct http_tail {
	void *rows[HS_TABLES];
	__u32 counts[HS_TABLES]; /* taken */
	unsigned refs;
};

struct http_snapshot {
	const struct hs_header *header;
	struct http_regexes *regexes;
	struct http_block *block;     /* the header's, if it is the snapshot's own; or NULL */
	struct http_changes *changes; /* what patches have made of it; NULL: nothing */
	struct http_tail *tail;	      /* NULL: none */
	__u32 counts[HS_TABLES];      /* rows of each table, the tail's included */
	unsigned refs;
};

/*
 * Opens the snapshot of `size` bytes at `data`, having checked all of it. The caller keeps the
 * bytes unchanged until http_snapshot_close(). 0; -EBADMSG if anything is out of order; -ENOMEM. A
 * snapshot is for one thread: each opens its own on the same bytes.
 */
int http_snapshot_open(const void *data, size_t size, struct http_snapshot **out);
/* The same for malloc'd bytes, which are the snapshot's from now on, also on failure. */
int http_snapshot_own(void *data, size_t size, struct http_snapshot **out);
/* The same for bytes that consist of what `from` does: nothing is checked. -ENOMEM. */
int http_snapshot_like(const struct http_snapshot *from, void *data, struct http_snapshot **out);
struct http_snapshot *http_snapshot_ref(struct http_snapshot *s); /* closed as often again */
void http_snapshot_close(struct http_snapshot *s);		  /* accepts NULL */
/* The endpoints that a cluster of the snapshot has, until it is closed. */
struct http_members http_members(const struct http_snapshot *s, const struct hs_cluster *c);
/* The bytes of one row. */
size_t http_row_size(enum hs_table table);

static inline const void *hs_at(const struct http_snapshot *s, enum hs_table table, __u32 i,
				size_t size)
{
	const struct hs_extent *block = &s->header->tables[table];
	const char *rows;

	if (i < block->count || !s->tail)
		return (const char *)s->header + block->at + i * size;
	rows = s->tail->rows[table];
	/* Where there are none, of an empty range: what is read at it is nothing. */
	return rows ? rows + (i - block->count) * size : (const char *)s->header;
}

static inline __u32 hs_count(const struct http_snapshot *s, enum hs_table table)
{
	return s->counts[table];
}

static inline const char *hs_text(const struct http_snapshot *s, struct hs_str str)
{
	return hs_at(s, HS_BYTES, str.at, 1);
}

/* The accessors are all alike: hs_vhost(s, i) is row i of HS_VHOSTS. */
#define HS_ROWS(type, table)                                                            \
	static inline const struct type *type(const struct http_snapshot *s, __u32 row) \
	{                                                                               \
		return hs_at(s, table, row, sizeof(struct type));                       \
	}                                                                               \
	struct weft_rows_need_a_semicolon

HS_ROWS(hs_namespace, HS_NAMESPACES);
HS_ROWS(hs_listener, HS_LISTENERS);
HS_ROWS(hs_domain, HS_DOMAINS);
HS_ROWS(hs_vhost, HS_VHOSTS);
HS_ROWS(hs_rule, HS_RULES);
HS_ROWS(hs_match, HS_MATCHES);
HS_ROWS(hs_named, HS_NAMED);
HS_ROWS(hs_value, HS_VALUES);
HS_ROWS(hs_label, HS_LABELS);
HS_ROWS(hs_action, HS_ACTIONS);
HS_ROWS(hs_dest, HS_DESTS);
HS_ROWS(hs_op, HS_OPS);
HS_ROWS(hs_mirror, HS_MIRRORS);
HS_ROWS(hs_cors, HS_CORS);
HS_ROWS(hs_status, HS_STATUSES);
HS_ROWS(hs_cluster, HS_CLUSTERS);
HS_ROWS(hs_endpoint, HS_ENDPOINTS);
HS_ROWS(hs_regex, HS_REGEXES);
HS_ROWS(hs_place, HS_PLACES);
HS_ROWS(hs_skipped, HS_SKIPPED);
HS_ROWS(hs_source, HS_SOURCES);
HS_ROWS(hs_address, HS_ADDRESSES);
HS_ROWS(hs_door, HS_DOORS);
HS_ROWS(hs_policy, HS_POLICIES);
HS_ROWS(hs_policy_rule, HS_POLICY_RULES);
HS_ROWS(hs_class_bits, HS_CLASSES);
HS_ROWS(hs_block, HS_BLOCKS);
HS_ROWS(hs_except, HS_EXCEPTS);
HS_ROWS(hs_peer, HS_PEERS);
HS_ROWS(hs_sni, HS_SNI);
HS_ROWS(hs_server, HS_SERVERS);
HS_ROWS(hs_text_row, HS_TEXTS);
HS_ROWS(hs_authz_pod, HS_AUTHZ_PODS);
HS_ROWS(hs_client_tls, HS_CLIENT_TLS);
HS_ROWS(hs_workload, HS_WORKLOADS);
HS_ROWS(hs_workload_port, HS_WORKLOAD_PORTS);
HS_ROWS(hs_tracing, HS_TRACINGS);
HS_ROWS(hs_tag, HS_TAGS);

/* Whether a row of HS_TRACINGS may be that: 0 needs none. */
static inline bool http_is_tracing(const struct http_snapshot *s, __u32 row)
{
	return !row || row < hs_count(s, HS_TRACINGS);
}

/* The number of a row of HS_ACTIONS. */
static inline __u32 hs_action_number(const struct http_snapshot *s, const struct hs_action *a)
{
	const struct hs_extent *block = &s->header->tables[HS_ACTIONS];
	const struct hs_action *first = hs_at(s, HS_ACTIONS, 0, sizeof(*a));

	if (a >= first && a < first + block->count)
		return a - first;
	return block->count + (a - (const struct hs_action *)s->tail->rows[HS_ACTIONS]);
}

#endif
