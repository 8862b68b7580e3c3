// SPDX-License-Identifier: Apache-2.0
#include "daemon/start/sources.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

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

static const json_t *warned(void *arg)
{
	return engine_warned(((struct sources *)arg)->engine);
}

/* Where the agents are: that of their DaemonSet. The caller's; NULL without memory. */
static char *agents_namespace(const struct options *o)
{
	const char *slash = o->daemonset ? strchr(o->daemonset, '/') : NULL;

	return slash ? strndup(o->daemonset, (size_t)(slash - o->daemonset))
		     : strdup("weft-system");
}

static int open_source(const struct options *o, const struct kube_config *config,
		       struct event_loop *loop, struct sources *s)
{
	const struct kube_source_options options = { .config = config,
						     .state_dir = o->state_dir,
						     .loop = loop,
						     .node = options_node(o),
						     .namespace = s->agents_in,
						     .submit = submit,
						     .warned = warned,
						     .arg = s };

	return kube_source_open(&options, &s->kubernetes);
}

static int open_kubernetes(const struct options *o, struct event_loop *loop, struct sources *s)
{
	char error[KUBE_ERROR_MAX] = "";
	int r = o->kubeconfig ? kube_config_load(o->kubeconfig, NULL, &s->config, error)
			      : kube_config_default(NULL, &s->config, error);

	if (r) {
		log_err(0, "--source kubernetes: %s", *error ? error : "out of memory");
		return r;
	}
	s->secrets_in = KUBE_SECRETS_NAMESPACE;
	s->agents_in = agents_namespace(o);
	r = s->agents_in ? open_source(o, s->config, loop, s) : -ENOMEM;
	if (!r)
		s->list[s->count++] = kube_source_base(s->kubernetes);
	/* It answers while the kernel looks at the programs. */
	if (!r)
		r = kube_source_ask_early(s->kubernetes);
	return !r && o->daemonset ? open_leave(o->daemonset, s->config, loop, s) : r;
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
	kube_config_free(s->config);
	free(s->agents_in);
}
