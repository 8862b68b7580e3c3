// SPDX-License-Identifier: Apache-2.0
/*
 * Questions to selftests/rules/compile/explain/rules.yaml; answers.json beside it has the
 * documented JSON for each. WEFT_DUMPS=write rewrites the latter, to be read before it is
 * committed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/explain/explain.h"
#include "test_compile_util.h"

#define RULES "selftests/rules/compile/explain/rules.yaml"
#define ANSWERS "selftests/rules/compile/explain/answers.json"

static struct kv sleep_label = { .key = "app", .value = "sleep" };
static struct kv other_label = { .key = "app", .value = "other" };
static struct kv ambient_label = { .key = "istio.io/dataplane-mode", .value = "ambient" };
static const struct kvs ambients = { &ambient_label, 1 };
static const struct kvs sleeps = { &sleep_label, 1 }, others = { &other_label, 1 };

static const struct {
	const char *about;
	struct explain_query q;
} rows[] = {
	{ "a pod by its labels",
	  { .namespace = "client", .pod = "sleep", .host = "echo.default", .port = 9000 } },
	{ "a pod that has no address yet",
	  { .namespace = "client", .pod = "starting", .host = "echo.default", .port = 9000 } },
	{ "labels that no pod has", { .labels = &sleeps, .host = "echo", .port = 9000 } },
	{ "a pod that isn't there, but with labels",
	  { .pod = "gone", .labels = &sleeps, .host = "echo", .port = 9000 } },
	{ "weights of a namespace's rule",
	  { .namespace = "canary", .labels = &others, .host = "echo.default.svc", .port = 9000 } },
	{ "a destination that isn't there",
	  { .namespace = "shop", .host = "echo.default.svc.cluster.local", .port = 9000 } },
	{ "no rule holds, by address", { .host = "10.96.0.1", .port = 9000 } },
	{ "no rule holds, by IPv6 address", { .address = "fd00::1", .port = 9000 } },
	{ "a name with a dot at its end, in capitals",
	  { .host = "ECHO.default.svc.cluster.local.", .port = 9000 } },
	{ "a gateway ignores labels and namespaces",
	  { .gateway_namespace = "default", .gateway = "gw", .host = "any", .port = 31400 } },
	{ "a port that no gateway serves", { .gateway = "gw", .port = 31401 } },
	{ "the short name from elsewhere",
	  { .namespace = "client", .host = "echo", .port = 9000 } },
	{ "a port that the service lacks", { .host = "echo", .port = 9001 } },
	{ "a headless service", { .host = "nobody.shop", .port = 80 } },
	{ "the outside world", { .host = "www.example.com", .port = 443 } },
	{ "an address that is nobody's", { .address = "192.0.2.1", .port = 443 } },
	{ "a service without an address yet", { .namespace = "shop", .host = "late", .port = 80 } },
	{ "a service that is called on its own node alone",
	  { .namespace = "shop", .host = "node-local", .port = 80 } },
	{ "the address that has endpoints", { .host = "six", .port = 6 } },
	{ "an ExternalName of an ExternalName of a service",
	  { .namespace = "shop", .host = "alias", .port = 6 } },
	{ "an ExternalName of the outside world",
	  { .namespace = "shop", .host = "away", .port = 443 } },
	{ "a pod that no label has put into the mesh",
	  { .namespace = "client",
	    .pod = "sleep",
	    .host = "echo.default",
	    .port = 9000,
	    .enrol = ENROL_LABELLED } },
	{ "labels that put a client into the mesh",
	  { .labels = &ambients, .host = "echo", .port = 9000, .enrol = ENROL_LABELLED } },
	{ "labels that do not",
	  { .labels = &others, .host = "echo", .port = 9000, .enrol = ENROL_LABELLED } },
	{ "a gateway does not ask who is in the mesh",
	  { .gateway_namespace = "default",
	    .gateway = "gw",
	    .host = "any",
	    .port = 31400,
	    .enrol = ENROL_LABELLED } },
};

static void load(struct compiled *c)
{
	_cleanup_free_ char *yaml = file_text(RULES), *errors = NULL;

	cr_assert_not_null(yaml);
	compiled_text(c, yaml);
	errors = errors_text(&c->errors);
	cr_assert_not_null(c->tables, "%s", errors);
}

/* The caller's reference. */
static json_t *answer(const struct compiled *c, const char *about, const struct explain_query *q)
{
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	_cleanup_free_ char *text = NULL;
	struct errors errors = { 0 };
	int r = explain(c->tables, &c->objects, q, NULL, NULL, &a, &errors);

	cr_expect_eq(r, 0, "%s: %d", about, r);
	cr_expect_eq(errors.count, 0, "%s", about);
	text = explain_text(&a);
	cr_expect(text && strstr(text, explain_action_name(a.action)), "%s", about);
	return explain_json(&a);
}

Test(explain, answers_by_name)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	json_auto_t *got = json_object(), *want = NULL;
	const char *about;
	json_t *each;
	size_t i;

	load(&c);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(got, rows[i].about, answer(&c, rows[i].about, &rows[i].q));
	if (getenv("WEFT_DUMPS"))
		json_dump_file(got, ANSWERS, JSON_INDENT(2));
	want = json_load_file(ANSWERS, 0, NULL);
	cr_assert_not_null(want, "no " ANSWERS);
	cr_expect_eq(json_object_size(got), json_object_size(want));
	json_object_foreach(got, about, each)
	{
		_cleanup_free_ char *text = json_dumps(each, JSON_INDENT(1));

		cr_expect(json_equal(each, json_object_get(want, about)), "%s: %s", about, text);
	}
}

#define TCP_SERVICE                                                                   \
	"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"                      \
	"spec: {clusterIP: 10.96.0.1, ports: [{name: tcp, port: 9000}]}\n---\n"       \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                 \
	"metadata: {name: svc}\nspec: {host: svc, subsets: [{name: v1}, {name: v2}, " \
	"{name: v3}]}\n"
#define TCP_RULE(name, hosts, match, subset)                                             \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                \
	"metadata: {name: " name "}\nspec: {hosts: [" hosts "], tcp: [{" match "route: " \
	"[{destination: {host: svc.default.svc.cluster.local, subset: " subset "}}]}]}\n"
#define OF_SLEEP "match: [{sourceLabels: {app: sleep}}], "
#define WIDE "'*.svc.cluster.local'"

Test(explain, rules_that_can_not_hold_leave_connections_to_less_specific_hosts)
{
	static const struct {
		const char *yaml;
		const struct kvs *labels;
		const char *subset, *skipped; /* `skipped`: of the VirtualService n, once */
	} rows[] = {
		{ TCP_SERVICE TCP_RULE("n", "svc", OF_SLEEP, "v1") TCP_RULE("w", WIDE, "", "v2"),
		  &sleeps, "|v1|", NULL },
		{ TCP_SERVICE TCP_RULE("n", "svc", OF_SLEEP, "v1") TCP_RULE("w", WIDE, "", "v2"),
		  &others, "|v2|", "sourceLabels" },
		{ TCP_SERVICE TCP_RULE("n", "svc", "match: [{port: 1}], ", "v1")
			  TCP_RULE("w", WIDE, "", "v2"),
		  &sleeps, "|v2|", "port: 9000 is not 1" },
		{ TCP_SERVICE TCP_RULE("n", "svc, " WIDE, OF_SLEEP, "v1")
			  TCP_RULE("o", "svc", "", "v2") TCP_RULE("w", WIDE, "", "v3"),
		  &others, "|v2|", "sourceLabels" },
		{ TCP_SERVICE TCP_RULE("n", "svc, " WIDE, OF_SLEEP, "v1")
			  TCP_RULE("w", WIDE, "", "v3"),
		  &others, "|v3|", "sourceLabels" },
		{ TCP_SERVICE TCP_RULE("w", "svc", "", "v2") TCP_RULE("n", WIDE, "", "v3"), &others,
		  "|v2|", "older or more specific" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(explain_done) struct explain_answer a = { 0 };
		_cleanup_compiled_ struct compiled c = { 0 };
		struct errors errors = { 0 };
		const struct explain_query q = { .labels = rows[i].labels,
						 .host = "svc",
						 .port = 9000 };
		size_t of_n = 0;

		compiled_text(&c, rows[i].yaml);
		cr_assert_not_null(c.tables);
		cr_assert_eq(explain(c.tables, &c.objects, &q, NULL, NULL, &a, &errors), 0);
		cr_expect(a.cluster && strstr(a.cluster, rows[i].subset), "%zu: %s", i, a.cluster);
		for (size_t k = 0; k < a.skipped.count; k++) {
			const struct explain_skipped *s = &a.skipped.items[k];

			if (!strstr(s->rule, "default/n"))
				continue;
			of_n++;
			cr_expect(rows[i].skipped && strstr(s->why, rows[i].skipped), "%zu: %s", i,
				  s->why);
		}
		cr_expect_eq(of_n, rows[i].skipped ? 1 : 0, "%zu: %zu times", i, of_n);
	}
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

	load(&c);
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
	*out = (struct verdict){ .action = VERDICT_STEER, .service = 1, .rule = 99 };
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

	load(&c);
	cr_expect_eq(explain(c.tables, &c.objects, &known, kernel_says, c.tables, &a, &errors), 0);
	cr_expect_str_eq(a.cluster, "outbound|9000|v2|echo.default.svc.cluster.local");
	cr_expect_str_eq(a.endpoint, "10.0.0.2:9000");
	cr_expect_eq(explain(c.tables, &c.objects, &known, kernel_is_ahead, NULL, &stale, &errors),
		     -ESTALE);
	errors_free(&errors);
}

static int kernel_is_not_asked(void *arg, const struct question *q, struct verdict *out)
{
	(void)arg;
	(void)q;
	(void)out;
	cr_assert_fail("asked");
	return 0;
}

Test(explain, the_kernel_knows_no_service_without_an_address)
{
	const struct explain_query q = {
		.namespace = "client", .pod = "sleep", .host = "late.shop", .port = 80
	};
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	_cleanup_compiled_ struct compiled c = { 0 };
	struct errors errors = { 0 };

	load(&c);
	cr_expect_eq(explain(c.tables, &c.objects, &q, kernel_is_not_asked, NULL, &a, &errors), 0);
	cr_expect_eq(a.action, EXPLAIN_PASSTHROUGH);
	cr_expect_str_eq(a.reason, "the service has no cluster IP");
}
