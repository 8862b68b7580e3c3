/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_CONNS_EVENTS_H
#define WEFT_CLI_CONNS_EVENTS_H
/*
 * What has become of connections between two answers of weftd.
 */
#include <jansson.h>

/* Rows of `weft conns` by what makes each the same one in the next answer. A new object. */
json_t *conns_by_key(const json_t *rows);
/* Copies of the rows that have come ("event": "opened"), gone ("closed") or are in another state
 * ("changed"), those that have gone first. A new array. */
json_t *conns_events(const json_t *before, json_t *now);

#endif
