// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/outlier.h"

static uint64_t ejection_ms(const struct hs_outliers *rules, uint32_t times)
{
	uint64_t ms = (uint64_t)rules->base_ejection_ms * times;

	return ms < rules->max_ejection_ms ? ms : rules->max_ejection_ms;
}

/* ---- the interval timer, without one ---- */

static uint64_t ticks(const struct outliers *o, uint64_t at)
{
	return (at - o->cluster->started) / o->rules->interval_ms;
}

/* When the endpoint that is out comes back. */
static uint64_t back_at(const struct outliers *o, const struct outlier_state *e, uint64_t ejected)
{
	uint64_t over = ejected + ejection_ms(o->rules, e->times);
	uint64_t n = ticks(o, over + o->rules->interval_ms - 1);

	return o->cluster->started + n * o->rules->interval_ms;
}

/* With each tick that finds it in, the endpoint is forgiven one ejection. */
static void forgive(const struct outliers *o, struct outlier_state *e, uint64_t now)
{
	uint64_t good = ticks(o, now) - ticks(o, e->back_at);

	e->times = good < e->times ? e->times - (uint32_t)good : 0;
}

/* ---- in and out ---- */

static bool is_out(const struct outliers *o, const struct outlier_state *e, uint64_t now)
{
	uint64_t at = __atomic_load_n(&e->ejected_at, __ATOMIC_RELAXED);

	return at && now < back_at(o, e, at);
}

static void forget(uint32_t *count)
{
	if (__atomic_load_n(count, __ATOMIC_RELAXED))
		__atomic_store_n(count, 0, __ATOMIC_RELAXED);
}

/* Which count was reached. */
enum why { WHY_NOT, WHY_5XX, WHY_GATEWAY, WHY_LOCAL };

static void count_ejection(struct http_cluster_stat *s, enum why why)
{
	__u64 *const kinds[] = {
		[WHY_5XX] = &s->ejections_enforced_consecutive_5xx,
		[WHY_GATEWAY] = &s->ejections_enforced_consecutive_gateway_failure,
		[WHY_LOCAL] = &s->ejections_enforced_consecutive_local_origin_failure,
	};

	gauge_inc(s->ejections_active);
	stat_inc(&s->ejections_enforced_total);
	stat_inc(kinds[why]);
}

/* Long past, but not free. */
enum { TAKEN = 1 };

/* Another weft-proxy, which drains, may be about to take it, too. */
static bool take_row(struct http_ejection *row, uint64_t now)
{
	uint32_t back = __atomic_load_n(&row->back_ds, __ATOMIC_RELAXED);

	return back != TAKEN && back <= now / 100 &&
	       __atomic_compare_exchange_n(&row->back_ds, &back, TAKEN, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* Tells when the endpoint is back; 0: it is. Under the lock. */
static void tell(struct cluster_state *c, const struct outlier_state *e, uint64_t back,
		 uint64_t now)
{
	struct http_ejection *rows = c->stat->ejected, *row = NULL;

	for (size_t i = 0; i < HTTP_EJECTED_MAX && !row; i++)
		if (rows[i].back_ds && rows[i].endpoint == e->endpoint &&
		    rows[i].proxy == stats_slot)
			row = &rows[i];
	for (size_t i = 0; i < HTTP_EJECTED_MAX && !row; i++)
		if (take_row(&rows[i], now))
			row = &rows[i];
	if (!row)
		return;
	__atomic_store_n(&row->back_ds, TAKEN, __ATOMIC_RELEASE);
	row->endpoint = e->endpoint;
	row->proxy = stats_slot;
	__atomic_store_n(&row->back_ds, (uint32_t)((back + 99) / 100), __ATOMIC_RELEASE);
}

/* It begins anew, whichever of the counts it was. Under the lock. */
static void take_back(const struct outliers *o, struct outlier_state *e)
{
	e->back_at = back_at(o, e, e->ejected_at);
	tell(o->cluster, e, 0, e->back_at);
	__atomic_store_n(&e->ejected_at, 0, __ATOMIC_RELAXED);
	gauge_dec(o->cluster->stat->ejections_active);
	forget(&e->errors_5xx);
	forget(&e->errors_gateway);
	forget(&e->errors_local);
}

bool outlier_is_blank(const struct outlier_state *e)
{
	return !e->ejected_at && !e->times && !e->errors_5xx && !e->errors_gateway &&
	       !e->errors_local;
}

void outlier_forget(struct outlier_state *e)
{
	pthread_mutex_lock(&e->cluster->lock);
	if (e->ejected_at) {
		tell(e->cluster, e, 0, e->ejected_at);
		e->ejected_at = 0;
		gauge_dec(e->cluster->stat->ejections_active);
	}
	pthread_mutex_unlock(&e->cluster->lock);
}

bool outlier_ejected(const struct outliers *o, uint32_t endpoint, uint64_t now)
{
	struct outlier_state *e = o->endpoints[endpoint];

	if (!o->rules->given || !__atomic_load_n(&e->ejected_at, __ATOMIC_RELAXED))
		return false;
	if (is_out(o, e, now))
		return true;
	pthread_mutex_lock(&o->cluster->lock);
	if (e->ejected_at && !is_out(o, e, now))
		take_back(o, e);
	pthread_mutex_unlock(&o->cluster->lock);
	return false;
}

static uint32_t count_out(const struct outliers *o, uint64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < o->count; i++)
		n += is_out(o, o->endpoints[i], now);
	return n;
}

/* Under the lock, of an endpoint that is in. */
static void take_out(const struct outliers *o, struct outlier_state *e, enum why why, uint64_t now)
{
	const struct hs_outliers *rules = o->rules;

	forgive(o, e, now);
	/* No further once the time is the longest one: each ejection counted has to be forgiven,
	 * too. */
	if ((uint64_t)e->times * rules->base_ejection_ms <
	    (uint64_t)rules->max_ejection_ms + rules->base_ejection_ms)
		e->times++;
	count_ejection(o->cluster->stat, why);
	__atomic_store_n(&e->ejected_at, now, __ATOMIC_RELAXED);
	tell(o->cluster, e, back_at(o, e, now), now);
}

static void eject(const struct outliers *o, struct outlier_state *e, enum why why, uint64_t now)
{
	pthread_mutex_lock(&o->cluster->lock);
	if (e->ejected_at && !is_out(o, e, now))
		take_back(o, e);
	if (!e->ejected_at) {
		if (100ull * (count_out(o, now) + 1) <=
		    (uint64_t)o->rules->max_ejection_percent * o->count)
			take_out(o, e, why, now);
		else
			stat_inc(&o->cluster->stat->ejections_overflow);
	}
	pthread_mutex_unlock(&o->cluster->lock);
}

/* ---- counting ---- */

/* One that is reached without consequences is counted anew. */
static bool reached(uint32_t *count, uint32_t limit)
{
	uint32_t n = __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);

	if (!limit || n < limit)
		return false;
	__atomic_store_n(count, 0, __ATOMIC_RELAXED);
	return true;
}

static enum why count_status(const struct hs_outliers *rules, struct outlier_state *e,
			     unsigned status)
{
	enum why why = WHY_NOT;

	if (status < 500) {
		forget(&e->errors_5xx);
		forget(&e->errors_gateway);
		return WHY_NOT;
	}
	if (status < 502 || status > 504)
		forget(&e->errors_gateway);
	else if (reached(&e->errors_gateway, rules->consecutive_gateway))
		why = WHY_GATEWAY;
	return reached(&e->errors_5xx, rules->consecutive_5xx) ? WHY_5XX : why;
}

/* Told apart, or counted as the status that the client gets for it. */
static enum why count_local(const struct hs_outliers *rules, struct outlier_state *e,
			    enum outcome outcome)
{
	if (rules->split_local_origin)
		return reached(&e->errors_local, rules->consecutive_local_origin) ? WHY_LOCAL
										  : WHY_NOT;
	return count_status(rules, e, outcome == OUTCOME_TIMEOUT ? 504 : 503);
}

void outlier_result(const struct outliers *o, uint32_t endpoint, enum outcome outcome,
		    unsigned status, uint64_t now)
{
	struct outlier_state *e = o->endpoints[endpoint];
	enum why why = WHY_NOT, local = WHY_NOT;

	if (!o->rules->given)
		return;
	/* There may have been a response although it did not end well. */
	if (status) {
		forget(&e->errors_local);
		why = count_status(o->rules, e, status);
	}
	if (outcome != OUTCOME_STATUS && outcome != OUTCOME_ABANDONED)
		local = count_local(o->rules, e, outcome);
	if (why || local)
		eject(o, e, why ? why : local, now);
}
