// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/reply.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/model/kinds.h"

int refuse(struct reply *reply, const char *what, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	errors_add(&reply->errors, what, (struct pos){ 0 }, "%s", text ? text : "refused");
	return -EINVAL;
}

json_t *refusal(const char *text)
{
	return json_pack("{s:b, s:[o]}", "ok", 0, "errors", json_text(text));
}

int refuse_kind(struct reply *reply, const char *word)
{
	const char *near = kind_similar(word);

	return refuse(reply, word, "no such kind of object%s%s%s", near ? ", did you mean \"" : "",
		      near ? near : "", near ? "\"?" : "");
}

int request_id(const struct request *request, struct object_id *out, struct reply *reply)
{
	const char *kind = json_get_text(request->args, "kind", "");
	const char *name = json_get_text(request->args, "name", NULL);
	const char *namespace = json_get_text(request->args, "namespace", "default");

	*out = (struct object_id){ kind_parse(kind), namespace, name };
	if (out->kind < 0)
		return refuse_kind(reply, kind);
	if (!name)
		return refuse(reply, kind, "a name is expected");
	if (kind_infos[out->kind].cluster_wide)
		out->namespace = NULL;
	return 0;
}

/* Texts of errors or of warnings; NULL if there are none. */
static json_t *texts(const struct errors *errors, bool warnings)
{
	json_t *list = NULL;

	for (size_t i = 0; i < errors->count; i++) {
		if (errors->items[i].warning != warnings)
			continue;
		if (!list)
			list = json_array();
		json_array_append_new(list, json_text(errors->items[i].text ? errors->items[i].text
									    : "out of memory"));
	}
	return list;
}

static json_t *pack(struct reply *reply, bool ok)
{
	return json_pack("{s:b, s:o*, s:o*, s:o*, s:o*}", "ok", ok, "errors",
			 texts(&reply->errors, false), "warnings", texts(&reply->errors, true),
			 "notes", texts(&reply->notes, false), "data", reply->data);
}

void reply_send(struct reply *reply, int r)
{
	if (r && !errors_fatal(&reply->errors))
		refuse(reply, reply->command, "%s", strerror(-r));
	reply->send(reply->arg, pack(reply, !r));
	errors_free(&reply->errors);
	errors_free(&reply->notes);
	free(reply);
}
