/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_KUBERNETES_PRIV_H
#define WEFT_DAEMON_SOURCE_KUBERNETES_PRIV_H
/*
 * What the files of the Kubernetes source share.
 */
#include "daemon/source/kubernetes.h"
#include "daemon/source/kubernetes_cache.h"
#include "daemon/source/status_writer.h"
#include "lib/kube/object_fields.h"

/* ---- kinds ---- */

enum { KUBE_PATH_MAX = 96 };

struct kube_kind {
	const char *group, *version;	  /* "" and "v1" for the core's */
	const char *const *others_served; /* older ones, "networking.istio.io/v1beta1", or NULL */
	const char *plural;		  /* "virtualservices" */
	const char *name;		  /* "VirtualService" */
	const char *word; /* "virtualservice": begins the name of an object in messages */
	int kind;	  /* enum kind; -1: weft does not carry it out */
	bool optional;
	bool others; /* of what others say, not only of what it says itself, an object may be wrong
		      */
	const char *const *fields;
};

extern const struct kube_kind kube_kinds[];
extern const size_t kube_kind_count;
/* Of those that have a status: what is the object's own. */
extern const char *const *const kube_plain_fields;

/* -1: none. The word need not end with a NUL. */
int kube_kind_of_word(const char *word, size_t len);
int kube_kind_of_plural(const char *plural);
int kube_kind_of_name(const char *name);
/* Whether what is wrong is written into a status, which `fields` has, and which is no part of the
 * object. */
bool kube_kind_has_status(const struct kube_kind *k);
/* Of what is kept of each kind's objects. */
uint64_t kube_kinds_hash(const struct kube_kind *kinds, size_t count);
/* Of its objects: "/api/v1/pods", "/apis/networking.istio.io/v1/gateways"; of Secrets only those of
 * the namespace that weft is installed in. */
void kube_kind_path(char path[KUBE_PATH_MAX], const struct kube_kind *k, const char *api_version,
		    const char *namespace);
/* Whether what is known of its objects is written down: Secrets are told anew at every start. */
bool kube_kind_is_kept(unsigned kind);

/* ---- objects ---- */

/* What is known of an object of the cluster. */
struct kube_object {
	struct kube_object *next; /* with the same slot */
	uint32_t hash;
	uint16_t kind;	     /* index of kube_kinds */
	bool pending;	     /* something of it is to be taken over */
	bool gone;	     /* the server has it no more */
	bool in_change;	     /* a change on its way is about it */
	bool in_file;	     /* a file has it, too */
	bool outlived;	     /* what is in force is of an earlier object of that name, and goes */
	bool foreign;	     /* it is of another cluster, as long as this one has not told of it */
	char *version;	     /* resourceVersion */
	struct object *live; /* as it is in force; NULL: it is not. A reference. */
	struct object
		*newest; /* as the server has it, when that is not (yet) in force. A reference. */
	char *text;	 /* the same as JSON, when it could not be read */
	struct object *stand_in; /* what is to take the place of `text`, when that is not (yet) in
				    force. A reference. */
	size_t size;		 /* of it */
	struct errors errors;	 /* why the newest is not in force */
	const char *namespace, *name; /* in `texts` */
	char texts[];
};

struct kube_objects {
	struct kube_object **slots;
	size_t count, slot_count;
};

struct kube_object *kube_objects_find(const struct kube_objects *set, unsigned kind,
				      const char *namespace, const char *name);
/* The one that there is, or a new one; NULL when out of memory. */
struct kube_object *kube_objects_get(struct kube_objects *set, unsigned kind, const char *namespace,
				     const char *name);
void kube_objects_remove(struct kube_objects *set, struct kube_object *o); /* and frees it */
void kube_objects_free(struct kube_objects *set);

/* Goes over all of them; `o` may be removed in between. */
#define kube_objects_each(set, o, after)                                                          \
	for (size_t slot_ = 0; slot_ < (set)->slot_count; slot_++)                                \
		for (struct kube_object *o = (set)->slots[slot_], *after = o ? o->next : NULL; o; \
		     o = after, after = o ? o->next : NULL)

/* Another reference to it, for objects of which both engine and source have one. */
struct object *kube_object_ref(struct object *o);
/* "virtualservice/default/reviews". Returns `buf`. */
const char *kube_object_text(const struct kube_object *o, char *buf, size_t size);
enum { KUBE_TEXT_MAX = 600 };
/* Whether `json` is a version of that object, not of another one that has its name since: by their
 * uids, where both have one. */
bool kube_object_is_same(const struct object *object, const char *json, size_t size);
/* What of an object with errors is in force, or stays so; NULL: nothing. Borrowed. */
const struct object *kube_object_stays(const struct kube_object *o);
/* The same, as a user is told of it. */
const char *kube_object_effect(const struct kube_object *o);
/* What should be in force of it, and is not; NULL: nothing. Borrowed. */
struct object *kube_object_wanted(const struct kube_object *o);
/* What the engine knows it by. */
struct object_id kube_object_id(const struct kube_object *o);

/* ---- the source ---- */

struct kube_change;

struct kube_source {
	struct object_source source;
	struct origin origin; /* of all objects that it brings */
	struct kube_source_options options;
	struct kube_config *config;
	struct kube_objects objects;
	struct kube_cache *cache;
	struct kube_object **pending;
	size_t pending_count, pending_room;
	struct kube_change *on_its_way;
	struct event_timer window;
	struct event_timer restart; /* asks anew: it is another cluster */
	bool restarts;		    /* until then what is told does not count */
	bool scheduled;		    /* the window's timer is set */
	uint64_t begun_ms;	    /* the last one */
	bool late;		    /* a window has ended while a change was on its way */
	bool retry;		    /* what is left out is to be tried again */
	int64_t cached; /* when the cache was true, in Unix seconds; 0: there was none */
	bool listed;	/* the server has told of everything that may be read, once */
	bool synced;	/* and that is all that is needed */
	bool replaced;	/* what is known of before is of another cluster, until all is told */
	bool complete;	/* and that is in force */
	size_t bad;	/* objects with errors */
	uint64_t told;	/* kinds that a line in the log was written about, as bits */
	int64_t since;	/* of the phase, for status */
	char *uid;	/* of the cluster: of its namespace kube-system; NULL: not known */
	/* ---- the informer's part ---- */
	struct informer *informer;
	struct informer_resource *resources; /* parallel to kube_kinds */
	char (*paths)[KUBE_PATH_MAX], (*versions)[KUBE_PATH_MAX];
	char (*served)[KUBE_PATH_MAX]; /* paths of the versions that the server has */
	uint64_t forbidden;	       /* kinds that may not be read, as bits */
	/* ---- what is told of them ---- */
	struct status_writer *writer;  /* NULL: nothing is */
	struct object_fields *plain;   /* an object without its status */
	json_t *warned;		       /* texts of warnings as keys; NULL: none */
	char *node, *agents_namespace; /* NULL: this agent tells nothing */
};

/* ---- its changes are made in kubernetes.c ---- */

enum {
	KUBE_WINDOW_MS = 50,  /* so long what comes after the first event goes with it; no two
				 changes begin sooner after each other */
	KUBE_HOLD_MS = 10000, /* with a cache: so long for the rest of the first lists */
	KUBE_RETRY_MS = 2000, /* a change that could not be carried out */
};

/* The next one is made in so long at the latest. */
void kube_source_schedule(struct kube_source *s, unsigned ms);
/* In place of a later time that is set already. */
void kube_source_schedule_now(struct kube_source *s);
/* Now. */
void kube_source_begin(struct kube_source *s);
/* The object is part of it. 0 or -ENOMEM. */
int kube_source_queue(struct kube_source *s, struct kube_object *o);
/* Frees what no one refers to any more. */
void kube_source_forget(struct kube_source *s, struct kube_object *o);

/* ---- what is wrong: kubernetes_blame.c ---- */

/* Makes the errors the object's, which are none then; says so in the log if they are new. */
void kube_source_blame(struct kube_source *s, struct kube_object *o, struct errors *errors);
/* It is as it should be. */
void kube_source_acquit(struct kube_source *s, struct kube_object *o);
/* The object that a message is about; NULL: none of this source. */
struct kube_object *kube_source_blamed(const struct kube_source *s, const struct error *e);

/* ---- what there is of an object: kubernetes_take.c ---- */

/* 0; -EINVAL with `errors`; -ENOMEM. */
int kube_object_decode(const struct kube_object *o, const char *json, size_t size,
		       struct object **out, struct errors *errors);
void kube_object_drop_newest(struct kube_object *o);
/* 0 or -ENOMEM. */
int kube_object_set_version(struct kube_object *o, const char *version);
/* It can't be read: what is in force of it stays, or something else takes its place. Takes the
 * errors over. 0 or -ENOMEM. */
int kube_source_take_unreadable(struct kube_source *s, struct kube_object *o, const char *json,
				size_t size, struct errors *errors);
/* The server has it so; it has it no more. 0 or -ENOMEM. */
int kube_source_take(struct kube_source *s, struct kube_object *o, const char *version,
		     const char *json, size_t size);
int kube_source_gone(struct kube_source *s, struct kube_object *o);

/* ---- what is known from before: kubernetes_known.c ---- */

/* What the engine calls. */
extern const struct object_source kube_source_calls;
/* Writes down what is known of the object. */
void kube_source_note(struct kube_source *s, const struct kube_object *o);
/* Writes all of it anew, as short as it can be. */
void kube_source_compact(struct kube_source *s);
/* Brings to the file what has been noted. */
void kube_source_write(struct kube_source *s);

/* ---- what is told of its objects: kubernetes_report.c ---- */

/* The server has told of an object: what its status says is taken out of it, into `plain` if it has
 * to be copied for that. 0 or -ENOMEM. */
int kube_report_take(struct kube_source *s, const struct kube_object *o, const char **json,
		     size_t *size, struct buffer *plain);
/* A change has taken effect. */
void kube_report_change(struct kube_source *s);
void kube_report_gone(struct kube_source *s, const struct kube_object *o);
/* Once the informer has started. 0 or -errno. */
int kube_report_open(struct kube_source *s);

/* ---- which cluster it is ---- */

/* FNV-1a of 64 bits: the hash of what was hashed before, KUBE_HASH_FIRST for nothing, and bytes. */
#define KUBE_HASH_FIRST UINT64_C(14695981039346656037)
uint64_t kube_hash(uint64_t before, const char *bytes, size_t size);
/* What a cache is known by before the server has answered, for the caller to free; NULL when out of
 * memory. */
char *kube_cluster_key(const struct kube_config *config);
/* Whether the object tells the cluster: its namespace kube-system. */
bool kube_is_identity(unsigned kind, const char *name);
/* Takes a cache's record if it is of the cluster's uid. 0 or -ENOMEM. */
int kube_cluster_load(struct kube_source *s, const struct kube_record *r);
void kube_cluster_note(struct kube_source *s);
/* Takes what the server has of the namespace; *other: it is another cluster than that which objects
 * are known of. 0 or -ENOMEM. */
int kube_cluster_told(struct kube_source *s, const json_t *object, bool *other);

/* ---- its changes ---- */

enum kube_wish {
	WISH_NEWEST, /* is to be in force as the server has it */
	WISH_LIVE,   /* stays as it is in force */
	WISH_OUT,    /* is left out */
};

/* An object's part in a change. */
struct kube_item {
	struct kube_object *of;
	struct object *object; /* a reference; NULL: it goes */
	enum kube_wish wish;
	struct errors errors; /* why not as wished */
};

/* Takes what is pending. 0; 1: there is nothing to do; -ENOMEM. */
int kube_change_new(struct kube_source *s, struct kube_change **out);
struct change *kube_change_base(struct kube_change *c);
/* What has become of it, before it is freed. */
void kube_change_done(struct kube_change *c, int r);

#endif
