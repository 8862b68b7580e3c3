// SPDX-License-Identifier: Apache-2.0
/*
 * What weftd has put on the node's interfaces, into its routing and its netfilter, and what others
 * can take away again.
 */
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include "daemon/node/node_priv.h"
#include "daemon/node/tproxy_rules.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

void restore_init(struct restore *s)
{
	s->tc.fd = s->nft.fd = s->netfilter = -1;
}

void restore_free(struct restore *s)
{
	event_close(&s->tc);
	event_close(&s->nft);
	closep(&s->netfilter);
}

static void drain(int fd)
{
	char buf[8192];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
}

static void on_tc(void *arg, uint32_t events)
{
	struct local_node *node = arg;

	(void)events;
	drain(node->restore.tc.fd);
	node->changed(node->arg);
}

static void on_nft(void *arg, uint32_t events)
{
	struct local_node *node = arg;

	(void)events;
	drain(node->restore.nft.fd);
	node->changed(node->arg);
}

/* A kernel that lacks nf_tables has nothing to tell of it. */
static int open_netfilter(unsigned groups, int flags)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = groups };
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_NETFILTER);

	return fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ? -1 : TAKE_FD(fd);
}

static int watch(struct local_node *node, struct event *e, void (*ready)(void *arg, uint32_t))
{
	e->ready = ready;
	e->arg = node;
	return e->fd < 0 ? 0 : event_watch(node->loop, e, EPOLLIN);
}

int restore_open(struct local_node *node)
{
	static const unsigned groups[] = { RTNLGRP_TC, 0 };
	struct restore *s = &node->restore;
	int r;

	if (!node->attach.tcx) /* then filters carry the programs */
		s->tc.fd = nl_listen(groups, false);
	s->nft.fd = open_netfilter(1u << (NFNLGRP_NFTABLES - 1), SOCK_NONBLOCK);
	s->netfilter = open_netfilter(0, 0);
	r = watch(node, &s->tc, on_tc);
	if (!r)
		r = watch(node, &s->nft, on_nft);
	return r ? log_err(r, "watch for what others take away") : 0;
}

/* ---- interfaces ---- */

struct side {
	enum role role;
	enum hook hook;
	enum prog_id prog; /* of a NIC: nic_prog() */
};

static const struct side sides[] = {
	{ ROLE_POD, HOOK_EGRESS, PROG_TO_POD },		 { ROLE_POD, HOOK_INGRESS, PROG_FROM_POD },
	{ ROLE_NIC, HOOK_EGRESS, PROG_TO_NIC },		 { ROLE_NIC, HOOK_INGRESS, PROG_FROM_NIC },
	{ ROLE_BRIDGE, HOOK_INGRESS, PROG_FROM_BRIDGE },
};

/* Calls `each` for every side of an interface where our program does not run, with that. */
static int each_bare_side(struct local_node *node,
			  int (*each)(void *arg, const struct iface *i, enum hook hook,
				      enum prog_id prog),
			  void *arg)
{
	int r = 0;

	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		for (size_t n = 0; n < sizeof(sides) / sizeof(sides[0]); n++) {
			const struct side *s = &sides[n];
			enum prog_id prog = s->role == ROLE_NIC ? nic_prog(i, s->hook) : s->prog;

			if (i->role == s->role && !attach_runs(&node->attach, i->link.ifindex,
							       s->hook, node->loader->prog[prog]))
				r = each(arg, i, s->hook, prog) ?: r;
		}
	}
	return r;
}

struct teller {
	void (*tell)(void *arg, const char *what);
	void *arg;
};

static int tell_side(void *arg, const struct iface *i, enum hook hook, enum prog_id prog)
{
	const struct teller *t = arg;
	char text[96];

	(void)hook;
	snprintf(text, sizeof(text), "program %s on %s", loader_prog_name(prog), i->link.name);
	t->tell(t->arg, text);
	return 0;
}

static int put_side(void *arg, const struct iface *i, enum hook hook, enum prog_id prog)
{
	struct local_node *node = arg;
	int r = attach_put_back(&node->attach, i->link.ifindex, hook, node->loader->prog[prog]);

	return r == -ENODEV ? 0 : r;
}

static int put_sides(struct local_node *node)
{
	int r = attach_make_dir(&node->attach);

	return r ? r : each_bare_side(node, put_side, node);
}

/* ---- XDP ---- */

static void xdp_each_missing(struct local_node *node, struct teller *t)
{
	char text[96];

	for (const struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (!nic_xdp_missing(node, i))
			continue;
		snprintf(text, sizeof(text), "program %s on %s", loader_prog_name(PROG_FROM_WIRE),
			 i->link.name);
		t->tell(t->arg, text);
	}
}

static int put_xdp(struct local_node *node)
{
	int r = 0;

	for (struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (nic_xdp_missing(node, i))
			r = nic_xdp_put_back(node, i) ?: r;
	}
	return r;
}

/* ---- the way to weft-proxy ---- */

/* A kernel without nf_tables has been complained of when the way was made. */
static bool untracked_missing(struct local_node *node)
{
	struct restore *s = &node->restore;
	bool there = s->netfilter >= 0 && tproxy_is_untracked(s->netfilter);

	s->untracked |= there;
	return s->untracked && !there;
}

/* ---- all of it ---- */

void node_each_missing(struct local_node *node, enum node_part part,
		       void (*tell)(void *arg, const char *what), void *arg)
{
	struct teller t = { tell, arg };

	if (part == NODE_INTERFACES) {
		(void)each_bare_side(node, tell_side, &t);
		xdp_each_missing(node, &t);
	} else if (!node->tproxy) {
		return;
	} else if (part == NODE_ROUTING) {
		tproxy_each_missing(node->netlink, tell, arg);
	} else if (untracked_missing(node)) {
		tell(arg, "nftables table inet weft");
	}
}

int node_put_back(struct local_node *node, enum node_part part)
{
	switch (part) {
	case NODE_INTERFACES:
		return put_sides(node) ?: put_xdp(node);
	case NODE_ROUTING:
		return tproxy_put_back(node->netlink);
	case NODE_NETFILTER:
		return tproxy_untrack();
	}
	return -EINVAL;
}
