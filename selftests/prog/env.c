// SPDX-License-Identifier: Apache-2.0
#include "env.h"

#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "sweep.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"

#define must(what)                     \
	do {                           \
		if (!(what)) {         \
			perror(#what); \
			abort();       \
		}                      \
	} while (0)

struct env {
	struct env_options o;
	bool routed; /* the endpoint, by the NIC */
	bool marked; /* the last frame of XDP's */
	__u64 turn;  /* of `protect` */
	struct tc_bpf *tc;
	struct sweep_bpf *sweep; /* NULL until it is asked for, like `xdp` */
	struct xdp_bpf *xdp;
	struct ring_buffer *events;
	struct reset_event resets[16];
	unsigned reset_count;
};

static struct addr parse_addr(int family, const char *ip4, const char *ip6)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	must(family == 4 ? inet_pton(AF_INET, ip4, a.b + 12) : inet_pton(AF_INET6, ip6, a.b));
	return a;
}

struct addr env_client(const struct env *e)
{
	if (e->o.outside)
		return parse_addr(e->o.family, "198.51.100.7", "2001:db8:2::7");
	return parse_addr(e->o.family, "10.244.0.1", "fd00:244::1");
}

struct addr env_vip(const struct env *e)
{
	if (e->o.outside)
		return env_node(e);
	return parse_addr(e->o.family, "10.96.0.10", "fd00:96::10");
}

struct addr env_other_vip(const struct env *e)
{
	return parse_addr(e->o.family, "10.96.0.11", "fd00:96::11");
}

struct addr env_router(const struct env *e)
{
	return parse_addr(e->o.family, "192.0.2.1", "2001:db8::1");
}

struct addr env_other(const struct env *e)
{
	return parse_addr(e->o.family, "10.244.0.3", "fd00:244::3");
}

struct addr env_node(const struct env *e)
{
	return parse_addr(e->o.family, "203.0.113.1", "2001:db8:1::1");
}

struct addr env_endpoint(const struct env *e)
{
	if (e->o.hairpin)
		return env_client(e);
	return e->o.node_endpoint ? env_node(e)
				  : parse_addr(e->o.family, "10.244.0.2", "fd00:244::2");
}

void tuple_turn(struct tuple *to, const struct tuple *from)
{
	*to = (struct tuple){
		.src = from->dst, .dst = from->src, .sport = from->dport, .dport = from->sport
	};
}

/* Programs must see no address or route of the machine. */
static void enter_namespaces(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	must(!unshare(CLONE_NEWNET));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &lo));
	close(fd);
	must(!system(
		"ip -batch - <<END\n"
		"link add name endpoint index 77 type veth peer name peer77\n"
		"link add name other index 78 type veth peer name peer78\n"
		"link add name nic index 79 address 02:00:00:00:00:02 type veth peer name peer79\n"
		"link add name nic2 index 80 address 02:00:00:00:00:03 type veth peer name peer80\n"
		"link set nic up\n"
		"link set nic2 up\n"
		"link set peer80 up\n"
		"link set peer79 up\n"
		"address add 203.0.113.1/24 dev nic\n"
		"address add 2001:db8:1::1/64 dev nic nodad\n"
		"END\n"
		"echo 1 >/proc/sys/net/ipv4/ip_forward\n"
		"echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"));
}

/* The way to an endpoint that is not here, and back to a client that is outside. XDP sends only to
 * neighbours that are known. */
static void set_route(struct env *e)
{
	bool wanted = e->o.remote_endpoint && !e->o.no_route;

	if (wanted == e->routed)
		return;
	must(!system(wanted ? "ip -batch - <<END\n"
			      "route add 10.244.0.2/32 dev nic\n"
			      "route add 198.51.100.7/32 dev nic\n"
			      "neighbour replace 10.244.0.2 lladdr 02:00:00:00:00:0e dev nic\n"
			      "neighbour replace 198.51.100.7 lladdr 02:00:00:00:00:0c dev nic\n"
			      "END\n"
			      "ip -6 -batch - <<END\n"
			      "route add fd00:244::2/128 dev nic\n"
			      "route add 2001:db8:2::7/128 dev nic\n"
			      "neighbour replace fd00:244::2 lladdr 02:00:00:00:00:0e dev nic\n"
			      "neighbour replace 2001:db8:2::7 lladdr 02:00:00:00:00:0c dev nic\n"
			      "END\n"
			    : "ip route del 10.244.0.2/32 && ip -6 route del fd00:244::2/128 && "
			      "ip route del 198.51.100.7/32 && "
			      "ip -6 route del 2001:db8:2::7/128"));
	e->routed = wanted;
}

static int on_reset(void *ctx, void *data, size_t len)
{
	struct env *e = ctx;

	assert(len >= sizeof(struct reset_event));
	if (e->reset_count < sizeof(e->resets) / sizeof(*e->resets))
		memcpy(&e->resets[e->reset_count++], data, sizeof(struct reset_event));
	return 0;
}

/* The maps of an object that weftd pins are those of `from` that have their names. NULL: they are
 * new ones. Nothing is pinned. */
static void share_maps(const struct bpf_object *from, struct bpf_object *to)
{
	struct bpf_map *map, *have;

	bpf_object__for_each_map(map, to)
	{
		if (!bpf_map__pin_path(map))
			continue;
		must(!bpf_map__set_pin_path(map, NULL));
		have = from ? bpf_object__find_map_by_name(from, bpf_map__name(map)) : NULL;
		must(!have || !bpf_map__reuse_fd(map, bpf_map__fd(have)));
	}
}

static void load(struct env *e)
{
	must(e->tc = tc_bpf__open());
	share_maps(NULL, e->tc->obj);
	bpf_map__set_max_entries(e->tc->maps.conns, e->o.table_size ?: 1024);
	e->tc->rodata->refuse_unseen = e->o.refuse_unseen;
	e->tc->rodata->registry_only = e->o.registry_only;
	must(!tc_bpf__load(e->tc));
	must(e->events = ring_buffer__new(bpf_map__fd(e->tc->maps.events), on_reset, e, NULL));
}

/* What only some tests run is loaded when they do: most of a test's time goes into verifying. */

static struct sweep_bpf *sweep_of(struct env *e)
{
	if (!e->sweep) {
		must(e->sweep = sweep_bpf__open());
		share_maps(e->tc->obj, e->sweep->obj);
		must(!sweep_bpf__load(e->sweep));
	}
	return e->sweep;
}

static struct xdp_bpf *xdp_of(struct env *e)
{
	if (!e->xdp) {
		must(e->xdp = xdp_bpf__open());
		share_maps(e->tc->obj, e->xdp->obj);
		must(!xdp_bpf__load(e->xdp));
	}
	return e->xdp;
}

/* Before 6.2 an inner map with BTF and one without are not alike, so ours has it, as the template
 * does. */
static int table_new(struct env *e, struct bpf_map *outer, const char *key, const char *value)
{
	const struct btf *btf = bpf_object__btf(e->tc->obj);
	bool hash = strcmp(key, "__u32");
	LIBBPF_OPTS(bpf_map_create_opts, opts,
		    .map_flags = hash ? 0 : BPF_F_INNER_MAP | BPF_F_MMAPABLE,
		    .btf_fd = btf__fd(btf));
	int key_id = btf__find_by_name(btf, key), value_id = btf__find_by_name(btf, value), fd;
	__u32 slot = 1;

	must(key_id > 0 && value_id > 0);
	opts.btf_key_type_id = key_id;
	opts.btf_value_type_id = value_id;
	fd = bpf_map_create(hash ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_ARRAY, "inner",
			    btf__resolve_size(btf, key_id), btf__resolve_size(btf, value_id), 8,
			    &opts);
	must(fd >= 0);
	must(!bpf_map_update_elem(bpf_map__fd(outer), &slot, &fd, 0));
	return fd;
}

static void put_close(int fd, const void *key, const void *value)
{
	must(!bpf_map_update_elem(fd, key, value, 0));
	close(fd);
}

static void fill_tables(struct env *e)
{
	struct service service = { .id = SERVICE_ID, .rule_count = 1 };
	struct service_key key = { .addr = env_vip(e), .port = VIP_PORT },
			   node = { .port = VIP_PORT, .scope = SCOPE_NODE },
			   other = { .addr = env_other_vip(e), .port = VIP_PORT };
	struct rule rule = { .route = 0 };
	struct route route = { .id = ROUTE_ID, .dest_count = 1, .total = 1 };
	struct dest dest = { .cluster = 0, .end = 1 };
	struct cluster cluster = {
		.id = CLUSTER_ID,
		.max_connections = e->o.max_connections,
		.ep_count = !e->o.no_endpoint,
		.connect_timeout_ms = e->o.connect_timeout_ms,
		.idle_timeout_ms = e->o.idle_timeout_ms,
		.max_duration_ms = e->o.max_duration_ms,
		.keepalive = 1,
		.keepalive_time_s = KEEPALIVE_TIME,
		.keepalive_interval_s = KEEPALIVE_INTERVAL,
		.keepalive_probes = KEEPALIVE_PROBES,
	};
	struct endpoint endpoint = { .addr = env_endpoint(e),
				     .id = ENDPOINT_ID,
				     .port = ENDPOINT_PORT };
	__u64 generation = 1;
	__u32 zero = 0;
	int fd = table_new(e, e->tc->maps.gen_services, "service_key", "service");

	must(!bpf_map_update_elem(fd, &other, &service, 0));
	if (e->o.family == 4)
		node.addr.b[10] = node.addr.b[11] = 0xff;
	if (e->o.outside)
		must(!bpf_map_update_elem(fd, &node, &service, 0));
	put_close(fd, &key, &service);
	put_close(table_new(e, e->tc->maps.gen_rules, "__u32", "rule"), &zero, &rule);
	put_close(table_new(e, e->tc->maps.gen_routes, "__u32", "route"), &zero, &route);
	put_close(table_new(e, e->tc->maps.gen_dests, "__u32", "dest"), &zero, &dest);
	put_close(table_new(e, e->tc->maps.gen_clusters, "__u32", "cluster"), &zero, &cluster);
	put_close(table_new(e, e->tc->maps.gen_endpoints, "__u32", "endpoint"), &zero, &endpoint);
	if (!e->o.without_generation)
		must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.generation), &zero, &generation,
					  0));
}

static void fill_counters(struct env *e)
{
	struct cluster_stat cluster = { .name = "outbound|9000||echo.default.svc.cluster.local" };
	struct cluster_limit limit = {};
	struct endpoint_stat endpoint = { .name = "10.244.0.2:8080" };
	struct route_stat route = { .name = "default/echo:9000" };
	struct dest_key key = { .route = ROUTE_ID, .cluster = CLUSTER_ID };
	struct dest_stat dest = { .route = "default/echo:9000" };
	struct tcp_traffic_key rest = { .cluster = 0 };
	struct tcp_traffic none = { .opened = 0 };
	__u32 id = CLUSTER_ID;

	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.clusters), &id, &cluster, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.limits), &id, &limit, 0));
	id = ENDPOINT_ID;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.endpoints), &id, &endpoint, 0));
	id = ROUTE_ID;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.routes), &id, &route, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.dests), &key, &dest, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.tcp_traffic), &rest, &none, 0));
}

static void add_pod(struct env *e, __u32 ifindex, struct addr a)
{
	struct pod pod = {
		.addr = a,
		.netns_id = ~0u,
		.mac = { 2, 0, 0, 0, 1, ifindex },
		.name = "veth",
		.bridge = e->o.bridge ? 80 : 0,
	};

	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.pods), &ifindex, &pod, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.pod_addrs), &a, &ifindex, 0));
}

static void add_nic(struct env *e)
{
	struct addr a = env_node(e);
	struct nic nic = { .name = "nic" };
	__u32 ifindex = NIC_IF;

	struct xdp_nic xdp = { .until = ~0ull, .mac = { 2, 0, 0, 0, 0, 2 }, .answers = 1 };

	*(e->o.family == 4 ? &nic.addr4 : &nic.addr6) = a;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.xdp_nics), &ifindex, &xdp, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.nics), &ifindex, &nic, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.node_addrs), &a, &ifindex, 0));
}

/* Loaded programs and their maps, for the next environment that asks for the same: to verify them
 * takes longer than to run them. */
static struct env *idle;

static void map_clear(const struct bpf_map *map)
{
	char key[sizeof(struct tuple)] = {};
	int fd = bpf_map__fd(map);

	must(bpf_map__key_size(map) <= sizeof(key));
	while (!bpf_map_get_next_key(fd, NULL, key))
		must(!bpf_map_delete_elem(fd, key));
}

/* What was found in this jiffy counts no more. */
static void forget_dsts(struct env *e)
{
	int cpus = libbpf_num_possible_cpus();
	struct protect_dst *none = calloc((size_t)cpus, sizeof(*none));

	must(cpus > 0 && none);
	for (__u32 i = 0; i < PROTECT_DSTS; i++)
		must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.protect_dsts), &i, none, 0));
	free(none);
}

static void reset(struct env *e)
{
	const struct bpf_map *const maps[] = {
		e->tc->maps.conns,	     e->tc->maps.frags,
		e->tc->maps.affinity,	     e->tc->maps.pods,
		e->tc->maps.pod_addrs,	     e->tc->maps.clusters,
		e->tc->maps.routes,	     e->tc->maps.endpoints,
		e->tc->maps.dests,	     e->tc->maps.nics,
		e->tc->maps.node_addrs,	     e->tc->maps.shortcuts,
		e->tc->maps.protect_buckets, e->tc->maps.protect_proven,
		e->tc->maps.protect_sources, e->tc->maps.xdp_nics,
		e->tc->maps.authz_pods,	     e->tc->maps.authz_rules,
		e->tc->maps.tcp_traffic,     e->tc->maps.tcp_counted
	};
	struct shortcut_state no_shortcuts = { .until = 0 };
	struct reason_stat none = { .count = 0 };
	__u64 generation = 0;
	__u32 zero = 0;

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		map_clear(maps[i]);
	for (__u32 i = 0; i < REASON_MAX; i++)
		must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.reasons), &i, &none, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.generation), &zero, &generation, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.shortcut_state), &zero, &no_shortcuts,
				  0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.conn_count), &zero, &generation, 0));
	e->tc->bss->authz_in_use = 0;
	env_protect(e, NULL);
	forget_dsts(e);
	must(ring_buffer__consume(e->events) >= 0);
	e->reset_count = 0;
}

static void destroy(struct env *e)
{
	ring_buffer__free(e->events);
	tc_bpf__destroy(e->tc);
	sweep_bpf__destroy(e->sweep);
	xdp_bpf__destroy(e->xdp);
	free(e);
}

/* The one that is idle if it fits, or a new one. */
static struct env *loaded(const struct env_options *o)
{
	struct env *e = idle;

	idle = NULL;
	if (e && e->o.table_size == o->table_size && e->o.refuse_unseen == o->refuse_unseen &&
	    e->o.registry_only == o->registry_only) {
		e->o = *o;
		reset(e);
		return e;
	}
	if (e)
		destroy(e);
	must(e = calloc(1, sizeof(*e)));
	e->o = *o;
	enter_namespaces();
	load(e);
	return e;
}

struct env *env_new(const struct env_options *o)
{
	struct env *e = loaded(o);

	fill_tables(e);
	fill_counters(e);
	if (!o->outside)
		add_pod(e, CLIENT_IF, env_client(e));
	if (!o->hairpin && !o->remote_endpoint && !o->node_endpoint)
		add_pod(e, ENDPOINT_IF, env_endpoint(e));
	add_pod(e, OTHER_IF, env_other(e));
	add_nic(e);
	set_route(e);
	return e;
}

void env_free(struct env *e)
{
	idle = e;
}

/* As the stack has addressed what is about to leave by the NIC (set_route()). */
static void put_hop(const struct env *e, const struct env_packet *in, __u8 *frame)
{
	static const __u8 client[6] = { 2, 0, 0, 0, 0, 0x0c },
			  endpoint[6] = { 2, 0, 0, 0, 0, 0x0e };
	struct addr c = env_client(e), d = env_endpoint(e);

	if (in->hop)
		memcpy(frame, in->hop, 6);
	else if (e->routed && !memcmp(&in->t.dst, &c, sizeof(c)))
		memcpy(frame, client, 6);
	else if (e->routed && !memcmp(&in->t.dst, &d, sizeof(d)))
		memcpy(frame, endpoint, 6);
}

struct env_result env_run(struct env *e, const char *program, const struct env_packet *in)
{
	struct env_result r = { .action = -2 };
	struct bpf_program *prog = bpf_object__find_program_by_name(e->tc->obj, program);
	struct __sk_buff ctx = { .ifindex = in->ifindex ?: e->o.outside ? NIC_IF : CLIENT_IF };
	__u8 frame[FRAME_MAX], out[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	must(prog);
	opts.data_size_in = frame_put(frame, in);
	put_hop(e, in, frame);
	must(!bpf_prog_test_run_opts(bpf_program__fd(prog), &opts));
	r.action = opts.retval;
	memcpy(r.dmac, out, sizeof(r.dmac));
	frame_get(out, in, &r);
	return r;
}

int env_run_frame(struct env *e, const char *program, __u32 ifindex, __u32 mark, __u8 *frame,
		  size_t *size)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(e->tc->obj, program);
	struct __sk_buff ctx = { .ifindex = ifindex, .mark = mark };
	__u8 out[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = *size,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	must(prog);
	must(!bpf_prog_test_run_opts(bpf_program__fd(prog), &opts));
	*size = opts.data_size_out;
	memcpy(frame, out, *size);
	return opts.retval;
}

int env_run_xdp(struct env *e, __u32 ifindex, __u8 *frame, size_t *size)
{
	struct xdp_md ctx = { .data_end = *size, .ingress_ifindex = ifindex }, left;
	__u8 out[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = *size,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .ctx_out = &left, .ctx_size_out = sizeof(left));

	must(!bpf_prog_test_run_opts(bpf_program__fd(xdp_of(e)->progs.from_wire), &opts));
	/* What the program has put in front of the frame comes first. */
	e->marked = left.data;
	*size = opts.data_size_out - left.data;
	memcpy(frame, out + left.data, *size);
	return opts.retval;
}

void env_set_generation(struct env *e, __u64 number)
{
	__u32 zero = 0;

	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.generation), &zero, &number, 0));
}

void env_set_node(struct env *e, bool there)
{
	int fd = bpf_map__fd(e->tc->maps.node_addrs);
	struct addr a = env_node(e);
	__u32 ifindex = NIC_IF;

	must(!(there ? bpf_map_update_elem(fd, &a, &ifindex, 0) : bpf_map_delete_elem(fd, &a)));
}

void env_add_behind_nic(struct env *e, const struct addr *a)
{
	struct pod pod = { .addr = *a, .netns_id = ~0u, .name = "veth", .bridge = NIC_IF };
	__u32 ifindex = OTHER_IF;

	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.pods), &ifindex, &pod, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.pod_addrs), a, &ifindex, 0));
}

void env_permit(struct env *e, __u32 ifindex, const struct xdp_nic *nic)
{
	int fd = bpf_map__fd(e->tc->maps.xdp_nics);

	must(nic ? !bpf_map_update_elem(fd, &ifindex, nic, 0)
		 : !bpf_map_delete_elem(fd, &ifindex) || errno == ENOENT);
}

void env_add_nic2(struct env *e)
{
	struct addr a = env_node(e);
	struct nic nic = { .name = "nic2" };
	__u32 ifindex = NIC2_IF;

	*(e->o.family == 4 ? &nic.addr4 : &nic.addr6) = a;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.nics), &ifindex, &nic, 0));
	must(!system("ip route replace 10.244.0.2/32 dev nic2 && "
		     "ip neighbour replace 10.244.0.2 lladdr 02:00:00:00:00:0e dev nic2 && "
		     "ip -6 route replace fd00:244::2/128 dev nic2 && "
		     "ip neighbour replace fd00:244::2 lladdr 02:00:00:00:00:0e dev nic2"));
}

void env_drop_nic2(struct env *e)
{
	__u32 ifindex = NIC2_IF;

	must(!bpf_map_delete_elem(bpf_map__fd(e->tc->maps.nics), &ifindex));
	must(!system("ip route replace 10.244.0.2/32 dev nic && "
		     "ip -6 route replace fd00:244::2/128 dev nic"));
}

struct xdp_stat env_forwarded(struct env *e)
{
	int cpus = libbpf_num_possible_cpus();
	struct xdp_stat each[256], sum = {};
	__u32 zero = 0;

	must(cpus > 0 && cpus <= 256);
	must(!bpf_map_lookup_elem(bpf_map__fd(e->tc->maps.xdp_count), &zero, each));
	for (int i = 0; i < cpus; i++) {
		sum.packets += each[i].packets;
		sum.bytes += each[i].bytes;
	}
	return sum;
}

struct verdict env_explain(struct env *e, const struct question *q)
{
	__u8 data[EXPLAIN_PACKET] = {}, out[EXPLAIN_PACKET];
	struct verdict v;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = sizeof(data),
		    .data_out = out, .data_size_out = sizeof(out));

	memcpy(data, q, sizeof(*q));
	must(!bpf_prog_test_run_opts(bpf_program__fd(e->tc->progs.explain), &opts));
	must(opts.retval == 0);
	memcpy(&v, out, sizeof(v));
	return v;
}

struct sweep_args env_sweep(struct env *e, __u32 check_gone)
{
	struct sweep_args args = { .check_gone = check_gone, .skip_socks = 1 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));

	must(!bpf_prog_test_run_opts(bpf_program__fd(sweep_of(e)->progs.sweep), &opts));
	return args;
}

void env_count_traffic(struct env *e)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	must(!bpf_prog_test_run_opts(bpf_program__fd(sweep_of(e)->progs.count_traffic), &opts));
}

void env_count_sockets(struct env *e, const __u64 *cookies, size_t count)
{
	struct traffic_sockets frame = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &frame,
		    .data_size_in =
			    offsetof(struct traffic_sockets, cookies) + count * sizeof(*cookies));

	memcpy(frame.cookies, cookies, count * sizeof(*cookies));
	must(!bpf_prog_test_run_opts(bpf_program__fd(sweep_of(e)->progs.count_sockets), &opts));
}

void env_put_sock(struct env *e, __u64 cookie, const struct sock_conn *s)
{
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.socks), &cookie, s, BPF_ANY));
}

void env_drop_sock(struct env *e, __u64 cookie)
{
	bpf_map_delete_elem(bpf_map__fd(e->tc->maps.socks), &cookie);
}

void env_put_netns(struct env *e, __u64 cookie, const struct netns_pod *pod)
{
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.netns_pods), &cookie, pod, BPF_ANY));
}

void env_lose_sock(struct env *e, __u64 cookie)
{
	struct sock_note note = { .cookie = cookie, .news = SOCK_GONE };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &note, .ctx_size_in = sizeof(note));

	must(!bpf_prog_test_run_opts(bpf_program__fd(sweep_of(e)->progs.sock_note), &opts));
}

static struct tcp_traffic traffic_of(struct env *e, const struct tcp_traffic_key *key)
{
	struct tcp_traffic t = {};

	if (bpf_map_lookup_elem(bpf_map__fd(e->tc->maps.tcp_traffic), key, &t))
		must(errno == ENOENT);
	return t;
}

struct tcp_traffic env_tcp_traffic(struct env *e)
{
	struct tcp_traffic_key key = { .cluster = CLUSTER_ID, .endpoint = ENDPOINT_ID };

	if (!e->o.outside)
		key.caller = env_client(e);
	return traffic_of(e, &key);
}

struct tcp_traffic env_tcp_traffic_of(struct env *e, const struct addr *caller)
{
	return traffic_of(e, &(struct tcp_traffic_key){ .caller = *caller,
							.cluster = CLUSTER_ID,
							.endpoint = ENDPOINT_ID });
}

struct tcp_traffic env_tcp_rest(struct env *e)
{
	return traffic_of(e, &(struct tcp_traffic_key){ .cluster = 0 });
}

static unsigned rows_of(const struct bpf_map *map)
{
	char key[sizeof(struct tuple)];
	int fd = bpf_map__fd(map), r;
	unsigned n = 0;

	for (r = bpf_map_get_next_key(fd, NULL, key); !r; n++)
		r = bpf_map_get_next_key(fd, key, key);
	return n;
}

unsigned env_tcp_rows(struct env *e)
{
	return rows_of(e->tc->maps.tcp_traffic) - 1;
}

unsigned env_tcp_counted(struct env *e)
{
	return rows_of(e->tc->maps.tcp_counted);
}

void env_fill_tcp_rows(struct env *e)
{
	struct tcp_traffic_key key = { .cluster = CLUSTER_ID + 1 };
	const struct tcp_traffic none = { .opened = 0 };

	do {
		key.endpoint++;
	} while (!bpf_map_update_elem(bpf_map__fd(e->tc->maps.tcp_traffic), &key, &none,
				      BPF_NOEXIST));
	must(errno == E2BIG && key.endpoint == TRAFFIC_TCP_ROWS);
}

unsigned env_entries(struct env *e)
{
	int fd = bpf_map__fd(e->tc->maps.conns);
	struct tuple key, next, *at = NULL;
	unsigned n = 0;

	while (!bpf_map_get_next_key(fd, at, &next)) {
		key = next;
		at = &key;
		n++;
	}
	return n;
}

static void look_up(struct bpf_map *map, __u32 id, void *out)
{
	must(!bpf_map_lookup_elem(bpf_map__fd(map), &id, out));
}

struct cluster_stat env_cluster(struct env *e)
{
	struct cluster_stat s;

	look_up(e->tc->maps.clusters, CLUSTER_ID, &s);
	return s;
}

struct cluster_limit env_limit(struct env *e)
{
	struct cluster_limit l;

	look_up(e->tc->maps.limits, CLUSTER_ID, &l);
	return l;
}

void env_set_proxied(struct env *e, __u32 n)
{
	struct cluster_limit l = env_limit(e);
	__u32 id = CLUSTER_ID;

	l.proxied = n;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.limits), &id, &l, 0));
}

struct endpoint_stat env_endpoint_stat(struct env *e)
{
	struct endpoint_stat s;

	look_up(e->tc->maps.endpoints, ENDPOINT_ID, &s);
	return s;
}

__u64 env_reason(struct env *e, enum reason reason)
{
	struct reason_stat s;

	look_up(e->tc->maps.reasons, reason, &s);
	return s.count;
}

__u64 env_picks(struct env *e)
{
	struct route_stat s;

	look_up(e->tc->maps.routes, ROUTE_ID, &s);
	return s.picks;
}

void env_clear(struct env *e)
{
	struct endpoint_stat endpoint = env_endpoint_stat(e);
	struct cluster_limit none = {};
	__u32 zero = 0, id = CLUSTER_ID;
	__u64 count = 0;

	map_clear(e->tc->maps.conns);
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.conn_count), &zero, &count, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.limits), &id, &none, 0));
	endpoint.active = 0;
	id = ENDPOINT_ID;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.endpoints), &id, &endpoint, 0));
}

__u64 env_counted(struct env *e)
{
	__u32 zero = 0;
	__u64 n;

	must(!bpf_map_lookup_elem(bpf_map__fd(e->tc->maps.conn_count), &zero, &n));
	return n;
}

bool env_conn(struct env *e, const struct tuple *key, struct conn *out)
{
	return !bpf_map_lookup_elem(bpf_map__fd(e->tc->maps.conns), key, out);
}

void env_flag(struct env *e, const struct tuple *key, __u8 flag)
{
	struct conn c;

	must(env_conn(e, key, &c));
	c.flags |= flag;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.conns), key, &c, BPF_EXIST));
}

static void age_entry(struct env *e, const struct tuple *key, unsigned ms)
{
	struct conn c;

	if (!env_conn(e, key, &c))
		return;
	c.created -= ms * 1000000ull;
	c.seen -= ms * 1000000ull;
	if (c.reset_at)
		c.reset_at -= ms * 1000000ull;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.conns), key, &c, BPF_EXIST));
}

void env_age(struct env *e, const struct tuple *forward, unsigned ms)
{
	struct tuple reply;
	struct conn c;

	must(env_conn(e, forward, &c));
	tuple_turn(&reply, &c.to);
	reply.hook = c.flags & CONN_HAIRPIN ? HOOK_INGRESS : HOOK_EGRESS;
	age_entry(e, forward, ms);
	age_entry(e, &reply, ms);
}

void env_shortcuts(struct env *e, const struct shortcut_state *state)
{
	static const __u32 ifindexes[] = { CLIENT_IF, ENDPOINT_IF };
	int fd = bpf_map__fd(e->tc->maps.pods);
	__u32 zero = 0;

	for (int i = 0; i < 2; i++) {
		struct pod pod;

		must(!bpf_map_lookup_elem(fd, &ifindexes[i], &pod));
		pod.netns_id = ifindexes[i];
		pod.shortcut = 1;
		must(!bpf_map_update_elem(fd, &ifindexes[i], &pod, 0));
	}
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.shortcut_state), &zero, state, 0));
}

void env_put_shortcut(struct env *e, const struct tuple *t, const struct shortcut *s)
{
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.shortcuts), t, s, 0));
}

void env_pod_gone(struct env *e, __u32 ifindex)
{
	must(!bpf_map_delete_elem(bpf_map__fd(e->tc->maps.pods), &ifindex));
}

void env_addr_gone(struct env *e, const struct addr *a)
{
	__u8 one = 1;

	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.gone_addrs), a, &one, 0));
}

unsigned env_resets(struct env *e, struct reset_event *out, unsigned max)
{
	unsigned n;

	e->reset_count = 0;
	must(ring_buffer__consume(e->events) >= 0);
	n = e->reset_count < max ? e->reset_count : max;
	memcpy(out, e->resets, n * sizeof(*out));
	return n;
}

/* ---- ConnectionPolicy ---- */

void env_protect(struct env *e, const struct protect_limits *limits)
{
	const struct protect_limits none = { .flags = 0 };
	__u32 entry = ++e->turn % 2, zero = 0;

	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.protect), &entry, limits ?: &none, 0));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.protect_turn), &zero, &e->turn, 0));
}

void env_protect_source(struct env *e, const struct addr *a, unsigned prefix,
			enum protect_source verdict)
{
	struct protect_key key = { .prefixlen = prefix + (e->o.family == 4 ? 96 : 0) };
	__u32 value = verdict;

	memcpy(key.addr, a, sizeof(key.addr));
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.protect_sources), &key, &value, 0));
}

void env_authorize(struct env *e, const struct addr *pod, __u32 set)
{
	e->tc->bss->authz_in_use = 1;
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.authz_pods), pod, &set, 0));
}

void env_authorize_row(struct env *e, __u32 set, __u16 port, bool local, const struct addr *from,
		       __u32 verdict)
{
	struct authz_key key = { .prefixlen = AUTHZ_KEY_BITS + (e->o.family == 4 ? 96 : 0),
				 .set = set,
				 .port = port,
				 .local = local };

	if (e->o.family == 4)
		key.addr[10] = key.addr[11] = 0xff;
	if (from) {
		key.prefixlen = AUTHZ_KEY_BITS + 128;
		memcpy(key.addr, from->b, sizeof(key.addr));
	}
	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.authz_rules), &key, &verdict, 0));
}

__u64 env_protect_count(struct env *e, enum protect_reason reason)
{
	int cpus = libbpf_num_possible_cpus();
	__u32 key = reason;
	__u64 each[256], sum = 0;

	must(cpus > 0 && cpus <= 256);
	must(!bpf_map_lookup_elem(bpf_map__fd(e->tc->maps.protect_count), &key, each));
	for (int i = 0; i < cpus; i++)
		sum += each[i];
	return sum;
}

void env_protect_calm(struct env *e)
{
	struct protect_bucket past = { .full_at = 0 };
	__u32 meter = PROTECT_METER_COOKIES;

	must(!bpf_map_update_elem(bpf_map__fd(e->tc->maps.protect_meters), &meter, &past, 0));
}

bool env_marked(const struct env *e)
{
	return e->marked;
}
