// SPDX-License-Identifier: Apache-2.0
#include "daemon/pki/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/log.h"

void secret_dump_no_core(void)
{
	static const struct rlimit none;

	if (setrlimit(RLIMIT_CORE, &none))
		log_warning("core dumps may have private keys in them: %s", strerror(errno));
}

void secret_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}
