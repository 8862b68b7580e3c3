/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_COMPILE_CHECK_H
#define WEFT_LIB_COMPILE_CHECK_H
/*
 * What can only be said once all objects are known, and what weft understands but does not carry
 * out.
 *
 * Problems go to the world's errors. Functions that return int return 0 or -ENOMEM.
 */
#include "lib/mesh/mesh.h"

int check_objects(struct world *w);
/* The limits that decide() counts on. */
int check_tables(struct world *w);
/* False if the address is another Service's (an error) or was given twice. `index`: among the
 * Service's cluster IPs. */
bool check_address(struct world *w, struct host *h, const struct addr *addr, size_t index);

void check_virtual_service(struct world *w, const struct object *o);
void check_destination_rule(struct world *w, const struct object *o);

/* Warn of what is right and changes nothing. */
void check_idle_virtual_service(struct world *w, const struct object *o);
void check_idle_destination_rule(struct world *w, const struct object *o);

/* Warns of rules for ports that carry HTTP/2. Comes after mark_proxied(). */
void check_http2(struct world *w);

/* Where a field of the object stands, "spec" then `key`; the object's own position if that isn't
 * known. */
struct pos spec_pos(const struct object *o, const char *key);

#endif
