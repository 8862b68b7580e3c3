// SPDX-License-Identifier: Apache-2.0
#include "lib/model/hostname.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Most addresses are IPv4, and a big cluster has 100,000 of them: inet_pton() and inet_ntop() would
 * show. */
static int parse_v4(const char *s, unsigned char out[4])
{
	int i, digits;

	for (i = 0; i < 4; i++) {
		unsigned v = 0;

		for (digits = 0; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
			v = v * 10 + (*s - '0');
		if (!digits || v > 255 || (digits > 1 && s[-digits] == '0') ||
		    *s++ != (i < 3 ? '.' : '\0'))
			return -EINVAL;
		out[i] = v;
	}
	return 0;
}

int addr_parse(const char *text, struct addr *out)
{
	struct addr a;

	memcpy(a.b, mapped, sizeof(mapped));
	if (parse_v4(text, a.b + 12) && inet_pton(AF_INET6, text, a.b) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	char *at = out;
	int i;

	if (!addr_is_v4(a)) {
		inet_ntop(AF_INET6, a->b, out, ADDR_TEXT_MAX);
		return strlen(out);
	}
	for (i = 12; i < 16; i++) {
		at = text_put_number(at, a->b[i]);
		*at++ = '.';
	}
	*--at = '\0';
	return at - out;
}

size_t addr_format_port(const struct addr *a, unsigned port, char out[ADDR_TEXT_MAX])
{
	bool brackets = !addr_is_v4(a);
	char text[ADDR_TEXT_MAX];
	size_t n = 0, len = addr_format(a, text);

	if (brackets)
		out[n++] = '[';
	memcpy(out + n, text, len);
	n += len;
	if (brackets)
		out[n++] = ']';
	out[n++] = ':';
	n = text_put_number(out + n, port) - out;
	out[n] = '\0';
	return n;
}

bool addr_is_v4(const struct addr *a)
{
	return !memcmp(a->b, mapped, sizeof(mapped));
}

struct addr addr_placeholder(__u32 number)
{
	struct addr a = { .b = { 0x01 } };

	number = htonl(number);
	memcpy(a.b + 12, &number, sizeof(number));
	return a;
}

bool addr_is_placeholder(const struct addr *a)
{
	static const unsigned char discard[8] = { 0x01 };

	return !memcmp(a->b, discard, sizeof(discard));
}

bool cidr_holds(const struct cidr *c, const struct addr *a)
{
	unsigned bytes = c->prefix / 8, bits = c->prefix % 8;

	if (memcmp(c->addr.b, a->b, bytes) != 0)
		return false;
	return !bits || !((c->addr.b[bytes] ^ a->b[bytes]) >> (8 - bits));
}

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
