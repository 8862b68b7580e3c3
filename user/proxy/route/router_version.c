// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/router_version.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "proxy/route/router_priv.h"

struct config {
	void *bytes;
	size_t size;
	uint64_t number; /* ever greater from one to the next */
	unsigned refs;
};

int config_map(int fd, struct config **out)
{
	static uint64_t last;
	_cleanup_free_ struct config *c = calloc(1, sizeof(*c));
	struct stat st;

	if (!c)
		return -ENOMEM;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_size <= 0)
		return -EBADMSG;
	c->size = (size_t)st.st_size;
	c->bytes = mmap(NULL, c->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (c->bytes == MAP_FAILED)
		return -errno;
	c->number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	c->refs = 1;
	*out = TAKE_PTR(c);
	return 0;
}

uint64_t router_version_number(const struct router_version *v)
{
	return v->config->number;
}

struct config *config_ref(struct config *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void config_unref(struct config *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	munmap(c->bytes, c->size);
	free(c);
}

static void version_free(struct router_version *v)
{
	http_snapshot_close(v->snapshot);
	config_unref(v->config);
	free(v->routes);
	free(v->clusters);
	free(v->endpoints);
	free(v->outliers);
	free(v->warm_at);
	free(v);
}

DEFINE_CLEANUP(struct router_version *, version_free);

void router_version_unref(struct router_version *v)
{
	if (v && !--v->refs)
		version_free(v);
}

static void start_interval(struct cluster_state *cs)
{
	pthread_mutex_lock(&cs->lock);
	if (!cs->started)
		cs->started = router_now();
	pthread_mutex_unlock(&cs->lock);
}

static int find_outliers(struct shared_state *state, struct router_version *v, uint32_t cluster)
{
	const struct hs_cluster *c = hs_cluster(v->snapshot, cluster);

	if (!c->outliers.given)
		return 0;
	start_interval(v->clusters[cluster]);
	for (uint32_t i = 0; i < c->endpoints.count; i++) {
		uint32_t row = c->endpoints.first + i;
		uint32_t id = hs_endpoint(v->snapshot, row)->endpoint.id;

		if (!(v->outliers[row] = shared_state_outlier(state, c->id, id)))
			return -ENOMEM;
	}
	return 0;
}

static int find_rows(struct shared_state *state, struct router_version *v)
{
	const struct http_snapshot *s = v->snapshot;
	uint32_t actions = hs_count(s, HS_ACTIONS), clusters = hs_count(s, HS_CLUSTERS),
		 endpoints = hs_count(s, HS_ENDPOINTS);

	v->routes = calloc(actions + 1, sizeof(*v->routes));
	v->clusters = calloc(clusters + 1, sizeof(*v->clusters));
	v->endpoints = calloc(endpoints + 1, sizeof(*v->endpoints));
	v->outliers = calloc(endpoints + 1, sizeof(*v->outliers));
	v->warm_at = calloc(clusters + 1, sizeof(*v->warm_at));
	if (!v->routes || !v->clusters || !v->endpoints || !v->outliers || !v->warm_at)
		return -ENOMEM;
	for (uint32_t i = 0; i < actions; i++) {
		const struct hs_action *a = hs_action(s, i);

		if (!(v->routes[i] = shared_state_route(state, a->id, hs_span(s, a->name))))
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < clusters; i++) {
		const struct hs_cluster *c = hs_cluster(s, i);

		if (!(v->clusters[i] = shared_state_cluster(state, c->id, hs_span(s, c->name))))
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < endpoints; i++)
		if (!(v->endpoints[i] =
			      shared_state_endpoint(state, hs_endpoint(s, i)->endpoint.id)))
			return -ENOMEM;
	for (uint32_t i = 0; i < clusters; i++)
		if (find_outliers(state, v, i))
			return -ENOMEM;
	/* Istio's names for them. */
	v->passthrough = stats_cluster(shared_state_stats(state), "PassthroughCluster", 18);
	v->allow_any = stats_route(shared_state_stats(state), "allow_any", 9);
	return 0;
}

static void see_endpoints(struct router_version *v, const struct router_version *last)
{
	const struct http_snapshot *s = v->snapshot;
	uint64_t now = router_now();

	for (uint32_t i = 0; i < hs_count(s, HS_ENDPOINTS); i++)
		router_see(v->endpoints[i], v->config->number, last ? last->config->number : 0,
			   now);
	for (uint32_t i = 0; i < hs_count(s, HS_CLUSTERS); i++)
		v->warm_at[i] = router_warm_at(v, hs_cluster(s, i));
}

int router_version_open(struct shared_state *state, struct config *config,
			const struct router_version *last, struct router_version **out)
{
	_cleanup_(version_freep) struct router_version *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->config = config_ref(config);
	r = http_snapshot_open(config->bytes, config->size, &v->snapshot);
	if (!r)
		r = find_rows(state, v);
	if (r)
		return r;
	see_endpoints(v, last);
	v->refs = 1;
	*out = TAKE_PTR(v);
	return 0;
}
