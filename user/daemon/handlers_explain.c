// SPDX-License-Identifier: Apache-2.0
/*
 * explain and analyze: questions about the rules in force.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "explain.h"
#include "handlers.h"

/* The loaded program's answer, from the live maps. */
static int ask_kernel(void *arg, const struct question *q, struct verdict *out)
{
	return kernel_explain(arg, q, out);
}

static int answer(struct weftd *d, const struct explain_query *q, struct reply *reply)
{
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	_cleanup_free_ struct object **items = NULL;
	_cleanup_free_ char *text = NULL;
	struct objects objects;
	int r = engine_list(d->engine, &objects);

	if (r)
		return r;
	items = objects.items;
	r = explain(engine_tables(d->engine), &objects, q, ask_kernel, d->kernel, &a,
		    &reply->errors);
	if (r)
		return r;
	text = explain_text(&a);
	if (!text)
		return -ENOMEM;
	reply->data = json_pack("{s:o, s:o}", "answer", explain_json(&a), "text", json_text(text));
	return reply->data ? 0 : -ENOMEM;
}

/* {"namespace", "pod" | "gateway", "host" | "address", "port", "sni"} */
int handle_explain(struct weftd *d, const struct request *request, struct reply *reply)
{
	struct explain_query q = {
		.namespace = json_get_text(request->args, "namespace", NULL),
		.pod = json_get_text(request->args, "pod", NULL),
		.gateway_namespace = json_get_text(request->args, "gateway_namespace", NULL),
		.gateway = json_get_text(request->args, "gateway", NULL),
		.host = json_get_text(request->args, "host", NULL),
		.address = json_get_text(request->args, "address", NULL),
		.port = (unsigned)json_get_int(request->args, "port", 0),
		.sni = json_get_text(request->args, "sni", NULL),
	};

	if (!engine_tables(d->engine))
		return refuse(reply, "explain", "no rules are in force");
	return answer(d, &q, reply);
}

/* The warnings come out of compiling what is in force once more. */
int handle_analyze(struct weftd *d, const struct request *request, struct reply *reply)
{
	int r;

	(void)request;
	r = engine_analyze(d->engine, &reply->errors);
	if (!r)
		reply->data = json_pack("{s:I, s:I}", "objects",
					(json_int_t)engine_objects(d->engine)->count, "warnings",
					(json_int_t)reply->errors.warnings);
	return r;
}
