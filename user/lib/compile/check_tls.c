// SPDX-License-Identifier: Apache-2.0
/*
 * Gateways' servers of TLS: their Secrets, and the names that clients ask for.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/compile/check.h"
#include "lib/mesh/gateway_sites.h"
#include "lib/mesh/gateways.h"
#include "lib/model/remarks.h"

static struct pos pos_of(const struct object *o, const struct gw_server *s)
{
	if (s->tls.credential_pos.line)
		return s->tls.credential_pos;
	return s->pos.line ? s->pos : o->pos;
}

/* Secrets come and go in any order: that one is missing is no error. */
static void check_secret(struct mesh *mesh, const struct object *o, size_t i, const char *ns)
{
	const struct gw_server *s = &o->gateway.servers.items[i];
	const char *name = s->tls.credential;
	const struct object *secret = mesh_secret(mesh, ns, name);
	const char *lacks = !secret			? NULL
			    : !secret->secret.chain.len ? "certificate (tls.crt or cert)"
			    : !secret->secret.key.len	? "private key (tls.key or key)"
							: "";

	if (!secret)
		errors_remark(mesh->errors, REMARK_NOT_FOUND, o, pos_of(o, s),
			      "spec.servers[%zu].tls.credentialName: no secret %s/%s: handshakes "
			      "with the server fail",
			      i, ns, name);
	else if (*lacks)
		errors_remark(mesh->errors, REMARK_BAD_CREDENTIAL, o, pos_of(o, s),
			      "spec.servers[%zu].tls.credentialName: secret %s/%s has no %s: "
			      "handshakes with the server fail",
			      i, ns, name, lacks);
}

static void check_ca(struct mesh *mesh, const struct object *o, size_t i, const char *ns)
{
	const struct gw_server *s = &o->gateway.servers.items[i];
	const struct object *ca = gateway_ca_secret(mesh, ns, s->tls.credential);

	if (ca && !ca->secret.ca.len)
		errors_remark(mesh->errors, REMARK_BAD_CREDENTIAL, o, pos_of(o, s),
			      "spec.servers[%zu].tls.mode: secret %s/%s has no CA of clients' "
			      "certificates (ca.crt or cacert): handshakes with the server fail",
			      i, ca->meta.namespace, ca->meta.name);
}

void check_tls_server(struct mesh *mesh, const struct object *o, size_t i)
{
	const struct gw_server *s = &o->gateway.servers.items[i];
	const char *name = s->tls.credential, *ns;

	if (!name || !*name)
		return;
	ns = gateway_secret_namespace(mesh, o, name);
	check_secret(mesh, o, i, ns);
	if (!str_eq(s->tls_mode, "SIMPLE"))
		check_ca(mesh, o, i, ns);
}

/* A name that clients ask for at a port, and the server that has it there. */
struct sni_owner {
	struct sni_owner *next;
	const struct object *gateway;
	const struct gw_server *server;
};

/* "PORT/NAME" of a server's host, in lower case, without its namespace. Returns the length. */
static size_t sni_key(char out[HOST_MAX + 16], unsigned port, const char *host)
{
	const char *slash = strchr(host, '/');
	int n = snprintf(out, HOST_MAX + 16, "%u/%s", port, slash ? slash + 1 : host);
	size_t len = n < HOST_MAX + 16 ? (size_t)n : HOST_MAX + 15;

	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)out[i]);
	return len;
}

/* Whether clients may find both at one place. */
static bool share_site(const struct sni_owner *a, const struct object *gw,
		       const struct gw_server *server)
{
	struct addr x, y;
	bool bound = server_bind(a->server, &x);

	return gateways_meet(&a->gateway->gateway, &gw->gateway) &&
	       bound == server_bind(server, &y) && (!bound || !memcmp(&x, &y, sizeof(x)));
}

/* An older Gateway, or an earlier server of the same one, may have the name. */
static void check_name(struct mesh *mesh, struct bytemap *names, const struct object *o, size_t i,
		       const char *host)
{
	const struct gw_server *s = &o->gateway.servers.items[i];
	char key[HOST_MAX + 16];
	size_t len = sni_key(key, s->port, host);
	char *copy = pool_copy(&mesh->pool, key, len);
	struct sni_owner *owner = pool_alloc(&mesh->pool, sizeof(*owner)), *first;
	void **at = copy && owner ? bytemap_at(names, copy, len) : NULL;

	if (!at) {
		mesh->nomem = true;
		return;
	}
	first = *at;
	while (first && !share_site(first, o, s))
		first = first->next;
	if (!first) {
		*owner = (struct sni_owner){ .next = *at, .gateway = o, .server = s };
		*at = owner;
	} else if (first->server != s) {
		errors_remark(mesh->errors, REMARK_CONFLICTING_GATEWAYS, o,
			      s->pos.line ? s->pos : o->pos,
			      "spec.servers[%zu].hosts: an older server of TLS at port %u has "
			      "\"%s\" already: clients that ask for it get that one",
			      i, s->port, host);
	}
}

void check_sni_names(struct mesh *mesh)
{
	struct bytemap names = { 0 };

	for (size_t g = 0; g < mesh->gateways.count; g++) {
		const struct object *o = mesh->gateways.items[g];

		for (size_t i = 0; i < o->gateway.servers.count; i++) {
			const struct gw_server *s = &o->gateway.servers.items[i];

			if (!server_has_tls(server_kind(s)))
				continue;
			for (size_t k = 0; k < s->hosts.count; k++)
				check_name(mesh, &names, o, i, s->hosts.items[k]);
		}
	}
	bytemap_free(&names);
}
