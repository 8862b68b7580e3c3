// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/kube/answer.h"
#include "lib/kube/proto.h"

#define LIST_ENDS_KEY "k8s.io/initial-events-end"

/* Numbers of fields: k8s.io/apimachinery, generated.proto of pkg/runtime and pkg/apis/meta/v1. */
enum {
	UNKNOWN_TYPE_META = 1,
	UNKNOWN_RAW = 2,
	UNKNOWN_ENCODING = 3,
	TYPE_META_KIND = 2,
	RAW_EXTENSION_RAW = 1,
	WATCH_EVENT_TYPE = 1,
	WATCH_EVENT_OBJECT = 2,
	OBJECT_METADATA = 1,
	META_NAME = 1,
	META_NAMESPACE = 3,
	META_VERSION = 6,
	META_ANNOTATIONS = 12,
	ENTRY_KEY = 1,
	ENTRY_VALUE = 2,
	LIST_VERSION = 2,
	LIST_CONTINUE = 3,
	STATUS_MESSAGE = 3,
	STATUS_CODE = 6,
};

static const struct json_span empty = { "", 0 };

enum kube_format kube_format_of(const char *content_type)
{
	size_t len = strlen(KUBE_PROTO_TYPE);

	if (!content_type || strncmp(content_type, KUBE_PROTO_TYPE, len) != 0)
		return KUBE_JSON;
	return content_type[len] == '\0' || strchr("; \t", content_type[len]) ? KUBE_PROTO
									      : KUBE_JSON;
}

/* ---- protobuf ---- */

static bool is_enveloped(struct json_span bytes)
{
	return bytes.len >= KUBE_PROTO_MAGIC_SIZE &&
	       !memcmp(bytes.at, KUBE_PROTO_MAGIC, KUBE_PROTO_MAGIC_SIZE);
}

static struct json_span unknown_of(struct json_span bytes)
{
	if (!is_enveloped(bytes))
		return (struct json_span){ 0 };
	return (struct json_span){ bytes.at + KUBE_PROTO_MAGIC_SIZE,
				   bytes.len - KUBE_PROTO_MAGIC_SIZE };
}

static struct json_span object_in(struct json_span envelope)
{
	struct json_span unknown = unknown_of(envelope);

	/* Nothing is ever encoded any further. */
	if (proto_bytes(unknown, UNKNOWN_ENCODING).len)
		return (struct json_span){ 0 };
	return proto_bytes(unknown, UNKNOWN_RAW);
}

/* As it stands in JSON without an escape: all that a name or a version can be. */
static struct json_span plain(struct json_span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] > '~' || strchr("\"\\", text.at[i]))
			return (struct json_span){ 0 };
	return text;
}

static bool proto_head(struct json_span object, struct kube_head *out)
{
	struct proto_walk w = proto_fields(proto_bytes(object, OBJECT_METADATA));
	struct proto_value v;

	while (proto_next(&w, &v)) {
		if (v.wire != PROTO_BYTES)
			continue;
		if (v.number == META_NAME)
			out->name = plain(v.bytes);
		else if (v.number == META_NAMESPACE)
			out->namespace = plain(v.bytes);
		else if (v.number == META_VERSION)
			out->version = plain(v.bytes);
	}
	return !w.bad;
}

static bool ends_list_in_proto(struct json_span meta)
{
	struct proto_walk w = proto_fields(meta);
	struct proto_value v;
	bool ends = false;

	while (proto_next(&w, &v))
		if (v.number == META_ANNOTATIONS && v.wire == PROTO_BYTES &&
		    json_span_is(proto_bytes(v.bytes, ENTRY_KEY), LIST_ENDS_KEY))
			ends = json_span_is(proto_bytes(v.bytes, ENTRY_VALUE), "true");
	return ends;
}

static bool proto_event(struct json_span bytes, struct kube_watch_event *out)
{
	out->type = proto_bytes(bytes, WATCH_EVENT_TYPE);
	out->whole = proto_bytes(proto_bytes(bytes, WATCH_EVENT_OBJECT), RAW_EXTENSION_RAW);
	out->object = object_in(out->whole);
	return out->type.at && out->object.at;
}

/* 0 or -ENOMEM. */
static int copy(struct json_span text, char **out)
{
	*out = strndup(text.at ? text.at : "", text.len);
	return *out ? 0 : -ENOMEM;
}

static long proto_code(struct json_span status)
{
	struct proto_walk w = proto_fields(status);
	struct proto_value v;
	long code = 0;

	while (proto_next(&w, &v))
		if (v.number == STATUS_CODE && v.wire == PROTO_VARINT)
			code = (int32_t)v.scalar;
	return code;
}

static bool proto_status(struct json_span bytes, struct kube_status *out)
{
	struct json_span type = proto_bytes(unknown_of(bytes), UNKNOWN_TYPE_META);
	struct json_span status = object_in(bytes), message;

	if (!status.at || !json_span_is(proto_bytes(type, TYPE_META_KIND), "Status"))
		return false;
	message = proto_bytes(status, STATUS_MESSAGE);
	out->code = proto_code(status);
	out->message = message.len ? strndup(message.at, message.len) : NULL;
	return true;
}

/* ---- JSON ---- */

static bool json_head(struct json_span object, struct kube_head *out)
{
	struct json_walk w = json_members(json_member(object, "metadata"));
	struct json_span key, value;

	/* What is behind them is most of it; the one that keeps fields goes over that. */
	while (!(out->version.at && out->name.at && out->namespace.at) &&
	       json_next_member(&w, &key, &value))
		if (json_span_is(key, "name"))
			out->name = json_plain(value);
		else if (json_span_is(key, "namespace"))
			out->namespace = json_plain(value);
		else if (json_span_is(key, "resourceVersion"))
			out->version = json_plain(value);
	return !w.bad;
}

static bool json_event(struct json_span bytes, struct kube_watch_event *out)
{
	out->type = json_plain(json_member(bytes, "type"));
	out->object = out->whole = json_member(bytes, "object");
	return out->type.at && out->object.at;
}

static int json_list_end(struct json_span bytes, struct kube_list_end *out)
{
	_cleanup_json_ json_t *list = json_loadb(bytes.at ? bytes.at : "", bytes.len, 0, NULL);
	const json_t *metadata = json_object_get(list, "metadata");

	out->version = strdup(json_get_text(metadata, "resourceVersion", ""));
	out->more = strdup(json_get_text(metadata, "continue", ""));
	return out->version && out->more ? 0 : -ENOMEM;
}

static bool json_status(struct json_span bytes, struct kube_status *out)
{
	_cleanup_json_ json_t *status = json_loadb(bytes.at, bytes.len, 0, NULL);
	const char *message = json_get_text(status, "message", "");

	if (strcmp(json_get_text(status, "kind", ""), "Status") != 0)
		return false;
	out->code = (long)json_get_int(status, "code", 0);
	out->message = *message ? strdup(message) : NULL;
	return true;
}

/* ---- both ---- */

bool kube_read_head(enum kube_format format, struct json_span object, struct kube_head *out)
{
	bool is_object;

	*out = (struct kube_head){ 0 };
	is_object = format == KUBE_PROTO ? proto_head(object, out) : json_head(object, out);
	/* What is in no namespace does not say so. */
	if (!out->namespace.at)
		out->namespace = empty;
	return is_object && out->name.len && out->version.len;
}

void kube_read_bookmark(enum kube_format format, struct json_span object, struct json_span *version,
			bool *ends_list)
{
	static const char *const end_at[] = { "metadata", "annotations", LIST_ENDS_KEY, NULL };
	static const char *const version_at[] = { "metadata", "resourceVersion", NULL };
	struct json_span meta;

	if (format == KUBE_PROTO) {
		meta = proto_bytes(object, OBJECT_METADATA);
		*version = plain(proto_bytes(meta, META_VERSION));
		*ends_list = ends_list_in_proto(meta);
		return;
	}
	*version = json_plain(json_at(object, version_at));
	*ends_list = json_span_is(json_at(object, end_at), "\"true\"");
}

bool kube_read_event(enum kube_format format, struct json_span bytes, struct kube_watch_event *out)
{
	*out = (struct kube_watch_event){ 0 };
	return format == KUBE_PROTO ? proto_event(bytes, out) : json_event(bytes, out);
}

int kube_read_list_end(enum kube_format format, struct json_span bytes, struct kube_list_end *out)
{
	int r;

	*out = (struct kube_list_end){ 0 };
	if (format == KUBE_PROTO)
		r = copy(proto_bytes(bytes, LIST_VERSION), &out->version) ||
				    copy(proto_bytes(bytes, LIST_CONTINUE), &out->more)
			    ? -ENOMEM
			    : 0;
	else
		r = json_list_end(bytes, out);
	if (!r && !*out->version)
		r = -EPROTO;
	if (r)
		kube_list_end_free(out);
	return r;
}

void kube_list_end_free(struct kube_list_end *end)
{
	free(end->version);
	free(end->more);
	*end = (struct kube_list_end){ 0 };
}

bool kube_read_status(const char *bytes, size_t size, struct kube_status *out)
{
	struct json_span span = { bytes, size };

	*out = (struct kube_status){ 0 };
	if (!bytes)
		return false;
	return is_enveloped(span) ? proto_status(span, out) : json_status(span, out);
}

void kube_status_free(struct kube_status *status)
{
	free(status->message);
	*status = (struct kube_status){ 0 };
}
