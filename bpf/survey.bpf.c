// SPDX-License-Identifier: GPL-2.0
/*
 * Whether netfilter or IPsec has a say in what the node forwards, for weftd, which runs this in the
 * node's network namespace. nfnetlink's list of hooks tells the same where a kernel has it; this
 * every kernel can tell.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "weft/shortcut.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	HOOKS_MAX = 16, /* of one place that are looked at: more count as one that is not ours */
	BUCKETS = 256,	/* NETDEV_HASHENTRIES */
	CHAIN_MAX = 256,
	PRE_ROUTING = 0, /* enum nf_inet_hooks, and as well a bridge's */
	FORWARD = 2,
	POST_ROUTING = 4,
};

/* What of the kernel's own types is read (CO-RE). */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct nf_hook_entry {
	void *hook;
	void *priv;
};

struct nf_hook_entries {
	__u16 num_hook_entries;
	struct nf_hook_entry hooks[0];
};

struct netns_nf {
	struct nf_hook_entries *hooks_ipv4[5], *hooks_ipv6[5], *hooks_bridge[5];
};

struct netns_xfrm {
	unsigned int policy_count[6];
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct net {
	struct hlist_head *dev_index_head;
	struct netns_nf nf;
	struct netns_xfrm xfrm;
};

struct net_device {
	int ifindex;
	struct hlist_node index_hlist;
	struct nf_hook_entries *nf_hooks_ingress, *nf_hooks_egress;
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	struct nsproxy *nsproxy;
};

struct nft_table {
	char *name;
};

struct nft_chain {
	struct nft_table *table;
};

#pragma clang attribute pop

/* In the kernel: byte by byte here, the verifier would follow each way out of each comparison. */
#define BEGINS(text, with) (!bpf_strncmp(text, sizeof(with) - 1, with))

/* A chain of weft's own nftables table. */
static __always_inline int is_own_chain(const struct nft_chain *chain)
{
	char name[8] = {};
	const char *at;

	if (!bpf_core_field_exists(chain->table) ||
	    !bpf_core_field_exists(((struct nft_table *)0)->name))
		return 0;
	at = BPF_CORE_READ(chain, table, name);
	return bpf_probe_read_kernel_str(name, sizeof(name), at) == 5 && BEGINS(name, "weft");
}

/*
 * br_netfilter takes bridged packets to the IP hooks, once (ip_sabotage_in), and those are looked
 * at themselves. AppArmor looks at packets of the node's own sockets only, and at SECMARKs, which a
 * rule would have to set. accept_all stands where a hook has been taken out.
 */
static __always_inline int is_harmless(const char *name)
{
	return BEGINS(name, "br_nf_") || BEGINS(name, "ip_sabotage_in") ||
	       BEGINS(name, "apparmor_ip") || BEGINS(name, "accept_all");
}

static __always_inline int is_foreign(const struct nf_hook_entry *e, const char *name)
{
	if (is_harmless(name))
		return 0;
	return !BEGINS(name, "nft_do_chain") || !is_own_chain(e->priv);
}

/* Not static: the verifier goes through it once, and not for each place. `address` is that of a
 * struct nf_hook_entries. */
__noinline int count_hooks(struct survey_args *args, __u64 address)
{
	const struct nf_hook_entries *all = (void *)address;
	struct nf_hook_entry e = {};
	char name[SURVEY_NAME_MAX];
	__u32 count, i;

	if (!args || !all)
		return 0;
	count = BPF_CORE_READ(all, num_hook_entries);
	args->hooks += count > HOOKS_MAX;
	for (i = 0; i < HOOKS_MAX && i < count; i++) {
		__builtin_memset(name, 0, sizeof(name));
		bpf_probe_read_kernel(&e, sizeof(e), &all->hooks[i]);
		BPF_SNPRINTF(name, sizeof(name), "%ps", e.hook);
		if (!is_foreign(&e, name))
			continue;
		args->hooks++;
		__builtin_memcpy(args->name, name, sizeof(name));
	}
	return 0;
}

static __always_inline void check_hooks(struct survey_args *args, const struct nf_hook_entries *all)
{
	count_hooks(args, (__u64)all);
}

static __always_inline void check_net(struct survey_args *args, struct net *net)
{
	check_hooks(args, BPF_CORE_READ(net, nf.hooks_ipv4[PRE_ROUTING]));
	check_hooks(args, BPF_CORE_READ(net, nf.hooks_ipv4[FORWARD]));
	check_hooks(args, BPF_CORE_READ(net, nf.hooks_ipv4[POST_ROUTING]));
	check_hooks(args, BPF_CORE_READ(net, nf.hooks_ipv6[PRE_ROUTING]));
	check_hooks(args, BPF_CORE_READ(net, nf.hooks_ipv6[FORWARD]));
	check_hooks(args, BPF_CORE_READ(net, nf.hooks_ipv6[POST_ROUTING]));
	if (bpf_core_field_exists(net->nf.hooks_bridge)) {
		check_hooks(args, BPF_CORE_READ(net, nf.hooks_bridge[PRE_ROUTING]));
		check_hooks(args, BPF_CORE_READ(net, nf.hooks_bridge[FORWARD]));
		check_hooks(args, BPF_CORE_READ(net, nf.hooks_bridge[POST_ROUTING]));
	}
	if (bpf_core_field_exists(net->xfrm.policy_count)) {
		unsigned int counts[6] = {};
		int i;

		bpf_core_read(counts, sizeof(counts), &net->xfrm.policy_count);
		for (i = 0; i < 6; i++)
			args->xfrm += counts[i];
	}
}

static __always_inline struct net_device *find_device(struct net *net, __u32 ifindex)
{
	struct hlist_head *heads = BPF_CORE_READ(net, dev_index_head);
	struct hlist_node *at;
	int i;

	if (bpf_probe_read_kernel(&at, sizeof(at), &heads[ifindex % BUCKETS]))
		return NULL;
	for (i = 0; i < CHAIN_MAX && at; i++) {
		struct net_device *dev =
			(void *)at - bpf_core_field_offset(struct net_device, index_hlist);

		if (BPF_CORE_READ(dev, ifindex) == (int)ifindex)
			return dev;
		at = BPF_CORE_READ(at, next);
	}
	return NULL;
}

static __always_inline void check_device(struct survey_args *args, struct net *net)
{
	struct net_device *dev = find_device(net, args->ifindex);

	if (!dev)
		return;
	args->found = 1;
	if (bpf_core_field_exists(dev->nf_hooks_ingress))
		check_hooks(args, BPF_CORE_READ(dev, nf_hooks_ingress));
	if (bpf_core_field_exists(dev->nf_hooks_egress))
		check_hooks(args, BPF_CORE_READ(dev, nf_hooks_egress));
}

SEC("syscall")
int survey(struct survey_args *args)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct net *net = BPF_CORE_READ(task, nsproxy, net_ns);
	struct survey_args answer = { .ifindex = args->ifindex };

	if (answer.ifindex)
		check_device(&answer, net);
	else
		check_net(&answer, net);
	*args = answer;
	return 0;
}
