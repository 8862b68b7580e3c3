// SPDX-License-Identifier: Apache-2.0
/*
 * A proxy that takes its time, as weftd's end of the connection sees it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/route/pack.h"
#include "lib/route/patch.h"

static struct supervisor s;
static int proxy; /* its end */
static int results[8], count;

static void setup(void)
{
	int fds[2];

	log_set("test", LOG_LEVEL_ERROR);
	cr_assert_not_null(freopen("/dev/null", "w", stderr));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	proxy = fds[0];
	s = (struct supervisor){ .begun = true, .proxy = proxy_process_none };
	s.proxy.conn = fds[1];
	cr_assert_eq(event_loop_open(&s.loop), 0);
	cr_assert_eq(event_timer_open(s.loop, &s.order_timer, orders_overdue, &s), 0);
}

static void teardown(void)
{
	orders_free(&s);
	http_snapshot_close(s.snapshot);
	event_timer_close(&s.order_timer);
	event_loop_close(s.loop);
	close(s.proxy.conn);
	close(proxy);
}

TestSuite(supervisor_orders, .init = setup, .fini = teardown);

static void note(struct supervisor *unused, struct order *o, const struct answer *a)
{
	(void)unused;
	(void)o;
	results[count++] = a->error;
}

static void give(enum proxy_order_type type, unsigned limit_ms)
{
	struct order *o = order_new(type, -1, note);

	cr_assert_not_null(o);
	order_give(&s, o, limit_ms);
}

/* Behind the order that was read last. */
static char behind[PROXY_ORDER_BYTES];
static size_t behind_size;

/* That the proxy reads; its file goes into *fd, or is closed. */
static struct proxy_order next_order(int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space;
	struct proxy_order order;
	struct iovec parts[] = { { &order, sizeof(order) }, { behind, sizeof(behind) } };
	struct msghdr m = { .msg_iov = parts,
			    .msg_iovlen = 2,
			    .msg_control = &space,
			    .msg_controllen = sizeof(space) };
	int file = -1;
	ssize_t n = recvmsg(proxy, &m, MSG_DONTWAIT);

	cr_assert_geq(n, (ssize_t)sizeof(order));
	cr_assert_not(m.msg_flags & MSG_TRUNC);
	behind_size = (size_t)n - sizeof(order);
	if (CMSG_FIRSTHDR(&m))
		memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(file));
	if (fd)
		*fd = file;
	else if (file >= 0)
		close(file);
	return order;
}

static uint32_t take(void)
{
	return next_order(NULL).sequence;
}

static void answer(uint32_t sequence, int error)
{
	const struct proxy_reply reply = { PROXY_SNAPSHOT, sequence, error, 0 };

	cr_assert_eq(send(proxy, &reply, sizeof(reply), 0), sizeof(reply));
}

Test(supervisor_orders, a_late_answer_is_a_late_callback_and_finds_its_order)
{
	uint32_t first, second;

	give(PROXY_REQUESTS, 10000);
	give(PROXY_SNAPSHOT, 10000);
	first = take();
	second = take();
	cr_expect_eq(orders_read(&s), 0);
	cr_expect_eq(count, 0, "nothing is answered yet");
	answer(second, -EBADMSG);
	answer(77, 0); /* to nothing that was asked */
	answer(first, 0);
	cr_expect_eq(orders_read(&s), 0);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[0], -EBADMSG);
	cr_expect_eq(results[1], 0);
	answer(first, 0);
	cr_expect_eq(orders_read(&s), 0);
	cr_expect_eq(count, 2, "no order is answered twice");
}

Test(supervisor_orders, an_order_whose_time_is_up_ends_and_the_others_wait_on)
{
	uint64_t begun = clock_ms();

	give(PROXY_REQUESTS, 10000);
	give(PROXY_REQUESTS, 50);
	while (!count)
		cr_assert_eq(event_loop_turn(s.loop, 1000), 0);
	cr_expect_geq(clock_ms(), begun + 49);
	cr_expect_eq(results[0], -ETIMEDOUT);
	answer(take(), 0);
	(void)take();
	cr_expect_eq(orders_read(&s), 0);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[1], 0);
}

static bool is_asked(void)
{
	char byte;

	return recv(proxy, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

Test(supervisor_orders, certificates_that_are_refused_are_given_again)
{
	struct proxy_order first;

	s.credentials = -1;
	s.proxy.pidfd = s.proxy.conn; /* there is one */
	cr_assert_eq(supervisor_credentials(&s, "keys", 4), 0);
	first = next_order(NULL);
	cr_expect_eq(first.type, PROXY_CREDENTIALS);
	supervisor_credentials_again(&s);
	cr_expect(!is_asked(), "it has not answered yet");
	answer(first.sequence, -ENOMEM);
	cr_expect_eq(orders_read(&s), 0);
	supervisor_credentials_again(&s);
	cr_assert(is_asked());
	first = next_order(NULL);
	cr_expect_eq(first.type, PROXY_CREDENTIALS);
	answer(first.sequence, 0);
	cr_expect_eq(orders_read(&s), 0);
	supervisor_credentials_again(&s);
	cr_expect(!is_asked(), "it has taken them");
	close(s.credentials);
}

Test(supervisor_orders, only_a_snapshot_outlives_the_proxy_and_only_once)
{
	give(PROXY_REQUESTS, 10000);
	give(PROXY_SNAPSHOT, 10000);
	cr_expect(orders_must_repeat(&s));
	s.proxy.pidfd = 0; /* the next one runs already */
	orders_died(&s);
	cr_assert_eq(count, 1);
	cr_expect_eq(results[0], -ECONNRESET);
	cr_expect_not(orders_must_repeat(&s));
	orders_died(&s);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[1], -ECONNRESET);
	s.proxy.pidfd = -1;
}

Test(supervisor_orders, a_proxy_that_says_nothing_any_more_is_told_apart_from_a_slow_one)
{
	give(PROXY_REQUESTS, 10000);
	cr_expect_eq(orders_read(&s), 0);
	shutdown(proxy, SHUT_RDWR);
	cr_expect_eq(orders_read(&s), -ECONNRESET);
	cr_expect_eq(count, 0, "its end is what ends orders");
}

static struct http_snapshot *empty_snapshot(void)
{
	const struct http_part parts[HS_TABLES] = { 0 };
	struct http_snapshot *out;
	void *bytes;
	size_t size;

	cr_assert_eq(http_pack(parts, &bytes, &size), 0);
	cr_assert_eq(http_snapshot_own(bytes, size, &out), 0);
	return out;
}

/* A loop that fails at once: its descriptor is a socket. */
static struct event_loop *broken_loop(void)
{
	int next = dup(proxy); /* the number that the loop gets */
	struct event_loop *loop;

	close(next);
	cr_assert_eq(event_loop_open(&loop), 0);
	cr_assert_eq(dup2(proxy, next), next);
	return loop;
}

Test(supervisor_orders, no_order_outlives_a_start_that_fails)
{
	struct event_loop *loop = s.loop;
	struct http_snapshot *snapshot = empty_snapshot();
	int nothing[2], r;

	cr_assert_eq(pipe(nothing), 0);
	s.proxy.pidfd = nothing[0]; /* it runs */
	s.took_over = true;
	s.loop = broken_loop();
	r = supervisor_snapshot_first(&s, 1, snapshot);
	event_loop_close(s.loop);
	s.loop = loop;
	cr_expect_eq(r, -EINVAL);
	cr_expect_null(s.orders, "its callback would write to a stack that is gone");
	cr_expect(s.took_over, "the proxy is not to blame");
	answer(take(), 0);
	cr_expect_eq(orders_read(&s), 0);
	cr_expect_null(s.snapshot);
	s.proxy.pidfd = -1;
	http_snapshot_close(snapshot);
}

/* ---- snapshots and patches ---- */

/* So many more pods than the last one had. */
static struct http_snapshot *with_pods(const struct http_snapshot *from, size_t count)
{
	static unsigned pods;
	_cleanup_free_ struct hs_patch_source *each = calloc(count, sizeof(*each));
	const struct http_patch_rows rows = { .sources = each, .source_count = count };
	_cleanup_free_ void *bytes = NULL;
	struct http_snapshot *out;
	size_t size;

	for (size_t i = 0; i < count; i++, pods++)
		each[i] = (struct hs_patch_source){
			.row = { .addr = { { [14] = pods / 250, [15] = 1 + pods % 250 } }, .ns = 1 }
		};
	cr_assert_eq(http_patch_pack(&rows, &bytes, &size), 0);
	cr_assert_eq(http_snapshot_patched(from, bytes, size, &out), 0);
	return out;
}

static struct http_snapshot *patched(const struct http_snapshot *from)
{
	return with_pods(from, 1);
}

static void note_result(void *arg, int r)
{
	(void)arg;
	results[count++] = r;
}

/* Runs, as far as the supervisor knows, and has taken over all that there was. */
static void runs(void)
{
	int nothing[2];

	cr_assert_eq(pipe(nothing), 0);
	s.proxy.pidfd = nothing[0];
	s.succeeds = true;
}

/* Hands it over; what the proxy is asked for, in the order, and its file if `fd` is not NULL. */
static struct proxy_order hand_over(struct http_snapshot *snapshot, int *fd)
{
	supervisor_snapshot(&s, 1, snapshot, note_result, NULL);
	return next_order(fd);
}

static void answer_all(struct proxy_order order, int error)
{
	answer(order.sequence, error);
	cr_assert_eq(orders_read(&s), 0);
}

/* The proxy has exactly what the snapshot says. */
static void want_whole(int fd, const struct http_snapshot *snapshot)
{
	_cleanup_free_ void *want = NULL, *got = NULL;
	size_t size;

	cr_assert_eq(http_snapshot_pack(snapshot, &want, &size), 0);
	got = malloc(size + 1);
	cr_assert_eq(pread(fd, got, size + 1, 0), (ssize_t)size);
	cr_expect(!memcmp(got, want, size));
	close(fd);
}

/* Gone over to, the first as a whole. */
static struct http_snapshot *first_two(struct proxy_order *last)
{
	struct http_snapshot *a = empty_snapshot(), *b = patched(a);
	int fd;

	*last = hand_over(a, &fd);
	cr_assert_eq(last->type, PROXY_SNAPSHOT);
	want_whole(fd, a);
	answer_all(*last, 0);
	cr_expect_eq(s.snapshot, a);
	*last = hand_over(b, NULL);
	answer_all(*last, 0);
	cr_expect_eq(s.snapshot, b);
	cr_assert_eq(count, 2);
	http_snapshot_close(a);
	return b;
}

Test(supervisor_orders, what_is_patched_is_handed_over_as_a_patch)
{
	struct http_snapshot *a = empty_snapshot(), *b = patched(a), *c = patched(b);
	struct proxy_order first, second;
	const void *want;
	char got[4096];
	size_t size;
	int fd;

	runs();
	first = hand_over(a, NULL);
	answer_all(first, 0);
	second = hand_over(b, &fd);
	cr_assert_eq(second.type, PROXY_PATCH);
	cr_expect_eq(second.snapshot.before, first.snapshot.state);
	cr_expect_neq(second.snapshot.state, first.snapshot.state);
	want = http_snapshot_patch(b, a, &size);
	cr_assert_eq(pread(fd, got, sizeof(got), 0), (ssize_t)size);
	cr_expect(!memcmp(got, want, size));
	close(fd);
	answer_all(second, 0);
	cr_expect(supervisor_has_snapshot(&s, b));
	cr_expect_not(supervisor_has_snapshot(&s, c));
	cr_expect_eq(supervisor_in_force(&s), b);
	http_snapshot_close(a);
	http_snapshot_close(b);
	http_snapshot_close(c);
}

Test(supervisor_orders, a_short_patch_needs_no_file)
{
	struct http_snapshot *a = empty_snapshot(), *b = patched(a), *c = with_pods(b, 1000);
	struct proxy_order order;
	const void *want;
	size_t size;
	int fd;

	runs();
	s.can = PROXY_CAN_READ;
	answer_all(hand_over(a, NULL), 0);
	cr_expect_eq(behind_size, 0);
	order = hand_over(b, &fd);
	cr_assert_eq(order.type, PROXY_PATCH);
	cr_expect_eq(fd, -1);
	want = http_snapshot_patch(b, a, &size);
	cr_expect_eq(behind_size, size);
	cr_expect(!memcmp(behind, want, size));
	answer_all(order, 0);
	order = hand_over(c, &fd);
	cr_assert_eq(order.type, PROXY_PATCH);
	cr_expect_geq(fd, 0, "that is too long");
	cr_expect_eq(behind_size, 0);
	close(fd);
	answer_all(order, 0);
	cr_expect_eq(supervisor_in_force(&s), c);
	http_snapshot_close(a);
	http_snapshot_close(b);
	http_snapshot_close(c);
}

Test(supervisor_orders, what_was_made_otherwise_is_handed_over_as_a_whole)
{
	struct proxy_order last;
	struct http_snapshot *b, *c, *d;
	int fd;

	runs();
	b = first_two(&last);
	c = patched(b);
	d = patched(c); /* the proxy has not seen `c` */
	last = hand_over(d, &fd);
	cr_assert_eq(last.type, PROXY_SNAPSHOT);
	want_whole(fd, d);
	answer_all(last, 0);
	http_snapshot_close(b);
	http_snapshot_close(c);
	http_snapshot_close(d);
}

/* `error`: of a proxy that does not know how to, or has something else. */
static void refuses_patches(int error, enum proxy_order_type next)
{
	struct proxy_order last;
	struct http_snapshot *b, *c, *d;
	int fd;

	runs();
	b = first_two(&last);
	c = patched(b);
	last = hand_over(c, NULL);
	cr_assert_eq(last.type, PROXY_PATCH);
	answer_all(last, error);
	cr_assert_eq(count, 2, "it is asked again first");
	last = next_order(&fd);
	cr_assert_eq(last.type, PROXY_SNAPSHOT);
	want_whole(fd, c);
	answer_all(last, 0);
	cr_assert_eq(count, 3);
	cr_expect_eq(results[2], 0);
	d = patched(c);
	last = hand_over(d, NULL);
	cr_expect_eq(last.type, next);
	answer_all(last, 0);
	http_snapshot_close(b);
	http_snapshot_close(c);
	http_snapshot_close(d);
}

Test(supervisor_orders, an_older_proxy_gets_whole_snapshots)
{
	refuses_patches(-EOPNOTSUPP, PROXY_SNAPSHOT);
}

Test(supervisor_orders, a_proxy_that_has_something_else_gets_one_whole_snapshot)
{
	refuses_patches(-ESTALE, PROXY_PATCH);
}

Test(supervisor_orders, after_a_refusal_it_is_not_known_what_the_proxy_has)
{
	struct proxy_order last;
	struct http_snapshot *b, *other = empty_snapshot(), *c;

	runs();
	b = first_two(&last);
	c = patched(b);
	last = hand_over(other, NULL);
	answer_all(last, -EBADMSG);
	cr_expect_eq(results[2], -EBADMSG);
	cr_expect_eq(s.snapshot, b);
	last = hand_over(c, NULL);
	cr_expect_eq(last.type, PROXY_SNAPSHOT);
	answer_all(last, 0);
	http_snapshot_close(b);
	http_snapshot_close(c);
	http_snapshot_close(other);
}

/* `can`: of the proxies. */
static void repeats(uint32_t can)
{
	struct proxy_order patch, again;
	struct http_snapshot *b, *c;
	const void *want;
	size_t size;
	int fd;

	runs();
	s.can = can;
	b = first_two(&again);
	c = patched(b);
	patch = hand_over(c, NULL);
	want = http_snapshot_patch(c, b, &size);
	cr_expect_eq(behind_size, can ? size : 0);
	cr_assert_eq(orders_restore(&s), 0); /* as to a new one */
	again = next_order(&fd);
	cr_assert_eq(again.type, PROXY_SNAPSHOT);
	cr_expect_eq(again.snapshot.state, patch.snapshot.before);
	want_whole(fd, b);
	http_snapshot_close(c); /* it is the order's alone now */
	orders_died(&s);
	again = next_order(NULL);
	cr_expect_eq(again.type, PROXY_PATCH);
	cr_expect_eq(again.snapshot.before, patch.snapshot.before);
	cr_expect_eq(behind_size, can ? size : 0);
	cr_expect(!memcmp(behind, want, behind_size));
	answer_all(again, 0);
	cr_assert_eq(count, 3);
	cr_expect_eq(results[2], 0);
	cr_expect_eq(s.snapshot, c);
	http_snapshot_close(b);
}

Test(supervisor_orders, the_next_proxy_gets_what_is_in_force_and_then_the_patch)
{
	repeats(0);
}

Test(supervisor_orders, the_next_proxy_gets_a_patch_without_a_file_too)
{
	repeats(PROXY_CAN_READ);
}

/* It does not look at what is behind an order, and misses the file. */
Test(supervisor_orders, an_older_proxy_is_given_files_from_then_on)
{
	struct proxy_order last;
	struct http_snapshot *b, *c, *d;
	int fd;

	runs();
	s.can = PROXY_CAN_READ;
	b = first_two(&last);
	c = patched(b);
	last = hand_over(c, &fd);
	cr_assert_eq(last.type, PROXY_PATCH);
	cr_expect_eq(fd, -1);
	answer_all(last, -EBADMSG);
	last = next_order(&fd);
	cr_assert_eq(last.type, PROXY_SNAPSHOT);
	want_whole(fd, c);
	answer_all(last, 0);
	d = patched(c);
	last = hand_over(d, &fd);
	cr_expect_eq(last.type, PROXY_PATCH);
	cr_expect_geq(fd, 0);
	cr_expect_eq(behind_size, 0);
	close(fd);
	answer_all(last, 0);
	cr_expect_eq(supervisor_in_force(&s), d);
	http_snapshot_close(b);
	http_snapshot_close(c);
	http_snapshot_close(d);
}

/* The proxy looks things up in patches, and keeps them: not without end. */
Test(supervisor_orders, now_and_then_all_of_it_is_handed_over)
{
	struct http_snapshot *last = empty_snapshot();
	unsigned whole = 0, in_a_row = 0, most = 0;
	int fd;

	runs();
	for (int i = 0; i < 1000; i++) {
		struct http_snapshot *next = patched(last);
		struct proxy_order o = hand_over(next, &fd);

		if (o.type == PROXY_SNAPSHOT) {
			want_whole(fd, next);
			whole++;
			in_a_row = 0;
		} else {
			close(fd);
			most = ++in_a_row > most ? in_a_row : most;
		}
		answer_all(o, 0);
		count = 0;
		http_snapshot_close(last);
		last = next;
	}
	cr_expect_gt(whole, 3u);
	cr_expect_leq(most, 256u);
	http_snapshot_close(last);
}

/* ---- requests ---- */

/* Of the sanitizer: bytes that are allocated and not freed. */
size_t __sanitizer_get_current_allocated_bytes(void);

static void note_requests(void *arg, int r, const struct supervisor_request *rows, size_t n)
{
	(void)rows;
	cr_expect_eq(arg, &s);
	cr_expect_eq(n, 0u);
	note_result(NULL, r);
}

Test(supervisor_orders, one_that_asks_for_requests_is_answered_even_at_the_end)
{
	size_t before;

	runs();
	before = __sanitizer_get_current_allocated_bytes();
	supervisor_requests(&s, note_requests, &s);
	supervisor_requests(&s, note_requests, &s);
	cr_expect_eq(next_order(NULL).type, PROXY_REQUESTS);
	cr_expect_eq(count, 0);
	orders_free(&s);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[0], -ECANCELED);
	cr_expect_eq(results[1], -ECANCELED);
	cr_expect_null(s.orders);
	cr_expect_eq(__sanitizer_get_current_allocated_bytes(), before);
}

Test(supervisor_orders, only_what_asks_for_requests_is_cancelled)
{
	struct http_snapshot *a = empty_snapshot();
	struct proxy_order order;

	runs();
	order = hand_over(a, NULL);
	supervisor_requests(&s, note_requests, &s);
	supervisor_cancel_requests(&s);
	cr_assert_eq(count, 1);
	cr_expect_eq(results[0], -ECANCELED);
	answer_all(order, 0);
	cr_assert_eq(count, 2);
	cr_expect_eq(results[1], 0);
	http_snapshot_close(a);
}
