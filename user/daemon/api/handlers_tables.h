/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_HANDLERS_TABLES_H
#define WEFT_DAEMON_API_HANDLERS_TABLES_H
/*
 * The tables in force, found in and told as JSON. New values belong to the caller; NULL when out of
 * memory.
 */
#include <jansson.h>

#include "lib/tables/tables.h"

/* {"kind", "namespace", "name", "route", "at"} */
json_t *rule_origin_json(const struct rule_origin *o);
/* "VirtualService default/tcp-echo tcp[0] (rules.yaml:12:5)" */
json_t *rule_origin_text(const struct rule_origin *o);
/* {"address"} of a position in `endpoints`. */
json_t *endpoint_json(const struct tables *t, size_t endpoint);
/* {"host", "subset", "port", "cluster", "known", "endpoints"} of a position in `clusters`, whose
 * endpoints are of one family; "subset" where there is one, "known" where it is false. */
json_t *cluster_json(const struct tables *t, size_t cluster);
/* What cluster_json() says, with "weight", of each destination of a position in `routes`. */
json_t *route_dests_json(const struct tables *t, size_t route);
/* Adds one {"rule": TEXT, "why": TEXT}. */
int add_skipped(json_t *list, const struct rule_origin *o, const char *why);

const char *rule_action_name(enum rule_action action);

#endif
