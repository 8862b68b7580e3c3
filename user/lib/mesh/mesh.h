/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_MESH_H
#define WEFT_LIB_MESH_MESH_H
/*
 * One compilation's index of the objects: by name, host, label and address, without searching.
 *
 * Everything here is scratch memory of `struct mesh` and borrows from the objects. Functions that
 * return int return 0, or -ENOMEM.
 */
#include "lib/authz/authz.h"
#include "lib/base/bytemap.h"
#include "lib/base/pool.h"
#include "lib/mesh/host_index.h"
#include "lib/mesh/peers.h"
#include "lib/mesh/telemetries.h"
#include "lib/model/hostname.h"
#include "lib/model/resolved.h"
#include "lib/tables/registry.h"
#include "lib/tables/tables.h"

#define ROOT_NAMESPACE "istio-system"

enum { PORT_NAME_MAX = 2 * HOST_MAX };

/* An endpoint of a service port. */
struct member {
	struct endpoint endpoint;
	const char *name;	  /* owned by the registry */
	const struct object *pod; /* if known */
	bool by_name;		  /* it was found by its name */
	bool of_entry;		  /* a ServiceEntry's: `workload` counts */
	union {
		const struct endpoint_address *address; /* that named it, if any: leads to the
							 * pod */
		const struct workload *workload; /* NULL: DNS has answered for the host itself */
	};
	struct host *host;
};

struct members {
	struct member *items; /* the ready ones, then those that terminate but still serve */
	size_t ready, count, room;
	bool full; /* some were left out */
};

struct plan_cluster;
struct view;

/* A cluster of a port in the snapshot. */
struct http_row {
	struct http_row *next;
	__u32 row;
	const struct view *view; /* that it was made for */
	const struct plan_cluster *v4, *v6;
};

/* Whether mutual TLS has to be spoken with some of a port's endpoints (mutual_ports.h). */
enum port_mutual { PORT_MUTUAL_UNKNOWN, PORT_MUTUAL_NOT_NEEDED, PORT_MUTUAL_NEEDED };

/* A TCP port of a known Service. */
struct mesh_port {
	struct host *host;
	const struct service_port *port;
	enum port_protocol protocol;
	struct members *members[FAMILY_MAX]; /* NULL until asked for */
	bool at_gateway[FAMILY_MAX];	     /* a Gateway's rules answer here */
	bool proxied;			     /* weft-proxy has it (proxied.h) */
	bool by_sni; /* as a tunnel: rules ask for the SNI of the TLS that it carries, or have TLS
			put around what it carries */
	__u8 mutual; /* enum port_mutual, once it was asked for */
	struct plan_cluster *clusters;
	struct http_row *http_rows; /* once l7 has made the snapshot */
};

/* A known Service. */
struct host {
	const char *name; /* FQDN */
	const struct object *service;
	struct mesh_port *ports;
	size_t port_count;
	struct view *views;
	/* What was asked of it, and would be again (change.h). */
	bool by_pods;	   /* it has no EndpointSlices or Endpoints: its selector was */
	bool knows_pods;   /* which pods its members are */
	bool at_gateway;   /* whether it has members, as a Gateway's Service */
	bool mentioned;	   /* by a rule: whether it has members */
	bool changes;	   /* it is in a mesh_change */
	__u32 placeholder; /* the made-up address that l4 has given it; 0: none */
};

/* A namespace with pods, or that is known. */
struct home {
	const struct object *o; /* the Namespace; NULL: it isn't known */
	size_t pods;
};

/* A pod of this node that is in the mesh, where there are AuthorizationPolicies, or mutual TLS is
 * in use. */
struct authorized_pod {
	const struct object *pod;
	__u32 set;	 /* what holds for its callers, of mesh.authz; 0: nothing */
	bool authorized; /* AuthorizationPolicies are among that */
};

/* A port of a pod of this node where weft-proxy has what calls the pod's own address: by mutual
 * TLS, or to be judged as requests. */
struct mutual_inbound {
	const struct object *pod;
	struct mesh_port *sp; /* that leads there */
	unsigned port;	      /* of the pod */
	bool requests;	      /* AuthorizationPolicies ask for it to be read as such */
};

/* An endpoint of a headless Service, whose clients call its own address, where that has to be by
 * mutual TLS. */
struct mutual_direct {
	struct mesh_port *sp;
	struct addr addr;
	unsigned port; /* of the endpoint */
	bool written;  /* l4 has made its entry */
};

struct mesh {
	const struct objects *objects;
	const char *node;	/* objects->node */
	const char *secrets_in; /* objects->secrets_in */
	struct registry *registry;
	struct errors *errors;
	struct tables *t;
	struct pool *pool;
	struct pool *lasting; /* of what rules have no part in (change.h) */
	struct pool *labels;  /* what pods_by_label consists of */

	struct refs services, pods, secrets;
	struct refs rules;     /* VirtualServices, DestinationRules, Gateways, ConnectionPolicies */
	struct refs entries;   /* ServiceEntries, oldest first; their hosts are among `services` */
	struct refs workloads; /* WorkloadEntries */
	struct refs virtual_services, destination_rules, gateways; /* oldest first */
	struct host *host_list;	     /* one per service, in their order */
	struct resolved resolved;    /* what DNS says, as it was when the mesh was made */
	struct bytemap hosts;	     /* FQDN -> struct host */
	struct host_index vs_index;  /* VirtualServices bound to the mesh */
	struct host_index dr_index;  /* DestinationRules */
	struct bytemap slices;	     /* "ns/service" -> struct refs: EndpointSlices */
	struct bytemap endpoints;    /* "ns/service" -> struct refs: Endpoints */
	struct bytemap pods_by_name; /* "ns/name" -> struct object; made when first asked for */
	struct bytemap
		pods_by_addr; /* struct addr -> struct object that has it; made by mesh_sources() */
	struct bytemap contested;     /* struct addr -> itself: more than one pod has it */
	size_t contests;	      /* how often a pod came to an address that another one has */
	struct bytemap homes;	      /* name -> struct home; made by mesh_sources() */
	struct bytemap pods_by_label; /* "ns\0key\0value" -> struct refs; namespace "" for all
					 namespaces */
	bool labels_of_all, labels_by_namespace; /* which part of pods_by_label is filled in */
	struct bytemap namespaces;		 /* name -> id, of those in the tables */
	struct bytemap selectors;		 /* canonical labels -> id, likewise */
	struct bytemap addresses;		 /* cluster IP -> struct host */
	struct bytemap externals;		 /* see external.h */
	struct bytemap texts;			 /* text -> itself, in the tables' arena */
	struct bytemap blamed; /* struct destination * -> not NULL: has been warned of */
	struct bytemap
		unknown; /* cluster name -> struct plan_cluster, destinations that don't exist */
	struct node_ports *node_ports; /* of Gateways, while l4 compiles; NULL: there are none */
	struct gateway_sites *gateway_sites;	     /* likewise, and l7 (gateway_sites.h) */
	__u32 placeholders;			     /* made-up addresses given out */
	struct authz_rows authz;		     /* AuthorizationPolicies (authorized.h) */
	TABLE(struct authorized_pod) authz_pods;     /* in the order of `pods` */
	TABLE(struct mutual_inbound) mutual_inbound; /* see mutual_ports.h */
	TABLE(struct mutual_direct) mutual_direct;   /* likewise */
	bool labelled_only;			     /* objects->labelled_only */
	bool names_of_pods;			     /* pods_by_name is filled in */
	bool asks_labels;			     /* of pods, by sourceLabels of HTTP rules */
	bool l4_only;				     /* l4 leaves what speaks of HTTP out */
	bool nomem; /* an allocation failed where it couldn't be returned: checked at the end */
	size_t fatal_before;		 /* errors that were there at the start */
	bool registry_only;		 /* objects->registry_only */
	struct tracing_defaults tracing; /* likewise */
	const char *client_tls_dir;	 /* objects->client_tls_dir */
	struct peers peers;		 /* PeerAuthentications */
	struct telemetries telemetries;
	bool mutual; /* mutual TLS is in use (mutual.h) */
};

int mesh_init(struct mesh *mesh, const struct objects *objects, struct registry *registry,
	      struct errors *errors);
void mesh_done(struct mesh *mesh);

/* Whether objects of that kind are in mesh.rules. */
bool mesh_has_rules_of(enum kind kind);
/* Makes the index of mesh->rules, which is empty. */
int mesh_index_rules(struct mesh *mesh);

/* `pool`: that it grows in. */
int refs_add(struct pool **pool, struct refs *refs, const struct object *o);
/* Appends to the list at `key`, which is copied when it is new. Likewise. */
int refs_add_at(struct pool **pool, struct bytemap *map, const char *key, size_t len,
		const struct object *o);
/* Older objects first: by creationTimestamp where there is one (equal ones by name, as Istio does),
 * else by order of apply. */
int sort_by_age(struct refs *refs);
/* An EndpointSlice or Endpoints. */
int mesh_add_endpoints(struct mesh *mesh, const struct object *o);
/* "ns/name", as the maps have it; returns its length. Names were validated, they fit. */
size_t full_name(char out[HOST_MAX], const char *ns, const char *name);
/* "NAMESPACE/NAME:PORT", of a ServiceEntry "NAMESPACE/HOST:PORT". Returns its length. */
size_t port_name(char out[PORT_NAME_MAX], const struct host *h, unsigned port);
/* A route's name as its counters have room for it: a longer one is cut, and told from others that
 * begin so by a hash of the whole. NULL when `name` is, or when out of memory. */
const char *route_name_fit(struct mesh *mesh, const char *name);
/* The host of that FQDN, or NULL. */
struct host *mesh_host(struct mesh *mesh, const char *fqdn);
/* The TCP port of that number, or NULL. */
struct mesh_port *host_port(struct host *h, unsigned port);
/* A text in the tables' arena, one for all that ask for the same; NULL when out of memory. */
__attribute__((format(printf, 2, 3))) const char *mesh_text(struct mesh *mesh, const char *fmt,
							    ...);
/* The namespace's id, which the tables then have; 0 when out of memory. */
__u32 mesh_namespace(struct mesh *mesh, const char *name);
/* The pods of `ns` (NULL: of all namespaces) that have the first of `labels`: the candidates for
 * all of them. NULL: none. */
const struct refs *mesh_pods_by_label(struct mesh *mesh, const char *ns, const struct kvs *labels);
/* Fills in the tables' sources: each pod's namespace, by each of its addresses, and the number of
 * the pod (index + 1 in `pods`) in place of its workload. Comes before member_pod(). */
int mesh_sources(struct mesh *mesh);
/* The namespace's, which is new if it has none. NULL when out of memory. */
struct home *mesh_home(struct mesh *mesh, const char *ns);
/* A finished pod's address may belong to another one by now, and those of the node share the
 * node's. */
bool pod_has_address(const struct object *pod);
/* Whether an address that both claim is the first one's: of a pod that is not being deleted before
 * one that is, of one that runs before one that does not yet, and else of the newer one. */
bool pod_goes_before(const struct object *pod, const struct object *other);
/* Whether it runs on the node of that name. Without a name (offline) any does, and so does a rule
 * file's Pod that names no node. */
bool pod_is_on(const struct object *pod, const char *node);
/* A Service without an address of its own, whose endpoints clients call themselves. */
bool service_is_headless(const struct service_spec *s);
/* The labels that subsets tell an endpoint by; NULL: none are known. */
const struct kvs *member_labels(struct mesh *mesh, struct member *m);
/* Its slice's or Endpoints' word on it; NULL: none. */
static inline const struct endpoint_address *member_address(const struct member *m)
{
	return m->of_entry ? NULL : m->address;
}
/* The pod behind an endpoint: by the reference of its slice, else by its address. NULL if it isn't
 * known. */
const struct object *member_pod(struct mesh *mesh, struct member *m);

#endif
