/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-smuggle ADDRESS PORT [--bytewise | --second]: sends each request of the corpus of ambiguous
 * ones (selftests/unit/h1_corpus.h) over a connection of its own and says what came back, a line
 * each:
 *
 *   400 closed    CL.TE
 *
 * in front: the statuses of all answers, or "none"; then whether the other side has "closed" the
 * connection, by FIN or RST, or left it "open". --bytewise sends each byte in a segment of its own,
 * --second after a good request on the same connection.
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
#include <unistd.h>

#include "../unit/h1_corpus.h"

enum { PATIENCE_MS = 2000, ANSWERS_MAX = 64 * 1024 };

static const char good[] = "GET /good HTTP/1.1\r\nHost: good\r\n\r\n";

static int usage(void)
{
	fprintf(stderr, "usage: http-smuggle ADDRESS PORT [--bytewise | --second]\n");
	return 2;
}

static int connect_to(const char *address, unsigned port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	bool is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
	int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (!is_six && inet_pton(AF_INET, address, &four.sin_addr) != 1)
		exit(usage());
	if (connect(fd, is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four,
		    is_six ? sizeof(six) : sizeof(four))) {
		perror("http-smuggle: connect");
		exit(1);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Ends early when the other side wants no more. */
static void send_all(int fd, const char *bytes, size_t n, bool bytewise)
{
	while (n) {
		ssize_t r = send(fd, bytes, bytewise ? 1 : n, MSG_NOSIGNAL);

		if (r < 0)
			return;
		bytes += r;
		n -= (size_t)r;
	}
}

/* Everything that comes until the end; whether there was one. */
static bool receive_all(int fd, char *out, size_t size)
{
	size_t len = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = 0;

	while (len + 1 < size && poll(&p, 1, PATIENCE_MS) > 0) {
		n = recv(fd, out + len, size - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	out[len] = 0;
	return p.revents && n <= 0;
}

static void print_statuses(const char *answers)
{
	const char *p = strstr(answers, "HTTP/1.");

	if (!p)
		printf("none ");
	for (; p; p = strstr(p + 1, "HTTP/1."))
		printf("%.3s ", strlen(p) > 12 ? p + 9 : "?");
}

int main(int argc, char **argv)
{
	static char answers[ANSWERS_MAX];
	bool bytewise = argc == 4 && !strcmp(argv[3], "--bytewise");
	bool second = argc == 4 && !strcmp(argv[3], "--second");

	if (argc < 3 || (argc > 3 && !bytewise && !second))
		return usage();
	for (size_t i = 0; i < sizeof(h1_corpus) / sizeof(*h1_corpus); i++) {
		int fd = connect_to(argv[1], (unsigned)atoi(argv[2]));
		bool closed;

		if (second)
			send_all(fd, good, sizeof(good) - 1, false);
		send_all(fd, h1_corpus[i].bytes, h1_corpus[i].len, bytewise);
		closed = receive_all(fd, answers, sizeof(answers));
		close(fd);
		print_statuses(answers);
		printf("%s\t%s\n", closed ? "closed" : "open", h1_corpus[i].name);
	}
	return 0;
}
