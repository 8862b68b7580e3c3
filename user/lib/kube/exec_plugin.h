/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_EXEC_PLUGIN_H
#define WEFT_LIB_KUBE_EXEC_PLUGIN_H
/*
 * Credential plugins (kubernetes.io, "client-go credential plugins"): a program that prints an
 * ExecCredential.
 */
#include <stdint.h>

#include "lib/kube/config.h"

struct exec_credential {
	char *token, *cert, *key; /* owned; NULL: not given */
	int64_t expires;	  /* Unix seconds; 0: not said */
};

/* Runs config->exec, for a minute at most. 0; -EIO or -EINVAL with why in `error`; -ENOMEM. */
int exec_plugin_run(const struct kube_config *config, struct exec_credential *out,
		    char error[KUBE_ERROR_MAX]);
/* What it printed. */
int exec_credential_parse(const char *text, size_t size, struct exec_credential *out,
			  char error[KUBE_ERROR_MAX]);
void exec_credential_free(struct exec_credential *c);

/* Seconds since 1970 of an RFC 3339 time; 0 if it is none. */
int64_t rfc3339_parse(const char *text);

#endif
