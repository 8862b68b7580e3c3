// SPDX-License-Identifier: Apache-2.0
/*
 * A weft-proxy that an attacker has broken into: what it says and writes does no harm to weftd, nor
 * to the weft-proxy that comes after it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/supervisor/listeners.h"
#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/route/ejections.h"
#include "proxy/process/sandbox.h"
#include "proxy/stats/stats.h"

TestSuite(untrusted_proxy, .timeout = 60);

/* ---- rows ---- */

Test(untrusted_proxy, endless_requests_are_cut)
{
	_cleanup_free_ struct proxy_request *rows = NULL;
	_cleanup_close_ int fd = memfd_create("requests", MFD_CLOEXEC);
	size_t count = 0;

	cr_assert_eq(ftruncate(fd, (off_t)1 << 40), 0);
	cr_assert_eq(proxy_words_requests(fd, &rows, &count), 0);
	cr_expect_eq(count, PROXY_REQUESTS_MAX);
}

Test(untrusted_proxy, texts_end_and_are_text)
{
	_cleanup_free_ struct proxy_request *rows = NULL;
	_cleanup_close_ int fd = memfd_create("requests", MFD_CLOEXEC);
	struct proxy_request bad;
	size_t count = 0;

	memset(&bad, 0xff, sizeof(bad));
	memcpy(bad.path, "\033]0;\302\233\303\244", 9);
	cr_assert_eq(write(fd, &bad, sizeof(bad)), (ssize_t)sizeof(bad));
	cr_assert_eq(write(fd, &bad, 100), 100); /* less than a row */
	cr_assert_eq(proxy_words_requests(fd, &rows, &count), 0);
	cr_assert_eq(count, 1);
	cr_expect_eq(strlen(rows->state), sizeof(rows->state) - 1);
	cr_expect_eq(strlen(rows->cluster), sizeof(rows->cluster) - 1);
	cr_expect_eq(strlen(rows->authority), sizeof(rows->authority) - 1);
	cr_expect_eq(rows->state[0], '?');
	cr_expect_str_eq(rows->path, "?]0;??\303\244");
}

/* What one has left in the maps is read by all that come after it. */
Test(untrusted_proxy, names_in_its_maps_end_for_the_next_one)
{
	_cleanup_close_ int clusters = memfd_create("clusters", MFD_CLOEXEC),
			    routes = memfd_create("routes", MFD_CLOEXEC);
	struct http_cluster_stat row, *found;
	struct stats *s;

	cr_assert_eq(ftruncate(clusters, HTTP_STAT_ROWS * sizeof(row)), 0);
	cr_assert_eq(ftruncate(routes, HTTP_STAT_ROWS * sizeof(struct http_route_stat)), 0);
	memset(&row, 'x', sizeof(row));
	for (off_t i = 1; i < HTTP_STAT_ROWS; i++) {
		row.name[0] = i == HTTP_STAT_ROWS - 1 ? 0 : 'x';
		cr_assert_eq(pwrite(clusters, &row, sizeof(row), i * (off_t)sizeof(row)),
			     (ssize_t)sizeof(row));
	}
	cr_assert_eq(stats_open(clusters, routes, &s), 0);
	found = stats_cluster(s, "good", 4);
	cr_expect_str_eq(found->name, "good");
	stats_close(s);
}

Test(untrusted_proxy, an_ejection_is_believed_as_far_as_the_rules_allow_it)
{
	enum { NOW = 1000000, MOST = NOW + 300000 + 10000 };
	const struct hs_cluster plain = { 0 }, c = {
		.outliers = { .given = 1, .max_ejection_ms = 300000, .interval_ms = 10000 }
	};
	struct http_ejection rows[HTTP_EJECTED_MAX];

	memset(rows, 0xff, sizeof(rows));
	rows[1] = (struct http_ejection){ 7, NOW / 100 + 21, 0, 0 };
	rows[2] = (struct http_ejection){ 8, NOW / 100, 0, 0 };
	rows[3] = (struct http_ejection){ 9, UINT32_MAX, 0, 0 };
	rows[HTTP_EJECTED_MAX - 1] = (struct http_ejection){ 10, NOW / 100 + 1, 0, 0 };
	cr_expect_eq(http_ejected_until(&c, rows, 7, NOW), NOW + 2100u);
	cr_expect_eq(http_ejected_until(&c, rows, 8, NOW), 0u, "it is back");
	cr_expect_eq(http_ejected_until(&c, rows, 9, NOW), (__u64)MOST, "no longer than can be");
	cr_expect_eq(http_ejected_until(&c, rows, 10, NOW), NOW + 100u);
	cr_expect_eq(http_ejected_until(&c, rows, 11, NOW), 0u, "it says nothing of that one");
	cr_expect_eq(http_ejected_until(&plain, rows, 7, NOW), 0u, "no outlier detection");
}

/* ---- answers ---- */

static bool stop;

static void *flood(void *fd)
{
	const struct proxy_reply said = { .type = PROXY_REQUESTS, .sequence = 77 };

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		if (send(*(int *)fd, &said, sizeof(said), MSG_NOSIGNAL) < 0)
			break;
	return NULL;
}

/* It answers what it was not asked for, for ever. */
Test(untrusted_proxy, who_answers_without_end_is_heard_no_longer)
{
	struct supervisor s = { .proxy = proxy_process_none };
	pthread_t thread;
	int ends[2], r = 0;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	s.proxy.conn = ends[0];
	cr_assert_eq(pthread_create(&thread, NULL, flood, &ends[1]), 0);
	for (int i = 0; !r && i < 1000; i++) {
		usleep(1000);
		r = orders_read(&s);
	}
	cr_expect_eq(r, -ECONNRESET);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	close(ends[0]);
	pthread_join(thread, NULL);
	close(ends[1]);
}

Test(untrusted_proxy, errors_are_errors_whatever_number_it_gives)
{
	static const struct {
		int32_t said;
		int error;
	} rows[] = {
		{ 0, 0 },	{ -ENOMEM, -ENOMEM },	{ -4095, -4095 },	{ -4096, -EPROTO },
		{ 1, -EPROTO }, { INT32_MAX, -EPROTO }, { INT32_MIN, -EPROTO },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct proxy_reply r = { .error = rows[i].said };

		cr_expect_eq(proxy_reply_error(&r), rows[i].error, "%d", rows[i].said);
	}
}

Test(untrusted_proxy, only_listening_sockets_of_its_own_are_taken_over)
{
	int fds[3], udp = socket(AF_INET, SOCK_DGRAM, 0), silent = socket(AF_INET, SOCK_STREAM, 0),
		    plain = socket(AF_INET, SOCK_STREAM, 0), file = open("/dev/null", O_RDONLY);

	if (listeners_open(2, fds))
		cr_skip_test("transparent sockets need a privilege");
	cr_assert_eq(listen(plain, 1), 0);
	cr_expect(listeners_usable(fds, 2));
	fds[2] = fds[0];
	cr_expect_not(listeners_usable(fds, 3), "one twice");
	fds[2] = udp;
	cr_expect_not(listeners_usable(fds, 3), "UDP");
	fds[2] = silent;
	cr_expect_not(listeners_usable(fds, 3), "one that does not listen");
	fds[2] = plain;
	cr_expect_not(listeners_usable(fds, 3), "one that takes no address but its own");
	fds[2] = file;
	cr_expect_not(listeners_usable(fds, 3), "a file");
}

/* ---- messages ---- */

static size_t size_of(int fd)
{
	return (size_t)lseek(fd, 0, SEEK_END);
}

Test(untrusted_proxy, messages_neither_keep_weftd_busy_nor_fill_its_log)
{
	_cleanup_close_ int log = memfd_create("log", MFD_CLOEXEC),
			    zero = open("/dev/zero", O_RDONLY), own = dup(STDERR_FILENO);
	struct proxy_words w = { 0 };
	size_t first;

	dup2(log, STDERR_FILENO);
	proxy_words_forward(&w, zero); /* which has always more */
	first = size_of(log);
	for (int i = 0; i < 1000; i++)
		proxy_words_forward(&w, zero);
	dup2(own, STDERR_FILENO);
	cr_expect_gt(first, 0);
	cr_expect_leq(size_of(log), 2 * 64 * 1024);
}

Test(untrusted_proxy, messages_are_text)
{
	_cleanup_close_ int log = memfd_create("log", MFD_CLOEXEC), own = dup(STDERR_FILENO);
	struct proxy_words w = { 0 };
	char text[64] = "";
	int ends[2];

	cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
	cr_assert_eq(write(ends[1], "a\033[1m\302\233b\x7f\n", 10), 10);
	dup2(log, STDERR_FILENO);
	proxy_words_forward(&w, ends[0]);
	dup2(own, STDERR_FILENO);
	cr_assert_eq(pread(log, text, sizeof(text) - 1, 0), 10);
	cr_expect_str_eq(text, "a?[1m??b?\n");
}

/* ---- the sandbox ---- */

/* The errno with which it fails in the sandbox. */
static int try_socket(int domain, int type, int protocol)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		/* Not _exit(): what the sanitizer does there is forbidden. */
		if (sandbox_seal())
			syscall(SYS_exit_group, 255);
		syscall(SYS_exit_group, socket(domain, type, protocol) < 0 ? errno : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(untrusted_proxy, it_may_open_tcp_sockets_only)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		cr_skip_test("no filters here");
	cr_expect_eq(try_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 0);
	cr_expect_eq(try_socket(AF_INET6, SOCK_STREAM, 0), 0);
	cr_expect_eq(try_socket(AF_INET, SOCK_RAW, IPPROTO_RAW), EPERM);
	cr_expect_eq(try_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), EPERM);
	cr_expect_eq(try_socket(AF_INET, SOCK_DGRAM, 0), EPERM);
	cr_expect_eq(try_socket(AF_INET, SOCK_STREAM, 262 /* MPTCP */), EPERM);
	cr_expect_eq(try_socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
	cr_expect_eq(try_socket(AF_PACKET, SOCK_RAW, 0), EPERM);
}
