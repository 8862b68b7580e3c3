// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kube/kube_file.h"

static void strings_free(char **strings)
{
	for (size_t i = 0; strings && strings[i]; i++)
		free(strings[i]);
	free(strings);
}

static void exec_free(struct kube_exec *e)
{
	if (!e)
		return;
	free(e->api_version);
	free(e->install_hint);
	strings_free(e->argv);
	strings_free(e->env);
	free(e);
}

void kube_config_free(struct kube_config *c)
{
	if (!c)
		return;
	free(c->server);
	free(c->namespace);
	free(c->ca_file);
	free(c->ca_data);
	free(c->cert_file);
	free(c->cert_data);
	free(c->key_file);
	free(c->key_data);
	free(c->token_file);
	free(c->token);
	free(c->username);
	free(c->password);
	free(c->tls_server_name);
	free(c->proxy_url);
	exec_free(c->exec);
	free(c);
}

static bool copy_text(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return *out || !text;
}

static bool copy_strings(char ***out, char *const *strings)
{
	size_t count = 0;

	while (strings && strings[count])
		count++;
	*out = calloc(count + 1, sizeof(**out));
	for (size_t i = 0; *out && i < count; i++)
		if (!copy_text(&(*out)[i], strings[i]))
			return false;
	return *out;
}

static bool copy_exec(struct kube_exec **out, const struct kube_exec *from)
{
	struct kube_exec *e = calloc(1, sizeof(*e));

	*out = e;
	if (!e)
		return false;
	e->cluster_info = from->cluster_info;
	return copy_text(&e->api_version, from->api_version) &&
	       copy_text(&e->install_hint, from->install_hint) &&
	       copy_strings(&e->argv, from->argv) && copy_strings(&e->env, from->env);
}

struct kube_config *kube_config_copy(const struct kube_config *c)
{
	_cleanup_(kube_config_freep) struct kube_config *out = calloc(1, sizeof(*out));

	if (!out)
		return NULL;
	out->insecure = c->insecure;
	if (!copy_text(&out->server, c->server) || !copy_text(&out->namespace, c->namespace) ||
	    !copy_text(&out->ca_file, c->ca_file) || !copy_text(&out->ca_data, c->ca_data) ||
	    !copy_text(&out->cert_file, c->cert_file) ||
	    !copy_text(&out->cert_data, c->cert_data) || !copy_text(&out->key_file, c->key_file) ||
	    !copy_text(&out->key_data, c->key_data) ||
	    !copy_text(&out->token_file, c->token_file) || !copy_text(&out->token, c->token) ||
	    !copy_text(&out->username, c->username) || !copy_text(&out->password, c->password) ||
	    !copy_text(&out->tls_server_name, c->tls_server_name) ||
	    !copy_text(&out->proxy_url, c->proxy_url) ||
	    (c->exec && !copy_exec(&out->exec, c->exec)))
		return NULL;
	return TAKE_PTR(out);
}

/* ---- in a pod ---- */

static const char account_dir[] = "/var/run/secrets/kubernetes.io/serviceaccount";

static bool name_files(struct kube_config *c, const char *dir)
{
	return asprintf(&c->token_file, "%s/token", dir) >= 0 &&
	       asprintf(&c->ca_file, "%s/ca.crt", dir) >= 0;
}

static bool name_server(struct kube_config *c, const char *host, const char *port)
{
	const char *fmt = strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s";

	return asprintf(&c->server, fmt, host, port) >= 0;
}

static int read_namespace(struct kube_config *c, const char *dir)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, "%s/namespace", dir) < 0)
		return -ENOMEM;
	r = kube_file_word(path, &c->namespace);
	if (r == 0 || r == -ENOMEM)
		return r;
	c->namespace = strdup("default");
	return c->namespace ? 0 : -ENOMEM;
}

int kube_config_in_cluster(const char *dir, struct kube_config **out, char error[KUBE_ERROR_MAX])
{
	_cleanup_(kube_config_freep) struct kube_config *c = calloc(1, sizeof(*c));
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!host || !*host || !port || !*port)
		return kube_error(error, -ENOENT,
				  "not in a pod of a cluster: KUBERNETES_SERVICE_HOST or "
				  "KUBERNETES_SERVICE_PORT is not set");
	dir = dir ? dir : account_dir;
	if (!c || !name_files(c, dir) || !name_server(c, host, port) || read_namespace(c, dir))
		return kube_error(error, -ENOMEM, "out of memory");
	if (access(c->token_file, R_OK))
		return kube_error(error, -ENOENT, "%s: %s", c->token_file, strerror(errno));
	*out = TAKE_PTR(c);
	return 0;
}

/* ---- what there is ---- */

int kube_config_default(const char *context, struct kube_config **out, char error[KUBE_ERROR_MAX])
{
	const char *files = getenv("KUBECONFIG"), *home = getenv("HOME");
	_cleanup_free_ char *path = NULL;

	if (files && *files)
		return kube_config_load(files, context, out, error);
	if (asprintf(&path, "%s/.kube/config", home ? home : "") < 0)
		return kube_error(error, -ENOMEM, "out of memory");
	if (access(path, F_OK) == 0)
		return kube_config_load(path, context, out, error);
	if (kube_config_in_cluster(NULL, out, error) == 0)
		return 0;
	return kube_error(
		error, -ENOENT,
		"no cluster to speak to: there is no %s, $KUBECONFIG is not set, and this "
		"is not in a pod of a cluster",
		path);
}
