// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/source_addr.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/fnv.h"
#include "weft/conn.h"

static bool same(const struct addr *a, const struct addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool is_v4(const struct addr *a)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

/* ---- where an address is ---- */

static enum source_place find_place(const struct source_lookup *l, const struct addr *a)
{
	struct source_route route = { 0 };

	if (l->is_pod(l->arg, a))
		return SOURCE_POD;
	if (l->find_route(l->arg, a, &route))
		return SOURCE_ASIDE;
	if (route.local)
		return SOURCE_NODE;
	return l->is_ours(l->arg, route.ifindex) ? SOURCE_BEYOND : SOURCE_ASIDE;
}

static size_t hash(const struct addr *a)
{
	uint64_t h = fnv1a(FNV1A_BEGIN, a->b, sizeof(a->b));

	return h ^ h >> 32;
}

static enum source_place place_of(struct sources *s, const struct addr *a, uint64_t now)
{
	size_t i = hash(a) % SOURCE_PLACES;

	if (now >= s->places[i].until || !same(&s->places[i].addr, a)) {
		s->places[i].addr = *a;
		s->places[i].place = find_place(&s->lookup, a);
		s->places[i].until = now + SOURCE_FRESH_MS;
	}
	return s->places[i].place;
}

/* One that is none may become one at any time. */
static bool client_is_pod(struct sources *s, const struct addr *a, uint64_t now)
{
	size_t i = hash(a) % SOURCE_CLIENTS;

	if (now < s->clients[i].until && same(&s->clients[i].addr, a))
		return true;
	if (!s->lookup.is_pod(s->lookup.arg, a))
		return false;
	s->clients[i].addr = *a;
	s->clients[i].until = now + SOURCE_FRESH_MS;
	return true;
}

/* ---- what follows from it ---- */

bool source_is_node(struct sources *s, const struct addr *a, uint64_t now)
{
	return place_of(s, a, now) == SOURCE_NODE;
}

struct addr source_for(struct sources *s, const struct addr *endpoint, const struct addr *client,
		       const struct addr *called, uint64_t now)
{
	static const struct addr own;

	if (is_v4(endpoint) != is_v4(client))
		return own;
	/* Packets of a pod to itself never leave it: it is to see the service instead. */
	if (same(endpoint, client))
		return place_of(s, called, now) == SOURCE_NODE ? own : *called;
	switch (place_of(s, endpoint, now)) {
	case SOURCE_POD:
		return *client;
	case SOURCE_BEYOND:
		/* Replies of another node to a client outside would not come by this node. */
		return client_is_pod(s, client, now) ? *client : own;
	default:
		return own;
	}
}

/* ---- the kernel's answers ---- */

struct kernel_lookup {
	struct source_options options;
	struct mnl_socket *netlink;
	unsigned seq;
};

static bool kernel_is_pod(void *arg, const struct addr *a)
{
	const struct kernel_lookup *k = arg;
	__u32 ifindex;

	return k->options.pod_addrs >= 0 && !bpf_map_lookup_elem(k->options.pod_addrs, a, &ifindex);
}

static bool kernel_is_ours(void *arg, uint32_t ifindex)
{
	const struct kernel_lookup *k = arg;
	struct nic nic;
	struct pod pod;

	return (k->options.nics >= 0 && !bpf_map_lookup_elem(k->options.nics, &ifindex, &nic)) ||
	       (k->options.pods >= 0 && !bpf_map_lookup_elem(k->options.pods, &ifindex, &pod));
}

static struct nlmsghdr *route_question(struct kernel_lookup *k, const struct addr *to, void *room)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct rtmsg *r = mnl_nlmsg_put_extra_header(m, sizeof(*r));
	bool v4 = is_v4(to);

	m->nlmsg_type = RTM_GETROUTE;
	m->nlmsg_flags = NLM_F_REQUEST;
	m->nlmsg_seq = ++k->seq;
	r->rtm_family = v4 ? AF_INET : AF_INET6;
	r->rtm_dst_len = v4 ? 32 : 128;
	mnl_attr_put(m, RTA_DST, v4 ? 4 : 16, v4 ? to->b + 12 : to->b);
	if (k->options.mark)
		mnl_attr_put_u32(m, RTA_MARK, k->options.mark);
	return m;
}

static int read_attribute(const struct nlattr *a, void *arg)
{
	struct source_route *out = arg;

	if (mnl_attr_get_type(a) == RTA_OIF && !mnl_attr_validate(a, MNL_TYPE_U32))
		out->ifindex = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int read_route(const struct nlmsghdr *m, void *arg)
{
	const struct rtmsg *r = mnl_nlmsg_get_payload(m);
	struct source_route *out = arg;

	out->local = r->rtm_type == RTN_LOCAL;
	return mnl_attr_parse(m, sizeof(*r), read_attribute, out);
}

/* The kernel answers at once. */
static int kernel_find_route(void *arg, const struct addr *to, struct source_route *out)
{
	struct kernel_lookup *k = arg;
	char room[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *m = route_question(k, to, room);
	ssize_t n;

	if (mnl_socket_sendto(k->netlink, m, m->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(k->netlink, room, sizeof(room));
	if (n < 0)
		return -errno;
	if (mnl_cb_run(room, (size_t)n, k->seq, mnl_socket_get_portid(k->netlink), read_route,
		       out) < 0)
		return -errno;
	return 0;
}

static void kernel_free(struct kernel_lookup *k)
{
	if (k->netlink)
		mnl_socket_close(k->netlink);
	free(k);
}

DEFINE_CLEANUP(struct kernel_lookup *, kernel_free);

int source_lookup_open(const struct source_options *o, struct source_lookup *out)
{
	_cleanup_(kernel_freep) struct kernel_lookup *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->options = *o;
	k->netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!k->netlink || mnl_socket_bind(k->netlink, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	*out = (struct source_lookup){ kernel_is_pod, kernel_find_route, kernel_is_ours,
				       TAKE_PTR(k) };
	return 0;
}

void source_lookup_close(struct source_lookup *l)
{
	if (l->arg)
		kernel_free(l->arg);
	*l = (struct source_lookup){ 0 };
}
