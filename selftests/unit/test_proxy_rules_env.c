// SPDX-License-Identifier: Apache-2.0
#include "test_proxy_rules_env.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/compile/compile.h"
#include "lib/route/pack.h"
#include "lib/route/patch.h"
#include "test_compile_util.h"

struct cluster_limit *rules_limits;
static uint32_t *held;
struct snapshot_router *rules_workers[WORKERS];
struct buffer_pool rules_buffers;
void *rules_snapshot;
size_t rules_snapshot_size;

void *rules_last_patch;
size_t rules_last_patch_size;
struct shared_state *rules_state;

static struct stats *stats;
static struct registry *registry;
static struct objects known; /* what was loaded, and has changed since */
static struct tables *tables;
static struct compile_index *compiled;

static void setup(void)
{
	cr_assert_eq(limits_map(-1, &rules_limits), 0);
	cr_assert_eq(held_map(-1, &held), 0);
	registry = registry_new();
	cr_assert_eq(stats_open(-1, -1, &stats), 0);
	rules_state = shared_state_new(rules_limits, held, stats);
	for (int i = 0; i < WORKERS; i++)
		cr_assert_eq(router_new(rules_state, &rules_workers[i]), 0);
}

static void teardown(void)
{
	for (int i = 0; i < WORKERS; i++)
		router_free(rules_workers[i]);
	shared_state_free(rules_state);
	stats_close(stats);
	limits_unmap(rules_limits);
	held_unmap(held);
	buffer_pool_free(&rules_buffers);
	compile_index_free(compiled);
	tables_free(tables);
	objects_free(&known);
	registry_free(registry);
	free(rules_snapshot);
	free(rules_last_patch);
}

TestSuite(proxy_rules, .init = setup, .fini = teardown, .timeout = 60);

/* ---- rules ---- */

int rules_file(const void *bytes, size_t size)
{
	int fd = memfd_create("snapshot", 0);

	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

int rules_offer(int fd)
{
	struct config *c;
	int r;

	cr_assert_eq(config_map(fd, &c), 0);
	for (int i = 0; i < WORKERS; i++) {
		router_offer(rules_workers[i], c);
		router_interface(rules_workers[i])->turn(router_interface(rules_workers[i]));
	}
	r = config_wait(c, WORKERS, 0);
	config_unref(c);
	close(fd);
	return r;
}

static struct objects parse(const char *yaml)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	int r = rules_parse("t.yaml", yaml, strlen(yaml), &objects, &errors, NULL);

	cr_assert_eq(r, 0, "%s", errors_text(&errors));
	errors_free(&errors);
	return objects;
}

void rules_compile(const char *yaml)
{
	struct errors errors = { 0 };
	int r;

	compile_index_free(TAKE_PTR(compiled));
	tables_free(TAKE_PTR(tables));
	objects_free(&known);
	free(TAKE_PTR(rules_snapshot));
	known = parse(yaml);
	r = compile_keeping(&known, registry, COMPILE_HTTP_ALWAYS, &tables, &compiled, &errors);
	cr_assert_eq(r, 0, "%s", errors_text(&errors));
	cr_assert_eq(http_snapshot_pack(tables->http, &rules_snapshot, &rules_snapshot_size), 0);
	errors_free(&errors);
}

void rules_load(const char *yaml)
{
	rules_compile(yaml);
	cr_assert_eq(rules_offer(rules_file(rules_snapshot, rules_snapshot_size)), 0);
}

void rules_hand_over(void)
{
	free(TAKE_PTR(rules_snapshot));
	cr_assert_eq(http_snapshot_pack(tables->http, &rules_snapshot, &rules_snapshot_size), 0);
	cr_assert_eq(rules_offer(rules_file(rules_snapshot, rules_snapshot_size)), 0);
}

/* Of the object of that name; NULL in its place: it goes. */
static struct object_change exchange(enum kind kind, const char *name, struct object *new)
{
	size_t i = 0;
	struct object *old;

	while (i < known.count &&
	       (known.items[i]->kind != kind || strcmp(known.items[i]->meta.name, name) != 0))
		i++;
	old = i < known.count ? known.items[i] : NULL;
	cr_assert(old || new);
	if (!old) {
		known.items = reallocarray(known.items, known.count + 1, sizeof(*known.items));
		known.count++;
	}
	if (new)
		known.items[i] = new;
	else
		memmove(&known.items[i], &known.items[i + 1],
			(--known.count - i) * sizeof(*known.items));
	return (struct object_change){ old, new };
}

static void take_patch(struct tables *next)
{
	const void *patch = http_snapshot_patch(next->http, tables->http, &rules_last_patch_size);

	cr_assert_not_null(patch);
	free(rules_last_patch);
	rules_last_patch = malloc(rules_last_patch_size);
	memcpy(rules_last_patch, patch, rules_last_patch_size);
	tables_free(tables);
	tables = next;
}

int rules_patch_one(int worker, int fd)
{
	struct router *r = router_interface(rules_workers[worker]);
	struct config *c;
	int error;

	cr_assert_eq(config_read_patch(fd, &c), 0);
	router_offer(rules_workers[worker], c);
	close(fd);
	r->turn(r);
	error = config_wait(c, 1, 0);
	config_unref(c);
	return error;
}

static void patch_all(void)
{
	for (int i = 0; i < WORKERS; i++)
		cr_assert_eq(
			rules_patch_one(i, rules_file(rules_last_patch, rules_last_patch_size)), 0);
}

void rules_patch(const char *pods, const char *without)
{
	struct objects fresh = parse(pods ? pods : "");
	struct object_change changes[16];
	struct tables *next;
	size_t count = 0;

	for (size_t i = 0; i < fresh.count; i++)
		changes[count++] = exchange(KIND_POD, fresh.items[i]->meta.name, fresh.items[i]);
	if (without)
		changes[count++] = exchange(KIND_POD, without, NULL);
	cr_assert_eq(compile_patch(&compiled, changes, count, COMPILE_HTTP_ALWAYS, tables, &next),
		     0);
	take_patch(next);
	for (size_t i = 0; i < count; i++)
		object_free((struct object *)changes[i].old);
	free(fresh.items);
	patch_all();
}

/* As they are when they come from a cluster. */
static struct object_change without_lines(struct object_change c)
{
	((struct object *)c.old)->pos = (struct pos){ 1, 0 };
	((struct object *)c.new)->pos = (struct pos){ 1, 0 };
	return c;
}

void rules_patch_requests(const char *virtual_service)
{
	struct objects fresh = parse(virtual_service);
	struct object_change change = without_lines(
		exchange(KIND_VIRTUAL_SERVICE, fresh.items[0]->meta.name, fresh.items[0]));
	struct tables *next;

	cr_assert_eq(compile_requests(&compiled, &change, 1, tables, &next), 0);
	take_patch(next);
	object_free((struct object *)change.old);
	free(fresh.items);
	patch_all();
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
