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
/* A file that was made of others. */
struct tls_kept {
	void *bytes; /* mapped memory, the caller's to unmap; NULL: the one that there was counts */
	size_t size;
	int64_t end; /* when the first of the certificates that are looked at ends; 0: none */
};

/* Where identities of `next` lack a certificate that `last` has, and that has not ended at `now`
 * (Unix seconds): a file as `next`, in which they have it with its key. The roots are those of
 * `next`, if it has any. Without `last` (NULL): a file as `next` in which no identity has a
 * certificate that has ended. 0, -errno. */
int tls_kept(const struct credentials *next, const struct credentials *last, int64_t now,
	     struct tls_kept *out);
/* Writes a file of the identities in `c` (NULL: there is nothing) that have a certificate. 0,
 * -errno. */
int tls_kept_write(const struct credentials *c, int fd);

#endif
