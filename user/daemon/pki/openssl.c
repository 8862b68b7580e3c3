// SPDX-License-Identifier: Apache-2.0
#include "daemon/pki/openssl.h"

#include <stdbool.h>

#include "lib/base/library.h"

struct openssl_functions openssl_functions;

#define OPENSSL_SYMBOL(name) { #name, (void *)&openssl_functions.name##_at },
static const struct library_symbol crypto[] = { OPENSSL_CRYPTO_FUNCTIONS(OPENSSL_SYMBOL) };
static const struct library_symbol ssl[] = { OPENSSL_SSL_FUNCTIONS(OPENSSL_SYMBOL) };

int openssl_load(void)
{
	static bool loaded;
	int r = 0;

	if (loaded)
		return 0;
	r = library_load("libcrypto.so.3", crypto, sizeof(crypto) / sizeof(crypto[0]));
	if (!r)
		r = library_load("libssl.so.3", ssl, sizeof(ssl) / sizeof(ssl[0]));
	loaded = !r;
	return r;
}
