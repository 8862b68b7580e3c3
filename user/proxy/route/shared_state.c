// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/shared_state.h"

#include <stdlib.h>

enum { BUCKETS = 4096 };

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
};

struct shared_state {
	struct cluster_limit *limits;
	uint32_t *held;
	struct stats *stats;
	pthread_mutex_t lock;
	struct table routes, clusters, endpoints, outliers;
};

struct shared_state *shared_state_new(struct cluster_limit *limits, uint32_t *held,
				      struct stats *stats)
{
	struct shared_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->limits = limits;
	s->held = held;
	s->stats = stats;
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
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct stats *shared_state_stats(const struct shared_state *s)
{
	return s->stats;
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

/* `name` is for rows that have counters of their own. */
static struct row *find(struct shared_state *s, struct table *t, uint64_t id, struct http_span name)
{
	struct row **at = &t->buckets[id % BUCKETS], *row;

	pthread_mutex_lock(&s->lock);
	for (row = *at; row && row->id != id; row = row->next)
		;
	if (!row) {
		row = calloc(1, sizeof(*row));
		if (row) {
			row->id = id;
			row->next = *at;
			*at = row;
			begin_row(s, t, row, name);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return row;
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

struct endpoint_state *shared_state_endpoint(struct shared_state *s, uint32_t id)
{
	struct row *row = find(s, &s->endpoints, id, no_name);

	return row ? &row->endpoint : NULL;
}

struct outlier_state *shared_state_outlier(struct shared_state *s, uint32_t cluster,
					   uint32_t endpoint)
{
	struct row *row = find(s, &s->outliers, (uint64_t)cluster << 32 | endpoint, no_name);

	if (row)
		row->outlier.endpoint = endpoint;
	return row ? &row->outlier : NULL;
}
