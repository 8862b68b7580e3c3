// SPDX-License-Identifier: Apache-2.0
#include "daemon/engine/credential_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/pki/certificate.h"
#include "daemon/pki/certificate_files.h"
#include "daemon/pki/secret.h"
#include "lib/base/cleanup.h"
#include "lib/base/table.h"
#include "lib/model/client_tls.h"
#include "lib/model/remarks.h"
#include "lib/route/workload.h"
#include "lib/wire/credentials.h"

enum { SOON_DAYS = 14, DAY_S = 86400 };

#define SECRET_SCHEME "kubernetes://"
#define FILE_SCHEME "file://"

/* What a credential consists of, in one piece of memory that is cleared before it is freed. */
struct pem {
	struct credential c; /* its name is not part of it */
	size_t size;	     /* of `bytes` */
	char bytes[];
};

struct held {
	char *name;
	struct pem *now;  /* as it is; NULL: it is not there */
	struct pem *good; /* what the proxy gets, perhaps the same; NULL: nothing */
	const char *problem;
	char *missing;			/* owned, the problem where it is not there */
	struct certificate_facts facts; /* of `good` */
	bool wanted;
	bool client;  /* it is for TLS to endpoints */
	bool checked; /* `now` was looked at as one for that */
};

static bool is_of_system(const struct held *h)
{
	return !strcmp(h->name, CREDENTIAL_SYSTEM_CA);
}

static bool is_of_files(const struct held *h)
{
	return is_of_system(h) || !strncmp(h->name, FILE_SCHEME, strlen(FILE_SCHEME));
}

static bool is_of_identity(const struct held *h)
{
	return !strncmp(h->name, SPIFFE_SCHEME, strlen(SPIFFE_SCHEME));
}

struct credential_keeper {
	struct supervisor *proxy;
	const char *client_tls_dir;
	struct identities *identities; /* NULL: there are none */
	TABLE(struct held) list;
	void *given; /* what the proxy was given last; NULL: nothing */
	size_t given_size;
};

/* ---- memory ---- */

static void pem_free(struct pem *p)
{
	if (p)
		explicit_bzero(p->bytes, p->size);
	free(p);
}

static struct credential_text pem_put(struct pem *p, struct credential_text text)
{
	struct credential_text copy = { p->bytes + p->size, text.len };

	if (text.len)
		memcpy(p->bytes + p->size, text.at, text.len);
	p->size += text.len;
	return copy;
}

static struct pem *pem_new(const struct credential *c)
{
	struct pem *p = malloc(sizeof(*p) + c->chain.len + c->key.len + c->ca.len + c->crl.len);

	if (!p)
		return NULL;
	secret_dump_no_core();
	p->size = 0;
	p->c = (struct credential){ .chain = pem_put(p, c->chain) };
	p->c.key = pem_put(p, c->key);
	p->c.ca = pem_put(p, c->ca);
	p->c.crl = pem_put(p, c->crl);
	return p;
}

static bool same_text(struct credential_text a, struct credential_text b)
{
	return a.len == b.len && (!a.len || !memcmp(a.at, b.at, a.len));
}

static bool pem_is(const struct pem *p, const struct credential *c)
{
	return p && same_text(p->c.chain, c->chain) && same_text(p->c.key, c->key) &&
	       same_text(p->c.ca, c->ca) && same_text(p->c.crl, c->crl);
}

static void drop_good(struct held *h)
{
	if (h->good != h->now)
		pem_free(h->good);
	h->good = NULL;
	certificate_facts_free(&h->facts);
}

static void held_done(struct held *h)
{
	drop_good(h);
	pem_free(h->now);
	free(h->name);
	free(h->missing);
}

static void forget_given(struct credential_keeper *k)
{
	if (k->given)
		explicit_bzero(k->given, k->given_size);
	free(k->given);
	k->given = NULL;
	k->given_size = 0;
}

struct credential_keeper *credential_keeper_new(struct supervisor *proxy,
						const char *client_tls_dir,
						struct identities *identities)
{
	struct credential_keeper *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->proxy = proxy;
	k->client_tls_dir = client_tls_dir;
	k->identities = identities;
	return k;
}

void credential_keeper_free(struct credential_keeper *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->list.count; i++)
		held_done(&k->list.items[i]);
	free(k->list.items);
	forget_given(k);
	free(k);
}

/* ---- which are needed ---- */

static struct held *find(const struct credential_keeper *k, const char *name, size_t len)
{
	for (size_t i = 0; i < k->list.count; i++)
		if (strlen(k->list.items[i].name) == len &&
		    !memcmp(k->list.items[i].name, name, len))
			return &k->list.items[i];
	return NULL;
}

static int want(struct credential_keeper *k, const char *name, bool client)
{
	struct held *h = find(k, name, strlen(name));
	char *copy = h ? NULL : strdup(name);

	if (!h) {
		h = copy ? table_push(&k->list) : NULL;
		if (!h) {
			free(copy);
			return -ENOMEM;
		}
		*h = (struct held){ .name = copy };
	}
	h->wanted = true;
	h->client |= client;
	return 0;
}

static bool has_gateways(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_LISTENERS); i++)
		if (hs_listener(s, i)->scope == SCOPE_NODE)
			return true;
	return false;
}

/* Each pod of this node calls, and is called, with a certificate of its own. */
static int want_identities(struct credential_keeper *k, const struct http_snapshot *s)
{
	int r = 0;

	for (__u32 i = 0; i < hs_count(s, HS_WORKLOADS) && !r; i++)
		if (hs_workload(s, i)->here)
			r = want(k, hs_text(s, hs_workload(s, i)->identity), false);
	if (!r && http_uses_mutual(s) && has_gateways(s))
		r = want(k, GATEWAY_IDENTITY, false);
	return r;
}

static int want_all(struct credential_keeper *k, const struct http_snapshot *s)
{
	int r = s ? want_identities(k, s) : 0;

	for (__u32 i = 0; s && i < hs_count(s, HS_SERVERS) && !r; i++)
		if (hs_server(s, i)->kind != HS_SERVER_PASSTHROUGH)
			r = want(k, hs_text(s, hs_server(s, i)->credential), false);
	for (__u32 i = 0; s && i < hs_count(s, HS_CLIENT_TLS) && !r; i++) {
		const struct hs_client_tls *c = hs_client_tls(s, i);

		if (c->credential.len)
			r = want(k, hs_text(s, c->credential), true);
		if (c->ca.len && !r)
			r = want(k, hs_text(s, c->ca), true);
	}
	return r;
}

static void drop_unwanted(struct credential_keeper *k)
{
	size_t kept = 0;

	for (size_t i = 0; i < k->list.count; i++)
		if (k->list.items[i].wanted)
			k->list.items[kept++] = k->list.items[i];
		else
			held_done(&k->list.items[i]);
	k->list.count = kept;
}

/* Has certificates asked for of the identities that are needed. */
static int ask_for_identities(struct credential_keeper *k)
{
	_cleanup_free_ const char **names = calloc(k->list.count + 1, sizeof(*names));
	size_t count = 0;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < k->list.count; i++)
		if (is_of_identity(&k->list.items[i]))
			names[count++] = k->list.items[i].name;
	return k->identities ? identities_want(k->identities, names, count) : 0;
}

/* ---- what they are ---- */

/* `why` is taken over; NULL: out of memory. */
static void drop(struct held *h, char *why)
{
	drop_good(h);
	pem_free(h->now);
	h->now = NULL;
	free(h->missing);
	h->missing = why;
	h->problem = why ? why : "out of memory";
}

static void not_there(struct held *h, char *why)
{
	if (!h->missing || !why || strcmp(h->missing, why) != 0)
		log_warning("%s: %s", h->name, why ? why : "out of memory");
	drop(h, why);
}

/* For now, perhaps: files are replaced one by one, and what was read of them stays in use. */
static void not_readable(struct held *h, char *why)
{
	if (!h->good) {
		not_there(h, why);
		return;
	}
	if (!h->missing || !why || strcmp(h->missing, why) != 0)
		log_warning("%s: %s: what it had before stays", h->name,
			    why ? why : "out of memory");
	if (h->now != h->good)
		pem_free(h->now);
	h->now = NULL;
	free(h->missing);
	h->missing = why;
	h->problem = why ? why : "out of memory";
}

/* `now` is good. Both are taken over. */
static void take_good(struct held *h, struct pem *now, struct certificate_facts *facts)
{
	if (h->now != h->good)
		pem_free(h->now);
	pem_free(h->good);
	certificate_facts_free(&h->facts);
	free(h->missing);
	h->missing = NULL;
	h->problem = NULL;
	h->now = h->good = now;
	h->facts = *facts;
}

/* It is as `c` now. 0 or -ENOMEM. */
static int there(struct held *h, const struct credential *c)
{
	struct certificate_facts facts = { 0 };
	const char *problem;
	struct pem *now;

	if (pem_is(h->now, c) && h->client == h->checked)
		return 0;
	now = pem_new(c);
	if (!now)
		return -ENOMEM;
	h->checked = h->client;
	problem = h->client ? certificate_check_client(&now->c, &facts)
			    : certificate_check(&now->c, &facts);
	if (!problem) {
		take_good(h, now, &facts);
		return 0;
	}
	if (h->now != h->good)
		pem_free(h->now);
	h->now = now;
	free(h->missing);
	h->missing = NULL;
	h->problem = problem;
	log_warning("%s: %s%s", h->name, problem, h->good ? ": what it had before stays" : "");
	return 0;
}

static const struct object *secret_of(const struct known_set *known, const char *ns,
				      const char *name)
{
	struct known *k = known_find(
		known, &(struct object_id){ .kind = KIND_SECRET, .namespace = ns, .name = name });

	return k ? k->object : NULL;
}

static struct credential_text text_of(struct secret_bytes bytes)
{
	return (struct credential_text){ bytes.at, bytes.len };
}

/* The Secret of a credential's name, and that of its clients' CA, which may be one of its own.
 * NULL: there is none. 0 or -ENOMEM. */
static int find_secrets(const struct held *h, const struct known_set *known,
			const struct object **secret, const struct object **ca)
{
	_cleanup_free_ char *ns = strdup(h->name + strlen(SECRET_SCHEME)), *ca_name = NULL;
	char *name = ns ? strchr(ns, '/') : NULL;

	if (!name)
		return -ENOMEM;
	*name++ = '\0';
	if (asprintf(&ca_name, "%s-cacert", name) < 0) {
		ca_name = NULL;
		return -ENOMEM;
	}
	*secret = secret_of(known, ns, name);
	*ca = secret_of(known, ns, ca_name);
	if (!*ca)
		*ca = *secret;
	return 0;
}

/* Who has them has looked at them, and tells the log. 0 or -ENOMEM. */
static int read_identity(const struct credential_keeper *k, struct held *h)
{
	struct certificate_facts facts = { 0 };
	const char *problem = "";
	struct credential c;
	struct pem *now;

	if (!k->identities || !identities_find(k->identities, h->name, &c, &problem)) {
		drop(h, strdup(problem));
		return 0;
	}
	if (pem_is(h->good, &c))
		return 0;
	now = pem_new(&c);
	if (!now)
		return -ENOMEM;
	facts.not_after = identities_end(k->identities, h->name);
	take_good(h, now, &facts);
	return 0;
}

static bool lacks_identity(const struct credential_keeper *k, const struct held *h)
{
	const char *problem;
	struct credential c;

	return !k->identities || !identities_find(k->identities, h->name, &c, &problem);
}

bool credential_keeper_lacks(const struct credential_keeper *k, const struct known_set *known)
{
	const struct object *secret = NULL, *ca;

	for (size_t i = 0; i < k->list.count; i++) {
		const struct held *h = &k->list.items[i];

		if (is_of_identity(h)
			    ? lacks_identity(k, h)
			    : !is_of_files(h) && !find_secrets(h, known, &secret, &ca) && !secret)
			return true;
	}
	return false;
}

static int read_secret(struct held *h, const struct known_set *known)
{
	const struct object *secret, *ca;
	char *why = NULL;
	int r = find_secrets(h, known, &secret, &ca);

	if (r)
		return r;
	if (!secret) {
		if (asprintf(&why, "there is no secret %s", h->name + strlen(SECRET_SCHEME)) < 0)
			why = NULL;
		not_there(h, why);
		return 0;
	}
	return there(h, &(struct credential){ .chain = text_of(secret->secret.chain),
					      .key = text_of(secret->secret.key),
					      .ca = text_of(ca->secret.ca),
					      .crl = text_of(ca->secret.crl) });
}

/* Whoever may write a DestinationRule has no say in which of weftd's files is read: a Gateway's are
 * as its author names them. */
static int read_named(const struct credential_keeper *k, const struct held *h,
		      struct certificate_files *out, char **why)
{
	const char *paths = h->name + strlen(FILE_SCHEME);

	if (is_of_system(h))
		return certificate_files_read_system(out, why);
	if (!h->client)
		return certificate_files_read(paths, NULL, out, why);
	return certificate_files_read(paths, k->client_tls_dir ? k->client_tls_dir : "", out, why);
}

static int read_files(const struct credential_keeper *k, struct held *h)
{
	_cleanup_(certificate_files_free) struct certificate_files files = { 0 };
	char *why = NULL;
	int r = read_named(k, h, &files, &why);

	if (r == -ENOMEM)
		return r;
	if (r)
		not_readable(h, why);
	return r ? 0 : there(h, &files.c);
}

static int read_all(struct credential_keeper *k, const struct known_set *known)
{
	int r = 0;

	for (size_t i = 0; i < k->list.count && !r; i++) {
		struct held *h = &k->list.items[i];

		r = is_of_identity(h) ? read_identity(k, h)
		    : is_of_files(h)  ? read_files(k, h)
				      : read_secret(h, known);
	}
	return r;
}

/* ---- handing over ---- */

/* What weft-proxy has of it stays, but for the roots: a former weftd may have handed over a
 * certificate that is good for hours. */
static struct credential without_certificate(const struct credential_keeper *k)
{
	const char *roots = k->identities ? identities_roots(k->identities) : NULL;

	return (struct credential){ .ca = { roots, roots ? strlen(roots) : 0 } };
}

static int pack(const struct credential_keeper *k, void **out, size_t *size)
{
	_cleanup_free_ struct credential *items = calloc(k->list.count + 1, sizeof(*items));
	size_t count = 0;

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < k->list.count; i++) {
		const struct held *h = &k->list.items[i];

		if (!h->good && !is_of_identity(h))
			continue;
		items[count] = h->good ? h->good->c : without_certificate(k);
		items[count++].name = (struct credential_text){ h->name, strlen(h->name) };
	}
	return credentials_pack(items, count, out, size);
}

static int hand_over(struct credential_keeper *k)
{
	size_t size;
	void *bytes;
	int r = pack(k, &bytes, &size);

	if (r)
		return r;
	if (k->given && k->given_size == size && !memcmp(k->given, bytes, size)) {
		explicit_bzero(bytes, size);
		free(bytes);
		supervisor_credentials_again(k->proxy);
		return 0;
	}
	forget_given(k);
	k->given = bytes;
	k->given_size = size;
	r = supervisor_credentials(k->proxy, bytes, size);
	if (r)
		forget_given(k);
	return r;
}

int credential_keeper_update(struct credential_keeper *k, const struct known_set *known,
			     const struct http_snapshot *a, const struct http_snapshot *b,
			     bool more)
{
	int r;

	for (size_t i = 0; i < k->list.count; i++)
		k->list.items[i].wanted = k->list.items[i].client = false;
	r = want_all(k, a);
	if (!r)
		r = want_all(k, b);
	if (!r)
		drop_unwanted(k);
	if (!r)
		r = ask_for_identities(k);
	if (!r && more && supervisor_had_credentials(k->proxy) && credential_keeper_lacks(k, known))
		return 0;
	if (!r)
		r = read_all(k, known);
	if (!r && (k->list.count || k->given))
		r = hand_over(k);
	return r ? log_err(r, "hand certificates over to weft-proxy") : 0;
}

/* ---- telling ---- */

bool credential_keeper_find(const struct credential_keeper *k, const char *name, size_t len,
			    struct credential_state *out)
{
	const struct held *h = find(k, name, len);

	if (!h)
		return false;
	*out = (struct credential_state){ .problem = h->problem,
					  .served = h->good,
					  .subject = h->facts.subject ? h->facts.subject : "",
					  .not_before = h->facts.not_before,
					  .not_after = h->facts.not_after };
	return true;
}

/* The Gateway that a server is of, and which of its servers it is. */
static const struct object *gateway_of(const struct known_set *known, const char *server, size_t *i)
{
	_cleanup_free_ char *ns = strdup(server);
	char *name = ns ? strchr(ns, '/') : NULL, *space = name ? strchr(name, ' ') : NULL;
	const struct known *k;

	if (!space || sscanf(space, " servers[%zu]", i) != 1)
		return NULL;
	*name++ = *space = '\0';
	k = known_find(known, &(struct object_id){ KIND_GATEWAY, ns, name });
	return k && k->object && *i < k->object->gateway.servers.count ? k->object : NULL;
}

static void warn(const struct object *gw, size_t i, const char *credential,
		 const struct credential_state *state, struct errors *warnings)
{
	const struct gw_server *s = &gw->gateway.servers.items[i];
	struct pos at = s->pos.line ? s->pos : gw->pos;
	int64_t left = state->not_after - time(NULL);

	if (state->problem && !state->served)
		errors_remark(warnings, REMARK_BAD_CERTIFICATE, gw, at,
			      "spec.servers[%zu].tls: %s: %s: handshakes with the server fail", i,
			      credential, state->problem);
	else if (state->problem)
		errors_remark(warnings, REMARK_BAD_CERTIFICATE, gw, at,
			      "spec.servers[%zu].tls: %s: %s: the server keeps what was there "
			      "before",
			      i, credential, state->problem);
	else if (left < 0)
		errors_remark(warnings, REMARK_BAD_CERTIFICATE, gw, at,
			      "spec.servers[%zu].tls: %s: the certificate of \"%s\" has expired", i,
			      credential, state->subject);
	else if (left < (int64_t)SOON_DAYS * DAY_S)
		errors_remark(warnings, REMARK_BAD_CERTIFICATE, gw, at,
			      "spec.servers[%zu].tls: %s: the certificate of \"%s\" expires in "
			      "%lld days",
			      i, credential, state->subject, (long long)(left / DAY_S));
}

/* ---- of TLS to endpoints ---- */

/* Whether a DestinationRule's tls is made of it. Of a Secret it is not told whose namespace counts:
 * that of each Gateway which calls. */
static bool is_made_of(const struct client_tls *t, const struct held *h)
{
	const char *files[CLIENT_TLS_FILES], *slash = strrchr(h->name, '/');
	_cleanup_free_ char *name = NULL;

	if (!t || (t->mode != CLIENT_TLS_SIMPLE && t->mode != CLIENT_TLS_MUTUAL))
		return false;
	if (t->credential && *t->credential)
		return !is_of_files(h) && slash && !strcmp(slash + 1, t->credential);
	if (!client_tls_files(t, files) || is_of_system(h))
		return is_of_system(h) && !*files[2] && !t->insecure;
	if (asprintf(&name, "%s%s;%s;%s;%s", FILE_SCHEME, files[0], files[1], files[2], files[3]) <
	    0)
		name = NULL;
	return name && !strcmp(name, h->name);
}

static void warn_of_tls(const struct held *h, const struct object *dr, const struct client_tls *t,
			struct errors *warnings)
{
	struct pos at = t && t->pos.line ? t->pos : dr->pos;
	int64_t left = h->facts.not_after - time(NULL);

	if (!is_made_of(t, h))
		return;
	if (h->problem)
		errors_remark(warnings, REMARK_BAD_CERTIFICATE, dr, at, "tls: %s: %s: %s", h->name,
			      h->problem,
			      h->good ? "what was there before stays in use"
				      : "connections to the endpoints fail");
	else
		errors_remark(warnings, REMARK_BAD_CERTIFICATE, dr, at,
			      "tls: %s: the certificate of \"%s\" %s", h->name,
			      h->facts.subject ? h->facts.subject : "",
			      left < 0 ? "has expired" : "expires soon");
}

static void warn_of_policy(const struct held *h, const struct object *dr, const struct dr_policy *p,
			   struct errors *warnings)
{
	warn_of_tls(h, dr, p->policy.tls, warnings);
	for (size_t i = 0; i < p->ports.count; i++)
		warn_of_tls(h, dr, p->ports.items[i].policy.tls, warnings);
}

static void warn_of_client(const struct held *h, const struct known_set *known,
			   struct errors *warnings)
{
	for (size_t i = 0; i < known->count; i++) {
		const struct object *dr = known->items[i].object;

		if (!dr || dr->kind != KIND_DESTINATION_RULE)
			continue;
		warn_of_policy(h, dr, &dr->dr.policy, warnings);
		for (size_t k = 0; k < dr->dr.subsets.count; k++)
			warn_of_policy(h, dr, &dr->dr.subsets.items[k].policy, warnings);
	}
}

static bool is_to_be_told(const struct held *h)
{
	int64_t end = h->facts.not_after;

	return h->client && (h->problem || (end && end - time(NULL) < (int64_t)SOON_DAYS * DAY_S));
}

void credential_keeper_warn(const struct credential_keeper *k, const struct known_set *known,
			    const struct http_snapshot *s, struct errors *warnings)
{
	for (__u32 i = 0; s && i < hs_count(s, HS_SERVERS); i++) {
		const struct hs_server *server = hs_server(s, i);
		const char *credential = hs_text(s, server->credential);
		struct credential_state state;
		const struct object *gw;
		size_t at;

		if (!credential_keeper_find(k, credential, server->credential.len, &state))
			continue;
		gw = gateway_of(known, hs_text(s, server->name), &at);
		if (gw)
			warn(gw, at, credential, &state, warnings);
	}
	for (size_t i = 0; i < k->list.count; i++)
		if (is_to_be_told(&k->list.items[i]))
			warn_of_client(&k->list.items[i], known, warnings);
}
