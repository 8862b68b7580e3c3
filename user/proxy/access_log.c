// SPDX-License-Identifier: Apache-2.0
#include "access_log.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 4096 };

static void write_time(FILE *f, uint64_t ago_ms)
{
	struct timespec t;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec -= (time_t)(ago_ms / 1000);
	t.tv_nsec -= (long)(ago_ms % 1000) * 1000000;
	if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += 1000000000;
	}
	if (gmtime_r(&t.tv_sec, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		fprintf(f, "[%s.%03ldZ]", text, t.tv_nsec / 1000000);
}

/* A client could otherwise write lines of its own. */
static void write_span(FILE *f, struct h1_span s)
{
	if (!s.p) {
		fputc('-', f);
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == '"' || c == '\\' || c >= 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
}

static struct h1_span field(const struct h1_request *q, const char *name)
{
	for (size_t i = 0; q && i < q->m.header_count; i++)
		if (h1_is_nocase(q->m.headers[i].name, name))
			return q->m.headers[i].value;
	return (struct h1_span){ 0 };
}

static void write_quoted(FILE *f, struct h1_span s)
{
	fputs(" \"", f);
	write_span(f, s);
	fputc('"', f);
}

static void write_endpoint(FILE *f, const struct access_entry *e)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN] = "";
	bool v4 = !memcmp(e->endpoint.b, mapped, sizeof(mapped));

	if (!e->endpoint_port) {
		fputs(" \"-\"", f);
		return;
	}
	inet_ntop(v4 ? AF_INET : AF_INET6, e->endpoint.b + (v4 ? 12 : 0), text, sizeof(text));
	fprintf(f, v4 ? " \"%s:%u\"" : " \"[%s]:%u\"", text, e->endpoint_port);
}

static void write_request(FILE *f, const struct h1_request *q)
{
	if (!q) {
		fputs(" \"- - -\"", f);
		return;
	}
	fputs(" \"", f);
	write_span(f, q->method);
	fputc(' ', f);
	write_span(f, q->target);
	fprintf(f, " HTTP/1.%u\"", q->m.minor);
}

void access_log_write(void *arg, const struct access_entry *e)
{
	const struct access_log *log = arg;
	char line[LINE];
	FILE *f = fmemopen(line, sizeof(line) - 1, "w");
	long n;

	if (!f)
		return;
	write_time(f, e->duration_ms);
	write_request(f, e->request);
	fprintf(f, " %u %s %llu %llu %llu -", e->status, e->flags, (unsigned long long)e->received,
		(unsigned long long)e->sent, (unsigned long long)e->duration_ms);
	write_quoted(f, field(e->request, "x-forwarded-for"));
	write_quoted(f, field(e->request, "user-agent"));
	write_quoted(f, field(e->request, "x-request-id"));
	write_quoted(f, e->request ? e->request->authority : (struct h1_span){ 0 });
	write_endpoint(f, e);
	fflush(f);
	n = ftell(f);
	fclose(f);
	if (n <= 0 || n > (long)sizeof(line) - 1)
		n = (long)sizeof(line) - 1;
	line[n] = '\n';
	/* One write per line, so that those of several workers don't mix. */
	if (write(log->fd, line, (size_t)n + 1) < 0)
		return;
}
