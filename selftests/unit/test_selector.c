// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/similar.h"
#include "lib/model/kinds.h"
#include "lib/schema/selector.h"

/* app=web, tier=front, n=5, empty= */
static struct kv items[] = {
	{ .key = "app", .value = "web" },
	{ .key = "example.com/tier", .value = "front" },
	{ .key = "n", .value = "5" },
	{ .key = "empty", .value = "" },
};
static const struct kvs labels = { items, sizeof(items) / sizeof(*items) };

static const struct {
	const char *text;
	int matches; /* -1: refused */
} rows[] = {
	{ "", 1 },
	{ "app=web", 1 },
	{ "app==web", 1 },
	{ " app = web , n ", 1 },
	{ "app=db", 0 },
	{ "app!=db", 1 },
	{ "app!=web", 0 },
	{ "other!=web", 1 },
	{ "other=", 0 },
	{ "empty=", 1 },
	{ "app", 1 },
	{ "other", 0 },
	{ "!app", 0 },
	{ "!other", 1 },
	{ "! other,app", 1 },
	{ "app in (db, web)", 1 },
	{ "app in (db)", 0 },
	{ "app in (db,web),n", 1 },
	{ "app notin (db,cache)", 1 },
	{ "app notin (web)", 0 },
	{ "other notin (web)", 1 },
	{ "empty in (,x)", 1 },
	{ "example.com/tier=front,app=web", 1 },
	{ "example.com/tier=front,app=db", 0 },
	{ "n>4", 1 },
	{ "n>5", 0 },
	{ "n<6", 1 },
	{ "app<6", 0 },
	{ "other>1", 0 },
	{ "app=", 0 },
	{ "app in", -1 },
	{ "app in web", -1 },
	{ "app in (web", -1 },
	{ "app like (web)", -1 },
	{ "app=web db", -1 },
	{ "app=web,", -1 },
	{ ",app", -1 },
	{ "=web", -1 },
	{ "a b", -1 },
	{ "app=we b", -1 },
	{ "app=-web-", -1 },
	{ "-app", -1 },
	{ "n>x", -1 },
	{ "n>", -1 },
	{ "!app=web", -1 },
	{ "app in (a))", -1 },
};

Test(selector, takes_what_kubectl_takes)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct selector s = { 0 };
		char why[160] = "";
		int r = selector_parse(rows[i].text, &s, why, sizeof(why));

		cr_expect_eq(r, rows[i].matches < 0 ? -EINVAL : 0, "\"%s\": %d %s", rows[i].text, r,
			     why);
		cr_expect_eq(!r, !*why);
		if (!r)
			cr_expect_eq(selector_matches(&s, &labels), rows[i].matches, "\"%s\"",
				     rows[i].text);
		selector_free(&s);
	}
}

Test(kinds, are_known_by_kubectls_words_and_a_near_one_is_offered)
{
	cr_expect_eq(kind_parse("vs"), KIND_VIRTUAL_SERVICE);
	cr_expect_eq(kind_parse("virtualservices.networking.istio.io"), KIND_VIRTUAL_SERVICE);
	cr_expect_eq(kind_parse("VirtualService.v1.networking.istio.io"), KIND_VIRTUAL_SERVICE);
	cr_expect_eq(kind_parse("gateways.gateway.networking.k8s.io"), -1);
	cr_expect_eq(kind_parse("vs.v2.networking.istio.io"), -1);
	cr_expect_eq(kind_parse("pods.v1"), KIND_POD);
	cr_expect_eq(kind_parse(""), -1);
	cr_expect_str_eq(kind_similar("virtualservce"), "VirtualService");
	cr_expect_null(kind_similar("deployments"));
}
