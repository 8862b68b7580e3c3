// SPDX-License-Identifier: Apache-2.0
/*
 * The writer of status: agents with a server between them that has objects, Events and a Lease. The
 * time is the test's.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/status_writer.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

enum { AGENTS = 3, OBJECTS = 8, NAME_MAX_ = 16, TURN_MS = 100 };

#define RULES "/apis/networking.istio.io/v1/namespaces/default/virtualservices/"
#define SERVICES "/api/v1/namespaces/default/services/"
#define EVENTS "/api/v1/namespaces/default/events"

/* An object of the server's, and what agents think of it. */
struct thing {
	char name[NAME_MAX_];
	bool is_service;
	json_t *object;	     /* as the server has it */
	const char *problem; /* that every agent sees; NULL: it is right */
	bool warns;	     /* it is no more than a warning */
	bool unsettled;	     /* agents have not come to a judgement of this version */
};

struct agent {
	struct status_writer *writer;
	bool dead, blind; /* blind: it has not been told of all objects yet */
};

static struct {
	struct event_loop *loop;
	struct thing things[OBJECTS];
	size_t count;
	struct agent agents[AGENTS];
	size_t agent_count;
	json_t *lease, *events; /* of Events by name */
	int version;
	uint64_t now;
	unsigned patches, gets, posts, lease_requests;
	long patch_status, post_status, get_status; /* to be answered; 0: what is right */
	bool drops_status;			    /* as a definition without one does */
} t;

/* ---- the server ---- */

static json_t *metadata(json_t *object)
{
	return json_object_get(object, "metadata");
}

static void touch(json_t *object)
{
	json_object_set_new(metadata(object), "resourceVersion", json_textf("%d", ++t.version));
}

static const char *version_text(const json_t *object)
{
	return json_get_text(json_object_get(object, "metadata"), "resourceVersion", "");
}

static struct thing *thing_at(const char *path)
{
	for (size_t i = 0; i < t.count; i++) {
		struct thing *o = &t.things[i];
		const char *collection = o->is_service ? SERVICES : RULES;
		size_t len = strlen(collection), name = strlen(o->name);

		if (!strncmp(path, collection, len) && !strncmp(path + len, o->name, name) &&
		    strchr("/?", path[len + name]))
			return o;
	}
	return NULL;
}

static struct status_target target_of(const struct thing *o, char path[128])
{
	snprintf(path, 128, "%s%s", o->is_service ? SERVICES : RULES, o->name);
	return (struct status_target){ .path = path,
				       .api_version = o->is_service ? "v1"
								    : "networking.istio.io/v1",
				       .kind = o->is_service ? "Service" : "VirtualService",
				       .namespace = "default",
				       .name = o->name,
				       .has_status = !o->is_service };
}

/* The watch of every agent. */
static void tell(const struct thing *o)
{
	char path[128];
	struct status_target target = target_of(o, path);

	for (size_t i = 0; i < t.agent_count; i++) {
		struct status_seen seen = { 0 };

		if (t.agents[i].dead || o->is_service)
			continue;
		cr_assert_eq(status_see(o->object, &seen), 0);
		status_writer_seen(t.agents[i].writer, &target, &seen);
	}
}

/* Of members on the first level of the status. */
static void merge_status(json_t *object, const json_t *status)
{
	json_t *own = json_object_get(object, "status"), *value;
	const char *key;

	if (json_is_null(status)) {
		json_object_del(object, "status");
		return;
	}
	if (!own)
		json_object_set_new(object, "status", own = json_object());
	json_object_foreach((json_t *)status, key, value)
	{
		if (json_is_null(value))
			json_object_del(own, key);
		else
			json_object_set(own, key, value);
	}
}

static long patch(struct thing *o, const json_t *given)
{
	t.patches++;
	if (t.patch_status)
		return t.patch_status;
	if (!o)
		return 404;
	if (strcmp(version_text(o->object), version_text(given)) != 0)
		return 409;
	if (!t.drops_status)
		merge_status(o->object, json_object_get(given, "status"));
	touch(o->object);
	return 200;
}

static long post(json_t *event)
{
	const char *name = json_get_text(metadata(event), "name", "");

	t.posts++;
	if (t.post_status)
		return t.post_status;
	if (json_object_get(t.events, name))
		return 409;
	json_object_set(t.events, name, event);
	return 201;
}

static long ask_lease(const char *method, json_t *given, json_t **out)
{
	t.lease_requests++;
	if (!strcmp(method, "GET")) {
		*out = json_incref(t.lease);
		return t.lease ? 200 : 404;
	}
	if (t.lease && strcmp(version_text(t.lease), version_text(given)) != 0)
		return 409;
	touch(given);
	json_decref(t.lease);
	t.lease = json_incref(given);
	return 200;
}

static long answer(const char *method, const char *path, json_t *given, json_t **out)
{
	struct thing *o = thing_at(path);
	long status;

	if (strstr(path, "/leases"))
		return ask_lease(method, given, out);
	if (!strncmp(path, EVENTS, strlen(EVENTS)))
		return post(given);
	if (!strcmp(method, "PATCH")) {
		cr_expect_not_null(strstr(path, "/status?fieldManager=weft"));
		status = patch(o, given);
	} else {
		t.gets++;
		status = t.get_status ? t.get_status : o ? 200 : 404;
	}
	if (status == 200)
		*out = json_incref(o->object);
	return status;
}

static int request(void *server, const char *method, const char *path, const char *type,
		   const char *body, size_t size, informer_reply_fn done, void *arg)
{
	json_t *given = body ? json_loadb(body, size, 0, NULL) : NULL, *out = NULL;
	long status;
	char *text;

	(void)server;
	(void)type;
	status = answer(method, path, given, &out);
	if (!out)
		out = json_pack("{s:s}", "message", "no: that is what the server says");
	text = json_dumps(out, 0);
	if (!strcmp(method, "PATCH") && status == 200)
		tell(thing_at(path));
	done(arg, status, status ? text : NULL, status ? strlen(text) : 0,
	     status ? NULL : "no answer");
	free(text);
	json_decref(out);
	json_decref(given);
	return 0;
}

/* ---- the agents ---- */

static bool each(void *arg, struct status_writer *w)
{
	struct agent *a = arg;

	for (size_t i = 0; !a->blind && i < t.count; i++) {
		struct thing *o = &t.things[i];
		struct errors errors = { 0 };
		struct status_said said = { 0 };
		struct status_target target;
		char path[128];

		if (!o->problem)
			continue;
		target = target_of(o, path);
		(o->warns ? errors_warn : errors_add)(&errors, "virtualservice/default/x",
						      (struct pos){ 0 }, "%s", o->problem);
		cr_assert_eq(status_say(&errors, o->warns ? STATUS_WARNED : STATUS_LEFT_OUT, &said),
			     0);
		cr_assert_eq(status_writer_want(w, &target, &said), 0);
		errors_free(&errors);
	}
	return !a->blind;
}

static const char *version(void *arg, const char *kind, const char *namespace, const char *name)
{
	(void)arg;
	(void)kind;
	(void)namespace;
	for (size_t i = 0; i < t.count; i++)
		if (!strcmp(t.things[i].name, name))
			return t.things[i].unsettled ? NULL : version_text(t.things[i].object);
	return NULL;
}

static unsigned spread_ms(void *arg)
{
	(void)arg;
	return 300;
}

static void start_agent(size_t i, bool blind)
{
	char node[16];
	const struct status_writer_options options = { "weft-system", node,	 request,
						       NULL,	      t.loop,	 each,
						       version,	      spread_ms, &t.agents[i] };

	snprintf(node, sizeof(node), "node-%zu", i);
	t.agents[i] = (struct agent){ .blind = blind };
	cr_assert_eq(status_writer_open(&options, &t.agents[i].writer), 0);
	if (i == t.agent_count)
		t.agent_count++;
}

static void kill_agent(size_t i)
{
	status_writer_close(t.agents[i].writer);
	t.agents[i] = (struct agent){ .dead = true };
}

/* Their watches bring all of it. */
static void list_all(void)
{
	for (size_t i = 0; i < t.count; i++)
		tell(&t.things[i]);
}

static void news(void)
{
	for (size_t i = 0; i < t.agent_count; i++)
		status_writer_changed(t.agents[i].writer);
}

static void run(unsigned ms)
{
	for (uint64_t end = t.now + ms; t.now < end; t.now += TURN_MS)
		for (size_t i = 0; i < t.agent_count; i++) {
			if (t.agents[i].dead)
				continue;
			status_writer_turn(t.agents[i].writer, t.now);
			lease_turn(status_writer_lease(t.agents[i].writer), t.now);
		}
}

static size_t holder(void)
{
	size_t found = AGENTS;

	for (size_t i = 0; i < t.agent_count; i++)
		if (!t.agents[i].dead && lease_held(status_writer_lease(t.agents[i].writer))) {
			cr_expect_eq(found, AGENTS, "two agents hold the Lease");
			found = i;
		}
	return found;
}

static struct thing *add(const char *name, bool is_service)
{
	struct thing *o = &t.things[t.count++];

	snprintf(o->name, sizeof(o->name), "%s", name);
	o->is_service = is_service;
	o->object = json_pack("{s:{s:s, s:s, s:s, s:i}}", "metadata", "name", name, "namespace",
			      "default", "uid", name, "generation", 1);
	touch(o->object);
	return o;
}

static void setup(void)
{
	log_set("test", LOG_LEVEL_ERROR);
	memset(&t, 0, sizeof(t));
	cr_assert_eq(event_loop_open(&t.loop), 0);
	t.events = json_object();
	t.now = 100000;
}

static void teardown(void)
{
	for (size_t i = 0; i < t.agent_count; i++)
		status_writer_close(t.agents[i].writer);
	for (size_t i = 0; i < t.count; i++)
		json_decref(t.things[i].object);
	json_decref(t.lease);
	json_decref(t.events);
	event_loop_close(t.loop);
}

TestSuite(status_writer, .init = setup, .fini = teardown, .timeout = 60);

/* Of weft's condition; "" if there is none. */
static const char *message(const struct thing *o)
{
	const json_t *status = json_object_get(o->object, "status");

	return json_get_text(json_array_get(json_object_get(status, "conditions"), 0), "message",
			     "");
}

static json_int_t of_status(size_t agent, const char *key)
{
	_cleanup_json_ json_t *status = status_writer_status(t.agents[agent].writer);

	return json_get_int(status, key, -1);
}

static bool fails(size_t agent)
{
	_cleanup_json_ json_t *status = status_writer_status(t.agents[agent].writer);

	return *json_get_text(status, "error", "") != 0;
}

/* A bad object `a`, one agent, and all is said. */
static struct thing *begin(void)
{
	struct thing *o = add("a", false);

	start_agent(0, false);
	o->problem = "spec.hosts: expected one";
	list_all();
	news();
	run(3000);
	return o;
}

/* ---- tests ---- */

Test(status_writer, what_is_wrong_is_written_once_with_one_event)
{
	struct thing *o = begin();

	cr_expect_str_eq(message(o), "spec.hosts: expected one");
	cr_expect_eq(json_object_size(t.events), 1);
	run(600000);
	news();
	run(3000);
	cr_expect_eq(t.patches, 1);
	cr_expect_eq(t.posts, 1);
	cr_expect_eq(t.gets, 1);
	cr_expect_eq(of_status(0, "pending"), 0);
}

Test(status_writer, what_is_right_costs_no_request)
{
	add("a", false);
	add("b", true);
	start_agent(0, false);
	list_all();
	news();
	run(60000);
	cr_expect_eq(t.gets + t.patches + t.posts + t.lease_requests, 0);
}

Test(status_writer, once_it_is_mended_the_status_says_nothing)
{
	struct thing *o = begin();

	o->problem = NULL;
	touch(o->object);
	tell(o);
	news();
	run(3000);
	cr_expect_null(json_object_get(o->object, "status"));
	cr_expect_eq(t.patches, 2);
	cr_expect_eq(t.posts, 1);
	/* No agent keeps the Lease when there is nothing to do for it. */
	run(20000);
	cr_expect_eq(holder(), AGENTS);
}

Test(status_writer, another_fault_or_another_version_is_written_anew)
{
	struct thing *o = begin();

	o->problem = "spec.http: expected another";
	news();
	run(3000);
	cr_expect_str_eq(message(o), "spec.http: expected another");
	json_object_set_new(metadata(o->object), "generation", json_integer(2));
	touch(o->object);
	tell(o);
	run(5000);
	cr_expect_eq(json_get_int(json_object_get(o->object, "status"), "observedGeneration", 0),
		     2);
	cr_expect_eq(t.patches, 3);
	cr_expect_eq(json_object_size(t.events), t.posts);
}

Test(status_writer, a_version_that_is_not_judged_yet_is_left_until_it_is)
{
	struct thing *o = add("a", false);

	start_agent(0, false);
	o->problem = "x";
	o->unsettled = true;
	news();
	run(10000);
	cr_expect_eq(t.patches, 0);
	o->unsettled = false;
	run(31000);
	cr_expect_str_eq(message(o), "x");
}

Test(status_writer, nothing_is_cleared_before_all_objects_are_known)
{
	struct thing *o = begin();

	kill_agent(0);
	start_agent(0, true);
	o->problem = NULL;
	list_all();
	news();
	run(30000);
	cr_expect_eq(t.patches, 1);
	t.agents[0].blind = false;
	news();
	run(30000);
	cr_expect_eq(t.patches, 2);
	cr_expect_null(json_object_get(o->object, "status"));
}

Test(status_writer, an_agent_that_begins_writes_nothing_that_is_written)
{
	begin();
	kill_agent(0);
	start_agent(0, false);
	list_all();
	news();
	run(60000);
	cr_expect_eq(t.patches, 1);
	cr_expect_eq(t.posts, 1);
	cr_expect_eq(t.gets, 1);
}

Test(status_writer, an_agent_that_begins_clears_what_was_mended_meanwhile)
{
	struct thing *o = begin();

	kill_agent(0);
	o->problem = NULL;
	touch(o->object);
	start_agent(1, false);
	list_all();
	news();
	run(60000);
	cr_expect_null(json_object_get(o->object, "status"));
}

Test(status_writer, one_of_several_agents_writes_and_another_one_after_its_end)
{
	struct thing *a = add("a", false), *b = add("b", true), *c = add("c", false);
	size_t first;

	for (size_t i = 0; i < AGENTS; i++)
		start_agent(i, false);
	a->problem = "x";
	b->problem = "y";
	list_all();
	news();
	run(3000);
	first = holder();
	cr_assert_lt(first, AGENTS);
	run(60000);
	cr_expect_eq(t.patches, 1);
	cr_expect_eq(json_object_size(t.events), 2);
	cr_expect_eq(t.posts, 2);
	kill_agent(first);
	c->problem = "z";
	a->problem = NULL;
	news();
	run(60000);
	cr_expect_neq(holder(), first);
	cr_expect_str_eq(message(c), "z");
	cr_expect_null(json_object_get(a->object, "status"));
	cr_expect_eq(t.patches, 3);
}

Test(status_writer, those_that_do_not_hold_the_lease_leave_it_alone_when_all_is_written)
{
	struct thing *a = add("a", false), *b = add("b", true);
	unsigned before;

	for (size_t i = 0; i < AGENTS; i++)
		start_agent(i, false);
	a->problem = "x";
	b->problem = "y";
	news();
	run(60000);
	before = t.lease_requests;
	run(60000);
	/* The holder's: a look and a write each two seconds. */
	cr_expect_leq(t.lease_requests - before, 64);
	cr_expect_geq(t.lease_requests - before, 50);
}

Test(status_writer, what_has_no_status_gets_an_event)
{
	struct thing *o = add("b", true);

	start_agent(0, false);
	o->problem = "spec.ports: expected some";
	news();
	run(60000);
	cr_expect_eq(t.patches, 0);
	cr_expect_eq(t.posts, 1);
	cr_expect_eq(json_object_size(t.events), 1);
	/* Nor does another agent tell it twice. */
	kill_agent(0);
	start_agent(1, false);
	news();
	run(60000);
	cr_expect_eq(json_object_size(t.events), 1);
}

Test(status_writer, where_the_status_may_not_be_written_an_event_has_to_do)
{
	struct thing *o = add("a", false), *b;

	t.patch_status = 403;
	start_agent(0, false);
	o->problem = "x";
	news();
	run(30000);
	cr_expect_eq(t.patches, 1);
	cr_expect_eq(json_object_size(t.events), 1);
	cr_expect(fails(0));
	b = add("b", false);
	b->problem = "y";
	news();
	run(30000);
	cr_expect_eq(t.patches, 1, "it is not tried again at once");
	cr_expect_eq(json_object_size(t.events), 2);
	/* The right is given. */
	t.patch_status = 0;
	run(400000);
	cr_expect_str_eq(message(o), "x");
	cr_expect_str_eq(message(b), "y");
	cr_expect_not(fails(0));
}

Test(status_writer, where_events_may_not_be_made_the_status_is_written)
{
	struct thing *o = add("a", false);

	t.post_status = 403;
	start_agent(0, false);
	o->problem = "x";
	news();
	run(60000);
	cr_expect_str_eq(message(o), "x");
	cr_expect_eq(t.posts, 1);
	cr_expect(fails(0));
}

Test(status_writer, a_definition_without_status_is_not_written_to_again_and_again)
{
	struct thing *o = add("a", false);

	t.drops_status = true;
	start_agent(0, false);
	o->problem = "x";
	news();
	run(280000);
	cr_expect_leq(t.patches, 2);
	cr_expect_eq(json_object_size(t.events), 1);
}

Test(status_writer, a_server_in_trouble_is_asked_less_and_less)
{
	struct thing *o = add("a", false);

	start_agent(0, false);
	o->problem = "x";
	t.get_status = 500;
	news();
	run(60000);
	cr_expect_leq(t.gets, 8);
	cr_expect(fails(0));
	t.get_status = 0;
	run(120000);
	cr_expect_str_eq(message(o), "x");
	cr_expect_eq(t.patches, 1);
}

Test(status_writer, an_object_that_has_changed_meanwhile_is_no_error)
{
	struct thing *o = add("a", false);

	start_agent(0, false);
	o->problem = "x";
	t.patch_status = 409;
	news();
	run(2000);
	cr_expect_not(fails(0));
	t.patch_status = 0;
	run(5000);
	cr_expect_str_eq(message(o), "x");
}

Test(status_writer, an_object_that_is_gone_is_no_error)
{
	struct thing *o = add("a", false);

	start_agent(0, false);
	o->problem = "x";
	t.get_status = 404;
	news();
	run(2000);
	cr_expect_not(fails(0));
	o->problem = NULL;
	news();
	run(2000);
	cr_expect_eq(of_status(0, "pending"), 0);
	cr_expect_eq(t.patches, 0);
}

Test(status_writer, one_that_flaps_is_written_less_and_less)
{
	struct thing *o = begin();

	for (int i = 0; i < 300; i++) {
		o->problem = i % 2 ? "x" : NULL;
		news();
		run(1000);
	}
	cr_expect_lt(t.patches, 30);
	cr_expect_gt(t.patches, 8);
}

Test(status_writer, very_many_are_written_one_after_the_other)
{
	struct thing *last = NULL;
	uint64_t before;

	start_agent(0, false);
	for (int i = 0; i < OBJECTS; i++) {
		char name[NAME_MAX_];

		snprintf(name, sizeof(name), "o%d", i);
		last = add(name, false);
		last->problem = "x";
	}
	news();
	run(1000);
	before = t.patches;
	cr_expect_leq(before, OBJECTS);
	run(5000);
	cr_expect_eq(t.patches, OBJECTS);
	cr_expect_eq(json_object_size(t.events), OBJECTS);
}

Test(status_writer, a_warning_is_written_once_it_stays_and_makes_no_event)
{
	struct thing *o = add("a", false);

	start_agent(0, false);
	o->warns = true;
	for (int i = 0; i < 10; i++) {
		o->problem = i % 2 ? NULL : "x";
		news();
		run(3000);
	}
	cr_expect_eq(t.gets + t.lease_requests, 0, "it came and went");
	o->problem = "x";
	news();
	run(20000);
	cr_expect_str_eq(message(o), "x");
	cr_expect_eq(t.patches, 1);
	cr_expect_eq(t.posts, 0);
	o->problem = NULL;
	news();
	run(20000);
	cr_expect_null(json_object_get(o->object, "status"));
	/* What is wrong does not wait. */
	o->warns = false;
	o->problem = "y";
	news();
	run(5000);
	cr_expect_str_eq(message(o), "y");
	cr_expect_eq(t.posts, 1);
}
