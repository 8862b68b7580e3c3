/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from an API server, as a watch and as a list: whatever pieces they come in, the same
 * values come of them, each is taken or refused by the reflector, and what is kept of an object
 * that is JSON is JSON. The first byte says in what pieces, the second which of both.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/source/reflector.h"
#include "lib/kube/json_stream.h"
#include "lib/kube/object_fields.h"

static const char *const paths[] = { "metadata.labels", "spec.containers.ports", "status.podIP",
				     NULL };
static struct object_fields *some, *all;

struct feed {
	struct reflector r;
	struct buffer values;
};

static void keep(const struct object_fields *f, struct json_span object)
{
	struct buffer kept = { 0 };
	json_t *before = json_loadb(object.at, object.len, 0, NULL), *after;

	if (!object_fields_keep(f, object, "v1", "Pod", &kept) && json_is_object(before)) {
		after = json_loadb(kept.bytes, kept.size, 0, NULL);
		if (!json_is_object(after))
			abort();
		json_decref(after);
	}
	json_decref(before);
	buffer_free(&kept);
}

static int put(void *arg, struct told_key key, struct json_span version, struct json_span object)
{
	(void)arg;
	if (!key.name.len || !version.len)
		abort();
	keep(some, object);
	keep(all, object);
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

static int take(void *arg, const char *json, size_t size)
{
	struct feed *f = arg;

	if (buffer_add(&f->values, json, size) || buffer_add(&f->values, "\n", 1))
		abort();
	return reflector_value(&f->r, json, size);
}

/* Returns the values. */
static struct buffer feed(const char *bytes, size_t size, size_t piece, bool list)
{
	static const struct informer_resource pods = { .path = "/api/v1/pods",
						       .api_version = "v1",
						       .kind = "Pod" };
	const struct reflector_sink sink = { put, gone, listed, NULL };
	struct json_stream s = { .mode = list ? JSON_STREAM_LIST : JSON_STREAM_VALUES };
	struct feed f = { 0 };
	char path[REFLECTOR_PATH_MAX];
	struct reflector_end end = { .status = 200 };

	reflector_init(&f.r, &pods, &sink, 1);
	f.r.ask = list ? REFLECTOR_PAGES : REFLECTOR_STREAM;
	reflector_next(&f.r, 0, path);
	reflector_answered(&f.r, 0, 200);
	for (size_t at = 0; at < size && !end.r; at += piece) {
		size_t n = piece < size - at ? piece : size - at;
		/* On the heap, so that a byte too far is found. */
		char *copy = malloc(n);

		memcpy(copy, bytes + at, n);
		end.r = json_stream_feed(&s, copy, n, take, &f);
		free(copy);
	}
	end.complete = !end.r && json_stream_complete(&s);
	end.error = "";
	end.body = s.rest.bytes;
	end.size = s.rest.size;
	reflector_end(&f.r, 1, &end);
	reflector_next(&f.r, UINT64_MAX / 2, path);
	reflector_free(&f.r);
	json_stream_free(&s);
	return f.values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole, pieces;

	if (size < 3)
		return 0;
	if (!some) {
		some = object_fields_new(paths);
		all = object_fields_new(NULL);
	}
	whole = feed((const char *)data + 2, size - 2, size, data[1] & 1);
	pieces = feed((const char *)data + 2, size - 2, 1 + data[0] % 64, data[1] & 1);
	if (whole.size != pieces.size ||
	    (whole.size && memcmp(whole.bytes, pieces.bytes, whole.size) != 0))
		abort();
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
