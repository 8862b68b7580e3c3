// SPDX-License-Identifier: Apache-2.0
#include "daemon/source/leave.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

enum { DAEMONSET, NAMESPACE, WATCHED };

struct leave {
	struct informer *informer;
	struct informer_resource resources[WATCHED];
	char *daemonset, *namespace;   /* their names */
	char *path, *queries[WATCHED]; /* of the resources */
	bool going[WATCHED];	       /* was there, and goes or is gone */
};

static const char *const fields[] = { "metadata.deletionTimestamp", NULL };

/* Also one that is still there, until what belongs to it has gone. */
static bool is_deleted(const struct informer_event *e)
{
	json_t *object = json_loadb(e->json, e->size, 0, NULL);
	bool deleted = json_object_get(json_object_get(object, "metadata"), "deletionTimestamp");

	json_decref(object);
	return deleted;
}

void leave_event(struct leave *l, const struct informer_event *e)
{
	const char *expected = e->resource == DAEMONSET ? l->daemonset : l->namespace;
	bool going;

	if (e->resource >= WATCHED || strcmp(e->name, expected) != 0)
		return;
	going = e->change == INFORMER_GONE || is_deleted(e);
	if (going && !l->going[e->resource])
		log_info("the %s %s is deleted: when weftd ends, all that is its own leaves the "
			 "node",
			 e->resource == DAEMONSET ? "daemonset" : "namespace", expected);
	l->going[e->resource] = going;
}

static void events(void *arg, const struct informer_event *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		leave_event(arg, &list[i]);
}

/* Told once by weft status where it matters: without the watch, all stays as it is. */
static void status(void *arg, unsigned resource, const struct informer_status *status)
{
	struct leave *l = arg;

	if (status->phase == INFORMER_FORBIDDEN)
		log_warning(
			"the %s %s can't be watched: weft stays on the node when it is deleted: "
			"%s",
			resource == DAEMONSET ? "daemonset" : "namespace",
			resource == DAEMONSET ? l->daemonset : l->namespace, status->error);
}

static void synced(void *arg)
{
	(void)arg;
}

bool leave_wanted(const struct leave *l)
{
	return l && (l->going[DAEMONSET] || l->going[NAMESPACE]);
}

void leave_close(struct leave *l)
{
	if (!l)
		return;
	informer_close(l->informer);
	for (int i = 0; i < WATCHED; i++)
		free(l->queries[i]);
	free(l->daemonset);
	free(l->namespace);
	free(l->path);
	free(l);
}

DEFINE_CLEANUP(struct leave *, leave_close);

/* NULL without memory. */
static char *text(const char *format, const char *name)
{
	char *out;

	return asprintf(&out, format, name) < 0 ? NULL : out;
}

struct leave *leave_new(const char *namespace, const char *name)
{
	_cleanup_(leave_closep) struct leave *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->daemonset = strdup(name);
	l->namespace = strdup(namespace);
	l->path = text("/apis/apps/v1/namespaces/%s/daemonsets", namespace);
	l->queries[DAEMONSET] = text("fieldSelector=metadata.name%%3D%s", name);
	l->queries[NAMESPACE] = text("fieldSelector=metadata.name%%3D%s", namespace);
	if (!l->daemonset || !l->namespace || !l->path || !l->queries[DAEMONSET] ||
	    !l->queries[NAMESPACE])
		return NULL;
	l->resources[DAEMONSET] = (struct informer_resource){ .path = l->path,
							      .api_version = "apps/v1",
							      .kind = "DaemonSet",
							      .query = l->queries[DAEMONSET],
							      .fields = fields };
	l->resources[NAMESPACE] = (struct informer_resource){ .path = "/api/v1/namespaces",
							      .api_version = "v1",
							      .kind = "Namespace",
							      .query = l->queries[NAMESPACE],
							      .fields = fields };
	return TAKE_PTR(l);
}

int leave_open(const struct kube_config *config, const char *namespace, const char *name,
	       struct event_loop *loop, struct leave **out)
{
	_cleanup_(leave_closep) struct leave *l = leave_new(namespace, name);
	const struct informer_sink sink = {
		.events = events, .synced = synced, .status = status, .arg = l
	};
	int r = l ? informer_open(config, l->resources, WATCHED, &sink, loop, &l->informer)
		  : -ENOMEM;

	if (!r)
		r = informer_start(l->informer);
	if (r)
		return log_err(r, "watch the daemonset %s/%s", namespace, name);
	*out = TAKE_PTR(l);
	return 0;
}
