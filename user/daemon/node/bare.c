/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node/bare.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "daemon/node/node_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "survey.skel.h"

enum {
	PERIOD_MS = 1000,
	SOON_MS = 20,
};

void bare_init(struct bare *b)
{
	*b = (struct bare){ .timer.fd = -1, .tc.fd = -1, .nft.fd = -1 };
}

void bare_free(struct bare *b)
{
	survey_bpf__destroy(b->survey);
	event_close(&b->timer);
	event_close(&b->tc);
	event_close(&b->nft);
}

/* ---- what there is ---- */

/* False if the kernel can't tell. */
static bool survey(struct local_node *node, int ifindex, struct survey_args *out)
{
	struct survey_args args = { .ifindex = (__u32)ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));
	struct survey_bpf *s = node->bare.survey;

	if (!s || bpf_prog_test_run_opts(bpf_program__fd(s->progs.survey), &opts))
		return false;
	args.name[sizeof(args.name) - 1] = 0;
	*out = args;
	return true;
}

bool because(struct reason_text *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->s, sizeof(why->s), fmt, args);
	va_end(args);
	return false;
}

bool node_is_bare(struct local_node *node, struct reason_text *why)
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

/* Only lets flows take turns while the interface is busy: what passes it by loses nothing. */
static bool is_plain_queue(const char *kind)
{
	static const char *const kinds[] = { "mq", "fq", "fq_codel", "pfifo_fast" };

	for (size_t n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++)
		if (!strcmp(kind, kinds[n]))
			return true;
	return false;
}

static int note_qdisc(void *arg, int ifindex, const char *kind)
{
	struct iface *i = iface_find(arg, ifindex);

	if (!i || !strcmp(kind, "noqueue"))
		return 0;
	if (is_harmless(kind)) {
		i->has_filters = true;
		return 0;
	}
	snprintf(i->qdisc, sizeof(i->qdisc), "%s", kind);
	if (!is_plain_queue(kind))
		snprintf(i->shaper, sizeof(i->shaper), "%s", kind);
	return 0;
}

bool qdiscs_read(struct local_node *node, struct reason_text *why)
{
	int r;

	for (struct iface *i = node->pods.ifaces; i; i = i->next)
		i->qdisc[0] = i->shaper[0] = 0, i->has_filters = false;
	r = nl_each_qdisc(node->netlink, note_qdisc, node->pods.ifaces);
	return r ? because(why, "the queueing disciplines can't be read: %s", strerror(-r)) : true;
}

/* Nothing of others treats packets at the interface but its queue, which the caller looks at. */
static bool is_bare_but_queue(struct local_node *node, const struct iface *i,
			      struct reason_text *why)
{
	static const enum prog_id own[] = { PROG_FROM_POD, PROG_TO_POD, PROG_FROM_BRIDGE,
					    PROG_FROM_NIC, PROG_TO_NIC, PROG_FROM_TUNNEL,
					    PROG_TO_TUNNEL };
	int fds[sizeof(own) / sizeof(own[0])];
	struct survey_args found;

	for (size_t n = 0; n < sizeof(own) / sizeof(own[0]); n++)
		fds[n] = node->loader->prog[own[n]];
	if (!(i->link.flags & IFF_UP))
		return because(why, "%s: is down", i->link.name);
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

bool iface_is_bare(struct local_node *node, const struct iface *i, struct reason_text *why)
{
	if (i->qdisc[0])
		return because(why, "%s: queueing discipline %s", i->link.name, i->qdisc);
	if (i->link.xdp)
		return because(why, "%s: an XDP program", i->link.name);
	return is_bare_but_queue(node, i, why);
}

bool nic_is_bare(struct local_node *node, const struct iface *i, struct reason_text *why)
{
	if (i->shaper[0])
		return because(why, "%s: queueing discipline %s", i->link.name, i->shaper);
	return is_bare_but_queue(node, i, why);
}

/* ---- when to check ---- */

static int set_timer(struct bare *s, unsigned ms)
{
	struct itimerspec t = {
		.it_value = { ms / 1000, ms % 1000 * 1000000L },
		.it_interval = { PERIOD_MS / 1000, PERIOD_MS % 1000 * 1000000L },
	};

	return timerfd_settime(s->timer.fd, 0, &t, NULL) ? log_err(-errno, "set a timer") : 0;
}

/* Never later than it is set already: a series of changes must not put it off without end. */
void bare_soon(struct local_node *node)
{
	struct bare *s = &node->bare;
	struct itimerspec is;

	if (s->timer.fd < 0 || timerfd_gettime(s->timer.fd, &is))
		return;
	if (is.it_value.tv_sec || is.it_value.tv_nsec > SOON_MS * 1000000L)
		(void)set_timer(s, SOON_MS);
}

static void refresh(struct local_node *node)
{
	(void)shortcut_refresh(node);
	(void)nic_xdp_refresh(node);
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
	if (read(node->bare.timer.fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		log_err(-errno, "read a timer");
	refresh(node);
}

static void on_tc(void *arg, uint32_t events)
{
	struct local_node *node = arg;

	(void)events;
	(void)nl_receive(node->bare.tc.fd, ignore, NULL);
	refresh(node);
}

static void on_nft(void *arg, uint32_t events)
{
	struct local_node *node = arg;

	(void)events;
	drain(node->bare.nft.fd);
	refresh(node);
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

static int open_watch(struct local_node *node)
{
	static const unsigned groups[] = { RTNLGRP_TC, 0 };
	struct bare *s = &node->bare;
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

int bare_open(struct local_node *node, bool follow)
{
	node->bare.survey = survey_bpf__open_and_load();
	if (!node->bare.survey)
		log_warning("this kernel does not tell of its netfilter hooks (--log-level debug "
			    "says why)");
	return follow ? open_watch(node) : 0;
}
