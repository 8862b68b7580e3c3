/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_MODEL_H
#define WEFT_LIB_MODEL_MODEL_H
/*
 * The typed objects that rules are made of, as decoded from YAML or JSON.
 *
 * An object owns an arena that everything it points to lives in; object_free() frees all at once.
 * Lists are a pointer and a count. A string that was not given is NULL. Positions are 1-based; line
 * 0 means "not given". Objects are immutable once decoded.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/addr.h"
#include "lib/base/errors.h"

struct kv {
	const char *key, *value;
	struct pos pos;
};

struct kvs {
	struct kv *items;
	size_t count;
};

struct strs {
	const char **items;
	struct pos *at; /* one per item */
	size_t count;
};

/* A duration in milliseconds, or -1 if not given. */
typedef int64_t msecs;

struct resolved;

enum kind {
	KIND_SERVICE,
	KIND_POD,
	KIND_ENDPOINTS,
	KIND_ENDPOINT_SLICE,
	KIND_NAMESPACE,
	KIND_NETWORK_POLICY,
	KIND_SECRET,
	KIND_VIRTUAL_SERVICE,
	KIND_DESTINATION_RULE,
	KIND_GATEWAY,
	KIND_SERVICE_ENTRY,
	KIND_CONNECTION_POLICY,
	KIND_AUTHORIZATION_POLICY,
	KIND_WORKLOAD_ENTRY,
	KIND_PEER_AUTHENTICATION,
	KIND_TELEMETRY,
	KIND_MAX,
};

struct meta {
	const char *name;
	const char *namespace; /* "default" when not given; NULL for kinds that are in none */
	struct kvs labels;
	struct kvs annotations;
	int64_t created; /* creationTimestamp, Unix seconds; 0: not given */
};

/* ---- Kubernetes ---- */

struct service_port {
	struct pos pos;
	const char *name, *protocol /* "TCP" by default */, *app_protocol;
	uint16_t port, node_port /* 0: none */;
	uint16_t target_port; /* 0: see target_name; both unset: same as port */
	const char *target_name;
};

/* An address that a load balancer has for a Service, or a name. */
struct lb_ingress {
	const char *ip; /* NULL: none */
	/* ipMode Proxy: what is called there reaches nodes by their own addresses. Otherwise as it
	 * is. */
	bool proxied;
};

struct service_spec {
	const char *type;	 /* ClusterIP by default */
	struct strs cluster_ips; /* clusterIP and clusterIPs united; "None" means headless and is
				    kept as it is */
	struct kvs selector;
	struct {
		struct service_port *items;
		size_t count;
	} ports;
	const char *session_affinity; /* "None" or "ClientIP" */
	int64_t affinity_s; /* sessionAffinityConfig.clientIP.timeoutSeconds, 10800 by default */
	const char *external_name;
	bool publish_not_ready;
	bool internal_local; /* internalTrafficPolicy: Local */
	/* A label gives it to another proxy: weft answers for none of its addresses, and
	 * cluster_ips is empty. */
	bool foreign;
	struct strs left_ips; /* its cluster IPs then, which are not weft's to answer for */
	/* How it is called from outside. */
	struct strs external_ips;
	bool external_local;  /* externalTrafficPolicy: Local */
	uint16_t health_port; /* healthCheckNodePort; 0: none */
	struct {
		struct lb_ingress *items;
		size_t count;
	} ingress; /* status.loadBalancer.ingress */
	struct {
		struct cidr *items;
		size_t count;
	} source_ranges; /* loadBalancerSourceRanges: none: everyone */
};

struct pod_port {
	const char *name, *protocol;
	uint16_t port;
};

struct pod_spec {
	struct strs ips; /* status.podIP and podIPs united */
	const char *phase, *service_account, *node_name, *subdomain, *hostname;
	const char *workload; /* what it belongs to: the name of its controller, of a ReplicaSet's
			       * that of its Deployment; NULL: none */
	bool host_network, deleting /* metadata.deletionTimestamp given */;
	bool labels_unknown; /* it has some, which can't be read */
	bool ready; /* condition Ready is True, or no conditions are given and the phase is Running
		       or not given */
	struct {
		struct pod_port *items; /* all containers' ports */
		size_t count;
	} ports;
};

struct endpoint_port {
	const char *name, *protocol, *app_protocol;
	uint16_t port; /* 0: all */
};

struct endpoint_address {
	struct strs ips;
	/* The first of each family: the others lead to the same endpoint, and would count it twice.
	 */
	struct addr first[FAMILY_MAX];
	bool given[FAMILY_MAX];
	bool ready, serving, terminating; /* Kubernetes' defaults filled in */
	const char *target_kind, *target_name, *target_namespace, *node_name;
};

/* Endpoints: one entry per subset. EndpointSlice: exactly one. */
struct endpoint_set {
	struct {
		struct endpoint_port *items;
		size_t count;
	} ports;
	struct {
		struct endpoint_address *items;
		size_t count;
	} addresses;
};

struct endpoints_spec {
	const char *service; /* the Service's name: the object's own, or the
				kubernetes.io/service-name label */
	struct {
		struct endpoint_set *items;
		size_t count;
	} sets;
};

/* ---- NetworkPolicy ---- */

enum label_operator { LABEL_IN, LABEL_NOT_IN, LABEL_EXISTS, LABEL_DOES_NOT_EXIST };

struct label_expression {
	const char *key;
	int operator; /* enum label_operator */
	struct strs values;
};

/* metav1.LabelSelector: all of it must hold; an empty one selects everything. */
struct label_selector {
	struct kvs labels;
	struct {
		struct label_expression *items;
		size_t count;
	} expressions;
};

struct ip_block {
	struct cidr cidr;
	struct {
		struct cidr *items;
		size_t count;
	} except;
};

/* An ipBlock alone, or a podSelector or a namespaceSelector or both; NULL: not given. */
struct policy_peer {
	struct label_selector *pods, *namespaces;
	struct ip_block *block;
};

struct policy_port {
	const char *protocol;	 /* "TCP" by default */
	uint16_t port, end_port; /* of a name and of all ports: 0 */
	const char *name;	 /* of a container's port */
};

/* Of ingress and of egress. No peer: everyone; no port: every port. */
struct policy_rule {
	struct {
		struct policy_port *items;
		size_t count;
	} ports;
	struct {
		struct policy_peer *items;
		size_t count;
	} peers;
};

struct policy_rules {
	struct policy_rule *items;
	size_t count;
};

struct network_policy {
	struct label_selector pods;	    /* of the policy's own namespace */
	bool closes_ingress, closes_egress; /* policyTypes, or their default */
	struct policy_rules ingress, egress;
};

/* ---- Secret ---- */

/* Bytes, with a NUL behind them that does not count. Never in a message, a log or an answer. */
struct secret_bytes {
	const char *at; /* NULL: not given */
	size_t len;
};

/* Certificates of a server and of those who sign its clients', by whichever of the names a Secret
 * has them that Istio knows: cert, key, cacert and crl, or tls.crt, tls.key, ca.crt and ca.crl. */
struct secret {
	const char *type;
	struct secret_bytes chain, key, ca, crl;
};

/* ---- ConnectionPolicy, weft's own ---- */

enum {
	CONNECTION_POLICY_PORTS = 64,
	/* In allow, and in deny: twice as many as both have room in the kernel's table, which holds
	 * the old ones and the new ones while they change. */
	CONNECTION_POLICY_RANGES = 16000,
	/* New connections per second, of `rate`, `burst` and `threshold`. */
	CONNECTION_POLICY_RATE = 1000000,
	CONNECTION_POLICY_THRESHOLD = 5000, /* unless it is given */
};

#define CONNECTION_POLICY_NAME "default" /* there is one, of this name */

struct cidr_list {
	struct cidr *items; /* of the API server's form: bits beyond the prefix may be set */
	size_t count;
};

/* New connections: `rate` per second, and `burst` of them at a time. 0: no limit. */
struct token_bucket {
	int32_t rate, burst;
};

enum syn_cookies { SYN_COOKIES_OFF, SYN_COOKIES_AUTO, SYN_COOKIES_ALWAYS };

struct connection_limits {
	struct token_bucket per_source, total;
};

struct cookie_policy {
	bool given;
	int mode;	   /* enum syn_cookies */
	int32_t threshold; /* SYNs per second, of SYN_COOKIES_AUTO; else 0 */
};

struct connection_policy {
	struct cidr_list allow, deny; /* an empty `allow`: everyone */
	struct connection_limits new_connections;
	struct cookie_policy cookies;
	struct {
		uint16_t items[CONNECTION_POLICY_PORTS];
		size_t count; /* 0: all */
	} ports;
};

/* ---- Istio ---- */

struct destination {
	struct pos pos;
	const char *host, *subset;
	uint16_t port; /* 0: not given */
};

struct route_destination {
	struct pos pos;
	struct destination destination;
	int32_t weight; /* 0 when not given */
	bool weight_given;
};

struct l4_match {
	struct pos pos;
	struct {
		struct cidr *items;
		size_t count;
	} destination_subnets;
	uint16_t port; /* 0: any */
	struct kvs source_labels;
	struct strs gateways; /* empty: those of the VirtualService */
	const char *source_namespace;
	struct strs sni_hosts; /* tls only */
};

/* One element of spec.tcp or spec.tls. */
struct l4_route {
	struct pos pos;
	const char *name; /* NULL: none */
	struct {
		struct l4_match *items;
		size_t count;
	} match;
	struct {
		struct route_destination *items;
		size_t count;
	} route;
};

struct l4_routes {
	struct l4_route *items;
	size_t count;
};

struct http_route; /* model_http.h: the whole of spec.http */

struct virtual_service {
	struct strs hosts, gateways, export_to;
	struct l4_routes tcp, tls;
	struct {
		struct http_route *items;
		size_t count;
	} http;
};

enum lb_simple {
	LB_SIMPLE_UNSET,
	LB_SIMPLE_LEAST_REQUEST, /* also LEAST_CONN */
	LB_SIMPLE_ROUND_ROBIN,
	LB_SIMPLE_RANDOM,
	LB_SIMPLE_PASSTHROUGH,
};

struct hash_policy;	  /* model_http.h */
struct http_pool;	  /* model_http.h */
struct outlier_detection; /* model_http.h */

/* A new endpoint gets less than its share for a while. */
struct warmup {
	msecs duration;			    /* 0: not given */
	double minimum_percent, aggression; /* 10 and 1 when not given */
};

struct load_balancer {
	bool given;
	enum lb_simple simple;
	bool hash_source_ip; /* consistentHash.useSourceIp */
	bool hash_http;	     /* another consistentHash key: needs the proxy */
	struct pos hash_http_pos;
	struct hash_policy *hash; /* consistentHash as a whole, NULL: not given */
	struct warmup warmup;	  /* needs the proxy, too */
	struct pos warmup_pos;
};

/* Durations in whole seconds; 0: the kernel's default. */
struct tcp_keepalive {
	bool given; /* keepalive is on, even if nothing else is said */
	int32_t probes;
	msecs time, interval;
};

struct tcp_pool {
	bool given;
	int32_t max_connections; /* 0: unlimited */
	msecs connect_timeout, idle_timeout, max_duration;
	struct tcp_keepalive keepalive;
};

/* How many requests may be tried again at a time, as a share of all. */
struct retry_budget {
	bool given;
	double percent;
	int32_t least; /* so many always may */
};

/* What the kernel path carries out of a trafficPolicy. The parts that need the proxy or that weft
 * does not carry out are positions: compile() refuses, or ignores where the port is plain TCP and
 * the part speaks of HTTP only. */
enum client_tls_mode {
	CLIENT_TLS_DISABLE,
	CLIENT_TLS_SIMPLE,
	CLIENT_TLS_MUTUAL,
	CLIENT_TLS_ISTIO_MUTUAL,
};

/* A DestinationRule's `tls`: how it is spoken with endpoints. NULL, or an empty text: not given. */
struct client_tls {
	struct pos pos;
	int mode;		/* enum client_tls_mode */
	const char *credential; /* credentialName: a Secret of the Gateways' that call */
	const char *chain, *key, *ca, *crl; /* files */
	const char *sni;
	struct strs alt_names;
	bool insecure; /* insecureSkipVerify */
};

struct traffic_policy {
	bool given;
	struct load_balancer lb;
	struct tcp_pool tcp;
	struct pos http_pool; /* connectionPool.http */
	struct pos outlier_detection;
	struct http_pool *http;		    /* NULL: not given */
	struct outlier_detection *outliers; /* NULL: not given */
	struct retry_budget retry_budget;
	struct client_tls *tls; /* NULL: not given */
};

struct port_policy {
	uint16_t port;
	struct traffic_policy policy;
};

struct dr_policy {
	struct traffic_policy policy;
	struct {
		struct port_policy *items;
		size_t count;
	} ports; /* portLevelSettings */
};

struct subset {
	struct pos pos;
	const char *name;
	struct kvs labels;
	struct dr_policy policy;
};

struct destination_rule {
	const char *host;
	struct pos host_pos;
	struct strs export_to;
	struct kvs workload_selector;
	struct dr_policy policy;
	struct {
		struct subset *items;
		size_t count;
	} subsets;
};

/* What a server's `tls` says beside the mode and httpsRedirect. NULL, or an empty text: not given.
 */
struct gw_tls {
	const char *credential;		    /* credentialName */
	const char *chain, *key, *ca, *crl; /* files */
	struct strs alt_names, spkis, hashes;
	struct strs ciphers;
	int min_version, max_version; /* as on the wire, 0x0301..0x0304; 0: TLS_AUTO */
	struct pos credential_pos;
};

struct gw_server {
	struct pos pos;
	uint16_t port;
	const char *port_name, *protocol; /* protocol in upper case: TCP, HTTP, HTTPS, TLS, ... */
	const char *name;		  /* of the server itself, optional */
	const char *bind, *tls_mode;
	struct strs hosts;
	bool https_redirect; /* tls.httpsRedirect */
	struct pos https_redirect_pos;
	struct gw_tls tls;
};

struct gateway {
	struct kvs selector;
	struct {
		struct gw_server *items;
		size_t count;
	} servers;
};

/* ---- AuthorizationPolicy ---- */

enum authz_action {
	AUTHZ_ALLOW,
	AUTHZ_DENY,
	AUTHZ_AUDIT,
	AUTHZ_CUSTOM
}; /* the last two: refused */

/* A field and the one that begins with "not". Neither given: it says nothing. */
struct authz_values {
	struct strs yes, no;
};

/* A caller: all of it holds. */
struct authz_source {
	struct pos pos;
	struct authz_values principals, namespaces, service_accounts, ip_blocks, remote_ip_blocks;
};

/* What is called: all of it holds. */
struct authz_operation {
	struct pos pos;
	struct authz_values hosts, ports, methods, paths;
};

struct authz_condition {
	struct pos pos;
	const char *key; /* "request.headers[x-token]" */
	struct authz_values values;
};

/* One of `from`, one of `to` (none given: any) and all of `when`. */
struct authz_rule {
	struct pos pos;
	struct {
		struct authz_source *items;
		size_t count;
	} from;
	struct {
		struct authz_operation *items;
		size_t count;
	} to;
	struct {
		struct authz_condition *items;
		size_t count;
	} when;
};

struct authorization_policy {
	struct kvs selector; /* empty: every pod of the namespace, or of all of them */
	int action;	     /* enum authz_action */
	struct {
		struct authz_rule *items;
		size_t count;
	} rules;
};

/* ---- PeerAuthentication ---- */

/* Whether a pod ends mutual TLS, and whether it takes anything else. */
enum mtls_mode { MTLS_UNSET, MTLS_DISABLE, MTLS_PERMISSIVE, MTLS_STRICT };

/* An element of portLevelMtls. */
struct port_mtls {
	const char *key; /* as it was written */
	uint16_t port;	 /* the pod's own */
	int mode;	 /* enum mtls_mode; MTLS_UNSET: as at the policy's other ports */
};

struct peer_authentication {
	struct kvs selector; /* empty: every pod of the namespace, or of the mesh */
	int mode;	     /* enum mtls_mode; MTLS_UNSET: as it is further up */
	struct {
		struct port_mtls *items;
		size_t count;
	} ports;
};

/* ---- Telemetry ---- */

enum {
	/* Whose spans are meant: of requests that a pod makes, of those that it gets. */
	TRACING_CLIENT = 1,
	TRACING_SERVER = 2,
	TRACING_BOTH = TRACING_CLIENT | TRACING_SERVER,

	SAMPLING_ALL = 10000, /* shares of traces are of so many */
	TRACING_TAGS_MAX = 32,
	TRACING_TEXT_MAX = 1024, /* bytes of a tag's texts */
};

/* An element of customTags: a constant, or a field of the request. */
struct tracing_tag {
	const char *name;
	const char *literal;	   /* NULL: `header` is it */
	const char *header;	   /* its name as it was written */
	const char *default_value; /* where the request has no such field; NULL: no tag then */
};

/* An element of spec.tracing. What is not given is as it is further up. */
struct tracing_rule {
	struct pos pos;
	int modes;	      /* of TRACING_BOTH */
	const char *provider; /* NULL: not given */
	struct pos sampling_pos;
	bool sampling_given, disabled_given;
	double percentage; /* of the traces that begin there, how many are sampled */
	bool disabled;	   /* nothing is told of spans */
	struct {
		struct tracing_tag *items;
		size_t count; /* 0: not given */
	} tags;
};

struct telemetry {
	struct kvs selector; /* empty: every pod of the namespace, or of the mesh */
	struct {
		struct tracing_rule *items;
		size_t count;
	} tracing;
};

/* ---- ServiceEntry and WorkloadEntry ---- */

enum resolution {
	RESOLUTION_NONE, /* connections go to the address that was called */
	RESOLUTION_STATIC,
	RESOLUTION_DNS,
	RESOLUTION_DNS_ROUND_ROBIN,
	RESOLUTION_DYNAMIC_DNS, /* while it is read alone: no object is taken that has it */
};

enum entry_location { LOCATION_MESH_EXTERNAL, LOCATION_MESH_INTERNAL };

struct workload_port {
	const char *name; /* of the ServiceEntry's port */
	uint16_t port;
};

/* A WorkloadEntry, or an element of a ServiceEntry's endpoints. */
struct workload {
	struct pos pos;
	const char *address; /* an IP address or a name */
	bool numeric;	     /* it is `addr` */
	struct addr addr;
	struct kvs labels;
	struct {
		struct workload_port *items;
		size_t count;
	} ports;
	const char *network, *locality, *service_account; /* NULL: not given */
	int64_t weight;					  /* 0: as much as 1 */
	struct pos weight_pos;
};

struct entry_spec {
	struct strs hosts;
	struct strs addresses; /* as written: IP addresses and subnets */
	struct {
		struct cidr *items; /* the same; host bits may be set */
		size_t count;
	} ranges;
	int location;	/* enum entry_location */
	int resolution; /* enum resolution */
	/* `app_protocol` is `protocol` of the entry, in lower case, NULL if it has none; `protocol`
	 * is "TCP" or "UDP". */
	struct {
		struct service_port *items;
		size_t count;
	} ports;
	struct {
		struct workload *items;
		size_t count;
	} endpoints;
	bool selects; /* workloadSelector is given */
	struct kvs selector;
	struct strs export_to, alt_names;
};

struct object {
	enum kind kind;
	bool stands_in; /* for one that can't be read: lib/schema/stand_in.h */
	const char *api_version;
	struct meta meta;
	const char *file; /* as the user named it */
	struct pos pos;	  /* of the object in it */
	void *arena;	  /* owns all of this */
	const void *tree; /* the object's node in its document, which lives in the arena; NULL: it
			     can be made again (lib/schema/object_text.h) */
	const char *text; /* its JSON then, as json_text_parse() has left it */
	size_t text_size;
	uint64_t content; /* a hash of what it says: object_same() has made it; 0: not yet */
	/* The last member: of 10,000 Pods none has the room that a DestinationRule takes. */
	union {
		struct service_spec service;
		struct pod_spec pod;
		struct endpoints_spec endpoints; /* Endpoints and EndpointSlice */
		struct network_policy policy;
		struct secret secret;
		struct virtual_service vs;
		struct destination_rule dr;
		struct gateway gateway;
		struct connection_policy protection;
		struct authorization_policy authz;
		struct entry_spec entry;
		struct workload workload; /* WorkloadEntry */
		struct peer_authentication peer;
		struct telemetry telemetry;
	};
};

/* What an object of the kind that has this member consists of. */
#define OBJECT_SIZE(member) (offsetof(struct object, member) + sizeof(((struct object *)0)->member))

void object_free(struct object *o);

/* What becomes of traces where no Telemetry says anything else. */
struct tracing_defaults {
	unsigned sampling; /* in 10,000ths: how many of those that begin here are sampled */
	bool told;	   /* spans have somewhere to go */
};

/* A growing set of decoded objects. */
struct objects {
	struct object **items;
	size_t count;
	const char *node; /* what their Pods and endpoints call the node that they are known on;
			     NULL: not known */
	/* The namespace where the Secrets of Gateways are; NULL: in the Gateway's own, or the root
	 * namespace. */
	const char *secrets_in;
	const struct resolved *resolved; /* what DNS says (resolved.h), borrowed; NULL: nothing */
	/* outboundTrafficPolicy REGISTRY_ONLY: what these objects do not know is refused. */
	bool registry_only;
	bool labelled_only; /* in the mesh are pods that labels take in, not all of them */
	/* The directory that a DestinationRule's files must be beneath, an absolute path; NULL: it
	 * may name none. */
	const char *client_tls_dir;
	struct tracing_defaults tracing;
};

void objects_free(struct objects *set); /* and every object in it */
/* The set owns `o` from then on. 0 or -ENOMEM. */
int objects_add(struct objects *set, struct object *o);

#endif
