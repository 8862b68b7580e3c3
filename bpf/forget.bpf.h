/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_FORGET_BPF_H
#define WEFT_FORGET_BPF_H
/*
 * What follows CONN_DELETE (conntrack.bpf.h), at hooks that see packets.
 */
#include "conntrack.bpf.h"

/* Deletes the entries of a connection that ends with this packet. */
static __noinline void conn_forget(const struct packet *p, const struct conn *c)
{
	struct conn *forward;
	struct tuple key;

	if (c->dir == DIR_FORWARD) {
		conn_delete(&p->t, c);
		return;
	}
	conn_other_key(c, &key);
	forward = bpf_map_lookup_elem(&conns, &key);
	if (forward)
		conn_delete(&key, forward);
}

#endif
