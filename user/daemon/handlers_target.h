/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HANDLERS_TARGET_H
#define WEFT_HANDLERS_TARGET_H
/*
 * Who calls what: the words of `weft explain` as a question for the kernel.
 */
#include "handlers.h"

/* From {"from", "to"}. 0; -EINVAL with the reasons in `reply`. */
int target_find(struct weftd *d, const json_t *args, struct question *out, struct reply *reply);

#endif
