// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <getopt.h>

#include "daemon/start/options.h"

static int parse(const char *first, const char *second, const char *third, struct options *o)
{
	char *argv[] = { (char *)"weftd", (char *)first, (char *)second, (char *)third, NULL };
	int argc = 1, status = 0, r;

	while (argv[argc])
		argc++;
	optind = 0;
	r = options_parse(argc, argv, o, &status);
	cr_expect_eq(status, r ? 2 : 0);
	return r;
}

static void expect_sources(const char *option, bool files, bool kubernetes)
{
	struct options o;

	cr_assert_eq(parse(option, NULL, NULL, &o), 0);
	cr_expect_eq(o.files, files, "%s", option);
	cr_expect_eq(o.kubernetes, kubernetes, "%s", option);
}

Test(daemon_options, sources)
{
	expect_sources(NULL, true, false);
	expect_sources("--source=files", true, false);
	expect_sources("--source=kubernetes", false, true);
	expect_sources("--source=files,kubernetes", true, true);
	expect_sources("--source=kubernetes,files", true, true);
}

Test(daemon_options, wrong_ones, .init = cr_redirect_stderr)
{
	struct options o;

	cr_expect_neq(parse("--source=kubernete", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--source=files,", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--source=,files", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--source=files:kubernetes", NULL, NULL, &o), 0);
	/* It would be without effect. */
	cr_expect_neq(parse("--kubeconfig=x", NULL, NULL, &o), 0);
	cr_expect_eq(parse("--node-name=x", "--kubeconfig=x", "--source=kubernetes", &o), 0);
}

Test(daemon_options, dashboard, .init = cr_redirect_stderr)
{
	struct options o;

	cr_assert_eq(parse("--source=files", NULL, NULL, &o), 0);
	cr_expect_null(o.dashboard, "unless asked for");
	cr_assert_eq(parse("--dashboard", "[::1]:15021", NULL, &o), 0);
	cr_expect_str_eq(o.dashboard, "[::1]:15021");
	cr_assert_eq(parse("--dashboard=off", NULL, NULL, &o), 0);
	cr_expect_null(o.dashboard);
	cr_expect_neq(parse("--dashboard=localhost:15021", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--dashboard=:15021", NULL, NULL, &o), 0);
}

Test(daemon_options, tracing, .init = cr_redirect_stderr)
{
	static const char *const wrong[] = { "",   ".5",   "100.01",	 "101", "1.234",
					     "1.", "-1",   "1e2",	 "1%",	"1,5",
					     " 1", "1000", "99999999999" };
	struct options o;

	cr_assert_eq(parse("--source=files", NULL, NULL, &o), 0);
	cr_expect_str_eq(o.tracing_endpoint.url, "");
	cr_expect_eq(o.tracing_sampling, 100, "1 %%");
	cr_assert_eq(parse("--tracing-endpoint=http://otel:4318", "--tracing-sampling=0.05", NULL,
			   &o),
		     0);
	cr_expect_str_eq(o.tracing_endpoint.url, "http://otel:4318/v1/traces");
	cr_expect_eq(o.tracing_sampling, 5);
	cr_assert_eq(parse("--tracing-sampling=100.00", NULL, NULL, &o), 0);
	cr_expect_eq(o.tracing_sampling, 10000);
	cr_assert_eq(parse("--tracing-sampling=0", NULL, NULL, &o), 0);
	cr_expect_eq(o.tracing_sampling, 0);
	cr_assert_eq(parse("--tracing-sampling=12.5", NULL, NULL, &o), 0);
	cr_expect_eq(o.tracing_sampling, 1250);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_expect_neq(parse("--tracing-sampling", wrong[i], NULL, &o), 0, "%s", wrong[i]);
	cr_expect_neq(parse("--tracing-endpoint=otel:4317", NULL, NULL, &o), 0);
}

Test(daemon_options, metrics, .init = cr_redirect_stderr)
{
	struct options o;

	cr_assert_eq(parse("--source=files", NULL, NULL, &o), 0);
	cr_expect_str_eq(o.metrics, "off");
	cr_expect_eq(o.metrics_series_max, 100000);
	cr_assert_eq(parse("--metrics=:15020", "--metrics-series-max=0", NULL, &o), 0);
	cr_expect_str_eq(o.metrics, ":15020");
	cr_expect_eq(o.metrics_series_max, 0);
	cr_expect_eq(parse("--metrics=[::1]:15020", NULL, NULL, &o), 0);
	cr_expect_eq(parse("--metrics=off", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--metrics=15020", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--metrics=on", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--metrics-series-max=-1", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--metrics-series-max=many", NULL, NULL, &o), 0);
}

Test(daemon_options, xdp, .init = cr_redirect_stderr)
{
	struct options o;

	cr_assert_eq(parse("--source=files", NULL, NULL, &o), 0);
	cr_expect_eq(o.kernel.xdp, XDP_OFF, "unless asked for");
	cr_assert_eq(parse("--xdp", "native", NULL, &o), 0);
	cr_expect_eq(o.kernel.xdp, XDP_NATIVE);
	cr_assert_eq(parse("--xdp=generic", NULL, NULL, &o), 0);
	cr_expect_eq(o.kernel.xdp, XDP_GENERIC);
	cr_assert_eq(parse("--xdp=off", NULL, NULL, &o), 0);
	cr_expect_eq(o.kernel.xdp, XDP_OFF);
	cr_assert_eq(parse("--xdp=auto", NULL, NULL, &o), 0);
	cr_expect_eq(o.kernel.xdp, XDP_AUTO);
	cr_expect_neq(parse("--xdp=driver", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--xdp=", NULL, NULL, &o), 0);
}

Test(daemon_options, pods_of_a_cluster_are_in_the_mesh_by_their_labels)
{
	struct options o;

	cr_assert_eq(parse("--source=files", NULL, NULL, &o), 0);
	cr_expect_eq(o.kernel.enrol, ENROL_ALL);
	cr_assert_eq(parse("--source=kubernetes", NULL, NULL, &o), 0);
	cr_expect_eq(o.kernel.enrol, ENROL_LABELLED);
	cr_assert_eq(parse("--enrol=all", "--source=files,kubernetes", NULL, &o), 0);
	cr_expect_eq(o.kernel.enrol, ENROL_ALL);
}

Test(daemon_options, a_ca_has_a_certificate_and_a_key, .init = cr_redirect_stderr)
{
	struct options o;

	cr_assert_eq(parse("--source=files", NULL, NULL, &o), 0);
	cr_expect(!o.ca_cert && !o.ca_key && !o.ca_root);
	cr_expect_eq(o.workload_cert_ttl, 86400);
	cr_assert_eq(parse("--ca-cert=a", "--ca-key=b", "--ca-root=c", &o), 0);
	cr_expect_str_eq(o.ca_cert, "a");
	cr_expect_str_eq(o.ca_key, "b");
	cr_expect_str_eq(o.ca_root, "c");
	cr_assert_eq(parse("--workload-cert-ttl=10", NULL, NULL, &o), 0);
	cr_expect_eq(o.workload_cert_ttl, 10);
	cr_expect_neq(parse("--workload-cert-ttl=9", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--ca-cert=a", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--ca-key=b", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--ca-root=c", NULL, NULL, &o), 0);
	cr_expect_neq(parse("--ca-cert=a;b", "--ca-key=b", NULL, &o), 0);
}
