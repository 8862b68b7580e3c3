/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_OBJECT_FIELDS_H
#define WEFT_LIB_KUBE_OBJECT_FIELDS_H
/*
 * What is kept of an object: of a pod's ten kilobytes a few hundred bytes are used.
 */
#include "lib/base/buffer.h"
#include "lib/kube/json_span.h"

struct object_fields;

/*
 * Paths like "spec.containers.ports", up to a NULL: what is there is kept with all that is in it,
 * of each element where there is a list on the way, or of those that "conditions[type=Ready]"
 * means; "annotations.'a.b/c'" where a name has dots. metadata.name, .namespace and
 * .resourceVersion are kept in any case. NULL: all but metadata.managedFields and the annotation
 * kubectl.kubernetes.io/last-applied-configuration. Paths are borrowed. NULL without memory.
 */
struct object_fields *object_fields_new(const char *const *paths);
void object_fields_free(struct object_fields *f); /* accepts NULL */

/* Appends what is kept of an object, with this apiVersion and kind. 0; -EPROTO if it is no object;
 * -ENOMEM. */
int object_fields_keep(const struct object_fields *f, struct json_span object,
		       const char *api_version, const char *kind, struct buffer *out);

#endif
