// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/ejections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/route/ejections.h"

struct told {
	char name[CLUSTER_NAME_MAX];
	struct http_ejection rows[HTTP_EJECTED_MAX];
};

static bool any_is_out(const struct http_cluster_stat *s, __u64 now_ms)
{
	for (size_t i = 0; i < HTTP_EJECTED_MAX; i++)
		if (s->ejected[i].back_ds * 100ull > now_ms)
			return true;
	return false;
}

/* Of two rows of one name, which weft-proxy never makes, the first one counts. */
static int note(void *arg, const struct http_cluster_stat *s)
{
	struct ejections *e = arg;
	struct told *told;
	void **at;

	if (!any_is_out(s, e->now_ms) || bytemap_str(&e->clusters, s->name))
		return 0;
	told = malloc(sizeof(*told));
	if (!told)
		return -ENOMEM;
	memcpy(told->name, s->name, sizeof(told->name));
	memcpy(told->rows, s->ejected, sizeof(told->rows));
	at = bytemap_at(&e->clusters, told->name, strlen(told->name));
	if (!at) {
		free(told);
		return -ENOMEM;
	}
	*at = told;
	return 0;
}

static bool has_outlier_detection(const struct http_snapshot *s)
{
	for (__u32 i = 0; i < hs_count(s, HS_CLUSTERS); i++)
		if (hs_cluster(s, i)->outliers.given)
			return true;
	return false;
}

int ejections_read(struct weftd *d, const struct http_snapshot *s, struct ejections *out)
{
	out->snapshot = s;
	out->now_ms = clock_ms();
	out->now = time(NULL);
	return s && has_outlier_detection(s) ? kernel_each_http_cluster(d->kernel, note, out) : 0;
}

void ejections_free(struct ejections *e)
{
	for (size_t i = 0; i < e->clusters.count; i++)
		free(e->clusters.entries[i].value);
	bytemap_free(&e->clusters);
}

static const struct told *told_of(struct ejections *e, const struct hs_cluster *c)
{
	return bytemap_str(&e->clusters, hs_text(e->snapshot, c->name));
}

bool ejections_any(struct ejections *e, const struct hs_cluster *c)
{
	return c->outliers.given && told_of(e, c);
}

static json_t *until_json(const struct ejections *e, __u64 seconds)
{
	time_t until = e->now + (time_t)seconds;
	char text[sizeof("2026-11-28T22:50:12Z") + 8];
	struct tm tm;

	if (!gmtime_r(&until, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return NULL;
	return json_string(text);
}

json_t *ejections_endpoint(struct ejections *e, const struct hs_cluster *c,
			   const struct hs_endpoint *endpoint)
{
	const struct endpoint *at = &endpoint->endpoint;
	char text[ADDR_TEXT_MAX];
	json_t *json;
	const struct told *told = told_of(e, c);
	__u64 until = told ? http_ejected_until(c, told->rows, endpoint->endpoint.id, e->now_ms)
			   : 0;
	__u64 seconds = until ? (until - e->now_ms + 999) / 1000 : 0;

	addr_format_port(&at->addr, at->port, text);
	json = json_pack("{s:s}", "address", text);
	if (c->outliers.given)
		json_object_set_new(json, "ejected", json_boolean(until));
	if (until) {
		json_object_set_new(json, "ejected_until", until_json(e, seconds));
		json_object_set_new(json, "ejected_for_s", json_integer((json_int_t)seconds));
	}
	return json;
}
