// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/kube/answer.h"
#include "lib/kube/proto_stream.h"

/* A list's metadata is small; so is what most values are. */
enum { REST_MAX = 1 << 20, VALUE_KEPT = 256 << 10, FRAME_HEAD = 4 };

/* runtime.Unknown and every list (k8s.io/apimachinery, generated.proto). */
enum { UNKNOWN_RAW = 2, LIST_METADATA = 1, LIST_ITEMS = 2 };

/* ---- what comes in front of a body ---- */

/* 1 when the head is whole, 0 when more is to come, -errno. */
static int frame_head(struct proto_stream *s)
{
	const unsigned char *h = (const unsigned char *)s->head;

	if (s->head_len < FRAME_HEAD)
		return 0;
	s->left = (uint64_t)h[0] << 24 | h[1] << 16 | h[2] << 8 | h[3];
	s->body = PROTO_GIVEN;
	return s->left > JSON_VALUE_MAX ? -EFBIG : 1;
}

static int begin_in_list(struct proto_stream *s, uint64_t number)
{
	s->body = number == LIST_ITEMS	    ? PROTO_GIVEN
		  : number == LIST_METADATA ? PROTO_KEPT
					    : PROTO_SKIPPED;
	if (s->body == PROTO_GIVEN && s->left > JSON_VALUE_MAX)
		return -EFBIG;
	return s->body == PROTO_KEPT && s->left > REST_MAX - s->rest.size ? -EFBIG : 1;
}

static int begin_bytes(struct proto_stream *s, uint64_t number)
{
	if (s->in_list)
		return begin_in_list(s, number);
	if (number != UNKNOWN_RAW) {
		s->body = PROTO_SKIPPED;
		return 1;
	}
	if (s->list_seen)
		return -EPROTO;
	s->in_list = s->list_seen = true;
	s->list_left = s->left;
	s->left = 0;
	return 1;
}

/* A field's tag, and its value, or how long that is. */
static int field_head(struct proto_stream *s)
{
	const char *end = s->head + s->head_len;
	uint64_t tag;
	int n = proto_varint(s->head, end, &tag), m;

	if (n <= 0)
		return n ? -EPROTO : 0;
	if ((tag & 7) == PROTO_FIXED32 || (tag & 7) == PROTO_FIXED64) {
		s->left = (tag & 7) == PROTO_FIXED32 ? 4 : 8;
		s->body = PROTO_SKIPPED;
		return 1;
	}
	if ((tag & 7) != PROTO_VARINT && (tag & 7) != PROTO_BYTES)
		return -EPROTO;
	m = proto_varint(s->head + n, end, &s->left);
	if (m <= 0)
		return m ? -EPROTO : 0;
	if ((tag & 7) == PROTO_BYTES)
		return begin_bytes(s, tag >> 3);
	s->left = 0;
	return 1;
}

static int magic_head(struct proto_stream *s)
{
	if (memcmp(s->head, KUBE_PROTO_MAGIC, s->head_len) != 0)
		return -EPROTO;
	if (s->head_len < KUBE_PROTO_MAGIC_SIZE)
		return 0;
	s->magic = true;
	return 1;
}

static int take_head(struct proto_stream *s, char c)
{
	int r;

	if (s->in_list && s->list_left-- == 0)
		return -EPROTO;
	s->head[s->head_len++] = c;
	if (s->mode == PROTO_STREAM_FRAMES)
		r = frame_head(s);
	else
		r = s->magic ? field_head(s) : magic_head(s);
	if (r <= 0)
		return r;
	s->head_len = 0;
	if (!s->in_list || s->body == PROTO_NO_BODY)
		return 0;
	if (s->left > s->list_left)
		return -EPROTO;
	s->list_left -= s->left;
	return 0;
}

/* ---- a body ---- */

static int end_value(struct proto_stream *s, const char *bytes, size_t size, json_value_fn taken,
		     void *arg)
{
	int r;

	if (!s->value.size)
		return taken(arg, bytes, size);
	r = buffer_add(&s->value, bytes, size);
	if (!r)
		r = taken(arg, s->value.bytes, s->value.size);
	buffer_clear(&s->value, VALUE_KEPT);
	return r;
}

static int take_part(struct proto_stream *s, const char *bytes, size_t size, json_value_fn taken,
		     void *arg)
{
	switch (s->body) {
	case PROTO_KEPT:
		return buffer_add(&s->rest, bytes, size);
	case PROTO_GIVEN:
		return s->left ? buffer_add(&s->value, bytes, size)
			       : end_value(s, bytes, size, taken, arg);
	case PROTO_SKIPPED:
	case PROTO_NO_BODY:
		break;
	}
	return 0;
}

static int take_body(struct proto_stream *s, const char **at, const char *end, json_value_fn taken,
		     void *arg)
{
	size_t size = (size_t)(end - *at);
	int r;

	size = s->left < size ? (size_t)s->left : size;
	s->left -= size;
	r = take_part(s, *at, size, taken, arg);
	*at += size;
	if (!s->left)
		s->body = PROTO_NO_BODY;
	return r;
}

int proto_stream_feed(struct proto_stream *s, const char *bytes, size_t size, json_value_fn taken,
		      void *arg)
{
	const char *at = bytes, *end = bytes + size;
	int r = 0;

	while (!r && (at < end || (s->body != PROTO_NO_BODY && !s->left))) {
		if (s->body != PROTO_NO_BODY)
			r = take_body(s, &at, end, taken, arg);
		else
			r = take_head(s, *at++);
		if (s->in_list && !s->list_left && !s->head_len && s->body == PROTO_NO_BODY)
			s->in_list = false;
	}
	return r;
}

bool proto_stream_complete(const struct proto_stream *s)
{
	return s->body == PROTO_NO_BODY && !s->head_len && !s->in_list &&
	       (s->mode == PROTO_STREAM_FRAMES || s->list_seen);
}

void proto_stream_free(struct proto_stream *s)
{
	buffer_free(&s->value);
	buffer_free(&s->rest);
}
