/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_STATUS_TEXT_H
#define WEFT_DAEMON_SOURCE_STATUS_TEXT_H
/*
 * What is written about an object that is not in force as it is in the cluster: in its status as
 * Istio's kinds have it (istio.meta.v1alpha1.IstioStatus), and as an Event. Pure.
 *
 * In a status, weft's own are the condition Reconciled with one of its reasons, and the
 * validationMessages that have a name (istiod gives them a code alone). What others have written
 * there stays.
 */
#include <jansson.h>
#include <stdbool.h>

#include "lib/base/errors.h"

/* How it is with an object that there is something to say of. */
enum status_verdict {
	STATUS_LEFT_OUT,
	STATUS_EARLIER,	 /* the last version that was right is in force */
	STATUS_STAND_IN, /* something that opens no more is in force in its place */
	STATUS_WARNED,	 /* it is in force, and there are warnings */
};

/* What there is to say of an object. Zero-initialise: nothing. */
struct status_said {
	enum status_verdict verdict;
	const char *reason; /* static: "LeftOut", "EarlierVersionInForce", ... NULL: nothing */
	char *message;	    /* "spec.http[0].route[0].weight: expected ..., not ...; ..." */
	json_t *messages;   /* validationMessages */
};

/* The errors among them, or if it is in force the warnings. 0 or -ENOMEM. */
int status_say(const struct errors *errors, enum status_verdict verdict, struct status_said *out);
void status_said_free(struct status_said *said);
bool status_said_same(const struct status_said *a, const struct status_said *b);

/* What an object's status says in weft's name. Zero-initialise: nothing. */
struct status_seen {
	char *reason, *message; /* NULL: nothing */
	bool current;		/* about this generation of the object */
};

/* 0 or -ENOMEM. */
int status_see(const json_t *object, struct status_seen *out);
void status_seen_free(struct status_seen *seen);
/* Whether it says that, about this generation; or nothing, if there is nothing to say. */
bool status_seen_is(const struct status_seen *seen, const struct status_said *said);

/* The merge patch that makes the status of an object say that, and is refused if the object has
 * changed meanwhile. `now`: RFC 3339. NULL when out of memory. */
json_t *status_patch(const json_t *object, const struct status_said *said, const char *now);

/* Where an Event is to be, and what it is about. */
struct status_event {
	const json_t *object; /* that it is about */
	const char *api_version, *kind;
	const char *node; /* that tells of it */
	const char *now;  /* RFC 3339 */
	/* Tells Events of the same words apart; the same words and mark are one Event. */
	const char *mark;
};

/* Those about objects in no namespace are in "default". */
const char *status_event_namespace(const json_t *object);
/* A core/v1 Event. NULL when out of memory. */
json_t *status_event(const struct status_event *e, const struct status_said *said);

#endif
