/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_IN_STEP_H
#define WEFT_CLI_IN_STEP_H
/*
 * Whether what an API server has of a resource is what weftd has in force.
 */
#include <jansson.h>
#include <stdbool.h>

/* Whether resourceVersion `a` is older than `b`: they are numbers, of any length. */
bool in_step_before(const char *a, const char *b);

/*
 * Compares `list`, of the API server, with what weftd says of the `resource`: {"word", "objects":
 * {"NAMESPACE/NAME": {"version", "state": "in force" | "pending" | "wrong", "error"}}}. What came
 * after the list is not looked at.
 *
 *	pending  gets the names of those that weftd does not have yet, or still has
 *	wrong    gets lines about those that are left out, or not as they are in the cluster
 *
 * Returns how many objects the list has.
 */
size_t in_step_compare(const json_t *list, const json_t *resource, json_t *pending, json_t *wrong);

#endif
