/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_KERNEL_BPF_H
#define WEFT_KERNEL_BPF_H
/*
 * What of the kernel's own sockets is read. The loader puts the running kernel's offsets in
 * (CO-RE).
 */
#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	__u8 b[16];
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	__be16 skc_dport;
	__u16 skc_num;
	int skc_bound_dev_if;
	__be32 skc_daddr, skc_rcv_saddr;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};

struct socket;

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	__u8 sk_padding : 1, sk_kern_sock : 1, sk_no_check_tx : 1, sk_no_check_rx : 1;
	__u8 sk_shutdown;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	__u32 icsk_user_timeout; /* ms */
	struct {
		__u32 lrcvtime; /* jiffies */
	} icsk_ack;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received, bytes_acked;
	__u32 lsndtime; /* jiffies */
};

#pragma clang attribute pop

#endif
