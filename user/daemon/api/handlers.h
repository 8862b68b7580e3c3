/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_HANDLERS_H
#define WEFT_DAEMON_API_HANDLERS_H
/*
 * What weftd answers to each command of the control protocol (wire.h).
 */
#include <stdbool.h>

#include "daemon/datapath/traffic.h"
#include "daemon/engine/engine.h"
#include "lib/base/json_io.h"
#include "daemon/api/reply.h"
#include "daemon/supervisor/supervisor.h"

struct access_follow;
struct leave;
struct node_health;
struct tracing;

/* What the handlers work on. Everything is borrowed. */
struct weftd {
	struct kernel *kernel;
	struct engine *engine;
	struct supervisor *supervisor;
	struct file_source *files; /* NULL, like the next: not a source of this weftd */
	struct kube_source *kubernetes;
	const struct leave *leave;     /* NULL: it ends as it began */
	const char *bpffs, *state_dir; /* as weftd was started, like the next */
	enum enrol_mode enrol;
	const char *node_name;		 /* that Pods of this node name; NULL: not known */
	struct node_health *node_health; /* NULL: not yet */
	const char *dashboard;		 /* where the page is; NULL: it is not served */
	struct access_follow *access_follow;
	const struct tracing *tracing; /* NULL: no spans are told */
	bool registry_only;	       /* outboundTrafficPolicy, as weftd was started */
	bool quit;		       /* asked to end */
	bool left;		       /* with nothing of it on the node any more */
	bool changed;		       /* the rules have changed since this was last cleared */
};

/* 0; -EINVAL with the reasons in reply->errors; other -errno, told by its name; -EINPROGRESS: it
 * comes to that later, and then calls reply_send(). */
typedef int (*handler_fn)(struct weftd *d, const struct request *request, struct reply *reply);

/* Calls send() with the whole reply to a request, once, perhaps before it returns: a new value,
 * NULL when out of memory. The request stays the caller's until then. */
void handle(struct weftd *d, const struct request *request, reply_send_fn send, void *arg);

/* Of a Pod, as the known objects have it. */
struct enrolment enrolment_of(const struct weftd *d, const struct object *pod);
/* How traffic_each() gets at the names of what is in force. */
struct traffic_walk weftd_traffic(const struct weftd *d);
/* Takes everything of weft's out of the node, weft-proxy, too, and then asks weftd to end. 0 or
 * -errno. */
int weftd_leave(struct weftd *d);

/* Is another one after every change of objects, those that made no generation among them, and after
 * a restart. */
json_int_t handlers_revision(const struct weftd *d);

int handle_apply(struct weftd *d, const struct request *request, struct reply *reply);
int handle_delete(struct weftd *d, const struct request *request, struct reply *reply);
int handle_get(struct weftd *d, const struct request *request, struct reply *reply);
int handle_describe(struct weftd *d, const struct request *request, struct reply *reply);
int handle_status(struct weftd *d, const struct request *request, struct reply *reply);
int handle_stats(struct weftd *d, const struct request *request, struct reply *reply);
int handle_traffic(struct weftd *d, const struct request *request, struct reply *reply);
int handle_conns(struct weftd *d, const struct request *request, struct reply *reply);
int handle_logs(struct weftd *d, const struct request *request, struct reply *reply);
int handle_explain(struct weftd *d, const struct request *request, struct reply *reply);
int handle_analyze(struct weftd *d, const struct request *request, struct reply *reply);
int handle_mesh(struct weftd *d, const struct request *request, struct reply *reply);
int handle_versions(struct weftd *d, const struct request *request, struct reply *reply);
int handle_uninstall(struct weftd *d, const struct request *request, struct reply *reply);

#endif
