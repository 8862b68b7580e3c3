// SPDX-License-Identifier: Apache-2.0
/*
 * Warming up (Envoy's slow start): an endpoint that is new gets less than its share for a while.
 */
#include <math.h>

#include "proxy/route/router_priv.h"

double router_warmth(const struct hs_cluster *c, uint64_t age)
{
	double least = c->warmup_least / 1e6, share;

	if (age >= c->warmup_ms)
		return 1;
	share = (double)(age ? age : 1) / c->warmup_ms;
	if (c->warmup_root != 1000)
		share = pow(share, 1000.0 / c->warmup_root);
	return share > least ? share : least;
}

uint64_t router_warm_at(const struct router_members *m, const struct hs_cluster *c)
{
	uint64_t at = 0;

	for (uint32_t i = 0; c->warmup_ms && i < m->count; i++) {
		uint64_t since = __atomic_load_n(&m->endpoints[i]->since, __ATOMIC_RELAXED);

		if (since + c->warmup_ms > at)
			at = since + c->warmup_ms;
	}
	return at;
}
