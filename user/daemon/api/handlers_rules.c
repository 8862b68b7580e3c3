// SPDX-License-Identifier: Apache-2.0
/*
 * apply, delete: what changes the rules.
 */
#include <errno.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"
#include "daemon/api/selection.h"
#include "daemon/source/files.h"

/* The files of a request, cut out of its blob. */
static int read_files(const struct request *request, struct store_input **out, size_t *count,
		      struct reply *reply)
{
	const json_t *list = json_object_get(request->args, "files");
	bool skip_unknown = json_is_true(json_object_get(request->args, "skip_unknown"));
	struct store_input *files = calloc(json_array_size(list) + 1, sizeof(*files));
	size_t used = 0, i;
	json_t *file;

	if (!files)
		return -ENOMEM;
	json_array_foreach(list, i, file)
	{
		json_int_t size = json_get_int(file, "size", -1);

		if (size < 0 || (size_t)size > request->blob_len - used) {
			free(files);
			return refuse(reply, "files", "sizes do not add up");
		}
		files[i] = (struct store_input){
			.name = json_get_text(file, "name", "?"),
			.bytes = request->blob + used,
			.size = size,
			.namespace = json_get_text(request->args, "namespace", NULL),
			.skip_unknown = skip_unknown,
		};
		used += size;
	}
	*out = files;
	*count = i;
	return 0;
}

/* A change on its way. */
struct call {
	struct weftd *d;
	struct reply *reply;
	struct store_input *files;
	struct file_options options;
	const char *verb; /* that must find objects, or NULL */
};

static int judge(const struct call *c, int r, struct change_report *report)
{
	/* To have done nothing is no success. */
	if (!r && c->verb && !json_array_size(report->changes) && !report->skipped.count)
		errors_add(&report->errors, c->verb, (struct pos){ 0 },
			   "no objects in what was given%s",
			   c->options.selector ? " match the selector" : "");
	return r ? r : errors_fatal(&report->errors) ? -EINVAL : 0;
}

/* Moves what was found into the reply. */
static void finish(void *arg, int r, struct change_report *report)
{
	struct call *c = arg;
	struct reply *reply = c->reply;

	r = judge(c, r, report);
	reply->errors = report->errors;
	reply->notes = report->skipped;
	report->errors = report->skipped = (struct errors){ 0 };
	if (!r) {
		reply->data = json_pack("{s:o*}", "changes", report->changes);
		report->changes = NULL;
	}
	free(c->files);
	free(c);
	reply_send(reply, r);
}

/* Takes over `files`. */
static int start(struct weftd *d, struct change *change, struct store_input *files,
		 const char *verb, const struct file_options *options, struct reply *reply)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		if (change)
			change->free(change);
		free(files);
		return -ENOMEM;
	}
	*c = (struct call){ d, reply, files, *options, verb };
	engine_change(d->engine, change, finish, c);
	return -EINPROGRESS;
}

static bool flag(const struct request *request, const char *key)
{
	return json_is_true(json_object_get(request->args, key));
}

/* {"dry_run", "ignore_missing", "replace", "prune", "namespace", "selector"}, all optional */
static struct file_options read_options(const struct request *request)
{
	return (struct file_options){
		.dry_run = flag(request, "dry_run"),
		.ignore_missing = flag(request, "ignore_missing"),
		.prune = flag(request, "replace") ? PRUNE_ALL
			 : flag(request, "prune") ? PRUNE_VISITED
						  : PRUNE_NONE,
		.namespace = json_get_text(request->args, "namespace", NULL),
		.selector = json_get_text(request->args, "selector", NULL),
	};
}

/* Whether this weftd takes files at all. */
static int need_files(const struct weftd *d, struct reply *reply, const char *instead)
{
	return d->files ? 0
			: refuse(reply, reply->command, "rules come from Kubernetes: %s", instead);
}

int handle_apply(struct weftd *d, const struct request *request, struct reply *reply)
{
	const struct file_options options = read_options(request);
	struct store_input *files = NULL;
	size_t count = 0;
	int r = need_files(d, reply, "kubectl apply");

	if (!r)
		r = read_files(request, &files, &count, reply);

	return r ? r
		 : start(d, files_apply(d->files, files, count, &options), files, "apply", &options,
			 reply);
}

/* The identities of the objects that "targets" name (selection.h), which they point into. */
static int read_targets(const struct weftd *d, const struct request *request, bool ignore_missing,
			struct object_id **out, size_t *count, struct reply *reply)
{
	_cleanup_(selection_free) struct selection selection = { 0 };
	struct object_id *ids;
	int r = selection_make(request, engine_objects(d->engine), &selection, reply);

	if (r)
		return r;
	for (size_t i = 0; !ignore_missing && i < selection.missing.count; i++)
		r = refuse(reply, selection.missing.items[i].text, "nothing is deleted");
	if (r)
		return r;
	ids = calloc(selection.count + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < selection.count; i++)
		ids[i] = object_id(selection.items[i]->object);
	*out = ids;
	*count = selection.count;
	return 0;
}

int handle_delete(struct weftd *d, const struct request *request, struct reply *reply)
{
	const struct file_options options = read_options(request);
	_cleanup_free_ struct object_id *ids = NULL;
	struct store_input *files = NULL;
	size_t count = 0;
	int r = need_files(d, reply, "kubectl delete");

	if (r)
		return r;
	if (json_object_get(request->args, "files")) {
		r = read_files(request, &files, &count, reply);
		return r ? r
			 : start(d, files_delete(d->files, files, count, &options), files,
				 options.ignore_missing ? NULL : "delete", &options, reply);
	}
	r = read_targets(d, request, options.ignore_missing, &ids, &count, reply);
	return r ? r
		 : start(d, files_delete_objects(d->files, ids, count, &options), NULL, NULL,
			 &options, reply);
}
