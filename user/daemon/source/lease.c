// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/source/lease.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"

enum {
	DURATION_S = 15,
	DEADLINE_MS = 10000,
	RENEW_MS = 2000,
	/* Of those who do not hold it: a look from each of thousands. */
	LOOK_MS = 10000,
	TEXT_MAX = 1024,
};

struct lease {
	struct lease_options options;
	char *namespace, *name, *identity;
	struct event_timer timer;
	bool wanted, held;
	bool busy;	   /* a request is under way */
	bool others;	   /* another agent has been seen to renew it */
	char error[160];   /* why it could not be asked for; "": it could */
	char *seen;	   /* holder and time of its renewal, as they were seen last */
	uint64_t seen_ms;  /* when they were seen first */
	uint64_t asked_ms; /* when the round that is under way began */
	uint64_t renewed_ms, next_ms, now_ms;
};

static const char lease_type[] = "application/json";

int lease_request(void *server, const char *method, const char *path, const char *type,
		  const char *body, size_t size, informer_reply_fn done, void *arg)
{
	return informer_request(server, method, path, type, body, size, done, arg);
}

bool lease_held(const struct lease *l)
{
	return l->held;
}

static void set_held(struct lease *l, bool held)
{
	if (l->held == held)
		return;
	l->held = held;
	l->options.changed(l->options.arg, held);
}

static void plan(struct lease *l)
{
	uint32_t jitter = 0;

	if (getrandom(&jitter, sizeof(jitter), 0) != sizeof(jitter))
		jitter = (uint32_t)l->now_ms;
	l->next_ms = l->now_ms + (l->held ? RENEW_MS : LOOK_MS + jitter % LOOK_MS);
}

bool lease_is_others(const struct lease *l)
{
	return l->others && !l->held;
}

const char *lease_error(const struct lease *l)
{
	return l->error;
}

/* Of a Status object, or of no answer at all. */
static void note_error(struct lease *l, long status, const char *text, size_t size,
		       const char *error)
{
	_cleanup_json_ json_t *answer = status ? json_loadb(text, size, 0, NULL) : NULL;

	snprintf(l->error, sizeof(l->error), "%s",
		 error ? error : json_get_text(answer, "message", "the answer is no Lease"));
	json_clean(l->error);
}

/* ---- what is written ---- */

static const char *time_text(char text[64])
{
	struct timespec now;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(text, 64, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, 64 - len, ".%06ldZ", now.tv_nsec / 1000);
	return text;
}

static json_t *metadata(const struct lease *l, const char *version)
{
	json_t *m = json_pack("{s:s, s:s}", "namespace", l->namespace, "name", l->name);

	/* A Lease that somebody else has written meanwhile is not written over. */
	if (version)
		json_object_set_new(m, "resourceVersion", json_text(version));
	return m;
}

/* `lease`: the one that is there; NULL: none. */
static char *body(const struct lease *l, const json_t *lease)
{
	const json_t *spec = json_object_get(lease, "spec");
	const char *holder = json_get_text(spec, "holderIdentity", ""), *now;
	bool ours = !strcmp(holder, l->identity);
	_cleanup_json_ json_t *out = NULL;
	char text[64];

	now = time_text(text);
	out = json_pack("{s:s, s:s, s:o, s:{s:s, s:i, s:s, s:s, s:I}}", "apiVersion",
			"coordination.k8s.io/v1", "kind", "Lease", "metadata",
			metadata(l, json_get_text(json_object_get(lease, "metadata"),
						  "resourceVersion", NULL)),
			"spec", "holderIdentity", l->identity, "leaseDurationSeconds", DURATION_S,
			"acquireTime", ours ? json_get_text(spec, "acquireTime", now) : now,
			"renewTime", now, "leaseTransitions",
			json_get_int(spec, "leaseTransitions", 0) + (lease && !ours));
	return out ? json_dumps(out, JSON_COMPACT) : NULL;
}

static void written(void *arg, long status, const char *text, size_t size, const char *error)
{
	struct lease *l = arg;

	l->busy = false;
	if (status == 200 || status == 201) {
		l->error[0] = 0;
		l->renewed_ms = l->asked_ms;
		set_held(l, true);
	} else if (status == 409) {
		/* Another one was faster. */
		set_held(l, false);
	} else {
		note_error(l, status, text, size, error);
	}
	plan(l);
}

static void path_of(const struct lease *l, bool one, char path[TEXT_MAX])
{
	snprintf(path, TEXT_MAX, "/apis/coordination.k8s.io/v1/namespaces/%s/leases%s%s",
		 l->namespace, one ? "/" : "", one ? l->name : "");
}

static void write_lease(struct lease *l, const json_t *lease)
{
	_cleanup_free_ char *text = body(l, lease);
	char path[TEXT_MAX];

	path_of(l, lease, path);
	if (text && !l->options.request(l->options.server, lease ? "PUT" : "POST", path, lease_type,
					text, strlen(text), written, l))
		return;
	l->busy = false;
	plan(l);
}

/* ---- what is read ---- */

/* For how long it has been seen as it is. */
static uint64_t age(struct lease *l, const json_t *spec)
{
	char *seen;

	if (asprintf(&seen, "%s %s", json_get_text(spec, "holderIdentity", ""),
		     json_get_text(spec, "renewTime", "")) < 0)
		return 0;
	if (l->seen && !strcmp(l->seen, seen)) {
		free(seen);
		return l->now_ms - l->seen_ms;
	}
	l->others = l->seen && *json_get_text(spec, "holderIdentity", "");
	free(l->seen);
	l->seen = seen;
	l->seen_ms = l->now_ms;
	return 0;
}

static bool may_take(struct lease *l, const json_t *spec)
{
	const char *holder = json_get_text(spec, "holderIdentity", "");
	json_int_t duration = json_get_int(spec, "leaseDurationSeconds", DURATION_S);

	return !*holder || !strcmp(holder, l->identity) ||
	       age(l, spec) >= (uint64_t)(duration > 0 ? duration : DURATION_S) * 1000;
}

static void wait(struct lease *l)
{
	l->busy = false;
	plan(l);
}

static void found(struct lease *l, const char *text, size_t size)
{
	_cleanup_json_ json_t *lease = json_loadb(text, size, 0, NULL);

	if (json_is_object(lease) && may_take(l, json_object_get(lease, "spec"))) {
		l->others = false;
		write_lease(l, lease);
		return;
	}
	if (json_is_object(lease))
		set_held(l, false);
	l->error[0] = 0;
	wait(l);
}

static void got(void *arg, long status, const char *text, size_t size, const char *error)
{
	struct lease *l = arg;

	if (status == 404) {
		write_lease(l, NULL);
	} else if (status == 200) {
		found(l, text, size);
	} else {
		note_error(l, status, text, size, error);
		wait(l);
	}
}

static void ask(struct lease *l)
{
	char path[TEXT_MAX];

	path_of(l, true, path);
	l->busy = true;
	l->asked_ms = l->now_ms;
	if (l->options.request(l->options.server, "GET", path, NULL, NULL, 0, got, l))
		wait(l);
}

/* ---- the time ---- */

void lease_turn(struct lease *l, uint64_t now_ms)
{
	l->now_ms = now_ms;
	if (l->held && now_ms - l->renewed_ms >= DEADLINE_MS)
		set_held(l, false);
	if (l->wanted && !l->busy && now_ms >= l->next_ms)
		ask(l);
}

static void fired(void *arg)
{
	struct lease *l = arg;

	lease_turn(l, clock_ms());
	if (l->wanted || l->held)
		event_timer_set(&l->timer, RENEW_MS);
}

void lease_want(struct lease *l, bool wanted)
{
	if (l->wanted == wanted)
		return;
	l->wanted = wanted;
	l->others = false;
	l->next_ms = 0;
	if (wanted)
		event_timer_set(&l->timer, 1);
}

/* ---- its life ---- */

int lease_open(const struct lease_options *options, struct event_loop *loop, struct lease **out)
{
	struct lease *l = calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (!l)
		return r;
	l->options = *options;
	l->namespace = strdup(options->namespace);
	l->name = strdup(options->name);
	l->identity = strdup(options->identity);
	if (l->namespace && l->name && l->identity)
		r = event_timer_open(loop, &l->timer, fired, l);
	if (r)
		lease_close(l);
	else
		*out = l;
	return r;
}

void lease_close(struct lease *l)
{
	if (!l)
		return;
	event_timer_close(&l->timer);
	free(l->namespace);
	free(l->name);
	free(l->identity);
	free(l->seen);
	free(l);
}
