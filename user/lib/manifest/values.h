/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MANIFEST_VALUES_H
#define WEFT_LIB_MANIFEST_VALUES_H
/*
 * What can be chosen about an installation: paths and their values, from --set PATH=VALUE and from
 * a file of YAML whose keys are the paths' parts. docs/install.md has each of them.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/errors.h"

enum value {
	VALUE_IMAGE,
	VALUE_PULL_POLICY,
	VALUE_PULL_SECRET,
	VALUE_SECURITY,
	VALUE_ENROL,
	VALUE_LOG_LEVEL,
	VALUE_WORKERS,
	VALUE_DRAIN,
	VALUE_REQUEST_CPU,
	VALUE_REQUEST_MEMORY,
	VALUE_LIMIT_CPU,
	VALUE_LIMIT_MEMORY,
	VALUE_MAX_UNAVAILABLE,
	VALUE_KUBERNETES_HOST,
	VALUE_KUBERNETES_PORT,
	VALUE_INGRESS,
	VALUE_INGRESS_TYPE,
	VALUE_NODE_PORT_HTTP2,
	VALUE_NODE_PORT_HTTPS,
	VALUE_NODE_PORT_TCP,
	VALUE_GRAFANA,
	VALUE_GRAFANA_IMAGE,
	VALUE_PROMETHEUS,
	VALUE_PROMETHEUS_IMAGE,
	VALUE_PROMETHEUS_RULE,
	VALUE_KIALI,
	VALUE_TRACING,
	VALUE_TRACING_IMAGE,
	VALUE_TRACING_ENDPOINT,
	VALUE_TRACING_SAMPLING,
	VALUE_OUTBOUND,
	VALUE_DNS,
	VALUE_DASHBOARD,
	VALUE_NIC,
	VALUE_CERT_TTL,
	VALUE_METRICS_PORT,
	VALUE_POD_MONITOR,
	VALUE_MAX,
};

enum value_type {
	VALUE_TEXT,	  /* of what an image's or an object's name has */
	VALUE_HOST,	  /* an IP address, or a name that DNS may know */
	VALUE_WORD,	  /* one of `words` */
	VALUE_BOOL,	  /* true or false */
	VALUE_REFUSED,	  /* false; weft does not carry out true */
	VALUE_COUNT,	  /* a whole number, min..max */
	VALUE_SHARE,	  /* a whole number from 1 on, or a percentage */
	VALUE_QUANTITY,	  /* as Kubernetes has them: 100m, 64Mi */
	VALUE_ADDRESS,	  /* an IP address */
	VALUE_INTERFACES, /* names and globs of interfaces, with commas between them */
	VALUE_URL,	  /* of HTTP or HTTPS */
	VALUE_PERCENTAGE, /* 0 to 100, in hundredths at the finest */
	VALUE_DURATION,	  /* whole seconds, min..max of them, as Istio has durations: 45s, 1h30m */
};

struct value_info {
	const char *path;
	const char *fallback; /* "" for none; never NULL */
	const char *help;     /* one line */
	const char *words[5]; /* of VALUE_WORD; ends with NULL */
	enum value_type type;
	int min, max;  /* of VALUE_COUNT and VALUE_DURATION */
	bool optional; /* may be "" */
};

extern const struct value_info value_infos[VALUE_MAX];

/* What has been chosen. Zero-initialise; free with values_free(). */
struct values {
	char *given[VALUE_MAX]; /* owned; NULL: the fallback */
};

void values_free(struct values *v);

/* Never NULL. */
const char *values_get(const struct values *v, enum value value);
bool values_true(const struct values *v, enum value value);
/* Of a VALUE_DURATION. */
long values_seconds(const struct values *v, enum value value);

/* Takes "PATH=VALUE". 0; -EINVAL with what is wrong in `why`; -ENOMEM. */
int values_set(struct values *v, const char *assignment, char *why, size_t size);

/* Takes all of a YAML file. 0; -EINVAL with each fault in `errors`; -ENOMEM. */
int values_read(struct values *v, const char *name, const char *bytes, size_t len,
		struct errors *errors);

/* Whether the values go with each other, once all are set. 0; -EINVAL with what is wrong in `why`.
 */
int values_check(const struct values *v, char *why, size_t size);

/* The value whose path is the `len` bytes at `path`, or -1. */
int values_find(const char *path, size_t len);

#endif
