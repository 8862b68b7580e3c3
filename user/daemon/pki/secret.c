// SPDX-License-Identifier: Apache-2.0
#include "daemon/pki/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "lib/base/log.h"

void secret_dump_no_core(void)
{
	static const struct rlimit none;

	/* The limit is not that of a program which the kernel pipes cores to. */
	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0))
		log_warning("core dumps may have private keys in them: %s", strerror(errno));
}

void secret_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}
