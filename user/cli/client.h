/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_CLIENT_H
#define WEFT_CLI_CLIENT_H
/*
 * Asking weftd.
 */
#include <jansson.h>

#include "cli/cmd.h"
#include "cli/files.h"

/* {"command": command}; the members go on with the caller. */
json_t *client_request(const char *command);

/*
 * Sends `request` (taken over) with the bytes of `files` (may be NULL), prints notes, warnings and
 * errors of the reply on stderr, and gives its data (a new reference, NULL if there is none). 0 or
 * STATUS_FAILED.
 */
int client_ask(const struct cli *cli, json_t *request, const struct files *files, json_t **data);

/* The same, silently: what there would have been on stderr as an error, without an end of line,
 * goes into `why`. Notes and warnings are dropped. */
int client_try(const struct cli *cli, json_t *request, json_t **data, char *why, size_t size);

/* Prints JSON on stdout, keys in order, with a newline. Returns STATUS_DONE, or STATUS_FAILED when
 * out of memory. */
int client_print_json(const json_t *data);

#endif
