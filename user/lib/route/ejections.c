// SPDX-License-Identifier: Apache-2.0
#include "lib/route/ejections.h"

__u64 http_ejected_until(const struct hs_cluster *c, const struct http_ejection *rows,
			 __u32 endpoint, __u64 now_ms)
{
	__u64 last = now_ms + c->outliers.max_ejection_ms + c->outliers.interval_ms;

	for (size_t i = 0; c->outliers.given && i < HTTP_EJECTED_MAX; i++) {
		__u64 back = rows[i].back_ds * 100ull;

		if (rows[i].endpoint == endpoint && back > now_ms)
			return back < last ? back : last;
	}
	return 0;
}
