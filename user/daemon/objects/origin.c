/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/objects/origin.h"

struct origin *origin_ref(struct origin *o)
{
	if (o)
		o->refs++;
	return o;
}

void origin_unref(struct origin *o)
{
	if (o && !--o->refs)
		o->release(o);
}
