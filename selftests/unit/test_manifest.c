// SPDX-License-Identifier: Apache-2.0
/* What a manifest is made of: its values, and the text that they give. */
#include <criterion/criterion.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "cli/cluster.h"
#include "lib/base/json_io.h"
#include "lib/manifest/manifest.h"
#include "test_rules_util.h"

/* ---- values ---- */

struct assignment {
	const char *text;
	const char *why; /* NULL: it is taken */
};

static const struct assignment assignments[] = {
	{ "image=registry.example:5000/weft/agent:1.2-rc_1", NULL },
	{ "image=weft@sha256:0123", NULL },
	{ "image=", "image: expected a name of letters" },
	{ "image=-x", "image: expected a name of letters" },
	{ "image=a b", "image: expected a name of letters" },
	{ "image=a\nprivileged", "image: expected a name of letters" },
	{ "image=\"x\"", "image: expected a name of letters" },
	{ "imagePullSecret=", NULL },
	{ "imagePullPolicy=Always", NULL },
	{ "imagePullPolicy=always", "expected IfNotPresent, Always or Never, not \"always\"" },
	{ "securityContext=capabilities", NULL },
	{ "securityContext=none", "expected privileged or capabilities, not \"none\"" },
	{ "workers=64", NULL },
	{ "workers=65", "workers: expected a whole number from 1 to 64, not \"65\"" },
	{ "workers=0", "workers: expected a whole number from 1 to 64" },
	{ "workers=+4", "workers: expected a whole number from 1 to 64" },
	{ "meshConfig.defaultConfig.drainDuration=1h30m", NULL },
	{ "meshConfig.defaultConfig.drainDuration=24h", NULL },
	{ "meshConfig.defaultConfig.drainDuration=0s",
	  "meshConfig.defaultConfig.drainDuration: expected a duration of whole seconds like 45s "
	  "or 5m, from 1s to 86400s, not \"0s\"" },
	{ "meshConfig.defaultConfig.drainDuration=24h1s", "expected a duration of whole seconds" },
	{ "meshConfig.defaultConfig.drainDuration=1.5s", "expected a duration of whole seconds" },
	{ "workloadCertTTL=10m", NULL },
	{ "workloadCertTTL=9m59s", "workloadCertTTL: expected a duration of whole seconds" },
	{ "meshConfig.defaultConfig.drainDuration=45", "expected a duration of whole seconds" },
	{ "meshConfig.defaultConfig.drainDuration=", "expected a duration of whole seconds" },
	{ "kubernetes.host=10.0.0.1", NULL },
	{ "kubernetes.host=fd00::1", NULL },
	{ "kubernetes.host=api.example", NULL },
	{ "kubernetes.host=", NULL },
	{ "kubernetes.host=https://api.example", "expected an IP address or a DNS name" },
	{ "kubernetes.host=10.0.0.1:6443", "expected an IP address or a DNS name" },
	{ "kubernetes.host=[fd00::1]", "expected an IP address or a DNS name" },
	{ "kubernetes.host=10.0.0.256", "expected an IP address or a DNS name" },
	{ "kubernetes.host=10.0.0", "expected an IP address or a DNS name" },
	{ "kubernetes.host=api..example", "expected an IP address or a DNS name" },
	{ "kubernetes.host=api.example.", "expected an IP address or a DNS name" },
	{ "kubernetes.host=-api", "expected an IP address or a DNS name" },
	{ "kubernetes.port=6443", NULL },
	{ "kubernetes.port=https", "kubernetes.port: expected a whole number from 1 to 65535" },
	{ "updateStrategy.maxUnavailable=10%", NULL },
	{ "updateStrategy.maxUnavailable=3", NULL },
	{ "updateStrategy.maxUnavailable=0", "a whole number from 1 on, or a percentage" },
	{ "updateStrategy.maxUnavailable=101%", "a whole number from 1 on, or a percentage" },
	{ "updateStrategy.maxUnavailable=10 %", "a whole number from 1 on, or a percentage" },
	{ "resources.limits.memory=1.5Gi", NULL },
	{ "resources.limits.cpu=500m", NULL },
	{ "resources.limits.memory=64MB", "expected a quantity like 100m, 2, 64Mi or 1Gi" },
	{ "resources.limits.memory=-1", "expected a quantity like 100m, 2, 64Mi or 1Gi" },
	{ "resources.requests.memory=", "expected a quantity like 100m, 2, 64Mi or 1Gi" },
	{ "gateways.istio-ingressgateway.type=NodePort", NULL },
	{ "values.gateways.istio-ingressgateway.type=NodePort", NULL },
	{ "gateways.istio-ingressgateway.type=nodeport",
	  "expected LoadBalancer, NodePort or ClusterIP, not \"nodeport\"" },
	{ "gateways.istio-ingressgateway.enabled=false", NULL },
	{ "gateways.istio-ingressgateway.enabled=no", "expected true or false, not \"no\"" },
	{ "gateways.istio-ingressgateway.nodePorts.http2=30080", NULL },
	{ "gateways.istio-ingressgateway.nodePorts.http2=70000", "from 1 to 65535" },
	{ "gateways.istio-ingressgateway.typ=NodePort",
	  "unknown value \"gateways.istio-ingressgateway.typ\", did you mean "
	  "\"gateways.istio-ingressgateway.type\"?" },
	{ "colour=red", "unknown value \"colour\"" },
	{ "addonComponents.grafana.enabled=false", NULL },
	{ "addonComponents.grafana.enabled=true", NULL },
	{ "addonComponents.grafana.enabled=yes", "expected true or false, not \"yes\"" },
	{ "addonComponents.prometheus.image=registry.example/prometheus:v3", NULL },
	{ "addonComponents.prometheus.image=", "expected a name of letters" },
	{ "metrics.port=9090", NULL },
	{ "metrics.port=0", "metrics.port: expected a whole number from 1 to 65535" },
	{ "metrics.podMonitor.enabled=true", NULL },
	{ "metrics.prometheusRule.enabled=true", NULL },
	{ "metrics.prometheusRules.enabled=true",
	  "did you mean \"metrics.prometheusRule.enabled\"?" },
	{ "addonComponents.tracing.enabled=true", NULL },
	{ "tracing.endpoint=", NULL },
	{ "tracing.endpoint=http://otel.observability:4318", NULL },
	{ "tracing.endpoint=https://[fd00::1]:4318/v1/traces/a%20b", NULL },
	{ "tracing.endpoint=http://[fd00::1]", NULL },
	{ "tracing.endpoint=http://a:65535/", NULL },
	{ "tracing.endpoint=otel.observability:4318", "expected a URL that begins with http" },
	{ "tracing.endpoint=http://", "expected a URL" },
	{ "tracing.endpoint=http:///v1/traces", "expected a URL" },
	{ "tracing.endpoint=http://a\"b", "expected a URL" },
	{ "tracing.endpoint=http://a:b", "expected a URL" },
	{ "tracing.endpoint=http://a:99999", "expected a URL" },
	{ "tracing.endpoint=http://a:0", "expected a URL" },
	{ "tracing.endpoint=http://a:", "expected a URL" },
	{ "tracing.endpoint=http://user@a", "expected a URL" },
	{ "tracing.endpoint=http://[a@b]", "expected a URL" },
	{ "tracing.endpoint=http://a/x?y", "without user or query" },
	{ "tracing.endpoint=http://[a", "expected a URL" },
	{ "tracing.endpoint=http://[fd00::1]4318", "expected a URL" },
	{ "meshConfig.defaultConfig.tracing.sampling=0", NULL },
	{ "meshConfig.defaultConfig.tracing.sampling=100.00", NULL },
	{ "values.meshConfig.defaultConfig.tracing.sampling=12.34", NULL },
	{ "meshConfig.defaultConfig.tracing.sampling=100.01",
	  "expected a percentage from 0 to 100 like 1 or 12.34, not \"100.01\"" },
	{ "meshConfig.defaultConfig.tracing.sampling=1.234", "expected a percentage" },
	{ "meshConfig.defaultConfig.tracing.sampling=1.", "expected a percentage" },
	{ "meshConfig.defaultConfig.tracing.sampling=.5", "expected a percentage" },
	{ "meshConfig.defaultConfig.tracing.sampling=-1", "expected a percentage" },
	{ "meshConfig.defaultConfig.tracing.sampling=1%", "expected a percentage" },
	{ "meshConfig.defaultConfig.tracing.sampling=", "expected a percentage" },
	{ "addonComponents.kiali.enabled=true",
	  "weft does not carry out addonComponents.kiali.enabled yet" },
	{ "meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY", NULL },
	{ "meshConfig.outboundTrafficPolicy.mode=registry_only",
	  "expected ALLOW_ANY or REGISTRY_ONLY, not \"registry_only\"" },
	{ "dns=10.96.0.10", NULL },
	{ "dns=", NULL },
	{ "nic=auto", NULL },
	{ "nic=auto,eth[0-9],flannel*", NULL },
	{ "nic=", NULL },
	{ "nic=eth0,", "nic: expected names or globs of interfaces like auto,eth*, not \"eth0,\"" },
	{ "nic=eth0 --detach", "nic: expected names or globs of interfaces" },
	{ "nic=\"eth0\"", "nic: expected names or globs of interfaces" },
	{ "dns=dns.example", "dns: expected an IP address, not \"dns.example\"" },
	{ "image", "expected PATH=VALUE, not \"image\"" },
};

Test(manifest, values_are_checked_as_they_are_set)
{
	for (size_t i = 0; i < sizeof(assignments) / sizeof(*assignments); i++) {
		const struct assignment *a = &assignments[i];
		struct values v = { 0 };
		char why[512] = "";
		int r = values_set(&v, a->text, why, sizeof(why));

		cr_expect_eq(r, a->why ? -EINVAL : 0, "%s: %d %s", a->text, r, why);
		cr_expect(!a->why || strstr(why, a->why), "%s: %s", a->text, why);
		values_free(&v);
	}
}

Test(manifest, what_is_set_last_counts)
{
	struct values v = { 0 };
	char why[512];

	cr_assert_str_eq(values_get(&v, VALUE_INGRESS_TYPE), "LoadBalancer");
	cr_assert_eq(values_set(&v, "gateways.istio-ingressgateway.type=ClusterIP", why, 512), 0);
	cr_assert_eq(values_set(&v, "gateways.istio-ingressgateway.type=NodePort", why, 512), 0);
	cr_assert_str_eq(values_get(&v, VALUE_INGRESS_TYPE), "NodePort");
	values_free(&v);
}

Test(manifest, a_file_of_values_is_read_with_positions)
{
	static const char good[] = "image: weft:7\nworkers: 2\ngateways:\n"
				   "  istio-ingressgateway: {type: NodePort, enabled: true}\n"
				   "resources:\n  limits:\n    cpu: null\n";
	static const char bad[] = "imag: weft:7\ngateways:\n  istio-ingressgateway:\n"
				  "    type: [NodePort]\nworkers: many\n";
	struct values v = { 0 };
	struct errors errors = { 0 };
	_cleanup_free_ char *got = NULL;

	cr_assert_eq(values_read(&v, "v.yaml", good, strlen(good), &errors), 0);
	cr_assert_str_eq(values_get(&v, VALUE_IMAGE), "weft:7");
	cr_assert_str_eq(values_get(&v, VALUE_WORKERS), "2");
	cr_assert_str_eq(values_get(&v, VALUE_INGRESS_TYPE), "NodePort");
	cr_assert_eq(values_read(&v, "v.yaml", bad, strlen(bad), &errors), -EINVAL);
	got = messages(&errors);
	cr_expect_str_eq(
		got,
		"v.yaml:1:7: unknown value \"imag\", did you mean \"image\"?\n"
		"v.yaml:4:11: gateways.istio-ingressgateway.type: expected one value, not a list\n"
		"v.yaml:5:10: workers: expected a whole number from 1 to 64, not \"many\"\n");
	errors_free(&errors);
	values_free(&v);
}

Test(manifest, the_port_of_no_host_is_refused)
{
	struct values v = { 0 };
	char why[512] = "";

	cr_assert_eq(values_set(&v, "kubernetes.port=6443", why, sizeof(why)), 0);
	cr_expect_eq(values_check(&v, why, sizeof(why)), -EINVAL);
	cr_expect_str_eq(why, "kubernetes.port: expected kubernetes.host beside it");
	cr_assert_eq(values_set(&v, "kubernetes.host=10.0.0.1", why, sizeof(why)), 0);
	cr_expect_eq(values_check(&v, why, sizeof(why)), 0);
	values_free(&v);
}

/* ---- the text ---- */

static char *generated(const char *const *set)
{
	struct values v = { 0 };
	char *text = NULL, why[512];
	size_t size = 0;
	FILE *f;

	for (; set && *set; set++)
		cr_assert_eq(values_set(&v, *set, why, sizeof(why)), 0, "%s", why);
	f = open_memstream(&text, &size);
	manifest_generate(&v, f);
	fclose(f);
	values_free(&v);
	return text;
}

/* With the version out of it, which changes. */
static char *without_version(const char *text)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	for (const char *at; (at = strstr(text, WEFT_VERSION)); text = at + strlen(WEFT_VERSION))
		fprintf(f, "%.*sVERSION", (int)(at - text), text);
	fputs(text, f);
	fclose(f);
	return out;
}

static void check_golden(const char *path, const char *text)
{
	_cleanup_free_ char *got = without_version(text), *want = NULL;
	size_t len;
	FILE *f;

	if (getenv("WEFT_DUMPS")) {
		f = fopen(path, "w");
		cr_assert(f);
		fputs(got, f);
		fclose(f);
	}
	want = file_bytes(path, &len);
	cr_expect_str_eq(got, want, "%s: differs; WEFT_DUMPS=write writes it anew", path);
}

Test(manifest, the_default_one_is_as_it_was_looked_at)
{
	_cleanup_free_ char *text = generated(NULL);

	check_golden("selftests/rules/manifest/default.yaml", text);
}

/* A ConnectionPolicy that the API server lets through and weft can't read would be none after a
 * restart. */
Test(manifest, the_subnets_of_a_connection_policy_are_checked)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{ "1.2.3.4/32", true },
		{ "0.0.0.0/0", true },
		{ "255.255.0.0/16", true },
		{ "::/0", true },
		{ "2001:db8::/32", true },
		{ "1:2:3:4:5:6:7:8/64", true },
		{ "1:2:3:4:5:6:7::/64", true },
		{ "::2:3:4:5:6:7:8/128", true },
		{ "::ffff:1.2.3.4/128", true },
		{ "1.2.3.4/33", false },
		{ "1.2.3.4/99", false },
		{ "1.2.3.256/8", false },
		{ "1.2.3/8", false },
		{ "1.2.3.4", false },
		{ "2001:db8::/129", false },
		{ "2001:db8::/999", false },
		{ "1:2:3:4:5:6:7:8:9/64", false },
		{ "12345::/64", false },
		{ "a/3", false },
	};
	_cleanup_free_ char *text = generated(NULL);
	const char *at = strstr(text, "\n              deny: {type: array, maxItems: 16000, ");
	char pattern[1000];
	regex_t regex;

	at = at ? strstr(at, "pattern: \"") : NULL;
	cr_assert(at && sscanf(at, "pattern: \"%999[^\"]", pattern) == 1);
	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0, "%s", pattern);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(regexec(&regex, rows[i].text, 0, NULL, 0) == 0, rows[i].valid, "%s",
			     rows[i].text);
	regfree(&regex);
}

/* What comes behind the kinds, which no value changes. */
Test(manifest, one_with_everything_chosen_is_as_it_was_looked_at)
{
	static const char *const set[] = {
		"image=registry.example/weft:1",
		"imagePullPolicy=Always",
		"imagePullSecret=registry",
		"securityContext=capabilities",
		"enrol=all",
		"logLevel=debug",
		"workers=2",
		"meshConfig.defaultConfig.drainDuration=5m",
		"meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY",
		"dns=fd00::10",
		"nic=auto,bond*",
		"tracing.endpoint=http://otel.observability:4318/v1/traces",
		"meshConfig.defaultConfig.tracing.sampling=12.5",
		"kubernetes.host=fd00::1",
		"kubernetes.port=16443",
		"resources.requests.cpu=1",
		"resources.requests.memory=1Gi",
		"resources.limits.cpu=2",
		"resources.limits.memory=2Gi",
		"updateStrategy.maxUnavailable=10%",
		"gateways.istio-ingressgateway.type=NodePort",
		"gateways.istio-ingressgateway.nodePorts.http2=30080",
		"gateways.istio-ingressgateway.nodePorts.https=30443",
		"gateways.istio-ingressgateway.nodePorts.tcp=30514",
		NULL,
	};
	_cleanup_free_ char *text = generated(set);

	check_golden("selftests/rules/manifest/chosen.yaml",
		     strstr(text, "---\n# The agent, one on each node"));
}

static const char *const addons[] = {
	"addonComponents.prometheus.enabled=true",
	"addonComponents.prometheus.image=registry.example/prometheus:v3",
	"addonComponents.grafana.enabled=true",
	"addonComponents.tracing.enabled=true",
	"metrics.podMonitor.enabled=true",
	"metrics.prometheusRule.enabled=true",
	NULL,
};

/* Without the dashboards, which are a line of JSON each. */
static char *without_dashboards(const char *text)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		if (strncmp(text, "    {\"uid\":", 11) != 0)
			fprintf(f, "%.*s\n", (int)(end - text), text);
		else
			fputs("    {...}\n", f);
	}
	fclose(f);
	return out;
}

Test(manifest, what_watches_weft_is_as_it_was_looked_at)
{
	_cleanup_free_ char *text = generated(addons), *shown = NULL;

	shown = without_dashboards(strstr(text, "---\n# A Prometheus that scrapes"));
	check_golden("selftests/rules/manifest/addons.yaml", shown);
}

static const struct cluster_object *find(const struct cluster_objects *objects, const char *shown)
{
	for (size_t i = 0; i < objects->count; i++)
		if (!strcmp(objects->items[i].shown, shown))
			return &objects->items[i];
	return NULL;
}

/* Of the agent's environment; NULL if it is not set there. */
static const char *environment(const struct cluster_objects *objects, const char *name)
{
	const struct cluster_object *set = find(objects, "daemonset.apps/weft");
	const json_t *containers =
		cluster_at(set->json, "spec", "template", "spec", "containers", NULL);
	json_t *env = json_object_get(json_array_get(containers, 0), "env"), *entry;
	size_t i;

	json_array_foreach(env, i, entry) if (!strcmp(json_get_text(entry, "name", ""),
						      name)) return json_get_text(entry, "value",
										  NULL);
	return NULL;
}

/* With the port's value being text: env takes no number. */
Test(manifest, agents_reach_the_api_server_where_they_are_told_to)
{
	static const char *const set[] = { "kubernetes.host=api.example", NULL };
	_cleanup_free_ char *plain = generated(NULL), *text = generated(set);
	struct cluster_objects objects = { 0 };

	cr_assert_eq(cluster_objects_parse("m", plain, strlen(plain), &objects), 0);
	cr_expect_null(environment(&objects, "KUBERNETES_SERVICE_HOST"));
	cluster_objects_free(&objects);
	cr_assert_eq(cluster_objects_parse("m", text, strlen(text), &objects), 0);
	cr_expect_str_eq(environment(&objects, "KUBERNETES_SERVICE_HOST"), "api.example");
	cr_expect_str_eq(environment(&objects, "KUBERNETES_SERVICE_PORT"), "6443");
	cluster_objects_free(&objects);
}

static void check_object(const struct cluster_object *o)
{
	cr_expect(cluster_is_ours(o->json), "%s has not the labels of weft's objects", o->shown);
}

Test(manifest, every_object_of_it_can_be_found_again)
{
	_cleanup_free_ char *text = generated(NULL);
	struct cluster_objects objects = { 0 };
	const struct cluster_object *set;

	cr_assert_eq(cluster_objects_parse("m", text, strlen(text), &objects), 0);
	cr_expect_eq(objects.count, 22);
	for (size_t i = 0; i < objects.count; i++)
		check_object(&objects.items[i]);
	set = find(&objects, "daemonset.apps/weft");
	cr_assert(set);
	cr_expect_str_eq(set->path, "/apis/apps/v1/namespaces/weft-system/daemonsets/weft");
	set = find(&objects, "namespace/istio-system");
	cr_assert(set);
	cr_expect_str_eq(set->path, "/api/v1/namespaces/istio-system");
	cluster_objects_free(&objects);
}

/* Of the ConfigMap that Grafana reads, and under the names that its links have. */
Test(manifest, dashboards_are_in_it_whole)
{
	static const char *const names[] = { "weft-mesh", "weft-service", "weft-workload",
					     "weft-agent" };
	_cleanup_free_ char *text = generated(addons);
	struct cluster_objects objects = { 0 };
	const struct cluster_object *map;

	cr_assert_eq(cluster_objects_parse("m", text, strlen(text), &objects), 0);
	map = find(&objects, "configmap/weft-grafana-dashboards");
	cr_assert(map);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_json_ json_t *dashboard = NULL;
		char key[64];

		snprintf(key, sizeof(key), "%s.json", names[i]);
		dashboard = json_loads(json_get_text(cluster_at(map->json, "data", NULL), key, ""),
				       0, NULL);
		cr_expect_str_eq(json_get_text(dashboard, "uid", ""), names[i]);
		cr_expect_gt(json_array_size(json_object_get(dashboard, "panels")), 10, "%s",
			     names[i]);
	}
	cluster_objects_free(&objects);
}

/* One that is there twice would be listed twice, and what the first list has taken off is in no
 * manifest for the second. */
Test(manifest, each_kind_is_listed_once)
{
	for (size_t i = 0; i < cluster_kind_count; i++)
		for (size_t k = 0; k < i; k++)
			cr_expect(strcmp(cluster_kinds[i].kind, cluster_kinds[k].kind) != 0, "%s",
				  cluster_kinds[i].kind);
}

/* What weft has brought goes again, and so do the pods that are made of it. */
Test(manifest, what_watches_weft_can_be_found_again)
{
	_cleanup_free_ char *text = generated(addons);
	struct cluster_objects objects = { 0 };
	const struct cluster_object *deployment;

	cr_assert_eq(cluster_objects_parse("m", text, strlen(text), &objects), 0);
	cr_expect_eq(objects.count, 38);
	for (size_t i = 0; i < objects.count; i++)
		check_object(&objects.items[i]);
	deployment = find(&objects, "deployment.apps/grafana");
	cr_assert(deployment);
	cr_expect(cluster_is_ours(cluster_at(deployment->json, "spec", "template", NULL)));
	cr_expect(find(&objects, "prometheusrule.monitoring.coreos.com/weft"));
	cr_expect(find(&objects, "podmonitor.monitoring.coreos.com/weft"));
	cr_expect(strstr(text, "    - sourceLabels: [__meta_kubernetes_pod_node_name]\n"
			       "      targetLabel: node\n"),
		  "the dashboards and alerts ask for it");
	cluster_objects_free(&objects);
}

Test(manifest, without_a_gateway_there_is_no_service)
{
	static const char *const set[] = { "gateways.istio-ingressgateway.enabled=false", NULL };
	_cleanup_free_ char *text = generated(set);

	cr_expect(!strstr(text, "kind: Service\n"));
}

Test(manifest, a_value_is_nothing_but_a_value)
{
	static const char *const set[] = { "image=1.5", NULL };
	_cleanup_free_ char *text = generated(set);
	struct cluster_objects objects = { 0 };
	const struct cluster_object *set_of_agents;
	json_t *container;

	cr_assert_eq(cluster_objects_parse("m", text, strlen(text), &objects), 0);
	set_of_agents = find(&objects, "daemonset.apps/weft");
	container = json_array_get(
		cluster_at(set_of_agents->json, "spec", "template", "spec", "containers", NULL), 0);
	cr_expect_str_eq(json_get_text(container, "image", ""), "1.5");
	cluster_objects_free(&objects);
}

Test(manifest, timeouts_are_read)
{
	int64_t ms = -1;

	cr_expect(cluster_parse_timeout("90", &ms) && ms == 90000);
	cr_expect(cluster_parse_timeout("2m", &ms) && ms == 120000);
	cr_expect(cluster_parse_timeout("0", &ms) && ms == 0);
	cr_expect(!cluster_parse_timeout("soon", &ms));
	cr_expect(!cluster_parse_timeout("-1s", &ms));
}

Test(manifest, docs_have_every_value)
{
	size_t len;
	_cleanup_free_ char *page = file_bytes("docs/install.md", &len);

	for (size_t i = 0; i < VALUE_MAX; i++) {
		char quoted[128];

		snprintf(quoted, sizeof(quoted), "`%s`", value_infos[i].path);
		cr_expect(strstr(page, quoted), "docs/install.md has no %s", quoted);
	}
}
