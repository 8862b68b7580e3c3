// SPDX-License-Identifier: Apache-2.0
/*
 * apply, delete: what changes the rules.
 */
#include <errno.h>

#include "lib/base/cleanup.h"
#include "daemon/api/handlers.h"
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
		files[i] = (struct store_input){ json_get_text(file, "name", "?"),
						 request->blob + used, size, skip_unknown };
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
	const char *verb; /* that must find objects, or NULL */
};

static int judge(const struct call *c, int r, struct change_report *report)
{
	/* To have done nothing is no success. */
	if (!r && c->verb && !json_array_size(report->changes) && !report->skipped.count)
		errors_add(&report->errors, c->verb, (struct pos){ 0 },
			   "no objects in what was given");
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
		c->d->changed = true;
	}
	free(c->files);
	free(c);
	reply_send(reply, r);
}

/* Takes over `files`. */
static int start(struct weftd *d, struct change *change, struct store_input *files,
		 const char *verb, struct reply *reply)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		if (change)
			change->free(change);
		free(files);
		return -ENOMEM;
	}
	*c = (struct call){ d, reply, files, verb };
	engine_change(d->engine, change, finish, c);
	return -EINPROGRESS;
}

int handle_apply(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct store_input *files = NULL;
	size_t count = 0;
	int r = read_files(request, &files, &count, reply);

	return r ? r : start(d, files_apply(d->files, files, count), files, "apply", reply);
}

int handle_delete(struct weftd *d, const struct request *request, struct reply *reply)
{
	bool ignore_missing = json_is_true(json_object_get(request->args, "ignore_missing"));
	struct store_input *files = NULL;
	struct object_id id;
	size_t count = 0;
	int r;

	if (json_object_get(request->args, "files")) {
		r = read_files(request, &files, &count, reply);
		return r ? r
			 : start(d, files_delete(d->files, files, count, ignore_missing), files,
				 ignore_missing ? NULL : "delete", reply);
	}
	r = request_id(request, &id, reply);
	return r ? r
		 : start(d, files_delete_object(d->files, &id, ignore_missing), NULL, NULL, reply);
}
