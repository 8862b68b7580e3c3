/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_KERNEL_BPF_H
#define WEFT_KERNEL_BPF_H
/*
 * What of the kernel's own sockets is read. The loader puts the running kernel's offsets in
 * (CO-RE).
 */
#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	volatile unsigned char skc_state;
	unsigned long skc_flags; /* bits of enum sock_flags */
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
	__u8 sk_padding : 1, sk_kern_sock : 1, sk_no_check_tx : 1, sk_no_check_rx : 1;
	__u8 sk_shutdown;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	__u32 icsk_user_timeout; /* ms */
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received; /* a FIN is one more */
	__u64 bytes_acked;    /* likewise, and the SYN */
	__u32 snd_una;	      /* what has been acknowledged up to */
	__u32 write_seq;      /* what there is to be sent up to, with the FIN */
	__u8 fastopen_connect : 1;
};

#pragma clang attribute pop

#endif
