// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/cluster.h"
#include "cli/in_step.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"

enum { POLL_MS = 50, NAMED_MAX = 10 };

/* What the cluster had at the beginning: the lists, by resource. */
struct goal {
	json_t *lists; /* {"virtualservices": LIST}; owned */
	size_t count;  /* of objects */
};

/* What weftd has of it at the moment. */
struct state {
	json_t *pending, *wrong; /* names; lines. Owned */
};

static void state_free(struct state *s)
{
	json_decref(s->pending);
	json_decref(s->wrong);
}

static json_t *resources_of(const struct cli *cli)
{
	json_t *data = NULL;

	return client_ask(cli, client_request("versions"), NULL, &data) ? NULL : data;
}

/* One that the cluster does not know has no objects. */
static int list(struct kube_client *c, const json_t *resource, json_t *lists)
{
	const char *path = json_get_text(resource, "path", "");
	char error[KUBE_ERROR_MAX];
	json_t *all = NULL;
	int r = cluster_list_metadata(c, path, &all, error);

	if (r && r != -ENOENT) {
		json_decref(all);
		return cmd_failed("%s: %s", path, error);
	}
	if (r)
		json_decref(all);
	else
		json_object_set_new(lists, json_get_text(resource, "resource", ""), all);
	return 0;
}

static int list_all(struct kube_client *c, const json_t *resources, struct goal *goal)
{
	json_t *resource;
	size_t i;
	int r = 0;

	goal->lists = json_object();
	json_array_foreach(resources, i, resource) if (!r) r = list(c, resource, goal->lists);
	return r;
}

static int compare(const struct cli *cli, struct goal *goal, struct state *out)
{
	_cleanup_json_ json_t *resources = resources_of(cli);
	json_t *resource;
	size_t i;

	*out = (struct state){ json_array(), json_array() };
	goal->count = 0;
	json_array_foreach(resources, i, resource)
	{
		const json_t *had =
			json_object_get(goal->lists, json_get_text(resource, "resource", ""));

		if (had)
			goal->count += in_step_compare(had, resource, out->pending, out->wrong);
	}
	return resources ? 0 : STATUS_FAILED;
}

static int tell_wrong(const json_t *wrong)
{
	const json_t *line;
	size_t i;

	json_array_foreach(wrong, i, line) cmd_failed("%s", json_string_value(line));
	return STATUS_FAILED;
}

static int tell_late(const struct state *s, const char *timeout)
{
	const json_t *name;
	size_t i;

	json_array_foreach(s->pending, i, name)
	{
		if (i < NAMED_MAX)
			cmd_failed("%s is not as it is in the cluster", json_string_value(name));
	}
	return cmd_failed("%zu objects are not in step after %s", json_array_size(s->pending),
			  timeout);
}

static int wait_for(const struct cli *cli, struct goal *goal, const char *timeout, uint64_t end)
{
	for (;;) {
		_cleanup_(state_free) struct state s = { 0 };
		int r = compare(cli, goal, &s);

		if (r)
			return r;
		if (!json_array_size(s.pending) && json_array_size(s.wrong))
			return tell_wrong(s.wrong);
		if (!json_array_size(s.pending))
			break;
		if (clock_ms() >= end)
			return tell_late(&s, timeout);
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
	}
	printf("in step: %zu objects\n", goal->count);
	return STATUS_DONE;
}

static int run(const struct cli *cli, const struct cluster_options *cluster, const char *timeout,
	       int64_t ms)
{
	_cleanup_(kube_client_closep) struct kube_client *c = NULL;
	_cleanup_json_ json_t *resources = resources_of(cli);
	struct goal goal = { 0 };
	int r;

	if (!resources)
		return STATUS_FAILED;
	r = cluster_open(cluster, &c);
	if (!r)
		r = list_all(c, resources, &goal);
	if (!r)
		r = wait_for(cli, &goal, timeout, clock_ms() + (uint64_t)ms);
	json_decref(goal.lists);
	return r;
}

int cmd_wait(struct cli *cli, int argc, char **argv)
{
	struct cluster_options cluster = { 0 };
	const char *timeout = "30s";
	const struct cmd_option options[] = {
		{ 0, "kubeconfig", .value = &cluster.kubeconfig },
		{ 0, "context", .value = &cluster.context },
		{ 0, "timeout", .value = &timeout },
		{ 0 },
	};
	int64_t ms;
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!cluster_parse_timeout(timeout, &ms))
		return cmd_wrong(argv[0], "--timeout: a time like 30s is expected, not \"%s\"",
				 timeout);
	return run(cli, &cluster, timeout, ms);
}
