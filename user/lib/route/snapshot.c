// SPDX-License-Identifier: Apache-2.0
#include "lib/route/snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/model/model_http.h"
#include "lib/route/authz.h"
#include "lib/route/patch.h"
#include "lib/route/regex.h"
#include "lib/route/shape.h"
#include "weft/policy.h"
#include "weft/traffic.h"

/* Bytes that snapshots own together. */
struct http_block {
	void *bytes;
	unsigned refs;
};

DEFINE_CLEANUP(struct http_snapshot *, http_snapshot_close);

enum { STATUS_MIN = 100, STATUS_MAX = 999, PREFIX_MAX = 128 };
enum { TLS_1_0 = 0x0301, TLS_1_3 = 0x0304 };

static bool extents_ok(const struct hs_header *h, size_t size)
{
	if (size < sizeof(*h) || h->magic != HS_MAGIC || h->version != HS_VERSION ||
	    h->size != size || h->flags & ~(__u32)HS_REGISTRY_ONLY ||
	    h->gateway_peer >= TRAFFIC_PEER_IDS_MAX)
		return false;
	for (int i = 0; i < HS_TABLES; i++) {
		const struct hs_extent *e = &h->tables[i];

		if (e->at % 8 || e->at < sizeof(*h) || e->at > size ||
		    e->count > (size - e->at) / hs_shapes[i].size)
			return false;
	}
	return true;
}

/* `first` and `count` rows, or bytes, are all in the block or all behind it. */
static bool extent_ok(const struct http_snapshot *s, enum hs_table table, __u32 first, __u32 count)
{
	__u32 block = s->header->tables[table].count, end = hs_count(s, table);

	if (first < block)
		end = block;
	return first <= end && count <= end - first;
}

static bool str_ok(const struct http_snapshot *s, const struct hs_str *str)
{
	return str->len < UINT32_MAX && extent_ok(s, HS_BYTES, str->at, str->len + 1) &&
	       !hs_text(s, *str)[str->len];
}

static bool ref_ok(const struct http_snapshot *s, const struct hs_ref *ref, const char *row)
{
	__u32 count = hs_count(s, ref->table), index;
	struct hs_range range;
	struct hs_str str;

	switch (ref->kind) {
	case HS_REF_STR:
		memcpy(&str, row + ref->at, sizeof(str));
		return str_ok(s, &str);
	case HS_REF_RANGE:
		memcpy(&range, row + ref->at, sizeof(range));
		return extent_ok(s, ref->table, range.first, range.count);
	default:
		memcpy(&index, row + ref->at, sizeof(index));
	}
	if (ref->kind == HS_REF_NUMBER)
		return index <= count;
	return index < count || (ref->kind == HS_REF_OPTION && index == HS_NONE);
}

static bool rows_ok(const struct http_snapshot *s, enum hs_table table, __u32 first)
{
	const struct hs_shape *shape = &hs_shapes[table];

	for (__u32 i = first; i < hs_count(s, table); i++)
		for (const struct hs_ref *ref = shape->refs; ref->kind; ref++)
			if (!ref_ok(s, ref, hs_at(s, table, i, shape->size)))
				return false;
	return true;
}

static bool value_ok(const struct hs_value *v)
{
	return v->type <= MATCH_PRESENT && (v->type != MATCH_REGEX || v->regex != HS_NONE);
}

/* What a reference alone doesn't tell. */
static bool matches_ok(const struct http_snapshot *s, const __u32 first[HS_TABLES])
{
	for (__u32 i = first[HS_MATCHES]; i < hs_count(s, HS_MATCHES); i++) {
		const struct hs_match *m = hs_match(s, i);

		if (!value_ok(&m->uri) || !value_ok(&m->scheme) || !value_ok(&m->method) ||
		    !value_ok(&m->authority))
			return false;
	}
	for (__u32 i = first[HS_NAMED]; i < hs_count(s, HS_NAMED); i++)
		if (!value_ok(&hs_named(s, i)->value))
			return false;
	for (__u32 i = first[HS_VALUES]; i < hs_count(s, HS_VALUES); i++)
		if (!value_ok(hs_value(s, i)))
			return false;
	return true;
}

/* The last destination of a route takes all that is left, so that a pick never fails. */
static bool actions_ok(const struct http_snapshot *s, const __u32 first[HS_TABLES])
{
	for (__u32 i = first[HS_ACTIONS]; i < hs_count(s, HS_ACTIONS); i++) {
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
	for (__u32 i = first[HS_OPS]; i < hs_count(s, HS_OPS); i++)
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

static bool clients_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_CLIENT_TLS); i++) {
		__u32 mode = hs_client_tls(s, i)->mode;

		if (mode != HS_TLS_SIMPLE && mode != HS_TLS_MUTUAL && mode != HS_TLS_ISTIO_MUTUAL &&
		    mode != HS_TLS_DISABLE)
			return false;
	}
	return true;
}

static bool mode_ok(__u32 mode)
{
	return mode >= HS_MTLS_DISABLE && mode <= HS_MTLS_STRICT;
}

/* In the order in which they are looked for, each once. */
static bool workloads_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_WORKLOADS); i++) {
		const struct hs_workload *w = hs_workload(s, i);

		if (!mode_ok(w->mode) ||
		    (i && memcmp(&hs_workload(s, i - 1)->addr, &w->addr, sizeof(w->addr)) >= 0))
			return false;
		for (__u32 k = 0; k < w->ports.count; k++) {
			__u32 at = w->ports.first + k;

			if (k && hs_workload_port(s, at - 1)->port >= hs_workload_port(s, at)->port)
				return false;
		}
	}
	for (__u32 i = 0; i < hs_count(s, HS_WORKLOAD_PORTS); i++) {
		const struct hs_workload_port *p = hs_workload_port(s, i);

		if (!p->port || p->port > UINT16_MAX || !mode_ok(p->mode))
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

static bool sources_ok(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_SOURCES); i++) {
		const struct hs_source *row = hs_source(s, i);

		if (row->peer >= TRAFFIC_PEER_IDS_MAX || row->in_mesh > 1 ||
		    !http_is_tracing(s, row->tracing))
			return false;
	}
	return true;
}

static bool tracings_ok(const struct http_snapshot *s)
{
	if (!http_is_tracing(s, s->header->gateway_tracing))
		return false;
	for (__u32 i = 0; i < hs_count(s, HS_TRACINGS); i++) {
		const struct hs_tracing *t = hs_tracing(s, i);

		if (t->sampling > HS_SAMPLING_ALL || t->tags.count > HS_TAGS_MAX ||
		    t->flags & ~(__u32)(HS_TRACING_CLIENT | HS_TRACING_SERVER))
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

/* Those from row `first` on, behind `before` (NULL: there are none). */
static int open_regexes(struct http_snapshot *s, struct http_regexes *before, __u32 first)
{
	__u32 count = hs_count(s, HS_REGEXES);

	s->regexes = http_regexes_new(before, count - first);
	if (!s->regexes)
		return -ENOMEM;
	for (__u32 i = first; i < count; i++) {
		const struct hs_regex *row = hs_regex(s, i);
		int r = http_regexes_set(s->regexes, i, hs_text(s, row->pattern), row->pattern.len,
					 row->search);

		if (r)
			return r == -EINVAL ? -EBADMSG : r;
	}
	return 0;
}

/* Whether the rows from `first` on are in order. */
static bool is_in_order(const struct http_snapshot *s, const __u32 first[HS_TABLES])
{
	for (int i = 0; i < HS_TABLES; i++)
		if (!rows_ok(s, i, first[i]))
			return false;
	return matches_ok(s, first) && actions_ok(s, first);
}

static void count_rows(struct http_snapshot *s)
{
	for (int i = 0; i < HS_TABLES; i++)
		s->counts[i] = s->header->tables[i].count;
}

int http_snapshot_open(const void *data, size_t size, struct http_snapshot **out)
{
	static const __u32 none[HS_TABLES];
	_cleanup_(http_snapshot_closep) struct http_snapshot *s = NULL;
	int r;

	if ((uintptr_t)data % 8 || !extents_ok(data, size))
		return -EBADMSG;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->header = data;
	s->refs = 1;
	count_rows(s);
	if (!is_in_order(s, none) || !http_authz_ok(s) || !clusters_ok(s) || !sources_ok(s) ||
	    !tracings_ok(s) || !prefixes_ok(s) || !servers_ok(s) || !clients_ok(s) ||
	    !workloads_ok(s) || !names_ok(s))
		return -EBADMSG;
	r = open_regexes(s, NULL, 0);
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
	count_rows(s);
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

/* The rows that `s` has and `from` has not. */
static int check_added(struct http_snapshot *s, const struct http_snapshot *from)
{
	if (!is_in_order(s, from->counts))
		return -EBADMSG;
	if (hs_count(s, HS_REGEXES) == hs_count(from, HS_REGEXES))
		return 0;
	http_regexes_free(TAKE_PTR(s->regexes));
	return open_regexes(s, from->regexes, hs_count(from, HS_REGEXES));
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
	s->tail = http_tail_ref(from->tail);
	memcpy(s->counts, from->counts, sizeof(s->counts));
	r = http_changes_add(from, patch, size, s);
	if (!r)
		r = check_added(s, from);
	if (r)
		http_tail_drop(s, from);
	else
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
	http_tail_unref(s->tail);
	http_regexes_free(s->regexes);
	block_unref(s->block);
	free(s);
}

size_t http_row_size(enum hs_table table)
{
	return hs_shapes[table].size;
}
