// SPDX-License-Identifier: Apache-2.0
/*
 * Ends that two CPUs see at the same moment: the reservation goes back once, and it does go back.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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
		env_run(r->env, "from_pod", &r->endpoint_end);
		atomic_store(&r->done, round);
	}
}

static void play(struct race *r, int round, const struct env_packet *client_end)
{
	struct tuple c = client_end->t, e = r->endpoint_end.t;
	const struct env_packet opening[] = {
		{ .t = c, .flags = SYN, .seq = 100 },
		{ .t = e, .flags = SYN | ACK, .seq = 500, .ack = 101 },
		{ .t = c, .flags = ACK, .seq = 101, .ack = 501 },
	};
	const struct env_packet closing[] = {
		{ .t = e, .flags = ACK, .seq = 502, .ack = 102 },
		{ .t = c, .flags = ACK, .seq = 102, .ack = 502 },
	};

	for (size_t i = 0; i < sizeof(opening) / sizeof(*opening); i++)
		env_run(r->env, "from_pod", &opening[i]);
	atomic_store(&r->go, round);
	env_run(r->env, "from_pod", client_end);
	wait_for(&r->done, round);
	for (size_t i = 0; i < sizeof(closing) / sizeof(*closing); i++)
		env_run(r->env, "from_pod", &closing[i]);
}

static void run(__u8 flags)
{
	struct race r = { .env = env_new(&(struct env_options){ .family = 4 }) };
	struct env_packet client_end = {
		.t = { .src = env_client(r.env),
		       .dst = env_vip(r.env),
		       .sport = CLIENT_PORT,
		       .dport = VIP_PORT },
		.flags = flags,
		.seq = 101,
		.ack = 501,
	};
	time_t end = time(NULL) + SECONDS;
	pthread_t thread;

	r.endpoint_end = (struct env_packet){
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
		play(&r, round, &client_end);
	atomic_store(&r.go, -1);
	pthread_join(thread, NULL);
	cr_expect_eq(env_limit(r.env).steered, 0, "active %u", env_limit(r.env).steered);
	cr_expect_eq(env_endpoint_stat(r.env).active, 0);
	cr_expect_eq(env_entries(r.env), 0);
	env_free(r.env);
}

Test(race, two_fins_cross, .timeout = 60)
{
	run(FIN | ACK);
}

Test(race, two_resets_cross, .timeout = 60)
{
	run(RST | ACK);
}
