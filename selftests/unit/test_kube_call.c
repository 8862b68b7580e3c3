/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/kube/call.h"

/* A server that gives one answer for each connection, and keeps what it was asked. */
struct server {
	int fd;
	unsigned port;
	const char *answers[4];
	char asked[4][2048];
	pthread_t thread;
};

static void serve(int fd, char *asked, size_t room, const char *answer)
{
	size_t used = 0;

	for (;;) {
		ssize_t n = recv(fd, asked + used, room - 1 - used, 0);
		char *end;

		if (n <= 0)
			break;
		used += (size_t)n;
		asked[used] = '\0';
		end = strstr(asked, "\r\n\r\n");
		/* A body ends with a bracket. */
		if (end && (!strstr(asked, "Content-Length: ") || asked[used - 1] == '}'))
			break;
	}
	send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	close(fd);
}

static void *serve_all(void *arg)
{
	struct server *s = arg;

	for (size_t i = 0; i < 4 && s->answers[i]; i++)
		serve(accept(s->fd, NULL, NULL), s->asked[i], sizeof(s->asked[i]), s->answers[i]);
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(s->fd, 4), 0);
	getsockname(s->fd, (struct sockaddr *)&at, &len);
	s->port = ntohs(at.sin_port);
	pthread_create(&s->thread, NULL, serve_all, s);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
}

static struct kube_client *client(unsigned port, const char *token_file)
{
	struct kube_config *config = calloc(1, sizeof(*config));
	struct kube_client *c = NULL;

	unsetenv("http_proxy");
	cr_assert(asprintf(&config->server, "http://127.0.0.1:%u", port) > 0);
	config->namespace = strdup("default");
	config->token_file = token_file ? strdup(token_file) : NULL;
	config->token = token_file ? NULL : strdup("t0");
	cr_assert_eq(kube_client_open(config, &c), 0);
	return c;
}

#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

Test(kube_call, an_answer_comes_back)
{
	struct server s = { .answers = { ANSWER("201 Created", "{\"a\":1}") } };
	_cleanup_(kube_client_closep) struct kube_client *c = NULL;
	struct kube_request request = { .method = "PATCH",
					.path = "/api/v1/x?force=true",
					.type = "application/apply-patch+yaml",
					.body = "{}",
					.size = 2 };
	struct kube_reply reply = { 0 };
	char error[KUBE_ERROR_MAX] = "";

	server_start(&s);
	c = client(s.port, NULL);
	cr_assert_eq(kube_call(c, &request, &reply, error), 0, "%s", error);
	cr_expect_eq(reply.status, 201);
	cr_expect_str_eq(reply.body, "{\"a\":1}");
	cr_expect_eq(reply.size, 7);
	cr_expect(strstr(s.asked[0], "PATCH /api/v1/x?force=true HTTP/1.1\r\n"), "%s", s.asked[0]);
	cr_expect(strstr(s.asked[0], "Authorization: Bearer t0\r\n"), "%s", s.asked[0]);
	cr_expect(strstr(s.asked[0], "Content-Type: application/apply-patch+yaml\r\n"));
	cr_expect(strstr(s.asked[0], "User-Agent: weft/"));
	cr_expect(strstr(s.asked[0], "\r\n\r\n{}"));
	kube_reply_free(&reply);
	server_stop(&s);
}

Test(kube_call, an_ended_token_is_read_anew_and_tried_once_more)
{
	struct server s = { .answers = { ANSWER("401 Unauthorized", "no"), ANSWER("200 OK", "yes"),
					 ANSWER("401 Unauthorized", ""),
					 ANSWER("401 Unauthorized", "still not") } };
	_cleanup_(kube_client_closep) struct kube_client *c = NULL;
	struct kube_request request = { .method = "GET", .path = "/version" };
	struct kube_reply reply = { 0 };
	char error[KUBE_ERROR_MAX] = "", path[] = "/tmp/weft-token-XXXXXX";
	int fd = mkstemp(path);

	cr_assert(fd >= 0 && write(fd, "first", 5) == 5);
	server_start(&s);
	c = client(s.port, path);
	cr_assert_eq(kube_call(c, &request, &reply, error), 0, "%s", error);
	cr_expect_str_eq(reply.body, "yes");
	kube_reply_free(&reply);
	cr_assert(pwrite(fd, "other", 5, 0) == 5);
	cr_expect_eq(kube_call(c, &request, &reply, error), -EACCES);
	cr_expect_eq(reply.status, 401);
	cr_expect_str_eq(error, "the API server answered with status 401: still not");
	cr_expect(strstr(s.asked[1], "Bearer first"));
	cr_expect(strstr(s.asked[3], "Bearer other"));
	kube_reply_free(&reply);
	server_stop(&s);
	close(fd);
	unlink(path);
}

Test(kube_call, no_server_is_said_with_its_address)
{
	_cleanup_(kube_client_closep) struct kube_client *c = client(1, NULL);
	struct kube_request request = { .method = "GET", .path = "/version" };
	struct kube_reply reply = { 0 };
	char error[KUBE_ERROR_MAX] = "";

	cr_expect_eq(kube_call(c, &request, &reply, error), -ECONNREFUSED);
	cr_expect(strstr(error, "no answer from the API server at http://127.0.0.1:1: "), "%s",
		  error);
	cr_expect_null(reply.body);
}

Test(kube_call, what_the_server_says_is_what_the_user_reads)
{
	static const char forbidden[] =
		"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
		"\"message\":\"pods is forbidden: User \\\"x\\\" cannot list\",\"code\":403}";
	char error[KUBE_ERROR_MAX];

	cr_expect_str_eq(kube_status_text(403, forbidden, strlen(forbidden), error),
			 "pods is forbidden: User \"x\" cannot list");
	cr_expect_str_eq(kube_status_text(502, "bad\x1b gateway\nmore", 17, error),
			 "the API server answered with status 502: bad? gateway");
	cr_expect_str_eq(kube_status_text(500, NULL, 0, error),
			 "the API server answered with status 500");
	cr_expect_str_eq(kube_status_text(500, "{}", 2, error),
			 "the API server answered with status 500: {}");
}
