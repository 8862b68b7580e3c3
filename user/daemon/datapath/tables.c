/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations and the pods that they speak of.
 */
#include <errno.h>

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
			   const struct addr_list *gone)
{
	node_identify(k->node, sources);
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
	_cleanup_(addr_set_free) struct addr_set sources = {};
	int r = collect_sources(tables, &sources);

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
	follow_publish(k, tables, &sources, &gone);
	return 0;
}

int kernel_forget(struct kernel *k, const struct tables *tables)
{
	return counters_forget(&k->counters, &k->loader, tables);
}
