// SPDX-License-Identifier: Apache-2.0
/*
 * The requests under way, as others see them.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/wire/proxy_orders.h"
#include "proxy/process/requests.h"
#include "test_proxy_script.h"

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
	strcpy(e->cluster.name, "outbound|80||h");
	strcpy(e->route.name, "default/h/http[0]");
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_requests, .init = setup, .fini = teardown, .timeout = 60);

static size_t look(struct proxy_request *rows, size_t most)
{
	struct http_worker *w = &e->worker;
	int fd = memfd_create("requests", MFD_CLOEXEC);
	ssize_t n;

	cr_assert_eq(requests_write(&w, 1, fd), 0);
	n = pread(fd, rows, most * sizeof(*rows), 0);
	cr_assert_eq(n % (ssize_t)sizeof(*rows), 0);
	close(fd);
	return (size_t)n / sizeof(*rows);
}

/* The first row, once it says that. */
static struct proxy_request wait_for(const char *state)
{
	struct proxy_request row = { 0 };

	for (int i = 0; i < 200 && (!look(&row, 1) || strcmp(row.state, state) != 0); i++)
		wait_ms(5);
	cr_expect_str_eq(row.state, state);
	return row;
}

Test(proxy_requests, each_is_told_of_until_it_is_over)
{
	struct proxy_request rows[4];

	cr_expect_eq(look(rows, 4), 0u, "there is no request yet");
	PLAY("C> GET /a", "U> GET /a");
	rows[0] = wait_for("waiting");
	cr_expect_str_eq(rows[0].method, "GET");
	cr_expect_str_eq(rows[0].path, "/a");
	cr_expect_str_eq(rows[0].authority, "h");
	cr_expect_str_eq(rows[0].cluster, "outbound|80||h");
	cr_expect_str_eq(rows[0].route, "default/h/http[0]");
	cr_expect_eq(rows[0].endpoint_port, e->endpoint_port);
	cr_expect_eq(rows[0].called_port, e->port);
	cr_expect_eq(rows[0].tries, 1u);
	cr_expect_eq(rows[0].status, 0u);
	wait_ms(30);
	cr_expect_geq(wait_for("waiting").age_ms, 25u);
	PLAY("U< 200 OK|Content-Length: 4||hi", "C< 200 OK|Content-Length: 4||hi");
	rows[0] = wait_for("answered");
	cr_expect_eq(rows[0].status, 200u);
	cr_expect_gt(rows[0].sent, 2u);
	e->plan.delay_ms = 10000;
	PLAY("C2> GET /a", "T 50");
	cr_expect_eq(look(rows, 4), 2u);
	PLAY("U< ho", "C< ho");
	cr_expect_str_eq(wait_for("delayed").method, "GET");
	cr_expect_eq(look(rows, 4), 1u);
}

Test(proxy_requests, what_is_too_long_is_cut)
{
	char line[2000] = "GET /", *end = line + 5;
	struct proxy_request row;
	int c = env_client(e);

	memset(end, 'x', 1000);
	strcpy(end + 1000, " HTTP/1.1\r\nHost: h\r\n\r\n");
	put(c, line);
	row = wait_for("waiting");
	cr_expect_eq(strlen(row.path), sizeof(row.path) - 1);
}

Test(proxy_requests, the_path_is_the_one_that_is_routed)
{
	PLAY("C> GET /a/../b/./%63?d=/../e");
	cr_expect_str_eq(wait_for("waiting").path, "/b/c?d=/../e");
}

Test(proxy_requests, a_worker_that_does_not_answer_is_left_out)
{
	struct http_worker stuck, *both[] = { &e->worker, &stuck };
	int fd = memfd_create("requests", MFD_CLOEXEC);

	cr_assert_eq(http_worker_open(&stuck, -1, &worker_defaults, &e->router), 0);
	PLAY("C> GET /a");
	wait_for("waiting");
	cr_expect_eq(requests_write(both, 2, fd), 0);
	cr_expect_eq(lseek(fd, 0, SEEK_END), (off_t)sizeof(struct proxy_request));
	cr_expect_null(stuck.io.call, "it would be carried out later");
	worker_close(&stuck.io);
	close(fd);
}
