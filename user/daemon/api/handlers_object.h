/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_HANDLERS_OBJECT_H
#define WEFT_DAEMON_API_HANDLERS_OBJECT_H
/*
 * Objects and addresses as JSON, for the replies. New values belong to the caller; NULL when out of
 * memory.
 */
#include <jansson.h>

#include "lib/mesh/enrol.h"
#include "lib/model/model.h"

/* The object as it was given; as JSON with its namespace filled in, as YAML in a string. */
json_t *object_json(const struct object *o);
json_t *object_yaml(const struct object *o);

/* Where it came from: "rules.yaml:12:1". */
json_t *object_place(const struct object *o);

/* [[HEADING, value]...]: what a table shows of an object of its kind, and a wide one beside it. A
 * Pod's enrolment is `pod`. */
json_t *object_columns(const struct object *o);
json_t *object_wide_columns(const struct object *o, const struct enrolment *pod);

/* "a, b" of a list; "k=v, k=v" of labels. */
json_t *strs_text(const struct strs *list);
json_t *kvs_text(const struct kvs *list);

/* "10.0.0.1:80" or "[fd00::1]:80". */
json_t *addr_port_json(const struct addr *a, unsigned port);

#endif
