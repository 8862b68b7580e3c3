// SPDX-License-Identifier: Apache-2.0
#include "test_steer_util.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>

struct tuple steer_client(const struct env *e)
{
	return (struct tuple){
		.src = env_client(e), .dst = env_vip(e), .sport = CLIENT_PORT, .dport = VIP_PORT
	};
}

const char *steer_show(const struct tuple *t)
{
	static char text[160];
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, t->src.b, src, sizeof(src));
	inet_ntop(AF_INET6, t->dst.b, dst, sizeof(dst));
	snprintf(text, sizeof(text), "[%s]:%u > [%s]:%u", src, t->sport, dst, t->dport);
	return text;
}

void steer_expect(const char *what, const struct tuple *got, const struct tuple *want)
{
	cr_expect(!memcmp(got, want, sizeof(*got)), "%s: got %s", what, steer_show(got));
}

struct tuple steer_open(struct env *e, const struct tuple *from, const char *program, int action)
{
	struct env_packet syn = { .t = *from, .flags = SYN, .seq = 1000, .window = 65535 };
	struct env_result r = env_run(e, program, &syn);

	cr_assert_eq(r.action, action, "SYN: action %d", r.action);
	cr_expect(memcmp(&r.packet.t, from, sizeof(*from)), "SYN: not translated");
	cr_expect(r.checksums_ok);
	return r.packet.t;
}

struct tuple steer_open_from_pod(struct env *e, const struct tuple *from)
{
	return steer_open(e, from, "from_pod", TC_ACT_UNSPEC);
}

struct env_result steer_answer(struct env *e, const char *program, const struct tuple *there)
{
	struct env_packet p = { .flags = SYN | ACK, .seq = 1, .ack = 1001, .window = 65535 };

	tuple_turn(&p.t, there);
	return env_run(e, program, &p);
}

void steer_expect_untouched(const char *what, const struct env_result *r,
			    const struct env_packet *sent)
{
	cr_expect_eq(r->action, TC_ACT_UNSPEC, "%s: action %d", what, r->action);
	steer_expect(what, &r->packet.t, &sent->t);
}
