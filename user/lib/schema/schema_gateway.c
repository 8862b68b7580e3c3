/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/base64.h"
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

/* Istio reads it, and does nothing with it at a Gateway. */
static void decode_target_port(struct decoder *d, const struct node *value, void *target)
{
	int64_t port;

	(void)target;
	if (decode_integer(d, value, 0, UINT32_MAX, &port))
		decode_warn(d, value, NULL,
			    "has no effect at a Gateway, nor has it in Istio: a Service's own "
			    "targetPort may lead to port.number");
}

static const struct field port_fields[] = {
	{ "number", FIELD_UINT16, .required = true, .offset = offsetof(struct gw_server, port),
	  .min = 1, .max = 65535 },
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct gw_server, port_name),
	  .max = PORT_NAME_MAX, .check = check_port_name, .cel = port_name_cel },
	{ "protocol", FIELD_CUSTOM, .required = true,
	  .offset = offsetof(struct gw_server, protocol), .max = TEXT_MAX, .shape = SHAPE_STRING,
	  .decode = decode_protocol, .cel = protocol_cel },
	{ .name = "targetPort",
	  .type = FIELD_CUSTOM,
	  .shape = SHAPE_INTEGER,
	  .decode = decode_target_port },
	{ 0 },
};

static const struct message port_message = { .what = "a port (a map)", .fields = port_fields };

/* ---- tls ---- */

static bool is_word(const char *text, const char *const *words)
{
	while (*words && strcmp(text, *words) != 0)
		words++;
	return *words;
}

static void check_mode(struct decoder *d, const struct node *value, const void *string)
{
	static const char *const taken[] = { "PASSTHROUGH", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL",
					     NULL };
	static const char *const refused[] = { "ISTIO_MUTUAL", "AUTO_PASSTHROUGH", NULL };
	const char *mode = *(const char *const *)string;

	if (is_word(mode, taken))
		return;
	if (is_word(mode, refused))
		decode_refuse_value(d, value, REFUSED_GATEWAY_TLS);
	else
		decode_expected(d, value, NULL,
				"one of PASSTHROUGH, SIMPLE, MUTUAL, OPTIONAL_MUTUAL");
}

static const struct cel mode_cel[] = {
	{ .rule = "!(self in ['ISTIO_MUTUAL', 'AUTO_PASSTHROUGH'])",
	  .refused = REFUSED_GATEWAY_TLS },
	{ .rule = "self in ['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL', 'ISTIO_MUTUAL', "
		  "'AUTO_PASSTHROUGH']",
	  .message = "expected one of PASSTHROUGH, SIMPLE, MUTUAL, OPTIONAL_MUTUAL" },
	{ 0 },
};

/* weft-proxy knows the files by their paths, with semicolons between them. */
static void check_path(struct decoder *d, const struct node *value, const void *string)
{
	const char *path = *(const char *const *)string;

	if (strchr(path, ';'))
		decode_expected(d, value, NULL, "a path without a semicolon");
}

/* As on the wire. */
static const struct word version_words[] = {
	{ "TLS_AUTO", 0 },     { "TLSV1_0", 0x0301 }, { "TLSV1_1", 0x0302 },
	{ "TLSV1_2", 0x0303 }, { "TLSV1_3", 0x0304 }, { 0 },
};

/* Those that Istio takes (security.ValidCipherSuites); it passes over all others. */
static void decode_ciphers(struct decoder *d, const struct node *value, void *target)
{
	static const char *const known[] = { "ECDHE-ECDSA-AES128-GCM-SHA256",
					     "ECDHE-RSA-AES128-GCM-SHA256",
					     "ECDHE-ECDSA-AES256-GCM-SHA384",
					     "ECDHE-RSA-AES256-GCM-SHA384",
					     "ECDHE-ECDSA-CHACHA20-POLY1305",
					     "ECDHE-RSA-CHACHA20-POLY1305",
					     "ECDHE-ECDSA-AES128-SHA",
					     "ECDHE-RSA-AES128-SHA",
					     "ECDHE-ECDSA-AES256-SHA",
					     "ECDHE-RSA-AES256-SHA",
					     "AES128-GCM-SHA256",
					     "AES256-GCM-SHA384",
					     "AES128-SHA",
					     "AES256-SHA",
					     NULL };
	struct strs given = { 0 }, *out = target;

	if (!decode_strings(d, value, &given))
		return;
	for (size_t i = 0; i < given.count; i++) {
		const struct node *at = validate_nth(value, i);

		if (is_word(given.items[i], known))
			decode_strs_append(d, out, given.items[i], at);
		else
			decode_warn(d, at, NULL,
				    "is none of the cipher suites that Istio knows: passed over");
	}
}

static bool is_spki(const char *text)
{
	enum { SPKI_TEXT = 44, SPKI_BYTES = 32 };
	char bytes[SPKI_TEXT];
	size_t len;

	return strlen(text) == SPKI_TEXT && base64_decode(text, bytes, &len) && len == SPKI_BYTES;
}

static void check_spkis(struct decoder *d, const struct node *value, const void *target)
{
	const struct strs *list = target;

	for (size_t i = 0; i < list->count; i++)
		if (!is_spki(list->items[i]))
			decode_expected(d, validate_nth(value, i), NULL,
					"the SHA-256 of a public key in base64");
}

/* Hexadecimal digits, with or without a colon between two of them. */
static bool is_hash(const char *text)
{
	enum { HASH_DIGITS = 64 };
	size_t digits = 0;

	for (; *text; text++) {
		if (*text == ':' && digits && digits % 2 == 0 && text[1])
			continue;
		if (!isxdigit((unsigned char)*text))
			return false;
		digits++;
	}
	return digits == HASH_DIGITS;
}

static void check_hashes(struct decoder *d, const struct node *value, const void *target)
{
	const struct strs *list = target;

	for (size_t i = 0; i < list->count; i++)
		if (!is_hash(list->items[i]))
			decode_expected(d, validate_nth(value, i), NULL,
					"the SHA-256 of a certificate in hexadecimal digits");
}

/* ---- several certificates, which are refused ---- */

struct certificate {
	const char *chain, *key, *ca;
};

static const struct field certificate_fields[] = {
	{ "serverCertificate", FIELD_STRING, .required = true,
	  .offset = offsetof(struct certificate, chain), .max = TEXT_MAX },
	{ "privateKey", FIELD_STRING, .required = true, .offset = offsetof(struct certificate, key),
	  .max = TEXT_MAX },
	{ "caCertificates", FIELD_STRING, .offset = offsetof(struct certificate, ca),
	  .max = TEXT_MAX },
	{ 0 },
};

static const struct message certificate_message = {
	.what = "a certificate (a map)",
	.size = sizeof(struct certificate),
	.fields = certificate_fields,
};

/* Only what is wrong with one of them: refuse_several() refuses the others. */
static void decode_certificates(struct decoder *d, const struct node *value, void *target)
{
	void *items;
	size_t count;

	(void)target;
	(void)decode_list(d, value, &certificate_message, &items, &count, false);
}

static void decode_credential_names(struct decoder *d, const struct node *value, void *target)
{
	struct strs names = { 0 };

	(void)target;
	(void)decode_strings(d, value, &names);
}

static const struct cel credential_names_cel[] = {
	{ .rule = "false", .refused = REFUSED_CREDENTIAL_NAMES },
	{ 0 },
};

static const struct cel certificates_cel[] = {
	{ .rule = "false", .refused = REFUSED_TLS_CERTIFICATES },
	{ 0 },
};

#define TLS_TEXT(field, member)                                                        \
	{                                                                              \
		field, FIELD_STRING, .offset = offsetof(struct gw_server, tls.member), \
				     .max = TEXT_MAX, .check = check_path              \
	}

static const struct field tls_fields[] = {
	{ "mode", FIELD_STRING, .offset = offsetof(struct gw_server, tls_mode), .max = TEXT_MAX,
	  .check = check_mode, .cel = mode_cel },
	{ "httpsRedirect", FIELD_BOOL, .offset = offsetof(struct gw_server, https_redirect),
	  .pos_at = AT(struct gw_server, https_redirect_pos) },
	TLS_TEXT("serverCertificate", chain),
	TLS_TEXT("privateKey", key),
	TLS_TEXT("caCertificates", ca),
	TLS_TEXT("caCrl", crl),
	{ "credentialName", FIELD_STRING, .offset = offsetof(struct gw_server, tls.credential),
	  .max = TEXT_MAX, .pos_at = AT(struct gw_server, tls.credential_pos) },
	{ .name = "credentialNames",
	  .type = FIELD_CUSTOM,
	  .shape = SHAPE_STRINGS,
	  .decode = decode_credential_names,
	  .cel = credential_names_cel },
	{ .name = "caCertCredentialName",
	  .type = FIELD_REFUSED,
	  .shape = SHAPE_STRING,
	  .refused = REFUSED_CA_CREDENTIAL },
	{ .name = "tlsCertificates",
	  .type = FIELD_CUSTOM,
	  .shape = SHAPE_LIST,
	  .decode = decode_certificates,
	  .cel = certificates_cel },
	{ "subjectAltNames", FIELD_STRINGS, .offset = offsetof(struct gw_server, tls.alt_names) },
	{ "verifyCertificateSpki", FIELD_STRINGS, .offset = offsetof(struct gw_server, tls.spkis),
	  .check = check_spkis },
	{ "verifyCertificateHash", FIELD_STRINGS, .offset = offsetof(struct gw_server, tls.hashes),
	  .check = check_hashes },
	{ "minProtocolVersion", FIELD_ENUM, .offset = offsetof(struct gw_server, tls.min_version),
	  .words = version_words },
	{ "maxProtocolVersion", FIELD_ENUM, .offset = offsetof(struct gw_server, tls.max_version),
	  .words = version_words },
	{ .name = "cipherSuites",
	  .type = FIELD_CUSTOM,
	  .shape = SHAPE_STRINGS,
	  .offset = offsetof(struct gw_server, tls.ciphers),
	  .decode = decode_ciphers },
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

/* Not implemented in Istio: its API alone has it. */
static void decode_default_endpoint(struct decoder *d, const struct node *value, void *target)
{
	const char *endpoint;

	(void)target;
	if (decode_string(d, value, &endpoint) && *endpoint)
		decode_warn(d, value, NULL,
			    "has no effect, nor has it in Istio: a gateway sends where its "
			    "VirtualServices say");
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

/* Whether TLS is to end here. */
static bool is_terminated(const struct gw_server *server)
{
	return server->tls_mode && *server->tls_mode &&
	       strcmp(server->tls_mode, "PASSTHROUGH") != 0;
}

static bool is_mutual(const struct gw_server *server)
{
	return is_terminated(server) && strcmp(server->tls_mode, "SIMPLE") != 0;
}

static bool is_given(const char *text)
{
	return text && *text;
}

static void require_file(struct decoder *d, const struct node *tls, const struct gw_server *server,
			 const char *field, const char *path)
{
	if (!is_given(path))
		decode_error(d, tls, field,
			     "required for the mode %s without credentialName, but not given",
			     server->tls_mode);
}

static void warn_without_effect(struct decoder *d, const struct node *tls, const char *name,
				const char *why)
{
	char field[32];

	snprintf(field, sizeof(field), "tls.%s", name);
	decode_warn(d, decode_at(d, tls, name), field, "has no effect %s", why);
}

/* Files that a Secret stands in for, as in Istio. */
static void warn_of_files(struct decoder *d, const struct node *tls, const struct gw_tls *t)
{
	const struct {
		const char *field, *path;
	} files[] = { { "serverCertificate", t->chain },
		      { "privateKey", t->key },
		      { "caCertificates", t->ca },
		      { "caCrl", t->crl } };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (is_given(files[i].path))
			warn_without_effect(d, tls, files[i].field, "beside credentialName");
}

/* No client is asked for a certificate. */
static void warn_of_clients(struct decoder *d, const struct node *tls, const struct gw_tls *t)
{
	const struct {
		const char *name;
		bool given;
	} fields[] = { { "subjectAltNames", t->alt_names.count },
		       { "verifyCertificateSpki", t->spkis.count },
		       { "verifyCertificateHash", t->hashes.count },
		       { "caCertificates", is_given(t->ca) && !is_given(t->credential) },
		       { "caCrl", is_given(t->crl) && !is_given(t->credential) } };

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (fields[i].given)
			warn_without_effect(d, tls, fields[i].name, "in the mode SIMPLE");
}

/* No certificate of the server's own is shown. */
static void warn_of_certificates(struct decoder *d, const struct node *tls, const struct gw_tls *t)
{
	const struct {
		const char *name;
		bool given;
	} fields[] = { { "credentialName", is_given(t->credential) },
		       { "serverCertificate", is_given(t->chain) },
		       { "privateKey", is_given(t->key) },
		       { "caCertificates", is_given(t->ca) },
		       { "caCrl", is_given(t->crl) },
		       { "subjectAltNames", t->alt_names.count },
		       { "verifyCertificateSpki", t->spkis.count },
		       { "verifyCertificateHash", t->hashes.count },
		       { "minProtocolVersion", t->min_version },
		       { "maxProtocolVersion", t->max_version },
		       { "cipherSuites", t->ciphers.count } };

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (fields[i].given)
			warn_without_effect(d, tls, fields[i].name, "in the mode PASSTHROUGH");
}

/* What a server that ends TLS needs. */
static void check_terminated(struct decoder *d, const struct node *tls,
			     const struct gw_server *server)
{
	enum { TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };
	const struct gw_tls *t = &server->tls;
	int min = t->min_version ?: TLS_1_2, max = t->max_version ?: TLS_1_3;

	if (is_given(t->credential) && is_given(t->chain) && is_given(t->key))
		decode_error(d, tls, "tls",
			     "expected credentialName, or serverCertificate and privateKey, not "
			     "both");
	else if (is_given(t->credential))
		warn_of_files(d, tls, t);
	if (!is_given(t->credential)) {
		require_file(d, tls, server, "tls.serverCertificate", t->chain);
		require_file(d, tls, server, "tls.privateKey", t->key);
		if (is_mutual(server))
			require_file(d, tls, server, "tls.caCertificates", t->ca);
	} else if (!valid_object_name(t->credential)) {
		decode_expected(d, decode_at(d, tls, "credentialName"), "tls.credentialName",
				"the name of a Secret");
	}
	if (!is_mutual(server))
		warn_of_clients(d, tls, t);
	if (min < TLS_1_2 && !t->ciphers.count)
		warn_without_effect(
			d, tls, "minProtocolVersion",
			"below TLSV1_2 without cipherSuites: no default one is for that");
	if (min > max)
		decode_error(d, tls, "tls.maxProtocolVersion",
			     "expected at least minProtocolVersion, which is TLSV1_2 unless given");
}

static void refuse_field(struct decoder *d, const struct node *tls, const char *name,
			 enum refused what)
{
	struct path up = { .up = d->path, .name = "tls" }, here = { .up = &up, .name = name };

	d->path = &here;
	decode_refuse(d, decode_at(d, tls, name), what);
	d->path = up.up;
}

/* True: the server has several certificates, or should have, and an error says so. */
static bool refuse_several(struct decoder *d, const struct node *tls,
			   const struct gw_server *server)
{
	const struct gw_tls *t = &server->tls;
	bool names = decode_given(d, tls, "credentialNames");
	bool certificates = decode_given(d, tls, "tlsCertificates");
	int own = is_given(t->credential) + (is_given(t->chain) && is_given(t->key));

	if (!names && !certificates)
		return false;
	if (is_terminated(server) && names + certificates + own > 1)
		decode_error(
			d, tls, "tls",
			"expected one of credentialName, credentialNames, tlsCertificates, and "
			"serverCertificate with privateKey");
	else if (names)
		refuse_field(d, tls, "credentialNames", REFUSED_CREDENTIAL_NAMES);
	else
		refuse_field(d, tls, "tlsCertificates", REFUSED_TLS_CERTIFICATES);
	return true;
}

static void check_server(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct gw_server *server = self;
	bool tls = decode_given(d, self_node, "tls");

	if (tls && refuse_several(d, decode_at(d, self_node, "tls"), server))
		return;
	if (is_tls(server)) {
		if (!tls)
			decode_error(d, self_node, "tls",
				     "required for the protocol %s, but not given",
				     server->protocol);
		else if (server->https_redirect)
			decode_warn(d, decode_at(d, self_node, "tls"), "tls.httpsRedirect",
				    "has no meaning for the protocol %s", server->protocol);
		if (tls && is_terminated(server))
			check_terminated(d, decode_at(d, self_node, "tls"), server);
		else if (tls)
			warn_of_certificates(d, decode_at(d, self_node, "tls"), &server->tls);
	} else if (tls && !is_http(server)) {
		decode_error(d, decode_at(d, self_node, "tls"), "tls",
			     "expected no tls for the protocol %s", server->protocol);
	} else if (tls &&
		   (is_terminated(server) || has_certificates(d, decode_at(d, self_node, "tls")))) {
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

#define CEL_ENDS_TLS            \
	CEL_IS_TLS              \
	" && has(self.tls) && " \
	"has(self.tls.mode) && self.tls.mode in ['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL']"
#define CEL_CREDENTIAL "(has(self.tls.credentialName) && self.tls.credentialName != '')"

static const struct cel server_cel[] = {
	{ .rule = "!(" CEL_IS_TLS ") || has(self.tls)",
	  .message = "expected tls for the protocols HTTPS and TLS" },
	{ .rule = CEL_IS_TLS " || " CEL_IS_HTTP " || !has(self.tls)",
	  .message = "expected no tls for a protocol of plain TCP" },
	{ .rule = "!(" CEL_IS_HTTP ") || !has(self.tls) || !(has(self.tls.serverCertificate) || "
		  "has(self.tls.privateKey) || has(self.tls.caCertificates) || "
		  "(has(self.tls.mode) && self.tls.mode != 'PASSTHROUGH' && self.tls.mode != ''))",
	  .message = "expected only tls.httpsRedirect for a protocol of plain HTTP" },
	{ .rule = "!(" CEL_ENDS_TLS ") || " CEL_CREDENTIAL
		  " || ((has(self.tls.serverCertificate) && "
		  "self.tls.serverCertificate != '') && (has(self.tls.privateKey) && "
		  "self.tls.privateKey != ''))",
	  .message = "expected tls.serverCertificate and tls.privateKey, or tls.credentialName" },
	{ .rule = "!(" CEL_ENDS_TLS ") || !" CEL_CREDENTIAL
		  " || !((has(self.tls.serverCertificate) && "
		  "self.tls.serverCertificate != '') && (has(self.tls.privateKey) && "
		  "self.tls.privateKey != ''))",
	  .message = "expected tls.credentialName, or tls.serverCertificate and tls.privateKey, "
		     "not both" },
	{ .rule = "!(" CEL_ENDS_TLS ") || self.tls.mode == 'SIMPLE' || " CEL_CREDENTIAL
		  " || (has(self.tls.caCertificates) && self.tls.caCertificates != '')",
	  .message = "expected tls.caCertificates, or tls.credentialName" },
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
	  .type = FIELD_CUSTOM,
	  .shape = SHAPE_STRING,
	  .decode = decode_default_endpoint },
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

static const struct field gateway_fields[] = OBJECT_FIELDS(gateway, spec_message, true);

const struct message schema_gateway = {
	.what = "a Gateway (a map)",
	.size = OBJECT_SIZE(gateway),
	.fields = gateway_fields,
};
