/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_REQUEST_MIRROR_H
#define WEFT_PROXY_REQUEST_MIRROR_H
/*
 * Copies of a request for others to try. What comes back is thrown away, and nothing waits for it:
 * a mirror that doesn't keep up is given up.
 */
#include "proxy/request/request.h"

struct mirror;

/* Begins copies of the request, of what of its body has come, too. */
void mirrors_begin(struct request *rq);
/* More of the body has come. */
void mirrors_copy(struct request *rq, const char *bytes, size_t n);
/* The request is over; `whole`: all of its body has come. */
void mirrors_leave(struct request *rq, bool whole);
void mirrors_close(struct http_worker *w); /* all of them */

#endif
