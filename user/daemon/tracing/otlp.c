// SPDX-License-Identifier: Apache-2.0
#include "daemon/tracing/otlp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/json_io.h"
#include "lib/mesh/peer.h"
#include "lib/route/snapshot.h"
#include "weft/policy.h"

enum {
	SPAN_DIGITS = 16,
	TRACE_DIGITS = 32,
	TEXT_MAX = 1024,
	STATUS_ERROR = 2, /* Status.StatusCode */
};

enum span_kind { SPAN_SERVER = 2, SPAN_CLIENT = 3 }; /* Span.SpanKind */

/* ---- reading ---- */

static bool is_id(const char *text, size_t digits)
{
	return text && strlen(text) == digits && strspn(text, "0123456789abcdef") == digits &&
	       strspn(text, "0") != digits;
}

static bool is_trace_id(const char *text)
{
	return is_id(text, TRACE_DIGITS) || is_id(text, SPAN_DIGITS);
}

static bool is_span(const json_t *span)
{
	const json_int_t start = json_get_int(span, "start_ns", -1),
			 end = json_get_int(span, "end_ns", -1);

	return is_id(json_get_text(span, "span_id", NULL), SPAN_DIGITS) && start >= 0 &&
	       end >= start && json_is_object(json_object_get(span, "tags"));
}

/* Without a parent it is the root. */
static bool is_line(const json_t *line)
{
	const char *parent = json_get_text(line, "parent_span_id", NULL);

	return is_trace_id(json_get_text(line, "trace_id", NULL)) &&
	       (!parent || is_id(parent, SPAN_DIGITS));
}

static __u32 id_below(const json_t *line, const char *key, json_int_t max)
{
	const json_int_t id = json_get_int(line, key, 0);

	return id > 0 && id < max ? (__u32)id : 0;
}

static struct names_end made_by(const json_t *line, const char *peer, const char *address)
{
	struct names_end end = { .peer = id_below(line, peer, TRAFFIC_PEER_IDS_MAX),
				 .cluster = id_below(line, "cluster", CLUSTER_IDS_MAX) };
	unsigned port;

	if (!addr_parse_port(address ? json_get_text(line, address, NULL) : NULL, &end.addr, &port))
		end.addr = (struct addr){ 0 };
	return end;
}

int otlp_line_read(const char *text, size_t size, struct otlp_line *out)
{
	_cleanup_json_ json_t *line = json_loadb(text, size, 0, NULL);
	const json_t *client = json_object_get(line, "client"),
		     *server = json_object_get(line, "server");
	const bool gateway = json_get_int(line, "gateway", 0);

	if (!is_line(line) || (!client && !server) || (client && !is_span(client)) ||
	    (server && !is_span(server)))
		return -EBADMSG;
	*out = (struct otlp_line){ .spans = !!client + !!server };
	if (client)
		out->client = made_by(line, "source", gateway ? NULL : "downstream_remote_address");
	if (server)
		out->server = made_by(line, "destination", "upstream_host");
	out->line = TAKE_PTR(line);
	return 0;
}

void otlp_line_free(struct otlp_line *l)
{
	json_decref(l->line);
	names_end_free(&l->client);
	names_end_free(&l->server);
}

/* ---- attributes ---- */

/* Attributes are members of an object until they are all known: each name is there once. */
static void set(json_t *attributes, const char *name, const char *value)
{
	if (value)
		json_object_set_new(attributes, name, json_text(value));
}

__attribute__((format(printf, 3, 4))) static void setf(json_t *attributes, const char *name,
						       const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	set(attributes, name, text);
}

static json_t *listed(const json_t *attributes)
{
	json_t *list = json_array(), *value;
	const char *name;

	json_object_foreach((json_t *)attributes, name, value) json_array_append_new(
		list, json_pack("{s:s, s:{s:O}}", "key", name, "value", "stringValue", value));
	return list;
}

/* ---- one span ---- */

/* What is said of it, and by whom. */
struct telling {
	const json_t *line, *span;
	bool server;  /* the endpoint's */
	bool gateway; /* the Gateway's */
	const struct names_end *by;
	struct peer peer; /* by->name */
};

/* Of a request that was answered here the line has none. */
static const char *cluster_of(const struct telling *t)
{
	return json_get_text(t->line, "upstream_cluster", t->by->cluster_name);
}

/* "outbound|9080|v1|reviews.default.svc.cluster.local": its last part, and the port. NULL: it is
 * none of Istio's names. */
static const char *host_of(const char *cluster, int *port)
{
	const char *last = strrchr(cluster, '|');

	return last && last[1] && sscanf(cluster, "outbound|%d|", port) == 1 ? last + 1 : NULL;
}

static unsigned port_of(const struct telling *t, const char *key)
{
	struct addr addr;
	unsigned port;

	return addr_parse_port(json_get_text(t->line, key, NULL), &addr, &port) ? port : 0;
}

/* As Istio decorates routes; Envoy's own where no route is. */
static void name_span(const struct telling *t, char out[TEXT_MAX])
{
	const char *cluster = cluster_of(t) ?: "", *called = json_get_text(t->line, "host", "");
	int port = 0;
	const char *host = host_of(cluster, &port);

	if (host)
		snprintf(out, TEXT_MAX, "%s:%d/*", host, port);
	else if (*called)
		snprintf(out, TEXT_MAX, "%s:%u/*", called, port_of(t, "downstream_local_address"));
	else
		snprintf(out, TEXT_MAX, "%s %s", t->server ? "ingress" : "egress",
			 json_get_text(t->line, "authority", ""));
}

static void set_url(const struct telling *t, json_t *to)
{
	const char *scheme = json_get_text(t->line, "scheme", "http"),
		   *authority = json_get_text(t->line, "authority", ""),
		   *path = json_get_text(t->line, "path", "");

	if (*path == '/')
		setf(to, "http.url", "%s://%s%s", scheme, authority, path);
	else
		set(to, "http.url", path);
}

static void set_clusters(const struct telling *t, json_t *to)
{
	const char *cluster = cluster_of(t);
	char own[64];

	if (t->server) {
		snprintf(own, sizeof(own), "inbound|%u||", port_of(t, "upstream_host"));
		cluster = own;
	}
	set(to, "upstream_cluster", cluster);
	set(to, "upstream_cluster.name", cluster);
	set(to, "downstream_cluster", "-");
}

static void set_caller(const struct telling *t, json_t *to)
{
	const char *from = json_get_text(t->line, "downstream_remote_address", NULL);
	char text[ADDR_TEXT_MAX];
	struct addr addr;
	unsigned port;

	if (!addr_parse_port(from, &addr, &port))
		return;
	addr_format(&addr, text);
	set(to, "peer.address", text);
}

static void set_reporter(const struct telling *t, json_t *to)
{
	const struct peer *p = &t->peer;
	static const struct addr none;
	char ip[ADDR_TEXT_MAX] = "";

	if (memcmp(&t->by->addr, &none, sizeof(none)) != 0)
		addr_format(&t->by->addr, ip);
	setf(to, "node_id", "%s~%s~%s.%s~%s.svc.cluster.local", t->gateway ? "router" : "sidecar",
	     ip, t->by->pod ?: p->workload, p->ns, p->ns);
	set(to, "istio.canonical_service", p->canonical_service);
	set(to, "istio.canonical_revision", p->canonical_revision);
	set(to, "istio.namespace", p->ns);
	set(to, "istio.mesh_id", "cluster.local");
	set(to, "istio.cluster_id", "Kubernetes");
}

static int status_of(const struct telling *t)
{
	return (int)json_get_int(t->line, "response_code", 0);
}

static void set_request(const struct telling *t, json_t *to)
{
	const int status = status_of(t);

	set(to, "component", "proxy");
	set(to, "http.method", json_get_text(t->line, "method", NULL));
	set_url(t, to);
	set(to, "http.protocol", json_get_text(t->line, "protocol", NULL));
	setf(to, "http.status_code", "%d", status);
	setf(to, "request_size", "%lld", (long long)json_get_int(t->line, "bytes_received", 0));
	setf(to, "response_size", "%lld", (long long)json_get_int(t->line, "bytes_sent", 0));
	set(to, "response_flags", json_get_text(t->line, "response_flags", "-"));
	set(to, "user_agent", json_get_text(t->line, "user_agent", "-"));
	set(to, "guid:x-request-id", json_get_text(t->line, "request_id", NULL));
	if (!status || status >= 500)
		set(to, "error", "true");
}

/* weft-proxy writes each byte outside ASCII as \u00XX (access_line.c), which reads as a code point:
 * the UTF-8 that the bytes were. NULL: they were none, or the text has other code points. */
static json_t *unfolded(const char *text)
{
	_cleanup_free_ char *bytes = malloc(strlen(text) + 1);
	size_t n = 0;

	for (const char *at = text; bytes && *at; at++) {
		const unsigned char c = (unsigned char)*at;

		if (c > 0xc3) /* begins what is above U+00FF */
			return NULL;
		bytes[n++] = (char)(c < 0x80 ? c : (c & 3) << 6 | (*++at & 0x3f));
	}
	return bytes ? json_stringn(bytes, n) : NULL;
}

static void set_tag(json_t *to, const char *name, json_t *value)
{
	_cleanup_json_ json_t *key = unfolded(name), *text = unfolded(json_string_value(value));

	json_object_set(to, key ? json_string_value(key) : name, text ? text : value);
}

/* Telemetries' tags come last: what they name is theirs. */
static void set_tags(const struct telling *t, json_t *to)
{
	json_t *tags = json_object_get(t->span, "tags"), *value;
	const char *name;
	int left = HS_TAGS_MAX;

	json_object_foreach(tags, name, value) if (left-- > 0 && *name && json_is_string(value))
		set_tag(to, name, value);
}

static json_t *attributes_of(const struct telling *t)
{
	_cleanup_json_ json_t *all = json_object();

	set_request(t, all);
	set_clusters(t, all);
	set_caller(t, all);
	set_reporter(t, all);
	set_tags(t, all);
	return listed(all);
}

/* OpenTelemetry's rules: to who calls, 4xx are errors, too; a response that never came is one. */
static bool is_error(const struct telling *t, enum span_kind kind)
{
	const int status = status_of(t);

	return !status || status >= 500 || (status >= 400 && kind == SPAN_CLIENT);
}

static void set_ids(const struct telling *t, json_t *to)
{
	const char *trace = json_get_text(t->line, "trace_id", ""),
		   *parent = json_get_text(t->line, "parent_span_id", NULL);
	const json_t *outer = t->server ? json_object_get(t->line, "client") : NULL;

	/* B3 has ids of 64 bits as well. */
	json_object_set_new(
		to, "traceId",
		json_textf("%s%s", strlen(trace) < TRACE_DIGITS ? "0000000000000000" : "", trace));
	set(to, "spanId", json_get_text(t->span, "span_id", ""));
	set(to, "parentSpanId", outer ? json_get_text(outer, "span_id", NULL) : parent);
}

static json_t *span_json(const struct telling *t)
{
	const enum span_kind kind = t->server || t->gateway ? SPAN_SERVER : SPAN_CLIENT;
	json_t *out = json_object();
	char name[TEXT_MAX];

	name_span(t, name);
	set_ids(t, out);
	set(out, "name", name);
	json_object_set_new(out, "kind", json_integer(kind));
	json_object_set_new(out, "startTimeUnixNano",
			    json_textf("%lld", (long long)json_get_int(t->span, "start_ns", 0)));
	json_object_set_new(out, "endTimeUnixNano",
			    json_textf("%lld", (long long)json_get_int(t->span, "end_ns", 0)));
	json_object_set_new(out, "attributes", attributes_of(t));
	json_object_set_new(out, "status",
			    is_error(t, kind) ? json_pack("{s:i}", "code", STATUS_ERROR)
					      : json_object());
	return out;
}

/* ---- who has made them ---- */

static json_t *resource_of(const struct telling *t)
{
	_cleanup_json_ json_t *all = json_object();

	setf(all, "service.name", "%s.%s", t->peer.canonical_service, t->peer.ns);
	set(all, "k8s.namespace.name", t->peer.ns);
	set(all, "k8s.pod.name", t->by->pod);
	set(all, "k8s.node.name", t->by->node);
	return json_pack("{s:o}", "attributes", listed(all));
}

/* The list of a group's spans. `groups` has them by who has made them. */
static json_t *group_of(json_t *groups, json_t *resources, const struct telling *t)
{
	char key[TEXT_MAX];
	json_t *spans;

	snprintf(key, sizeof(key), "%s\n%s\n%s", t->by->name ?: "", t->by->pod ?: "",
		 t->by->node ?: "");
	spans = json_object_get(groups, key);
	if (spans)
		return spans;
	spans = json_array();
	json_object_set(groups, key, spans);
	json_array_append_new(resources,
			      json_pack("{s:o, s:[{s:{s:s, s:s}, s:o}]}", "resource",
					resource_of(t), "scopeSpans", "scope", "name", "weft",
					"version", WEFT_VERSION, "spans", spans));
	return spans;
}

static void add(json_t *groups, json_t *resources, const struct otlp_line *l, bool server)
{
	struct telling t = { .line = l->line,
			     .span = json_object_get(l->line, server ? "server" : "client"),
			     .server = server,
			     .by = server ? &l->server : &l->client };

	if (!t.span)
		return;
	t.gateway = !server && json_get_int(l->line, "gateway", 0);
	peer_parse(t.by->name, &t.peer);
	json_array_append_new(group_of(groups, resources, &t), span_json(&t));
}

char *otlp_write(const struct otlp_line *lines, size_t count)
{
	_cleanup_json_ json_t *groups = json_object(), *resources = json_array(), *all = NULL;

	for (size_t i = 0; i < count; i++) {
		add(groups, resources, &lines[i], false);
		add(groups, resources, &lines[i], true);
	}
	all = json_pack("{s:O}", "resourceSpans", resources);
	return all ? json_dumps(all, JSON_COMPACT) : NULL;
}
