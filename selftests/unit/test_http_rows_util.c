// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "test_http_rows_util.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/route/path.h"
#include "proxy/route/router_version.h"
#include "test_compile_util.h"

#define ROUTES "selftests/rules/routes/"

/* ---- the cluster ---- */

static void offer(struct row_bench *b)
{
	const struct hs_header *bytes = b->tables.snapshot->header;
	_cleanup_close_ int fd = memfd_create("snapshot", MFD_CLOEXEC);
	struct config *c = NULL;

	cr_assert_eq(write(fd, bytes, bytes->size), (ssize_t)bytes->size);
	cr_assert_eq(config_map(fd, &c), 0);
	router_offer(b->rules, c);
	router_interface(b->rules)->turn(router_interface(b->rules));
	cr_assert_eq(config_wait(c, 1, 0), 0);
	config_unref(c);
}

void row_bench_open(struct row_bench *b)
{
	json_t *list = json_load_file(ROUTES "cluster.json", 0, NULL);

	cr_assert_not_null(list);
	b->cluster = json_incref(json_object_get(list, "items"));
	json_decref(list);
	http_tables_routes(&b->tables);
	b->limits = calloc(CLUSTER_IDS_MAX, sizeof(*b->limits));
	b->held = calloc(CLUSTER_IDS_MAX, sizeof(*b->held));
	cr_assert_eq(stats_open(-1, -1, &b->stats), 0);
	b->state = shared_state_new(b->limits, b->held, b->stats);
	cr_assert_eq(router_new(b->state, &b->rules), 0);
	offer(b);
}

void row_bench_close(struct row_bench *b)
{
	router_free(b->rules);
	shared_state_free(b->state);
	stats_close(b->stats);
	free(b->limits);
	free(b->held);
	buffer_pool_free(&b->buffers);
	json_decref(b->cluster);
	http_tables_free(&b->tables);
}

static const char *meta(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(json_object_get(o, "metadata"), key));
}

static const json_t *find_object(const struct row_bench *b, const char *kind, const char *name,
				 size_t name_len, const char *ns)
{
	size_t i;
	json_t *o;

	json_array_foreach(b->cluster, i, o)
	{
		const char *have = meta(o, "name");

		if (!strcmp(json_string_value(json_object_get(o, "kind")), kind) &&
		    strlen(have) == name_len && !strncasecmp(have, name, name_len) &&
		    (!ns || !strcmp(meta(o, "namespace"), ns)))
			return o;
	}
	return NULL;
}

static const char *pod_address(const json_t *pod, int family)
{
	const json_t *ips = json_object_get(json_object_get(pod, "status"), "podIPs");

	return json_string_value(json_object_get(json_array_get(ips, family == 6), "ip"));
}

static struct addr to_addr(const char *text)
{
	struct addr a = { { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET, text, a.b + 12) != 1)
		cr_assert_eq(inet_pton(AF_INET6, text, a.b), 1, "%s", text);
	return a;
}

static const char *pod_at(const struct row_bench *b, const struct addr *addr)
{
	size_t i;
	json_t *o;

	json_array_foreach(b->cluster, i, o)
	{
		if (strcmp(json_string_value(json_object_get(o, "kind")), "Pod") != 0)
			continue;
		for (int family = 4; family <= 6; family += 2) {
			struct addr a = to_addr(pod_address(o, family));

			if (!memcmp(&a, addr, sizeof(a)))
				return meta(o, "name");
		}
	}
	return NULL;
}

/* NAME or NAME.NAMESPACE and whatever follows; the caller's namespace is where NAME is looked for
 * first. */
static const char *service_address(const struct row_bench *b, const char *name, const char *ns,
				   int family)
{
	size_t len = strcspn(name, ".:");
	_cleanup_free_ char *of =
		name[len] == '.' ? strndup(name + len + 1, strcspn(name + len + 1, ".:")) : NULL;
	const json_t *o = find_object(b, "Service", name, len, of ? of : ns);

	if (!o)
		o = find_object(b, "Service", name, len, NULL);
	cr_assert_not_null(o, "no service %s", name);
	return json_string_value(json_array_get(
		json_object_get(json_object_get(o, "spec"), "clusterIPs"), family == 6));
}

char *row_host(struct row_bench *b, const char *host, int family)
{
	size_t len = strcspn(host, ":");
	const char *address;
	char *text = NULL;

	if (*host != '$')
		return strdup(host);
	address = service_address(b, host + 1, NULL, family);
	if (asprintf(&text, family == 6 ? "[%s]%s" : "%s%s", address, host + len) < 0)
		cr_assert_fail();
	return text;
}

/* ---- the request ---- */

static const char *word(const json_t *ask, const char *key, const char *otherwise)
{
	const json_t *value = json_object_get(ask, key);

	return value ? json_string_value(value) : otherwise;
}

static void put_header(FILE *f, const char *name, const json_t *value)
{
	size_t i;
	json_t *each;

	if (!json_is_array(value)) {
		fprintf(f, "%s: %s\r\n", name, json_string_value(value));
		return;
	}
	json_array_foreach(value, i, each) fprintf(f, "%s: %s\r\n", name, json_string_value(each));
}

static void put_request(struct row_bench *b, const json_t *ask, int family, char text[ROW_HEAD])
{
	_cleanup_free_ char *host = row_host(b, word(ask, "host", ""), family);
	json_t *headers = json_object_get(ask, "headers"), *value;
	const char *body = word(ask, "body", NULL), *name;
	FILE *f = fmemopen(text, ROW_HEAD, "w");

	fprintf(f, "%s %s HTTP/1.1\r\nhost: %s\r\n", word(ask, "method", "GET"),
		word(ask, "path", "/"), host);
	json_object_foreach(headers, name, value) put_header(f, name, value);
	if (body && !json_object_get(headers, "transfer-encoding"))
		fprintf(f, "content-length: %zu\r\n", strlen(body));
	fputs("\r\n", f);
	fclose(f);
}

static void find_ends(struct row_bench *b, const json_t *ask, int family, struct route_ask *out)
{
	const char *from = word(ask, "from", "user"), *host = word(ask, "host", "");
	const char *call = word(ask, "call", host + (*host == '$'));
	const json_t *pod = find_object(b, "Pod", from, strlen(from), NULL);

	out->called_port = (uint16_t)json_integer_value(json_object_get(ask, "port"));
	if (!out->called_port)
		out->called_port = 80;
	if (!strcmp(from, "world")) {
		out->client = to_addr(family == 4 ? "192.0.2.1" : "2001:db8::1");
		out->called = to_addr(family == 4 ? "127.0.0.1" : "::1");
		out->called_node = true;
		return;
	}
	cr_assert_not_null(pod, "no pod %s", from);
	out->client = to_addr(pod_address(pod, family));
	out->called = to_addr(service_address(b, call, meta(pod, "namespace"), family));
}

/* ---- what comes of it ---- */

static void see(struct row_bench *b, const struct request *x, const struct target *t,
		struct h1_span authority, struct row_message *out)
{
	struct buf buf = { 0 };

	out->pod = pod_at(b, &t->addr);
	cr_assert_eq(head_write_request(&b->buffers, &buf, x, authority), 0);
	cr_assert_lt(buf_len(&buf), sizeof(out->text));
	memcpy(out->text, buf_at(&buf), buf_len(&buf));
	cr_assert_gt(h1_parse_request(out->text, buf_len(&buf), 0, &out->request), 0, "%.*s",
		     (int)buf_len(&buf), out->text);
	buf_release(&b->buffers, &buf);
}

static void parse_answer(const char *text, size_t n, struct row_result *out)
{
	cr_assert_gt(h1_parse_response(text, n, 0, H1_ASKED_HEAD, &out->answer), 0, "%.*s", (int)n,
		     text);
	out->status = out->answer.status;
}

/* The endpoint's answer, as the client sees it. */
static void pass_on(struct row_bench *b, const struct request *x, unsigned status,
		    struct row_result *out)
{
	struct h1_response response;
	struct buf buf = { 0 };
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %u OK\r\nserver: endpoint\r\nx-endpoint: %s\r\nx-other: 1\r\n"
			 "content-length: 0\r\n\r\n",
			 status, out->saw.pod);

	cr_assert_gt(h1_parse_response(text, (size_t)n, 0, H1_ASKED_OTHER, &response), 0);
	cr_assert_eq(head_write_response(&b->buffers, &buf, x, &response, false), 0);
	cr_assert_lt(buf_len(&buf), sizeof(out->text));
	memcpy(out->text, buf_at(&buf), buf_len(&buf));
	parse_answer(out->text, buf_len(&buf), out);
	buf_release(&b->buffers, &buf);
}

static void answer_ourselves(const struct plan *p, struct row_result *out)
{
	FILE *f = fmemopen(out->text, sizeof(out->text), "w");
	long n;

	fprintf(f, "HTTP/1.1 %u \r\n", p->answer.status);
	for (size_t i = 0; i < p->answer.header_count; i++) {
		const struct plan_op *h = &p->answer.headers[i];

		fprintf(f, "%.*s: %.*s\r\n", (int)h->name.n, h->name.p, (int)h->value.n,
			h->value.p);
	}
	fputs("\r\n", f);
	n = ftell(f);
	fclose(f);
	parse_answer(out->text, (size_t)n, out);
	out->body = p->answer.body.p ? p->answer.body : (struct h1_span){ "", 0 };
}

static unsigned number(const json_t *o, const char *key, unsigned otherwise)
{
	const json_t *value = json_object_get(o, key);

	return value ? (unsigned)json_integer_value(value) : otherwise;
}

/* One try at an endpoint that does as the row says. False: there is to be another. */
static bool try_once(struct row_bench *b, struct request *x, const json_t *endpoint,
		     struct row_result *out)
{
	bool tells = out->tries < number(endpoint, "times", UINT32_MAX);
	unsigned status = tells ? number(endpoint, "status", 200) : 200;
	unsigned takes = tells ? number(endpoint, "delay", 0) : 0;
	unsigned spent = out->after - x->plan.delay_ms, route = x->plan.timeout_ms;
	unsigned each = x->plan.per_try_timeout_ms;
	bool more = out->tries++ < x->plan.retries;

	if (route && spent + takes > route && (!each || spent + each > route)) {
		out->after = x->plan.delay_ms + route;
		out->status = 504;
		return true;
	}
	if (each && takes > each) {
		out->after += each;
		out->status = 504;
		return !more || !(x->plan.retry_on & (PLAN_RETRY_5XX | PLAN_RETRY_RESET));
	}
	out->after += takes;
	if (more && request_retriable(&x->plan, status))
		return false;
	pass_on(b, x, status, out);
	return true;
}

static void forward(struct row_bench *b, struct request *x, const json_t *endpoint,
		    struct row_result *out)
{
	struct router *router = router_interface(b->rules);
	bool done = false;

	for (unsigned n = 0; !done; n++) {
		struct target t;

		if (router->pick(router, &x->plan, n, &t) != PICK_OK) {
			out->status = 503;
			return;
		}
		see(b, x, &t, x->plan.authority, &out->saw);
		done = try_once(b, x, endpoint, out);
		router->done(router, &x->plan, &t, OUTCOME_STATUS, 200);
	}
}

static void copy(struct row_bench *b, struct request *x, struct row_result *out)
{
	struct router *router = router_interface(b->rules);

	for (size_t i = 0; i < x->plan.mirror_count; i++) {
		struct target t;

		if (router->pick_mirror(router, &x->plan, i, &t) == PICK_OK)
			see(b, x, &t, x->plan.mirror_authority, &out->copies[out->copy_count++]);
	}
}

/* Whether a port is listened on: a service's always, one of the node's only if a Gateway has it. */
static bool listened(const struct row_bench *b, const json_t *ask, uint16_t port)
{
	return strcmp(word(ask, "from", ""), "world") != 0 ||
	       http_listener(b->tables.snapshot, SCOPE_NODE, port);
}

void row_run(struct row_bench *b, const json_t *row, int family, struct row_result *out)
{
	static struct request x;
	const json_t *ask = json_object_get(row, "ask");
	struct router *router = router_interface(b->rules);
	struct route_ask question = { .request = &x.request };
	char text[ROW_HEAD];

	memset(out, 0, sizeof(*out));
	x = (struct request){ 0 };
	put_request(b, ask, family, text);
	if (h1_parse_request(text, strlen(text), 0, &x.request) < 0) {
		out->status = h1_error_status(x.request.m.error);
		return;
	}
	x.request.path.n = http_path_normalize((char *)x.request.path.p, x.request.path.n);
	find_ends(b, ask, family, &question);
	out->refused = !listened(b, ask, question.called_port);
	if (out->refused)
		return;
	router->plan(router, &question, &b->buffers, &x.plan);
	out->after = x.plan.delay_ms;
	if (x.plan.action == PLAN_ANSWER) {
		answer_ourselves(&x.plan, out);
		/* The text is gone with the plan. */
		out->body.p = out->body.n ? memcpy(out->text + sizeof(out->text) / 2, out->body.p,
						   out->body.n)
					  : "";
	} else {
		copy(b, &x, out);
		forward(b, &x, json_object_get(row, "endpoint"), out);
	}
	buf_release(&b->buffers, &x.plan.text);
	router->release(router, &x.plan);
}
