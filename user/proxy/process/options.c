// SPDX-License-Identifier: Apache-2.0
#include "proxy/process/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRONG_USAGE = 2 };

enum option_id {
	OPT_LISTEN_FD = 256,
	OPT_CONTROL_FD,
	OPT_LIMITS_FD,
	OPT_CLUSTER_STATS_FD,
	OPT_ROUTE_STATS_FD,
	OPT_LISTENER_STATS_FD,
	OPT_TRAFFIC_FD,
	OPT_POD_ADDRS_FD,
	OPT_NICS_FD,
	OPT_PODS_FD,
	OPT_IDENTITY,
	OPT_SANDBOX,
	OPT_SNAPSHOT,
	OPT_CREDENTIALS,
	OPT_TRANSPARENT,
	OPT_MARK,
	OPT_SLOT,
	OPT_HELD_FD,
	OPT_LOG_LEVEL,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option longs[] = {
	{ "listen-fd", required_argument, NULL, OPT_LISTEN_FD },
	{ "control-fd", required_argument, NULL, OPT_CONTROL_FD },
	{ "limits-fd", required_argument, NULL, OPT_LIMITS_FD },
	{ "cluster-stats-fd", required_argument, NULL, OPT_CLUSTER_STATS_FD },
	{ "route-stats-fd", required_argument, NULL, OPT_ROUTE_STATS_FD },
	{ "listener-stats-fd", required_argument, NULL, OPT_LISTENER_STATS_FD },
	{ "traffic-fd", required_argument, NULL, OPT_TRAFFIC_FD },
	{ "identity", required_argument, NULL, OPT_IDENTITY },
	{ "pod-addrs-fd", required_argument, NULL, OPT_POD_ADDRS_FD },
	{ "nics-fd", required_argument, NULL, OPT_NICS_FD },
	{ "pods-fd", required_argument, NULL, OPT_PODS_FD },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "snapshot", required_argument, NULL, OPT_SNAPSHOT },
	{ "credentials", required_argument, NULL, OPT_CREDENTIALS },
	{ "transparent", no_argument, NULL, OPT_TRANSPARENT },
	{ "mark", required_argument, NULL, OPT_MARK },
	{ "slot", required_argument, NULL, OPT_SLOT },
	{ "held-fd", required_argument, NULL, OPT_HELD_FD },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static const char help[] =
	"usage: weft-proxy --listen-fd N [--listen-fd N ...] [options]\n"
	"\n"
	"Carries HTTP requests out by weft's rules. Started by weftd; alone with --snapshot.\n"
	"\n"
	"  --listen-fd N       a listening socket; one worker thread for each\n"
	"  --control-fd N      a listening Unix socket over which weftd gives its orders: "
	"connections\n"
	"                      are accepted once the first snapshot of the rules is there\n"
	"  --limits-fd N       the map of connection limits, shared with the kernel\n"
	"  --held-fd N         a file for what it has of these connections\n"
	"  --slot N            which of the weft-proxies at a time it is, for gauges\n"
	"  --cluster-stats-fd N, --route-stats-fd N, --listener-stats-fd N, --traffic-fd N\n"
	"                      the maps of the counters\n"
	"  --identity TEXT     what weftd is to be told that the proxy was started with\n"
	"  --sandbox UID:GID   give up everything that is not needed, and be that user\n"
	"  --snapshot FILE     the rules to begin with\n"
	"  --credentials FILE  the certificates and keys to begin with\n"
	"  --transparent       endpoints see the client's address where replies to it come back "
	"by weft\n"
	"                      (CAP_NET_RAW)\n"
	"  --pod-addrs-fd N, --nics-fd N, --pods-fd N\n"
	"                      the maps that tell\n"
	"  --mark N            mark of packets to endpoints\n"
	"  --log-level LEVEL   error, warning, info or debug\n"
	"  --help, --version\n";

static int wrong(int *status, const char *what, const char *value)
{
	log_err(0, "%s: \"%s\"", what, value);
	*status = WRONG_USAGE;
	return -EINVAL;
}

static int number(const char *text, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 0);
	return errno || end == text || *end || *out < 0 || *out > max ? -EINVAL : 0;
}

static int add_listener(struct proxy_options *o, int *status)
{
	long fd;

	if (number(optarg, INT_MAX, &fd))
		return wrong(status, "--listen-fd: not a descriptor", optarg);
	if (o->listener_count == PROXY_MAX_WORKERS)
		return wrong(status, "--listen-fd: too many", optarg);
	o->listeners[o->listener_count++] = (int)fd;
	return 0;
}

/* Options that are the number of a descriptor, and where it goes. */
static const struct {
	int id;
	size_t at;
	const char *wrong;
} descriptors[] = {
	{ OPT_CONTROL_FD, offsetof(struct proxy_options, control),
	  "--control-fd: not a descriptor" },
	{ OPT_LIMITS_FD, offsetof(struct proxy_options, limits), "--limits-fd: not a descriptor" },
	{ OPT_POD_ADDRS_FD, offsetof(struct proxy_options, worker.upstream.source.pod_addrs),
	  "--pod-addrs-fd: not a descriptor" },
	{ OPT_NICS_FD, offsetof(struct proxy_options, worker.upstream.source.nics),
	  "--nics-fd: not a descriptor" },
	{ OPT_PODS_FD, offsetof(struct proxy_options, worker.upstream.source.pods),
	  "--pods-fd: not a descriptor" },
	{ OPT_CLUSTER_STATS_FD, offsetof(struct proxy_options, cluster_stats),
	  "--cluster-stats-fd: not a descriptor" },
	{ OPT_ROUTE_STATS_FD, offsetof(struct proxy_options, route_stats),
	  "--route-stats-fd: not a descriptor" },
	{ OPT_LISTENER_STATS_FD, offsetof(struct proxy_options, listener_stats),
	  "--listener-stats-fd: not a descriptor" },
	{ OPT_TRAFFIC_FD, offsetof(struct proxy_options, traffic),
	  "--traffic-fd: not a descriptor" },
	{ OPT_HELD_FD, offsetof(struct proxy_options, held), "--held-fd: not a descriptor" },
};

/* 1: it is none of them. */
static int take_descriptor(struct proxy_options *o, int id, int *status)
{
	size_t i = 0;
	long fd;

	while (i < sizeof(descriptors) / sizeof(*descriptors) && descriptors[i].id != id)
		i++;
	if (i == sizeof(descriptors) / sizeof(*descriptors))
		return 1;
	if (number(optarg, INT_MAX, &fd))
		return wrong(status, descriptors[i].wrong, optarg);
	*(int *)((char *)o + descriptors[i].at) = (int)fd;
	return 0;
}

/* UID:GID; neither may be root's, which a sandbox would not confine. */
static int ids(struct proxy_options *o)
{
	char end;

	if (sscanf(optarg, "%u:%u%c", &o->uid, &o->gid, &end) != 2 || !o->uid || !o->gid)
		return -EINVAL;
	o->sandbox = true;
	return 0;
}

static int print(int *status, const char *text)
{
	fputs(text, stdout);
	*status = EXIT_SUCCESS;
	return -EINVAL;
}

static int take(struct proxy_options *o, int id, int *status)
{
	long n;
	int level;

	switch (id) {
	case OPT_LISTEN_FD:
		return add_listener(o, status);
	case OPT_IDENTITY:
		o->identity = optarg;
		return 0;
	case OPT_SANDBOX:
		if (ids(o))
			return wrong(status, "--sandbox: not UID:GID", optarg);
		return 0;
	case OPT_SNAPSHOT:
		o->snapshot = optarg;
		return 0;
	case OPT_CREDENTIALS:
		o->credentials = optarg;
		return 0;
	case OPT_TRANSPARENT:
		o->worker.upstream.transparent = true;
		return 0;
	case OPT_MARK:
		if (number(optarg, UINT32_MAX, &n))
			return wrong(status, "--mark: not a number", optarg);
		o->worker.upstream.source.mark = (uint32_t)n;
		return 0;
	case OPT_SLOT:
		if (number(optarg, HTTP_PROXIES - 1, &n))
			return wrong(status, "--slot: not a slot", optarg);
		o->slot = (unsigned)n;
		return 0;
	case OPT_LOG_LEVEL:
		level = log_level_parse(optarg);
		if (level < 0)
			return wrong(status, "--log-level: error, warning, info or debug, not",
				     optarg);
		o->log_level = (enum log_level)level;
		return 0;
	case OPT_HELP:
		return print(status, help);
	case OPT_VERSION:
		return print(status, "weft-proxy " WEFT_VERSION "\n");
	default:
		*status = WRONG_USAGE;
		return -EINVAL;
	}
}

int proxy_options_parse(int argc, char **argv, struct proxy_options *o, int *status)
{
	int id, r;

	*o = (struct proxy_options){ .control = -1,
				     .limits = -1,
				     .cluster_stats = -1,
				     .route_stats = -1,
				     .listener_stats = -1,
				     .traffic = -1,
				     .held = -1,
				     .identity = "",
				     .log_level = LOG_LEVEL_INFO,
				     .worker = worker_defaults };
	while ((id = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		r = take_descriptor(o, id, status);
		if (r > 0)
			r = take(o, id, status);
		if (r)
			return r;
	}
	if (optind < argc)
		return wrong(status, "unexpected argument", argv[optind]);
	if (o->listener_count)
		return 0;
	fputs(help, stderr);
	*status = WRONG_USAGE;
	return -EINVAL;
}
