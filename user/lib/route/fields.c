// SPDX-License-Identifier: Apache-2.0
#include "lib/route/fields.h"

#include <string.h>

static const char envoy[] = "x-envoy-";

/* What Envoy takes out of requests that do not come from an address declared internal. Istio
 * declares none for sidecars, so none of these has an effect between pods there, either. */
static const char *const in_mesh[] = {
	"x-envoy-internal",
	"x-envoy-retriable-status-codes",
	"x-envoy-retriable-header-names",
	"x-envoy-retry-on",
	"x-envoy-retry-grpc-on",
	"x-envoy-max-retries",
	"x-envoy-upstream-alt-stat-name",
	"x-envoy-upstream-rq-timeout-ms",
	"x-envoy-upstream-rq-per-try-timeout-ms",
	"x-envoy-upstream-rq-timeout-alt-response",
	"x-envoy-expected-rq-timeout-ms",
	"x-envoy-force-trace",
	"x-envoy-ip-tags",
	"x-envoy-original-url",
	"x-envoy-hedge-on-per-try-timeout",
};

static char plain(char c)
{
	if (c == '_')
		return '-';
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool begins(struct http_span name, const char *with)
{
	size_t i = 0;

	while (i < name.len && with[i] && plain(name.at[i]) == with[i])
		i++;
	return !with[i];
}

static bool is(struct http_span name, const char *text)
{
	return name.len == strlen(text) && begins(name, text);
}

/* The gateway says these itself, so under their own names it replaces or extends what is there. */
static bool imitates(struct http_span name)
{
	return memchr(name.at, '_', name.len) &&
	       (is(name, "x-forwarded-for") || is(name, "x-forwarded-proto"));
}

bool http_field_is_forged(struct http_span name, bool gateway)
{
	if (!name.len || plain(*name.at) != 'x')
		return false;
	if (is(name, "x-forwarded-client-cert") || (gateway && imitates(name)))
		return true;
	if (gateway || !begins(name, envoy))
		return begins(name, envoy);
	for (size_t i = 0; i < sizeof(in_mesh) / sizeof(*in_mesh); i++)
		if (is(name, in_mesh[i]))
			return true;
	return false;
}
