// SPDX-License-Identifier: Apache-2.0
/*
 * DestinationRules' tls: what of it can't be carried out.
 */
#include "lib/compile/check.h"
#include "lib/model/client_tls.h"

void check_client_files(struct mesh *mesh, const struct object *o, const char *field,
			const struct client_tls *t)
{
	bool own = t && t->mode == CLIENT_TLS_MUTUAL;

	if (!t || t->mode == CLIENT_TLS_DISABLE || (t->credential && *t->credential))
		return;

	const struct {
		const char *name, *path;
	} files[] = { { "clientCertificate", own ? t->chain : NULL },
		      { "privateKey", own ? t->key : NULL },
		      { "caCertificates", str_eq(t->ca, "system") ? NULL : t->ca },
		      { "caCrl", t->crl } };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (files[i].path && *files[i].path &&
		    !client_tls_beneath(files[i].path, mesh->client_tls_dir))
			errors_add(mesh->errors, o->file, t->pos.line ? t->pos : o->pos,
				   "%s.tls.%s: expected a file beneath the directory that weftd's "
				   "option --client-tls-dir names (%s), not \"%s\"",
				   field, files[i].name,
				   mesh->client_tls_dir ? mesh->client_tls_dir : "it is not given",
				   files[i].path);
}
