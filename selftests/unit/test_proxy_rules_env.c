// SPDX-License-Identifier: Apache-2.0
#include "test_proxy_rules_env.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_compile_util.h"

struct cluster_limit *rules_limits;
static uint32_t *held;
struct snapshot_router *rules_workers[WORKERS];
struct buffer_pool rules_buffers;
void *rules_snapshot;
size_t rules_snapshot_size;

static struct stats *stats;
static struct shared_state *state;
static struct registry *registry;

static void setup(void)
{
	cr_assert_eq(limits_map(-1, &rules_limits), 0);
	cr_assert_eq(held_map(-1, &held), 0);
	registry = registry_new();
	cr_assert_eq(stats_open(-1, -1, &stats), 0);
	state = shared_state_new(rules_limits, held, stats);
	for (int i = 0; i < WORKERS; i++)
		cr_assert_eq(router_new(state, &rules_workers[i]), 0);
}

static void teardown(void)
{
	for (int i = 0; i < WORKERS; i++)
		router_free(rules_workers[i]);
	shared_state_free(state);
	stats_close(stats);
	limits_unmap(rules_limits);
	held_unmap(held);
	buffer_pool_free(&rules_buffers);
	registry_free(registry);
	free(rules_snapshot);
}

TestSuite(proxy_rules, .init = setup, .fini = teardown, .timeout = 60);

/* ---- rules ---- */

int rules_file(const void *bytes, size_t size)
{
	int fd = memfd_create("snapshot", 0);

	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

void rules_offer(int fd)
{
	struct config *c;

	cr_assert_eq(config_map(fd, &c), 0);
	for (int i = 0; i < WORKERS; i++) {
		router_offer(rules_workers[i], c);
		router_interface(rules_workers[i])->turn(router_interface(rules_workers[i]));
	}
	config_unref(c);
	close(fd);
}

void rules_load(const char *yaml)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	struct tables *tables;
	int r = rules_parse("t.yaml", yaml, strlen(yaml), &objects, &errors, NULL);

	free(rules_snapshot);
	rules_snapshot = NULL;
	if (!r)
		r = compile(&objects, registry, COMPILE_HTTP_ALWAYS, &tables, &errors);
	cr_assert_eq(r, 0, "%s", errors_text(&errors));
	rules_snapshot = TAKE_PTR(tables->http_bytes);
	rules_snapshot_size = tables->http_size;
	tables_free(tables);
	objects_free(&objects);
	errors_free(&errors);
	rules_offer(rules_file(rules_snapshot, rules_snapshot_size));
	cr_assert_eq(router_adopted(rules_workers[0]), 0);
}

/* ---- requests ---- */

struct addr ipv4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return (struct addr){ { [10] = 0xff, [11] = 0xff, a, b, c, d } };
}

struct router *asked_router(const struct asked *a)
{
	return router_interface(rules_workers[a->worker]);
}

void asked_plan(struct asked *a, unsigned client, const char *target, const char *fields)
{
	struct route_ask ask = { .request = &a->q,
				 .client = ipv4(10, 1, 0, client),
				 .called = ipv4(10, 96, 0, 1),
				 .client_port = 1000,
				 .called_port = 80 };
	int n = snprintf(a->text, sizeof(a->text), "GET %s HTTP/1.1\r\nHost: svc.default\r\n%s\r\n",
			 target, fields);

	cr_assert_eq(h1_parse_request(a->text, (size_t)n, 0, &a->q), n);
	memset(&a->plan, 0, sizeof(a->plan));
	asked_router(a)->plan(asked_router(a), &ask, &rules_buffers, &a->plan);
}

unsigned asked_pick(struct asked *a, unsigned n)
{
	enum pick p = asked_router(a)->pick(asked_router(a), &a->plan, n, &a->target);

	return p == PICK_OK ? a->target.addr.b[15] : 0;
}

void asked_done(struct asked *a, enum outcome outcome, unsigned status)
{
	asked_router(a)->done(asked_router(a), &a->plan, &a->target, outcome, status);
}

void asked_release(struct asked *a)
{
	asked_router(a)->release(asked_router(a), &a->plan);
	buf_release(&rules_buffers, &a->plan.text);
}

unsigned ask_as(int worker, unsigned client, const char *fields, unsigned status)
{
	struct asked a = { .worker = worker };
	unsigned pod;

	asked_plan(&a, client, "/", fields);
	cr_assert_eq(a.plan.action, PLAN_FORWARD, "%u", a.plan.answer.status);
	pod = asked_pick(&a, 0);
	if (pod)
		asked_done(&a, OUTCOME_STATUS, status);
	asked_release(&a);
	return pod;
}

unsigned ask(unsigned status)
{
	return ask_as(0, 1, "", status);
}
