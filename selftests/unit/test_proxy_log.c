// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of the access log, and how they get out.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/log/access_line.h"
#include "proxy/log/access_log.h"
#include "test_proxy_script.h"

#define HEAD                                                                                 \
	"GET /a?b=\"c\"\\ HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: curl/8 \xc3\xa4\r\n" \
	"\r\n"

static struct http_cluster_stat cluster = { .name = "outbound|9080|v1|reviews.default" };
static struct http_route_stat route = { .name = "default/reviews/http[0]" };
static _Thread_local struct h1_request request;
static struct plan plan = { .cluster = &cluster, .route = &route };

static struct addr v4(unsigned char last)
{
	return (struct addr){ { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = last } };
}

static struct access_entry entry(void)
{
	cr_assert_eq(h1_parse_request(HEAD, strlen(HEAD), 0, &request), (int)strlen(HEAD));
	return (struct access_entry){
		.request = &request,
		.plan = &plan,
		.status = 200,
		.flags = "DI",
		.details = "via_upstream",
		.received = 12,
		.sent = 345,
		.duration_ms = 67,
		.request_id = { "1-2-3", 5 },
		.service_ms = 8,
		.client = v4(1),
		.client_port = 1000,
		.called = v4(2),
		.called_port = 9080,
		.local = v4(1),
		.local_port = 2000,
		.endpoint = { { 0xfd, [15] = 9 } },
		.endpoint_port = 9081,
	};
}

static char line[ACCESS_LINE_MAX + 1];

static const char *written(bool json, const struct access_entry *e)
{
	size_t n = access_line(line, json, e);

	cr_assert_eq(line[n - 1], '\n');
	line[n - 1] = '\0';
	cr_assert_eq(strlen(line), n - 1);
	return line;
}

Test(proxy_log, a_line_is_istios)
{
	struct access_entry e = entry();
	const char *text = written(false, &e);

	cr_assert_eq(text[0], '[');
	cr_expect_eq(text[24], 'Z');
	cr_expect_str_eq(
		text + 25,
		"] \"GET /a?b=\\x22c\\x22\\x5c HTTP/1.1\" 200 DI via_upstream - \"-\" 12 345 "
		"67 8 \"-\" \"curl/8 \\xc3\\xa4\" \"1-2-3\" \"reviews:9080\" "
		"\"[fd00::9]:9081\" outbound|9080|v1|reviews.default 10.0.0.1:2000 "
		"10.0.0.2:9080 10.0.0.1:1000 - default/reviews/http[0]");
}

Test(proxy_log, what_there_is_not_is_a_dash)
{
	struct access_entry e = { .status = 400, .flags = "DPE", .service_ms = -1 };

	cr_expect_str_eq(written(false, &e) + 25,
			 "] \"- - -\" 400 DPE - - \"-\" 0 0 0 - \"-\" \"-\" "
			 "\"-\" \"-\" \"-\" - - - - - -");
}

static void want_text(const json_t *o, const char *key, const char *value)
{
	const json_t *there = json_object_get(o, key);

	cr_assert_not_null(there, "%s", key);
	if (value)
		cr_expect_str_eq(json_string_value(there), value, "%s", key);
	else
		cr_expect(json_is_null(there), "%s", key);
}

static void want_number(const json_t *o, const char *key, json_int_t value)
{
	cr_expect(json_is_integer(json_object_get(o, key)), "%s", key);
	cr_expect_eq(json_integer_value(json_object_get(o, key)), value, "%s", key);
}

Test(proxy_log, json_has_istios_keys)
{
	struct access_entry e = entry();
	json_t *o = json_loads(written(true, &e), 0, NULL);

	cr_assert_not_null(o, "%s", line);
	cr_expect_eq(json_object_size(o), 24u);
	want_text(o, "method", "GET");
	want_text(o, "path", "/a?b=\"c\"\\");
	want_text(o, "protocol", "HTTP/1.1");
	want_number(o, "response_code", 200);
	want_text(o, "response_flags", "DI");
	want_text(o, "response_code_details", "via_upstream");
	want_text(o, "connection_termination_details", NULL);
	want_text(o, "upstream_transport_failure_reason", NULL);
	want_number(o, "bytes_received", 12);
	want_number(o, "bytes_sent", 345);
	want_number(o, "duration", 67);
	want_text(o, "upstream_service_time", "8");
	want_text(o, "x_forwarded_for", NULL);
	want_text(o, "request_id", "1-2-3");
	want_text(o, "authority", "reviews:9080");
	want_text(o, "upstream_host", "[fd00::9]:9081");
	want_text(o, "upstream_cluster", "outbound|9080|v1|reviews.default");
	want_text(o, "upstream_local_address", "10.0.0.1:2000");
	want_text(o, "downstream_local_address", "10.0.0.2:9080");
	want_text(o, "downstream_remote_address", "10.0.0.1:1000");
	want_text(o, "requested_server_name", NULL);
	want_text(o, "route_name", "default/reviews/http[0]");
	json_decref(o);
}

/* All of it is of the client's making, and has to be escaped. */
Test(proxy_log, long_fields_are_cut_and_leave_a_line_whole)
{
	static char head[40000], junk[9000];
	struct access_entry e = entry();
	json_t *o;
	int n;

	memset(junk, '"', sizeof(junk) - 1);
	n = snprintf(head, sizeof(head),
		     "GET /%s HTTP/1.1\r\nHost: h\r\nUser-Agent: %s\r\nX-Request-Id: "
		     "%s\r\nX-Forwarded-For: %s\r\n\r\n",
		     junk, junk, junk, junk);
	cr_assert_eq(h1_parse_request(head, (size_t)n, 0, &request), n);
	e.request_id = (struct h1_span){ junk, sizeof(junk) - 1 };
	cr_expect_gt(strlen(written(false, &e)), 1000u);
	o = json_loads(written(true, &e), 0, NULL);
	cr_expect_not_null(o, "%s", line);
	json_decref(o);
}

/* Every field is as long as it may be, and none has to be escaped. */
Test(proxy_log, a_line_of_the_longest_fields_fits)
{
	enum { LONG = 1500 };
	static char head[4 * LONG + 256], many[LONG + 1], *const text = many;
	static struct http_cluster_stat c;
	static struct http_route_stat rt;
	static struct route_tls tls;
	static struct {
		char line[ACCESS_LINE_MAX], behind[LONG];
	} room;
	struct access_entry e = entry();
	struct plan p = { .cluster = &c, .route = &rt };
	json_t *o;
	size_t len;
	int n;

	memset(many, 'x', LONG);
	memset(&room, '#', sizeof(room));
	memset(c.name, 'c', sizeof(c.name) - 1);
	memset(rt.name, 'r', sizeof(rt.name) - 1);
	memset(tls.facts.name, 'n', TLS_NAME_MAX);
	tls.facts.name_len = TLS_NAME_MAX;
	tls.facts.version = tls.facts.cipher = tls.facts.peer.subject = text;
	n = snprintf(head, sizeof(head),
		     "%.30s /%s HTTP/1.1\r\nHost: %.250s\r\nUser-Agent: %s\r\nX-Forwarded-For: "
		     "%s\r\n\r\n",
		     text, text, text, text, text);
	for (char *m = head; *m == 'x'; m++)
		*m = 'M';
	cr_assert_eq(h1_parse_request(head, (size_t)n, 0, &request), n);
	e.plan = &p;
	e.tls = &tls;
	e.flags = e.details = text;
	e.request_id = (struct h1_span){ text, LONG };
	e.received = e.sent = e.duration_ms = INT64_MAX;
	e.status = UINT32_MAX;
	e.service_ms = INT64_MAX;
	for (int json = 0; json < 2; json++) {
		len = access_line(room.line, json, &e);
		cr_assert_leq(len, sizeof(room.line));
		cr_expect_eq(room.line[len - 1], '\n');
		cr_expect_eq(room.behind[0], '#');
		cr_expect_gt(len, 2500u);
	}
	o = json_loadb(room.line, len, 0, NULL);
	cr_assert_not_null(o);
	cr_expect_eq(strlen(json_string_value(json_object_get(o, "path"))), 1024u);
	cr_expect_eq(strlen(json_string_value(json_object_get(o, "requested_server_name"))),
		     (size_t)TLS_NAME_MAX);
	cr_expect_eq(strlen(json_string_value(json_object_get(o, "downstream_peer_subject"))),
		     224u);
	json_decref(o);
	/* The path gives room for what an AUDIT policy is met by. */
	e.audit = text;
	len = access_line(room.line, true, &e);
	cr_assert_leq(len, sizeof(room.line));
	cr_expect_eq(room.behind[0], '#');
	o = json_loadb(room.line, len, 0, NULL);
	cr_assert_not_null(o);
	cr_expect_gt(strlen(json_string_value(json_object_get(o, "path"))), 512u);
	cr_expect_eq(strlen(json_string_value(json_object_get(o, "audit_policy"))), 352u);
	json_decref(o);
}

Test(proxy_log, what_is_audited_has_a_mark)
{
	struct access_entry e = entry();

	cr_expect_null(strstr(written(true, &e), "access_log_hint"));
	e.audit = "ns[foo]-policy[p]-rule[0]";
	cr_expect_not_null(strstr(written(true, &e), ",\"access_log_hint\":true,\"audit_policy\":"
						     "\"ns[foo]-policy[p]-rule[0]\"}"));
	/* Istio's text format has no place for it. */
	cr_expect_null(strstr(written(false, &e), "ns[foo]"));
}

/* ---- the file ---- */

static struct access_log log_;

static void write_lines(int n)
{
	struct access_entry e = entry();

	while (n--)
		access_log_write(&log_, &e);
}

static size_t count_lines(const char *bytes, size_t n)
{
	size_t lines = 0;

	while (n--)
		lines += *bytes++ == '\n';
	return lines;
}

Test(proxy_log, a_file_gets_them_when_there_is_nothing_else_to_do)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	access_log_open(&log_, fd, false);
	write_lines(3);
	cr_expect_eq(lseek(fd, 0, SEEK_END), 0);
	cr_expect(access_log_flush(&log_));
	cr_expect_gt(lseek(fd, 0, SEEK_END), 600);
	/* Or when there are many. */
	write_lines(1000);
	cr_expect_gt(lseek(fd, 0, SEEK_END), ACCESS_LOG_SIZE);
	cr_expect(access_log_flush(&log_));
	close(fd);
}

Test(proxy_log, a_reader_that_is_too_slow_costs_lines_and_not_time)
{
	static char bytes[1024 * 1024];
	int fds[2];
	ssize_t n;
	size_t len = 0;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	access_log_open(&log_, fds[1], true);
	write_lines(2000);
	cr_expect(log_.lost);
	cr_expect_not(access_log_flush(&log_), "there was room for all of it");
	/* Those that are there are whole. */
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	do {
		while ((n = read(fds[0], bytes + len, sizeof(bytes) - len)) > 0)
			len += (size_t)n;
	} while (!access_log_flush(&log_));
	while ((n = read(fds[0], bytes + len, sizeof(bytes) - len)) > 0)
		len += (size_t)n;
	cr_expect_gt(count_lines(bytes, len), 100u);
	for (char *p = bytes, *end; p < bytes + len; p = end + 1) {
		json_t *o;

		end = memchr(p, '\n', (size_t)(bytes + len - p));
		cr_assert_not_null(end);
		o = json_loadb(p, (size_t)(end - p), 0, NULL);
		cr_assert_not_null(o);
		json_decref(o);
	}
}

Test(proxy_log, the_next_file_gets_what_waits_and_the_loss_is_counted)
{
	int first[2], second = memfd_create("log", MFD_CLOEXEC);
	uint64_t lost;
	char bytes[ACCESS_LOG_SIZE];
	ssize_t n;

	cr_assert_eq(pipe2(first, O_CLOEXEC | O_NONBLOCK), 0);
	access_log_open(&log_, first[1], false);
	write_lines(2000);
	lost = log_.lost;
	cr_expect_gt(lost, 0u);
	access_log_switch(&log_, second, false);
	cr_expect(access_log_flush(&log_));
	cr_expect_eq(log_.lost, 0u, "it has been said");
	n = pread(second, bytes, sizeof(bytes), 0);
	cr_assert_gt(n, 0);
	lost += count_lines(bytes, (size_t)n);
	while ((n = read(first[0], bytes, sizeof(bytes))) > 0)
		lost += count_lines(bytes, (size_t)n);
	cr_expect_eq(lost, 2000u);
}

static struct access_log *threads[2];

static void *write_and_flush(void *arg)
{
	struct access_entry e = entry();

	for (int i = 0; i < 3000; i++) {
		access_log_write(arg, &e);
		if (i % 7 == 0)
			access_log_flush(arg);
	}
	access_log_flush(arg);
	return NULL;
}

Test(proxy_log, workers_do_not_mix_their_lines)
{
	char path[] = "/tmp/weft-log-XXXXXX", *bytes;
	int fd = mkstemp(path);
	pthread_t ids[2];
	off_t size;

	unlink(path);
	fcntl(fd, F_SETFL, O_APPEND);
	for (int i = 0; i < 2; i++) {
		threads[i] = calloc(1, sizeof(**threads));
		access_log_open(threads[i], fd, true);
		pthread_create(&ids[i], NULL, write_and_flush, threads[i]);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(ids[i], NULL);
		free(threads[i]);
	}
	size = lseek(fd, 0, SEEK_END);
	bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	cr_expect_eq(count_lines(bytes, (size_t)size), 6000u);
	for (char *p = bytes; p < bytes + size;) {
		char *end = memchr(p, '\n', (size_t)(bytes + size - p));

		cr_assert_eq(end[-1], '}');
		cr_assert_eq(*p, '{');
		p = end + 1;
	}
	munmap(bytes, (size_t)size);
	close(fd);
}

/* ---- what the proxy says ---- */

Test(proxy_log, bytes_are_those_of_bodies)
{
	struct env *e = env_new(NULL);

	/* The next request is there already. */
	PLAY("C> POST /a HTTP/1.1|Host: h|Content-Length: 3||abcGET /b HTTP/1.1|Host: h||",
	     "U> POST /a HTTP/1.1|host: h|Content-Length: 3||abc", "T 30",
	     "U< 200 OK|Content-Length: 5||hello", "L 200 -");
	cr_expect_eq(e->last.received, 3u);
	cr_expect_eq(e->last.sent, 5u);
	cr_expect_geq(e->last.service_ms, 25);
	cr_expect_eq(e->last.endpoint_port, e->endpoint_port);
	cr_expect_gt(e->last.local_port, 0u);
	/* Once more: the connection was an old one. */
	PLAY("U> GET /b", "U< END", "U> GET /b", "U< END", "L2 503 UC");
	cr_expect_eq(e->last.received, 0u);
	cr_expect_eq(e->last.sent,
		     strlen("upstream connect error or disconnect/reset before headers. "
			    "reset reason: connection termination"));
	cr_expect_lt(e->last.service_ms, 0);
	env_free(e);
}
