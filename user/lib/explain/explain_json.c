// SPDX-License-Identifier: Apache-2.0
/*
 * Answers as JSON and as text.
 */
#include <stdarg.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/explain/explain.h"

static json_t *rule_json(const struct rule_origin *r)
{
	char at[PLACE_MAX];
	json_auto_t *j = json_pack("{s:s, s:s, s:s}", "kind", r->kind, "namespace", r->namespace,
				   "name", r->name);

	int whole = strcspn(r->route, "."); /* "tcp[0]" of "tcp[0].match[1]" */

	if (!j || (whole && json_object_set_new(j, "route", json_stringn(r->route, whole))))
		return NULL;
	if (r->label && json_object_set_new(j, "route_name", json_string(r->label)))
		return NULL;
	if (r->whole_pos.line &&
	    json_object_set_new(j, "at",
				json_string(place_text(at, sizeof(at), r->file, r->whole_pos))))
		return NULL;
	return TAKE_PTR(j);
}

static json_t *destination_json(const struct explain_destination *d)
{
	json_auto_t *endpoints = json_texts(d->endpoints, d->endpoint_count);
	json_t *j;

	j = json_pack("{s:s}", "host", d->host);
	if (!j || (*d->subset && json_object_set_new(j, "subset", json_string(d->subset))) ||
	    json_object_set_new(j, "port", json_integer(d->port)) ||
	    json_object_set_new(j, "weight", json_integer(d->weight)) ||
	    json_object_set(j, "endpoints", endpoints) ||
	    (d->closed_count &&
	     json_object_set_new(j, "closed", json_texts(d->closed, d->closed_count)))) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static json_t *destinations_json(const struct explain_answer *a)
{
	json_auto_t *list = json_array();
	size_t i;

	for (i = 0; i < a->destinations.count; i++)
		if (json_array_append_new(list, destination_json(&a->destinations.items[i])))
			return NULL;
	return TAKE_PTR(list);
}

static json_t *skipped_json(const struct explain_answer *a)
{
	json_auto_t *list = json_array();
	size_t i;

	for (i = 0; i < a->skipped.count; i++) {
		const struct explain_skipped *s = &a->skipped.items[i];

		if (json_array_append_new(list,
					  json_pack("{s:s, s:s}", "rule", s->rule, "why", s->why)))
			return NULL;
	}
	return TAKE_PTR(list);
}

json_t *explain_json(const struct explain_answer *a)
{
	json_auto_t *j = json_pack("{s:s}", "protocol", "tcp");

	if (!j || (a->rule && json_object_set_new(j, "rule", rule_json(a->rule))) ||
	    json_object_set_new(j, "action", json_string(explain_action_name(a->action))))
		return NULL;
	if (a->reason && json_object_set_new(j, "reason", json_string(a->reason)))
		return NULL;
	if (a->protection && json_object_set_new(j, "connection_policy", json_text(a->protection)))
		return NULL;
	if (a->destinations.count && json_object_set_new(j, "destinations", destinations_json(a)))
		return NULL;
	if (a->refusals.count &&
	    json_object_set_new(j, "authorization_policies",
				json_texts(a->refusals.items, a->refusals.count)))
		return NULL;
	if (a->audits.count &&
	    json_object_set_new(j, "audit_policies", json_texts(a->audits.items, a->audits.count)))
		return NULL;
	if (a->policies.count &&
	    json_object_set_new(j, "network_policies",
				json_texts(a->policies.items, a->policies.count)))
		return NULL;
	if (a->skipped.count && json_object_set_new(j, "skipped", skipped_json(a)))
		return NULL;
	return TAKE_PTR(j);
}

static void text_destination(FILE *f, const struct explain_destination *d)
{
	size_t i;

	fprintf(f, "  weight %-5u %s:%u", d->weight, d->host, d->port);
	if (*d->subset)
		fprintf(f, " subset %s", d->subset);
	if (d->max_connections)
		fprintf(f, " (at most %u connections)", d->max_connections);
	fputs(d->endpoint_count ? " ->" : " -> no endpoint", f);
	for (i = 0; i < d->endpoint_count; i++)
		fprintf(f, " %s", d->endpoints[i]);
	fputc('\n', f);
	if (d->closed_count)
		fputs("    closed:", f);
	for (i = 0; i < d->closed_count; i++)
		fprintf(f, " %s%s", d->closed[i], i + 1 == d->closed_count ? "\n" : "");
}

static void text_answer(FILE *f, const struct explain_answer *a)
{
	const struct rule_origin *r = a->rule;
	char at[PLACE_MAX];
	size_t i;

	fprintf(f, "action: %s%s%s\n", explain_action_name(a->action), a->reason ? ": " : "",
		a->reason ? a->reason : "");
	if (a->protection)
		fprintf(f, "first: %s\n", a->protection);
	if (r)
		fprintf(f, "rule: %s %s/%s%s%s (%s)%s%s\n", r->kind, r->namespace, r->name,
			*r->route ? " " : "", r->route, place_text(at, sizeof(at), r->file, r->pos),
			*r->conditions ? " because " : "", r->conditions);
	if (a->destinations.count)
		fputs("destinations:\n", f);
	for (i = 0; i < a->destinations.count; i++)
		text_destination(f, &a->destinations.items[i]);
	if (a->policies.count)
		fputs("closed by policies that are the CNI's to carry out:\n", f);
	for (i = 0; i < a->policies.count; i++)
		fprintf(f, "  %s\n", a->policies.items[i]);
	if (a->refusals.count)
		fputs("refused where the pod is:\n", f);
	for (i = 0; i < a->refusals.count; i++)
		fprintf(f, "  %s\n", a->refusals.items[i]);
	if (a->audits.count)
		fputs("audited where the pod is:\n", f);
	for (i = 0; i < a->audits.count; i++)
		fprintf(f, "  %s\n", a->audits.items[i]);
	if (a->cluster)
		fprintf(f, "next: %s%s%s\n", a->cluster, a->endpoint ? " at " : "",
			a->endpoint ? a->endpoint : "");
	if (a->skipped.count)
		fputs("skipped:\n", f);
	for (i = 0; i < a->skipped.count; i++)
		fprintf(f, "  %s (%s): %s\n", a->skipped.items[i].rule, a->skipped.items[i].at,
			a->skipped.items[i].why);
}

char *explain_text(const struct explain_answer *a)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	text_answer(f, a);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
