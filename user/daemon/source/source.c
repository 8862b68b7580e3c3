/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/source/source.h"

#include <errno.h>

#include "lib/base/json_io.h"
#include "lib/model/kinds.h"

void change_report_free(struct change_report *report)
{
	json_decref(report->changes);
	errors_free(&report->errors);
	errors_free(&report->skipped);
	*report = (struct change_report){ 0 };
}

int change_report_add(struct change_report *report, const struct object_id *id, const char *change)
{
	if (!report->changes)
		report->changes = json_array();
	return json_array_append_new(report->changes,
				     json_pack("{s:s, s:o, s:o, s:s}", "kind", kind_name(id->kind),
					       "namespace", json_text(id->namespace), "name",
					       json_text(id->name), "change", change))
		       ? -ENOMEM
		       : 0;
}
