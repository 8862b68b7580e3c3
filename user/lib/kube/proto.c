// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/proto.h"

int proto_varint(const char *at, const char *end, uint64_t *out)
{
	uint64_t v = 0;

	for (int i = 0; i < PROTO_VARINT_MAX; i++) {
		unsigned char c;

		if (at + i >= end)
			return 0;
		c = (unsigned char)at[i];
		/* The tenth has room for one bit. */
		if (i == PROTO_VARINT_MAX - 1 && c > 1)
			return -1;
		v |= (uint64_t)(c & 0x7f) << 7 * i;
		if (c < 0x80) {
			*out = v;
			return i + 1;
		}
	}
	return -1;
}

struct proto_walk proto_fields(struct json_span message)
{
	return (struct proto_walk){ message.at, message.at ? message.at + message.len : NULL,
				    !message.at };
}

static bool broken(struct proto_walk *w)
{
	w->bad = true;
	return false;
}

static bool take_varint(struct proto_walk *w, uint64_t *out)
{
	int n = proto_varint(w->at, w->end, out);

	if (n <= 0)
		return broken(w);
	w->at += n;
	return true;
}

static bool take_bytes(struct proto_walk *w, uint64_t len, struct json_span *out)
{
	if (len > (uint64_t)(w->end - w->at))
		return broken(w);
	*out = (struct json_span){ w->at, (size_t)len };
	w->at += len;
	return true;
}

bool proto_next(struct proto_walk *w, struct proto_value *v)
{
	uint64_t tag, len;

	if (w->bad || w->at == w->end || !take_varint(w, &tag))
		return false;
	if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
		return broken(w);
	*v = (struct proto_value){ .number = (uint32_t)(tag >> 3),
				   .wire = (enum proto_wire)(tag & 7) };
	switch (v->wire) {
	case PROTO_VARINT:
		return take_varint(w, &v->scalar);
	case PROTO_BYTES:
		return take_varint(w, &len) && take_bytes(w, len, &v->bytes);
	case PROTO_FIXED64:
		return take_bytes(w, 8, &v->bytes);
	case PROTO_FIXED32:
		return take_bytes(w, 4, &v->bytes);
	}
	return broken(w); /* groups have never been Kubernetes' */
}

struct json_span proto_bytes(struct json_span message, uint32_t number)
{
	struct proto_walk w = proto_fields(message);
	struct json_span found = { 0 };
	struct proto_value v;

	while (proto_next(&w, &v))
		if (v.number == number && v.wire == PROTO_BYTES)
			found = v.bytes;
	return w.bad ? (struct json_span){ 0 } : found;
}
