// SPDX-License-Identifier: Apache-2.0
/*
 * Who may call a pod: AuthorizationPolicies as Istio's reference and its tutorials have them, and
 * the traps that they warn of. Each row is asked of the policies' rows; those about connections are
 * asked of the kernel's table, too, as the kernel looks it up.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/authz.h"
#include "lib/route/workload.h"
#include "test_compile_util.h"

/* ---- a world: namespace, service account, labels and address of each pod ---- */

#define POD(ns, name, account, labels, node, ip)                                           \
	"apiVersion: v1\nkind: Pod\nmetadata: {namespace: " ns ", name: " name             \
	", labels: {" labels "}}\nspec: {nodeName: " node ", serviceAccountName: " account \
	", containers: [{name: c}]}\nstatus: {phase: Running, podIPs: [{ip: \"" ip "\"}]}\n---\n"
#define POLICY(ns, name, spec)                                                                   \
	"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {namespace: " ns \
	", name: " name "}\nspec: " spec "\n---\n"
#define FOO(spec) POLICY("foo", "p", spec)

static const char world[] = POD("foo", "httpbin", "httpbin", "app: httpbin", "n1", "10.0.0.1")
	POD("foo", "sleep", "sleep", "app: sleep", "n1", "10.0.0.2")
		POD("bar", "sleep", "sleep", "app: sleep", "n1", "10.0.1.2")
			POD("far", "sleep", "sleep", "app: sleep", "n2", "10.0.2.2")
				POD("foo", "other", "other", "app: other", "n1", "fd00::3");

static const struct {
	const char *name, *ip;
} callers[] = {
	{ "foo", "10.0.0.2" },	    { "bar", "10.0.1.2" },    { "far", "10.0.2.2" },
	{ "world", "203.0.113.7" }, { "lan", "192.168.1.9" }, { "world6", "2001:db8::7" },
	{ "six", "fd00::3" },
};

/* ---- rows ---- */

/* `request`: "METHOD HOST PATH [NAME: VALUE]", or "" for a connection to a port of TCP. */
struct row {
	const char *what, *policies, *caller;
	unsigned port;
	const char *request;
	const char *want; /* "" for allowed, else the details within [] */
};

#define ALLOW(rules) FOO("{action: ALLOW, rules: [" rules "]}")
#define DENY(rules) FOO("{action: DENY, rules: [" rules "]}")
#define TO(operation) "{to: [{operation: {" operation "}}]}"
#define FROM(source) "{from: [{source: {" source "}}]}"
#define WHEN(condition) "{when: [{" condition "}]}"
#define BY "ns[foo]-policy[p]-rule[0]"
#define GET "GET httpbin.foo /get"

static const struct row rows[] = {
	/* Which policies there are. */
	{ "no policy", "", "world", 80, GET, "" },
	{ "of another namespace", POLICY("bar", "p", "{}"), "world", 80, GET, "" },
	{ "an empty spec denies all", FOO("{}"), "foo", 80, GET, "none" },
	{ "the same for TCP", FOO("{}"), "foo", 9000, "", "none" },
	{ "a rule of nothing allows all", ALLOW("{}"), "world", 80, GET, "" },
	{ "the same for TCP", ALLOW("{}"), "world", 9000, "", "" },
	{ "a rule of nothing denies all", DENY("{}"), "foo", 80, GET, BY },
	{ "a selector of others", FOO("{selector: {matchLabels: {app: other}}}"), "bar", 80, GET,
	  "" },
	{ "a selector of it", FOO("{selector: {matchLabels: {app: httpbin}}}"), "bar", 80, GET,
	  "none" },
	{ "all of a selector counts", FOO("{selector: {matchLabels: {app: httpbin, version: v1}}}"),
	  "bar", 80, GET, "" },
	{ "of the root namespace, for all", POLICY("istio-system", "p", "{}"), "bar", 80, GET,
	  "none" },
	{ "of the root namespace, with a selector",
	  POLICY("istio-system", "p", "{selector: {matchLabels: {app: sleep}}}"), "bar", 80, GET,
	  "" },
	{ "one that allows suffices",
	  FOO("{}") POLICY("foo", "q", "{rules: [" TO("methods: [GET]") "]}"), "bar", 80, GET, "" },
	{ "DENY before ALLOW", ALLOW("{}") POLICY("foo", "q", "{action: DENY, rules: [{}]}"), "bar",
	  80, GET, "ns[foo]-policy[q]-rule[0]" },
	{ "AUDIT decides nothing", FOO("{action: AUDIT, rules: [{}]}"), "world", 80, GET, "" },
	{ "AUDIT is no ALLOW policy that the others are closed for",
	  FOO("{action: AUDIT, rules: [" FROM("namespaces: [bar]") "]}"), "foo", 80, GET, "" },
	{ "AUDIT opens nothing", FOO("{}") POLICY("foo", "a", "{action: AUDIT, rules: [{}]}"),
	  "bar", 80, GET, "none" },
	{ "AUDIT before DENY", DENY("{}") POLICY("foo", "a", "{action: AUDIT, rules: [{}]}"), "bar",
	  80, GET, BY },
	{ "only DENY: the rest is allowed", DENY(TO("methods: [POST]")), "bar", 80, GET, "" },
	{ "the rule that decided", DENY(TO("methods: [PUT]") ", " TO("methods: [GET]")), "bar", 80,
	  GET, "ns[foo]-policy[p]-rule[1]" },

	/* Who calls. */
	{ "a principal", ALLOW(FROM("principals: [cluster.local/ns/bar/sa/sleep]")), "bar", 80, GET,
	  "" },
	{ "another one", ALLOW(FROM("principals: [cluster.local/ns/bar/sa/sleep]")), "foo", 80, GET,
	  "none" },
	{ "another one, TCP", ALLOW(FROM("principals: [cluster.local/ns/bar/sa/sleep]")), "foo",
	  9000, "", "none" },
	{ "its own, TCP", ALLOW(FROM("principals: [cluster.local/ns/bar/sa/sleep]")), "bar", 9000,
	  "", "" },
	{ "with SPIFFE's scheme it is nobody's",
	  ALLOW(FROM("principals: [\"spiffe://cluster.local/ns/bar/sa/sleep\"]")), "bar", 80, GET,
	  "none" },
	{ "of another trust domain", ALLOW(FROM("principals: [td2/ns/bar/sa/sleep]")), "bar", 80,
	  GET, "none" },
	{ "a prefix", ALLOW(FROM("principals: [\"cluster.local/ns/bar/*\"]")), "bar", 80, GET, "" },
	{ "a suffix", ALLOW(FROM("principals: [\"*/sa/sleep\"]")), "bar", 80, GET, "" },
	{ "any principal", ALLOW(FROM("principals: [\"*\"]")), "bar", 80, GET, "" },
	{ "any principal is none without mutual TLS", ALLOW(FROM("principals: [\"*\"]")), "far", 80,
	  GET, "none" },
	{ "a pod of another node has no identity", ALLOW(FROM("namespaces: [far]")), "far", 9000,
	  "", "none" },
	{ "who has no identity is not of the namespace", DENY(FROM("notNamespaces: [foo]")),
	  "world", 9000, "", BY },
	{ "not to be denied by it", DENY(FROM("notNamespaces: [foo]")), "foo", 9000, "", "" },
	{ "who has no identity is no principal", DENY(FROM("notPrincipals: [\"*\"]")), "world", 80,
	  GET, BY },
	{ "who has one", DENY(FROM("notPrincipals: [\"*\"]")), "bar", 80, GET, "" },
	{ "a DENY by namespace does not meet who has none", DENY(FROM("namespaces: [far]")), "far",
	  80, GET, "" },
	{ "a namespace", ALLOW(FROM("namespaces: [bar]")), "bar", 80, GET, "" },
	{ "a namespace by prefix", ALLOW(FROM("namespaces: [\"b*\"]")), "bar", 80, GET, "" },
	{ "a namespace by its middle", ALLOW(FROM("namespaces: [\"b*r\"]")), "bar", 80, GET, "" },
	{ "a namespace is not a part of one", ALLOW(FROM("namespaces: [ba]")), "bar", 80, GET,
	  "none" },
	{ "a service account of the policy's namespace", ALLOW(FROM("serviceAccounts: [sleep]")),
	  "foo", 80, GET, "" },
	{ "not of another one", ALLOW(FROM("serviceAccounts: [sleep]")), "bar", 80, GET, "none" },
	{ "a service account with its namespace", ALLOW(FROM("serviceAccounts: [bar/sleep]")),
	  "bar", 80, GET, "" },
	{ "two fields of one source: both",
	  ALLOW(FROM("namespaces: [bar], ipBlocks: [10.0.0.0/24]")), "bar", 80, GET, "none" },
	{ "two sources: either",
	  ALLOW("{from: [{source: {namespaces: [bar]}}, {source: {ipBlocks: [10.0.0.0/24]}}]}"),
	  "foo", 80, GET, "" },
	{ "yes and no together", ALLOW(FROM("namespaces: [\"*\"], notNamespaces: [bar]")), "bar",
	  80, GET, "none" },
	{ "an address", ALLOW(FROM("ipBlocks: [203.0.113.7]")), "world", 9000, "", "" },
	{ "a subnet", ALLOW(FROM("ipBlocks: [192.168.0.0/16]")), "lan", 9000, "", "" },
	{ "another subnet", ALLOW(FROM("ipBlocks: [192.168.0.0/16]")), "world", 9000, "", "none" },
	{ "a hole in a subnet",
	  ALLOW(FROM("ipBlocks: [192.168.0.0/16], notIpBlocks: [192.168.1.0/24]")), "lan", 9000, "",
	  "none" },
	{ "a subnet that begins where a wider one does",
	  ALLOW(FROM("ipBlocks: [192.168.0.0/16], notIpBlocks: [192.168.0.0/24]")), "lan", 9000, "",
	  "" },
	{ "all of IPv4 is nothing of IPv6", ALLOW(FROM("ipBlocks: [0.0.0.0/0]")), "world6", 9000,
	  "", "none" },
	{ "all of IPv6 is nothing of IPv4", ALLOW(FROM("ipBlocks: [\"::/0\"]")), "world", 9000, "",
	  "none" },
	{ "IPv6", ALLOW(FROM("ipBlocks: [\"2001:db8::/32\"]")), "world6", 9000, "", "" },
	{ "a caller of IPv6 with an identity", ALLOW(FROM("serviceAccounts: [other]")), "six", 9000,
	  "", "" },
	{ "a subnet with zeros in front, as the API server takes it",
	  ALLOW(FROM("ipBlocks: [192.168.000.0/16]")), "lan", 9000, "", "" },
	{ "it is no other subnet", ALLOW(FROM("ipBlocks: [010.0.0.0/8]")), "world6", 9000, "",
	  "none" },
	{ "IPv4 in the form of IPv6", ALLOW(FROM("ipBlocks: [\"::ffff:192.168.0.0/112\"]")), "lan",
	  9000, "", "" },
	{ "another one in that form", ALLOW(FROM("ipBlocks: [\"::ffff:10.0.0.0/104\"]")), "lan",
	  9000, "", "none" },
	{ "remote: without a proxy it is the source",
	  ALLOW(FROM("remoteIpBlocks: [192.168.0.0/16]")), "lan", 9000, "", "" },

	/* What is called. */
	{ "a method", ALLOW(TO("methods: [GET]")), "bar", 80, GET, "" },
	{ "another method", ALLOW(TO("methods: [GET]")), "bar", 80, "POST httpbin.foo /get",
	  "none" },
	{ "methods have their case", ALLOW(TO("methods: [get]")), "bar", 80, GET, "none" },
	{ "a method by prefix", ALLOW(TO("methods: [\"G*\"]")), "bar", 80, GET, "" },
	{ "notMethods", DENY(TO("notMethods: [GET]")), "bar", 80, "PUT httpbin.foo /", BY },
	{ "a path", ALLOW(TO("paths: [/get]")), "bar", 80, GET, "" },
	{ "a path's case counts", ALLOW(TO("paths: [/Get]")), "bar", 80, GET, "none" },
	{ "a path is not a prefix", ALLOW(TO("paths: [/g]")), "bar", 80, GET, "none" },
	{ "a trailing slash is another path", DENY(TO("paths: [/get]")), "bar", 80,
	  "GET httpbin.foo /get/", "" },
	{ "a prefix also meets longer names", ALLOW(TO("paths: [\"/get*\"]")), "bar", 80,
	  "GET httpbin.foo /getall", "" },
	{ "a suffix", DENY(TO("paths: [\"*/admin\"]")), "bar", 80, "GET httpbin.foo /x/admin", BY },
	{ "a template's one segment", ALLOW(TO("paths: [\"/a/{*}/c\"]")), "bar", 80,
	  "GET httpbin.foo /a/b/c", "" },
	{ "no more than one segment", ALLOW(TO("paths: [\"/a/{*}/c\"]")), "bar", 80,
	  "GET httpbin.foo /a/b/b/c", "none" },
	{ "at least one character", ALLOW(TO("paths: [\"/a/{*}\"]")), "bar", 80,
	  "GET httpbin.foo /a/", "none" },
	{ "a template's many segments", ALLOW(TO("paths: [\"/a/{**}\"]")), "bar", 80,
	  "GET httpbin.foo /a/b/c", "" },
	{ "many is also none", ALLOW(TO("paths: [\"/a/{**}\"]")), "bar", 80, "GET httpbin.foo /a/",
	  "" },
	{ "many before an end", ALLOW(TO("paths: [\"/{**}/c\"]")), "bar", 80,
	  "GET httpbin.foo /a/b/c", "" },
	{ "a template is the whole path", ALLOW(TO("paths: [\"/a/{*}\"]")), "bar", 80,
	  "GET httpbin.foo /a/b/c", "none" },
	{ "notPaths", ALLOW(TO("methods: [GET], notPaths: [\"/admin*\"]")), "bar", 80,
	  "GET httpbin.foo /admin/x", "none" },
	{ "a host, whatever its case", ALLOW(TO("hosts: [HTTPBIN.foo]")), "bar", 80, GET, "" },
	{ "a host with a port is another one", ALLOW(TO("hosts: [httpbin.foo]")), "bar", 80,
	  "GET httpbin.foo:8000 /get", "none" },
	{ "as the tutorial has it", ALLOW(TO("hosts: [httpbin.foo, \"httpbin.foo:*\"]")), "bar", 80,
	  "GET httpbin.foo:8000 /get", "" },
	{ "a host by suffix", ALLOW(TO("hosts: [\"*.foo\"]")), "bar", 80, GET, "" },
	{ "a port", ALLOW(TO("ports: [\"9000\"]")), "bar", 9000, "", "" },
	{ "another port", ALLOW(TO("ports: [\"9000\"]")), "bar", 9001, "", "none" },
	{ "notPorts", DENY(TO("notPorts: [\"80\"]")), "bar", 9000, "", BY },
	{ "notPorts, the port", DENY(TO("notPorts: [\"80\"]")), "bar", 80, "", "" },
	{ "from and to: both",
	  ALLOW("{from: [{source: {namespaces: [bar]}}], to: [{operation: "
		"{methods: [GET]}}]}"),
	  "foo", 80, GET, "none" },

	/* At a port of TCP: the trap of the tutorial "authorization for TCP traffic". */
	{ "ALLOW with a method never holds for TCP", ALLOW(TO("methods: [GET], ports: [\"9000\"]")),
	  "bar", 9000, "", "none" },
	{ "not with another operation beside it, either",
	  ALLOW("{to: [{operation: {methods: [GET]}}, {operation: {ports: [\"9000\"]}}]}"), "bar",
	  9000, "", "none" },
	{ "another rule does", ALLOW(TO("methods: [GET]") ", " TO("ports: [\"9000\"]")), "bar",
	  9000, "", "" },
	{ "DENY with a method: its port is what is left",
	  DENY(TO("methods: [GET], ports: [\"9000\"]")), "bar", 9000, "", BY },
	{ "DENY with a method, another port", DENY(TO("methods: [GET], ports: [\"9000\"]")), "bar",
	  9001, "", "" },
	{ "DENY with a method alone denies all of TCP", DENY(TO("methods: [GET]")), "bar", 9001, "",
	  BY },
	{ "DENY on a header denies all of TCP",
	  DENY(WHEN("key: \"request.headers[x]\", values: [a]")), "bar", 9001, "", BY },

	/* Conditions. */
	{ "a header", ALLOW(WHEN("key: \"request.headers[X-Token]\", values: [admin]")), "bar", 80,
	  "GET httpbin.foo /get x-token: admin", "" },
	{ "another value", ALLOW(WHEN("key: \"request.headers[X-Token]\", values: [admin]")), "bar",
	  80, "GET httpbin.foo /get x-token: guest", "none" },
	{ "no such header", ALLOW(WHEN("key: \"request.headers[x-token]\", values: [\"*\"]")),
	  "bar", 80, GET, "none" },
	{ "a header that is empty is there",
	  DENY(WHEN("key: \"request.headers[x-token]\", values: [\"*\"]")), "bar", 80,
	  "GET httpbin.foo /get x-token:", BY },
	{ "notValues hold for who has none",
	  DENY(WHEN("key: \"request.headers[x-token]\", notValues: [admin]")), "bar", 80, GET, BY },
	{ "notValues do not hold for who has it",
	  DENY(WHEN("key: \"request.headers[x-token]\", notValues: [admin]")), "bar", 80,
	  "GET httpbin.foo /get x-token: admin", "" },
	{ "a header by prefix",
	  ALLOW(WHEN("key: \"request.headers[user-agent]\", values: [\"Mozilla/*\"]")), "bar", 80,
	  "GET httpbin.foo /get user-agent: Mozilla/5.0", "" },
	{ "all conditions count",
	  ALLOW("{when: [{key: source.namespace, values: [bar]}, {key: "
		"destination.port, values: [\"81\"]}]}"),
	  "bar", 80, "", "none" },
	{ "source.namespace", ALLOW(WHEN("key: source.namespace, values: [bar]")), "bar", 9000, "",
	  "" },
	{ "source.principal",
	  ALLOW(WHEN("key: source.principal, values: [cluster.local/ns/bar/sa/sleep]")), "bar",
	  9000, "", "" },
	{ "source.serviceAccount", ALLOW(WHEN("key: source.serviceAccount, values: [bar/sleep]")),
	  "bar", 9000, "", "" },
	{ "source.ip", ALLOW(WHEN("key: source.ip, notValues: [10.0.1.0/24]")), "bar", 9000, "",
	  "none" },
	{ "remote.ip", ALLOW(WHEN("key: remote.ip, values: [203.0.113.0/24]")), "world", 9000, "",
	  "" },
	{ "destination.ip", ALLOW(WHEN("key: destination.ip, values: [10.0.0.1]")), "bar", 9000, "",
	  "" },
	{ "another destination.ip", ALLOW(WHEN("key: destination.ip, values: [10.0.0.9]")), "bar",
	  9000, "", "none" },
	{ "destination.port", ALLOW(WHEN("key: destination.port, values: [\"9000\"]")), "world",
	  9000, "", "" },
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

/* ---- asking ---- */

struct asked {
	char method[16], host[64], path[64], name[64], value[64];
};

static bool read_header(void *arg, struct authz_text name, struct authz_text *out)
{
	struct asked *a = arg;

	*out = (struct authz_text){ a->value, strlen(a->value) };
	return *a->name && strlen(a->name) == name.len && !memcmp(a->name, name.at, name.len);
}

static struct authz_text text(const char *s)
{
	return (struct authz_text){ s, strlen(s) };
}

static struct addr address(const char *caller)
{
	struct addr addr = { 0 };

	for (size_t i = 0; i < sizeof(callers) / sizeof(*callers); i++)
		if (!strcmp(callers[i].name, caller)) {
			cr_assert_eq(addr_parse(callers[i].ip, &addr), 0);
			return addr;
		}
	cr_assert(false, "%s", caller);
	return addr;
}

static struct addr called(void)
{
	struct addr addr;

	cr_assert_eq(addr_parse("10.0.0.1", &addr), 0);
	return addr;
}

static void load(struct compiled *c, const char *policies)
{
	_cleanup_free_ char *yaml = NULL;

	cr_assert_geq(asprintf(&yaml, "%s%s", world, policies), 0);
	c->registry = registry_new();
	c->r = rules_parse("t.yaml", yaml, strlen(yaml), &c->objects, &c->errors, NULL);
	c->objects.node = "n1";
	if (!c->r)
		c->r = compile(&c->objects, c->registry, COMPILE_HTTP_ALWAYS, &c->tables,
			       &c->errors);
	cr_assert_eq(c->r, 0, "%s: %s", policies, errors_text(&c->errors));
}

/* As weft-proxy asks; `a` is filled in, and lives as long as the question. */
static struct authz_question ask(const struct row *row, struct asked *a)
{
	struct authz_question q = { .source = address(row->caller),
				    .remote = address(row->caller),
				    .destination = called(),
				    .port = row->port,
				    .http = *row->request,
				    .header = read_header,
				    .arg = a };

	if (*row->request)
		cr_assert_geq(sscanf(row->request, "%15s %63s %63s %63[^:]: %63s", a->method,
				     a->host, a->path, a->name, a->value),
			      3);
	q.method = text(a->method);
	q.host = text(a->host);
	q.path = text(a->path);
	return q;
}

static void check_verdict(const struct row *row, const struct tables *t)
{
	struct asked a = { "", "", "", "", "" };
	struct authz_question q = ask(row, &a);
	struct authz_view view = http_authz_view(t->http);
	struct authz_verdict v = http_authz_judge(t->http, &q);
	char details[AUTHZ_DETAILS_MAX], want[AUTHZ_DETAILS_MAX];

	cr_expect_eq(v.allowed, !*row->want, "%s", row->what);
	snprintf(want, sizeof(want), "rbac_access_denied_matched_policy[%s]", row->want);
	if (!v.allowed)
		cr_expect_str_eq(authz_details(&view, &v, details), want, "%s", row->what);
}

/* ---- the kernel's table, as bpf/authz.bpf.h looks into it ---- */

static __u32 longest(const struct tables *t, __u32 set, __u32 port, bool local,
		     const struct addr *src)
{
	const struct authz_table_row *best = NULL;

	for (size_t i = 0; i < t->authz.rows.count; i++) {
		const struct authz_table_row *r = &t->authz.rows.items[i];
		struct cidr range = { .prefix = r->key.prefixlen - AUTHZ_KEY_BITS };

		memcpy(range.addr.b, r->key.addr, sizeof(range.addr.b));
		if (r->key.set == set && r->key.port == port && r->key.local == local &&
		    cidr_holds(&range, src) && (!best || best->key.prefixlen < r->key.prefixlen))
			best = r;
	}
	return best ? best->verdict : 0;
}

/* Which callers are pods of the mesh here the kernel knows by itself. */
static bool is_local(const char *caller)
{
	return !strcmp(caller, "foo") || !strcmp(caller, "bar") || !strcmp(caller, "six");
}

static __u32 kernel_verdict(const struct tables *t, const struct row *row)
{
	struct addr src = address(row->caller), dst = called();
	bool local = is_local(row->caller);
	__u32 set = 0, verdict = 0;

	for (size_t i = 0; i < t->authz.pods.count; i++)
		if (!memcmp(&t->authz.pods.items[i].addr, &dst, sizeof(dst)))
			set = t->authz.pods.items[i].set;
	if (!set)
		return AUTHZ_LETS;
	if (local)
		verdict = longest(t, set, row->port, true, &src);
	if (!verdict)
		verdict = longest(t, set, row->port, false, &src);
	if (!verdict && local)
		verdict = longest(t, set, 0, true, &src);
	return verdict ? verdict : longest(t, set, 0, false, &src);
}

Test(authz, rows_of_istio_s_documents)
{
	cr_assert_geq(ROWS, 80);
	for (size_t i = 0; i < ROWS; i++) {
		struct compiled c = { 0 };

		load(&c, rows[i].policies);
		check_verdict(&rows[i], c.tables);
		if (!*rows[i].request)
			cr_expect_eq(kernel_verdict(c.tables, &rows[i]),
				     *rows[i].want ? AUTHZ_CLOSES : AUTHZ_LETS, "kernel: %s",
				     rows[i].what);
		/* What the kernel sees of a request is a connection: it is never laxer. */
		else if (*rows[i].want)
			cr_expect_eq(kernel_verdict(c.tables, &rows[i]) & AUTHZ_VERDICT,
				     AUTHZ_CLOSES, "kernel, of a request: %s", rows[i].what);
		compiled_free(&c);
	}
}

/* ---- AUDIT ---- */

/* `marks`: the rules of AUDIT policies that are met, each with a blank behind it. */
static const struct audit_row {
	struct row row;
	__u32 kernel; /* enum authz_verdicts; 0: a request, of which the kernel has no say */
	const char *marks;
} audit_rows[] = {
#define AUDIT(name, rules) POLICY("foo", name, "{action: AUDIT, rules: [" rules "]}")
#define MARK(name) "ns[foo]-policy[" name "]-rule[0] "
	{ { "everything", AUDIT("a", "{}"), "world", 80, GET, "" }, 0, MARK("a") },
	{ { "everything, TCP", AUDIT("a", "{}"), "world", 9000, "", "" },
	  AUTHZ_PASSES | AUTHZ_LOGS,
	  MARK("a") },
	{ { "without rules nothing", FOO("{action: AUDIT}"), "world", 9000, "", "" },
	  AUTHZ_PASSES,
	  "" },
	{ { "who is met", AUDIT("a", FROM("namespaces: [bar]")), "bar", 9000, "", "" },
	  AUTHZ_PASSES | AUTHZ_LOGS,
	  MARK("a") },
	{ { "who is not", AUDIT("a", FROM("namespaces: [bar]")), "foo", 9000, "", "" },
	  AUTHZ_PASSES,
	  "" },
	{ { "who has no identity", AUDIT("a", FROM("notPrincipals: [\"*\"]")), "far", 9000, "",
	    "" },
	  AUTHZ_PASSES | AUTHZ_LOGS,
	  MARK("a") },
	{ { "a subnet", AUDIT("a", FROM("ipBlocks: [203.0.113.0/24]")), "world", 9000, "", "" },
	  AUTHZ_PASSES | AUTHZ_LOGS,
	  MARK("a") },
	{ { "a method", AUDIT("a", TO("methods: [GET]")), "bar", 80, GET, "" }, 0, MARK("a") },
	{ { "another method", AUDIT("a", TO("methods: [PUT]")), "bar", 80, GET, "" }, 0, "" },
	{ { "of a rule about requests TCP has what is left of it, as for DENY",
	    AUDIT("a", TO("methods: [PUT], ports: [\"9000\"]")), "bar", 9000, "", "" },
	  AUTHZ_PASSES | AUTHZ_LOGS,
	  MARK("a") },
	{ { "and not at other ports", AUDIT("a", TO("methods: [PUT], ports: [\"9000\"]")), "bar",
	    9001, "", "" },
	  AUTHZ_PASSES,
	  "" },
	{ { "what is allowed", ALLOW("{}") AUDIT("a", "{}"), "bar", 9000, "", "" },
	  AUTHZ_LETS | AUTHZ_LOGS,
	  MARK("a") },
	{ { "what is denied", DENY("{}") AUDIT("a", "{}"), "bar", 9000, "", BY },
	  AUTHZ_CLOSES | AUTHZ_LOGS,
	  MARK("a") },
	{ { "what nothing allows", FOO("{}") AUDIT("a", "{}"), "bar", 80, GET, "none" },
	  0,
	  MARK("a") },
	{ { "two of three", AUDIT("a", "{}") AUDIT("b", FROM("namespaces: [foo]")) AUDIT("c", "{}"),
	    "bar", 80, GET, "" },
	  0,
	  MARK("a") MARK("c") },
	{ { "the rule that is met", AUDIT("a", TO("methods: [PUT]") ", " TO("methods: [GET]")),
	    "bar", 80, GET, "" },
	  0,
	  "ns[foo]-policy[a]-rule[1] " },
	{ { "of another namespace", POLICY("bar", "a", "{action: AUDIT, rules: [{}]}"), "bar", 80,
	    GET, "" },
	  0,
	  "" },
	{ { "of the root namespace", POLICY("istio-system", "a", "{action: AUDIT, rules: [{}]}"),
	    "bar", 80, GET, "" },
	  0,
	  "ns[istio-system]-policy[a]-rule[0] " },
};

static void check_marks(const struct audit_row *row, const struct tables *t)
{
	_cleanup_free_ char *marks = NULL;
	struct asked a = { "", "", "", "", "" };
	struct authz_question q = ask(&row->row, &a);
	struct authz_view view = http_authz_view(t->http);
	const struct hs_authz_pod *pod = http_authz_pod(t->http, &q.destination);
	struct authz_audit audit;
	size_t size;
	FILE *f = open_memstream(&marks, &size);
	char name[AUTHZ_DETAILS_MAX];

	cr_assert(f && pod);
	(void)http_authz_judge(t->http, &q); /* which says who calls */
	for (__u32 at = 0; authz_audit_next(&view, pod->set, &q, &at, &audit);)
		fprintf(f, "%s ",
			authz_rule_name(&view, audit.policy, audit.rule, name, sizeof(name)));
	fclose(f);
	cr_expect_str_eq(marks, row->marks, "%s", row->row.what);
}

Test(authz, audit_marks_and_decides_nothing)
{
	for (size_t i = 0; i < sizeof(audit_rows) / sizeof(*audit_rows); i++) {
		const struct audit_row *row = &audit_rows[i];
		const struct addr pod = called();
		struct compiled c = { 0 };

		load(&c, row->row.policies);
		check_verdict(&row->row, c.tables);
		check_marks(row, c.tables);
		if (row->kernel)
			cr_expect_eq(kernel_verdict(c.tables, &row->row), row->kernel, "kernel: %s",
				     row->row.what);
		/* Requests are to be seen for it. */
		cr_expect_eq(http_authz_is_inbound(c.tables->http, &pod),
			     strcmp(row->row.what, "of another namespace") != 0, "%s",
			     row->row.what);
		compiled_free(&c);
	}
}

/* More subnets at more ports than there is room for in the kernel: connections are not marked, and
 * none is refused for it. */
Test(authz, audit_closes_nothing_for_want_of_room, .timeout = 120)
{
	const struct row asked = { "audited", "", "world", 9000, "", "" };
	_cleanup_free_ char *policies = NULL;
	_cleanup_free_ char *said = NULL;
	struct compiled c = { 0 };
	size_t size;
	FILE *f = open_memstream(&policies, &size);

	cr_assert(f);
	for (int n = 0; n < 2; n++) {
		fprintf(f,
			"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: "
			"{namespace: foo, name: a%d}\nspec: {action: AUDIT, rules: [{from: "
			"[{source: "
			"{ipBlocks: [",
			n);
		for (int i = 0; i < 250; i++)
			fprintf(f, "%s10.%d.%d.0/24", i ? ", " : "", n, i);
		fputs("]}}], to: [{operation: {ports: [", f);
		for (int i = 0; i < 250; i++)
			fprintf(f, "%s\"%d\"", i ? ", " : "", 9000 + 250 * n + i);
		fputs("]}}]}]}\n---\n", f);
	}
	fclose(f);
	load(&c, policies);
	said = errors_text(&c.errors);
	cr_expect_eq(kernel_verdict(c.tables, &asked), AUTHZ_PASSES);
	cr_expect(said && strstr(said, "mark requests to the pods that it selects, and no"), "%s",
		  said);
	compiled_free(&c);
}

/* A policy of foo's for the pods of an app: so many subnets, each of them at as many ports. */
static void write_wide(FILE *f, const char *name, const char *action, const char *app, int n)
{
	fprintf(f,
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: "
		"{namespace: "
		"foo, name: %s}\nspec: {action: %s, selector: {matchLabels: {app: %s}}, rules: "
		"[{from: [{source: {ipBlocks: [",
		name, action, app);
	for (int i = 0; i < n; i++)
		fprintf(f, "%s203.%d.%d.0/24", i ? ", " : "", i / 250, i % 250);
	fputs("]}}], to: [{operation: {ports: [", f);
	for (int i = 0; i < n; i++)
		fprintf(f, "%s\"%d\"", i ? ", " : "", 9000 + i);
	fputs("]}}]}]}\n---\n", f);
}

static size_t count_text(const char *in, const char *text)
{
	size_t n = 0;

	for (const char *at = in; (at = strstr(at, text)); at += strlen(text))
		n++;
	return n;
}

/* What is audited fills the table, and the pods of the next policy would be closed for it. */
Test(authz, audit_of_one_pod_closes_no_other, .timeout = 120)
{
	const struct row audited = { "audited", "", "world", 9000, "", "" };
	_cleanup_free_ char *policies = NULL, *said = NULL;
	struct compiled c = { 0 };
	struct addr other;
	__u32 set = 0;
	size_t size;
	FILE *f = open_memstream(&policies, &size);

	cr_assert(f);
	write_wide(f, "first", "AUDIT", "httpbin", 355);
	write_wide(f, "second", "ALLOW", "other", 100);
	fclose(f);
	cr_assert_eq(addr_parse("fd00::3", &other), 0);
	load(&c, policies);
	said = errors_text(&c.errors);
	cr_assert_not_null(said);
	cr_expect_eq(count_text(said, "AUDIT mark requests, and no connections"), 1, "%s", said);
	cr_expect_eq(count_text(said, "than there is room for in the kernel"), 1, "%s", said);
	cr_expect_eq(kernel_verdict(c.tables, &audited), AUTHZ_PASSES);
	cr_expect_eq(c.tables->authz.pods.count, 2);
	cr_expect_eq(c.tables->authz.sets, 2u);
	for (size_t i = 0; i < c.tables->authz.pods.count; i++)
		if (!memcmp(&c.tables->authz.pods.items[i].addr, &other, sizeof(other)))
			set = c.tables->authz.pods.items[i].set;
	cr_assert_neq(set, 0u);
	other = address("world"); /* 203.0.113.7 */
	cr_expect_eq(longest(c.tables, set, 9000, false, &other), AUTHZ_CLOSES,
		     "not among the subnets");
	cr_assert_eq(addr_parse("203.0.7.7", &other), 0);
	cr_expect_eq(longest(c.tables, set, 9000, false, &other), AUTHZ_LETS);
	compiled_free(&c);
}

/* ---- PeerAuthentications that are STRICT ---- */

#define PEER(ns, spec)                                                                          \
	"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {namespace: " ns \
	", name: pa}\nspec: " spec "\n---\n"
#define STRICT PEER("foo", "{mtls: {mode: STRICT}}")
#define HTTPBIN(rest) PEER("foo", "{selector: {matchLabels: {app: httpbin}}, " rest "}")

static const struct strict_row {
	const char *what, *policies, *caller;
	unsigned port;
	enum authz_verdicts kernel;
	const char *details; /* of weft-proxy; "": it is allowed */
} strict_rows[] = {
	{ "a pod of the mesh here", STRICT, "bar", 80, AUTHZ_PASSES, "" },
	{ "one by IPv6", STRICT, "six", 80, AUTHZ_PASSES, "" },
	{ "a pod of another node", STRICT, "far", 80, AUTHZ_CLOSES_PLAINTEXT,
	  "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "a caller from outside", STRICT, "world", 80, AUTHZ_CLOSES_PLAINTEXT,
	  "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "one by IPv6 from outside", STRICT, "world6", 80, AUTHZ_CLOSES_PLAINTEXT,
	  "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "of the mesh", PEER("istio-system", "{mtls: {mode: STRICT}}"), "world", 80,
	  AUTHZ_CLOSES_PLAINTEXT, "plaintext_denied[ns[istio-system]-policy[pa]]" },
	{ "PERMISSIVE", PEER("foo", "{mtls: {mode: PERMISSIVE}}"), "world", 80, AUTHZ_LETS, "" },
	{ "another namespace", PEER("bar", "{mtls: {mode: STRICT}}"), "world", 80, AUTHZ_LETS, "" },
	{ "a port that is left out",
	  HTTPBIN("mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}"), "world", 80,
	  AUTHZ_PASSES, "" },
	{ "and another port", HTTPBIN("mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}"),
	  "world", 81, AUTHZ_CLOSES_PLAINTEXT, "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "one port", HTTPBIN("portLevelMtls: {80: {mode: STRICT}}"), "world", 80,
	  AUTHZ_CLOSES_PLAINTEXT, "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "a pod of the mesh at it", HTTPBIN("portLevelMtls: {80: {mode: STRICT}}"), "foo", 80,
	  AUTHZ_PASSES, "" },
	{ "and not another port", HTTPBIN("portLevelMtls: {80: {mode: STRICT}}"), "world", 81,
	  AUTHZ_PASSES, "" },
	{ "a port beside the mesh's",
	  PEER("istio-system", "{mtls: {mode: STRICT}}")
		  HTTPBIN("portLevelMtls: {80: {mode: STRICT}, 81: {mode: PERMISSIVE}}"),
	  "world", 80, AUTHZ_CLOSES_PLAINTEXT, "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "its exception",
	  PEER("istio-system", "{mtls: {mode: STRICT}}")
		  HTTPBIN("portLevelMtls: {80: {mode: STRICT}, 81: {mode: PERMISSIVE}}"),
	  "world", 81, AUTHZ_PASSES, "" },
	{ "the rest",
	  PEER("istio-system", "{mtls: {mode: STRICT}}")
		  HTTPBIN("portLevelMtls: {80: {mode: STRICT}, 81: {mode: PERMISSIVE}}"),
	  "world", 82, AUTHZ_CLOSES_PLAINTEXT, "plaintext_denied[ns[istio-system]-policy[pa]]" },
	{ "before one that audits", STRICT AUDIT("a", "{}"), "world", 80, AUTHZ_CLOSES_PLAINTEXT,
	  "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "before an AuthorizationPolicy that allows", STRICT ALLOW("{}"), "world", 80,
	  AUTHZ_CLOSES_PLAINTEXT, "plaintext_denied[ns[foo]-policy[pa]]" },
	{ "who has an identity the AuthorizationPolicy judges", STRICT ALLOW("{}"), "bar", 80,
	  AUTHZ_LETS, "" },
	{ "and refuses", STRICT FOO("{}"), "bar", 80, AUTHZ_CLOSES,
	  "rbac_access_denied_matched_policy[none]" },
	{ "before one that denies", STRICT DENY("{}"), "world", 80, AUTHZ_CLOSES_PLAINTEXT,
	  "plaintext_denied[ns[foo]-policy[pa]]" },
};

/* As weft-proxy asks of a connection. */
static void check_details(const struct strict_row *row, const struct tables *t)
{
	struct authz_question q = { .source = address(row->caller),
				    .remote = address(row->caller),
				    .destination = called(),
				    .port = row->port };
	struct authz_view view = http_authz_view(t->http);
	struct authz_verdict v = http_authz_judge(t->http, &q);
	char details[AUTHZ_DETAILS_MAX];

	cr_expect_eq(v.allowed, !*row->details, "%s", row->what);
	if (!v.allowed)
		cr_expect_str_eq(authz_details(&view, &v, details), row->details, "%s", row->what);
}

Test(authz, strict_refuses_who_has_no_identity)
{
	for (size_t i = 0; i < sizeof(strict_rows) / sizeof(*strict_rows); i++) {
		const struct strict_row *s = &strict_rows[i];
		const struct row asked = { s->what, s->policies, s->caller, s->port, "", "" };
		const struct addr pod = called();
		struct compiled c = { 0 };

		load(&c, s->policies);
		cr_expect_eq(kernel_verdict(c.tables, &asked), s->kernel, "kernel: %s", s->what);
		check_details(s, c.tables);
		/* Requests are read for AuthorizationPolicies alone. */
		if (s->kernel == AUTHZ_PASSES)
			cr_expect_not(http_authz_is_inbound(c.tables->http, &pod), "%s", s->what);
		compiled_free(&c);
	}
}

/* As Istio's task of an ingress gateway has it; who is known by a certificate likewise. */
Test(authz, who_calls_may_be_known_by_more_than_its_address)
{
	static const char policy[] = ALLOW(FROM("principals: [cluster.local/ns/istio-system/sa/"
						"istio-ingressgateway-service-account]"));
	struct authz_question q = { .source = address("bar"),
				    .remote = address("bar"),
				    .destination = called(),
				    .port = 80 };
	struct compiled c = { 0 };

	load(&c, policy);
	cr_expect_not(http_authz_judge(c.tables->http, &q).allowed);
	q.ns = text(GATEWAY_NAMESPACE);
	q.account = text(GATEWAY_ACCOUNT);
	cr_expect(http_authz_judge(c.tables->http, &q).allowed);
	q.account = text("other");
	cr_expect_not(http_authz_judge(c.tables->http, &q).allowed);
	compiled_free(&c);
}

/* Pods that no policy selects, and those of other nodes, are in no table. */
Test(authz, costs_nothing_elsewhere)
{
	struct compiled c = { 0 };

	load(&c, FOO("{selector: {matchLabels: {app: httpbin}}}"));
	cr_expect_eq(c.tables->authz.pods.count, 1);
	compiled_free(&c);
	c = (struct compiled){ 0 };
	load(&c, POLICY("far", "p", "{}"));
	cr_expect_eq(c.tables->authz.pods.count, 0);
	cr_expect_eq(c.tables->authz.rows.count, 0);
	compiled_free(&c);
	c = (struct compiled){ 0 };
	load(&c, "");
	cr_expect_eq(hs_count(c.tables->http, HS_AUTHZ_PODS), 0);
	cr_expect_eq(hs_count(c.tables->http, HS_AUTHZ_BYTES), 0);
	compiled_free(&c);
}

/* Who is not in the mesh has no identity, and no policies. */
Test(authz, knows_the_mesh_only)
{
	const char *yaml = POD("foo", "in", "in", "app: in, istio.io/dataplane-mode: ambient", "n1",
			       "10.0.0.1") POD("foo", "out", "out", "app: out", "n1", "10.0.0.2")
		FOO("{}");
	struct compiled c = { 0 };

	c.registry = registry_new();
	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &c.objects, &c.errors, NULL), 0);
	c.objects.labelled_only = true;
	cr_assert_eq(compile(&c.objects, c.registry, COMPILE_HTTP_ALWAYS, &c.tables, &c.errors), 0);
	cr_expect_eq(c.tables->authz.pods.count, 1);
	cr_expect_eq(hs_count(c.tables->http, HS_AUTHZ_PODS), 1);
	compiled_free(&c);
}

/* ---- which ports have to go through weft-proxy ---- */

#define SERVICE(ports)                                                                      \
	"apiVersion: v1\nkind: Service\nmetadata: {namespace: foo, name: httpbin}\nspec: {" \
	"clusterIP: 10.96.0.1, selector: {app: httpbin}, ports: [" ports "]}\n---\n"

static size_t count_proxied(const char *policies)
{
	struct compiled c = { 0 };
	size_t n = 0;
	_cleanup_free_ char *yaml = NULL;

	cr_assert_geq(asprintf(&yaml, "%s%s",
			       SERVICE("{name: http, port: 80}, {name: tcp, port: 90}, {name: "
				       "grpc, port: 91}"),
			       policies),
		      0);
	load(&c, yaml);
	for (size_t i = 0; i < c.tables->rules.count; i++)
		n += c.tables->rules.items[i].action == RULE_PROXY;
	compiled_free(&c);
	return n;
}

Test(authz, requests_are_seen_where_policies_are)
{
	cr_expect_eq(count_proxied(""), 0);
	/* At the Service's address and at the pod's, from here and from elsewhere. */
	cr_expect_eq(count_proxied(ALLOW(FROM("namespaces: [bar]"))), 3);
	/* The other ports, too, as connections by mutual TLS from elsewhere. */
	cr_expect_eq(count_proxied(STRICT ALLOW(FROM("namespaces: [bar]"))), 5);
	cr_expect_eq(count_proxied(ALLOW(TO("methods: [GET]"))), 3);
	cr_expect_eq(count_proxied(DENY(WHEN("key: \"request.headers[x]\", values: [a]"))), 3);
	cr_expect_eq(count_proxied(FOO("{selector: {matchLabels: {app: other}}, rules: [" TO(
			     "methods: [GET]") "]}")),
		     0);
}

/* ---- a policy that comes to a cluster ---- */

static void compile_all(const struct objects *objects, struct registry *registry,
			struct tables **out)
{
	_cleanup_(errors_free) struct errors errors = { 0 };

	cr_assert_eq(compile(objects, registry, COMPILE_HTTP_ALWAYS, out, &errors), 0);
}

/* What follows from it, and from its going, is what a compilation of everything makes. */
Test(authz, a_change_of_policies_is_in_step)
{
	_cleanup_(tables_freep) struct tables *before = NULL, *with = NULL, *after = NULL;
	_cleanup_(tables_freep) struct tables *want = NULL;
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct compile_index *index = NULL;
	struct object_change change = { 0 };
	struct compiled c = { 0 };

	load(&c, SERVICE("{name: http, port: 80}") ALLOW(TO("methods: [GET]")));
	tables_free(TAKE_PTR(c.tables));
	change.new = c.objects.items[--c.objects.count];
	cr_assert_eq(change.new->kind, KIND_AUTHORIZATION_POLICY);
	cr_assert_eq(compile_keeping(&c.objects, c.registry, COMPILE_HTTP_ALWAYS, &before, &index,
				     &errors),
		     0);
	cr_assert_eq(compile_rules(&index, &change, 1, COMPILE_HTTP_ALWAYS, before, &with, &errors),
		     0);
	c.objects.count++;
	compile_all(&c.objects, c.registry, &want);
	cr_expect(with->authz.rows.count && with->authz.pods.count);
	cr_expect(tables_same(with, want));
	change = (struct object_change){ .old = change.new };
	cr_assert_eq(compile_rules(&index, &change, 1, COMPILE_HTTP_ALWAYS, with, &after, &errors),
		     0);
	cr_expect_eq(after->authz.pods.count, 0);
	cr_expect(tables_same(after, before));
	compile_index_free(index);
	compiled_free(&c);
}

/* Of a pod that comes all of it has to be made anew. */
static void check_late_pod(const char *policies)
{
	_cleanup_free_ char *yaml = NULL;
	_cleanup_(tables_freep) struct tables *before = NULL, *patched = NULL;
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct compile_index *index = NULL;
	struct object_change change = { 0 };
	struct compiled c = { 0 };

	cr_assert_geq(asprintf(&yaml, "%s%s", policies,
			       POD("foo", "late", "late", "app: late", "n1", "10.0.0.77")),
		      0);
	load(&c, yaml);
	tables_free(TAKE_PTR(c.tables));
	change.new = c.objects.items[--c.objects.count];
	cr_assert_eq(compile_keeping(&c.objects, c.registry, COMPILE_HTTP_ALWAYS, &before, &index,
				     &errors),
		     0);
	cr_expect_eq(compile_patch(&index, &change, 1, COMPILE_HTTP_ALWAYS, before, &patched),
		     COMPILE_ANEW);
	compile_index_free(index);
	c.objects.count++;
	compiled_free(&c);
}

Test(authz, a_pod_that_comes_is_selected)
{
	check_late_pod(FOO("{}"));
	check_late_pod(STRICT);
}

/* ---- what is refused ---- */

Test(authz, refusals)
{
	static const struct {
		const char *spec, *message;
	} bad[] = {
		{ "{action: CUSTOM, provider: {name: x}, rules: [{}]}",
		  "weft does not carry out action CUSTOM, and provider" },
		{ "{targetRefs: [{kind: Gateway, name: x}]}",
		  "weft does not carry out targetRef and targetRefs" },
		{ "{rules: [" FROM("requestPrincipals: [\"*\"]") "]}",
		  "weft does not carry out requestPrincipals and conditions on request.auth" },
		{ "{rules: [" WHEN("key: \"request.auth.claims[iss]\", values: [a]") "]}",
		  "weft does not carry out requestPrincipals and conditions on request.auth" },
		{ "{rules: [" WHEN("key: connection.sni, values: [a]") "]}",
		  "weft does not carry out connection.sni as a condition's key" },
		{ "{rules: [" WHEN("key: experimental.envoy.filters.x, values: [a]") "]}",
		  "weft does not carry out experimental.* as a condition's key" },
		{ "{rules: [" WHEN("key: source.user, values: [a]") "]}", "a condition's key" },
		{ "{rules: [" WHEN("key: source.ip, values: [a]") "]}", "an address, or a subnet" },
		{ "{rules: [" WHEN("key: source.ip") "]}", "expected values or notValues" },
		{ "{action: DENY}", "rules: required for the action DENY" },
		{ "{action: Deny, rules: [{}]}", "ALLOW" },
		{ "{rules: [{from: []}]}", "from: expected at least one element" },
		{ "{rules: [{to: []}]}", "to: expected at least one element" },
		{ "{rules: [{from: [{}]}]}", "source: required" },
		{ "{rules: [" FROM("") "]}", "not an empty source" },
		{ "{rules: [" TO("") "]}", "not an empty operation" },
		{ "{rules: [" FROM("namespaces: []") "]}", "expected at least one element" },
		{ "{rules: [" FROM("namespaces: [\"\"]") "]}", "a text that is not empty" },
		{ "{rules: [" FROM("ipBlocks: [10.0.0.0/33]") "]}", "an address, or a subnet" },
		{ "{rules: [" FROM("ipBlocks: [010.0.0.1]") "]}", "an address, or a subnet" },
		{ "{rules: [" FROM("ipBlocks: [\"::ffff:10.0.0.0/90\"]") "]}",
		  "an address, or a subnet" },
		{ "{rules: [" FROM("serviceAccounts: [\"*\"]") "]}",
		  "the name of a service account" },
		{ "{rules: [" FROM("serviceAccounts: [a], namespaces: [b]") "]}",
		  "expected without principals and namespaces" },
		{ "{rules: [" TO("ports: [\"http\"]") "]}", "a port as text" },
		{ "{rules: [" TO("ports: [\"0\"]") "]}", "a port as text" },
		{ "{rules: [" TO("paths: [\"/{**}/{*}\"]") "]}", "its last operator" },
		{ "{rules: [" TO("paths: [\"/a{*}\"]") "]}", "whole segments" },
		{ "{rules: [" TO("paths: [\"/{*}/a*\"]") "]}", "literal" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_free_ char *yaml = NULL, *said = NULL;
		struct compiled c = { 0 };

		cr_assert_geq(asprintf(&yaml,
				       "apiVersion: security.istio.io/v1\nkind: "
				       "AuthorizationPolicy\nmetadata: {name: p}\nspec: %s\n",
				       bad[i].spec),
			      0);
		compiled_text(&c, yaml);
		said = errors_text(&c.errors);
		cr_expect_neq(c.r, 0, "%s", bad[i].spec);
		cr_expect(said && strstr(said, bad[i].message), "%s: %s", bad[i].spec, said);
		compiled_free(&c);
	}
}

#define GATEWAY(selector)                                                                       \
	"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {"      \
	"selector: {" selector "}, servers: [{port: {number: 80, name: http, protocol: HTTP}, " \
	"hosts: [\"*\"]}]}\n---\n"

/* Anyone may make a Gateway with the labels of somebody's pods: the policy stays in force. */
Test(authz, a_gateway_takes_no_policy_away)
{
	_cleanup_free_ char *said = NULL;
	struct compiled c = { 0 };

	load(&c, GATEWAY("app: httpbin") FOO("{selector: {matchLabels: {app: httpbin}}}"));
	said = errors_text(&c.errors);
	cr_expect_eq(c.tables->authz.pods.count, 1);
	cr_expect(said && strstr(said, "for the workload of a Gateway (default/gw has them)"), "%s",
		  said);
	compiled_free(&c);
	free(said);
	c = (struct compiled){ 0 };
	load(&c, GATEWAY("istio: ingressgateway") POLICY("istio-system", "p", "{}"));
	said = errors_text(&c.errors);
	cr_expect_not(said && strstr(said, "workload of a Gateway"), "one for all pods");
	compiled_free(&c);
}

/* ---- a pod whose labels can't be read ---- */

static bool lets_unlabelled(const char *policies)
{
	const struct row asked = { "", policies, "world", 9000, "", "" };
	_cleanup_free_ char *yaml = NULL;
	struct compiled c = { 0 };
	__u32 verdict;

	cr_assert_geq(asprintf(&yaml, "%s%s", world, policies), 0);
	c.registry = registry_new();
	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &c.objects, &c.errors, NULL), 0);
	for (size_t i = 0; i < c.objects.count; i++)
		if (!strcmp(c.objects.items[i]->meta.name, "httpbin"))
			c.objects.items[i]->pod.labels_unknown = true;
	cr_assert_eq(compile(&c.objects, c.registry, COMPILE_HTTP_ALWAYS, &c.tables, &c.errors), 0);
	verdict = kernel_verdict(c.tables, &asked);
	compiled_free(&c);
	return verdict == AUTHZ_LETS;
}

/* What is allowed to other pods is not allowed to it, and what may be denied to it is. */
Test(authz, unknown_labels_open_nothing)
{
	cr_expect(lets_unlabelled(""));
	cr_expect(lets_unlabelled(FOO("{rules: [{}]}")), "for all pods");
	cr_expect_not(lets_unlabelled(FOO("{selector: {matchLabels: {app: other}}, rules: [{}]}")));
	cr_expect_not(lets_unlabelled(FOO(
		"{}") POLICY("foo", "q", "{selector: {matchLabels: {app: other}}, rules: [{}]}")));
	cr_expect_not(lets_unlabelled(
		FOO("{selector: {matchLabels: {app: other}}, action: DENY, rules: [{}]}")));
	cr_expect_not(lets_unlabelled(
		PEER("foo", "{selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}}")));
}

/* ---- what the kernel has no room for ---- */

/* A policy of foo's: 100 ports, and `sources` times a thousand subnets from 10.FIRST. on. */
static char *big_policy(const char *name, int sources, int first)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert(f);
	fprintf(f,
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: "
		"{namespace: foo, name: %s}\nspec: {rules: [{from: [",
		name);
	for (int s = 0; s < sources; s++) {
		fprintf(f, "{source: {ipBlocks: [");
		for (int i = 0; i < 1000; i++)
			fprintf(f, "10.%d.%d.%d, ", first + s, i / 250, i % 250);
		fprintf(f, "]}}, ");
	}
	fprintf(f, "], to: [{operation: {ports: [");
	for (int i = 0; i < 100; i++)
		fprintf(f, "\"%d\", ", 8000 + i);
	fprintf(f, "]}}]}]}\n---\n");
	fclose(f);
	return text;
}

Test(authz, a_policy_too_large_is_refused)
{
	_cleanup_free_ char *yaml = big_policy("big", 2, 1), *said = NULL;
	struct compiled c = { 0 };

	compiled_text(&c, yaml);
	said = errors_text(&c.errors);
	cr_expect_neq(c.r, 0);
	cr_expect(said && strstr(said, "at most 131072 rows of the kernel's table"), "%s", said);
	compiled_free(&c);
}

/* Nobody's policy is left out because of another one's. */
Test(authz, policies_too_large_together_close)
{
	_cleanup_free_ char *one = big_policy("one", 1, 1), *two = big_policy("two", 1, 2);
	_cleanup_free_ char *both = NULL, *said = NULL;
	const struct row asked = { "", "", "foo", 8000, "", "" };
	struct compiled c = { 0 };

	cr_assert_geq(asprintf(&both, "%s%s", one, two), 0);
	load(&c, both);
	said = errors_text(&c.errors);
	cr_expect(said && strstr(said, "connections to the pods that it selects are refused"), "%s",
		  said);
	cr_expect_gt(c.tables->authz.pods.count, 0);
	cr_expect_eq(c.tables->authz.rows.count, 0);
	cr_expect_neq(kernel_verdict(c.tables, &asked), AUTHZ_LETS);
	compiled_free(&c);
}

/* ---- rows from elsewhere ---- */

Test(authz, rows_out_of_order_are_refused)
{
	struct compiled c = { 0 };
	struct authz_rows r = { 0 };
	struct authz_view v;
	__u32 set;

	load(&c, ALLOW(TO("paths: [/a]")));
	for (size_t i = 0; i < c.objects.count; i++)
		if (c.objects.items[i]->kind == KIND_AUTHORIZATION_POLICY)
			cr_assert_eq(authz_rows_make(
					     &r, (const struct object *const *)&c.objects.items[i],
					     1, "istio-system"),
				     0);
	cr_assert_eq(authz_rows_select(&r, "foo", &(struct kvs){ 0 }, &(struct authz_strict){ 0 },
				       &set),
		     0);
	v = authz_rows_view(&r);
	cr_expect(authz_view_ok(&v));
	v.value_count = 0;
	cr_expect_not(authz_view_ok(&v));
	v = authz_rows_view(&r);
	r.policies.items[0].action = AUTHZ_CUSTOM;
	cr_expect_not(authz_view_ok(&v));
	r.policies.items[0].action = AUTHZ_ALLOW;
	r.members.items[0].policy = 7;
	cr_expect_not(authz_view_ok(&v));
	r.members.items[0].policy = 0;
	r.clauses.items[0].attribute = AUTHZ_ATTRIBUTES;
	cr_expect_not(authz_view_ok(&v));
	authz_rows_free(&r);
	compiled_free(&c);
}
