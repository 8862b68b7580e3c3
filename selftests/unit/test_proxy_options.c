// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <getopt.h>

#include "proxy/process/options.h"

static int parse(char **argv, struct proxy_options *o, int *status)
{
	int n = 0;

	while (argv[n])
		n++;
	optind = 0;
	return proxy_options_parse(n, argv, o, status);
}

Test(proxy_options, what_weftd_says)
{
	char *argv[] = { "weft-proxy", "--listen-fd",	"3", "--listen-fd",
			 "4",	       "--limits-fd",	"5", "--pod-addrs-fd",
			 "6",	       "--nics-fd",	"7", "--pods-fd",
			 "8",	       "--control-fd",	"9", "--mark",
			 "0x100",      "--transparent", NULL };
	struct proxy_options o;
	int status;

	cr_assert_eq(parse(argv, &o, &status), 0);
	cr_expect_eq(o.listener_count, 2u);
	cr_expect_eq(o.listeners[1], 4);
	cr_expect_eq(o.limits, 5);
	cr_expect_eq(o.worker.upstream.source.pod_addrs, 6);
	cr_expect_eq(o.worker.upstream.source.nics, 7);
	cr_expect_eq(o.worker.upstream.source.pods, 8);
	cr_expect_eq(o.control, 9);
	cr_expect_eq(o.worker.upstream.source.mark, 0x100u);
	cr_expect(o.worker.upstream.transparent);
}

Test(proxy_options, what_is_not_said)
{
	char *argv[] = { "weft-proxy", "--listen-fd", "3", NULL };
	struct proxy_options o;
	int status;

	cr_assert_eq(parse(argv, &o, &status), 0);
	cr_expect_eq(o.limits, -1);
	cr_expect_eq(o.control, -1);
	cr_expect_eq(o.worker.upstream.source.pod_addrs, -1);
	cr_expect_eq(o.worker.upstream.source.nics, -1);
	cr_expect_eq(o.worker.upstream.source.pods, -1);
	cr_expect_not(o.worker.upstream.transparent);
}

Test(proxy_options, what_is_wrong, .init = cr_redirect_stderr)
{
	static char *const wrong[][2] = {
		{ "--limits-fd", "x" },	    { "--limits-fd", "-1" },   { "--pods-fd", "" },
		{ "--mark", "4294967296" }, { "--log-level", "loud" }, { "--nonsense", "1" },
		{ "--pod-addrs-fd", "1 " }, { "argument", "again" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char *argv[] = { "weft-proxy", "--listen-fd", "3", wrong[i][0], wrong[i][1], NULL };
		struct proxy_options o;
		int status = -1;

		cr_expect_neq(parse(argv, &o, &status), 0, "%s %s", wrong[i][0], wrong[i][1]);
		cr_expect_eq(status, 2);
	}
}
