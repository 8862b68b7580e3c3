/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_READY_H
#define WEFT_DAEMON_API_READY_H
/*
 * Whether everything that weftd is to carry out is carried out.
 */
#include "daemon/api/handlers.h"

/* Calls tell() with a line for each thing that is not so yet. `weftd` is a struct weftd, whose
 * engine may not have started. */
void ready_each_reason(void *weftd, void (*tell)(void *list, const char *what), void *list);

#endif
