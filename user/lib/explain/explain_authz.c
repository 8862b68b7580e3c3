// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/explain_authz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/mesh/mesh.h"
#include "lib/route/path.h"

enum { ADDR_BITS = 128, PATH_ROOM = 4096 };

/* ---- who is known ---- */

static bool is_in_mesh(const struct explain_authz *x, const struct object *pod)
{
	return pod_has_address(pod) &&
	       enrol_pod(x->enrol, pod, enrol_home(x->objects, pod->meta.namespace)).in;
}

static bool is_here(const struct explain_authz *x, const struct object *pod)
{
	return !x->objects->node || str_eq(pod->pod.node_name, x->objects->node);
}

int explain_authz_init(struct explain_authz *x, const struct objects *objects,
		       enum enrol_mode enrol, const struct explain_client *client)
{
	int r;

	*x = (struct explain_authz){ .objects = objects, .client = client, .enrol = enrol };
	r = authz_rows_make(&x->rows, (const struct object *const *)objects->items, objects->count,
			    ROOT_NAMESPACE);
	for (size_t i = 0; i < objects->count && x->rows.objects.count && !r; i++)
		if (objects->items[i]->kind == KIND_POD && is_in_mesh(x, objects->items[i]))
			r = explain_add_pod(&x->pods, &x->pool, objects->items[i]);
	return r;
}

void explain_authz_free(struct explain_authz *x)
{
	authz_rows_free(&x->rows);
	bytemap_free(&x->pods);
	pool_free(x->pool);
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

/* As weft-proxy asks: a path that means another one is to be allowed as both. The path's bytes are
 * our own. */
static struct authz_verdict judge(const struct authz_view *view, __u32 set,
				  struct authz_question *q)
{
	struct authz_verdict v = authz_judge(view, set, q);

	if (!v.allowed || !q->http)
		return v;
	q->path.len = http_path_normalize((char *)q->path.at, q->path.len);
	return authz_judge(view, set, q);
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

/* "AuthorizationPolicy foo/deny (f.yaml:3:1) denies it to foo/sleep by spec.rules[0]" */
static const char *sentence(struct explain_authz *x, const struct authz_verdict *v,
			    const struct object *pod, unsigned port, bool http)
{
	_cleanup_free_ char *out = NULL;
	char at[PLACE_MAX];
	size_t size;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	if (v->policy == AUTHZ_NONE) {
		fprintf(f, "no AuthorizationPolicy of %s/%s allows ", pod->meta.namespace,
			pod->meta.name);
		write_client(f, x->client);
	} else {
		const struct object *o = x->rows.objects.items[v->policy];

		fprintf(f, "AuthorizationPolicy %s/%s (%s%s) denies ", o->meta.namespace,
			o->meta.name, place_text(at, sizeof(at), o->file, o->pos),
			o->stands_in ? ", which can't be read" : "");
		write_client(f, x->client);
	}
	fprintf(f, " port %u", port);
	if (v->policy != AUTHZ_NONE)
		fprintf(f, " by spec.rules[%u]", v->rule);
	if (!http)
		fputs(", as a connection", f);
	if (!is_here(x, pod))
		fputs(", on the node of the pod, where the caller has no identity", f);
	return fclose(f) ? NULL : pool_copy(&x->pool, out, strlen(out));
}

/* On another node it is a call from elsewhere. */
static int fill(struct explain_authz *x, const struct explain_authz_request *r, bool here,
		struct authz_question *q)
{
	if (!address_of(x->client, &q->destination, &q->source)) {
		q->source = q->destination; /* of that family, and no more is known of it */
		q->wide = addr_is_v4(&q->destination) ? 32 : ADDR_BITS;
	}
	q->remote = q->source;
	if (here)
		identify(x, q);
	return r->request ? add_request(x, r, q) : 0;
}

int explain_authz_ask(struct explain_authz *x, const struct explain_authz_request *r,
		      const struct addr *endpoint, unsigned port, const char **why)
{
	const struct object *pod = bytemap_get(&x->pods, endpoint, sizeof(*endpoint));
	struct authz_question q = { .destination = *endpoint, .port = port };
	struct authz_verdict v;
	struct authz_view view;
	__u32 set = 0;
	int e;

	*why = NULL;
	if (!pod)
		return 0;
	e = authz_rows_select(&x->rows, pod->meta.namespace,
			      pod->pod.labels_unknown ? NULL : &pod->meta.labels, &set);
	if (!e && set)
		e = fill(x, r, is_here(x, pod), &q);
	if (e || !set)
		return e;
	view = authz_rows_view(&x->rows);
	v = judge(&view, set, &q);
	if (v.allowed)
		return 0;
	*why = sentence(x, &v, pod, port, q.http);
	return *why ? 0 : -ENOMEM;
}
