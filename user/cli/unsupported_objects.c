// SPDX-License-Identifier: Apache-2.0
#include "cli/unsupported_objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

enum { NAMES_MAX = 10, PATH_ROOM = 256, BUSY_TRIES = 40, BUSY_US = 250000 };

/* "weft does not carry out Sidecar: it has no effect: default/a, shop/b and 3 more" */
static char *describe(const struct unsupported_kind *k, const json_t *items)
{
	char *text = NULL;
	size_t size = 0, i;
	FILE *out = open_memstream(&text, &size);
	json_t *item;

	if (!out)
		return NULL;
	fprintf(out, "weft does not carry out %s: %s: ", k->name, unsupported_effect(k));
	json_array_foreach(items, i, item)
	{
		const json_t *meta = json_object_get(item, "metadata");

		if (i < NAMES_MAX)
			fprintf(out, "%s%s/%s", i ? ", " : "",
				json_get_text(meta, "namespace", "?"),
				json_get_text(meta, "name", "?"));
	}
	if (json_array_size(items) > NAMES_MAX)
		fprintf(out, " and %zu more", json_array_size(items) - NAMES_MAX);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* The resource may be in some of the group's versions only. -ENOENT: in none. */
static int list_of(struct kube_client *c, const struct unsupported_kind *k, const json_t *group,
		   json_t **out, char error[KUBE_ERROR_MAX])
{
	json_t *versions = json_object_get(group, "versions"), *version;
	char path[PATH_ROOM];
	size_t i;

	json_array_foreach(versions, i, version)
	{
		int r;

		snprintf(path, sizeof(path), "/apis/%s/%s/%s", k->group,
			 json_get_text(version, "version", ""), k->plural);
		r = cluster_list_metadata(c, path, out, error);
		if (r != -ENOENT)
			return r;
		json_decref(*out);
		*out = NULL;
	}
	return -ENOENT;
}

/* 0; -ENOENT: the server does not have the kind; other -errno, as kube_call(). */
static int list(struct kube_client *c, const struct unsupported_kind *k, json_t **out,
		char error[KUBE_ERROR_MAX])
{
	_cleanup_json_ json_t *group = NULL;
	char path[PATH_ROOM];
	int r;

	snprintf(path, sizeof(path), "/apis/%s", k->group);
	r = cluster_get(c, path, &group, error);
	return r ? r : list_of(c, k, group, out, error);
}

/* A kind that has just been defined is not there to be listed at once. */
static int list_patiently(struct kube_client *c, const struct unsupported_kind *k, json_t **out,
			  char error[KUBE_ERROR_MAX])
{
	int r = list(c, k, out, error);

	for (int i = 0; i < BUSY_TRIES && r == -EAGAIN; i++) {
		json_decref(TAKE_PTR(*out));
		usleep(BUSY_US);
		r = list(c, k, out, error);
	}
	return r;
}

void unsupported_objects(struct kube_client *c,
			 void (*each)(void *arg, const struct unsupported_kind *k, size_t count,
				      const char *detail),
			 void *arg)
{
	for (size_t i = 0; i < unsupported_kind_count; i++) {
		const struct unsupported_kind *k = &unsupported_kinds[i];
		_cleanup_json_ json_t *all = NULL;
		_cleanup_free_ char *detail = NULL;
		char error[KUBE_ERROR_MAX];
		int r = list_patiently(c, k, &all, error);
		const json_t *items = json_object_get(all, "items");

		if (r == -ENOENT || (!r && !json_array_size(items)))
			continue;
		detail = r ? NULL : describe(k, items);
		each(arg, k, r ? 0 : json_array_size(items),
		     r	      ? error
		     : detail ? detail
			      : "out of memory");
	}
}
