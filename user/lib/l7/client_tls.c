// SPDX-License-Identifier: Apache-2.0
/*
 * How TLS is spoken with a cluster's endpoints: a DestinationRule's tls.
 */
#include <string.h>

#include "lib/l7/l7_priv.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/mutual.h"
#include "lib/model/client_tls.h"
#include "lib/wire/credentials.h"

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

const char *http_client_credential(struct http_compiler *c, const struct client_tls *t,
				   const struct object *gateway)
{
	const char *files[CLIENT_TLS_FILES];
	struct pool **pool = &c->mesh->pool;

	if (t->credential && *t->credential)
		return pool_printf(pool, "kubernetes://%s/%s",
				   gateway_secret_namespace(c->mesh, gateway, t->credential),
				   t->credential);
	if (!client_tls_files(t, files))
		return "";
	return pool_printf(pool, "file://%s;%s;%s;%s", files[0], files[1], files[2], files[3]);
}

/* A Secret has to bring the CA itself, as with Istio. */
static const char *ca_of(const struct client_tls *t, const char *credential)
{
	const char *files[CLIENT_TLS_FILES];

	if (t->insecure)
		return "";
	if (t->credential && *t->credential)
		return credential;
	(void)client_tls_files(t, files);
	return *files[2] ? credential : CREDENTIAL_SYSTEM_CA;
}

/* The rule's, or without any those of all ServiceEntries that have the host. */
static struct strs alt_names(struct http_compiler *c, const struct client_tls *t,
			     const struct host *h)
{
	const struct entry_host *e = host_entry(h);
	struct strs all = { 0 };
	size_t count = 0;

	if (t->alt_names.count || !e || t->insecure)
		return t->alt_names;
	for (size_t i = 0; i < e->entries.count; i++)
		count += e->entries.items[i]->entry.alt_names.count;
	all.items = pool_alloc(&c->mesh->pool, (count + 1) * sizeof(*all.items));
	c->mesh->nomem |= !all.items;
	for (size_t i = 0; all.items && i < e->entries.count; i++) {
		const struct strs *own = &e->entries.items[i]->entry.alt_names;

		for (size_t k = 0; k < own->count; k++)
			all.items[all.count++] = own->items[k];
	}
	return all;
}

static __u32 full_row(struct http_compiler *c, const struct client_tls *t, const struct host *h,
		      const struct object *gateway)
{
	const char *credential = http_client_credential(c, t, gateway);
	const struct strs names = alt_names(c, t, h);
	struct hs_client_tls row = {
		.sni = http_build_str(&c->build, or_empty(t->sni)),
		.alt_names = http_texts(c, &names),
		.mode = t->mode == CLIENT_TLS_MUTUAL ? HS_TLS_MUTUAL : HS_TLS_SIMPLE,
		.check_host = !t->insecure && !(t->sni && *t->sni) && !names.count,
	};

	if (!credential) {
		c->mesh->nomem = true;
		return 0;
	}
	row.credential = http_build_str(&c->build, credential);
	row.ca = http_build_str(&c->build, ca_of(t, credential));
	return http_build_add(&c->build, HS_CLIENT_TLS, &row);
}

/* One for all that say the same. */
static __u32 bare_row(struct http_compiler *c, enum hs_tls_mode mode, __u32 *row)
{
	const struct hs_client_tls bare = { .mode = mode };

	if (!*row)
		*row = http_build_add(&c->build, HS_CLIENT_TLS, &bare) + 1;
	return *row;
}

__u32 http_client_tls_of(struct http_compiler *c, const struct client_tls *t, const struct host *h,
			 const struct object *gateway)
{
	if (client_tls_is_for(t, gateway))
		return full_row(c, t, h, gateway) + 1;
	if (client_tls_is_mutual(t))
		return bare_row(c, HS_TLS_ISTIO_MUTUAL, &c->mutual_row);
	/* In clear, also to what is STRICT: so does a rule that is for Gateways alone. */
	return t && mutual_in_use(c->mesh) ? bare_row(c, HS_TLS_DISABLE, &c->disable_row) : 0;
}
