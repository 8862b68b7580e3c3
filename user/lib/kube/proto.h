/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_PROTO_H
#define WEFT_LIB_KUBE_PROTO_H
/*
 * Reads the wire format of Protocol Buffers (protobuf.dev, "Encoding"), field by field, without
 * making anything of what is not asked for. Pure; nothing here allocates.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/kube/json_span.h"

enum { PROTO_VARINT_MAX = 10 }; /* bytes */

enum proto_wire { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

struct proto_value {
	uint32_t number; /* of the field */
	enum proto_wire wire;
	uint64_t scalar;	/* of PROTO_VARINT */
	struct json_span bytes; /* of PROTO_BYTES: a string, or a message */
};

/* A walk over the fields of a message. */
struct proto_walk {
	const char *at, *end;
	bool bad; /* it ends too early, or is none */
};

struct proto_walk proto_fields(struct json_span message);
/* The next one; false at the end, or when what comes is `bad`. */
bool proto_next(struct proto_walk *w, struct proto_value *v);

/* The number at [at, end). Returns how many bytes it has; 0: it goes on behind the end; -1: it is
 * none. */
int proto_varint(const char *at, const char *end, uint64_t *out);

/* The last field of that number as bytes; an empty span if there is none, or it is no message. */
struct json_span proto_bytes(struct json_span message, uint32_t number);

#endif
