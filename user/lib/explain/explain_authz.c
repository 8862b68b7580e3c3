// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/explain_authz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/mesh/mesh.h"
#include "lib/model/kinds.h"
#include "lib/route/path.h"
#include "lib/route/workload.h"

enum { ADDR_BITS = 128, PATH_ROOM = 4096 };

/* ---- who is known ---- */

static bool is_in_mesh(const struct explain_authz *x, const struct object *pod)
{
	return pod_has_address(pod) &&
	       enrol_pod(x->enrol, pod, enrol_home(x->objects, pod->meta.namespace)).in;
}

static bool is_here(const struct explain_authz *x, const struct object *pod)
{
	return pod_is_on(pod, x->objects->node);
}

static int add_peers(struct explain_authz *x)
{
	int r = 0;

	for (size_t i = 0; i < x->objects->count && !r; i++)
		r = peers_add(&x->pool, &x->peers, x->objects->items[i]);
	return r ? r : peers_settle(&x->peers);
}

int explain_authz_init(struct explain_authz *x, const struct objects *objects,
		       enum enrol_mode enrol, const struct explain_client *client)
{
	bool any;
	int r;

	*x = (struct explain_authz){ .objects = objects, .client = client, .enrol = enrol };
	r = authz_rows_make(&x->rows, (const struct object *const *)objects->items, objects->count,
			    ROOT_NAMESPACE);
	if (!r)
		r = add_peers(x);
	any = x->rows.objects.count || x->peers.strict;
	for (size_t i = 0; i < objects->count && any && !r; i++)
		if (objects->items[i]->kind == KIND_POD && is_in_mesh(x, objects->items[i]))
			r = explain_add_pod(&x->pods, &x->pool, objects->items[i]);
	return r;
}

void explain_authz_free(struct explain_authz *x)
{
	authz_rows_free(&x->rows);
	peers_free(&x->peers);
	bytemap_free(&x->pods);
	pool_free(x->pool);
	free(x->audits.items);
	*x = (struct explain_authz){ 0 };
}

/* ---- the question ---- */

/* That one of its addresses that it calls the endpoint from; false: it is not known. */
static bool address_of(const struct explain_client *c, const struct addr *endpoint,
		       struct addr *out)
{
	static const struct addr none;

	for (size_t i = 0; c->pod && i < c->pod->pod.ips.count; i++)
		if (!addr_parse(c->pod->pod.ips.items[i], out) &&
		    addr_is_v4(out) == addr_is_v4(endpoint))
			return true;
	*out = c->from;
	return memcmp(out, &none, sizeof(none));
}

static void identify_gateway(struct authz_question *q)
{
	q->ns = (struct authz_text){ GATEWAY_NAMESPACE, strlen(GATEWAY_NAMESPACE) };
	q->account = (struct authz_text){ GATEWAY_ACCOUNT, strlen(GATEWAY_ACCOUNT) };
}

/* Who calls from the same node is known; of labels alone nothing more than the namespace is. */
static void identify(const struct explain_authz *x, struct authz_question *q)
{
	const struct explain_client *c = x->client;
	const char *account = c->pod ? c->pod->pod.service_account : NULL;

	if (!c->namespace || !c->enrolment.in || (c->pod && !is_here(x, c->pod)))
		return;
	if (!account || !*account)
		account = "default";
	q->ns = (struct authz_text){ c->namespace, strlen(c->namespace) };
	q->account = (struct authz_text){ account, strlen(account) };
}

static struct authz_text text(struct http_span s)
{
	return (struct authz_text){ s.at ? s.at : "", s.len };
}

/* The last that rules do to it, else what the request has. */
static bool read_header(void *arg, struct authz_text name, struct authz_text *out)
{
	const struct explain_authz_request *r = arg;
	const struct http_span want = { name.at, name.len };
	const struct http_field *f = http_find_field(r->request, want);
	bool found = f;

	if (http_span_is(want, http_span("host"))) {
		*out = text(r->decision->authority);
		return true;
	}
	if (f)
		*out = text(f->value);
	for (int i = 0; i < HTTP_OPS; i++)
		for (__u32 k = 0; k < r->decision->request[i].count; k++) {
			const struct hs_op *op = hs_op(r->s, r->decision->request[i].first + k);

			if (!http_span_folds(hs_span(r->s, op->name), want))
				continue;
			found = op->type != HS_OP_REMOVE;
			*out = text(hs_span(r->s, op->value));
		}
	return found;
}

static int add_request(struct explain_authz *x, const struct explain_authz_request *r,
		       struct authz_question *q)
{
	char *path = pool_alloc(&x->pool, PATH_ROOM);
	long n = path ? http_path(r->s, r->decision, r->request, path, PATH_ROOM) : -ENOMEM;
	size_t len = 0;

	if (n == -ENOSPC && r->request->path.len <= PATH_ROOM) {
		n = (long)r->request->path.len;
		memcpy(path, r->request->path.at, r->request->path.len);
	}
	if (n < 0)
		return -ENOMEM;
	while (len < (size_t)n && path[len] != '?' && path[len] != '#')
		len++;
	q->http = true;
	q->method = text(r->request->method);
	q->host = text(r->decision->authority);
	q->path = (struct authz_text){ path, len };
	q->header = read_header;
	q->arg = (void *)r;
	return 0;
}

/* ---- the answer ---- */

static void write_client(FILE *f, const struct explain_client *c)
{
	if (c->pod)
		fprintf(f, "%s/%s", c->pod->meta.namespace, c->pod->meta.name);
	else if (c->namespace)
		fprintf(f, "such a client of namespace %s", c->namespace);
	else
		fputs("a caller from outside", f);
}

static void write_policy(FILE *f, const struct object *o)
{
	char at[PLACE_MAX];

	fprintf(f, "%s %s/%s (%s%s)", kind_name(o->kind), o->meta.namespace, o->meta.name,
		place_text(at, sizeof(at), o->file, o->pos),
		o->stands_in ? ", which can't be read" : "");
}

/* "PeerAuthentication foo/default (f.yaml:3:1) is STRICT, and a caller from outside speaks no
 * mutual TLS to port 80" */
static void write_plaintext(FILE *f, const struct explain_authz *x, const struct object *by,
			    unsigned port)
{
	write_policy(f, by);
	fputs(" is STRICT, and ", f);
	write_client(f, x->client);
	fprintf(f, " speaks no mutual TLS to port %u", port);
}

/* "AuthorizationPolicy foo/deny (f.yaml:3:1) denies it to foo/sleep by spec.rules[0]" */
static void write_denial(FILE *f, const struct explain_authz *x, const struct authz_verdict *v,
			 const struct object *pod, unsigned port)
{
	if (v->policy == AUTHZ_NONE) {
		fprintf(f, "no AuthorizationPolicy of %s/%s allows ", pod->meta.namespace,
			pod->meta.name);
	} else {
		write_policy(f, x->rows.objects.items[v->policy]);
		fputs(" denies ", f);
	}
	write_client(f, x->client);
	fprintf(f, " port %u", port);
	if (v->policy != AUTHZ_NONE)
		fprintf(f, " by spec.rules[%u]", v->rule);
}

static const char *sentence(struct explain_authz *x, const struct authz_verdict *v,
			    const struct object *pod, const struct authz_question *q)
{
	_cleanup_free_ char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	if (v->policy != AUTHZ_NONE && x->rows.policies.items[v->policy].plaintext) {
		write_plaintext(f, x, authz_rows_object(&x->rows, v->policy), q->port);
	} else {
		write_denial(f, x, v, pod, q->port);
		if (!q->http)
			fputs(", as a connection", f);
	}
	if (!is_here(x, pod) && !q->ns.len)
		fputs(", on the node of the pod, where the caller has no identity", f);
	return fclose(f) ? NULL : pool_copy(&x->pool, out, strlen(out));
}

/* "AuthorizationPolicy foo/audit (f.yaml:3:1) audits foo/sleep at port 80 by spec.rules[0]" */
static const char *audit_sentence(struct explain_authz *x, const struct authz_audit *audit,
				  unsigned port)
{
	_cleanup_free_ char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	write_policy(f, x->rows.objects.items[audit->policy]);
	fputs(" audits ", f);
	write_client(f, x->client);
	fprintf(f, " at port %u by spec.rules[%u]", port, audit->rule);
	return fclose(f) ? NULL : pool_copy(&x->pool, out, strlen(out));
}

static int add_audit(struct explain_authz *x, const struct authz_audit *audit, unsigned port)
{
	const char *sentence = audit_sentence(x, audit, port), **slot;

	if (!sentence)
		return -ENOMEM;
	for (size_t i = 0; i < x->audits.count; i++)
		if (str_eq(x->audits.items[i], sentence))
			return 0;
	slot = table_push(&x->audits);
	if (!slot)
		return -ENOMEM;
	*slot = sentence;
	return 0;
}

static int add_audits(struct explain_authz *x, const struct authz_view *view, __u32 set,
		      const struct authz_question *q)
{
	struct authz_audit audit;
	__u32 at = 0;
	int r = 0;

	while (!r && authz_audit_next(view, set, q, &at, &audit))
		r = add_audit(x, &audit, q->port);
	return r;
}

/* As weft-proxy asks: a path that means another one is to be allowed as both, and audited as
 * either. The path's bytes are our own. 0 or -ENOMEM. */
static int judge(struct explain_authz *x, const struct authz_view *view, __u32 set,
		 struct authz_question *q, struct authz_verdict *out)
{
	int r;

	*out = authz_judge(view, set, q);
	r = authz_is_plaintext(view, out) ? 0 : add_audits(x, view, set, q);
	if (r || !out->allowed || !q->http)
		return r;
	q->path.len = http_path_normalize((char *)q->path.at, q->path.len);
	*out = authz_judge(view, set, q);
	return add_audits(x, view, set, q);
}

/* On another node it is a call from elsewhere, unless mutual TLS says whose it is. */
static int fill(struct explain_authz *x, const struct explain_authz_request *r, bool here,
		struct authz_question *q)
{
	if (!address_of(x->client, &q->destination, &q->source)) {
		q->source = q->destination; /* of that family, and no more is known of it */
		q->wide = addr_is_v4(&q->destination) ? 32 : ADDR_BITS;
	}
	q->remote = q->source;
	if (r->gateway && (here || r->mutual))
		identify_gateway(q);
	else if (here || r->mutual)
		identify(x, q);
	return r->request ? add_request(x, r, q) : 0;
}

int explain_authz_ask(struct explain_authz *x, const struct explain_authz_request *r,
		      const struct addr *endpoint, unsigned port, const char **why)
{
	const struct object *pod = bytemap_get(&x->pods, endpoint, sizeof(*endpoint));
	struct authz_question q = { .destination = *endpoint, .port = port };
	struct authz_strict strict;
	struct authz_verdict v;
	struct authz_view view;
	__u32 set = 0;
	int e;

	*why = NULL;
	if (!pod)
		return 0;
	strict = peers_strict(&x->peers, pod);
	e = authz_rows_select(&x->rows, pod->meta.namespace,
			      pod->pod.labels_unknown ? NULL : &pod->meta.labels, &strict, &set);
	if (!e && set)
		e = fill(x, r, is_here(x, pod), &q);
	if (e || !set)
		return e;
	view = authz_rows_view(&x->rows);
	e = judge(x, &view, set, &q, &v);
	if (e || v.allowed)
		return e;
	*why = sentence(x, &v, pod, &q);
	return *why ? 0 : -ENOMEM;
}
