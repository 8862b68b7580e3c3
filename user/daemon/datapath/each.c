/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks over the maps, for commands that list them.
 */
#include <bpf/bpf.h>
#include <errno.h>

#include "daemon/bpf/cgroup.h"
#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "daemon/datapath/sockets.h"

static int walk(struct kernel *k, enum map_id map, size_t key_size, size_t value_size,
		int (*each)(void *arg, const void *key, const void *value), void *arg)
{
	return map_walk(k->loader.map[map], key_size, value_size, each, arg);
}

struct cluster_walk {
	int (*row)(void *arg, __u32 id, const struct cluster_stat *s,
		   const struct cluster_limit *l);
	void *arg;
	const struct cluster_limit *limits;
};

static int cluster_row(void *arg, const void *key, const void *value)
{
	struct cluster_walk *w = arg;
	__u32 id = *(const __u32 *)key;

	return w->row(w->arg, id, value, &w->limits[id % CLUSTER_IDS_MAX]);
}

int kernel_each_cluster(struct kernel *k,
			int (*row)(void *arg, __u32 id, const struct cluster_stat *s,
				   const struct cluster_limit *l),
			void *arg)
{
	_cleanup_(loader_limits_close) struct mapped_limits limits =
		loader_limits_open(&k->loader, CLUSTER_IDS_MAX);
	struct cluster_walk w = { row, arg, limits.rows };

	if (!limits.rows)
		return -ENOMEM;
	return walk(k, MAP_CLUSTERS, sizeof(__u32), sizeof(struct cluster_stat), cluster_row, &w);
}

struct endpoint_walk {
	int (*row)(void *arg, __u32 id, const struct endpoint_stat *s);
	void *arg;
};

static int endpoint_row(void *arg, const void *key, const void *value)
{
	struct endpoint_walk *w = arg;

	return w->row(w->arg, *(const __u32 *)key, value);
}

int kernel_each_endpoint(struct kernel *k,
			 int (*row)(void *arg, __u32 id, const struct endpoint_stat *s), void *arg)
{
	struct endpoint_walk w = { row, arg };

	return walk(k, MAP_ENDPOINTS, sizeof(__u32), sizeof(struct endpoint_stat), endpoint_row,
		    &w);
}

struct route_walk {
	int (*row)(void *arg, __u32 id, const struct route_stat *s);
	void *arg;
};

static int route_row(void *arg, const void *key, const void *value)
{
	struct route_walk *w = arg;

	return w->row(w->arg, *(const __u32 *)key, value);
}

int kernel_each_route(struct kernel *k, int (*row)(void *arg, __u32 id, const struct route_stat *s),
		      void *arg)
{
	struct route_walk w = { row, arg };

	return walk(k, MAP_ROUTES, sizeof(__u32), sizeof(struct route_stat), route_row, &w);
}

struct dest_walk {
	int (*row)(void *arg, const struct dest_key *key, const struct dest_stat *s);
	void *arg;
};

static int dest_row(void *arg, const void *key, const void *value)
{
	struct dest_walk *w = arg;

	return w->row(w->arg, key, value);
}

int kernel_each_dest(struct kernel *k,
		     int (*row)(void *arg, const struct dest_key *key, const struct dest_stat *s),
		     void *arg)
{
	struct dest_walk w = { row, arg };

	return walk(k, MAP_DESTS, sizeof(struct dest_key), sizeof(struct dest_stat), dest_row, &w);
}

struct tcp_walk {
	int (*row)(void *arg, const struct tcp_traffic_key *key, const struct tcp_traffic *t);
	void *arg;
};

static int tcp_row(void *arg, const void *key, const void *value)
{
	struct tcp_walk *w = arg;

	return w->row(w->arg, key, value);
}

int kernel_each_tcp_traffic(struct kernel *k,
			    int (*row)(void *arg, const struct tcp_traffic_key *key,
				       const struct tcp_traffic *t),
			    void *arg)
{
	struct tcp_walk w = { row, arg };

	return walk(k, MAP_TCP_TRAFFIC, sizeof(struct tcp_traffic_key), sizeof(struct tcp_traffic),
		    tcp_row, &w);
}

int kernel_each_reason(struct kernel *k,
		       int (*row)(void *arg, __u32 reason, const struct reason_stat *s), void *arg)
{
	int r = 0;

	for (__u32 i = 0; !r && i < REASON_MAX; i++) {
		struct reason_stat s;

		if (bpf_map_lookup_elem(k->loader.map[MAP_REASONS], &i, &s))
			return -errno;
		r = row(arg, i, &s);
	}
	return r;
}

/* These rows are weft-proxy's to write, which is not trusted. */
static void clean_name(char *name, size_t size)
{
	name[size - 1] = 0;
	json_clean(name);
}

/* Reads the next row that has a name, from *i on; row 0 may have none. 1; 0: there are no more; or
 * -errno. */
static int next_named(int map, __u32 *i, void *row, char *name, size_t size)
{
	do {
		if (bpf_map_lookup_elem(map, i, row))
			return errno == ENOENT ? 0 : -errno;
		clean_name(name, size);
		++*i;
	} while (!name[0] && *i == 1);
	return name[0] != 0;
}

int kernel_each_http_cluster(struct kernel *k,
			     int (*row)(void *arg, const struct http_cluster_stat *s), void *arg)
{
	struct http_cluster_stat s;
	__u32 i = 0;
	int r;

	while ((r = next_named(k->loader.map[MAP_HTTP_CLUSTERS], &i, &s, s.name, sizeof(s.name))) >
	       0) {
		r = row(arg, &s);
		if (r)
			break;
	}
	return r;
}

int kernel_each_http_route(struct kernel *k, int (*row)(void *arg, const struct http_route_stat *s),
			   void *arg)
{
	struct http_route_stat s;
	__u32 i = 0;
	int r;

	while ((r = next_named(k->loader.map[MAP_HTTP_ROUTES], &i, &s, s.name, sizeof(s.name))) >
	       0) {
		r = row(arg, &s);
		if (r)
			break;
	}
	return r;
}

int kernel_each_http_listener(struct kernel *k,
			      int (*row)(void *arg, const struct http_listener_stat *s), void *arg)
{
	struct http_listener_stat s;
	__u32 i = 0;
	int r;

	while ((r = next_named(k->loader.map[MAP_HTTP_LISTENERS], &i, &s, s.name, sizeof(s.name))) >
	       0) {
		r = row(arg, &s);
		if (r)
			break;
	}
	return r;
}

struct conn_walk {
	int conns;
	int (*row)(void *arg, const struct tuple *key, const struct conn *c,
		   const struct conn *reply);
	void *arg;
};

static int conn_row(void *arg, const void *key, const void *value)
{
	const struct conn *c = value;
	struct conn_walk *w = arg;
	struct tuple back = {
		.src = c->to.dst,
		.dst = c->to.src,
		.sport = c->to.dport,
		.dport = c->to.sport,
		.hook = c->flags & CONN_HAIRPIN ? HOOK_INGRESS : HOOK_EGRESS,
	};
	struct conn reply;

	if (c->dir != DIR_FORWARD || c->flags & CONN_DIRECT)
		return 0;
	return w->row(w->arg, key, c, bpf_map_lookup_elem(w->conns, &back, &reply) ? NULL : &reply);
}

int kernel_each_conn(struct kernel *k,
		     int (*row)(void *arg, const struct tuple *key, const struct conn *c,
				const struct conn *reply),
		     void *arg)
{
	struct conn_walk w = { k->loader.map[MAP_CONNS], row, arg };

	return walk(k, MAP_CONNS, sizeof(struct tuple), sizeof(struct conn), conn_row, &w);
}

int kernel_each_socket(struct kernel *k, int (*row)(void *arg, const struct sock_row *s), void *arg)
{
	return sockets_each(k, row, arg);
}

struct pod_walk {
	int (*row)(void *arg, __u32 ifindex, const struct pod *p);
	void *arg;
};

static int pod_row(void *arg, const void *key, const void *value)
{
	struct pod_walk *w = arg;

	return w->row(w->arg, *(const __u32 *)key, value);
}

int kernel_each_pod(struct kernel *k, int (*row)(void *arg, __u32 ifindex, const struct pod *p),
		    void *arg)
{
	struct pod_walk w = { row, arg };

	return walk(k, MAP_PODS, sizeof(__u32), sizeof(struct pod), pod_row, &w);
}

struct node_walk {
	int (*row)(void *arg, const struct addr *a);
	void *arg;
};

static int node_row(void *arg, const void *key, const void *value)
{
	struct node_walk *w = arg;

	(void)value;
	return w->row(w->arg, key);
}

int kernel_each_node_addr(struct kernel *k, int (*row)(void *arg, const struct addr *a), void *arg)
{
	struct node_walk w = { row, arg };

	return walk(k, MAP_NODE_ADDRS, sizeof(struct addr), sizeof(__u32), node_row, &w);
}

/* ---- names and ids ---- */

static int adopt(struct registry *registry, enum registry_kind kind, const char *name, __u32 id)
{
	int r = registry_adopt(registry, kind, name, id);

	return r ? log_err(r, "take over the id %u of %s", id, name) : 0;
}

static int adopt_cluster(void *arg, __u32 id, const struct cluster_stat *s,
			 const struct cluster_limit *l)
{
	(void)l;
	return adopt(arg, REG_CLUSTER, s->name, id);
}

static int adopt_endpoint(void *arg, __u32 id, const struct endpoint_stat *s)
{
	return adopt(arg, REG_ENDPOINT, s->name, id);
}

static int adopt_route(void *arg, __u32 id, const struct route_stat *s)
{
	return adopt(arg, REG_ROUTE, s->name, id);
}

int kernel_adopt(struct kernel *k, struct registry *registry)
{
	int r = kernel_each_cluster(k, adopt_cluster, registry);

	if (!r)
		r = kernel_each_endpoint(k, adopt_endpoint, registry);
	if (!r)
		r = kernel_each_route(k, adopt_route, registry);
	if (!r)
		r = kernel_adopt_peers(k, registry);
	return r;
}

/* ---- status ---- */

static int count_open(void *arg, const void *key, const void *value)
{
	const struct conn *c = value;

	(void)key;
	if (c->dir == DIR_FORWARD && !(c->flags & CONN_DIRECT) && c->state < CONN_CLOSED)
		++*(unsigned *)arg;
	return 0;
}

int kernel_xdp_forwarded(struct kernel *k, struct xdp_stat *out)
{
	_cleanup_free_ struct xdp_stat *each = calloc((size_t)k->cpus, sizeof(*each));
	__u32 zero = 0;

	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(k->loader.map[MAP_XDP_COUNT], &zero, each))
		return -errno;
	*out = (struct xdp_stat){ 0 };
	for (int cpu = 0; cpu < k->cpus; cpu++) {
		out->packets += each[cpu].packets;
		out->bytes += each[cpu].bytes;
	}
	return 0;
}

struct kernel_sweeps kernel_sweeps(const struct kernel *k)
{
	return (struct kernel_sweeps){ .runs = k->sweep.runs, .ns = k->sweep.ran_ns };
}

__u64 kernel_steered(const struct kernel *k, __u32 last)
{
	_cleanup_(loader_limits_close) struct mapped_limits limits =
		loader_limits_open(&k->loader, last + 1);
	__u64 sum = 0;

	for (__u32 i = 0; i < limits.count; i++)
		sum += __atomic_load_n(&limits.rows[i].steered, __ATOMIC_RELAXED);
	return sum;
}

static int protect_sum(struct kernel *k, __u32 reason, __u64 *each, __u64 *sum)
{
	if (bpf_map_lookup_elem(k->loader.map[MAP_PROTECT_COUNT], &reason, each))
		return -errno;
	*sum = 0;
	for (int cpu = 0; cpu < k->cpus; cpu++)
		*sum += each[cpu];
	return 0;
}

int kernel_each_protected(struct kernel *k,
			  int (*row)(void *arg, const char *name, bool dropped, __u64 count),
			  void *arg)
{
	_cleanup_free_ __u64 *each = calloc((size_t)k->cpus, sizeof(*each));
	int r = each ? 0 : -ENOMEM;
	bool dropped;
	__u64 sum = 0;

	for (__u32 i = 0; !r && i < PROTECT_REASONS; i++) {
		const char *name = protect_reason_name(i, &dropped);

		r = protect_sum(k, i, each, &sum);
		if (!r)
			r = row(arg, name, dropped, sum);
	}
	return r;
}

struct node_counts kernel_node(const struct kernel *k)
{
	return node_count(k->node);
}

int kernel_status(struct kernel *k, struct kernel_status *out)
{
	struct kernel_status s = {
		.generation = kernel_generation(k),
		.release = k->release,
		.cgroup = k->cgroup,
	};
	struct cgroup_hooks hooks = {};
	struct bpf_map_info conns = { 0 };
	__u32 size = sizeof(conns);
	int r = walk(k, MAP_CONNS, sizeof(struct tuple), sizeof(struct conn), count_open,
		     &s.connections);

	if (!r && bpf_obj_get_info_by_fd(k->loader.map[MAP_CONNS], &conns, &size))
		r = -errno;
	if (r)
		return log_err(r, "count the connections");
	r = sockets_count(k, &s.sockets);
	if (r)
		return r;
	/* A cgroup that is gone has no programs. */
	if (cgroup_count_hooks(&k->loader, k->cgroup, &hooks))
		log_debug("the cgroup %s can't be read", k->cgroup);
	node_status(k->node, &s.node);
	s.hooks = hooks.own;
	s.hooks_wanted = hooks.wanted;
	s.hooks_foreign = hooks.foreign;
	s.room = conns.max_entries / 2;
	*out = s;
	return 0;
}
