// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include <criterion/criterion.h>

#include "lib/mesh/peer.h"

static struct kv labels[] = { { .key = "app", .value = "reviews" },
			      { .key = "version", .value = "v2" } };

static struct object pod(size_t count)
{
	return (struct object){ .meta = { .name = "reviews-1",
					  .namespace = "default",
					  .labels = { labels, count } },
				.pod = { .workload = "reviews-v2",
					 .service_account = "bookinfo" } };
}

Test(peer, a_pod_of_a_workload)
{
	struct object o = pod(2);
	char name[TRAFFIC_PEER_NAME_MAX];
	struct peer p;

	peer_name(&o, name);
	peer_parse(name, &p);
	cr_assert_str_eq(p.workload, "reviews-v2");
	cr_assert_str_eq(p.ns, "default");
	cr_assert_str_eq(p.app, "reviews");
	cr_assert_str_eq(p.version, "v2");
	cr_assert_str_eq(p.canonical_service, "reviews");
	cr_assert_str_eq(p.canonical_revision, "v2");
	cr_assert_str_eq(p.principal, "spiffe://cluster.local/ns/default/sa/bookinfo");
}

Test(peer, what_a_pod_does_not_tell)
{
	struct object o = pod(0);
	char name[TRAFFIC_PEER_NAME_MAX];
	struct peer p;

	o.pod.workload = o.pod.service_account = NULL;
	peer_name(&o, name);
	peer_parse(name, &p);
	cr_assert_str_eq(p.workload, "reviews-1");
	cr_assert_str_eq(p.app, "unknown");
	cr_assert_str_eq(p.version, "unknown");
	cr_assert_str_eq(p.canonical_service, "reviews-1");
	cr_assert_str_eq(p.canonical_revision, "latest");
	cr_assert_str_eq(p.principal, "spiffe://cluster.local/ns/default/sa/default");
}

Test(peer, nobody_who_is_known)
{
	struct peer p;

	peer_parse(NULL, &p);
	cr_assert_str_eq(p.workload, "unknown");
	cr_assert_str_eq(p.ns, "unknown");
	cr_assert_str_eq(p.principal, "unknown");
}

Test(peer, pods_that_no_label_tells_apart_are_one)
{
	struct registry *r = registry_new();
	struct object a = pod(2), b = pod(2), c = pod(1);
	__u32 id = peer_id(r, &a);

	b.meta.name = "reviews-2";
	cr_assert_neq(id, 0);
	cr_assert_eq(peer_id(r, &b), id);
	cr_assert_neq(peer_id(r, &c), id);
	cr_assert_neq(peer_gateway_id(r), id);
	registry_free(r);
}
