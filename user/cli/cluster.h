/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_CLUSTER_H
#define WEFT_CLI_CLUSTER_H
/*
 * The API server that a command speaks to, and the objects of a manifest as it knows them.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/kube/call.h"

struct cluster_options {
	const char *kubeconfig; /* NULL: as kubectl finds it */
	const char *context;	/* NULL: the current one */
};

/* 0, or STATUS_FAILED after a message. */
int cluster_open(const struct cluster_options *options, struct kube_client **out);

/*
 * A request, with `body` as its JSON (NULL: none; `type` is what kind of JSON). *out is the answer,
 * a new value, also of an error that has one; `out` may be NULL. As kube_call().
 */
int cluster_call(struct kube_client *c, const char *method, const char *path, const char *type,
		 const char *body, json_t **out, char error[KUBE_ERROR_MAX]);
int cluster_get(struct kube_client *c, const char *path, json_t **out, char error[KUBE_ERROR_MAX]);

/* The objects of the collection at `path`, with nothing of them but their metadata. */
int cluster_list_metadata(struct kube_client *c, const char *path, json_t **out,
			  char error[KUBE_ERROR_MAX]);

/* One of the kinds that manifests have. */
struct cluster_kind {
	const char *api_version, *kind;
	const char *plural;
	bool namespaced;
};

extern const struct cluster_kind cluster_kinds[];
extern const size_t cluster_kind_count;

/* An object of a manifest. */
struct cluster_object {
	const struct cluster_kind *kind;
	const char *name, *namespace; /* of `json`; the namespace is NULL for objects of none */
	json_t *json;
	char *path;  /* of the object at the API server */
	char *shown; /* "daemonset.apps/weft" */
};

struct cluster_objects {
	struct cluster_object *items;
	size_t count;
};

/* The objects of a manifest's bytes, in their order. Zero-initialise; free with
 * cluster_objects_free(). 0, or STATUS_FAILED after a message. */
int cluster_objects_parse(const char *name, const char *bytes, size_t size,
			  struct cluster_objects *out);
void cluster_objects_free(struct cluster_objects *o);

/* The path of a kind's objects, all of them or those of a namespace; a new string. */
char *cluster_path(const struct cluster_kind *kind, const char *namespace, const char *name);
/* "daemonset.apps/weft"; a new string. */
char *cluster_shown(const struct cluster_kind *kind, const char *name);

/* Whether weft has made the object. */
bool cluster_is_ours(const json_t *object);
/* The objects of a kind that are, an array; a new value. 0, or STATUS_FAILED after a message. */
int cluster_list_ours(struct kube_client *c, const struct cluster_kind *kind, json_t **out);

/* A namespace that was there before weft stays as it is. */
bool cluster_is_others_namespace(const struct cluster_object *o, const json_t *live);

/* json_object_get() along a path of names, up to a NULL. */
json_t *cluster_at(const json_t *object, ...) __attribute__((sentinel));

/* Of "120s", "2m" or "90": milliseconds. False if it is no such time. */
bool cluster_parse_timeout(const char *text, int64_t *ms);

#endif
