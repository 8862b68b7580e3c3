/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_L7_L7_PRIV_H
#define WEFT_LIB_L7_L7_PRIV_H
/*
 * What the parts of l7_compile() share. Memory that runs out is noted in build.nomem or
 * mesh.nomem and found out at the end.
 */
#include "lib/mesh/policy.h"
#include "lib/model/model_http.h"
#include "lib/l7/build.h"
#include "lib/netpolicy/classes.h"

/* A name on its way into a listener's tables. */
struct http_domain {
	__u32 scope, port;
	const char *name; /* in lower case, with its `*` */
	__u32 ns;	  /* index + 1; 0: all */
	__u32 vhost;
	__u32 server; /* index of `servers` + 1, whose name it is; 0: the listener's own */
	size_t order;
	bool tls;    /* of the listener */
	__u32 group; /* likewise */
};

/* A server, and a name by which clients ask for it in their ClientHello. */
struct http_sni {
	__u32 port;	  /* of a Gateway */
	const char *name; /* in lower case, with its `*` */
	__u32 server;	  /* index of `servers` */
	__u32 match;	  /* row of HS_MATCHES, or HS_NONE */
	size_t order;	  /* among those of one name */
	__u32 group;	  /* of the listener */
};

struct http_snis {
	TABLE(struct http_sni) list;
};

/* Of a service's port; the same at each of its addresses. */
struct http_sni_ranges {
	struct hs_range exact, wild; /* of HS_SNI */
};

struct http_compiler {
	struct mesh *mesh;
	const struct http_snapshot *from; /* see l7_compile() */
	struct http_build build;
	struct bytemap clusters; /* which one, as text -> row + 1 */
	struct bytemap labels;	 /* keys of sourceLabels -> not NULL */
	struct bytemap names;	 /* of routes -> the object that has it */
	struct bytemap plains;	 /* struct mesh_port * -> action + 1, for most clients */
	TABLE(struct http_domain) domains;
	TABLE(struct hs_server) servers;
	struct http_snis snis;	  /* of Gateways */
	struct bytemap sni_names; /* "PORT GROUP NAME" of `snis` -> not NULL */
	struct bytemap sni_ports; /* struct mesh_port * -> struct http_sni_ranges * */
	__u32 group;		  /* of the Gateways' site that is being compiled */
	/* Of HS_CLIENT_TLS, + 1: those of ISTIO_MUTUAL and of DISABLE; 0: there is none yet. */
	__u32 mutual_row, disable_row;
	struct bytemap seen;	/* domains that are there already */
	struct bytemap unknown; /* virtual hosts that no service has and were asked for */
	struct policy_classes policies;
	bool patching;		/* rows are added behind those of `from`, */
	bool anew;		/* and more than that would have to be */
	struct bytemap visited; /* then: names of the virtual hosts that are made anew */
};

/* Where requests are received. */
struct http_site {
	const struct object *gateway; /* NULL: the mesh */
	unsigned port;
	const char *client; /* namespace, or NULL: any other */
	bool tls;
	bool direct; /* an endpoint itself is called: it is not for weft to choose */
};

/* One element of spec.http as it counts: a delegate's with what it inherits. */
struct http_effective {
	const struct object *o;	     /* that it is from: for names and positions */
	const struct object *root;   /* that is bound to hosts and gateways */
	const struct object *mirror; /* that the mirrors are from */
	struct http_route route;
	size_t index; /* in o's spec.http */
};

struct http_routes {
	TABLE(struct http_effective) list;
};

/* The routes of a VirtualService, delegates put in. Scratch memory of the mesh, but for the list:
 * free list.items. 0 or -ENOMEM. */
int http_expand(struct http_compiler *c, const struct object *root, struct http_routes *out);

/* Rules on their way into a vhost. */
struct http_rules {
	TABLE(struct hs_rule) rules;
	TABLE(struct hs_skipped) skipped;
	__u32 groups; /* what http_rules_add() adds next is of this one */
};

void http_rules_free(struct http_rules *r);
/* The rules of `o` at the site, a group of their own. 0 or -ENOMEM. */
int http_rules_add(struct http_compiler *c, const struct http_site *site, const struct object *o,
		   struct http_rules *out);
/* Whether the last group has a rule that is for every client: nothing behind it is ever asked. */
bool http_rules_closed(struct http_compiler *c, const struct http_rules *r);
/* A row of HS_PLACES: where a rule, or the plain service, stands. `pos`: of the match; `whole`: of
 * the route. */
__u32 http_place(struct http_compiler *c, const struct object *o, const char *route,
		 const char *label, struct pos pos, struct pos whole);

/* Rows. */
__u32 http_match_row(struct http_compiler *c, const struct http_site *site,
		     const struct http_match *m);
/* Whether that row, or HS_NONE, holds for every request. */
bool http_match_is_any(struct http_compiler *c, __u32 match);
/* Why the match can never hold at the site, in the mesh's pool or static; NULL: it can. */
const char *http_match_never(struct http_compiler *c, const struct http_site *site,
			     const struct http_effective *e, const struct http_match *m);
struct hs_value http_value(struct http_compiler *c, const struct string_match *m, bool fold);
__u32 http_regex_row(struct http_compiler *c, const char *pattern, bool search);
/* `m`: a match with a name, or NULL. */
__u32 http_action_row(struct http_compiler *c, const struct http_site *site,
		      const struct http_effective *e, const struct http_match *m);
/* Gives the names of routes to the oldest objects that have them. */
void http_claim_names(struct http_compiler *c);
/* "NAME.MATCH" as far as they are given; NULL without a route's name. */
const char *http_route_name(struct http_compiler *c, const struct http_effective *e,
			    const struct http_match *m);
/* An element of spec.tcp or spec.tls (`field`): where connections go. */
__u32 http_l4_action_row(struct http_compiler *c, const struct http_site *site,
			 const struct object *o, const char *field, const struct l4_route *route);
/* The plain service. */
__u32 http_plain_row(struct http_compiler *c, const struct http_site *site, struct mesh_port *sp);
/* `ns`: of the object that names the destination. */
__u32 http_cluster_row(struct http_compiler *c, const struct http_site *site, const char *ns,
		       const struct destination *d);
__u32 http_cluster_of(struct http_compiler *c, const struct http_site *site, struct mesh_port *sp,
		      const char *subset);
/* A row of HS_CLIENT_TLS + 1: how TLS is spoken with the host's endpoints by that Gateway, or by
 * clients in the mesh (NULL). 0: `t` (NULL: none) says nothing of it. */
__u32 http_client_tls_of(struct http_compiler *c, const struct client_tls *t, const struct host *h,
			 const struct object *gateway);
/* The name of its credential (lib/wire/credentials.h); "": it has none. NULL when out of memory. */
const char *http_client_credential(struct http_compiler *c, const struct client_tls *t,
				   const struct object *gateway);
/* Rows of HS_TEXTS. */
struct hs_range http_texts(struct http_compiler *c, const struct strs *list);

/* Of all families. */
size_t http_members_count(const struct mesh_port *sp);

/* Clients. */
__u32 http_namespace(struct http_compiler *c, const char *name);
int http_sources_write(struct http_compiler *c); /* 0 or -ENOMEM */
/* Comes last: every namespace that was asked for has its row. */
void http_namespaces_write(struct http_compiler *c);

/* NetworkPolicies: comes before endpoints and clients, which refer to them. 0 or -ENOMEM. */
int http_policies_write(struct http_compiler *c);

/* AuthorizationPolicies, and the pods of this node that they are about. 0 or -ENOMEM. */
int http_authz_write(struct http_compiler *c);

/* The pods of the mesh, while mutual TLS is in use. Comes after mutual_inbound_index(). 0 or
 * -ENOMEM. */
int http_workloads_write(struct http_compiler *c);

/* Domains and listeners. The first object that claims a name keeps it. */
void http_domain_add(struct http_compiler *c, const struct http_domain *d);
int http_listeners_write(struct http_compiler *c);
/* A row of `servers`, whose domains are added next: its index + 1. The names that its clients ask
 * for lead to it, but for those of an older one of the port and of c->group. 0 when out of memory.
 */
__u32 http_server_add(struct http_compiler *c, const struct object *gw,
		      const struct gw_server *server);
/* Where connections go that are none of HTTP. */
struct http_bytes {
	__u32 action, place; /* rows, or HS_NONE */
};

/* The same for a server that ends TLS of other connections. */
__u32 http_tcp_server_add(struct http_compiler *c, const struct object *gw,
			  const struct gw_server *server, struct http_bytes to);
/* A row of `servers` for what goes on as it is, its index + 1. `server`: of a Gateway; NULL: of the
 * mesh. 0 when out of memory. */
__u32 http_passthrough_add(struct http_compiler *c, const struct object *gw,
			   const struct gw_server *server, struct http_bytes to);
/* A host of a Gateway's server, or one that meets it, leads to that row of `servers`; unless an
 * older one of the port has the name. `server`: its index + 1. */
void http_sni_add(struct http_compiler *c, unsigned port, const char *host, __u32 server);
/* Rows of HS_SNI, in order. Those that are never reached, behind one of the same name for every
 * client, are left out. */
void http_sni_rows(struct http_compiler *c, struct http_sni *items, size_t count,
		   struct hs_range *exact, struct hs_range *wild);
/* The names of a listener's servers. */
void http_snis_write(struct http_compiler *c, struct hs_listener *l);

/* The tcp rules bound to a Gateway's server that ends TLS, as a server; likewise the tls rules at
 * one that passes it through: a server for each. 0 or -ENOMEM. */
int http_tcp_routes(struct http_compiler *c, const struct object *gw,
		    const struct gw_server *server);
int http_tls_routes(struct http_compiler *c, const struct object *gw,
		    const struct gw_server *server);
/* The names of the tls rules for a service's port at that address; there is one for each client, at
 * least that of the service itself. 0 or -ENOMEM. */
int http_tls_routes_at(struct http_compiler *c, struct mesh_port *sp, const struct addr *addr,
		       struct http_sni_ranges *out);
/* Where a host of a Gateway's server and one of a rule's meet: the narrower of both, in lower case.
 */
void http_hosts_meet(const char *server_host, const char *vs_host, char out[HOST_MAX]);

/* The same for an endpoint of a headless Service that is called itself, which no rule is for. */
int http_tls_direct(struct http_compiler *c, struct mesh_port *sp, struct http_sni_ranges *out);

/* The same for a port of TLS that a ServiceEntry has at no address: the names of the rules for its
 * host, and the host's own, are added to `out`. */
int http_tls_anywhere(struct http_compiler *c, struct mesh_port *sp, struct http_snis *out);

/* What a client sees of a host, to be compared: the rules, and the DestinationRules in force for
 * each destination. */
struct http_sight {
	TABLE(const void *) parts;
};

int http_sight_add(struct http_sight *s, const void *part); /* 0 or -ENOMEM */
/* `ns`: of the object that names the destination. Likewise. */
int http_sight_add_destination(struct http_compiler *c, struct http_sight *s, const char *client,
			       const char *ns, const struct destination *d);
bool http_sights_equal(const struct http_sight *a, const struct http_sight *b);

/* The parts of the whole. 0 or -ENOMEM. */
int http_compile_mesh(struct http_compiler *c);
/* What a VirtualService of the mesh has a part in: the virtual hosts of its hosts, those that no
 * service has first, as they come first in the whole. */
int http_compile_unknown_of(struct http_compiler *c, const struct object *o);
int http_compile_hosts_of(struct http_compiler *c, const struct object *o);
int http_compile_gateways(struct http_compiler *c);
/* HS_TRACINGS, and the one of Gateways. Comes after the sources. 0; -E2BIG: a source has no room
 * for its row's number. */
int http_tracings_write(struct http_compiler *c);

void http_compiler_done(struct http_compiler *c);

/* A vhost of those rules. */
__u32 http_vhost_row(struct http_compiler *c, const char *name, const struct http_rules *rules,
		     __u32 plain, __u32 flags);

#endif
