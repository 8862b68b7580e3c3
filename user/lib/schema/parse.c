// SPDX-License-Identifier: Apache-2.0
#include "lib/schema/parse.h"

#include <errno.h>
#include <string.h>

#include "lib/model/kinds.h"
#include "lib/schema/decode.h"
#include "lib/schema/schema_unknown.h"
#include "lib/schema/validate.h"
#include "lib/yaml/json_text.h"
#include "lib/yaml/tree.h"

/* How an object of each kind decodes, into struct object. */
static const struct message *const messages[KIND_MAX] = {
	[KIND_SERVICE] = &schema_service,
	[KIND_POD] = &schema_pod,
	[KIND_ENDPOINTS] = &schema_endpoints,
	[KIND_ENDPOINT_SLICE] = &schema_endpoint_slice,
	[KIND_NAMESPACE] = &schema_namespace,
	[KIND_NETWORK_POLICY] = &schema_network_policy,
	[KIND_SECRET] = &schema_secret,
	[KIND_VIRTUAL_SERVICE] = &schema_virtual_service,
	[KIND_DESTINATION_RULE] = &schema_destination_rule,
	[KIND_GATEWAY] = &schema_gateway,
	[KIND_CONNECTION_POLICY] = &schema_connection_policy,
	[KIND_AUTHORIZATION_POLICY] = &schema_authorization_policy,
	[KIND_SERVICE_ENTRY] = &schema_service_entry,
	[KIND_WORKLOAD_ENTRY] = &schema_workload_entry,
	[KIND_PEER_AUTHENTICATION] = &schema_peer_authentication,
	[KIND_TELEMETRY] = &schema_telemetry,
};

/* Objects of one file share its documents; what is common to all of them while they are read. */
struct reader {
	const char *name;
	const char *namespace; /* of objects that name none; NULL: "default" */
	struct objects *out;
	struct errors *errors, *skipped;
	struct arena *arena;
	size_t reported;
	bool skip_unknown, kept;
	const char *text; /* of the one object, when it is kept in place of its tree */
	size_t text_size;
};

/* "networking.istio.io/v1" -> its group's length (0 for "v1"), and where the version begins. */
static const char *split_version(const char *api_version, size_t *group_len)
{
	const char *slash = strchr(api_version, '/');

	*group_len = slash ? (size_t)(slash - api_version) : 0;
	return slash ? slash + 1 : api_version;
}

static bool same_group(const struct kind_info *k, const char *group, size_t len)
{
	return strlen(k->group) == len && !memcmp(k->group, group, len);
}

/* -1: weft does not know it. */
static int find_kind(const char *name)
{
	for (int kind = 0; kind < KIND_MAX; kind++)
		if (!strcmp(name, kind_infos[kind].name))
			return kind;
	return -1;
}

/* The list of a kind that weft knows ("ServiceList") or of anything ("List"). */
static bool is_list(const char *kind)
{
	static const char suffix[] = "List";
	size_t len = strlen(kind), cut = sizeof(suffix) - 1;

	return len >= cut && !strcmp(kind + len - cut, suffix);
}

static bool known_version(const struct kind_info *k, const char *version)
{
	for (const char *const *v = k->versions; *v; v++)
		if (!strcmp(*v, version))
			return true;
	return false;
}

/* What -n NAMESPACE says is for objects without a namespace; one that is of another namespace was
 * hardly meant to go there. */
static void check_namespace(struct decoder *d, const struct reader *r, const struct node *node)
{
	const struct node *given = node_get(node_get(node, "metadata"), "namespace");

	if (r->namespace && given && strcmp(d->object->meta.namespace, r->namespace) != 0)
		decode_error(d, given, "metadata.namespace",
			     "does not match -n %s: expected \"%s\", or no namespace, not \"%s\"",
			     r->namespace, r->namespace, d->object->meta.namespace);
}

static int decode_object(struct reader *r, enum kind kind, const struct node *node,
			 const char *api_version)
{
	struct object *o = arena_alloc(r->arena, messages[kind]->size);
	struct decoder d = {
		.file = r->name,
		.errors = r->errors,
		.arena = r->arena,
		.object = o,
		.reported = r->reported,
		.strict = kind_infos[kind].istio,
		.kept = r->kept,
	};
	const char *namespace;

	if (!o)
		return -ENOMEM;
	o->kind = kind;
	o->api_version = api_version;
	o->file = arena_strdup(r->arena, r->name);
	o->pos = node_pos(node);
	o->tree = r->text ? NULL : node;
	o->text = r->text;
	o->text_size = r->text_size;
	namespace = r->namespace ? arena_strdup(r->arena, r->namespace) : "default";
	o->meta.namespace = kind_infos[kind].cluster_wide ? NULL : namespace;
	decode_message(&d, messages[kind], node, o);
	/* An empty namespace is none. */
	if (o->meta.namespace && !*o->meta.namespace)
		o->meta.namespace = namespace;
	if (kind_infos[kind].cluster_wide)
		o->meta.namespace = NULL;
	else if (namespace)
		check_namespace(&d, r, node);
	if (d.no_memory || !o->file || !namespace)
		return -ENOMEM;
	if (d.reported != r->reported) {
		r->reported = d.reported;
		return 0;
	}
	if (objects_add(r->out, o))
		return -ENOMEM;
	o->arena = arena_ref(r->arena);
	return 0;
}

static const char *name_of(const struct node *node)
{
	const struct node *name = node_get(node_get(node, "metadata"), "name");

	return name && node_text(name) ? node_text(name) : "";
}

static int skip(struct reader *r, const struct node *node, const char *kind)
{
	if (r->skipped)
		errors_add(r->skipped, r->name, node_pos(node),
			   "skipped: %.64s \"%.64s\" is not a kind that weft reads", kind,
			   name_of(node));
	return 0;
}

/* False once there were enough. */
static bool may_report(struct reader *r)
{
	if (++r->reported == DECODE_ERRORS_MAX + 1)
		errors_add(r->errors, r->name, (struct pos){ 0 }, "more than %d errors",
			   DECODE_ERRORS_MAX);
	return r->reported <= DECODE_ERRORS_MAX;
}

static int refuse(struct reader *r, const struct node *at, const char *path, const char *what)
{
	char buf[160];

	if (!may_report(r))
		return 0;
	errors_add(r->errors, r->name, node_pos(at), "%s: expected %s, not %s", path, what,
		   node_describe(at, buf, sizeof(buf)));
	return 0;
}

static const char *version_of(struct reader *r, const struct node *node)
{
	const struct node *version = node_get(node, "apiVersion");

	if (version && node_text(version) && !node_is_null(version))
		return node_text(version);
	if (may_report(r))
		errors_add(r->errors, r->name, node_pos(node),
			   "apiVersion: required, but not given");
	return NULL;
}

/* A kind that weft does not read. */
static int read_unknown(struct reader *r, const struct node *node, const char *kind)
{
	const char *version = version_of(r, node), *near;
	size_t group_len;

	if (!version)
		return 0;
	split_version(version, &group_len);
	if (r->skip_unknown || !schema_refuses_kind(kind, version, group_len, &near))
		return skip(r, node, kind);
	if (!may_report(r))
		return 0;
	if (near)
		errors_add(r->errors, r->name, node_pos(node_get(node, "kind")),
			   "kind: weft does not carry out %.64s, did you mean \"%s\"?", kind, near);
	else
		errors_add(
			r->errors, r->name, node_pos(node_get(node, "kind")),
			"kind: weft does not carry out %.64s (--skip-unknown passes over what is "
			"not carried out)",
			kind);
	return 0;
}

/* "the version v1, v1beta1 or v1alpha3" */
static void want_versions(const struct kind_info *k, char *out, size_t size)
{
	size_t at = (size_t)snprintf(out, size, "the version %s", k->versions[0]);

	for (const char *const *v = k->versions + 1; *v && at < size; v++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", v[1] ? ", " : " or ", *v);
}

static int read_known(struct reader *r, enum kind kind, const struct node *node)
{
	const struct kind_info *k = &kind_infos[kind];
	const struct node *version = node_get(node, "apiVersion");
	const char *text = version_of(r, node), *name;
	char wanted[64];
	size_t group_len;

	if (!text)
		return 0;
	snprintf(wanted, sizeof(wanted), "the version %s", k->versions[0]);
	name = split_version(text, &group_len);
	if (!same_group(k, text, group_len)) {
		/* Another API group has a kind of that name (Gateway API, Knative). For kinds that
		 * only Istio has, it is a mistake. */
		if (!k->istio || kind == KIND_GATEWAY)
			return read_unknown(r, node, k->name);
		snprintf(wanted, sizeof(wanted), "%s/%s", k->group, k->versions[0]);
		return refuse(r, version, "apiVersion", wanted);
	}
	if (k->istio)
		want_versions(k, wanted, sizeof(wanted));
	if (!known_version(k, name))
		return refuse(r, version, "apiVersion", wanted);
	return decode_object(r, kind, node, text);
}

static int read_object(struct reader *r, const struct node *node, bool nested);

static int read_list(struct reader *r, const struct node *node)
{
	const struct node *items = node_get(node, "items");
	int e = 0;

	if (!items || node_is_null(items))
		return 0;
	if (node_target(items)->type != NODE_LIST)
		return refuse(r, items, "items", "a list of objects");
	for (const struct node *n = node_target(items)->child; n && !e; n = n->next)
		e = read_object(r, n, true);
	return e;
}

static int read_object(struct reader *r, const struct node *node, bool nested)
{
	const struct node *kind = node_get(node, "kind");
	int known;

	if (node_target(node)->type != NODE_MAP)
		return refuse(r, node, nested ? "items" : "document",
			      "an object (a map with apiVersion and kind)");
	if (!kind || !node_text(kind) || node_is_null(kind)) {
		if (may_report(r))
			errors_add(r->errors, r->name, node_pos(node),
				   "kind: required, but not given");
		return 0;
	}
	known = find_kind(node_text(kind));
	if (known >= 0)
		return read_known(r, (enum kind)known, node);
	if (is_list(node_text(kind)) && !nested && !r->text)
		return read_list(r, node);
	return read_unknown(r, node, node_text(kind));
}

/* The text, and about what is decoded from it: much of an EndpointSlice, less of a Pod, of which
 * there are ten times as many. A wrong guess costs memory, and nothing else. */
static size_t compact_room(const char *text, size_t len)
{
	static const char pod[] = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",";
	bool is_pod = len > sizeof(pod) && !memcmp(text, pod, sizeof(pod) - 1);

	return len + OBJECT_SIZE(pod) + len * (is_pod ? 6 : 9) / 16;
}

/* 1: it is read; 0: the text is not so plain; -ENOMEM. The nodes are needed no longer than this
 * takes. */
static int read_compact(struct reader *r, const char *bytes, size_t len)
{
	_cleanup_(arena_unrefp) struct arena *arena = arena_new_small(compact_room(bytes, len));
	_cleanup_(arena_unrefp) struct arena *nodes = arena_new();
	const struct node *root;
	char *text;
	int e;

	if (!arena || !nodes)
		return -ENOMEM;
	text = arena_strndup(arena, bytes, len);
	e = text ? json_text_parse(text, len, arena, nodes, &root) : -ENOMEM;
	if (e)
		return e == -EINVAL ? 0 : e;
	r->arena = arena;
	r->text = text;
	r->text_size = len;
	e = read_object(r, root, false);
	r->text = NULL;
	return e ? e : 1;
}

static int read_documents(struct reader *r, const struct parse_options *how, const char *bytes,
			  size_t len)
{
	struct documents docs = { 0 };
	int e, syntax;

	syntax = (how->kept_scalars ? yaml_parse_kept
		  : how->placeless || how->compact
			  ? yaml_parse_placeless
			  : yaml_parse)(r->name, bytes, len, &docs, r->errors);
	e = syntax == -ENOMEM ? syntax : 0;
	for (size_t i = 0; i < docs.count && !e; i++) {
		r->arena = docs.items[i].arena;
		e = read_object(r, docs.items[i].root, false);
	}
	documents_free(&docs);
	return e ? e : syntax;
}

int rules_parse(const char *name, const char *bytes, size_t len, struct objects *out,
		struct errors *errors, struct errors *skipped)
{
	return rules_parse_with(&(struct parse_options){ 0 }, name, bytes, len, out, errors,
				skipped);
}

int rules_parse_with(const struct parse_options *how, const char *name, const char *bytes,
		     size_t len, struct objects *out, struct errors *errors, struct errors *skipped)
{
	struct reader r = { .name = name,
			    .namespace = how->namespace,
			    .out = out,
			    .errors = errors,
			    .skipped = skipped,
			    .skip_unknown = how->skip_unknown,
			    .kept = how->kept };
	int e;

	if (how->namespace && !valid_object_label(how->namespace)) {
		errors_add(errors, "-n", (struct pos){ 0 },
			   "expected a namespace (lower-case letters, digits and '-', at most 63), "
			   "not \"%.64s\"",
			   how->namespace);
		return -EINVAL;
	}
	e = how->compact ? read_compact(&r, bytes, len) : 0;
	if (!e)
		e = read_documents(&r, how, bytes, len);
	if (e < 0)
		return e;
	return r.reported ? -EINVAL : 0;
}
