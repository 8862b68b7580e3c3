// SPDX-License-Identifier: Apache-2.0
#include "test_proxy_script.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUIET_MS = 100 };

struct script {
	struct env *env;
	const char *what, *line;
	int client, endpoint; /* -1: there is none */
};

static int *side(struct script *s)
{
	if (*s->line == 'C')
		return &s->client;
	cr_assert_eq(*s->line, 'U', "%s: %s: neither C nor U", s->what, s->line);
	if (s->endpoint < 0)
		s->endpoint = env_accept(s->env);
	return &s->endpoint;
}

/* Of a text with '|'. */
static char *bytes_of(const char *text)
{
	char *bytes = malloc(2 * strlen(text) + 1), *to = bytes;

	for (; *text; text++) {
		if (*text == '|')
			*to++ = '\r';
		*to++ = *text == '|' ? '\n' : *text;
	}
	*to = 0;
	return bytes;
}

static void see(const struct script *s, int fd, const char *text)
{
	char *bytes = bytes_of(text), *got = calloc(1, strlen(bytes) + 1);
	size_t n = strlen(bytes), have = 0;

	while (have < n && !memcmp(got, bytes, have)) {
		ssize_t r = recv(fd, got + have, n - have, 0);

		cr_assert_gt(r, 0, "%s: %s: ends with '%s'", s->what, s->line, got);
		have += (size_t)r;
	}
	cr_assert_str_eq(got, bytes, "%s: %s: '%s'", s->what, s->line, got);
	free(bytes);
	free(got);
}

/* A message of which the middle doesn't matter. */
static void see_around(const struct script *s, int fd, const char *text)
{
	char *begin = bytes_of(text), *end = strstr(begin, "...");
	const char *got = get_message(fd);
	size_t n = strlen(got), first = (size_t)(end - begin), last = strlen(end += 3);

	cr_assert(n >= first + last && !memcmp(got, begin, first) && !strcmp(got + n - last, end),
		  "%s: %s: '%s'", s->what, s->line, got);
	free(begin);
}

/* END is in order, RST is not, GONE is either. */
static void see_end(struct script *s, int *fd, const char *how)
{
	char c;
	ssize_t r = recv(*fd, &c, 1, 0);

	cr_assert(r ? r < 0 && errno == ECONNRESET && strcmp(how, "END") != 0
		    : strcmp(how, "RST") != 0,
		  "%s: %s: %s", s->what, s->line,
		  r < 0 ? strerror(errno) : (r ? "more bytes" : "an orderly end"));
	/* Behind an orderly end it may still have something to say. */
	if (fd == &s->endpoint && strcmp(how, "END") != 0) {
		close(*fd);
		*fd = -1;
	}
}

static void see_nothing(const struct script *s, int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	cr_assert_eq(poll(&p, 1, QUIET_MS), 0, "%s: %s: something came", s->what, s->line);
}

static void send_end(struct script *s, int *fd, bool in_order)
{
	struct linger now = { 1, 0 };

	if (fd == &s->client && in_order) {
		shutdown(*fd, SHUT_WR);
		return;
	}
	if (!in_order)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(*fd);
	*fd = -1;
}

static void send_text(int fd, const char *text)
{
	char *bytes = bytes_of(text);

	put(fd, bytes);
	free(bytes);
}

static void see_text(const struct script *s, int fd, const char *text)
{
	if (strstr(text, "..."))
		see_around(s, fd, text);
	else
		see(s, fd, text);
}

static bool is_end(const char *text)
{
	return !strcmp(text, "END") || !strcmp(text, "RST") || !strcmp(text, "GONE");
}

static void play_line(struct script *s)
{
	bool sends = s->line[1] == (*s->line == 'C' ? '>' : '<');
	const char *text = s->line + 3;
	int *fd = side(s);

	if (!strcmp(text, "-"))
		see_nothing(s, *fd);
	else if (is_end(text))
		sends ? send_end(s, fd, !strcmp(text, "END")) : see_end(s, fd, text);
	else if (sends)
		send_text(*fd, text);
	else
		see_text(s, *fd, text);
}

void script_play(struct env *e, const char *what, const char *const *lines)
{
	struct script s = { .env = e, .what = what, .client = env_client(e), .endpoint = -1 };

	for (; *lines; lines++) {
		s.line = *lines;
		play_line(&s);
	}
	if (s.client >= 0)
		close(s.client);
	if (s.endpoint >= 0)
		close(s.endpoint);
}
