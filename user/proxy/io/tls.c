// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "lib/base/cleanup.h"
#include "proxy/io/tls_priv.h"

enum {
	TICKET_SECONDS = 3600,	      /* until another one is made; sessions live as long */
	CERTIFICATES_MAX = 32 * 1024, /* bytes of a client's chain */
};

/* X25519 first, as Envoy has it. */
const char tls_groups[] = "X25519:P-256:P-384";

struct tls_base {
	SSL_CTX *context;
	pthread_mutex_t lock;
	/* Under the lock. The first, if `own`, is in use. */
	struct tls_ticket_key keys[TLS_TICKET_KEYS];
	bool own;
};

DEFINE_CLEANUP(struct tls_base *, tls_base_free);

/* ---- session tickets (RFC 5077) ---- */

static int64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1;
}

/* Its last ticket was given an hour after it was made, and is good for another one. */
static bool may_open(const struct tls_ticket_key *k, int64_t now)
{
	return k->made > 0 && k->made <= now && now - k->made < 2 * TICKET_SECONDS;
}

/* Under the lock, as the next ones. Puts a key before those that there are, the last of which goes
 * where all places are taken. */
static void put_key(struct tls_base *b, size_t at, const struct tls_ticket_key *k)
{
	memmove(&b->keys[at + 1], &b->keys[at], (TLS_TICKET_KEYS - at - 1) * sizeof(*b->keys));
	b->keys[at] = *k;
}

static bool renew(struct tls_base *b)
{
	struct tls_ticket_key fresh = { .made = seconds() };

	if (b->own && fresh.made - b->keys[0].made < TICKET_SECONDS)
		return true;
	if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 ||
	    RAND_priv_bytes(fresh.cipher, sizeof(fresh.cipher)) != 1 ||
	    RAND_priv_bytes(fresh.mac, sizeof(fresh.mac)) != 1)
		return false;
	put_key(b, 0, &fresh);
	b->own = true;
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return true;
}

static struct tls_ticket_key *key_of(struct tls_base *b, const unsigned char *name)
{
	for (int i = 0; i < TLS_TICKET_KEYS; i++)
		if (b->keys[i].made && !memcmp(b->keys[i].name, name, TLS_TICKET_NAME))
			return &b->keys[i];
	return NULL;
}

/* The key that is to be used; whether there is one. `old`: it gives no tickets any more. */
static bool find_key(struct tls_base *b, const unsigned char *name, bool encrypt,
		     struct tls_ticket_key *out, bool *old)
{
	const struct tls_ticket_key *k = NULL;

	pthread_mutex_lock(&b->lock);
	if (!encrypt)
		k = key_of(b, name);
	else if (renew(b))
		k = b->keys;
	if (k && !may_open(k, seconds()))
		k = NULL;
	if (k) {
		*out = *k;
		*old = !b->own || k != b->keys;
	}
	pthread_mutex_unlock(&b->lock);
	return k;
}

size_t tls_base_tickets(struct tls_base *b, struct tls_ticket_key out[TLS_TICKET_KEYS])
{
	size_t count = 0;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < TLS_TICKET_KEYS; i++)
		if (may_open(&b->keys[i], seconds()))
			out[count++] = b->keys[i];
	pthread_mutex_unlock(&b->lock);
	return count;
}

void tls_base_take_tickets(struct tls_base *b, const struct tls_ticket_key *keys, size_t count)
{
	size_t at;

	pthread_mutex_lock(&b->lock);
	at = b->own;
	for (size_t i = 0; i < count && at < TLS_TICKET_KEYS; i++)
		if (may_open(&keys[i], seconds()) && !key_of(b, keys[i].name))
			put_key(b, at++, &keys[i]);
	pthread_mutex_unlock(&b->lock);
}

static bool begin_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *k)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static bool begin_cipher(EVP_CIPHER_CTX *cipher, const struct tls_ticket_key *k, unsigned char *iv,
			 bool encrypt)
{
	if (encrypt && RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
		return false;
	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, encrypt) == 1;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb() has it: -1: error; 0: no ticket, a full handshake; 1;
 * 2: the ticket is good, and the client is to get another one. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		      EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_base *b = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct tls_ticket_key k;
	bool good, old;

	if (!find_key(b, name, encrypt, &k, &old))
		return 0;
	if (encrypt)
		memcpy(name, k.name, TLS_TICKET_NAME);
	good = begin_cipher(cipher, &k, iv, encrypt) && begin_mac(mac, &k);
	OPENSSL_cleanse(&k, sizeof(k));
	if (!good)
		return -1;
	return old ? 2 : 1;
}

/* Whoever is resumed is not checked again: a client's certificate must not have expired since. */
static bool is_good_still(const SSL_SESSION *session)
{
	const X509 *cert = session ? SSL_SESSION_get0_peer((SSL_SESSION *)session) : NULL;

	return !cert || X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

/* With TLS 1.3 a session is used once (RFC 8446 C.4): there is to be one for the next time, too. */
static SSL_TICKET_RETURN resume(const SSL *ssl)
{
	return SSL_version(ssl) >= TLS1_3_VERSION ? SSL_TICKET_RETURN_USE_RENEW
						  : SSL_TICKET_RETURN_USE;
}

/* As SSL_CTX_set_session_ticket_cb() has it. */
static SSL_TICKET_RETURN take_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
				     size_t n, SSL_TICKET_STATUS status, void *arg)
{
	(void)name;
	(void)n;
	(void)arg;
	switch (status) {
	case SSL_TICKET_SUCCESS:
		return is_good_still(session) ? resume(ssl) : SSL_TICKET_RETURN_IGNORE_RENEW;
	case SSL_TICKET_SUCCESS_RENEW:
		return is_good_still(session) ? SSL_TICKET_RETURN_USE_RENEW
					      : SSL_TICKET_RETURN_IGNORE_RENEW;
	default: /* there is none, or it is another process's */
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	}
}

/* ---- the context ---- */

/* The name is the ClientHello's (transport_tls.c), which has looked at it by now. */
static int take_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

static void set_up(struct tls_base *b)
{
	SSL_CTX *c = b->context;

	SSL_CTX_set_app_data(c, b);
	/* A truncated message is known by its framing. */
	SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
				       SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* Its CAs are the clients', not what its own chain is to be made up from. */
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(c, TICKET_SECONDS);
	SSL_CTX_set_max_cert_list(c, CERTIFICATES_MAX);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(c, ticket_key);
	SSL_CTX_set_session_ticket_cb(c, NULL, take_ticket, NULL);
	SSL_CTX_set_client_hello_cb(c, tls_hello, NULL);
	SSL_CTX_set_tlsext_servername_callback(c, take_name);
}

int tls_base_new(struct tls_base **out)
{
	_cleanup_(tls_base_freep) struct tls_base *b = NULL;

	/* There is no such file in a sandbox, and it is not this program's to obey. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return -ENOMEM;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	pthread_mutex_init(&b->lock, NULL);
	b->context = SSL_CTX_new(TLS_server_method());
	if (!b->context || SSL_CTX_set1_groups_list(b->context, tls_groups) != 1) {
		ERR_clear_error();
		return -ENOMEM;
	}
	set_up(b);
	*out = TAKE_PTR(b);
	return 0;
}

void tls_base_free(struct tls_base *b)
{
	if (!b)
		return;
	SSL_CTX_free(b->context);
	pthread_mutex_destroy(&b->lock);
	OPENSSL_cleanse(b->keys, sizeof(b->keys));
	free(b);
}

SSL_CTX *tls_base_context(const struct tls_base *b)
{
	return b->context;
}
