/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-flood INTERFACE MAC ADDRESS PORT COUNT RATE [FLAGS]: sends COUNT TCP packets to ADDRESS, at
 * most RATE a second (0: as fast as it can), each from another address and port: of 198.18.0.0/15
 * (RFC 2544) or 2001:2::/48 (RFC 5180). They leave by INTERFACE, a test's own, for the neighbour
 * with that MAC address. FLAGS: those of TCP in hexadecimal, SYN unless told, with the options
 * of Linux. Prints the nanoseconds for each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

enum { BATCH = 32, OPTIONS = 20, FRAME_MAX = 128 };

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t size;
};

static struct {
	bool ip4;
	uint8_t mac[6], own_mac[6], dst[16], flags;
	uint16_t port;
} what;

static void must(bool ok, const char *text)
{
	if (ok)
		return;
	perror(text);
	exit(1);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* xorshift64 */
static uint64_t next_random(void)
{
	static uint64_t x;

	if (!x)
		x = (uint64_t)(seconds() * 1e9) * 0x9e3779b97f4a7c15 | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static uint32_t add(const uint8_t *at, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	return sum;
}

static uint16_t finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static size_t put_ip4(uint8_t *at, size_t len)
{
	struct ip ip = { .ip_v = 4, .ip_hl = 5, .ip_ttl = 64, .ip_p = IPPROTO_TCP };

	ip.ip_len = htons((uint16_t)(sizeof(ip) + len));
	ip.ip_src.s_addr = htonl(0xc6120000 | (uint32_t)(next_random() & 0x1ffff));
	memcpy(&ip.ip_dst, what.dst, 4);
	ip.ip_sum = finish(add((const uint8_t *)&ip, sizeof(ip), 0));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_ip6(uint8_t *at, size_t len)
{
	static const uint8_t prefix[6] = { 0x20, 0x01, 0x00, 0x02 };
	struct ip6_hdr ip = { .ip6_nxt = IPPROTO_TCP, .ip6_hlim = 64 };
	uint64_t low = next_random();

	ip.ip6_vfc = 6 << 4;
	ip.ip6_plen = htons((uint16_t)len);
	memcpy(&ip.ip6_src, prefix, sizeof(prefix));
	memcpy(ip.ip6_src.s6_addr + 6, &low, 2);
	low = next_random();
	memcpy(ip.ip6_src.s6_addr + 8, &low, 8);
	memcpy(&ip.ip6_dst, what.dst, 16);
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

/* MSS, SACK, timestamps, window scale. */
static size_t put_tcp(uint8_t *at)
{
	static const uint8_t options[OPTIONS] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 1,
						  2, 3, 0, 0,	 0, 0, 1, 3,  3, 7 };
	size_t len = sizeof(struct tcphdr) + (what.flags & TH_SYN ? OPTIONS : 0);
	struct tcphdr tcp = { .th_off = (uint8_t)(len / 4) & 15,
			      .th_flags = what.flags,
			      .th_win = htons(64240) };

	tcp.th_sport = htons((uint16_t)(1024 + next_random() % 64512));
	tcp.th_dport = htons(what.port);
	tcp.th_seq = (uint32_t)next_random();
	memcpy(at, &tcp, sizeof(tcp));
	memcpy(at + sizeof(tcp), options, len - sizeof(tcp));
	return len;
}

static void put_frame(struct frame *f)
{
	size_t l4 = ETHER_HDR_LEN + (what.ip4 ? sizeof(struct ip) : sizeof(struct ip6_hdr));
	size_t len = put_tcp(f->bytes + l4), addrs = what.ip4 ? 8 : 32;
	struct ether_header eth = { .ether_type = htons(what.ip4 ? ETHERTYPE_IP : ETHERTYPE_IPV6) };
	struct tcphdr *tcp = (void *)(f->bytes + l4);

	memcpy(eth.ether_dhost, what.mac, 6);
	memcpy(eth.ether_shost, what.own_mac, 6);
	memcpy(f->bytes, &eth, sizeof(eth));
	(what.ip4 ? put_ip4 : put_ip6)(f->bytes + ETHER_HDR_LEN, len);
	tcp->th_sum = finish(add(f->bytes + l4 - addrs, addrs,
				 add(f->bytes + l4, len, IPPROTO_TCP + (uint32_t)len)));
	f->size = l4 + len;
}

/* Not before they are due. */
static void wait_for(double until)
{
	double left = until - seconds();
	struct timespec t = { .tv_nsec = (long)(left * 1e9) };

	if (left > 0 && left < 1)
		nanosleep(&t, NULL);
}

static void send_batch(int fd, struct frame *frames, unsigned count)
{
	struct mmsghdr batch[BATCH] = {};
	struct iovec parts[BATCH];

	for (unsigned i = 0; i < count; i++) {
		put_frame(&frames[i]);
		parts[i] = (struct iovec){ frames[i].bytes, frames[i].size };
		batch[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	for (unsigned sent = 0; sent < count;) {
		int n = sendmmsg(fd, batch + sent, count - sent, 0);

		must(n > 0 || errno == ENOBUFS, "send"); /* the other end does not keep up */
		sent += n > 0 ? (unsigned)n : 0;
	}
}

static int open_on(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET }; /* of no protocol: it hears nothing */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof(at);

	at.sll_ifindex = (int)if_nametoindex(interface);
	must(at.sll_ifindex != 0, interface);
	must(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)), "packet socket");
	must(!setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)), "bypass");
	must(!getsockname(fd, (struct sockaddr *)&at, &len), interface);
	memcpy(what.own_mac, at.sll_addr, 6);
	return fd;
}

static void flood(int fd, unsigned long count, double rate)
{
	static struct frame frames[BATCH];
	double begin = seconds();

	for (unsigned long sent = 0; sent < count;) {
		unsigned n = count - sent < BATCH ? (unsigned)(count - sent) : BATCH;

		send_batch(fd, frames, n);
		sent += n;
		if (rate > 0)
			wait_for(begin + (double)sent / rate);
	}
	printf("%.1f\n", (seconds() - begin) * 1e9 / (double)count);
}

int main(int argc, char **argv)
{
	unsigned mac[6];

	if (argc < 7 || argc > 8) {
		fprintf(stderr, "usage: tcp-flood INTERFACE MAC ADDRESS PORT COUNT RATE [FLAGS]\n");
		return 1;
	}
	must(sscanf(argv[2], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		    &mac[5]) == 6,
	     argv[2]);
	for (int i = 0; i < 6; i++)
		what.mac[i] = (uint8_t)mac[i];
	what.ip4 = inet_pton(AF_INET, argv[3], what.dst) == 1;
	must(what.ip4 || inet_pton(AF_INET6, argv[3], what.dst) == 1, argv[3]);
	what.port = (uint16_t)strtoul(argv[4], NULL, 10);
	what.flags = argc == 8 ? (uint8_t)strtoul(argv[7], NULL, 16) : TH_SYN;
	flood(open_on(argv[1]), strtoul(argv[5], NULL, 10), strtod(argv[6], NULL));
	return 0;
}
