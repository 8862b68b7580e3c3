/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_INSTALL_H
#define WEFT_CLI_INSTALL_H
/*
 * weft in a cluster: put there by `weft manifest apply`, taken away by `weft uninstall --cluster`,
 * looked at by `weft verify-install -f`.
 */
#include "cli/checklist.h"
#include "cli/cluster.h"
#include "cli/manifest_input.h"

struct install {
	struct manifest_input input;
	struct cluster_options cluster;
	const char *timeout; /* of the waiting, as it was typed */
	bool force;	     /* fields that others manage are taken over */
};

/* Applies what the values make, and waits for the agents. Returns an exit status. */
int install_run(const struct install *install);

struct uninstall {
	struct cluster_options cluster;
	const char *timeout;
	bool yes; /* nothing is asked */
};

/* Returns an exit status. */
int uninstall_run(const struct uninstall *uninstall);

/* A point for each object of the manifest in that file ("-": standard input), and one for the
 * agents. 0, or a status to exit with after a message. */
int verify_manifest(const struct cluster_options *options, const char *file, struct checklist *l);

#endif
