// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compile.h"

#include <errno.h>

#include "lib/compile/check.h"
#include "lib/l4/l4.h"
#include "lib/l7/l7.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/proxied.h"
#include "lib/route/snapshot.h"

static int compile_world(struct world *w)
{
	int r = check_objects(w);

	if (!w->l4_only) {
		mark_proxied(w);
		check_http2(w);
	}
	if (!r)
		r = world_sources(w);
	if (!r)
		r = l4_compile(w);
	if (!r)
		r = check_tables(w);
	check_http_rules(w);
	if (!r && !w->l4_only && w->errors->count - w->errors->warnings == w->fatal_before)
		check_remarks(w);
	if (!r && w->nomem)
		r = -ENOMEM;
	return r;
}

static bool gateway_speaks_http(const struct object *gw)
{
	bool tls;

	for (size_t i = 0; i < gw->gateway.servers.count; i++)
		if (http_server(&gw->gateway.servers.items[i], &tls))
			return true;
	return false;
}

/* Whether weft-proxy has anything to do. */
static bool speaks_of_http(const struct world *w)
{
	size_t i, k;

	for (i = 0; i < w->virtual_services.count; i++)
		if (w->virtual_services.items[i]->vs.http.count)
			return true;
	for (i = 0; i < w->gateways.count; i++)
		if (gateway_speaks_http(w->gateways.items[i]))
			return true;
	for (i = 0; i < w->services.count; i++)
		for (k = 0; k < w->host_list[i].port_count; k++)
			if (w->host_list[i].ports[k].proxied)
				return true;
	return false;
}

static int compile_http(struct world *w)
{
	struct tables *t = w->t;
	int r = l7_compile(w, &t->http_bytes, &t->http_size);

	return r ? r : http_snapshot_open(t->http_bytes, t->http_size, &t->http);
}

int compile(const struct objects *objects, struct registry *registry, enum compile_http http,
	    struct tables **out, struct errors *errors)
{
	_cleanup_(world_done) struct world w = { .l4_only = http == COMPILE_HTTP_APART };
	int r = world_init(&w, objects, registry, errors);

	if (!r)
		r = compile_world(&w);
	if (!r && errors->count - errors->warnings > w.fatal_before)
		r = -EINVAL;
	if (!r && (http != COMPILE_HTTP_NEEDED || speaks_of_http(&w)))
		r = compile_http(&w);
	if (r)
		return r;
	*out = TAKE_PTR(w.t);
	return 0;
}
