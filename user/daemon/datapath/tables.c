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
#include "daemon/datapath/publish_callers.h"
#include "lib/base/log.h"

__u64 kernel_generation(struct kernel *k)
{
	return publish_current(&k->loader);
}

/* The tables are live: what follows from them must not make the caller believe that they aren't. */
static void follow_publish(struct kernel *k, const struct tables *t, struct callers_change *change)
{
	node_identify(k->node, &(struct node_identities){ .came = &change->came,
							  .gone = &change->gone,
							  .joined = &change->joined,
							  .left = &change->left,
							  .first = !k->published.identified });
	k->published.identified = true;
	callers_take(&k->published.callers, t, k->enrol == ENROL_ALL, change);
	sweep_set_period(&k->sweep, t->min_timeout_ms);
	if (change->gone.count)
		sweep_gone(k, &change->gone);
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

static int compare_callers(const struct kernel *k, const struct tables *t,
			   struct callers_change *out)
{
	const struct tables *was = k->published.tables;

	if (!was || was->owner[TABLES_SOURCES] != t->owner[TABLES_SOURCES])
		return callers_compare(&k->published.callers, t, k->enrol == ENROL_ALL, out);
	out->same = t->sources.count;
	return 0;
}

static void wait_for_programs(void *arg)
{
	struct kernel *k = arg;

	publish_wait(&k->published, &k->loader);
}

static int protect(struct kernel *k, const struct tables *t)
{
	return protect_publish(&k->protect, &k->loader, &t->protection, wait_for_programs, k);
}

static int authorize(struct kernel *k, const struct tables *t)
{
	return authz_publish(&k->authz, &k->loader, &t->authz, wait_for_programs, k);
}

/* What it comes to when one of them fails is what was in force. */
static int publish_all(struct kernel *k, struct tables *t, const struct callers_change *change)
{
	int r = protect(k, t);

	if (!r)
		r = authorize(k, t);
	if (!r)
		r = publish_tables(&k->published, &k->loader, &k->counters, t, change);
	if (r && k->published.tables) {
		protect(k, k->published.tables);
		authorize(k, k->published.tables);
	}
	return r;
}

int kernel_publish(struct kernel *k, struct tables *tables)
{
	_cleanup_(callers_change_free) struct callers_change change = {};
	int r = compare_callers(k, tables, &change);

	if (!r)
		r = callers_reserve(&k->published.callers, tables);
	if (r)
		return log_err(r, "publish");
	if (leads_to_proxy(tables))
		r = node_need_tproxy(k->node);
	if (!r)
		r = publish_all(k, tables, &change);
	if (r)
		return r;
	follow_publish(k, tables, &change);
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
