// SPDX-License-Identifier: Apache-2.0
#include "daemon/node/tproxy_rules.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <nftables/libnftables.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "daemon/netlink/netlink.h"
#include "weft/handover.h"

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
	{ FR_ACT_NOP, false, HANDOVER_PRIORITY + 1, 0 },
	{ FR_ACT_GOTO, true, HANDOVER_PRIORITY - 1, HANDOVER_PRIORITY + 1 },
	{ FR_ACT_TO_TBL, false, HANDOVER_PRIORITY, 0 },
};

enum { RULES = sizeof(rules) / sizeof(*rules) };

static int call_rule(int netlink, int family, const struct rule *r, int type, int flags)
{
	const __u32 mark = HANDOVER_MARK, mask = ~0u, table = HANDOVER_TABLE;
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
	const __u32 table = HANDOVER_TABLE, loopback = LOOPBACK;
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

static int has_ipv6(void)
{
	return !access("/proc/sys/net/ipv6", F_OK);
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

/* What can't be set up has a consequence only beside kube-proxy or other address translation. */
static void add_notrack(void)
{
	char commands[512];

	snprintf(commands, sizeof(commands),
		 "add table inet weft\ndelete table inet weft\nadd table inet weft\n"
		 "add chain inet weft prerouting { type filter hook prerouting priority raw; }\n"
		 "add rule inet weft prerouting meta mark %#x notrack\n",
		 HANDOVER_MARK);
	if (nft(commands))
		log_warning("HTTP through weft-proxy will not get along with kube-proxy: its "
			    "packets are tracked");
}

int handover_add(int netlink)
{
	for (int i = 0; i < FAMILIES; i++) {
		int r;

		if (families[i].number == AF_INET6 && !has_ipv6())
			continue;
		r = add(netlink, families[i].number);
		if (r)
			return log_err(r,
				       "add the %s routing to weft-proxy (rule %d, table %d; is "
				       "lo up?)",
				       families[i].name, HANDOVER_PRIORITY, HANDOVER_TABLE);
	}
	add_notrack();
	return 0;
}

int handover_remove(int netlink)
{
	for (int i = 0; i < FAMILIES; i++) {
		int r = drop(netlink, families[i].number);

		if (r)
			return log_err(r, "remove the %s routing to weft-proxy", families[i].name);
	}
	(void)nft("add table inet weft\ndelete table inet weft\n");
	return 0;
}
