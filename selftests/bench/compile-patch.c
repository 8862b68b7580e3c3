// SPDX-License-Identifier: Apache-2.0
/*
 * What a change of one EndpointSlice, or of one pod, costs in processor time: compiled anew, and
 * patched.
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

enum { SERVICES = 1000, PODS_EACH = 10, ROUNDS = 300 };

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
		      service, i, service % 20, service, version, i + 1, service / 250,
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
			i < ready ? "true" : "false", service, i, service % 20);
	fclose(f);
	return parsed(
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s%d-x, "
		"namespace: n%d, labels: {kubernetes.io/service-name: s%d}}, addressType: IPv4, "
		"ports: [{name: p, port: 8080}], endpoints: [%s]}",
		service, service % 20, service, list);
}

static void add_service(int i, bool rules, const char *port)
{
	add(parsed("{apiVersion: v1, kind: Service, metadata: {name: s%d, namespace: n%d}, spec: "
		   "{clusterIP: 10.200.%d.%d, selector: {app: s%d}, ports: [{name: p, port: 80, "
		   "appProtocol: %s}]}}",
		   i, i % 20, i / 250, i % 250, i, port));
	add(slice(i, PODS_EACH));
	for (int k = 0; k < PODS_EACH; k++)
		add(pod(i, k, k % 2 ? "v1" : "v0"));
	if (!rules)
		return;
	add(parsed(
		"{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: s%d, "
		"namespace: n%d}, spec: {host: s%d, subsets: [{name: v0, labels: {version: v0}}, "
		"{name: v1, labels: {version: v1}}]}}",
		i, i % 20, i));
	add(parsed(
		"{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: s%d, "
		"namespace: n%d}, spec: {hosts: [s%d], %s: [{route: [{destination: {host: s%d, "
		"subset: v0}, weight: 80}, {destination: {host: s%d, subset: v1}, weight: 20}]}]}}",
		i, i % 20, i, port, i, i));
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* The object of that kind and service, and another in its place. */
static struct object_change change(int service, bool slices, int round)
{
	struct object *new = slices ? slice(service, 5 + round % 5)
				    : pod(service, 3, round % 2 ? "v0" : "v1");

	for (size_t i = 0; i < objects.count; i++) {
		struct object *old = objects.items[i];

		if (old->kind == new->kind && !strcmp(old->meta.name, new->meta.name)) {
			objects.items[i] = new;
			return (struct object_change){ old, new };
		}
	}
	fail("no such object");
	return (struct object_change){ 0 };
}

static void run(const char *what, bool slices, struct registry *registry)
{
	struct compile_index *index = NULL;
	struct tables *tables = NULL;
	struct errors errors = { 0 };
	double begun = now_ms(), patched = 0;
	int anew = 0;

	if (compile_keeping(&objects, registry, COMPILE_HTTP_NEEDED, &tables, &index, &errors))
		fail(errors.items[0].text);
	printf("%-40s compiled in %6.2f ms, snapshot of %zu KiB, ", what, now_ms() - begun,
	       tables->http ? tables->http->header->size / 1024 : 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct object_change c = change(i * 7 % SERVICES, slices, i);
		struct tables *next = NULL;
		int r;

		begun = now_ms();
		r = compile_patch(&index, &c, 1, COMPILE_HTTP_NEEDED, tables, &next);
		if (r) {
			anew++;
			r = compile_keeping(&objects, registry, COMPILE_HTTP_NEEDED, &next, &index,
					    &errors);
		}
		tables_free(tables);
		patched += now_ms() - begun;
		if (r)
			fail("it could not be compiled");
		tables = next;
		object_free((struct object *)c.old);
	}
	printf("a change in %.3f ms (%d compiled anew)\n", patched / ROUNDS, anew);
	compile_index_free(index);
	tables_free(tables);
	errors_free(&errors);
}

static void run_cluster(const char *what, bool rules, const char *port)
{
	struct registry *registry = registry_new();
	char name[80];

	objects.count = 0;
	for (int i = 0; i < SERVICES; i++)
		add_service(i, rules, port);
	snprintf(name, sizeof(name), "%s, an EndpointSlice", what);
	run(name, true, registry);
	snprintf(name, sizeof(name), "%s, a Pod", what);
	run(name, false, registry);
	registry_free(registry);
}

int main(void)
{
	printf("%d services, %d endpoints, %d pods\n", SERVICES, SERVICES * PODS_EACH,
	       SERVICES * PODS_EACH);
	run_cluster("no rules", false, "tcp");
	run_cluster("a TCP rule for each", true, "tcp");
	run_cluster("an HTTP rule for each", true, "http");
	return 0;
}
