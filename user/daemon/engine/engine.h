/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_ENGINE_ENGINE_H
#define WEFT_DAEMON_ENGINE_ENGINE_H
/*
 * The rules in force: known objects -> compile() -> the proxy -> source -> kernel_publish(). Every
 * change is one transaction: it takes effect as a whole or not at all, whatever fails and whenever
 * weftd dies. The source keeps it before the kernel has it; what the source knows after a crash is
 * published again at the next start.
 */
#include <jansson.h>

#include "lib/compile/compile.h"
#include "daemon/objects/object_set.h"
#include "daemon/datapath/datapath.h"
#include "daemon/engine/credential_keeper.h"
#include "daemon/engine/name_keeper.h"
#include "daemon/source/source.h"
#include "daemon/supervisor/supervisor.h"

struct engine;

/* Changes since the start. */
struct engine_counts {
	uint64_t applied, refused;
	double applied_ms, last_ms; /* that those applied took, all of them, and the last: compiled,
				     * stored and published, without waiting for the proxy */
};

/* What compilations are told beside the objects. Borrowed. */
struct engine_options {
	const char *node;	    /* what Pods and endpoints call this node */
	const char *secrets_in;	    /* where the Secrets of Gateways are; NULL: in that of each */
	struct resolver *resolver;  /* asks DNS; NULL: nothing does */
	bool registry_only;	    /* struct objects has it */
	const char *client_tls_dir; /* likewise */
	struct tracing_defaults tracing; /* likewise */
	struct identities *identities;	 /* certificates for mutual TLS; NULL: there are none */
};

/* Borrows all of them; they must outlive it. Sources are loaded in this order. NULL when out of
 * memory. */
struct engine *engine_new(struct kernel *kernel, struct supervisor *proxy,
			  struct object_source *const *sources, size_t count,
			  const struct engine_options *options);
void engine_free(struct engine *e); /* accepts NULL; the kernel goes on as it is */

/* Loads what the sources and the kernel know from before, and publishes; turns the loop until the
 * proxy knows it, too. While a source waits for its objects, what is in force stays as it is: until
 * a change completes them. 0, or -errno after having logged every problem. */
int engine_start(struct engine *e);

/* What has become of a change: 0; -EINVAL when report->errors says why nothing was changed; other
 * -errno. Takes out of the report what it likes. */
typedef void (*engine_done_fn)(void *arg, int r, struct change_report *report);

/* Carries the change out, which is the engine's from now on (NULL: there was no memory for it), and
 * calls done() once, perhaps before it returns. A change that concerns the proxy is done when the
 * proxy has answered or its time is up; others are not kept waiting by that. */
void engine_change(struct engine *e, struct change *c, engine_done_fn done, void *arg);
/* Gives up the changes that are not done, and says so: -ECANCELED. */
void engine_cancel(struct engine *e);

bool engine_waits(const struct engine *e);
/* Whether the proxy that runs is not given rules yet, and those that are to drain go on: for some
 * seconds at most after the start, until the Secrets that its HTTPS servers need are known. */
bool engine_holds(const struct engine *e);

/* Looks again and again, from now on, whether certificate files have changed, and hands over what
 * there is anew of identities. The loop is borrowed. 0 or -errno. */
int engine_watch_certificates(struct engine *e, struct event_loop *loop);
/* What is known of a certificate that an HTTPS server has, by the name of its credential; false if
 * nothing. Valid until the loop turns. */
bool engine_certificate(const struct engine *e, const char *name, size_t len,
			struct credential_state *out);

/* Has the names of objects looked up again and again, from now on. The loop is borrowed. 0 or
 * -errno. */
int engine_watch_names(struct engine *e, struct event_loop *loop);

/* Compiles the known objects for nothing but the warnings. 0 or -errno. */
int engine_analyze(struct engine *e, struct errors *warnings);

/* Warns of certificates that can't be used, or not much longer. */
void engine_warn_certificates(const struct engine *e, struct errors *warnings);
/* The texts of the warnings about what is in force, certificates included, as keys. Valid until the
 * next change, or call. NULL: there are none, or none are known. */
const json_t *engine_warned(struct engine *e);

/* The certificates of this node's identities; NULL: there are none. */
const struct identities *engine_identities(const struct engine *e);

/* Drops counters of what is no longer there, step by step: returns after how many ms it wants to be
 * called again, 0 if nothing is left, or -errno. */
int engine_tidy(struct engine *e);

/* Valid until the next change. Tables are NULL before the first rule. */
const struct known_set *engine_objects(const struct engine *e);
/* The same as compile() takes them, with what DNS has said when they were compiled; the caller
 * frees out->items. 0 or -ENOMEM. */
int engine_list(const struct engine *e, struct objects *out);
const struct tables *engine_tables(const struct engine *e);
/* The Pod in force that has that address, which may be on any node; NULL: none. Likewise valid. */
const struct object *engine_pod_at(const struct engine *e, const struct addr *addr);
/* Counts the changes that have taken effect, those that made no generation among them. */
uint64_t engine_version(const struct engine *e);
struct engine_counts engine_counts(const struct engine *e);
/* What it was when a Service changed last; 0: none has since the start. */
uint64_t engine_services_version(const struct engine *e);
struct registry *engine_registry(const struct engine *e);
/* Who looks names up; NULL: nothing does. */
const struct resolver *engine_resolver(const struct engine *e);

#endif
