// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's router: consistentHash leads requests with one key to one endpoint.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "test_proxy_rules_env.h"

#define HASH(key) CLUSTER POLICY "  trafficPolicy: {loadBalancer: {consistentHash: {" key "}}}\n"

static void want_sticky(const char *format)
{
	unsigned pods[100], seen = 0;
	char fields[128];

	for (int i = 0; i < 100; i++) {
		snprintf(fields, sizeof(fields), format, i);
		pods[i] = ask_as(0, 1, fields, 200);
		seen |= 1u << pods[i];
	}
	cr_expect_eq(seen, 0x1eu, "all of them are used: %x", seen);
	for (int i = 0; i < 100; i++) {
		snprintf(fields, sizeof(fields), format, i);
		cr_expect_eq(ask_as(i % WORKERS, 2, fields, 200), pods[i]);
	}
}

Test(proxy_rules, hash_of_a_header)
{
	rules_load(HASH("httpHeaderName: X-User"));
	want_sticky("x-user: %d\r\n");
}

Test(proxy_rules, hash_of_a_cookie)
{
	rules_load(HASH("httpCookie: {name: user}"));
	want_sticky("cookie: a=b\r\ncookie: c=d; user=%d; user2=x\r\n");
	cr_expect_eq(ask_as(0, 1, "cookie: user=7\r\n", 200),
		     ask_as(0, 1, "cookie: user=\"7\"\r\n", 200));
}

Test(proxy_rules, hash_of_a_query_parameter)
{
	unsigned seen = 0;

	rules_load(HASH("httpQueryParameterName: user"));
	for (int i = 0; i < 100; i++) {
		struct asked a = { 0 }, b = { .worker = 1 };
		char target[64];

		snprintf(target, sizeof(target), "/?x=1&user=%d", i);
		asked_plan(&a, 1, target, "");
		snprintf(target, sizeof(target), "/other?user=%d&y", i);
		asked_plan(&b, 2, target, "");
		seen |= 1u << asked_pick(&a, 0);
		cr_expect_eq(asked_pick(&b, 0), a.target.addr.b[15]);
		asked_done(&a, OUTCOME_STATUS, 200);
		asked_done(&b, OUTCOME_STATUS, 200);
		asked_release(&a);
		asked_release(&b);
	}
	cr_expect_eq(seen, 0x1eu);
}

Test(proxy_rules, hash_of_the_clients_address)
{
	unsigned seen = 0;

	rules_load(HASH("useSourceIp: true"));
	for (unsigned i = 0; i < 100; i++) {
		unsigned pod = ask_as(0, i, "", 200);

		seen |= 1u << pod;
		cr_expect_eq(ask_as(1, i, "x: y\r\n", 200), pod);
	}
	cr_expect_eq(seen, 0x1eu);
}

/* When one goes away, only its own keys move. */
Test(proxy_rules, hash_when_an_endpoint_goes_away)
{
	unsigned pods[100];
	char fields[32];

	rules_load(HASH("httpHeaderName: x-user"));
	for (int i = 0; i < 100; i++) {
		snprintf(fields, sizeof(fields), "x-user: %d\r\n", i);
		pods[i] = ask_as(0, 1, fields, 200);
	}
	rules_load(SERVICE POD(1, "v1") POD(2, "v1") POD(3, "v2") POLICY
		   "  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}\n");
	for (int i = 0; i < 100; i++) {
		unsigned pod;

		snprintf(fields, sizeof(fields), "x-user: %d\r\n", i);
		pod = ask_as(0, 1, fields, 200);
		cr_expect(pod == pods[i] || pods[i] == 4);
	}
}

static struct h1_span cookie_of(const struct asked *a)
{
	for (size_t i = 0; i < a->plan.response.count; i++)
		if (h1_is_nocase(a->plan.response.items[i].name, "set-cookie"))
			return a->plan.response.items[i].value;
	return (struct h1_span){ 0 };
}

Test(proxy_rules, a_missing_cookie_is_made_and_leads_back)
{
	rules_load(
		HASH("httpCookie: {name: user, path: /p, ttl: 90.5s, attributes: [{name: SameSite, "
		     "value: Strict}, {name: Secure}]}"));
	for (unsigned i = 0; i < 50; i++) {
		struct asked a = { 0 }, b = { .worker = 1 };
		struct h1_span cookie;
		char fields[128];
		char value[32];

		asked_plan(&a, i, "/", "");
		asked_pick(&a, 0);
		cookie = cookie_of(&a);
		cr_assert_eq(sscanf(cookie.p, "user=\"%31[0-9a-f]\"", value), 1);
		snprintf(fields, sizeof(fields),
			 "user=\"%s\"; Max-Age=90; Path=/p; SameSite=Strict; Secure; HttpOnly",
			 value);
		cr_expect(h1_is(cookie, fields), "%.*s", (int)cookie.n, cookie.p);
		snprintf(fields, sizeof(fields), "cookie: user=\"%s\"\r\n", value);
		asked_plan(&b, 77, "/", fields);
		cr_expect_eq(asked_pick(&b, 0), a.target.addr.b[15]);
		cr_expect_null(cookie_of(&b).p, "it has one");
		asked_done(&a, OUTCOME_STATUS, 200);
		asked_done(&b, OUTCOME_STATUS, 200);
		asked_release(&a);
		asked_release(&b);
	}
}

Test(proxy_rules, without_a_ttl_no_cookie_is_made)
{
	struct asked a = { 0 };

	rules_load(HASH("httpCookie: {name: user}"));
	asked_plan(&a, 1, "/", "");
	cr_expect_null(cookie_of(&a).p);
	asked_release(&a);
	rules_load(HASH("httpCookie: {name: user, ttl: 0s}"));
	asked_plan(&a, 1, "/", "");
	cr_expect(strncmp(cookie_of(&a).p, "user=\"", 6) == 0);
	cr_expect_null(memmem(cookie_of(&a).p, cookie_of(&a).n, "Max-Age", 7), "of the session");
	asked_release(&a);
}
