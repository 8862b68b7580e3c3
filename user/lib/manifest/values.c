// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "lib/base/collector.h"
#include "lib/base/similar.h"
#include "lib/schema/decode.h"
#include "lib/yaml/tree.h"

enum {
	PATH_ROOM = 256,
	PATTERN_ROOM = 64,
	PORT_MAX = 65535,
	WORKERS_MAX = 64,
	DRAIN_MAX_S = 86400,
	CERT_TTL_MIN_S = 600, /* as the API has it */
	CERT_TTL_MAX_S = 31536000,
	NS_PER_S = 1000000000
};

const struct value_info value_infos[VALUE_MAX] = {
	[VALUE_IMAGE] = { "image", "weft:" WEFT_VERSION, .type = VALUE_TEXT,
			  .help = "the agent's container image" },
	[VALUE_PULL_POLICY] = { "imagePullPolicy", "IfNotPresent", .type = VALUE_WORD,
				.words = { "IfNotPresent", "Always", "Never" },
				.help = "when nodes pull it" },
	[VALUE_PULL_SECRET] = { "imagePullSecret", "", .type = VALUE_TEXT, .optional = true,
				.help = "a Secret of weft-system that pulls it" },
	[VALUE_SECURITY] = { "securityContext", "privileged", .type = VALUE_WORD,
			     .words = { "privileged", "capabilities" },
			     .help = "what the agent may do on its node" },
	[VALUE_ENROL] = { "enrol", "labelled", .type = VALUE_WORD, .words = { "labelled", "all" },
			  .help = "which pods are in the mesh" },
	[VALUE_LOG_LEVEL] = { "logLevel", "info", .type = VALUE_WORD,
			      .words = { "error", "warning", "info", "debug" },
			      .help = "how much the agent logs" },
	[VALUE_WORKERS] = { "workers", "", .type = VALUE_COUNT, .min = 1, .max = WORKERS_MAX,
			    .optional = true,
			    .help = "threads of weft-proxy (one per CPU, at most 8)" },
	[VALUE_DRAIN] = { "meshConfig.defaultConfig.drainDuration", "45s", .type = VALUE_DURATION,
			  .min = 1, .max = DRAIN_MAX_S,
			  .help = "how long a weft-proxy that an upgrade replaces may go on" },
	[VALUE_REQUEST_CPU] = { "resources.requests.cpu", "50m", .type = VALUE_QUANTITY,
				.help = "what a node keeps free for the agent" },
	[VALUE_REQUEST_MEMORY] = { "resources.requests.memory", "128Mi", .type = VALUE_QUANTITY,
				   .help = "likewise" },
	[VALUE_LIMIT_CPU] = { "resources.limits.cpu", "", .type = VALUE_QUANTITY, .optional = true,
			      .help = "the most it gets" },
	[VALUE_LIMIT_MEMORY] = { "resources.limits.memory", "512Mi", .type = VALUE_QUANTITY,
				 .optional = true, .help = "likewise" },
	[VALUE_MAX_UNAVAILABLE] = { "updateStrategy.maxUnavailable", "1", .type = VALUE_SHARE,
				    .help = "agents that an upgrade replaces at a time" },
	[VALUE_KUBERNETES_HOST] = { "kubernetes.host", "", .type = VALUE_HOST, .optional = true,
				    .help = "where nodes reach the API server without its "
					    "Service" },
	[VALUE_KUBERNETES_PORT] = { "kubernetes.port", "", .type = VALUE_COUNT, .min = 1,
				    .max = PORT_MAX, .optional = true,
				    .help = "its port there (6443)" },
	[VALUE_INGRESS] = { "gateways.istio-ingressgateway.enabled", "true", .type = VALUE_BOOL,
			    .help = "whether there is a Service for Gateways" },
	[VALUE_INGRESS_TYPE] = { "gateways.istio-ingressgateway.type", "LoadBalancer",
				 .type = VALUE_WORD,
				 .words = { "LoadBalancer", "NodePort", "ClusterIP" },
				 .help = "its type" },
	[VALUE_NODE_PORT_HTTP2] = { "gateways.istio-ingressgateway.nodePorts.http2", "",
				    .type = VALUE_COUNT, .min = 1, .max = PORT_MAX,
				    .optional = true, .help = "the NodePort of port 80 (any)" },
	[VALUE_NODE_PORT_HTTPS] = { "gateways.istio-ingressgateway.nodePorts.https", "",
				    .type = VALUE_COUNT, .min = 1, .max = PORT_MAX,
				    .optional = true, .help = "the NodePort of port 443 (any)" },
	[VALUE_NODE_PORT_TCP] = { "gateways.istio-ingressgateway.nodePorts.tcp", "",
				  .type = VALUE_COUNT, .min = 1, .max = PORT_MAX, .optional = true,
				  .help = "the NodePort of port 31400 (any)" },
	[VALUE_GRAFANA] = { "addonComponents.grafana.enabled", "false", .type = VALUE_BOOL,
			    .help = "a Grafana with weft's dashboards, in istio-system" },
	[VALUE_GRAFANA_IMAGE] = { "addonComponents.grafana.image",
				  "docker.io/grafana/grafana:12.0.1", .type = VALUE_TEXT,
				  .help = "its container image" },
	[VALUE_PROMETHEUS] = { "addonComponents.prometheus.enabled", "false", .type = VALUE_BOOL,
			       .help = "a Prometheus for it" },
	[VALUE_PROMETHEUS_IMAGE] = { "addonComponents.prometheus.image",
				     "docker.io/prom/prometheus:v3.10.0", .type = VALUE_TEXT,
				     .help = "its container image" },
	[VALUE_PROMETHEUS_RULE] = { "metrics.prometheusRule.enabled", "false", .type = VALUE_BOOL,
				    .help = "alert rules for the Prometheus operator" },
	[VALUE_KIALI] = { "addonComponents.kiali.enabled", "false", .type = VALUE_REFUSED,
			  .help = "Kiali" },
	[VALUE_TRACING] = { "addonComponents.tracing.enabled", "false", .type = VALUE_BOOL,
			    .help = "a Jaeger, in istio-system, that spans are told to" },
	[VALUE_TRACING_IMAGE] = { "addonComponents.tracing.image",
				  "docker.io/jaegertracing/jaeger:2.17.0", .type = VALUE_TEXT,
				  .help = "its container image" },
	[VALUE_TRACING_ENDPOINT] = { "tracing.endpoint", "", .type = VALUE_URL, .optional = true,
				     .help = "where spans are told to: a URL of OTLP over HTTP "
					     "(that Jaeger, if there is one)" },
	[VALUE_TRACING_SAMPLING] = { "meshConfig.defaultConfig.tracing.sampling", "1",
				     .type = VALUE_PERCENTAGE,
				     .help = "how many traces are sampled where no Telemetry says "
					     "it, in percent" },
	[VALUE_OUTBOUND] = { "meshConfig.outboundTrafficPolicy.mode", "ALLOW_ANY",
			     .type = VALUE_WORD, .words = { "ALLOW_ANY", "REGISTRY_ONLY" },
			     .help = "what becomes of pods' calls that nothing knows" },
	[VALUE_DNS] = { "dns", "", .type = VALUE_ADDRESS, .optional = true,
			.help = "the DNS server that is asked for the names of rules (the "
				"node's)" },
	[VALUE_DASHBOARD] = { "dashboard", "true", .type = VALUE_BOOL,
			      .help = "whether each agent shows its traffic to browsers of its "
				      "node" },
	[VALUE_NIC] = { "nic", "", .type = VALUE_INTERFACES, .optional = true,
			.help = "the nodes' interfaces to the outside (found by each agent)" },
	[VALUE_CERT_TTL] = { "workloadCertTTL", "24h", .type = VALUE_DURATION,
			     .min = CERT_TTL_MIN_S, .max = CERT_TTL_MAX_S,
			     .help = "how long a workload's certificate is good for" },
	[VALUE_METRICS_PORT] = { "metrics.port", "15020", .type = VALUE_COUNT, .min = 1,
				 .max = PORT_MAX,
				 .help = "the port of each node where Prometheus finds /metrics" },
	[VALUE_POD_MONITOR] = { "metrics.podMonitor.enabled", "false", .type = VALUE_BOOL,
				.help = "a PodMonitor for the Prometheus operator" },
};

void values_free(struct values *v)
{
	for (size_t i = 0; i < VALUE_MAX; i++)
		free(v->given[i]);
	*v = (struct values){ 0 };
}

const char *values_get(const struct values *v, enum value value)
{
	return v->given[value] ? v->given[value] : value_infos[value].fallback;
}

bool values_true(const struct values *v, enum value value)
{
	return strcmp(values_get(v, value), "true") == 0;
}

/* -1: it is no duration of whole seconds. */
static long seconds_of(const char *s)
{
	int64_t ns;

	if (strlen(s) >= DECODE_DURATION_MAX || decode_duration_ns(s, &ns) || ns % NS_PER_S)
		return -1;
	return (long)(ns / NS_PER_S);
}

long values_seconds(const struct values *v, enum value value)
{
	return seconds_of(values_get(v, value));
}

int values_find(const char *path, size_t len)
{
	for (int i = 0; i < VALUE_MAX; i++)
		if (strlen(value_infos[i].path) == len && !memcmp(value_infos[i].path, path, len))
			return i;
	return -1;
}

/* ---- one value ---- */

/* What an image's reference or an object's name has; nothing that YAML would read otherwise. */
static bool is_plain_text(const char *s)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@";

	return *s && strlen(s) < PATH_ROOM && !s[strspn(s, plain)] &&
	       strchr(plain, *s) < plain + 62;
}

static bool is_label(const char *s, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	return len && len < 64 && strspn(s, plain) >= len && *s != '-' && s[len - 1] != '-';
}

/* A name whose last label is a number would be an address that is none. */
static bool is_dns_name(const char *s)
{
	const char *last = strrchr(s, '.');

	last = last ? last + 1 : s;
	if (strlen(s) > 253 || strspn(last, "0123456789") == strlen(last))
		return false;
	for (size_t len;; s += len + 1) {
		len = strcspn(s, ".");
		if (!is_label(s, len))
			return false;
		if (!s[len])
			return true;
	}
}

static bool is_address(const char *s)
{
	struct addr addr;

	return !addr_parse(s, &addr);
}

static bool is_host(const char *s)
{
	return is_address(s) || is_dns_name(s);
}

/* Whether it is one of a list that --nic takes; nothing that YAML would read otherwise. */
static bool is_interface(const char *s, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-@:*?[]!";

	return len && len < PATTERN_ROOM && strspn(s, plain) >= len;
}

static bool are_interfaces(const char *s)
{
	for (size_t len;; s += len + 1) {
		len = strcspn(s, ",");
		if (!is_interface(s, len))
			return false;
		if (!s[len])
			return true;
	}
}

static bool is_number(const char *s, int min, int max)
{
	char *end;
	long n = strtol(s, &end, 10);

	return *s >= '0' && *s <= '9' && !*end && strlen(s) < 9 && n >= min && n <= max;
}

static bool is_share(const char *s)
{
	size_t len = strspn(s, "0123456789");
	char digits[8];

	if (!len || len >= sizeof(digits))
		return false;
	memcpy(digits, s, len);
	digits[len] = 0;
	return is_number(digits, 1, s[len] ? 100 : 100000) && (!s[len] || !strcmp(s + len, "%"));
}

/* A number with one of the suffixes that Kubernetes knows. */
static bool is_quantity(const char *s)
{
	static const char *const suffixes[] = { "",  "m",  "k",	 "M",  "G",  "T",  "P",
						"E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
	size_t len = strspn(s, "0123456789");

	if (!len)
		return false;
	if (s[len] == '.')
		len += 1 + strspn(s + len + 1, "0123456789");
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
		if (!strcmp(s + len, suffixes[i]))
			return true;
	return false;
}

/* What weftd takes, and nothing that YAML would read otherwise between double quotes. */
static bool is_url(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._~-/:[]@%=&+";
	struct collector to;

	return !collector_parse(s, &to) && strlen(s) < PATH_ROOM && !s[strspn(s, plain)];
}

/* 12, or 12.34 */
static bool is_percentage(const char *s)
{
	size_t whole = strspn(s, "0123456789"), rest = 0;

	if (s[whole] == '.') {
		rest = strspn(s + whole + 1, "0123456789");
		if (!rest || rest > 2)
			return false;
		rest++;
	}
	return whole && whole < 4 && !s[whole + rest] && strtod(s, NULL) <= 100;
}

static bool is_word(const struct value_info *info, const char *s)
{
	for (const char *const *w = info->words; *w; w++)
		if (!strcmp(*w, s))
			return true;
	return false;
}

/* "NodePort, LoadBalancer or ClusterIP" */
static void list_words(const struct value_info *info, char *out, size_t size)
{
	size_t at = 0;

	for (const char *const *w = info->words; *w && at < size; w++)
		at += (size_t)snprintf(out + at, size - at, "%s%s",
				       w == info->words ? ""
				       : w[1]		? ", "
							: " or ",
				       *w);
}

/* What is expected of the value, if it is not that. */
static bool is_wrong(const struct value_info *info, const char *s, char *what, size_t size)
{
	if (!*s && info->optional)
		return false;
	switch (info->type) {
	case VALUE_TEXT:
		snprintf(what, size, "a name of letters, digits, '.', '_', '-', '/', ':' and '@'");
		return !is_plain_text(s);
	case VALUE_HOST:
		snprintf(what, size, "an IP address or a DNS name");
		return !is_host(s);
	case VALUE_ADDRESS:
		snprintf(what, size, "an IP address");
		return !is_address(s);
	case VALUE_INTERFACES:
		snprintf(what, size, "names or globs of interfaces like auto,eth*");
		return strlen(s) >= PATH_ROOM || !are_interfaces(s);
	case VALUE_WORD:
		list_words(info, what, size);
		return !is_word(info, s);
	case VALUE_BOOL:
	case VALUE_REFUSED:
		snprintf(what, size, "true or false");
		return strcmp(s, "true") != 0 && strcmp(s, "false") != 0;
	case VALUE_COUNT:
		snprintf(what, size, "a whole number from %d to %d", info->min, info->max);
		return !is_number(s, info->min, info->max);
	case VALUE_SHARE:
		snprintf(what, size, "a whole number from 1 on, or a percentage like 10%%");
		return !is_share(s);
	case VALUE_URL:
		snprintf(what, size,
			 "a URL that begins with http:// or https://, without user or query");
		return !is_url(s);
	case VALUE_PERCENTAGE:
		snprintf(what, size, "a percentage from 0 to 100 like 1 or 12.34");
		return !is_percentage(s);
	case VALUE_DURATION:
		snprintf(what, size, "a duration of whole seconds like 45s or 5m, from %ds to %ds",
			 info->min, info->max);
		return seconds_of(s) < info->min || seconds_of(s) > info->max;
	case VALUE_QUANTITY:
		snprintf(what, size, "a quantity like 100m, 2, 64Mi or 1Gi");
		return !is_quantity(s);
	}
	return true;
}

static int take(struct values *v, int value, const char *s, char *why, size_t size)
{
	const struct value_info *info = &value_infos[value];
	char what[128];
	char *copy;

	if (is_wrong(info, s, what, sizeof(what))) {
		snprintf(why, size, "%s: expected %s, not \"%.64s\"", info->path, what, s);
		return -EINVAL;
	}
	if (info->type == VALUE_REFUSED && !strcmp(s, "true")) {
		snprintf(why, size, "weft does not carry out %s yet", info->path);
		return -EINVAL;
	}
	copy = strdup(s);
	if (!copy)
		return -ENOMEM;
	free(v->given[value]);
	v->given[value] = copy;
	return 0;
}

static int unknown(const char *path, char *why, size_t size)
{
	struct similar near = similar_to(path);

	for (size_t i = 0; i < VALUE_MAX; i++)
		similar_offer(&near, value_infos[i].path);
	if (near.best)
		snprintf(why, size, "unknown value \"%.128s\", did you mean \"%s\"?", path,
			 near.best);
	else
		snprintf(why, size, "unknown value \"%.128s\" (docs/install.md has all of them)",
			 path);
	return -EINVAL;
}

/* istioctl has them below "values", too. */
static const char *without_prefix(const char *path)
{
	static const char prefix[] = "values.";

	return strncmp(path, prefix, sizeof(prefix) - 1) ? path : path + sizeof(prefix) - 1;
}

static int take_path(struct values *v, const char *path, const char *s, char *why, size_t size)
{
	int value = values_find(path, strlen(path));

	return value < 0 ? unknown(path, why, size) : take(v, value, s, why, size);
}

int values_set(struct values *v, const char *assignment, char *why, size_t size)
{
	const char *equals = strchr(assignment, '=');
	_cleanup_free_ char *path = NULL;

	if (!equals) {
		snprintf(why, size, "expected PATH=VALUE, not \"%.64s\"", assignment);
		return -EINVAL;
	}
	path = strndup(assignment, (size_t)(equals - assignment));
	if (!path)
		return -ENOMEM;
	return take_path(v, without_prefix(path), equals + 1, why, size);
}

int values_check(const struct values *v, char *why, size_t size)
{
	if (!*values_get(v, VALUE_KUBERNETES_PORT) || *values_get(v, VALUE_KUBERNETES_HOST))
		return 0;
	snprintf(why, size, "kubernetes.port: expected kubernetes.host beside it");
	return -EINVAL;
}

/* ---- a file ---- */

struct reader {
	struct values *values;
	const char *name;
	struct errors *errors;
	int r;
};

static void wrong(struct reader *r, const struct node *at, const char *why)
{
	errors_add(r->errors, r->name, node_pos(at), "%s", why);
	r->r = -EINVAL;
}

static void read_value(struct reader *r, const struct node *value, const char *path)
{
	char why[512];
	int e;

	if (node_is_null(value))
		return;
	if (!node_text(value)) {
		snprintf(why, sizeof(why), "%s: expected one value, not a list", path);
		wrong(r, value, why);
		return;
	}
	e = take_path(r->values, without_prefix(path), node_text(value), why, sizeof(why));
	if (e == -EINVAL)
		wrong(r, value, why);
	else if (e)
		r->r = e;
}

/* The paths below `map`; `path` (PATH_ROOM) is the path to it, `len` bytes. */
static void read_map(struct reader *r, const struct node *map, char *path, size_t len)
{
	for (const struct node *k = node_target(map)->child; k && r->r != -ENOMEM;
	     k = k->next->next) {
		int n = snprintf(path + len, PATH_ROOM - len, "%s%s", len ? "." : "", node_text(k));

		if (n < 0 || (size_t)n >= PATH_ROOM - len)
			wrong(r, k, "expected a shorter key");
		else if (node_target(k->next)->type == NODE_MAP)
			read_map(r, k->next, path, len + (size_t)n);
		else
			read_value(r, k->next, path);
		path[len] = 0;
	}
}

int values_read(struct values *v, const char *name, const char *bytes, size_t len,
		struct errors *errors)
{
	struct reader r = { .values = v, .name = name, .errors = errors };
	struct documents docs = { 0 };
	char path[PATH_ROOM] = "";

	r.r = yaml_parse(name, bytes, len, &docs, errors);
	for (size_t i = 0; i < docs.count && !r.r; i++) {
		if (node_target(docs.items[i].root)->type == NODE_MAP)
			read_map(&r, docs.items[i].root, path, 0);
		else
			wrong(&r, docs.items[i].root, "expected a map of values");
	}
	documents_free(&docs);
	return r.r;
}
