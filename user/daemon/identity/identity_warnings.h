/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_IDENTITY_WARNINGS_H
#define WEFT_DAEMON_IDENTITY_IDENTITY_WARNINGS_H
/*
 * What there is to warn of about the certificates for mutual TLS: identities that have none, and a
 * CA that is not good, or not for much longer.
 */
#include "daemon/identity/identity.h"
#include "lib/base/errors.h"

/* `ids`: NULL: there are none. `now`: Unix seconds. */
void identities_warn(const struct identities *ids, int64_t now, struct errors *warnings);

#endif
