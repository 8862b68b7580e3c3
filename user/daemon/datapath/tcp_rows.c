/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/tcp_rows.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "daemon/datapath/sockets.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	COUNT_MS = 2000, /* between two looks at open connections */
	TIDY_MS = 60000, /* a row that goes has not changed for so long */
	CROWDED = TRAFFIC_TCP_ROWS / 4 * 3,
};

static const struct tcp_traffic_key rest_key;

static bool is_rest(const struct tcp_traffic_key *key)
{
	return !memcmp(key, &rest_key, sizeof(*key));
}

/* ---- rows whose ids have no counters ---- */

bool tcp_row_is_named(const struct tcp_traffic_key *key, const struct ids *clusters,
		      const struct ids *endpoints)
{
	if (!key->cluster || !key->endpoint)
		return is_rest(key);
	return ids_has(clusters, key->cluster) && ids_has(endpoints, key->endpoint);
}

struct nameless {
	const struct ids *clusters, *endpoints;
	TABLE(struct tcp_traffic_key) keys; /* to be deleted after the walk */
};

static int note_nameless(void *arg, const void *key, const void *value)
{
	struct nameless *n = arg;
	struct tcp_traffic_key k, *slot;

	(void)value;
	memcpy(&k, key, sizeof(k));
	if (tcp_row_is_named(&k, n->clusters, n->endpoints))
		return 0;
	slot = table_push(&n->keys);
	if (!slot)
		return -ENOMEM;
	*slot = k;
	return 0;
}

static int delete_nameless(const struct kernel *k)
{
	struct nameless n = { .clusters = &k->counters.ids[COUNT_CLUSTERS].known,
			      .endpoints = &k->counters.ids[COUNT_ENDPOINTS].known };
	int map = k->loader.map[MAP_TCP_TRAFFIC];
	int r = map_walk(map, sizeof(struct tcp_traffic_key), sizeof(struct tcp_traffic),
			 note_nameless, &n);

	if (!r && n.keys.count)
		r = map_delete(map, n.keys.items, sizeof(*n.keys.items), n.keys.count);
	free(n.keys.items);
	return r ? log_err(r, "clean the map tcp_traffic") : 0;
}

int tcp_rows_open(const struct kernel *k)
{
	static const struct tcp_traffic none;

	if (bpf_map_update_elem(k->loader.map[MAP_TCP_TRAFFIC], &rest_key, &none, BPF_NOEXIST) &&
	    errno != EEXIST)
		return log_err(-errno, "make a row of the map tcp_traffic");
	return delete_nameless(k);
}

void tcp_rows_free(struct tcp_rows *t)
{
	free(t->idle.items);
}

/* ---- open connections ---- */

/* Sockets that are to be asked at once. */
struct slice {
	int prog;
	size_t count;
	struct traffic_sockets frame;
};

static int ask_sockets(struct slice *s)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &s->frame,
		    .data_size_in = offsetof(struct traffic_sockets, cookies) +
				    s->count * sizeof(*s->frame.cookies),
		    .repeat = 1);

	if (!s->count)
		return 0;
	s->count = 0;
	return bpf_prog_test_run_opts(s->prog, &opts) ? -errno : 0;
}

static int note_socket(void *arg, const void *key, const void *value)
{
	const struct sock_conn *c = value;
	struct slice *s = arg;

	if (!c->traffic || !c->reservation)
		return 0;
	memcpy(&s->frame.cookies[s->count++], key, sizeof(*s->frame.cookies));
	return s->count < TRAFFIC_SOCKETS_AT_ONCE ? 0 : ask_sockets(s);
}

static int count_open(struct kernel *k)
{
	struct slice s = { .prog = k->loader.prog[PROG_COUNT_SOCKETS] };
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int r = bpf_prog_test_run_opts(k->loader.prog[PROG_COUNT_TRAFFIC], &opts) ? -errno : 0;

	if (!r && sockets_any(k))
		r = map_walk(k->loader.map[MAP_SOCKS], sizeof(__u64), sizeof(struct sock_conn),
			     note_socket, &s);
	if (!r)
		r = ask_sockets(&s);
	return r ? log_err(r, "count the bytes of open connections") : 0;
}

/* ---- rows of what is gone ---- */

bool tcp_row_is_idle(const struct tcp_row *row, const struct addr_set *pods,
		     const struct ids *endpoints)
{
	static const struct addr any;
	const struct tcp_traffic_key *key = &row->key;
	bool from_outside = !memcmp(&key->caller, &any, sizeof(any));

	if (is_rest(key))
		return false;
	return !ids_has(endpoints, key->endpoint) ||
	       (!from_outside && !addr_set_has(pods, &key->caller));
}

struct tidying {
	struct addr_set pods;
	const struct ids *endpoints;
	struct tcp_rows *rows;
	size_t count;
};

static int note_pod(void *arg, const void *key, const void *value)
{
	(void)value;
	return addr_set_add(arg, key);
}

static int note_row(void *arg, const void *key, const void *value)
{
	struct tidying *t = arg;
	struct tcp_row row, *slot;

	memcpy(&row.key, key, sizeof(row.key));
	memcpy(&row.value, value, sizeof(row.value));
	t->count++;
	if (!tcp_row_is_idle(&row, &t->pods, t->endpoints))
		return 0;
	slot = table_push(&t->rows->idle);
	if (!slot)
		return -ENOMEM;
	*slot = row;
	return 0;
}

static bool is_unchanged(int map, const struct tcp_row *row)
{
	struct tcp_traffic now;

	return !bpf_map_lookup_elem(map, &row->key, &now) &&
	       !memcmp(&now, &row->value, sizeof(now));
}

/* Those of the last time. */
static void delete_idle(int map, struct tcp_rows *rows, const struct tidying *t)
{
	for (size_t i = 0; i < rows->idle.count; i++) {
		const struct tcp_row *row = &rows->idle.items[i];

		if (tcp_row_is_idle(row, &t->pods, t->endpoints) && is_unchanged(map, row))
			bpf_map_delete_elem(map, &row->key);
	}
	rows->idle.count = 0;
}

static int tidy(struct kernel *k)
{
	const struct loader *l = &k->loader;
	struct tidying t = { .endpoints = &k->counters.ids[COUNT_ENDPOINTS].known,
			     .rows = &k->tcp_rows };
	int map = l->map[MAP_TCP_TRAFFIC];
	int r = map_walk(l->map[MAP_POD_ADDRS], sizeof(struct addr), sizeof(__u32), note_pod,
			 &t.pods);

	if (!r) {
		delete_idle(map, t.rows, &t);
		r = map_walk(map, sizeof(struct tcp_traffic_key), sizeof(struct tcp_traffic),
			     note_row, &t);
	}
	if (r < 0 || t.count < CROWDED)
		t.rows->idle.count = 0;
	addr_set_free(&t.pods);
	return r < 0 ? log_err(r, "tidy the map tcp_traffic") : 0;
}

void tcp_rows_keep(struct kernel *k)
{
	struct tcp_rows *t = &k->tcp_rows;
	uint64_t now = clock_ms();

	if (now >= t->count_at) {
		(void)count_open(k);
		t->count_at = now + sweep_wait_ms(COUNT_MS, (unsigned)(clock_ms() - now));
	}
	if (now >= t->tidy_at) {
		(void)tidy(k);
		t->tidy_at = now + TIDY_MS;
	}
}
