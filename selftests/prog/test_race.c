// SPDX-License-Identifier: Apache-2.0
/*
 * Ends that two CPUs see at the same moment: the reservation goes back once, and it does go back.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "env.h"

enum { ROUNDS = 20000, SECONDS = 5 };

struct race {
	struct env *env;
	struct env_packet endpoint_end; /* sent by the second thread, round by round */
	atomic_int go, done;
};

static void wait_for(atomic_int *counter, int value)
{
	while (atomic_load(counter) != value)
		sched_yield();
}

static void *endpoint(void *arg)
{
	struct race *r = arg;
	int round = 0;

	for (;;) {
		while (atomic_load(&r->go) == round)
			sched_yield();
		round = atomic_load(&r->go);
		if (round < 0)
			return NULL;
		env_run(r->env, "to_pod", &r->endpoint_end);
		atomic_store(&r->done, round);
	}
}

/* As many bytes on as rounds have been played: a SYN with an old number would be a copy. */
static struct env_packet shifted(struct env_packet p, int round)
{
	p.seq += round * 10;
	p.window = 65535;
	if (p.ack)
		p.ack += round * 10;
	return p;
}

static void send_all(struct race *r, int round, const struct env_packet *packets, size_t n)
{
	struct addr client = env_client(r->env);

	for (size_t i = 0; i < n; i++) {
		struct env_packet p = shifted(packets[i], round);

		env_run(r->env, memcmp(&p.t.src, &client, sizeof(client)) ? "to_pod" : "from_pod",
			&p);
	}
}

static void play(struct race *r, int round, const struct env_packet *client_end,
		 const struct env_packet *endpoint_end)
{
	struct tuple c = client_end->t, e = endpoint_end->t;
	struct env_packet end = shifted(*client_end, round);
	const struct env_packet opening[] = {
		{ .t = c, .flags = SYN, .seq = 100 },
		{ .t = e, .flags = SYN | ACK, .seq = 500, .ack = 101 },
		{ .t = c, .flags = ACK, .seq = 101, .ack = 501 },
	};
	const struct env_packet closing[] = {
		{ .t = e, .flags = ACK, .seq = 502, .ack = 102 },
		{ .t = c, .flags = ACK, .seq = 102, .ack = 502 },
	};

	send_all(r, round, opening, sizeof(opening) / sizeof(*opening));
	r->endpoint_end = shifted(*endpoint_end, round);
	atomic_store(&r->go, round);
	env_run(r->env, "from_pod", &end);
	wait_for(&r->done, round);
	send_all(r, round, closing, sizeof(closing) / sizeof(*closing));
}

static void run(__u8 flags, unsigned left)
{
	struct race r = { .env = env_new(&(struct env_options){ .family = 4 }) };
	struct env_packet endpoint_end, client_end = {
		.t = { .src = env_client(r.env),
		       .dst = env_vip(r.env),
		       .sport = CLIENT_PORT,
		       .dport = VIP_PORT },
		.flags = flags,
		.seq = 101,
		.ack = 501,
	};
	time_t end = time(NULL) + SECONDS;
	struct tcp_traffic traffic;
	pthread_t thread;

	endpoint_end = (struct env_packet){
		.t = { .src = env_endpoint(r.env),
		       .dst = env_client(r.env),
		       .sport = ENDPOINT_PORT,
		       .dport = CLIENT_PORT },
		.flags = flags,
		.seq = 501,
		.ack = 101,
	};
	cr_assert_eq(pthread_create(&thread, NULL, endpoint, &r), 0);
	for (int round = 1; round <= ROUNDS && time(NULL) < end; round++)
		play(&r, round, &client_end, &endpoint_end);
	atomic_store(&r.go, -1);
	pthread_join(thread, NULL);
	traffic = env_tcp_traffic(r.env);
	cr_expect_eq(traffic.opened, traffic.closed, "opened %llu, closed %llu", traffic.opened,
		     traffic.closed);
	cr_expect_eq(traffic.opened, env_cluster(r.env).cx_total, "opened %llu", traffic.opened);
	cr_expect_eq(env_tcp_counted(r.env), 0);
	cr_expect_eq(env_limit(r.env).steered, 0, "active %u", env_limit(r.env).steered);
	cr_expect_eq(env_endpoint_stat(r.env).active, 0);
	cr_expect_eq(env_entries(r.env), left);
	cr_expect_eq(env_counted(r.env), left);
	env_free(r.env);
}

Test(race, two_fins_cross, .timeout = 60)
{
	run(FIN | ACK, 2); /* kept for repeats */
}

Test(race, two_resets_cross, .timeout = 60)
{
	run(RST | ACK, 0);
}
