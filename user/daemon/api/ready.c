// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/ready.h"

#include <stdio.h>

#include "daemon/source/kubernetes.h"

struct ready_list {
	void (*tell)(void *list, const char *what);
	void *list;
};

static void tell_missing(void *arg, const char *what)
{
	const struct ready_list *r = arg;
	char line[256];

	snprintf(line, sizeof(line), "not in the kernel at the moment: %s", what);
	r->tell(r->list, line);
}

static void check_proxy(const struct weftd *d, const struct ready_list *r)
{
	const struct tables *tables = engine_tables(d->engine);
	struct supervisor_status proxy;

	supervisor_status(d->supervisor, &proxy);
	if (!proxy.pid)
		r->tell(r->list, "weft-proxy does not run");
	else if (tables && tables->http && !supervisor_has_snapshot(d->supervisor, tables->http))
		r->tell(r->list, "weft-proxy does not have the rules yet");
}

void ready_each_reason(void *weftd, void (*tell)(void *list, const char *what), void *list)
{
	struct weftd *d = weftd;
	struct ready_list r = { tell, list };

	if (!d->engine) {
		tell(list, "the rules are not loaded yet");
		return;
	}
	if (d->kubernetes && !kube_source_is_ready(d->kubernetes))
		tell(list, "the API server has not told of its objects yet");
	check_proxy(d, &r);
	kernel_each_unready(d->kernel, engine_tables(d->engine), d->node_name, tell, list);
	kernel_each_missing(d->kernel, tell_missing, &r);
}
