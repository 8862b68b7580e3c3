// SPDX-License-Identifier: Apache-2.0
/*
 * Which cluster it is: for sure by the uid of its kube-system namespace, as others have it, and as
 * long as the server can't be asked by the authority that its certificate is to be of. Its URL says
 * little: that of a pod's own cluster is the same everywhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/kube/kube_file.h"

#define CLUSTER "cluster" /* the resource of a record that has the uid for a name */

uint64_t kube_hash(uint64_t h, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)bytes[i]) * 1099511628211u;
	return h;
}

/* The certificates that the server's is to be of. 0 or -errno; *out is NULL for any that the system
 * trusts. */
static int authority(const struct kube_config *config, char **out, size_t *size)
{
	if (!config->ca_data && config->ca_file)
		return kube_file_read(config->ca_file, out, size);
	*out = config->ca_data ? strdup(config->ca_data) : NULL;
	*size = *out ? strlen(*out) : 0;
	return config->ca_data && !*out ? -ENOMEM : 0;
}

char *kube_cluster_key(const struct kube_config *config)
{
	_cleanup_free_ char *ca = NULL;
	char *key = NULL;
	size_t size = 0;
	int r = authority(config, &ca, &size);

	if (r == -ENOMEM)
		return NULL;
	/* What can't be read will be told when the server is asked. */
	if (r || !ca)
		r = asprintf(&key, "url %s", config->server);
	else
		r = asprintf(&key, "ca %016" PRIx64, kube_hash(KUBE_HASH_FIRST, ca, size));
	return r < 0 ? NULL : key;
}

bool kube_is_identity(unsigned kind, const char *name)
{
	return kube_kinds[kind].kind == KIND_NAMESPACE && !strcmp(name, "kube-system");
}

int kube_cluster_load(struct kube_source *s, const struct kube_record *r)
{
	char *uid;

	if (strcmp(r->resource, CLUSTER) != 0)
		return 0;
	uid = strdup(r->name);
	if (!uid)
		return -ENOMEM;
	free(s->uid);
	s->uid = uid;
	return 0;
}

void kube_cluster_note(struct kube_source *s)
{
	const struct kube_record r = { .resource = CLUSTER,
				       .namespace = "",
				       .name = s->uid,
				       .version = "",
				       .object = "{}",
				       .size = 2 };

	if (s->uid)
		kube_cache_put(s->cache, &r);
}

int kube_cluster_told(struct kube_source *s, const json_t *object, bool *other)
{
	const char *uid = json_get_text(json_object_get(object, "metadata"), "uid", NULL);
	char *copy;

	*other = false;
	if (!uid || (s->uid && !strcmp(s->uid, uid)))
		return 0;
	copy = strdup(uid);
	if (!copy)
		return -ENOMEM;
	*other = s->uid;
	free(s->uid);
	s->uid = copy;
	if (!*other)
		kube_cluster_note(s);
	return 0;
}
