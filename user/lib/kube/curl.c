// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/curl.h"

#include <errno.h>
#include <fcntl.h>

#include "lib/base/library.h"
#include "lib/base/log.h"

struct curl_functions curl_functions;

#define CURL_SYMBOL(name) { "curl_" #name, (void *)&curl_functions.name },
static const struct library_symbol symbols[] = { CURL_FUNCTIONS(CURL_SYMBOL) };

int curl_load(void)
{
	int r = library_load("libcurl.so.4", symbols, sizeof(symbols) / sizeof(symbols[0]));

	if (!r && curl_global_init(CURL_GLOBAL_DEFAULT))
		r = log_err(-EIO, "libcurl does not start");
	return r;
}

int curl_close_on_exec(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg;
	(void)purpose;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) ? CURL_SOCKOPT_ERROR : CURL_SOCKOPT_OK;
}
