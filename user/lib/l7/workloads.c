// SPDX-License-Identifier: Apache-2.0
/*
 * The pods of the mesh and what they take, for mutual TLS -> rows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/l7/l7_priv.h"
#include "lib/mesh/mutual_ports.h"
#include "lib/route/workload.h"

static __u32 mode_at(struct http_compiler *c, const struct object *pod, unsigned port)
{
	static const __u32 modes[] = { [MTLS_DISABLE] = HS_MTLS_DISABLE,
				       [MTLS_PERMISSIVE] = HS_MTLS_PERMISSIVE,
				       [MTLS_STRICT] = HS_MTLS_STRICT };
	const struct object *by;

	return modes[mutual_mode(c->mesh, pod, port, &by)];
}

struct ports {
	TABLE(struct hs_workload_port) rows;
};

/* `in`: NULL: it is not weft-proxy's. */
static int add_port(struct http_compiler *c, struct ports *ports, const struct object *pod,
		    unsigned port, const struct mutual_inbound *in)
{
	struct hs_workload_port *row = table_push(&ports->rows);

	if (!row)
		return -ENOMEM;
	*row = (struct hs_workload_port){ .port = port, .mode = mode_at(c, pod, port) };
	if (in) {
		row->requests = in->requests;
		row->service = http_build_str(&c->build, in->sp->host->name);
	}
	return 0;
}

/* Of a port that is both weft-proxy's and in portLevelMtls the former comes first. */
static int compare_ports(const void *a, const void *b)
{
	const struct hs_workload_port *x = a, *y = b;

	if (x->port != y->port)
		return (x->port > y->port) - (x->port < y->port);
	if (x->requests != y->requests)
		return (int)y->requests - (int)x->requests;
	return (int)!!y->service.len - (int)!!x->service.len;
}

/* Those at which something else is in force than elsewhere. */
static int gather_levels(struct http_compiler *c, const struct object *pod, __u32 mode,
			 struct ports *out)
{
	const struct object *o = peers_strict(&c->mesh->peers, pod).ports;
	int r = 0;

	for (size_t i = 0; o && i < o->peer.ports.count && !r; i++)
		if (mode_at(c, pod, o->peer.ports.items[i].port) != mode)
			r = add_port(c, out, pod, o->peer.ports.items[i].port, NULL);
	return r;
}

/* What weft-proxy gets for the pod, if it is here, and what portLevelMtls names. */
static int gather_ports(struct http_compiler *c, const struct object *pod, __u32 mode,
			struct ports *out)
{
	const struct mutual_inbound *in;
	size_t count = mutual_inbound_of(c->mesh, pod, &in);
	int r = 0;

	for (size_t i = 0; i < count && !r; i++)
		r = add_port(c, out, pod, in[i].port, &in[i]);
	if (!r)
		r = gather_levels(c, pod, mode, out);
	if (!r && out->rows.count)
		qsort(out->rows.items, out->rows.count, sizeof(*out->rows.items), compare_ports);
	return r;
}

/* Each once. */
static struct hs_range write_ports(struct http_compiler *c, const struct ports *ports)
{
	struct hs_range range = { .first = http_build_count(&c->build, HS_WORKLOAD_PORTS) };

	for (size_t i = 0; i < ports->rows.count; i++)
		if (!i || ports->rows.items[i].port != ports->rows.items[i - 1].port)
			http_build_add(&c->build, HS_WORKLOAD_PORTS, &ports->rows.items[i]);
	range.count = http_build_count(&c->build, HS_WORKLOAD_PORTS) - range.first;
	return range;
}

static struct hs_str identity_of(struct http_compiler *c, const struct object *pod)
{
	const char *account = pod->pod.service_account;
	char text[IDENTITY_MAX];

	identity_make(text, pod->meta.namespace, account && *account ? account : "default");
	return http_build_str(&c->build, text);
}

/* It is the pod's, and was not among those before it. */
static bool is_new_address(struct http_compiler *c, const struct object *pod, size_t i,
			   struct addr *addr)
{
	struct addr earlier;

	if (addr_parse(pod->pod.ips.items[i], addr) ||
	    bytemap_get(&c->mesh->pods_by_addr, addr->b, sizeof(addr->b)) != pod)
		return false;
	for (size_t k = 0; k < i; k++)
		if (!addr_parse(pod->pod.ips.items[k], &earlier) &&
		    !memcmp(&earlier, addr, sizeof(earlier)))
			return false;
	return true;
}

static int add_pod(struct http_compiler *c, const struct object *pod)
{
	struct hs_workload row = { .here = mutual_is_here(c->mesh, pod),
				   .mode = mode_at(c, pod, 0) };
	struct ports ports = { 0 };
	int r = gather_ports(c, pod, row.mode, &ports);

	row.identity = identity_of(c, pod);
	row.ports = write_ports(c, &ports);
	free(ports.rows.items);
	for (size_t i = 0; i < pod->pod.ips.count && !r; i++)
		if (is_new_address(c, pod, i, &row.addr))
			http_build_add(&c->build, HS_WORKLOADS, &row);
	return r;
}

static int compare_rows(const void *a, const void *b)
{
	const struct hs_workload *x = a, *y = b;

	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

int http_workloads_write(struct http_compiler *c)
{
	const struct mesh *mesh = c->mesh;
	__u32 count;
	int r = 0;

	if (!mutual_in_use(mesh))
		return 0;
	for (size_t i = 0; i < mesh->pods.count && !r; i++)
		if (mutual_has(c->mesh, mesh->pods.items[i]))
			r = add_pod(c, mesh->pods.items[i]);
	count = http_build_count(&c->build, HS_WORKLOADS);
	if (!r && count)
		qsort(http_build_row(&c->build, HS_WORKLOADS, 0), count, sizeof(struct hs_workload),
		      compare_rows);
	return r;
}
