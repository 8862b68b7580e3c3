// SPDX-License-Identifier: Apache-2.0
#include "lib/route/workload.h"
#include "proxy/request/request_headers.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/route/fields.h"
#include "lib/route/snapshot.h"

enum { TRACE_DIGITS = 32, SPAN_DIGITS = 16 };

#define SPAN(text)                     \
	(struct h1_span)               \
	{                              \
		text, sizeof(text) - 1 \
	}

/* Those of the request's fields that matter here. */
enum known {
	REQUEST_ID,
	FORWARDED_PROTO,
	FORWARDED_FOR,
	CLIENT_CERT,
	B3,
	B3_TRACE,
	B3_SPAN,
	B3_PARENT,
	B3_SAMPLED,
	B3_FLAGS,
	TRACEPARENT,
	TRACESTATE,
	KNOWN,
};

static const struct h1_span names[KNOWN] = {
	[REQUEST_ID] = { "x-request-id", 12 },
	[FORWARDED_PROTO] = { "x-forwarded-proto", 17 },
	[FORWARDED_FOR] = { "x-forwarded-for", 15 },
	[CLIENT_CERT] = { "x-forwarded-client-cert", 23 },
	[B3] = { "b3", 2 },
	[B3_TRACE] = { "x-b3-traceid", 12 },
	[B3_SPAN] = { "x-b3-spanid", 11 },
	[B3_PARENT] = { "x-b3-parentspanid", 17 },
	[B3_SAMPLED] = { "x-b3-sampled", 12 },
	[B3_FLAGS] = { "x-b3-flags", 10 },
	[TRACEPARENT] = { "traceparent", 11 },
	[TRACESTATE] = { "tracestate", 10 },
};

/* The first of each name, and how many there are. */
struct found {
	struct h1_span value[KNOWN];
	unsigned count[KNOWN];
};

static bool may_be_known(struct h1_span name)
{
	char c = (char)(*name.p | 0x20);

	return c == 'x' || c == 't' || (c == 'b' && name.n == 2);
}

static void find(const struct h1_request *q, struct found *f)
{
	*f = (struct found){ 0 };
	for (size_t i = 0; i < q->m.header_count; i++) {
		const struct h1_header *h = &q->m.headers[i];

		if (h->field != H1_OTHER || !may_be_known(h->name))
			continue;
		for (int k = 0; k < KNOWN; k++)
			if (h1_same_nocase(h->name, names[k]) && !f->count[k]++)
				f->value[k] = h->value;
	}
}

static void add(struct request_headers *a, struct h1_span name, struct h1_span value)
{
	a->fields[a->count].name = name;
	a->fields[a->count].value = value;
	a->fields[a->count].more = (struct h1_span){ 0 };
	a->fields[a->count++].beside = false;
}

static void drop(struct request_headers *a, struct h1_span name)
{
	add(a, name, (struct h1_span){ 0 });
}

bool request_headers_replace(const struct request_headers *a, struct h1_span name)
{
	if (!may_be_known(name))
		return false;
	if (http_field_is_forged((struct http_span){ name.p, name.n }, a->gateway))
		return true;
	for (size_t i = 0; i < a->count; i++)
		if (!a->fields[i].beside && h1_same_nocase(a->fields[i].name, name))
			return true;
	return false;
}

/* ---- the client ---- */

/* RFC 9562, version 4. */
static void make_uuid(char out[36], struct random *random)
{
	char hex[32], *p = out;

	random_hex(random, hex, sizeof(hex));
	hex[12] = '4';
	hex[16] = "89ab"[random_next(random) & 3];
	for (int i = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			*p++ = '-';
		*p++ = hex[i];
	}
}

static void add_request_id(struct request_headers *a, const struct found *f, struct random *random)
{
	a->request_id = f->value[REQUEST_ID];
	if (a->request_id.n)
		return;
	make_uuid(a->uuid, random);
	a->request_id = (struct h1_span){ a->uuid, sizeof(a->uuid) };
	add(a, names[REQUEST_ID], a->request_id);
}

static bool is_private(const struct addr *a, bool v4)
{
	const unsigned char *b = a->b + 12;

	if (!v4)
		return (a->b[0] & 0xfe) == 0xfc;
	return b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
	       (b[0] == 192 && b[1] == 168);
}

static void add_forwarded_for(struct request_headers *a, const struct found *f,
			      struct h1_span client)
{
	bool one = f->count[FORWARDED_FOR] == 1;

	add(a, names[FORWARDED_FOR], one ? f->value[FORWARDED_FOR] : client);
	if (one)
		a->fields[a->count - 1].more = (struct h1_span){ a->client, client.n + 2 };
	else
		a->fields[a->count - 1].beside = true;
}

static void add_client(struct request_headers *a, const struct request_headers_ask *ask,
		       const struct found *f)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	const struct addr *client = &ask->client;
	bool v4 = !memcmp(client->b, mapped, sizeof(mapped));
	struct h1_span text = { a->client + 2, 0 };

	memcpy(a->client, ", ", 2);
	inet_ntop(v4 ? AF_INET : AF_INET6, client->b + (v4 ? 12 : 0), a->client + 2,
		  sizeof(a->client) - 2);
	text.n = strlen(text.p);
	if (!f->count[FORWARDED_FOR] && is_private(client, v4))
		add(a, SPAN("x-envoy-internal"), SPAN("true"));
	else
		add(a, SPAN("x-envoy-external-address"), text);
	add_forwarded_for(a, f, text);
	if (ask->peer && ask->peer->forwarded)
		add(a, SPAN("x-forwarded-client-cert"),
		    (struct h1_span){ ask->peer->forwarded, ask->peer->forwarded_len });
}

/* What a Gateway has said of its client stays; other callers have nothing to say of themselves. */
static void append_peer(struct request_headers *a, const struct tls_peer *peer,
			const struct found *f)
{
	const struct h1_span own = { peer->forwarded, peer->forwarded_len };
	bool one = f->count[CLIENT_CERT] == 1 && peer->uris &&
		   !strcmp(peer->uris, GATEWAY_IDENTITY);

	add(a, names[CLIENT_CERT], one ? f->value[CLIENT_CERT] : own);
	if (one)
		a->fields[a->count - 1].more = (struct h1_span){ peer->appended, own.n + 1 };
}

/* ---- traces ---- */

static bool is_hex(struct h1_span s)
{
	bool any = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		any |= c != '0';
	}
	return any;
}

static struct h1_span part(struct h1_span s, size_t from, size_t n)
{
	return (struct h1_span){ s.p + from, n };
}

static bool is_trace_id(struct h1_span s)
{
	return (s.n == TRACE_DIGITS || s.n == SPAN_DIGITS) && is_hex(s);
}

/* W3C Trace Context: version-trace-parent-flags, and what later versions put behind. */
static bool is_traceparent(struct h1_span s)
{
	static const size_t length = 55;

	if (s.n < length || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-')
		return false;
	if (!memcmp(s.p, "ff", 2) || (s.n > length && (!memcmp(s.p, "00", 2) || s.p[55] != '-')))
		return false;
	return (is_hex(part(s, 0, 2)) || !memcmp(s.p, "00", 2)) &&
	       is_hex(part(s, 3, TRACE_DIGITS)) && is_hex(part(s, 36, SPAN_DIGITS)) &&
	       (is_hex(part(s, 53, 2)) || !memcmp(s.p + 53, "00", 2));
}

static char *put(char *p, struct h1_span s)
{
	return mempcpy(p, s.p, s.n);
}

static struct h1_span own_span(const struct request_headers *a)
{
	return (struct h1_span){ a->span, SPAN_DIGITS };
}

static void add_traceparent(struct request_headers *a, struct h1_span trace, struct h1_span flags)
{
	char *p = put(a->traceparent, SPAN("00-"));

	p = put(put(put(p, trace), SPAN("-")), own_span(a));
	put(put(p, SPAN("-")), flags);
	add(a, names[TRACEPARENT], (struct h1_span){ a->traceparent, sizeof(a->traceparent) });
}

/* What came of a trace, or only of whether it is to be sampled. */
struct context {
	struct h1_span trace, span; /* trace.p NULL: none came */
	enum { UNDECIDED, NOT_SAMPLED, SAMPLED } decision;
};

static bool is_text(struct h1_span s, const char *text)
{
	return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

/* "1" and "d", "0", or none. */
static int b3_decision(struct h1_span s)
{
	if (s.n != 1)
		return UNDECIDED;
	return *s.p == '1' || *s.p == 'd' ? SAMPLED : *s.p == '0' ? NOT_SAMPLED : UNDECIDED;
}

static int decision_of_fields(const struct found *f)
{
	const struct h1_span sampled = f->value[B3_SAMPLED];

	if (is_text(f->value[B3_FLAGS], "1"))
		return SAMPLED;
	if (!sampled.n)
		return f->count[B3_FLAGS] ? NOT_SAMPLED : UNDECIDED;
	return is_text(sampled, "1") || is_text(sampled, "true") ? SAMPLED : NOT_SAMPLED;
}

/* trace-span[-sampled[-parent]], or sampled alone. False: it is anything else. */
static bool read_b3(struct h1_span s, struct context *out)
{
	const char *dash = s.n ? memchr(s.p, '-', s.n) : NULL;
	struct h1_span trace, rest;

	if (!dash) {
		out->decision = b3_decision(s);
		return false;
	}
	trace = (struct h1_span){ s.p, (size_t)(dash - s.p) };
	rest = part(s, trace.n + 1, s.n - trace.n - 1);
	if (!is_trace_id(trace) || rest.n < SPAN_DIGITS || !is_hex(part(rest, 0, SPAN_DIGITS)) ||
	    (rest.n > SPAN_DIGITS && (rest.n < SPAN_DIGITS + 2 || rest.p[SPAN_DIGITS] != '-')))
		return false;
	*out = (struct context){ trace, part(rest, 0, SPAN_DIGITS), UNDECIDED };
	if (rest.n > SPAN_DIGITS)
		out->decision = b3_decision(part(rest, SPAN_DIGITS + 1, 1));
	return true;
}

static void read_fields(const struct found *f, struct context *out)
{
	const struct h1_span span = f->value[B3_SPAN];

	*out = (struct context){ .trace = f->value[B3_TRACE], .decision = decision_of_fields(f) };
	if (span.n == SPAN_DIGITS && is_hex(span))
		out->span = span;
}

static void read_traceparent(struct h1_span s, struct context *out)
{
	const char flags = s.p[54];
	const bool odd = (flags >= 'a' ? flags - 'a' + 10 : flags - '0') & 1;

	*out = (struct context){ part(s, 3, TRACE_DIGITS), part(s, 36, SPAN_DIGITS),
				 odd ? SAMPLED : NOT_SAMPLED };
}

/* Which forms there are of a trace that came. */
struct forms {
	bool w3c, fields, single;
};

/* Into `out`, which is zeroed. */
static struct forms read_context(const struct found *f, struct context *out)
{
	struct forms is = {
		.w3c = f->count[TRACEPARENT] == 1 && is_traceparent(f->value[TRACEPARENT]),
		.fields = is_trace_id(f->value[B3_TRACE]),
	};

	is.single = read_b3(f->value[B3], out);
	if (is.fields)
		read_fields(f, out);
	if (is.w3c)
		read_traceparent(f->value[TRACEPARENT], out);
	return is;
}

/* Without a parent where that is empty. */
static void put_b3(struct request_headers *a, struct h1_span trace, struct h1_span span,
		   char decision, struct h1_span parent)
{
	char *p = put(put(put(a->b3, trace), SPAN("-")), span);

	*p++ = '-';
	*p++ = decision;
	if (parent.n)
		p = put(put(p, SPAN("-")), parent);
	add(a, names[B3], (struct h1_span){ a->b3, (size_t)(p - a->b3) });
}

/* The debug flag stays. */
static void go_on_b3(struct request_headers *a, struct h1_span came)
{
	struct context c;
	size_t at;

	if (!read_b3(came, &c))
		return;
	at = c.trace.n + 1 + SPAN_DIGITS + 1;
	put_b3(a, c.trace, own_span(a), came.n > at && came.p[at] == 'd' ? 'd' : '1', c.span);
}

static void go_on_fields(struct request_headers *a, const struct found *f)
{
	struct h1_span parent = f->value[B3_SPAN];

	if (decision_of_fields(f) == UNDECIDED)
		add(a, names[B3_SAMPLED], SPAN("1"));
	add(a, names[B3_SPAN], own_span(a));
	if (parent.n == SPAN_DIGITS && is_hex(parent))
		add(a, names[B3_PARENT], parent);
}

/* Those behind the request are not to decide it again. */
static void tell_decision(struct request_headers *a, const struct found *f, struct forms is)
{
	struct context c;

	if (is.fields && decision_of_fields(f) == UNDECIDED)
		add(a, names[B3_SAMPLED], SPAN("0"));
	if (is.single && read_b3(f->value[B3], &c) && c.decision == UNDECIDED)
		put_b3(a, c.trace, c.span, '0', (struct h1_span){ 0 });
}

static bool is_drawn(const struct request_headers_ask *ask, struct random *random)
{
	return random_next(random) % HS_SAMPLING_ALL < ask->sampling;
}

static void go_on(struct request_headers *a, const struct request_headers_ask *ask,
		  const struct found *f, struct random *random, const struct context *c,
		  struct forms is)
{
	const bool undecided = c->decision == UNDECIDED;

	if (!ask->told)
		return;
	a->sampled = undecided ? is_drawn(ask, random) : c->decision == SAMPLED;
	if (!a->sampled && undecided)
		tell_decision(a, f, is);
	if (!a->sampled)
		return;
	random_hex(random, a->span, SPAN_DIGITS);
	a->continued = true;
	a->trace_id = c->trace;
	a->parent_id = c->span;
	a->trace_from = a->count;
	if (is.w3c)
		add_traceparent(a, c->trace, part(f->value[TRACEPARENT], 53, 2));
	if (is.fields)
		go_on_fields(a, f);
	if (is.single)
		go_on_b3(a, f->value[B3]);
	a->trace_end = a->count;
}

/* A decision may come without a trace. */
static void begin_trace(struct request_headers *a, const struct request_headers_ask *ask,
			const struct found *f, struct random *random, const struct context *c)
{
	const int of_fields = f->count[B3_SAMPLED] | f->count[B3_FLAGS] ? decision_of_fields(f)
									: UNDECIDED;
	const int decision = of_fields == UNDECIDED ? (int)c->decision : of_fields;
	bool sampled = decision == SAMPLED;

	random_hex(random, a->trace, TRACE_DIGITS);
	random_hex(random, a->span, SPAN_DIGITS);
	if (decision == UNDECIDED)
		sampled = is_drawn(ask, random);
	if (of_fields == UNDECIDED)
		add(a, names[B3_SAMPLED], sampled ? SPAN("1") : SPAN("0"));
	if (f->count[B3])
		drop(a, names[B3]);
	a->sampled = sampled && ask->told;
	a->trace_id = (struct h1_span){ a->trace, TRACE_DIGITS };
	a->parent_id = (struct h1_span){ 0 };
	add(a, names[B3_TRACE], a->trace_id);
	add(a, names[B3_SPAN], own_span(a));
	add_traceparent(a, a->trace_id, sampled ? SPAN("01") : SPAN("00"));
}

static void add_trace(struct request_headers *a, const struct request_headers_ask *ask,
		      const struct found *f, struct random *random)
{
	struct context c = { 0 };
	struct forms is = { 0 };

	if (f->count[TRACEPARENT] | f->count[B3_TRACE] | f->count[B3])
		is = read_context(f, &c);
	a->sampled = a->continued = false;
	/* It belongs to a traceparent that is missing or malformed. */
	if (!is.w3c && f->count[TRACESTATE])
		drop(a, names[TRACESTATE]);
	if (c.trace.p)
		go_on(a, ask, f, random, &c, is);
	else if (!f->count[B3] || c.decision == SAMPLED)
		begin_trace(a, ask, f, random, &c);
}

void request_headers_make(struct request_headers *a, const struct request_headers_ask *ask,
			  struct random *random)
{
	struct found f;

	find(ask->request, &f);
	a->count = 0;
	a->gateway = ask->gateway;
	add_request_id(a, &f, random);
	if (ask->gateway || !f.count[FORWARDED_PROTO])
		add(a, names[FORWARDED_PROTO], ask->scheme);
	if (ask->gateway)
		add_client(a, ask, &f);
	else if (ask->mutual)
		append_peer(a, ask->peer, &f);
	if (ask->rewritten)
		add(a, SPAN("x-envoy-original-path"), ask->request->path);
	add_trace(a, ask, &f, random);
}
