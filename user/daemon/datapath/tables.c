/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations and the pods that they speak of.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/log.h"

__u64 kernel_generation(struct kernel *k)
{
	return publish_current(&k->loader);
}

static int collect_sources(const struct tables *t, struct addr_set *out)
{
	int r = 0;

	for (size_t i = 0; !r && i < t->sources.count; i++)
		r = addr_set_add(out, &t->sources.items[i].addr);
	return r;
}

static int collect_members(const struct kernel *k, const struct tables *t, struct addr_set *out)
{
	int r = 0;

	for (size_t i = 0; !r && k->enrol != ENROL_ALL && i < t->sources.count; i++) {
		if (t->sources.items[i].labelled)
			r = addr_set_add(out, &t->sources.items[i].addr);
	}
	return r;
}

/* Addresses of Pods that the generation before knew. */
static int collect_gone(const struct addr_set *old, const struct addr_set *now,
			struct addr_list *out)
{
	int r = 0;

	for (size_t i = 0; !r && i < old->room; i++) {
		const struct addr *a = &old->slots[i];

		if (!addr_is_unset(a) && !addr_set_has(now, a))
			r = addr_list_add(out, a);
	}
	return r;
}

/* The generation is live: what follows from it must not make the caller believe that it isn't. */
static void follow_publish(struct kernel *k, const struct tables *t, struct addr_set *sources,
			   struct addr_set *members, const struct addr_list *gone)
{
	node_identify(k->node, sources, members);
	sweep_set_period(&k->sweep, t->min_timeout_ms);
	if (gone->count)
		sweep_gone(k, gone);
}

/* ---- the way to weft-proxy ---- */

static int is_proxied(void *arg, const void *key, const void *value)
{
	(void)arg;
	(void)key;
	return ((const struct rule *)value)->action == RULE_PROXY;
}

static bool leads_to_proxy(const struct tables *t)
{
	for (size_t i = 0; i < t->rules.count; i++) {
		if (is_proxied(NULL, NULL, &t->rules.items[i]))
			return true;
	}
	return false;
}

int kernel_leads_to_proxy(struct kernel *k)
{
	_cleanup_close_ int fd = publish_open_table(&k->loader, MAP_GEN_RULES);
	int r;

	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : map_walk(fd, sizeof(__u32), sizeof(struct rule), is_proxied, NULL);
	return r < 0 ? log_err(r, "read the rules in force") : r;
}

void kernel_drop_tproxy(struct kernel *k)
{
	node_drop_tproxy(k->node);
}

/* ---- generations ---- */

int kernel_publish(struct kernel *k, const struct tables *tables)
{
	_cleanup_(addr_list_free) struct addr_list gone = {};
	_cleanup_(addr_set_free) struct addr_set sources = {}, members = {};
	int r = collect_sources(tables, &sources);

	if (!r)
		r = collect_members(k, tables, &members);
	if (!r)
		r = collect_gone(node_sources(k->node), &sources, &gone);
	if (r)
		return log_err(r, "publish");
	if (leads_to_proxy(tables))
		r = node_need_tproxy(k->node);
	if (!r)
		r = publish_tables(&k->published, &k->loader, &k->counters, tables);
	if (r)
		return r;
	follow_publish(k, tables, &sources, &members, &gone);
	return 0;
}

int kernel_forget(struct kernel *k, const struct tables *tables)
{
	return counters_forget(&k->counters, &k->loader, tables);
}

/* ---- what is not ready yet ---- */

/* One that runs here has a veth here: of others nothing is known, or they are another node's. */
static bool should_be_here(const struct object *pod, const char *node)
{
	if (!node)
		return false;
	return pod->pod.node_name && !strcmp(pod->pod.node_name, node) && pod->pod.phase &&
	       !strcmp(pod->pod.phase, "Running");
}

struct teller {
	void (*tell)(void *arg, const char *what);
	void *arg;
};

static void tell_iface(void *arg, const char *ifname, const char *why)
{
	const struct teller *t = arg;
	char line[192];

	snprintf(line, sizeof(line), "interface %s: %s", ifname, why);
	t->tell(t->arg, line);
}

static bool is_attached(const struct kernel *k, const struct tables *t, const struct object *pod)
{
	for (size_t i = 0; i < t->sources.count; i++) {
		if (t->sources.items[i].pod == pod &&
		    node_has_pod(k->node, &t->sources.items[i].addr))
			return true;
	}
	return false;
}

static void tell_pod(const struct kernel *k, const struct tables *t, const struct source_entry *s,
		     const struct teller *to)
{
	char line[600];

	if (node_has_pod(k->node, &s->addr) || is_attached(k, t, s->pod))
		return;
	snprintf(line, sizeof(line),
		 "pod %s/%s is in the mesh, and no interface here has its address",
		 s->pod->meta.namespace, s->pod->meta.name);
	to->tell(to->arg, line);
}

void kernel_each_unready(struct kernel *k, const struct tables *t, const char *node,
			 void (*tell)(void *arg, const char *what), void *arg)
{
	struct teller to = { tell, arg };
	const struct object *told = NULL;

	for (size_t i = 0; t && i < t->sources.count; i++) {
		const struct source_entry *s = &t->sources.items[i];

		if (s->pod == told || !should_be_here(s->pod, node) ||
		    (k->enrol != ENROL_ALL && !s->labelled))
			continue;
		tell_pod(k, t, s, &to);
		told = s->pod;
	}
	node_each_lacking(k->node, tell_iface, &to);
}
