// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "daemon/api/stats_gauges.h"
#include "lib/base/json_io.h"
#include "lib/route/snapshot.h"

enum { NAME_MAX_LEN = CLUSTER_NAME_MAX + 64 };

static json_int_t get(const json_t *stats, const char *cluster, const char *name)
{
	char key[NAME_MAX_LEN];

	snprintf(key, sizeof(key), "cluster.%s.%s", cluster, name);
	return json_get_int(stats, key, 0);
}

static int set(json_t *stats, const char *cluster, const char *name, json_int_t value)
{
	char key[NAME_MAX_LEN];

	snprintf(key, sizeof(key), "cluster.%s.%s", cluster, name);
	return json_object_set_new_nocheck(stats, key, json_integer(value)) ? -ENOMEM : 0;
}

/* A limit of 0 is none. */
static int set_open(json_t *stats, const char *cluster, const char *name, const char *counted,
		    __u32 limit)
{
	return set(stats, cluster, name, limit && get(stats, cluster, counted) >= limit);
}

static int add_common(json_t *stats, const char *cluster, __u32 max_connections)
{
	json_int_t healthy = get(stats, cluster, "membership_total") -
			     get(stats, cluster, "outlier_detection.ejections_active");
	int r = set(stats, cluster, "membership_healthy", healthy > 0 ? healthy : 0);

	return r ? r
		 : set_open(stats, cluster, "circuit_breakers.default.cx_open",
			    "upstream_cx_active", max_connections);
}

static int add_http(json_t *stats, const struct http_snapshot *s, const struct hs_cluster *c)
{
	const char *cluster = hs_text(s, c->name);
	int r = add_common(stats, cluster, c->max_connections);

	if (!r)
		r = set_open(stats, cluster, "circuit_breakers.default.rq_open",
			     "upstream_rq_active", c->max_requests);
	return r ? r
		 : set_open(stats, cluster, "circuit_breakers.default.rq_pending_open",
			    "upstream_rq_pending_active", c->max_pending);
}

int stats_add_gauges(json_t *stats, const struct tables *t)
{
	int r = 0;

	for (size_t i = 0; t && !r && i < t->clusters.count; i++)
		r = add_common(stats, t->cluster_names.items[i],
			       t->clusters.items[i].max_connections);
	for (__u32 i = 0; t && t->http && !r && i < hs_count(t->http, HS_CLUSTERS); i++)
		r = add_http(stats, t->http, hs_cluster(t->http, i));
	return r;
}
