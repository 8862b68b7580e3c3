/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "daemon/source/lease.h"

/* A server with one Lease, and agents that ask it. */
struct server {
	json_t *lease;
	int version;
	bool away, forbids; /* away: it answers nothing */
	unsigned requests;
};

struct agent {
	struct lease *lease;
	int changes;
	bool held;
};

static int answer(struct server *s, const char *method, const char *body, size_t size, char **out)
{
	json_t *given = body ? json_loadb(body, size, 0, NULL) : NULL, *metadata;
	const char *version;
	char text[16];

	if (!strcmp(method, "GET")) {
		*out = s->lease ? json_dumps(s->lease, 0) : NULL;
		return s->lease ? 200 : 404;
	}
	metadata = json_object_get(given, "metadata");
	version = json_string_value(json_object_get(metadata, "resourceVersion"));
	snprintf(text, sizeof(text), "%d", s->version);
	if (!strcmp(method, "POST") ? !!s->lease : !version || strcmp(version, text) != 0) {
		json_decref(given);
		return 409;
	}
	snprintf(text, sizeof(text), "%d", ++s->version);
	json_object_set_new(metadata, "resourceVersion", json_string(text));
	json_decref(s->lease);
	s->lease = given;
	return strcmp(method, "POST") ? 200 : 201;
}

static int request(void *server, const char *method, const char *path, const char *type,
		   const char *body, size_t size, informer_reply_fn done, void *arg)
{
	struct server *s = server;
	char *text = NULL;
	int status;

	(void)type;
	cr_expect(!strncmp(path, "/apis/coordination.k8s.io/v1/namespaces/weft-system/leases", 58));
	s->requests++;
	if (s->away) {
		done(arg, 0, NULL, 0, "no answer");
		return 0;
	}
	if (s->forbids) {
		static const char no[] = "{\"message\":\"leases is forbidden\"}";

		done(arg, 403, no, strlen(no), NULL);
		return 0;
	}
	status = answer(s, method, body, size, &text);
	done(arg, status, text ? text : "", text ? strlen(text) : 0, NULL);
	free(text);
	return 0;
}

static void changed(void *arg, bool held)
{
	struct agent *a = arg;

	a->held = held;
	a->changes++;
}

static struct agent *agents(struct server *s, struct event_loop *loop, unsigned count)
{
	struct agent *all = calloc(count, sizeof(*all));
	char identity[16];

	for (unsigned i = 0; i < count; i++) {
		struct lease_options options = { "weft-system", "weft", identity, request, s,
						 changed,	&all[i] };

		snprintf(identity, sizeof(identity), "node-%u", i);
		cr_assert_eq(lease_open(&options, loop, &all[i].lease), 0);
	}
	return all;
}

static void agents_free(struct agent *all, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		lease_close(all[i].lease);
	free(all);
}

static unsigned holders(const struct agent *all, unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		cr_expect_eq(lease_held(all[i].lease), all[i].held);
		n += all[i].held;
	}
	return n;
}

Test(lease, one_of_many_holds_it_and_another_one_after_its_end)
{
	struct server s = { 0 };
	struct event_loop *loop;
	struct agent *all;
	uint64_t now = 1000, ended;

	cr_assert_eq(event_loop_open(&loop), 0);
	all = agents(&s, loop, 3);
	for (unsigned i = 0; i < 3; i++)
		lease_want(all[i].lease, true);
	for (; now < 101000; now += 500) {
		for (unsigned i = 0; i < 3; i++)
			lease_turn(all[i].lease, now);
		cr_assert_eq(holders(all, 3), 1, "at %d", (int)now);
	}
	cr_expect(all[0].held);
	cr_expect_eq(all[0].changes, 1);
	/* The holder is silent from now on. */
	for (ended = now; now < ended + 60000 && !all[1].held && !all[2].held; now += 500)
		for (unsigned i = 1; i < 3; i++)
			lease_turn(all[i].lease, now);
	cr_expect(now >= ended + 13000, "taken before it had ended: %d", (int)(now - ended));
	cr_expect(all[1].held || all[2].held);
	cr_expect_eq(json_integer_value(
			     json_object_get(json_object_get(s.lease, "spec"), "leaseTransitions")),
		     1);
	/* It comes back, and knows at once that it is no longer the one. */
	lease_turn(all[0].lease, now);
	cr_expect_eq(holders(all, 3), 1);
	agents_free(all, 3);
	json_decref(s.lease);
	event_loop_close(loop);
}

Test(lease, a_holder_that_can_not_renew_gives_up_before_others_may_take_it)
{
	struct server s = { 0 };
	struct event_loop *loop;
	struct agent *a;
	uint64_t now = 1000;

	cr_assert_eq(event_loop_open(&loop), 0);
	a = agents(&s, loop, 1);
	lease_want(a->lease, true);
	lease_turn(a->lease, now);
	cr_assert(a->held);
	s.away = true;
	for (; now < 10500; now += 500)
		lease_turn(a->lease, now);
	cr_expect(a->held);
	lease_turn(a->lease, 11000);
	cr_expect_not(a->held);
	agents_free(a, 1);
	json_decref(s.lease);
	event_loop_close(loop);
}

Test(lease, who_has_nothing_to_do_asks_nothing)
{
	struct server s = { 0 };
	struct event_loop *loop;
	struct agent *a;

	cr_assert_eq(event_loop_open(&loop), 0);
	a = agents(&s, loop, 1);
	lease_turn(a->lease, 1000);
	cr_expect_eq(s.requests, 0);
	lease_want(a->lease, true);
	lease_turn(a->lease, 2000);
	cr_expect_eq(s.requests, 2);
	lease_want(a->lease, false);
	lease_turn(a->lease, 20000);
	cr_expect_eq(s.requests, 2);
	cr_expect_not(a->held, "it has ended meanwhile");
	agents_free(a, 1);
	json_decref(s.lease);
	event_loop_close(loop);
}

Test(lease, another_holder_is_one_that_renews)
{
	struct server s = { 0 };
	struct event_loop *loop;
	struct agent *all;
	uint64_t now = 1000;

	cr_assert_eq(event_loop_open(&loop), 0);
	all = agents(&s, loop, 2);
	lease_want(all[0].lease, true);
	lease_turn(all[0].lease, now);
	cr_assert(all[0].held);
	lease_want(all[1].lease, true);
	lease_turn(all[1].lease, now);
	cr_expect_not(lease_is_others(all[1].lease), "it may be dead, for all that is known");
	for (; now < 31000; now += 500)
		for (unsigned i = 0; i < 2; i++)
			lease_turn(all[i].lease, now);
	cr_expect(lease_is_others(all[1].lease));
	cr_expect_not(lease_is_others(all[0].lease));
	for (; now < 91000; now += 500)
		lease_turn(all[1].lease, now);
	cr_expect(all[1].held);
	cr_expect_not(lease_is_others(all[1].lease));
	agents_free(all, 2);
	json_decref(s.lease);
	event_loop_close(loop);
}

Test(lease, why_it_can_not_be_had_is_told_until_it_can)
{
	struct server s = { .forbids = true };
	struct event_loop *loop;
	struct agent *a;

	cr_assert_eq(event_loop_open(&loop), 0);
	a = agents(&s, loop, 1);
	lease_want(a->lease, true);
	lease_turn(a->lease, 1000);
	cr_expect_str_eq(lease_error(a->lease), "leases is forbidden");
	s.forbids = false;
	s.away = true;
	lease_turn(a->lease, 30000);
	cr_expect_str_eq(lease_error(a->lease), "no answer");
	s.away = false;
	lease_turn(a->lease, 60000);
	cr_expect_str_eq(lease_error(a->lease), "");
	cr_expect(a->held);
	agents_free(a, 1);
	json_decref(s.lease);
	event_loop_close(loop);
}
