// SPDX-License-Identifier: Apache-2.0
#include "lib/route/snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/model/model_http.h"
#include "lib/route/patch.h"
#include "lib/route/regex.h"
#include "weft/policy.h"

/* Bytes that snapshots own together. */
struct http_block {
	void *bytes;
	unsigned refs;
};

DEFINE_CLEANUP(struct http_snapshot *, http_snapshot_close);

enum ref_kind {
	REF_STR = 1,
	REF_RANGE,  /* of `table` */
	REF_INDEX,  /* into `table` */
	REF_OPTION, /* the same, or HS_NONE */
	REF_NUMBER, /* an index + 1, or 0 */
};

/* A field that leads somewhere. */
struct ref {
	__u8 kind; /* enum ref_kind; 0 ends a list */
	__u8 table;
	__u16 at;
};

#define STR(type, field)                                 \
	{                                                \
		REF_STR, 0, offsetof(struct type, field) \
	}
#define RANGE(type, field, table)                              \
	{                                                      \
		REF_RANGE, table, offsetof(struct type, field) \
	}
#define INDEX(type, field, table)                              \
	{                                                      \
		REF_INDEX, table, offsetof(struct type, field) \
	}
#define OPTION(type, field, table)                              \
	{                                                       \
		REF_OPTION, table, offsetof(struct type, field) \
	}
#define NUMBER(type, field, table)                              \
	{                                                       \
		REF_NUMBER, table, offsetof(struct type, field) \
	}
#define VALUE(type, field) STR(type, field.value), OPTION(type, field.regex, HS_REGEXES)

enum { REFS_MAX = 20, STATUS_MIN = 100, STATUS_MAX = 999, PREFIX_MAX = 128 };
enum { TLS_1_0 = 0x0301, TLS_1_3 = 0x0304 };

static const struct shape {
	size_t size;
	struct ref refs[REFS_MAX];
} shapes[HS_TABLES] = {
	[HS_BYTES] = { 1, { { 0 } } },
	[HS_NAMESPACES] = { sizeof(struct hs_namespace), { STR(hs_namespace, name) } },
	[HS_LISTENERS] = { sizeof(struct hs_listener),
			   { RANGE(hs_listener, exact, HS_DOMAINS),
			     RANGE(hs_listener, wild, HS_DOMAINS),
			     RANGE(hs_listener, sni_exact, HS_SNI),
			     RANGE(hs_listener, sni_wild, HS_SNI) } },
	[HS_DOMAINS] = { sizeof(struct hs_domain),
			 { STR(hs_domain, name), INDEX(hs_domain, vhost, HS_VHOSTS) } },
	[HS_VHOSTS] = { sizeof(struct hs_vhost),
			{ STR(hs_vhost, name), RANGE(hs_vhost, rules, HS_RULES),
			  RANGE(hs_vhost, skipped, HS_SKIPPED),
			  OPTION(hs_vhost, plain, HS_ACTIONS) } },
	[HS_RULES] = { sizeof(struct hs_rule),
		       { OPTION(hs_rule, match, HS_MATCHES), INDEX(hs_rule, action, HS_ACTIONS),
			 INDEX(hs_rule, place, HS_PLACES) } },
	[HS_MATCHES] = { sizeof(struct hs_match),
			 { VALUE(hs_match, uri), VALUE(hs_match, scheme), VALUE(hs_match, method),
			   VALUE(hs_match, authority), RANGE(hs_match, headers, HS_NAMED),
			   RANGE(hs_match, without_headers, HS_NAMED),
			   RANGE(hs_match, query_params, HS_NAMED), STR(hs_match, source_namespace),
			   RANGE(hs_match, source_labels, HS_LABELS),
			   STR(hs_match, source_labels_text) } },
	[HS_NAMED] = { sizeof(struct hs_named), { STR(hs_named, name), VALUE(hs_named, value) } },
	[HS_VALUES] = { sizeof(struct hs_value),
			{ STR(hs_value, value), OPTION(hs_value, regex, HS_REGEXES) } },
	[HS_LABELS] = { sizeof(struct hs_label), { STR(hs_label, key), STR(hs_label, value) } },
	[HS_ACTIONS] = { sizeof(struct hs_action),
			 { STR(hs_action, name), OPTION(hs_action, place, HS_PLACES),
			   RANGE(hs_action, request, HS_OPS), RANGE(hs_action, response, HS_OPS),
			   RANGE(hs_action, dests, HS_DESTS),
			   RANGE(hs_action, retries.statuses, HS_STATUSES),
			   STR(hs_action, retries.text),
			   OPTION(hs_action, rewrite_regex, HS_REGEXES), STR(hs_action, rewrite),
			   STR(hs_action, authority), RANGE(hs_action, mirrors, HS_MIRRORS),
			   OPTION(hs_action, cors, HS_CORS), STR(hs_action, abort_grpc),
			   STR(hs_action, scheme), STR(hs_action, host), STR(hs_action, path),
			   STR(hs_action, body) } },
	[HS_DESTS] = { sizeof(struct hs_dest),
		       { INDEX(hs_dest, cluster, HS_CLUSTERS), RANGE(hs_dest, request, HS_OPS),
			 RANGE(hs_dest, response, HS_OPS), STR(hs_dest, authority) } },
	[HS_OPS] = { sizeof(struct hs_op), { STR(hs_op, name), STR(hs_op, value) } },
	[HS_MIRRORS] = { sizeof(struct hs_mirror), { INDEX(hs_mirror, cluster, HS_CLUSTERS) } },
	[HS_CORS] = { sizeof(struct hs_cors),
		      { RANGE(hs_cors, origins, HS_VALUES), STR(hs_cors, methods),
			STR(hs_cors, headers), STR(hs_cors, expose), STR(hs_cors, max_age) } },
	[HS_STATUSES] = { sizeof(struct hs_status), { { 0 } } },
	[HS_CLUSTERS] = { sizeof(struct hs_cluster),
			  { STR(hs_cluster, name), STR(hs_cluster, host), STR(hs_cluster, subset),
			    RANGE(hs_cluster, endpoints, HS_ENDPOINTS), STR(hs_cluster, hash_name),
			    STR(hs_cluster, hash_attributes) } },
	[HS_ENDPOINTS] = { sizeof(struct hs_endpoint),
			   { NUMBER(hs_endpoint, ingress, HS_POLICIES) } },
	[HS_REGEXES] = { sizeof(struct hs_regex), { STR(hs_regex, pattern) } },
	[HS_PLACES] = { sizeof(struct hs_place),
			{ STR(hs_place, kind), STR(hs_place, ns), STR(hs_place, name),
			  STR(hs_place, route), STR(hs_place, file), STR(hs_place, label) } },
	[HS_SKIPPED] = { sizeof(struct hs_skipped),
			 { INDEX(hs_skipped, place, HS_PLACES), STR(hs_skipped, why) } },
	[HS_SOURCES] = { sizeof(struct hs_source),
			 { RANGE(hs_source, labels, HS_LABELS),
			   NUMBER(hs_source, egress, HS_POLICIES) } },
	[HS_DOORS] = { sizeof(struct hs_door), { { 0 } } },
	[HS_ADDRESSES] = { sizeof(struct hs_address),
			   { INDEX(hs_address, action, HS_ACTIONS),
			     RANGE(hs_address, sni_exact, HS_SNI),
			     RANGE(hs_address, sni_wild, HS_SNI) } },
	[HS_POLICIES] = { sizeof(struct hs_policy), { RANGE(hs_policy, rules, HS_POLICY_RULES) } },
	[HS_POLICY_RULES] = { sizeof(struct hs_policy_rule),
			      { RANGE(hs_policy_rule, classes, HS_CLASSES),
				RANGE(hs_policy_rule, blocks, HS_BLOCKS) } },
	[HS_CLASSES] = { sizeof(struct hs_class_bits), { { 0 } } },
	[HS_BLOCKS] = { sizeof(struct hs_block), { RANGE(hs_block, except, HS_EXCEPTS) } },
	[HS_EXCEPTS] = { sizeof(struct hs_except), { { 0 } } },
	[HS_PEERS] = { sizeof(struct hs_peer),
		       { NUMBER(hs_peer, ingress, HS_POLICIES),
			 NUMBER(hs_peer, egress, HS_POLICIES) } },
	[HS_SNI] = { sizeof(struct hs_sni),
		     { STR(hs_sni, name), INDEX(hs_sni, server, HS_SERVERS),
		       OPTION(hs_sni, match, HS_MATCHES) } },
	[HS_SERVERS] = { sizeof(struct hs_server),
			 { RANGE(hs_server, exact, HS_DOMAINS), RANGE(hs_server, wild, HS_DOMAINS),
			   STR(hs_server, name), STR(hs_server, credential),
			   STR(hs_server, ciphers), RANGE(hs_server, alt_names, HS_TEXTS),
			   RANGE(hs_server, spkis, HS_TEXTS), RANGE(hs_server, hashes, HS_TEXTS),
			   OPTION(hs_server, action, HS_ACTIONS),
			   OPTION(hs_server, place, HS_PLACES) } },
	[HS_TEXTS] = { sizeof(struct hs_text_row), { STR(hs_text_row, text) } },
};

static bool extents_ok(const struct hs_header *h, size_t size)
{
	if (size < sizeof(*h) || h->magic != HS_MAGIC || h->version != HS_VERSION ||
	    h->size != size)
		return false;
	for (int i = 0; i < HS_TABLES; i++) {
		const struct hs_extent *e = &h->tables[i];

		if (e->at % 8 || e->at < sizeof(*h) || e->at > size ||
		    e->count > (size - e->at) / shapes[i].size)
			return false;
	}
	return true;
}

static bool str_ok(const struct http_snapshot *s, const struct hs_str *str)
{
	__u32 count = hs_count(s, HS_BYTES);

	return str->at < count && str->len < count - str->at && !hs_text(s, *str)[str->len];
}

static bool ref_ok(const struct http_snapshot *s, const struct ref *ref, const char *row)
{
	__u32 count = hs_count(s, ref->table), index;
	struct hs_range range;
	struct hs_str str;

	switch (ref->kind) {
	case REF_STR:
		memcpy(&str, row + ref->at, sizeof(str));
		return str_ok(s, &str);
	case REF_RANGE:
		memcpy(&range, row + ref->at, sizeof(range));
		return range.first <= count && range.count <= count - range.first;
	default:
		memcpy(&index, row + ref->at, sizeof(index));
	}
	if (ref->kind == REF_NUMBER)
		return index <= count;
	return index < count || (ref->kind == REF_OPTION && index == HS_NONE);
}

static bool rows_ok(const struct http_snapshot *s, enum hs_table table)
{
	const struct shape *shape = &shapes[table];

	for (__u32 i = 0; i < hs_count(s, table); i++)
		for (const struct ref *ref = shape->refs; ref->kind; ref++)
			if (!ref_ok(s, ref, hs_at(s, table, i, shape->size)))
				return false;
	return true;
}

static bool value_ok(const struct hs_value *v)
{
	return v->type <= MATCH_PRESENT && (v->type != MATCH_REGEX || v->regex != HS_NONE);
}

/* What a reference alone doesn't tell. */
static bool matches_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_MATCHES); i++) {
		const struct hs_match *m = hs_match(s, i);

		if (!value_ok(&m->uri) || !value_ok(&m->scheme) || !value_ok(&m->method) ||
		    !value_ok(&m->authority))
			return false;
	}
	for (__u32 i = 0; i < hs_count(s, HS_NAMED); i++)
		if (!value_ok(&hs_named(s, i)->value))
			return false;
	for (__u32 i = 0; i < hs_count(s, HS_VALUES); i++)
		if (!value_ok(hs_value(s, i)))
			return false;
	return true;
}

/* The last destination of a route takes all that is left, so that a pick never fails. */
static bool actions_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_ACTIONS); i++) {
		const struct hs_action *a = hs_action(s, i);
		__u32 end = 0;

		if (a->type > HS_DIRECT_RESPONSE || a->abort_status > STATUS_MAX ||
		    a->port > UINT16_MAX)
			return false;
		if (a->type != HS_ROUTE && (a->status < STATUS_MIN || a->status > STATUS_MAX))
			return false;
		for (__u32 k = 0; k < a->dests.count; k++) {
			const struct hs_dest *d = hs_dest(s, a->dests.first + k);

			if (d->end < end)
				return false;
			end = d->end;
		}
		if (end != a->total || (a->dests.count && !end))
			return false;
	}
	for (__u32 i = 0; i < hs_count(s, HS_OPS); i++)
		if (hs_op(s, i)->type > HS_OP_ADD)
			return false;
	return true;
}

/* A cookie that is made has its value between the name and the attributes. */
static bool cookie_ok(const struct hs_cluster *c)
{
	return !c->hash_makes || (__u64)c->hash_name.len + c->hash_attributes.len <=
					 HS_COOKIE_MAX - sizeof("=\"0123456789abcdef\"");
}

/* Numbers that choose, divide or are another table's places. */
static bool clusters_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_CLUSTERS); i++) {
		const struct hs_cluster *c = hs_cluster(s, i);

		if (c->id >= CLUSTER_IDS_MAX || c->endpoints_v4 > c->endpoints.count ||
		    c->lb > LB_SOURCE_IP || c->hash > HS_HASH_SOURCE_IP || !cookie_ok(c))
			return false;
		if ((c->warmup_ms && !c->warmup_root) ||
		    (c->outliers.given && !c->outliers.interval_ms))
			return false;
	}
	return true;
}

/* A mode and versions that there are. */
static bool ends_tls(const struct hs_server *server)
{
	return server->mode >= HS_TLS_SIMPLE && server->mode <= HS_TLS_OPTIONAL_MUTUAL &&
	       server->min_version >= TLS_1_0 && server->max_version <= TLS_1_3 &&
	       server->min_version <= server->max_version;
}

/* What carries bytes on has a route, if anything. */
static bool servers_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_SERVERS); i++) {
		const struct hs_server *server = hs_server(s, i);
		bool routed = server->action != HS_NONE;

		if (server->kind < HS_SERVER_HTTP || server->kind > HS_SERVER_PASSTHROUGH ||
		    (server->kind != HS_SERVER_PASSTHROUGH && !ends_tls(server)))
			return false;
		if (routed && (server->kind == HS_SERVER_HTTP ||
			       hs_action(s, server->action)->type != HS_ROUTE))
			return false;
	}
	return true;
}

/* A listener ends TLS of connections unread only where every server does; and nothing else than
 * PASSTHROUGH is behind a service's address. */
static bool snis_ok(const struct http_snapshot *s, struct hs_range range, bool mesh, bool peek)
{
	for (__u32 i = 0; i < range.count; i++) {
		bool through = hs_server(s, hs_sni(s, range.first + i)->server)->kind ==
			       HS_SERVER_PASSTHROUGH;

		if ((mesh && !through) || (!peek && through))
			return false;
	}
	return true;
}

static bool names_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_LISTENERS); i++) {
		const struct hs_listener *l = hs_listener(s, i);

		if (!snis_ok(s, l->sni_exact, false, l->peek) ||
		    !snis_ok(s, l->sni_wild, false, l->peek))
			return false;
	}
	for (__u32 i = 0; i < hs_count(s, HS_ADDRESSES); i++) {
		const struct hs_address *a = hs_address(s, i);

		if (!snis_ok(s, a->sni_exact, true, true) || !snis_ok(s, a->sni_wild, true, true) ||
		    ((a->sni_exact.count || a->sni_wild.count) &&
		     hs_action(s, a->action)->type != HS_ROUTE))
			return false;
	}
	return true;
}

/* No more bits are compared than an address has. */
static bool prefixes_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_BLOCKS); i++)
		if (hs_block(s, i)->prefix > PREFIX_MAX)
			return false;
	for (__u32 i = 0; i < hs_count(s, HS_EXCEPTS); i++)
		if (hs_except(s, i)->prefix > PREFIX_MAX)
			return false;
	return true;
}

static int open_regexes(struct http_snapshot *s)
{
	__u32 count = hs_count(s, HS_REGEXES);

	s->regexes = http_regexes_new(count);
	if (!s->regexes)
		return -ENOMEM;
	for (__u32 i = 0; i < count; i++) {
		const struct hs_regex *row = hs_regex(s, i);
		int r = http_regexes_set(s->regexes, i, hs_text(s, row->pattern), row->pattern.len,
					 row->search);

		if (r)
			return r == -EINVAL ? -EBADMSG : r;
	}
	return 0;
}

int http_snapshot_open(const void *data, size_t size, struct http_snapshot **out)
{
	_cleanup_(http_snapshot_closep) struct http_snapshot *s = NULL;
	int r;

	if ((uintptr_t)data % 8 || !extents_ok(data, size))
		return -EBADMSG;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->header = data;
	s->refs = 1;
	for (int i = 0; i < HS_TABLES; i++)
		if (!rows_ok(s, i))
			return -EBADMSG;
	if (!matches_ok(s) || !actions_ok(s) || !clusters_ok(s) || !prefixes_ok(s) ||
	    !servers_ok(s) || !names_ok(s))
		return -EBADMSG;
	r = open_regexes(s);
	if (r)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

static struct http_block *block_new(void *bytes)
{
	struct http_block *b = malloc(sizeof(*b));

	if (!b) {
		free(bytes);
		return NULL;
	}
	*b = (struct http_block){ bytes, 1 };
	return b;
}

static void block_unref(struct http_block *b)
{
	if (!b || --b->refs)
		return;
	free(b->bytes);
	free(b);
}

int http_snapshot_own(void *data, size_t size, struct http_snapshot **out)
{
	struct http_block *block = block_new(data);
	int r = block ? http_snapshot_open(data, size, out) : -ENOMEM;

	if (r)
		block_unref(block);
	else
		(*out)->block = block;
	return r;
}

/* Of the same rules as `from`, without changes. */
static struct http_snapshot *snapshot_new(const struct http_snapshot *from,
					  const struct hs_header *header, struct http_block *block)
{
	struct http_snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct http_snapshot){ .header = header,
				     .regexes = http_regexes_ref(from->regexes),
				     .block = block,
				     .refs = 1 };
	return s;
}

int http_snapshot_like(const struct http_snapshot *from, void *data, struct http_snapshot **out)
{
	struct http_block *block = block_new(data);
	struct http_snapshot *s = block ? snapshot_new(from, data, block) : NULL;

	if (!s) {
		block_unref(block);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

int http_snapshot_patched(const struct http_snapshot *from, const void *patch, size_t size,
			  struct http_snapshot **out)
{
	_cleanup_(http_snapshot_closep) struct http_snapshot *s = NULL;
	int r;

	s = snapshot_new(from, from->header, from->block);
	if (!s)
		return -ENOMEM;
	if (s->block)
		s->block->refs++;
	r = http_changes_add(from, patch, size, &s->changes);
	if (!r)
		*out = TAKE_PTR(s);
	return r;
}

struct http_snapshot *http_snapshot_ref(struct http_snapshot *s)
{
	s->refs++;
	return s;
}

void http_snapshot_close(struct http_snapshot *s)
{
	if (!s || --s->refs)
		return;
	http_changes_free(s->changes);
	http_regexes_free(s->regexes);
	block_unref(s->block);
	free(s);
}

size_t http_row_size(enum hs_table table)
{
	return shapes[table].size;
}
