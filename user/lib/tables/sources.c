// SPDX-License-Identifier: Apache-2.0
#include "lib/tables/sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "lib/model/hostname.h"

static int compare_u32(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* "3,7": a workload's name in the registry. The caller frees. */
static char *workload_name(const __u32 *selectors, size_t count)
{
	enum { ID_TEXT = sizeof("4294967295,") };
	char *name = malloc(count * ID_TEXT + 1);
	size_t len = 0;

	for (size_t i = 0; name && i < count; i++)
		len += (size_t)sprintf(name + len, "%s%u", i ? "," : "", selectors[i]);
	return name;
}

int workload_of(struct registry *r, __u32 *selectors, size_t count, __u32 *workload)
{
	_cleanup_free_ char *name = NULL;
	__u32 id = 0;

	if (count) {
		qsort(selectors, count, sizeof(*selectors), compare_u32);
		name = workload_name(selectors, count);
		id = name ? registry_id(r, REG_WORKLOAD, name) : 0;
		if (!id)
			return -ENOMEM;
	}
	*workload = id;
	return 0;
}

int workload_of_labels(struct registry *r, const struct tables *t, const struct kvs *labels,
		       __u32 *workload)
{
	_cleanup_free_ __u32 *hold = calloc(t->selectors.count + 1, sizeof(*hold));
	size_t count = 0;

	if (!hold)
		return -ENOMEM;
	for (size_t i = 0; i < t->selectors.count; i++)
		if (labels_hold(labels, &t->selectors.items[i].labels))
			hold[count++] = t->selectors.items[i].id;
	return workload_of(r, hold, count, workload);
}

static int add_selected(struct registry *r, struct tables *t, __u32 workload)
{
	const char *at = registry_name(r, REG_WORKLOAD, workload);

	for (char *end; at; at = *end ? end + 1 : NULL) {
		struct selected_key *key = table_push(&t->selected);

		if (!key)
			return -ENOMEM;
		*key = (struct selected_key){ .workload = workload,
					      .selector = (__u32)strtoul(at, &end, 10) };
	}
	return 0;
}

int selected_write(struct registry *r, struct tables *t)
{
	_cleanup_free_ __u32 *workloads = calloc(t->sources.count + 1, sizeof(*workloads));
	size_t count = 0;
	int err = workloads ? 0 : -ENOMEM;

	t->selected.count = 0;
	for (size_t i = 0; !err && i < t->sources.count; i++)
		if (t->sources.items[i].value.workload)
			workloads[count++] = t->sources.items[i].value.workload;
	if (count)
		qsort(workloads, count, sizeof(*workloads), compare_u32);
	for (size_t i = 0; !err && i < count; i++)
		if (!i || workloads[i] != workloads[i - 1])
			err = add_selected(r, t, workloads[i]);
	return err;
}
