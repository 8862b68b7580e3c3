/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_START_SOURCES_H
#define WEFT_DAEMON_START_SOURCES_H
/*
 * The sources that weftd was told to take objects from. Zero-initialise; stays in place.
 */
#include "daemon/engine/engine.h"
#include "daemon/source/files.h"
#include "daemon/source/kubernetes.h"
#include "daemon/source/leave.h"
#include "daemon/start/options.h"

struct sources {
	struct store *store;
	struct file_source files;	/* if `store` is not NULL */
	struct kube_source *kubernetes; /* NULL: it is none of them */
	struct leave *leave;		/* NULL: weftd is of no DaemonSet */
	struct object_source *list[2];
	size_t count;
	char *agents_in; /* the namespace of weftd's pods; NULL: it takes nothing from a cluster */
	const char *secrets_in;	    /* that of Gateways' Secrets there; NULL likewise */
	struct kube_config *config; /* how to reach the API server; NULL likewise */
	struct engine *engine;
};

/* 0 or -errno after having logged. */
int sources_open(const struct options *o, struct event_loop *loop, struct sources *s);
/* Once the engine, which is borrowed, has started. 0 or -errno after having logged. */
int sources_start(struct sources *s, struct engine *engine);
/* After the engine is gone. */
void sources_close(struct sources *s);

#endif
