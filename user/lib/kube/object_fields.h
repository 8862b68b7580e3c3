/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_OBJECT_FIELDS_H
#define WEFT_LIB_KUBE_OBJECT_FIELDS_H
/*
 * What is kept of an object: of a pod's ten kilobytes a few hundred bytes are used.
 */
#include "lib/base/buffer.h"
#include "lib/kube/answer.h"
#include "lib/kube/proto_kinds.h"

struct object_fields;

/*
 * Paths like "spec.containers.ports", up to a NULL: what is there is kept with all that is in it,
 * of each element where there is a list on the way, or of those that "conditions[type=Ready]"
 * means; "annotations.'a.b/c'" where a name has dots. metadata.name, .namespace and
 * .resourceVersion are kept in any case. NULL: all but metadata.managedFields and the annotation
 * kubectl.kubernetes.io/last-applied-configuration. Paths are borrowed.
 *
 * `message`: how the kind is written in protobuf; NULL: only JSON will be read.
 * 0; -EINVAL for a path that is not (wholly) described there, or for all of an object; -ENOMEM.
 */
int object_fields_new(const char *const *paths, const struct proto_message *message,
		      struct object_fields **out);
void object_fields_free(struct object_fields *f); /* accepts NULL */

/* Appends what is kept of an object, as JSON with this apiVersion and kind. 0; -EPROTO if it is no
 * object; -ENOMEM; -EOPNOTSUPP of protobuf that has something without a name in a part that is kept
 * wholly: as JSON the server tells what it is, and if it is anything. */
int object_fields_keep(const struct object_fields *f, enum kube_format format,
		       struct json_span object, const char *api_version, const char *kind,
		       struct buffer *out);

#endif
