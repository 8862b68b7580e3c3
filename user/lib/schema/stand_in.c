// SPDX-License-Identifier: Apache-2.0
#include "lib/schema/stand_in.h"

#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/model/hostname.h"
#include "lib/model/kinds.h"
#include "lib/schema/parse.h"

/* A field of an object, which is taken over if it can be read. */
struct piece {
	const char *part, *field; /* "spec", "podSelector" */
};

static const struct piece policy_pieces[] = {
	{ "spec", "podSelector" },
	{ "spec", "policyTypes" },
};

static const struct piece pod_pieces[] = {
	{ "metadata", "labels" },
	{ "metadata", "annotations" },
	{ "metadata", "deletionTimestamp" },
	{ "metadata", "ownerReferences" },
	{ "spec", "nodeName" },
	{ "spec", "hostNetwork" },
	{ "spec", "serviceAccountName" },
	{ "spec", "hostname" },
	{ "spec", "subdomain" },
	{ "spec", "containers" },
	{ "spec", "initContainers" },
	{ "status", "phase" },
	{ "status", "podIP" },
	{ "status", "podIPs" },
	{ "status", "conditions" },
};

/* NULL: it is not given. */
static json_t *piece_of(const json_t *object, const struct piece *p)
{
	json_t *value = json_object_get(json_object_get(object, p->part), p->field);

	return json_is_null(value) ? NULL : value;
}

static int set_piece(json_t *object, const struct piece *p, json_t *value)
{
	return json_object_set(json_object_get(object, p->part), p->field, value) ? -ENOMEM : 0;
}

/* 0, -EINVAL, -ENOMEM. */
static int read_object(const struct unreadable *from, const json_t *json, struct object **out)
{
	const struct parse_options how = { .placeless = true };
	_cleanup_(objects_free) struct objects objects = { 0 };
	_cleanup_(errors_free) struct errors errors = { 0 };
	_cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
	int r = text ? rules_parse_with(&how, from->file, text, strlen(text), &objects, &errors,
					NULL)
		     : -ENOMEM;

	if (r || objects.count != 1)
		return r ? r : -EINVAL;
	*out = TAKE_PTR(objects.items[0]);
	objects.count = 0;
	return 0;
}

static json_t *bare_object(const struct unreadable *from)
{
	const struct kind_info *k = &kind_infos[from->kind];
	_cleanup_free_ char *version = NULL;

	if (asprintf(&version, "%s%s%s", k->group, *k->group ? "/" : "", k->versions[0]) < 0)
		return NULL;
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:{}, s:{}}", "apiVersion", version, "kind",
			 k->name, "metadata", "name", from->name, "namespace", from->namespace,
			 "spec", "status");
}

/* Takes over what the object can be read with. */
static int take_piece(const struct unreadable *from, json_t *to, const struct piece *p,
		      json_t *value)
{
	struct object *object = NULL;
	int r = set_piece(to, p, value);

	if (!r)
		r = read_object(from, to, &object);
	object_free(object);
	if (r != -EINVAL)
		return r;
	json_object_del(json_object_get(to, p->part), p->field);
	return 0;
}

static int take_pieces(const struct unreadable *from, const json_t *given, json_t *to,
		       const struct piece *pieces, size_t count)
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		json_t *value = piece_of(given, &pieces[i]);

		r = value ? take_piece(from, to, &pieces[i], value) : 0;
	}
	return r;
}

/* ---- NetworkPolicy ---- */

static bool is_empty(const json_t *list)
{
	return !list || (json_is_array(list) && !json_array_size(list));
}

/* Both directions are written down, as nothing else of the spec says what holds without. */
static int set_types(const json_t *given, bool readable, json_t *to)
{
	static const struct piece types = { "spec", "policyTypes" }, egress = { "spec", "egress" };
	_cleanup_json_ json_t *both = json_pack("[s, s]", "Ingress", "Egress");
	_cleanup_json_ json_t *ingress = json_pack("[s]", "Ingress");

	if (!both || !ingress)
		return -ENOMEM;
	if (!is_empty(piece_of(to, &types)))
		return 0;
	/* By default a policy is about ingress, and about egress if it has such rules. */
	if (readable && is_empty(piece_of(given, &types)) && is_empty(piece_of(given, &egress)))
		return set_piece(to, &types, ingress);
	return set_piece(to, &types, both);
}

static int make_policy(const struct unreadable *from, const json_t *given, json_t *to)
{
	int r = take_pieces(from, given, to, policy_pieces,
			    sizeof(policy_pieces) / sizeof(*policy_pieces));

	return r ? r : set_types(given, json_is_object(json_object_get(given, "spec")), to);
}

static bool same_kvs(const struct kvs *a, const struct kvs *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = str_eq(a->items[i].key, b->items[i].key) &&
		       str_eq(a->items[i].value, b->items[i].value);
	return same;
}

static bool same_expression(const struct label_expression *a, const struct label_expression *b)
{
	bool same = str_eq(a->key, b->key) && a->operator== b->operator&&
					      a->values.count == b->values.count;

	for (size_t i = 0; same && i < a->values.count; i++)
		same = str_eq(a->values.items[i], b->values.items[i]);
	return same;
}

bool stand_in_selects_same(const struct object *stand_in, const struct object *policy)
{
	const struct network_policy *a = &stand_in->policy, *b = &policy->policy;
	bool same;

	if (policy->kind == KIND_AUTHORIZATION_POLICY)
		return same_kvs(&stand_in->authz.selector, &policy->authz.selector);
	if (policy->kind == KIND_PEER_AUTHENTICATION)
		return same_kvs(&stand_in->peer.selector, &policy->peer.selector) &&
		       stand_in->peer.mode <= policy->peer.mode && !stand_in->peer.ports.count;
	same = a->closes_ingress == b->closes_ingress && a->closes_egress == b->closes_egress &&
	       same_kvs(&a->pods.labels, &b->pods.labels) &&
	       a->pods.expressions.count == b->pods.expressions.count;

	for (size_t i = 0; same && i < a->pods.expressions.count; i++)
		same = same_expression(&a->pods.expressions.items[i],
				       &b->pods.expressions.items[i]);
	return same;
}

/* ---- AuthorizationPolicy ---- */

/* One for a waypoint or a Gateway (targetRefs) says nothing of any pod, and one that audits closes
 * nothing. */
static bool is_about_pods(const json_t *given)
{
	static const struct piece refs[] = { { "spec", "targetRef" }, { "spec", "targetRefs" } };
	static const struct piece action = { "spec", "action" };
	const char *word = json_string_value(piece_of(given, &action));

	return !piece_of(given, &refs[0]) && !piece_of(given, &refs[1]) && !str_eq(word, "AUDIT");
}

/* Of the same pods, if that can be read, and of all of the namespace otherwise: what it allows is
 * not known. */
static int make_authorization(const struct unreadable *from, const json_t *given, json_t *to)
{
	static const struct piece selector = { "spec", "selector" }, action = { "spec", "action" },
				  rules = { "spec", "rules" };
	_cleanup_json_ json_t *deny = json_string("DENY"), *all = json_pack("[{}]");
	int r = is_about_pods(given) ? 0 : -EINVAL;

	if (!r && (!deny || !all))
		r = -ENOMEM;
	if (!r)
		r = set_piece(to, &action, deny);
	if (!r)
		r = set_piece(to, &rules, all);
	return r ? r : take_pieces(from, given, to, &selector, 1);
}

/* ---- PeerAuthentication ---- */

static bool is_lost(const json_t *given, const json_t *to, const struct piece *p)
{
	return piece_of(given, p) && !piece_of(to, p);
}

static bool is_strict(const json_t *to, const struct piece *mtls)
{
	return str_eq(json_string_value(json_object_get(piece_of(to, mtls), "mode")), "STRICT");
}

/* Of the same pods, if that can be read, and else of all that it may be for; STRICT, unless it is
 * known that it says something else. What opens is for no other pods than its own. */
static int make_peer(const struct unreadable *from, const json_t *given, json_t *to)
{
	static const struct piece pieces[] = { { "spec", "selector" },
					       { "spec", "mtls" },
					       { "spec", "portLevelMtls" } };
	_cleanup_json_ json_t *strict = json_pack("{s:s}", "mode", "STRICT");
	const json_t *spec = json_object_get(given, "spec");
	bool unread = !json_is_object(given) || (spec && !json_is_object(spec)), lost;
	int r = strict ? take_pieces(from, given, to, pieces, 3) : -ENOMEM;

	if (r)
		return r;
	lost = unread || is_lost(given, to, &pieces[1]) || is_lost(given, to, &pieces[2]);
	if (lost)
		return set_piece(to, &pieces[1], strict);
	return is_lost(given, to, &pieces[0]) && !is_strict(to, &pieces[1]) ? -EINVAL : 0;
}

/* ---- Pod ---- */

static int make_pod(const struct unreadable *from, const json_t *given, json_t *to)
{
	return take_pieces(from, given, to, pod_pieces, sizeof(pod_pieces) / sizeof(*pod_pieces));
}

/* ---- any ---- */

/* Whether it has labels, and what was taken over has not. */
static bool lost_labels(const json_t *given, const json_t *taken)
{
	static const struct piece labels = { "metadata", "labels" };

	return !json_is_object(json_object_get(given, "metadata")) ||
	       (piece_of(given, &labels) && !piece_of(taken, &labels));
}

int stand_in_make(const struct unreadable *from, struct object **out)
{
	bool policy = from->kind == KIND_NETWORK_POLICY, pod = from->kind == KIND_POD;
	bool authorization = from->kind == KIND_AUTHORIZATION_POLICY;
	bool peer = from->kind == KIND_PEER_AUTHENTICATION;
	_cleanup_json_ json_t *given = NULL, *taken = NULL;
	int r;

	if (!policy && !pod && !authorization && !peer)
		return -ENOENT;
	given = json_loadb(from->json, from->size, JSON_ALLOW_NUL, NULL);
	taken = bare_object(from);
	if (!taken)
		return -ENOMEM;
	r = policy	    ? make_policy(from, given, taken)
	    : authorization ? make_authorization(from, given, taken)
	    : peer	    ? make_peer(from, given, taken)
			    : make_pod(from, given, taken);
	if (!r)
		r = read_object(from, taken, out);
	if (r)
		return r == -EINVAL ? -ENOENT : r;
	(*out)->stands_in = true;
	if (pod)
		(*out)->pod.labels_unknown = lost_labels(given, taken);
	return 0;
}
