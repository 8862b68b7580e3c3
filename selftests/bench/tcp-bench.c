/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-bench serve PORT
 * tcp-bench rtt|conn|flow ADDRESS[,ADDRESS] PORT SECONDS
 * tcp-bench churn ADDRESS[,ADDRESS] PORT SECONDS RATE
 *
 * One number on stdout: rtt, the median round trip of one byte over an open connection, in
 * microseconds; conn, connections per second that are opened, exchange one byte and are closed, one
 * after the other; flow, Gbit/s of payload in one direction of one connection, as the receiver has
 * got it; churn, the processor time that connections as of conn take when RATE are begun per
 * second, in ms per 1,000: all that the core does but idling. The first byte of a connection says
 * which it is. A second address is called by every fifth connection of conn and churn: two servers
 * take more of a processor's caches than one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 128 * 1024, SAMPLES_MAX = 4000000, WARM_UP = 200 };

static char chunk[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "tcp-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- server: a process per measurement connection, none for the short ones ---- */

static void serve_long(int fd, char mode)
{
	uint64_t total = 0;
	ssize_t n;

	if (mode == 'r') {
		while ((n = recv(fd, chunk, 1, 0)) == 1)
			if (send(fd, chunk, 1, MSG_NOSIGNAL) != 1)
				break;
	} else {
		while ((n = recv(fd, chunk, CHUNK, 0)) > 0)
			total += (uint64_t)n;
		if (send(fd, &total, sizeof(total), MSG_NOSIGNAL) < 0)
			die("send");
	}
	exit(0);
}

static void serve_one(int fd)
{
	int on = 1;
	char mode;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (recv(fd, &mode, 1, 0) != 1)
		return;
	if (mode != 'c') {
		if (fork() == 0)
			serve_long(fd, mode);
		return;
	}
	if (send(fd, &mode, 1, MSG_NOSIGNAL) == 1)
		(void)recv(fd, &mode, 1, 0); /* the client is the one who closes */
}

static void serve(uint16_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	signal(SIGCHLD, SIG_IGN);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 1024))
		die("listen");
	puts("listening");
	fflush(stdout);
	for (;;) {
		int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (one < 0)
			continue;
		serve_one(one);
		close(one);
	}
}

/* ---- client ---- */

enum { SECOND_EVERY = 5 };

static struct sockaddr_in6 targets[2];

static const struct sockaddr *next_target(void)
{
	static unsigned n;

	return (const struct sockaddr *)&targets[++n % SECOND_EVERY == 0];
}

static int open_connection(char mode)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || connect(fd, next_target(), sizeof(*targets)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (send(fd, &mode, 1, MSG_NOSIGNAL) != 1)
		die("send");
	return fd;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double measure_rtt(double seconds)
{
	uint32_t *ns = malloc(SAMPLES_MAX * sizeof(*ns));
	int fd = open_connection('r');
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), before = now_ns(), after = before;
	size_t n = 0;
	char byte = 'x';

	if (!ns)
		die("malloc");
	for (size_t i = 0; after < end && n < SAMPLES_MAX; i++) {
		before = now_ns();
		if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
			die("round trip");
		after = now_ns();
		if (i >= WARM_UP)
			ns[n++] = (uint32_t)(after - before);
	}
	if (!n)
		die("no samples");
	qsort(ns, n, sizeof(*ns), by_value);
	return ns[n / 2] / 1e3;
}

static void one_connection(void)
{
	struct linger reset = { .l_onoff = 1 };
	int fd = open_connection('c');
	char byte;

	if (recv(fd, &byte, 1, 0) != 1)
		die("recv");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static double measure_conn(double seconds)
{
	uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), n = 0;

	for (; now_ns() < end; n++)
		one_connection();
	return (double)n * 1e9 / (double)(now_ns() - start);
}

/* A process that has what the core would idle away: its share is known to the nanosecond, while
 * idle time is counted in ticks. */
static pid_t start_idler(void)
{
	struct sched_param lowest = { 0 };
	pid_t pid = fork();

	if (pid)
		return pid;
	if (sched_setscheduler(0, SCHED_IDLE, &lowest))
		die("SCHED_IDLE");
	for (;;)
		__asm__ volatile("pause");
}

static uint64_t end_idler(pid_t pid)
{
	struct rusage used;

	kill(pid, SIGKILL);
	if (wait4(pid, NULL, 0, &used) != pid)
		die("wait4");
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
}

/* What is late is made up for: the work is the same however the machine is. */
static double measure_churn(double seconds, double rate)
{
	pid_t idler = start_idler();
	uint64_t start = now_ns(), n = 0, all = (uint64_t)(seconds * rate), wall;

	for (; n < all; n++) {
		uint64_t due = start + (uint64_t)((double)n * 1e9 / rate);
		struct timespec t = { .tv_sec = (time_t)(due / 1000000000),
				      .tv_nsec = (long)(due % 1000000000) };

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		one_connection();
	}
	wall = now_ns() - start;
	return ((double)wall - (double)end_idler(idler)) / 1e3 / (double)n;
}

static double measure_flow(double seconds)
{
	int fd = open_connection('f');
	uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), total = 0;

	while (now_ns() < end)
		if (send(fd, chunk, CHUNK, MSG_NOSIGNAL) < 0)
			die("send");
	shutdown(fd, SHUT_WR);
	if (recv(fd, &total, sizeof(total), MSG_WAITALL) != sizeof(total))
		die("recv");
	return (double)total * 8 / (double)(now_ns() - start);
}

static void set_target(struct sockaddr_in6 *target, const char *address, const char *port)
{
	char mapped[INET6_ADDRSTRLEN + 8];

	target->sin6_family = AF_INET6;
	target->sin6_port = htons((uint16_t)atoi(port));
	snprintf(mapped, sizeof(mapped), "%s%s", strchr(address, ':') ? "" : "::ffff:", address);
	if (inet_pton(AF_INET6, mapped, &target->sin6_addr) != 1)
		die(address);
}

static void set_targets(char *addresses, const char *port)
{
	const char *first = strsep(&addresses, ",");

	set_target(&targets[0], first, port);
	set_target(&targets[1], addresses ? addresses : first, port);
}

int main(int argc, char **argv)
{
	double result;

	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve((uint16_t)atoi(argv[2]));
	if (argc != 5 + (argc > 1 && !strcmp(argv[1], "churn"))) {
		fprintf(stderr, "usage: tcp-bench serve PORT | rtt|conn|flow ADDRESS[,ADDRESS] "
				"PORT SECONDS | churn ADDRESS[,ADDRESS] PORT SECONDS RATE\n");
		return 2;
	}
	set_targets(argv[2], argv[3]);
	if (argc == 6)
		result = measure_churn(atof(argv[4]), atof(argv[5]));
	else if (!strcmp(argv[1], "rtt"))
		result = measure_rtt(atof(argv[4]));
	else if (!strcmp(argv[1], "conn"))
		result = measure_conn(atof(argv[4]));
	else
		result = measure_flow(atof(argv[4]));
	printf("%.3f\n", result);
	return 0;
}
