/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_KUBERNETES_H
#define WEFT_DAEMON_SOURCE_KUBERNETES_H
/*
 * The source that is a cluster: what the Kubernetes API has of the kinds that weft reads is in
 * force, but for what is not right. An object that can't be read, or that compile() refuses among
 * the others, is left out, or stays as it last was right; it is tried again when others change.
 *
 * What is told within 50 ms is one change. What was last known is kept in
 * STATE_DIR/kubernetes.cache: weftd starts with it while there is no answer from the server.
 */
#include <jansson.h>

#include "daemon/loop/event.h"
#include "daemon/source/informer.h"
#include "daemon/source/source.h"
#include "lib/kube/config.h"

struct kube_source;

/* Where the Secrets of Gateways are: as with Istio, where the Service istio-ingressgateway is. */
#define KUBE_SECRETS_NAMESPACE "istio-system"

struct kube_source_options {
	const struct kube_config *config; /* copied */
	const char *state_dir;		  /* copied */
	struct event_loop *loop;	  /* borrowed */
	/* Of this agent, and of the Lease by which one of all agents writes what is wrong with
	 * objects. Copied. `node` NULL: this one never does. */
	const char *node, *namespace;
	/* Hands a change over to the engine, which calls done() once. */
	void (*submit)(void *arg, struct change *c,
		       void (*done)(void *done_arg, int r, struct change_report *report),
		       void *done_arg);
	/* The texts of warnings about what is in force, as keys; NULL: none. May be NULL itself. */
	const json_t *(*warned)(void *arg);
	void *arg;
};

/* Reads the cache, if there is one. 0 or -errno after having logged. */
int kube_source_open(const struct kube_source_options *options, struct kube_source **out);
/* Begins to ask the server if nothing is known of the cluster; what it answers is kept until
 * kube_source_start(). 0 or -errno after having logged. */
int kube_source_ask_early(struct kube_source *s);
/* Begins to ask the server, if that has not been done, once the engine has started. 0 or -errno
 * after having logged. */
int kube_source_start(struct kube_source *s);
/* Asks no more. To be called before the engine's changes are given up. */
void kube_source_stop(struct kube_source *s);
/* Changes must not outlive it, nor the engine's objects. Accepts NULL. */
void kube_source_close(struct kube_source *s);
/* What the engine takes. */
struct object_source *kube_source_base(struct kube_source *s);

/* Where what the server tells is to go: the informer's sink. */
struct informer_sink kube_source_sink(struct kube_source *s);
/* What is asked for, in the order of informer_event.resource. */
const struct informer_resource *kube_source_resources(const struct kube_source *s, size_t *count);

/* Whether the objects are known: from the server, or from before. */
bool kube_source_is_ready(const struct kube_source *s);

/* An object that is not in force as it is in the cluster. */
struct kube_problem {
	const char *path; /* of its collection, in the version that the server has:
			     "/apis/networking.istio.io/v1/virtualservices" */
	const char *kind, *namespace, *name; /* namespace "" for none */
	const char *version;		     /* resourceVersion */
	const struct errors *errors; /* each: "virtualservice/default/reviews: FIELD: ..." */
	bool in_force;		     /* as it last was right */
	const char *effect; /* what of it is: "left out", "in force as it last was right", ... */
};

size_t kube_source_problem_count(const struct kube_source *s);
/* In no order. Valid during the call. */
void kube_source_each_problem(const struct kube_source *s,
			      void (*each)(void *arg, const struct kube_problem *p), void *arg);
/* How many are wrong of each kind that is asked for, the word being its plural. A non-zero answer
 * ends it and is returned. */
int kube_source_each_rejected(const struct kube_source *s,
			      int (*each)(void *arg, const char *word, size_t count), void *arg);
/* Appends all that is wrong, in the order of the objects' names. 0 or -ENOMEM. */
int kube_source_errors(const struct kube_source *s, struct errors *out);

/* How the watch of a kind is getting on. */
struct kube_watch {
	const char *resource; /* "pods" */
	const char *phase; /* "synced", "connecting", "forbidden"; "absent": the server has none */
	uint64_t lists, watches, events, bytes; /* since the start */
};
/* One for each kind, once they are asked for. A non-zero answer ends it and is returned. */
int kube_source_each_watch(const struct kube_source *s,
			   int (*each)(void *arg, const struct kube_watch *w), void *arg);
/* For `weft status`: {"name": "kubernetes", "phase", "since", "server", "error", "problems": [...],
 * "problem_count", "resources": [...], "discoveries": how often the server was asked which kinds it
 * has}. NULL when out of memory. */
json_t *kube_source_status(const struct kube_source *s);

/* For `weft wait`: [{"resource", "word", "path", "objects": {"NAMESPACE/NAME": {"version", "state":
 * "in force" | "pending" | "wrong", "error"}}}]. NULL when out of memory. */
json_t *kube_source_versions(const struct kube_source *s);

#endif
