// SPDX-License-Identifier: Apache-2.0
/*
 * What a change of one object costs in processor time: compiled anew, and patched.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/compile/compile.h"
#include "lib/route/snapshot.h"
#include "lib/schema/parse.h"

enum { SERVICES = 1000, PODS_EACH = 10, ROUNDS = 60, SPACES = 20 };

static struct objects objects;

static void fail(const char *what)
{
	fprintf(stderr, "compile-patch: %s\n", what);
	exit(1);
}

__attribute__((format(printf, 1, 2))) static struct object *parsed(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	struct objects out = { 0 };
	struct errors errors = { 0 };
	struct object *o;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0 || rules_parse("cluster", text, len, &out, &errors, NULL) || out.count != 1)
		fail(errors.count ? errors.items[0].text : "not one object");
	o = TAKE_PTR(out.items[0]);
	out.count = 0;
	objects_free(&out);
	return o;
}

static void add(struct object *o)
{
	static size_t room;

	if (objects.count == room) {
		room = room ? 2 * room : 1024;
		objects.items = realloc(objects.items, room * sizeof(*objects.items));
		if (!objects.items)
			fail("out of memory");
	}
	objects.items[objects.count++] = o;
}

static struct object *pod(int service, int i, const char *version)
{
	return parsed("{apiVersion: v1, kind: Pod, metadata: {name: p%d-%d, namespace: n%d, "
		      "labels: {app: "
		      "s%d, version: %s}}, spec: {}, status: {phase: Running, podIP: 10.%d.%d.%d}}",
		      service, i, service % SPACES, service, version, i + 1, service / 250,
		      service % 250);
}

static struct object *slice(int service, int ready)
{
	_cleanup_free_ char *list = NULL;
	size_t len;
	FILE *f = open_memstream(&list, &len);

	for (int i = 0; i < PODS_EACH; i++)
		fprintf(f,
			"%s{addresses: [10.%d.%d.%d], conditions: {ready: %s}, targetRef: {kind: "
			"Pod, "
			"name: p%d-%d, namespace: n%d}}",
			i ? ", " : "", i + 1, service / 250, service % 250,
			i < ready ? "true" : "false", service, i, service % SPACES);
	fclose(f);
	return parsed(
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s%d-x, "
		"namespace: n%d, labels: {kubernetes.io/service-name: s%d}}, addressType: IPv4, "
		"ports: [{name: p, port: 8080}], endpoints: [%s]}",
		service, service % SPACES, service, list);
}

static struct object *service(int i, const char *protocol, int ports)
{
	return parsed(
		"{apiVersion: v1, kind: Service, metadata: {name: s%d, namespace: n%d}, spec: "
		"{clusterIP: 10.200.%d.%d, selector: {app: s%d}, ports: [{name: p, port: 80, "
		"appProtocol: %s}%s]}}",
		i, i % SPACES, i / 250, i % 250, i, protocol,
		ports > 1 ? ", {name: q, port: 81}" : "");
}

static struct object *destination_rule(int i, int connections)
{
	return parsed(
		"{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: s%d, "
		"namespace: n%d}, spec: {host: s%d, trafficPolicy: {connectionPool: {tcp: "
		"{maxConnections: %d}}}, subsets: [{name: v0, labels: {version: v0}}, {name: v1, "
		"labels: {version: v1}}]}}",
		i, i % SPACES, i, connections);
}

static struct object *virtual_service(int i, const char *protocol, int weight)
{
	return parsed(
		"{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: s%d, "
		"namespace: n%d}, spec: {hosts: [s%d], %s: [{route: [{destination: {host: s%d, "
		"subset: v0}, weight: %d}, {destination: {host: s%d, subset: v1}, weight: %d}]}]}}",
		i, i % SPACES, i, protocol, i, weight, i, 100 - weight);
}

static struct object *gateway(int port)
{
	return parsed("{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: g, "
		      "namespace: n0}, spec: {selector: {app: gateway}, servers: [{port: {number: "
		      "%d, name: http, protocol: HTTP}, hosts: ['*.example']}]}}",
		      port);
}

static struct object *policy(int i)
{
	return parsed(
		"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, "
		"namespace: n0}, spec: {podSelector: {matchLabels: {app: s%d}}, ingress: [{from: "
		"[{podSelector: {matchLabels: {version: v1}}}]}]}}",
		i);
}

static void add_service(int i, bool rules, const char *protocol)
{
	add(service(i, protocol, 1));
	add(slice(i, PODS_EACH));
	for (int k = 0; k < PODS_EACH; k++)
		add(pod(i, k, k % 2 ? "v1" : "v0"));
	if (!rules)
		return;
	add(destination_rule(i, 100));
	add(virtual_service(i, protocol, 80));
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* What changes. */
struct kind_of_change {
	const char *name;
	struct object *(*make)(int service, const char *protocol, int round);
	bool of_rules; /* only where there are rules */
};

static struct object *next_slice(int i, const char *protocol, int round)
{
	(void)protocol;
	return slice(i, 5 + round % 5);
}

static struct object *next_pod(int i, const char *protocol, int round)
{
	(void)protocol;
	return pod(i, 3, round % 2 ? "v0" : "v1");
}

static struct object *next_service(int i, const char *protocol, int round)
{
	return service(i, protocol, 1 + round % 2);
}

static struct object *next_virtual_service(int i, const char *protocol, int round)
{
	return virtual_service(i, protocol, 10 + round % 80);
}

static struct object *next_destination_rule(int i, const char *protocol, int round)
{
	(void)protocol;
	return destination_rule(i, 100 + round);
}

static struct object *next_gateway(int i, const char *protocol, int round)
{
	(void)i;
	(void)protocol;
	return gateway(8000 + round % 2);
}

static struct object *next_policy(int i, const char *protocol, int round)
{
	(void)protocol;
	(void)round;
	return policy(i);
}

static const struct kind_of_change kinds[] = {
	{ "EndpointSlice", next_slice, false },
	{ "Pod", next_pod, false },
	{ "Service", next_service, false },
	{ "VirtualService", next_virtual_service, true },
	{ "DestinationRule", next_destination_rule, true },
	{ "Gateway", next_gateway, false },
	{ "NetworkPolicy", next_policy, false },
};

/* Takes the place of the object of its name; `old` is NULL if there is none. */
static struct object_change change(struct object *new)
{
	for (size_t i = 0; i < objects.count; i++) {
		struct object *old = objects.items[i];

		if (old->kind == new->kind && !strcmp(old->meta.name, new->meta.name)) {
			objects.items[i] = new;
			return (struct object_change){ old, new };
		}
	}
	add(new);
	return (struct object_change){ NULL, new };
}

static void compiled_anew(struct registry *registry, struct tables **tables,
			  struct compile_index **index, struct errors *errors)
{
	if (compile_keeping(&objects, registry, COMPILE_HTTP_NEEDED, tables, index, errors))
		fail(errors->items[0].text);
}

static void run_first(struct registry *registry, const char *what)
{
	for (int i = 0; i < 2; i++) {
		struct compile_index *index = NULL;
		struct tables *tables = NULL;
		struct errors errors = { 0 };
		double begun = now_ms();

		compiled_anew(registry, &tables, &index, &errors);
		printf("%s: compiled in %.2f ms%s, snapshot of %u KiB\n", what, now_ms() - begun,
		       i ? " again" : "", tables->http ? tables->http->header->size / 1024 : 0);
		compile_index_free(index);
		tables_free(tables);
		errors_free(&errors);
	}
}

static int changed(struct compile_index **index, const struct object_change *c, struct tables *from,
		   struct tables **next)
{
	struct errors errors = { 0 };
	int r = compile_are_rules(c, 1)
			? compile_rules(index, c, 1, COMPILE_HTTP_NEEDED, from, next, &errors)
			: compile_patch(index, c, 1, COMPILE_HTTP_NEEDED, from, next);

	errors_free(&errors);
	return r;
}

static void run(const struct kind_of_change *kind, int services, const char *protocol,
		struct registry *registry)
{
	struct compile_index *index = NULL;
	struct tables *tables = NULL;
	struct errors errors = { 0 };
	double begun, spent = 0;
	int anew = 0;

	compiled_anew(registry, &tables, &index, &errors);
	for (int i = 0; i < ROUNDS; i++) {
		struct object_change c = change(kind->make(i * 7 % services, protocol, i));
		struct tables *next = NULL;

		begun = now_ms();
		if (changed(&index, &c, tables, &next)) {
			anew++;
			compiled_anew(registry, &next, &index, &errors);
		}
		tables_free(tables);
		spent += now_ms() - begun;
		tables = next;
		object_free((struct object *)c.old);
	}
	printf("  %-16s %.3f ms (%d of %d compiled anew)\n", kind->name, spent / ROUNDS, anew,
	       ROUNDS);
	compile_index_free(index);
	tables_free(tables);
	errors_free(&errors);
}

/* `rules`: so many services have rules. */
static void run_cluster(const char *what, int rules, const char *protocol)
{
	struct registry *registry = registry_new();

	objects.count = 0;
	for (int i = 0; i < SERVICES; i++)
		add_service(i, i < rules, protocol);
	run_first(registry, what);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (rules || !kinds[i].of_rules)
			run(&kinds[i], kinds[i].of_rules ? rules : SERVICES, protocol, registry);
	registry_free(registry);
}

int main(void)
{
	printf("%d services, %d endpoints, %d pods\n", SERVICES, SERVICES * PODS_EACH,
	       SERVICES * PODS_EACH);
	run_cluster("no rules", 0, "tcp");
	run_cluster("TCP rules for 100", 100, "tcp");
	run_cluster("HTTP rules for 100", 100, "http");
	run_cluster("HTTP rules for all", SERVICES, "http");
	return 0;
}
