// SPDX-License-Identifier: Apache-2.0
/*
 * Between the source and the writer of status: what is wrong with the cluster's objects, and what
 * their status says of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

enum { URL_MAX = 1024, SPREAD_MIN_MS = 300, SPREAD_MAX_MS = 10000, PODS_PER_MS = 15 };

static const char *served_version(const struct kube_source *s, unsigned kind)
{
	const struct informer_status *st = s->informer ? informer_status(s->informer, kind) : NULL;

	return st && st->api_version ? st->api_version : s->versions[kind];
}

/* Into `url` goes its path. */
static struct status_target target_of(const struct kube_source *s, const struct kube_object *o,
				      char url[URL_MAX])
{
	const struct kube_kind *k = &kube_kinds[o->kind];
	const char *version = served_version(s, o->kind);

	snprintf(url, URL_MAX, "/%s/%s%s%s/%s/%s", *k->group ? "apis" : "api", version,
		 *o->namespace ? "/namespaces/" : "", o->namespace, k->plural, o->name);
	return (struct status_target){ .path = url,
				       .api_version = version,
				       .kind = k->name,
				       .namespace = o->namespace,
				       .name = o->name,
				       .has_status = kube_kind_has_status(k) };
}

/* ---- what the writer asks ---- */

static int want(const struct kube_source *s, const struct kube_object *o, struct status_writer *w)
{
	struct status_said said = { 0 };
	struct status_target target;
	char url[URL_MAX];
	int r = status_say(&o->errors, o->live != NULL, &said);

	if (r)
		return r;
	target = target_of(s, o, url);
	return status_writer_want(w, &target, &said);
}

/* What a node has in a file is that node's matter. */
static bool each(void *arg, struct status_writer *w)
{
	struct kube_source *s = arg;
	int r = 0;

	if (!s->complete)
		return false;
	kube_objects_each(&s->objects, o, after)
	{
		if (!r && o->errors.count && !o->gone && !o->in_file)
			r = want(s, o, w);
	}
	if (r)
		log_err(r, "tell what is wrong with the cluster's objects");
	return true;
}

static const char *version(void *arg, const char *kind, const char *namespace, const char *name)
{
	const struct kube_source *s = arg;
	int index = kube_kind_of_name(kind);
	const struct kube_object *o =
		index < 0 ? NULL : kube_objects_find(&s->objects, (unsigned)index, namespace, name);

	return o && !o->gone && !o->pending && !o->in_change ? o->version : NULL;
}

/* By the pods: they are about thirty to an agent. */
static unsigned spread_ms(void *arg)
{
	const struct kube_source *s = arg;
	size_t ms = SPREAD_MIN_MS + s->objects.count / PODS_PER_MS;

	return ms > SPREAD_MAX_MS ? SPREAD_MAX_MS : (unsigned)ms;
}

/* ---- what it is told ---- */

static int take_status(struct kube_source *s, const struct kube_object *o, struct json_span status,
		       struct json_span object)
{
	_cleanup_json_ json_t *tree = status.at ? json_loadb(object.at, object.len, 0, NULL) : NULL;
	struct status_seen seen = { 0 };
	struct status_target target;
	char url[URL_MAX];

	if (tree && status_see(tree, &seen))
		return -ENOMEM;
	target = target_of(s, o, url);
	status_writer_seen(s->writer, &target, &seen);
	return 0;
}

int kube_report_take(struct kube_source *s, const struct kube_object *o, const char **json,
		     size_t *size, struct buffer *plain)
{
	const struct json_span object = { *json, *size };
	int r;

	if (!kube_kind_has_status(&kube_kinds[o->kind]))
		return 0;
	r = take_status(s, o, json_member(object, "status"), object);
	if (!r)
		r = object_fields_keep(s->plain, object, served_version(s, o->kind),
				       kube_kinds[o->kind].name, plain);
	if (r == -EPROTO) /* as it stands, it will be refused as well */
		return 0;
	if (!r)
		r = buffer_add(plain, "", 1);
	if (r)
		return r;
	*json = plain->bytes;
	*size = plain->size - 1;
	return 0;
}

void kube_report_gone(struct kube_source *s, const struct kube_object *o)
{
	struct status_seen none = { 0 };
	char url[URL_MAX];
	const struct status_target target = target_of(s, o, url);

	status_writer_seen(s->writer, &target, &none);
}

int kube_report_open(struct kube_source *s)
{
	const struct status_writer_options options = {
		.namespace = s->agents_namespace,
		.node = s->node,
		.request = lease_request,
		.server = s->informer,
		.loop = s->options.loop,
		.each = each,
		.version = version,
		.spread_ms = spread_ms,
		.arg = s,
	};

	return s->node && s->agents_namespace ? status_writer_open(&options, &s->writer) : 0;
}
