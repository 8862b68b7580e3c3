// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/router_version.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/route/patch.h"
#include "proxy/route/router_priv.h"

enum { NEAR = 16 };

/* ---- bytes ---- */

struct config {
	void *bytes;
	size_t size;
	bool patch; /* the bytes are malloc'd, otherwise mapped */
	unsigned refs;
	pthread_mutex_t lock;
	pthread_cond_t answer;
	/* Under the lock. */
	unsigned answered; /* by so many workers */
	int error;	   /* the first of them */
};

static struct config *config_new(void)
{
	struct config *c = calloc(1, sizeof(*c));
	pthread_condattr_t clock;

	if (!c)
		return NULL;
	c->refs = 1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&c->answer, &clock);
	pthread_condattr_destroy(&clock);
	return c;
}

static void config_free(struct config *c)
{
	if (c->patch)
		free(c->bytes);
	else if (c->bytes)
		munmap(c->bytes, c->size);
	pthread_cond_destroy(&c->answer);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

DEFINE_CLEANUP(struct config *, config_free);

static int file_size(int fd, size_t *out)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size <= 0)
		return -EBADMSG;
	*out = (size_t)st.st_size;
	return 0;
}

int config_map(int fd, struct config **out)
{
	_cleanup_(config_freep) struct config *c = config_new();
	int r = c ? file_size(fd, &c->size) : -ENOMEM;
	void *bytes;

	if (r)
		return r;
	bytes = mmap(NULL, c->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	c->bytes = bytes;
	*out = TAKE_PTR(c);
	return 0;
}

/* Takes `bytes` over, unless there is no memory. */
static int config_of_patch(void *bytes, size_t size, struct config **out)
{
	struct config *c = config_new();

	if (!c)
		return -ENOMEM;
	c->bytes = bytes;
	c->size = size;
	c->patch = true;
	*out = c;
	return 0;
}

int config_read_patch(int fd, struct config **out)
{
	_cleanup_free_ void *bytes = NULL;
	size_t size = 0;
	int r = file_size(fd, &size);

	if (r)
		return r;
	bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	if (lseek(fd, 0, SEEK_SET) < 0) /* the sandbox lets no pread() through */
		return -errno;
	if (read(fd, bytes, size) != (ssize_t)size)
		return -EBADMSG;
	r = config_of_patch(bytes, size, out);
	if (!r)
		bytes = NULL;
	return r;
}

int config_copy_patch(const void *bytes, size_t size, struct config **out)
{
	_cleanup_free_ void *copy = malloc(size + 1);
	int r;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, size);
	r = config_of_patch(copy, size, out);
	if (!r)
		copy = NULL;
	return r;
}

bool config_is_patch(const struct config *c)
{
	return c->patch;
}

struct config *config_ref(struct config *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void config_unref(struct config *c)
{
	if (c && !__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		config_free(c);
}

void config_answer(struct config *c, int r)
{
	pthread_mutex_lock(&c->lock);
	c->answered++;
	if (!c->error)
		c->error = r;
	pthread_cond_signal(&c->answer);
	pthread_mutex_unlock(&c->lock);
}

int config_wait(struct config *c, unsigned workers, unsigned ms)
{
	uint64_t end_ms = clock_ms() + ms;
	const struct timespec end = { .tv_sec = (time_t)(end_ms / 1000),
				      .tv_nsec = (long)(end_ms % 1000) * 1000000 };
	int r = 0;

	pthread_mutex_lock(&c->lock);
	while (!r && c->answered < workers)
		r = -pthread_cond_timedwait(&c->answer, &c->lock, &end);
	if (c->answered >= workers)
		r = c->error;
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* ---- what clusters consist of ---- */

static void members_free(struct router_members *m)
{
	free(m->endpoints);
	free(m->outliers);
	free(m->peers);
}

static void clients_free(struct router_client *clients, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		tls_client_unref(clients[i].client);
	free(clients);
}

static void version_free(struct router_version *v)
{
	for (uint32_t i = 0; v->members && i < hs_count(v->snapshot, HS_CLUSTERS); i++)
		members_free(&v->members[i]);
	for (size_t i = 0; i < v->outliers.count; i++)
		shared_state_let_go_outlier(v->state, v->outliers.items[i]);
	if (v->clients)
		clients_free(v->clients, hs_count(v->snapshot, HS_CLIENT_TLS));
	if (v->identities)
		clients_free(v->identities, hs_count(v->snapshot, HS_WORKLOADS) + 1);
	router_endpoints_free(&v->endpoints, v->state);
	http_snapshot_close(v->snapshot);
	config_unref(v->config);
	free(v->outliers.items);
	free(v->routes);
	free(v->clusters);
	free(v->members);
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

static struct outlier_state *hold_outlier(struct router_version *v, const struct hs_cluster *c,
					  uint32_t endpoint)
{
	struct cluster_state *cs = v->clusters[c - hs_cluster(v->snapshot, 0)];
	struct outlier_state *o = shared_state_outlier(v->state, c->id, cs, endpoint), **slot;

	if (!o)
		return NULL;
	slot = table_push(&v->outliers);
	if (!slot) {
		shared_state_let_go_outlier(v->state, o);
		return NULL;
	}
	*slot = o;
	return o;
}

/* That of an endpoint which the cluster had before is held already. It is not far from where the
 * last one was found: endpoints keep their order. */
static struct outlier_state *outlier_before(const struct router_members *old, uint32_t *at,
					    const struct endpoint_state *e)
{
	for (uint32_t i = *at; i < old->count && i < *at + NEAR; i++)
		if (old->endpoints[i] == e) {
			*at = i + 1;
			return old->outliers[i];
		}
	return NULL;
}

/* `old`: what the cluster consists of until now. */
static int find_outliers(struct router_version *v, const struct hs_cluster *c,
			 const struct router_members *old, struct router_members *m)
{
	uint32_t at = 0;

	if (!c->outliers.given || !m->count)
		return 0;
	m->outliers = calloc(m->count, sizeof(*m->outliers));
	if (!m->outliers)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->count; i++) {
		m->outliers[i] = outlier_before(old, &at, m->endpoints[i]);
		if (!m->outliers[i])
			m->outliers[i] = hold_outlier(v, c, m->endpoints[i]->id);
		if (!m->outliers[i])
			return -ENOMEM;
	}
	return 0;
}

/* `last`: the rules before, whose endpoints are most likely the same; or NULL. */
static int find_endpoints(struct router_version *v, const struct router_version *last,
			  struct router_members *m)
{
	m->endpoints = m->count ? calloc(m->count, sizeof(struct endpoint_state *)) : NULL;
	if (m->count && !m->endpoints)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->count; i++) {
		m->endpoints[i] = router_endpoints_know(&v->endpoints, v->state,
							m->rows[i].endpoint.id,
							last ? &last->endpoints : NULL);
		if (!m->endpoints[i])
			return -ENOMEM;
	}
	return 0;
}

/* What the cluster consists of by the snapshot, which need not be the version's yet. 0 or -ENOMEM.
 */
static int find_members(struct router_version *v, const struct http_snapshot *s,
			const struct router_version *last, const struct hs_cluster *c,
			struct router_members *out)
{
	struct http_members now = http_members(s, c);
	struct router_members m = { .rows = now.items, .count = now.count, .v4 = now.v4 };
	int r = find_endpoints(v, last, &m);

	m.peers = m.count ? calloc(m.count, sizeof(*m.peers)) : NULL;
	if (m.count && !m.peers)
		r = -ENOMEM;
	if (!r)
		r = find_outliers(v, c, router_members(v, c), &m);
	if (r)
		members_free(&m);
	else
		*out = m;
	return r;
}

/* ---- a whole snapshot ---- */

/* Those of a snapshot's actions, of which the version has some already. */
static int find_routes(const struct router_version *v, const struct http_snapshot *s,
		       uint32_t known, struct route_state ***out)
{
	uint32_t count = hs_count(s, HS_ACTIONS);
	_cleanup_free_ struct route_state **routes = calloc(count + 1, sizeof(*routes));

	if (!routes)
		return -ENOMEM;
	if (known)
		memcpy(routes, v->routes, known * sizeof(*routes));
	for (uint32_t i = known; i < count; i++) {
		const struct hs_action *a = hs_action(s, i);

		routes[i] = shared_state_route(v->state, a->id, hs_span(s, a->name));
		if (!routes[i])
			return -ENOMEM;
	}
	*out = TAKE_PTR(routes);
	return 0;
}

static int find_states(struct router_version *v)
{
	const struct http_snapshot *s = v->snapshot;
	uint32_t clusters = hs_count(s, HS_CLUSTERS);

	v->clusters = calloc(clusters + 1, sizeof(*v->clusters));
	v->members = calloc(clusters + 1, sizeof(*v->members));
	if (!v->clusters || !v->members || find_routes(v, s, 0, &v->routes))
		return -ENOMEM;
	for (uint32_t i = 0; i < clusters; i++) {
		const struct hs_cluster *c = hs_cluster(s, i);

		if (!(v->clusters[i] = shared_state_cluster(v->state, c->id, hs_span(s, c->name))))
			return -ENOMEM;
	}
	return 0;
}

static int make_clients(struct router_version *v)
{
	uint32_t count = hs_count(v->snapshot, HS_CLIENT_TLS);
	uint32_t workloads = hs_count(v->snapshot, HS_WORKLOADS);

	v->clients = count ? calloc(count, sizeof(*v->clients)) : NULL;
	v->identities = workloads ? calloc(workloads + 1, sizeof(*v->identities)) : NULL;
	return (count && !v->clients) || (workloads && !v->identities) ? -ENOMEM : 0;
}

static int find_all_members(struct router_version *v, const struct router_version *last)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < hs_count(v->snapshot, HS_CLUSTERS); i++) {
		const struct hs_cluster *c = hs_cluster(v->snapshot, i);
		struct router_members *m = &v->members[i];

		if (c->outliers.given)
			start_interval(v->clusters[i]);
		r = find_members(v, v->snapshot, last, c, m);
		for (uint32_t k = 0; !r && k < m->count; k++)
			router_endpoints_add(&v->endpoints, m->endpoints[k]->id);
	}
	return r;
}

static bool is_traced(const struct http_snapshot *s)
{
	for (uint32_t i = 0; i < hs_count(s, HS_TRACINGS); i++)
		if (hs_tracing(s, i)->flags)
			return true;
	return false;
}

int router_version_open(struct shared_state *state, struct config *config,
			const struct router_version *last, struct router_version **out)
{
	_cleanup_(version_freep) struct router_version *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->config = config_ref(config);
	v->state = state;
	r = http_snapshot_open(config->bytes, config->size, &v->snapshot);
	if (!r)
		r = find_states(v);
	if (!r)
		r = make_clients(v);
	if (!r)
		r = find_all_members(v, last);
	if (r)
		return r;
	/* Istio's names for them. */
	v->passthrough = stats_cluster(shared_state_stats(state), "PassthroughCluster", 18);
	v->allow_any = stats_route(shared_state_stats(state), "allow_any", 9);
	v->traced = is_traced(v->snapshot);
	v->refs = 1;
	*out = TAKE_PTR(v);
	return 0;
}

void router_version_succeed(struct router_version *v, const struct router_version *last)
{
	static const struct router_endpoints none;

	router_endpoints_succeed(&v->endpoints, last ? &last->endpoints : &none, v->state,
				 router_now());
	for (uint32_t i = 0; i < hs_count(v->snapshot, HS_CLUSTERS); i++)
		v->members[i].warm_at = router_warm_at(&v->members[i], hs_cluster(v->snapshot, i));
}

void router_version_end(const struct router_version *v)
{
	static const struct router_endpoints none;

	router_endpoints_succeed(&none, &v->endpoints, v->state, 0);
}

/* ---- a patch ---- */

/* What clusters consist of, and the states of actions, when the patch has been carried out. */
struct patched {
	struct http_snapshot *snapshot;
	struct route_state **routes; /* NULL: no action is new */
	const struct hs_patch_cluster *rows;
	struct router_members *members; /* parallel */
	uint32_t count;
};

static void patched_done(struct patched *p)
{
	for (uint32_t i = 0; p->members && i < p->count; i++)
		members_free(&p->members[i]);
	free(p->members);
	free(p->routes);
	http_snapshot_close(p->snapshot);
}

static int prepare(struct router_version *v, const struct config *patch, struct patched *p)
{
	int r = http_snapshot_patched(v->snapshot, patch->bytes, patch->size, &p->snapshot);

	if (!r && hs_count(p->snapshot, HS_ACTIONS) > hs_count(v->snapshot, HS_ACTIONS))
		r = find_routes(v, p->snapshot, hs_count(v->snapshot, HS_ACTIONS), &p->routes);
	if (r)
		return r;
	p->rows = http_patch_clusters(p->snapshot, &p->count);
	p->members = calloc(p->count + 1, sizeof(*p->members));
	if (!p->members)
		return -ENOMEM;
	for (uint32_t i = 0; !r && i < p->count; i++)
		r = find_members(v, p->snapshot, NULL, hs_cluster(v->snapshot, p->rows[i].row),
				 &p->members[i]);
	return r;
}

static void join(struct router_version *v, const struct router_members *m, uint64_t now)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (router_endpoints_add(&v->endpoints, m->endpoints[i]->id) == 1)
			shared_state_join(v->state, m->endpoints[i], now);
}

static void leave(struct router_version *v, const struct router_members *m)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (!router_endpoints_remove(&v->endpoints, m->endpoints[i]->id))
			shared_state_leave(v->state, m->endpoints[i]);
}

/* The members that it had go back into `m`. */
static void exchange(struct router_version *v, uint32_t row, struct router_members *m)
{
	struct router_members old = v->members[row];

	v->members[row] = *m;
	v->members[row].warm_at = router_warm_at(m, hs_cluster(v->snapshot, row));
	*m = old;
}

/* Pods are others than they were, endpoints among them. */
static void forget_peers(struct router_version *v)
{
	for (uint32_t i = 0; i < hs_count(v->snapshot, HS_CLUSTERS); i++)
		if (v->members[i].count)
			memset(v->members[i].peers, 0,
			       v->members[i].count * sizeof(*v->members[i].peers));
}

int router_version_patch(struct router_version *v, const struct config *patch)
{
	_cleanup_(patched_done) struct patched p = { 0 };
	struct http_snapshot *before = v->snapshot;
	uint64_t now = router_now();
	int r = prepare(v, patch, &p);

	if (r)
		return r;
	/* Those that stay, or go from one cluster to another, are endpoints throughout. */
	for (uint32_t i = 0; i < p.count; i++)
		join(v, &p.members[i], now);
	for (uint32_t i = 0; i < p.count; i++) {
		exchange(v, p.rows[i].row, &p.members[i]);
		leave(v, &p.members[i]);
	}
	v->snapshot = TAKE_PTR(p.snapshot);
	p.snapshot = before;
	if (http_patch_has_sources(v->snapshot))
		forget_peers(v);
	if (p.routes) {
		struct route_state **routes = v->routes;

		v->routes = TAKE_PTR(p.routes);
		p.routes = routes;
	}
	return 0;
}
