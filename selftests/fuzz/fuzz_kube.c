/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from an API server, as a watch and as a list, as JSON and as protobuf: whatever pieces
 * they come in, the same values come of them, each is taken or refused by the reflector, and what
 * is kept of an object is JSON. The first byte says in what pieces, the second which of each.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/source/reflector.h"
#include "lib/kube/json_stream.h"
#include "lib/kube/object_fields.h"
#include "lib/kube/proto_stream.h"

enum { LIST = 1, PROTO = 2 };

static const char *const some[] = { "metadata.labels", "metadata.creationTimestamp",
				    "spec.containers.ports", "status.podIP", NULL };
static const char *const spec[] = { "spec", NULL };

/* What may be kept of an object, by format. */
static struct object_fields *kept[2][2];

struct feed {
	struct reflector r;
	struct json_stream json;
	struct proto_stream proto;
	struct buffer values;
};

/* jansson takes no NUL in a key. */
static bool has_nul(const struct buffer *text)
{
	return memmem(text->bytes, text->size, "\\u0000", 6);
}

static void keep(const struct feed *f, const struct object_fields *fields, struct json_span object)
{
	bool json = f->r.format == KUBE_JSON;
	json_t *before = json ? json_loadb(object.at, object.len, 0, NULL) : json_object(), *after;
	struct buffer out = { 0 };

	if (!object_fields_keep(fields, f->r.format, object, "v1", "Pod", &out) &&
	    json_is_object(before) && !has_nul(&out)) {
		after = json_loadb(out.bytes, out.size, 0, NULL);
		if (!json_is_object(after))
			abort();
		json_decref(after);
	}
	json_decref(before);
	buffer_free(&out);
}

static int put(void *arg, struct told_key key, struct json_span version, struct json_span object)
{
	const struct feed *f = arg;

	if (!key.name.len || !version.len)
		abort();
	keep(f, kept[f->r.format][0], object);
	keep(f, kept[f->r.format][1], object);
	return 0;
}

static int gone(void *arg, const char *namespace, const char *name)
{
	(void)arg;
	(void)namespace;
	if (!*name)
		abort();
	return 0;
}

static int listed(void *arg)
{
	(void)arg;
	return 0;
}

static int take(void *arg, const char *bytes, size_t size)
{
	struct feed *f = arg;

	if (buffer_add(&f->values, bytes, size) || buffer_add(&f->values, "\n", 1))
		abort();
	return reflector_value(&f->r, bytes, size);
}

static int feed_piece(struct feed *f, const char *bytes, size_t size)
{
	/* On the heap, so that a byte too far is found. */
	char *copy = malloc(size);
	int r;

	memcpy(copy, bytes, size);
	r = f->r.format == KUBE_PROTO ? proto_stream_feed(&f->proto, copy, size, take, f)
				      : json_stream_feed(&f->json, copy, size, take, f);
	free(copy);
	return r;
}

static void finish(struct feed *f, int r)
{
	bool proto = f->r.format == KUBE_PROTO;
	const struct buffer *rest = proto ? &f->proto.rest : &f->json.rest;
	bool complete = proto ? proto_stream_complete(&f->proto) : json_stream_complete(&f->json);
	const struct reflector_end end = { .status = 200,
					   .r = r,
					   .complete = !r && complete,
					   .error = "",
					   .body = rest->bytes,
					   .size = rest->size };

	reflector_end(&f->r, 1, &end);
}

/* Returns the values. */
static struct buffer feed(const char *bytes, size_t size, size_t piece, unsigned how)
{
	static const struct informer_resource pods = { .path = "/api/v1/pods",
						       .api_version = "v1",
						       .kind = "Pod" };
	bool list = how & LIST;
	struct feed f = {
		.json = { .mode = list ? JSON_STREAM_LIST : JSON_STREAM_VALUES },
		.proto = { .mode = list ? PROTO_STREAM_LIST : PROTO_STREAM_FRAMES },
	};
	const struct reflector_sink sink = { put, gone, listed, &f };
	char path[REFLECTOR_PATH_MAX];
	int r = 0;

	reflector_init(&f.r, &pods, &sink, 1);
	f.r.ask = list ? REFLECTOR_PAGES : REFLECTOR_STREAM;
	reflector_next(&f.r, 0, path);
	reflector_answered(&f.r, 0, 200, how & PROTO ? KUBE_PROTO : KUBE_JSON);
	for (size_t at = 0; at < size && !r; at += piece)
		r = feed_piece(&f, bytes + at, piece < size - at ? piece : size - at);
	finish(&f, r);
	reflector_next(&f.r, UINT64_MAX / 2, path);
	reflector_free(&f.r);
	json_stream_free(&f.json);
	proto_stream_free(&f.proto);
	return f.values;
}

static void begin(void)
{
	const struct proto_message *pod = proto_kind("v1", "Pod"),
				   *policy = proto_kind("networking.k8s.io/v1", "NetworkPolicy");

	if (object_fields_new(some, NULL, &kept[KUBE_JSON][0]) ||
	    object_fields_new(NULL, NULL, &kept[KUBE_JSON][1]) ||
	    object_fields_new(some, pod, &kept[KUBE_PROTO][0]) ||
	    object_fields_new(spec, policy, &kept[KUBE_PROTO][1]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole, pieces;

	if (size < 3)
		return 0;
	if (!kept[0][0])
		begin();
	whole = feed((const char *)data + 2, size - 2, size, data[1]);
	pieces = feed((const char *)data + 2, size - 2, 1 + data[0] % 64, data[1]);
	if (whole.size != pieces.size ||
	    (whole.size && memcmp(whole.bytes, pieces.bytes, whole.size) != 0))
		abort();
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
