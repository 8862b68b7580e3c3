// SPDX-License-Identifier: Apache-2.0
#include "proxy/log/access_line.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a line says of a request. */
struct value {
	enum { NOTHING, NUMBER, TEXT, TRUTH } type; /* TRUTH: it is so */
	uint64_t number;
	struct h1_span text;
};

enum {
	SCRATCH = 64,	  /* for a text that has to be put together */
	DIGITS = 20,	  /* of a number */
	ADDRESS_MAX = 54, /* bytes of "[address]:port" */
	PATH_BYTES = 1024,
	PEER_MAX = 224, /* of what a client's certificate says, in all */
};

static struct value number(uint64_t n)
{
	return (struct value){ .type = NUMBER, .number = n };
}

static struct value span(struct h1_span s)
{
	return s.p ? (struct value){ .type = TEXT, .text = s } : (struct value){ 0 };
}

static struct value text(const char *s)
{
	return span((struct h1_span){ s, s ? strlen(s) : 0 });
}

/* ---- the values ---- */

static struct value start_time(const struct access_entry *e, char *scratch)
{
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec -= (time_t)(e->duration_ms / 1000);
	t.tv_nsec -= (long)(e->duration_ms % 1000) * 1000000;
	if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += 1000000000;
	}
	if (!gmtime_r(&t.tv_sec, &tm))
		return (struct value){ 0 };
	n = strftime(scratch, SCRATCH, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(scratch + n, SCRATCH - n, ".%03ldZ", t.tv_nsec / 1000000);
	return text(scratch);
}

static struct value method(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return e->request ? span(e->request->method) : (struct value){ 0 };
}

/* As the client has sent it. */
static struct value path(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return e->request ? span(e->request->target) : (struct value){ 0 };
}

static struct value protocol(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	if (!e->request)
		return (struct value){ 0 };
	return text(e->request->m.minor ? "HTTP/1.1" : "HTTP/1.0");
}

static struct value response_code(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return number(e->status);
}

static struct value response_flags(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->flags);
}

static struct value response_code_details(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->details);
}

/* Of TLS between proxies, and the like. */
static struct value nothing(const struct access_entry *e, char *scratch)
{
	(void)e;
	(void)scratch;
	return (struct value){ 0 };
}

static struct value bytes_received(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return number(e->received);
}

static struct value bytes_sent(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return number(e->sent);
}

static struct value duration(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return number(e->duration_ms);
}

static struct value upstream_service_time(const struct access_entry *e, char *scratch)
{
	if (e->service_ms < 0)
		return (struct value){ 0 };
	snprintf(scratch, SCRATCH, "%lld", (long long)e->service_ms);
	return text(scratch);
}

static struct value field(const struct access_entry *e, const char *name)
{
	const struct h1_request *q = e->request;

	for (size_t i = 0; q && i < q->m.header_count; i++)
		if (h1_is_nocase(q->m.headers[i].name, name))
			return span(q->m.headers[i].value);
	return (struct value){ 0 };
}

static struct value x_forwarded_for(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return field(e, "x-forwarded-for");
}

static struct value user_agent(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return field(e, "user-agent");
}

static struct value request_id(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return span(e->request_id);
}

static struct value authority(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return e->request ? span(e->request->authority) : (struct value){ 0 };
}

static struct value address(const struct addr *a, uint16_t port, char *scratch)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = !memcmp(a->b, mapped, sizeof(mapped));
	char ip[INET6_ADDRSTRLEN] = "";

	if (!port)
		return (struct value){ 0 };
	inet_ntop(v4 ? AF_INET : AF_INET6, a->b + (v4 ? 12 : 0), ip, sizeof(ip));
	snprintf(scratch, SCRATCH, v4 ? "%s:%u" : "[%s]:%u", ip, port);
	return text(scratch);
}

static struct value upstream_host(const struct access_entry *e, char *scratch)
{
	return address(&e->endpoint, e->endpoint_port, scratch);
}

static struct value upstream_cluster(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->plan && e->plan->cluster ? e->plan->cluster->name : NULL);
}

static struct value upstream_local_address(const struct access_entry *e, char *scratch)
{
	return address(&e->local, e->local_port, scratch);
}

static struct value downstream_local_address(const struct access_entry *e, char *scratch)
{
	return address(&e->called, e->called_port, scratch);
}

static struct value downstream_remote_address(const struct access_entry *e, char *scratch)
{
	return address(&e->client, e->client_port, scratch);
}

static struct value route_name(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->plan && e->plan->route ? e->plan->route->name : NULL);
}

/* The name that the client has asked for by TLS. */
static struct value requested_server_name(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	if (!e->tls)
		return span(e->server_name);
	return e->tls->facts.name_len ? text(e->tls->facts.name) : (struct value){ 0 };
}

static struct value tls_version(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->tls->facts.version);
}

static struct value tls_cipher(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->tls->facts.cipher);
}

static struct value peer_subject(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->tls->facts.peer.subject);
}

/* %DOWNSTREAM_PEER_URI_SAN%. */
static struct value peer_uris(const struct access_entry *e, char *scratch)
{
	const char *uris = e->tls->facts.peer.uris;

	(void)scratch;
	return uris && *uris ? text(uris) : (struct value){ 0 };
}

/* %DYNAMIC_METADATA(envoy.common:access_log_hint)%: what Envoy's RBAC filter leaves of a request
 * that an AUDIT policy is met by. */
static struct value access_log_hint(const struct access_entry *e, char *scratch)
{
	(void)e;
	(void)scratch;
	return (struct value){ .type = TRUTH };
}

static struct value audit_policy(const struct access_entry *e, char *scratch)
{
	(void)scratch;
	return text(e->audit);
}

/* In the order of the text format, where each stands between `before` and `after`. `max` is how
 * many bytes of a text there may be; 0: it is a number, or never there. F(key, get, before, after,
 * max). */
#define FIELDS(F)                                                                       \
	F("start_time", start_time, "[", "]", 24)                                       \
	F("method", method, " \"", "", 32)                                              \
	F("path", path, " ", "", PATH_BYTES)                                            \
	F("protocol", protocol, " ", "\"", 8)                                           \
	F("response_code", response_code, " ", "", 0)                                   \
	F("response_flags", response_flags, " ", "", 64)                                \
	F("response_code_details", response_code_details, " ", "", 96)                  \
	F("connection_termination_details", nothing, " ", "", 0)                        \
	F("upstream_transport_failure_reason", nothing, " \"", "\"", 0)                 \
	F("bytes_received", bytes_received, " ", "", 0)                                 \
	F("bytes_sent", bytes_sent, " ", "", 0)                                         \
	F("duration", duration, " ", "", 0)                                             \
	F("upstream_service_time", upstream_service_time, " ", "", 24)                  \
	F("x_forwarded_for", x_forwarded_for, " \"", "\"", 256)                         \
	F("user_agent", user_agent, " \"", "\"", 256)                                   \
	F("request_id", request_id, " \"", "\"", 128)                                   \
	F("authority", authority, " \"", "\"", 288)                                     \
	F("upstream_host", upstream_host, " \"", "\"", ADDRESS_MAX)                     \
	F("upstream_cluster", upstream_cluster, " ", "", CLUSTER_NAME_MAX)              \
	F("upstream_local_address", upstream_local_address, " ", "", ADDRESS_MAX)       \
	F("downstream_local_address", downstream_local_address, " ", "", ADDRESS_MAX)   \
	F("downstream_remote_address", downstream_remote_address, " ", "", ADDRESS_MAX) \
	F("requested_server_name", requested_server_name, " ", "", TLS_NAME_MAX)        \
	F("route_name", route_name, " ", "", ROUTE_NAME_MAX)

/* What JSON says besides of a request that came by TLS: %DOWNSTREAM_TLS_VERSION% and so on, which
 * are not in Istio's default format. F(key, get, max). Those of the peer share PEER_MAX, and the
 * URIs, which say who it is, come first. */
#define TLS_FIELDS(F)                                     \
	F("downstream_tls_version", tls_version, 16)      \
	F("downstream_tls_cipher", tls_cipher, 64)        \
	F("downstream_peer_uri_san", peer_uris, PEER_MAX) \
	F("downstream_peer_subject", peer_subject, PEER_MAX)

/* What JSON says besides of what an AUDIT policy is met by. The path gives room for it. */
#define AUDIT_FIELDS(F)                          \
	F("access_log_hint", access_log_hint, 0) \
	F("audit_policy", audit_policy, 352)

#define ROW(key, get, before, after, max) { key, get, before, after, max },
#define TLS_ROW(key, get, max) { key, get, max },

static const struct {
	const char *key;
	struct value (*get)(const struct access_entry *e, char *scratch);
	const char *before, *after;
	size_t max;
} fields[] = { FIELDS(ROW) };

static const struct {
	const char *key;
	struct value (*get)(const struct access_entry *e, char *scratch);
	size_t max;
} tls_fields[] = { TLS_FIELDS(TLS_ROW) }, audit_fields[] = { AUDIT_FIELDS(TLS_ROW) };

enum {
	FIELD_COUNT = sizeof(fields) / sizeof(*fields),
	TLS_FIELD_COUNT = sizeof(tls_fields) / sizeof(*tls_fields),
	AUDIT_FIELD_COUNT = sizeof(audit_fields) / sizeof(*audit_fields),
};

/* Bytes that a field takes at most: of a number, null or "-" it is DIGITS. */
#define TEXT_BYTES(key, get, before, after, max) \
	+(sizeof(before) - 1 + sizeof(after) - 1 + ((max) ? (max) : DIGITS))
#define JSON_BYTES(key, get, before, after, max) TLS_BYTES(key, get, max)
#define TLS_BYTES(key, get, max) +(sizeof(",\"" key "\":") - 1 + ((max) ? (max) + 2 : DIGITS))

enum {
	AUDIT_ROOM = 0 AUDIT_FIELDS(TLS_BYTES),
	LINE_BYTES = 0 FIELDS(JSON_BYTES),
};

/* The end of a line is "\n", or "}\n"; stpcpy() writes a NUL that the next byte replaces. */
_Static_assert(0 FIELDS(TEXT_BYTES) + 1 <= ACCESS_LINE_MAX, "a line of text may be too long");
_Static_assert(LINE_BYTES TLS_FIELDS(TLS_BYTES) - PEER_MAX + 2 <= ACCESS_LINE_MAX,
	       "a line of JSON may be too long");
_Static_assert(LINE_BYTES - PATH_BYTES + ACCESS_PATH_SHORT + ACCESS_MORE + 2 <= ACCESS_LINE_MAX,
	       "there is no room for more");

/* ---- writing ---- */

static char *put(char *p, const char *s)
{
	return stpcpy(p, s);
}

static char *put_number(char *p, uint64_t n)
{
	char digits[DIGITS];
	int i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	return mempcpy(p, digits + i, sizeof(digits) - (size_t)i);
}

static bool plain(unsigned char c)
{
	return c >= ' ' && c != '"' && c != '\\' && c < 0x7f;
}

/* A client could otherwise write lines of its own. */
static char *put_span(char *p, struct h1_span s, size_t max, const char *escape)
{
	static const char hex[] = "0123456789abcdef";
	size_t width = strlen(escape) + 2;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		size_t n = plain(c) ? 1 : width;

		if (max < n)
			break;
		max -= n;
		if (n == 1) {
			*p++ = (char)c;
			continue;
		}
		p = put(p, escape);
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	return p;
}

static char *put_text_value(char *p, struct value v, size_t max)
{
	if (v.type == NUMBER)
		return put_number(p, v.number);
	return v.type == TEXT ? put_span(p, v.text, max, "\\x") : put(p, "-");
}

static char *put_json_value(char *p, struct value v, size_t max)
{
	if (v.type == NUMBER)
		return put_number(p, v.number);
	if (v.type != TEXT)
		return put(p, v.type == TRUTH ? "true" : "null");
	return put(put_span(put(p, "\""), v.text, max, "\\u00"), "\"");
}

static char *put_text(char *p, const struct access_entry *e)
{
	char scratch[SCRATCH];

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		p = put(p, fields[i].before);
		p = put_text_value(p, fields[i].get(e, scratch), fields[i].max);
		p = put(p, fields[i].after);
	}
	return p;
}

static char *put_json_tls(char *p, const struct access_entry *e)
{
	char scratch[SCRATCH];
	size_t left = PEER_MAX;

	for (size_t i = 0; i < TLS_FIELD_COUNT; i++) {
		const struct value v = tls_fields[i].get(e, scratch);
		bool peer = tls_fields[i].max == PEER_MAX;
		char *from = put(put(put(p, ",\""), tls_fields[i].key), "\":");

		p = put_json_value(from, v, peer ? left : tls_fields[i].max);
		if (peer && v.type == TEXT)
			left -= (size_t)(p - from) - 2; /* but for the quotes */
	}
	return p;
}

static char *put_json_audit(char *p, const struct access_entry *e)
{
	char scratch[SCRATCH];

	for (size_t i = 0; i < AUDIT_FIELD_COUNT; i++) {
		p = put(put(put(p, ",\""), audit_fields[i].key), "\":");
		p = put_json_value(p, audit_fields[i].get(e, scratch), audit_fields[i].max);
	}
	return p;
}

static char *put_json_fields(char *p, const struct access_entry *e, size_t path_max)
{
	char scratch[SCRATCH];

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		p = put(put(put(p, i ? ",\"" : "{\""), fields[i].key), "\":");
		p = put_json_value(p, fields[i].get(e, scratch),
				   fields[i].get == path ? path_max : fields[i].max);
	}
	return p;
}

static char *put_json(char *p, const struct access_entry *e)
{
	p = put_json_fields(p, e, PATH_BYTES - (e->audit ? AUDIT_ROOM : 0));
	if (e->tls)
		p = put_json_tls(p, e);
	if (e->audit)
		p = put_json_audit(p, e);
	return put(p, "}");
}

char *access_line_begin(char line[ACCESS_LINE_MAX], const struct access_entry *e)
{
	return put_json_fields(line, e, ACCESS_PATH_SHORT);
}

char *access_line_text(char *p, struct h1_span text, size_t max)
{
	return put_json_value(p, span(text), max);
}

char *access_line_number(char *p, uint64_t n)
{
	return put_number(p, n);
}

size_t access_line(char line[ACCESS_LINE_MAX], bool json, const struct access_entry *e)
{
	char *end = json ? put_json(line, e) : put_text(line, e);

	*end++ = '\n';
	return (size_t)(end - line);
}
