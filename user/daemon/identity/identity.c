// SPDX-License-Identifier: Apache-2.0
#include "daemon/identity/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/identity/svid.h"
#include "daemon/pki/secret.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/table.h"

enum {
	TURN_MS = 50,	    /* at most that keys are made and certificates signed for at once */
	GATHER_MS = 50,	    /* what comes in so long is one change */
	ANSWER_MS = 30000,  /* that a signer may take without a word about it */
	PATIENCE_MS = 5000, /* that the first certificate of an identity is waited for */
	BACKOFF_MIN_MS = 500,
	BACKOFF_MAX_MS = 60000,
	UNWANTED_MS = 600000,	 /* that a certificate is kept whose last pod has gone */
	DENIED_MAX_MS = 1800000, /* what was denied stays with an API server for an hour */
	LOOK_MS = 60000,	 /* at the latest: somebody may have set the clock */
};

static const char no_answer[] = "there is no answer from the CA";
static const char no_ca[] =
	"mutual TLS is asked for, but there is no CA: --ca-cert, or a cluster's";

struct identity {
	char *name;
	char *chain, *key;   /* PEM, in use; NULL: there is none */
	int64_t end, renew;  /* Unix seconds, of `chain` */
	char *next_key;	     /* of the request that is under way */
	unsigned long asked; /* its number; 0: none is under way */
	uint64_t first_ms;   /* when it was wanted first */
	uint64_t asked_ms;   /* when `asked` was */
	uint64_t next_ms;    /* not before that */
	unsigned failures;   /* in a row */
	char *problem;	     /* of the last attempt; NULL: it went well, or there was none */
	bool wanted;
	uint64_t wanted_ms; /* where it is not: until then it was */
};

struct identities {
	TABLE(struct identity) list;
	struct event_timer timer;
	struct identity_signer *signer;
	char *roots;
	unsigned root_count;
	void (*changed)(void *arg);
	void *arg;
	unsigned long numbers; /* of requests so far */
	uint64_t signed_count, failed_count;
	char *told;  /* the problem that the log has; NULL: none */
	bool dirty;  /* changed() is to be called */
	bool wakes;  /* before long: the timer is set for that */
	bool theirs; /* the time is a test's */
	uint64_t fixed_ms;
	int64_t fixed_s;
};

/* ---- the time ---- */

static uint64_t now_ms(const struct identities *ids)
{
	return ids->theirs ? ids->fixed_ms : clock_ms();
}

static int64_t now_s(const struct identities *ids)
{
	return ids->theirs ? ids->fixed_s : (int64_t)time(NULL);
}

void identities_clock(struct identities *ids, uint64_t ms, int64_t s)
{
	ids->theirs = true;
	ids->fixed_ms = ms;
	ids->fixed_s = s;
}

/* 0..below, so that not all come at once. */
static uint64_t jitter(uint64_t below)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint32_t)clock_ns();
	return below ? random % (below + 1) : 0;
}

static void wake(struct identities *ids, unsigned ms)
{
	ids->wakes = true;
	event_timer_set(&ids->timer, ms);
}

static void note_change(struct identities *ids)
{
	ids->dirty = true;
	if (!ids->wakes)
		wake(ids, GATHER_MS);
}

/* ---- one identity ---- */

static bool is_good(const struct identities *ids, const struct identity *i)
{
	return i->chain && now_s(ids) < i->end;
}

static void drop_certificate(struct identity *i)
{
	secret_free(i->key);
	free(i->chain);
	i->key = i->chain = NULL;
	i->end = i->renew = 0;
}

static void drop_request(struct identity *i)
{
	secret_free(i->next_key);
	i->next_key = NULL;
	i->asked = 0;
}

static void identity_done(struct identity *i)
{
	drop_certificate(i);
	drop_request(i);
	free(i->name);
	free(i->problem);
}

static void set_problem(struct identity *i, const char *problem)
{
	char *copy = problem ? strdup(problem) : NULL;

	free(i->problem);
	i->problem = copy;
}

/* Whether the log does not have it yet: once for all identities that have the same trouble. */
static bool is_news(struct identities *ids, const char *problem)
{
	if (ids->told && !strcmp(ids->told, problem))
		return false;
	free(ids->told);
	ids->told = strdup(problem);
	return true;
}

static void note_problem(struct identities *ids, struct identity *i, const char *problem)
{
	if (is_news(ids, problem))
		log_warning("the certificate of %s: %s%s", i->name, problem,
			    is_good(ids, i) ? ": what it has stays in use until its end" : "");
	set_problem(i, problem);
	note_change(ids);
}

/* It is asked for again: later each time, up to `most` ms. */
static void failed(struct identities *ids, struct identity *i, const char *problem, uint64_t most)
{
	uint64_t wait = most;

	drop_request(i);
	if (i->failures < 16 && (uint64_t)BACKOFF_MIN_MS << i->failures < wait)
		wait = (uint64_t)BACKOFF_MIN_MS << i->failures;
	i->failures++;
	i->next_ms = now_ms(ids) + wait - jitter(wait / 4);
	ids->failed_count++;
	note_problem(ids, i, problem);
}

/* Half of what is left, and up to a tenth of that more. */
static int64_t renewal(const struct identities *ids, int64_t end)
{
	int64_t left = end - now_s(ids), half = left > 2 ? left / 2 : 1;

	return now_s(ids) + half + (int64_t)jitter((uint64_t)half / 10);
}

static void succeeded(struct identities *ids, struct identity *i, char *chain, int64_t end)
{
	drop_certificate(i);
	i->chain = chain;
	i->key = TAKE_PTR(i->next_key);
	drop_request(i);
	i->end = end;
	i->renew = renewal(ids, end);
	i->failures = 0;
	ids->signed_count++;
	if (ids->told)
		log_info("%s has a certificate again", i->name);
	free(TAKE_PTR(ids->told));
	set_problem(i, NULL);
	log_debug("%s has a certificate for %lld s", i->name, (long long)(end - now_s(ids)));
	note_change(ids);
}

static struct identity *of_number(const struct identities *ids, unsigned long number)
{
	for (size_t i = 0; i < ids->list.count; i++)
		if (ids->list.items[i].asked == number)
			return &ids->list.items[i];
	return NULL;
}

void identities_signed(struct identities *ids, unsigned long number, const char *chain,
		       const char *problem)
{
	struct identity *i = number ? of_number(ids, number) : NULL;
	char *copy = NULL;
	int64_t end = 0;

	if (!i) /* it is not wanted any more, or has been given up */
		return;
	if (chain)
		problem = svid_check(i->name, i->next_key, chain, now_s(ids), &end);
	if (chain && !problem)
		copy = strdup(chain);
	if (copy)
		succeeded(ids, i, copy, end);
	else
		failed(ids, i, problem ? problem : "out of memory",
		       chain ? DENIED_MAX_MS : BACKOFF_MAX_MS);
}

void identities_denied(struct identities *ids, unsigned long number, const char *problem)
{
	struct identity *i = number ? of_number(ids, number) : NULL;

	if (i)
		failed(ids, i, problem, DENIED_MAX_MS);
}

bool identities_wait_for(const struct identities *ids, unsigned long number)
{
	return number && of_number(ids, number);
}

/* ---- asking ---- */

static void ask(struct identities *ids, struct identity *i)
{
	_cleanup_free_ char *csr = NULL;
	unsigned long number = ++ids->numbers;
	int r = svid_request(i->name, &i->next_key, &csr);

	i->asked = number;
	i->asked_ms = now_ms(ids);
	if (!r)
		r = ids->signer->sign(ids->signer, i->name, csr, number);
	/* It may have answered, and asking may have moved nothing: the list is as it was. */
	if (r && i->asked == number)
		failed(ids, i, strerror(-r), BACKOFF_MAX_MS);
}

static bool is_due(const struct identities *ids, const struct identity *i)
{
	return ids->signer && i->wanted && !i->asked && now_ms(ids) >= i->next_ms &&
	       (!i->chain || now_s(ids) >= i->renew);
}

static void look_at(struct identities *ids, struct identity *i)
{
	if (i->chain && !is_good(ids, i)) {
		log_warning("the certificate of %s has expired", i->name);
		drop_certificate(i);
		note_change(ids);
	}
	/* It goes on being waited for: another one would not be answered sooner, and stay as well.
	 */
	if (i->asked && now_ms(ids) - i->asked_ms >= ANSWER_MS &&
	    (!i->problem || strcmp(i->problem, no_answer) != 0))
		note_problem(ids, i, no_answer);
}

/* False: there is more to do, in a moment. */
static bool ask_due(struct identities *ids)
{
	uint64_t begun = clock_ms();

	for (size_t i = 0; i < ids->list.count; i++) {
		look_at(ids, &ids->list.items[i]);
		if (!is_due(ids, &ids->list.items[i]))
			continue;
		if (clock_ms() - begun >= TURN_MS)
			return false;
		ask(ids, &ids->list.items[i]);
	}
	return true;
}

/* ---- when there is something to do again ---- */

static uint64_t until(uint64_t at, uint64_t now)
{
	return at > now ? at - now : 1;
}

static uint64_t next_of(const struct identities *ids, const struct identity *i)
{
	uint64_t ms = now_ms(ids), next = LOOK_MS, more;
	int64_t s = now_s(ids);

	if (!i->wanted)
		next = until(i->wanted_ms + UNWANTED_MS, ms);
	else if (i->asked)
		next = ms < i->asked_ms + ANSWER_MS ? i->asked_ms + ANSWER_MS - ms : LOOK_MS;
	else if (!ids->signer)
		next = LOOK_MS;
	else if (!i->chain || s >= i->renew)
		next = until(i->next_ms, ms);
	else
		next = (uint64_t)(i->renew - s) * 1000;
	more = i->chain ? until((uint64_t)i->end, (uint64_t)s) * 1000 : LOOK_MS;
	return more < next ? more : next;
}

/* A pod that is started anew, or another one of its account, has the certificate at once. */
static bool is_kept(const struct identities *ids, const struct identity *i)
{
	return i->wanted || (is_good(ids, i) && now_ms(ids) - i->wanted_ms < UNWANTED_MS);
}

static void drop_unwanted(struct identities *ids)
{
	size_t kept = 0;

	for (size_t i = 0; i < ids->list.count; i++) {
		struct identity *at = &ids->list.items[i];

		if (!at->wanted)
			drop_request(at);
		if (is_kept(ids, at))
			ids->list.items[kept++] = *at;
		else
			identity_done(at);
	}
	ids->list.count = kept;
	if (kept)
		return;
	event_timer_stop(&ids->timer);
	ids->wakes = ids->dirty = false;
	free(TAKE_PTR(ids->told));
}

unsigned identities_turn(struct identities *ids)
{
	uint64_t next = LOOK_MS;
	bool all;

	drop_unwanted(ids);
	all = ask_due(ids);
	if (ids->dirty) {
		ids->dirty = false;
		if (ids->changed)
			ids->changed(ids->arg); /* may want others from now on */
	}
	for (size_t i = 0; i < ids->list.count; i++) {
		uint64_t one = next_of(ids, &ids->list.items[i]);

		if (one < next)
			next = one;
	}
	return !ids->list.count ? 0 : all && !ids->dirty ? (unsigned)next : 1;
}

static void fired(void *arg)
{
	struct identities *ids = arg;
	unsigned next;

	ids->wakes = true; /* the next time is set below */
	next = identities_turn(ids);
	ids->wakes = false;
	if (next)
		event_timer_set(&ids->timer, next);
}

/* ---- which are wanted ---- */

static struct identity *find(const struct identities *ids, const char *name)
{
	for (size_t i = 0; i < ids->list.count; i++)
		if (!strcmp(ids->list.items[i].name, name))
			return &ids->list.items[i];
	return NULL;
}

static int want(struct identities *ids, const char *name)
{
	struct identity *i = find(ids, name);
	char *copy = i ? NULL : strdup(name);

	if (!i) {
		i = copy ? table_push(&ids->list) : NULL;
		if (!i) {
			free(copy);
			return -ENOMEM;
		}
		*i = (struct identity){ .name = copy, .first_ms = now_ms(ids) };
	}
	i->wanted = true;
	return 0;
}

static void stop_wanting(const struct identities *ids, struct identity *i)
{
	if (i->wanted)
		i->wanted_ms = now_ms(ids);
	i->wanted = false;
}

int identities_want(struct identities *ids, const char *const *wanted, size_t count)
{
	bool dirty = ids->dirty, turns = ids->wakes;
	int r = 0;

	for (size_t i = 0; i < ids->list.count; i++)
		stop_wanting(ids, &ids->list.items[i]);
	for (size_t i = 0; i < count && !r; i++)
		r = want(ids, wanted[i]);
	if (r)
		return r;
	drop_unwanted(ids);
	if (!ids->list.count)
		return 0;
	if (count && !ids->signer && is_news(ids, no_ca))
		log_warning("%s", no_ca);
	ids->wakes = true; /* what comes of it now, the caller sees */
	(void)ask_due(ids);
	ids->dirty = dirty;
	ids->wakes = turns;
	if (!turns)
		wake(ids, GATHER_MS);
	return 0;
}

bool identities_find(const struct identities *ids, const char *identity, struct credential *out,
		     const char **problem)
{
	const struct identity *i = find(ids, identity);

	if (!i || !is_good(ids, i) || !ids->roots) {
		*problem = !ids->signer			  ? no_ca
			   : i && i->problem		  ? i->problem
			   : i && i->chain && !ids->roots ? "there is no root that is believed yet"
							  : "there is no certificate yet";
		return false;
	}
	*out = (struct credential){ .name = { i->name, strlen(i->name) },
				    .chain = { i->chain, strlen(i->chain) },
				    .key = { i->key, strlen(i->key) },
				    .ca = { ids->roots, strlen(ids->roots) } };
	return true;
}

int64_t identities_end(const struct identities *ids, const char *identity)
{
	const struct identity *i = find(ids, identity);

	return i ? i->end : 0;
}

const char *identities_roots(const struct identities *ids)
{
	return ids->roots;
}

bool identities_pending(const struct identities *ids)
{
	for (size_t i = 0; ids && ids->signer && i < ids->list.count; i++) {
		const struct identity *at = &ids->list.items[i];

		if (at->wanted && !is_good(ids, at) && now_ms(ids) - at->first_ms < PATIENCE_MS)
			return true;
	}
	return false;
}

/* ---- roots and signers ---- */

static unsigned count_roots(const char *roots)
{
	static const char begin[] = "-----BEGIN ";
	unsigned n = 0;

	for (const char *at = roots; (at = strstr(at, begin)); at += sizeof(begin) - 1)
		n++;
	return n;
}

int identities_trust(struct identities *ids, const char *roots)
{
	char *copy;

	if (ids->roots && !strcmp(ids->roots, roots))
		return 0;
	copy = strdup(roots);
	if (!copy)
		return -ENOMEM;
	free(ids->roots);
	ids->roots = copy;
	ids->root_count = count_roots(roots);
	if (ids->list.count)
		note_change(ids);
	return 0;
}

void identities_renew(struct identities *ids)
{
	for (size_t i = 0; i < ids->list.count; i++) {
		struct identity *at = &ids->list.items[i];

		drop_request(at); /* an answer would be the former CA's */
		at->renew = 0;
		at->next_ms = 0;
		at->failures = 0;
	}
	if (ids->list.count)
		wake(ids, 1);
}

void identities_renew_within(struct identities *ids, unsigned least_ms, unsigned most_ms)
{
	for (size_t i = 0; i < ids->list.count; i++) {
		struct identity *at = &ids->list.items[i];

		if (!at->chain || at->asked)
			continue;
		at->renew = 0;
		at->next_ms = now_ms(ids) + least_ms + jitter(most_ms - least_ms);
	}
	if (ids->list.count)
		wake(ids, 1);
}

void identities_sign_by(struct identities *ids, struct identity_signer *signer)
{
	ids->signer = signer;
	identities_renew(ids);
}

void identities_watch(struct identities *ids, void (*changed)(void *arg), void *arg)
{
	ids->changed = changed;
	ids->arg = arg;
}

/* ---- telling ---- */

void identities_tell(const struct identities *ids, struct identities_state *out)
{
	*out = (struct identities_state){ 0 };
	if (!ids)
		return;
	out->signed_count = ids->signed_count;
	out->failed_count = ids->failed_count;
	out->roots = ids->root_count;
	for (size_t k = 0; k < ids->list.count; k++) {
		const struct identity *i = &ids->list.items[k];

		if (!i->wanted)
			continue;
		out->wanted++;
		out->good += is_good(ids, i);
		if (i->problem && !out->problem)
			out->problem = i->problem;
		if (i->chain && (!out->next_renewal || i->renew < out->next_renewal))
			out->next_renewal = i->renew;
	}
	if (ids->signer)
		ids->signer->tell(ids->signer, &out->ca);
	else if (out->wanted)
		out->problem = no_ca;
}

/* ---- its life ---- */

int identities_open(struct event_loop *loop, struct identities **out)
{
	struct identities *ids = calloc(1, sizeof(*ids));
	int r = ids ? event_timer_open(loop, &ids->timer, fired, ids) : -ENOMEM;

	if (r) {
		free(ids);
		return r;
	}
	*out = ids;
	return 0;
}

void identities_close(struct identities *ids)
{
	if (!ids)
		return;
	event_timer_close(&ids->timer);
	for (size_t i = 0; i < ids->list.count; i++)
		identity_done(&ids->list.items[i]);
	free(ids->list.items);
	free(ids->roots);
	free(ids->told);
	free(ids);
}
