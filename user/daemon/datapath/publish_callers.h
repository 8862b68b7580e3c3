/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PUBLISH_CALLERS_H
#define WEFT_DAEMON_DATAPATH_PUBLISH_CALLERS_H
/*
 * Changing gen_sources and gen_selected in place. What comes goes in before the generation, what
 * goes is taken out after it: no rule ever misses a row. Functions return 0 or -errno and log.
 */
#include "daemon/datapath/publish.h"

/* Rows of gen_selected that come and that go. Zero-initialise. */
struct selected_change {
	TABLE(struct selected_key) fresh, gone;
};

/* `old` may be NULL. 0 or -ENOMEM. */
int selected_compare(const struct tables *old, const struct tables *t, struct selected_change *out);
void selected_change_free(struct selected_change *s);

/* Whether the maps can take the change. */
bool callers_fit(const struct published *p, const struct tables *t,
		 const struct callers_change *change, const struct selected_change *selected);
/* How large a map is made, so that it can take some more. */
size_t callers_room(size_t count);
/* If it fails, the callers are as they were. */
int callers_add(struct published *p, const struct loader *l, const struct callers_change *change,
		const struct selected_change *selected);
/* After callers_add(): as if it had not been. */
void callers_undo(struct published *p, const struct callers_change *change);
void callers_remove(struct published *p, const struct callers_change *change,
		    const struct selected_change *selected);
/* Waits until no program runs that does now. */
void publish_wait(struct published *p, const struct loader *l);

#endif
