/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_CONFIG_H
#define WEFT_LIB_KUBE_CONFIG_H
/*
 * How to reach an API server, and as which user: out of a kubeconfig, or of what Kubernetes puts
 * into every pod. What is in files that may change (a token, a CA bundle) stays in them: it is
 * their names that are kept.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

enum { KUBE_ERROR_MAX = 512 };

/* A program that hands out credentials (client.authentication.k8s.io). */
struct kube_exec {
	char *api_version;
	char **argv;	    /* up to a NULL; argv[0]: a path, or a name to be looked for in PATH */
	char **env;	    /* "NAME=value", up to a NULL, besides the environment that there is */
	char *install_hint; /* NULL: none */
	bool cluster_info;  /* it wants to know of the cluster */
};

/* Strings that are not given are NULL. */
struct kube_config {
	char *server;	 /* "https://10.0.0.1:443", maybe with a path; no slash at the end */
	char *namespace; /* of those who name none; never NULL */
	/* Certificates are PEM, in a file or here; a file is read at each connection. */
	char *ca_file, *ca_data;
	char *cert_file, *cert_data;
	char *key_file, *key_data;
	char *token_file, *token; /* a file takes precedence */
	char *username, *password;
	struct kube_exec *exec;
	char *tls_server_name; /* whom the certificate must be for, if not the server's host */
	char *proxy_url;
	bool insecure; /* any certificate will do */
};

/*
 * All of them: `out` is for the caller to free. 0; -ENOENT, -EINVAL or -EIO with what is wrong in
 * `error`, in a user's words; -ENOMEM.
 */

/* The context of that name, or the current one (NULL), of a kubeconfig or of several, with colons
 * between them: the first that sets a thing counts, and one that does not exist is passed over
 * when there are several. */
int kube_config_load(const char *files, const char *context, struct kube_config **out,
		     char error[KUBE_ERROR_MAX]);
/* Of the pod that this runs in; -ENOENT when it does not run in one. `dir`: where the service
 * account's files are, NULL for where they always are. */
int kube_config_in_cluster(const char *dir, struct kube_config **out, char error[KUBE_ERROR_MAX]);
/* As kubectl does: $KUBECONFIG, or ~/.kube/config, or else that of the pod. */
int kube_config_default(const char *context, struct kube_config **out, char error[KUBE_ERROR_MAX]);

/* NULL without memory. */
struct kube_config *kube_config_copy(const struct kube_config *c);
void kube_config_free(struct kube_config *c); /* accepts NULL */
DEFINE_CLEANUP(struct kube_config *, kube_config_free);

#endif
