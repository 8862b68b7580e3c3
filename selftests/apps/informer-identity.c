// SPDX-License-Identifier: Apache-2.0
/*
 * informer-identity KUBECONFIG NAMESPACE NODE PODS IDENTITY...
 *
 * An agent's part in the certificates of a cluster, without its pods: wants certificates for these
 * identities as the agent of NODE, and signs others' if it gets the Lease, by the lines "NODE
 * IDENTITY" of the file PODS. Whenever something has changed it says of each identity "IDENTITY
 * ok", or why it has no certificate. `write FILE` on stdin writes the first one's certificate, key
 * and roots to FILE.crt, FILE.key and FILE.roots. It ends with its stdin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/identity/cluster_signer.h"
#include "lib/base/log.h"

enum { TTL_S = 3600 };

static struct identities *ids;
static const char *const *wanted;
static size_t count;
static bool done;

/* Read each time: the test changes it. */
static bool runs(void *arg, const char *node, const char *identity)
{
	_cleanup_fclose_ FILE *f = fopen(arg, "r");
	char line[1024], want[1024];
	bool found = false;

	snprintf(want, sizeof(want), "%s %s\n", node, identity);
	while (f && !found && fgets(line, sizeof(line), f))
		found = !strcmp(line, want);
	return found;
}

static void changed(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < count; i++) {
		const char *problem = "";
		struct credential c;

		printf("%s %s\n", wanted[i],
		       identities_find(ids, wanted[i], &c, &problem) ? "ok" : problem);
	}
}

static void write_part(const char *file, const char *ending, struct credential_text text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s", file, ending);
	f = fopen(path, "w");
	if (!f || fwrite(text.at, 1, text.len, f) != text.len || fclose(f))
		abort();
}

static void obey(char *line)
{
	const char *problem = "";
	struct credential c;

	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "write ", 6) != 0 || !identities_find(ids, wanted[0], &c, &problem)) {
		printf("can't: %s %s\n", line, problem);
		return;
	}
	write_part(line + 6, "crt", c.chain);
	write_part(line + 6, "key", c.key);
	write_part(line + 6, "roots", c.ca);
	printf("written %s\n", line + 6);
}

static void commands(void *arg, uint32_t events)
{
	char line[512];

	(void)arg;
	(void)events;
	if (fgets(line, sizeof(line), stdin))
		obey(line);
	else
		done = true;
}

int main(int argc, char **argv)
{
	_cleanup_(kube_config_freep) struct kube_config *config = NULL;
	struct event input = { .fd = 0, .ready = commands };
	struct cluster_signer_options options = { .ttl_s = TTL_S, .runs = runs };
	char error[KUBE_ERROR_MAX];
	struct cluster_signer *signer;
	struct event_loop *loop;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	log_set("informer-identity", LOG_LEVEL_DEBUG);
	if (argc < 6 || kube_config_load(argv[1], NULL, &config, error)) {
		fprintf(stderr, "informer-identity: %s\n", argc < 6 ? "arguments" : error);
		return 2;
	}
	options.config = config;
	options.namespace = argv[2];
	options.node = argv[3];
	options.arg = argv[4];
	wanted = (const char *const *)&argv[5];
	count = (size_t)argc - 5;
	if (event_loop_open(&loop) || identities_open(loop, &ids))
		return 1;
	options.loop = loop;
	if (cluster_signer_open(&options, ids, &signer) || event_watch(loop, &input, EPOLLIN))
		return 1;
	identities_watch(ids, changed, NULL);
	if (identities_want(ids, wanted, count))
		return 1;
	while (!done)
		event_loop_turn(loop, -1);
	cluster_signer_close(signer);
	identities_close(ids);
	event_forget(&input);
	event_loop_close(loop);
	return 0;
}
