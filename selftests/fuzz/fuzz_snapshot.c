/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot with damage in it is refused, or harmless to the router that goes by it. The input is
 * a list of changes to the one that selftests/rules/routes compiles to, with NetworkPolicies beside
 * them; so it stays good when the format changes.
 */
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/compile/compile.h"
#include "lib/route/route.h"
#include "lib/schema/parse.h"
#include "proxy/route/router.h"
#include "proxy/route/router_priv.h"

#define ROUTES "selftests/rules/routes/"

enum {
	CHANGES_MAX = 16,
	REQUESTS_MAX = 48,
	FRESH_AFTER = 256, /* inputs: the state keeps what it has seen of any */
};

/* How `value` gets to its place; the table and the place in it are in `at`. */
enum change_kind { CHANGE_SET, CHANGE_ADD, CHANGE_BYTE, CHANGE_EXTENT, CHANGE_KINDS };

struct change {
	uint8_t kind, table;
	uint16_t at;
	uint32_t value;
};

static const void *base;
static size_t base_size;
static const struct http_snapshot *good; /* of it */
static struct cluster_limit *limits;
static uint32_t *held;
static struct stats *stats;
static struct shared_state *state;
static struct buffer_pool buffers;

static char *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "re"), *out;
	char *text = NULL;
	int c;

	if (!f)
		abort();
	out = open_memstream(&text, size);
	while ((c = getc(f)) != EOF)
		putc(c, out);
	fclose(out);
	fclose(f);
	return text;
}

static void parse(const char *path, struct objects *objects, struct errors *errors)
{
	size_t size;
	char *text = read_file(path, &size);

	if (rules_parse(path, text, size, objects, errors, NULL))
		abort();
	free(text);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct objects objects; /* the tables point into it */
	static struct registry *registry;
	static struct tables *tables;
	struct errors errors = { 0 };
	glob_t files;

	(void)argc;
	(void)argv;
	parse(ROUTES "cluster.json", &objects, &errors);
	if (glob(ROUTES "*.yaml", 0, NULL, &files))
		abort();
	for (size_t i = 0; i < files.gl_pathc; i++)
		parse(files.gl_pathv[i], &objects, &errors);
	globfree(&files);
	parse("selftests/rules/network-policies.yaml", &objects, &errors);
	registry = registry_new();
	if (compile(&objects, registry, COMPILE_HTTP_ALWAYS, &tables, &errors))
		abort();
	errors_free(&errors);
	good = tables->http;
	base = (const char *)good->header;
	base_size = good->header->size;
	if (!hs_count(good, HS_SOURCES))
		abort();
	for (int i = HS_POLICIES; i <= HS_PEERS; i++)
		if (!hs_count(good, i))
			abort();
	stderr = fopen("/dev/null", "we"); /* each input would have a line to itself */
	return limits_map(-1, &limits) || held_map(-1, &held);
}

static void change(char *bytes, const struct change *c)
{
	struct hs_header *h = (struct hs_header *)bytes;
	enum hs_table table = c->table % HS_TABLES;
	struct hs_extent *e = &h->tables[table];
	size_t size = (size_t)e->count * http_row_size(table), at;
	uint32_t value;

	if (c->kind % CHANGE_KINDS == CHANGE_EXTENT) {
		*(c->at & 1 ? &e->at : &e->count) = c->value;
		return;
	}
	/* An earlier change may have moved the table away. */
	if (size < sizeof(value) || e->at > base_size || size > base_size - e->at)
		return;
	at = e->at + c->at % (size - sizeof(value) + 1);
	if (c->kind % CHANGE_KINDS == CHANGE_BYTE) {
		bytes[at] = (char)c->value;
		return;
	}
	at -= at % sizeof(value);
	memcpy(&value, bytes + at, sizeof(value));
	value = c->kind % CHANGE_KINDS == CHANGE_ADD ? value + c->value : c->value;
	memcpy(bytes + at, &value, sizeof(value));
}

static void try_endpoints(struct router *r, struct plan *plan)
{
	struct target t;

	for (unsigned n = 0; n < 2; n++)
		if (r->pick(r, plan, n, &t) == PICK_OK)
			r->done(r, plan, &t, n ? OUTCOME_CONNECT : OUTCOME_STATUS, 503);
	for (size_t i = 0; i < plan->mirror_count && i < 4; i++)
		(void)r->pick_mirror(r, plan, i, &t);
}

/* What is put into a head is read, so that the sanitizers see where it ends. */
static size_t sum(const struct plan_op *ops, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < ops[i].value.n; k++)
			n += (unsigned char)ops[i].value.p[k] + ops[i].name.n;
	return n;
}

static void ask(struct router *r, const char *host, unsigned port, const struct addr *client)
{
	static struct h1_request q;
	static volatile size_t read __attribute__((unused));
	char text[1024];
	int n = snprintf(text, sizeof(text),
			 "GET /service/a?key=v&x=1 HTTP/1.1\r\nHost: %s\r\nend-user: jason\r\n"
			 "origin: https://b1\r\ncookie: user=a; session=\"b\"\r\nx-c: ccc\r\n\r\n",
			 host);
	struct route_ask a = { .request = &q,
			       .client = *client,
			       .called = { { [10] = 0xff, [11] = 0xff, 10, 96, 0, 1 } },
			       .client_port = 1000,
			       .called_port = (uint16_t)port,
			       .called_node = port != 80 };
	struct plan plan = { 0 };

	if (n >= (int)sizeof(text) || h1_parse_request(text, (size_t)n, 0, &q) <= 0)
		return;
	r->plan(r, &a, &buffers, &plan);
	read = sum(plan.request.items, plan.request.count) +
	       sum(plan.response.items, plan.response.count) +
	       sum(plan.answer.headers, plan.answer.header_count);
	if (plan.action == PLAN_FORWARD)
		try_endpoints(r, &plan);
	buf_release(&buffers, &plan.text);
	r->release(r, &plan);
}

static void try_tunnel(struct router *r, const struct route_ask *a, const char *name)
{
	const struct route_hello hello = { .tls = *name, .name = { name, strlen(name) } };
	struct route_tls tls = { .tcp = true };
	struct route_ask ended = *a;
	struct plan plan = { 0 };

	if (r->peeks(r, a) && r->tunnel(r, a, &hello, &plan) && plan.action == PLAN_FORWARD)
		try_endpoints(r, &plan);
	r->release(r, &plan);
	ended.tls = &tls;
	tls.facts.name_len = strlen(name);
	strcpy(tls.facts.name, name);
	plan = (struct plan){ 0 };
	if (r->tunnel(r, &ended, NULL, &plan) && plan.action == PLAN_FORWARD)
		try_endpoints(r, &plan);
	r->release(r, &plan);
}

/* Connections without requests, to the addresses of services and to the node's ports. */
static void ask_tunnels(struct router *r)
{
	const __u32 sources = hs_count(good, HS_SOURCES);

	for (__u32 i = 0; i < hs_count(good, HS_ADDRESSES) && i < REQUESTS_MAX; i++) {
		const struct hs_address *to = hs_address(good, i);
		const struct route_ask a = { .client = hs_source(good, i % sources)->addr,
					     .called = to->addr,
					     .client_port = 1000,
					     .called_port = (uint16_t)to->port };

		try_tunnel(r, &a, i % 2 ? "a.example.com" : "");
	}
	for (__u32 i = 0; i < hs_count(good, HS_LISTENERS) && i < REQUESTS_MAX; i++) {
		const struct route_ask a = { .client = hs_source(good, i % sources)->addr,
					     .client_port = 1000,
					     .called_port = (uint16_t)hs_listener(good, i)->port,
					     .called_node = true };

		try_tunnel(r, &a, i % 2 ? "" : "a.example.com");
	}
}

/* The names that the good snapshot has, from pods that it knows. */
static void ask_all(struct router *r)
{
	unsigned asked = 0;

	for (__u32 i = 0; i < hs_count(good, HS_LISTENERS); i++) {
		const struct hs_listener *l = hs_listener(good, i);

		for (__u32 k = 0; k < l->exact.count && asked < REQUESTS_MAX; k++, asked++) {
			__u32 source = k % hs_count(good, HS_SOURCES);

			ask(r, hs_text(good, hs_domain(good, l->exact.first + k)->name), l->port,
			    &hs_source(good, source)->addr);
		}
	}
}

static void renew_state(void)
{
	static unsigned inputs;

	if (state && ++inputs % FRESH_AFTER)
		return;
	shared_state_free(state);
	stats_close(stats);
	if (stats_open(-1, -1, &stats) || !(state = shared_state_new(limits, held, stats)))
		abort();
}

static struct config *to_config(const char *bytes)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	struct config *c;

	if (fd < 0 || write(fd, bytes, base_size) != (ssize_t)base_size || config_map(fd, &c))
		abort();
	close(fd);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config;
	struct snapshot_router *rules;
	struct router *router;
	char *bytes = malloc(base_size);

	memcpy(bytes, base, base_size);
	for (size_t i = 0; i < CHANGES_MAX && (i + 1) * sizeof(struct change) <= size; i++) {
		struct change c;

		memcpy(&c, data + i * sizeof(c), sizeof(c));
		change(bytes, &c);
	}
	renew_state();
	config = to_config(bytes);
	if (router_new(state, &rules))
		abort();
	router = router_interface(rules);
	router_offer(rules, config);
	router->turn(router);
	if (!config_wait(config, 1, 0)) {
		ask_all(router);
		ask_tunnels(router);
	}
	router_free(rules);
	config_unref(config);
	free(bytes);
	return 0;
}
