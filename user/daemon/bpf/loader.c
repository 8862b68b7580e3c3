/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bpf/loader.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "daemon/bpf/pin.h"
#include "weft/service.h"
#include "sock.skel.h"
#include "sweep.skel.h"
#include "tc.skel.h"
#include "tunnel.skel.h"
#include "xdp.skel.h"

static const char *const map_names[MAP_MAX] = {
	[MAP_GENERATION] = "generation",
	[MAP_ANYWHERE] = "anywhere",
	[MAP_CONNS] = "conns",
	[MAP_PODS] = "pods",
	[MAP_NETNS_PODS] = "netns_pods",
	[MAP_SOCKS] = "socks",
	[MAP_SOCK_COUNT] = "sock_count",
	[MAP_SHORTCUTS] = "shortcuts",
	[MAP_SHORTCUT_STATE] = "shortcut_state",
	[MAP_POD_ADDRS] = "pod_addrs",
	[MAP_NODE_ADDRS] = "node_addrs",
	[MAP_NICS] = "nics",
	[MAP_GONE_ADDRS] = "gone_addrs",
	[MAP_EVENTS] = "events",
	[MAP_REFUSALS] = "refusals",
	[MAP_LISTENERS] = "listeners",
	[MAP_PROXY] = "proxy",
	[MAP_LIMITS] = "limits",
	[MAP_CLUSTERS] = "clusters",
	[MAP_ENDPOINTS] = "endpoints",
	[MAP_ROUTES] = "routes",
	[MAP_DESTS] = "dests",
	[MAP_TCP_TRAFFIC] = "tcp_traffic",
	[MAP_REASONS] = "reasons",
	[MAP_XDP_COUNT] = "xdp_count",
	[MAP_XDP_NICS] = "xdp_nics",
	[MAP_PROTECT_TURN] = "protect_turn",
	[MAP_PROTECT] = "protect",
	[MAP_PROTECT_SOURCES] = "protect_sources",
	[MAP_PROTECT_COUNT] = "protect_count",
	[MAP_AUTHZ_STATE] = "authz_state",
	[MAP_AUTHZ_PODS] = "authz_pods",
	[MAP_AUTHZ_RULES] = "authz_rules",
	[MAP_HTTP_CLUSTERS] = "http_clusters",
	[MAP_HTTP_ROUTES] = "http_routes",
	[MAP_HTTP_LISTENERS] = "http_listeners",
	[MAP_HTTP_TRAFFIC] = "http_traffic",
	[MAP_TRAFFIC_PEERS] = "traffic_peers",
	[MAP_GEN_SERVICES] = "gen_services",
	[MAP_GEN_RULES] = "gen_rules",
	[MAP_GEN_ADMITS] = "gen_admits",
	[MAP_GEN_ROUTES] = "gen_routes",
	[MAP_GEN_DESTS] = "gen_dests",
	[MAP_GEN_CLUSTERS] = "gen_clusters",
	[MAP_GEN_ENDPOINTS] = "gen_endpoints",
	[MAP_GEN_SOURCES] = "gen_sources",
	[MAP_GEN_SELECTED] = "gen_selected",
};

static const char *const prog_names[PROG_MAX] = {
	[PROG_FROM_POD] = "from_pod",
	[PROG_TO_POD] = "to_pod",
	[PROG_FROM_NIC] = "from_nic",
	[PROG_TO_NIC] = "to_nic",
	[PROG_FROM_TUNNEL] = "from_tunnel",
	[PROG_TO_TUNNEL] = "to_tunnel",
	[PROG_FROM_BRIDGE] = "from_bridge",
	[PROG_FROM_WIRE] = "from_wire",
	[PROG_EXPLAIN] = "explain",
	[PROG_SWEEP] = "sweep",
	[PROG_SOCK_NOTE] = "sock_note",
	[PROG_COUNT_TRAFFIC] = "count_traffic",
	[PROG_COUNT_SOCKETS] = "count_sockets",
	[PROG_CONNECT4] = "connect4",
	[PROG_CONNECT6] = "connect6",
	[PROG_GETPEERNAME4] = "getpeername4",
	[PROG_GETPEERNAME6] = "getpeername6",
	[PROG_SOCK_OPS] = "sock_ops",
	[PROG_SOCK_RELEASE] = "sock_release",
};

static const char *const reason_names[REASON_MAX] = {
	[REASON_NONE] = "none",
	[REASON_OVERFLOW] = "overflow",
	[REASON_NO_ENDPOINT] = "no_endpoint",
	[REASON_NO_CLUSTER] = "no_cluster",
	[REASON_TABLE_FULL] = "table_full",
	[REASON_NO_PORT] = "no_port",
	[REASON_RESERVE_CONTENTION] = "reserve_contention",
	[REASON_POD_GONE] = "pod_gone",
	[REASON_TIMED_OUT] = "timed_out",
	[REASON_FRAGMENT] = "fragment",
	[REASON_MALFORMED] = "malformed",
	[REASON_GENERATION] = "generation",
	[REASON_NO_ROUTE] = "no_route",
	[REASON_FOREIGN_WAY] = "foreign_way",
	[REASON_SYN_RACE] = "syn_race",
	[REASON_NO_PROXY] = "no_proxy",
	[REASON_BRIDGED] = "bridged",
	[REASON_SPOOFED] = "spoofed",
	[REASON_SAFETY_NET] = "safety_net",
	[REASON_UNSEEN] = "unseen",
	[REASON_SOURCE_RANGE] = "source_range",
	[REASON_NO_LOCAL] = "no_local",
	[REASON_UNREGISTERED] = "unregistered",
	[REASON_RBAC_DENIED] = "rbac_denied",
	[REASON_RBAC_ALLOWED] = "rbac_allowed",
	[REASON_PLAINTEXT_DENIED] = "plaintext_denied",
	[REASON_RBAC_LOGGED] = "rbac_logged",
};

const char *loader_reason_name(__u32 reason)
{
	return reason < REASON_MAX ? reason_names[reason] : "unknown";
}

const char *loader_map_name(enum map_id id)
{
	return map_names[id];
}

const char *loader_prog_name(enum prog_id id)
{
	return prog_names[id];
}

/* libbpf's messages go to the debug log; the user gets one line of ours. */
static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	_cleanup_free_ char *text = NULL;

	(void)level;
	if (vasprintf(&text, fmt, args) < 0) {
		text = NULL;
		return 0;
	}
	text[strcspn(text, "\n")] = 0;
	log_debug("%s", text);
	return 0;
}

/* Maps count against it before Linux 5.11 only, but a kernel without memory cgroups still does. */
static void raise_memlock(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

static int map_info(int fd, struct bpf_map_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

/* Any table that is in an outer map: the kernel takes none of another layout. -ENOENT if it is
 * empty. */
static int table_info(int outer, struct bpf_map_info *info)
{
	for (__u32 slot = 0; slot < GENERATION_SLOTS; slot++) {
		_cleanup_close_ int fd = -1;
		__u32 id;

		if (bpf_map_lookup_elem(outer, &slot, &id))
			continue;
		fd = bpf_map_get_fd_by_id(id);
		if (fd >= 0)
			return map_info(fd, info);
		if (errno != ENOENT)
			return -errno;
	}
	return -ENOENT;
}

/* What is known of a pin. */
struct pinned {
	struct bpf_map_info map;
	struct bpf_map_info table; /* of an outer map; of type 0 if it is empty */
};

static int pinned_info(const char *dir, const struct bpf_map *m, struct pinned *out)
{
	_cleanup_close_ int fd = -1;
	struct pin_path path;
	int r = pin_path(&path, dir, NULL, bpf_map__name(m));

	if (r)
		return r;
	fd = bpf_obj_get(path.s);
	if (fd < 0)
		return -errno;
	memset(&out->table, 0, sizeof(out->table));
	r = map_info(fd, &out->map);
	if (r || out->map.type != BPF_MAP_TYPE_ARRAY_OF_MAPS)
		return r;
	r = table_info(fd, &out->table);
	return r == -ENOENT ? 0 : r;
}

static bool same_rows(const struct bpf_map *m, const struct bpf_map_info *info)
{
	return info->type == bpf_map__type(m) && info->key_size == bpf_map__key_size(m) &&
	       info->value_size == bpf_map__value_size(m);
}

/* Tables may be memory, or not (daemon/datapath/publish_inner.h): their flags say nothing. */
static bool same_layout(struct bpf_map *m, const struct pinned *there)
{
	const struct bpf_map *table = bpf_map__inner_map(m);

	return same_rows(m, &there->map) && there->map.map_flags == bpf_map__map_flags(m) &&
	       there->map.max_entries == bpf_map__max_entries(m) &&
	       (!table || !there->table.type || same_rows(table, &there->table));
}

/* A table that is there keeps its size: connections are in it. `wanted`: 0 for whatever it is. */
static int keep_size(struct bpf_map *conns, const struct bpf_map_info *there, unsigned wanted,
		     const char *dir)
{
	unsigned room = there->max_entries / 2;

	if (!wanted || wanted == room)
		return bpf_map__set_max_entries(conns, there->max_entries);
	log_err(0,
		"--max-connections %u: the connection table %s/%s is there, with room for %u: "
		"start "
		"with --max-connections %u, or run `weftd --detach` first, which ends what is "
		"steered",
		wanted, dir, map_names[MAP_CONNS], room, room);
	return -EEXIST;
}

static int unpin(const char *dir, const char *sub, const char *name)
{
	struct pin_path path;
	int r = pin_path(&path, dir, sub, name);

	if (!r)
		r = pin_unlink(path.s);
	return r ? log_err(r, "unpin %s", path.s) : 0;
}

/* Maps whose rows only count, and are told apart by names or stable ids in them, or are what they
 * were with more behind them, or hold nothing beyond one run of a program. The others hold
 * connections, who is where, or what ids mean. */
static bool may_begin_anew(const struct bpf_map *m)
{
	static const enum map_id counters[] = { MAP_REASONS,	  MAP_HTTP_CLUSTERS,
						MAP_HTTP_ROUTES,  MAP_HTTP_LISTENERS,
						MAP_HTTP_TRAFFIC, MAP_PROTECT_COUNT,
						MAP_TCP_TRAFFIC };
	const char *name = bpf_map__name(m);

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		if (!strcmp(name, map_names[counters[i]]))
			return true;
	return !strcmp(name, "scratch") || !strcmp(name, "tcp_counted");
}

static int refuse(const struct bpf_map *m, const char *dir)
{
	log_err(0,
		"%s/%s was made by another version of weft, and this one can't take it over: what "
		"is in force goes on steering, without this weftd. Go back to that version, or run "
		"`weftd --detach` and start this one: connections that are steered then end",
		dir, bpf_map__name(m));
	return -EEXIST;
}

/* What a map is to be like, from what is pinned: 0; 1 where that has another layout, and can go;
 * or -errno after having logged. */
static int fit(struct bpf_map *m, const char *dir, unsigned max_connections)
{
	struct pinned there;
	int r = bpf_map__is_internal(m) ? -ENOENT : pinned_info(dir, m, &there);

	if (r == -ENOENT)
		return 0;
	if (r)
		return log_err(r, "open the pinned map %s/%s", dir, bpf_map__name(m));
	if (!strcmp(bpf_map__name(m), map_names[MAP_CONNS])) {
		r = keep_size(m, &there.map, max_connections, dir);
		if (r)
			return r;
	}
	if (same_layout(m, &there))
		return 0;
	return may_begin_anew(m) ? 1 : refuse(m, dir);
}

static int begin_anew(const struct bpf_map *m, const char *dir)
{
	int r = unpin(dir, NULL, bpf_map__name(m));

	if (!r && strcmp(bpf_map__name(m), "scratch") != 0)
		log_warning("%s/%s was made by another version of weft, with other rows: it is "
			    "made anew, and its counters begin at 0",
			    dir, bpf_map__name(m));
	return r;
}

int loader_fit(struct bpf_object *obj, const char *dir, unsigned max_connections)
{
	const struct bpf_map *old[MAP_MAX];
	size_t count = 0;
	struct bpf_map *m;
	int r = 0;

	bpf_object__for_each_map(m, obj)
	{
		r = fit(m, dir, max_connections);
		if (r < 0)
			return r;
		if (r)
			old[count++] = m;
	}
	/* Nothing goes unless all the others fit. */
	r = 0;
	for (size_t i = 0; !r && i < count; i++)
		r = begin_anew(old[i], dir);
	return r;
}

/* Two entries per connection, one per direction; those with a C (weft/conn.h) count twice. */
static void size_conns(struct bpf_object *obj, unsigned max_connections)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, map_names[MAP_CONNS]);

	if (m && max_connections)
		bpf_map__set_max_entries(m, 2 * max_connections);
}

/* libbpf forgets the templates once the outer maps exist. */
static void note_inner(struct loader *l, struct bpf_object *obj)
{
	for (int id = MAP_GEN_SERVICES; id < MAP_MAX; id++) {
		struct bpf_map *m = bpf_object__find_map_by_name(obj, map_names[id]);

		m = m ? bpf_map__inner_map(m) : NULL;
		if (!m)
			continue;
		l->inner[id] = (struct inner_layout){
			.type = bpf_map__type(m),
			.key_size = bpf_map__key_size(m),
			.value_size = bpf_map__value_size(m),
			.flags = bpf_map__map_flags(m),
			.key_type = bpf_map__btf_key_type_id(m),
			.value_type = bpf_map__btf_value_type_id(m),
		};
	}
}

static int prepare(struct bpf_object *obj, const char *dir, unsigned max_connections)
{
	size_conns(obj, max_connections);
	return loader_fit(obj, dir, max_connections);
}

/* The coarse clocks tick once per jiffy. */
static __u32 jiffies_per_second(void)
{
	struct timespec tick = {};

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || !tick.tv_nsec)
		return 250;
	return (__u32)((1000000000 + tick.tv_nsec / 2) / tick.tv_nsec);
}

static int open_objects(struct loader *l, const char *dir, bool xdp)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = dir);

	l->tc = tc_bpf__open_opts(&opts);
	l->sweep = l->tc ? sweep_bpf__open_opts(&opts) : NULL;
	l->sock = l->sweep ? sock_bpf__open_opts(&opts) : NULL;
	l->xdp = l->sock && xdp ? xdp_bpf__open_opts(&opts) : NULL;
	if (!l->sock || (xdp && !l->xdp))
		return log_err(-errno, "open the BPF programs");
	l->sock->rodata->hz = jiffies_per_second();
	note_inner(l, l->tc->obj);
	return 0;
}

static int load_prepared(struct bpf_object *obj)
{
	int r = bpf_object__load(obj);

	return r ? log_err(r, "load the %s programs (--log-level debug says why)",
			   bpf_object__name(obj))
		 : 0;
}

static int load_object(struct bpf_object *obj, const char *dir, unsigned max_connections)
{
	int r = prepare(obj, dir, max_connections);

	return r ? r : load_prepared(obj);
}

/* The first one makes the maps, with the size that was kept or chosen. */
static int load_objects(struct loader *l, const char *dir, unsigned max_connections)
{
	struct bpf_object *objects[] = { l->tc->obj, l->sweep->obj, l->sock->obj,
					 l->xdp ? l->xdp->obj : NULL };
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(objects) / sizeof(objects[0]); i++) {
		if (objects[i])
			r = load_object(objects[i], dir, max_connections);
	}
	return r;
}

static int find_maps(struct loader *l)
{
	for (int id = 0; id < MAP_MAX; id++) {
		l->map[id] = bpf_object__find_map_fd_by_name(l->tc->obj, map_names[id]);
		if (l->map[id] < 0)
			return log_err(l->map[id], "find the map %s", map_names[id]);
	}
	l->btf_fd = bpf_object__btf_fd(l->tc->obj);
	return 0;
}

struct mapped_limits loader_limits_open(const struct loader *l, __u32 count)
{
	void *at = mmap(NULL, count * sizeof(struct cluster_limit), PROT_READ | PROT_WRITE,
			MAP_SHARED, l->map[MAP_LIMITS], 0);

	if (at != MAP_FAILED)
		return (struct mapped_limits){ at, count };
	log_err(-errno, "map the map limits into memory");
	return (struct mapped_limits){ 0 };
}

void loader_limits_close(struct mapped_limits *limits)
{
	if (limits->rows)
		munmap(limits->rows, limits->count * sizeof(*limits->rows));
}

static int map_traffic(struct loader *l)
{
	int r = row_map_open(&l->http_traffic, l->map[MAP_HTTP_TRAFFIC], PROT_READ | PROT_WRITE,
			     sizeof(struct http_traffic), TRAFFIC_HTTP_ROWS);

	return r ? log_err(r, "map the map http_traffic into memory") : 0;
}

bool loader_reach_traffic(struct loader *l, __u32 i)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool reached;

	pthread_mutex_lock(&lock);
	reached = i < l->http_traffic.rows && !row_map_reach(&l->http_traffic, i);
	pthread_mutex_unlock(&lock);
	return reached;
}

/* Into the programs' data: the objects are not loaded by their skeletons, which would map it. */
static int tell_authz(const struct loader *l, __u32 state)
{
	__u32 zero = 0;

	l->tc->bss->authz_in_use = state;
	return bpf_map_update_elem(bpf_map__fd(l->tc->maps.bss), &zero, l->tc->bss, BPF_ANY)
		       ? -errno
		       : 0;
}

int loader_set_authz(const struct loader *l, bool on)
{
	__u32 zero = 0, state = on;

	if (bpf_map_update_elem(l->map[MAP_AUTHZ_STATE], &zero, &state, BPF_ANY))
		return -errno;
	return tell_authz(l, state);
}

/* As an earlier weftd has left it: pods that are selected are so from the first packet on. */
static int read_authz(const struct loader *l)
{
	__u32 zero = 0, state;
	int r = bpf_map_lookup_elem(l->map[MAP_AUTHZ_STATE], &zero, &state) ? -errno
									    : tell_authz(l, state);

	return r ? log_err(r, "read the map authz_state") : 0;
}

/* NULL: it is not loaded. */
static struct bpf_object *object_of(const struct loader *l, enum prog_id id)
{
	if (id >= PROG_CONNECT4)
		return l->sock->obj;
	if (id == PROG_FROM_WIRE)
		return l->xdp ? l->xdp->obj : NULL;
	if (id == PROG_FROM_TUNNEL || id == PROG_TO_TUNNEL)
		return l->tunnel ? l->tunnel->obj : NULL;
	return id >= PROG_SWEEP && id <= PROG_COUNT_SOCKETS ? l->sweep->obj : l->tc->obj;
}

static int pin_prog(struct loader *l, const char *dir, enum prog_id id)
{
	struct bpf_object *obj = object_of(l, id);
	struct bpf_program *p = obj ? bpf_object__find_program_by_name(obj, prog_names[id]) : NULL;
	struct pin_path path;
	int r = p || !obj ? pin_path(&path, dir, "prog", prog_names[id]) : -ENOENT;

	l->prog[id] = -1;
	if (!r && !obj) {
		r = pin_unlink(path.s);
	} else if (!r) {
		l->prog[id] = bpf_program__fd(p);
		r = pin_replace(l->prog[id], &path);
	}
	return r ? log_err(r, "pin the program %s", prog_names[id]) : 0;
}

static int pin_progs(struct loader *l, const char *dir)
{
	struct pin_path path;
	int r = pin_path(&path, dir, "prog", NULL);

	if (!r)
		r = pin_mkdirs(path.s);
	if (r)
		return log_err(r, "make %s/prog", dir);
	for (int id = 0; !r && id < PROG_MAX; id++)
		r = pin_prog(l, dir, id);
	return r;
}

/* By their descriptors: a pin that someone has removed must not make another map. */
static int share_maps(const struct loader *l, struct bpf_object *obj)
{
	struct bpf_map *m;
	int r = 0;

	bpf_object__for_each_map(m, obj)
	{
		const char *path = bpf_map__pin_path(m); /* NULL: it is this object's own */
		int fd = path ? bpf_object__find_map_fd_by_name(l->tc->obj, bpf_map__name(m)) : -1;

		if (r || !path)
			continue;
		r = fd < 0 ? fd : bpf_map__reuse_fd(m, fd);
		if (!r)
			r = bpf_map__set_pin_path(m, NULL);
		if (r)
			log_err(r, "share the map %s", bpf_map__name(m));
	}
	return r;
}

int loader_need_tunnel(struct loader *l, const char *dir)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = dir);
	int r;

	if (l->tunnel)
		return 0;
	l->tunnel = tunnel_bpf__open_opts(&opts);
	if (!l->tunnel)
		return log_err(-errno, "open the BPF programs");
	r = share_maps(l, l->tunnel->obj);
	if (!r)
		r = load_prepared(l->tunnel->obj);
	if (!r)
		r = pin_prog(l, dir, PROG_FROM_TUNNEL);
	if (!r)
		r = pin_prog(l, dir, PROG_TO_TUNNEL);
	if (!r)
		return 0;
	tunnel_bpf__destroy(l->tunnel);
	l->tunnel = NULL;
	l->prog[PROG_FROM_TUNNEL] = l->prog[PROG_TO_TUNNEL] = -1;
	return r;
}

/* The counts go on from where they were, but for a reason that another version of weft had there.
 */
static int name_reasons(const struct loader *l)
{
	for (__u32 i = 0; i < REASON_MAX; i++) {
		struct reason_stat s;

		if (bpf_map_lookup_elem(l->map[MAP_REASONS], &i, &s))
			return log_err(-errno, "read the map reasons");
		if (!strncmp(s.name, reason_names[i], sizeof(s.name)))
			continue;
		if (s.name[0])
			memset(&s, 0, sizeof(s));
		strncpy(s.name, reason_names[i], sizeof(s.name) - 1);
		if (bpf_map_update_elem(l->map[MAP_REASONS], &i, &s, BPF_ANY))
			return log_err(-errno, "write the map reasons");
	}
	return 0;
}

int loader_open(struct loader *l, const char *dir, const struct loader_options *o)
{
	int r;

	libbpf_set_print(print_libbpf);
	raise_memlock();
	r = open_objects(l, dir, o->xdp);
	if (!r) {
		l->tc->rodata->refuse_unseen = o->refuse_unseen;
		l->tc->rodata->registry_only = o->registry_only;
		l->sock->rodata->registry_only = o->registry_only;
	}
	if (!r)
		r = load_objects(l, dir, o->max_connections);
	if (!r)
		r = find_maps(l);
	if (!r)
		r = map_traffic(l);
	if (!r)
		r = read_authz(l);
	if (!r)
		r = pin_progs(l, dir);
	if (!r)
		r = name_reasons(l);
	return r;
}

/* Calls `each` for every pin that is not there, until it answers other than 0, which is returned.
 */
static int each_missing(const struct loader *l, const char *dir,
			int (*each)(void *arg, const char *path, int fd), void *arg)
{
	struct bpf_map *m;
	struct pin_path path;
	int r = 0;

	bpf_object__for_each_map(m, l->tc->obj) /* which has all of them */
	{
		const char *at = bpf_map__pin_path(m);

		if (!r && at && access(at, F_OK))
			r = each(arg, at, bpf_map__fd(m));
	}
	for (int id = 0; !r && id < PROG_MAX; id++) {
		if (l->prog[id] < 0)
			continue;
		r = pin_path(&path, dir, "prog", prog_names[id]);
		if (!r && access(path.s, F_OK))
			r = each(arg, path.s, l->prog[id]);
	}
	return r;
}

struct teller {
	void (*tell)(void *arg, const char *what);
	void *arg;
};

static int tell_pin(void *arg, const char *path, int fd)
{
	const struct teller *t = arg;
	char text[PATH_MAX + 8];

	(void)fd;
	snprintf(text, sizeof(text), "pin %s", path);
	t->tell(t->arg, text);
	return 0;
}

void loader_each_missing(const struct loader *l, const char *dir,
			 void (*tell)(void *arg, const char *what), void *arg)
{
	struct teller t = { tell, arg };

	(void)each_missing(l, dir, tell_pin, &t);
}

static int pin_one(void *arg, const char *path, int fd)
{
	(void)arg;
	return bpf_obj_pin(fd, path) && errno != EEXIST ? -errno : 0;
}

int loader_pin_again(const struct loader *l, const char *dir)
{
	struct pin_path path;
	int r = pin_path(&path, dir, "prog", NULL);

	if (!r)
		r = pin_mkdirs(path.s);
	return r ? r : each_missing(l, dir, pin_one, NULL);
}

void loader_close(struct loader *l)
{
	row_map_close(&l->http_traffic);
	tc_bpf__destroy(l->tc);
	sweep_bpf__destroy(l->sweep);
	sock_bpf__destroy(l->sock);
	xdp_bpf__destroy(l->xdp);
	tunnel_bpf__destroy(l->tunnel);
	memset(l, 0, sizeof(*l));
}

static int unpin_maps(const char *dir)
{
	struct tc_bpf *tc = tc_bpf__open();
	struct bpf_map *m;
	int r = tc ? 0 : log_err(-errno, "open the BPF programs");

	if (!tc)
		return r;
	bpf_object__for_each_map(m, tc->obj)
	{
		if (!bpf_map__is_internal(m) && !r)
			r = unpin(dir, NULL, bpf_map__name(m));
	}
	tc_bpf__destroy(tc);
	return r;
}

/* Programs of whatever version: some that others have this one lacks. */
static int unpin_progs(const char *dir)
{
	int r = pin_unlink_all(dir, "prog");

	return r ? log_err(r, "unpin %s/prog", dir) : 0;
}

int loader_unpin(const char *dir)
{
	int r;

	libbpf_set_print(print_libbpf);
	r = unpin_maps(dir);
	return r ? r : unpin_progs(dir);
}
