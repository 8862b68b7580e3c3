// SPDX-License-Identifier: Apache-2.0
/*
 * The resolver against a server of the test's own: what it asks, when, and what it makes of the
 * answers.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/name_keeper.h"
#include "daemon/resolve/dns.h"
#include "daemon/resolve/resolver.h"
#include "lib/base/clock.h"
#include "lib/mesh/names_wanted.h"
#include "test_dns_util.h"

static struct event_loop *loop;
static struct dns_server *server;
static struct resolver *resolver;
static char dir[] = "/tmp/weft-resolver-XXXXXX";
static int changes;

static void setup(void)
{
	cr_assert_eq(event_loop_open(&loop), 0);
	cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void)
{
	char command[64];

	resolver_close(resolver);
	if (server)
		dns_server_stop(server);
	event_loop_close(loop);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(resolver, .init = setup, .fini = teardown, .timeout = 60);

static bool any_address(const struct addr *a)
{
	(void)a;
	return true;
}

static bool only_v4(const struct addr *a)
{
	return addr_is_v4(a);
}

static void note_change(void *arg)
{
	(void)arg;
	changes++;
}

static void open_with(bool (*reaches)(const struct addr *a))
{
	const struct resolver_options o = {
		.loop = loop, .state_dir = dir, .server = dns_server_at(server), .reaches = reaches
	};

	cr_assert_eq(resolver_open(&o, &resolver), 0);
	resolver_watch(resolver, note_change, NULL);
}

static void start(struct dns_zone *zones, size_t count)
{
	server = dns_server_start(loop, zones, count);
	open_with(any_address);
}

static void want(const char *name)
{
	cr_assert_eq(resolver_want(resolver, &name, 1), 0);
}

static void turn_for(uint64_t ms)
{
	uint64_t end = clock_ms() + ms;

	while (clock_ms() < end)
		cr_assert_eq(event_loop_turn(loop, 10), 0);
}

static bool turn_until(bool (*done)(void), uint64_t ms)
{
	uint64_t end = clock_ms() + ms;

	while (!done() && clock_ms() < end)
		cr_assert_eq(event_loop_turn(loop, 10), 0);
	return done();
}

static struct resolver_counters counted(void)
{
	struct resolver_counters c;

	resolver_count(resolver, &c);
	return c;
}

static bool has_settled(void)
{
	struct resolver_counters c = counted();

	return c.attempts && c.success + c.failure == c.attempts;
}

static uint64_t target;

static bool has_succeeded(void)
{
	return counted().success >= target;
}

static bool has_failed(void)
{
	return counted().failure >= target;
}

/* "127.0.0.1 ::1"; "-": it is not known. */
static const char *known(const char *name)
{
	static char out[1024];
	struct answers *a = resolver_answers(resolver);
	const struct resolved_name *n;
	size_t used = 0;

	cr_assert_not_null(a);
	n = resolved_find(&a->set, name);
	snprintf(out, sizeof(out), "-");
	for (size_t i = 0; n && i < n->count; i++) {
		char text[ADDR_TEXT_MAX];

		addr_format(&n->addrs[i], text);
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%s", i ? " " : "",
					 text);
	}
	answers_unref(a);
	return out;
}

static int take_error(void *arg, const struct resolver_name *n)
{
	*(const char **)arg = n->error;
	return 0;
}

/* Of the only name. */
static const char *error(void)
{
	const char *e = NULL;

	resolver_each(resolver, take_error, &e);
	return e ? e : "";
}

Test(resolver, ipv4_comes_before_ipv6_in_the_order_of_the_answer)
{
	struct dns_zone zones[] = {
		{ "one.example", "192.0.2.9 192.0.2.1", "2001:db8::9 2001:db8::1", .ttl = 30 },
	};

	start(zones, 1);
	want("one.example");
	cr_assert(turn_until(has_settled, 5000));
	cr_expect_str_eq(known("one.example"), "192.0.2.9 192.0.2.1 2001:db8::9 2001:db8::1");
	cr_expect_eq(changes, 1);
	cr_expect_eq(zones[0].asked, 1u);
	cr_expect_eq(zones[0].asked_v6, 1u);
	cr_expect_str_eq(error(), "");
}

Test(resolver, a_name_is_asked_for_again_when_its_time_is_up_and_not_before)
{
	struct dns_zone zones[] = {
		{ "short.example", "192.0.2.1", NULL, .ttl = 1 },
		{ "long.example", "192.0.2.1", NULL, .ttl = 60 },
	};
	const char *names[] = { "short.example", "long.example", "short.example" };

	start(zones, 2);
	cr_assert_eq(resolver_want(resolver, names, 3), 0);
	turn_for(2600);
	cr_expect(zones[0].asked == 3 || zones[0].asked == 2, "%u", zones[0].asked);
	cr_expect_eq(zones[1].asked, 1u);
	cr_expect_eq(resolver_names(resolver), 2u);
}

Test(resolver, a_ttl_of_nothing_does_not_ask_without_a_pause)
{
	struct dns_zone zones[] = { { "zero.example", "192.0.2.1", NULL, .ttl = 0 } };

	start(zones, 1);
	want("zero.example");
	turn_for(1500);
	cr_expect_eq(zones[0].asked, 1u);
}

Test(resolver, a_new_answer_is_told_of_and_one_in_another_order_is_not)
{
	struct dns_zone zones[] = { { "one.example", "192.0.2.1 192.0.2.2", NULL, .ttl = 1 } };

	start(zones, 1);
	want("one.example");
	target = 1;
	cr_assert(turn_until(has_succeeded, 5000));
	zones[0].a = "192.0.2.2 192.0.2.1";
	target = 2;
	cr_assert(turn_until(has_succeeded, 5000));
	cr_expect_eq(changes, 1);
	cr_expect_str_eq(known("one.example"), "192.0.2.1 192.0.2.2");
	zones[0].a = "192.0.2.3";
	target = 3;
	cr_assert(turn_until(has_succeeded, 5000));
	cr_expect_eq(changes, 2);
	cr_expect_str_eq(known("one.example"), "192.0.2.3");
	cr_expect_eq(counted().changes, 2u);
}

/* Each in turn, after a good answer. */
Test(resolver, the_last_good_answer_stays_whatever_the_server_says_instead)
{
	static const struct {
		enum dns_mode mode;
		const char *addresses, *error;
	} rows[] = {
		{ SAYS_NXDOMAIN, NULL, "there is no such name (NXDOMAIN)" },
		{ SAYS_SERVFAIL, NULL, "no server is there that can tell" },
		{ SAYS_ADDRESSES, "", "it has no address" },
	};
	struct dns_zone zones[] = { { "one.example", "192.0.2.1", NULL, .ttl = 1 } };

	start(zones, 1);
	want("one.example");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		zones[0].mode = SAYS_ADDRESSES;
		zones[0].a = "192.0.2.1";
		target = counted().success + 1;
		cr_assert(turn_until(has_succeeded, 6000), "row %zu", i);
		cr_expect_str_eq(error(), "", "row %zu", i);
		zones[0].mode = rows[i].mode;
		zones[0].a = rows[i].addresses;
		target = counted().failure + 1;
		cr_assert(turn_until(has_failed, 6000), "row %zu", i);
		cr_expect_str_eq(error(), rows[i].error, "row %zu", i);
		cr_expect_str_eq(known("one.example"), "192.0.2.1", "row %zu", i);
	}
	cr_expect_eq(changes, 1);
}

Test(resolver, a_silent_server_keeps_nothing_waiting)
{
	struct dns_zone zones[] = {
		{ "silent.example", "192.0.2.1", NULL, .ttl = 1 },
		{ "good.example", "192.0.2.2", NULL, .ttl = 1 },
	};
	const char *names[] = { "silent.example", "good.example" };

	start(zones, 2);
	cr_assert_eq(resolver_want(resolver, names, 2), 0);
	cr_assert(turn_until(has_settled, 5000));
	zones[0].mode = SAYS_NOTHING;
	zones[1].a = "192.0.2.3";
	target = counted().failure + 1;
	cr_assert(turn_until(has_failed, 15000));
	cr_expect_str_eq(known("good.example"), "192.0.2.3");
	cr_expect_str_eq(known("silent.example"), "192.0.2.1");
	zones[0].mode = SAYS_ADDRESSES;
	zones[0].a = "192.0.2.4";
	turn_for(2500);
	cr_expect_str_eq(known("silent.example"), "192.0.2.4");
}

Test(resolver, pauses_grow_with_failures)
{
	struct dns_zone zones[] = { { "bad.example", NULL, NULL, .mode = SAYS_NXDOMAIN } };

	start(zones, 1);
	want("bad.example");
	turn_for(8000); /* at 0, about 1, 3 and 7 s */
	cr_expect(zones[0].asked >= 3 && zones[0].asked <= 5, "%u", zones[0].asked);
	cr_expect_str_eq(known("bad.example"), "-");
}

Test(resolver, a_family_that_fails_keeps_its_own_addresses_alone)
{
	struct dns_zone zones[] = {
		{ "one.example", "192.0.2.1", "2001:db8::1", .ttl = 1 },
	};

	start(zones, 1);
	want("one.example");
	cr_assert(turn_until(has_settled, 5000));
	zones[0].a = "192.0.2.2";
	zones[0].mode_v6 = SAYS_SERVFAIL;
	target = 2;
	cr_assert(turn_until(has_succeeded, 5000));
	cr_expect_str_eq(known("one.example"), "192.0.2.2 2001:db8::1");
	cr_expect_str_eq(error(), "no server is there that can tell");
	zones[0].mode_v6 = SAYS_ADDRESSES;
	zones[0].aaaa = NULL;
	target = 3;
	cr_assert(turn_until(has_succeeded, 5000));
	cr_expect_str_eq(known("one.example"), "192.0.2.2", "AAAA is gone, DNS says so");
	cr_expect_str_eq(error(), "");
}

Test(resolver, addresses_that_the_node_has_no_route_to_are_left_out)
{
	struct dns_zone zones[] = {
		{ "both.example", "192.0.2.1", "2001:db8::1", .ttl = 30 },
		{ "six.example", NULL, "2001:db8::1", .ttl = 30 },
	};
	const char *names[] = { "both.example", "six.example" };

	server = dns_server_start(loop, zones, 2);
	open_with(only_v4);
	cr_assert_eq(resolver_want(resolver, names, 2), 0);
	cr_assert(turn_until(has_settled, 5000));
	cr_expect_str_eq(known("both.example"), "192.0.2.1");
	cr_expect_str_eq(known("six.example"), "-");
	cr_expect_str_eq(error(), "the node has no route to its addresses");
}

Test(resolver, addresses_that_no_endpoint_may_have_are_left_out)
{
	struct dns_zone zones[] = {
		{ "some.example", "127.0.0.1 192.0.2.1 0.0.0.0 169.254.169.254 224.0.0.1",
		  "::1 2001:db8::1 fe80::1 ff02::1 :: ::ffff:192.0.2.7", .ttl = 30 },
		{ "none.example", "127.0.0.1", NULL, .ttl = 30 },
	};
	const char *names[] = { "some.example", "none.example" };

	start(zones, 2);
	cr_assert_eq(resolver_want(resolver, names, 2), 0);
	cr_assert(turn_until(has_settled, 5000));
	cr_expect_str_eq(known("some.example"), "192.0.2.1 2001:db8::1");
	cr_expect_str_eq(known("none.example"), "-");
	want("none.example");
	cr_expect_str_eq(error(), "its addresses are none that an endpoint may have");
}

Test(resolver, what_udp_has_no_room_for_is_asked_for_by_tcp)
{
	struct dns_zone zones[] = {
		{ "big.example", NULL, NULL, .ttl = 30, .mode = SAYS_TRUNCATED },
	};
	char list[1024] = "";

	for (int i = 1; i <= 60; i++)
		sprintf(list + strlen(list), "192.0.2.%d ", i);
	zones[0].a = list;
	start(zones, 1);
	want("big.example");
	cr_assert(turn_until(has_settled, 5000));
	cr_expect_eq(zones[0].by_tcp, 2u, "%u", zones[0].by_tcp);
	cr_expect_not_null(strstr(known("big.example"), "192.0.2.60"));
}

Test(resolver, a_thousand_names_are_asked_for_a_bounded_number_at_a_time)
{
	enum { NAMES = 1000 };
	static char texts[NAMES][32];
	const char *names[NAMES];
	struct dns_zone zones[] = { { NULL, "192.0.2.1", NULL, .ttl = 60 } };
	struct resolver_counters c;

	for (int i = 0; i < NAMES; i++) {
		snprintf(texts[i], sizeof(texts[i]), "n%d.example", i);
		names[i] = texts[i];
	}
	start(zones, 1);
	cr_assert_eq(resolver_want(resolver, names, NAMES), 0);
	cr_expect_eq(counted().attempts, (uint64_t)RESOLVER_ASKED_MAX);
	target = NAMES;
	cr_assert(turn_until(has_succeeded, 20000));
	c = counted();
	cr_expect_eq(c.attempts, (uint64_t)NAMES);
	cr_expect_eq(c.failure, 0u);
	cr_expect_str_eq(known("n999.example"), "192.0.2.1");
	want("n5.example");
	cr_expect_eq(resolver_names(resolver), 1u, "the others are forgotten");
	cr_expect_str_eq(known("n999.example"), "-");
	cr_expect_str_eq(known("n5.example"), "192.0.2.1");
}

Test(resolver, a_name_that_is_forgotten_while_it_is_asked_for_is_forgotten)
{
	struct dns_zone zones[] = {
		{ "one.example", "192.0.2.1", NULL, .ttl = 1 },
		{ "two.example", "192.0.2.2", NULL, .ttl = 1 },
	};

	start(zones, 2);
	want("one.example");
	want("two.example"); /* before the loop has turned */
	turn_for(500);
	cr_expect_str_eq(known("one.example"), "-");
	cr_expect_str_eq(known("two.example"), "192.0.2.2");
	cr_assert_eq(resolver_want(resolver, NULL, 0), 0);
	turn_for(1500);
	cr_expect_eq(zones[1].asked, 1u);
}

static void reopen(bool (*reaches)(const struct addr *a))
{
	resolver_close(resolver);
	resolver = NULL;
	open_with(reaches);
}

Test(resolver, answers_outlive_a_weftd_that_starts_while_dns_is_down)
{
	struct dns_zone zones[] = {
		{ "one.example", "192.0.2.2 192.0.2.1", "2001:db8::1", .ttl = 30 },
		{ "two.example", "192.0.2.3", NULL, .ttl = 30 },
	};
	const char *names[] = { "two.example", "one.example" };

	start(zones, 2);
	cr_assert_eq(resolver_want(resolver, names, 2), 0);
	cr_assert(turn_until(has_settled, 5000));
	zones[0].mode = zones[1].mode = SAYS_NOTHING;
	reopen(any_address);
	cr_expect_str_eq(known("one.example"), "192.0.2.2 192.0.2.1 2001:db8::1", "at once");
	want("one.example");
	cr_expect_str_eq(known("one.example"), "192.0.2.2 192.0.2.1 2001:db8::1");
	cr_expect_str_eq(known("two.example"), "-");
	cr_expect_eq(changes, 2, "none since");
	zones[0].mode = SAYS_ADDRESSES;
	zones[0].aaaa = NULL;
	turn_for(3000);
	cr_expect_str_eq(known("one.example"), "192.0.2.2 192.0.2.1");
	reopen(any_address);
	cr_expect_str_eq(known("two.example"), "-", "it was forgotten for good");
}

Test(resolver, a_file_that_is_damaged_is_read_as_far_as_it_goes)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/dns.answers", dir);
	f = fopen(path, "w");
	fputs("weft-d1\na.example 1 192.0.2.1\nb.example\nc.example x 192.0.2.1\n"
	      "d.example 1 nowhere\n e.example 1 192.0.2.1\nf.example 1 192.0.2.6 2001:db8::6\n"
	      "g.example 1 192.0.2.7",
	      f);
	fclose(f);
	server = dns_server_start(loop, NULL, 0);
	open_with(any_address);
	cr_expect_str_eq(known("a.example"), "192.0.2.1");
	cr_expect_str_eq(known("d.example"), "-");
	cr_expect_str_eq(known("f.example"), "192.0.2.6 2001:db8::6");
	cr_expect_str_eq(known("g.example"), "-", "its line is torn");
	cr_expect_eq(resolver_names(resolver), 2u);
	f = fopen(path, "w");
	fputs("something else\na.example 1 192.0.2.1\n", f);
	fclose(f);
	reopen(any_address);
	cr_expect_eq(resolver_names(resolver), 0u);
}

static void write_conf(const char *path, const char *nameserver)
{
	char fresh[80];
	FILE *f;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	f = fopen(fresh, "w");
	fprintf(f, "# as a program writes it\nnameserver %s\n", nameserver);
	fclose(f);
	cr_assert_eq(rename(fresh, path), 0);
}

Test(resolver, resolv_conf_is_read_again_when_it_changes)
{
	char path[64], servers[DNS_SERVERS_MAX];
	struct resolver_options o = { .loop = loop, .state_dir = dir, .resolv_conf = path };

	snprintf(path, sizeof(path), "%s/resolv.conf", dir);
	write_conf(path, "127.0.0.77");
	cr_assert_eq(resolver_open(&o, &resolver), 0);
	want("one.example");
	resolver_servers(resolver, servers, sizeof(servers));
	cr_expect_str_eq(servers, "127.0.0.77:53");
	write_conf(path, "127.0.0.78");
	turn_for(2500);
	resolver_servers(resolver, servers, sizeof(servers));
	cr_expect_str_eq(servers, "127.0.0.78:53");
	cr_assert_eq(resolver_want(resolver, NULL, 0), 0);
	turn_for(2500); /* nobody looks at it any more */
	write_conf(path, "127.0.0.79");
	want("one.example");
	resolver_servers(resolver, servers, sizeof(servers));
	cr_expect_str_eq(servers, "127.0.0.79:53", "with the first name");
	cr_expect_str_eq(known("one.example"), "-");
}

Test(resolver, a_server_is_an_address_with_or_without_a_port)
{
	static const char *const good[] = { "10.0.0.1", "10.0.0.1:5353", "fd00::1", "[fd00::1]:53",
					    "::1" };
	static const char *const bad[] = { "",		 "dns.example",	   "10.0.0.1:",
					   "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:53x",
					   "[fd00::1",	 "10.0.0:53",	   "[10.0.0.1]x:53" };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		cr_expect(dns_server_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_not(dns_server_valid(bad[i]), "%s", bad[i]);
}

/* ---- compilations ---- */

static struct name_keeper *keeper;
static int compilations;
static uint64_t takes;
static bool fails;

static void compile_names(void *arg)
{
	(void)arg;
	compilations++;
	name_keeper_done(keeper, fails, takes);
}

static int add_text(void *texts, const char *name)
{
	strcat(texts, name);
	strcat(texts, " ");
	return 0;
}

static void start_keeper(struct dns_zone *zones, size_t count)
{
	start(zones, count);
	keeper = name_keeper_new(resolver, compile_names, NULL);
	cr_assert_not_null(keeper);
	cr_assert_eq(name_keeper_watch(keeper, loop), 0);
}

static struct object external[3];
static struct object *external_items[3] = { &external[0], &external[1], &external[2] };

static struct service_port external_port = { .port = 80 };

static struct objects externals(const char *one, const char *two, const char *three)
{
	const char *names[] = { one, two, three };

	for (int i = 0; i < 3; i++) {
		external[i] = (struct object){ .kind = KIND_SERVICE };
		external[i].meta.name = "s";
		external[i].meta.namespace = "default";
		external[i].service.type = names[i] ? "ExternalName" : "ClusterIP";
		external[i].service.external_name = names[i];
		external[i].service.ports.items = &external_port;
		external[i].service.ports.count = 1;
	}
	return (struct objects){ .items = external_items, .count = 3 };
}

Test(resolver, changes_that_come_together_are_compiled_together)
{
	struct dns_zone zones[] = { { NULL, "192.0.2.1", NULL, .ttl = 60 } };
	struct objects o = externals("a.example", "b.example", "c.example");

	start_keeper(zones, 1);
	name_keeper_want(keeper, &o);
	turn_for(500);
	cr_expect_eq(compilations, 1);
	cr_expect_eq(resolver_names(resolver), 3u);
	name_keeper_free(keeper);
}

/* While the first rules are published the loop turns, and nobody is told. */
static void watch_late(bool taken)
{
	struct dns_zone zones[] = { { NULL, "192.0.2.1", NULL, .ttl = 60 } };
	struct objects o = externals("a.example", NULL, NULL);

	start(zones, 1);
	keeper = name_keeper_new(resolver, compile_names, NULL);
	cr_assert_not_null(keeper);
	name_keeper_want(keeper, &o);
	turn_for(300);
	cr_expect_eq(counted().changes, 1u);
	if (taken)
		answers_unref(name_keeper_answers(keeper));
	cr_assert_eq(name_keeper_watch(keeper, loop), 0);
	turn_for(500);
	name_keeper_free(keeper);
}

Test(resolver, answers_that_came_before_it_is_watched_are_compiled)
{
	watch_late(false);
	cr_expect_eq(compilations, 1);
}

Test(resolver, answers_that_were_taken_are_not_compiled_again)
{
	watch_late(true);
	cr_expect_eq(compilations, 0);
}

Test(resolver, a_compilation_that_fails_is_made_again)
{
	struct dns_zone zones[] = { { NULL, "192.0.2.1", NULL, .ttl = 60 } };
	struct objects o = externals("a.example", NULL, NULL);

	start_keeper(zones, 1);
	fails = true;
	name_keeper_want(keeper, &o);
	turn_for(500);
	cr_expect_eq(compilations, 1);
	fails = false;
	turn_for(1200);
	cr_expect_eq(compilations, 2);
	turn_for(1200);
	cr_expect_eq(compilations, 2);
	name_keeper_free(keeper);
}

Test(resolver, compilations_that_take_long_are_rare)
{
	struct dns_zone zones[] = { { "a.example", "192.0.2.1", NULL, .ttl = 1 } };
	struct objects o = externals("a.example", NULL, NULL);

	start_keeper(zones, 1);
	takes = 300; /* so that it rests for 3 s */
	name_keeper_want(keeper, &o);
	turn_for(500);
	cr_expect_eq(compilations, 1);
	zones[0].a = "192.0.2.2";
	turn_for(2000);
	cr_expect_eq(changes, 0, "the keeper is told, not we");
	cr_expect_eq(counted().changes, 2u);
	cr_expect_eq(compilations, 1);
	turn_for(1500);
	cr_expect_eq(compilations, 2);
	name_keeper_free(keeper);
}

Test(resolver, names_of_services_are_wanted_in_lower_case_unless_they_are_services)
{
	char texts[256] = "";
	struct objects o = externals("API.Example.com.", "s.default.svc.cluster.local", NULL);

	cr_assert_eq(names_wanted(&o, add_text, texts), 0);
	cr_expect_str_eq(texts, "api.example.com ");
	o = externals("other.default.svc.cluster.local", "db", "a.example");
	texts[0] = '\0';
	cr_assert_eq(names_wanted(&o, add_text, texts), 0);
	cr_expect_str_eq(texts, "other.default.svc.cluster.local db a.example ");
	external[1].service.ports.count = 0; /* no rule can lead there */
	texts[0] = '\0';
	cr_assert_eq(names_wanted(&o, add_text, texts), 0);
	cr_expect_str_eq(texts, "other.default.svc.cluster.local a.example ");
	cr_expect(names_wanted_by(KIND_SERVICE));
	cr_expect_not(names_wanted_by(KIND_POD));
}
