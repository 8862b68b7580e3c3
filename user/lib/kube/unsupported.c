// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/unsupported.h"

#include <string.h>

const struct unsupported_kind unsupported_kinds[] = {
	{ "security.istio.io", "requestauthentications", "RequestAuthentication", true },
	{ "networking.istio.io", "sidecars", "Sidecar", false },
};

const size_t unsupported_kind_count = sizeof(unsupported_kinds) / sizeof(*unsupported_kinds);

const struct unsupported_kind *unsupported_find(const char *name)
{
	for (size_t i = 0; i < unsupported_kind_count; i++)
		if (!strcmp(unsupported_kinds[i].name, name))
			return &unsupported_kinds[i];
	return NULL;
}

const char *unsupported_effect(const struct unsupported_kind *k)
{
	return k->closes ? "it closes nothing" : "it has no effect";
}
