// SPDX-License-Identifier: Apache-2.0
#include "proxy/stats/stats.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/cleanup.h"
#include "lib/base/fnv.h"
#include "lib/base/histogram.h"
#include "lib/base/log.h"
#include "lib/base/row_map.h"

enum { BUCKETS = 2 * HTTP_STAT_ROWS };

unsigned stats_slot;

/* One of the arrays. A row begins with its name. */
struct stat_rows {
	struct row_map map;
	size_t name_max;
	uint32_t taken;		   /* row 0 included */
	uint32_t buckets[BUCKETS]; /* by name, with linear probing; 0: free */
	const char *what;
	bool full; /* and that has been said */
};

struct stats {
	pthread_mutex_t lock;
	struct stat_rows clusters, routes, listeners;
};

static char *row_at(const struct stat_rows *r, uint32_t i)
{
	return row_map_at(&r->map, i);
}

static uint64_t hash(const char *name, size_t len)
{
	uint64_t h = fnv1a(FNV1A_BEGIN, name, len);

	return h ^ h >> 32;
}

/* The bucket where the name is, or belongs. */
static uint32_t *bucket(struct stat_rows *r, const char *name, size_t len)
{
	uint32_t i = hash(name, len) % BUCKETS;

	while (r->buckets[i]) {
		const char *there = row_at(r, r->buckets[i]);

		if (strlen(there) == len && !memcmp(there, name, len))
			break;
		i = (i + 1) % BUCKETS;
	}
	return &r->buckets[i];
}

static int adopt(struct stat_rows *r)
{
	int err = row_map_reach(&r->map, 0);

	if (err)
		return err;
	for (r->taken = 1; r->taken < r->map.rows; r->taken++) {
		char *row = row_at(r, r->taken);

		err = row_map_reach(&r->map, r->taken);
		if (err || !*row)
			return err;
		row[r->name_max - 1] = 0; /* whatever an earlier process has been made to write */
		*bucket(r, row, strlen(row)) = r->taken;
	}
	return 0;
}

static int rows_open(struct stat_rows *r, int fd, size_t row_size, uint32_t rows)
{
	int err = row_map_open(&r->map, fd, PROT_READ | PROT_WRITE, row_size, rows);

	return err ? err : adopt(r);
}

DEFINE_CLEANUP(struct stats *, stats_close);

static int open_listeners(struct stats *s, int fd)
{
	return rows_open(&s->listeners, fd, sizeof(struct http_listener_stat), HTTP_LISTENER_ROWS);
}

int stats_open(int clusters_fd, int routes_fd, struct stats **out)
{
	_cleanup_(stats_closep) struct stats *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->clusters.name_max = CLUSTER_NAME_MAX;
	s->clusters.what = "clusters";
	s->routes.name_max = ROUTE_NAME_MAX;
	s->routes.what = "routes";
	s->listeners.name_max = LISTENER_NAME_MAX;
	s->listeners.what = "listeners";
	r = rows_open(&s->clusters, clusters_fd, sizeof(struct http_cluster_stat), HTTP_STAT_ROWS);
	if (!r)
		r = rows_open(&s->routes, routes_fd, sizeof(struct http_route_stat),
			      HTTP_STAT_ROWS);
	if (!r)
		r = open_listeners(s, -1);
	if (r)
		return r;
	*out = TAKE_PTR(s);
	return 0;
}

int stats_map_listeners(struct stats *s, int fd)
{
	row_map_close(&s->listeners.map);
	return open_listeners(s, fd);
}

void stats_close(struct stats *s)
{
	if (!s)
		return;
	row_map_close(&s->listeners.map);
	row_map_close(&s->clusters.map);
	row_map_close(&s->routes.map);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* All the names that found no row share the first one. */
static char *shared_row(struct stat_rows *r)
{
	if (!r->full)
		log_warning("there is no row for more than %u names of %s: the others are counted "
			    "together",
			    r->taken - 1, r->what);
	r->full = true;
	memcpy(row_at(r, 0), "overflow", sizeof("overflow"));
	return row_at(r, 0);
}

static char *find(struct stats *s, struct stat_rows *r, const char *name, size_t len)
{
	uint32_t *at;
	char *row;

	if (len >= r->name_max)
		len = r->name_max - 1;
	pthread_mutex_lock(&s->lock);
	at = bucket(r, name, len);
	if (!*at && len && r->taken < r->map.rows && !row_map_reach(&r->map, r->taken)) {
		memcpy(row_at(r, r->taken), name, len);
		row_at(r, r->taken)[len] = 0;
		*at = r->taken++;
	}
	row = *at ? row_at(r, *at) : shared_row(r);
	pthread_mutex_unlock(&s->lock);
	return row;
}

struct http_cluster_stat *stats_cluster(struct stats *s, const char *name, size_t len)
{
	return (struct http_cluster_stat *)find(s, &s->clusters, name, len);
}

struct http_route_stat *stats_route(struct stats *s, const char *name, size_t len)
{
	return (struct http_route_stat *)find(s, &s->routes, name, len);
}

struct http_listener_stat *stats_listener(struct stats *s, const char *name, size_t len)
{
	return (struct http_listener_stat *)find(s, &s->listeners, name, len);
}

void stat_time(struct histogram *h, __u64 ms)
{
	stat_inc(&h->buckets[histogram_bucket(ms)]);
}

void stat_cluster_answer(struct http_cluster_stat *s, unsigned status)
{
	__u64 *const classes[] = { &s->upstream_rq_1xx, &s->upstream_rq_2xx, &s->upstream_rq_3xx,
				   &s->upstream_rq_4xx, &s->upstream_rq_5xx };

	stat_inc(&s->upstream_rq_completed);
	if (status >= 100 && status < 600)
		stat_inc(classes[status / 100 - 1]);
}

void stat_route_answer(struct http_route_stat *s, unsigned status)
{
	__u64 *const classes[] = { &s->upstream_rq_1xx, &s->upstream_rq_2xx, &s->upstream_rq_3xx,
				   &s->upstream_rq_4xx, &s->upstream_rq_5xx };

	stat_inc(&s->upstream_rq_completed);
	if (status >= 100 && status < 600)
		stat_inc(classes[status / 100 - 1]);
}
