/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_ENGINE_CREDENTIAL_KEEPER_H
#define WEFT_DAEMON_ENGINE_CREDENTIAL_KEEPER_H
/*
 * The certificates and keys of HTTPS servers: takes them out of the Secrets and files that the
 * servers of a snapshot name, looks whether they are good, and has the supervisor hand them over.
 * So it does with those for mutual TLS: of the identities of this node's pods that a snapshot has
 * (HS_WORKLOADS), and of Gateways where there are any.
 *
 * A credential that is replaced by one that is not good stays as it was, as Envoy keeps what it has
 * when an update is refused; so do files that can't be read for now. One whose Secret is gone goes.
 */
#include "daemon/identity/identity.h"
#include "daemon/objects/object_set.h"
#include "daemon/supervisor/supervisor.h"
#include "lib/base/errors.h"

struct credential_keeper;

/* Borrows the supervisor, the directory that the files for TLS to endpoints are beneath (NULL: none
 * are read), and the certificates of this node's identities (NULL: there are none). NULL when out
 * of memory. */
struct credential_keeper *credential_keeper_new(struct supervisor *proxy,
						const char *client_tls_dir,
						struct identities *identities);
void credential_keeper_free(struct credential_keeper *k); /* accepts NULL */

/* Has the proxy given what the servers of both snapshots need (NULL: none), as `known` and the
 * files have it now; only where that is not what it was given last, or it
 * has not taken it. `more`: there may be Secrets
 * that are not known yet; as long as one is missing then a proxy that has what a former weftd gave
 * it keeps that, and a new one is given the others. 0 or -errno after having logged. */
int credential_keeper_update(struct credential_keeper *k, const struct known_set *known,
			     const struct http_snapshot *a, const struct http_snapshot *b,
			     bool more);
/* Whether a Secret that was needed at the last update is not known, or an identity has no
 * certificate. */
bool credential_keeper_lacks(const struct credential_keeper *k, const struct known_set *known);
/* What there is to tell of a credential. */
struct credential_state {
	const char *problem;	       /* why it could not be taken as it is now; NULL: it could */
	bool served;		       /* the proxy has it, perhaps as it was before */
	const char *subject;	       /* of what it has; "" where that has none */
	int64_t not_before, not_after; /* likewise, Unix seconds */
};

/* False: no server has needed it at the last update. Valid until the next one. */
bool credential_keeper_find(const struct credential_keeper *k, const char *name, size_t len,
			    struct credential_state *out);

/* Warns of the credentials of a snapshot's servers, and of those for TLS to endpoints, that can't
 * be used, or not much longer. */
void credential_keeper_warn(const struct credential_keeper *k, const struct known_set *known,
			    const struct http_snapshot *s, struct errors *warnings);

#endif
