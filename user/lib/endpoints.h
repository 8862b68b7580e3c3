/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_ENDPOINTS_H
#define WEFT_ENDPOINTS_H
/*
 * Who stands behind a service port.
 */
#include "resolve.h"

/*
 * The ready endpoints of one address family, each once: from the Service's EndpointSlices, else its
 * Endpoints, else the Pods that it selects. Made at the first call, owned by the world. NULL when
 * out of memory.
 */
struct members *sport_members(struct world *w, struct sport *sp, enum family family);

#endif
