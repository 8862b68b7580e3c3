// SPDX-License-Identifier: Apache-2.0
/* Which entries of `weft logs` and rows of `weft conns` are asked for, and what is said of each. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/conns_events.h"
#include "cli/log_print.h"
#include "daemon/api/ends.h"
#include "daemon/api/log_entry.h"
#include "daemon/api/log_filter.h"
#include "lib/base/cleanup.h"

#define ENTRY                                                                            \
	"{\"verdict\":\"forwarded\",\"protocol\":\"http\",\"status\":503,"               \
	"\"source\":{\"address\":\"10.0.0.7\",\"port\":40000,\"namespace\":\"default\"," \
	"\"pod\":\"sleep-1\",\"workload\":\"sleep\",\"app\":\"sleep\"},"                 \
	"\"destination\":{\"address\":\"fd00::5\",\"port\":9080,\"namespace\":\"shop\"," \
	"\"pod\":\"reviews-v1-x\",\"workload\":\"reviews-v1\",\"app\":\"reviews\","      \
	"\"service\":\"reviews\",\"host\":\"reviews.shop.svc.cluster.local\"}}"

static const struct {
	const char *args;
	bool holds;
} filters[] = {
	{ "{}", true },
	{ "{\"from\":[\"sleep\"]}", true },
	{ "{\"from\":[\"sleep-1\"]}", true },
	{ "{\"from\":[\"sleep-2\"]}", false },
	{ "{\"from\":[\"sleep-*\"]}", true },
	{ "{\"from\":[\"other\",\"default/sleep\"]}", true },
	{ "{\"from\":[\"shop/sleep\"]}", false },
	{ "{\"from\":[\"default/\"]}", true },
	{ "{\"from\":[\"def/\"]}", false },
	{ "{\"from\":[\"10.0.0.7\"]}", true },
	{ "{\"from\":[\"10.0.0.0/29\"]}", true },
	{ "{\"from\":[\"10.0.0.8/29\"]}", false },
	{ "{\"to\":[\"fd00::5\"]}", true },
	{ "{\"to\":[\"fd00::/16\"]}", true },
	{ "{\"to\":[\"10.0.0.7\"]}", false },
	{ "{\"to\":[\"reviews.shop.svc.cluster.local\"]}", true },
	{ "{\"to\":[\"shop/reviews\"],\"from\":[\"nothing\"]}", false },
	{ "{\"status\":[\"503\"]}", true },
	{ "{\"status\":[\"5xx\"]}", true },
	{ "{\"status\":[\"5XX\"]}", true },
	{ "{\"status\":[\"400-503\"]}", true },
	{ "{\"status\":[\"400-502\",\"0\"]}", false },
	{ "{\"verdict\":[\"FORWARDED\"]}", true },
	{ "{\"verdict\":[\"dropped\",\"error\"]}", false },
	{ "{\"protocol\":[\"http\"]}", true },
	{ "{\"protocol\":[\"tcp\"]}", false },
	{ "{\"namespace\":\"shop\"}", true },
	{ "{\"namespace\":\"default\"}", true },
	{ "{\"namespace\":\"other\"}", false },
};

Test(log_filter, holds)
{
	_cleanup_json_ json_t *entry = json_loads(ENTRY, 0, NULL);

	cr_assert(entry);
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
		_cleanup_json_ json_t *args = json_loads(filters[i].args, 0, NULL);
		struct reply reply = { 0 };
		struct log_filter f;

		cr_assert_eq(log_filter_parse(args, &f, &reply), 0, "%s", filters[i].args);
		cr_expect_eq(log_filter_holds(&f, entry), filters[i].holds, "%s", filters[i].args);
	}
}

Test(log_filter, what_can_not_be_meant_is_refused)
{
	static const char *const bad[] = {
		"{\"status\":[\"20\",\"x\"]}",
		"{\"status\":[\"6000\"]}",
		"{\"status\":[\"500-400\"]}",
		"{\"status\":[\"\"]}",
		"{\"status\":\"200\"}",
		"{\"status\":[200]}",
		"{\"verdict\":[\"accepted\"]}",
		"{\"protocol\":[\"udp\"]}",
		"{\"from\":[\"\"]}",
		"{\"from\":[\"/a\"]}",
		"{\"to\":[\"a/b/c\"]}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_json_ json_t *args = json_loads(bad[i], 0, NULL);
		struct reply reply = { 0 };
		struct log_filter f;

		cr_expect_eq(log_filter_parse(args, &f, &reply), -EINVAL, "%s", bad[i]);
		cr_expect_eq(reply.errors.count, 1, "%s", bad[i]);
		errors_free(&reply.errors);
	}
}

static const struct {
	const char *flags, *details, *host, *verdict;
} verdicts[] = {
	{ "-", "via_upstream", "10.0.0.1:80", "forwarded" },
	{ "DI", "via_upstream", "10.0.0.1:80", "forwarded" },
	{ "-", "direct_response", NULL, "answered" },
	{ "FI", "fault_filter_abort", NULL, "answered" },
	{ "-", "rbac_access_denied_matched_policy[none]", NULL, "refused" },
	{ "NR", "route_not_found", NULL, "refused" },
	{ "UO", "overflow", NULL, "refused" },
	{ "DI,UO", "overflow", NULL, "refused" },
	{ "UH", "no_healthy_upstream", NULL, "failed" },
	{ "UF,URX", "upstream_reset", "10.0.0.1:80", "failed" },
	{ "DC", "downstream_remote_disconnect", "10.0.0.1:80", "failed" },
};

Test(log_entry, verdicts)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
		_cleanup_json_ json_t *line = json_pack("{s:s, s:s, s:s?}", "response_flags",
							verdicts[i].flags, "response_code_details",
							verdicts[i].details, "upstream_host",
							verdicts[i].host);

		cr_expect_str_eq(log_verdict(line), verdicts[i].verdict, "%s %s", verdicts[i].flags,
				 verdicts[i].details);
	}
}

static const char *printed(const char *entry_text, bool colour)
{
	static char out[512];
	_cleanup_json_ json_t *entry = json_loads(entry_text, 0, NULL);
	_cleanup_free_ char *line = log_print_compact(entry, colour);

	snprintf(out, sizeof(out), "%s", line);
	return out;
}

Test(log_print, compact)
{
	cr_expect_str_eq(
		printed("{\"time\":\"2026-11-30T06:20:01.234Z\",\"verdict\":\"failed\",\"status\":"
			"503,\"method\":\"GET\",\"path\":\"/a\",\"duration_ms\":12,\"source\":{"
			"\"address\":\"fd00::1\",\"port\":9},\"destination\":{\"address\":"
			"\"10.0.0.1\",\"port\":80,\"service\":\"web\",\"namespace\":\"shop\"},"
			"\"access_log\":{\"response_flags\":\"UH\",\"response_code_details\":"
			"\"no_healthy_upstream\"}}",
			false),
		"06:20:01.234 [fd00::1]:9 -> web.shop (10.0.0.1:80) 503 GET /a 12ms failed UH "
		"no_healthy_upstream");
	cr_expect_str_eq(
		printed("{\"time\":\"2026-11-30T06:20:01.234Z\",\"verdict\":\"forwarded\","
			"\"status\":0,\"method\":null,\"duration_ms\":1,\"source\":{\"pod\":\"a\","
			"\"namespace\":\"b\"},\"destination\":{\"address\":\"10.0.0.1\",\"port\":"
			"80},\"access_log\":{\"bytes_received\":3,\"bytes_sent\":4}}",
			false),
		"06:20:01.234 b/a -> 10.0.0.1:80 tcp 3 B in, 4 B out 1ms");
}

#define ROW(from, state) \
	"{\"by\":\"tc\",\"from\":\"" from "\",\"to\":\"b\",\"state\":\"" state "\"}"

Test(conns_events, what_has_come_gone_and_changed)
{
	_cleanup_json_ json_t *first = json_loads(
		"[" ROW("a", "syn") "," ROW("b", "syn") "," ROW("c", "syn") "]", 0, NULL);
	_cleanup_json_ json_t *second = json_loads(
		"[" ROW("b", "established") "," ROW("c", "syn") "," ROW("d", "syn") "]", 0, NULL);
	_cleanup_json_ json_t *before = conns_by_key(first), *now = conns_by_key(second);
	_cleanup_json_ json_t *events = conns_events(before, now);
	static const char *const want[] = { "closed a", "changed b", "opened d" };

	cr_assert_eq(json_array_size(events), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *e = json_array_get(events, i);
		char text[64];

		snprintf(text, sizeof(text), "%s %s", json_get_text(e, "event", ""),
			 json_get_text(e, "from", ""));
		cr_expect_str_eq(text, want[i]);
	}
}
