// SPDX-License-Identifier: Apache-2.0
/*
 * The texts of a decision that have to be put together.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/model/model_http.h"
#include "lib/route/regex.h"
#include "lib/route/route.h"

struct text {
	char *at;
	size_t len, size;
};

static void put(struct text *t, struct http_span bytes)
{
	if (t->len <= t->size && bytes.len <= t->size - t->len)
		memcpy(t->at + t->len, bytes.at, bytes.len);
	t->len += bytes.len;
}

static long done(const struct text *t)
{
	return t->len <= t->size ? (long)t->len : -ENOSPC;
}

/* Path and query; the question mark goes with the query. */
static void split(struct http_span path, struct http_span *before, struct http_span *query)
{
	const char *mark = memchr(path.at, '?', path.len);

	*before = path;
	if (mark)
		before->len = mark - path.at;
	*query = (struct http_span){ path.at + before->len, path.len - before->len };
}

static struct http_span skip(struct http_span text, size_t n)
{
	n = n < text.len ? n : text.len;
	return (struct http_span){ text.at + n, text.len - n };
}

/* How much of the path the match speaks of: all of it, or a prefix; without a uri that is "/". */
static size_t matched(const struct http_snapshot *s, const struct http_decision *d,
		      struct http_span path)
{
	const struct hs_match *m =
		d->rule && d->rule->match != HS_NONE ? hs_match(s, d->rule->match) : NULL;

	switch (m ? m->uri.type : MATCH_NONE) {
	case MATCH_PREFIX:
		return m->uri.value.len;
	case MATCH_EXACT:
	case MATCH_REGEX:
		return path.len;
	default:
		return 1;
	}
}

long http_path(const struct http_snapshot *s, const struct http_decision *d,
	       const struct http_request *q, char *out, size_t size)
{
	const struct hs_action *a = d->route;
	struct text t = { .at = out, .size = size };
	struct http_span path, query;

	split(q->path, &path, &query);
	if (a && a->rewrite_regex != HS_NONE) {
		long n = http_regex_replace(s->regexes, a->rewrite_regex, path.at, path.len,
					    hs_text(s, a->rewrite), a->rewrite.len, out, size);

		if (n < 0)
			return n;
		t.len = n;
	} else if (a && a->rewrite.len) {
		put(&t, hs_span(s, a->rewrite));
		put(&t, skip(path, matched(s, d, path)));
	} else {
		put(&t, path);
	}
	put(&t, query);
	return done(&t);
}

/* Where the port begins, or the end. */
static size_t host_len(struct http_span authority)
{
	const char *colon = memrchr(authority.at, ':', authority.len);
	const char *bracket = memrchr(authority.at, ']', authority.len);

	return colon && (!bracket || colon > bracket) ? (size_t)(colon - authority.at)
						      : authority.len;
}

long http_shadow(const struct http_decision *d, char *out, size_t size)
{
	struct text t = { .at = out, .size = size };
	size_t len = host_len(d->authority);

	put(&t, (struct http_span){ d->authority.at, len });
	put(&t, http_span("-shadow"));
	put(&t, skip(d->authority, len));
	return done(&t);
}

static unsigned default_port(struct http_span scheme)
{
	if (http_span_folds(scheme, http_span("https")))
		return 443;
	return http_span_folds(scheme, http_span("http")) ? 80 : 0;
}

void http_location(const struct http_snapshot *s, const struct http_decision *d,
		   const struct http_request *q, struct http_location *out)
{
	const struct hs_action *a = d->route;
	size_t len = host_len(q->authority);
	struct http_span port = skip(q->authority, len);
	bool drop;

	out->scheme = !a ? http_span("https") : a->scheme.len ? hs_span(s, a->scheme) : q->scheme;
	out->port = a && a->port != default_port(out->scheme) ? a->port : 0;
	out->host = q->authority;
	if (a && a->host.len) {
		out->host = hs_span(s, a->host);
		return;
	}
	drop = out->port || (a && a->port && !a->port_derived);
	/* The default port of a scheme that is left behind would be wrong for the new one. */
	if (!http_span_folds(out->scheme, q->scheme))
		drop |= http_span_is(port, default_port(q->scheme) == 443 ? http_span(":443")
									  : http_span(":80"));
	if (drop)
		out->host.len = len;
}

long http_location_path(const struct http_snapshot *s, const struct http_decision *d,
			const struct http_request *q, char *out, size_t size)
{
	const struct hs_action *a = d->route;
	struct text t = { .at = out, .size = size };
	struct http_span path, query, with;

	split(q->path, &path, &query);
	if (!a || !a->path.len) {
		put(&t, q->path);
		return done(&t);
	}
	with = hs_span(s, a->path);
	put(&t, with);
	if (a->path_prefix)
		put(&t, skip(path, matched(s, d, path)));
	/* A query of the rule's own takes the place of the request's. */
	if (!memchr(with.at, '?', with.len))
		put(&t, query);
	return done(&t);
}

long http_location_text(const struct http_snapshot *s, const struct http_decision *d,
			const struct http_request *q, char *out, size_t size)
{
	struct text t = { .at = out, .size = size };
	struct http_location l;
	char port[16];
	long n;

	http_location(s, d, q, &l);
	put(&t, l.scheme);
	put(&t, http_span("://"));
	put(&t, l.host);
	if (l.port) {
		snprintf(port, sizeof(port), ":%u", l.port);
		put(&t, http_span(port));
	}
	if (t.len > size)
		return -ENOSPC;
	n = http_location_path(s, d, q, out + t.len, size - t.len);
	return n < 0 ? n : (long)t.len + n;
}

size_t http_cors_fields(const struct http_snapshot *s, const struct http_decision *d,
			struct http_field out[HTTP_CORS_FIELDS])
{
	const struct hs_cors *c = d->cors != HTTP_CORS_NONE ? hs_cors(s, d->route->cors) : NULL;
	bool preflight = d->cors == HTTP_CORS_PREFLIGHT;
	const struct {
		const char *name;
		struct http_span value;
	} fields[] = {
		{ "Access-Control-Allow-Origin", d->origin },
		{ "Access-Control-Allow-Credentials",
		  http_span(c && c->credentials ? "true" : "") },
		{ "Access-Control-Allow-Methods",
		  c && preflight ? hs_span(s, c->methods) : http_span("") },
		{ "Access-Control-Allow-Headers",
		  c && preflight ? hs_span(s, c->headers) : http_span("") },
		{ "Access-Control-Max-Age",
		  c && preflight ? hs_span(s, c->max_age) : http_span("") },
		{ "Access-Control-Expose-Headers",
		  c && !preflight ? hs_span(s, c->expose) : http_span("") },
	};
	size_t n = 0;

	for (size_t i = 0; c && i < HTTP_CORS_FIELDS; i++)
		if (fields[i].value.len)
			out[n++] =
				(struct http_field){ http_span(fields[i].name), fields[i].value };
	return n;
}
