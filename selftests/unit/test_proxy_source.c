// SPDX-License-Identifier: Apache-2.0
/*
 * Which address an endpoint sees.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/upstream/source_addr.h"
#include "test_proxy_env.h"

static struct addr addr(const char *text)
{
	struct addr a = { { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET, text, a.b + 12) != 1)
		cr_assert_eq(inet_pton(AF_INET6, text, a.b), 1, "%s", text);
	return a;
}

static bool among(const char *const *list, const struct addr *a)
{
	for (; *list; list++) {
		struct addr one = addr(*list);

		if (!memcmp(&one, a, sizeof(one)))
			return true;
	}
	return false;
}

/* A node 192.168.1.1, also 10.0.0.1, with the pods 10.0.0.2 and 10.0.0.3; everything else in
 * 10.0.0.0/8 is by interface 2, which is ours, the rest by interface 3, but for 203.0.113.9. */
static unsigned looks;

static bool is_pod(void *arg, const struct addr *a)
{
	static const char *const pods[] = { "10.0.0.2", "10.0.0.3", "fd00::2", "127.0.0.1", NULL };

	(void)arg;
	looks++;
	return among(pods, a);
}

static int find_route(void *arg, const struct addr *to, struct source_route *out)
{
	static const char *const node[] = { "10.0.0.1", "192.168.1.1", "fd00::1", NULL };
	static const char *const none[] = { "203.0.113.9", NULL };

	(void)arg;
	out->local = among(node, to);
	out->ifindex = to->b[12] == 10 || to->b[0] == 0xfd ? 2 : 3;
	return among(none, to) ? -1 : 0;
}

static bool is_ours(void *arg, uint32_t ifindex)
{
	(void)arg;
	return ifindex == 2;
}

static const struct source_lookup lookup = { is_pod, find_route, is_ours, NULL };

static const struct {
	const char *what, *endpoint, *client, *called, *source;
} rows[] = {
	{ "pod to pod of this node", "10.0.0.3", "10.0.0.2", "10.96.0.1", "10.0.0.2" },
	{ "pod to pod of another node", "10.1.0.3", "10.0.0.2", "10.96.0.1", "10.0.0.2" },
	{ "a client outside to a pod of this node", "10.0.0.3", "198.51.100.1", "192.168.1.1",
	  "198.51.100.1" },
	{ "a client outside to a pod of another node", "10.1.0.3", "198.51.100.1", "192.168.1.1",
	  "::" },
	{ "a pod to itself", "10.0.0.2", "10.0.0.2", "10.96.0.1", "10.96.0.1" },
	{ "a pod to itself by the node's address", "10.0.0.2", "10.0.0.2", "192.168.1.1", "::" },
	{ "pod to the node itself", "192.168.1.1", "10.0.0.2", "10.96.0.1", "::" },
	{ "pod to the node's end of the pods' network", "10.0.0.1", "10.0.0.2", "10.96.0.1", "::" },
	{ "by an interface that is not ours", "198.51.100.7", "10.0.0.2", "198.51.100.7", "::" },
	{ "no way at all", "203.0.113.9", "10.0.0.2", "203.0.113.9", "::" },
	{ "pod to pod, IPv6", "fd00::2", "fd00::9", "fd96::1", "fd00::9" },
	{ "IPv6 pod to another node", "fd01::3", "fd00::2", "fd96::1", "fd00::2" },
	{ "another family", "fd00::2", "10.0.0.2", "10.96.0.1", "::" },
};

Test(proxy_source, rows)
{
	struct sources *s = calloc(1, sizeof(*s));

	s->lookup = lookup;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct addr endpoint = addr(rows[i].endpoint), client = addr(rows[i].client),
			    called = addr(rows[i].called), want = addr(rows[i].source);
		struct addr got = source_for(s, &endpoint, &client, &called, 1000);

		if (!strcmp(rows[i].source, "::"))
			want = (struct addr){ 0 };
		cr_expect_arr_eq(got.b, want.b, sizeof(want.b), "%s", rows[i].what);
	}
	free(s);
}

Test(proxy_source, the_kernel_is_not_asked_each_time)
{
	struct sources *s = calloc(1, sizeof(*s));
	struct addr endpoint = addr("10.0.0.3"), client = addr("10.0.0.2"),
		    called = addr("10.96.0.1");

	s->lookup = lookup;
	looks = 0;
	for (uint64_t now = 5000; now < 5000 + 2 * SOURCE_FRESH_MS; now += SOURCE_FRESH_MS / 10)
		source_for(s, &endpoint, &client, &called, now);
	cr_expect_eq(looks, 2u);
	free(s);
}

Test(proxy_source, the_kernel_is_not_asked_of_a_client_each_time)
{
	struct sources *s = calloc(1, sizeof(*s));
	struct addr endpoint = addr("10.0.9.3"), client = addr("10.0.0.2"),
		    called = addr("10.96.0.1"), got;

	s->lookup = lookup;
	looks = 0;
	for (uint64_t now = 5000; now < 5000 + 2 * SOURCE_FRESH_MS; now += SOURCE_FRESH_MS / 10) {
		got = source_for(s, &endpoint, &client, &called, now);
		cr_expect_arr_eq(got.b, client.b, sizeof(client.b));
	}
	cr_expect_eq(looks, 4u, "once each of both in each second: %u", looks);
	free(s);
}

Test(proxy_source, a_client_that_was_none_may_be_a_pod_at_once)
{
	struct sources *s = calloc(1, sizeof(*s));
	struct addr endpoint = addr("10.0.9.3"), client = addr("192.0.2.7"),
		    called = addr("10.96.0.1");

	s->lookup = lookup;
	source_for(s, &endpoint, &client, &called, 5000);
	looks = 0;
	source_for(s, &endpoint, &client, &called, 5001);
	cr_expect_eq(looks, 1u);
	free(s);
}

Test(proxy_source, what_the_kernel_says)
{
	static const struct source_options none = { -1, -1, -1, 0 };
	struct env *e = env_new(NULL); /* for its namespace */
	struct addr loopback = addr("127.0.0.5"), nowhere = addr("192.0.2.1"), v6 = addr("::1");
	struct source_lookup l;
	struct source_route way = { 0 };

	cr_assert_eq(source_lookup_open(&none, &l), 0);
	cr_expect_eq(l.find_route(l.arg, &loopback, &way), 0);
	cr_expect(way.local);
	cr_expect_eq(l.find_route(l.arg, &v6, &way), 0);
	cr_expect(way.local);
	cr_expect_lt(l.find_route(l.arg, &nowhere, &way), 0);
	cr_expect_eq(l.find_route(l.arg, &loopback, &way), 0, "an answer of its own");
	cr_expect_not(l.is_pod(l.arg, &loopback));
	cr_expect_not(l.is_ours(l.arg, 1));
	source_lookup_close(&l);
	env_free(e);
}

/* ---- through sockets ---- */

static struct env *e;

static void setup(void)
{
	struct worker_options o = worker_defaults;

	o.upstream.transparent = true;
	o.upstream.lookup = &lookup;
	e = env_new(&o);
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_transparent, .init = setup, .fini = teardown, .timeout = 60);

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GOT "GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static int client_from(const char *address)
{
	struct sockaddr_in at = { .sin_family = AF_INET }, to = at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &at.sin_addr);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	to.sin_port = htons(e->port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void want_peer(int fd, const char *address)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	char text[INET_ADDRSTRLEN];

	cr_assert_eq(getpeername(fd, (struct sockaddr *)&at, &len), 0);
	cr_expect_str_eq(inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text)), address);
}

static void serve(int client, int s)
{
	want(s, GOT);
	put(s, OK);
	want(client, OK);
}

/* `lookup` above takes 127.0.0.1 for a pod. */
Test(proxy_transparent, an_endpoint_sees_each_client_and_connections_are_not_mixed)
{
	int a = client_from("127.0.0.7"), b = client_from("127.0.0.8"), s, t;

	put(a, GET);
	s = env_accept(e);
	want_peer(s, "127.0.0.7");
	serve(a, s);
	put(b, GET);
	t = env_accept(e);
	want_peer(t, "127.0.0.8");
	serve(b, t);
	put(a, GET);
	serve(a, s);
	put(b, GET);
	serve(b, t);
}

Test(proxy_transparent, a_mirror_sees_the_client_too)
{
	int a = client_from("127.0.0.7"), other, s, m;

	other = env_listen(&e->mirror.port);
	e->mirror.addr = e->target.addr;
	e->plan.mirror_count = 1;
	e->plan.mirror_authority = (struct h1_span){ "m", 1 };
	put(a, GET);
	s = env_accept(e);
	m = accept(other, NULL, NULL);
	want_peer(m, "127.0.0.7");
	serve(a, s);
}

static uint16_t listen_everywhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);

	close(e->endpoint);
	e->endpoint = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(e->endpoint, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(e->endpoint, 8), 0);
	cr_assert_eq(getsockname(e->endpoint, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
}

/* 127.0.0.2 is no pod, and by interface 3. Another client may use the connection, too. */
Test(proxy_transparent, where_replies_would_go_elsewhere_it_is_the_nodes_own_address)
{
	int a = client_from("127.0.0.7"), b = client_from("127.0.0.8"), s;

	e->target = (struct target){ .addr = addr("127.0.0.2"), .port = listen_everywhere() };
	put(a, GET);
	s = env_accept(e);
	want_peer(s, "127.0.0.1");
	serve(a, s);
	put(b, GET);
	serve(b, s);
}
