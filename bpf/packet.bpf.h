/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WEFT_PACKET_BPF_H
#define WEFT_PACKET_BPF_H
/*
 * What is known of a packet, in which IPv4 and IPv6 are alike, whichever hook it is seen at.
 * parse.bpf.h reads it at tc, xdp.bpf.c at XDP.
 */
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>

#include "tables.bpf.h"

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_ACK = 0x10,
	IP4_MORE_FRAGMENTS = 0x2000,
	IP4_OFFSET = 0x1fff,
	IP6_OFFSET = 0xfff8,
	IP6_MAX_EXTENSIONS = 6,
	PACKET_L4_MAX =
		0x3ff,	/* where a transport header may begin: at most 14 + 40 + extensions */
	TCP_CHECK = 16, /* offsets within the TCP header */
	TCP_MIN = 20,
	TCP_OPTIONS_MAX = 40,
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_WSCALE = 3,
	TCP_WSCALE_MAX = 14, /* RFC 7323 2.3 */
};

/* The program that runs: on which kind of interface. Where, the tuple says (enum hook). */
enum side {
	SIDE_NIC = 0,
	SIDE_POD = 1,
};

enum {
	NETNS_UNKNOWN = 0xffffffff, /* struct pod.netns_id */
};

enum packet_kind {
	PACKET_OTHER = 0,
	PACKET_TCP,  /* l4 and all fields are set */
	PACKET_TAIL, /* a later fragment of TCP: addresses, payload and frag_* only */
	PACKET_ICMP, /* l4 is the ICMP header */
};

struct packet {
	struct tuple t;
	__u32 l4;      /* offset of the transport header in the frame */
	__u32 bytes;   /* of the IP packet, header included */
	__u32 payload; /* bytes behind the TCP header, or of a later fragment */
	__u32 seq;
	__u32 ack;
	__u32 frag_id;	   /* network byte order; frag_* are valid with `frag` */
	__u16 window;	   /* not scaled */
	__u16 frag_off;	   /* where this fragment begins, in bytes */
	__u16 frag_header; /* bytes before the payload in the first fragment */
	__u8 frag_more;	   /* 1: it is not the last */
	__u8 frag;	   /* 1: the first or a later fragment */
	__u8 ip4;	   /* 1: IPv4, 0: IPv6 */
	__u8 flags;	   /* TCP_* */
	__u8 proto;	   /* of the transport header */
	__u8 wscale;	   /* of a SYN; WSCALE_NONE: it names none */
};

static __always_inline void tuple_reverse(struct tuple *to, const struct tuple *from)
{
	to->src = from->dst;
	to->dst = from->src;
	to->sport = from->dport;
	to->dport = from->sport;
	to->hook = HOOK_INGRESS;
}

/* What comes back, as it is seen at `hook`. */
static __always_inline void tuple_back(struct tuple *to, const struct tuple *from, enum hook hook)
{
	tuple_reverse(to, from);
	to->hook = hook;
}

static __always_inline int tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return addr_equal(&a->src, &b->src) && addr_equal(&a->dst, &b->dst) &&
	       a->sport == b->sport && a->dport == b->dport;
}

/* In one word, as hash functions read it. */
static __always_inline void tuple_set_ports(struct tuple *t, __u16 sport, __u16 dport)
{
	__u32 both = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? sport | (__u32)dport << 16
							       : dport | (__u32)sport << 16;

	__builtin_memcpy(&t->sport, &both, sizeof(both));
}

/* Reads the fields of a TCP header that matter; those of the payload are the caller's to find. */
static __always_inline void packet_read_tcp(struct packet *p, const struct tcphdr *tcp)
{
	tuple_set_ports(&p->t, bpf_ntohs(tcp->source), bpf_ntohs(tcp->dest));
	p->seq = bpf_ntohl(tcp->seq);
	p->ack = bpf_ntohl(tcp->ack_seq);
	p->flags = ((const __u8 *)tcp)[13];
	p->window = bpf_ntohs(tcp->window);
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
	       a[5] == b[5];
}

#endif
