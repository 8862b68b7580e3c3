// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/curl.h"

#include <dlfcn.h>
#include <errno.h>

#include "lib/base/log.h"

struct curl_functions curl_functions;

/* ISO C has no conversion from an object's address to a function's: dlsym(3). */
static int find(void *library, const char *name, void *pointer)
{
	*(void **)pointer = dlsym(library, name);
	return *(void **)pointer ? 0 : log_err(-EIO, "libcurl: %s", dlerror());
}

#define CURL_FIND(name) \
	if (!r)         \
		r = find(library, "curl_" #name, (void *)&curl_functions.name);

int curl_load(void)
{
	void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
	int r = library ? 0 : log_err(-EIO, "an API server can't be asked: %s", dlerror());

	CURL_FUNCTIONS(CURL_FIND)
	if (!r && curl_global_init(CURL_GLOBAL_DEFAULT))
		r = log_err(-EIO, "libcurl does not start");
	return r;
}
