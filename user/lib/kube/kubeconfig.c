// SPDX-License-Identifier: Apache-2.0
/*
 * Kubeconfig files (kubernetes.io, "Organizing Cluster Access Using kubeconfig Files").
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/table.h"
#include "lib/kube/kube_file.h"
#include "lib/yaml/tree.h"

struct file {
	char *name;
	struct documents docs;
};

struct files {
	TABLE(struct file) table;
	char *error; /* KUBE_ERROR_MAX */
};

/* A map of a file: a cluster, a user, a context. */
struct section {
	const struct file *file;
	const struct node *map;
	char *error;
};

static void files_free(struct files *f)
{
	for (size_t i = 0; i < f->table.count; i++) {
		documents_free(&f->table.items[i].docs);
		free(f->table.items[i].name);
	}
	free(f->table.items);
}

static int no_memory(char *error)
{
	kube_error(error, 0, "out of memory");
	return -ENOMEM;
}

/* ---- fields of a section ---- */

static int wrong(const struct section *s, const struct node *at, const char *what)
{
	kube_error(s->error, 0, "%s:%u:%u: %s", s->file->name, at->line, at->col, what);
	return -EINVAL;
}

static int wrong_field(const struct section *s, const char *key, const struct node *at,
		       const char *expected)
{
	char what[KUBE_ERROR_MAX / 2], value[64];

	snprintf(what, sizeof(what), "%s: expected %s, not %s", key, expected,
		 node_describe(at, value, sizeof(value)));
	return wrong(s, at, what);
}

/* The text of a field; "" is none. */
static int get_text(const struct section *s, const char *key, const char **out)
{
	const struct node *value = node_get(s->map, key);

	*out = NULL;
	if (!value || node_is_null(value))
		return 0;
	if (!node_text(value))
		return wrong_field(s, key, value, "a string");
	*out = *node_text(value) ? node_text(value) : NULL;
	return 0;
}

static int copy_text(const struct section *s, const char *key, char **out)
{
	const char *text;
	int r = get_text(s, key, &text);

	if (r || !text)
		return r;
	*out = strdup(text);
	return *out ? 0 : no_memory(s->error);
}

/* A path that is relative to the file that names it. */
static char *resolve(const struct section *s, const char *path)
{
	const char *slash = strrchr(s->file->name, '/');
	char *out;

	if (*path == '/' || !slash)
		return strdup(path);
	return asprintf(&out, "%.*s/%s", (int)(slash - s->file->name), s->file->name, path) < 0
		       ? NULL
		       : out;
}

static int copy_path(const struct section *s, const char *key, char **out)
{
	const char *path;
	int r = get_text(s, key, &path);

	if (r || !path)
		return r;
	*out = resolve(s, path);
	return *out ? 0 : no_memory(s->error);
}

static int copy_base64(const struct section *s, const char *key, char **out)
{
	const char *text;
	size_t size;
	int r = get_text(s, key, &text);

	if (r || !text)
		return r;
	*out = malloc(strlen(text) + 1);
	if (!*out)
		return no_memory(s->error);
	if (!base64_decode(text, *out, &size))
		return wrong(s, node_get(s->map, key), "expected base64");
	(*out)[size] = '\0';
	return 0;
}

static int get_bool(const struct section *s, const char *key, bool *out)
{
	const struct node *value = node_get(s->map, key);

	if (!value || node_is_null(value))
		return 0;
	if (node_scalar(value) != SCALAR_BOOL)
		return wrong_field(s, key, value, "true or false");
	*out = node_true(value);
	return 0;
}

/* What would change who asks, or how, and is not carried out. */
static int refuse(const struct section *s, const char *key, const char *why)
{
	const struct node *value = node_get(s->map, key);
	char what[KUBE_ERROR_MAX / 2];

	if (!value || node_is_null(value))
		return 0;
	snprintf(what, sizeof(what), "%s: %s", key, why);
	return wrong(s, value, what);
}

/* ---- cluster ---- */

static int read_server(const struct section *s, struct kube_config *c)
{
	int r = copy_text(s, "server", &c->server);

	if (r)
		return r;
	if (!c->server)
		return wrong(s, s->map, "server: expected https://HOST:PORT, not nothing");
	if (strncmp(c->server, "https://", 8) != 0 && strncmp(c->server, "http://", 7) != 0)
		return wrong_field(s, "server", node_get(s->map, "server"), "https://HOST:PORT");
	for (size_t n = strlen(c->server); n && c->server[n - 1] == '/'; n--)
		c->server[n - 1] = '\0';
	return 0;
}

static int read_cluster(const struct section *s, struct kube_config *c)
{
	int r;

	if ((r = read_server(s, c)) || (r = copy_path(s, "certificate-authority", &c->ca_file)) ||
	    (r = copy_base64(s, "certificate-authority-data", &c->ca_data)) ||
	    (r = copy_text(s, "tls-server-name", &c->tls_server_name)) ||
	    (r = copy_text(s, "proxy-url", &c->proxy_url)) ||
	    (r = get_bool(s, "insecure-skip-tls-verify", &c->insecure)))
		return r;
	if (c->insecure && (c->ca_file || c->ca_data))
		return wrong(s, s->map,
			     "insecure-skip-tls-verify and a certificate-authority exclude each "
			     "other");
	return 0;
}

/* ---- user ---- */

static int push_string(char ***strings, size_t *count, char *text)
{
	char **more = text ? reallocarray(*strings, *count + 2, sizeof(**strings)) : NULL;

	if (!more) {
		free(text);
		return -ENOMEM;
	}
	more[(*count)++] = text;
	more[*count] = NULL;
	*strings = more;
	return 0;
}

/* A name with a slash in it is relative to the kubeconfig, one without is looked for in PATH. */
static int read_command(const struct section *s, struct kube_exec *e, size_t *count)
{
	const char *command;
	int r = get_text(s, "command", &command);

	if (r)
		return r;
	if (!command)
		return wrong(s, s->map, "exec.command: expected a program, not nothing");
	if (push_string(&e->argv, count,
			strchr(command, '/') ? resolve(s, command) : strdup(command)))
		return no_memory(s->error);
	return 0;
}

static int read_argv(const struct section *s, struct kube_exec *e)
{
	const struct node *args = node_get(s->map, "args");
	size_t count = 0;
	int r = read_command(s, e, &count);

	if (r || !args || node_is_null(args))
		return r;
	if (node_target(args)->type != NODE_LIST)
		return wrong_field(s, "exec.args", args, "a list");
	for (const struct node *n = node_target(args)->child; n; n = n->next) {
		if (!node_text(n))
			return wrong_field(s, "exec.args", n, "a string");
		if (push_string(&e->argv, &count, strdup(node_text(n))))
			return no_memory(s->error);
	}
	return 0;
}

static int read_variable(const struct section *s, const struct node *n, struct kube_exec *e,
			 size_t *count)
{
	const struct section variable = { s->file, n, s->error };
	const char *name, *value;
	char *text;
	int r;

	if ((r = get_text(&variable, "name", &name)) || (r = get_text(&variable, "value", &value)))
		return r;
	if (!name)
		return wrong(s, n, "exec.env: expected a name");
	if (asprintf(&text, "%s=%s", name, value ? value : "") < 0 ||
	    push_string(&e->env, count, text))
		return no_memory(s->error);
	return 0;
}

static int read_env(const struct section *s, struct kube_exec *e)
{
	const struct node *env = node_get(s->map, "env");
	size_t count = 0;
	int r = 0;

	if (!env || node_is_null(env))
		return 0;
	if (node_target(env)->type != NODE_LIST)
		return wrong_field(s, "exec.env", env, "a list");
	for (const struct node *n = node_target(env)->child; n && !r; n = n->next)
		r = read_variable(s, n, e, &count);
	return r;
}

static int check_api_version(const struct section *s, const struct kube_exec *e)
{
	static const char *const known[] = { "client.authentication.k8s.io/v1",
					     "client.authentication.k8s.io/v1beta1" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (e->api_version && !strcmp(e->api_version, known[i]))
			return 0;
	return wrong(s, s->map,
		     "exec.apiVersion: expected client.authentication.k8s.io/v1 or .../v1beta1");
}

static int read_exec(const struct section *user, struct kube_config *c)
{
	const struct section s = { user->file, node_get(user->map, "exec"), user->error };
	const char *mode;
	int r;

	if (!s.map || node_is_null(s.map))
		return 0;
	c->exec = calloc(1, sizeof(*c->exec));
	if (!c->exec)
		return no_memory(s.error);
	if ((r = copy_text(&s, "apiVersion", &c->exec->api_version)) ||
	    (r = check_api_version(&s, c->exec)) || (r = read_argv(&s, c->exec)) ||
	    (r = read_env(&s, c->exec)) ||
	    (r = copy_text(&s, "installHint", &c->exec->install_hint)) ||
	    (r = get_bool(&s, "provideClusterInfo", &c->exec->cluster_info)) ||
	    (r = get_text(&s, "interactiveMode", &mode)))
		return r;
	if (mode && !strcmp(mode, "Always"))
		return wrong(&s, s.map, "exec.interactiveMode: weft has no terminal to offer");
	return 0;
}

static int read_user(const struct section *s, struct kube_config *c)
{
	static const char other[] = "weft does not act as another user";
	int r;

	if ((r = refuse(s, "as", other)) || (r = refuse(s, "as-uid", other)) ||
	    (r = refuse(s, "as-groups", other)) || (r = refuse(s, "as-user-extra", other)) ||
	    (r = refuse(s, "auth-provider", "is not known any more: use exec")) ||
	    (r = copy_path(s, "client-certificate", &c->cert_file)) ||
	    (r = copy_base64(s, "client-certificate-data", &c->cert_data)) ||
	    (r = copy_path(s, "client-key", &c->key_file)) ||
	    (r = copy_base64(s, "client-key-data", &c->key_data)) ||
	    (r = copy_text(s, "token", &c->token)) ||
	    (r = copy_path(s, "tokenFile", &c->token_file)) ||
	    (r = copy_text(s, "username", &c->username)) ||
	    (r = copy_text(s, "password", &c->password)) || (r = read_exec(s, c)))
		return r;
	if (!(c->cert_file || c->cert_data) != !(c->key_file || c->key_data))
		return wrong(s, s->map, "client-certificate and client-key go together");
	return 0;
}

/* ---- contexts ---- */

/* An entry of a list of named ones, in the first file that has it. False if none has. */
static bool find(const struct files *f, const char *list, const char *name, const char *inner,
		 struct section *out)
{
	for (size_t i = 0; i < f->table.count; i++) {
		const struct file *file = &f->table.items[i];
		const struct node *entries =
			file->docs.count ? node_get(file->docs.items[0].root, list) : NULL;

		if (!entries || node_target(entries)->type != NODE_LIST)
			continue;
		for (const struct node *n = node_target(entries)->child; n; n = n->next) {
			const struct node *key = node_get(n, "name"), *map = node_get(n, inner);

			if (!key || !node_text(key) || strcmp(node_text(key), name) != 0 || !map)
				continue;
			*out = (struct section){ file, map, f->error };
			return true;
		}
	}
	return false;
}

static const char *current_context(const struct files *f)
{
	for (size_t i = 0; i < f->table.count; i++) {
		const struct documents *docs = &f->table.items[i].docs;
		const struct node *n =
			docs->count ? node_get(docs->items[0].root, "current-context") : NULL;

		if (n && node_text(n) && *node_text(n))
			return node_text(n);
	}
	return NULL;
}

/* The section that a field of the context names. */
static int follow(const struct files *f, const struct section *context, const char *list,
		  const char *inner, struct section *out)
{
	const char *name;
	char what[KUBE_ERROR_MAX / 2];
	int r = get_text(context, inner, &name);

	if (r)
		return r;
	if (name && find(f, list, name, inner, out))
		return 0;
	snprintf(what, sizeof(what), "context: there is no %s \"%s\"", inner, name ? name : "");
	return wrong(context, context->map, what);
}

static int read_context(const struct files *f, const struct section *context, struct kube_config *c)
{
	struct section cluster, user;
	const char *name;
	int r;

	if ((r = follow(f, context, "clusters", "cluster", &cluster)) ||
	    (r = read_cluster(&cluster, c)) || (r = copy_text(context, "namespace", &c->namespace)))
		return r;
	if (!c->namespace && !(c->namespace = strdup("default")))
		return no_memory(f->error);
	r = get_text(context, "user", &name);
	if (r || !name)
		return r;
	r = follow(f, context, "users", "user", &user);
	return r ? r : read_user(&user, c);
}

/* ---- files ---- */

static int parse_file(struct files *f, const char *name, const char *bytes, size_t size)
{
	struct file *file = table_push(&f->table);
	struct errors errors = { 0 };
	int r;

	if (!file || !(file->name = strdup(name)))
		return no_memory(f->error);
	r = yaml_parse(name, bytes, size, &file->docs, &errors);
	if (r)
		kube_error(f->error, r, "%s",
			   errors.count && errors.items[0].text ? errors.items[0].text
								: strerror(-r));
	errors_free(&errors);
	return r;
}

static int add_file(struct files *f, const char *name, bool one_of_several)
{
	_cleanup_free_ char *bytes = NULL;
	size_t size;
	int r = kube_file_read(name, &bytes, &size);

	if (r == -ENOENT && one_of_several)
		return 0;
	if (r)
		return kube_error(f->error, r == -ENOENT || r == -ENOMEM ? r : -EIO, "%s: %s", name,
				  strerror(-r));
	return parse_file(f, name, bytes, size);
}

static int add_files(struct files *f, const char *names)
{
	_cleanup_free_ char *copy = strdup(names);
	bool several = strchr(names, ':');
	char *rest = copy, *name;
	int r = 0;

	if (!copy)
		return no_memory(f->error);
	while (!r && (name = strsep(&rest, ":")))
		if (*name)
			r = add_file(f, name, several);
	return r;
}

int kube_config_load(const char *files, const char *context, struct kube_config **out,
		     char error[KUBE_ERROR_MAX])
{
	_cleanup_(kube_config_freep) struct kube_config *c = calloc(1, sizeof(*c));
	_cleanup_(files_free) struct files f = { .error = error };
	struct section found;
	int r;

	if (!c)
		return no_memory(error);
	r = add_files(&f, files);
	if (r)
		return r;
	context = context ? context : current_context(&f);
	if (!context)
		return kube_error(error, -ENOENT, "%s: there is no current-context", files);
	if (!find(&f, "contexts", context, "context", &found))
		return kube_error(error, -ENOENT, "%s: there is no context \"%s\"", files, context);
	r = read_context(&f, &found, c);
	if (r)
		return r;
	*out = TAKE_PTR(c);
	return 0;
}
