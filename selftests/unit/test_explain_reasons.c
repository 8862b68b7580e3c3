// SPDX-License-Identifier: Apache-2.0
/*
 * Why a request does not arrive, as `weft explain` tells it: with the rules of
 * selftests/rules/explain.yaml, and with what the proxy and the kernel know at the moment.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/explain/explain_http.h"
#include "test_compile_util.h"
#include "test_http_util.h"

#define RULES "selftests/rules/explain.yaml"

enum { NOW_MS = 1000000 };

static const char *const shop[] = { "Host=shop.example.com" }, *const good[] = { "Host=good" };

/* What is known of the cluster of "good", as `live` of a row says. */
enum state {
	FILES,
	IDLE,
	ONE_OUT,
	ALL_OUT,
	OUT_BEFORE,
	OUT_FOR_EVER,
	QUEUE_FULL,
	REQUESTS_FULL,
	KERNEL_FULL
};

static const struct {
	const char *about;
	struct explain_query q;
	struct explain_request request;
	enum state state;
	const char *action; /* as it is printed */
} rows[] = {
	{ "a good answer", { .host = "good" }, { .path = "/good" }, FILES, "route, status 200" },
	{ "no endpoint",
	  { .host = "good" },
	  { .path = "/empty" },
	  FILES,
	  "no_endpoint, status 503 UH (no healthy upstream): "
	  "empty.default.svc.cluster.local has no endpoint at port 80" },
	{ "no endpoint of the plain service",
	  { .host = "empty" },
	  { .path = "/" },
	  FILES,
	  "no_endpoint, status 503 UH (no healthy upstream): "
	  "empty.default.svc.cluster.local has no endpoint at port 80" },
	{ "no endpoint of the family that is called",
	  { .address = "fd00::10" },
	  { .path = "/good", .headers = good, .header_count = 1 },
	  FILES,
	  "route, status 503 UH (no healthy upstream): "
	  "good.default.svc.cluster.local has no endpoint at port 80" },
	{ "an endpoint of the family that is called, and none of the other",
	  { .address = "10.96.0.10" },
	  { .path = "/good", .headers = good, .header_count = 1 },
	  FILES,
	  "route, status 200" },
	{ "a subset without pods",
	  { .host = "good" },
	  { .path = "/v2" },
	  FILES,
	  "no_endpoint, status 503 UH (no healthy upstream): subset v2 of "
	  "good.default.svc.cluster.local has no endpoint: none of the "
	  "service's 2 has its labels" },
	{ "a subset that is not defined",
	  { .host = "good" },
	  { .path = "/v3" },
	  FILES,
	  "no_cluster, status 503 NC: no DestinationRule in force defines "
	  "subset v3 of good.default.svc.cluster.local" },
	{ "a port that the destination lacks",
	  { .host = "good" },
	  { .path = "/81" },
	  FILES,
	  "no_cluster, status 503 NC: service default/good is there, with ports "
	  "80, 9080, not 81" },
	{ "a destination that is not there",
	  { .host = "good" },
	  { .path = "/gone" },
	  FILES,
	  "no_cluster, status 503 NC: there is no service "
	  "gone.default.svc.cluster.local" },
	{ "half of the requests arrive",
	  { .host = "good" },
	  { .path = "/half" },
	  FILES,
	  "route, status 200" },
	{ "aborted before anything is asked",
	  { .host = "good" },
	  { .path = "/abort" },
	  FILES,
	  "route, status 418 FI (fault filter abort)" },
	{ "no rule holds",
	  { .host = "good" },
	  { .path = "/none" },
	  FILES,
	  "not_found, status 404 NR: no rule holds" },
	{ "a NodePort at a gateway",
	  { .gateway = "gw", .host = "shop.example.com", .port = 31380 },
	  { .path = "/" },
	  FILES,
	  "route, status 200" },
	{ "a host that no rule at the gateway has",
	  { .gateway = "gw", .host = "nobody.example.com", .port = 31380 },
	  { .path = "/" },
	  FILES,
	  "not_found, status 404 NR: no rule has the host" },
	{ "the gateway's service, from a pod",
	  { .host = "ingress.istio-system" },
	  { .path = "/", .headers = shop, .header_count = 1 },
	  FILES,
	  "route, status 200" },
	{ "its external IP, from a pod",
	  { .address = "198.51.100.30" },
	  { .path = "/", .headers = shop, .header_count = 1 },
	  FILES,
	  "route, status 200" },
	{ "nothing is under way",
	  { .host = "good" },
	  { .path = "/good" },
	  IDLE,
	  "route, status 200" },
	{ "one of two is ejected",
	  { .host = "good" },
	  { .path = "/good" },
	  ONE_OUT,
	  "route, status 200" },
	{ "all are ejected",
	  { .host = "good" },
	  { .path = "/good" },
	  ALL_OUT,
	  "route, status 503 UH (no healthy upstream): outlier detection has "
	  "ejected all 2 endpoints; one is back in 3 s" },
	{ "all were ejected",
	  { .host = "good" },
	  { .path = "/good" },
	  OUT_BEFORE,
	  "route, status 200" },
	{ "all are ejected for longer than can be, says the proxy",
	  { .host = "good" },
	  { .path = "/good" },
	  OUT_FOR_EVER,
	  "route, status 503 UH (no healthy upstream): outlier detection has "
	  "ejected all 2 endpoints; one is back in 310 s" },
	{ "as many wait as may",
	  { .host = "good" },
	  { .path = "/good" },
	  QUEUE_FULL,
	  "route, status 503 UO (upstream connect error or disconnect/reset "
	  "before headers. reset reason: overflow): over the limit: 1 requests "
	  "are under way and 1 wait, with maxConnections 1 and "
	  "http1MaxPendingRequests 1" },
	{ "as many are under way as may",
	  { .host = "many" },
	  { .path = "/" },
	  REQUESTS_FULL,
	  "route, status 503 UO (upstream connect error or disconnect/reset "
	  "before headers. reset reason: overflow): over the limit: 5 requests "
	  "are under way, with http2MaxRequests 5" },
	{ "the kernel has the connections, and one waits",
	  { .host = "good" },
	  { .path = "/good" },
	  KERNEL_FULL,
	  "route, status 503 UO (upstream connect error or disconnect/reset "
	  "before headers. reset reason: overflow): over the limit: 0 requests "
	  "are under way and 1 wait, with maxConnections 1 and "
	  "http1MaxPendingRequests 1" },
};

struct loaded {
	struct http_tables http;
};

static void load(struct loaded *l)
{
	_cleanup_free_ char *yaml = file_text(RULES), *text = NULL;

	cr_assert_not_null(yaml);
	http_tables_text(&l->http, yaml);
	text = errors_text(&l->http.errors);
	cr_assert_not_null(l->http.snapshot, "%s", text);
}

static void loaded_free(struct loaded *l)
{
	http_tables_free(&l->http);
}

struct live {
	const struct loaded *l;
	enum state state;
};

static void eject(const struct live *v, struct explain_load *out, const char *name, __u64 back_ms,
		  size_t at)
{
	__u32 id = registry_id(v->l->http.registry, REG_ENDPOINT, name);

	out->ejected[at] = (struct http_ejection){ .endpoint = id, .back_ds = back_ms / 100 };
}

static int read_load(void *arg, __u32 id, const char *cluster, struct explain_load *out)
{
	const struct live *v = arg;

	cr_expect_neq(id, 0);
	out->now_ms = NOW_MS;
	if (strncmp(cluster, "outbound|80||", 13) != 0)
		return 0;
	if (v->state == ONE_OUT || v->state == ALL_OUT)
		eject(v, out, "10.244.0.1:8080", NOW_MS + 2100, 0);
	if (v->state == ALL_OUT)
		eject(v, out, "10.244.0.2:8080", NOW_MS + 9000, 1);
	if (v->state == OUT_BEFORE) {
		eject(v, out, "10.244.0.1:8080", NOW_MS, 0);
		eject(v, out, "10.244.0.2:8080", NOW_MS + 9000, 1);
	}
	if (v->state == OUT_FOR_EVER) {
		eject(v, out, "10.244.0.1:8080", UINT32_MAX * 100ull, 0);
		eject(v, out, "10.244.0.2:8080", UINT32_MAX * 100ull, 1);
	}
	out->requests = v->state == QUEUE_FULL ? 1 : v->state == REQUESTS_FULL ? 5 : 0;
	out->pending = v->state == QUEUE_FULL || v->state == KERNEL_FULL;
	out->steered = v->state == KERNEL_FULL;
	return 0;
}

static json_t *ask(const struct loaded *l, size_t i)
{
	struct live v = { l, rows[i].state };
	const struct explain_live live = { read_load, &v };
	struct explain_query q = rows[i].q;
	struct errors errors = { 0 };
	json_t *answer = NULL;

	q.port = q.port ? q.port : 80;
	cr_assert_eq(explain_http(l->http.snapshot, l->http.tables, &l->http.objects, &q,
				  &rows[i].request, v.state == FILES ? NULL : &live, &answer,
				  &errors),
		     0, "%s", rows[i].about);
	errors_free(&errors);
	return answer;
}

static void expect_action(const json_t *answer, const char *about, const char *want)
{
	_cleanup_free_ char *text = explain_http_text(answer), *got = NULL;
	char *at = text ? strstr(text, "action: ") : NULL;

	cr_assert_not_null(at, "%s", about);
	got = strndup(at + 8, strcspn(at + 8, "\n"));
	cr_expect_str_eq(got, want, "%s: \"%s\", not \"%s\"", about, got, want);
}

Test(explain_reasons, a_503_comes_with_its_reason_and_flag)
{
	_cleanup_(loaded_free) struct loaded l = { 0 };

	load(&l);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		json_auto_t *answer = ask(&l, i);

		expect_action(answer, rows[i].about, rows[i].action);
	}
}

static json_t *ask_about(const struct loaded *l, const char *about)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].about, about))
			return ask(l, i);
	return NULL;
}

Test(explain_reasons, the_ejected_endpoints_are_told)
{
	_cleanup_(loaded_free) struct loaded l = { 0 };
	json_auto_t *answer = NULL, *all = NULL;
	const json_t *ejected;

	load(&l);
	all = ask_about(&l, "all are ejected");
	cr_expect_eq(json_get_int(all, "status", 0), 503);
	cr_expect_str_eq(json_get_text(all, "response_flags", ""), "UH");
	cr_expect_str_eq(json_get_text(all, "body", ""), "no healthy upstream");
	answer = ask_about(&l, "one of two is ejected");
	ejected = json_object_get(json_array_get(json_object_get(answer, "destinations"), 0),
				  "ejected");
	cr_assert_eq(json_array_size(ejected), 1);
	cr_expect_str_eq(json_string_value(json_array_get(ejected, 0)), "10.244.0.1:8080");
}

/* As it was reported, by a name that kubectl wants in quotes. */
Test(explain_reasons, a_service_called_n_without_endpoints_is_503)
{
	static const char yaml[] =
		"apiVersion: v1\nkind: Service\nmetadata: {name: n, namespace: default}\n"
		"spec: {clusterIP: 10.96.0.40, clusterIPs: [10.96.0.40], selector: {app: n}, "
		"ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]}\n---\n"
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: n, namespace: default}\n"
		"spec: {hosts: [n], http: [{route: [{destination: {host: n}}]}]}\n";
	const struct explain_query q = { .host = "n", .port = 80 };
	const struct explain_request request = { .path = "/" };
	_cleanup_(loaded_free) struct loaded l = { 0 };
	struct errors errors = { 0 };
	_cleanup_free_ char *text = NULL;
	json_auto_t *answer = NULL;

	http_tables_text(&l.http, yaml);
	text = errors_text(&l.http.errors);
	cr_assert_not_null(l.http.snapshot, "%s", text);
	cr_assert_eq(explain_http(l.http.snapshot, l.http.tables, &l.http.objects, &q, &request,
				  NULL, &answer, &errors),
		     0);
	errors_free(&errors);
	expect_action(answer, "n",
		      "no_endpoint, status 503 UH (no healthy upstream): "
		      "n.default.svc.cluster.local has no endpoint at port 80");
}

static void expect_lines(const struct loaded *l, const char *about, const char *const *lines)
{
	json_auto_t *answer = ask_about(l, about);
	_cleanup_free_ char *text = explain_http_text(answer);

	cr_assert_not_null(text);
	for (; *lines; lines++)
		cr_expect(strstr(text, *lines), "%s: \"%s\" is not in\n%s", about, *lines, text);
}

Test(explain_reasons, people_read_what_happens_to_a_request)
{
	static const char *const half[] = {
		"action: route, status 200\n",
		"rule: VirtualService default/good http[5] (t.yaml:",
		"  WEIGHT  HOST                                          SUBSET      ENDPOINTS\n",
		"  50      good.default.svc.cluster.local:80             v1          "
		"10.244.0.1:8080, 10.244.0.2:8080\n",
		"  50      good.default.svc.cluster.local:80             v2          none\n",
		"503 UH: subset v2 of good.default.svc.cluster.local has no endpoint",
		"DestinationRule default/good (t.yaml:",
		"request: GET /half to Host good\n",
		"timeout: none, the default\n",
		"retries: 2 more tries on connect-failure,refused-stream,unavailable,cancelled, "
		"the default\n",
		"skipped:\n  VirtualService default/good http[0].match[0]: uri: ",
		NULL,
	};
	static const char *const queue[] = { "action: route, status 503 UO (upstream connect error",
					     "): over the limit: ", NULL };
	_cleanup_(loaded_free) struct loaded l = { 0 };

	load(&l);
	expect_lines(&l, "half of the requests arrive", half);
	expect_lines(&l, "as many wait as may", queue);
}
