// SPDX-License-Identifier: Apache-2.0
/*
 * The rows of selftests/rules/routes, by the functions that the proxy routes with. A row is
 *
 *   ask       what is sent: from (a pod, or "world": to a Gateway; "user" if not given), call (the
 *             service whose address is called; the host's if not given), port (80), method (GET),
 *             host ($NAME: that service's address), path (/), headers, body
 *   times     so often (1)
 *   endpoint  what endpoints do: status (200), delay (ms), the first `times` times (always)
 *   saw       what an endpoint saw: pod (or one of several), method, host, path (as asked if not
 *             given), headers (null: not there), body; or pods, hosts: how often each
 *   answer    what the client gets: status (200 if an endpoint saw the request), headers, body; or
 *             statuses: how often each
 *   refused   no connection
 *   tries     requests that reached an endpoint
 *   after     ms that it takes at least
 *   copies    what mirrors saw, each as `saw`; or how often each pod did
 *   only      "functions" or "sockets": it can't be seen with the other
 *
 * and a text between rows says what they are about. selftests/net/http-routes.sh sends the same
 * over sockets.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "test_http_rows_util.h"

enum { LEAST_ROWS = 200 };

static struct {
	const char *file, *about;
	json_t *row;
	int family, rows;
} now;

#define expect(condition, ...)                                                                   \
	do {                                                                                     \
		_cleanup_free_ char *_row = json_dumps(now.row, JSON_COMPACT);                   \
		_cleanup_free_ char *_got = NULL;                                                \
		bool _good = (condition);                                                        \
		if (!_good && asprintf(&_got, __VA_ARGS__) < 0)                                  \
			_got = NULL;                                                             \
		cr_expect(_good, "%s, %s, IPv%d: %s: %s", now.file, now.about, now.family, _row, \
			  _got);                                                                 \
	} while (0)

static bool span_is(struct h1_span s, const char *text)
{
	return s.p && h1_is(s, text);
}

/* ---- one message ---- */

/* Every line of that name has its value in the list, in order; an empty list: there is none. */
static void check_header(const struct h1_message *m, const char *name, json_t *want)
{
	size_t n = 0, wanted = json_is_null(want)    ? 0
			       : json_is_array(want) ? json_array_size(want)
						     : 1;

	for (size_t i = 0; i < m->header_count; i++) {
		const struct h1_header *h = &m->headers[i];
		const json_t *value = json_is_array(want) ? json_array_get(want, n) : want;

		if (!h1_is_nocase(h->name, name))
			continue;
		expect(n < wanted && span_is(h->value, json_string_value(value)), "%s: %.*s", name,
		       (int)h->value.n, h->value.p);
		n++;
	}
	expect(n == wanted, "%s %zu times", name, n);
}

static void check_headers(const struct h1_message *m, json_t *want)
{
	const char *name;
	json_t *value;

	json_object_foreach(want, name, value) check_header(m, name, value);
}

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

static const char *wanted(const json_t *want, const char *key, const char *otherwise)
{
	const json_t *value = json_object_get(want, key);

	return value ? json_string_value(value) : otherwise;
}

static void check_message(struct row_bench *b, const struct row_message *m, const json_t *want,
			  bool is_copy)
{
	const json_t *ask = json_object_get(now.row, "ask");
	const char *pods = wanted(want, "pod", NULL);
	_cleanup_free_ char *host =
		row_host(b, wanted(want, "host", wanted(ask, "host", "")), now.family);
	const char *path = wanted(want, "path", wanted(ask, "path", "/"));

	expect(!pods || (m->pod && has_word(pods, m->pod)), "it went to %s", m->pod);
	if (!m->pod)
		return;
	if (!json_object_get(want, "hosts") && (!is_copy || json_object_get(want, "host")))
		expect(span_is(m->request.authority, host), "its host is %.*s",
		       (int)m->request.authority.n, m->request.authority.p);
	if (!is_copy || json_object_get(want, "path"))
		expect(span_is(m->request.target, path), "its path is %.*s",
		       (int)m->request.target.n, m->request.target.p);
	expect(span_is(m->request.method, wanted(ask, "method", "GET")), "its method is %.*s",
	       (int)m->request.method.n, m->request.method.p);
	check_headers(&m->request.m, json_object_get(want, "headers"));
}

/* ---- how often ---- */

static void count(json_t *counts, const char *key, size_t n)
{
	json_object_set_new(
		counts, key,
		json_integer(json_integer_value(json_object_get(counts, key)) + (json_int_t)n));
}

/* Shares are exact to within one. */
static void check_counts(const json_t *got, const json_t *want)
{
	_cleanup_free_ char *text = json_dumps(got, JSON_COMPACT);
	const char *key;
	json_t *each;

	json_object_foreach((json_t *)want, key, each)
	{
		json_int_t n = json_integer_value(json_object_get(got, key));

		expect(llabs(n - json_integer_value(each)) <= 1, "%s", text);
	}
	json_object_foreach((json_t *)got, key, each)
		expect(!want || json_object_get(want, key), "%s", text);
}

struct counts {
	json_t *pods, *hosts, *statuses, *copies;
};

static void add_counts(const struct counts *c, const struct row_result *r)
{
	char text[256];

	snprintf(text, sizeof(text), "%u", r->status);
	count(c->statuses, text, 1);
	for (size_t i = 0; i < r->copy_count; i++)
		count(c->copies, r->copies[i].pod, 1);
	if (!r->saw.pod)
		return;
	count(c->pods, r->saw.pod, 1);
	snprintf(text, sizeof(text), "%.*s", (int)r->saw.request.authority.n,
		 r->saw.request.authority.p);
	count(c->hosts, text, 1);
}

static void check_all_counts(const struct counts *c)
{
	const json_t *saw = json_object_get(now.row, "saw"), *pods = json_object_get(saw, "pods"),
		     *hosts = json_object_get(saw, "hosts"),
		     *statuses = json_object_get(json_object_get(now.row, "answer"), "statuses"),
		     *copies = json_object_get(now.row, "copies");

	if (pods)
		check_counts(c->pods, pods);
	if (hosts)
		check_counts(c->hosts, hosts);
	if (statuses)
		check_counts(c->statuses, statuses);
	if (json_is_object(copies))
		check_counts(c->copies, copies);
	json_decref(c->pods);
	json_decref(c->hosts);
	json_decref(c->statuses);
	json_decref(c->copies);
}

/* ---- a row ---- */

static void check_copies(struct row_bench *b, const struct row_result *r)
{
	const json_t *want = json_object_get(now.row, "copies");
	size_t i;
	json_t *each;

	if (!json_is_array(want))
		return;
	expect(r->copy_count == json_array_size(want), "%zu copies", r->copy_count);
	json_array_foreach((json_t *)want, i, each)
	{
		if (i < r->copy_count)
			check_message(b, &r->copies[i], each, true);
	}
}

static void check_answer(const struct row_result *r)
{
	const json_t *want = json_object_get(now.row, "answer");
	const json_t *status = json_object_get(want, "status");
	const char *body = wanted(want, "body", NULL);

	if (!json_object_get(want, "statuses"))
		expect(r->status == (status ? json_integer_value(status) : 200), "%u", r->status);
	check_headers(&r->answer.m, json_object_get(want, "headers"));
	if (body && r->body.p &&
	    strcmp(wanted(json_object_get(now.row, "ask"), "method", ""), "HEAD"))
		expect(h1_is(r->body, body), "it said %.*s", (int)r->body.n, r->body.p);
}

static void check_result(struct row_bench *b, const struct row_result *r)
{
	const json_t *saw = json_object_get(now.row, "saw"),
		     *tries = json_object_get(now.row, "tries"),
		     *after = json_object_get(now.row, "after");

	expect(r->refused == json_is_true(json_object_get(now.row, "refused")), "refused or not");
	if (r->refused)
		return;
	check_answer(r);
	if (saw && r->saw.pod)
		check_message(b, &r->saw, saw, false);
	if (!json_object_get(json_object_get(now.row, "answer"), "statuses"))
		expect(!saw == !r->saw.pod, "it went to %s", r->saw.pod);
	expect(!tries || r->tries == json_integer_value(tries), "%u tries", r->tries);
	expect(r->after == (after ? json_integer_value(after) : 0), "after %u ms", r->after);
	check_copies(b, r);
}

static void check_row(struct row_bench *b)
{
	struct counts c = { json_object(), json_object(), json_object(), json_object() };
	const json_t *times = json_object_get(now.row, "times");
	long n = times ? json_integer_value(times) : 1;
	struct row_result r;

	if (!strcmp(wanted(now.row, "only", ""), "sockets"))
		n = 0;
	for (long i = 0; i < n; i++) {
		row_run(b, now.row, now.family, &r);
		check_result(b, &r);
		add_counts(&c, &r);
	}
	check_all_counts(&c);
}

static void check_file(struct row_bench *b, const char *path)
{
	json_auto_t *rows = json_load_file(path, 0, NULL);
	size_t i;

	cr_assert_not_null(rows, "%s", path);
	now.file = strrchr(path, '/') + 1;
	json_array_foreach(rows, i, now.row)
	{
		if (json_is_string(now.row)) {
			now.about = json_string_value(now.row);
			continue;
		}
		for (now.family = 4; now.family <= 6; now.family += 2)
			check_row(b);
		now.rows++;
	}
}

Test(http_rows, go_where_the_table_says)
{
	struct row_bench b = { 0 };
	glob_t files;

	row_bench_open(&b);
	cr_assert_eq(glob("selftests/rules/routes/*.json", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		if (!strstr(files.gl_pathv[i], "cluster.json"))
			check_file(&b, files.gl_pathv[i]);
	globfree(&files);
	row_bench_close(&b);
	cr_expect_geq(now.rows, LEAST_ROWS, "%d rows", now.rows);
}
