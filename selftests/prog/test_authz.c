// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicies at the pod's interface: what becomes of a packet on its way there. The
 * third pod is in the mesh, and calls; so does a router, of which nothing is known.
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>

#include "test_steer_util.h"

enum { SET = 3, PORT = ENDPOINT_PORT, OTHER_PORT = ENDPOINT_PORT + 1 };

/* The policies of the rows: who of the two may call which port. */
enum who { NOBODY, EVERYBODY, POD_ONLY, ROUTER_ONLY, PORT_ONLY };

static void put(struct env *e, enum who rule)
{
	struct addr pod = env_other(e), router = env_router(e), endpoint = env_endpoint(e);
	__u32 all = rule == EVERYBODY ? AUTHZ_LETS : AUTHZ_CLOSES;

	env_authorize(e, &endpoint, SET);
	env_authorize_row(e, SET, 0, false, NULL, all);
	if (rule == POD_ONLY)
		env_authorize_row(e, SET, 0, true, &pod, AUTHZ_LETS);
	if (rule == ROUTER_ONLY)
		env_authorize_row(e, SET, 0, false, &router, AUTHZ_LETS);
	if (rule == PORT_ONLY)
		env_authorize_row(e, SET, PORT, false, NULL, AUTHZ_LETS);
}

static const struct row {
	const char *what;
	enum who rule;
	bool pod; /* it calls; else the router does */
	__u16 port;
	__u8 flags;
	bool passes;
} rows[] = {
	{ "nobody may", NOBODY, true, PORT, SYN, false },
	{ "nobody may, from elsewhere", NOBODY, false, PORT, SYN, false },
	{ "a SYN with a FIN asks, too", NOBODY, false, PORT, SYN | FIN, false },
	{ "the reply to a call of its own", NOBODY, false, PORT, SYN | ACK, true },
	{ "a connection that is there", NOBODY, false, PORT, ACK, true },
	{ "its end", NOBODY, false, PORT, RST, true },
	{ "everybody may", EVERYBODY, false, PORT, SYN, true },
	{ "the pod may", POD_ONLY, true, PORT, SYN, true },
	{ "the pod may, not others", POD_ONLY, false, PORT, SYN, false },
	{ "an address may", ROUTER_ONLY, false, PORT, SYN, true },
	{ "an address may, not others", ROUTER_ONLY, true, PORT, SYN, false },
	{ "to a port", PORT_ONLY, false, PORT, SYN, true },
	{ "to another port", PORT_ONLY, false, OTHER_PORT, SYN, false },
};

static void check_row(const struct row *row, int family)
{
	struct env *e = env_new(&(struct env_options){ .family = family });
	struct env_packet p = { .t = { .src = row->pod ? env_other(e) : env_router(e),
				       .dst = env_endpoint(e),
				       .sport = CLIENT_PORT,
				       .dport = row->port },
				.flags = row->flags,
				.seq = 1000,
				.ifindex = ENDPOINT_IF };
	struct env_result r;

	r = env_run(e, "to_pod", &p);
	steer_expect_untouched("without policies", &r, &p);
	put(e, row->rule);
	r = env_run(e, "to_pod", &p);
	if (row->passes) {
		steer_expect_untouched(row->what, &r, &p);
	} else {
		cr_expect_eq(r.action, TC_ACT_REDIRECT, "%s", row->what);
		cr_expect_eq(r.packet.flags, RST | ACK, "%s", row->what);
		cr_expect(r.checksums_ok, "%s", row->what);
		cr_expect_eq(r.packet.t.dport, CLIENT_PORT, "%s", row->what);
	}
	cr_expect_eq(env_reason(e, REASON_RBAC_DENIED), !row->passes, "%s", row->what);
	cr_expect_eq(env_reason(e, REASON_RBAC_ALLOWED),
		     row->passes && (row->flags & (SYN | ACK)) == SYN, "%s", row->what);
	env_free(e);
}

Test(authz, connections_to_a_pod, .timeout = 120)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (int family = 4; family <= 6; family += 2)
			check_row(&rows[i], family);
}

/* A PeerAuthentication that is STRICT: with a reason of its own, and who passes is not counted
 * among those whom AuthorizationPolicies have let through. */
Test(authz, plaintext_to_a_strict_pod, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct addr endpoint = env_endpoint(e), pod = env_other(e);
		struct env_packet p = { .t = { .src = env_router(e),
					       .dst = endpoint,
					       .sport = CLIENT_PORT,
					       .dport = PORT },
					.flags = SYN,
					.ifindex = ENDPOINT_IF };
		struct env_result r;

		env_authorize(e, &endpoint, SET);
		env_authorize_row(e, SET, 0, false, NULL, AUTHZ_CLOSES_PLAINTEXT);
		env_authorize_row(e, SET, 0, true, &pod, AUTHZ_PASSES);
		r = env_run(e, "to_pod", &p);
		cr_expect_eq(r.packet.flags, RST | ACK);
		cr_expect_eq(env_reason(e, REASON_PLAINTEXT_DENIED), 1);
		cr_expect_eq(env_reason(e, REASON_RBAC_DENIED), 0);
		p.t.src = pod;
		r = env_run(e, "to_pod", &p);
		steer_expect_untouched("a pod of the mesh", &r, &p);
		cr_expect_eq(env_reason(e, REASON_RBAC_ALLOWED), 0);
		cr_expect_eq(env_reason(e, REASON_PLAINTEXT_DENIED), 1);
		env_free(e);
	}
}

/* What an AUDIT policy is met by is counted, and goes as it would without. */
Test(authz, audited_connections, .timeout = 60)
{
	static const struct {
		__u32 verdict;
		bool passes;
		enum reason also; /* is counted */
	} verdicts[] = {
		{ AUTHZ_PASSES, true, REASON_MAX },
		{ AUTHZ_LETS, true, REASON_RBAC_ALLOWED },
		{ AUTHZ_CLOSES, false, REASON_RBAC_DENIED },
	};

	for (size_t i = 0; i < 2 * sizeof(verdicts) / sizeof(*verdicts); i++) {
		const int n = (int)i / 2, family = i % 2 ? 6 : 4;
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct addr endpoint = env_endpoint(e);
		struct env_packet p = { .t = { .src = env_router(e),
					       .dst = endpoint,
					       .sport = CLIENT_PORT,
					       .dport = PORT },
					.flags = SYN,
					.ifindex = ENDPOINT_IF };
		struct env_result r;

		env_authorize(e, &endpoint, SET);
		env_authorize_row(e, SET, 0, false, NULL, verdicts[n].verdict | AUTHZ_LOGS);
		r = env_run(e, "to_pod", &p);
		if (verdicts[n].passes)
			steer_expect_untouched("audited", &r, &p);
		else
			cr_expect_eq(r.packet.flags, RST | ACK);
		cr_expect_eq(env_reason(e, REASON_RBAC_LOGGED), 1);
		if (verdicts[n].also != REASON_MAX)
			cr_expect_eq(env_reason(e, verdicts[n].also), 1);
		env_free(e);
	}
}

/* Whoever wrote a set without rows meant to let nobody through. */
Test(authz, a_set_without_rows_is_closed, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct addr endpoint = env_endpoint(e);
		struct env_packet p = { .t = { .src = env_other(e),
					       .dst = endpoint,
					       .sport = CLIENT_PORT,
					       .dport = PORT },
					.flags = SYN,
					.ifindex = ENDPOINT_IF };

		env_authorize(e, &endpoint, SET);
		cr_expect_eq(env_run(e, "to_pod", &p).packet.flags, RST | ACK);
		p.t.dst = env_other(e);
		p.t.src = env_router(e);
		p.ifindex = OTHER_IF;
		cr_expect_eq(env_run(e, "to_pod", &p).action, TC_ACT_UNSPEC, "another pod");
		env_free(e);
	}
}

/* A packet whose header can't be read might be a SYN. */
Test(authz, what_hides_its_header_does_not_pass, .timeout = 60)
{
	for (int family = 4; family <= 6; family += 2) {
		struct env *e = env_new(&(struct env_options){ .family = family });
		struct addr endpoint = env_endpoint(e);
		struct env_packet p = { .t = { .src = env_router(e),
					       .dst = endpoint,
					       .sport = CLIENT_PORT,
					       .dport = PORT },
					.flags = SYN,
					.options = true,
					.ifindex = ENDPOINT_IF };

		put(e, NOBODY);
		cr_expect_eq(env_run(e, "to_pod", &p).packet.flags, RST | ACK, "behind options");
		p.options = false;
		p.first_fragment = true;
		cr_expect_neq(env_run(e, "to_pod", &p).action, TC_ACT_UNSPEC, "in fragments");
		env_free(e);
	}
}
