/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_CHANGES_H
#define WEFT_CLI_CHANGES_H
/*
 * What apply and delete have in common: their --dry-run, and what they print.
 */
#include <jansson.h>
#include <stdbool.h>

/* --dry-run=none|client|server; NULL: not given. 0, or STATUS_USAGE after a message. */
int changes_check_dry_run(const char *verb, const char *dry_run);
bool changes_are_dry(const char *dry_run);

/* Prints "virtualservice/reviews configured" for each of data's "changes"; with -o name only the
 * object's name, as below. Returns an exit status. */
int changes_print(const json_t *data, const char *dry_run, const char *output);

/* "virtualservice.networking.istio.io/reviews", as kubectl names objects. A new string; NULL when
 * out of memory. */
json_t *changes_name(const char *kind, const char *name);

#endif
