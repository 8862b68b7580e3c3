/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_PROTO_KINDS_H
#define WEFT_LIB_KUBE_PROTO_KINDS_H
/*
 * How Kubernetes' own kinds are written in protobuf, as far as weft reads them: the numbers are
 * those of generated.proto in k8s.io/api (core/v1, discovery/v1, networking/v1) and
 * k8s.io/apimachinery, the names those of the JSON.
 */
#include <stdbool.h>
#include <stdint.h>

enum proto_type {
	PROTO_STRING,
	PROTO_BOOL,
	PROTO_INT,
	PROTO_MESSAGE,
	PROTO_MAP,	     /* of strings */
	PROTO_TIME,	     /* metav1.Time */
	PROTO_INT_OR_STRING, /* intstr.IntOrString */
};

struct proto_field {
	uint32_t number;
	const char *name;
	enum proto_type type;
	bool list;
	/* Protobuf has "", 0 and false of what was not set; JSON has them only where Go has a
	 * pointer, or no omitempty. */
	bool zero;
	const struct proto_message *message;
};

struct proto_message {
	const struct proto_field *fields; /* up to one without a name */
	bool partial;			  /* there are more than these */
};

/* NULL: of that kind JSON is read. */
const struct proto_message *proto_kind(const char *api_version, const char *kind);
/* NULL: it is not described. */
const struct proto_field *proto_field(const struct proto_message *m, uint32_t number);
const struct proto_field *proto_field_named(const struct proto_message *m, const char *name,
					    size_t len);

#endif
