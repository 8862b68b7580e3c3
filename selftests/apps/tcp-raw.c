/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-raw SOURCE SPORT ADDRESS PORT STEP...: a TCP client made by hand over a raw socket, for what
 * the kernel's own client never does. The kernel knows nothing of its connection: the caller must
 * keep it from answering with RST (see no_rst in lib.sh): packets from here have the mark 7. Steps,
 * in order; the first that fails ends it with status 1:
 *
 *   syn         send SYN; again for each further `syn`: a retransmission
 *   syndata:N   the same with a line of N bytes in it, as Fast Open has it
 *   synack      wait for a SYN, with ACK or not, and take over the numbers
 *   accept      answer a SYN that has come with SYN+ACK
 *   ack         acknowledge all that was received
 *   data:N      send a line of N bytes in one segment: the kernel fragments what is too long
 *   answer:N    wait until N bytes have come, acknowledging them
 *   fin         send FIN, acknowledging all that was received
 *   finold      send FIN as if the other side's FIN had not come: simultaneous close
 *   rst         send RST
 *   wantfin     wait for FIN
 *   wantack     wait for the acknowledgement of all that was sent
 *   wantrst:MS  wait for RST, for 5 s unless told
 *   norst       fail if an RST has come
 *   iss:N       the first number, in place of one of the clock's
 *   seq:N       go on N further in the numbers, as if that had been sent
 *   oldsyn:N    send a SYN that is N after the connection's own; ack and data are left as they are
 *   oddfin:N    send FIN with a number that is N after the right one, and
 *   oddrst:N    RST: neither counts as sent
 *   sleep:MS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SEGMENT_MAX = 16384, WAIT_MS = 5000, SLOWER = 4, WINDOW = 65535, MARK = 7 };

struct pseudo6 {
	struct in6_addr src, dst;
	uint32_t len;
	uint32_t next;
};

struct pseudo4 {
	struct in_addr src, dst;
	uint8_t zero, protocol;
	uint16_t len;
};

static struct {
	int fd, family;
	struct sockaddr_in6 src6, dst6;
	struct sockaddr_in src4, dst4;
	uint16_t sport, dport;
	uint32_t iss, snd_next, rcv_next;
	uint32_t acked, received; /* highest acknowledgement seen; payload bytes in order */
	bool synack, fin, rst;
} c;

static uint32_t sum(const void *data, size_t len, uint32_t start)
{
	const uint8_t *b = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		start += (uint32_t)(b[i] << 8 | b[i + 1]);
	if (len % 2)
		start += (uint32_t)b[len - 1] << 8;
	return start;
}

static uint16_t checksum(const void *segment, size_t len)
{
	struct pseudo6 p6 = { c.src6.sin6_addr, c.dst6.sin6_addr, htonl((uint32_t)len),
			      htonl(IPPROTO_TCP) };
	struct pseudo4 p4 = { c.src4.sin_addr, c.dst4.sin_addr, 0, IPPROTO_TCP,
			      htons((uint16_t)len) };
	uint32_t s = c.family == AF_INET6 ? sum(&p6, sizeof(p6), 0) : sum(&p4, sizeof(p4), 0);

	s = sum(segment, len, s);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static int send_segment(uint8_t flags, uint32_t seq, uint32_t ack, size_t payload)
{
	static uint8_t segment[sizeof(struct tcphdr) + SEGMENT_MAX];
	struct tcphdr h = { .source = htons(c.sport), .dest = htons(c.dport), .seq = htonl(seq) };
	struct sockaddr *to = c.family == AF_INET6 ? (struct sockaddr *)&c.dst6
						   : (struct sockaddr *)&c.dst4;
	size_t len = sizeof(h) + payload;

	h.th_off = sizeof(h) / 4;
	h.th_flags = flags;
	h.ack_seq = flags & TH_ACK ? htonl(ack) : 0;
	h.window = htons(WINDOW);
	memcpy(segment, &h, sizeof(h));
	memset(segment + sizeof(h), 'x', payload);
	if (payload)
		segment[len - 1] = '\n';
	h.check = checksum(segment, len);
	memcpy(segment, &h, sizeof(h));
	if (sendto(c.fd, segment, len, 0, to,
		   c.family == AF_INET6 ? sizeof(c.dst6) : sizeof(c.dst4)) < 0)
		return -errno;
	return 0;
}

static void take_in(const struct tcphdr *h, size_t payload)
{
	uint32_t seq = ntohl(h->seq);

	if (h->rst) {
		c.rst = true;
		return;
	}
	if (h->syn) {
		if (!c.synack)
			c.rcv_next = seq + 1;
		c.synack = true;
	} else if (seq == c.rcv_next) {
		c.rcv_next += (uint32_t)payload;
		c.received += (uint32_t)payload;
		if (h->fin && !c.fin) {
			c.fin = true;
			c.rcv_next++;
		}
	}
	if (h->ack)
		c.acked = ntohl(h->ack_seq);
}

static bool ours(const struct sockaddr_storage *from)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;

	if (c.family == AF_INET6)
		return !memcmp(&six->sin6_addr, &c.dst6.sin6_addr, sizeof(six->sin6_addr));
	return four->sin_addr.s_addr == c.dst4.sin_addr.s_addr;
}

/* One segment of ours, or none within `ms`. */
static void receive(int ms)
{
	static uint8_t packet[65536] __attribute__((aligned(8)));
	struct pollfd p = { .fd = c.fd, .events = POLLIN };
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	const struct tcphdr *h;
	ssize_t n;
	size_t ip;

	if (poll(&p, 1, ms) <= 0)
		return;
	n = recvfrom(c.fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &from_len);
	ip = c.family == AF_INET6 ? 0 : (size_t)(packet[0] & 15) * 4;
	if (n < (ssize_t)(ip + sizeof(*h)) || !ours(&from))
		return;
	h = (const struct tcphdr *)(packet + ip);
	if (ntohs(h->dest) != c.sport || ntohs(h->source) != c.dport ||
	    (size_t)n < ip + h->th_off * 4u)
		return;
	take_in(h, (size_t)n - ip - h->th_off * 4u);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* When `ms` from now are over; emulated machines are slow. */
static int64_t deadline(int64_t ms)
{
	return now_ms() + (getenv("WEFT_EMULATED") ? SLOWER * ms : ms);
}

static int wait_within(bool (*holds)(uint32_t), uint32_t arg, uint32_t ms)
{
	int64_t end = deadline(ms);

	while (!holds(arg)) {
		int64_t left = end - now_ms();

		if (left <= 0)
			return -ETIMEDOUT;
		receive((int)left);
	}
	return 0;
}

static int wait_for(bool (*holds)(uint32_t), uint32_t arg)
{
	return wait_within(holds, arg, WAIT_MS);
}

static bool has_synack(uint32_t arg)
{
	(void)arg;
	return c.synack;
}

static bool has_fin(uint32_t arg)
{
	(void)arg;
	return c.fin;
}

static bool has_rst(uint32_t arg)
{
	(void)arg;
	return c.rst;
}

static bool has_received(uint32_t bytes)
{
	return c.received >= bytes;
}

static bool has_acked(uint32_t seq)
{
	return (int32_t)(c.acked - seq) >= 0;
}

static int do_syn(uint32_t arg)
{
	(void)arg;
	if (!c.snd_next)
		c.snd_next = c.iss + 1;
	return send_segment(TH_SYN, c.iss, 0, 0);
}

static int do_syndata(uint32_t bytes)
{
	if (bytes < 1 || bytes > SEGMENT_MAX)
		return -EINVAL;
	c.snd_next = c.iss + 1 + bytes;
	return send_segment(TH_SYN, c.iss, 0, bytes);
}

static int do_synack(uint32_t arg)
{
	return wait_for(has_synack, arg);
}

static int do_accept(uint32_t arg)
{
	(void)arg;
	if (!c.snd_next)
		c.snd_next = c.iss + 1;
	return send_segment(TH_SYN | TH_ACK, c.iss, c.rcv_next, 0);
}

static int do_ack(uint32_t arg)
{
	(void)arg;
	return send_segment(TH_ACK, c.snd_next, c.rcv_next, 0);
}

static int do_data(uint32_t bytes)
{
	uint32_t seq = c.snd_next;

	if (bytes < 1 || bytes > SEGMENT_MAX)
		return -EINVAL;
	c.snd_next += bytes;
	return send_segment(TH_ACK | TH_PUSH, seq, c.rcv_next, bytes);
}

static int do_answer(uint32_t bytes)
{
	int64_t end = deadline(WAIT_MS);

	while (!has_received(bytes)) {
		uint32_t before = c.rcv_next;

		if (now_ms() >= end)
			return -ETIMEDOUT;
		receive(100);
		if (c.rcv_next != before && do_ack(0))
			return -EIO;
	}
	return 0;
}

static int do_fin(uint32_t arg)
{
	(void)arg;
	return send_segment(TH_FIN | TH_ACK, c.snd_next++, c.rcv_next, 0);
}

static int do_finold(uint32_t arg)
{
	(void)arg;
	return send_segment(TH_FIN | TH_ACK, c.snd_next++, c.rcv_next - c.fin, 0);
}

static int do_rst(uint32_t arg)
{
	(void)arg;
	return send_segment(TH_RST | TH_ACK, c.snd_next, c.rcv_next, 0);
}

static int do_iss(uint32_t first)
{
	c.iss = first;
	c.snd_next = first + 1;
	return 0;
}

static int do_seq(uint32_t further)
{
	c.snd_next += further;
	return 0;
}

static int do_oldsyn(uint32_t offset)
{
	return send_segment(TH_SYN, c.iss + offset, 0, 0);
}

static int do_oddfin(uint32_t offset)
{
	return send_segment(TH_FIN | TH_ACK, c.snd_next + offset, c.rcv_next, 0);
}

static int do_oddrst(uint32_t offset)
{
	return send_segment(TH_RST | TH_ACK, c.snd_next + offset, c.rcv_next, 0);
}

static int do_wantfin(uint32_t arg)
{
	return wait_for(has_fin, arg);
}

static int do_wantack(uint32_t arg)
{
	(void)arg;
	return wait_for(has_acked, c.snd_next);
}

static int do_wantrst(uint32_t ms)
{
	return wait_within(has_rst, 0, ms ? ms : WAIT_MS);
}

static int do_norst(uint32_t arg)
{
	(void)arg;
	return c.rst ? -ECONNRESET : 0;
}

static int do_sleep(uint32_t ms)
{
	int64_t end = deadline(ms);

	for (int64_t left = ms; left > 0; left = end - now_ms())
		receive((int)left);
	return 0;
}

static const struct step {
	const char *name;
	int (*run)(uint32_t arg);
} steps[] = {
	{ "syn", do_syn },	   { "synack", do_synack },   { "ack", do_ack },
	{ "data", do_data },	   { "fin", do_fin },	      { "finold", do_finold },
	{ "answer", do_answer },   { "rst", do_rst },	      { "sleep", do_sleep },
	{ "wantfin", do_wantfin }, { "wantack", do_wantack }, { "wantrst", do_wantrst },
	{ "syndata", do_syndata }, { "norst", do_norst },     { "iss", do_iss },
	{ "seq", do_seq },	   { "oldsyn", do_oldsyn },   { "oddfin", do_oddfin },
	{ "oddrst", do_oddrst },   { "accept", do_accept },
};

static int run_step(const char *word)
{
	size_t len = strcspn(word, ":");
	uint32_t arg = word[len] ? (uint32_t)strtoll(word + len + 1, NULL, 10) : 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (strlen(steps[i].name) == len && !strncmp(steps[i].name, word, len))
			return steps[i].run(arg);
	return -EINVAL;
}

static int open_socket(const char *source, const char *address)
{
	int dont = IP_PMTUDISC_DONT, on = 1, mark = MARK;

	c.src6.sin6_family = c.dst6.sin6_family = AF_INET6;
	c.src4.sin_family = c.dst4.sin_family = AF_INET;
	if (inet_pton(AF_INET, source, &c.src4.sin_addr) == 1 &&
	    inet_pton(AF_INET, address, &c.dst4.sin_addr) == 1)
		c.family = AF_INET;
	else if (inet_pton(AF_INET6, source, &c.src6.sin6_addr) == 1 &&
		 inet_pton(AF_INET6, address, &c.dst6.sin6_addr) == 1)
		c.family = AF_INET6;
	else
		return -EINVAL;
	c.fd = socket(c.family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	if (c.fd < 0)
		return -errno;
	setsockopt(c.fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof(dont));
	setsockopt(c.fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)); /* in another's name */
	setsockopt(c.fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	setsockopt(c.fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on));
	if (bind(c.fd,
		 c.family == AF_INET ? (struct sockaddr *)&c.src4 : (struct sockaddr *)&c.src6,
		 c.family == AF_INET ? sizeof(c.src4) : sizeof(c.src6)))
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	int r;

	if (argc < 6) {
		fprintf(stderr, "usage: tcp-raw SOURCE SPORT ADDRESS PORT STEP...\n");
		return 2;
	}
	c.sport = (uint16_t)atoi(argv[2]);
	c.dport = (uint16_t)atoi(argv[4]);
	c.iss = (uint32_t)now_ms() * 64000;
	r = open_socket(argv[1], argv[3]);
	if (r) {
		fprintf(stderr, "tcp-raw: %s to %s: %s\n", argv[1], argv[3], strerror(-r));
		return 1;
	}
	for (int i = 5; i < argc; i++) {
		r = run_step(argv[i]);
		if (r) {
			fprintf(stderr, "tcp-raw: step %d, %s: %s\n", i - 4, argv[i], strerror(-r));
			return 1;
		}
	}
	return 0;
}
