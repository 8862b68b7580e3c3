/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a ClientHello. What is said of all of them agrees with what is said of the first
 * ones, and with OpenSSL: whatever it takes for a ClientHello is one, which asks for the same name.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "lib/wire/client_hello.h"

enum { PREFIXES = 64, NAME = 0, HANDSHAKE = 22, RECORD_HEAD = 5 };

/* From memory of exactly that size, so that the sanitizers see where it ends. */
static int read_exact(const uint8_t *data, size_t n, struct client_hello *out)
{
	uint8_t *copy = malloc(n ? n : 1);
	int r;

	memcpy(copy, data, n);
	r = client_hello_read(copy, n, out);
	free(copy);
	return r;
}

static void check(const struct client_hello *h, int r, size_t n)
{
	if (r != 0 && r != -EAGAIN && r != -EPROTO && r != -E2BIG)
		abort();
	if (r == -EAGAIN && (h->needed <= n || h->needed > CLIENT_HELLO_MAX))
		abort();
	if (!r && (strlen(h->name) != h->name_len || strlen(h->alpn) > CLIENT_HELLO_ALPN_MAX))
		abort();
}

/* More bytes change nothing but -EAGAIN. */
static void check_prefixes(const uint8_t *data, size_t size, int whole)
{
	struct client_hello h;

	for (size_t i = 0; i < PREFIXES; i++) {
		size_t n = size * i / PREFIXES;
		int r = read_exact(data, n, &h);

		check(&h, r, n);
		if (r != -EAGAIN && r != whole)
			abort();
	}
}

/* ---- OpenSSL ---- */

struct seen {
	bool called, odd;
	char name[CLIENT_HELLO_NAME_MAX + 1];
	size_t len;
	int r; /* of the name */
};

static int on_hello(SSL *ssl, int *alert, void *arg)
{
	struct seen *s = SSL_get_app_data(ssl);
	const unsigned char *at;
	size_t n = SSL_client_hello_get0_ciphers(ssl, &at);

	(void)alert;
	(void)arg;
	s->called = true;
	s->odd = !n || n % 2; /* it looks at that later */
	if (SSL_client_hello_get0_ext(ssl, NAME, &at, &n) == 1)
		s->r = client_hello_name(at, n, s->name, &s->len);
	return SSL_CLIENT_HELLO_RETRY;
}

static SSL_CTX *context(void)
{
	static SSL_CTX *ctx;

	if (!ctx) {
		ctx = SSL_CTX_new(TLS_server_method());
		SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	}
	return ctx;
}

static void ask_openssl(const uint8_t *data, size_t size, struct seen *out)
{
	BIO *in = BIO_new(BIO_s_mem()), *back = BIO_new(BIO_s_mem());
	SSL *s = SSL_new(context());

	*out = (struct seen){ 0 };
	BIO_write(in, data, (int)size);
	SSL_set_bio(s, in, back);
	SSL_set_app_data(s, out);
	SSL_set_accept_state(s);
	(void)SSL_do_handshake(s);
	SSL_free(s);
}

/* OpenSSL passes over empty records and warnings, and takes SSL 2.0's message. */
static bool plain_records(const uint8_t *data, size_t size)
{
	for (size_t at = 0, n; at + RECORD_HEAD <= size; at += RECORD_HEAD + n) {
		n = (size_t)data[at + 3] << 8 | data[at + 4];
		if (data[at] != HANDSHAKE || !n)
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_hello h;
	struct seen seen;
	int r = read_exact(data, size, &h);

	check(&h, r, size);
	check_prefixes(data, size, r);
	if (!size || size > CLIENT_HELLO_MAX || !plain_records(data, size))
		return 0;
	ask_openssl(data, size, &seen);
	if (!seen.called || seen.odd)
		return 0;
	if (r != seen.r || (!r && (h.name_len != seen.len || strcmp(h.name, seen.name) != 0)))
		abort();
	return 0;
}
