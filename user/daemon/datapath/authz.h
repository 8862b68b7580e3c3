/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_AUTHZ_H
#define WEFT_DAEMON_DATAPATH_AUTHZ_H
/*
 * AuthorizationPolicies in the kernel (headers/weft/authz.h). They are no part of a generation: new
 * sets are written beside the old ones, and each pod is led from one to the other.
 */
#include "daemon/bpf/loader.h"
#include "lib/tables/tables.h"

/* What is in the kernel's maps. Zero-initialise. */
struct authz_live {
	TABLE(struct authz_pod) pods; /* by set */
	TABLE(struct authz_key) keys; /* of the rows */
	TABLE(struct authz_pod) wanted_pods;
	TABLE(struct authz_table_row) wanted_rows; /* what they were made of */
	bool known; /* `wanted_*` say so: not after a start, nor when something has failed */
	__u32 sets; /* the highest number in use */
};

/* Reads what an earlier weftd has left. 0 or -errno after having logged. */
int authz_open(struct authz_live *a, const struct loader *l);
void authz_close(struct authz_live *a);
/*
 * Brings the maps to `wanted`. `wait` is called where programs may still read what is about to be
 * deleted. 0 or -errno after having logged: then some pods may be led to the new sets already, and
 * the next call begins from what there is.
 */
int authz_publish(struct authz_live *a, const struct loader *l, const struct authz_table *wanted,
		  void (*wait)(void *arg), void *arg);

#endif
