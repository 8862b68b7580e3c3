/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node/shortcut.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "lib/base/cleanup.h"
#include "daemon/node/node_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "survey.skel.h"

enum {
	PERIOD_MS = 1000,
	SOON_MS = 20,
	VALID_S =
		3, /* entries expire when no weftd renews them: packets then take the node's path */
};

void shortcut_init(struct shortcuts *s)
{
	*s = (struct shortcuts){ .timer.fd = -1, .tc.fd = -1, .nft.fd = -1 };
}

void shortcut_free(struct shortcuts *s)
{
	survey_bpf__destroy(s->survey);
	event_close(&s->timer);
	event_close(&s->tc);
	event_close(&s->nft);
}

static int write_state(struct local_node *node)
{
	__u32 zero = 0;

	return bpf_map_update_elem(node->loader->map[MAP_SHORTCUT_STATE], &zero,
				   &node->shortcut.state, BPF_ANY)
		       ? log_err(-errno, "write the map %s", loader_map_name(MAP_SHORTCUT_STATE))
		       : 0;
}

void shortcut_changed(struct local_node *node)
{
	node->shortcut.state.epoch++;
	(void)write_state(node);
}

/* ---- what there is on the node's own way ---- */

/* False if the kernel can't tell. */
static bool survey(struct local_node *node, int ifindex, struct survey_args *out)
{
	struct survey_args args = { .ifindex = (__u32)ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));
	struct survey_bpf *s = node->shortcut.survey;

	if (!s || bpf_prog_test_run_opts(bpf_program__fd(s->progs.survey), &opts))
		return false;
	args.name[sizeof(args.name) - 1] = 0;
	*out = args;
	return true;
}

struct reason_text {
	char s[160];
};

static bool __attribute__((format(printf, 2, 3)))
because(struct reason_text *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->s, sizeof(why->s), fmt, args);
	va_end(args);
	return false;
}

/* Nothing that concerns all of the node has a say. */
static bool node_is_bare(struct local_node *node, struct reason_text *why)
{
	struct survey_args found;

	if (!survey(node, 0, &found))
		return because(why, "the kernel does not tell of netfilter hooks");
	if (found.hooks)
		return because(why, "netfilter hooks on the forward path (%s)", found.name);
	if (found.xfrm)
		return because(why, "IPsec policies");
	return true;
}

void netfilter_on_forward(struct local_node *node, char *out, size_t size)
{
	struct survey_args found;
	bool told = survey(node, 0, &found);

	snprintf(out, size, "%s", told && found.hooks ? found.name : "");
}

static bool is_harmless(const char *kind)
{
	return !strcmp(kind, "noqueue") || !strcmp(kind, "clsact") || !strcmp(kind, "ingress");
}

static int note_qdisc(void *arg, int ifindex, const char *kind)
{
	struct iface *i = iface_find(arg, ifindex);

	if (!i)
		return 0;
	if (!is_harmless(kind))
		snprintf(i->qdisc, sizeof(i->qdisc), "%s", kind);
	else if (strcmp(kind, "noqueue") != 0)
		i->has_filters = true;
	return 0;
}

static bool read_qdiscs(struct local_node *node, struct reason_text *why)
{
	int r;

	for (struct iface *i = node->pods.ifaces; i; i = i->next)
		i->qdisc[0] = 0, i->has_filters = false;
	r = nl_each_qdisc(node->netlink, note_qdisc, node->pods.ifaces);
	return r ? because(why, "the queueing disciplines can't be read: %s", strerror(-r)) : true;
}

/* Nothing of others treats packets at the interface, coming in or going out. */
static bool is_bare(struct local_node *node, const struct iface *i, struct reason_text *why)
{
	static const enum prog_id own[] = { PROG_FROM_POD, PROG_TO_POD, PROG_FROM_BRIDGE,
					    PROG_FROM_NIC, PROG_TO_NIC };
	int fds[sizeof(own) / sizeof(own[0])];
	struct survey_args found;

	for (size_t n = 0; n < sizeof(own) / sizeof(own[0]); n++)
		fds[n] = node->loader->prog[own[n]];
	if (!(i->link.flags & IFF_UP))
		return because(why, "%s: is down", i->link.name);
	if (i->qdisc[0])
		return because(why, "%s: queueing discipline %s", i->link.name, i->qdisc);
	if (i->link.xdp)
		return because(why, "%s: an XDP program", i->link.name);
	if (attach_has_foreign(&node->attach, i->link.ifindex, i->has_filters, fds,
			       sizeof(own) / sizeof(own[0])))
		return because(why, "%s: tc programs or filters of others", i->link.name);
	if (!survey(node, i->link.ifindex, &found) || !found.found)
		return because(why, "%s: the kernel does not tell of netfilter hooks",
			       i->link.name);
	if (found.hooks)
		return because(why, "%s: netfilter hooks (%s)", i->link.name, found.name);
	return true;
}

static bool pod_is_bare(struct local_node *node, const struct iface *i, struct reason_text *why)
{
	const struct iface *bridge = iface_bridge(node->pods.ifaces, i);

	if (strcmp(i->link.kind, "veth") != 0)
		return because(why, "%s: is no veth", i->link.name);
	if (i->link.master && !bridge)
		return because(why, "%s: is a port of something else than a bridge", i->link.name);
	if (bridge && !bridge->bare)
		return because(why, "%s: its bridge %s does something of its own", i->link.name,
			       bridge->link.name);
	return is_bare(node, i, why);
}

/* ---- what follows ---- */

static void tell(struct local_node *node, const char *text)
{
	if (!strcmp(node->shortcut.text, text))
		return;
	snprintf(node->shortcut.text, sizeof(node->shortcut.text), "%s", text);
	log_info("short cut %s", text);
}

static int stop(struct local_node *node, const struct reason_text *why)
{
	char text[SHORTCUT_TEXT_MAX];

	snprintf(text, sizeof(text), "auto: not used: %s", why->s);
	tell(node, text);
	if (!node->shortcut.state.until)
		return 0;
	node->shortcut.state.until = 0;
	return write_state(node);
}

/* Until the next check. */
static int go_on(struct local_node *node)
{
	node->shortcut.state.until = clock_ns() + VALID_S * 1000000000ull;
	return write_state(node);
}

struct count {
	unsigned pods, bare;
	struct reason_text why; /* of the last that is not */
};

/* The map's entry first, then its epoch (pod_write()): a program that sees the epoch sees the
 * entry. */
static int judge_pod(struct local_node *node, struct iface *i, struct count *c)
{
	bool bare = pod_is_bare(node, i, &c->why);
	int r;

	c->pods++;
	c->bare += bare;
	if (bare == i->bare)
		return 0;
	i->bare = bare;
	r = pod_write(node, i);
	if (r)
		i->bare = !bare; /* as the map has it: the next check writes it */
	return r;
}

static int judge_pods(struct local_node *node, struct count *c)
{
	struct reason_text none;
	int r = 0;

	for (struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (i->role == ROLE_BRIDGE || !strcmp(i->link.kind, "bridge"))
			i->bare = is_bare(node, i, &none);
	}
	for (struct iface *i = node->pods.ifaces; !r && i; i = i->next) {
		if (i->role == ROLE_POD)
			r = judge_pod(node, i, c);
	}
	return r;
}

static void tell_count(struct local_node *node, const struct count *c)
{
	char text[SHORTCUT_TEXT_MAX];

	if (c->bare == c->pods)
		snprintf(text, sizeof(text), "auto: in use");
	else if (c->bare)
		snprintf(text, sizeof(text), "auto: in use, but not for %u of %u pods (%s)",
			 c->pods - c->bare, c->pods, c->why.s);
	else
		snprintf(text, sizeof(text), "auto: not used: %s", c->why.s);
	tell(node, text);
}

/* Checks all interfaces again. */
static int shortcut_refresh(struct local_node *node)
{
	struct reason_text why;
	struct count c = {};
	int r;

	if (node->shortcut.mode != SHORTCUT_AUTO)
		return 0;
	if (!node_is_bare(node, &why) || !read_qdiscs(node, &why))
		return stop(node, &why);
	r = judge_pods(node, &c);
	if (r) {
		because(&why, "the pods can't be written: %s", strerror(-r));
		(void)stop(node, &why);
		return r;
	}
	tell_count(node, &c);
	return go_on(node);
}

/* ---- when to check ---- */

static int set_timer(struct shortcuts *s, unsigned ms)
{
	struct itimerspec t = {
		.it_value = { ms / 1000, ms % 1000 * 1000000L },
		.it_interval = { PERIOD_MS / 1000, PERIOD_MS % 1000 * 1000000L },
	};

	return timerfd_settime(s->timer.fd, 0, &t, NULL) ? log_err(-errno, "set a timer") : 0;
}

/* Never later than it is set already: a series of changes must not put it off without end. */
void shortcut_soon(struct local_node *node)
{
	struct shortcuts *s = &node->shortcut;
	struct itimerspec is;

	if (s->timer.fd < 0 || timerfd_gettime(s->timer.fd, &is))
		return;
	if (is.it_value.tv_sec || is.it_value.tv_nsec > SOON_MS * 1000000L)
		(void)set_timer(s, SOON_MS);
}

static void ignore(void *arg, int nsid, const struct nlmsghdr *h)
{
	(void)arg;
	(void)nsid;
	(void)h;
}

static void drain(int fd)
{
	char buf[8192];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
}

static void on_timer(void *arg, uint32_t events)
{
	struct local_node *node = arg;
	uint64_t ticks;

	(void)events;
	if (read(node->shortcut.timer.fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		log_err(-errno, "read a timer");
	(void)shortcut_refresh(node);
}

static void on_tc(void *arg, uint32_t events)
{
	struct local_node *node = arg;

	(void)events;
	(void)nl_receive(node->shortcut.tc.fd, ignore, NULL);
	(void)shortcut_refresh(node);
}

static void on_nft(void *arg, uint32_t events)
{
	struct local_node *node = arg;

	(void)events;
	drain(node->shortcut.nft.fd);
	(void)shortcut_refresh(node);
}

/* Changes of nf_tables' chains. A kernel that lacks nf_tables has none. */
static int listen_nft(void)
{
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	struct sockaddr_nl group = { .nl_family = AF_NETLINK,
				     .nl_groups = 1u << (NFNLGRP_NFTABLES - 1) };

	if (fd < 0 || bind(fd, (struct sockaddr *)&group, sizeof(group)))
		return -1;
	return TAKE_FD(fd);
}

static int watch(struct local_node *node, struct event *e, int fd,
		 void (*ready)(void *arg, uint32_t events))
{
	*e = (struct event){ .fd = fd, .ready = ready, .arg = node };
	return event_watch(node->loop, e, EPOLLIN);
}

static int open_auto(struct local_node *node)
{
	static const unsigned groups[] = { RTNLGRP_TC, 0 };
	struct shortcuts *s = &node->shortcut;
	int tc = nl_listen(groups, false), nft = listen_nft();
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int r = tc < 0 ? tc : timer < 0 ? -errno : 0;

	s->tc.fd = tc, s->nft.fd = nft, s->timer.fd = timer;
	if (!r)
		r = watch(node, &s->tc, tc, on_tc);
	if (!r && nft >= 0)
		r = watch(node, &s->nft, nft, on_nft);
	if (!r)
		r = watch(node, &s->timer, timer, on_timer);
	return r ? log_err(r, "listen to changes of queueing disciplines") : set_timer(s, SOON_MS);
}

int shortcut_open(struct local_node *node, enum shortcut_mode mode)
{
	struct shortcuts *s = &node->shortcut;
	__u32 zero = 0;

	s->mode = mode;
	s->survey = survey_bpf__open_and_load();
	if (!s->survey)
		log_warning("this kernel does not tell of its netfilter hooks (--log-level debug "
			    "says why)");
	if (bpf_map_lookup_elem(node->loader->map[MAP_SHORTCUT_STATE], &zero, &s->state))
		return log_err(-errno, "read the map %s", loader_map_name(MAP_SHORTCUT_STATE));
	s->state.until = mode == SHORTCUT_ALWAYS ? ~0ull : 0;
	s->state.epoch++;
	snprintf(s->text, sizeof(s->text), "%s",
		 mode == SHORTCUT_ALWAYS  ? "always"
		 : mode == SHORTCUT_NEVER ? "never"
					  : "auto: not looked at yet");
	if (mode == SHORTCUT_AUTO) {
		int r = open_auto(node);

		if (r)
			return r;
	}
	return write_state(node);
}
