// SPDX-License-Identifier: Apache-2.0
/*
 * Answers in protobuf: what a real API server (1.34) has sent of the same objects in both formats,
 * which is in selftests/unit/recorded, and what none sends.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "daemon/source/reflector.h"
#include "lib/base/json_io.h"
#include "lib/kube/call.h"
#include "lib/kube/proto_stream.h"
#include "lib/schema/parse.h"

enum { FILE_MAX = 64 << 10, TOLD_MAX = 32, TEXT_MAX = 8192 };

/* ---- what is told of an answer ---- */

struct told_text {
	char version[32], json[TEXT_MAX];
};

struct env {
	struct reflector r;
	struct object_fields *fields;
	const char *kind;
	struct told_text told[TOLD_MAX];
	size_t count;
	unsigned lists;
};

static int put(void *arg, struct told_key key, struct json_span version, struct json_span object)
{
	struct env *e = arg;
	struct told_text *t = &e->told[e->count++];
	struct buffer b = { 0 };
	int r;

	cr_assert_leq(e->count, TOLD_MAX);
	cr_assert(key.name.len);
	snprintf(t->version, sizeof(t->version), "%.*s", (int)version.len, version.at);
	r = object_fields_keep(e->fields, e->r.format, object, reflector_api_version(&e->r),
			       e->kind, &b);
	cr_assert_lt(b.size, TEXT_MAX);
	snprintf(t->json, sizeof(t->json), "%.*s", (int)b.size, b.bytes);
	buffer_free(&b);
	return r;
}

static int gone(void *arg, const char *namespace, const char *name)
{
	(void)arg;
	cr_assert_fail("%s/%s has gone", namespace, name);
	return 0;
}

static int listed(void *arg)
{
	((struct env *)arg)->lists++;
	return 0;
}

static int take(void *arg, const char *bytes, size_t size)
{
	return reflector_value(&((struct env *)arg)->r, bytes, size);
}

static size_t read_file(const char *name, char bytes[FILE_MAX])
{
	char path[128];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "selftests/unit/recorded/%s", name);
	f = fopen(path, "r");
	cr_assert(f, "%s is not there", path);
	n = fread(bytes, 1, FILE_MAX, f);
	fclose(f);
	cr_assert(n > 0 && n < FILE_MAX);
	return n;
}

static int feed_json(struct env *e, const char *bytes, size_t size, size_t piece, bool list,
		     struct reflector_end *end)
{
	struct json_stream s = { .mode = list ? JSON_STREAM_LIST : JSON_STREAM_VALUES };
	int r = 0;

	for (size_t at = 0; at < size && !r; at += piece)
		r = json_stream_feed(&s, bytes + at, piece < size - at ? piece : size - at, take,
				     e);
	*end = (struct reflector_end){ .status = 200,
				       .complete = json_stream_complete(&s),
				       .r = r,
				       .body = s.rest.bytes,
				       .size = s.rest.size };
	reflector_end(&e->r, 2000, end);
	json_stream_free(&s);
	return r;
}

static int feed_proto(struct env *e, const char *bytes, size_t size, size_t piece, bool list,
		      struct reflector_end *end)
{
	struct proto_stream s = { .mode = list ? PROTO_STREAM_LIST : PROTO_STREAM_FRAMES };
	int r = 0;

	for (size_t at = 0; at < size && !r; at += piece)
		r = proto_stream_feed(&s, bytes + at, piece < size - at ? piece : size - at, take,
				      e);
	*end = (struct reflector_end){ .status = 200,
				       .complete = proto_stream_complete(&s),
				       .r = r,
				       .error = "cut off",
				       .body = s.rest.bytes,
				       .size = s.rest.size };
	reflector_end(&e->r, 2000, end);
	proto_stream_free(&s);
	return r;
}

static const struct kube_kind *kind_of(const char *plural)
{
	int i = kube_kind_of_plural(plural);

	cr_assert(i >= 0);
	return &kube_kinds[i];
}

static void api_version_of(const struct kube_kind *k, char out[64])
{
	snprintf(out, 64, "%s%s%s", k->group, *k->group ? "/" : "", k->version);
}

/* Feeds the file's bytes as the answer that lists these objects. The streamed ones leave a watch
 * behind. */
static struct env *read_answer(const struct informer_resource *resource, const char *bytes,
			       size_t size, size_t piece, enum kube_format format, bool list,
			       struct reflector_end *end)
{
	struct env *e = calloc(1, sizeof(*e));
	const struct reflector_sink sink = { put, gone, listed, e };
	char path[REFLECTOR_PATH_MAX];

	reflector_init(&e->r, resource, &sink, 7);
	e->kind = resource->kind;
	cr_assert_eq(object_fields_new(resource->fields,
				       proto_kind(resource->api_version, resource->kind),
				       &e->fields),
		     0);
	e->r.ask = list ? REFLECTOR_PAGES : REFLECTOR_STREAM;
	cr_assert(reflector_next(&e->r, 1000, path));
	reflector_answered(&e->r, 1000, 200, format);
	if (format == KUBE_PROTO)
		feed_proto(e, bytes, size, piece, list, end);
	else
		feed_json(e, bytes, size, piece, list, end);
	return e;
}

static void env_free(struct env *e)
{
	object_fields_free(e->fields);
	reflector_free(&e->r);
	free(e);
}

/* JSON has `null` and `[]` where protobuf has nothing. */
static json_t *without_nothings(json_t *value)
{
	const char *key;
	json_t *member;
	void *after;
	size_t i;

	json_object_foreach_safe(value, after, key, member)
	{
		if (json_is_null(member) || (json_is_array(member) && !json_array_size(member)))
			json_object_del(value, key);
		else
			without_nothings(member);
	}
	json_array_foreach(value, i, member) without_nothings(member);
	return value;
}

static void expect_same(const struct told_text *proto, const struct told_text *json)
{
	_cleanup_json_ json_t *a = json_loads(proto->json, 0, NULL);
	_cleanup_json_ json_t *b = json_loads(json->json, 0, NULL);

	cr_assert(a && b);
	cr_expect_str_eq(proto->version, json->version);
	cr_expect(json_equal(without_nothings(a), without_nothings(b)), "%s\nis not\n%s",
		  proto->json, json->json);
}

static void expect_readable(const struct told_text *t)
{
	const struct parse_options how = { .compact = true };
	struct objects objects = { 0 };
	struct errors errors = { 0 };

	cr_expect_eq(rules_parse_with(&how, "x", t->json, strlen(t->json), &objects, &errors, NULL),
		     0, "%s", errors.count ? errors.items[0].text : "");
	cr_expect_eq(objects.count, 1);
	errors_free(&errors);
	objects_free(&objects);
}

static void compare(const char *plural, bool list)
{
	static char proto_bytes[FILE_MAX], json_bytes[FILE_MAX];
	const struct kube_kind *k = kind_of(plural);
	char api_version[64], name[64];
	struct informer_resource resource = {
		.path = "/x", .api_version = api_version, .kind = k->name, .fields = k->fields
	};
	static const size_t pieces[] = { 1, 3, 64, 1000, FILE_MAX };
	struct reflector_end end;
	size_t proto_size, json_size;
	struct env *json, *proto;

	api_version_of(k, api_version);
	snprintf(name, sizeof(name), "%s.%s.pb", plural, list ? "list" : "watch");
	proto_size = read_file(name, proto_bytes);
	snprintf(name, sizeof(name), "%s.%s.json", plural, list ? "list" : "watch");
	json_size = read_file(name, json_bytes);
	json = read_answer(&resource, json_bytes, json_size, json_size, KUBE_JSON, list, &end);
	cr_assert_eq(json->lists, 1);
	cr_assert_gt(json->count, 0);
	for (size_t p = 0; p < sizeof(pieces) / sizeof(*pieces); p++) {
		proto = read_answer(&resource, proto_bytes, proto_size, pieces[p], KUBE_PROTO, list,
				    &end);
		cr_assert_eq(end.r, 0);
		cr_assert(end.complete);
		cr_assert_eq(proto->lists, 1);
		cr_assert_eq(proto->count, json->count);
		/* Both were asked for one behind the other. */
		cr_expect_leq(atoi(proto->r.resource_version), atoi(json->r.resource_version));
		cr_expect_geq(atoi(proto->r.resource_version), atoi(proto->told[0].version));
		for (size_t i = 0; i < proto->count; i++) {
			expect_same(&proto->told[i], &json->told[i]);
			expect_readable(&proto->told[i]);
		}
		env_free(proto);
	}
	env_free(json);
}

Test(kube_proto, what_is_kept_is_as_of_json)
{
	compare("services", false);
	compare("pods", false);
	compare("namespaces", false);
	compare("endpointslices", false);
	compare("networkpolicies", false);
	compare("pods", true);
}

/* ---- what weft asks for ---- */

Test(kube_proto, all_that_is_kept_of_a_built_in_kind_is_described)
{
	unsigned described = 0;

	for (size_t i = 0; i < kube_kind_count; i++) {
		const struct kube_kind *k = &kube_kinds[i];
		const struct proto_message *m;
		struct object_fields *f = NULL;
		char api_version[64];

		api_version_of(k, api_version);
		m = proto_kind(api_version, k->name);
		described += m != NULL;
		/* Secrets are read as JSON: few, and `data` is bytes in protobuf. */
		cr_expect_eq(m != NULL,
			     !strstr(k->group, ".istio.io") && strcmp(k->group, "weft.dev") != 0 &&
				     strcmp(k->name, "Secret") != 0,
			     "%s", k->name);
		cr_expect_eq(object_fields_new(k->fields, m, &f), 0, "%s", k->name);
		object_fields_free(f);
	}
	cr_expect_eq(described, 5);
}

Test(kube_proto, a_path_that_is_not_described_is_refused)
{
	static const char *const bad[] = { "spec.tolerations", "spec",
					   "metadata",	       "spec.containers",
					   "spec.hostname.x",  "status.conditions" };
	struct object_fields *f;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *const paths[] = { bad[i], NULL };

		cr_expect_eq(object_fields_new(paths, proto_kind("v1", "Pod"), &f), -EINVAL, "%s",
			     bad[i]);
	}
	cr_expect_eq(object_fields_new(NULL, proto_kind("v1", "Pod"), &f), -EINVAL);
}

Test(kube_proto, formats_by_their_names)
{
	cr_expect_eq(kube_format_of(NULL), KUBE_JSON);
	cr_expect_eq(kube_format_of("application/json"), KUBE_JSON);
	cr_expect_eq(kube_format_of("application/vnd.kubernetes.protobuf"), KUBE_PROTO);
	cr_expect_eq(kube_format_of("application/vnd.kubernetes.protobuf;stream=watch"),
		     KUBE_PROTO);
	cr_expect_eq(kube_format_of("application/vnd.kubernetes.protobuffer"), KUBE_JSON);
}

/* ---- messages that are made here ---- */

static void add_varint(struct buffer *b, uint64_t v)
{
	do {
		char c = (char)(v & 0x7f) | (char)(v > 0x7f ? 0x80 : 0);

		buffer_add(b, &c, 1);
		v >>= 7;
	} while (v);
}

static void add_int(struct buffer *b, unsigned number, uint64_t v)
{
	add_varint(b, number << 3);
	add_varint(b, v);
}

static void add_bytes(struct buffer *b, unsigned number, const void *bytes, size_t size)
{
	add_varint(b, number << 3 | 2);
	add_varint(b, size);
	buffer_add(b, bytes, size);
}

static void add_text(struct buffer *b, unsigned number, const char *text)
{
	add_bytes(b, number, text, strlen(text));
}

/* Takes the message over. */
static void add_message(struct buffer *b, unsigned number, struct buffer *message)
{
	add_bytes(b, number, message->bytes ? message->bytes : "", message->size);
	buffer_free(message);
}

static void add_envelope(struct buffer *b, const char *kind, struct buffer *object)
{
	struct buffer type = { 0 };

	buffer_add(b, KUBE_PROTO_MAGIC, KUBE_PROTO_MAGIC_SIZE);
	add_text(&type, 1, "v1");
	add_text(&type, 2, kind);
	add_message(b, 1, &type);
	add_message(b, 2, object);
	add_text(b, 3, "");
	add_text(b, 4, "");
}

static void add_frame(struct buffer *b, const char *type, const char *kind, struct buffer *object)
{
	struct buffer envelope = { 0 }, extension = { 0 }, event = { 0 };
	unsigned char size[4];

	add_envelope(&envelope, kind, object);
	add_message(&extension, 1, &envelope);
	add_text(&event, 1, type);
	add_message(&event, 2, &extension);
	for (int i = 0; i < 4; i++)
		size[i] = (unsigned char)(event.size >> (24 - 8 * i));
	buffer_add(b, size, 4);
	buffer_add(b, event.bytes, event.size);
	buffer_free(&event);
}

static void add_meta(struct buffer *b, const char *name, const char *version)
{
	struct buffer meta = { 0 };

	add_text(&meta, 1, name);
	add_text(&meta, 3, "ns");
	add_text(&meta, 6, version);
	add_message(b, 1, &meta);
}

static char last_kept[TEXT_MAX];

/* What is kept of it, or "error". Frees the object. */
static const char *kept(const char *const *paths, const char *api_version, const char *kind,
			struct buffer *object)
{
	char *out = last_kept;
	struct buffer b = { 0 };
	struct object_fields *f;
	int r = object_fields_new(paths, proto_kind(api_version, kind), &f);

	cr_assert_eq(r, 0);
	r = object_fields_keep(f, KUBE_PROTO, (struct json_span){ object->bytes, object->size },
			       api_version, kind, &b);
	snprintf(out, sizeof(last_kept), "%.*s", (int)b.size, b.bytes);
	if (r)
		snprintf(out, sizeof(last_kept), "error %d", r);
	buffer_free(&b);
	buffer_free(object);
	object_fields_free(f);
	return out;
}

static const char *kept_pod(struct buffer *spec, struct buffer *status)
{
	static const char *const paths[] = { "spec.hostNetwork",
					     "spec.hostname",
					     "spec.containers.ports",
					     "status.podIPs",
					     "status.conditions[type=Ready].type",
					     "status.conditions[type=Ready].status",
					     NULL };
	static char out[TEXT_MAX];
	const char head[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\","
			    "\"namespace\":\"ns\",\"resourceVersion\":\"5\"}";
	struct buffer pod = { 0 };
	const char *all;

	add_meta(&pod, "a", "5");
	if (spec)
		add_message(&pod, 2, spec);
	if (status)
		add_message(&pod, 3, status);
	all = kept(paths, "v1", "Pod", &pod);
	if (!strncmp(all, head, strlen(head)))
		all += strlen(head);
	snprintf(out, sizeof(out), "%s", all);
	return out;
}

Test(kube_proto, what_json_leaves_out_is_left_out)
{
	struct buffer spec = { 0 }, more = { 0 };

	add_int(&spec, 11, 0);
	add_text(&spec, 16, "");
	add_text(&spec, 3, "Always"); /* is not read */
	cr_expect_str_eq(kept_pod(&spec, NULL), ",\"spec\":{}}");
	add_int(&more, 11, 1);
	add_text(&more, 16, "h");
	cr_expect_str_eq(kept_pod(&more, NULL),
			 ",\"spec\":{\"hostNetwork\":true,\"hostname\":\"h\"}}");
}

Test(kube_proto, of_owners_what_tells_the_workload_is_kept)
{
	static const char *const paths[] = { "metadata.ownerReferences.kind",
					     "metadata.ownerReferences.name",
					     "metadata.ownerReferences.controller", NULL };
	struct buffer pod = { 0 }, meta = { 0 };

	add_text(&meta, 1, "a");
	for (uint64_t i = 0; i < 2; i++) {
		struct buffer owner = { 0 };

		add_text(&owner, 1, "ReplicaSet");
		add_text(&owner, 3, i ? "two" : "one");
		add_text(&owner, 4, "4f0c");
		add_text(&owner, 5, "apps/v1");
		add_int(&owner, 6, i);
		add_int(&owner, 7, 1);
		add_message(&meta, 13, &owner);
	}
	add_message(&pod, 1, &meta);
	cr_expect_str_eq(kept(paths, "v1", "Pod", &pod),
			 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\","
			 "\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"one\","
			 "\"controller\":false},{\"kind\":\"ReplicaSet\",\"name\":\"two\","
			 "\"controller\":true}]}}");
}

Test(kube_proto, elements_of_a_list_may_be_anywhere)
{
	struct buffer spec = { 0 }, status = { 0 }, container, port, condition;

	for (uint64_t i = 0; i < 2; i++) {
		container = port = (struct buffer){ 0 };
		add_int(&port, 3, 80 + i);
		add_message(&container, 6, &port);
		add_message(&spec, 2, &container);
		add_text(&spec, i ? 17 : 16, "x");
	}
	for (int i = 0; i < 3; i++) {
		condition = (struct buffer){ 0 };
		add_text(&condition, 1, i == 1 ? "Ready" : "Other");
		add_text(&condition, 2, "True");
		add_message(&status, 2, &condition);
	}
	cr_expect_str_eq(
		kept_pod(&spec, &status),
		",\"spec\":{\"containers\":[{\"ports\":[{\"containerPort\":80}]},{\"ports\":"
		"[{\"containerPort\":81}]}],\"hostname\":\"x\"},\"status\":{\"conditions\":[{"
		"\"type\":\"Ready\",\"status\":\"True\"}]}}");
}

Test(kube_proto, any_text_is_json)
{
	struct buffer spec = { 0 };

	add_text(&spec, 16, "a\"\\\n\x01\xc3\xa9\xff\xe2\x82");
	cr_expect_str_eq(kept_pod(&spec, NULL), ",\"spec\":{\"hostname\":\"a\\\"\\\\\\n\\u0001"
						"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}}");
}

Test(kube_proto, what_is_no_message_is_an_error)
{
	struct buffer twice = { 0 }, wire = { 0 }, cut = { 0 }, group = { 0 }, none = { 0 };

	add_text(&twice, 16, "a");
	add_text(&twice, 16, "b");
	cr_expect_str_eq(kept_pod(&twice, NULL), "error -71");
	add_int(&wire, 16, 1);
	cr_expect_str_eq(kept_pod(&wire, NULL), "error -71");
	add_int(&none, 2, 1);
	cr_expect_str_eq(kept_pod(&none, NULL), "error -71");
	add_text(&cut, 16, "abc");
	cut.size--;
	cr_expect_str_eq(kept_pod(&cut, NULL), "error -71");
	add_varint(&group, 5 << 3 | 3);
	cr_expect_str_eq(kept_pod(&group, NULL), "error -71");
}

static const char *kept_time(uint64_t seconds)
{
	static const char *const paths[] = { "metadata.creationTimestamp", NULL };
	static char out[64];
	struct buffer object = { 0 }, meta = { 0 }, time = { 0 };
	const char *all, *at;

	add_int(&time, 1, seconds);
	add_int(&time, 2, 0);
	add_message(&meta, 8, &time);
	add_message(&object, 1, &meta);
	all = kept(paths, "v1", "Namespace", &object);
	at = strstr(all, "Timestamp\":");
	snprintf(out, sizeof(out), "%s", at ? at + strlen("Timestamp\":") : all);
	return out;
}

Test(kube_proto, times)
{
	struct buffer object = { 0 }, meta = { 0 };
	static const char *const paths[] = { "metadata.creationTimestamp", NULL };

	cr_expect_str_eq(kept_time(1767323045), "\"2026-01-02T03:04:05Z\"}}");
	cr_expect_str_eq(kept_time(0), "\"1970-01-01T00:00:00Z\"}}");
	cr_expect_str_eq(kept_time((uint64_t)-1), "\"1969-12-31T23:59:59Z\"}}");
	cr_expect_str_eq(kept_time(253402300800), "error -71");
	add_text(&meta, 8, ""); /* not set */
	add_message(&object, 1, &meta);
	cr_expect_str_eq(kept(paths, "v1", "Namespace", &object),
			 "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{}}");
}

/* ---- what a newer Kubernetes may say ---- */

static const char *policy_of(struct buffer *spec)
{
	static const char *const paths[] = { "spec", NULL };
	struct buffer object = { 0 };

	add_message(&object, 2, spec);
	return strstr(kept(paths, "networking.k8s.io/v1", "NetworkPolicy", &object), "\"spec\":");
}

/* An object of a newer server: as JSON it tells what it is, or has nothing of it. */
Test(kube_proto, a_policy_that_says_more_is_not_read_as_less)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	struct buffer spec = { 0 }, rule = { 0 }, peer = { 0 }, selector = { 0 };
	char text[TEXT_MAX];

	add_text(&selector, 9, ""); /* set to nothing, or not set */
	add_message(&peer, 1, &selector);
	add_int(&peer, 7, 0); /* a number that is not set */
	add_message(&rule, 2, &peer);
	add_message(&spec, 2, &rule);
	add_text(&spec, 4, "Ingress");
	cr_expect_null(policy_of(&spec));
	snprintf(text, sizeof(text), "error %d", -EOPNOTSUPP);
	cr_expect_str_eq(last_kept, text);
	snprintf(
		text, sizeof(text),
		"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":"
		"{\"name\":\"a\"},\"spec\":{\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{"
		"\"podSelector\":{\"newer\":\"x\"}}]}]}}");
	cr_expect_eq(rules_parse("x", text, strlen(text), &objects, &errors, NULL), -EINVAL);
	cr_assert(errors.count);
	cr_expect(strstr(errors.items[0].text, "spec.ingress[0].from[0].podSelector.newer"), "%s",
		  errors.items[0].text);
	errors_free(&errors);
	objects_free(&objects);
}

Test(kube_proto, int_or_string)
{
	struct buffer spec = { 0 }, rule = { 0 };

	for (int i = 0; i < 2; i++) {
		struct buffer port = { 0 }, value = { 0 };

		add_int(&value, 1, (uint64_t)i);
		add_int(&value, 2, i ? 0 : 80);
		add_text(&value, 3, i ? "http" : "");
		add_text(&port, 1, "TCP");
		add_message(&port, 2, &value);
		add_message(&rule, 1, &port);
	}
	add_message(&spec, 2, &rule);
	cr_expect_str_eq(policy_of(&spec),
			 "\"spec\":{\"ingress\":[{\"ports\":[{\"protocol\":\"TCP\",\"port\":80},{"
			 "\"protocol\":\"TCP\",\"port\":\"http\"}]}]}}");
}

/* ---- streams that end early, or are none ---- */

Test(kube_proto, a_stream_may_be_cut_off_anywhere)
{
	static char bytes[FILE_MAX];
	const struct kube_kind *k = kind_of("pods");
	const struct informer_resource pods = { "/x", "v1", "Pod", .fields = k->fields };
	static const char *const files[] = { "pods.watch.pb", "pods.list.pb" };

	for (int list = 0; list < 2; list++) {
		size_t size = read_file(files[list], bytes), whole = 0;

		for (size_t n = 0; n < size; n++) {
			struct reflector_end end;
			struct env *e =
				read_answer(&pods, bytes, n, FILE_MAX, KUBE_PROTO, list, &end);

			cr_assert_eq(end.r, 0);
			cr_assert(!list || !end.complete || n > size - 8, "%zu", n);
			cr_assert(list || e->lists == 0);
			whole += end.complete;
			env_free(e);
		}
		cr_expect(list ? whole < 4 : whole == 3, "%zu", whole);
	}
}

Test(kube_proto, a_byte_that_is_another_one_is_no_disaster)
{
	static char bytes[FILE_MAX];
	const struct informer_resource pods = { "/x", "v1", "Pod",
						.fields = kind_of("pods")->fields };
	static const char *const files[] = { "pods.watch.pb", "pods.list.pb" };
	unsigned bad = 0;

	for (int list = 0; list < 2; list++) {
		size_t size = read_file(files[list], bytes);

		for (size_t at = 0; at < size; at++) {
			struct reflector_end end;

			bytes[at] ^= (char)(1 << at % 8);
			env_free(read_answer(&pods, bytes, size, 100, KUBE_PROTO, list, &end));
			bad += end.r || !end.complete;
			bytes[at] ^= (char)(1 << at % 8);
		}
	}
	cr_expect_gt(bad, 100);
}

static int take_nothing(void *arg, const char *bytes, size_t size)
{
	(void)bytes;
	*(size_t *)arg += size;
	return 0;
}

Test(kube_proto, sizes_have_limits)
{
	struct proto_stream frames = { .mode = PROTO_STREAM_FRAMES },
			    list = { .mode = PROTO_STREAM_LIST }, around = list;
	struct buffer b = { 0 };
	size_t size = 0;

	cr_expect_eq(proto_stream_feed(&frames, "\x01\x00\x00\x01", 4, take_nothing, &size),
		     -EFBIG);
	buffer_add(&b, KUBE_PROTO_MAGIC, KUBE_PROTO_MAGIC_SIZE);
	add_varint(&b, 2 << 3 | 2);
	add_varint(&b, UINT64_MAX);
	add_varint(&b, 2 << 3 | 2);
	add_varint(&b, JSON_VALUE_MAX + 1);
	cr_expect_eq(proto_stream_feed(&list, b.bytes, b.size, take_nothing, &size), -EFBIG);
	b.size = KUBE_PROTO_MAGIC_SIZE;
	add_varint(&b, 2 << 3 | 2);
	add_varint(&b, 5);
	add_varint(&b, 2 << 3 | 2);
	add_varint(&b, 4); /* of which 3 have room */
	cr_expect_eq(proto_stream_feed(&around, b.bytes, b.size, take_nothing, &size), -EPROTO);
	cr_expect_eq(size, 0);
	proto_stream_free(&frames);
	proto_stream_free(&list);
	proto_stream_free(&around);
	buffer_free(&b);
}

Test(kube_proto, a_list_may_have_no_items_and_unknown_fields)
{
	struct proto_stream s = { .mode = PROTO_STREAM_LIST };
	struct buffer b = { 0 }, list = { 0 }, meta = { 0 };
	struct kube_list_end end;
	size_t size = 0;

	add_text(&meta, 2, "77");
	add_text(&meta, 3, "token");
	add_int(&list, 7, 300);
	add_message(&list, 1, &meta);
	add_text(&list, 9, "later");
	add_text(&list, 2, "");
	add_envelope(&b, "PodList", &list);
	cr_expect_eq(proto_stream_feed(&s, b.bytes, b.size, take_nothing, &size), 0);
	cr_expect(proto_stream_complete(&s));
	cr_expect_eq(kube_read_list_end(KUBE_PROTO, (struct json_span){ s.rest.bytes, s.rest.size },
					&end),
		     0);
	cr_expect_str_eq(end.version, "77");
	cr_expect_str_eq(end.more, "token");
	kube_list_end_free(&end);
	proto_stream_free(&s);
	buffer_free(&b);
}

Test(kube_proto, a_page_tells_where_the_list_goes_on)
{
	static char bytes[FILE_MAX];
	const struct informer_resource namespaces = { "/x", "v1", "Namespace",
						      .fields = kind_of("namespaces")->fields };
	size_t size = read_file("namespaces.page.pb", bytes);
	struct reflector_end end;
	struct env *e = read_answer(&namespaces, bytes, size, 7, KUBE_PROTO, true, &end);

	cr_expect(end.complete);
	cr_expect_eq(e->count, 1);
	cr_expect_eq(e->lists, 0);
	cr_expect(e->r.continue_token && *e->r.continue_token);
	env_free(e);
}

/* ---- what goes wrong ---- */

Test(kube_proto, a_refusal_says_why)
{
	static char bytes[FILE_MAX];
	struct kube_status status;
	char error[KUBE_ERROR_MAX];
	size_t size = read_file("status.pb", bytes);

	kube_status_text(400, bytes, size, error);
	cr_expect_str_eq(error,
			 "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing "
			 "\"abc\": invalid syntax");
	cr_expect(kube_read_status(bytes, size, &status));
	cr_expect_eq(status.code, 500);
	kube_status_free(&status);
}

static void add_status(struct buffer *b, const char *message, uint64_t code)
{
	struct buffer status = { 0 };

	add_text(&status, 3, message);
	add_int(&status, 6, code);
	add_frame(b, "ERROR", "Status", &status);
}

/* A watch from version 9 on that has been answered. */
static void begin_watch(struct env *e, const struct informer_resource *resource)
{
	const struct reflector_sink sink = { put, gone, listed, e };
	char path[REFLECTOR_PATH_MAX];

	reflector_init(&e->r, resource, &sink, 7);
	e->kind = resource->kind;
	cr_assert_eq(object_fields_new(resource->fields, proto_kind("v1", e->kind), &e->fields), 0);
	e->r.ask = REFLECTOR_WATCH;
	e->r.resource_version = strdup("9");
	cr_assert(reflector_next(&e->r, 1000, path));
	reflector_answered(&e->r, 1000, 200, KUBE_PROTO);
}

Test(kube_proto, a_watch_that_is_too_old_is_listed_anew_at_once)
{
	const struct informer_resource pods = { "/x", "v1", "Pod",
						.fields = kind_of("pods")->fields };
	struct env *e = calloc(1, sizeof(*e));
	struct buffer b = { 0 };
	struct reflector_end end;
	char path[REFLECTOR_PATH_MAX];

	begin_watch(e, &pods);
	add_status(&b, "too old resource version: 1 (2)", 410);
	cr_expect_eq(feed_proto(e, b.bytes, b.size, 5, false, &end), -ECANCELED);
	cr_expect(reflector_next(&e->r, 2000, path));
	cr_expect(strstr(path, "sendInitialEvents=true"), "%s", path);
	cr_expect_str_eq(e->r.error, "");
	env_free(e);
	buffer_free(&b);
}

Test(kube_proto, another_error_is_told)
{
	const struct informer_resource pods = { "/x", "v1", "Pod",
						.fields = kind_of("pods")->fields };
	struct env *e = calloc(1, sizeof(*e));
	struct buffer b = { 0 };
	struct reflector_end end;

	begin_watch(e, &pods);
	add_status(&b, "etcd is away", 500);
	cr_expect_eq(feed_proto(e, b.bytes, b.size, 5, false, &end), -ECANCELED);
	cr_expect_str_eq(e->r.error, "etcd is away");
	env_free(e);
	buffer_free(&b);
}

Test(kube_proto, a_watch_goes_on_from_a_bookmark)
{
	const struct informer_resource pods = { "/x", "v1", "Pod",
						.fields = kind_of("pods")->fields };
	struct env *e = calloc(1, sizeof(*e));
	struct buffer b = { 0 }, pod = { 0 }, mark = { 0 };
	struct reflector_end end;

	begin_watch(e, &pods);
	add_meta(&pod, "a", "10");
	add_frame(&b, "MODIFIED", "Pod", &pod);
	add_meta(&mark, "", "12");
	add_frame(&b, "BOOKMARK", "Pod", &mark);
	cr_expect_eq(feed_proto(e, b.bytes, b.size, 5, false, &end), 0);
	cr_expect_eq(e->count, 1);
	cr_expect_str_eq(e->told[0].version, "10");
	cr_expect_str_eq(e->r.resource_version, "12");
	env_free(e);
	buffer_free(&b);
}

Test(kube_proto, names_that_no_object_can_have_are_refused)
{
	static const char *const bad[] = { "", "a\"b", "a\\b", "a\nb", "a\xc3\xa9" };
	const struct informer_resource pods = { "/x", "v1", "Pod",
						.fields = kind_of("pods")->fields };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct env *e = calloc(1, sizeof(*e));
		struct buffer b = { 0 }, pod = { 0 };
		struct reflector_end end;

		begin_watch(e, &pods);
		add_meta(&pod, bad[i], "10");
		add_frame(&b, "ADDED", "Pod", &pod);
		cr_expect_eq(feed_proto(e, b.bytes, b.size, 5, false, &end), -EPROTO);
		cr_expect_eq(e->count, 0);
		env_free(e);
		buffer_free(&b);
	}
}
