// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates and rules of a client -> an SSL_CTX, and its sessions.
 */
#include "proxy/io/tls_client.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "proxy/io/tls_priv.h"

enum {
	PLACES = 64,			     /* of servers and names */
	SESSIONS = 4,			     /* of one: a server may give several at a time */
	SERVER_CERTIFICATES_MAX = 64 * 1024, /* bytes of a server's chain */
};

/* Of the server that was called last of those that share the place. */
struct kept {
	SSL_SESSION *sessions[SESSIONS]; /* the last one given comes last */
	unsigned count;
	struct addr addr;
	uint16_t port;
	char *name, *peer; /* each or NULL */
	bool check;	   /* its server was asked to have the name */
};

struct tls_client {
	SSL_CTX *ssl;
	unsigned refs; /* atomic */
	char **alt_names;
	bool mutual;
	bool retired; /* atomic */
	pthread_mutex_t lock;
	struct kept kept[PLACES]; /* under the lock */
};

DEFINE_CLEANUP(struct tls_client *, tls_client_unref);

/* ---- sessions ---- */

static void forget(struct kept *k)
{
	while (k->count)
		SSL_SESSION_free(k->sessions[--k->count]);
	free(k->name);
	free(k->peer);
	*k = (struct kept){ 0 };
}

static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; text && *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

static struct kept *place_of(struct tls_client *c, const struct tls_call *call)
{
	uint64_t h = call->port | (uint64_t)call->check << 16;

	for (size_t i = 0; i < sizeof(call->addr.b); i++)
		h = (h ^ call->addr.b[i]) * 0x100000001b3;
	h = hash_text(hash_text(h, call->name), call->peer);
	return &c->kept[(h ^ h >> 32) % PLACES];
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_of(const struct kept *k, const struct tls_call *call)
{
	if (!k->count || k->port != call->port || k->check != call->check ||
	    memcmp(&k->addr, &call->addr, sizeof(call->addr)) != 0)
		return false;
	return same_text(k->name, call->name) && same_text(k->peer, call->peer);
}

/* A server that is resumed is not verified again: its certificate must not have expired since. */
static bool is_good_still(SSL_SESSION *session)
{
	const X509 *cert = SSL_SESSION_get0_peer(session);

	return SSL_SESSION_is_resumable(session) &&
	       (!cert || X509_cmp_current_time(X509_get0_notAfter(cert)) > 0);
}

/* With TLS 1.3 a session is used once (RFC 8446 C.4), and the server gives another one. */
static SSL_SESSION *take_session(struct tls_client *c, const struct tls_call *call)
{
	SSL_SESSION *session = NULL;
	struct kept *k;

	pthread_mutex_lock(&c->lock);
	k = place_of(c, call);
	if (is_of(k, call)) {
		session = k->sessions[k->count - 1];
		if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
			k->count--;
		else
			SSL_SESSION_up_ref(session);
	}
	pthread_mutex_unlock(&c->lock);
	if (session && !is_good_still(session)) {
		SSL_SESSION_free(session);
		session = NULL;
	}
	return session;
}

/* Behind those of the same server; with an older protocol in place of them. */
static void push(struct kept *k, SSL_SESSION *session)
{
	bool once = SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;

	if (k->count == SESSIONS) {
		SSL_SESSION_free(k->sessions[0]);
		memmove(k->sessions, k->sessions + 1, (SESSIONS - 1) * sizeof(*k->sessions));
		k->count--;
	}
	while (!once && k->count)
		SSL_SESSION_free(k->sessions[--k->count]);
	k->sessions[k->count++] = session;
}

void tls_client_keep(struct tls_client *c, const struct tls_call *call, SSL_SESSION *session)
{
	char *name = call->name ? strdup(call->name) : NULL;
	char *peer = call->peer ? strdup(call->peer) : NULL;
	struct kept *k;

	if ((call->name && !name) || (call->peer && !peer)) {
		SSL_SESSION_free(session);
		free(name);
		free(peer);
		return;
	}
	pthread_mutex_lock(&c->lock);
	k = place_of(c, call);
	if (is_of(k, call)) {
		free(name);
		free(peer);
	} else {
		forget(k);
		*k = (struct kept){ .addr = call->addr,
				    .port = call->port,
				    .name = name,
				    .peer = peer,
				    .check = call->check };
	}
	push(k, session);
	pthread_mutex_unlock(&c->lock);
}

/* ---- whether a server is believed ---- */

static bool is_wanted(const struct tls_client *c, const struct tls_call *call, X509 *cert)
{
	char *const name[] = { call && call->check ? (char *)call->name : NULL, NULL };

	if (c->mutual)
		return call && call->peer && tls_has_identity(cert, call->peer);
	return (!c->alt_names || tls_has_name(cert, c->alt_names)) &&
	       (!*name || tls_has_name(cert, name));
}

/* As SSL_CTX_set_cert_verify_callback() has it; only where there are authorities. */
static int verify(X509_STORE_CTX *x, void *arg)
{
	const struct tls_client *c = arg;
	const SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_call *call = ssl ? transport_tls_call(ssl) : NULL;
	int r = X509_verify_cert(x);

	if (r <= 0 || is_wanted(c, call, X509_STORE_CTX_get0_cert(x)))
		return r;
	X509_STORE_CTX_set_error(x, X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
}

/* ---- all of it ---- */

static void set_up(struct tls_client *c)
{
	SSL_CTX *ctx = c->ssl;

	/* A truncated message is known by its framing. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ctx, transport_tls_session);
	SSL_CTX_set_max_cert_list(ctx, SERVER_CERTIFICATES_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
}

static int take_authorities(struct tls_client *c, const struct tls_client_settings *s)
{
	int r;

	if (s->like && !s->crl.len) {
		SSL_CTX_set1_cert_store(c->ssl, SSL_CTX_get_cert_store(s->like->ssl));
		return 0;
	}
	r = tls_take_authorities(c->ssl, s->ca, false);
	X509_STORE_set_flags(SSL_CTX_get_cert_store(c->ssl), X509_V_FLAG_PARTIAL_CHAIN);
	return r;
}

static int take_believed(struct tls_client *c, const struct tls_client_settings *s,
			 const char **why)
{
	int r;

	if (!s->ca.len && !s->mutual)
		return 0;
	*why = "the certificates of the servers' authorities";
	r = take_authorities(c, s);
	if (!r && s->crl.len) {
		*why = "the revocation lists";
		r = tls_take_lists(c->ssl, s->crl);
	}
	c->alt_names = tls_copy_texts(&s->alt_names);
	if (!r && s->alt_names.count && !c->alt_names)
		r = -ENOMEM;
	SSL_CTX_set_cert_verify_callback(c->ssl, verify, c);
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	return r;
}

/* What both sides know mutual TLS between workloads by: the length, then the name. */
static const unsigned char protocols[] = "\005istio";

static int take_protocols(struct tls_client *c, const struct tls_client_settings *s)
{
	if (!s->mutual)
		return 0;
	/* Unlike all others it returns 0 where it is done. */
	return SSL_CTX_set_alpn_protos(c->ssl, protocols, sizeof(protocols) - 1) ? -ENOMEM : 0;
}

static int take_own(struct tls_client *c, const struct tls_client_settings *s, const char **why)
{
	int r;

	if (!s->chain.len && !s->key.len && !s->mutual)
		return 0;
	*why = "the certificate chain";
	r = tls_take_chain(c->ssl, s->chain);
	if (!r) {
		*why = "the key";
		r = tls_take_key(c->ssl, s->key);
	}
	return r;
}

static int fill(struct tls_client *c, const struct tls_client_settings *s, const char **why)
{
	int oldest = s->mutual ? TLS1_3_VERSION : TLS1_2_VERSION;
	int r = SSL_CTX_set1_groups_list(c->ssl, tls_groups) == 1 &&
				SSL_CTX_set_min_proto_version(c->ssl, oldest) == 1 &&
				SSL_CTX_set_max_proto_version(c->ssl, TLS1_3_VERSION) == 1
			? 0
			: -ENOMEM;

	set_up(c);
	*why = "the cipher suites";
	if (!r)
		r = tls_take_ciphers(c->ssl, (struct tls_text){ 0 });
	if (!r)
		r = take_protocols(c, s);
	if (!r)
		r = take_own(c, s, why);
	return r ? r : take_believed(c, s, why);
}

int tls_client_new(const struct tls_client_settings *s, struct tls_client **out, const char **why)
{
	_cleanup_(tls_client_unrefp) struct tls_client *c = NULL;
	int r;

	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return -ENOMEM;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->refs = 1;
	c->mutual = s->mutual;
	pthread_mutex_init(&c->lock, NULL);
	c->ssl = SSL_CTX_new(TLS_client_method());
	if (!c->ssl)
		return -ENOMEM;
	r = fill(c, s, why);
	ERR_clear_error();
	if (!r)
		*out = TAKE_PTR(c);
	return r;
}

struct tls_client *tls_client_ref(struct tls_client *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void tls_client_unref(struct tls_client *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (int i = 0; i < PLACES; i++)
		forget(&c->kept[i]);
	SSL_CTX_free(c->ssl);
	tls_free_texts(c->alt_names);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void tls_client_retire(struct tls_client *c)
{
	if (c)
		__atomic_store_n(&c->retired, true, __ATOMIC_RELAXED);
}

bool tls_client_is_retired(const struct tls_client *c)
{
	return __atomic_load_n(&c->retired, __ATOMIC_RELAXED);
}

static bool is_address(const char *name)
{
	struct addr a;

	return !addr_parse(name, &a);
}

SSL *tls_client_connect(struct tls_client *c, const struct tls_call *call)
{
	SSL *ssl = !call->peer == !c->mutual ? SSL_new(c->ssl) : NULL;
	SSL_SESSION *session;
	bool good = ssl;

	if (good && call->name && *call->name && !is_address(call->name))
		good = SSL_set_tlsext_host_name(ssl, call->name) == 1;
	session = good ? take_session(c, call) : NULL;
	/* One that can't be used makes a full handshake. */
	if (session)
		(void)SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	if (good)
		SSL_set_connect_state(ssl);
	else
		SSL_free(ssl);
	return good ? ssl : NULL;
}
