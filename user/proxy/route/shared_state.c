// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/shared_state.h"

#include <stddef.h>
#include <stdlib.h>

#include "proxy/route/outlier.h"
#include "proxy/route/tls_store.h"

enum {
	BUCKETS = 4096,
	LINGER_MAX = 1024,
};

struct row {
	struct row *next;
	uint64_t id;
	union {
		struct route_state route;
		struct cluster_state cluster;
		struct endpoint_state endpoint;
		struct outlier_state outlier;
	};
};

struct table {
	struct row *buckets[BUCKETS];
	size_t count;
};

struct shared_state {
	struct cluster_limit *limits;
	uint32_t *held;
	struct stats *stats;
	struct tls_store *tls;
	pthread_mutex_t lock;
	struct table routes, clusters, endpoints, outliers;
	/* Under the lock: outliers that nothing held, the first one for the longest time. */
	struct outlier_state *lingering, **lingering_end;
	size_t lingering_count;
};

struct shared_state *shared_state_new(struct cluster_limit *limits, uint32_t *held,
				      struct stats *stats)
{
	struct shared_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->tls = tls_store_new();
	if (!s->tls) {
		free(s);
		return NULL;
	}
	s->limits = limits;
	s->held = held;
	s->stats = stats;
	s->lingering_end = &s->lingering;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

static void table_free(struct table *t)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (t->buckets[i]) {
			struct row *row = t->buckets[i];

			t->buckets[i] = row->next;
			free(row);
		}
}

void shared_state_free(struct shared_state *s)
{
	if (!s)
		return;
	table_free(&s->routes);
	table_free(&s->clusters);
	table_free(&s->endpoints);
	table_free(&s->outliers);
	tls_store_free(s->tls);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct stats *shared_state_stats(const struct shared_state *s)
{
	return s->stats;
}

struct tls_store *shared_state_tls(const struct shared_state *s)
{
	return s->tls;
}

static void begin_row(struct shared_state *s, const struct table *t, struct row *row,
		      struct http_span name)
{
	if (t == &s->routes) {
		row->route.stat = stats_route(s->stats, name.at, name.len);
	} else if (t == &s->clusters) {
		row->cluster.stat = stats_cluster(s->stats, name.at, name.len);
		row->cluster.limit.connections = &s->limits[row->id];
		row->cluster.limit.held = &s->held[row->id];
		pthread_mutex_init(&row->cluster.lock, NULL);
	}
}

static const struct http_span no_name;

/* `name` is for rows that have counters of their own. Under the lock. */
static struct row *find_locked(struct shared_state *s, struct table *t, uint64_t id,
			       struct http_span name)
{
	struct row **at = &t->buckets[id % BUCKETS], *row = *at;

	while (row && row->id != id)
		row = row->next;
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->id = id;
	row->next = *at;
	*at = row;
	t->count++;
	begin_row(s, t, row, name);
	return row;
}

static struct row *find(struct shared_state *s, struct table *t, uint64_t id, struct http_span name)
{
	struct row *row;

	pthread_mutex_lock(&s->lock);
	row = find_locked(s, t, id, name);
	pthread_mutex_unlock(&s->lock);
	return row;
}

static void remove_locked(struct table *t, uint64_t id)
{
	struct row **at = &t->buckets[id % BUCKETS], *row;

	while ((*at)->id != id)
		at = &(*at)->next;
	row = *at;
	*at = row->next;
	t->count--;
	free(row);
}

struct route_state *shared_state_route(struct shared_state *s, uint32_t id, struct http_span name)
{
	struct row *row = find(s, &s->routes, id, name);

	return row ? &row->route : NULL;
}

struct cluster_state *shared_state_cluster(struct shared_state *s, uint32_t id,
					   struct http_span name)
{
	struct row *row = id < CLUSTER_IDS_MAX ? find(s, &s->clusters, id, name) : NULL;

	return row ? &row->cluster : NULL;
}

/* ---- endpoints ---- */

struct endpoint_state *shared_state_endpoint(struct shared_state *s, uint32_t id)
{
	struct row *row;

	pthread_mutex_lock(&s->lock);
	row = find_locked(s, &s->endpoints, id, no_name);
	if (row) {
		row->endpoint.id = id;
		shared_state_hold(&row->endpoint);
	}
	pthread_mutex_unlock(&s->lock);
	return row ? &row->endpoint : NULL;
}

void shared_state_hold(struct endpoint_state *e)
{
	__atomic_add_fetch(&e->holds, 1, __ATOMIC_RELAXED);
}

/* False: this may be the last one. */
static bool let_go_quickly(struct endpoint_state *e)
{
	uint32_t holds = __atomic_load_n(&e->holds, __ATOMIC_RELAXED);

	while (holds > 1)
		if (__atomic_compare_exchange_n(&e->holds, &holds, holds - 1, true,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return true;
	return false;
}

void shared_state_let_go(struct shared_state *s, struct endpoint_state *e)
{
	if (let_go_quickly(e))
		return;
	pthread_mutex_lock(&s->lock);
	if (!__atomic_sub_fetch(&e->holds, 1, __ATOMIC_ACQ_REL))
		remove_locked(&s->endpoints, e->id);
	pthread_mutex_unlock(&s->lock);
}

void shared_state_join(struct shared_state *s, struct endpoint_state *e, uint64_t now)
{
	pthread_mutex_lock(&s->lock);
	if (!e->workers++)
		__atomic_store_n(&e->since, now, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&s->lock);
}

void shared_state_leave(struct shared_state *s, struct endpoint_state *e)
{
	pthread_mutex_lock(&s->lock);
	e->workers--;
	pthread_mutex_unlock(&s->lock);
}

/* ---- endpoints of clusters ---- */

static uint64_t outlier_id(uint32_t cluster, uint32_t endpoint)
{
	return (uint64_t)cluster << 32 | endpoint;
}

struct outlier_state *shared_state_outlier(struct shared_state *s, uint32_t id,
					   struct cluster_state *cluster, uint32_t endpoint)
{
	struct row *row;

	pthread_mutex_lock(&s->lock);
	row = find_locked(s, &s->outliers, outlier_id(id, endpoint), no_name);
	if (row) {
		row->outlier.cluster = cluster;
		row->outlier.endpoint = endpoint;
		row->outlier.holds++;
	}
	pthread_mutex_unlock(&s->lock);
	return row ? &row->outlier : NULL;
}

static uint64_t id_of(const struct outlier_state *o)
{
	return ((const struct row *)((const char *)o - offsetof(struct row, outlier)))->id;
}

static void linger(struct shared_state *s, struct outlier_state *o)
{
	o->lingers = true;
	o->next = NULL;
	*s->lingering_end = o;
	s->lingering_end = &o->next;
	s->lingering_count++;
}

/* The first of the list leaves it, and goes unless something holds it again. */
static void drop_first(struct shared_state *s)
{
	struct outlier_state *o = s->lingering;

	s->lingering = o->next;
	if (!s->lingering)
		s->lingering_end = &s->lingering;
	s->lingering_count--;
	o->lingers = false;
	if (o->holds)
		return;
	outlier_forget(o);
	remove_locked(&s->outliers, id_of(o));
}

void shared_state_let_go_outlier(struct shared_state *s, struct outlier_state *o)
{
	pthread_mutex_lock(&s->lock);
	if (!--o->holds && !o->lingers) {
		if (outlier_is_blank(o))
			remove_locked(&s->outliers, id_of(o));
		else
			linger(s, o);
	}
	while (s->lingering_count > LINGER_MAX)
		drop_first(s);
	pthread_mutex_unlock(&s->lock);
}

void shared_state_count(struct shared_state *s, size_t *endpoints, size_t *outliers)
{
	pthread_mutex_lock(&s->lock);
	*endpoints = s->endpoints.count;
	*outliers = s->outliers.count;
	pthread_mutex_unlock(&s->lock);
}
