// SPDX-License-Identifier: Apache-2.0
/*
 * What NetworkPolicies let through: by the objects themselves, as `weft explain` looks at them, and
 * by the tables that weft-proxy asks. Both have to say the same.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/netpolicy/classes.h"
#include "lib/route/network_policy.h"
#include "test_compile_util.h"

/* ---- a world ---- */

#define NAMESPACE(name, labels) \
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: " name ", labels: {" labels "}}\n---\n"
#define POD(ns, name, labels, ports, node, more, ips)                                            \
	"apiVersion: v1\nkind: Pod\nmetadata: {namespace: " ns ", name: " name                   \
	", labels: {" labels "}}\nspec: {nodeName: " node more                                   \
	", containers: [{name: c, ports: [" ports "]}]}\nstatus: {phase: Running, podIPs: [" ips \
	"]}\n---\n"
#define POLICY(ns, name, spec)                                                             \
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: " ns \
	", name: " name "}\nspec: {" spec "}\n---\n"

/* `loose` has no Namespace object, and `idle` is over: its address is another's. */
static const char world[] = NAMESPACE("default", "team: core") NAMESPACE("shop",
									 "team: shop, env: prod")
	POD("default", "web", "app: web, tier: front",
	    "{name: http, containerPort: 8080}, {name: metrics, containerPort: 9090}, "
	    "{name: dns, containerPort: 53, protocol: UDP}",
	    "n1", "", "{ip: 10.0.0.1}, {ip: \"fd00::1\"}") POD("default", "db", "app: db",
							       "{name: sql, containerPort: 5432}",
							       "n2", "", "{ip: 10.0.0.2}")
		POD("default", "cli", "app: cli, \"example.com/role\": tester", "", "n1", "",
		    "{ip: 10.0.0.3}, {ip: \"fd00::3\"}")
			POD("shop", "cart", "app: cart, tier: front", "", "n2", "",
			    "{ip: 10.0.1.1}") POD("shop", "pay", "app: pay",
						  "{name: http, containerPort: 8443}", "n1", "",
						  "{ip: 10.0.1.2}")
				POD("loose", "job", "app: web", "", "n2", "", "{ip: 10.0.2.1}")
					POD("default", "agent", "app: agent",
					    "{name: http, containerPort: 8080}", "n1",
					    ", hostNetwork: true", "{ip: 192.168.0.1}");

static const struct {
	const char *name, *ip;
} addresses[] = {
	{ "web", "10.0.0.1" },	  { "web6", "fd00::1" },  { "db", "10.0.0.2" },
	{ "cli", "10.0.0.3" },	  { "cli6", "fd00::3" },  { "cart", "10.0.1.1" },
	{ "pay", "10.0.1.2" },	  { "job", "10.0.2.1" },  { "agent", "192.168.0.1" },
	{ "far", "203.0.113.7" }, { "near", "10.9.9.9" }, { "far6", "2001:db8::7" },
};

enum { ADDRESSES = sizeof(addresses) / sizeof(*addresses) };

struct policy_world {
	struct compiled c;
	struct netpolicies policies;
};

/* The pod whose labels can't be read; NULL: none. */
static const char *unlabelled;

static void hide_labels(struct objects *objects)
{
	for (size_t i = 0; unlabelled && i < objects->count; i++)
		if (objects->items[i]->kind == KIND_POD &&
		    !strcmp(objects->items[i]->meta.name, unlabelled))
			objects->items[i]->pod.labels_unknown = true;
}

static void load(struct policy_world *w, const char *yaml)
{
	_cleanup_free_ char *text = NULL;

	cr_assert_geq(asprintf(&text, "%s%s", world, yaml), 0);
	w->c.registry = registry_new();
	w->c.r = rules_parse("t.yaml", text, strlen(text), &w->c.objects, &w->c.errors, NULL);
	hide_labels(&w->c.objects);
	if (!w->c.r)
		w->c.r = compile(&w->c.objects, w->c.registry, COMPILE_HTTP_ALWAYS, &w->c.tables,
				 &w->c.errors);
	cr_assert_eq(w->c.r, 0, "%s: %s", yaml, errors_text(&w->c.errors));
	cr_assert_eq(netpolicies_init(&w->policies, &w->c.objects), 0);
}

static void unload(struct policy_world *w)
{
	netpolicies_free(&w->policies);
	compiled_free(&w->c);
}

static struct addr address(const char *name)
{
	struct addr addr = { 0 };

	for (size_t i = 0; i < ADDRESSES; i++)
		if (!strcmp(addresses[i].name, name)) {
			cr_assert_eq(addr_parse(addresses[i].ip, &addr), 0);
			return addr;
		}
	cr_assert(false, "%s", name);
	return addr;
}

static struct netpolicy_party party_at(const struct objects *objects, const struct addr *addr)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];
		struct addr own;

		for (size_t k = 0; o->kind == KIND_POD && k < o->pod.ips.count; k++)
			if (!addr_parse(o->pod.ips.items[k], &own) &&
			    !memcmp(&own, addr, sizeof(own)))
				return netpolicy_pod(o, addr);
	}
	return netpolicy_outside(addr);
}

static bool objects_let(struct policy_world *w, const struct addr *from, const struct addr *to,
			unsigned port)
{
	struct netpolicy_party client = party_at(&w->c.objects, from),
			       endpoint = party_at(&w->c.objects, to);

	return netpolicy_allows(&w->policies, &client, &endpoint, port, NULL) == 1;
}

static bool tables_let(struct policy_world *w, const struct addr *from, const struct addr *to,
		       unsigned port)
{
	const struct http_snapshot *s = w->c.tables->http;

	return http_policies_let(s, http_ingress_at(s, to), http_egress_at(s, from), from, to,
				 port);
}

/* ---- rows ---- */

#define DEFAULT(spec) POLICY("default", "p", spec)
#define FROM(peers) \
	DEFAULT("podSelector: {matchLabels: {app: web}}, ingress: [{from: [" peers "]}]")
#define INGRESS_PORTS(ports) \
	DEFAULT("podSelector: {matchLabels: {app: web}}, ingress: [{ports: [" ports "]}]")
#define TO(peers)                                                                               \
	DEFAULT("podSelector: {matchLabels: {app: cli}}, policyTypes: [Egress], egress: [{to: " \
		"[" peers "]}]")
#define EGRESS(rule)                                                                             \
	DEFAULT("podSelector: {matchLabels: {app: cli}}, policyTypes: [Egress], egress: [{" rule \
		"}]")
#define EXPRESSION(e) FROM("{podSelector: {matchExpressions: [{" e "}]}}")

static const struct row {
	const char *policies, *from, *to;
	unsigned port;
	bool open;
} rows[] = {
	/* Without a policy, and with one that is about others. */
	{ "", "cli", "web", 8080, true },
	{ "", "far", "web", 8080, true },
	{ DEFAULT("podSelector: {matchLabels: {app: db}}"), "cli", "web", 8080, true },
	{ POLICY("shop", "p", "podSelector: {}"), "cli", "web", 8080, true },
	/* A policy without rules; its types. */
	{ DEFAULT("podSelector: {}"), "cli", "web", 8080, false },
	{ DEFAULT("podSelector: {}"), "far", "web", 8080, false },
	{ DEFAULT("podSelector: {}"), "cli6", "web6", 8080, false },
	{ DEFAULT("podSelector: {}"), "web", "cart", 80, true },
	{ DEFAULT(""), "cli", "web", 8080, false },
	{ DEFAULT("podSelector: {}, policyTypes: []"), "cli", "web", 8080, false },
	{ DEFAULT("podSelector: {}, policyTypes: [Egress]"), "cart", "web", 8080, true },
	{ DEFAULT("podSelector: {}, policyTypes: [Egress]"), "web", "cart", 80, false },
	{ DEFAULT("podSelector: {}, policyTypes: [Ingress, Egress]"), "web", "cart", 80, false },
	{ DEFAULT("podSelector: {}, egress: [{}]"), "cart", "web", 8080, false },
	{ DEFAULT("podSelector: {}, egress: [{}]"), "web", "cart", 80, true },
	{ DEFAULT("podSelector: {}, egress: []"), "web", "cart", 80, true },
	{ DEFAULT("podSelector: {}, policyTypes: [Egress], ingress: [{}]"), "cart", "web", 80,
	  true },
	/* Empty lists. */
	{ DEFAULT("podSelector: {}, ingress: []"), "cli", "web", 8080, false },
	{ DEFAULT("podSelector: {}, ingress: [{}]"), "far", "web", 8080, true },
	{ DEFAULT("podSelector: {}, ingress: [{from: [], ports: []}]"), "far", "web", 1, true },
	/* podSelector: those of the policy's own namespace. */
	{ FROM("{podSelector: {matchLabels: {app: cli}}}"), "cli", "web", 8080, true },
	{ FROM("{podSelector: {matchLabels: {app: cli}}}"), "cli6", "web6", 8080, true },
	{ FROM("{podSelector: {matchLabels: {app: cli}}}"), "db", "web", 8080, false },
	{ FROM("{podSelector: {matchLabels: {app: cart}}}"), "cart", "web", 8080, false },
	{ FROM("{podSelector: {}}"), "db", "web", 8080, true },
	{ FROM("{podSelector: {}}"), "cart", "web", 8080, false },
	{ FROM("{podSelector: {}}"), "far", "web", 8080, false },
	{ FROM("{podSelector: {matchLabels: {app: cli, tier: front}}}"), "cli", "web", 80, false },
	/* namespaceSelector; the label that every namespace has. */
	{ FROM("{namespaceSelector: {}}"), "cart", "web", 8080, true },
	{ FROM("{namespaceSelector: {}}"), "job", "web", 8080, true },
	{ FROM("{namespaceSelector: {}}"), "far", "web", 8080, false },
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}}"), "pay", "web", 8080, true },
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}}"), "cli", "web", 8080, false },
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}}"), "job", "web", 8080, false },
	{ FROM("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}"), "cart",
	  "web", 8080, true },
	{ FROM("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: loose}}}"), "job",
	  "web", 8080, true },
	{ FROM("{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, "
	       "operator: NotIn, values: [loose]}]}}"),
	  "job", "web", 8080, false },
	/* Both in one peer, and as two. */
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}, podSelector: {matchLabels: {app: "
	       "cart}}}"),
	  "cart", "web", 8080, true },
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}, podSelector: {matchLabels: {app: "
	       "cart}}}"),
	  "pay", "web", 8080, false },
	{ FROM("{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}"), "job", "web",
	  8080, true },
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}}, {podSelector: {matchLabels: "
	       "{app: cli}}}"),
	  "pay", "web", 8080, true },
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}}, {podSelector: {matchLabels: "
	       "{app: cli}}}"),
	  "cli", "web", 8080, true },
	{ FROM("{namespaceSelector: {matchLabels: {team: shop}}}, {podSelector: {matchLabels: "
	       "{app: cli}}}"),
	  "db", "web", 8080, false },
	/* matchExpressions. */
	{ EXPRESSION("key: app, operator: In, values: [db, cli]"), "cli", "web", 8080, true },
	{ EXPRESSION("key: app, operator: In, values: [db]"), "cli", "web", 8080, false },
	{ EXPRESSION("key: app, operator: NotIn, values: [db]"), "cli", "web", 8080, true },
	{ EXPRESSION("key: app, operator: NotIn, values: [cli]"), "cli", "web", 8080, false },
	{ EXPRESSION("key: none, operator: NotIn, values: [x]"), "cli", "web", 8080, true },
	{ EXPRESSION("key: example.com/role, operator: Exists"), "cli", "web", 8080, true },
	{ EXPRESSION("key: example.com/role, operator: Exists"), "db", "web", 8080, false },
	{ EXPRESSION("key: example.com/role, operator: DoesNotExist"), "db", "web", 8080, true },
	{ EXPRESSION("key: example.com/role, operator: DoesNotExist"), "cli", "web", 8080, false },
	{ EXPRESSION("key: app, operator: Exists}, {key: tier, operator: Exists"), "cli", "web", 80,
	  false },
	/* ipBlock: for what is outside, and for pods. */
	{ FROM("{ipBlock: {cidr: 203.0.113.0/24}}"), "far", "web", 8080, true },
	{ FROM("{ipBlock: {cidr: 203.0.113.0/24}}"), "near", "web", 8080, false },
	{ FROM("{ipBlock: {cidr: 10.0.0.0/24}}"), "cli", "web", 8080, true },
	{ FROM("{ipBlock: {cidr: 10.0.0.0/24}}"), "cart", "web", 8080, false },
	{ FROM("{ipBlock: {cidr: 0.0.0.0/0, except: [203.0.113.0/24]}}"), "far", "web", 80, false },
	{ FROM("{ipBlock: {cidr: 0.0.0.0/0, except: [203.0.113.0/24]}}"), "near", "web", 80, true },
	{ FROM("{ipBlock: {cidr: 0.0.0.0/0, except: [10.9.0.0/16, 203.0.0.0/8]}}"), "near", "web",
	  80, false },
	{ FROM("{ipBlock: {cidr: 0.0.0.0/0, except: [203.0.113.0/24]}}, {ipBlock: {cidr: "
	       "203.0.113.7/32}}"),
	  "far", "web", 80, true },
	{ FROM("{ipBlock: {cidr: 10.9.9.13/29}}"), "near", "web", 80, true },
	{ FROM("{ipBlock: {cidr: \"::/0\"}}"), "far6", "web6", 8080, true },
	{ FROM("{ipBlock: {cidr: \"::/0\"}}"), "far", "web", 8080, false },
	{ FROM("{ipBlock: {cidr: 0.0.0.0/0}}"), "far6", "web6", 8080, false },
	{ FROM("{ipBlock: {cidr: \"2001:db8::/32\", except: [\"2001:db8::/64\"]}}"), "far6", "web6",
	  8080, false },
	/* Ports: numbers, ranges, names, protocols. */
	{ INGRESS_PORTS("{port: 8080}"), "far", "web", 8080, true },
	{ INGRESS_PORTS("{port: 8080}"), "far", "web", 9090, false },
	{ INGRESS_PORTS("{port: 8080}, {port: 9090}"), "far", "web", 9090, true },
	{ INGRESS_PORTS("{port: 8000, endPort: 8080}"), "far", "web", 8080, true },
	{ INGRESS_PORTS("{port: 8000, endPort: 8080}"), "far", "web", 8000, true },
	{ INGRESS_PORTS("{port: 8000, endPort: 8080}"), "far", "web", 7999, false },
	{ INGRESS_PORTS("{port: 8000, endPort: 8080}"), "far", "web", 8081, false },
	{ INGRESS_PORTS("{port: http}"), "far", "web", 8080, true },
	{ INGRESS_PORTS("{port: http}"), "far", "web", 9090, false },
	{ INGRESS_PORTS("{port: none}"), "far", "web", 8080, false },
	{ INGRESS_PORTS("{port: dns}"), "far", "web", 53, false },
	{ INGRESS_PORTS("{protocol: TCP}"), "far", "web", 1, true },
	{ INGRESS_PORTS("{protocol: UDP}"), "far", "web", 8080, false },
	{ INGRESS_PORTS("{protocol: UDP, port: 8080}, {protocol: SCTP, port: 8080}"), "far", "web",
	  8080, false },
	{ DEFAULT("podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: "
		  "{matchLabels: {app: cli}}}], ports: [{port: 8080}]}]"),
	  "cli", "web", 9090, false },
	{ DEFAULT("podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: "
		  "{matchLabels: {app: cli}}}]}, {ports: [{port: 8080}]}]"),
	  "cli", "web", 9090, true },
	/* Egress; a port's name is the endpoint's. */
	{ TO("{podSelector: {matchLabels: {app: db}}}"), "cli", "db", 5432, true },
	{ TO("{podSelector: {matchLabels: {app: db}}}"), "cli", "web", 8080, false },
	{ TO("{podSelector: {matchLabels: {app: db}}}"), "cart", "web", 8080, true },
	{ TO("{namespaceSelector: {matchLabels: {team: shop}}}"), "cli", "cart", 80, true },
	{ TO("{namespaceSelector: {matchLabels: {team: shop}}}"), "cli", "db", 80, false },
	{ TO("{ipBlock: {cidr: 203.0.113.0/24}}"), "cli", "far", 443, true },
	{ TO("{ipBlock: {cidr: 203.0.113.0/24}}"), "cli", "near", 443, false },
	{ EGRESS("ports: [{port: 443}]"), "cli", "far", 443, true },
	{ EGRESS("ports: [{port: 443}]"), "cli", "far", 80, false },
	{ EGRESS("ports: [{port: http}]"), "cli", "web", 8080, true },
	{ EGRESS("ports: [{port: http}]"), "cli", "pay", 8443, true },
	{ EGRESS("ports: [{port: http}]"), "cli", "pay", 8080, false },
	{ EGRESS("ports: [{port: http}]"), "cli", "far", 8080, false },
	{ EGRESS("ports: [{port: http}], to: [{namespaceSelector: {matchLabels: {team: shop}}}]"),
	  "cli", "web", 8080, false },
	{ EGRESS("ports: [{port: http}], to: [{namespaceSelector: {matchLabels: {team: shop}}}]"),
	  "cli", "pay", 8443, true },
	{ EGRESS("ports: [{port: http}], to: [{ipBlock: {cidr: 10.0.1.0/24}}]"), "cli", "pay", 8443,
	  true },
	{ EGRESS("ports: [{port: http}], to: [{ipBlock: {cidr: 10.0.1.0/24}}]"), "cli", "cart",
	  8443, false },
	{ EGRESS("ports: [{port: http}], to: [{ipBlock: {cidr: 10.0.1.0/24}}]"), "cli", "web", 8080,
	  false },
	{ EGRESS("ports: [{port: http}]"), "cli", "agent", 8080, true }, /* its own node */
	{ POLICY("shop", "p",
		 "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]"),
	  "cart", "agent", 8080, false },
	/* Several policies add up; both directions have to agree. */
	{ POLICY("default", "a", "podSelector: {}")
		  POLICY("default", "b",
			 "podSelector: {matchLabels: {app: web}}, ingress: [{from: "
			 "[{podSelector: {matchLabels: {app: cli}}}]}]"),
	  "cli", "web", 8080, true },
	{ POLICY("default", "a", "podSelector: {}")
		  POLICY("default", "b",
			 "podSelector: {matchLabels: {app: web}}, ingress: [{from: "
			 "[{podSelector: {matchLabels: {app: cli}}}]}]"),
	  "cli", "db", 5432, false },
	{ POLICY("default", "a", "podSelector: {}, ingress: [{ports: [{port: 1}]}]")
		  POLICY("default", "b", "podSelector: {}, ingress: [{ports: [{port: 2}]}]"),
	  "far", "web", 2, true },
	{ POLICY("default", "in", "podSelector: {matchLabels: {app: web}}, ingress: [{}]")
		  POLICY("default", "out", "podSelector: {}, policyTypes: [Egress]"),
	  "cli", "web", 8080, false },
	{ POLICY("default", "out", "podSelector: {}, policyTypes: [Egress], egress: [{}]")
		  POLICY("shop", "in", "podSelector: {}"),
	  "cli", "cart", 80, false },
	/* A pod itself, its own node, the node's own pods. */
	{ DEFAULT("podSelector: {}, policyTypes: [Ingress, Egress]"), "web", "web", 8080, true },
	{ DEFAULT("podSelector: {}"), "agent", "web", 8080, true },
	{ DEFAULT("podSelector: {}"), "agent", "db", 5432, false },
	{ DEFAULT("podSelector: {}, policyTypes: [Egress]"), "web", "agent", 8080, true },
	{ DEFAULT("podSelector: {}, policyTypes: [Egress]"), "db", "agent", 8080, false },
	{ DEFAULT("podSelector: {}"), "far", "agent", 8080, true },
	{ POLICY("default", "p",
		 "podSelector: {matchLabels: {app: db}}, ingress: [{from: "
		 "[{podSelector: {matchLabels: {app: agent}}}]}]"),
	  "agent", "db", 5432, false },
	{ POLICY("default", "p",
		 "podSelector: {matchLabels: {app: db}}, ingress: [{from: "
		 "[{ipBlock: {cidr: 192.168.0.0/16}}]}]"),
	  "agent", "db", 5432, true },
};

Test(network_policy, rows)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(unload) struct policy_world w = { 0 };
		struct addr from = address(rows[i].from), to = address(rows[i].to);

		load(&w, rows[i].policies);
		cr_expect_eq(objects_let(&w, &from, &to, rows[i].port), rows[i].open,
			     "objects: %s -> %s:%u should be %s by %s", rows[i].from, rows[i].to,
			     rows[i].port, rows[i].open ? "open" : "closed", rows[i].policies);
		cr_expect_eq(tables_let(&w, &from, &to, rows[i].port), rows[i].open,
			     "tables: %s -> %s:%u should be %s by %s", rows[i].from, rows[i].to,
			     rows[i].port, rows[i].open ? "open" : "closed", rows[i].policies);
	}
}

Test(network_policy, of_a_pod_whose_labels_are_unknown_no_policy_is_thought_to_let_it_be)
{
	static const struct row unknown[] = {
		{ "", "cli", "web", 8080, true },
		{ DEFAULT("podSelector: {matchLabels: {app: db}}"), "far", "web", 8080, false },
		{ DEFAULT("podSelector: {matchLabels: {app: db}}, ingress: [{}]"), "far", "web",
		  8080, true },
		{ DEFAULT("podSelector: {matchLabels: {app: db}}, policyTypes: [Egress]"), "web",
		  "far", 80, false },
		{ POLICY("shop", "p", "podSelector: {}"), "far", "web", 8080, true },
		/* As a peer: it may be any of the namespace's pods, but none in particular. */
		{ POLICY("default", "p",
			 "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: "
			 "{matchLabels: {app: web}}}]}]"),
		  "web", "db", 5432, false },
		{ POLICY("default", "p",
			 "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: "
			 "{matchExpressions: [{key: x, operator: DoesNotExist}]}}]}]"),
		  "web", "db", 5432, false },
		{ POLICY("default", "p",
			 "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: "
			 "{}}]}]"),
		  "web", "db", 5432, true },
	};

	unlabelled = "web";
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		_cleanup_(unload) struct policy_world w = { 0 };
		struct addr from = address(unknown[i].from), to = address(unknown[i].to);

		load(&w, unknown[i].policies);
		cr_expect_eq(objects_let(&w, &from, &to, unknown[i].port), unknown[i].open,
			     "objects, row %zu", i);
		cr_expect_eq(tables_let(&w, &from, &to, unknown[i].port), unknown[i].open,
			     "tables, row %zu", i);
	}
}

/* ---- any policies at all ---- */

static unsigned seed;

static unsigned any(unsigned below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

#define ANY(list) list[any(sizeof(list) / sizeof(*list))]

static const char *any_selector(void)
{
	static const char *const list[] = {
		"{}",
		"{matchLabels: {app: web}}",
		"{matchLabels: {app: cli}}",
		"{matchLabels: {tier: front}}",
		"{matchExpressions: [{key: app, operator: NotIn, values: [web, db]}]}",
		"{matchExpressions: [{key: tier, operator: Exists}]}",
		"{matchExpressions: [{key: tier, operator: DoesNotExist}]}",
	};

	return ANY(list);
}

static const char *any_namespaces(void)
{
	static const char *const list[] = {
		"{}",
		"{matchLabels: {team: shop}}",
		"{matchLabels: {kubernetes.io/metadata.name: loose}}",
		"{matchExpressions: [{key: env, operator: DoesNotExist}]}",
	};

	return ANY(list);
}

static const char *any_block(void)
{
	static const char *const list[] = {
		"{cidr: 10.0.0.0/8}",
		"{cidr: 0.0.0.0/0, except: [10.0.0.0/24, 203.0.113.0/25]}",
		"{cidr: 10.0.1.2/31}",
		"{cidr: \"::/0\"}",
		"{cidr: \"fd00::/16\", except: [\"fd00::/127\"]}",
		"{cidr: 192.168.0.1/32}",
	};

	return ANY(list);
}

static void write_peers(FILE *f, const char *word)
{
	fprintf(f, "%s: [", word);
	for (unsigned i = 0, n = any(3); i < n; i++) {
		switch (any(4)) {
		case 0:
			fprintf(f, "{podSelector: %s},", any_selector());
			break;
		case 1:
			fprintf(f, "{namespaceSelector: %s},", any_namespaces());
			break;
		case 2:
			fprintf(f, "{podSelector: %s, namespaceSelector: %s},", any_selector(),
				any_namespaces());
			break;
		default:
			fprintf(f, "{ipBlock: %s},", any_block());
		}
	}
	fputs("]", f);
}

static void write_ports(FILE *f)
{
	static const char *const ports[] = { "{port: 8080}",
					     "{port: http}",
					     "{port: sql}",
					     "{port: 5000, endPort: 8443}",
					     "{protocol: UDP, port: 8080}",
					     "{protocol: TCP}" };

	fputs("ports: [", f);
	for (unsigned i = 0, n = any(3); i < n; i++)
		fprintf(f, "%s,", ANY(ports));
	fputs("]", f);
}

static void write_policy(FILE *f, int n)
{
	static const char *const namespaces[] = { "default", "default", "shop", "loose" };
	static const char *const types[] = { "[]", "[Ingress]", "[Egress]", "[Ingress, Egress]" };
	static const char *const directions[] = { "ingress", "egress" };

	fprintf(f,
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {namespace: %s, name: p%d}\nspec: {podSelector: %s, policyTypes: %s",
		ANY(namespaces), n, any_selector(), ANY(types));
	for (int d = 0; d < 2; d++) {
		fprintf(f, ", %s: [", directions[d]);
		for (unsigned i = 0, rules = any(3); i < rules; i++) {
			fputs("{", f);
			write_peers(f, d ? "to" : "from");
			fputs(", ", f);
			write_ports(f);
			fputs("},", f);
		}
		fputs("]", f);
	}
	fputs("}\n---\n", f);
}

static char *any_policies(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (int i = 0, n = 1 + (int)any(5); i < n; i++)
		write_policy(f, i);
	fclose(f);
	return text;
}

static size_t compare(struct policy_world *w, const char *policies)
{
	static const unsigned ports[] = { 80, 5432, 8080, 8443, 9090 };
	size_t open = 0;

	for (size_t i = 0; i < ADDRESSES; i++)
		for (size_t k = 0; k < ADDRESSES; k++)
			for (size_t p = 0; p < sizeof(ports) / sizeof(*ports); p++) {
				struct addr from = address(addresses[i].name),
					    to = address(addresses[k].name);
				bool let = objects_let(w, &from, &to, ports[p]);

				cr_assert_eq(let, tables_let(w, &from, &to, ports[p]),
					     "%s -> %s:%u: the objects let %d, the tables not so: "
					     "%s",
					     addresses[i].name, addresses[k].name, ports[p], let,
					     policies);
				open += let;
			}
	return open;
}

Test(network_policy, the_tables_say_what_the_objects_say, .timeout = 120)
{
	const size_t all = 200ul * ADDRESSES * ADDRESSES * 5;
	size_t open = 0;

	for (seed = 1; seed <= 200; seed++) {
		_cleanup_(unload) struct policy_world w = { 0 };
		unsigned round = seed;
		_cleanup_free_ char *policies = any_policies();

		unlabelled = seed % 2 ? "cli" : NULL;
		load(&w, policies);
		open += compare(&w, policies);
		seed = round;
	}
	/* Neither is nearly everything. */
	cr_expect(open > all / 5 && open < all * 4 / 5, "%zu of %zu", open, all);
}

/* ---- who closes it ---- */

Test(network_policy, those_that_close_it_are_named)
{
	_cleanup_(unload) struct policy_world w = { 0 };
	struct addr from = address("cli"), to = address("web");
	struct netpolicy_party client, endpoint;
	struct netpolicy_closed closed;

	load(&w,
	     POLICY("default", "a", "podSelector: {}")
		     POLICY("default", "b",
			    "podSelector: {matchLabels: {app: web}}, ingress: [{ports: "
			    "[{port: 1}]}]") POLICY("default", "c",
						    "podSelector: {}, policyTypes: [Egress]")
			     POLICY("default", "other", "podSelector: {matchLabels: {app: db}}"));
	client = party_at(&w.c.objects, &from);
	endpoint = party_at(&w.c.objects, &to);
	cr_assert_eq(netpolicy_allows(&w.policies, &client, &endpoint, 8080, &closed), 0);
	cr_assert_eq(closed.ingress_count, 2);
	cr_expect_str_eq(closed.ingress[0]->meta.name, "a");
	cr_expect_str_eq(closed.ingress[1]->meta.name, "b");
	cr_assert_eq(closed.egress_count, 1);
	cr_expect_str_eq(closed.egress[0]->meta.name, "c");
}

/* ---- size ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Pods of 20 applications in 50 namespaces, each with labels of its own beside; they need no text.
 */
static void add_pods(struct objects *objects, struct object *pods, int count)
{
	objects->items = reallocarray(objects->items, objects->count + (size_t)count,
				      sizeof(*objects->items));
	for (int i = 0; i < count; i++) {
		struct kv *labels = calloc(3, sizeof(*labels));
		const char **ip = calloc(1, sizeof(*ip));
		char *text;

		cr_assert_gt(asprintf(&text, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255), 0);
		*ip = text;
		labels[0] = (struct kv){ .key = "pod-template-hash", .value = text };
		cr_assert_gt(asprintf(&text, "a%d", i / 50 % 20), 0);
		labels[1] = (struct kv){ .key = "app", .value = text };
		labels[2] = (struct kv){ .key = "index", .value = *ip };
		cr_assert_gt(asprintf(&text, "n%d", i % 50), 0);
		pods[i] = (struct object){
			.kind = KIND_POD,
			.meta = { .name = *ip, .namespace = text, .labels = { labels, 3 } },
			.pod.ips = { .items = ip, .count = 1 }
		};
		objects->items[objects->count++] = &pods[i];
	}
}

static char *many_policies(int policies)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (int i = 0; i < policies; i++)
		fprintf(f,
			"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: "
			"q%d, namespace: n%d}\nspec: {podSelector: {matchLabels: {app: a%d}}, "
			"ingress: [{from: [{podSelector: {matchLabels: {app: a%d}}}, "
			"{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: n%d}}}], "
			"ports: [{port: %d}]}], egress: [{to: [{namespaceSelector: {}, "
			"podSelector: "
			"{matchLabels: {app: a%d}}}]}]}\n---\n",
			i, i % 50, i / 50 % 20, (i + 1) % 20, (i + 1) % 50, 80 + i % 3,
			(i + 2) % 20);
	fclose(f);
	return text;
}

/* Ten thousand pods and a hundred policies, with the sanitizers on. */
Test(network_policy, size, .timeout = 60)
{
	enum { PODS = 10000, POLICIES = 100 };
	_cleanup_free_ char *text = many_policies(POLICIES);
	struct object *pods = calloc(PODS, sizeof(*pods));
	struct policy_classes classes;
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	double t;

	cr_assert_eq(rules_parse("t.yaml", text, strlen(text), &objects, &errors, NULL), 0);
	add_pods(&objects, pods, PODS);
	t = seconds();
	cr_assert_eq(policy_classes_make(&classes, &objects), 0);
	t = seconds() - t;
	cr_expect_lt(t, 1.0, "%f s", t);
	cr_expect_leq(classes.class_words, 50 * 20 / 32 + 1, "%zu", classes.class_words);
	cr_expect_eq(classes.addresses.count, PODS);
	cr_log_info("%f s, %zu sets, %zu words of classes", t, classes.sets.count,
		    classes.class_words);
	policy_classes_free(&classes);
}

/* Without a policy nothing is made, whatever pods there are. */
Test(network_policy, nothing_without_a_policy)
{
	_cleanup_(unload) struct policy_world w = { 0 };
	const struct http_snapshot *s;

	load(&w, "");
	s = w.c.tables->http;
	cr_expect_eq(hs_count(s, HS_PEERS), 0);
	cr_expect_eq(hs_count(s, HS_POLICIES), 0);
	cr_expect_eq(hs_count(s, HS_POLICY_RULES), 0);
	cr_expect_eq(hs_count(s, HS_CLASSES), 0);
}

/* ---- damage ---- */

#define FIELD(row, table, field, value)                                               \
	{                                                                             \
#row "." #field " " #value, table, offsetof(struct row, field), value \
	}

static int open_bytes(const void *bytes, size_t size)
{
	struct http_snapshot *s = NULL;
	int r = http_snapshot_open(bytes, size, &s);

	http_snapshot_close(s);
	return r;
}

Test(network_policy, tables_that_lead_nowhere_are_refused)
{
	static const struct {
		const char *what;
		enum hs_table table;
		size_t at;
		__u32 value;
	} damages[] = {
		FIELD(hs_source, HS_SOURCES, egress, 1000),
		FIELD(hs_policy, HS_POLICIES, rules.first, 1000),
		FIELD(hs_policy, HS_POLICIES, rules.count, 1000),
		FIELD(hs_policy_rule, HS_POLICY_RULES, classes.count, 1000),
		FIELD(hs_policy_rule, HS_POLICY_RULES, blocks.first, 1000),
		FIELD(hs_block, HS_BLOCKS, prefix, 129),
		FIELD(hs_block, HS_BLOCKS, except.count, 0xffffffff),
		FIELD(hs_except, HS_EXCEPTS, prefix, 129),
		FIELD(hs_peer, HS_PEERS, ingress, 1000),
		FIELD(hs_peer, HS_PEERS, egress, 0xffffffff),
		FIELD(hs_endpoint, HS_ENDPOINTS, ingress, 1000),
	};
	_cleanup_(unload) struct policy_world w = { 0 };
	const struct tables *t;

	load(&w, "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: "
		 "10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80}]}\n---\n" FROM(
			 "{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}"));
	t = w.c.tables;
	cr_assert_eq(open_bytes(t->http->header, t->http->header->size), 0);
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		_cleanup_free_ char *copy = malloc(t->http->header->size);
		const struct hs_header *h = (const struct hs_header *)copy;

		memcpy(copy, t->http->header, t->http->header->size);
		cr_assert(h->tables[damages[i].table].count, "%s", damages[i].what);
		memcpy(copy + h->tables[damages[i].table].at + damages[i].at, &damages[i].value,
		       sizeof(damages[i].value));
		cr_expect_eq(open_bytes(copy, t->http->header->size), -EBADMSG, "%s",
			     damages[i].what);
	}
}
