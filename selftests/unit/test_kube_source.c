// SPDX-License-Identifier: Apache-2.0
/*
 * The Kubernetes source, told of events as an informer tells of them, and with an engine that
 * publishes nothing.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/loop/event.h"
#include "daemon/source/kubernetes.h"
#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/compile/compile.h"
#include "lib/kube/unsupported.h"
#include "lib/schema/parse.h"

enum {
	SERVICE,
	SLICE,
	POD,
	NAMESPACE,
	VIRTUAL_SERVICE,
	DESTINATION_RULE,
	GATEWAY,
	NETWORK_POLICY,
	SERVICE_ENTRY,
	SIDECAR,
	CONNECTION_POLICY = 14,
};
enum { TEXT_MAX = 512 };

static struct kube_test {
	char dir[64];
	struct event_loop *loop;
	struct kube_source *source;
	struct known_set known;
	struct registry *registry;
	struct tables *tables;
	bool waits, late; /* late: changes wait for answer(), as for a slow proxy */
	unsigned changes, generations, compilations;
	struct change *asked;
	void (*done)(void *arg, int r, struct change_report *report);
	void *done_arg;
	int fail; /* what the next change comes to */
	struct kube_config config;
} t;

/* ---- the engine ---- */

static int compile_known(const struct known_set *set, struct tables **out, struct errors *errors)
{
	struct object **items = calloc(set->count + 1, sizeof(struct object *));
	struct objects objects = { .items = items };
	int r;

	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].object)
			items[objects.count++] = set->items[i].object;
	r = compile(&objects, t.registry, COMPILE_HTTP_ALWAYS, out, errors);
	free(items);
	t.compilations++;
	return r;
}

static int attempt(struct change *c, struct stage *st, struct tables **tables,
		   struct change_report *report)
{
	int r;

	stage_init(st, &t.known);
	r = c->stage(c, st, report);
	if (r || !(st->dirty || (c->completes && t.waits)))
		return r ? r : 1;
	return compile_known(st->set, tables, &report->errors);
}

static void take_effect(struct change *c, struct stage *st, struct tables *tables)
{
	t.generations += !t.tables || !tables_same(t.tables, tables);
	tables_free(t.tables);
	t.tables = tables;
	stage_keep(st);
	t.waits &= !c->completes;
	if (c->kept)
		c->kept(c, &t.known);
}

static void carry_out(struct change *c)
{
	struct change_report report = { 0 };
	struct tables *tables = NULL;
	struct stage st;
	int r;

	while ((r = attempt(c, &st, &tables, &report)) == -EINVAL && c->refused &&
	       !c->refused(c, &report.errors)) {
		stage_drop(&st);
		change_report_free(&report);
	}
	if (!r && t.fail) {
		r = t.fail;
		t.fail = 0;
		tables_free(tables);
	} else if (!r) {
		take_effect(c, &st, tables);
	}
	t.changes++;
	stage_drop(&st);
	t.done(t.done_arg, r < 0 ? r : 0, &report);
	change_report_free(&report);
	c->free(c);
}

static void submit(void *arg, struct change *c,
		   void (*done)(void *done_arg, int r, struct change_report *report),
		   void *done_arg)
{
	(void)arg;
	t.done = done;
	t.done_arg = done_arg;
	if (t.late)
		t.asked = c;
	else
		carry_out(c);
}

static void answer(void)
{
	struct change *c = t.asked;

	cr_assert_not_null(c);
	t.asked = NULL;
	carry_out(c);
}

/* ---- the cluster ---- */

static void start(void)
{
	struct kube_source_options options = {
		.config = &t.config, .state_dir = t.dir, .loop = t.loop, .submit = submit
	};
	struct errors errors = { 0 }, found = { 0 };
	struct object_source *base;
	int r;

	cr_assert_eq(kube_source_open(&options, &t.source), 0);
	base = kube_source_base(t.source);
	cr_assert_eq(base->load(base, &t.known, &errors), 0);
	while ((r = compile_known(&t.known, &t.tables, &found)) == -EINVAL) {
		cr_assert_eq(base->mend(base, &t.known, &found), 0);
		errors_free(&found);
	}
	cr_assert_eq(r, 0);
	t.waits = base->accept(base, &t.known, 0) == SOURCE_WAITS;
	if (t.waits)
		tables_free(TAKE_PTR(t.tables));
	errors_free(&found);
	errors_free(&errors);
}

static void stop(void)
{
	for (size_t i = 0; i < t.known.count; i++) {
		object_free(t.known.items[i].object);
		origin_unref(t.known.items[i].origin);
	}
	known_free(&t.known);
	tables_free(TAKE_PTR(t.tables));
	kube_source_close(TAKE_PTR(t.source));
}

static void setup(void)
{
	log_set("test", LOG_LEVEL_ERROR);
	t = (struct kube_test){ .dir = "/tmp/weft-unit-kube-XXXXXX" };
	t.config.server = (char *)"https://127.0.0.1:1";
	t.config.namespace = (char *)"default";
	cr_assert_not_null(mkdtemp(t.dir));
	cr_assert_eq(event_loop_open(&t.loop), 0);
	t.registry = registry_new();
	start();
}

static void teardown(void)
{
	char path[128];

	stop();
	registry_free(t.registry);
	event_loop_close(t.loop);
	snprintf(path, sizeof(path), "%s/kubernetes.cache", t.dir);
	unlink(path);
	rmdir(t.dir);
}

TestSuite(kube_source, .init = setup, .fini = teardown, .timeout = 60);

/* The informer has gathered what it was told of. */
static void told(void)
{
	const struct informer_sink sink = kube_source_sink(t.source);

	sink.told(sink.arg);
}

/* Until nothing happens for so long. */
static void run(int quiet_ms)
{
	if (t.source)
		told();
	while (!event_loop_wait(t.loop, quiet_ms)) {
		struct event_loop *l = t.loop;
		unsigned before = t.changes;

		event_loop_dispatch(l);
		if (before == t.changes)
			break;
	}
}

static void tell(unsigned resource, const char *name, const char *version, const char *json)
{
	const struct informer_sink sink = kube_source_sink(t.source);
	struct informer_event e = { .resource = resource,
				    .change = json ? INFORMER_PUT : INFORMER_GONE,
				    .namespace = resource == NAMESPACE ||
								 resource == CONNECTION_POLICY
							 ? ""
							 : "default",
				    .name = name,
				    .resource_version = version,
				    .json = json,
				    .size = json ? strlen(json) : 0 };

	sink.events(sink.arg, &e, 1);
}

static void synced(void)
{
	const struct informer_sink sink = kube_source_sink(t.source);

	sink.synced(sink.arg);
	run(200);
}

static void tell_service_of(const char *name, const char *ip, int port, const char *protocol)
{
	char json[TEXT_MAX];

	snprintf(
		json, sizeof(json),
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"%s\","
		"\"namespace\":\"default\"},\"spec\":{\"clusterIP\":\"%s\",\"ports\":[{\"port\":%d,"
		"\"name\":\"%s\"}]}}",
		name, ip, port, protocol);
	tell(SERVICE, name, "1", json);
}

static void tell_service(const char *name, const char *ip, int port)
{
	tell_service_of(name, ip, port, "tcp");
}

/* Sends a share of the connections of service `host` to its subset v2. */
static const char *virtual_service(const char *name, const char *host, const char *weight)
{
	static char json[TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"VirtualService\","
		 "\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{\"hosts\":[\"%"
		 "s\"]"
		 ",\"tcp\":[{\"route\":[{\"destination\":{\"host\":\"%s\",\"subset\":\"v2\"},"
		 "\"weight\":%s}]}]}}",
		 name, host, host, weight);
	return json;
}

static void tell_rule(const char *name, const char *weight)
{
	tell(VIRTUAL_SERVICE, name, weight, virtual_service(name, name, weight));
}

static const char *subset(const char *host, const char *name)
{
	static char json[TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"DestinationRule\","
		 "\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{\"host\":\"%"
		 "s\","
		 "\"subsets\":[{\"name\":\"%s\",\"labels\":{\"version\":\"%s\"}}]}}",
		 host, host, name, name);
	return json;
}

static void tell_subset(const char *host, const char *name)
{
	tell(DESTINATION_RULE, host, name, subset(host, name));
}

/* Is refused while the host's port carries no HTTP. */
static const char *outliers(const char *host)
{
	static char json[TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"DestinationRule\","
		 "\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{\"host\":\"%"
		 "s\",\"trafficPolicy\":{\"outlierDetection\":{\"consecutive5xxErrors\":3}}}}",
		 host, host);
	return json;
}

static void tell_outliers(const char *host)
{
	tell(DESTINATION_RULE, host, "outliers", outliers(host));
}

static bool in_force(int kind, const char *name)
{
	struct object_id id = { kind, "default", name };

	return known_find(&t.known, &id) != NULL;
}

/* The messages, with newlines between them. */
static const char *problems(void)
{
	static char text[4096];
	struct errors errors = { 0 };

	cr_assert_eq(kube_source_errors(t.source, &errors), 0);
	*text = 0;
	for (size_t i = 0; i < errors.count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "\n" : "",
			 errors.items[i].text);
	errors_free(&errors);
	return text;
}

/* A service `a` with a rule, in force. */
static void begin(void)
{
	tell_service("a", "10.96.0.1", 80);
	tell_subset("a", "v2");
	tell_rule("a", "100");
	synced();
	cr_assert(in_force(KIND_VIRTUAL_SERVICE, "a"));
	cr_assert_str_eq(problems(), "");
}

/* ---- tests ---- */

Test(kube_source, nothing_is_published_before_the_server_has_told_of_everything)
{
	tell_service("a", "10.96.0.1", 80);
	run(100);
	cr_expect_eq(t.changes, 0);
	cr_expect(t.waits);
	cr_expect_not(kube_source_is_ready(t.source));
	synced();
	cr_expect_eq(t.generations, 1);
	cr_expect_not(t.waits);
	cr_expect(kube_source_is_ready(t.source));
	cr_expect(in_force(KIND_SERVICE, "a"));
}

Test(kube_source, an_empty_cluster_is_one_too)
{
	synced();
	cr_expect_eq(t.generations, 1);
	cr_expect(kube_source_is_ready(t.source));
}

static void tell_phase(unsigned resource, enum informer_phase phase)
{
	const struct informer_sink sink = kube_source_sink(t.source);
	struct informer_status status = { .phase = phase };

	sink.status(sink.arg, resource, &status);
}

Test(kube_source, services_that_may_not_be_read_are_not_taken_for_none)
{
	tell_phase(GATEWAY, INFORMER_FORBIDDEN); /* a kind that a cluster may do without */
	tell_phase(SERVICE, INFORMER_FORBIDDEN);
	synced();
	cr_expect_eq(t.changes, 0);
	cr_expect_not(kube_source_is_ready(t.source));
	tell_phase(SERVICE, INFORMER_SYNCED);
	tell_service("a", "10.96.0.1", 80);
	run(3000);
	cr_expect(in_force(KIND_SERVICE, "a"));
	cr_expect(kube_source_is_ready(t.source));
}

Test(kube_source, what_comes_within_50_ms_is_one_generation)
{
	begin();
	cr_expect_eq(t.generations, 1);
	for (int i = 0; i < 20; i++) {
		char name[16], ip[32];

		snprintf(name, sizeof(name), "s%d", i);
		snprintf(ip, sizeof(ip), "10.96.1.%d", i);
		tell_service(name, ip, 80);
	}
	run(200);
	cr_expect_eq(t.generations, 2);
	cr_expect_eq(t.known.count, 23);
}

Test(kube_source, no_two_changes_begin_within_50_ms)
{
	begin();
	for (int port = 81; port < 91; port++) {
		tell_service("a", "10.96.0.1", port);
		told();
	}
	run(200);
	cr_expect_eq(t.generations, 3);
}

Test(kube_source, the_last_of_several_versions_counts)
{
	struct object_id id = { KIND_SERVICE, "default", "a" };

	begin();
	tell_service("a", "10.96.0.1", 81);
	tell(SERVICE, "a", NULL, NULL);
	tell_service("a", "10.96.0.1", 82);
	run(200);
	cr_expect_eq(t.generations, 2);
	cr_expect_eq(known_find(&t.known, &id)->object->service.ports.items[0].port, 82);
}

Test(kube_source, what_changes_nothing_is_no_change)
{
	unsigned compilations;

	begin();
	compilations = t.compilations;
	tell_service("a", "10.96.0.1", 80);
	run(200);
	cr_expect_eq(t.generations, 1);
	cr_expect_eq(t.compilations, compilations);
}

Test(kube_source, what_weft_has_no_use_for_makes_no_generation)
{
	begin();
	tell(NAMESPACE, "x", "1",
	     "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"x\"}}");
	run(200);
	cr_expect_eq(t.changes, 2);
	cr_expect_eq(t.generations, 1);
	cr_expect_eq(t.known.count, 4);
}

Test(kube_source, while_a_change_is_on_its_way_the_next_gathers)
{
	begin();
	t.late = true;
	tell_service("b", "10.96.0.2", 80);
	run(200);
	cr_assert_not_null(t.asked);
	tell_service("c", "10.96.0.3", 80);
	tell_service("b", "10.96.0.2", 81); /* the same object, once more */
	run(200);
	cr_expect_eq(t.changes, 1);
	answer();
	run(200);
	answer();
	run(200);
	cr_expect_null(t.asked);
	cr_expect_eq(t.generations, 3);
	cr_expect_eq(t.known.count, 5);
}

Test(kube_source, one_that_goes_while_its_change_is_on_its_way_is_gone)
{
	begin();
	t.late = true;
	tell_service("b", "10.96.0.2", 80);
	run(200);
	tell(SERVICE, "b", NULL, NULL);
	answer();
	run(200);
	cr_expect(in_force(KIND_SERVICE, "b"));
	answer();
	cr_expect_not(in_force(KIND_SERVICE, "b"));
}

Test(kube_source, a_change_that_fails_is_made_again)
{
	begin();
	t.fail = -EIO;
	tell_service("b", "10.96.0.2", 80);
	tell(VIRTUAL_SERVICE, "a", NULL, NULL);
	run(200);
	cr_expect_eq(t.generations, 1);
	cr_expect_not(in_force(KIND_SERVICE, "b"));
	run(3000);
	cr_expect_eq(t.generations, 2);
	cr_expect(in_force(KIND_SERVICE, "b"));
	cr_expect_not(in_force(KIND_VIRTUAL_SERVICE, "a"));
}

Test(kube_source, an_object_that_cannot_be_read_spoils_nothing)
{
	begin();
	tell_service("b", "10.96.0.2", 80);
	tell(VIRTUAL_SERVICE, "bad", "7",
	     "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"VirtualService\",\"metadata\":{"
	     "\"name\":\"bad\",\"namespace\":\"default\"},\"spec\":{\"hosts\":[\"x\"],\"http\":[{"
	     "\"route\":[{\"destination\":{\"host\":\"a\"},\"weight\":\"much\"}]}]}}");
	run(200);
	cr_expect(in_force(KIND_SERVICE, "b"));
	cr_expect_not(in_force(KIND_VIRTUAL_SERVICE, "bad"));
	cr_expect_str_eq(problems(), "virtualservice/default/bad: spec.http[0].route[0].weight: "
				     "expected a whole number from 0 to 2147483647 without quotes, "
				     "not \"much\"");
	tell(VIRTUAL_SERVICE, "bad", NULL, NULL);
	run(200);
	cr_expect_str_eq(problems(), "");
}

Test(kube_source, the_last_good_version_of_a_bad_object_stays)
{
	struct object_id id = { KIND_VIRTUAL_SERVICE, "default", "a" };
	const struct object *was;

	begin();
	was = known_find(&t.known, &id)->object;
	tell_rule("a", "much");
	run(200);
	cr_expect_eq(known_find(&t.known, &id)->object, was);
	cr_expect_eq(kube_source_problem_count(t.source), 1);
	tell_rule("a", "50");
	run(200);
	cr_expect_neq(known_find(&t.known, &id)->object, was);
	cr_expect_str_eq(problems(), "");
}

/* The same of the object with that uid. */
static const char *with_uid(const char *json, const char *uid)
{
	static char text[TEXT_MAX];
	const char *at = strstr(json, "\"metadata\":{") + strlen("\"metadata\":{");

	snprintf(text, sizeof(text), "%.*s\"uid\":\"%s\",%s", (int)(at - json), json, uid, at);
	return text;
}

static void tell_rule_of(const char *uid, const char *weight)
{
	tell(VIRTUAL_SERVICE, "a", weight, with_uid(virtual_service("a", "a", weight), uid));
}

Test(kube_source, what_an_earlier_object_of_that_name_had_does_not_stay)
{
	begin();
	tell_rule_of("one", "100");
	run(200);
	tell_rule_of("one", "\"much\"");
	run(200);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"));
	tell_rule_of("two", "\"much\"");
	run(200);
	cr_expect_not(in_force(KIND_VIRTUAL_SERVICE, "a"));
	cr_expect_eq(kube_source_problem_count(t.source), 1);
	tell_rule_of("two", "50");
	run(200);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"));
	cr_expect_str_eq(problems(), "");
}

Test(kube_source, what_an_earlier_object_of_that_name_had_does_not_stay_where_the_next_is_refused)
{
	begin();
	tell(DESTINATION_RULE, "a", "1", with_uid(subset("a", "v2"), "one"));
	run(200);
	tell(DESTINATION_RULE, "a", "2", with_uid(outliers("a"), "one"));
	run(200);
	cr_expect(in_force(KIND_DESTINATION_RULE, "a"));
	tell(DESTINATION_RULE, "a", "3", with_uid(outliers("a"), "two"));
	run(200);
	cr_expect_not(in_force(KIND_DESTINATION_RULE, "a"));
	cr_expect_eq(kube_source_problem_count(t.source), 1);
}

Test(kube_source, what_an_earlier_object_of_that_name_had_does_not_stay_by_a_restart)
{
	begin();
	tell(DESTINATION_RULE, "a", "1", with_uid(subset("a", "v2"), "one"));
	run(200);
	tell(DESTINATION_RULE, "a", "2", with_uid(outliers("a"), "two"));
	run(200);
	cr_expect_not(in_force(KIND_DESTINATION_RULE, "a"));
	stop();
	start();
	cr_expect_not(in_force(KIND_DESTINATION_RULE, "a"));
	stop();
	start();
	tell(DESTINATION_RULE, "a", "3", with_uid(subset("a", "v2"), "two"));
	synced();
	tell(DESTINATION_RULE, "a", "4", with_uid(outliers("a"), "two"));
	run(200);
	stop();
	start();
	cr_expect(in_force(KIND_DESTINATION_RULE, "a"), "it is the same object's: %s", problems());
}

Test(kube_source, what_an_earlier_object_of_that_name_had_does_not_stay_though_it_comes_late)
{
	begin();
	tell(VIRTUAL_SERVICE, "a", NULL, NULL);
	run(200);
	t.late = true;
	tell_rule_of("one", "100");
	run(200);
	tell_rule_of("two", "\"much\"");
	t.late = false;
	answer();
	run(200);
	cr_expect_not(in_force(KIND_VIRTUAL_SERVICE, "a"));
	cr_expect_eq(kube_source_problem_count(t.source), 1);
	tell_rule_of("two", "50");
	run(200);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"));
	cr_expect_str_eq(problems(), "");
}

Test(kube_source, of_fifty_objects_the_bad_one_alone_is_left_out)
{
	begin();
	for (int i = 0; i < 50; i++) {
		char name[16], ip[32];

		snprintf(name, sizeof(name), "s%d", i);
		snprintf(ip, sizeof(ip), "10.96.1.%d", i);
		tell_service_of(name, ip, 80, i == 17 ? "tcp" : "http");
		tell_outliers(name);
	}
	run(300);
	cr_expect_eq(t.generations, 2);
	cr_expect_eq(t.known.count, 102);
	cr_expect_not(in_force(KIND_DESTINATION_RULE, "s17"));
	cr_expect_str_eq(problems(),
			 "destinationrule/default/s17: spec.trafficPolicy.outlierDetection: weft "
			 "does not carry out outlier detection of TCP, on a port that does not "
			 "carry HTTP");
	/* It is tried again when the one that it does not go with changes. */
	tell_service_of("s17", "10.96.1.17", 80, "http");
	run(200);
	cr_expect(in_force(KIND_DESTINATION_RULE, "s17"));
	cr_expect_str_eq(problems(), "");
}

/* The rule of service `a`, with this resourceVersion and what weft has written into its status. */
static void tell_with_status(const char *weight, const char *version)
{
	char json[2 * TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"VirtualService\","
		 "\"metadata\":{\"name\":\"a\",\"namespace\":\"default\",\"generation\":%s,"
		 "\"resourceVersion\":\"%s\"},\"spec\":{\"hosts\":[\"a\"],\"tcp\":[{\"route\":"
		 "[{\"destination\":{\"host\":\"a\",\"subset\":\"v2\"},\"weight\":%s},{"
		 "\"destination\":{\"host\":\"a\",\"subset\":\"v2\"},"
		 "\"weight\":0}]}]},"
		 "\"status\":{\"observedGeneration\":%s,\"conditions\":[{\"type\":\"Reconciled\","
		 "\"status\":\"False\",\"reason\":\"LeftOut\",\"message\":\"version %s\"}]}}",
		 version, version, weight, version, version);
	tell(VIRTUAL_SERVICE, "a", version, json);
	run(200);
}

/* A policy that compile() refuses, and what weft has written of it. */
static void tell_outliers_with_status(const char *version)
{
	char json[2 * TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"DestinationRule\","
		 "\"metadata\":{\"name\":\"a\",\"namespace\":\"default\",\"generation\":1,"
		 "\"resourceVersion\":\"%s\"},\"spec\":{\"host\":\"a\",\"trafficPolicy\":{"
		 "\"outlierDetection\":{\"consecutive5xxErrors\":3}}},"
		 "\"status\":{\"conditions\":[{\"type\":\"Reconciled\",\"status\":\"False\","
		 "\"reason\":\"LeftOut\",\"message\":\"version %s\"}]}}",
		 version, version);
	tell(DESTINATION_RULE, "a", version, json);
	run(200);
}

Test(kube_source, what_is_written_into_a_status_is_no_change)
{
	unsigned compilations, changes;

	begin();
	tell_with_status("100", "1");
	compilations = t.compilations;
	tell_with_status("100", "2");
	cr_expect_eq(t.compilations, compilations, "of one that is in force");
	tell_outliers_with_status("3");
	cr_expect_not_null(strstr(problems(), "outlier detection of TCP"));
	cr_expect_gt(t.compilations, compilations);
	compilations = t.compilations;
	changes = t.changes;
	tell_outliers_with_status("4");
	cr_expect_eq(t.compilations, compilations, "of one that is refused");
	cr_expect_eq(t.changes, changes);
	cr_expect_not_null(strstr(problems(), "outlier detection of TCP"));
}

struct rejected {
	const char *word;
	size_t count, sum;
};

static int count_rejected(void *arg, const char *word, size_t count)
{
	struct rejected *r = arg;

	if (!strcmp(word, r->word))
		r->count = count;
	r->sum += count;
	return 0;
}

Test(kube_source, what_is_wrong_is_counted_by_kind)
{
	struct rejected r = { .word = "virtualservices" };

	begin();
	tell_with_status("0", "3");
	tell(VIRTUAL_SERVICE, "b", "1", virtual_service("b", "b", "-1"));
	run(200);
	cr_expect_eq(kube_source_each_rejected(t.source, count_rejected, &r), 0);
	cr_expect_eq(r.count, 2);
	cr_expect_eq(r.sum, 2);
}

Test(kube_source, many_bad_ones_cost_no_more_than_one)
{
	unsigned before;

	begin();
	for (int i = 0; i < 40; i++) {
		char name[16], ip[32];

		snprintf(name, sizeof(name), "s%d", i);
		snprintf(ip, sizeof(ip), "10.96.1.%d", i);
		tell_service(name, ip, 80);
		tell_outliers(name);
	}
	before = t.compilations;
	run(300);
	cr_expect_eq(kube_source_problem_count(t.source), 40);
	cr_expect_leq(t.compilations - before, 3);
}

Test(kube_source, what_others_make_wrong_is_left_out_until_they_mend_it)
{
	begin();
	tell_service_of("b", "10.96.0.2", 80, "http");
	tell_outliers("b");
	run(200);
	cr_expect(in_force(KIND_DESTINATION_RULE, "b"));
	tell_service_of("b", "10.96.0.2", 80, "tcp");
	run(200);
	cr_expect_not(in_force(KIND_DESTINATION_RULE, "b"));
	cr_expect_eq(kube_source_problem_count(t.source), 1);
	tell_service("c", "10.96.0.3", 80); /* does not help */
	run(200);
	cr_expect_eq(kube_source_problem_count(t.source), 1);
	cr_expect(in_force(KIND_SERVICE, "c"));
	tell_service_of("b", "10.96.0.2", 80, "http");
	run(200);
	cr_expect(in_force(KIND_DESTINATION_RULE, "b"));
	cr_expect_str_eq(problems(), "");
}

Test(kube_source, a_good_object_does_not_go_with_a_bad_change_of_another)
{
	begin();
	/* The rule can't lead there any more, and the policy is wrong in itself among the others:
	 * two errors at once. */
	tell(DESTINATION_RULE, "a", "9",
	     "{\"apiVersion\":\"networking.istio.io/"
	     "v1\",\"kind\":\"DestinationRule\",\"metadata\":{"
	     "\"name\":\"a\",\"namespace\":\"default\"},\"spec\":{\"host\":\"a\",\"trafficPolicy\":"
	     "{\"loadBalancer\":{\"simple\":\"PASSTHROUGH\"},"
	     "\"outlierDetection\":{\"consecutive5xxErrors\":3}},"
	     "\"subsets\":[{\"name\":\"v2\",\"trafficPolicy\":{}}]}}");
	run(200);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"), "%s", problems());
	cr_expect(in_force(KIND_DESTINATION_RULE, "a"));
	cr_expect_eq(kube_source_problem_count(t.source), 1, "%s", problems());
}

/* ---- what refers to what is not there ---- */

/* What becomes of a connection to service `a` by its rule. */
static const char *answer_at_a(void)
{
	for (size_t i = 0; i < t.tables->cluster_origins.count; i++) {
		const struct cluster_origin *o = &t.tables->cluster_origins.items[i];

		if (!strcmp(o->subset, "v2"))
			return o->known ? "sent" : "refused";
	}
	return "no rule";
}

/* With Istio, too, the order in which objects come, and go, does not matter. */
Test(kube_source, a_rule_whose_subset_is_not_there_stays_and_refuses)
{
	tell_service("a", "10.96.0.1", 80);
	tell_rule("a", "100");
	synced();
	cr_assert(in_force(KIND_VIRTUAL_SERVICE, "a"), "%s", problems());
	cr_expect_str_eq(answer_at_a(), "refused");
	tell_subset("a", "v1");
	run(200);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"), "%s", problems());
	cr_expect_str_eq(answer_at_a(), "refused");
	tell_subset("a", "v2");
	run(200);
	cr_expect_str_eq(answer_at_a(), "sent");
	tell_subset("a", "v1");
	run(200);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"), "%s", problems());
	cr_expect_str_eq(answer_at_a(), "refused");
	tell(DESTINATION_RULE, "a", NULL, NULL);
	run(200);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"), "%s", problems());
	cr_expect_str_eq(answer_at_a(), "refused");
	cr_expect_str_eq(problems(), "");
}

Test(kube_source, a_rule_whose_port_is_not_there_stays_and_refuses)
{
	begin();
	tell(VIRTUAL_SERVICE, "a", "9",
	     "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"VirtualService\",\"metadata\":{"
	     "\"name\":\"a\",\"namespace\":\"default\"},\"spec\":{\"hosts\":[\"a\"],\"tcp\":[{"
	     "\"route\":[{\"destination\":{\"host\":\"a\",\"subset\":\"v2\",\"port\":{\"number\":81"
	     "}}}]}]}}");
	run(200);
	cr_expect_str_eq(problems(), "");
	cr_expect_str_eq(answer_at_a(), "refused");
	tell_service("a", "10.96.0.1", 81);
	run(200);
	cr_expect_str_eq(answer_at_a(), "sent");
}

Test(kube_source, each_kind_that_is_not_carried_out_is_known_as_such)
{
	size_t known = 0;

	for (size_t i = 0; i < kube_kind_count; i++) {
		const struct unsupported_kind *k = unsupported_find(kube_kinds[i].name);

		cr_expect_eq(!k, kube_kinds[i].kind >= 0, "%s", kube_kinds[i].name);
		if (!k)
			continue;
		known++;
		cr_expect_str_eq(k->group, kube_kinds[i].group);
		cr_expect_str_eq(k->plural, kube_kinds[i].plural);
	}
	cr_expect_eq(known, unsupported_kind_count);
}

Test(kube_source, kinds_that_are_not_carried_out_are_told_for_as_long_as_they_are_there)
{
	begin();
	tell(SIDECAR, "x", "1",
	     "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"Sidecar\",\"metadata\":{"
	     "\"name\":\"x\",\"namespace\":\"default\"}}");
	run(200);
	cr_expect_str_eq(problems(), "sidecar/default/x: weft does not carry out Sidecar: it "
				     "has no effect");
	stop();
	start();
	cr_expect_str_eq(problems(), "sidecar/default/x: weft does not carry out Sidecar: it "
				     "has no effect");
	tell(SIDECAR, "x", NULL, NULL);
	cr_expect_str_eq(problems(), "");
}

/* A status has a hundred of them by name. */
Test(kube_source, what_should_close_something_is_told_before_others)
{
	enum { MANY = 150 };
	_cleanup_json_ json_t *status = NULL;
	const json_t *first;
	char name[32];
	int kind = kube_kind_of_name("RequestAuthentication");

	begin();
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		tell(SERVICE_ENTRY, name, "1", "{}");
	}
	tell((unsigned)kind, "z", "1", "{}");
	run(200);
	status = kube_source_status(t.source);
	cr_assert_eq(json_get_int(status, "problem_count", 0), MANY + 1);
	first = json_array_get(json_object_get(status, "problems"), 0);
	cr_expect_str_eq(json_get_text(first, "kind", ""), "RequestAuthentication");
}

/* What weft refuses of an AuthorizationPolicy closes more, not less. */
Test(kube_source, an_authorization_policy_that_is_refused_denies)
{
	static const struct {
		const char *spec;
		bool stands; /* and something takes its place */
	} rows[] = {
		{ "{\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"action\":\"CUSTOM\"}",
		  true },
		{ "{\"rules\":[{\"from\":[{\"source\":{\"requestPrincipals\":[\"*\"]}}]}]}", true },
		{ "{\"targetRefs\":[{\"kind\":\"Gateway\",\"name\":\"x\"}]}", false },
		{ "{\"action\":\"AUDIT\",\"rules\":[{\"from\":[{\"source\":{"
		  "\"requestPrincipals\":[\"*\"]}}]}]}",
		  false },
	};
	unsigned kind = (unsigned)kube_kind_of_name("AuthorizationPolicy");

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char json[TEXT_MAX], name[8];
		struct object_id id = { KIND_AUTHORIZATION_POLICY, "default", name };
		struct known *k;

		snprintf(name, sizeof(name), "p%zu", i);
		snprintf(json, sizeof(json),
			 "{\"apiVersion\":\"security.istio.io/v1\",\"kind\":"
			 "\"AuthorizationPolicy\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
			 "\"default\"},\"spec\":%s}",
			 name, rows[i].spec);
		tell(kind, name, "1", json);
		run(200);
		cr_expect(strstr(problems(), name), "%s", rows[i].spec);
		k = known_find(&t.known, &id);
		cr_expect_eq(k && k->object, rows[i].stands, "%s", rows[i].spec);
		if (k && k->object) {
			cr_expect(k->object->stands_in);
			cr_expect_eq(k->object->authz.action, AUTHZ_DENY);
			cr_expect_eq(k->object->authz.rules.count, 1);
			cr_expect_eq(k->object->authz.selector.count, i == 0);
		}
	}
}

/* What can't be read of a PeerAuthentication closes more, not less. */
Test(kube_source, a_peer_authentication_that_cannot_be_read_is_strict)
{
	static const struct {
		const char *spec;
		bool stands; /* and something takes its place: */
		enum mtls_mode mode;
		size_t labels, ports;
	} rows[] = {
		{ "{\"mtls\":{\"mode\":\"STRICT\"},\"new\":1}", true, MTLS_STRICT, 0, 0 },
		{ "{\"mtls\":{\"mode\":\"STICT\"}}", true, MTLS_STRICT, 0, 0 },
		{ "{\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"mtls\":7}", true,
		  MTLS_STRICT, 1, 0 },
		{ "{\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"portLevelMtls\":{\"80\":"
		  "{\"mode\":\"STRICT\"}},\"new\":1}",
		  true, MTLS_UNSET, 1, 1 },
		{ "{\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"portLevelMtls\":{\"http\":"
		  "{\"mode\":\"DISABLE\"}}}",
		  true, MTLS_STRICT, 1, 0 },
		{ "{\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"mtls\":{\"mode\":"
		  "\"DISABLE\"},\"new\":1}",
		  true, MTLS_DISABLE, 1, 0 },
		{ "{\"selector\":7,\"mtls\":{\"mode\":\"STRICT\"}}", true, MTLS_STRICT, 0, 0 },
		{ "{\"selector\":7,\"mtls\":{\"mode\":\"DISABLE\"}}", false, 0, 0, 0 },
		{ "7", true, MTLS_STRICT, 0, 0 },
	};
	unsigned kind = (unsigned)kube_kind_of_name("PeerAuthentication");

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char json[TEXT_MAX], name[8];
		struct object_id id = { KIND_PEER_AUTHENTICATION, "default", name };
		struct known *k;

		snprintf(name, sizeof(name), "p%zu", i);
		snprintf(json, sizeof(json),
			 "{\"apiVersion\":\"security.istio.io/v1\",\"kind\":"
			 "\"PeerAuthentication\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
			 "\"default\"},\"spec\":%s}",
			 name, rows[i].spec);
		tell(kind, name, "1", json);
		run(200);
		cr_expect(strstr(problems(), name), "%s", rows[i].spec);
		k = known_find(&t.known, &id);
		cr_expect_eq(k && k->object, rows[i].stands, "%s", rows[i].spec);
		if (!k || !k->object)
			continue;
		cr_expect(k->object->stands_in);
		cr_expect_eq((enum mtls_mode)k->object->peer.mode, rows[i].mode, "%s",
			     rows[i].spec);
		cr_expect_eq(k->object->peer.selector.count, rows[i].labels, "%s", rows[i].spec);
		cr_expect_eq(k->object->peer.ports.count, rows[i].ports, "%s", rows[i].spec);
	}
}

static void tell_mode(const char *mode, const char *version)
{
	char json[TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"security.istio.io/v1\",\"kind\":\"PeerAuthentication\","
		 "\"metadata\":{\"name\":\"p\",\"namespace\":\"default\"},\"spec\":{\"mtls\":{"
		 "\"mode\":\"%s\"}}}",
		 mode);
	tell((unsigned)kube_kind_of_name("PeerAuthentication"), "p", version, json);
	run(200);
}

/* What it last was when it was right stays, where that is no laxer. */
Test(kube_source, a_strict_peer_authentication_stays_while_it_cannot_be_read)
{
	const struct object_id id = { KIND_PEER_AUTHENTICATION, "default", "p" };

	begin();
	tell_mode("PERMISSIVE", "1");
	cr_expect_eq(known_find(&t.known, &id)->object->peer.mode, MTLS_PERMISSIVE);
	tell_mode("STICT", "2");
	cr_expect_eq(known_find(&t.known, &id)->object->peer.mode, MTLS_STRICT);
	cr_expect(known_find(&t.known, &id)->object->stands_in);
	tell_mode("STRICT", "3");
	cr_expect_not(known_find(&t.known, &id)->object->stands_in);
	tell_mode("STICT", "4");
	cr_expect_eq(known_find(&t.known, &id)->object->peer.mode, MTLS_STRICT);
	cr_expect_not(known_find(&t.known, &id)->object->stands_in);
}

/* ---- what can't be read, and must not open anything ---- */

static void tell_policy(const char *selector, const char *rest)
{
	char json[TEXT_MAX];

	snprintf(
		json, sizeof(json),
		"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{"
		"\"name\":\"p\",\"namespace\":\"default\"},\"spec\":{\"podSelector\":%s%s}}",
		selector, rest);
	tell(NETWORK_POLICY, "p", rest, json);
	run(200);
}

static const struct object *known_policy(void)
{
	struct object_id id = { KIND_NETWORK_POLICY, "default", "p" };
	struct known *k = known_find(&t.known, &id);

	return k ? k->object : NULL;
}

#define WEB "{\"matchLabels\":{\"app\":\"web\"}}"
#define DB "{\"matchLabels\":{\"app\":\"db\"}}"
#define UNREADABLE_RULE ",\"ingress\":[{\"from\":[{\"ipBlock\":{\"cidr\":\"much\"}}]}]"
#define ALL_FROM_DB ",\"ingress\":[{\"from\":[{\"podSelector\":" DB "}]}]"
#define LETS_NOTHING                                                                          \
	"networkpolicy/default/p: until it can be read it is in force as a policy that lets " \
	"nothing "                                                                            \
	"through"

static void expect_closed(const char *what, const char *label, bool ingress, bool egress)
{
	const struct object *o = known_policy();

	cr_assert_not_null(o, "%s", what);
	cr_expect(o->stands_in, "%s", what);
	cr_expect_eq(o->policy.closes_ingress, ingress, "%s", what);
	cr_expect_eq(o->policy.closes_egress, egress, "%s", what);
	cr_expect_eq(o->policy.ingress.count + o->policy.egress.count, 0, "%s", what);
	cr_assert_eq(o->policy.pods.labels.count, label ? 1 : 0, "%s", what);
	if (label)
		cr_expect_str_eq(o->policy.pods.labels.items[0].value, label, "%s", what);
	cr_expect(strstr(problems(), LETS_NOTHING), "%s: %s", what, problems());
}

Test(kube_source, a_policy_that_cannot_be_read_closes_what_it_selects)
{
	static const struct {
		const char *what, *selector, *rest, *label;
		bool ingress, egress;
	} rows[] = {
		{ "a rule", WEB, UNREADABLE_RULE, "web", true, false },
		{ "with both types", WEB,
		  ",\"policyTypes\":[\"Egress\",\"Ingress\"]" UNREADABLE_RULE, "web", true, true },
		{ "for egress", WEB, ",\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":7}]", "web",
		  false, true },
		{ "egress by its rules", WEB, ",\"egress\":[{\"to\":7}]", "web", true, true },
		{ "a type", WEB, ",\"policyTypes\":[\"Sideways\"]", "web", true, true },
		{ "a selector", "{\"matchLabels\":{\"app\":7}}", "", NULL, true, false },
		{ "selector and types", "[]", ",\"policyTypes\":\"Egress\"", NULL, true, true },
		{ "a new field", WEB, ",\"priority\":1", "web", true, false },
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		tell_policy(rows[i].selector, rows[i].rest);
		expect_closed(rows[i].what, rows[i].label, rows[i].ingress, rows[i].egress);
		tell(NETWORK_POLICY, "p", NULL, NULL);
		run(200);
		cr_expect_null(known_policy(), "%s", rows[i].what);
		cr_expect_str_eq(problems(), "");
	}
}

Test(kube_source, a_policy_that_cannot_be_read_any_more_keeps_its_rules_for_the_same_pods)
{
	begin();
	tell_policy(WEB, ALL_FROM_DB);
	tell_policy(WEB, UNREADABLE_RULE);
	cr_assert_not_null(known_policy());
	cr_expect_not(known_policy()->stands_in);
	cr_expect_eq(known_policy()->policy.ingress.count, 1);
	cr_expect_eq(kube_source_problem_count(t.source), 1);
	/* It is about others now, and of those nothing is known but that they are selected. */
	tell_policy(DB, UNREADABLE_RULE);
	expect_closed("others", "db", true, false);
	tell_policy(DB, ALL_FROM_DB);
	cr_expect_not(known_policy()->stands_in);
	cr_expect_str_eq(problems(), "");
}

/* ---- the kind of weft's own ---- */

static void tell_protection(const char *version, const char *spec)
{
	char json[TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"weft.dev/v1alpha1\",\"kind\":\"ConnectionPolicy\",\"metadata\":"
		 "{\"name\":\"default\"},\"spec\":%s}",
		 spec);
	tell(CONNECTION_POLICY, "default", version, json);
	run(200);
}

/* How many subnets are denied; -1: there is no policy. */
static int denied(void)
{
	const struct protection *p = &t.tables->protection;

	return p->limits.flags & PROTECT_ON ? (int)p->ranges.count : -1;
}

Test(kube_source, a_connection_policy_is_of_no_namespace)
{
	struct object_id id = { KIND_CONNECTION_POLICY, NULL, "default" };
	unsigned generations;

	begin();
	cr_expect_eq(denied(), -1);
	generations = t.generations;
	tell_protection("1", "{\"deny\":[\"10.0.0.0/8\"]}");
	cr_expect_not_null(known_find(&t.known, &id));
	cr_expect_eq(denied(), 1);
	cr_expect_eq(t.generations, generations + 1);
	cr_expect_str_eq(problems(), "");
	/* What is wrong is told, and leaves in force what was. */
	tell_protection("2", "{\"deny\":[\"10.0.0.0\"]}");
	cr_expect_eq(denied(), 1);
	cr_expect(strstr(problems(), "connectionpolicy/default: spec.deny[0]: expected a subnet"),
		  "%s", problems());
	tell_protection("3", "{\"deny\":[\"10.0.0.0/8\",\"11.0.0.0/8\"]}");
	cr_expect_eq(denied(), 2);
	cr_expect_str_eq(problems(), "");
	stop();
	start();
	cr_expect_eq(denied(), 2, "after a restart, before the API server answers");
	begin();
	tell(CONNECTION_POLICY, "default", NULL, NULL);
	run(200);
	cr_expect_null(known_find(&t.known, &id));
	cr_expect_eq(denied(), -1);
}

Test(kube_source, a_policy_that_cannot_be_read_closes_after_a_restart_too)
{
	begin();
	tell_policy(WEB, ALL_FROM_DB);
	tell_policy(DB, UNREADABLE_RULE);
	stop();
	start();
	expect_closed("a restart", "db", true, false);
	stop();
	start(); /* what the first one has written is no good version */
	expect_closed("another one", "db", true, false);
	tell_policy(WEB, ALL_FROM_DB);
	synced();
	cr_expect_not(known_policy()->stands_in);
	cr_expect_str_eq(problems(), "");
}

Test(kube_source, of_two_unreadable_versions_within_50_ms_the_last_counts)
{
	begin();
	t.late = true;
	tell_policy(WEB, UNREADABLE_RULE);
	tell_policy(DB, UNREADABLE_RULE);
	answer();
	run(200);
	answer();
	expect_closed("the last", "db", true, false);
	t.late = false;
	t.fail = -EIO;
	tell_policy(WEB, UNREADABLE_RULE);
	run(3000);
	expect_closed("once more after a failure", "web", true, false);
}

static void tell_pod(const char *labels, const char *ports)
{
	char json[TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"w\","
		 "\"namespace\":"
		 "\"default\",\"labels\":%s},\"spec\":{\"nodeName\":\"n\",\"containers\":[{"
		 "\"ports\":%s}"
		 "]},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.9\"}}",
		 labels, ports);
	tell(POD, "w", ports, json);
	run(200);
}

Test(kube_source, a_pod_that_cannot_be_read_is_known_as_far_as_it_can_be)
{
	struct object_id id = { KIND_POD, "default", "w" };
	const struct object *o;

	begin();
	tell_pod("{\"app\":\"web\"}", "[{\"containerPort\":0}]");
	cr_assert(in_force(KIND_POD, "w"), "%s", problems());
	o = known_find(&t.known, &id)->object;
	cr_expect(o->stands_in);
	cr_expect_not(o->pod.labels_unknown);
	cr_expect_str_eq(o->meta.labels.items[0].value, "web");
	cr_expect_str_eq(o->pod.ips.items[0], "10.0.0.9");
	cr_expect_str_eq(o->pod.node_name, "n");
	cr_expect_eq(o->pod.ports.count, 0);
	cr_expect(strstr(problems(), "in force as far as it can be read"), "%s", problems());
	tell_pod("{\"app\":7}", "[{\"containerPort\":80}]");
	o = known_find(&t.known, &id)->object;
	cr_expect(o->pod.labels_unknown);
	cr_expect_eq(o->pod.ports.count, 1);
	tell_pod("{\"app\":\"web\"}", "[{\"containerPort\":80}]");
	cr_expect_not(known_find(&t.known, &id)->object->stands_in);
	cr_expect_str_eq(problems(), "");
}

/* ---- beside files ---- */

static struct origin file_origin = { .refs = 1000 };

/* As if `weft apply` had brought the service. */
static void apply_service(const char *name)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	char yaml[TEXT_MAX];

	snprintf(
		yaml, sizeof(yaml),
		"apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {clusterIP: 10.96.9.9, "
		"ports: [{port: 1}]}\n",
		name);
	cr_assert_eq(rules_parse("f.yaml", yaml, strlen(yaml), &objects, &errors, NULL), 0);
	cr_assert_eq(known_add(&t.known, objects.items[0], origin_ref(&file_origin), 0), 0);
	objects.count = 0;
	objects_free(&objects);
}

Test(kube_source, what_a_file_has_too_is_an_error_and_the_files_stays)
{
	struct object_id id = { KIND_SERVICE, "default", "both" };
	struct object_source *base = kube_source_base(t.source);
	struct known *k;

	begin();
	apply_service("both");
	tell_service("both", "10.96.0.7", 80);
	run(200);
	cr_expect_str_eq(known_find(&t.known, &id)->object->file, "f.yaml");
	cr_expect_str_eq(problems(), "service/default/both: is in a file that was applied, too, "
				     "which counts: expected it in one of both (weft delete)");
	/* Its turn comes when the file's is deleted. */
	k = known_find(&t.known, &id);
	object_free(k->object);
	*k = (struct known){ .hash = k->hash };
	known_squeeze(&t.known);
	base->others_changed(base);
	run(200);
	cr_assert(in_force(KIND_SERVICE, "both"));
	cr_expect_str_eq(known_find(&t.known, &id)->object->file, "service/default/both");
	cr_expect_str_eq(problems(), "");
}

/* ---- the cache ---- */

Test(kube_source, a_restart_begins_with_what_was_last_known)
{
	begin();
	tell_rule("a", "much"); /* bad: the good version is what a restart begins with */
	tell_service("b", "10.96.0.2", 80);
	tell_service("c", "10.96.0.3", 80);
	run(200);
	tell(SERVICE, "c", NULL, NULL);
	run(200);
	stop();
	start();
	cr_expect_not(t.waits);
	cr_expect(kube_source_is_ready(t.source));
	cr_expect_eq(t.known.count, 4);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"));
	cr_expect_eq(kube_source_problem_count(t.source), 1);
	t.generations = 0;
	tell_service("b", "10.96.0.2", 80);
	synced();
	cr_expect_eq(t.generations, 0);
	cr_expect_eq(t.known.count, 4);
}

/* Whether the text is somewhere in the cache. */
static bool is_written(const char *what)
{
	char path[128], bytes[65536];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/kubernetes.cache", t.dir);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return memmem(bytes, n, what, strlen(what));
}

/* Where `weft wait` asks for them: what an agent may list. */
static const char *asked_at(unsigned kind)
{
	static char path[KUBE_PATH_MAX];
	json_t *all = kube_source_versions(t.source), *resource;
	size_t i;

	path[0] = '\0';
	json_array_foreach(all, i, resource) if (str_eq(json_get_text(resource, "resource", ""),
							kube_kinds[kind].plural))
		snprintf(path, sizeof(path), "%s", json_get_text(resource, "path", ""));
	json_decref(all);
	return path;
}

#define SECRET_JSON                                                                   \
	"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"cert\"," \
	"\"namespace\":"                                                              \
	"\"default\"},\"data\":{\"tls.crt\":\"Yw==\",\"tls.key\":\"aGlkZGVu\"}}"

Test(kube_source, secrets_are_in_force_and_written_down_nowhere)
{
	struct object_source *base = kube_source_base(t.source);
	unsigned secret = (unsigned)kube_kind_of_plural("secrets");
	struct object_id id = { KIND_SECRET, "default", "cert" };
	size_t count;

	cr_expect_str_eq(kube_source_resources(t.source, &count)[secret].path,
			 "/api/v1/namespaces/istio-system/secrets");
	cr_expect_str_eq(asked_at(secret), "/api/v1/namespaces/istio-system/secrets");
	cr_expect(base->has_more(base));
	tell(secret, "cert", "1", SECRET_JSON);
	begin();
	cr_assert(in_force(KIND_SECRET, "cert"));
	cr_expect_eq(known_find(&t.known, &id)->object->secret.key.len, strlen("hidden"));
	cr_expect(!base->has_more(base));
	stop();
	cr_expect(is_written("virtualservices"));
	cr_expect(!is_written("aGlkZGVu") && !is_written("secrets"));
	start();
	base = kube_source_base(t.source);
	cr_expect(kube_source_is_ready(t.source));
	cr_expect(base->has_more(base));
	cr_expect_not(in_force(KIND_SECRET, "cert"));
	tell(secret, "cert", "1", SECRET_JSON);
	synced();
	cr_expect(in_force(KIND_SECRET, "cert"));
	cr_expect(!base->has_more(base));
}

Test(kube_source, secrets_that_may_not_be_read_hold_nothing_up)
{
	tell_phase((unsigned)kube_kind_of_plural("secrets"), INFORMER_FORBIDDEN);
	begin();
	cr_expect(kube_source_is_ready(t.source));
}

Test(kube_source, a_version_that_compile_refused_is_tried_again_after_a_restart)
{
	begin();
	tell_service("b", "10.96.0.2", 80);
	tell_outliers("b");
	run(200);
	stop();
	start();
	cr_expect_not(in_force(KIND_DESTINATION_RULE, "b"));
	tell_service_of("b", "10.96.0.2", 80, "http");
	synced();
	cr_expect(in_force(KIND_DESTINATION_RULE, "b"), "%s", problems());
}

static off_t cache_size(void)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/kubernetes.cache", t.dir);
	cr_assert_eq(stat(path, &st), 0);
	return st.st_size;
}

Test(kube_source, a_torn_cache_is_what_it_was_before)
{
	char path[128];

	begin();
	tell_service("b", "10.96.0.2", 80);
	run(200);
	stop();
	snprintf(path, sizeof(path), "%s/kubernetes.cache", t.dir);
	cr_assert_eq(truncate(path, cache_size() - 5), 0);
	start();
	cr_expect_eq(t.known.count, 3);
	cr_expect_not(in_force(KIND_SERVICE, "b"));
	tell_service("b", "10.96.0.2", 80);
	synced();
	stop();
	start();
	cr_expect_eq(t.known.count, 4);
}

Test(kube_source, the_cache_of_another_server_is_of_no_use)
{
	begin();
	stop();
	t.config.server = (char *)"https://127.0.0.1:2";
	start();
	cr_expect(t.waits);
	cr_expect_eq(t.known.count, 0);
}

/* Of what is kept of services first of all, and of what there is of each kind. */
Test(kube_source, what_is_kept_has_a_hash)
{
	static const char *const one[] = { "a.b", NULL }, *const split[] = { "a", "b", NULL },
				 *const more[] = { "a.b", "c", NULL };
	static const char *const *const lists[] = { one, split, more };
	uint64_t first = kube_kinds_hash(kube_kinds, kube_kind_count);
	struct kube_kind kinds[2] = { kube_kinds[SERVICE], kube_kinds[POD] };
	uint64_t hashes[3];

	for (size_t i = 0; i < 3; i++) {
		kinds[0].fields = lists[i];
		hashes[i] = kube_kinds_hash(kinds, 2);
		for (size_t k = 0; k < i; k++)
			cr_expect_neq(hashes[i], hashes[k], "%zu %zu", i, k);
	}
	cr_expect_eq(hashes[2], kube_kinds_hash(kinds, 2));
	cr_expect_neq(first, kube_kinds_hash(kube_kinds, kube_kind_count - 1));
}

/* What it does not have would never be told, as the objects' versions are known. */
Test(kube_source, the_cache_of_other_fields_is_of_no_use)
{
	struct kube_cache *c;

	begin();
	stop();
	start();
	cr_expect_not(t.waits);
	stop();
	cr_assert_eq(kube_cache_open(t.dir, kube_kinds_hash(kube_kinds, kube_kind_count) + 1,
				     "url https://127.0.0.1:1", &c),
		     0);
	cr_expect(kube_cache_is_empty(c));
	kube_cache_close(c);
	start();
	cr_expect(t.waits);
	cr_expect_eq(t.known.count, 0);
}

Test(kube_source, the_same_cluster_at_another_url_is_known_by_its_authority)
{
	stop();
	t.config.ca_data = (char *)"one";
	start();
	begin();
	stop();
	t.config.server = (char *)"https://127.0.0.1:2";
	start();
	cr_expect_not(t.waits);
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"));
	stop();
	t.config.ca_data = (char *)"another"; /* at the same URL */
	start();
	cr_expect(t.waits);
	cr_expect_eq(t.known.count, 0);
}

static void tell_cluster(const char *uid)
{
	char json[TEXT_MAX];

	snprintf(json, sizeof(json),
		 "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"kube-"
		 "system\",\"uid\":\"%s\"}}",
		 uid);
	tell(NAMESPACE, "kube-system", "1", json);
}

/* Its authority may be the same, or it may have been made anew: its uid tells. */
Test(kube_source, what_was_known_of_another_cluster_goes_when_this_one_has_told_of_its_own)
{
	tell_cluster("1");
	begin();
	stop();
	start();
	cr_expect_not(t.waits);
	tell_cluster("2");
	tell_service("late", "10.96.0.8", 80); /* by the informer that began with the cache */
	run(300);
	cr_expect_not(kube_source_is_ready(t.source));
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a")); /* until more is known */
	tell_cluster("2");
	tell_service("a", "10.96.0.1", 80); /* that is the same in both */
	tell_service("b", "10.96.0.2", 80);
	synced();
	/* The informer that asks now tells, too, that nothing answers. */
	for (int i = 0; i < 50 && !kube_source_is_ready(t.source); i++)
		run(100);
	cr_expect(kube_source_is_ready(t.source));
	cr_expect(in_force(KIND_SERVICE, "a"));
	cr_expect(in_force(KIND_SERVICE, "b"));
	cr_expect_not(in_force(KIND_SERVICE, "late"));
	cr_expect_not(in_force(KIND_VIRTUAL_SERVICE, "a"));
	cr_expect_eq(t.known.count, 3);
	stop();
	start();
	cr_expect_not(t.waits);
	cr_expect_eq(t.known.count, 3);
	tell_cluster("2");
	tell_service("c", "10.96.0.3", 80);
	synced();
	cr_expect_eq(t.known.count, 4);
}

Test(kube_source, a_cluster_that_had_not_told_its_uid_is_no_other_one)
{
	begin();
	stop();
	start();
	tell_cluster("1");
	run(100);
	cr_expect(kube_source_is_ready(t.source));
	cr_expect(in_force(KIND_VIRTUAL_SERVICE, "a"));
}

Test(kube_source, the_cache_does_not_grow_without_end)
{
	begin();
	for (int i = 0; i < 16; i++) {
		for (int k = 0; k < 400; k++) {
			char name[16], ip[24];

			snprintf(name, sizeof(name), "s%d", k);
			snprintf(ip, sizeof(ip), "10.97.%d.%d", k / 200, k % 200);
			tell_service(name, ip, 1000 + i);
		}
		run(200);
	}
	cr_expect_eq(t.known.count, 403);
	cr_expect_leq(cache_size(), 2 << 20);
	stop();
	start();
	cr_expect_eq(t.known.count, 403);
}

/* ---- weft wait ---- */

/* Of the rule `a`: "VERSION STATE", or "" if it is not known. */
static const char *version_of_rule(void)
{
	static char text[64];
	json_t *all = kube_source_versions(t.source);
	const json_t *rule = json_object_get(
		json_object_get(json_array_get(all, VIRTUAL_SERVICE), "objects"), "default/a");

	snprintf(text, sizeof(text), "%s%s%s",
		 json_string_value(json_object_get(rule, "version")) ?: "", rule ? " " : "",
		 json_string_value(json_object_get(rule, "state")) ?: "");
	json_decref(all);
	return text;
}

Test(kube_source, a_version_is_pending_until_it_is_in_force)
{
	begin();
	cr_expect_str_eq(version_of_rule(), "100 in force");
	t.late = true;
	tell_rule("a", "90");
	cr_expect_str_eq(version_of_rule(), "90 pending", "before the change");
	run(100);
	cr_expect_str_eq(version_of_rule(), "90 pending", "while it is on its way");
	answer();
	cr_expect_str_eq(version_of_rule(), "90 in force");
	tell(VIRTUAL_SERVICE, "a", "80", virtual_service("a", "a", "-1"));
	cr_expect_str_eq(version_of_rule(), "80 wrong");
	tell(VIRTUAL_SERVICE, "a", NULL, NULL);
	cr_expect_str_eq(version_of_rule(), "80 pending", "still in force, though it is deleted");
	run(100);
	answer();
	cr_expect_str_eq(version_of_rule(), "");
}
