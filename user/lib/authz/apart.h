/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_AUTHZ_APART_H
#define WEFT_LIB_AUTHZ_APART_H
/*
 * The subnets and the ports that AuthorizationPolicies tell apart, of which the kernel's table has
 * one row for each pair.
 */
#include "lib/base/addr.h"
#include "lib/base/table.h"
#include "lib/model/model.h"
#include "weft/authz.h"

/* While policies change the old rows and the new ones are in the kernel's tables. */
enum {
	AUTHZ_ROWS_MOST = AUTHZ_RULES_MAX / 2,
	AUTHZ_ADDRS_MOST = AUTHZ_PODS_MAX / 2,
};

/* Zero-initialise. */
struct authz_apart {
	TABLE(struct cidr) subnets; /* without the bits beyond the prefix */
	TABLE(__u32) ports;	    /* host byte order; 0: all others */
};

/* 0 or -ENOMEM. */
int authz_apart_subnet(struct authz_apart *a, const struct cidr *subnet);
int authz_apart_port(struct authz_apart *a, __u32 port);
/* Adds all addresses, by family, and all other ports; sorts what there is, and leaves each there
 * once. 0 or -ENOMEM. */
int authz_apart_settle(struct authz_apart *a);
void authz_apart_free(struct authz_apart *a);

/* Whether the kernel's table has room for the policy alone, callers with an identity aside; also if
 * there is no memory to find out. */
bool authz_fits(const struct authorization_policy *p);

#endif
