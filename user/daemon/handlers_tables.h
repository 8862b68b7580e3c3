/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HANDLERS_TABLES_H
#define WEFT_HANDLERS_TABLES_H
/*
 * The tables in force, found in and told as JSON. New values belong to the caller; NULL when out of memory.
 */
#include <jansson.h>

#include "compile.h"

/* The position in `services`, or -1. Exact: `ns` is that of the entry. */
long tables_find_service(const struct tables *t, const struct addr *addr, unsigned port, unsigned scope, __u32 ns);
/* The position in `routes` of the stable id, or -1. */
long tables_find_route(const struct tables *t, __u32 id);
/* The position in `clusters` of the stable id, or -1. */
long tables_find_cluster(const struct tables *t, __u32 id);
/* The pod of that address, or NULL; *number is struct source.ns, 0 if unknown. */
const struct source_entry *tables_find_source(const struct tables *t, const struct addr *addr);

/* {"kind", "namespace", "name", "route", "at"} */
json_t *rule_origin_json(const struct rule_origin *o);
/* "VirtualService default/tcp-echo tcp[0] (rules.yaml:12:5)" */
json_t *rule_origin_text(const struct rule_origin *o);
/* [{"host", "subset", "port", "weight", "cluster", "endpoints"}...] of a position in `routes`. */
json_t *route_dests_json(const struct tables *t, size_t route);
/* Adds one {"rule": TEXT, "why": TEXT}. */
int add_skipped(json_t *list, const struct rule_origin *o, const char *why);

const char *rule_action_name(enum rule_action action);

#endif
