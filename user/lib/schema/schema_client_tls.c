/* SPDX-License-Identifier: Apache-2.0 */
/* A DestinationRule's tls (Istio's ClientTLSSettings). */
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum { SNI_MAX = 253 };

static void decode_mode(struct decoder *d, const struct node *value, void *target)
{
	static const char *const modes[] = {
		[CLIENT_TLS_DISABLE] = "DISABLE",
		[CLIENT_TLS_SIMPLE] = "SIMPLE",
		[CLIENT_TLS_MUTUAL] = "MUTUAL",
	};
	const char *mode;

	if (!decode_string(d, value, &mode))
		return;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(mode, modes[i])) {
			*(int *)target = (int)i;
			return;
		}
	if (!strcmp(mode, "ISTIO_MUTUAL"))
		decode_refuse_value(d, value, REFUSED_DESTINATION_TLS);
	else
		decode_expected(d, value, NULL, "one of DISABLE, SIMPLE, MUTUAL");
}

static const struct cel mode_cel[] = {
	{ .rule = "self != 'ISTIO_MUTUAL'", .refused = REFUSED_DESTINATION_TLS },
	{ .rule = "self in ['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']",
	  .message = "expected one of DISABLE, SIMPLE, MUTUAL" },
	{ 0 },
};

#define TEXT(field, member)                                                         \
	{                                                                           \
		field, FIELD_STRING, .offset = offsetof(struct client_tls, member), \
				     .max = TEXT_MAX                                \
	}

static const struct field fields[] = {
	{ "mode", FIELD_CUSTOM, .max = TEXT_MAX, .shape = SHAPE_STRING,
	  .offset = offsetof(struct client_tls, mode), .decode = decode_mode, .cel = mode_cel },
	TEXT("clientCertificate", chain),
	TEXT("privateKey", key),
	TEXT("caCertificates", ca),
	TEXT("caCrl", crl),
	TEXT("credentialName", credential),
	{ "subjectAltNames", FIELD_STRINGS, .offset = offsetof(struct client_tls, alt_names) },
	TEXT("sni", sni),
	{ "insecureSkipVerify", FIELD_BOOL, .offset = offsetof(struct client_tls, insecure) },
	{ 0 },
};

static bool is_given(const char *text)
{
	return text && *text;
}

/* ---- what goes together, as Istio has it ---- */

/* Of a Secret it can't be told here what is in it. */
static void check_insecure(struct decoder *d, const struct node *self, const struct client_tls *t)
{
	if (!t->insecure)
		return;
	if (is_given(t->ca) || t->alt_names.count ||
	    (t->mode == CLIENT_TLS_SIMPLE && is_given(t->credential)))
		decode_error(d, decode_at(d, self, "insecureSkipVerify"), "insecureSkipVerify",
			     "expected false beside caCertificates, subjectAltNames or, with "
			     "SIMPLE, credentialName");
	else if (is_given(t->crl))
		decode_warn(d, decode_at(d, self, "caCrl"), "caCrl",
			    "has no effect beside insecureSkipVerify");
}

static void check_credential(struct decoder *d, const struct node *self, const struct client_tls *t)
{
	const struct node *at = decode_at(d, self, "credentialName");

	if (is_given(t->chain) || is_given(t->key) || is_given(t->ca) || is_given(t->crl)) {
		decode_error(d, at, "credentialName",
			     "expected credentialName, or clientCertificate, privateKey, "
			     "caCertificates and caCrl, not both");
		return;
	}
	if (strstr(t->credential, "://")) {
		decode_expected(d, at, "credentialName", "the name of a Secret");
		return;
	}
	if (!valid_object_name(t->credential))
		decode_warn(d, at, "credentialName",
			    "no Secret can have that name: connections to the endpoints fail");
	decode_warn(d, at, "credentialName",
		    "is for Gateways, as in Istio: clients in the mesh call the endpoints as if "
		    "there were no tls, in clear; clientCertificate, privateKey and "
		    "caCertificates are for both");
}

static void require(struct decoder *d, const struct node *self, const char *name, const char *path)
{
	if (!is_given(path))
		decode_error(d, self, name, "expected a file, which the mode MUTUAL needs");
}

/* weft-proxy knows the files by their paths, with semicolons between them. */
static void check_files(struct decoder *d, const struct node *self, const struct client_tls *t)
{
	const struct {
		const char *name, *path;
	} files[] = { { "clientCertificate", t->chain },
		      { "privateKey", t->key },
		      { "caCertificates", t->ca },
		      { "caCrl", t->crl } };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (is_given(files[i].path) && strchr(files[i].path, ';'))
			decode_expected(d, decode_at(d, self, files[i].name), files[i].name,
					"a path without a semicolon");
	if (t->mode == CLIENT_TLS_MUTUAL) {
		require(d, self, "clientCertificate", t->chain);
		require(d, self, "privateKey", t->key);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		if (is_given(files[i].path))
			decode_warn(d, decode_at(d, self, files[i].name), files[i].name,
				    "has no effect in the mode SIMPLE");
}

/* Without TLS none of it means anything. */
static void check(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct client_tls *t = self;

	if (t->mode == CLIENT_TLS_DISABLE)
		return;
	check_insecure(d, self_node, t);
	if (is_given(t->credential))
		check_credential(d, self_node, t);
	else
		check_files(d, self_node, t);
	if (is_given(t->sni) && strlen(t->sni) > SNI_MAX)
		decode_expected(d, decode_at(d, self_node, "sni"), "sni",
				"a host name of at most 253 characters");
}

const struct message schema_client_tls = {
	.what = "a map",
	.size = sizeof(struct client_tls),
	.fields = fields,
	.pos_at = AT(struct client_tls, pos),
	.check = check,
};
