// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "daemon/api/handlers.h"
#include "daemon/source/kubernetes.h"

/* What weftd has of each resource of the cluster, for `weft wait`. */
int handle_versions(struct weftd *d, const struct request *request, struct reply *reply)
{
	(void)request;
	if (!d->kubernetes)
		return refuse(reply, "wait",
			      "rules come from files: they are in force when weft apply returns");
	reply->data = kube_source_versions(d->kubernetes);
	return reply->data ? 0 : -ENOMEM;
}
