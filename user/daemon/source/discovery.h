/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_DISCOVERY_H
#define WEFT_DAEMON_SOURCE_DISCOVERY_H
/*
 * Reads what an API server says of the kinds that it has (Kubernetes API Concepts, "Aggregated
 * discovery"): an APIGroupDiscoveryList with an item for each group. Pure.
 */
#include "daemon/source/reflector.h"
#include "lib/kube/json_span.h"

enum { DISCOVERY_ETAG_MAX = 256 }; /* bytes, with the NUL */

#define DISCOVERY_PATH "/apis"
/* Servers before 1.30 know it as v2beta1. Those before 1.26 answer with an APIGroupList. */
#define DISCOVERY_ACCEPT                                                                         \
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"                  \
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/" \
	"json"

/* The first of the resource's versions that the group is served in, as reflector_discovered() takes
 * it; REFLECTOR_NONE if it is in none, or in another group. */
int discovery_version(struct json_span group, const struct informer_resource *resource);
/* Whether the answer is of that kind, from what is around its items. */
bool discovery_is_list(struct json_span list);
/* Takes the ETag from a line of an answer's head, whole as it is; "" of one that is too long, and
 * when another head begins. Other lines leave it as it was. */
void discovery_take_header(const char *line, size_t size, char etag[DISCOVERY_ETAG_MAX]);

#endif
