// SPDX-License-Identifier: Apache-2.0
#include "daemon/start/sources.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"

static int open_files(const struct options *o, struct sources *s)
{
	int r = store_open(o->state_dir, &s->store);

	if (r)
		return r;
	s->files = file_source(s->store);
	s->list[s->count++] = &s->files.source;
	return 0;
}

static void submit(void *arg, struct change *c,
		   void (*done)(void *done_arg, int r, struct change_report *report),
		   void *done_arg)
{
	engine_change(((struct sources *)arg)->engine, c, done, done_arg);
}

static int open_leave(const char *daemonset, const struct kube_config *config,
		      struct event_loop *loop, struct sources *s)
{
	const char *name = strchr(daemonset, '/') + 1;
	_cleanup_free_ char *namespace = strndup(daemonset, (size_t)(name - 1 - daemonset));

	return namespace ? leave_open(config, namespace, name, loop, &s->leave) : -ENOMEM;
}

static int open_kubernetes(const struct options *o, struct event_loop *loop, struct sources *s)
{
	_cleanup_(kube_config_freep) struct kube_config *config = NULL;
	struct kube_source_options options = {
		.state_dir = o->state_dir, .loop = loop, .submit = submit, .arg = s
	};
	char error[KUBE_ERROR_MAX] = "";
	int r = o->kubeconfig ? kube_config_load(o->kubeconfig, NULL, &config, error)
			      : kube_config_default(NULL, &config, error);

	if (r) {
		log_err(0, "--source kubernetes: %s", *error ? error : "out of memory");
		return r;
	}
	options.config = config;
	r = kube_source_open(&options, &s->kubernetes);
	if (!r)
		s->list[s->count++] = kube_source_base(s->kubernetes);
	return !r && o->daemonset ? open_leave(o->daemonset, config, loop, s) : r;
}

/* Files come first: what they have counts before what the cluster has. */
int sources_open(const struct options *o, struct event_loop *loop, struct sources *s)
{
	int r = o->files ? open_files(o, s) : 0;

	return !r && o->kubernetes ? open_kubernetes(o, loop, s) : r;
}

int sources_start(struct sources *s, struct engine *engine)
{
	s->engine = engine;
	return s->kubernetes ? kube_source_start(s->kubernetes) : 0;
}

void sources_close(struct sources *s)
{
	leave_close(s->leave);
	kube_source_close(s->kubernetes);
	store_close(s->store);
}
