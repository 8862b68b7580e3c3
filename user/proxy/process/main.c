// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "proxy/process/proxy.h"
#include "proxy/process/options.h"
#include "proxy/process/sandbox.h"

int main(int argc, char **argv)
{
	struct proxy_options o;
	int status;

	log_set("weft-proxy", LOG_LEVEL_INFO);
	if (proxy_options_parse(argc, argv, &o, &status))
		return status;
	log_set("weft-proxy", o.log_level);
	if (o.sandbox && sandbox_enter(o.uid, o.gid))
		return EXIT_FAILURE;
	return proxy_run(&o) ? EXIT_FAILURE : EXIT_SUCCESS;
}
