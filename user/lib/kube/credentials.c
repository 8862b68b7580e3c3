// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/kube/credentials.h"
#include "lib/kube/exec_plugin.h"
#include "lib/kube/kube_file.h"

/* A plugin's credentials are given up so long before they end. */
enum { READ_AGAIN_MS = 60000, RUN_AGAIN_MS = 5000, EARLY_S = 10 };

struct kube_credentials {
	const struct kube_config *config;
	char *token; /* of the file */
	struct exec_credential plugin;
	bool known;	   /* renewed once, with success */
	uint64_t tried_ms; /* when last */
};

struct kube_credentials *kube_credentials_new(const struct kube_config *config)
{
	struct kube_credentials *c = calloc(1, sizeof(*c));

	if (c)
		c->config = config;
	return c;
}

void kube_credentials_free(struct kube_credentials *c)
{
	if (!c)
		return;
	exec_credential_free(&c->plugin);
	free(c->token);
	free(c);
}

static int read_token(struct kube_credentials *c, char error[KUBE_ERROR_MAX])
{
	char *token;
	int r = kube_file_word(c->config->token_file, &token);

	/* As client-go does: what was read before, or is in the kubeconfig, goes on. */
	if (r && (c->token || c->config->token))
		return 0;
	if (r)
		return kube_error(error, r == -ENOMEM || r == -ENOENT ? r : -EIO, "%s: %s",
				  c->config->token_file, strerror(-r));
	free(c->token);
	c->token = token;
	return 0;
}

static int run_plugin(struct kube_credentials *c, char error[KUBE_ERROR_MAX])
{
	struct exec_credential fresh;
	int r = exec_plugin_run(c->config, &fresh, error);

	if (r)
		return r;
	exec_credential_free(&c->plugin);
	c->plugin = fresh;
	return 0;
}

static bool has_ended(const struct kube_credentials *c)
{
	return c->plugin.expires && time(NULL) + EARLY_S >= c->plugin.expires;
}

static bool is_due(const struct kube_credentials *c, bool refused)
{
	uint64_t age = clock_ms() - c->tried_ms;

	if (!c->known && !c->tried_ms)
		return true;
	if (c->config->token_file)
		return refused || !c->known || age >= READ_AGAIN_MS;
	return (refused || !c->known || has_ended(c)) && age >= RUN_AGAIN_MS;
}

int kube_credentials_renew(struct kube_credentials *c, bool refused, char error[KUBE_ERROR_MAX])
{
	int r = 0;

	if ((!c->config->token_file && !c->config->exec) || !is_due(c, refused))
		return 0;
	c->tried_ms = clock_ms();
	if (c->config->token_file)
		r = read_token(c, error);
	else if (!c->config->token)
		r = run_plugin(c, error);
	c->known = c->known || r == 0;
	return r;
}

const char *kube_credentials_token(const struct kube_credentials *c)
{
	if (c->token)
		return c->token;
	return c->config->token ? c->config->token : c->plugin.token;
}

const char *kube_credentials_cert(const struct kube_credentials *c)
{
	return c->plugin.cert;
}

const char *kube_credentials_key(const struct kube_credentials *c)
{
	return c->plugin.key;
}
