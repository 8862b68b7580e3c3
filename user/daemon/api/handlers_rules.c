// SPDX-License-Identifier: Apache-2.0
/*
 * apply, delete: what changes the rules.
 */
#include <errno.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"

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
		files[i] = (struct store_input){ json_get_text(file, "name", "?"),
						 request->blob + used, size, skip_unknown };
		used += size;
	}
	*out = files;
	*count = i;
	return 0;
}

/* To have done nothing is no success. */
static int expect_objects(const char *verb, struct engine_report *report)
{
	if (json_array_size(report->changes) || report->skipped.count)
		return 0;
	errors_add(&report->errors, verb, (struct pos){ 0 }, "no objects in what was given");
	return -EINVAL;
}

/* Moves what was found into the reply. */
static int finish(struct weftd *d, int r, struct engine_report *report, struct reply *reply)
{
	reply->errors = report->errors;
	reply->notes = report->skipped;
	if (!r) {
		reply->data = json_pack("{s:o*}", "changes", report->changes);
		d->changed = true;
	} else {
		json_decref(report->changes);
	}
	return r;
}

int handle_apply(struct weftd *d, const struct request *request, struct reply *reply)
{
	_cleanup_free_ struct store_input *files = NULL;
	struct engine_report report = { 0 };
	size_t count = 0;
	int r = read_files(request, &files, &count, reply);

	if (r)
		return r;
	r = engine_apply(d->engine, files, count, &report);
	return finish(d, r ? r : expect_objects("apply", &report), &report, reply);
}

int handle_delete(struct weftd *d, const struct request *request, struct reply *reply)
{
	bool ignore_missing = json_is_true(json_object_get(request->args, "ignore_missing"));
	_cleanup_free_ struct store_input *files = NULL;
	struct engine_report report = { 0 };
	struct object_id id;
	size_t count = 0;
	int r;

	if (json_object_get(request->args, "files")) {
		r = read_files(request, &files, &count, reply);
		if (r)
			return r;
		r = engine_delete_files(d->engine, files, count, ignore_missing, &report);
		if (!r && !ignore_missing)
			r = expect_objects("delete", &report);
		return finish(d, r, &report, reply);
	}
	r = request_id(request, &id, reply);
	if (r)
		return r;
	return finish(d, engine_delete(d->engine, &id, 1, ignore_missing, &report), &report, reply);
}
