/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_STATUS_WRITER_H
#define WEFT_DAEMON_SOURCE_STATUS_WRITER_H
/*
 * Writes what is wrong with the cluster's objects where users look: into their status, and as
 * Events; and takes it out of a status once it is not true any more, whichever agent wrote it.
 * Objects of kinds that have no status get an Event alone. Objects that are right are left alone.
 *
 * Every agent knows what should be written and, by its watches, what is. The one that holds the
 * Lease writes; the others look at the Lease only while something is still to be written. A write
 * is about the very version of the object that was judged: the API server refuses it otherwise,
 * and it is made anew when the watch has brought the next one.
 */
#include <jansson.h>

#include "daemon/source/lease.h"
#include "daemon/source/status_text.h"

struct status_writer;

/* An object. Everything is borrowed. */
struct status_target {
	const char *path; /* "/apis/networking.istio.io/v1/namespaces/default/gateways/gw" */
	const char *api_version, *kind, *namespace, *name; /* namespace "" for none */
	bool has_status;				   /* that weft may write */
};

struct status_writer_options {
	const char *namespace, *node; /* of the Lease; this agent's. Copied */
	lease_request_fn request;
	void *server;
	struct event_loop *loop;
	/* Calls status_writer_want() for each object that is wrong. False: what is known of them is
	 * not complete yet, and nothing is written before status_writer_changed(). */
	bool (*each)(void *arg, struct status_writer *w);
	/* The resourceVersion by which it is known whether an object is right; NULL: it is not
	 * known yet, or there is no such object. */
	const char *(*version)(void *arg, const char *kind, const char *namespace,
			       const char *name);
	/* Agents that do not hold the Lease wait for up to so long before they look at it, each
	 * for another while: the more there are of them the longer. */
	unsigned (*spread_ms)(void *arg);
	void *arg;
};

/* 0 or -errno. */
int status_writer_open(const struct status_writer_options *options, struct status_writer **out);
/* After what answers its requests has been closed. Accepts NULL. */
void status_writer_close(struct status_writer *w);

/* ---- what the source tells; harmless for NULL ---- */

/* Something has become wrong, or is right again: each() is to be called before long. */
void status_writer_changed(struct status_writer *w);
/* From each(): this is to be said of the object, and is taken over. 0 or -ENOMEM. */
int status_writer_want(struct status_writer *w, const struct status_target *t,
		       struct status_said *said);
/* The cluster has told of an object, with this in its status. Takes `seen` over. */
void status_writer_seen(struct status_writer *w, const struct status_target *t,
			struct status_seen *seen);

/* {"holder", "pending", "written", "events", "error"}: "error" is "" or why nothing can be written.
 * NULL when out of memory. */
json_t *status_writer_status(const struct status_writer *w);

/* ---- for tests: the time is theirs ---- */

/* Returns after how many ms there is something to do again; 0: nothing. */
unsigned status_writer_turn(struct status_writer *w, uint64_t now_ms);
struct lease *status_writer_lease(struct status_writer *w);

#endif
