/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame-replay capture INTERFACE PORT FILE: keeps the next TCP segment to PORT, over IPv4, that
 * leaves by the interface and neither begins nor ends a connection. frame-replay send INTERFACE
 * FILE COUNT: sends it so often, as fast as one CPU can, and prints the nanoseconds for each. Where
 * the interface is a veth, the CPU also does what its other end makes of the frame.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

enum { FRAME_MAX = 2048, BATCH = 64 };

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int open_on(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	at.sll_ifindex = (int)if_nametoindex(interface);
	must(at.sll_ifindex != 0, interface);
	must(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)), "packet socket");
	return fd;
}

static bool is_wanted(const unsigned char *frame, size_t len, unsigned port)
{
	const struct ether_header *eth = (const void *)frame;
	const struct ip *ip = (const void *)(eth + 1);
	const struct tcphdr *tcp = (const void *)(ip + 1);

	return len >= sizeof(*eth) + sizeof(*ip) + sizeof(*tcp) &&
	       eth->ether_type == htons(ETHERTYPE_IP) && ip->ip_hl == 5 &&
	       ip->ip_p == IPPROTO_TCP && ntohs(tcp->th_dport) == port && tcp->th_flags & TH_ACK &&
	       !(tcp->th_flags & (TH_SYN | TH_FIN | TH_RST));
}

static void capture(const char *interface, unsigned port, const char *file)
{
	unsigned char frame[FRAME_MAX];
	struct sockaddr_ll from;
	int fd = open_on(interface);
	FILE *f;

	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size);

		must(n >= 0, "receive");
		if (from.sll_pkttype != PACKET_OUTGOING || !is_wanted(frame, (size_t)n, port))
			continue;
		f = fopen(file, "w");
		must(f && fwrite(frame, 1, (size_t)n, f) == (size_t)n && !fclose(f), file);
		return;
	}
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void send_all(int fd, struct iovec *frame, unsigned long count)
{
	struct mmsghdr batch[BATCH] = {};

	for (int i = 0; i < BATCH; i++)
		batch[i].msg_hdr = (struct msghdr){ .msg_iov = frame, .msg_iovlen = 1 };
	for (unsigned long left = count; left;) {
		int n = sendmmsg(fd, batch, left < BATCH ? (unsigned)left : BATCH, 0);

		must(n > 0, "send");
		left -= (unsigned long)n;
	}
}

static void replay(const char *interface, const char *file, unsigned long count)
{
	unsigned char bytes[FRAME_MAX];
	struct iovec frame = { .iov_base = bytes };
	int fd = open_on(interface), one = 1;
	FILE *f = fopen(file, "r");
	double begin;

	must(f && (frame.iov_len = fread(bytes, 1, sizeof(bytes), f)) > 0 && !fclose(f), file);
	must(!setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)), "bypass");
	begin = seconds();
	send_all(fd, &frame, count);
	printf("%.1f\n", (seconds() - begin) * 1e9 / (double)count);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "capture"))
		capture(argv[2], (unsigned)strtoul(argv[3], NULL, 10), argv[4]);
	else if (argc == 5 && !strcmp(argv[1], "send"))
		replay(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	else
		fprintf(stderr, "usage: frame-replay capture INTERFACE PORT FILE | "
				"send INTERFACE FILE COUNT\n");
	return argc != 5;
}
