// SPDX-License-Identifier: Apache-2.0
#include "lib/model/hostname.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

static void lower(char *s)
{
	for (; *s; s++)
		*s = tolower((unsigned char)*s);
}

/* Returns its length, more than fits if it was cut. */
static size_t name_of_service(const char *name, const char *ns, char out[HOST_MAX])
{
	const char *const parts[] = { name, ".", ns, ".svc.cluster.local", NULL };

	return text_join(out, HOST_MAX, parts);
}

int host_complete(const char *name, const char *ns, char out[HOST_MAX])
{
	size_t n;

	if (!strpbrk(name, ".*:"))
		n = name_of_service(name, ns, out);
	else
		n = text_join(out, HOST_MAX, (const char *const[]){ name, NULL });
	if (n >= HOST_MAX)
		return -ENAMETOOLONG;
	lower(out);
	return 0;
}

int host_of_service(const char *name, const char *ns, char out[HOST_MAX])
{
	return name_of_service(name, ns, out) < HOST_MAX ? 0 : -ENAMETOOLONG;
}

bool host_is_wildcard(const char *host)
{
	return host[0] == '*';
}

bool host_includes(const char *wide, const char *narrow)
{
	size_t w = strlen(wide), n = strlen(narrow);

	if (!host_is_wildcard(wide))
		return !strcasecmp(wide, narrow);
	if (host_is_wildcard(narrow) && n < w)
		return false;
	return n >= w - 1 && !strcasecmp(wide + 1, narrow + n - (w - 1));
}

bool export_visible(const struct strs *export_to, const char *own, const char *client)
{
	size_t i;

	if (!export_to->count)
		return true;
	for (i = 0; i < export_to->count; i++) {
		const char *to = export_to->items[i];

		if (!strcmp(to, "*"))
			return true;
		if (client && !strcmp(!strcmp(to, ".") ? own : to, client))
			return true;
	}
	return false;
}

bool gateway_ref_is(const char *ref, const char *ns, const char *gw_ns, const char *gw_name)
{
	const char *slash = strchr(ref, '/'), *dot;
	size_t len;

	if (slash) {
		len = slash - ref;
		if (len == 1 && ref[0] == '.')
			return str_eq(ns, gw_ns) && !strcmp(slash + 1, gw_name);
		return strlen(gw_ns) == len && !memcmp(ref, gw_ns, len) &&
		       !strcmp(slash + 1, gw_name);
	}
	if (str_eq(ns, gw_ns) && !strcmp(ref, gw_name))
		return true;
	dot = strchr(ref, '.');
	if (!dot || strlen(gw_name) != (size_t)(dot - ref) || memcmp(ref, gw_name, dot - ref) != 0)
		return false;
	len = strlen(gw_ns);
	return !strncmp(dot + 1, gw_ns, len) &&
	       (!dot[1 + len] || !strncmp(dot + 1 + len, ".svc", 4));
}

int gateway_ref_full(const char *ref, const char *ns, char out[HOST_MAX])
{
	const char *dot = strchr(ref, '.');
	size_t len = dot ? strcspn(dot + 1, ".") : 0;
	int n;

	if (!strncmp(ref, "./", 2))
		n = snprintf(out, HOST_MAX, "%s%s", ns, ref + 1);
	else if (strchr(ref, '/') || !strcmp(ref, "mesh"))
		n = snprintf(out, HOST_MAX, "%s", ref);
	else if (len && (!dot[1 + len] || !strncmp(dot + 1 + len, ".svc", 4)))
		n = snprintf(out, HOST_MAX, "%.*s/%.*s", (int)len, dot + 1, (int)(dot - ref), ref);
	else
		n = snprintf(out, HOST_MAX, "%s/%s", ns, ref);
	return n < HOST_MAX ? 0 : -ENAMETOOLONG;
}

static bool protocol_among(const char *word, size_t len, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == len && !strncasecmp(*list, word, len))
			return true;
	return false;
}

/* "http" of "http-web" */
static size_t prefix_len(const char *name)
{
	if (!strncasecmp(name, "grpc-web", 8) && (!name[8] || name[8] == '-'))
		return 8;
	return strcspn(name, "-");
}

static bool port_declares(const struct service_port *port, const char *const *protocols)
{
	const char *word = port->app_protocol ? port->app_protocol : port->name;

	if (!word)
		return false;
	return protocol_among(word, port->app_protocol ? strlen(word) : prefix_len(word),
			      protocols);
}

enum port_protocol port_protocol(const struct service_port *port)
{
	static const char *const http[] = {
		"http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws", NULL
	};
	static const char *const tls[] = { "https", "tls", "kubernetes.io/wss", NULL };

	if (port_declares(port, http))
		return PORT_HTTP;
	return port_declares(port, tls) ? PORT_TLS : PORT_TCP;
}

bool port_is_http2(const struct service_port *port)
{
	static const char *const http2[] = { "http2", "grpc", "grpc-web", "kubernetes.io/h2c",
					     NULL };

	return port_declares(port, http2);
}

bool str_eq(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool protocol_is_tcp(const char *protocol)
{
	return !protocol || !strcmp(protocol, "TCP");
}

const char *labels_get(const struct kvs *labels, const char *key)
{
	size_t i;

	for (i = 0; i < labels->count; i++)
		if (!strcmp(labels->items[i].key, key))
			return labels->items[i].value ? labels->items[i].value : "";
	return NULL;
}

bool labels_hold(const struct kvs *labels, const struct kvs *wanted)
{
	size_t i;

	for (i = 0; i < wanted->count; i++) {
		const char *value = labels_get(labels, wanted->items[i].key);
		const char *want = wanted->items[i].value;

		if (!value || !str_eq(value, want ? want : ""))
			return false;
	}
	return true;
}
