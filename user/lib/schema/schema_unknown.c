// SPDX-License-Identifier: Apache-2.0
#include "lib/schema/schema_unknown.h"

#include <string.h>

#include "lib/base/similar.h"
#include "lib/model/kinds.h"

/* What else there is beside Services and Pods, and has no say in traffic. */
static const char *const core_kinds[] = { "Binding",	      "ComponentStatus",
					  "ConfigMap",	      "Event",
					  "LimitRange",	      "Node",
					  "PersistentVolume", "PersistentVolumeClaim",
					  "PodTemplate",      "ReplicationController",
					  "ResourceQuota",    "ServiceAccount" };

/* Kinds of Istio's that are spelt like one of ours. */
static const char *const meant_kinds[] = { "RequestAuthentication" };

static bool group_is(const char *group, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(group, name, len);
}

/* The group itself or one below it. */
static bool group_under(const char *group, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len >= n && !memcmp(group + len - n, name, n) &&
	       (len == n || group[len - n - 1] == '.');
}

static bool is_among(const char *kind, const char *const *kinds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

static bool is_core_kind(const char *kind)
{
	return is_among(kind, core_kinds, sizeof(core_kinds) / sizeof(*core_kinds));
}

static bool is_meant(const char *kind)
{
	return is_among(kind, meant_kinds, sizeof(meant_kinds) / sizeof(*meant_kinds));
}

bool schema_refuses_kind(const char *kind, const char *group, size_t len, const char **near)
{
	struct similar similar = similar_to(kind);
	bool read = false;

	for (size_t i = 0; i < KIND_MAX; i++) {
		if (!group_is(group, len, kind_infos[i].group))
			continue;
		read = true;
		similar_offer(&similar, kind_infos[i].name);
	}
	*near = is_meant(kind) ? NULL : similar.best;
	return (read && (len || !is_core_kind(kind))) || group_under(group, len, "istio.io") ||
	       group_under(group, len, "networking.k8s.io") ||
	       group_under(group, len, "networking.x-k8s.io");
}
