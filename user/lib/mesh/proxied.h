/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_PROXIED_H
#define WEFT_LIB_MESH_PROXIED_H
/*
 * Which ports of services carry HTTP, and which of those go through weft-proxy: those that a rule
 * or a policy for requests speaks of. So do ports of TLS with `tls` rules that choose by the SNI,
 * and all ports from which TLS is spoken with endpoints. All others stay with the kernel alone.
 */
#include "lib/mesh/mesh.h"

/* Whether a service port says nothing of its protocol: then HTTP rules decide. */
bool port_is_undeclared(const struct service_port *port);
/* Declared to carry HTTP, or undeclared with an HTTP rule for the host, and no match of `tls` that
 * names it. */
bool port_carries_http(struct mesh *mesh, const struct host *h, const struct mesh_port *sp);
/* Whether a VirtualService for the mesh has HTTP rules for the host. */
bool host_has_http_rule(struct mesh *mesh, const char *host);
/* The service itself, or the one that an ExternalName stands for. An ExternalName that has ports
 * and stands for none that is known has its endpoints from DNS; NULL: it has no ports. */
struct host *host_concrete(struct mesh *mesh, struct host *h);
/* Whether rules or policies for requests are for the port: `h` may be another name for its host. */
bool port_has_requests(struct mesh *mesh, const struct host *h, const struct mesh_port *sp);
/* Sets mesh_port.proxied of all services. */
void mark_proxied(struct mesh *mesh);
/* The same for ports of ServiceEntries where the name that a client asks for says what it calls:
 * those that carry HTTP, and those that carry TLS at no address of their own. */
void mark_entries(struct mesh *mesh);

/* Whether a match of spec.tls is for connections to that port: to the one that it names, else to
 * those that are declared to carry TLS. */
bool tls_match_is_at(const struct l4_match *m, const struct mesh_port *sp);
/* Whether the SNI says if the match of `o` holds. It need not where the match takes whatever name
 * clients may give for the hosts of the rule, all of them, no other match for the port has other
 * names, and no tcp rule is left to take what is no TLS: then the kernel carries the rule out. */
bool tls_match_needs_sni(const struct object *o, const struct l4_match *m, unsigned port);
/* Sets mesh_port.by_sni and proxied of all services' ports where a rule needs the SNI, and of those
 * without requests from which connections may go to endpoints by TLS (a DestinationRule's tls). */
void mark_sni(struct mesh *mesh);
/* Whether a VirtualService for the port's host is what mark_sni() sets by_sni for. */
bool rule_makes_tunnels(struct mesh *mesh, const struct object *o, const struct mesh_port *sp);
/* Whether a DestinationRule has TLS spoken, from the mesh, with all of a port's endpoints; without
 * a port (0): with any of its endpoints. */
bool rule_speaks_tls(const struct object *o, unsigned port);

#endif
