/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_YAML_YAML_MERGE_H
#define WEFT_LIB_YAML_YAML_MERGE_H
/*
 * Merge keys: `<<: *base` stands for the pairs of that map.
 */
#include "lib/yaml/tree.h"

bool yaml_is_merge(const struct node *key);
/*
 * Puts the pairs that merge keys stand for in the place of these. What comes later in the map
 * counts, a merge key or not; of a list of maps the first that has a key does: what Kubernetes'
 * library makes of it. 0; -EINVAL with *wrong, a value that can't be merged; -ENOMEM.
 */
int yaml_merge(struct arena *arena, struct node *map, const struct node **wrong);

#endif
