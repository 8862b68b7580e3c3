/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PAGE_FEED_H
#define WEFT_DAEMON_PAGE_FEED_H
/* clang-format off */
/*
 * The traffic graph that the page shows, made of what weftd answers to "traffic": rates of the last
 * FEED_WINDOW answers. A row of "traffic" is on two edges: from the caller to the service, and from
 * the service to the workload that was chosen. Pure: no I/O, no clock.
 *
 * A message for the page, of all there is or of what has changed:
 *
 *	{"full": true, "nodes": [[ID, "workload" | "service", NAMESPACE, NAME, VERSION, APP]...],
 *	 "edges": [[ID, FROM, TO, PROTOCOL, CLUSTER]...],
 *	 "values": [[ID, REQUESTS, 4XX, FAILED, P50, P99, IN, OUT, OPEN, MTLS, {FLAG: COUNT}]...]}
 *
 * "full" is there where the page is to forget what it had. Ids count up from 0, those of nodes and
 * of edges each. REQUESTS, 4XX and FAILED (5xx, or no answer at all; of gRPC any status but OK) are
 * per second, of TCP connections that were opened; P50 and P99 in milliseconds, null without any
 * request; IN and OUT in bytes per second, from and to the caller; OPEN connections of TCP; MTLS the
 * share that went by mutual TLS, 0 to 1, null where nothing went.
 */
/* clang-format on */
#include <jansson.h>

enum { FEED_WINDOW = 10 };

struct feed;

/* NULL when out of memory. */
struct feed *feed_new(void);
void feed_free(struct feed *f); /* accepts NULL */

/* Takes the data of an answer to "traffic", `seconds` after the last one. The first is what the
 * next are compared with. 0; -ENOMEM; -E2BIG: it has had too many rows, as labels come and go.
 * After an error the feed is of no more use. */
int feed_take(struct feed *f, const json_t *data, double seconds);
/* What has changed since feed_take() before the last one; all. New values; NULL when out of memory.
 */
json_t *feed_changes(struct feed *f);
json_t *feed_all(struct feed *f);

#endif
