/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

/* ---- port ---- */

static const char *const protocols[] = { "HTTP", "HTTP2", "GRPC",  "GRPC-WEB", "HTTPS",
					 "TLS",	 "TCP",	  "MONGO", "REDIS",    "MYSQL" };

static void decode_protocol(struct decoder *d, const struct node *value, void *target)
{
	static const char *const refused[] = { "UDP", "HTTP_PROXY", "HBONE", "DOUBLE_HBONE" };
	const char *s;

	if (!decode_string(d, value, &s))
		return;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (!strcasecmp(s, protocols[i])) {
			*(const char **)target = protocols[i];
			return;
		}
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (!strcasecmp(s, refused[i])) {
			decode_refuse_value(d, value, REFUSED_GATEWAY_PROTOCOL);
			return;
		}
	decode_expected(d, value, NULL,
			"one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS, MYSQL");
}

static void check_port_name(struct decoder *d, const struct node *value, const void *string)
{
	if (!**(const char *const *)string)
		decode_expected(d, value, NULL, "a name");
}

static const struct cel port_name_cel[] = {
	{ .rule = "self != ''", .message = "expected a name" },
	{ 0 },
};

static const struct cel protocol_cel[] = {
	{ .rule = "!(self.upperAscii() in ['UDP', 'HTTP_PROXY', 'HBONE', 'DOUBLE_HBONE'])",
	  .refused = REFUSED_GATEWAY_PROTOCOL },
	{ .rule = "self.upperAscii() in ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'HTTPS', 'TLS', "
		  "'TCP', "
		  "'MONGO', 'REDIS', 'MYSQL', 'UDP', 'HTTP_PROXY', 'HBONE', 'DOUBLE_HBONE']",
	  .message = "expected one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS, "
		     "MYSQL" },
	{ 0 },
};

static const struct field port_fields[] = {
	{ "number", FIELD_UINT16, .required = true, .offset = offsetof(struct gw_server, port),
	  .min = 1, .max = 65535 },
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct gw_server, port_name),
	  .max = PORT_NAME_MAX, .check = check_port_name, .cel = port_name_cel },
	{ "protocol", FIELD_CUSTOM, .required = true,
	  .offset = offsetof(struct gw_server, protocol), .max = TEXT_MAX, .shape = SHAPE_STRING,
	  .decode = decode_protocol, .cel = protocol_cel },
	{ .name = "targetPort",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_INTEGER,
	  .refused = REFUSED_TARGET_PORT },
	{ 0 },
};

static const struct message port_message = { .what = "a port (a map)", .fields = port_fields };

/* ---- tls ---- */

static void check_mode(struct decoder *d, const struct node *value, const void *string)
{
	static const char *const refused[] = { "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL",
					       "ISTIO_MUTUAL", "AUTO_PASSTHROUGH" };
	const char *mode = *(const char *const *)string;

	if (!strcmp(mode, "PASSTHROUGH"))
		return;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (!strcmp(mode, refused[i])) {
			decode_refuse_value(d, value, REFUSED_GATEWAY_TLS);
			return;
		}
	decode_expected(d, value, NULL, "PASSTHROUGH");
}

static const struct cel mode_cel[] = {
	{ .rule = "!(self in ['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL', 'ISTIO_MUTUAL', "
		  "'AUTO_PASSTHROUGH'])",
	  .refused = REFUSED_GATEWAY_TLS },
	{ .rule = "self in ['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL', 'ISTIO_MUTUAL', "
		  "'AUTO_PASSTHROUGH']",
	  .message = "expected PASSTHROUGH" },
	{ 0 },
};

static const struct field tls_fields[] = {
	{ "mode", FIELD_STRING, .offset = offsetof(struct gw_server, tls_mode), .max = TEXT_MAX,
	  .check = check_mode, .cel = mode_cel },
	{ "httpsRedirect", FIELD_BOOL, .offset = offsetof(struct gw_server, https_redirect),
	  .pos_at = AT(struct gw_server, https_redirect_pos) },
	/* None of these means anything where TLS is passed through. */
	{ .name = "serverCertificate", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "privateKey", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "caCertificates", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "caCrl", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "credentialName", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "credentialNames", .type = FIELD_IGNORED, .shape = SHAPE_STRINGS },
	{ .name = "caCertCredentialName", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "tlsCertificates", .type = FIELD_IGNORED, .shape = SHAPE_LIST },
	{ .name = "subjectAltNames", .type = FIELD_IGNORED, .shape = SHAPE_STRINGS },
	{ .name = "verifyCertificateSpki", .type = FIELD_IGNORED, .shape = SHAPE_STRINGS },
	{ .name = "verifyCertificateHash", .type = FIELD_IGNORED, .shape = SHAPE_STRINGS },
	{ .name = "minProtocolVersion", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "maxProtocolVersion", .type = FIELD_IGNORED, .shape = SHAPE_STRING },
	{ .name = "cipherSuites", .type = FIELD_IGNORED, .shape = SHAPE_STRINGS },
	{ 0 },
};

static const struct message tls_message = { .what = "a map", .fields = tls_fields };

/* ---- server ---- */

/* Gateways want hosts that can be told apart from afar: whole names, or everything below one. */
static const char *gateway_host_problem(const char *host)
{
	if (!strcmp(host, "*") || valid_ip(host, NULL))
		return NULL;
	if (!strchr(host, '.'))
		return "a full host name, which has a dot";
	if (host[0] == '*' && host[1] != '.')
		return "a host name, with at most \"*.\" in front";
	return host_problem(host);
}

static const char *server_host_problem(const char *s)
{
	const char *slash = strchr(s, '/');

	if (!slash)
		return gateway_host_problem(s);
	if (strncmp(s, "*/", 2) != 0 && strncmp(s, "./", 2) != 0 &&
	    !valid_dns_label(s, (size_t)(slash - s)))
		return "a namespace, \".\" or \"*\" before the slash";
	return gateway_host_problem(slash + 1);
}

static void check_hosts(struct decoder *d, const struct node *value, const void *target)
{
	const struct strs *hosts = target;
	char name[32];

	if (!hosts->count)
		decode_error(d, value, NULL, "expected at least one host, not an empty list");
	for (size_t i = 0; i < hosts->count; i++) {
		const char *problem = server_host_problem(hosts->items[i]);

		snprintf(name, sizeof(name), "[%zu]", i);
		if (problem)
			decode_expected(d, validate_nth(value, i), name, problem);
	}
}

static void check_bind(struct decoder *d, const struct node *value, const void *target)
{
	const char *bind = *(const char *const *)target;

	if (!strncmp(bind, "unix://", 7))
		decode_refuse_value(d, value, REFUSED_UNIX_BIND);
	else if (*bind)
		validate_ip(d, value, target);
}

static bool is_tls(const struct gw_server *server)
{
	return !strcmp(server->protocol, "HTTPS") || !strcmp(server->protocol, "TLS");
}

static bool is_http(const struct gw_server *server)
{
	return !strncmp(server->protocol, "HTTP", 4) || !strncmp(server->protocol, "GRPC", 4);
}

static bool has_certificates(const struct decoder *d, const struct node *tls)
{
	static const char *const names[] = { "serverCertificate", "privateKey", "caCertificates" };

	for (size_t i = 0; i < 3; i++)
		if (decode_given(d, tls, names[i]))
			return true;
	return false;
}

static void check_server(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct gw_server *server = self;
	bool tls = decode_given(d, self_node, "tls");

	if (is_tls(server)) {
		if (!tls)
			decode_error(d, self_node, "tls",
				     "required for the protocol %s, but not given",
				     server->protocol);
		else if (server->https_redirect)
			decode_warn(d, decode_at(d, self_node, "tls"), "tls.httpsRedirect",
				    "has no meaning for the protocol %s", server->protocol);
	} else if (tls && !is_http(server)) {
		decode_error(d, decode_at(d, self_node, "tls"), "tls",
			     "expected no tls for the protocol %s", server->protocol);
	} else if (tls && has_certificates(d, decode_at(d, self_node, "tls"))) {
		decode_error(d, decode_at(d, self_node, "tls"), "tls",
			     "expected only httpsRedirect for the protocol %s", server->protocol);
	}
}

static const struct cel bind_cel[] = {
	{ .rule = "!self.startsWith('unix://')", .refused = REFUSED_UNIX_BIND },
	{ 0 },
};

static const struct cel hosts_cel[] = {
	{ .rule = "self.size() > 0", .message = "expected at least one host, not an empty list" },
	{ 0 },
};

#define CEL_IS_TLS "self.port.protocol.upperAscii() in ['HTTPS', 'TLS']"
#define CEL_IS_HTTP "self.port.protocol.upperAscii() in ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB']"

static const struct cel server_cel[] = {
	{ .rule = "!(" CEL_IS_TLS ") || has(self.tls)",
	  .message = "expected tls for the protocols HTTPS and TLS" },
	{ .rule = CEL_IS_TLS " || " CEL_IS_HTTP " || !has(self.tls)",
	  .message = "expected no tls for a protocol of plain TCP" },
	{ .rule = "!(" CEL_IS_HTTP ") || !has(self.tls) || !(has(self.tls.serverCertificate) || "
		  "has(self.tls.privateKey) || has(self.tls.caCertificates))",
	  .message = "expected only tls.httpsRedirect for a protocol of plain HTTP" },
	{ 0 },
};

static const struct field server_fields[] = {
	{ "port", FIELD_MESSAGE, .required = true, .message = &port_message },
	{ "hosts", FIELD_STRINGS, .required = true, .offset = offsetof(struct gw_server, hosts),
	  .check = check_hosts, .pattern = CRD_SERVER_HOST, .cel = hosts_cel },
	{ "tls", FIELD_MESSAGE, .message = &tls_message },
	{ "bind", FIELD_STRING, .offset = offsetof(struct gw_server, bind), .max = TEXT_MAX,
	  .check = check_bind, .cel = bind_cel },
	{ "name", FIELD_STRING, .offset = offsetof(struct gw_server, name) },
	{ .name = "defaultEndpoint",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_STRING,
	  .refused = REFUSED_DEFAULT_ENDPOINT },
	{ 0 },
};

static const struct message server_message = {
	.what = "a server (a map)",
	.size = sizeof(struct gw_server),
	.fields = server_fields,
	.cel = server_cel,
	.pos_at = AT(struct gw_server, pos),
	.check = check_server,
};

/* ---- Gateway ---- */

static void check_servers(struct decoder *d, const struct node *value, const void *target)
{
	const struct gateway *gateway =
		(const void *)((const char *)target - offsetof(struct gateway, servers));
	char name[48];

	if (!gateway->servers.count)
		decode_error(d, value, NULL, "expected at least one server, not an empty list");
	for (size_t i = 0; i < gateway->servers.count; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(gateway->servers.items[i].port_name,
				    gateway->servers.items[j].port_name)) {
				snprintf(name, sizeof(name), "[%zu].port.name", i);
				decode_error(d, validate_nth(value, i), name,
					     "expected a name that no other server has, not "
					     "\"%.64s\" again",
					     gateway->servers.items[i].port_name);
				break;
			}
}

static const struct cel servers_cel[] = {
	{ .rule = "self.size() > 0", .message = "expected at least one server, not an empty list" },
	{ .rule = "self.all(a, self.exists_one(b, b.port.name == a.port.name))",
	  .message = "expected a port.name that no other server has" },
	{ 0 },
};

static const struct field spec_fields[] = {
	{ "servers", FIELD_LIST, .required = true, .offset = offsetof(struct gateway, servers),
	  .max = SERVERS_MAX, .message = &server_message, .check = check_servers,
	  .cel = servers_cel },
	{ "selector", FIELD_FULL_KVS, .selects = true, .offset = offsetof(struct gateway, selector),
	  .check = validate_labels, .pattern = CRD_LABEL_VALUE },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a Gateway's spec (a map)",
	.size = sizeof(struct gateway),
	.fields = spec_fields,
};

static const struct field gateway_fields[] = {
	{ .name = "apiVersion", .type = FIELD_IGNORED },
	{ .name = "kind", .type = FIELD_IGNORED },
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ "spec", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, gateway),
	  .message = &spec_message },
	{ .name = "status", .type = FIELD_IGNORED },
	{ 0 },
};

const struct message schema_gateway = {
	.what = "a Gateway (a map)",
	.size = sizeof(struct object),
	.fields = gateway_fields,
};
