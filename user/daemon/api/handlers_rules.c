// SPDX-License-Identifier: Apache-2.0
/*
 * apply, delete: what changes the rules.
 */
#include <errno.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"
#include "daemon/api/selection.h"

/* The files of a request, cut out of its blob. */
static int read_files(const struct request *request, struct store_input **out, size_t *count,
		      struct reply *reply)
{
	const json_t *list = json_object_get(request->args, "files");
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
		files[i] = (struct store_input){ json_get_text(file, "name", "?"),
						 request->blob + used, size,
						 json_get_text(request->args, "namespace", NULL) };
		used += size;
	}
	*out = files;
	*count = i;
	return 0;
}

/* Moves what was found into the reply. */
static int finish(struct weftd *d, int r, const struct engine_options *options,
		  struct engine_report *report, struct reply *reply)
{
	reply->errors = report->errors;
	reply->notes = report->skipped;
	if (!r) {
		reply->data = json_pack("{s:o*}", "changes", report->changes);
		d->changed = d->changed || !options->dry_run;
	} else {
		json_decref(report->changes);
	}
	return r;
}

static bool flag(const struct request *request, const char *key)
{
	return json_is_true(json_object_get(request->args, key));
}

/* {"dry_run", "ignore_missing", "replace", "prune", "namespace", "selector"}, all optional */
static struct engine_options read_options(const struct request *request)
{
	return (struct engine_options){
		.dry_run = flag(request, "dry_run"),
		.ignore_missing = flag(request, "ignore_missing"),
		.prune = flag(request, "replace") ? ENGINE_PRUNE_ALL
			 : flag(request, "prune") ? ENGINE_PRUNE_VISITED
						  : ENGINE_KEEP,
		.namespace = json_get_text(request->args, "namespace", NULL),
		.selector = json_get_text(request->args, "selector", NULL),
	};
}

int handle_apply(struct weftd *d, const struct request *request, struct reply *reply)
{
	const struct engine_options options = read_options(request);
	_cleanup_free_ struct store_input *files = NULL;
	struct engine_report report = { 0 };
	size_t count = 0;
	int r = read_files(request, &files, &count, reply);

	if (r)
		return r;
	r = engine_apply(d->engine, files, count, &options, &report);
	if (!r && !report.changes && !report.skipped.count)
		errors_add(&report.errors, "apply", (struct pos){ 0 },
			   "no objects in what was given%s",
			   options.selector ? " match the selector" : "");
	return finish(d,
		      r				     ? r
		      : errors_fatal(&report.errors) ? -EINVAL
						     : 0,
		      &options, &report, reply);
}

/* The objects that "targets" name (selection.h) as identities, which live as long as they do. */
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
	const struct engine_options options = read_options(request);
	bool by_files = json_object_get(request->args, "files");
	_cleanup_free_ struct store_input *files = NULL;
	_cleanup_free_ struct object_id *ids = NULL;
	struct engine_report report = { 0 };
	size_t count = 0;
	int r = by_files ? read_files(request, &files, &count, reply)
			 : read_targets(d, request, options.ignore_missing, &ids, &count, reply);

	if (r)
		return r;
	r = by_files ? engine_delete_files(d->engine, files, count, &options, &report)
		     : engine_delete(d->engine, ids, count, &options, &report);
	return finish(d, r, &options, &report, reply);
}
