// SPDX-License-Identifier: Apache-2.0
#include "lib/base/json_io.h"
#include "lib/explain/explain_http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/explain/decide_user.h"
#include "lib/explain/explain_authz.h"
#include "lib/explain/explain_target.h"
#include "lib/route/fields.h"
#include "lib/route/path.h"

void explain_skip(struct http_answer *a, const struct hs_place *place, const char *why)
{
	const struct http_snapshot *s = a->s;
	json_t *rule = json_sprintf("%s %s/%s %s", hs_text(s, place->kind), hs_text(s, place->ns),
				    hs_text(s, place->name), hs_text(s, place->route));

	json_array_append_new(a->skipped, json_pack("{s:o, s:s}", "rule", rule, "why", why));
}

static void skip(void *arg, const struct hs_place *place, const char *why)
{
	explain_skip(arg, place, why);
}

/* ---- the request ---- */

struct words {
	struct http_field *fields;
	char *authority, *path;
};

static void words_free(struct words *mesh)
{
	free(mesh->fields);
	free(mesh->authority);
	free(mesh->path);
}

static bool is_default_port(struct http_span scheme, unsigned port)
{
	return port == (http_span_folds(scheme, http_span("https")) ? 443 : 80);
}

/* What a client would put there: the port is left out where it goes without saying. */
static char *default_authority(const struct explain_query *q, struct http_span scheme)
{
	const char *host = q->host ? q->host : q->address ? q->address : "";
	const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
	char *text = NULL;
	int n;

	if (is_default_port(scheme, q->port))
		n = asprintf(&text, "%s%s%s", open, host, close);
	else
		n = asprintf(&text, "%s%s%s:%u", open, host, close, q->port);
	return n < 0 ? NULL : text;
}

static bool is_authority(struct http_span name)
{
	return http_span_folds(name, http_span("host")) ||
	       http_span_folds(name, http_span(":authority"));
}

static int parse_headers(const struct explain_request *from, bool gateway, struct words *mesh,
			 struct http_request *out, struct errors *errors)
{
	mesh->fields = calloc(from->header_count + 1, sizeof(*mesh->fields));
	if (!mesh->fields)
		return -ENOMEM;
	for (size_t i = 0; i < from->header_count; i++) {
		const char *word = from->headers[i], *equals = strchr(word + !!*word, '=');
		struct http_field f;

		if (!equals) {
			errors_add(errors, "explain", (struct pos){ 0 },
				   "expected a header as NAME=VALUE, not \"%s\"", word);
			return -EINVAL;
		}
		f.name = (struct http_span){ word, equals - word };
		f.value = http_span(equals + 1);
		if (is_authority(f.name))
			out->authority = f.value;
		else if (!http_field_is_forged(f.name, gateway))
			mesh->fields[out->field_count++] = f;
	}
	out->fields = mesh->fields;
	return 0;
}

static int make_request(const struct explain_query *q, const struct explain_request *from, bool tls,
			struct words *mesh, struct http_request *out, struct errors *errors)
{
	*out = (struct http_request){
		.method = http_span(from->method ? from->method : "GET"),
		.scheme = http_span(from->scheme ? from->scheme
				    : tls	 ? "https"
						 : "http"),
	};
	mesh->authority = default_authority(q, out->scheme);
	mesh->path = strdup(from->path && *from->path ? from->path : "/");
	if (!mesh->authority || !mesh->path)
		return -ENOMEM;
	out->authority = http_span(mesh->authority);
	/* The part behind a '#' is the client's own: it is not sent. */
	out->path.at = mesh->path;
	out->path.len = http_path_normalize(mesh->path, strcspn(mesh->path, "#"));
	return parse_headers(from, q->gateway, mesh, out, errors);
}

/* ---- client and listener ---- */

static bool gateway_exists(const struct objects *objects, const struct explain_query *q)
{
	const char *ns = q->gateway_namespace ? q->gateway_namespace : "default";

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_GATEWAY && str_eq(o->meta.name, q->gateway) &&
		    str_eq(o->meta.namespace, ns))
			return true;
	}
	return false;
}

static const struct hs_listener *of_node(const struct hs_listener *l)
{
	return l && l->scope == SCOPE_NODE ? l : NULL;
}

/* A Service that stands for a Gateway leads to the Gateway's listener. */
static const struct hs_listener *find_door(const struct http_snapshot *s, const struct tables *t,
					   const struct objects *objects,
					   const struct explain_query *q,
					   const struct explain_client *client)
{
	struct explain_target to = { 0 };
	struct errors ignored = { 0 };
	int r = explain_find_target(t, objects, q, client, &to, &ignored);

	errors_free(&ignored);
	return !r && to.entry ? of_node(http_listener_at(s, &to.entry->key.addr, q->port, false))
			      : NULL;
}

/* Whether the Service's source ranges let the client call the address. */
static bool is_heard(const struct tables *t, const struct objects *objects,
		     const struct explain_query *q, const struct explain_client *client)
{
	struct decide_context context = { .given = true };
	struct explain_target to = { 0 };
	struct errors ignored = { 0 };
	struct question question = { 0 };
	struct verdict v;
	int r = explain_find_target(t, objects, q, client, &to, &ignored);

	errors_free(&ignored);
	if (r || !to.entry || !to.entry->value.admit_count)
		return true;
	question.dst = to.entry->key.addr;
	question.port = to.entry->key.port;
	question.scope = to.entry->key.scope;
	question.client = explain_client_addr(t, client, &question.dst);
	decide_tables(t, &context, &question, &v);
	return v.reason != REASON_SOURCE_RANGE;
}

/* What the ConnectionPolicy has to say. 1: it drops the connection; 0; -ENOMEM. */
static int first_line(const struct tables *t, const struct objects *objects,
		      const struct explain_query *q, const struct explain_client *client,
		      char **why)
{
	struct explain_target to = { 0 };
	struct errors ignored = { 0 };
	bool dropped = false;
	int r = explain_find_target(t, objects, q, client, &to, &ignored);

	errors_free(&ignored);
	r = r ? 0 : explain_protected(t, objects, q, client, &to, &dropped, why);
	return r ? r : dropped;
}

/* By the address that is called, by a NodePort or the listener's own port, or by any that leads
 * there. */
static const struct hs_listener *gateway_listener(const struct http_snapshot *s,
						  const struct explain_query *q)
{
	static const struct addr any;
	const char *host = q->address ? q->address : q->host;
	const struct hs_listener *l = NULL;
	struct addr addr;

	if (host && !addr_parse(host, &addr))
		l = of_node(http_listener_at(s, &addr, q->port, false));
	if (!l)
		l = of_node(http_listener_at(s, &any, q->port, true));
	for (__u32 i = 0; i < hs_count(s, HS_DOORS) && !l; i++)
		if (hs_door(s, i)->port == q->port)
			l = of_node(http_listener_at(s, &hs_door(s, i)->addr, q->port, false));
	return l;
}

/* The listener that a request to `q` comes to, or NULL. */
static const struct hs_listener *
find_listener(const struct http_snapshot *s, const struct tables *t, const struct objects *objects,
	      const struct explain_query *q, const struct explain_client *client,
	      const struct http_source *source)
{
	const struct hs_listener *l;
	const char *host = q->host ? q->host : q->address;
	char called[HOST_MAX];

	if (q->gateway)
		return gateway_listener(s, q);
	l = find_door(s, t, objects, q, client);
	if (!l && q->source)
		return NULL;
	if (!l)
		l = http_listener(s, SCOPE_MESH, q->port);
	if (!l || !host || l->scope == SCOPE_NODE)
		return l;
	snprintf(called, sizeof(called), strchr(host, ':') ? "[%s]" : "%s", host);
	return http_host_is_here(s, l, NULL, source, http_span(called)) ? l : NULL;
}

/* A browser asks for the name that it then puts into Host. */
static int find_server(const struct http_snapshot *s, const struct hs_listener *l,
		       const struct explain_query *q, struct http_answer *a, struct errors *errors)
{
	struct http_span sni = q->sni ? http_span(q->sni) : a->request.authority;

	a->server = http_server_for(s, l, NULL, sni);
	if (a->server)
		return 0;
	errors_add(errors, "explain", (struct pos){ 0 },
		   "no server of TLS at port %u has \"%.*s\": the handshake fails "
		   "(unrecognized_name)",
		   l->port, (int)sni.len, sni.at);
	return -ENOENT;
}

/* Clients ask for no address. */
static const char *asked_name(const struct explain_query *q)
{
	struct addr addr;

	if (q->sni)
		return q->sni;
	return q->host && addr_parse(q->host, &addr) ? q->host : "";
}

/* The row of a service whose connections are told apart by their SNI, or NULL. */
static const struct hs_address *find_address(const struct http_snapshot *s, const struct tables *t,
					     const struct objects *objects,
					     const struct explain_query *q,
					     const struct explain_client *client)
{
	struct explain_target to = { 0 };
	struct errors ignored = { 0 };
	const struct hs_address *row = NULL;

	if (!q->gateway && client->enrolment.in &&
	    !explain_find_target(t, objects, q, client, &to, &ignored) && to.entry)
		row = http_address_at(s, &to.entry->key.addr, q->port);
	errors_free(&ignored);
	return row && http_address_has_sni(row) ? row : NULL;
}

static int answer(const struct http_snapshot *s, const struct explain_query *q,
		  const struct explain_request *request, const struct hs_listener *l,
		  const struct http_source *source, struct http_answer *a, json_t **out,
		  struct errors *errors)
{
	_cleanup_(words_free) struct words words = { 0 };
	struct http_trace trace = { .skip = skip, .arg = a };
	struct http_turns turns = { 0 };
	int r = make_request(q, request, l->tls, &words, &a->request, errors);

	if (r)
		return r;
	if (l->tls) {
		r = find_server(s, l, q, a, errors);
		if (r)
			return r;
	}
	if (a->server && a->server->kind != HS_SERVER_HTTP) {
		a->sni = asked_name(q);
		*out = explain_sni_json(a, NULL);
		return *out ? 0 : -ENOMEM;
	}
	http_route(s, l, a->server, l->scope == SCOPE_NODE ? NULL : source, &a->request, &turns,
		   &a->decision, &trace);
	*out = explain_http_json(a);
	return *out ? 0 : -ENOMEM;
}

int explain_http(const struct http_snapshot *s, const struct tables *t,
		 const struct objects *objects, const struct explain_query *q,
		 const struct explain_request *request, const struct explain_live *live,
		 json_t **out, struct errors *errors)
{
	json_auto_t *skipped = json_array();
	_cleanup_(explain_policies_free) struct explain_policies policies = { 0 };
	_cleanup_(explain_authz_free) struct explain_authz authz = { 0 };
	struct mesh mesh = { 0 };
	struct errors ignored = { 0 };
	struct http_answer a = { .s = s,
				 .skipped = skipped,
				 .live = live,
				 .mesh = &mesh,
				 .policies = &policies,
				 .authz = &authz };
	struct explain_client client = { 0 };
	const char *host = q->address ? q->address : q->host;
	struct http_source source;
	const struct hs_address *row;
	const struct hs_listener *l;
	_cleanup_free_ char *protection = NULL;
	struct addr called;
	int r = explain_find_client(t, objects, q, &client, errors);

	if (r)
		return r;
	http_source_given(s, client.namespace ? client.namespace : "", client.labels, &source);
	l = find_listener(s, t, objects, q, &client, &source);
	if (l && client.namespace && !client.enrolment.in && l->scope != SCOPE_NODE)
		l = NULL; /* rules of HTTP are no more for it than others */
	row = l && l->scope == SCOPE_NODE ? NULL : find_address(s, t, objects, q, &client);
	if ((!l && !row) || (q->gateway && !gateway_exists(objects, q)) ||
	    !is_heard(t, objects, q, &client))
		return -EPROTONOSUPPORT;
	r = first_line(t, objects, q, &client, &protection);
	if (r)
		return r < 0 ? r : -EPROTONOSUPPORT;
	a.at_gateway = q->gateway || (l && l->scope == SCOPE_NODE);
	a.client = q->gateway_namespace ? q->gateway_namespace : client.namespace;
	if (host && !addr_parse(host, &called))
		a.called = &called;
	r = mesh_init(&mesh, objects, NULL, &ignored);
	if (!r)
		r = explain_policies_init(&policies, objects, &client);
	if (!r)
		r = explain_authz_init(&authz, objects, q->enrol, &client);
	a.sni = row ? asked_name(q) : NULL;
	if (!r)
		r = row ? explain_sni_at(&a, row, &source, out)
			: answer(s, q, request, l, &source, &a, out, errors);
	if (!r && authz.audits.count &&
	    json_object_set_new(*out, "audit_policies",
				json_texts(authz.audits.items, authz.audits.count)))
		r = -ENOMEM;
	if (!r && protection &&
	    json_object_set_new(*out, "connection_policy", json_text(protection)))
		r = -ENOMEM;
	mesh_done(&mesh);
	errors_free(&ignored);
	return r;
}
