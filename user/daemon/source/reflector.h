/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_REFLECTOR_H
#define WEFT_DAEMON_SOURCE_REFLECTOR_H
/* clang-format off */
/*
 * What to ask of the API server about one resource, given what it has answered: a list, a watch
 * from where the last one ended, or nothing for a while. It neither sends nor waits, and the time
 * is the caller's: a state machine that tests drive.
 *
 * DISCOVERY ──► the version of an optional resource that the server has
 *      ▼
 *   STREAM ──► the bookmark that ends a streamed list ──► WATCH ──► over: WATCH from its last version
 *      │ not known to the server                            ▲ │
 *      ▼                                                    │ └───► too old (410): STREAM or PAGES
 *   PAGES ──► the last page ────────────────────────────────┘
 */
/* clang-format on */
#include "daemon/source/told.h"
#include "lib/kube/answer.h"
#include "lib/kube/config.h"

enum { REFLECTOR_PATH_MAX = 4096, REFLECTOR_ERROR_MAX = KUBE_ERROR_MAX };

/* A resource to be watched. Borrowed for the life of what watches it. */
struct informer_resource {
	const char *path;		/* of the collection in all namespaces: "/api/v1/services",
					   "/apis/networking.istio.io/v1/virtualservices" */
	const char *api_version, *kind; /* of its items: lists of built-in kinds do not say */
	/* Other versions of the group to be tried in turn where the server does not have that one
	 * ("networking.istio.io/v1beta1"), up to a NULL; or NULL. Objects have the one they came
	 * in. */
	const char *const *other_versions;
	const char *query; /* more of the query ("labelSelector=..."), or NULL */
	/* A kind that the server may not have (yet): without its definition the resource is empty,
	 * and counts as listed. Which version to list is asked of the server's discovery first. It
	 * is absent once the server has answered so itself: discovery does not tell of all that
	 * there is while the server starts. */
	bool optional;
	/* It tells which cluster it is: once its watch has ended it is listed and told anew, as
	 * another cluster's server may answer, or one whose store was restored. A watch would wait
	 * for a version that only the one before has. */
	bool anew;
	/* The fields that are kept of an object, as paths ("spec.containers.ports"), up to a NULL:
	 * object_fields.h. NULL: all but metadata.managedFields and the annotation
	 * kubectl.kubernetes.io/last-applied-configuration. */
	const char *const *fields;
};

enum informer_phase {
	INFORMER_CONNECTING, /* not listed yet, or the watch is broken: tries again */
	INFORMER_SYNCED,     /* listed once, and watched */
	INFORMER_ABSENT,     /* the server has no such resource */
	INFORMER_FORBIDDEN,  /* RBAC does not allow it */
};

/* Each returns 0, or -errno: what was being read is given up, and comes again. */
struct reflector_sink {
	/* The object is there, in another version than was known. */
	int (*put)(void *arg, struct told_key key, struct json_span version,
		   struct json_span object); /* in the format of the answer, without an envelope */
	int (*gone)(void *arg, const char *namespace, const char *name);
	/* All that there is has been told: the end of a list, or it is known that there is no such
	 * resource. */
	int (*listed)(void *arg);
	void *arg;
};

enum reflector_ask {
	REFLECTOR_DISCOVERY, /* nothing: the caller tells which version there is */
	REFLECTOR_STREAM,
	REFLECTOR_PAGES,
	REFLECTOR_WATCH,
};

enum { REFLECTOR_NONE = -1 }; /* no version of a resource */

/* To be read by others: phase, error, settled, told, the counts. */
struct reflector {
	const struct informer_resource *resource;
	struct reflector_sink sink;
	struct told told;
	enum informer_phase phase;
	char error[REFLECTOR_ERROR_MAX];
	bool changed; /* phase, error or version, since the reader has set it to false */
	/* Once at least it has been listed, or it was sure that there is nothing to be listed, or
	 * that it may not be. */
	bool settled;
	unsigned version; /* 0: api_version; else of other_versions */
	/* The server's versions have gone back, as they do when its store is restored from a
	 * backup. What was told of any resource may be of another history: the caller sees to it
	 * that all are listed anew. */
	bool went_back;

	enum reflector_ask ask; /* now, or next */
	char *resource_version, *continue_token;
	uint64_t newest;      /* version that was seen, as a number; 0: none */
	bool no_stream;	      /* the server does not stream lists */
	bool retells;	      /* what the list has is told even if its version is known */
	bool by_itself;	      /* it tries one version after the other, as discovery does not tell */
	bool begun;	      /* a list of pages has had its first */
	unsigned expirations; /* of a list of pages, so far */
	unsigned failures, refusals, forbidden, not_found; /* in a row */
	bool unreachable;	 /* what it waits for is only the server */
	bool bad_event;		 /* the watch has ended by an ERROR event, told in `error` */
	bool answered;		 /* with 200 */
	enum kube_format format; /* of what is answered with 200 */
	uint64_t not_before, asked_ms, heard_ms;
	uint32_t random;
	uint64_t requests, lists, watches, events;
};

struct reflector_end {
	long status;	   /* of HTTP; 0: there was no answer */
	bool complete;	   /* it has come to its end */
	const char *error; /* why it has not, in a user's words */
	int r;		   /* what reflector_value() or the one that cuts them out has returned */
	const char *body;  /* of a status other than 200; of a list: kube_read_list_end() */
	size_t size;
	uint64_t retry_after_ms; /* that the server asks for */
};

/* `seed`: of the jitter. */
void reflector_init(struct reflector *r, const struct informer_resource *resource,
		    const struct reflector_sink *sink, uint32_t seed);
void reflector_free(struct reflector *r);
/* What is known from before the first list. 0 or -ENOMEM. */
int reflector_seed(struct reflector *r, struct told_key key, struct json_span version);
/* Lists anew, with no request under way. */
void reflector_list_again(struct reflector *r);
/* Lists and tells all anew, with no request under way. */
void reflector_list_anew(struct reflector *r);

/* The path with its query to be asked for with GET, if it is time to. False: not before
 * r->not_before. */
bool reflector_next(struct reflector *r, uint64_t now_ms, char path[REFLECTOR_PATH_MAX]);
/* Whether it waits to be told which version there is. It is time to find that out from
 * r->not_before on. */
bool reflector_discovers(const struct reflector *r);
/* The server's discovery has this version: 0 for api_version, others behind it, or REFLECTOR_NONE.
 * Does nothing to one that does not wait for that. Whether a resource that was absent is there. */
bool reflector_discovered(struct reflector *r, uint64_t now_ms, int version);
/* Discovery does not tell. */
void reflector_undiscovered(struct reflector *r, uint64_t now_ms, const struct reflector_end *end);
/* Another kind has been defined: this one may be before long. */
void reflector_expect(struct reflector *r, uint64_t now_ms);
/* Whether what is asked is the first of a list. */
bool reflector_begins_list(const struct reflector *r);
/* Whether the answer is one list, not a stream of events. */
bool reflector_is_list(const struct reflector *r);
/* The head of the answer has come. */
void reflector_answered(struct reflector *r, uint64_t now_ms, long status, enum kube_format format);
/* So long nothing was read: it is not the server that was silent. */
void reflector_paused(struct reflector *r, uint64_t ms);
/* Something of a body has come. */
void reflector_heard(struct reflector *r, uint64_t now_ms);
/* An item of the list, or an event of the watch. 0; -errno: give the request up. */
int reflector_value(struct reflector *r, const char *bytes, size_t size);
/* When to give the request up if nothing is heard of it. */
uint64_t reflector_deadline(const struct reflector *r);

/* The request is over. */
void reflector_end(struct reflector *r, uint64_t now_ms, const struct reflector_end *end);
/* The server has answered another request: what waits only because it was not reachable waits no
 * longer. */
void reflector_wake(struct reflector *r, uint64_t now_ms);

/* The apiVersion of the objects that come. */
const char *reflector_api_version(const struct reflector *r);

#endif
