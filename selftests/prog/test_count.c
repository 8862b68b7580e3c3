// SPDX-License-Identifier: Apache-2.0
/*
 * The bytes of sockets' open connections, counted some at a time.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "env.h"
#include "weft/sock.h"

enum { SOCKETS = 2 * TRAFFIC_SOCKETS_AT_ONCE + 88, NETNS_ID = 5 };

static const struct addr loopback = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };
static struct env *e;
static int clients[SOCKETS], servers[SOCKETS];
static __u64 cookies[SOCKETS];

/* So that a program that is run here finds the sockets of this namespace, as it finds a pod's. */
static void name_namespace(void)
{
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g __attribute__((aligned(4)));
		struct {
			struct rtattr a;
			int value;
		} id, fd;
	} q = {
		.h = { .nlmsg_len = sizeof(q),
		       .nlmsg_type = RTM_NEWNSID,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.id = { { RTA_LENGTH(sizeof(int)), NETNSA_NSID }, NETNS_ID },
		.fd = { { RTA_LENGTH(sizeof(int)), NETNSA_FD },
			open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) },
	};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[256];
	} answer;
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	cr_assert_eq(send(s, &q, sizeof(q), 0), sizeof(q));
	cr_assert(recv(s, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(answer.h));
	cr_assert(!answer.e.error || answer.e.error == -EEXIST, "%s", strerror(-answer.e.error));
	close(q.fd.value);
	close(s);
}

static __u64 option(int fd, int name)
{
	__u64 value = 0;
	socklen_t len = sizeof(value);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, name, &value, &len), 0);
	return value;
}

/* What socket `i` has sent. */
static unsigned bytes_of(int i)
{
	return 1 + (unsigned)i % 7;
}

static void connect_one(int i, int listener, const struct sockaddr_in *to)
{
	struct sock_conn s = { .addr = loopback,
			       .own = loopback,
			       .port = ntohs(to->sin_port),
			       .seen = 1,
			       .traffic = TRAFFIC_ROW,
			       .reservation = (__u64)CLUSTER_ID << 32 | ENDPOINT_ID };
	struct sockaddr_in own;
	socklen_t len = sizeof(own);

	clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(clients[i], (const void *)to, sizeof(*to)), 0);
	servers[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert(servers[i] >= 0);
	cr_assert_eq(send(clients[i], "1234567", bytes_of(i), 0), bytes_of(i));
	cr_assert_eq(getsockname(clients[i], (void *)&own, &len), 0);
	cookies[i] = option(clients[i], SO_COOKIE);
	s.own_port = ntohs(own.sin_port);
	s.netns = option(clients[i], SO_NETNS_COOKIE);
	env_put_sock(e, cookies[i], &s);
}

static void setup(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct rlimit files = { 4 * SOCKETS, 4 * SOCKETS };
	socklen_t len = sizeof(to);
	struct netns_pod pod = { .netns_id = NETNS_ID };
	int listener;

	e = env_new(&(struct env_options){ .family = 4 });
	pod.addr = env_client(e);
	name_namespace();
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (void *)&to, sizeof(to)), 0);
	cr_assert_eq(listen(listener, 16), 0);
	cr_assert_eq(getsockname(listener, (void *)&to, &len), 0);
	env_put_netns(e, option(listener, SO_NETNS_COOKIE), &pod);
	for (int i = 0; i < SOCKETS; i++)
		connect_one(i, listener, &to);
	close(listener);
}

static void teardown(void)
{
	for (int i = 0; i < SOCKETS; i++) {
		env_drop_sock(e, cookies[i]);
		close(clients[i]);
		close(servers[i]);
	}
	env_free(e);
}

TestSuite(count, .init = setup, .fini = teardown, .timeout = 240);

/* Those of the sockets in front of `end`. */
static __u64 sum(int end)
{
	__u64 bytes = 0;

	for (int i = 0; i < end; i++)
		bytes += bytes_of(i);
	return bytes;
}

static void expect(const char *when, __u64 received, __u64 sent, __u64 closed, unsigned counted)
{
	struct tcp_traffic t = env_tcp_traffic_of(e, &loopback);

	cr_expect_eq(t.received, received, "%s: %llu received, not %llu", when, t.received,
		     received);
	cr_expect_eq(t.sent, sent, "%s: %llu sent, not %llu", when, t.sent, sent);
	cr_expect_eq(t.closed, closed, "%s: %llu closed", when, t.closed);
	cr_expect_eq(env_tcp_counted(e), counted, "%s: %u counted", when, env_tcp_counted(e));
}

Test(count, a_slice_is_asked_for_its_sockets_and_no_others)
{
	env_count_sockets(e, cookies, TRAFFIC_SOCKETS_AT_ONCE);
	expect("full", sum(TRAFFIC_SOCKETS_AT_ONCE), 0, 0, TRAFFIC_SOCKETS_AT_ONCE);
	env_count_sockets(e, &cookies[2 * TRAFFIC_SOCKETS_AT_ONCE], 1);
	expect("of one", sum(TRAFFIC_SOCKETS_AT_ONCE) + bytes_of(2 * TRAFFIC_SOCKETS_AT_ONCE), 0, 0,
	       TRAFFIC_SOCKETS_AT_ONCE + 1);
	env_count_sockets(e, (const __u64[]){ 0, 1ull << 60 }, 2);
	expect("of none that there is",
	       sum(TRAFFIC_SOCKETS_AT_ONCE) + bytes_of(2 * TRAFFIC_SOCKETS_AT_ONCE), 0, 0,
	       TRAFFIC_SOCKETS_AT_ONCE + 1);
}

static void all_slices(void)
{
	for (int i = 0; i < SOCKETS; i += TRAFFIC_SOCKETS_AT_ONCE)
		env_count_sockets(e, &cookies[i],
				  SOCKETS - i < TRAFFIC_SOCKETS_AT_ONCE ? SOCKETS - i
									: TRAFFIC_SOCKETS_AT_ONCE);
}

Test(count, nothing_is_counted_twice_and_what_is_new_is_added)
{
	all_slices();
	expect("once", sum(SOCKETS), 0, 0, SOCKETS);
	all_slices();
	env_count_sockets(e, cookies, TRAFFIC_SOCKETS_AT_ONCE);
	expect("again", sum(SOCKETS), 0, 0, SOCKETS);
	cr_assert_eq(send(clients[300], "abc", 3, 0), 3);
	cr_assert_eq(send(servers[301], "abcd", 4, 0), 4);
	all_slices();
	expect("with more bytes", sum(SOCKETS) + 3, 4, 0, SOCKETS);
}

Test(count, what_ends_between_two_slices_is_counted_once)
{
	int early = 3, late = TRAFFIC_SOCKETS_AT_ONCE + 3;

	env_count_sockets(e, cookies, TRAFFIC_SOCKETS_AT_ONCE);
	env_lose_sock(e, cookies[early]);
	env_lose_sock(e, cookies[late]); /* how much it has sent is not known then */
	for (int again = 0; again < 2; again++) {
		all_slices();
		expect("it has ended", sum(SOCKETS) - bytes_of(late), 0, 2, SOCKETS - 2);
	}
}
