/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_SOCK_BPF_H
#define WEFT_SOCK_BPF_H
/*
 * The state of a steered socket (weft/sock.h).
 */
#include "reserve.bpf.h"

/* Gives the socket's place back, once however many hooks see it end. Payload bytes. */
static __always_inline void sock_give_back(struct sock_conn *s, __u64 sent, __u64 received)
{
	__u64 held = __sync_lock_test_and_set(&s->reservation, 0);

	if (held)
		give_back(held, sent, received);
}

#endif
