// SPDX-License-Identifier: Apache-2.0
#include "test_proxy_script.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/histogram.h"

enum { QUIET_MS = 150, COUNTED_MS = 2000 };

/* Not a counter: of the histogram, how many values are in it. */
#define TIME "upstream_rq_time"

struct script {
	struct env *env;
	const char *what, *line;
};

/* ---- who ---- */

static bool is_client(char who)
{
	return who == 'C' || who == 'D';
}

static unsigned number_of(const char *who)
{
	return isdigit(who[1]) ? (unsigned)(who[1] - '0') : 1;
}

static int *slot_of(struct env *e, const char *who)
{
	static const char all[] = "CDUVM";
	const char *at = strchr(all, *who);

	cr_assert(*who && at, "%s: who is that?", who);
	return &e->sockets[at - all][number_of(who)];
}

/* Where a connection of it would come in. */
static int listener_of(const struct env *e, char who)
{
	return who == 'U' ? e->endpoint : who == 'V' ? e->second_endpoint : e->mirror_endpoint;
}

static int *socket_of(struct env *e, const char *who)
{
	int *fd = slot_of(e, who);

	if (*fd < 0)
		*fd = *who == 'C'   ? env_client(e)
		      : *who == 'D' ? env_client_of_other(e)
				    : env_accept_at(listener_of(e, *who));
	return fd;
}

int script_socket(struct env *e, const char *who)
{
	return *socket_of(e, who);
}

/* ---- what ---- */

static bool is_status(const char *text)
{
	return isdigit(text[0]) && isdigit(text[1]) && isdigit(text[2]) &&
	       (!text[3] || text[3] == ' ' || text[3] == '.');
}

static bool is_request(const char *text)
{
	return isupper(*text) && strstr(text, " /") && !strstr(text, "HTTP/") && !strchr(text, '|');
}

/* On the wire; freed by the caller. */
static char *bytes_of(const char *text, bool by_client)
{
	const char *before = is_status(text) ? "HTTP/1.1 " : "", *behind = "";
	char *bytes, *whole, *to;

	if (is_status(text) && !text[3])
		behind = " A|Content-Length: 2||hi";
	else if (is_request(text))
		behind = by_client ? " HTTP/1.1|Host: h||" : " HTTP/1.1|host: h||";
	cr_assert_gt(asprintf(&whole, "%s%s%s", before, text, behind), 0);
	to = bytes = malloc(2 * strlen(whole) + 1);
	for (text = whole; *text; text++)
		to = *text == '|' ? stpcpy(to, "\r\n") : mempcpy(to, text, 1);
	*to = '\0';
	free(whole);
	return bytes;
}

/* ---- what is seen ---- */

static void see(const struct script *s, int fd, const char *bytes)
{
	char *got = calloc(1, strlen(bytes) + 1);
	size_t n = strlen(bytes), have = 0;

	while (have < n && !memcmp(got, bytes, have)) {
		ssize_t r = recv(fd, got + have, n - have, 0);

		cr_assert_gt(r, 0, "%s: %s: ends with '%s'", s->what, s->line, got);
		have += (size_t)r;
	}
	cr_assert_str_eq(got, bytes, "%s: %s: '%s'", s->what, s->line, got);
	free(got);
}

/* A message of which not all matters. */
static void see_parts(const struct script *s, int fd, char *bytes)
{
	const char *got = get_message(fd), *at = got;
	char *part = bytes, *gap;

	while ((gap = strstr(part, "..."))) {
		*gap = '\0';
		at = part == bytes ? (strncmp(got, part, strlen(part)) ? NULL : got)
				   : strstr(at, part);
		cr_assert(at, "%s: %s: no '%s' in '%s'", s->what, s->line, part, got);
		at += strlen(part);
		part = gap + 3;
	}
	cr_assert(strlen(at) >= strlen(part) && !strcmp(at + strlen(at) - strlen(part), part),
		  "%s: %s: '%s'", s->what, s->line, got);
}

static void see_text(const struct script *s, int fd, const char *text)
{
	char *bytes = bytes_of(text, false);

	if (strstr(bytes, "..."))
		see_parts(s, fd, bytes);
	else
		see(s, fd, bytes);
	free(bytes);
}

/* END is in order, RST is not, GONE is either. */
static void see_end(const struct script *s, int *fd, const char *how)
{
	char c;
	ssize_t r = recv(*fd, &c, 1, 0);

	cr_assert(r ? r < 0 && errno == ECONNRESET && strcmp(how, "END") != 0
		    : strcmp(how, "RST") != 0,
		  "%s: %s: %s", s->what, s->line,
		  r < 0 ? strerror(errno) : (r ? "more bytes" : "an orderly end"));
	/* Behind an orderly end it may still have something to say. */
	if (!is_client(*s->line) && strcmp(how, "END") != 0) {
		close(*fd);
		*fd = -1;
	}
}

static void see_nothing(const struct script *s)
{
	int fd = is_client(*s->line) ? *socket_of(s->env, s->line) : *slot_of(s->env, s->line);
	struct pollfd p = { fd < 0 ? listener_of(s->env, *s->line) : fd, POLLIN, 0 };

	cr_assert_geq(p.fd, 0);
	cr_assert_eq(poll(&p, 1, QUIET_MS), 0, "%s: %s: something came", s->what, s->line);
}

/* ---- what is sent ---- */

static void send_end(const struct script *s, int *fd, bool in_order)
{
	struct linger now = { 1, 0 };

	if (is_client(*s->line) && in_order) {
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
	char *bytes = bytes_of(text, true);

	put(fd, bytes);
	free(bytes);
}

static bool is_end(const char *text)
{
	return !strcmp(text, "END") || !strcmp(text, "RST") || !strcmp(text, "GONE");
}

static void play_text(const struct script *s)
{
	const char *mark = strpbrk(s->line, "<>"), *text = mark + 2;
	bool sends;
	int *fd;

	cr_assert(mark && mark[1] == ' ', "%s: %s: no such line", s->what, s->line);
	sends = (*mark == '>') == is_client(*s->line);
	if (!strcmp(text, "-")) {
		see_nothing(s);
		return;
	}
	fd = socket_of(s->env, s->line);
	if (is_end(text))
		sends ? send_end(s, fd, !strcmp(text, "END")) : see_end(s, fd, text);
	else if (sends)
		send_text(*fd, text);
	else
		see_text(s, *fd, text);
}

/* ---- the log and the counters ---- */

static void play_log(const struct script *s)
{
	const struct access_entry *entry = env_log(s->env, number_of(s->line));
	char flags[FLAGS_TEXT] = "", details[128] = "";
	unsigned status;

	cr_assert_geq(sscanf(strchr(s->line, ' '), "%u %63s %127s", &status, flags, details), 2);
	cr_expect_eq(entry->status, status, "%s: %s: %u", s->what, s->line, entry->status);
	cr_expect_str_eq(entry->flags, flags, "%s: %s: %s", s->what, s->line, entry->flags);
	if (*details)
		cr_expect_str_eq(entry->details, details, "%s: %s: %s", s->what, s->line,
				 entry->details);
}

/* What a list of "NAME VALUE, ..." says of one of them; `otherwise` if nothing. */
static __u64 value_in(const char *list, const char *name, __u64 otherwise)
{
	size_t n = strlen(name);

	for (; list; list = strchr(list, ',')) {
		list += strspn(list, ", ");
		if (!strncmp(list, name, n) && list[n] == ' ')
			return strtoull(list + n, NULL, 10);
	}
	return otherwise;
}

static unsigned names_in(const char *list)
{
	unsigned n = 1;

	while ((list = strchr(list, ',')))
		list++, n++;
	return n;
}

static const char *is_now(const char *name, __u64 value)
{
	static _Thread_local char text[96];

	snprintf(text, sizeof(text), "%s is %llu", name, value);
	return text;
}

const char *script_wrong_counter(const struct stat_field *fields, void *row, const char *list,
				 bool only)
{
	unsigned named = value_in(list, TIME, UINT64_MAX) != UINT64_MAX;

	for (; fields->name; fields++) {
		__u64 now = stat_value(fields, row),
		      value = value_in(list, fields->name, UINT64_MAX);

		named += value != UINT64_MAX;
		if (value == UINT64_MAX ? only && now : now != value)
			return is_now(fields->name, now);
	}
	cr_assert_eq(named, names_in(list), "%s: no such counter", list);
	return NULL;
}

static const char *wrong(struct env *e, const char *row, const char *list, bool only)
{
	struct http_cluster_stat *cluster = *row == 's' ? &e->shadow : &e->cluster;
	bool of_route = *row == 'r';
	__u64 timed =
		histogram_count(of_route ? &e->route.upstream_rq_time : &cluster->upstream_rq_time);

	if (timed != value_in(list, TIME, timed))
		return is_now(TIME, timed);
	return of_route ? script_wrong_counter(http_route_fields, &e->route, list, only)
			: script_wrong_counter(http_cluster_fields, cluster, list, only);
}

static void play_counters(const struct script *s)
{
	const char *row = s->line + 2, *list = strchr(row, ' ') + 1, *bad;
	bool only = !strncmp(list, "only ", 5);

	list += only ? 5 : 0;
	/* The proxy may not have got that far yet. */
	for (int i = 0; (bad = wrong(s->env, row, list, only)) && i < COUNTED_MS; i++)
		wait_ms(1);
	if (bad)
		cr_expect_fail("%s: %s: %s", s->what, s->line, bad);
}

/* ---- lines ---- */

static void play_line(const struct script *s)
{
	if (*s->line == 'T')
		wait_ms((unsigned)atoi(s->line + 2));
	else if (*s->line == 'L')
		play_log(s);
	else if (*s->line == 'S')
		play_counters(s);
	else
		play_text(s);
}

void script_play(struct env *e, const char *what, const char *const *lines)
{
	struct script s = { .env = e, .what = what };

	for (; *lines; lines++) {
		s.line = env_line = *lines;
		play_line(&s);
	}
}
