// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/tls_clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "proxy/route/tls_digest.h"
#include "proxy/route/tls_kept.h"

enum {
	BUNDLE = 32 * 1024, /* bytes from which on authorities are worth sharing */
	CLIENTS_MAX = 1024, /* beyond that the one that was made first is forgotten */
};

/* What a client is made for: a row of a snapshot, or mutual TLS as a workload. */
struct purpose {
	const struct http_snapshot *s;
	const struct hs_client_tls *row; /* NULL: `identity` */
	struct http_span identity;
};

/* A client that has been made, or why not. */
struct made_client {
	struct made_client *next;
	uint64_t round;		   /* of the credentials that it was last compared with */
	struct tls_client *client; /* NULL: `error` */
	int error;
	unsigned char pem[TLS_DIGEST]; /* what it was made of */
	size_t len;
	char key[]; /* all that its purpose says of it */
};

/* What it is made of: parts of credentials, each perhaps empty. */
static void free_made(struct made_client *m)
{
	tls_client_unref(m->client);
	free(m);
}

void tls_clients_forget_before(struct tls_clients *t, uint64_t round)
{
	tls_client_unref(t->bundle);
	t->bundle = NULL;
	for (struct made_client **at = &t->list; *at;) {
		struct made_client *m = *at;

		if (m->round >= round) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		tls_client_retire(m->client);
		free_made(m);
	}
}

/* ---- what it is made of ---- */

static const struct credential *find(const struct credentials *known, const struct http_snapshot *s,
				     struct hs_str name)
{
	return known && name.len ? credentials_find(known, hs_text(s, name), name.len) : NULL;
}

/* A credential's own CA comes before the one that stands in for it. Why it can't be; NULL: it can.
 */
static const char *find_row_parts(const struct credentials *known, const struct http_snapshot *s,
				  const struct hs_client_tls *row, struct credential *out)
{
	const struct credential *own = find(known, s, row->credential);
	const struct credential *ca = find(known, s, row->ca);

	if (row->mode != HS_TLS_SIMPLE && row->mode != HS_TLS_MUTUAL)
		return "it hangs on the endpoint";
	if (row->credential.len && !own)
		return "there is no such credential";
	if (row->mode == HS_TLS_MUTUAL) {
		if (!own || !own->chain.len || !own->key.len)
			return "it has no certificate and key";
		out->chain = own->chain;
		out->key = own->key;
	}
	if (!row->ca.len)
		return NULL;
	if (own && own->ca.len)
		ca = own;
	if (!ca || !ca->ca.len)
		return "there are no certificates of the servers' authorities";
	out->ca = ca->ca;
	if (own)
		out->crl = own->crl;
	return NULL;
}

/* A workload's has all of it. */
static const char *find_identity_parts(const struct credentials *known, struct http_span identity,
				       struct credential *out)
{
	const struct credential *own = known ? credentials_find(known, identity.at, identity.len)
					     : NULL;

	if (!own || tls_lacks_certificate(own))
		return "it has no certificate yet";
	if (!own->chain.len || !own->key.len || !own->ca.len)
		return "it lacks a certificate, its key or the roots";
	out->chain = own->chain;
	out->key = own->key;
	out->ca = own->ca;
	return NULL;
}

static const char *find_parts(const struct credentials *known, const struct purpose *p,
			      struct credential *out)
{
	return p->row ? find_row_parts(known, p->s, p->row, out)
		      : find_identity_parts(known, p->identity, out);
}

/* ---- making one ---- */

static struct tls_text pem(struct credential_text t)
{
	return (struct tls_text){ t.at, t.len };
}

static struct http_span name_of(const struct purpose *p)
{
	if (!p->row)
		return p->identity;
	return hs_span(p->s, p->row->credential.len ? p->row->credential : p->row->ca);
}

static void complain(const struct purpose *p, const char *what, const char *why)
{
	struct http_span name = name_of(p);

	log_err(0, "TLS to endpoints fails: %.*s: %s%s", (int)name.len, name.at, what, why);
}

/* The client that was made of the same large bundle; NULL: none, or it is no such. */
static struct tls_client *bundle_of(const struct tls_clients *t, const struct credential *p,
				    unsigned char ca[TLS_DIGEST])
{
	const struct credential only = { .ca = p->ca };

	if (p->ca.len < BUNDLE || !tls_digest(&only, ca) || !t->bundle)
		return NULL;
	return memcmp(ca, t->bundle_pem, TLS_DIGEST) != 0 ? NULL : t->bundle;
}

static void keep_bundle(struct tls_clients *t, const struct credential *p, struct tls_client *made,
			const unsigned char ca[TLS_DIGEST])
{
	if (p->ca.len < BUNDLE || p->crl.len)
		return;
	tls_client_unref(t->bundle);
	t->bundle = tls_client_ref(made);
	memcpy(t->bundle_pem, ca, TLS_DIGEST);
}

/* malloc'd; NULL: no memory. A workload's client has none. */
static struct tls_text *alt_names(const struct purpose *p, size_t *count)
{
	const struct hs_range none = { 0 }, *range = p->row ? &p->row->alt_names : &none;
	struct tls_text *names = calloc(range->count + 1, sizeof(*names));

	*count = range->count;
	for (uint32_t i = 0; names && i < range->count; i++) {
		struct hs_str text = hs_text_row(p->s, range->first + i)->text;

		names[i] = (struct tls_text){ hs_text(p->s, text), text.len };
	}
	return names;
}

static int make(struct tls_clients *t, const struct purpose *purpose, const struct credential *p,
		struct tls_client **out)
{
	unsigned char ca[TLS_DIGEST] = { 0 };
	size_t count;
	_cleanup_free_ struct tls_text *names = alt_names(purpose, &count);
	struct tls_client_settings settings = {
		.chain = pem(p->chain),
		.key = pem(p->key),
		.ca = pem(p->ca),
		.crl = pem(p->crl),
		.like = bundle_of(t, p, ca),
		.alt_names = { names, count },
		.mutual = !purpose->row,
	};
	const char *why = "";
	int r;

	if (!names)
		return -ENOMEM;
	r = tls_client_new(&settings, out, &why);
	if (!r && !settings.like)
		keep_bundle(t, p, *out, ca);
	if (r == -EINVAL)
		complain(purpose, "OpenSSL does not take ", why);
	return r;
}

static int renew(struct tls_clients *t, struct made_client *m, const struct credentials *known,
		 uint64_t round, const struct purpose *p)
{
	struct credential parts = { 0 };
	const char *lacks = find_parts(known, p, &parts);
	struct tls_client *client = NULL;
	unsigned char now[TLS_DIGEST] = { 0 };
	int r = 0;

	if (!tls_digest(&parts, now))
		return -ENOMEM;
	if (!lacks && m->client && !memcmp(now, m->pem, sizeof(now))) {
		m->round = round;
		return 0;
	}
	if (lacks)
		complain(p, lacks, "");
	r = lacks ? -ENOKEY : make(t, p, &parts, &client);
	if (r == -ENOMEM)
		return r;
	tls_client_retire(m->client);
	tls_client_unref(m->client);
	m->client = client;
	m->error = r;
	m->round = round;
	memcpy(m->pem, now, sizeof(now));
	return r;
}

/* ---- those that have been made ---- */

static char *put(char *at, const void *bytes, size_t n)
{
	return n ? mempcpy(at, bytes, n) : at;
}

/* Each with its length, so that no two clients have the same key. */
static char *put_text(char *at, const struct http_snapshot *s, struct hs_str str)
{
	return put(put(at, &str.len, sizeof(str.len)), hs_text(s, str), str.len);
}

/* A new one, with its key. NULL: no memory. A session is never taken from a connection whose server
 * was not asked to have the name to one where it is: `check_host` counts. */
static struct made_client *made_of_row(const struct http_snapshot *s,
				       const struct hs_client_tls *row)
{
	size_t n = 5 * sizeof(uint32_t) + row->credential.len + row->ca.len;
	struct made_client *m;
	char *at;

	for (uint32_t i = 0; i < row->alt_names.count; i++)
		n += sizeof(uint32_t) + hs_text_row(s, row->alt_names.first + i)->text.len;
	m = calloc(1, sizeof(*m) + n);
	if (!m)
		return NULL;
	m->len = n;
	at = put(m->key, &row->mode, sizeof(row->mode));
	at = put(at, &row->check_host, sizeof(row->check_host));
	at = put_text(at, s, row->credential);
	at = put_text(at, s, row->ca);
	at = put(at, &row->alt_names.count, sizeof(row->alt_names.count));
	for (uint32_t i = 0; i < row->alt_names.count; i++)
		at = put_text(at, s, hs_text_row(s, row->alt_names.first + i)->text);
	return m;
}

/* No row has that mode and a credential. */
static struct made_client *made_of_identity(struct http_span identity)
{
	static const uint32_t mode = HS_TLS_ISTIO_MUTUAL;
	struct made_client *m = calloc(1, sizeof(*m) + sizeof(mode) + identity.len);

	if (!m)
		return NULL;
	m->len = sizeof(mode) + identity.len;
	put(put(m->key, &mode, sizeof(mode)), identity.at, identity.len);
	return m;
}

static struct made_client *made_new(const struct purpose *p)
{
	return p->row ? made_of_row(p->s, p->row) : made_of_identity(p->identity);
}

/* Snapshots come and go without new credentials: what is left of former ones has an end. Who has
 * such a client keeps it. */
static void forget_first(struct tls_clients *t)
{
	struct made_client **at = &t->list;

	while (*at && (*at)->next)
		at = &(*at)->next;
	if (*at)
		free_made(*at);
	*at = NULL;
}

/* The one with the key of `like`, which is freed or becomes it. */
static struct made_client *find_made(struct tls_clients *t, struct made_client *like)
{
	size_t count = 0;

	for (struct made_client *m = t->list; m; m = m->next, count++)
		if (m->len == like->len && !memcmp(m->key, like->key, m->len)) {
			free(like);
			return m;
		}
	if (count >= CLIENTS_MAX)
		forget_first(t);
	like->next = t->list;
	t->list = like;
	return like;
}

static int get(struct tls_clients *t, const struct credentials *known, uint64_t round,
	       const struct purpose *p, struct tls_client **out)
{
	struct made_client *m = made_new(p);
	int r;

	if (!m)
		return -ENOMEM;
	m = find_made(t, m);
	/* A new one has neither. */
	if (m->round != round || (!m->client && !m->error))
		r = renew(t, m, known, round, p);
	else
		r = m->error;
	if (!r)
		*out = tls_client_ref(m->client);
	return r;
}

int tls_clients_get(struct tls_clients *t, const struct credentials *known, uint64_t round,
		    const struct http_snapshot *s, const struct hs_client_tls *row,
		    struct tls_client **out)
{
	const struct purpose p = { .s = s, .row = row };

	return get(t, known, round, &p, out);
}

int tls_clients_get_identity(struct tls_clients *t, const struct credentials *known, uint64_t round,
			     struct http_span identity, struct tls_client **out)
{
	const struct purpose p = { .identity = identity };

	return get(t, known, round, &p, out);
}
