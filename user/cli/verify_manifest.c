// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/files.h"
#include "cli/install.h"
#include "cli/rollout.h"
#include "cli/unsupported_objects.h"
#include "lib/base/json_io.h"

enum { DIFFERENCES_MAX = 5, TEXT_MAX_SHOWN = 60 };

/* ---- where two objects differ ---- */

struct differences {
	FILE *out;
	size_t count;
};

/* A value in few characters. */
static void print_value(const json_t *value, FILE *out)
{
	_cleanup_free_ char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY)
					  : NULL;

	if (!value)
		fputs("nothing", out);
	else if (text && strlen(text) <= TEXT_MAX_SHOWN)
		fputs(text, out);
	else
		fprintf(out, "%.*s...", TEXT_MAX_SHOWN, text ? text : "");
}

static void differ(struct differences *d, const char *path, const json_t *is, const json_t *wanted)
{
	if (d->count++ >= DIFFERENCES_MAX)
		return;
	fprintf(d->out, "%s%s: expected ", d->count > 1 ? "; " : "", path);
	print_value(wanted, d->out);
	fputs(", not ", d->out);
	print_value(is, d->out);
}

static void compare(struct differences *d, const char *path, const json_t *is,
		    const json_t *wanted);

static void compare_members(struct differences *d, const char *path, const json_t *is,
			    const json_t *wanted)
{
	const char *key;
	json_t *value;
	char below[512];

	json_object_foreach((json_t *)wanted, key, value)
	{
		snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", key);
		compare(d, below, json_object_get(is, key), value);
	}
	json_object_foreach((json_t *)is, key, value)
	{
		snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", key);
		if (!json_object_get(wanted, key))
			differ(d, below, value, NULL);
	}
}

static void compare_elements(struct differences *d, const char *path, const json_t *is,
			     const json_t *wanted)
{
	char below[512];

	for (size_t i = 0; i < json_array_size(is) || i < json_array_size(wanted); i++) {
		snprintf(below, sizeof(below), "%s[%zu]", path, i);
		compare(d, below, json_array_get(is, i), json_array_get(wanted, i));
	}
}

static void compare(struct differences *d, const char *path, const json_t *is, const json_t *wanted)
{
	if (json_is_object(is) && json_is_object(wanted))
		compare_members(d, path, is, wanted);
	else if (json_is_array(is) && json_is_array(wanted))
		compare_elements(d, path, is, wanted);
	else if (!is || !wanted || !json_equal((json_t *)is, (json_t *)wanted))
		differ(d, path, is, wanted);
}

/* What changes whenever an object is written, or by itself. */
static void strip(json_t *object)
{
	static const char *const names[] = { "managedFields", "resourceVersion", "generation" };
	json_t *meta = json_object_get(object, "metadata");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		json_object_del(meta, names[i]);
	json_object_del(object, "status");
}

/* ---- one object ---- */

/* What the API server would make of the object if the manifest were applied; nothing changes. It
 * fills in what the manifest leaves open, as it did then. */
static int dry_apply(struct kube_client *c, const struct cluster_object *o, json_t **out,
		     char error[KUBE_ERROR_MAX])
{
	_cleanup_free_ char *body = json_dumps(o->json, JSON_COMPACT), *path = NULL;

	if (!body || asprintf(&path, "%s?fieldManager=weft&force=true&dryRun=All", o->path) < 0) {
		path = NULL;
		snprintf(error, KUBE_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	return cluster_call(c, "PATCH", path, "application/apply-patch+yaml", body, out, error);
}

static void compare_object(struct checklist *l, const struct cluster_object *o, json_t *live,
			   json_t *wanted)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	struct differences d = { .out = open_memstream(&text, &size) };

	if (!d.out) {
		checklist_add(l, false, o->shown, json_text("out of memory"));
		return;
	}
	strip(live);
	strip(wanted);
	compare(&d, "", live, wanted);
	if (d.count > DIFFERENCES_MAX)
		fprintf(d.out, "; and %zu more", d.count - DIFFERENCES_MAX);
	fclose(d.out);
	checklist_add(l, !d.count, o->shown, json_text(d.count ? text : "as the manifest says"));
}

static void check_object(struct checklist *l, struct kube_client *c, const struct cluster_object *o)
{
	_cleanup_json_ json_t *live = NULL, *wanted = NULL;
	char error[KUBE_ERROR_MAX];
	int r = cluster_get(c, o->path, &live, error);

	if (r) {
		checklist_add(l, false, o->shown, json_text(r == -ENOENT ? "not there" : error));
		return;
	}
	if (cluster_is_others_namespace(o, live)) {
		checklist_add(l, true, o->shown, json_text("it was there before weft"));
		return;
	}
	if (dry_apply(c, o, &wanted, error)) {
		checklist_add(l, false, o->shown, json_text(error));
		return;
	}
	compare_object(l, o, live, wanted);
}

/* ---- the agents ---- */

static void check_rollout(struct checklist *l, struct kube_client *c,
			  const struct cluster_object *daemon_set)
{
	_cleanup_json_ json_t *live = NULL, *reasons = NULL;
	struct rollout rollout;
	char error[KUBE_ERROR_MAX];
	const char *node;
	json_t *why;

	if (cluster_get(c, daemon_set->path, &live, error))
		return; /* that it is not there has been said */
	rollout = rollout_of(live);
	checklist_add(l, rollout_done(&rollout), "every node has an agent that is ready",
		      rollout.seen ? json_textf("%lld of %lld", rollout.ready, rollout.desired)
				   : json_text("no controller has looked at the DaemonSet"));
	if (rollout_done(&rollout))
		return;
	reasons = rollout_reasons(c);
	json_object_foreach(reasons, node, why) checklist_add(l, false, node, json_incref(why));
}

/* ---- what weft does not carry out ---- */

static void add_unsupported(void *arg, const struct unsupported_kind *k, size_t count,
			    const char *detail)
{
	_cleanup_free_ char *what = NULL;

	if (asprintf(&what, "%s.%s", k->plural, k->group) < 0)
		what = NULL;
	if (k->closes || !count)
		checklist_add(arg, false, what ? what : k->plural, json_text(detail));
	else
		checklist_note(arg, what ? what : k->plural, json_text(detail));
}

static int check_all(struct checklist *l, struct kube_client *c,
		     const struct cluster_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		check_object(l, c, &objects->items[i]);
	for (size_t i = 0; i < objects->count; i++)
		if (!strcmp(objects->items[i].kind->kind, "DaemonSet"))
			check_rollout(l, c, &objects->items[i]);
	unsupported_objects(c, add_unsupported, l);
	return 0;
}

int verify_manifest(const struct cluster_options *options, const char *file, struct checklist *l)
{
	const struct file_names names = { .list = { .items = &file, .count = 1 } };
	_cleanup_(kube_client_closep) struct kube_client *c = NULL;
	struct cluster_objects objects = { 0 };
	struct files files = { 0 };
	int r = files_read(&names, &files);

	for (size_t i = 0; i < files.count && !r; i++)
		r = cluster_objects_parse(files.items[i].name, files.bytes + files.items[i].at,
					  files.items[i].size, &objects);
	files_free(&files);
	if (!r)
		r = cluster_open(options, &c);
	if (!r)
		r = check_all(l, c, &objects);
	cluster_objects_free(&objects);
	return r;
}
