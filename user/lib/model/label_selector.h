/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_LABEL_SELECTOR_H
#define WEFT_LIB_MODEL_LABEL_SELECTOR_H
/*
 * Kubernetes' label selectors, as objects hold them. Pure; nothing here allocates.
 */
#include "lib/model/model.h"

/* Whether all of the selector holds. `implied` is a label that the object has as long as `labels`
 * do not say otherwise; NULL: none. */
bool label_selector_holds(const struct label_selector *s, const struct kvs *labels,
			  const struct kv *implied);

#endif
