/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/base64.h"
#include "lib/kube/credentials.h"
#include "lib/kube/exec_plugin.h"

/* A directory of files, taken away again. */
struct dir {
	char path[64];
};

static void dir_free(struct dir *d)
{
	char line[128];

	snprintf(line, sizeof(line), "rm -rf %s", d->path);
	cr_expect_eq(system(line), 0);
}

#define _cleanup_dir_ _cleanup_(dir_free)

static struct dir dir_make(void)
{
	struct dir d = { "/tmp/weft-kube-XXXXXX" };

	cr_assert_not_null(mkdtemp(d.path));
	return d;
}

static const char *put(const struct dir *d, const char *name, const char *text)
{
	static char path[4][128];
	static int next;
	char *at = path[next++ % 4];
	FILE *f;

	snprintf(at, sizeof(path[0]), "%s/%s", d->path, name);
	f = fopen(at, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	return at;
}

#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
#define CONTEXTS                                                            \
	"contexts:\n- {name: a, context: {cluster: c, user: u, namespace: " \
	"shop}}\n- {name: b, context: {cluster: d, user: v}}\n"
#define CLUSTERS                                                             \
	"clusters:\n- {name: c, cluster: {server: 'https://10.0.0.1:6443/'," \
	" certificate-authority: pki/ca.crt}}\n"                             \
	"- {name: d, cluster: {server: 'https://[fd00::1]:6443/k8s/c1', "    \
	"certificate-authority-data: UEVN, tls-server-name: kube}}\n"

Test(kube_config, a_context_leads_to_its_cluster_and_user)
{
	_cleanup_dir_ struct dir d = dir_make();
	_cleanup_(kube_config_freep) struct kube_config *c = NULL;
	char error[KUBE_ERROR_MAX] = "", expected[128];
	const char *file =
		put(&d, "config",
		    HEAD CONTEXTS CLUSTERS
		    "users: [{name: u, user: {token: t0, tokenFile: /run/token}}, "
		    "{name: v, user: {client-certificate-data: QUJD, client-key: k}}]\n");

	cr_assert_eq(kube_config_load(file, NULL, &c, error), 0, "%s", error);
	cr_expect_str_eq(c->server, "https://10.0.0.1:6443");
	cr_expect_str_eq(c->namespace, "shop");
	cr_expect_str_eq(c->token, "t0");
	cr_expect_str_eq(c->token_file, "/run/token");
	snprintf(expected, sizeof(expected), "%s/pki/ca.crt", d.path);
	cr_expect_str_eq(c->ca_file, expected, "relative to the kubeconfig");
	kube_config_free(TAKE_PTR(c));

	cr_assert_eq(kube_config_load(file, "b", &c, error), 0, "%s", error);
	cr_expect_str_eq(c->server, "https://[fd00::1]:6443/k8s/c1");
	cr_expect_str_eq(c->namespace, "default");
	cr_expect_str_eq(c->ca_data, "PEM");
	cr_expect_str_eq(c->tls_server_name, "kube");
	cr_expect_str_eq(c->cert_data, "ABC");
	snprintf(expected, sizeof(expected), "%s/k", d.path);
	cr_expect_str_eq(c->key_file, expected);
	cr_expect_null(c->token);
}

Test(kube_config, of_several_files_the_first_that_sets_a_thing_counts)
{
	_cleanup_dir_ struct dir d = dir_make();
	_cleanup_(kube_config_freep) struct kube_config *c = NULL;
	char error[KUBE_ERROR_MAX] = "", files[512];
	const char *first = put(&d, "1", "users: [{name: u, user: {token: mine}}]\n");
	const char *second =
		put(&d, "2", HEAD CONTEXTS CLUSTERS "users: [{name: u, user: {token: other}}]\n");

	snprintf(files, sizeof(files), "%s/none:%s:%s", d.path, first, second);
	cr_assert_eq(kube_config_load(files, NULL, &c, error), 0, "%s", error);
	cr_expect_str_eq(c->token, "mine");
}

Test(kube_config, kubectls_variable_names_the_files)
{
	_cleanup_dir_ struct dir d = dir_make();
	_cleanup_(kube_config_freep) struct kube_config *c = NULL;
	char error[KUBE_ERROR_MAX] = "";

	setenv("KUBECONFIG", put(&d, "c", HEAD CONTEXTS CLUSTERS "users: [{name: u, user: {}}]\n"),
	       1);
	cr_assert_eq(kube_config_default(NULL, &c, error), 0, "%s", error);
	cr_expect_str_eq(c->server, "https://10.0.0.1:6443");
	kube_config_free(TAKE_PTR(c));
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", d.path, 1);
	cr_expect_eq(kube_config_default(NULL, &c, error), -ENOENT);
	cr_expect(strstr(error, "/.kube/config"), "%s", error);
}

Test(kube_config, what_is_wrong_is_said_with_its_place)
{
	static const struct {
		const char *text, *message;
		int r;
	} bad[] = {
		{ "a: [\n", "config:", -EINVAL },
		{ "kind: Config\n", "there is no current-context", -ENOENT },
		{ "current-context: x\n", "there is no context \"x\"", -ENOENT },
		{ HEAD CONTEXTS, "config:5:22: context: there is no cluster \"c\"", -EINVAL },
		{ HEAD CONTEXTS CLUSTERS, "context: there is no user \"u\"", -EINVAL },
		{ HEAD CONTEXTS "clusters: [{name: c, cluster: {}}]",
		  "server: expected https://HOST", -EINVAL },
		{ HEAD CONTEXTS "clusters: [{name: c, cluster: {server: 'ftp://x'}}]",
		  "server: expected https://HOST:PORT, not \"ftp://x\"", -EINVAL },
		{ HEAD CONTEXTS "clusters: [{name: c, cluster: {server: [x]}}]",
		  "server: expected a string, not a list", -EINVAL },
		{ HEAD CONTEXTS "clusters: [{name: c, cluster: {server: 'https://x', "
				"certificate-authority-data: '%'}}]",
		  "expected base64", -EINVAL },
		{ HEAD CONTEXTS "clusters: [{name: c, cluster: {server: 'https://x', "
				"insecure-skip-tls-verify: true, certificate-authority: x}}]",
		  "exclude each other", -EINVAL },
		{ HEAD CONTEXTS "clusters: [{name: c, cluster: {server: 'https://x', "
				"insecure-skip-tls-verify: maybe}}]",
		  "expected true or false, not \"maybe\"", -EINVAL },
		{ HEAD CONTEXTS CLUSTERS "users: [{name: u, user: {as: root}}]",
		  "as: weft does not act as another user", -EINVAL },
		{ HEAD CONTEXTS CLUSTERS "users: [{name: u, user: {auth-provider: {name: gcp}}}]",
		  "auth-provider: is not known any more", -EINVAL },
		{ HEAD CONTEXTS CLUSTERS "users: [{name: u, user: {client-key: x}}]",
		  "client-certificate and client-key go together", -EINVAL },
		{ HEAD CONTEXTS CLUSTERS "users: [{name: u, user: {exec: {command: x}}}]",
		  "exec.apiVersion: expected client.authentication.k8s.io/v1", -EINVAL },
		{ HEAD CONTEXTS CLUSTERS "users: [{name: u, user: {exec: {apiVersion: "
					 "client.authentication.k8s.io/v1}}}]",
		  "exec.command: expected a program", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_dir_ struct dir d = dir_make();
		struct kube_config *c = NULL;
		char error[KUBE_ERROR_MAX] = "";

		cr_expect_eq(kube_config_load(put(&d, "config", bad[i].text), NULL, &c, error),
			     bad[i].r, "%s", bad[i].text);
		cr_expect(strstr(error, bad[i].message), "%s\nis not in: %s", bad[i].message,
			  error);
		cr_expect_null(c);
	}
}

Test(kube_config, a_pod_is_given_its_server_and_token)
{
	_cleanup_dir_ struct dir d = dir_make();
	_cleanup_(kube_config_freep) struct kube_config *c = NULL;
	char error[KUBE_ERROR_MAX] = "";

	unsetenv("KUBERNETES_SERVICE_HOST");
	cr_expect_eq(kube_config_in_cluster(d.path, &c, error), -ENOENT);
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	cr_expect_eq(kube_config_in_cluster(d.path, &c, error), -ENOENT, "there is no token");
	cr_expect(strstr(error, "/token: No such file"), "%s", error);
	put(&d, "token", "secret\n");
	put(&d, "namespace", "weft-system");
	cr_assert_eq(kube_config_in_cluster(d.path, &c, error), 0, "%s", error);
	cr_expect_str_eq(c->server, "https://[fd00::1]:443");
	cr_expect_str_eq(c->namespace, "weft-system");
	cr_expect(strstr(c->ca_file, "/ca.crt"));
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	kube_config_free(TAKE_PTR(c));
	cr_assert_eq(kube_config_in_cluster(d.path, &c, error), 0);
	cr_expect_str_eq(c->server, "https://10.96.0.1:443");
}

Test(kube_config, a_refused_token_is_read_anew)
{
	_cleanup_dir_ struct dir d = dir_make();
	struct kube_config config = { .token_file = (char *)put(&d, "token", " one\n") };
	_cleanup_(kube_credentials_freep) struct kube_credentials *c =
		kube_credentials_new(&config);
	char error[KUBE_ERROR_MAX] = "";

	cr_assert_eq(kube_credentials_renew(c, false, error), 0);
	cr_expect_str_eq(kube_credentials_token(c), "one");
	put(&d, "token", "two\n");
	cr_assert_eq(kube_credentials_renew(c, false, error), 0);
	cr_expect_str_eq(kube_credentials_token(c), "one", "it is not a minute old");
	cr_assert_eq(kube_credentials_renew(c, true, error), 0);
	cr_expect_str_eq(kube_credentials_token(c), "two");
	unlink(config.token_file);
	cr_assert_eq(kube_credentials_renew(c, true, error), 0);
	cr_expect_str_eq(kube_credentials_token(c), "two", "the old one goes on");
}

Test(kube_config, no_token_at_all_is_an_error)
{
	struct kube_config config = { .token_file = "/nonexistent/token" };
	_cleanup_(kube_credentials_freep) struct kube_credentials *c =
		kube_credentials_new(&config);
	char error[KUBE_ERROR_MAX] = "";

	cr_expect_eq(kube_credentials_renew(c, false, error), -ENOENT);
	cr_expect_str_eq(error, "/nonexistent/token: No such file or directory");
	cr_expect_null(kube_credentials_token(c));
}

/* ---- plugins ---- */

static const char plugin[] =
	"#!/bin/sh\n"
	"[ \"$1 $NAME\" = 'give me' ] || exit 3\n"
	"case $KUBERNETES_EXEC_INFO in *'\"server\":\"https://x\"'*) ;; *) exit 4;; esac\n"
	"case $KUBERNETES_EXEC_INFO in *'\"certificate-authority-data\":\"UEVN\"'*) ;; *) exit "
	"5;; esac\n"
	"echo '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": "
	"\"ExecCredential\",'\n"
	"echo '\"status\": {\"token\": \"from-plugin\"}}'\n";

Test(kube_config, a_credential_plugin_is_run)
{
	_cleanup_dir_ struct dir d = dir_make();
	_cleanup_(kube_config_freep) struct kube_config *c = NULL;
	_cleanup_(kube_credentials_freep) struct kube_credentials *credentials = NULL;
	char error[KUBE_ERROR_MAX] = "";
	const char *file = put(
		&d, "config",
		HEAD "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
		     "clusters: [{name: c, cluster: {server: https://x, "
		     "certificate-authority-data: UEVN}}]\n"
		     "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, "
		     "command: ./plugin, args: [give], env: [{name: NAME, value: me}], "
		     "provideClusterInfo: true, interactiveMode: Never}}}]\n");

	cr_assert_eq(chmod(put(&d, "plugin", plugin), 0700), 0);
	cr_assert_eq(kube_config_load(file, NULL, &c, error), 0, "%s", error);
	credentials = kube_credentials_new(c);
	cr_assert_eq(kube_credentials_renew(credentials, false, error), 0, "%s", error);
	cr_expect_str_eq(kube_credentials_token(credentials), "from-plugin");
}

Test(kube_config, a_plugin_that_fails_is_said)
{
	char *argv[] = { "/bin/false", NULL };
	struct kube_exec exec = { .api_version = "client.authentication.k8s.io/v1", .argv = argv };
	struct kube_config config = { .exec = &exec };
	struct exec_credential c = { 0 };
	char error[KUBE_ERROR_MAX] = "";

	cr_expect_eq(exec_plugin_run(&config, &c, error), -EIO);
	cr_expect_str_eq(error, "the credential plugin /bin/false ended with status 1");
	argv[0] = "/nonexistent/plugin";
	exec.install_hint = "install it";
	cr_expect_eq(exec_plugin_run(&config, &c, error), -EIO);
	cr_expect_str_eq(error, "the credential plugin /nonexistent/plugin: No such file or "
				"directory: install it");
	argv[0] = "/bin/true";
	cr_expect_eq(exec_plugin_run(&config, &c, error), -EINVAL);
}

Test(kube_config, times_are_read_with_their_zone)
{
	cr_expect_eq(rfc3339_parse("1970-01-01T00:01:00Z"), 60);
	cr_expect_eq(rfc3339_parse("1970-01-01T00:01:00.25Z"), 60);
	cr_expect_eq(rfc3339_parse("1970-01-01T02:01:00+02:00"), 60);
	cr_expect_eq(rfc3339_parse("1969-12-31T23:01:00-01:00"), 60);
	cr_expect_eq(rfc3339_parse("tomorrow"), 0);
}

Test(kube_config, base64_goes_both_ways)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = { { "", "" },	{ "a", "YQ==" },	{ "ab", "YWI=" },
		     { "abc", "YWJj" }, { "abcd", "YWJjZA==" }, { "\xff\xfe\xfd", "//79" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *text = base64_encode(rows[i].bytes, strlen(rows[i].bytes));
		char back[16];
		size_t size;

		cr_expect_str_eq(text, rows[i].text);
		cr_assert(base64_decode(text, back, &size));
		cr_expect_eq(size, strlen(rows[i].bytes));
		cr_expect_eq(memcmp(back, rows[i].bytes, size), 0);
	}
}
