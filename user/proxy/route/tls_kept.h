/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_TLS_KEPT_H
#define WEFT_PROXY_ROUTE_TLS_KEPT_H
/*
 * What stays when weftd hands over credentials in which identities have no certificate yet
 * (lib/wire/credentials.h): a weftd that has just been started has none, and those that a former
 * one had handed over are good for hours.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/credentials.h"

/* Whether a credential is an identity's, and has no certificate. */
bool tls_lacks_certificate(const struct credential *c);
/* Where identities of `next` lack a certificate that `last` (NULL: there is nothing) has, and that
 * has not expired at `now` (Unix seconds): a file as `next`, in which they have it with its key.
 * The roots are those of `next`, if it has any. Mapped memory that is the caller's, to be unmapped;
 * NULL: `next` is what counts. 0, -errno. */
int tls_kept(const struct credentials *next, const struct credentials *last, int64_t now,
	     void **bytes, size_t *size);
/* Writes a file of the identities in `c` (NULL: there is nothing) that have a certificate. 0,
 * -errno. */
int tls_kept_write(const struct credentials *c, int fd);

#endif
