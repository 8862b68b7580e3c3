/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_HOSTNAME_H
#define WEFT_LIB_MODEL_HOSTNAME_H
/*
 * Host names as rules and clients write them. Pure; nothing here allocates.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/model/model.h"

enum { HOST_MAX = 512 }; /* room for any name that host_complete() makes, NUL included */

/*
 * What a host in a rule of namespace `ns` means: a name without a dot is completed to
 * NAME.NS.svc.cluster.local; anything else stays as it is, in lower case. 0 or -ENAMETOOLONG.
 */
int host_complete(const char *name, const char *ns, char out[HOST_MAX]);
/* "*", "*.example.com" */
bool host_is_wildcard(const char *host);
/* Every name that `narrow` (a name or a wildcard) stands for is one that `wide` stands for. */
bool host_includes(const char *wide, const char *narrow);
/* NAME.NS.svc.cluster.local. 0 or -ENAMETOOLONG. */
int host_of_service(const char *name, const char *ns, char out[HOST_MAX]);

/* Whether exportTo makes an object of namespace `own` visible to clients of `client` (NULL: of an
 * unknown one). */
bool export_visible(const struct strs *export_to, const char *own, const char *client);

/* Splits a reference to a Gateway made in namespace `ns` ("gw", "ns/gw", "./gw",
 * "gw.ns.svc.cluster.local") and compares it with one Gateway's name. */
bool gateway_ref_is(const char *ref, const char *ns, const char *gw_ns, const char *gw_name);

/* Such a reference as "NAMESPACE/NAME", whatever its spelling; "mesh" stays as it is. "a.b" is
 * "b/a", as to Istio. 0 or -ENAMETOOLONG. */
int gateway_ref_full(const char *ref, const char *ns, char out[HOST_MAX]);

enum port_protocol { PORT_TCP, PORT_HTTP, PORT_TLS };

/* What a service port says that it carries: appProtocol first, then the prefix of its name. */
enum port_protocol port_protocol(const struct service_port *port);
/* Whether that HTTP is HTTP/2, gRPC included. */
bool port_is_http2(const struct service_port *port);

bool str_eq(const char *a, const char *b);  /* NULL equals only NULL */
bool protocol_is_tcp(const char *protocol); /* as it is by default, when NULL */
/* `labels` has every key of `wanted` with the same value. */
bool labels_hold(const struct kvs *labels, const struct kvs *wanted);
const char *labels_get(const struct kvs *labels, const char *key);

#endif
