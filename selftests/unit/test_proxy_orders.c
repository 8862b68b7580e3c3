// SPDX-License-Identifier: Apache-2.0
/*
 * What weftd is answered by a proxy, over the two ends as both use them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "proxy/process/orders.h"
#include "daemon/supervisor/proxy_link.h"

enum { WAIT_MS = 10000 };

static char dir[] = "/tmp/weft-orders.XXXXXX";
static struct orders orders;
static int listeners[2], signals;
static int snapshots, snapshot_error; /* as the proxy saw them, what it is to say */
static pthread_t thread;

static uint32_t state; /* the last one's number */

static int take_snapshot(void *arg, int fd, uint32_t number)
{
	struct stat st;

	(void)arg;
	snapshots += !fstat(fd, &st);
	state = number;
	return snapshot_error;
}

static char behind[PROXY_ORDER_BYTES];
static size_t behind_size;

static int take_patch(void *arg, const struct patch_order *o)
{
	if (o->before != state)
		return -ESTALE;
	if (o->fd >= 0)
		return take_snapshot(arg, o->fd, o->state);
	memcpy(behind, o->bytes, o->size);
	behind_size = o->size;
	state = o->state;
	return 0;
}

static int tell_requests(void *arg, int fd)
{
	(void)arg;
	return write(fd, "told", 4) == 4 ? 0 : -EIO;
}

static int credentials, credentials_error;

static int take_credentials(void *arg, int fd)
{
	struct stat st;

	(void)arg;
	credentials += !fstat(fd, &st);
	return credentials_error;
}

static int write_tickets(void *arg, int fd)
{
	(void)arg;
	return write(fd, "keys", 4) == 4 ? 0 : -EIO;
}

static int tickets;

static int read_tickets(void *arg, int fd)
{
	char got[8] = "";

	(void)arg;
	tickets += pread(fd, got, sizeof(got) - 1, 0) == 4 && !strcmp(got, "keys");
	return 0;
}

static int identities;

static int take_identities(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	identities++;
	return 0;
}

static int logged = -1, followed = -1, traced = -1, clients = -1, json;
static uint32_t drain_ms, drain_shared;
static int wake;
static bool ends;

static int take_follow(void *arg, int fd)
{
	(void)arg;
	followed = fd;
	return 0;
}

static int take_trace(void *arg, int fd)
{
	(void)arg;
	traced = fd;
	return 0;
}

static int take_log(void *arg, int fd, bool as_json)
{
	(void)arg;
	logged = fd;
	json = as_json;
	return 0;
}

static int take_clients(void *arg, int fd)
{
	(void)arg;
	clients = fd;
	return 0;
}

static int let_go(void *arg, int fd, uint32_t ms, uint32_t shared)
{
	(void)arg;
	clients = fd;
	drain_ms = ms;
	drain_shared = shared;
	return 0;
}

static bool is_over(void *arg)
{
	uint64_t n;

	(void)arg;
	cr_assert_eq(read(wake, &n, sizeof(n)), sizeof(n));
	return ends;
}

static void *serve(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)orders_serve(&orders, signals);
}

static void begin(void)
{
	sigset_t none;

	sigemptyset(&none);
	signals = signalfd(-1, &none, SFD_CLOEXEC);
	cr_assert_not_null(mkdtemp(dir));
	for (size_t i = 0; i < 2; i++)
		listeners[i] = dup(STDERR_FILENO);
	orders = (struct orders){ .listener = proxy_link_bind(dir, 0),
				  .listeners = listeners,
				  .count = 2,
				  .identity = "who",
				  .snapshot = take_snapshot,
				  .patch = take_patch,
				  .requests = tell_requests,
				  .log = take_log,
				  .follow = take_follow,
				  .trace = take_trace,
				  .credentials = take_credentials,
				  .tell_tickets = write_tickets,
				  .take_tickets = read_tickets,
				  .tell_identities = write_tickets,
				  .take_identities = take_identities,
				  .succeed = take_clients,
				  .drain = let_go,
				  .wake = (wake = eventfd(0, EFD_CLOEXEC)),
				  .alarm = -1,
				  .over = is_over };
	cr_assert_geq(orders.listener, 0);
	cr_assert_eq(orders_listen(orders.listener), 0);
	cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void end(void)
{
	proxy_link_remove(dir, 0);
	rmdir(dir);
	close(orders.listener);
	close(signals);
	close(listeners[0]);
	close(listeners[1]);
}

TestSuite(proxy_orders, .init = begin, .fini = end);

static int reach(void)
{
	pid_t pid;
	int conn = proxy_link_connect(dir, 0, &pid);

	cr_assert_geq(conn, 0);
	cr_assert_eq(pid, getpid());
	return conn;
}

/* What is answered; -1 as the type: a message that is no order. */
static int ask(int conn, int type, int fd)
{
	const struct proxy_order order = { .type = (uint32_t)type, .sequence = 7 };
	struct proxy_reply reply;

	if (type < 0)
		cr_assert_eq(write(conn, "x", 1), 1);
	else
		cr_assert_eq(proxy_link_send(conn, &order, fd, NULL, 0), 0);
	cr_assert_eq(proxy_link_receive(conn, WAIT_MS, &reply, sizeof(reply), NULL, NULL), 0);
	cr_assert(type < 0 || (reply.sequence == 7 && reply.type == order.type));
	return reply.error;
}

static void quit(int conn)
{
	const struct proxy_order order = { .type = PROXY_QUIT };
	void *r;

	cr_assert_eq(proxy_link_send(conn, &order, -1, NULL, 0), 0);
	cr_assert_eq(pthread_join(thread, &r), 0);
	cr_assert_null(r);
}

Test(proxy_orders, hello_hands_the_listening_sockets_out)
{
	const struct proxy_order order = { .type = PROXY_HELLO, .sequence = 1 };
	_cleanup_close_ int conn = reach();
	int fds[PROXY_MAX_WORKERS];
	struct proxy_hello hello;
	unsigned count = 0;

	cr_assert_eq(proxy_link_send(conn, &order, -1, NULL, 0), 0);
	cr_assert_eq(proxy_link_receive(conn, WAIT_MS, &hello, sizeof(hello), fds, &count), 0);
	cr_assert_eq(hello.reply.error, 0);
	cr_assert_str_eq(hello.version, WEFT_VERSION);
	cr_assert_str_eq(hello.identity, "who");
	cr_assert_eq(hello.workers, 2);
	cr_assert_eq(hello.can, PROXY_CAN_DRAIN | PROXY_CAN_READ);
	cr_assert_eq(count, 2);
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(close(fds[i]), 0);
	quit(conn);
}

Test(proxy_orders, a_snapshot_is_answered_as_it_was_taken)
{
	_cleanup_close_ int conn = reach();

	cr_assert_eq(ask(conn, PROXY_SNAPSHOT, signals), 0);
	cr_assert_eq(snapshots, 1);
	snapshot_error = -EBADMSG;
	cr_assert_eq(ask(conn, PROXY_SNAPSHOT, signals), -EBADMSG);
	cr_assert_eq(snapshots, 2);
	snapshot_error = 0;
	cr_assert_eq(ask(conn, PROXY_SNAPSHOT, -1), -EBADMSG, "without a file");
	cr_assert_eq(snapshots, 2);
	quit(conn);
}

Test(proxy_orders, credentials_are_answered_as_they_were_taken)
{
	_cleanup_close_ int conn = reach();

	cr_assert_eq(ask(conn, PROXY_CREDENTIALS, signals), 0);
	cr_assert_eq(credentials, 1);
	credentials_error = -EBADMSG;
	cr_assert_eq(ask(conn, PROXY_CREDENTIALS, signals), -EBADMSG);
	cr_assert_eq(credentials, 2);
	cr_assert_eq(ask(conn, PROXY_CREDENTIALS, -1), -EBADMSG, "without a file");
	cr_assert_eq(credentials, 2);
	quit(conn);
}

Test(proxy_orders, requests_go_into_the_file)
{
	_cleanup_close_ int conn = reach(), fd = memfd_create("requests", MFD_CLOEXEC);
	char told[8] = "";

	cr_assert_eq(ask(conn, PROXY_REQUESTS, fd), 0);
	cr_assert_eq(pread(fd, told, sizeof(told) - 1, 0), 4);
	cr_assert_str_eq(told, "told");
	cr_assert_eq(ask(conn, PROXY_REQUESTS, -1), -EBADMSG, "without a file");
	quit(conn);
}

Test(proxy_orders, tickets_go_from_one_file_to_the_other)
{
	_cleanup_close_ int conn = reach(), fd = memfd_create("tickets", MFD_CLOEXEC);

	cr_assert_eq(ask(conn, PROXY_TICKETS, fd), 0);
	cr_assert_eq(ask(conn, PROXY_TAKE_TICKETS, fd), 0);
	cr_assert_eq(tickets, 1);
	cr_assert_eq(ask(conn, PROXY_TICKETS, -1), -EBADMSG, "without a file");
	cr_assert_eq(ask(conn, PROXY_TAKE_TICKETS, -1), -EBADMSG);
	quit(conn);
}

Test(proxy_orders, identities_go_from_one_file_to_the_other)
{
	_cleanup_close_ int conn = reach(), fd = memfd_create("identities", MFD_CLOEXEC);
	char told[8] = "";

	cr_assert_eq(ask(conn, PROXY_IDENTITIES, fd), 0);
	cr_assert_eq(pread(fd, told, sizeof(told) - 1, 0), 4);
	cr_assert_eq(ask(conn, PROXY_TAKE_IDENTITIES, fd), 0);
	cr_assert_eq(identities, 1);
	cr_assert_eq(ask(conn, PROXY_IDENTITIES, -1), -EBADMSG, "without a file");
	cr_assert_eq(ask(conn, PROXY_TAKE_IDENTITIES, -1), -EBADMSG);
	quit(conn);
}

Test(proxy_orders, what_it_does_not_know_is_refused)
{
	_cleanup_close_ int conn = reach();

	cr_assert_eq(ask(conn, 0, -1), -EOPNOTSUPP);
	cr_assert_eq(ask(conn, 1000, -1), -EOPNOTSUPP);
	cr_assert_eq(ask(conn, -1, -1), -EOPNOTSUPP);
	quit(conn);
}

Test(proxy_orders, the_next_weftd_is_served_when_one_has_gone)
{
	_cleanup_close_ int first = reach(), second = reach();

	cr_assert_eq(ask(first, PROXY_SNAPSHOT, signals), 0);
	close(first);
	first = -1;
	cr_assert_eq(ask(second, PROXY_SNAPSHOT, signals), 0);
	quit(second);
}

static int order_with(int conn, struct proxy_order o, int fd, const void *bytes, size_t size)
{
	struct proxy_reply reply;

	cr_assert_eq(proxy_link_send(conn, &o, fd, bytes, size), 0);
	cr_assert_eq(proxy_link_receive(conn, WAIT_MS, &reply, sizeof(reply), NULL, NULL), 0);
	cr_assert_eq(reply.type, o.type);
	return reply.error;
}

static int order(int conn, struct proxy_order o, int fd)
{
	return order_with(conn, o, fd, NULL, 0);
}

Test(proxy_orders, a_patch_says_what_it_is_of)
{
	const struct proxy_order whole = { .type = PROXY_SNAPSHOT, .snapshot = { .state = 5 } };
	const struct proxy_order patch = { .type = PROXY_PATCH, .snapshot = { 6, 5 } };
	_cleanup_close_ int conn = reach();

	cr_assert_eq(order(conn, whole, signals), 0);
	cr_assert_eq(order(conn, patch, -1), -EBADMSG, "without a file or bytes");
	cr_assert_eq(order(conn, patch, signals), 0);
	cr_assert_eq(snapshots, 2);
	cr_assert_eq(state, 6);
	cr_assert_eq(order(conn, patch, signals), -ESTALE);
	quit(conn);
}

Test(proxy_orders, a_patch_may_be_behind_its_order)
{
	static char bytes[PROXY_ORDER_BYTES + 100];
	const struct proxy_order whole = { .type = PROXY_SNAPSHOT, .snapshot = { .state = 5 } };
	_cleanup_close_ int conn = reach();

	memset(bytes, 7, sizeof(bytes));
	cr_assert_eq(order(conn, whole, signals), 0);
	cr_assert_eq(order_with(conn, (struct proxy_order){ PROXY_PATCH, 0, { { 6, 5 } } }, -1,
				"abc", 3),
		     0);
	cr_assert_eq(state, 6);
	cr_assert_eq(behind_size, 3);
	cr_assert(!memcmp(behind, "abc", 3));
	cr_assert_eq(order_with(conn, (struct proxy_order){ PROXY_PATCH, 0, { { 7, 6 } } }, -1,
				bytes, PROXY_ORDER_BYTES),
		     0);
	cr_assert_eq(behind_size, PROXY_ORDER_BYTES);
	cr_assert(!memcmp(behind, bytes, PROXY_ORDER_BYTES));
	for (size_t more = 1; more <= 100; more += 99)
		cr_assert_eq(order_with(conn, (struct proxy_order){ PROXY_PATCH, 0, { { 8, 7 } } },
					-1, bytes, PROXY_ORDER_BYTES + more),
			     -EOPNOTSUPP, "too long, and not cut");
	cr_assert_eq(state, 7);
	cr_assert_eq(order_with(conn, whole, signals, "abc", 3), -EOPNOTSUPP,
		     "no other order has any");
	quit(conn);
}

Test(proxy_orders, the_access_log_goes_where_weftd_says)
{
	_cleanup_close_ int conn = reach();

	cr_assert_eq(order(conn, (struct proxy_order){ .type = PROXY_LOG, .json = 1 }, signals), 0);
	cr_assert_geq(logged, 0);
	cr_assert_eq(json, 1);
	close(logged);
	cr_assert_eq(order(conn, (struct proxy_order){ .type = PROXY_LOG }, -1), 0);
	cr_assert_eq(logged, -1, "nowhere");
	quit(conn);
}

Test(proxy_orders, what_follows_requests_is_told_them)
{
	_cleanup_close_ int conn = reach();

	cr_assert_eq(ask(conn, PROXY_FOLLOW, signals), 0);
	cr_assert_geq(followed, 0);
	close(followed);
	cr_assert_eq(ask(conn, PROXY_FOLLOW, -1), 0);
	cr_assert_eq(followed, -1, "nothing does any more");
	quit(conn);
}

Test(proxy_orders, spans_go_where_weftd_says)
{
	_cleanup_close_ int conn = reach();

	cr_assert_eq(ask(conn, PROXY_TRACE, signals), 0);
	cr_assert_geq(traced, 0);
	close(traced);
	cr_assert_eq(ask(conn, PROXY_TRACE, -1), 0);
	cr_assert_eq(traced, -1, "nowhere");
	quit(conn);
}

Test(proxy_orders, one_that_drains_ends_by_itself)
{
	const struct proxy_order drain = { .type = PROXY_DRAIN, .drain = { 4500, 2 } };
	const uint64_t one = 1;
	_cleanup_close_ int conn = reach();
	void *r;

	cr_assert_eq(order(conn, (struct proxy_order){ .type = PROXY_SUCCEED }, signals), 0);
	cr_assert_geq(clients, 0);
	cr_assert_eq(ask(conn, PROXY_SUCCEED, -1), -EBADMSG, "without a socket");
	cr_assert_eq(ask(conn, PROXY_DRAIN, -1), -EBADMSG);
	cr_assert_eq(order(conn, drain, signals), 0);
	cr_assert_eq(drain_ms, 4500);
	cr_assert_eq(drain_shared, 2);
	cr_assert_eq(write(wake, &one, sizeof(one)), sizeof(one));
	cr_assert_eq(ask(conn, PROXY_SNAPSHOT, signals), 0, "not all workers have drained");
	ends = true;
	cr_assert_eq(write(wake, &one, sizeof(one)), sizeof(one));
	cr_assert_eq(pthread_join(thread, &r), 0);
	cr_assert_null(r);
}

Test(proxy_orders, the_one_that_serves_has_a_name_of_its_own)
{
	_cleanup_close_ int conn = reach(), other = proxy_link_bind(dir, 5), found = -1;
	pid_t pid;

	cr_assert_geq(other, 0);
	cr_assert_eq(proxy_link_served(dir), -ENOENT);
	cr_assert_eq(proxy_link_connect(dir, PROXY_SERVES, &pid), -ENOENT);
	cr_assert_eq(proxy_link_serve(dir, 5), 0);
	cr_assert_eq(proxy_link_served(dir), 5);
	cr_assert_eq(proxy_link_serve(dir, 0), 0);
	cr_assert_eq(proxy_link_served(dir), 0);
	found = proxy_link_connect(dir, PROXY_SERVES, &pid);
	cr_assert_geq(found, 0);
	proxy_link_remove(dir, 5);
	cr_assert_eq(proxy_link_connect(dir, 5, &pid), -ENOENT);
	proxy_link_remove(dir, PROXY_SERVES);
	quit(conn);
}
