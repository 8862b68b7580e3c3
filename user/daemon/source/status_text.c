// SPDX-License-Identifier: Apache-2.0
#include "daemon/source/status_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buffer.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/model/remarks.h"

enum {
	MESSAGES_MAX = 50,    /* of an object; the rest is counted */
	MESSAGE_MAX = 4096,   /* bytes of a condition's */
	NOTE_MAX = 1000,      /* bytes of an Event's */
	EVENT_NAME_MAX = 200, /* bytes of the object's name in that of its Event */
};

static const char condition_type[] = "Reconciled";
static const char *const reasons[] = {
	[STATUS_LEFT_OUT] = "LeftOut",
	[STATUS_EARLIER] = "EarlierVersionInForce",
	[STATUS_STAND_IN] = "StandInInForce",
	[STATUS_WARNED] = "InForceWithWarnings",
};

static const char *const effects[] = {
	[STATUS_LEFT_OUT] = "left out",
	[STATUS_EARLIER] = "in force as it last was right",
	[STATUS_STAND_IN] = "in force as something that opens no more than it would",
	[STATUS_WARNED] = "in force",
};

/* ---- what there is to say ---- */

static const char *level_of(const struct remark *r)
{
	return !strcmp(r->level, "error")     ? "ERROR"
	       : !strcmp(r->level, "warning") ? "WARNING"
					      : "INFO";
}

/* Istio's page about one of its codes. */
static void add_page(json_t *message, const char *code)
{
	char lower[16];
	size_t i;

	if (strncmp(code, "IST", 3) != 0)
		return;
	for (i = 0; code[i] && i + 1 < sizeof(lower); i++)
		lower[i] = (char)(code[i] >= 'A' && code[i] <= 'Z' ? code[i] + 'a' - 'A' : code[i]);
	lower[i] = 0;
	json_object_set_new(message, "documentationUrl",
			    json_textf("https://istio.io/latest/docs/reference/config/analysis/%s/",
				       lower));
}

static json_t *message_json(const struct error *e, const char *text)
{
	const struct remark *r = remark_of(e);
	json_t *json = json_pack("{s:{s:s, s:s}, s:s, s:o}", "type", "code", r->code, "name",
				 r->name, "level", level_of(r), "message", json_text(text));

	if (json)
		add_page(json, r->code);
	return json;
}

static int add_message(const struct error *e, struct status_said *out, struct buffer *all)
{
	size_t len;
	const char *message = remark_message(e, &len);
	_cleanup_free_ char *text = strndup(message, len);

	if (!text || json_array_append_new(out->messages, message_json(e, text)))
		return -ENOMEM;
	if (all->size > MESSAGE_MAX)
		return 0;
	return buffer_add(all, "; ", all->size ? 2 : 0) || buffer_add(all, text, len) ? -ENOMEM : 0;
}

static int add_count(size_t more, struct buffer *all)
{
	char text[64];

	snprintf(text, sizeof(text), "; and %zu more", more);
	return more ? buffer_add_text(all, text) : 0;
}

static int add_errors(const struct errors *errors, struct status_said *out, struct buffer *all)
{
	size_t more = 0;
	int r = 0;

	for (size_t i = 0; !r && i < errors->count; i++) {
		if (errors->items[i].warning != (out->verdict == STATUS_WARNED))
			continue;
		if (json_array_size(out->messages) < MESSAGES_MAX)
			r = add_message(&errors->items[i], out, all);
		else
			more++;
	}
	if (all->size > MESSAGE_MAX)
		all->size = MESSAGE_MAX;
	if (!r)
		r = add_count(more, all);
	return r || buffer_add(all, "", 1) ? -ENOMEM : 0;
}

int status_say(const struct errors *errors, enum status_verdict verdict, struct status_said *out)
{
	_cleanup_(buffer_free) struct buffer all = { 0 };
	struct status_said said = { .verdict = verdict,
				    .reason = reasons[verdict],
				    .messages = json_array() };

	if (!said.messages || add_errors(errors, &said, &all)) {
		status_said_free(&said);
		return -ENOMEM;
	}
	json_clean(all.bytes);
	said.message = TAKE_PTR(all.bytes);
	*out = said;
	return 0;
}

void status_said_free(struct status_said *said)
{
	free(said->message);
	json_decref(said->messages);
	*said = (struct status_said){ 0 };
}

bool status_said_same(const struct status_said *a, const struct status_said *b)
{
	if (!a->reason || !b->reason)
		return a->reason == b->reason;
	return !strcmp(a->reason, b->reason) && !strcmp(a->message, b->message);
}

/* ---- what a status says ---- */

static bool is_ours(const json_t *condition)
{
	const char *reason = json_get_text(condition, "reason", "");

	if (strcmp(json_get_text(condition, "type", ""), condition_type) != 0)
		return false;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (!strcmp(reason, reasons[i]))
			return true;
	return false;
}

static const json_t *our_condition(const json_t *status)
{
	json_t *condition;
	size_t i;

	json_array_foreach(json_object_get(status, "conditions"), i, condition)
	{
		if (is_ours(condition))
			return condition;
	}
	return NULL;
}

/* Istio's own writes it as text. */
static json_int_t observed(const json_t *status)
{
	const char *text = json_get_text(status, "observedGeneration", NULL);

	return text ? strtoll(text, NULL, 10) : json_get_int(status, "observedGeneration", 0);
}

static json_int_t generation(const json_t *object)
{
	return json_get_int(json_object_get(object, "metadata"), "generation", 0);
}

int status_see(const json_t *object, struct status_seen *out)
{
	const json_t *status = json_object_get(object, "status");
	const json_t *condition = our_condition(status);
	struct status_seen seen = { 0 };

	if (!condition) {
		*out = seen;
		return 0;
	}
	seen.reason = strdup(json_get_text(condition, "reason", ""));
	seen.message = strdup(json_get_text(condition, "message", ""));
	seen.current = observed(status) == generation(object);
	if (!seen.reason || !seen.message) {
		status_seen_free(&seen);
		return -ENOMEM;
	}
	*out = seen;
	return 0;
}

void status_seen_free(struct status_seen *seen)
{
	free(seen->reason);
	free(seen->message);
	*seen = (struct status_seen){ 0 };
}

bool status_seen_is(const struct status_seen *seen, const struct status_said *said)
{
	if (!seen->reason || !said->reason)
		return !seen->reason && !said->reason;
	return seen->current && !strcmp(seen->reason, said->reason) &&
	       !strcmp(seen->message, said->message);
}

/* ---- the patch ---- */

static json_t *condition_json(const json_t *before, const struct status_said *said, const char *now)
{
	const char *status = said->verdict == STATUS_WARNED ? "True" : "False";

	if (before && !strcmp(json_get_text(before, "status", ""), status))
		now = json_get_text(before, "lastTransitionTime", now);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", condition_type, "status", status,
			 "reason", said->reason, "message", said->message, "lastTransitionTime",
			 now);
}

static bool is_others_condition(const json_t *condition, bool replaced)
{
	return !is_ours(condition) &&
	       !(replaced && !strcmp(json_get_text(condition, "type", ""), condition_type));
}

static json_t *conditions_json(const json_t *status, const struct status_said *said,
			       const char *now)
{
	json_t *list = json_array(), *condition;
	size_t i;

	json_array_foreach(json_object_get(status, "conditions"), i, condition)
	{
		if (is_others_condition(condition, said->reason))
			json_array_append(list, condition);
	}
	if (said->reason)
		json_array_append_new(list, condition_json(our_condition(status), said, now));
	return list;
}

static json_t *messages_json(const json_t *status, const struct status_said *said)
{
	json_t *list = json_array(), *message;
	size_t i;

	json_array_foreach(json_object_get(status, "validationMessages"), i, message)
	{
		if (!json_get_text(json_object_get(message, "type"), "name", NULL))
			json_array_append(list, message);
	}
	if (said->reason)
		json_array_extend(list, said->messages);
	return list;
}

/* A list that is empty goes. Takes `list` over. */
static json_t *or_nothing(json_t *list)
{
	if (!list || json_array_size(list))
		return list;
	json_decref(list);
	return json_null();
}

/* Whether anything but weft's members is in it. */
static bool has_others(const json_t *status)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)status, key, value)
	{
		if (strcmp(key, "conditions") != 0 && strcmp(key, "validationMessages") != 0 &&
		    strcmp(key, "observedGeneration") != 0)
			return true;
	}
	return false;
}

static json_t *status_json(const json_t *object, const struct status_said *said, const char *now)
{
	const json_t *before = json_object_get(object, "status");
	json_t *conditions = or_nothing(conditions_json(before, said, now));
	json_t *messages = or_nothing(messages_json(before, said));
	bool empty = json_is_null(conditions) && json_is_null(messages);
	json_t *status;

	if (empty && !has_others(before))
		return json_null();
	status = json_pack("{s:o, s:o}", "conditions", conditions, "validationMessages", messages);
	if (said->reason)
		json_object_set_new(status, "observedGeneration", json_integer(generation(object)));
	else if (empty)
		json_object_set_new(status, "observedGeneration", json_null());
	return status;
}

json_t *status_patch(const json_t *object, const struct status_said *said, const char *now)
{
	const char *version =
		json_get_text(json_object_get(object, "metadata"), "resourceVersion", "");

	return json_pack("{s:{s:s}, s:o}", "metadata", "resourceVersion", version, "status",
			 status_json(object, said, now));
}

/* ---- the Event ---- */

/* FNV-1a. */
static uint64_t hash_text(uint64_t h, const char *text)
{
	do
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	while (*text++);
	return h;
}

const char *status_event_namespace(const json_t *object)
{
	return json_get_text(json_object_get(object, "metadata"), "namespace", "default");
}

static json_t *event_name(const json_t *metadata, const struct status_event *e,
			  const struct status_said *said)
{
	uint64_t h = 14695981039346656037u;

	h = hash_text(h, json_get_text(metadata, "uid", ""));
	h = hash_text(h, said->reason);
	h = hash_text(h, said->message);
	h = hash_text(h, e->mark);
	return json_textf("%.*s.%016" PRIx64, (int)EVENT_NAME_MAX,
			  json_get_text(metadata, "name", ""), h);
}

static json_t *event_note(const struct status_said *said)
{
	char text[NOTE_MAX + 1];

	snprintf(text, sizeof(text), "%s: %s", effects[said->verdict], said->message);
	json_clean(text); /* what was cut in two */
	return json_text(text);
}

json_t *status_event(const struct status_event *e, const struct status_said *said)
{
	const json_t *metadata = json_object_get(e->object, "metadata");
	const char *namespace = json_get_text(metadata, "namespace", NULL);

	return json_pack(
		"{s:s, s:s, s:{s:s, s:o}, s:{s:s, s:s, s:s, s:s*, s:s, s:s}, s:s, s:s, s:o, "
		"s:s, s:s, s:i, s:{s:s, s:s}, s:s, s:s}",
		"apiVersion", "v1", "kind", "Event", "metadata", "namespace",
		status_event_namespace(e->object), "name", event_name(metadata, e, said),
		"involvedObject", "apiVersion", e->api_version, "kind", e->kind, "name",
		json_get_text(metadata, "name", ""), "namespace", namespace, "uid",
		json_get_text(metadata, "uid", ""), "resourceVersion",
		json_get_text(metadata, "resourceVersion", ""), "type", "Warning", "reason",
		said->reason, "message", event_note(said), "firstTimestamp", e->now,
		"lastTimestamp", e->now, "count", 1, "source", "component", "weft", "host", e->node,
		"reportingComponent", "weft", "reportingInstance", e->node);
}
