// SPDX-License-Identifier: Apache-2.0
#include "daemon/node/tproxy_rules.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "daemon/netlink/netlink.h"
#include "weft/tproxy.h"

enum { LOOPBACK = 1 }; /* every network namespace's first interface */

static const struct family {
	int number;
	const char *name;
} families[] = { { AF_INET, "IPv4" }, { AF_INET6, "IPv6" } };

enum { FAMILIES = sizeof(families) / sizeof(*families) };

/*
 * What is marked comes in. Where settings have a mark copied to answers, or looked at when the way
 * back to a sender is checked (src_valid_mark, which WireGuard wants), the node itself asks for a
 * way with the mark: that is not ours.
 */
static const struct rule {
	__u8 action;
	bool own; /* asked by the node itself */
	__u32 priority, next;
} rules[] = {
	{ FR_ACT_NOP, false, TPROXY_PRIORITY + 1, 0 },
	{ FR_ACT_GOTO, true, TPROXY_PRIORITY - 1, TPROXY_PRIORITY + 1 },
	{ FR_ACT_TO_TBL, false, TPROXY_PRIORITY, 0 },
};

enum { RULES = sizeof(rules) / sizeof(*rules) };

static int call_rule(int netlink, int family, const struct rule *r, int type, int flags)
{
	const __u32 mark = TPROXY_MARK, mask = ~0u, table = TPROXY_TABLE;
	struct nl_request q;
	struct fib_rule_hdr *h = nl_begin(&q, type, flags | NLM_F_ACK, sizeof(*h));

	h->family = family;
	h->action = r->action;
	nl_put(&q, FRA_PRIORITY, &r->priority, sizeof(r->priority));
	nl_put(&q, FRA_FWMARK, &mark, sizeof(mark));
	nl_put(&q, FRA_FWMASK, &mask, sizeof(mask));
	if (r->own)
		nl_put(&q, FRA_IIFNAME, "lo", sizeof("lo"));
	if (r->action == FR_ACT_GOTO)
		nl_put(&q, FRA_GOTO, &r->next, sizeof(r->next));
	if (r->action == FR_ACT_TO_TBL)
		nl_put(&q, FRA_TABLE, &table, sizeof(table));
	return nl_call(netlink, &q, NULL, NULL);
}

static int call_route(int netlink, int family, int type, int flags)
{
	const __u32 table = TPROXY_TABLE, loopback = LOOPBACK;
	struct nl_request q;
	struct rtmsg *m = nl_begin(&q, type, flags | NLM_F_ACK, sizeof(*m));

	m->rtm_family = family;
	m->rtm_type = RTN_LOCAL;
	m->rtm_scope = RT_SCOPE_HOST;
	m->rtm_protocol = RTPROT_STATIC;
	nl_put(&q, RTA_TABLE, &table, sizeof(table));
	nl_put(&q, RTA_OIF, &loopback, sizeof(loopback));
	return nl_call(netlink, &q, NULL, NULL);
}

static int add(int netlink, int family)
{
	int r = call_route(netlink, family, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);

	for (int i = 0; !r && i < RULES; i++) {
		r = call_rule(netlink, family, &rules[i], RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
		if (r == -EEXIST)
			r = 0;
	}
	return r;
}

static int is_absent(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EAFNOSUPPORT || r == -EOPNOTSUPP;
}

static int drop(int netlink, int family)
{
	int r, first = 0;

	for (int i = RULES; i-- > 0;) {
		r = call_rule(netlink, family, &rules[i], RTM_DELRULE, 0);
		if (r && !is_absent(r) && !first)
			first = r;
	}
	r = call_route(netlink, family, RTM_DELROUTE, 0);
	return first || is_absent(r) ? first : r;
}

/* True, too, where the kernel has no IPv6. */
static bool is_ipv6_off(const char *setting)
{
	_cleanup_fclose_ FILE *f = fopen(setting, "re");

	return !f || fgetc(f) != '0';
}

/* Where all of it is switched off by sysctl, the kernel takes no route on lo. Where lo's alone is,
 * what the pods send by IPv6 can't be handed over, and weftd is not ready. */
static bool has_ipv6(void)
{
	return !is_ipv6_off("/proc/sys/net/ipv6/conf/lo/disable_ipv6") ||
	       !is_ipv6_off("/proc/sys/net/ipv6/conf/all/disable_ipv6");
}

/* 0, -ENOMEM or -EIO. */
static int nft(const char *commands)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	int r;

	if (!nft)
		return -ENOMEM;
	nft_ctx_buffer_error(nft);
	r = nft_run_cmd_from_buffer(nft, commands);
	if (r)
		log_debug("nftables: %s", nft_ctx_get_error_buffer(nft));
	nft_ctx_free(nft);
	return r ? -EIO : 0;
}

int tproxy_untrack(void)
{
	char commands[512];

	snprintf(commands, sizeof(commands),
		 "add table inet weft\ndelete table inet weft\nadd table inet weft\n"
		 "add chain inet weft prerouting { type filter hook prerouting priority raw; }\n"
		 "add rule inet weft prerouting meta mark %#x notrack\n",
		 TPROXY_MARK);
	return nft(commands);
}

static int add_all(int netlink, const struct family **at)
{
	int r = 0;

	for (int i = 0; !r && i < FAMILIES; i++) {
		*at = &families[i];
		if (families[i].number == AF_INET || has_ipv6())
			r = add(netlink, families[i].number);
	}
	return r;
}

int tproxy_put_back(int netlink)
{
	const struct family *at;

	return add_all(netlink, &at);
}

int tproxy_add(int netlink)
{
	const struct family *at;
	int r = add_all(netlink, &at);

	if (r)
		return log_err(r, "add the %s routing to weft-proxy (rule %d, table %d; is lo up?)",
			       at->name, TPROXY_PRIORITY, TPROXY_TABLE);
	/* What can't be set up has a consequence only beside kube-proxy or other address
	 * translation. */
	if (tproxy_untrack())
		log_warning("HTTP through weft-proxy will not get along with kube-proxy: its "
			    "packets are tracked");
	return 0;
}

/* ---- what is there ---- */

struct seen {
	bool rule[RULES], route;
};

static bool has_number(const struct rtattr *a, __u32 value)
{
	return (__u32)nl_int(a, 0) == value;
}

static int see_rule(void *arg, const struct nlmsghdr *h)
{
	const struct fib_rule_hdr *rule = NLMSG_DATA(h);
	struct seen *seen = arg;
	struct nl_attrs a;

	if (h->nlmsg_type != RTM_NEWRULE)
		return 0;
	nl_parse(h, sizeof(*rule), &a);
	for (int i = 0; i < RULES; i++)
		seen->rule[i] |= rule->action == rules[i].action &&
				 has_number(a.at[FRA_PRIORITY], rules[i].priority) &&
				 has_number(a.at[FRA_FWMARK], TPROXY_MARK) &&
				 has_number(a.at[FRA_FWMASK], ~0u) &&
				 (rule->action != FR_ACT_TO_TBL ||
				  has_number(a.at[FRA_TABLE], TPROXY_TABLE));
	return 0;
}

static int see_route(void *arg, const struct nlmsghdr *h)
{
	const struct rtmsg *route = NLMSG_DATA(h);
	struct seen *seen = arg;
	struct nl_attrs a;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return 0;
	nl_parse(h, sizeof(*route), &a);
	seen->route |= route->rtm_type == RTN_LOCAL && !route->rtm_dst_len &&
		       has_number(a.at[RTA_TABLE], TPROXY_TABLE) &&
		       has_number(a.at[RTA_OIF], LOOPBACK);
	return 0;
}

static int read_family(int netlink, int family, struct seen *seen)
{
	const __u32 table = TPROXY_TABLE;
	struct nl_request q;
	struct fib_rule_hdr *rule = nl_begin(&q, RTM_GETRULE, NLM_F_DUMP, sizeof(*rule));
	struct rtmsg *route;
	int r;

	rule->family = family;
	r = nl_call(netlink, &q, see_rule, seen);
	if (r)
		return r;
	route = nl_begin(&q, RTM_GETROUTE, NLM_F_DUMP, sizeof(*route));
	route->rtm_family = family;
	nl_put(&q, RTA_TABLE, &table, sizeof(table));
	r = nl_call(netlink, &q, see_route, seen);
	return r == -ENOENT ? 0 : r; /* the table has gone with its only route */
}

static void tell_missing(const struct family *f, const struct seen *seen,
			 void (*tell)(void *arg, const char *what), void *arg)
{
	char text[64];

	for (int i = 0; i < RULES; i++) {
		if (seen->rule[i])
			continue;
		snprintf(text, sizeof(text), "ip rule %u of %s", rules[i].priority, f->name);
		tell(arg, text);
	}
	if (seen->route)
		return;
	snprintf(text, sizeof(text), "route of table %d of %s", TPROXY_TABLE, f->name);
	tell(arg, text);
}

void tproxy_each_missing(int netlink, void (*tell)(void *arg, const char *what), void *arg)
{
	for (int i = 0; i < FAMILIES; i++) {
		struct seen seen = {};

		if (families[i].number == AF_INET6 && !has_ipv6())
			continue;
		if (!read_family(netlink, families[i].number, &seen))
			tell_missing(&families[i], &seen, tell, arg);
	}
}

static int see_untracked(void *arg, const struct nlmsghdr *h)
{
	*(bool *)arg |= h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE);
	return 0;
}

bool tproxy_is_untracked(int netfilter)
{
	struct nl_request q;
	struct nfgenmsg *m =
		nl_begin(&q, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_DUMP, sizeof(*m));
	bool found = false;
	int r;

	m->nfgen_family = NFPROTO_INET;
	nl_put(&q, NFTA_RULE_TABLE, "weft", sizeof("weft"));
	nl_put(&q, NFTA_RULE_CHAIN, "prerouting", sizeof("prerouting"));
	r = nl_call(netfilter, &q, see_untracked, &found);
	return found || (r && r != -ENOENT);
}

int tproxy_remove(int netlink)
{
	for (int i = 0; i < FAMILIES; i++) {
		int r = drop(netlink, families[i].number);

		if (r)
			return log_err(r, "remove the %s routing to weft-proxy", families[i].name);
	}
	(void)nft("add table inet weft\ndelete table inet weft\n");
	return 0;
}
