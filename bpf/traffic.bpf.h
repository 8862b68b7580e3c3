/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_TRAFFIC_BPF_H
#define WEFT_TRAFFIC_BPF_H
/*
 * Who talks to whom by TCP (weft/traffic.h): a connection is counted once when it opens, and once
 * when it ends. count.bpf.h moves the bytes of open ones on in between: what it has counted of
 * one stands in `tcp_counted`, and a program that counts more of it adds the difference.
 */
#include "tables.bpf.h"

enum { RAISE_TRIES = 16 };

static const struct tcp_traffic_key traffic_rest; /* of the row for what found no room */
static const struct tcp_traffic traffic_none;

/* The row, made if need be; NULL: there is no room. */
static __always_inline struct tcp_traffic *traffic_row(const struct tcp_traffic_key *key)
{
	struct tcp_traffic *row = bpf_map_lookup_elem(&tcp_traffic, key);

	if (row)
		return row;
	bpf_map_update_elem(&tcp_traffic, key, &traffic_none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tcp_traffic, key);
}

/* Counts a connection that has opened. Returns where: its entry keeps that for traffic_add(). */
static __always_inline enum traffic_place traffic_open(const struct tcp_traffic_key *key)
{
	struct tcp_traffic *row = traffic_row(key);
	enum traffic_place place = TRAFFIC_ROW;

	if (!row) {
		row = bpf_map_lookup_elem(&tcp_traffic, &traffic_rest);
		place = TRAFFIC_REST;
	}
	if (!row)
		return TRAFFIC_NOWHERE;
	__sync_fetch_and_add(&row->opened, 1);
	return place;
}

/* Counts more of a connection that traffic_open() has counted: payload bytes, and its end. */
static __noinline void traffic_add(const struct tcp_traffic_key *key, enum traffic_place place,
				   __u64 received, __u64 sent, __u32 closed)
{
	struct tcp_traffic *row = place == TRAFFIC_ROW ? traffic_row(key) : NULL;

	if (!row)
		row = bpf_map_lookup_elem(&tcp_traffic, &traffic_rest);
	if (!row)
		return;
	if (received)
		__sync_fetch_and_add(&row->received, received);
	if (sent)
		__sync_fetch_and_add(&row->sent, sent);
	if (closed)
		__sync_fetch_and_add(&row->closed, 1);
}

/* Raises what has been counted to `now`; by how much. 0 where another CPU has counted as much. */
GLOBAL_FUNC __u64 traffic_raise(__u64 *counted, __u64 now)
{
	int i;

	for (i = 0; counted && i < RAISE_TRIES; i++) {
		__u64 was = *(volatile __u64 *)counted;

		if (now <= was)
			return 0;
		if (__sync_val_compare_and_swap(counted, was, now) == was)
			return now - was;
	}
	return 0;
}

/*
 * Counts the end of a connection that traffic_open() has counted; to be called by the one that has
 * swapped its reservation. `t`: its packets to the endpoint. `swept`: read after that swap.
 */
static __always_inline void traffic_close(const struct tcp_traffic_key *key,
					  enum traffic_place place, const struct tuple *t,
					  int swept, __u64 received, __u64 sent)
{
	struct tcp_counted *counted = swept ? bpf_map_lookup_elem(&tcp_counted, t) : NULL;

	if (counted) {
		received = traffic_raise(&counted->received, received);
		sent = traffic_raise(&counted->sent, sent);
		bpf_map_delete_elem(&tcp_counted, t);
	}
	traffic_add(key, place, received, sent, 1);
}

#endif
