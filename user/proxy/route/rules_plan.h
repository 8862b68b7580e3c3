/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_ROUTE_RULES_PLAN_H
#define WEFT_PROXY_ROUTE_RULES_PLAN_H

#include "proxy/route/router_priv.h"

/* What p->decision means for the proxy. 0 or -errno. */
int rules_plan_fill(struct rules_plan *p, struct supply *supply, struct plan *out);

#endif
