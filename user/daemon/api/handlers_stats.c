// SPDX-License-Identifier: Apache-2.0
/*
 * stats, status, uninstall.
 */
#include <errno.h>
#include <string.h>

#include "daemon/source/kubernetes.h"
#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"
#include "daemon/api/node_health.h"
#include "daemon/datapath/map_use.h"
#include "daemon/datapath/stats.h"
#include "daemon/resolve/resolver.h"
#include "lib/base/histogram.h"
#include "lib/explain/protection.h"
#include "lib/model/kinds.h"

/* Those that are asked for, as weft stats shows them. */
struct listing {
	json_t *stats;
	const char *contains;
};

/* What is not asked for is not made JSON of: there may be very many. */
static int list_one(void *arg, const struct statistic *s)
{
	enum { HISTOGRAM_TEXT = 512 };
	const struct listing *l = arg;
	char name[STATISTIC_NAME_MAX], value[HISTOGRAM_TEXT],
		line[sizeof(name) + sizeof(value) + 2];

	statistic_name(s, name);
	if (s->histogram)
		histogram_text(s->histogram, value, sizeof(value));
	else
		snprintf(value, sizeof(value), "%lld", (long long)s->value);
	snprintf(line, sizeof(line), "%s: %s", name, value);
	if (!strstr(line, l->contains))
		return 0;
	return json_object_set_new_nocheck(l->stats, name,
					   s->histogram ? json_string(value)
							: json_integer((json_int_t)s->value))
		       ? -ENOMEM
		       : 0;
}

/* "weft.objects.virtualservices.rejected" */
static int list_rejected(void *arg, const char *word, size_t count)
{
	const struct statistic s = { .of = "weft.objects",
				     .owner = word,
				     .name = "rejected",
				     .gauge = true,
				     .value = count };

	return list_one(arg, &s);
}

/* "weft.dns.update_attempt": as Envoy's clusters have it for their own names. Nothing is told where
 * no name is looked up. */
static int list_dns(const struct weftd *d, struct listing *l)
{
	const struct resolver *resolver = engine_resolver(d->engine);
	struct resolver_counters c;
	int r = 0;

	if (!resolver)
		return 0;
	resolver_count(resolver, &c);
	const struct statistic rows[] = {
		{ .of = "weft.dns", .owner = "update_attempt", .value = c.attempts },
		{ .of = "weft.dns", .owner = "update_success", .value = c.success },
		{ .of = "weft.dns", .owner = "update_failure", .value = c.failure },
		{ .of = "weft.dns", .owner = "changes", .value = c.changes },
		{ .of = "weft.dns",
		  .owner = "names",
		  .gauge = true,
		  .value = resolver_names(resolver) },
	};

	for (size_t i = 0; !r && c.attempts && i < sizeof(rows) / sizeof(*rows); i++)
		r = list_one(l, &rows[i]);
	return r;
}

/* "weft.identity.signed": certificates for mutual TLS. Nothing is told where none was asked for. */
static int list_identities(const struct weftd *d, struct listing *l)
{
	struct identities_state s;
	int r = 0;

	identities_tell(engine_identities(d->engine), &s);
	const struct statistic rows[] = {
		{ .of = "weft.identity", .owner = "signed", .value = s.signed_count },
		{ .of = "weft.identity", .owner = "failed", .value = s.failed_count },
		{ .of = "weft.identity", .owner = "wanted", .gauge = true, .value = s.wanted },
		{ .of = "weft.identity", .owner = "valid", .gauge = true, .value = s.good },
	};

	for (size_t i = 0; !r && (s.wanted || s.signed_count || s.failed_count) &&
			   i < sizeof(rows) / sizeof(*rows);
	     i++)
		r = list_one(l, &rows[i]);
	return r;
}

int handle_stats(struct weftd *d, const struct request *request, struct reply *reply)
{
	_cleanup_(json_decrefp) json_t *stats = json_object();
	struct listing l = { stats, json_get_text(request->args, "contains", "") };
	int r = stats ? stats_each(d->kernel, engine_tables(d->engine), list_one, &l) : -ENOMEM;

	if (!r && d->kubernetes)
		r = kube_source_each_rejected(d->kubernetes, list_rejected, &l);
	if (!r)
		r = list_dns(d, &l);
	if (!r)
		r = list_identities(d, &l);
	if (!r)
		reply->data = TAKE_PTR(stats);
	return r;
}

static json_t *count_kinds(const struct known_set *set)
{
	json_int_t counts[KIND_MAX] = { 0 };
	json_t *object = json_object();

	for (size_t i = 0; i < set->count; i++)
		counts[set->items[i].object->kind]++;
	for (int kind = 0; kind < KIND_MAX; kind++)
		if (counts[kind])
			json_object_set_new(object, kind_name(kind), json_integer(counts[kind]));
	return object;
}

enum { MISSING_MAX = 100 }; /* that are told by name */

static void add_missing(void *list, const char *what)
{
	if (json_array_size(list) < MISSING_MAX)
		json_array_append_new(list, json_text(what));
}

/* [{"name": "files"}, {"name": "kubernetes", ...}] */
static json_t *sources_json(const struct weftd *d)
{
	json_t *list = json_array();

	if (d->files)
		json_array_append_new(list, json_pack("{s:s}", "name", "files"));
	if (d->kubernetes)
		json_array_append_new(list, kube_source_status(d->kubernetes));
	return list;
}

static bool sources_are_ready(const struct weftd *d)
{
	return !d->kubernetes || kube_source_is_ready(d->kubernetes);
}

/* NULL when out of memory. */
static json_t *lacking(const struct weftd *d)
{
	json_t *list = json_array();

	if (list)
		supervisor_each_lacking(d->supervisor, d->state_dir, add_missing, list);
	return list;
}

/* What is wrong with certificates of Gateways. NULL when out of memory. */
static json_t *certificates(const struct weftd *d)
{
	_cleanup_(errors_free) struct errors errors = { 0 };
	json_t *list = json_array();

	engine_warn_certificates(d->engine, &errors);
	for (size_t i = 0; list && i < errors.count; i++)
		if (errors.items[i].text)
			add_missing(list, errors.items[i].text);
	return list;
}

/* Process ids. NULL when out of memory. */
static json_t *draining(const struct supervisor_status *proxy)
{
	json_t *list = json_array();

	for (unsigned i = 0; list && i < proxy->draining; i++)
		json_array_append_new(list, json_integer(proxy->draining_pids[i]));
	return list;
}

/* NULL when out of memory. */
static json_t *protection_json(const struct weftd *d, const struct kernel_status *status)
{
	static const struct protection none;
	const struct tables *t = engine_tables(d->engine);
	const struct protection *p = t ? &t->protection : &none;
	_cleanup_free_ char *text = protection_text(p);

	if (!text)
		return NULL;
	return json_textf("%s%s", text,
			  p->limits.flags && !status->node.nics
				  ? "; nowhere: there is no NIC to carry it out on"
				  : "");
}

/* Names that DNS is asked for, those that fail first among those that are told. */
struct name_list {
	json_t *list;
	size_t failing;
	bool failed; /* which of them this walk adds */
};

static json_t *name_json(const struct resolver_name *n)
{
	_cleanup_(json_decrefp) json_t *addresses = json_array();
	char text[ADDR_TEXT_MAX];

	for (int f = FAMILY_MAX - 1; f >= 0; f--) /* IPv4 first */
		for (size_t i = 0; i < n->count[f]; i++) {
			addr_format(&n->addrs[f][i], text);
			json_array_append_new(addresses, json_string(text));
		}
	return json_pack("{s:s, s:O, s:I, s:i, s:s}", "name", n->name, "addresses", addresses,
			 "answered", (json_int_t)n->answered, "failures", (int)n->failures, "error",
			 n->error ? n->error : "");
}

static int add_name(void *arg, const struct resolver_name *n)
{
	struct name_list *l = arg;

	if ((n->failures > 0) != l->failed)
		return 0;
	l->failing += l->failed;
	if (json_array_size(l->list) >= MISSING_MAX)
		return 0;
	return json_array_append_new(l->list, name_json(n)) ? -ENOMEM : 0;
}

/* {"servers": TEXT, "count": N, "failing": N, "names": [{"name", "addresses", ...}...]}. NULL when
 * out of memory. */
static json_t *dns_json(const struct weftd *d)
{
	const struct resolver *resolver = engine_resolver(d->engine);
	struct name_list l = { .list = json_array() };
	char servers[256] = "";
	int r = 0;

	if (!l.list || !resolver)
		return l.list ? json_pack("{s:i, s:o}", "count", 0, "names", l.list) : NULL;
	resolver_servers(resolver, servers, sizeof(servers));
	for (int pass = 0; !r && pass < 2; pass++) {
		l.failed = !pass;
		r = resolver_each(resolver, add_name, &l);
	}
	if (r) {
		json_decref(l.list);
		return NULL;
	}
	return json_pack("{s:s, s:I, s:I, s:o}", "servers", servers, "count",
			 (json_int_t)resolver_names(resolver), "failing", (json_int_t)l.failing,
			 "names", l.list);
}

/* {"from", "subject", "not_after", "problem"}: "" and 0 for what is not known. */
static json_t *ca_json(const struct identity_ca *ca)
{
	return json_pack("{s:s, s:o, s:I, s:o}", "from", ca->from ? ca->from : "", "subject",
			 json_text(ca->subject ? ca->subject : ""), "not_after",
			 (json_int_t)ca->not_after, "problem",
			 json_text(ca->problem ? ca->problem : ""));
}

/* The certificates for mutual TLS. NULL when out of memory. */
static json_t *identities_json(const struct weftd *d)
{
	struct identities_state s;

	identities_tell(engine_identities(d->engine), &s);
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "wanted", (json_int_t)s.wanted, "valid",
			 (json_int_t)s.good, "next_renewal", (json_int_t)s.next_renewal, "roots",
			 (json_int_t)s.roots, "problem", json_text(s.problem ? s.problem : ""),
			 "ca", ca_json(&s.ca));
}

static int add_table(void *list, const struct map_use *u)
{
	if (!u->filled)
		return 0;
	return json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:b}", "name", u->name,
						     "entries", (json_int_t)u->entries, "room",
						     (json_int_t)u->room, "evicts", (int)u->evicts))
		       ? -ENOMEM
		       : 0;
}

/* How full they are. Nothing is told of them while that can't be found out. */
static json_t *tables_json(const struct weftd *d)
{
	json_t *list = json_array();

	if (list && map_use_each(d->kernel, add_table, list))
		json_array_clear(list);
	return list;
}

/* With "tables": true how full the kernel's tables are, too, which takes longer. */
int handle_status(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct kernel_status status = { 0 };
	struct supervisor_status proxy;
	json_t *missing = json_array();
	int r = missing ? kernel_status(d->kernel, &status) : -ENOMEM;

	if (r) {
		json_decref(missing);
		return r;
	}
	kernel_each_missing(d->kernel, add_missing, missing);
	supervisor_status(d->supervisor, &proxy);
	reply->data = json_pack(
		"{s:b, s:s, s:i, s:I, s:i, s:i, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:o, "
		"s:{s:i, s:i, s:i}, s:i, s:i, s:{s:o, s:i, s:i, s:i}, s:o, s:b, s:o, s:o, s:s, "
		"s:i, s:o}",
		"ready", !json_array_size(missing) && sources_are_ready(d), "version", WEFT_VERSION,
		"pid", (int)getpid(), "generation", (json_int_t)status.generation, "pods",
		(int)status.node.pods, "nics", (int)status.node.nics, "connections",
		(int)status.connections, "max_connections", (int)status.room, "attach",
		status.node.tcx ? "tcx" : "clsact", "kernel", json_text(status.release), "bpffs",
		json_text(d->bpffs), "state_dir", json_text(d->state_dir), "sources",
		sources_json(d), "objects", count_kinds(engine_objects(d->engine)), "proxy", "pid",
		(int)proxy.pid, "workers", (int)proxy.workers, "restarts", (int)proxy.restarts,
		"sockets", (int)status.sockets, "pods_unknown", (int)status.node.pods_unknown,
		"cgroup", "path", json_text(status.cgroup), "hooks", (int)status.hooks, "wanted",
		(int)status.hooks_wanted, "foreign", (int)status.hooks_foreign, "shortcut",
		json_text(status.node.shortcut), "handover", (int)status.node.tproxy, "netfilter",
		json_text(status.node.netfilter), "missing", missing, "enrol",
		enrol_mode_name(d->enrol), "pods_enrolled", (int)status.node.members, "xdp",
		json_text(status.node.xdp));
	if (!reply->data || json_object_set_new(reply->data, "container_lacks", lacking(d)) ||
	    json_object_set_new(reply->data, "connection_policy", protection_json(d, &status)) ||
	    json_object_set_new(reply->data, "certificates", certificates(d)) ||
	    json_object_set_new(reply->data, "dns", dns_json(d)) ||
	    json_object_set_new(reply->data, "identities", identities_json(d)) ||
	    json_object_set_new(reply->data, "outbound_traffic_policy",
				json_string(d->registry_only ? "REGISTRY_ONLY" : "ALLOW_ANY")) ||
	    json_object_set_new(reply->data, "dashboard", json_text(d->dashboard)) ||
	    json_object_set_new(reply->data, "health_ports", node_health_json(d->node_health)))
		return -ENOMEM;
	if (json_is_true(json_object_get(request->args, "tables")) &&
	    json_object_set_new(reply->data, "tables", tables_json(d)))
		return -ENOMEM;
	return json_object_set_new(json_object_get(reply->data, "proxy"), "draining",
				   draining(&proxy))
		       ? -ENOMEM
		       : 0;
}

int weftd_leave(struct weftd *d)
{
	int r;

	engine_cancel(d->engine);
	kernel_guard(d->kernel, false);
	r = kernel_detach(d->bpffs, false);
	kernel_guard(d->kernel, r);
	if (r)
		return r;
	supervisor_end(d->supervisor);
	log_info("everything is taken out of the kernel: ending");
	d->quit = true;
	return 0;
}

int handle_uninstall(struct weftd *d, const struct request *request, struct reply *reply)
{
	(void)request;
	if (weftd_leave(d))
		return refuse(reply, "uninstall", "weftd could not remove everything: see its log");
	return 0;
}
