// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's router, when endpoints, pods, or the rules of a virtual host change while the rest
 * stays.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/route/pack.h"
#include "lib/route/patch.h"
#include "test_proxy_rules_env.h"

/* Of the sanitizer: bytes that are allocated and not freed. */
size_t __sanitizer_get_current_allocated_bytes(void);

/* ---- endpoints ---- */

Test(proxy_rules, a_request_under_way_tries_again_among_the_endpoints_of_then)
{
	struct asked a = { 0 };

	rules_load(SERVICE POD(1, "v1"));
	asked_plan(&a, 1, "/", "");
	cr_assert_eq(asked_pick(&a, 0), 1u);
	rules_patch(POD(2, "v1"), "p1");
	asked_done(&a, OUTCOME_CONNECT, 0);
	cr_expect_eq(asked_pick(&a, 1), 2u);
	asked_done(&a, OUTCOME_STATUS, 200);
	rules_patch(POD(1, "v1") POD(3, "v1"), "p2");
	for (unsigned n = 2, seen = 0; n < 4; n++) {
		seen |= 1u << asked_pick(&a, n);
		asked_done(&a, OUTCOME_CONNECT, 0);
		cr_expect_eq(seen & ~0xau, 0u, "%x", seen);
	}
	asked_release(&a);
	for (int worker = 0; worker < WORKERS; worker++)
		cr_expect_neq(ask_as(worker, 1, "", 200), 2u);
}

Test(proxy_rules, an_endpoint_that_a_patch_takes_away_is_gone)
{
	struct asked a = { 0 };
	struct router *r;

	rules_load(SERVICE POD(1, "v1"));
	asked_plan(&a, 1, "/", "");
	asked_pick(&a, 0);
	r = asked_router(&a);
	rules_patch(POD(2, "v1"), NULL);
	cr_expect_not(r->gone(r, a.target.endpoint));
	rules_patch(NULL, "p1");
	cr_expect(r->gone(r, a.target.endpoint));
	rules_patch(POD(1, "v1"), NULL);
	cr_expect_not(r->gone(r, a.target.endpoint), "it came back");
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
}

Test(proxy_rules, one_that_goes_from_a_subset_to_another_is_not_gone)
{
	struct asked a = { 0 };
	struct router *r;

	rules_load(CLUSTER POLICY RULE
		   "  - match: [{uri: {exact: /two}}]\n"
		   "    route: [{destination: {host: svc, subset: v2}}]\n" ROUTE);
	asked_plan(&a, 1, "/", "");
	cr_assert_leq(asked_pick(&a, 0), 2u);
	r = asked_router(&a);
	rules_patch(POD(1, "v2") POD(2, "v2") POD(3, "v1"), NULL);
	cr_expect_not(r->gone(r, a.target.endpoint));
	asked_done(&a, OUTCOME_STATUS, 200);
	cr_expect_eq(asked_pick(&a, 1), 3u);
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
}

/* Which of the pods each of many clients gets. */
static void note_choices(unsigned choices[200])
{
	for (unsigned i = 0; i < 200; i++)
		choices[i] = ask_as(0, i + 1, "", 200);
}

Test(proxy_rules, a_hash_leads_to_the_same_endpoint_whichever_way_the_rules_came)
{
	static const char hashed[] = POLICY
		"  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}\n";
	unsigned patched[200], loaded[200];
	_cleanup_free_ char *before = NULL, *after = NULL;

	cr_assert(asprintf(&before, "%s%s", SERVICE POD(1, "v1") POD(2, "v1") POD(3, "v2"),
			   hashed) > 0);
	cr_assert(asprintf(&after, "%s%s", SERVICE POD(1, "v1") POD(3, "v2") POD(4, "v2"), hashed) >
		  0);
	rules_load(before);
	rules_patch(POD(4, "v2"), "p2");
	note_choices(patched);
	rules_load(after);
	note_choices(loaded);
	cr_expect(!memcmp(patched, loaded, sizeof(patched)));
}

/* ---- warming up ---- */

#define WARMUP                                                          \
	POLICY "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, " \
	       "warmup: {duration: 1.5s, minimumPercent: 1}}}\n---\n"

static unsigned asked_fourth(unsigned of)
{
	unsigned n = 0;

	for (unsigned i = 0; i < of; i++)
		n += ask_as(i % WORKERS, 1, "", 200) == 4;
	return n;
}

Test(proxy_rules, an_endpoint_that_a_patch_brings_is_new)
{
	uint64_t began;
	unsigned n;

	rules_load(SERVICE POD(1, "v1") POD(2, "v1") POD(3, "v2") WARMUP);
	usleep(1600 * 1000);
	rules_patch(POD(4, "v2"), NULL);
	began = router_now();
	n = asked_fourth(1000);
	if (router_now() - began < 500)
		cr_expect_lt(n, 150u, "%u of 1000", n);
	usleep(1600 * 1000);
	rules_patch(NULL, "p1");
	n = asked_fourth(300);
	cr_expect_eq(n, 100u, "those that were there are not new: %u", n);
}

/* ---- outlier detection ---- */

#define OUTLIER_POLICY                                                          \
	POLICY "  trafficPolicy:\n    loadBalancer: {simple: ROUND_ROBIN}\n"    \
	       "    outlierDetection: {consecutive5xxErrors: 2, interval: 1s, " \
	       "baseEjectionTime: 3m, maxEjectionPercent: 100}\n"
#define OUTLIERS CLUSTER OUTLIER_POLICY

/* Pods up to `bad` answer 500; which ones have been asked. */
static unsigned ask_many(unsigned bad)
{
	unsigned seen = 0;

	for (int i = 0; i < 20; i++) {
		struct asked a = { .worker = i % WORKERS };
		unsigned pod;

		asked_plan(&a, 1, "/", "");
		pod = asked_pick(&a, 0);
		seen |= 1u << pod;
		if (pod)
			asked_done(&a, OUTCOME_STATUS, pod <= bad ? 500 : 200);
		asked_release(&a);
	}
	return seen;
}

Test(proxy_rules, an_ejected_endpoint_stays_out_when_others_come_and_go)
{
	rules_load(OUTLIERS);
	ask_many(1);
	cr_assert_eq(ask_many(1), 0x1cu);
	rules_patch(POD(5, "v1"), "p3");
	cr_expect_eq(ask_many(0), 0x34u);
	rules_patch(NULL, "p1");
	cr_expect_eq(ask_many(0), 0x34u);
	rules_patch(POD(1, "v1"), NULL);
	cr_expect_eq(ask_many(0), 0x34u, "it has not been away for long");
}

/* What is counted is the endpoint's own, not that of the one in its place. */
Test(proxy_rules, a_request_counts_for_its_endpoint_wherever_that_is_by_then)
{
	struct asked a[3] = { 0 };

	rules_load(SERVICE POD(3, "v1") OUTLIER_POLICY);
	for (int i = 0; i < 3; i++) {
		asked_plan(&a[i], 1, "/", "");
		cr_assert_eq(asked_pick(&a[i], 0), 3u);
	}
	rules_patch(POD(1, "v1") POD(2, "v1") POD(4, "v1"), NULL);
	for (int i = 0; i < 2; i++)
		asked_done(&a[i], OUTCOME_STATUS, 500);
	cr_expect_eq(ask_many(0), 0x16u, "it is out");
	rules_patch(NULL, "p3");
	asked_done(&a[2], OUTCOME_STATUS, 500);
	for (int i = 0; i < 3; i++)
		asked_release(&a[i]);
	cr_expect_eq(ask_many(0), 0x16u);
}

Test(proxy_rules, a_request_ends_although_its_endpoint_has_left)
{
	struct asked a = { 0 };
	size_t endpoints, outliers;
	unsigned first;

	rules_load(SERVICE POD(1, "v1") POD(2, "v1") OUTLIER_POLICY);
	asked_plan(&a, 1, "/", "");
	first = asked_pick(&a, 0);
	rules_patch(POD(3, "v1"), first == 1 ? "p1" : "p2");
	rules_load(SERVICE POD(3, "v1") OUTLIER_POLICY);
	shared_state_count(rules_state, &endpoints, &outliers);
	cr_expect_eq(endpoints, 3u, "the request still has the rules that know of it");
	asked_done(&a, OUTCOME_STATUS, 500);
	asked_release(&a);
	shared_state_count(rules_state, &endpoints, &outliers);
	cr_expect_eq(endpoints, 1u);
}

/* ---- callers ---- */

#define CALLER                                                                                   \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: caller}\nspec: {containers: [{name: c}]}\n" \
	"status: {phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}], conditions: "       \
	"[{type: Ready, status: \"True\"}]}\n---\n"

Test(proxy_rules, a_caller_is_known_once_its_pod_is)
{
	rules_load(SERVICE POD(1, "v1") POD(2, "v2") POLICY RULE
		   "  - match: [{sourceNamespace: other}]\n"
		   "    route: [{destination: {host: svc, subset: v2}}]\n" ROUTE);
	cr_expect_eq(ask(200), 2u, "what is no pod is not asked where it is");
	rules_patch(CALLER, NULL);
	cr_expect_eq(ask(200), 1u);
	cr_expect_eq(ask_as(1, 2, "", 200), 2u, "another one is not known");
	rules_patch(NULL, "caller");
	cr_expect_eq(ask(200), 2u);
}

/* ---- requests ---- */

#define TO(version) "  - route: [{destination: {host: svc, subset: " version "}}]\n"
#define BOTH \
	"  - match: [{uri: {exact: /two}}]\n    route: [{destination: {host: svc, subset: v2}}]\n"

Test(proxy_rules, a_request_under_way_ends_by_the_rules_that_it_began_with)
{
	struct asked a = { 0 };
	const struct http_route_stat *route;

	rules_load(CLUSTER POLICY RULE BOTH TO("v1"));
	asked_plan(&a, 1, "/", "");
	route = a.plan.route;
	rules_patch_requests(RULE TO("v2"));
	cr_expect_leq(asked_pick(&a, 0), 2u);
	asked_done(&a, OUTCOME_CONNECT, 0);
	for (int worker = 0; worker < WORKERS; worker++)
		cr_expect_geq(ask_as(worker, 1, "", 200), 3u);
	rules_patch_requests(RULE BOTH TO("v1"));
	cr_expect_leq(asked_pick(&a, 1), 2u);
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
	for (int worker = 0; worker < WORKERS; worker++)
		cr_expect_leq(ask_as(worker, 1, "", 200), 2u);
	asked_plan(&a, 1, "/", "");
	cr_expect_eq(a.plan.route, route, "its counters are the same as ever");
	asked_release(&a);
}

Test(proxy_rules, a_virtual_host_may_have_more_rules_than_before)
{
	struct asked a = { 0 };

	rules_load(CLUSTER POLICY RULE BOTH TO("v1"));
	rules_patch_requests(
		RULE BOTH
		"  - match: [{uri: {regex: '/[0-9]+'}}]\n"
		"    rewrite: {uriRegexRewrite: {match: '^/([0-9]+)$', rewrite: '/n/\\1'}}\n"
		"    route: [{destination: {host: svc, subset: v2}}]\n"
		"    timeout: 3s\n" TO("v1"));
	asked_plan(&a, 1, "/123", "");
	cr_expect_eq(a.plan.timeout_ms, 3000u);
	cr_expect(h1_is(a.plan.path, "/n/123"));
	cr_expect_geq(asked_pick(&a, 0), 3u);
	asked_done(&a, OUTCOME_STATUS, 200);
	asked_release(&a);
	cr_expect_leq(ask(200), 2u);
	/* Endpoints change behind it as before. */
	rules_patch(POD(5, "v1"), "p1");
	rules_patch(NULL, "p2");
	cr_expect_eq(ask(200), 5u);
	cr_expect_eq(ask(200), 5u);
}

Test(proxy_rules, a_proxy_that_was_given_all_of_it_goes_on_with_patches)
{
	rules_load(CLUSTER POLICY RULE BOTH TO("v1"));
	rules_patch(POD(5, "v2"), "p1");
	rules_patch_requests(RULE TO("v2"));
	rules_patch(POD(6, "v2"), NULL);
	rules_hand_over();
	rules_patch_requests(RULE TO("v1"));
	cr_expect_eq(ask(200), 2u);
	rules_hand_over();
	rules_patch(NULL, "p3");
	rules_patch_requests(RULE TO("v2"));
	for (int i = 0; i < 6; i++)
		cr_expect_geq(ask(200), 4u);
}

/* What is in order, packed, is, too. */
static void pack_again(const struct http_snapshot *s)
{
	struct http_snapshot *again;
	void *bytes;
	size_t size;

	cr_assert_eq(http_snapshot_pack(s, &bytes, &size), 0);
	cr_assert_eq(http_snapshot_own(bytes, size, &again), 0);
	http_snapshot_close(again);
}

Test(proxy_rules, damage_in_rows_that_are_added_is_found_or_does_no_harm)
{
	enum { ROUNDS = 3000 };
	struct http_snapshot *from, *out;
	_cleanup_free_ char *copy = NULL;
	unsigned random = 1, good = 0;

	rules_load(CLUSTER POLICY RULE BOTH TO("v1"));
	rules_patch_requests(RULE
			     "  - match: [{uri: {regex: '/[0-9]+'}, headers: {a: {exact: b}}}]\n"
			     "    corsPolicy: {allowOrigins: [{exact: x}]}\n"
			     "    route: [{destination: {host: svc, subset: v2}}]\n" TO("v1"));
	cr_assert_eq(http_snapshot_open(rules_snapshot, rules_snapshot_size, &from), 0);
	copy = malloc(rules_last_patch_size);
	for (int i = 0; i < ROUNDS; i++) {
		memcpy(copy, rules_last_patch, rules_last_patch_size);
		for (int k = 0; k < i % 3; k++) {
			random = random * 1103515245 + 12345;
			copy[(random >> 8) % rules_last_patch_size] ^= 1 << (random >> 4 & 7);
		}
		if (http_snapshot_patched(from, copy, rules_last_patch_size, &out))
			continue;
		good++;
		pack_again(out);
		http_snapshot_close(out);
	}
	cr_expect(good >= ROUNDS / 3 && good < ROUNDS, "%u", good);
	http_snapshot_close(from);
}

/* ---- what is no patch ---- */

Test(proxy_rules, a_damaged_patch_changes_nothing)
{
	const struct hs_patch_header *h;

	rules_load(SERVICE POD(1, "v1"));
	rules_patch(POD(2, "v1"), "p1");
	h = rules_last_patch;
	((struct hs_patch_cluster *)((char *)rules_last_patch + h->tables[HS_PATCH_CLUSTERS].at))
		->endpoints.count = 1000;
	cr_expect_eq(rules_patch_one(0, rules_file(rules_last_patch, rules_last_patch_size)),
		     -EBADMSG);
	cr_expect_eq(rules_patch_one(0, rules_file(rules_last_patch, 20)), -EBADMSG);
	cr_expect_eq(ask(200), 2u);
}

Test(proxy_rules, a_patch_needs_rules)
{
	const struct http_patch_rows none = { 0 };
	_cleanup_free_ void *bytes = NULL;
	size_t size;

	cr_assert_eq(http_patch_pack(&none, &bytes, &size), 0);
	cr_expect_eq(rules_patch_one(0, rules_file(bytes, size)), -ESTALE);
}

/* ---- for a long time ---- */

enum { PATCHES = 100000, BEGIN = 10000, MEMBERS = 3 };

/* The cluster of the service. */
static __u32 cluster_row(const struct http_snapshot *s)
{
	__u32 i = 0;

	while (!hs_cluster(s, i)->known)
		i++;
	return i;
}

/* Other endpoints each time, the first of which has been there before. */
static void make_patch(const struct http_snapshot *s, unsigned i, void **out, size_t *size)
{
	const struct hs_patch_cluster cluster = { .row = cluster_row(s),
						  .endpoints = { 0, MEMBERS },
						  .endpoints_v4 = MEMBERS,
						  .service_endpoints = MEMBERS };
	struct hs_endpoint endpoints[MEMBERS] = { 0 };
	const struct hs_patch_source source = { .row = { .addr = ipv4(11, 0, 0, i % 64), .ns = 1 },
						.gone = i % 3 == 0 };

	for (unsigned k = 0; k < MEMBERS; k++)
		endpoints[k].endpoint = (struct endpoint){ .addr = ipv4(12, i >> 16, i >> 8, i + k),
							   .id = 1000 + i * 2 + k,
							   .port = 80 };
	cr_assert_eq(http_patch_pack(&(struct http_patch_rows){ .clusters = &cluster,
								.endpoints = endpoints,
								.sources = &source,
								.cluster_count = 1,
								.endpoint_count = MEMBERS,
								.source_count = 1 },
				     out, size),
		     0);
}

/* What weftd keeps: in one block again, once there are too many patches. */
static bool settle(struct http_snapshot **s)
{
	struct http_snapshot *flat;
	unsigned count;
	size_t size = http_snapshot_patches(*s, &count);

	if (!http_patches_too_many(*s, count, size))
		return false;
	cr_assert_eq(http_snapshot_flatten(*s, &flat), 0);
	http_snapshot_close(*s);
	*s = flat;
	return true;
}

static void step(struct http_snapshot **s, unsigned i)
{
	_cleanup_free_ void *bytes = NULL;
	struct http_snapshot *next;
	size_t size;

	make_patch(*s, i, &bytes, &size);
	cr_assert_eq(http_snapshot_patched(*s, bytes, size, &next), 0);
	http_snapshot_close(*s);
	*s = next;
	if (settle(s))
		rules_offer(rules_file((*s)->header, (*s)->header->size));
	else
		cr_assert_eq(rules_patch_one(0, rules_file(bytes, size)), 0);
	(void)ask(i % 5 ? 200 : 500);
}

Test(proxy_rules, nothing_is_left_of_what_has_gone, .timeout = 300)
{
	struct http_snapshot *s;
	size_t endpoints, outliers, begin = 0, end;

	rules_load(OUTLIERS);
	cr_assert_eq(http_snapshot_open(rules_snapshot, rules_snapshot_size, &s), 0);
	for (unsigned i = 0; i < PATCHES; i++) {
		step(&s, i);
		if (i == BEGIN)
			begin = __sanitizer_get_current_allocated_bytes();
	}
	end = __sanitizer_get_current_allocated_bytes();
	shared_state_count(rules_state, &endpoints, &outliers);
	/* The rest of the last patches, and of endpoints that something is known of. */
	cr_expect_lt(endpoints, 1000u);
	cr_expect_lt(outliers, 3000u);
	cr_expect_lt(end, begin + (1u << 18), "%zu bytes, then %zu", begin, end);
	http_snapshot_close(s);
}
