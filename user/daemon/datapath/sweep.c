/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/sweep.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "lib/base/addr.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "daemon/datapath/sockets.h"
#include "daemon/datapath/sweep_reset.h"

enum {
	PERIOD_MIN_MS = 50,
	PERIOD_MAX_MS = 1000,
	REST = 10, /* times what a run took until the next: the loop has other work */
	WAIT_MAX_MS = 10000,
	GONE_AT_ONCE = 8192, /* well below the size of `gone_addrs` */
	ROUNDS_MAX = 64,     /* of a sweep that has more to tell than `events` has room for */
};

void sweep_init(struct sweep *s)
{
	*s = (struct sweep){ .raw4 = -1, .raw6 = -1 };
}

void sweep_free(struct sweep *s)
{
	ring_buffer__free(s->events);
	free(s->ends.items);
	event_timer_close(&s->timer);
	closep(&s->raw4);
	closep(&s->raw6);
}

/* ---- RSTs, and questions ---- */

static void send_reset(const struct sweep *s, const struct reset_event *e)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	bool v4 = addr_is_v4(&e->packet.dst);
	const struct sockaddr *to = v4 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6;
	__u8 packet[RESET_MAX];
	size_t len = reset_build(e, packet);

	memcpy(&to4.sin_addr, e->packet.dst.b + 12, 4);
	memcpy(&to6.sin6_addr, e->packet.dst.b, 16);
	/* a receiver that can't be reached can't be told */
	if (len && sendto(v4 ? s->raw4 : s->raw6, packet, len, MSG_DONTWAIT, to,
			  v4 ? sizeof(to4) : sizeof(to6)) < 0)
		log_debug("packet not sent: %s", strerror(errno));
}

/* What there is no memory for is told of again. */
static void keep_end(struct sweep *s, const struct sock_event *e)
{
	struct sock_event *slot = table_push(&s->ends);

	if (slot)
		*slot = *e;
}

static int take_event(void *arg, void *data, size_t size)
{
	if (size == sizeof(struct reset_event))
		send_reset(arg, data);
	else if (size == sizeof(struct sock_event))
		keep_end(arg, data);
	return 0;
}

/* ---- sweeps ---- */

unsigned sweep_wait_ms(unsigned period_ms, unsigned took_ms)
{
	unsigned rest = took_ms < WAIT_MAX_MS / REST ? took_ms * REST : WAIT_MAX_MS;

	return rest > period_ms ? rest : period_ms;
}

static void arm(struct sweep *s)
{
	event_timer_set_sooner(&s->timer, sweep_wait_ms(s->period_ms, s->took_ms));
}

void sweep_set_period(struct sweep *s, unsigned min_timeout_ms)
{
	unsigned ms = min_timeout_ms ? min_timeout_ms / 4 : PERIOD_MAX_MS;

	s->period_ms = ms < PERIOD_MIN_MS ? PERIOD_MIN_MS : ms > PERIOD_MAX_MS ? PERIOD_MAX_MS : ms;
	arm(s);
}

static int run_once(struct kernel *k, bool check_gone)
{
	struct sweep_args args = { .check_gone = check_gone, .skip_socks = !sockets_any(k) };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));

	if (bpf_prog_test_run_opts(k->loader.prog[PROG_SWEEP], &opts))
		return log_err(-errno, "run the sweep");
	k->sweep.last = args;
	k->sweep.ends.count = 0;
	ring_buffer__consume(k->sweep.events);
	sockets_end(k, k->sweep.ends.items, k->sweep.ends.count);
	return 0;
}

/* Addresses are gone for this run alone: it goes on until all of their connections are told of. */
static int run(struct kernel *k, bool check_gone)
{
	uint64_t begun = clock_ns(), took;
	int r = run_once(k, check_gone);

	for (int i = 0; !r && check_gone && k->sweep.last.untold && i < ROUNDS_MAX; i++)
		r = run_once(k, check_gone);
	took = clock_ns() - begun;
	k->sweep.took_ms = (unsigned)((took + 999999) / 1000000);
	k->sweep.runs++;
	k->sweep.ran_ns += took;
	return r;
}

int sweep_run(struct kernel *k)
{
	return run(k, false);
}

static void due(void *arg)
{
	struct kernel *k = arg;

	(void)sweep_run(k);
	tcp_rows_keep(k);
	traffic_keep(k);
	arm(&k->sweep);
	publish_tidy(&k->published, &k->loader);
}

int sweep_gone(struct kernel *k, const struct addr_list *gone)
{
	int fd = k->loader.map[MAP_GONE_ADDRS];
	_cleanup_free_ __u8 *ones = calloc(GONE_AT_ONCE, 1);
	int r = ones ? 0 : -ENOMEM;

	if (!r && !gone->count)
		return sweep_run(k);
	for (size_t at = 0; !r && at < gone->count; at += GONE_AT_ONCE) {
		__u32 n =
			(__u32)(gone->count - at < GONE_AT_ONCE ? gone->count - at : GONE_AT_ONCE);

		r = map_fill(fd, gone->items + at, sizeof(struct addr), ones, 1, n);
		if (!r)
			r = run(k, true);
		map_delete(fd, gone->items + at, sizeof(struct addr), n);
	}
	return r;
}

static int open_raw(int family)
{
	return socket(family, SOCK_RAW | SOCK_CLOEXEC,
		      IPPROTO_RAW); /* which includes the IP header */
}

int sweep_open(struct kernel *k)
{
	struct sweep *s = &k->sweep;
	int r;

	r = event_timer_open(k->loop, &s->timer, due, k);
	if (r)
		return log_err(r, "make the sweep's timer");
	s->raw4 = open_raw(AF_INET);
	s->raw6 = open_raw(AF_INET6);
	if (s->raw4 < 0 && s->raw6 < 0)
		return log_err(-errno, "open a raw socket");
	s->events = ring_buffer__new(k->loader.map[MAP_EVENTS], take_event, s, NULL);
	if (!s->events)
		return log_err(-errno, "read the map events");
	sweep_set_period(s, 0);
	return 0;
}
