// SPDX-License-Identifier: Apache-2.0
#include "handlers.h"

/* The warnings come out of compiling what is in force once more. */
int handle_analyze(struct weftd *d, const struct request *request, struct reply *reply)
{
	int r;

	(void)request;
	r = engine_analyze(d->engine, &reply->errors);
	if (!r)
		reply->data = json_pack("{s:I, s:I}", "objects", (json_int_t)engine_objects(d->engine)->count, "warnings",
					(json_int_t)reply->errors.warnings);
	return r;
}
