// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "daemon/api/control.h"
#include "daemon/api/health.h"
#include "daemon/api/node_health.h"
#include "daemon/api/ready.h"
#include "daemon/api/refusal_lines.h"
#include "daemon/engine/identity_nodes.h"
#include "daemon/identity/cluster_signer.h"
#include "daemon/identity/file_signer.h"
#include "lib/base/heap.h"
#include "lib/base/log.h"
#include "daemon/start/dirs.h"
#include "daemon/start/metrics_start.h"
#include "daemon/start/netns_lock.h"
#include "daemon/start/notify.h"
#include "daemon/start/options.h"
#include "daemon/start/sources.h"
#include "daemon/tracing/tracing.h"
#include "daemon/source/kubernetes_cache.h"
#include "daemon/bpf/pin.h"
#include "daemon/page/page.h"
#include "daemon/resolve/resolver.h"
#include "weft/tproxy.h"
#include "daemon/supervisor/access_follow.h"
#include "daemon/supervisor/access_pipe.h"
#include "daemon/supervisor/supervisor.h"
#include "lib/wire/wire_client.h"

/* Where the last weftd of a run directory pinned: so that --detach finds it without being told. */
#define BPFFS_NOTE "weftd.bpffs"
/* Where the last weftd of a state directory ran: its weft-proxy may still do. */
#define RUN_NOTE "weftd.run-dir"

DEFINE_CLEANUP(struct kernel *, kernel_close);
DEFINE_CLEANUP(struct supervisor *, supervisor_close);
DEFINE_CLEANUP(struct access_pipe *, access_pipe_close);
DEFINE_CLEANUP(struct engine *, engine_free);
DEFINE_CLEANUP(struct resolver *, resolver_close);
DEFINE_CLEANUP(struct event_loop *, event_loop_close);
DEFINE_CLEANUP(struct identities *, identities_close);
DEFINE_CLEANUP(struct file_signer *, file_signer_close);
DEFINE_CLEANUP(struct cluster_signer *, cluster_signer_close);
DEFINE_CLEANUP(struct health *, health_close);
DEFINE_CLEANUP(struct node_health *, node_health_close);
DEFINE_CLEANUP(struct page *, page_close);
DEFINE_CLEANUP(struct access_follow *, access_follow_close);
DEFINE_CLEANUP(struct refusal_lines *, refusal_lines_close);
DEFINE_CLEANUP(struct metrics_start *, metrics_start_close);
DEFINE_CLEANUP(struct tracing *, tracing_close);

/* All directories and the network namespace, so that two daemons can't share any. */
struct locks {
	int run, state, bpffs, netns;
};

static const struct locks no_locks = { -1, -1, -1, -1 };

static void unlock(struct locks *l)
{
	closep(&l->run);
	closep(&l->state);
	closep(&l->bpffs);
	closep(&l->netns);
}

static int lock_one(const char *dir, long *pid)
{
	int r = dir_make(dir);

	return r ? r : dir_lock(dir, pid);
}

static int busy(const char *dir, long pid)
{
	log_err(0, "another weftd (process %ld) runs on %s", pid, dir);
	return -EBUSY;
}

/* If both are one directory, one lock is enough. */
static int lock_state(const struct options *o, struct locks *l)
{
	long pid = 0;

	if (dir_same(o->run_dir, o->state_dir))
		return 0;
	l->state = lock_one(o->state_dir, &pid);
	if (l->state == -EBUSY)
		return busy(o->state_dir, pid);
	return l->state < 0 ? l->state : 0;
}

static int lock_bpffs(const char *dir, struct locks *l)
{
	l->bpffs = dir_lock_itself(dir);
	if (l->bpffs != -EBUSY)
		return l->bpffs < 0 ? l->bpffs : 0;
	log_err(0, "another weftd, with another --run-dir, is using --bpffs %s", dir);
	return -EBUSY;
}

static int lock_netns(struct locks *l)
{
	pid_t pid = 0;

	l->netns = netns_lock(&pid);
	if (l->netns != -EBUSY)
		return 0;
	log_err(0,
		"another weftd (process %d), with other directories, runs in this network "
		"namespace: there is one for each",
		(int)pid);
	return -EBUSY;
}

/* What is pinned elsewhere would steer on, beside what this weftd is about to attach. */
static int check_bpffs(const struct options *o)
{
	_cleanup_free_ char *noted = dir_noted(o->run_dir, BPFFS_NOTE);

	if (!noted || dir_same(noted, o->kernel.bpffs) || !kernel_pinned(noted))
		return 0;
	log_err(0,
		"--bpffs %s: the last weftd on %s has pinned its programs in %s: start with "
		"--bpffs %s, or run `weftd --detach` first, which ends what is steered",
		o->kernel.bpffs, o->run_dir, noted, noted);
	return -EEXIST;
}

/* A weft-proxy that is not found would go on by old rules, with connections that count no more. */
static int check_run_dir(const struct options *o)
{
	_cleanup_free_ char *noted = dir_noted(o->state_dir, RUN_NOTE);

	if (!noted || dir_same(noted, o->run_dir) || !supervisor_runs(noted))
		return 0;
	log_err(0,
		"--run-dir %s: weft-proxy still runs on %s: start with --run-dir %s, or run `weftd "
		"--detach --run-dir %s` first, which ends what is steered",
		o->run_dir, noted, noted, noted);
	return -EEXIST;
}

static int lock(const struct options *o, struct locks *l)
{
	long pid = 0;
	int r;

	l->run = lock_one(o->run_dir, &pid);
	if (l->run == -EBUSY)
		return busy(o->run_dir, pid);
	if (l->run < 0)
		return l->run;
	r = lock_state(o, l);
	if (!r)
		r = check_bpffs(o);
	if (!r)
		r = check_run_dir(o);
	if (r)
		return r;
	do {
		r = pin_mkdirs(o->kernel.bpffs);
		if (r)
			return log_err(r, "make the directory %s", o->kernel.bpffs);
		r = lock_bpffs(o->kernel.bpffs, l);
	} while (r == -ENOENT); /* another weftd has just been detached from it */
	return r ? r : lock_netns(l);
}

/* A daemon that runs on the directory takes everything out itself. */
static int ask_to_detach(const struct options *o)
{
	_cleanup_(json_decrefp) json_t *request = json_pack("{s:s}", "command", "uninstall");
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int fd = wire_connect(o->run_dir);
	int r = fd < 0 ? fd : wire_call(fd, request, NULL, 0, &reply);

	if (!r && !json_is_true(json_object_get(reply, "ok")))
		r = -EIO;
	return r ? log_err(r, "ask the weftd on %s to detach", o->run_dir) : 0;
}

/* Where the rules are is only known of a weftd that runs: of another one, nothing is said. */
static void tell_detached(const struct options *o, const char *at, bool pinned)
{
	bool kept = !access(o->state_dir, F_OK);

	if (!pinned)
		log_info("nothing was pinned in %s", at);
	else
		log_info("what was pinned in %s, and attached from there, is removed%s%s%s", at,
			 kept ? "; the rules stored in " : "", kept ? o->state_dir : "",
			 kept ? " are kept" : "");
}

static int detach(const struct options *o)
{
	_cleanup_(unlock) struct locks locks = no_locks;
	_cleanup_free_ char *bpffs = dir_noted(o->run_dir, BPFFS_NOTE);
	const char *at = bpffs;
	pid_t other = 0;
	bool pinned;
	long pid = 0;
	int r;

	locks.run = lock_one(o->run_dir, &pid);
	if (locks.run == -EBUSY)
		return ask_to_detach(o);
	if (locks.run < 0)
		return locks.run;
	if (!bpffs || o->bpffs_given)
		at = o->kernel.bpffs;
	r = lock_bpffs(at, &locks);
	if (r && r != -ENOENT)
		return r;
	locks.netns = netns_lock(&other);
	if (locks.netns == -EBUSY)
		log_info("another weftd (process %d) runs in this network namespace: only what is "
			 "pinned in %s goes",
			 (int)other, at);
	pinned = !access(at, F_OK);
	r = kernel_detach(at, locks.netns == -EBUSY);
	supervisor_stop(o->run_dir);
	if (!r)
		tell_detached(o, at, pinned);
	return r;
}

/* weftd's own output is weft-proxy's by way of weftd only: it may end with a container, which
 * weft-proxy outlives. */
static int open_access_log(const struct options *o, struct event_loop *loop, int *out,
			   struct access_pipe **pipe)
{
	const char *file = o->access_log;

	if (!file)
		return 0;
	if (strcmp(file, "-") == 0)
		return access_pipe_open(o->run_dir, loop, STDOUT_FILENO, out, pipe);
	*out = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	return *out < 0 ? log_err(-errno, "open %s", file) : 0;
}

static void proxy_died(void *kernel, int slot, int held)
{
	kernel_proxy_died(kernel, slot, held);
}

static int set_listeners(struct kernel *kernel, const struct supervisor *supervisor)
{
	int fds[PROXY_MAX_WORKERS];
	unsigned count = supervisor_workers(supervisor);

	for (unsigned i = 0; i < count; i++)
		fds[i] = supervisor_listener(supervisor, i);
	return kernel_set_listeners(kernel, fds, count);
}

/* Into *access_log and *pipe goes what the supervisor borrows. */
static int open_supervisor(const struct options *o, struct event_loop *loop, struct kernel *kernel,
			   const struct tracing *tracing, int *access_log,
			   struct access_pipe **pipe, struct supervisor **out)
{
	struct supervisor_options options = {
		.run_dir = o->run_dir,
		.workers = o->workers,
		.log_level = o->log_level,
		.access_log_json = strcmp(o->access_log_format, "json") == 0,
		.spans = tracing_fd(tracing),
		.drain_ms = o->drain_s * 1000,
		.fds = { { "--cluster-stats-fd", kernel_map(kernel, "http_clusters") },
			 { "--route-stats-fd", kernel_map(kernel, "http_routes") },
			 { "--listener-stats-fd", kernel_map(kernel, "http_listeners") },
			 { "--traffic-fd", kernel_map(kernel, "http_traffic") },
			 { "--limits-fd", kernel_map(kernel, "limits") },
			 { "--pod-addrs-fd", kernel_map(kernel, "pod_addrs") },
			 { "--pods-fd", kernel_map(kernel, "pods") },
			 { "--nics-fd", kernel_map(kernel, "nics") } },
		.fd_count = 8,
		.on_death = proxy_died,
		.arg = kernel,
	};
	int r = open_access_log(o, loop, access_log, pipe);

	options.access_log = *access_log;
	if (!r)
		r = supervisor_open(&options, loop, out);
	return r ? r : set_listeners(kernel, *out);
}

static int open_tracing(const struct options *o, struct event_loop *loop, struct tracing **out)
{
	if (o->tracing_endpoint.url[0])
		return tracing_open(&o->tracing_endpoint, o->run_dir, loop, out);
	tracing_forget(o->run_dir);
	return 0;
}

static void remove_socket(const char *run_dir)
{
	struct sockaddr_un at;

	if (!wire_address(run_dir, &at))
		unlink(at.sun_path);
}

static int open_loop(struct event_loop **out)
{
	int r = event_loop_open(out);

	return r ? log_err(r, "make an event loop") : 0;
}

/* Where it is not asked for, something else may have the port. */
static int open_health(const struct options *o, struct event_loop *loop, struct weftd *d,
		       struct health **out)
{
	const struct health_options options = {
		.loop = loop, .address = o->health, .each_reason = ready_each_reason, .arg = d
	};
	int r = strcmp(o->health, "off") == 0 ? 0 : health_open(&options, out);

	if (r && o->health_given)
		return log_err(r, "--health: listen at %s", o->health);
	if (r)
		log_warning("health is not answered for at %s, see --health: %s", o->health,
			    strerror(-r));
	return 0;
}

/* Traffic is steered whether or not anybody can look at it. */
static void open_page(const struct options *o, struct weftd *d, struct page **out)
{
	const struct page_options options = { .address = o->dashboard, .run_dir = o->run_dir };

	if (o->dashboard && !page_open(&options, out))
		d->dashboard = o->dashboard;
}

static int open_resolver(const struct options *o, struct event_loop *loop, struct resolver **out)
{
	const struct resolver_options options = { .loop = loop,
						  .state_dir = o->state_dir,
						  .server = o->dns };

	return resolver_open(&options, out);
}

/* What the callbacks of the certificates' signer work on. */
struct runs_on {
	struct engine *engine; /* NULL: not yet */
	enum enrol_mode enrol;
};

static bool runs_on(void *arg, const char *node, const char *identity)
{
	const struct runs_on *r = arg;

	return r->engine && identity_runs_on(engine_objects(r->engine), r->enrol, node, identity);
}

/* Without --ca-cert a cluster has one of its own. */
static int open_cluster_signer(const struct options *o, struct event_loop *loop,
			       const struct sources *sources, struct runs_on *runs,
			       struct identities *ids, struct cluster_signer **signer)
{
	const struct cluster_signer_options options = { .config = sources->config,
							.namespace = sources->agents_in,
							.node = options_node(o),
							.ttl_s = o->workload_cert_ttl,
							.loop = loop,
							.runs = runs_on,
							.arg = runs };
	int r;

	if (o->ca_cert || !sources->config)
		return 0;
	runs->enrol = o->kernel.enrol;
	r = cluster_signer_open(&options, ids, signer);
	return r ? log_err(r, "make certificates for mutual TLS") : 0;
}

/* Of this node's pods, for mutual TLS. */
static int open_identities(const struct options *o, struct event_loop *loop,
			   struct identities **out, struct file_signer **signer)
{
	const struct file_signer_options options = { .cert = o->ca_cert,
						     .key = o->ca_key,
						     .roots = o->ca_root,
						     .ttl_s = o->workload_cert_ttl,
						     .loop = loop };
	int r = identities_open(loop, out);

	if (!r && o->ca_cert)
		r = file_signer_open(&options, *out, signer);
	return r ? log_err(r, "make certificates for mutual TLS") : 0;
}

static void tell_lacking(void *arg, const char *what)
{
	(void)arg;
	log_warning("the container lacks %s", what);
}

/* No other weftd comes to take over what they have. Rules of files stay: they were the user's. */
static void leave_dirs(const struct options *o)
{
	kube_cache_remove(o->state_dir);
	answers_remove(o->state_dir);
	dir_leave(o->state_dir, RUN_NOTE);
	dir_leave(o->run_dir, BPFFS_NOTE);
}

static int serve(const struct options *o)
{
	_cleanup_(unlock) struct locks locks = no_locks;
	_cleanup_(event_loop_closep) struct event_loop *loop = NULL;
	_cleanup_(kernel_closep) struct kernel *kernel = NULL;
	_cleanup_(sources_close) struct sources sources = { 0 };
	_cleanup_close_ int access_log = -1, listener = -1;
	_cleanup_(access_pipe_closep) struct access_pipe *pipe = NULL;
	_cleanup_(tracing_closep) struct tracing *spans = NULL;
	_cleanup_(supervisor_closep) struct supervisor *supervisor = NULL;
	_cleanup_(resolver_closep) struct resolver *resolver = NULL;
	_cleanup_(identities_closep) struct identities *identities = NULL;
	_cleanup_(file_signer_closep) struct file_signer *signer = NULL;
	_cleanup_(cluster_signer_closep) struct cluster_signer *cluster_signer = NULL;
	struct runs_on runs = { 0 };
	_cleanup_(engine_freep) struct engine *engine = NULL;
	_cleanup_(health_closep) struct health *health = NULL;
	_cleanup_(node_health_closep) struct node_health *node_health = NULL;
	_cleanup_(page_closep) struct page *page = NULL;
	_cleanup_(refusal_lines_closep) struct refusal_lines *refusal_lines = NULL;
	_cleanup_(access_follow_closep) struct access_follow *access_follow = NULL;
	struct access_follow_more more;
	_cleanup_(metrics_start_closep) struct metrics_start *metrics = NULL;
	struct weftd d = { .bpffs = o->kernel.bpffs,
			   .state_dir = o->state_dir,
			   .enrol = o->kernel.enrol,
			   .registry_only = o->kernel.registry_only,
			   .node_name = o->node_name };
	int r = kernel_check(&o->kernel);

	if (!r)
		r = supervisor_check();
	if (!r)
		r = lock(o, &locks);
	if (!r)
		r = open_loop(&loop);
	if (!r)
		r = metrics_start_open(o, loop, &metrics);
	if (!r)
		r = open_tracing(o, loop, &spans);
	if (!r)
		r = sources_open(o, loop, &sources);
	if (!r)
		r = dir_note(o->run_dir, BPFFS_NOTE, o->kernel.bpffs);
	if (!r)
		r = dir_note(o->state_dir, RUN_NOTE, o->run_dir);
	if (!r)
		r = kernel_open(&o->kernel, loop, &kernel);
	if (!r)
		r = open_supervisor(o, loop, kernel, spans, &access_log, &pipe, &supervisor);
	if (!r)
		r = open_health(o, loop, &d, &health);
	if (!r)
		r = open_resolver(o, loop, &resolver);
	if (!r)
		r = open_identities(o, loop, &identities, &signer);
	if (!r)
		r = open_cluster_signer(o, loop, &sources, &runs, identities, &cluster_signer);
	if (r)
		return r;
	engine = engine_new(kernel, supervisor, sources.list, sources.count,
			    &(struct engine_options){ .node = options_node(o),
						      .secrets_in = sources.secrets_in,
						      .resolver = resolver,
						      .registry_only = o->kernel.registry_only,
						      .client_tls_dir = o->client_tls_dir,
						      .tracing = { o->tracing_sampling, spans },
						      .identities = identities });
	runs.engine = engine;
	r = engine ? engine_start(engine) : log_err(-ENOMEM, "start");
	if (!r)
		r = engine_watch_certificates(engine, loop);
	if (!r)
		r = engine_watch_names(engine, loop);
	if (!r)
		r = sources_start(&sources, engine);
	if (r)
		return r;
	if (!engine_holds(engine))
		supervisor_settle(supervisor);
	if (!supervisor_took_over(supervisor))
		kernel_drop_tproxy(kernel);
	/* The socket is there from when orders can be taken: that is what weft status --wait waits
	 * for. */
	listener = control_listen(o->run_dir);
	if (listener < 0)
		return listener;
	d.kernel = kernel;
	d.engine = engine;
	d.supervisor = supervisor;
	d.files = sources.store ? &sources.files : NULL;
	d.kubernetes = sources.kubernetes;
	d.leave = sources.leave;
	r = node_health_open(loop, &d, o->health_wait_s, &node_health);
	if (r)
		return log_err(r, "answer at healthCheckNodePorts");
	d.node_health = node_health;
	open_page(o, &d, &page);
	r = refusal_lines_open(&d, kernel, &refusal_lines);
	if (!r) {
		refusal_lines_more(refusal_lines, &more);
		r = access_follow_open(loop, supervisor, &more, &access_follow);
	}
	if (r)
		return log_err(r, "follow the access log");
	d.access_follow = access_follow;
	d.tracing = spans;
	r = tracing_begin(spans, engine);
	if (r)
		return r;
	r = metrics_start_serve(metrics, &d);
	if (r)
		return r;
	supervisor_each_lacking(supervisor, o->state_dir, tell_lacking, NULL);
	log_info("ready: %zu objects, generation %llu", engine_objects(engine)->count,
		 (unsigned long long)kernel_generation(kernel));
	notify_ready();
	malloc_trim(0); /* what loading the programs has left */
	r = control_run(&d, loop, listener);
	remove_socket(o->run_dir);
	if (d.left)
		leave_dirs(o);
	return r;
}

int main(int argc, char **argv)
{
	char cgroup[512];
	struct options o;
	int status, r;

	heap_keep_little();
	log_set("weftd", LOG_LEVEL_INFO);
	if (options_parse(argc, argv, &o, &status))
		return status;
	if (!o.detach && !o.kernel.cgroup && !kernel_default_cgroup(cgroup, sizeof(cgroup)))
		o.kernel.cgroup = cgroup;
	log_set("weftd", o.log_level);
	r = o.detach ? detach(&o) : serve(&o);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
