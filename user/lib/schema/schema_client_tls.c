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
		[CLIENT_TLS_ISTIO_MUTUAL] = "ISTIO_MUTUAL",
	};
	const char *mode;

	if (!decode_string(d, value, &mode))
		return;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(mode, modes[i])) {
			*(int *)target = (int)i;
			return;
		}
	decode_expected(d, value, NULL, "one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL");
}

static const struct cel mode_cel[] = {
	{ .rule = "self in ['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']",
	  .message = "expected one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL" },
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

/* Istio takes them and puts the mesh's own in their place, but for the names. */
static void check_mutual(struct decoder *d, const struct node *self, const struct client_tls *t)
{
	const struct {
		const char *name;
		bool given;
	} idle[] = {
		{ "clientCertificate", is_given(t->chain) },   { "privateKey", is_given(t->key) },
		{ "caCertificates", is_given(t->ca) },	       { "caCrl", is_given(t->crl) },
		{ "credentialName", is_given(t->credential) }, { "sni", is_given(t->sni) },
		{ "insecureSkipVerify", t->insecure }
	};

	for (size_t i = 0; i < sizeof(idle) / sizeof(*idle); i++)
		if (idle[i].given)
			decode_warn(d, decode_at(d, self, idle[i].name), idle[i].name,
				    "has no effect in the mode ISTIO_MUTUAL");
	if (t->alt_names.count)
		decode_refuse(d, decode_at(d, self, "subjectAltNames"), REFUSED_DESTINATION_TLS);
}

/* Without TLS none of it means anything. */
static void check(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct client_tls *t = self;

	if (t->mode == CLIENT_TLS_DISABLE)
		return;
	if (t->mode == CLIENT_TLS_ISTIO_MUTUAL) {
		check_mutual(d, self_node, t);
		return;
	}
	check_insecure(d, self_node, t);
	if (is_given(t->credential))
		check_credential(d, self_node, t);
	else
		check_files(d, self_node, t);
	if (is_given(t->sni) && strlen(t->sni) > SNI_MAX)
		decode_expected(d, decode_at(d, self_node, "sni"), "sni",
				"a host name of at most 253 characters");
}

static const struct cel mutual_cel[] = {
	{ .rule = "!has(self.mode) || self.mode != 'ISTIO_MUTUAL' || "
		  "!has(self.subjectAltNames) || size(self.subjectAltNames) == 0",
	  .refused = REFUSED_DESTINATION_TLS },
	{ 0 },
};

const struct message schema_client_tls = {
	.what = "a map",
	.size = sizeof(struct client_tls),
	.fields = fields,
	.pos_at = AT(struct client_tls, pos),
	.cel = mutual_cel,
	.check = check,
};
