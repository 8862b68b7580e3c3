// SPDX-License-Identifier: Apache-2.0
/*
 * A peer's name is its fields in the order of struct peer, a newline behind each: no label's value
 * and no object's name has one.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mesh/peer.h"
#include "lib/model/hostname.h"
#include "lib/route/workload.h"

#define UNKNOWN "unknown"

enum { FIELD_MAX = 64 };

static const char *first_label(const struct kvs *labels, const char *const *keys)
{
	for (; *keys; keys++) {
		const char *value = labels_get(labels, *keys);

		if (value && *value)
			return value;
	}
	return NULL;
}

/* It is made of every pod each time that all is compiled, which printf() is too slow for. */
static char *put(char *at, const char *text, size_t max)
{
	size_t len = strnlen(text, max);

	memcpy(at, text, len);
	at[len] = '\n';
	return at + len + 1;
}

void peer_name(const struct object *pod, char out[TRAFFIC_PEER_NAME_MAX])
{
	const struct kvs *labels = &pod->meta.labels;
	const char *workload = pod->pod.workload ?: pod->meta.name;
	const char *app = labels_get(labels, "app"), *version = labels_get(labels, "version");
	const char *account = pod->pod.service_account;
	const char *service =
		first_label(labels, (const char *const[]){ "service.istio.io/canonical-name",
							   "app.kubernetes.io/name", "app", NULL });
	const char *revision = first_label(
		labels, (const char *const[]){ "service.istio.io/canonical-revision",
					       "app.kubernetes.io/version", "version", NULL });
	char principal[IDENTITY_MAX];

	out = put(out, workload, FIELD_MAX);
	out = put(out, pod->meta.namespace, FIELD_MAX);
	out = put(out, app && *app ? app : UNKNOWN, FIELD_MAX);
	out = put(out, version && *version ? version : UNKNOWN, FIELD_MAX);
	out = put(out, service ?: workload, FIELD_MAX);
	out = put(out, revision ?: "latest", FIELD_MAX);
	identity_make(principal, pod->meta.namespace, account && *account ? account : "default");
	out = put(out, principal, TRAFFIC_PEER_NAME_MAX - 6 * (FIELD_MAX + 1) - 2);
	*out = '\0';
}

__u32 peer_id(struct registry *r, const struct object *pod)
{
	char name[TRAFFIC_PEER_NAME_MAX];

	peer_name(pod, name);
	return registry_id(r, REG_PEER, name);
}

__u32 peer_gateway_id(struct registry *r)
{
	return registry_id(
		r, REG_PEER,
		"istio-ingressgateway\n" GATEWAY_NAMESPACE
		"\nistio-ingressgateway\nunknown\nistio-ingressgateway\nlatest\n" GATEWAY_IDENTITY
		"\n");
}

void peer_parse(const char *name, struct peer *out)
{
	const char **const fields[] = { &out->workload,
					&out->ns,
					&out->app,
					&out->version,
					&out->canonical_service,
					&out->canonical_revision,
					&out->principal };
	char *at = out->text, *end;

	snprintf(out->text, sizeof(out->text), "%s", name ?: "");
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		end = strchr(at, '\n');
		*fields[i] = end && end > at ? at : UNKNOWN;
		if (end) {
			*end = '\0';
			at = end + 1;
		}
	}
}
