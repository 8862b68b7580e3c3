/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_PROTO_STREAM_H
#define WEFT_LIB_KUBE_PROTO_STREAM_H
/*
 * Cuts protobuf that comes in pieces of any size into its values, as json_stream.h does JSON: the
 * frames of a watch, each with its size in front of it (4 bytes, big-endian), or the items of one
 * list in its envelope (answer.h). What arrives in one piece is not copied.
 */
#include "lib/kube/json_stream.h"
#include "lib/kube/proto.h"

enum proto_stream_mode {
	PROTO_STREAM_FRAMES,
	PROTO_STREAM_LIST, /* the values are its items, without an envelope */
};

enum proto_body { PROTO_NO_BODY, PROTO_GIVEN, PROTO_KEPT, PROTO_SKIPPED };

/* Zero-initialise but for the mode; free with proto_stream_free(). */
struct proto_stream {
	enum proto_stream_mode mode;
	struct buffer value;		 /* the one that has begun */
	struct buffer rest;		 /* of a list: its metadata */
	char head[2 * PROTO_VARINT_MAX]; /* what comes in front of a body, as far as it has come */
	size_t head_len;
	enum proto_body body; /* that has begun */
	uint64_t left;	      /* of that body */
	bool magic, in_list, list_seen;
	uint64_t list_left; /* of the list in its envelope */
};

/* 0; -EPROTO if it is not what it should be; -EFBIG for a value over JSON_VALUE_MAX; -ENOMEM; or
 * what taken() has returned. There is nothing to be had of the stream after an error. */
int proto_stream_feed(struct proto_stream *s, const char *bytes, size_t size, json_value_fn taken,
		      void *arg);
/* Whether all that has begun has ended. */
bool proto_stream_complete(const struct proto_stream *s);
void proto_stream_free(struct proto_stream *s);

#endif
