/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_SCHEMA_H
#define WEFT_LIB_SCHEMA_SCHEMA_H
/*
 * The tables that describe the fields of every kind. decode.c walks a document's tree by them: what
 * a field is called, what it may hold, where it goes in the model, and what has to hold beyond its
 * type.
 */
#include "lib/model/model.h"
#include "lib/schema/schema_refused.h"
#include "lib/yaml/tree.h"

struct decoder;

enum field_type {
	FIELD_STRING,	/* const char * */
	FIELD_STRINGS,	/* struct strs */
	FIELD_KVS,	/* struct kvs; `key:` is an empty value, as in Kubernetes' own kinds */
	FIELD_FULL_KVS, /* struct kvs; each key has a value, as the API server wants it of custom
			   kinds */
	FIELD_BOOL,	/* bool */
	FIELD_INT32,	/* int32_t, min..max */
	FIELD_INT64,	/* int64_t, min..max */
	FIELD_UINT16,	/* uint16_t, min..max */
	FIELD_DOUBLE,	/* double */
	FIELD_DURATION, /* msecs, min.. (milliseconds) */
	FIELD_ENUM,	/* int, one of `words` */
	FIELD_MESSAGE,	/* a struct, described by `message` */
	FIELD_POINTER,	/* a pointer to such a struct, NULL when not given */
	FIELD_LIST,	/* { T *items; size_t count; } of such structs */
	FIELD_MAP,    /* the same with the map's keys: a const char * at the start of each struct */
	FIELD_CUSTOM, /* `decode` does it */
	FIELD_IGNORED, /* known, and without a meaning for traffic */
	FIELD_REFUSED, /* understood, but weft has no way to honour it */
};

struct word {
	const char *name;
	int value;
};

/* What stands at a field of FIELD_CUSTOM, FIELD_IGNORED or FIELD_REFUSED, for those who are told by
 * its type only (lib/crd). */
enum shape {
	SHAPE_ANY,
	SHAPE_STRING,
	SHAPE_INTEGER, /* min..max, if max is given */
	SHAPE_BOOL,
	SHAPE_STRINGS,
	SHAPE_OBJECT, /* of `message`, or of whatever fields */
	SHAPE_LIST,   /* of `message`, or of whatever objects */
	SHAPE_PORTS,  /* a list of numbers from 1 to 65535 */
};

/*
 * A demand in the words of the API server, which puts it to objects at `kubectl apply`: an
 * expression of CEL about the value, `self`. It says what a `check` beside it says, or less: what
 * weft takes, it must take. Lists of them end with a rule of NULL.
 */
struct cel {
	const char *rule;
	const char *message;
	enum refused refused; /* in place of a message */
};

/* The offset of a member in a form in which 0 means "none". */
#define AT(type, member) (offsetof(type, member) + 1)

struct field {
	const char *name; /* camelCase; the snake_case spelling is understood as well where the
			     message allows it */
	enum field_type type;
	bool required;
	bool selects;	      /* of FIELD_KVS: objects, which may be called y */
	bool snake;	      /* Istio's own examples have it in snake_case */
	enum refused refused; /* of FIELD_REFUSED */
	enum shape shape;     /* where the type does not say it */
	size_t offset;
	size_t pos_at;	 /* AT() of a struct pos for where the field's name stands */
	size_t given_at; /* AT() of a bool for "given" */
	/* Of numbers the value's; of texts the most bytes, of lists and maps the most elements (0:
	 * DECODE_LIST_MAX of them). The API server prices what it checks by the most there can be.
	 */
	int64_t min, max;
	double least, most;  /* of FIELD_DOUBLE, both 0: any */
	const char *what;    /* what is expected between them */
	const char *pattern; /* of a text, or each of a list or map: a regular expression (RE2) that
				holds */
	const struct cel *cel;	  /* NULL: none */
	const struct word *words; /* ends with a NULL name */
	const struct message *message;
	/* Further demands on the value, made once it is decoded. `value` is the node, `target`
	 * where it went. */
	void (*check)(struct decoder *d, const struct node *value, const void *target);
	void (*decode)(struct decoder *d, const struct node *value, void *target);
};

struct message {
	const char *what; /* for messages: "a VirtualService's spec" */
	size_t size;
	const struct field *fields; /* ends with a NULL name */
	bool whole;	 /* an unknown field is an error, of a kind that is none of Istio's, too */
	bool null_ok;	 /* in a list or map, nothing at all stands for an empty message */
	size_t pos_at;	 /* AT() of a struct pos for where the message begins */
	size_t given_at; /* AT() of a bool */
	const struct cel *cel;	  /* NULL: none */
	bool one_of;		  /* no more than one of the fields is given */
	void (*init)(void *self); /* defaults other than zero */
	/* What follows from several fields together, or from none being given. */
	void (*finish)(struct decoder *d, const struct node *self_node, void *self);
	/* Demands on the fields together; only when all of them could be decoded. */
	void (*check)(struct decoder *d, const struct node *self_node, const void *self);
};

/* Kubernetes' ObjectMeta, into struct meta. */
extern const struct message schema_meta;

/* The fields of an object whose spec, `wanted` or not, is that member of struct object. */
#define OBJECT_FIELDS(member, spec_message, wanted)                         \
	{                                                                   \
		{ .name = "apiVersion", .type = FIELD_IGNORED },            \
			{ .name = "kind", .type = FIELD_IGNORED },          \
			{ .name = "metadata",                               \
			  .type = FIELD_MESSAGE,                            \
			  .required = true,                                 \
			  .offset = offsetof(struct object, meta),          \
			  .message = &schema_meta },                        \
			{ .name = "spec",                                   \
			  .type = FIELD_MESSAGE,                            \
			  .required = (wanted),                             \
			  .offset = offsetof(struct object, member),        \
			  .message = &(spec_message) },                     \
			{ .name = "status", .type = FIELD_IGNORED }, { 0 }, \
	}

/* The kinds as a whole, into struct object. */
extern const struct message schema_service, schema_pod, schema_namespace, schema_endpoints,
	schema_endpoint_slice, schema_network_policy, schema_secret;
extern const struct message schema_virtual_service, schema_destination_rule, schema_gateway;
extern const struct message schema_connection_policy, schema_authorization_policy;
extern const struct message schema_service_entry, schema_workload_entry;
extern const struct message schema_peer_authentication, schema_telemetry;

/* Shared by several kinds. */
extern const struct message schema_destination;
extern const struct message schema_port_selector; /* uint16_t: { number: 80 } */
extern const struct message schema_l4_route, schema_tls_route;
extern const struct message schema_http_route;
extern const struct message schema_http_pool, schema_outlier_detection, schema_hash;
extern const struct message schema_client_tls;
extern const struct message schema_match_labels; /* struct kvs: { matchLabels: {...} } */

#endif
