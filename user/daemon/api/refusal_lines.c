// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/refusal_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/bpf/loader.h"
#include "daemon/datapath/refusals.h"
#include "daemon/supervisor/access_follow.h"
#include "lib/base/addr.h"
#include "lib/base/clock.h"
#include "lib/base/cleanup.h"

enum { TIME_TEXT = 40 };

struct refusal_lines {
	struct weftd *d;
	struct refusals *refusals;
};

/* As the access log has it. */
static void time_text(__u64 monotonic, char out[TIME_TEXT])
{
	__u64 now = clock_ns(), ago = now > monotonic ? now - monotonic : 0;
	struct timespec t;
	struct tm tm;
	size_t n = 0;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec -= (time_t)(ago / 1000000000);
	t.tv_nsec -= (long)(ago % 1000000000);
	if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += 1000000000;
	}
	if (gmtime_r(&t.tv_sec, &tm))
		n = strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, TIME_TEXT - n, ".%03ldZ", t.tv_nsec / 1000000);
}

char *refusal_line(const struct refusal_event *e, const char *reason, const char *cluster)
{
	_cleanup_json_ json_t *line = NULL;
	char client[ADDR_TEXT_MAX], called[ADDR_TEXT_MAX], time[TIME_TEXT];

	addr_format_port(&e->t.src, e->t.sport, client);
	addr_format_port(&e->t.dst, e->t.dport, called);
	time_text(e->time, time);
	line = json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "refusal", "time", time, "client", client,
			 "called", called, "reason", reason, "cluster", cluster);
	return line ? json_dumps(line, JSON_COMPACT) : NULL;
}

static void add(void *arg, const struct refusal_event *e)
{
	const struct refusal_lines *l = arg;
	const char *cluster = registry_name(engine_registry(l->d->engine), REG_CLUSTER, e->cluster);
	_cleanup_free_ char *line =
		refusal_line(e, loader_reason_name(e->reason), cluster ? cluster : "");

	if (line)
		access_follow_add(l->d->access_follow, line);
}

static void turn(void *arg, bool first)
{
	const struct refusal_lines *l = arg;

	if (first) /* of before */
		refusals_drop(l->refusals);
	else
		refusals_take(l->refusals);
}

int refusal_lines_open(struct weftd *d, struct kernel *k, struct refusal_lines **out)
{
	struct refusal_lines *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->d = d;
	r = refusals_open(k, add, l, &l->refusals);
	if (r)
		free(l);
	else
		*out = l;
	return r;
}

void refusal_lines_close(struct refusal_lines *l)
{
	if (!l)
		return;
	refusals_close(l->refusals);
	free(l);
}

void refusal_lines_more(struct refusal_lines *l, struct access_follow_more *out)
{
	*out = (struct access_follow_more){ .turn = turn, .arg = l };
}
