// SPDX-License-Identifier: Apache-2.0
/*
 * ConnectionPolicy: what the kernel's table is made of, how it changes, and what becomes of a
 * caller from outside. How each range is refused or printed is selftests/rules'.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "daemon/datapath/protect.h"
#include "lib/explain/explain.h"
#include "lib/explain/explain_http.h"
#include "lib/explain/protection.h"
#include "lib/model/kinds.h"
#include "test_compile_util.h"

#define POLICY(spec)                                                                         \
	"apiVersion: weft.dev/v1alpha1\nkind: ConnectionPolicy\nmetadata: {name: default}\n" \
	"spec: " spec "\n"
#define GATEWAY                                                                              \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"                        \
	"spec: {clusterIP: 10.96.0.1, ports: [{name: tcp, port: 9000}]}\n"                   \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: lb}\n"                         \
	"spec: {clusterIP: 10.96.0.2, externalIPs: [192.0.2.1], ports: [{name: tcp, "        \
	"port: 9000}]}\n"                                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"     \
	"spec: {servers: [{port: {number: 31400, name: tcp, protocol: TCP}, hosts: ['*']}, " \
	"{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]}\n"               \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                    \
	"metadata: {name: vs}\nspec: {hosts: ['*'], gateways: [gw], tcp: [{route: "          \
	"[{destination: {host: web}}]}], http: [{route: [{destination: {host: web}}]}]}\n"

static struct protection *protection_of(struct compiled *c, const char *yaml)
{
	_cleanup_free_ char *errors = NULL;

	compiled_text(c, yaml);
	errors = errors_text(&c->errors);
	cr_assert_not_null(c->tables, "%s", errors);
	return &c->tables->protection;
}

static const char *found(const struct protection *p, const char *address)
{
	static const char *const verdicts[] = { "neither", "allow", "deny" };
	const struct protect_range *range;
	struct addr addr;

	cr_assert_eq(addr_parse(address, &addr), 0);
	range = protection_find(p, &addr);
	return range ? verdicts[range->verdict] : "none";
}

/* ---- the table ---- */

Test(protection, the_longest_range_counts_and_deny_where_both_are_as_long)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	const struct protection *p = protection_of(
		&c, POLICY("{allow: [10.0.0.0/8, 10.1.2.0/24, '::/0', 10.3.0.0/16], "
			   "deny: [10.1.0.0/16, 10.3.0.0/16, 10.1.2.3/32, 'fd00::/9']}"));
	const struct {
		const char *address, *verdict;
	} rows[] = {
		{ "10.0.0.1", "allow" },    { "10.1.0.1", "deny" }, { "10.1.2.1", "allow" },
		{ "10.1.2.3", "deny" },	    { "10.3.0.1", "deny" }, { "2001:db8::1", "allow" },
		{ "fd00::1", "deny" },	    { "fd80::1", "allow" }, { "11.0.0.1", "neither" },
		{ "192.0.2.1", "neither" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_str_eq(found(p, rows[i].address), rows[i].verdict, "%s", rows[i].address);
}

Test(protection, without_a_range_of_all_ipv6_ipv4_needs_no_fence)
{
	_cleanup_compiled_ struct compiled c = { 0 };

	protection_of(&c, POLICY("{deny: [10.0.0.0/8, '2001:db8::/32']}"));
	cr_expect_eq(c.tables->protection.ranges.count, 2);
	cr_expect_str_eq(found(&c.tables->protection, "192.0.2.1"), "none");
}

Test(protection, a_policy_that_says_nothing_is_on_and_no_more)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	const struct protect_limits wanted = { .flags = PROTECT_ON };

	protection_of(&c, POLICY("{}"));
	cr_expect_eq(memcmp(&c.tables->protection.limits, &wanted, sizeof(wanted)), 0);
}

/* What tells whether anything has to be published. */
Test(protection, tables_with_another_policy_are_not_the_same)
{
	static const char *const policies[] = {
		GATEWAY,
		POLICY("{}"),
		POLICY("{deny: [10.0.0.0/8]}"),
		POLICY("{deny: [10.0.0.0/9]}"),
		POLICY("{allow: [10.0.0.0/9]}"),
		POLICY("{newConnections: {total: {rate: 1}}}"),
		POLICY("{newConnections: {total: {rate: 1, burst: 2}}}"),
		POLICY("{newConnections: {perSource: {rate: 1}}}"),
		POLICY("{synCookies: {}}"),
		POLICY("{synCookies: {mode: Always}}"),
		POLICY("{synCookies: {threshold: 1}}"),
		POLICY("{ports: [80]}"),
	};
	enum { N = sizeof(policies) / sizeof(*policies) };
	struct compiled c[N] = { 0 };

	for (size_t i = 0; i < N; i++)
		protection_of(&c[i], policies[i]);
	for (size_t i = 1; i < N; i++)
		for (size_t k = 1; k < N; k++)
			cr_expect_eq(tables_same(c[i].tables, c[k].tables), i == k, "%zu %zu", i,
				     k);
	for (size_t i = 0; i < N; i++)
		compiled_free(&c[i]);
}

Test(protection, there_is_room_for_a_large_list_and_no_more)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	_cleanup_free_ char *text = NULL, *more = NULL, *errors = NULL;
	struct compiled d = { 0 };
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("apiVersion: weft.dev/v1alpha1\nkind: ConnectionPolicy\n"
	      "metadata: {name: default}\nspec:\n  deny:\n",
	      f);
	for (int i = 0; i < CONNECTION_POLICY_RANGES; i++)
		fprintf(f, "  - 10.%d.%d.0/24\n", i >> 8, i & 255);
	fclose(f);
	protection_of(&c, text);
	cr_expect_eq(c.tables->protection.ranges.count, CONNECTION_POLICY_RANGES);
	cr_assert(asprintf(&more, "%s  - 11.0.0.0/8\n", text) > 0);
	compiled_text(&d, more);
	errors = errors_text(&d.errors);
	cr_expect(strstr(errors, "spec.deny: expected at most 16000 elements, not 16001"), "%s",
		  errors);
	cr_expect_null(d.tables);
	compiled_free(&d);
}

/* ---- from one to another ---- */

/* The ranges that a map would have after a change. */
static void expect_change(const struct protection *from, const struct protection *to, size_t put,
			  size_t gone)
{
	struct protect_change c = { 0 };

	cr_assert_eq(protect_compare(from->ranges.items, from->ranges.count, to->ranges.items,
				     to->ranges.count, &c),
		     0);
	cr_expect_eq(c.put.count, put, "put %zu, not %zu", c.put.count, put);
	cr_expect_eq(c.gone.count, gone, "gone %zu, not %zu", c.gone.count, gone);
	protect_change_free(&c);
}

Test(protection, only_what_differs_is_written)
{
	_cleanup_compiled_ struct compiled a = { 0 }, b = { 0 }, none = { 0 };

	protection_of(&none, POLICY("{}"));
	protection_of(&a, POLICY("{deny: [10.0.0.0/8, 10.0.0.0/16, 11.0.0.0/8], allow: "
				 "[12.0.0.0/8]}"));
	/* One goes, one comes, one changes sides. */
	protection_of(&b, POLICY("{deny: [10.0.0.0/8, 12.0.0.0/8, 11.0.0.0/8, 'fd00::/8']}"));
	expect_change(&a.tables->protection, &a.tables->protection, 0, 0);
	expect_change(&none.tables->protection, &a.tables->protection, 4, 0);
	expect_change(&a.tables->protection, &none.tables->protection, 0, 4);
	expect_change(&a.tables->protection, &b.tables->protection, 2, 1);
	expect_change(&b.tables->protection, &a.tables->protection, 2, 1);
}

Test(protection, every_reason_has_a_name_of_its_own)
{
	bool dropped;

	for (unsigned i = 0; i < PROTECT_REASONS; i++) {
		const char *name = protect_reason_name(i, &dropped);

		cr_assert(name && *name, "%u", i);
		for (unsigned k = 0; k < i; k++)
			cr_expect_str_neq(name, protect_reason_name(k, &dropped));
	}
	cr_expect_null(protect_reason_name(PROTECT_REASONS, &dropped));
}

/* ---- words ---- */

Test(protection, it_is_told_in_a_line)
{
	static const struct {
		const char *yaml, *text;
	} rows[] = {
		{ GATEWAY, "none" },
		{ POLICY("{}"), "everyone allowed" },
		{ POLICY("{deny: [10.0.0.0/8]}"), "everyone allowed, 1 denied" },
		{ POLICY("{allow: ['::/0'], synCookies: {}}"),
		  "1 subnet allowed; SYN cookies above 5000 per second" },
		{ POLICY("{allow: [10.0.0.0/8, 11.0.0.0/8], deny: [10.1.0.0/16], newConnections: "
			 "{perSource: {rate: 10, burst: 20}, total: {rate: 1000}}, synCookies: "
			 "{mode: Always}, ports: [80, 443]}"),
		  "2 subnets allowed, 1 denied; 10 new connections per second of a source (20 at "
		  "once); 1000 new connections per second in all (1000 at once); SYN cookies; "
		  "ports 80, 443" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_compiled_ struct compiled c = { 0 };
		_cleanup_free_ char *text = protection_text(protection_of(&c, rows[i].yaml));

		cr_expect_str_eq(text, rows[i].text);
	}
}

#define BY "ConnectionPolicy default (t.yaml:1:1) "
#define RULES                                                                         \
	POLICY("{allow: [203.0.113.0/24, 198.51.100.0/24], deny: [203.0.113.64/26], " \
	       "newConnections: "                                                     \
	       "{perSource: {rate: 10}}}")                                            \
	GATEWAY
#define PER_SOURCE "; 10 new connections per second of a source (10 at once)"

/* `dropped`: the reason of a refusal; else what is told of the policy beside the answer. */
static const struct {
	const char *about, *yaml;
	struct explain_query q;
	const char *dropped, *passed;
} callers[] = {
	{ "denied",
	  RULES,
	  { .gateway = "gw", .source = "203.0.113.65", .host = "any", .port = 31400 },
	  BY "drops what comes from 203.0.113.65: spec.deny[0], 203.0.113.64/26",
	  NULL },
	{ "allowed",
	  RULES,
	  { .gateway = "gw", .source = "198.51.100.9", .host = "any", .port = 31400 },
	  NULL,
	  BY "lets 198.51.100.9 in: spec.allow[1], 198.51.100.0/24" PER_SOURCE },
	{ "not listed",
	  RULES,
	  { .gateway = "gw", .source = "192.0.2.9", .host = "any", .port = 31400 },
	  BY "drops what comes from 192.0.2.9: it is in no subnet of spec.allow",
	  NULL },
	{ "of another family",
	  RULES,
	  { .gateway = "gw", .source = "2001:db8::9", .host = "any", .port = 31400 },
	  BY "drops what comes from 2001:db8::9: it is in no subnet of spec.allow",
	  NULL },
	{ "nobody in particular",
	  RULES,
	  { .gateway = "gw", .host = "any", .port = 31400 },
	  NULL,
	  BY "is in force: 2 subnets allowed, 1 denied" PER_SOURCE },
	{ "an external address",
	  RULES,
	  { .source = "203.0.113.65", .address = "192.0.2.1", .port = 9000 },
	  BY "drops what comes from 203.0.113.65: spec.deny[0], 203.0.113.64/26",
	  NULL },
	{ "an external address, allowed",
	  RULES,
	  { .source = "203.0.113.1", .address = "192.0.2.1", .port = 9000 },
	  NULL,
	  BY "lets 203.0.113.1 in: spec.allow[0], 203.0.113.0/24" PER_SOURCE },
	{ "a port of the node, by its address",
	  RULES,
	  { .source = "203.0.113.65", .address = "10.1.0.1", .port = 31400 },
	  BY "drops what comes from 203.0.113.65: spec.deny[0], 203.0.113.64/26",
	  NULL },
	{ "a port that weft does not serve",
	  RULES,
	  { .source = "203.0.113.65", .address = "10.1.0.1", .port = 22 },
	  NULL,
	  NULL },
	{ "that port, named by the policy",
	  POLICY("{deny: [0.0.0.0/0], ports: [22]}") GATEWAY,
	  { .source = "203.0.113.65", .address = "10.1.0.1", .port = 22 },
	  BY "drops what comes from 203.0.113.65: spec.deny[0], 0.0.0.0/0",
	  NULL },
	{ "a served port that the policy does not name",
	  POLICY("{deny: [0.0.0.0/0], ports: [22]}") GATEWAY,
	  { .gateway = "gw", .source = "203.0.113.65", .host = "any", .port = 31400 },
	  NULL,
	  NULL },
	{ "a pod is not outside", RULES, { .address = "10.96.0.1", .port = 9000 }, NULL, NULL },
	{ "no policy",
	  GATEWAY,
	  { .gateway = "gw", .source = "203.0.113.65", .host = "any", .port = 31400 },
	  NULL,
	  NULL },
};

static void expect_text(const char *about, const char *got, const char *wanted)
{
	cr_expect(!got == !wanted && (!got || !strcmp(got, wanted)), "%s: expected %s, not %s",
		  about, wanted ? wanted : "nothing", got ? got : "nothing");
}

Test(protection, explain_says_what_becomes_of_a_caller_from_outside)
{
	for (size_t i = 0; i < sizeof(callers) / sizeof(*callers); i++) {
		_cleanup_compiled_ struct compiled c = { 0 };
		_cleanup_(explain_done) struct explain_answer a = { 0 };
		struct errors errors = { 0 };

		protection_of(&c, callers[i].yaml);
		cr_assert_eq(explain(c.tables, &c.objects, &callers[i].q, NULL, NULL, &a, &errors),
			     0, "%s", callers[i].about);
		if (callers[i].dropped) {
			cr_expect_eq(a.action, EXPLAIN_REFUSE, "%s", callers[i].about);
			expect_text(callers[i].about, a.reason, callers[i].dropped);
		} else {
			cr_expect_neq(a.action, EXPLAIN_REFUSE, "%s", callers[i].about);
		}
		expect_text(callers[i].about, a.protection, callers[i].passed);
	}
}

Test(protection, a_call_from_outside_has_an_address_and_calls_one)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	static const struct explain_query bad[] = {
		{ .source = "somewhere", .address = "10.1.0.1", .port = 80 },
		{ .source = "203.0.113.1", .host = "web", .port = 80 },
	};

	protection_of(&c, RULES);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_(explain_done) struct explain_answer a = { 0 };
		_cleanup_(errors_free) struct errors errors = { 0 };

		cr_expect_eq(explain(c.tables, &c.objects, &bad[i], NULL, NULL, &a, &errors),
			     -EINVAL);
		cr_expect_eq(errors.count, 1);
	}
}

/* A request of one that is dropped is none: the answer is that for its connection. */
Test(protection, explain_of_http_asks_the_policy_first)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	struct explain_query q = { .gateway = "gw", .host = "any", .port = 8080 };
	const struct explain_request request = { .path = "/" };
	struct errors errors = { 0 };
	json_auto_t *json = NULL;
	const char *text;

	protection_of(&c, RULES);
	q.source = "203.0.113.65";
	cr_expect_eq(explain_http(c.tables->http, c.tables, &c.objects, &q, &request, NULL, &json,
				  &errors),
		     -EPROTONOSUPPORT);
	q.source = "203.0.113.1";
	cr_assert_eq(explain_http(c.tables->http, c.tables, &c.objects, &q, &request, NULL, &json,
				  &errors),
		     0);
	text = json_string_value(json_object_get(json, "connection_policy"));
	expect_text("HTTP", text,
		    BY "lets 203.0.113.1 in: spec.allow[0], 203.0.113.0/24" PER_SOURCE);
}

Test(protection, it_is_called_as_kubectl_would)
{
	cr_expect_eq(kind_parse("connectionpolicies"), KIND_CONNECTION_POLICY);
	cr_expect_eq(kind_parse("ConnectionPolicy"), KIND_CONNECTION_POLICY);
	cr_expect_eq(kind_parse("connpol"), KIND_CONNECTION_POLICY);
	cr_expect_eq(kind_parse("connectionpolicies.weft.dev"), KIND_CONNECTION_POLICY);
	cr_expect_eq(kind_parse("connectionpolicies.v1alpha1.weft.dev"), KIND_CONNECTION_POLICY);
	cr_expect_eq(kind_parse("connectionpolicies.networking.istio.io"), -1);
}
