/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_TLS_DIGEST_H
#define WEFT_PROXY_ROUTE_TLS_DIGEST_H
/*
 * Whether a credential is still the one that something was made of.
 */
#include <stdbool.h>

#include "lib/wire/credentials.h"

enum { TLS_DIGEST = 32 };

/* SHA-256 of its certificates, key, authorities and revocation lists, not of its name. False when
 * out of memory. */
bool tls_digest(const struct credential *c, unsigned char out[TLS_DIGEST]);

#endif
