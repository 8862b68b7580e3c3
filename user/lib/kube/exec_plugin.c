// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/kube/exec_plugin.h"
#include "lib/kube/kube_file.h"

enum { OUTPUT_MAX = 1 << 20, TIMEOUT_MS = 60000 };

extern char **environ;

void exec_credential_free(struct exec_credential *c)
{
	free(c->token);
	free(c->cert);
	free(c->key);
	*c = (struct exec_credential){ 0 };
}

/* ---- what it is told ---- */

static void put_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_text(text));
}

static int read_ca(const struct kube_config *config, char **out, size_t *size)
{
	if (!config->ca_data && config->ca_file)
		return kube_file_read(config->ca_file, out, size);
	*out = config->ca_data ? strdup(config->ca_data) : NULL;
	*size = *out ? strlen(*out) : 0;
	return 0;
}

static json_t *cluster_info(const struct kube_config *config)
{
	_cleanup_free_ char *ca = NULL, *encoded = NULL;
	json_t *cluster = json_object();
	size_t size;

	put_text(cluster, "server", config->server);
	put_text(cluster, "tls-server-name", config->tls_server_name);
	put_text(cluster, "proxy-url", config->proxy_url);
	if (config->insecure)
		json_object_set_new(cluster, "insecure-skip-tls-verify", json_true());
	if (read_ca(config, &ca, &size) == 0 && ca)
		encoded = base64_encode(ca, size);
	put_text(cluster, "certificate-authority-data", encoded);
	return cluster;
}

/* "KUBERNETES_EXEC_INFO={...}" */
static char *exec_info(const struct kube_config *config)
{
	_cleanup_json_ json_t *info = json_pack("{s:s, s:s, s:{s:b}}", "apiVersion",
						config->exec->api_version, "kind", "ExecCredential",
						"spec", "interactive", 0);
	_cleanup_free_ char *text = NULL;
	char *out;

	if (config->exec->cluster_info)
		json_object_set_new(json_object_get(info, "spec"), "cluster", cluster_info(config));
	text = json_dumps(info, JSON_COMPACT);
	return text && asprintf(&out, "KUBERNETES_EXEC_INFO=%s", text) >= 0 ? out : NULL;
}

static size_t count_strings(char *const *strings)
{
	size_t n = 0;

	while (strings && strings[n])
		n++;
	return n;
}

/* What comes first counts: the plugin's own variables stand before those that there are. The array
 * is for the caller to free. */
static char **environment(const struct kube_exec *e, char *info)
{
	size_t own = count_strings(e->env), inherited = count_strings(environ);
	char **env = calloc(own + inherited + 2, sizeof(*env));

	if (!env)
		return NULL;
	env[0] = info;
	for (size_t i = 0; i < own; i++)
		env[1 + i] = e->env[i];
	for (size_t i = 0; i < inherited; i++)
		env[1 + own + i] = environ[i];
	return env;
}

/* ---- running it ---- */

/* With no input, and with the signals as a program expects them. */
static int spawn(char *const *argv, char *const *env, int output, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawnp(pid, argv[0], &files, &attributes, argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

/* Reads until the other end is closed. 0, -ETIMEDOUT, -EFBIG or -errno. */
static int read_output(int fd, char *out, size_t *size)
{
	uint64_t deadline = clock_ms() + TIMEOUT_MS;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_ms();
		ssize_t n;

		if (now >= deadline || poll(&p, 1, (int)(deadline - now)) == 0)
			return -ETIMEDOUT;
		n = read(fd, out + *size, OUTPUT_MAX - *size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return *size == OUTPUT_MAX ? -EFBIG : 0;
		*size += n > 0 ? (size_t)n : 0;
	}
}

static int start(const struct kube_config *config, int output, pid_t *pid)
{
	_cleanup_free_ char *info = exec_info(config);
	_cleanup_free_ char **env = info ? environment(config->exec, info) : NULL;

	return env ? spawn(config->exec->argv, env, output, pid) : -ENOMEM;
}

/* Its output. 0 when it ended well; the exit status, or -errno. */
static int run(const struct kube_config *config, char *out, size_t *size)
{
	int fds[2], r, status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	r = start(config, fds[1], &pid);
	close(fds[1]);
	if (r == 0) {
		r = read_output(fds[0], out, size);
		if (r)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (r == 0 && status)
			r = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	close(fds[0]);
	return r;
}

int exec_plugin_run(const struct kube_config *config, struct exec_credential *out,
		    char error[KUBE_ERROR_MAX])
{
	const char *program = config->exec->argv[0], *hint = config->exec->install_hint;
	_cleanup_free_ char *text = malloc(OUTPUT_MAX);
	size_t size = 0;
	int r = text ? run(config, text, &size) : -ENOMEM;

	if (r == -ENOMEM)
		return kube_error(error, r, "out of memory");
	if (r > 0)
		return kube_error(error, -EIO, "the credential plugin %s ended with status %d",
				  program, r);
	if (r)
		return kube_error(error, -EIO, "the credential plugin %s: %s%s%s", program,
				  strerror(-r), hint ? ": " : "", hint ? hint : "");
	return exec_credential_parse(text, size, out, error);
}

/* ---- what it says ---- */

int64_t rfc3339_parse(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int hours = 0, minutes = 0;
	char sign = '+';

	if (!end)
		return 0;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (*end != 'Z' && *end != 'z' && sscanf(end, "%c%2d:%2d", &sign, &hours, &minutes) != 3)
		return 0;
	return timegm(&tm) - (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

static bool copy(char **out, const json_t *status, const char *key)
{
	const char *text = json_get_text(status, key, NULL);

	*out = text && *text ? strdup(text) : NULL;
	return *out || !text || !*text;
}

int exec_credential_parse(const char *text, size_t size, struct exec_credential *out,
			  char error[KUBE_ERROR_MAX])
{
	_cleanup_json_ json_t *answer = json_loadb(text, size, 0, NULL);
	_cleanup_(exec_credential_free) struct exec_credential c = { 0 };
	const json_t *status = json_object_get(answer, "status");
	const char *expires = json_get_text(status, "expirationTimestamp", NULL);

	if (!json_is_object(status) ||
	    strcmp(json_get_text(answer, "kind", ""), "ExecCredential") != 0)
		return kube_error(error, -EINVAL,
				  "the credential plugin printed no ExecCredential with a status");
	if (!copy(&c.token, status, "token") || !copy(&c.cert, status, "clientCertificateData") ||
	    !copy(&c.key, status, "clientKeyData"))
		return kube_error(error, -ENOMEM, "out of memory");
	if ((!c.token && !c.cert) || !c.cert != !c.key)
		return kube_error(
			error, -EINVAL,
			"the credential plugin gave no token, and no certificate with its "
			"key");
	c.expires = expires ? rfc3339_parse(expires) : 0;
	*out = c;
	c = (struct exec_credential){ 0 };
	return 0;
}
