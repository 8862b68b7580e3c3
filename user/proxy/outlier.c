// SPDX-License-Identifier: Apache-2.0
/*
 * Outlier detection as Envoy does it: out at once when the count is reached, back at the first tick
 * of the interval after the time is over.
 */
#include <time.h>

#include "rules_priv.h"

static uint64_t ejection_ms(const struct hs_outliers *o, uint32_t ejections)
{
	uint64_t ms = (uint64_t)o->base_ejection_ms * (ejections ? ejections : 1);
	uint64_t most = o->max_ejection_ms > o->base_ejection_ms ? o->max_ejection_ms
								 : o->base_ejection_ms;

	return ms < most ? ms : most;
}

static uint64_t next_tick(const struct hs_outliers *o, const struct cluster_state *cs, uint64_t at)
{
	uint64_t since = at - cs->started;

	if (!o->interval_ms)
		return at;
	return cs->started + (since + o->interval_ms - 1) / o->interval_ms * o->interval_ms;
}

bool outlier_ejected(const struct hs_cluster *c, struct cluster_state *cs, struct endpoint_state *e,
		     uint64_t now)
{
	uint64_t at = __atomic_load_n(&e->ejected_at, __ATOMIC_RELAXED);
	const struct hs_outliers *o = &c->outliers;

	if (!at)
		return false;
	if (o->given && now < next_tick(o, cs, at + ejection_ms(o, e->ejections)))
		return true;
	pthread_mutex_lock(&cs->lock);
	if (e->ejected_at == at) {
		__atomic_store_n(&e->ejected_at, 0, __ATOMIC_RELAXED);
		e->errors_5xx = e->errors_gateway = e->errors_local = 0;
		cs->ejected -= cs->ejected > 0;
	}
	pthread_mutex_unlock(&cs->lock);
	return false;
}

static void eject(const struct hs_cluster *c, struct cluster_state *cs, struct endpoint_state *e,
		  uint64_t now)
{
	const struct hs_outliers *o = &c->outliers;

	pthread_mutex_lock(&cs->lock);
	if (!cs->started)
		cs->started = now;
	if (!e->ejected_at && c->endpoints.count &&
	    100ull * (cs->ejected + 1) / c->endpoints.count <= o->max_ejection_percent) {
		e->ejections++;
		cs->ejected++;
		cs->ejections_total++;
		__atomic_store_n(&e->ejected_at, now ? now : 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&cs->lock);
}

static bool reached(uint32_t *count, uint32_t limit)
{
	uint32_t n = __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);

	return limit && n >= limit;
}

static void forget(uint32_t *count)
{
	if (__atomic_load_n(count, __ATOMIC_RELAXED))
		__atomic_store_n(count, 0, __ATOMIC_RELAXED);
}

static bool bad_status(const struct hs_outliers *o, struct endpoint_state *e, unsigned status)
{
	bool out = false;

	if (status < 500) {
		forget(&e->errors_5xx);
		forget(&e->errors_gateway);
		return false;
	}
	if (status >= 502 && status <= 504)
		out |= reached(&e->errors_gateway, o->consecutive_gateway);
	else
		forget(&e->errors_gateway);
	return reached(&e->errors_5xx, o->consecutive_5xx) || out;
}

void outlier_result(const struct hs_cluster *c, struct cluster_state *cs, struct endpoint_state *e,
		    enum outcome outcome, unsigned status, uint64_t now)
{
	const struct hs_outliers *o = &c->outliers;
	bool out;

	if (!o->given || outcome == OUTCOME_ABANDONED)
		return;
	if (outcome == OUTCOME_STATUS) {
		forget(&e->errors_local);
		out = bad_status(o, e, status);
	} else if (o->split_local_origin) {
		out = reached(&e->errors_local, o->consecutive_local_origin);
	} else {
		/* Counts as the status that the client gets for it. */
		out = bad_status(o, e, outcome == OUTCOME_TIMEOUT ? 504 : 503);
	}
	if (out)
		eject(c, cs, e, now);
}
