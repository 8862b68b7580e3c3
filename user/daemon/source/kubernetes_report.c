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
#include "lib/model/remarks.h"

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

static int want(const struct kube_source *s, const struct kube_object *o,
		const struct errors *errors, enum status_verdict verdict, struct status_writer *w)
{
	struct status_said said = { 0 };
	struct status_target target;
	char url[URL_MAX];
	int r = status_say(errors, verdict, &said);

	if (r)
		return r;
	target = target_of(s, o, url);
	return status_writer_want(w, &target, &said);
}

static enum status_verdict verdict_of(const struct kube_object *o)
{
	const struct object *is = kube_object_stays(o);

	return !is ? STATUS_LEFT_OUT : is->stands_in ? STATUS_STAND_IN : STATUS_EARLIER;
}

/* What a node has in a file is that node's matter. */
static int each_bad(const struct kube_source *s, struct status_writer *w)
{
	int r = 0;

	if (!s->bad)
		return 0;
	kube_objects_each(&s->objects, o, after)
	{
		if (!r && o->errors.count && !o->gone && !o->in_file)
			r = want(s, o, &o->errors, verdict_of(o), w);
	}
	return r;
}

/* What is no more than a hint, or comes and goes with pods, is not written. */
static bool is_written(const struct remark *r)
{
	return !r || (strcmp(r->level, "info") != 0 && !remark_of_pods(r));
}

/* The object in force that a warning is about, if it has a status; NULL: there is none. */
static struct kube_object *warned_about(const struct kube_source *s, struct error *e)
{
	struct kube_object *o;

	e->place = strcspn(e->text, ":"); /* names of objects have none */
	e->remark = remark_of_text(e->text);
	if (!is_written(e->remark))
		return NULL;
	o = kube_source_blamed(s, e);
	return o && !o->errors.count && !o->gone && !o->in_file &&
			       kube_kind_has_status(&kube_kinds[o->kind])
		       ? o
		       : NULL;
}

/* What is warned of one object, and ends with that. */
static int flush(const struct kube_source *s, const struct kube_object *o, struct errors *errors,
		 struct status_writer *w)
{
	int r = o ? want(s, o, errors, STATUS_WARNED, w) : 0;

	errors_free(errors);
	return r;
}

static int each_warned(const struct kube_source *s, struct status_writer *w)
{
	_cleanup_free_ const char **texts = s->warned ? json_sorted_keys(s->warned) : NULL;
	_cleanup_(errors_free) struct errors errors = { 0 };
	const struct kube_object *last = NULL;
	int r = s->warned && !texts ? -ENOMEM : 0;

	/* Those about one object follow one another. */
	for (size_t i = 0; !r && texts && texts[i]; i++) {
		struct error e = { .text = (char *)texts[i], .warning = true };
		const struct kube_object *o = warned_about(s, &e);

		if (o && o != last)
			r = flush(s, last, &errors, w);
		last = o ? o : last;
		if (!r && o)
			r = errors_copy(&errors, &e, NULL);
	}
	return r ? r : flush(s, last, &errors, w);
}

static bool each(void *arg, struct status_writer *w)
{
	const struct kube_source *s = arg;
	int r;

	if (!s->complete)
		return false;
	r = each_bad(s, w);
	if (!r)
		r = each_warned(s, w);
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
		r = object_fields_keep(s->plain, KUBE_JSON, object, served_version(s, o->kind),
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

void kube_report_change(struct kube_source *s)
{
	const json_t *now = s->options.warned ? s->options.warned(s->options.arg) : NULL;

	if (now == s->warned || (now && json_equal((json_t *)now, s->warned)))
		return;
	json_decref(s->warned);
	s->warned = json_incref((json_t *)now);
	status_writer_changed(s->writer);
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

	/* The one of an informer before is not answered any more. */
	status_writer_close(TAKE_PTR(s->writer));
	return s->node && s->agents_namespace ? status_writer_open(&options, &s->writer) : 0;
}
