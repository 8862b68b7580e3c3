/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/model/model_http.h"
#include "lib/schema/validate.h"

static bool applies_to_mesh(const struct virtual_service *vs)
{
	for (size_t i = 0; i < vs->gateways.count; i++)
		if (!strcmp(vs->gateways.items[i], "mesh"))
			return true;
	return !vs->gateways.count;
}

/* "outbound_.PORT_.SUBSET_.HOST": how a gateway between networks names a cluster in SNI. */
static bool cluster_sni(const char *s)
{
	const char *dot;

	if (strncmp(s, "outbound_.", 10) != 0)
		return false;
	s += 10;
	if (!*s || !strspn(s, "0123456789") || strncmp(s + strspn(s, "0123456789"), "_.", 2) != 0)
		return false;
	s += strspn(s, "0123456789") + 2;
	dot = strchr(s, '.');
	if (!dot || dot == s || dot[-1] != '_')
		return false;
	if (dot - 1 > s && !valid_dns_label(s, (size_t)(dot - 1 - s)))
		return false;
	return !host_problem(dot + 1);
}

static const char *rule_host_problem(const struct virtual_service *vs, const char *host)
{
	const char *problem = host_problem(host);

	if (problem && valid_ip(host, NULL))
		return NULL;
	if (problem && vs->tls.count && !applies_to_mesh(vs) && cluster_sni(host))
		return NULL;
	if (!problem && !strcmp(host, "*") && applies_to_mesh(vs))
		return "a host that is not \"*\" for the mesh (without gateways)";
	return problem;
}

/* As Istio compares them: as they are written. Names that differ in case only are one host twice,
 * and no harm comes of that. */
static bool hosts_overlap(const char *a, const char *b)
{
	const char *x = a + (*a == '*'), *y = b + (*b == '*');
	size_t n = strlen(x), m = strlen(y), both = n < m ? n : m;

	return (host_covers(a, b) || host_covers(b, a)) &&
	       !memcmp(x + n - both, y + m - both, both);
}

static void check_hosts(struct decoder *d, const struct node *node,
			const struct virtual_service *vs)
{
	const struct node *list = decode_at(d, node, "hosts");
	char name[32];

	for (size_t i = 0; i < vs->hosts.count; i++) {
		const char *problem = rule_host_problem(vs, vs->hosts.items[i]);

		snprintf(name, sizeof(name), "hosts[%zu]", i);
		if (problem)
			decode_expected(d, validate_nth(list, i), name, problem);
		for (size_t j = 0; !problem && j < i; j++) {
			const char *a = vs->hosts.items[i], *b = vs->hosts.items[j];

			if (!hosts_overlap(a, b))
				continue;
			decode_error(
				d, validate_nth(list, i), name,
				"expected hosts that don't overlap, not \"%.64s\" beside \"%.64s\"",
				a, b);
			break;
		}
	}
}

/* A VirtualService without hosts is one that others delegate to: it has HTTP routes and nothing
 * else. */
static void check_delegate(struct decoder *d, const struct node *node,
			   const struct virtual_service *vs)
{
	static const char *const fields[] = { "gateways", "tls", "tcp" };
	const size_t counts[] = { vs->gateways.count, vs->tls.count, vs->tcp.count };

	for (size_t i = 0; i < 3; i++)
		if (counts[i])
			decode_error(d, decode_at(d, node, fields[i]), fields[i],
				     "expected hosts beside it: without any, the rule is a "
				     "delegate and has only http");
	for (size_t i = 0; i < vs->http.count; i++)
		if (vs->http.items[i].delegate)
			decode_error(d, validate_nth(decode_at(d, node, "http"), i), "http",
				     "expected no delegate in a delegate (a VirtualService without "
				     "hosts)");
}

static bool covered(const struct virtual_service *vs, const char *sni)
{
	for (size_t i = 0; i < vs->hosts.count; i++)
		if (host_covers(vs->hosts.items[i], sni))
			return true;
	return false;
}

static void check_sni_hosts(struct decoder *d, const struct node *node,
			    const struct virtual_service *vs, const struct l4_match *match)
{
	const struct node *list = decode_at(d, node, "sniHosts");
	char name[32];

	for (size_t i = 0; i < match->sni_hosts.count; i++) {
		const char *sni = match->sni_hosts.items[i];
		bool cluster = !applies_to_mesh(vs) && cluster_sni(sni);
		const char *problem = cluster ? NULL : host_problem(sni);

		snprintf(name, sizeof(name), "sniHosts[%zu]", i);
		if (problem && valid_ip(sni, NULL))
			decode_warn(d, validate_nth(list, i), name,
				    "clients don't send an address as SNI");
		else if (problem)
			decode_expected(d, validate_nth(list, i), name, problem);
		else if (!covered(vs, sni))
			decode_expected(d, validate_nth(list, i), name,
					"one of the VirtualService's hosts");
	}
}

static void check_tls(struct decoder *d, const struct node *node, const struct virtual_service *vs)
{
	const struct node *list = decode_at(d, node, "tls");
	struct path tls = { .up = d->path, .name = "tls" }, route = { .up = &tls };
	struct path matches = { .up = &route, .name = "match" }, match = { .up = &matches };

	d->path = &match;
	for (size_t i = 0; i < vs->tls.count; i++) {
		const struct node *inner = decode_at(d, validate_nth(list, i), "match");

		route.index = i;
		for (size_t j = 0; j < vs->tls.items[i].match.count; j++) {
			match.index = j;
			check_sni_hosts(d, validate_nth(inner, j), vs,
					&vs->tls.items[i].match.items[j]);
		}
	}
	d->path = tls.up;
}

static void check_spec(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct virtual_service *vs = self;

	if (!vs->http.count && !vs->tcp.count && !vs->tls.count)
		decode_error(d, self_node, NULL, "expected at least one of http, tcp and tls");
	if (!vs->hosts.count)
		check_delegate(d, self_node, vs);
	check_hosts(d, self_node, vs);
	if (vs->hosts.count)
		check_tls(d, self_node, vs);
}

static const struct cel spec_cel[] = {
	{ .rule = "(has(self.http) && self.http.size() > 0) || (has(self.tls) && self.tls.size() > "
		  "0) || "
		  "(has(self.tcp) && self.tcp.size() > 0)",
	  .message = "expected at least one of http, tcp and tls" },
	{ .rule = "!has(self.hosts) || !self.hosts.exists(h, h == '*') || (has(self.gateways) && "
		  "self.gateways.size() > 0 && !self.gateways.exists(g, g == 'mesh'))",
	  .message = "hosts: expected a host that is not \"*\" for the mesh (without gateways)" },
	{ .rule = "(has(self.hosts) && self.hosts.size() > 0) || (!(has(self.gateways) && "
		  "self.gateways.size() > 0) && !(has(self.tls) && self.tls.size() > 0) && "
		  "!(has(self.tcp) && self.tcp.size() > 0))",
	  .message = "expected hosts beside gateways, tls and tcp: without any, the rule is a "
		     "delegate and has "
		     "only http" },
	{ .rule = "(has(self.hosts) && self.hosts.size() > 0) || !has(self.http) || "
		  "!self.http.exists(r, has(r.delegate))",
	  .message = "expected no delegate in a delegate (a VirtualService without hosts)" },
	{ 0 },
};

static const struct field spec_fields[] = {
	{ "hosts", FIELD_STRINGS, .offset = offsetof(struct virtual_service, hosts),
	  .pattern = CRD_RULE_HOST },
	{ "gateways", FIELD_STRINGS, .offset = offsetof(struct virtual_service, gateways),
	  .check = validate_gateway_refs, .pattern = CRD_GATEWAY_REF },
	{ "http", FIELD_LIST, .offset = offsetof(struct virtual_service, http), .max = ROUTES_MAX,
	  .message = &schema_http_route },
	{ "tls", FIELD_LIST, .offset = offsetof(struct virtual_service, tls), .max = ROUTES_MAX,
	  .message = &schema_tls_route },
	{ "tcp", FIELD_LIST, .offset = offsetof(struct virtual_service, tcp), .max = ROUTES_MAX,
	  .message = &schema_l4_route },
	{ "exportTo", FIELD_STRINGS, .offset = offsetof(struct virtual_service, export_to),
	  .check = validate_export_to, .cel = cel_export_to },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a VirtualService's spec (a map)",
	.size = sizeof(struct virtual_service),
	.fields = spec_fields,
	.cel = spec_cel,
	.check = check_spec,
};

static const struct field rule_fields[] = OBJECT_FIELDS(vs, spec_message, true);

const struct message schema_virtual_service = {
	.what = "a VirtualService (a map)",
	.size = OBJECT_SIZE(vs),
	.fields = rule_fields,
};
