/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_ANSWER_H
#define WEFT_LIB_KUBE_ANSWER_H
/*
 * What an API server answers with, in both of the formats that it speaks: JSON, and protobuf
 * (Kubernetes API Concepts, "Kubernetes Protobuf encoding"), where an object stands in an envelope:
 * "k8s\0" and a runtime.Unknown, of which it is the field `raw`. Pure; everything points into what
 * was given.
 */
#include "lib/kube/json_span.h"

#define KUBE_PROTO_TYPE "application/vnd.kubernetes.protobuf"
#define KUBE_PROTO_MAGIC "k8s\0"

enum { KUBE_PROTO_MAGIC_SIZE = 4 };

enum kube_format { KUBE_JSON, KUBE_PROTO };

/* As the answer's Content-Type says; NULL: it says nothing. */
enum kube_format kube_format_of(const char *content_type);

/* What tells an object from others. */
struct kube_head {
	struct json_span namespace, name, version; /* namespace: "" for what is in none */
};

/* Of an object without an envelope. False if it is none. */
bool kube_read_head(enum kube_format format, struct json_span object, struct kube_head *out);

/* A bookmark's version, "" if it has none, and whether it ends a streamed list. */
void kube_read_bookmark(enum kube_format format, struct json_span object, struct json_span *version,
			bool *ends_list);

struct kube_watch_event {
	struct json_span type;	 /* "ADDED" */
	struct json_span object; /* without an envelope */
	struct json_span whole;	 /* the same as it stands there */
};

bool kube_read_event(enum kube_format format, struct json_span bytes, struct kube_watch_event *out);

/* What is around the items of a list. */
struct kube_list_end {
	char *version, *more; /* owned; more: the token that it goes on with, "" at its end */
};

/* Of protobuf: the list's metadata. 0; -EPROTO if it is none; -ENOMEM. */
int kube_read_list_end(enum kube_format format, struct json_span bytes, struct kube_list_end *out);
void kube_list_end_free(struct kube_list_end *end);

/* What an object of the kind Status says. */
struct kube_status {
	char *message; /* owned; NULL: nothing */
	long code;     /* 0: none */
};

/* Whether the bytes, with their envelope where they are protobuf, are one. */
bool kube_read_status(const char *bytes, size_t size, struct kube_status *out);
void kube_status_free(struct kube_status *status);

#endif
