// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/types.h>

#include "daemon/api/health.h"
#include "daemon/api/listen_address.h"
#include "daemon/api/metrics.h"
#include "daemon/resolve/dns.h"
#include "daemon/start/options.h"
#include "lib/route/snapshot.h"
#include "weft/tproxy.h"

enum { DRAIN_MAX_S = 86400, HEALTH_WAIT_MAX_S = 3600 };
enum { CERT_TTL_MIN_S = 10, CERT_TTL_MAX_S = 31536000 };

enum {
	EXIT_USAGE = 2,
	CONNECTIONS_MIN = 16,
	CONNECTIONS_MAX = 64 << 20,
	WORKERS_DEFAULT_MAX = 8,
};

enum option_key {
	OPT_STATE_DIR = 256,
	OPT_RUN_DIR,
	OPT_BPFFS,
	OPT_CGROUP,
	OPT_PODS,
	OPT_NIC,
	OPT_WORKERS,
	OPT_ACCESS_LOG,
	OPT_DRAIN_TIME,
	OPT_ACCESS_LOG_FORMAT,
	OPT_SOURCE,
	OPT_KUBECONFIG,
	OPT_NODE_NAME,
	OPT_DAEMONSET,
	OPT_LOG_LEVEL,
	OPT_MAX_CONNECTIONS,
	OPT_SHORTCUT,
	OPT_XDP,
	OPT_UNSEEN,
	OPT_ENROL,
	OPT_HEALTH,
	OPT_HEALTH_PORT_WAIT,
	OPT_DASHBOARD,
	OPT_METRICS,
	OPT_METRICS_SERIES_MAX,
	OPT_TRACING_ENDPOINT,
	OPT_TRACING_SAMPLING,
	OPT_DNS,
	OPT_OUTBOUND,
	OPT_CLIENT_TLS_DIR,
	OPT_CA_CERT,
	OPT_CA_KEY,
	OPT_CA_ROOT,
	OPT_WORKLOAD_CERT_TTL,
	OPT_DETACH,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "bpffs", required_argument, NULL, OPT_BPFFS },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "pods", required_argument, NULL, OPT_PODS },
	{ "nic", required_argument, NULL, OPT_NIC },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "access-log", required_argument, NULL, OPT_ACCESS_LOG },
	{ "drain-time", required_argument, NULL, OPT_DRAIN_TIME },
	{ "access-log-format", required_argument, NULL, OPT_ACCESS_LOG_FORMAT },
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "kubeconfig", required_argument, NULL, OPT_KUBECONFIG },
	{ "node-name", required_argument, NULL, OPT_NODE_NAME },
	{ "daemonset", required_argument, NULL, OPT_DAEMONSET },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "shortcut", required_argument, NULL, OPT_SHORTCUT },
	{ "xdp", required_argument, NULL, OPT_XDP },
	{ "unseen", required_argument, NULL, OPT_UNSEEN },
	{ "enrol", required_argument, NULL, OPT_ENROL },
	{ "health", required_argument, NULL, OPT_HEALTH },
	{ "health-port-wait", required_argument, NULL, OPT_HEALTH_PORT_WAIT },
	{ "dashboard", required_argument, NULL, OPT_DASHBOARD },
	{ "metrics", required_argument, NULL, OPT_METRICS },
	{ "metrics-series-max", required_argument, NULL, OPT_METRICS_SERIES_MAX },
	{ "tracing-endpoint", required_argument, NULL, OPT_TRACING_ENDPOINT },
	{ "tracing-sampling", required_argument, NULL, OPT_TRACING_SAMPLING },
	{ "dns", required_argument, NULL, OPT_DNS },
	{ "outbound-traffic-policy", required_argument, NULL, OPT_OUTBOUND },
	{ "client-tls-dir", required_argument, NULL, OPT_CLIENT_TLS_DIR },
	{ "ca-cert", required_argument, NULL, OPT_CA_CERT },
	{ "ca-key", required_argument, NULL, OPT_CA_KEY },
	{ "ca-root", required_argument, NULL, OPT_CA_ROOT },
	{ "workload-cert-ttl", required_argument, NULL, OPT_WORKLOAD_CERT_TTL },
	{ "detach", no_argument, NULL, OPT_DETACH },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static const char usage[] =
	"usage: weftd [OPTION]...\n"
	"Steers the TCP connections of this network namespace's pods by rules, until it is told to "
	"--detach.\n"
	"\n"
	"  --state-dir DIR       where the rules are kept (/var/lib/weft)\n"
	"  --run-dir DIR         where the control socket is (/run/weft)\n"
	"  --bpffs DIR           where BPF maps, programs and links are pinned (/sys/fs/bpf/weft)\n"
	"  --cgroup DIR          the cgroup v2 directory whose processes are steered (the whole "
	"hierarchy)\n"
	"  --pods auto|GLOB,...  the pods' interfaces; auto: every veth whose peer is in another "
	"namespace (auto)\n"
	"  --nic auto|IFACE,...  the interfaces to the outside; auto: those of the default routes, "
	"and "
	"tunnels by\n"
	"                        which other nodes are reached (auto)\n"
	"  --max-connections N   room for so many connections whose packets are steered (32768, or "
	"what an\n"
	"                        earlier weftd has chosen, which only --detach undoes)\n"
	"  --shortcut auto|always|never\n"
	"                        packets between pods of the node go from veth to veth; auto: "
	"while "
	"nothing on\n"
	"                        the node's own way would treat them otherwise (auto)\n"
	"  --xdp auto|native|generic|off\n"
	"                        packets from outside whose endpoint is on another node are "
	"forwarded by XDP on\n"
	"                        the NICs, past the node's firewall and connection tracking; auto: "
	"where a driver\n"
	"                        can, and while nothing of that kind is there to be passed (off)\n"
	"  --unseen steer|refuse what a pod calls past the programs on --cgroup: steered by its "
	"packets, "
	"or refused\n"
	"                        (steer)\n"
	"  --enrol all|labelled  whose connections are steered: those of all pods, or of pods that "
	"labels put into\n"
	"                        the mesh (all; with --source kubernetes: labelled)\n"
	"  --outbound-traffic-policy ALLOW_ANY|REGISTRY_ONLY\n"
	"                        what pods of the mesh call that no Service or ServiceEntry knows: "
	"passes, or is\n"
	"                        refused (ALLOW_ANY)\n"
	"  --health ADDR:PORT|off\n"
	"                        where /healthz and /readyz are answered (" HEALTH_DEFAULT ")\n"
	"  --health-port-wait SECONDS\n"
	"                        how long a Service's healthCheckNodePort is left to kube-proxy: "
	"weftd answers\n"
	"                        where nobody has had it for so long (35)\n"
	"  --dashboard ADDR:PORT|off\n"
	"                        where the mesh is shown live to a browser, which can change "
	"nothing (off)\n"
	"  --metrics [ADDR]:PORT|off\n"
	"                        where Prometheus finds /metrics, :PORT at every address of the "
	"node (off)\n"
	"  --metrics-series-max N\n"
	"                        time series of traffic; what is told apart beyond them is added "
	"up "
	"as unknown\n"
	"                        (100000)\n"
	"  --tracing-endpoint URL\n"
	"                        the collector to which spans of sampled traces are sent, by "
	"OTLP/HTTP; without\n"
	"                        a path it is /v1/traces (none)\n"
	"  --tracing-sampling PERCENT\n"
	"                        how many are sampled of the traces that begin in the mesh, 0.00 "
	"to "
	"100.00,\n"
	"                        where no Telemetry says it (1)\n"
	"  --dns ADDR[:PORT]     the DNS server that is asked for the names of rules (those of\n"
	"                        /etc/resolv.conf)\n"
	"  --client-tls-dir DIR  where the files are that a DestinationRule's tls may name (it may "
	"name none)\n"
	"  --ca-cert FILE --ca-key FILE\n"
	"                        the CA that signs the certificates of this node's pods for mutual "
	"TLS: its\n"
	"                        certificate, behind it what leads to a root; its private key "
	"(none)\n"
	"  --ca-root FILE        the roots that are believed, several while one takes another's "
	"place "
	"(the last\n"
	"                        certificate of --ca-cert)\n"
	"  --workload-cert-ttl SECONDS\n"
	"                        how long such a certificate is good for; it is renewed after half "
	"of "
	"that (86400)\n"
	"  --workers N           threads of weft-proxy, 1 to 64 (one per CPU, at most 8)\n"
	"  --access-log FILE|-   where weft-proxy writes a line per request (nowhere)\n"
	"  --access-log-format text|json\n"
	"                        how (text)\n"
	"  --drain-time SECONDS  how long a weft-proxy that is replaced may go on with what is\n"
	"                        under way (45)\n"
	"  --source files|kubernetes|files,kubernetes\n"
	"                        where rules come from: files, by way of weft apply, or a "
	"cluster's "
	"API (files)\n"
	"  --kubeconfig FILE     how to reach the API server (as kubectl would, or as a pod does)\n"
	"  --node-name NAME      as Pods of this node name it: /readyz waits for them (the host's\n"
	"                        name otherwise, and it does not)\n"
	"  --daemonset NAMESPACE/NAME\n"
	"                        the DaemonSet that this weftd is of: ended once that has been "
	"deleted, it takes\n"
	"                        all that is its own out of the node, as --detach does\n"
	"  --log-level LEVEL     error, warning, info or debug (info)\n"
	"  --detach              remove every program, pin and filter of weft, and exit\n"
	"  --help, --version\n";

__attribute__((format(printf, 2, 0))) static int wrong(int *status, const char *fmt,
						       const char *option, const char *value)
{
	fputs("weftd: ", stderr);
	fprintf(stderr, fmt, option, value);
	fputs("\nTry weftd --help.\n", stderr);
	*status = EXIT_USAGE;
	return -EINVAL;
}

static int parse_number(const char *text, unsigned long min, unsigned long max, unsigned *out)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || n < min || n > max)
		return -EINVAL;
	*out = (unsigned)n;
	return 0;
}

static int take_source(struct options *o, int *status)
{
	o->files = o->kubernetes = false;
	for (const char *word = optarg;; word++) {
		size_t len = strcspn(word, ",");
		bool files = len == 5 && !memcmp(word, "files", len);

		if (!files && (len != 10 || memcmp(word, "kubernetes", len) != 0))
			return wrong(status,
				     "%s: files, kubernetes or files,kubernetes is expected, not "
				     "\"%s\"",
				     "--source", optarg);
		o->files |= files;
		o->kubernetes |= !files;
		word += len;
		if (!*word)
			return 0;
	}
}

static int take_daemonset(struct options *o, int *status)
{
	const char *slash = strchr(optarg, '/');

	if (!slash || slash == optarg || !slash[1] || strchr(slash + 1, '/'))
		return wrong(status, "%s: NAMESPACE/NAME is expected, not \"%s\"", "--daemonset",
			     optarg);
	o->daemonset = optarg;
	return 0;
}

static int take_shortcut(struct options *o, int *status)
{
	static const char *const modes[] = {
		[SHORTCUT_AUTO] = "auto",
		[SHORTCUT_ALWAYS] = "always",
		[SHORTCUT_NEVER] = "never",
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(optarg, modes[i]) != 0)
			continue;
		o->kernel.shortcut = (enum shortcut_mode)i;
		return 0;
	}
	return wrong(status, "%s: auto, always or never is expected, not \"%s\"", "--shortcut",
		     optarg);
}

static int take_xdp(struct options *o, int *status)
{
	static const enum xdp_mode modes[] = { XDP_AUTO, XDP_NATIVE, XDP_GENERIC, XDP_OFF };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(optarg, xdp_mode_name(modes[i])) != 0)
			continue;
		o->kernel.xdp = modes[i];
		return 0;
	}
	return wrong(status, "%s: auto, native, generic or off is expected, not \"%s\"", "--xdp",
		     optarg);
}

static int take_outbound(struct options *o, int *status)
{
	o->kernel.registry_only = strcmp(optarg, "REGISTRY_ONLY") == 0;
	return o->kernel.registry_only || strcmp(optarg, "ALLOW_ANY") == 0
		       ? 0
		       : wrong(status, "%s: ALLOW_ANY or REGISTRY_ONLY is expected, not \"%s\"",
			       "--outbound-traffic-policy", optarg);
}

static int take_client_tls_dir(struct options *o, int *status)
{
	o->client_tls_dir = optarg;
	return *optarg == '/' ? 0
			      : wrong(status, "%s: an absolute path is expected, not \"%s\"",
				      "--client-tls-dir", optarg);
}

/* What is read together is told apart by semicolons. */
static int take_ca_file(int key, struct options *o, int *status)
{
	*(key == OPT_CA_CERT ? &o->ca_cert : key == OPT_CA_KEY ? &o->ca_key : &o->ca_root) = optarg;
	return strchr(optarg, ';')
		       ? wrong(status, "%s: a path without a semicolon is expected, not \"%s\"",
			       key == OPT_CA_CERT  ? "--ca-cert"
			       : key == OPT_CA_KEY ? "--ca-key"
						   : "--ca-root",
			       optarg)
		       : 0;
}

static int take_dashboard(struct options *o, int *status)
{
	bool off = strcmp(optarg, "off") == 0;

	o->dashboard = off ? NULL : optarg;
	return off || listen_address_valid(optarg, LISTEN_ONE)
		       ? 0
		       : wrong(status, "%s: ADDRESS:PORT or off is expected, not \"%s\"",
			       "--dashboard", optarg);
}

static int take_enrol(struct options *o, int *status)
{
	int mode = enrol_mode_parse(optarg);

	if (mode < 0)
		return wrong(status, "%s: all or labelled is expected, not \"%s\"", "--enrol",
			     optarg);
	o->kernel.enrol = (enum enrol_mode)mode;
	o->enrol_given = true;
	return 0;
}

static int take_metrics(int key, struct options *o, int *status)
{
	if (key == OPT_METRICS_SERIES_MAX)
		return parse_number(optarg, 0, METRICS_SERIES_MAX, &o->metrics_series_max)
			       ? wrong(status,
				       "%s: a number from 0 to 10000000 is expected, not \"%s\"",
				       "--metrics-series-max", optarg)
			       : 0;
	o->metrics = optarg;
	return metrics_address_valid(optarg)
		       ? 0
		       : wrong(status, "%s: ADDRESS:PORT, :PORT or off is expected, not \"%s\"",
			       "--metrics", optarg);
}

/* A number with two decimals at most, in hundredths. */
static int parse_percent(const char *text, unsigned *out)
{
	size_t whole = strspn(text, "0123456789");
	const char *more = text + whole;
	size_t decimals = *more == '.' ? strspn(more + 1, "0123456789") : 0;
	unsigned n;

	if (!whole || whole > 3 || decimals > 2 || (*more == '.' && !decimals) ||
	    more[*more == '.' ? decimals + 1 : 0])
		return -EINVAL;
	n = (unsigned)strtoul(text, NULL, 10) * 100;
	if (decimals)
		n += (unsigned)strtoul(more + 1, NULL, 10) * (decimals == 1 ? 10 : 1);
	*out = n;
	return n <= HS_SAMPLING_ALL ? 0 : -EINVAL;
}

static int take_tracing(int key, struct options *o, int *status)
{
	if (key == OPT_TRACING_ENDPOINT)
		return collector_parse(optarg, &o->tracing_endpoint)
			       ? wrong(status,
				       "%s: http://HOST[:PORT][/PATH] or https://... is expected, "
				       "not \"%s\"",
				       "--tracing-endpoint", optarg)
			       : 0;
	return parse_percent(optarg, &o->tracing_sampling)
		       ? wrong(status, "%s: a number from 0.00 to 100.00 is expected, not \"%s\"",
			       "--tracing-sampling", optarg)
		       : 0;
}

static int take_proxy_value(int key, struct options *o, int *status)
{
	switch (key) {
	case OPT_WORKERS:
		if (parse_number(optarg, 1, PROXY_MAX_WORKERS, &o->workers))
			return wrong(status, "%s: a number from 1 to 64 is expected, not \"%s\"",
				     "--workers", optarg);
		return 0;
	case OPT_DRAIN_TIME:
		if (parse_number(optarg, 0, DRAIN_MAX_S, &o->drain_s))
			return wrong(status, "%s: a number from 0 to 86400 is expected, not \"%s\"",
				     "--drain-time", optarg);
		return 0;
	case OPT_HEALTH_PORT_WAIT:
		if (parse_number(optarg, 0, HEALTH_WAIT_MAX_S, &o->health_wait_s))
			return wrong(status, "%s: a number from 0 to 3600 is expected, not \"%s\"",
				     "--health-port-wait", optarg);
		return 0;
	case OPT_ACCESS_LOG:
		o->access_log = optarg;
		return 0;
	case OPT_ACCESS_LOG_FORMAT:
		if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0)
			return wrong(status, "%s: text or json is expected, not \"%s\"",
				     "--access-log-format", optarg);
		o->access_log_format = optarg;
		return 0;
	case OPT_DASHBOARD:
		return take_dashboard(o, status);
	case OPT_METRICS:
	case OPT_METRICS_SERIES_MAX:
		return take_metrics(key, o, status);
	case OPT_TRACING_ENDPOINT:
	case OPT_TRACING_SAMPLING:
		return take_tracing(key, o, status);
	case OPT_DNS:
		o->dns = optarg;
		return dns_server_valid(optarg)
			       ? 0
			       : wrong(status,
				       "%s: ADDRESS or ADDRESS:PORT is expected, not "
				       "\"%s\"",
				       "--dns", optarg);
	case OPT_OUTBOUND:
		return take_outbound(o, status);
	case OPT_CLIENT_TLS_DIR:
		return take_client_tls_dir(o, status);
	case OPT_CA_CERT:
	case OPT_CA_KEY:
	case OPT_CA_ROOT:
		return take_ca_file(key, o, status);
	case OPT_WORKLOAD_CERT_TTL:
		return parse_number(optarg, CERT_TTL_MIN_S, CERT_TTL_MAX_S, &o->workload_cert_ttl)
			       ? wrong(status,
				       "%s: a number from 10 to 31536000 is expected, not \"%s\"",
				       "--workload-cert-ttl", optarg)
			       : 0;
	case OPT_KUBECONFIG:
		o->kubeconfig = optarg;
		return 0;
	case OPT_NODE_NAME:
		o->node_name = optarg;
		return 0;
	case OPT_DAEMONSET:
		return take_daemonset(o, status);
	default:
		return take_source(o, status);
	}
}

static int take_value(int key, struct options *o, int *status)
{
	int level;

	switch (key) {
	case OPT_STATE_DIR:
		o->state_dir = optarg;
		return 0;
	case OPT_RUN_DIR:
		o->run_dir = optarg;
		return 0;
	case OPT_BPFFS:
		o->kernel.bpffs = optarg;
		o->bpffs_given = true;
		return 0;
	case OPT_PODS:
		o->kernel.pods = optarg;
		return 0;
	case OPT_NIC:
		o->kernel.nic = optarg;
		return 0;
	case OPT_CGROUP:
		o->kernel.cgroup = optarg;
		return *optarg == '/'
			       ? 0
			       : wrong(status, "%s: an absolute path is expected, not \"%s\"",
				       "--cgroup", optarg);
	case OPT_LOG_LEVEL:
		level = log_level_parse(optarg);
		if (level < 0)
			return wrong(status,
				     "%s: error, warning, info or debug is expected, not \"%s\"",
				     "--log-level", optarg);
		o->log_level = level;
		return 0;
	case OPT_SHORTCUT:
		return take_shortcut(o, status);
	case OPT_XDP:
		return take_xdp(o, status);
	case OPT_ENROL:
		return take_enrol(o, status);
	case OPT_HEALTH:
		o->health = optarg;
		o->health_given = true;
		return health_address_valid(optarg)
			       ? 0
			       : wrong(status, "%s: ADDRESS:PORT or off is expected, not \"%s\"",
				       "--health", optarg);
	case OPT_UNSEEN:
		o->kernel.refuse_unseen = strcmp(optarg, "refuse") == 0;
		return o->kernel.refuse_unseen || strcmp(optarg, "steer") == 0
			       ? 0
			       : wrong(status, "%s: steer or refuse is expected, not \"%s\"",
				       "--unseen", optarg);
	case OPT_MAX_CONNECTIONS:
		if (parse_number(optarg, CONNECTIONS_MIN, CONNECTIONS_MAX,
				 &o->kernel.max_connections))
			return wrong(status,
				     "%s: a number from 16 to 67108864 is expected, not \"%s\"",
				     "--max-connections", optarg);
		return 0;
	default:
		return take_proxy_value(key, o, status);
	}
}

static unsigned default_workers(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > WORKERS_DEFAULT_MAX ? WORKERS_DEFAULT_MAX : (unsigned)cpus;
}

static int take_option(int key, char **argv, struct options *o, int *status)
{
	switch (key) {
	case '?':
		fprintf(stderr, "weftd: unknown or ambiguous option \"%s\"\nTry weftd --help.\n",
			argv[optind - 1]);
		*status = EXIT_USAGE;
		return -EINVAL;
	case ':':
		return wrong(status, "%s: a value is missing%s", argv[optind - 1], "");
	case OPT_DETACH:
		o->detach = true;
		return 0;
	case OPT_HELP:
		fputs(usage, stdout);
		*status = EXIT_SUCCESS;
		return 1;
	case OPT_VERSION:
		puts("weftd " WEFT_VERSION);
		*status = EXIT_SUCCESS;
		return 1;
	default:
		return *optarg ? take_value(key, o, status)
			       : wrong(status, "%s: a value is missing%s", argv[optind - 1], "");
	}
}

int options_parse(int argc, char **argv, struct options *out, int *status)
{
	struct options o = {
		.state_dir = "/var/lib/weft",
		.run_dir = "/run/weft",
		.kernel = { .bpffs = "/sys/fs/bpf/weft", .pods = "auto", .xdp = XDP_OFF },
		.log_level = LOG_LEVEL_INFO,
		.health = HEALTH_DEFAULT,
		.metrics = "off",
		.metrics_series_max = METRICS_SERIES_DEFAULT,
		.tracing_sampling = HS_SAMPLING_ALL / 100,
		.workers = default_workers(),
		.access_log_format = "text",
		.drain_s = 45,
		.workload_cert_ttl = 86400,
		.health_wait_s = 35, /* kube-proxy syncs every 30 s at the latest */
		.files = true,
	};
	int key, r;

	gethostname(o.host, sizeof(o.host) - 1);
	opterr = 0;
	while ((key = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		r = take_option(key, argv, &o, status);
		if (r)
			return r;
	}
	if (optind < argc)
		return wrong(status, "unexpected argument \"%s\"%s", argv[optind], "");
	if (!o.kubernetes && (o.kubeconfig || o.daemonset))
		return wrong(status, "%s: only with --source kubernetes%s",
			     o.kubeconfig ? "--kubeconfig" : "--daemonset", "");
	if (!o.ca_cert != !o.ca_key || (o.ca_root && !o.ca_cert))
		return wrong(status, "%s: only with %s",
			     !o.ca_cert ? o.ca_key ? "--ca-key" : "--ca-root" : "--ca-cert",
			     !o.ca_cert ? "--ca-cert" : "--ca-key");
	if (o.kubernetes && !o.enrol_given)
		o.kernel.enrol = ENROL_LABELLED;
	*out = o;
	return 0;
}
