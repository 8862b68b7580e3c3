/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

static void decode_timestamp(struct decoder *d, const struct node *value, void *target)
{
	struct tm tm = { 0 };
	const char *s;
	const char *end;

	if (!decode_string(d, value, &s))
		return;
	end = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end && *end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (!end || strcmp(end, "Z") != 0) {
		decode_expected(d, value, NULL, "a time like 2024-01-31T12:00:00Z");
		return;
	}
	*(int64_t *)target = timegm(&tm);
}

static const struct field meta_fields[] = {
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct meta, name),
	  .check = validate_object_name },
	{ "namespace", FIELD_STRING, .offset = offsetof(struct meta, namespace),
	  .check = validate_namespace },
	{ "labels", FIELD_KVS, .offset = offsetof(struct meta, labels), .check = validate_labels },
	{ "annotations", FIELD_KVS, .offset = offsetof(struct meta, annotations) },
	{ "creationTimestamp", FIELD_CUSTOM, .offset = offsetof(struct meta, created),
	  .decode = decode_timestamp },
	{ .name = "deletionTimestamp", .type = FIELD_IGNORED },
	{ .name = "deletionGracePeriodSeconds", .type = FIELD_IGNORED },
	{ .name = "finalizers", .type = FIELD_IGNORED },
	{ .name = "generateName", .type = FIELD_IGNORED },
	{ .name = "generation", .type = FIELD_IGNORED },
	{ .name = "managedFields", .type = FIELD_IGNORED },
	{ .name = "ownerReferences", .type = FIELD_IGNORED },
	{ .name = "resourceVersion", .type = FIELD_IGNORED },
	{ .name = "selfLink", .type = FIELD_IGNORED },
	{ .name = "uid", .type = FIELD_IGNORED },
	{ .name = "clusterName", .type = FIELD_IGNORED },
	{ 0 },
};

const struct message schema_meta = { .what = "a map",
				     .size = sizeof(struct meta),
				     .fields = meta_fields };
