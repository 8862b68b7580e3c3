// SPDX-License-Identifier: Apache-2.0
/*
 * Questions to one set of rules, and the answers in the JSON that is documented.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "explain.h"
#include "test_compile_util.h"

static const char rules[] =
	"apiVersion: v1\nkind: Service\nmetadata: {name: echo}\n"
	"spec: {clusterIPs: [10.96.0.1, 'fd00::1'], selector: {app: echo}, ports: [{name: tcp, "
	"port: 9000}]}\n---\n"
	"apiVersion: v1\nkind: Service\nmetadata: {name: late, namespace: shop}\n"
	"spec: {selector: {app: late}, ports: [{name: tcp, port: 80}]}\n---\n"
	"apiVersion: v1\nkind: Service\nmetadata: {name: nobody, namespace: shop}\n"
	"spec: {clusterIP: None, selector: {app: late}, ports: [{name: tcp, port: 80}]}\n---\n"
	"apiVersion: v1\nkind: Service\nmetadata: {name: six}\n"
	"spec: {clusterIPs: [10.96.0.6, 'fd00::6'], selector: {app: six}, ports: [{name: tcp, "
	"port: 6}]}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: six, labels: {app: six}}\nspec: {}\nstatus: "
	"{podIP: 'fd01::6'}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: v1, labels: {app: echo, version: v1}}\nspec: "
	"{}\n"
	"status: {podIP: 10.0.0.1}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: v2, labels: {app: echo, version: v2}}\nspec: "
	"{}\n"
	"status: {podIP: 10.0.0.2}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: sleep, namespace: client, labels: {app: "
	"sleep}}\nspec: {}\n"
	"status: {podIP: 10.0.0.9}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: starting, namespace: client, labels: {app: "
	"sleep}}\nspec: {}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: echo}\n"
	"spec: {host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: "
	"{version: v2}}]}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"
	"spec: {servers: [{port: {number: 31400, name: tcp, protocol: TCP}, hosts: ['*']}]}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: echo}\n"
	"spec:\n"
	"  hosts: [echo]\n"
	"  gateways: [mesh, gw]\n"
	"  tcp:\n"
	"  - match: [{port: 1}, {sourceLabels: {app: sleep}, gateways: [gw]}]\n"
	"    route: [{destination: {host: echo}}]\n"
	"  - match: [{sourceLabels: {app: sleep}}]\n"
	"    route: [{destination: {host: echo, subset: v2}}]\n"
	"  - match: [{sourceNamespace: shop}]\n"
	"    route: [{destination: {host: gone}}]\n"
	"  - match: [{sourceNamespace: canary}]\n"
	"    route: [{destination: {host: echo, subset: v1}, weight: 1}, {destination: {host: "
	"echo, subset: v2}, weight: 3}]\n";

#define HOST "\"host\": \"echo.default.svc.cluster.local\""
#define ALL                                                                              \
	"\"destinations\": [{" HOST ", \"port\": 9000, \"weight\": 100, \"endpoints\": " \
	"[\"10.0.0.1:9000\", \"10.0.0.2:9000\"]}]"
#define V2                                                                                    \
	"\"destinations\": [{" HOST ", \"subset\": \"v2\", \"port\": 9000, \"weight\": 100, " \
	"\"endpoints\": [\"10.0.0.2:9000\"]}]"
#define RULE(n, line)                                                                     \
	"\"rule\": {\"kind\": \"VirtualService\", \"namespace\": \"default\", \"name\": " \
	"\"echo\", \"route\": \"tcp[" n "]\", \"at\": \"t.yaml:" line ":5\"}"
#define PLAIN(name, ns, at)                                                              \
	"\"rule\": {\"kind\": \"Service\", \"namespace\": \"" ns "\", \"name\": \"" name \
	"\", \"at\": \"t.yaml:" at "\"}"
#define SKIP(rule, why) \
	"{\"rule\": \"VirtualService default/echo tcp" rule "\", \"why\": \"" why "\"}"
#define FIRST                                       \
	SKIP("[0].match[0]", "port: 9000 is not 1") \
	", " SKIP("[0].match[1]", "gateways: mesh is not among them")
#define PASS "{\"protocol\": \"tcp\", \"action\": \"passthrough\"}"

static struct kv sleep_label = { .key = "app", .value = "sleep" },
		 other_label = { .key = "app", .value = "other" };
static const struct kvs sleep_labels = { &sleep_label, 1 }, other_labels = { &other_label, 1 };

static const struct {
	const char *about;
	struct explain_query q;
	const char *json;
} rows[] = {
	{ "a pod by its labels",
	  { .namespace = "client", .pod = "sleep", .host = "echo.default", .port = 9000 },
	  "{\"protocol\": \"tcp\", " RULE("1", "69") ", \"action\": \"route\", " V2
						     ", \"skipped\": [" FIRST "]}" },
	{ "a pod that has no address yet",
	  { .namespace = "client", .pod = "starting", .host = "echo.default", .port = 9000 },
	  "{\"protocol\": \"tcp\", " RULE("1", "69") ", \"action\": \"route\", " V2
						     ", \"skipped\": [" FIRST "]}" },
	{ "labels that no pod has",
	  { .labels = &sleep_labels, .host = "echo", .port = 9000 },
	  "{\"protocol\": \"tcp\", " RULE("1", "69") ", \"action\": \"route\", " V2
						     ", \"skipped\": [" FIRST "]}" },
	{ "weights of a namespace's rule; why not the others",
	  { .namespace = "canary",
	    .labels = &other_labels,
	    .host = "echo.default.svc",
	    .port = 9000 },
	  "{\"protocol\": \"tcp\", " RULE(
		  "3", "73") ", \"action\": \"route\", \"destinations\": ["
			     "{" HOST ", \"subset\": \"v1\", \"port\": 9000, \"weight\": "
			     "1, \"endpoints\": [\"10.0.0.1:9000\"]}, "
			     "{" HOST ", \"subset\": \"v2\", \"port\": 9000, \"weight\": "
			     "3, \"endpoints\": [\"10.0.0.2:9000\"]}], "
			     "\"skipped\": [" FIRST
			     ", " SKIP("[1].match[0]",
				       "sourceLabels: app: 'other' is not "
				       "'sleep'") ", " SKIP("[2].match[0]",
							    "sourceNamespace: 'canary' is not "
							    "'shop'") "]}" },
	{ "a destination that isn't there",
	  { .namespace = "shop", .host = "echo.default.svc.cluster.local", .port = 9000 },
	  "{\"protocol\": \"tcp\", " RULE(
		  "2", "71") ", \"action\": \"no_cluster\", \"skipped\": [" FIRST
			     ", " SKIP("[1].match[0]",
				       "sourceLabels: app: expected \\\"sleep\\\", the "
				       "client has none") "]}" },
	{ "no rule holds: the plain service; by address",
	  { .host = "10.96.0.1", .port = 9000 },
	  "{\"protocol\": \"tcp\", " PLAIN(
		  "echo", "default",
		  "4:75") ", \"action\": \"route\", " ALL ", \"skipped\": [" FIRST
			  ", " SKIP("[1].match[0]",
				    "sourceLabels: app: expected \\\"sleep\\\", the client "
				    "has none") ", " SKIP("[2].match[0]",
							  "sourceNamespace: 'default' is "
							  "not 'shop'") ", " SKIP("[3]."
										  "match["
										  "0]",
										  "sourceNa"
										  "mespace:"
										  " '"
										  "default'"
										  " is not "
										  "'canary"
										  "'") "]"
										       "}" },
	{ "a gateway ignores labels and namespaces",
	  { .gateway_namespace = "default", .gateway = "gw", .host = "anything", .port = 31400 },
	  "{\"protocol\": \"tcp\", " RULE(
		  "0", "67") ", \"action\": \"route\", " ALL
			     ", \"skipped\": [" SKIP("[0].match[0]", "port: 31400 is not 1") "]}" },
	{ "a port that no gateway serves",
	  { .gateway = "gw", .port = 31401 },
	  "{\"protocol\": \"tcp\", \"action\": \"refuse\"}" },
	{ "the short name only from its own namespace",
	  { .namespace = "client", .host = "echo", .port = 9000 },
	  PASS },
	{ "a port that the service lacks", { .host = "echo", .port = 9001 }, PASS },
	{ "a headless service", { .host = "nobody.shop", .port = 80 }, PASS },
	{ "the outside world", { .host = "www.example.com", .port = 443 }, PASS },
	{ "an address that is nobody's", { .address = "192.0.2.1", .port = 443 }, PASS },
	{ "a service without an address yet",
	  { .namespace = "shop", .host = "late", .port = 80 },
	  "{\"protocol\": \"tcp\", " PLAIN(
		  "late", "shop",
		  "9:39") ", \"action\": \"route\", \"destinations\": ["
			  "{\"host\": \"late.shop.svc.cluster.local\", \"port\": 80, "
			  "\"weight\": 100, \"endpoints\": []}]}" },
	{ "the address that has endpoints",
	  { .host = "six", .port = 6 },
	  "{\"protocol\": \"tcp\", " PLAIN(
		  "six", "default",
		  "19:74") ", \"action\": \"route\", \"destinations\": ["
			   "{\"host\": \"six.default.svc.cluster.local\", \"port\": 6, "
			   "\"weight\": 100, \"endpoints\": [\"[fd01::6]:6\"]}]}" },
};

static void check(const struct compiled *c, const char *about, const struct explain_query *q,
		  const char *want)
{
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	_cleanup_free_ char *got = NULL, *text = NULL;
	struct errors errors = { 0 };
	json_t *json;
	int r;

	r = explain(c->tables, &c->objects, q, NULL, NULL, &a, &errors);
	cr_expect_eq(r, 0, "%s: %d", about, r);
	cr_expect_eq(errors.count, 0, "%s", about);
	json = explain_json(&a);
	got = json_dumps(json, 0);
	cr_expect_str_eq(got, want, "%s:\n%s\nnot\n%s", about, got, want);
	text = explain_text(&a);
	cr_expect(text && strstr(text, explain_action_name(a.action)), "%s", about);
	json_decref(json);
}

Test(explain, answers_by_name)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	_cleanup_free_ char *errors = NULL;
	size_t i;

	compiled_text(&c, rules);
	errors = errors_text(&c.errors);
	cr_assert_not_null(c.tables, "%s", errors);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&c, rows[i].about, &rows[i].q, rows[i].json);
}

static void check_error(const struct compiled *c, const struct explain_query *q, int r,
			const char *message)
{
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	struct errors errors = { 0 };

	cr_expect_eq(explain(c->tables, &c->objects, q, NULL, NULL, &a, &errors), r, "%s", message);
	cr_expect(errors.count == 1 && strstr(errors.items[0].text, message), "%s",
		  errors.count ? errors.items[0].text : "none");
	errors_free(&errors);
}

Test(explain, says_what_it_does_not_know)
{
	_cleanup_compiled_ struct compiled c = { 0 };

	compiled_text(&c, rules);
	cr_assert_not_null(c.tables);
	check_error(&c, &(struct explain_query){ .pod = "gone", .host = "echo", .port = 9000 },
		    -ENOENT, "no such pod: default/gone");
	check_error(&c, &(struct explain_query){ .gateway = "gone", .port = 9000 }, -ENOENT,
		    "no such gateway: default/gone");
	check_error(&c, &(struct explain_query){ .host = "echo" }, -EINVAL,
		    "expected HOST:PORT or ADDRESS:PORT");
	check_error(&c, &(struct explain_query){ .address = "echo", .port = 1 }, -EINVAL,
		    "expected HOST:PORT or ADDRESS:PORT");
}

/* The kernel's answer in place of our own: the second destination. */
static int kernel_says(void *arg, const struct question *q, struct verdict *out)
{
	struct decide_context context = { 0 };

	decide_tables(arg, &context, q, out);
	cr_expect_eq(q->dry, 1);
	return 0;
}

static int kernel_is_ahead(void *arg, const struct question *q, struct verdict *out)
{
	(void)arg;
	(void)q;
	*out = (struct verdict){ .action = VERDICT_STEER, .rule = 99 };
	return 0;
}

Test(explain, asks_the_kernel_about_pods_that_it_knows)
{
	const struct explain_query known = {
		.namespace = "client", .pod = "sleep", .host = "echo.default", .port = 9000
	};
	_cleanup_compiled_ struct compiled c = { 0 };
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	_cleanup_(explain_done) struct explain_answer stale = { 0 };
	struct errors errors = { 0 };

	compiled_text(&c, rules);
	cr_assert_not_null(c.tables);
	cr_expect_eq(explain(c.tables, &c.objects, &known, kernel_says, c.tables, &a, &errors), 0);
	cr_expect_str_eq(a.cluster, "outbound|9000|v2|echo.default.svc.cluster.local");
	cr_expect_str_eq(a.endpoint, "10.0.0.2:9000");
	cr_expect_eq(explain(c.tables, &c.objects, &known, kernel_is_ahead, NULL, &stale, &errors),
		     -ESTALE);
	errors_free(&errors);
}
