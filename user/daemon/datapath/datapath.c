/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/datapath.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "daemon/bpf/attach.h"
#include "daemon/bpf/cgroup.h"
#include "daemon/bpf/xdp.h"
#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "daemon/netlink/netlink.h"
#include "daemon/node/tproxy_rules.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/id_set.h"
#include "lib/base/log.h"
#include "daemon/bpf/pin.h"
#include "daemon/datapath/preflight.h"

DEFINE_CLEANUP(struct kernel *, kernel_close);

static struct kernel *kernel_new(const char *dir, struct event_loop *loop)
{
	struct kernel *k = calloc(1, sizeof(*k));
	struct utsname u;

	if (!k)
		return NULL;
	k->loop = loop;
	sweep_init(&k->sweep);
	guard_init(&k->guard);
	published_init(&k->published);
	k->cpus = libbpf_num_possible_cpus();
	uname(&u);
	snprintf(k->release, sizeof(k->release), "%s", u.release);
	k->dir = strdup(dir);
	if (!k->dir || k->cpus < 0) {
		free(k->dir);
		free(k);
		return NULL;
	}
	return k;
}

/* Its ids are those of an earlier weftd, and say nothing to this one. */
static int note_source(void *arg, const void *key, const void *value)
{
	struct caller *row = table_push(&((struct callers *)arg)->rows);

	(void)value;
	if (!row)
		return -ENOMEM;
	row->addr = *(const struct addr *)key;
	return 0;
}

/* Of the generation that an earlier weftd has left in force. */
static int read_sources(struct kernel *k, struct addr_set *out)
{
	_cleanup_close_ int fd = publish_open_table(&k->loader, MAP_GEN_SOURCES);
	struct callers *callers = &k->published.callers;
	int r;

	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd
		   : map_walk(fd, sizeof(struct addr), sizeof(struct source), note_source, callers);
	if (!r)
		r = callers_shrink(callers);
	for (size_t i = 0; !r && i < callers->rows.count; i++)
		r = addr_set_add(out, &callers->rows.items[i].addr);
	return r ? log_err(r, "read the sources in force") : 0;
}

/* ---- who was in the mesh when an earlier weftd ended ---- */

struct members {
	struct ids outside; /* interfaces */
	struct addr_set *addrs;
};

static int note_outside(void *arg, const void *key, const void *value)
{
	struct members *m = arg;
	int r = ((const struct pod *)value)->outside ? ids_add(&m->outside, *(const __u32 *)key)
						     : 0;

	return r < 0 ? r : 0;
}

static int note_member(void *arg, const void *key, const void *value)
{
	struct members *m = arg;

	return ids_has(&m->outside, *(const __u32 *)value) ? 0 : addr_set_add(m->addrs, key);
}

/* Until the first generation of this one says who is. */
static int read_members(struct kernel *k, struct addr_set *out)
{
	struct members m = { .addrs = out };
	int r = map_walk(k->loader.map[MAP_PODS], sizeof(__u32), sizeof(struct pod), note_outside,
			 &m);

	if (!r)
		r = map_walk(k->loader.map[MAP_POD_ADDRS], sizeof(struct addr), sizeof(__u32),
			     note_member, &m);
	ids_free(&m.outside);
	return r ? log_err(r, "read which pods are in the mesh") : 0;
}

static int end_gone(void *arg, const struct addr_list *gone)
{
	return sweep_gone(arg, gone);
}

static void check_soon(void *arg)
{
	guard_soon(arg);
}

static int open_node(struct kernel *k, const struct kernel_options *o)
{
	_cleanup_(addr_set_free) struct addr_set sources = {}, members = {};
	int tproxy = kernel_leads_to_proxy(k);
	int r = tproxy < 0 ? tproxy : read_sources(k, &sources);

	if (!r)
		r = read_members(k, &members);
	if (r)
		return r;
	return node_open(&(struct node_options){ .dir = k->dir,
						 .loop = k->loop,
						 .loader = &k->loader,
						 .pods = o->pods,
						 .nic = o->nic,
						 .shortcut = o->shortcut,
						 .xdp = o->xdp,
						 .all_pods = k->enrol == ENROL_ALL,
						 .sources = &sources,
						 .members = &members,
						 .tproxy = tproxy,
						 .gone = end_gone,
						 .changed = check_soon,
						 .arg = k },
			 &k->node);
}

static int open_parts(struct kernel *k, const struct kernel_options *o)
{
	const struct loader_options options = { .max_connections = o->max_connections,
						.refuse_unseen = o->refuse_unseen,
						.registry_only = o->registry_only,
						.xdp = o->xdp != XDP_OFF };
	int r = loader_open(&k->loader, k->dir, &options);

	if (!r)
		r = counters_open(&k->counters, &k->loader);
	if (!r)
		r = protect_open(&k->protect, &k->loader);
	if (!r)
		r = authz_open(&k->authz, &k->loader);
	if (!r)
		r = tcp_rows_open(k);
	if (!r)
		r = traffic_keep_open(k);
	if (!r)
		r = sweep_open(k);
	if (!r)
		r = open_node(k, o);
	if (!r)
		r = cgroup_attach(&k->loader, k->dir, k->cgroup);
	if (!r)
		r = guard_open(k);
	return r;
}

int kernel_default_cgroup(char *out, size_t size)
{
	int r = cgroup_root(out, size);

	if (!r && !cgroup_is_whole(out))
		log_warning(
			"%s is only this container's part of cgroup v2: the pods' processes are "
			"elsewhere, and --cgroup must say where",
			out);
	return r;
}

enum enrol_mode kernel_enrol(const struct kernel *k)
{
	return k->enrol;
}

int kernel_check(const struct kernel_options *options)
{
	return preflight(options);
}

bool kernel_pinned(const char *bpffs)
{
	struct pin_path path;

	return !pin_path(&path, bpffs, NULL, loader_map_name(MAP_GENERATION)) &&
	       !access(path.s, F_OK);
}

int kernel_open(const struct kernel_options *options, struct event_loop *loop, struct kernel **out)
{
	_cleanup_(kernel_closep) struct kernel *k = NULL;
	int r = preflight(options);

	if (r)
		return r;
	r = pin_mkdirs(options->bpffs);
	if (r)
		return log_err(r, "make the directory %s", options->bpffs);
	k = kernel_new(options->bpffs, loop);
	if (k)
		k->enrol = options->enrol;
	if (k &&
	    snprintf(k->cgroup, sizeof(k->cgroup), "%s", options->cgroup) >= (int)sizeof(k->cgroup))
		return log_err(-ENAMETOOLONG, "--cgroup %s", options->cgroup);
	r = k ? open_parts(k, options) : log_err(-ENOMEM, "start");
	if (r)
		return r;
	*out = TAKE_PTR(k);
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	guard_free(&k->guard);
	node_close(k->node);
	sweep_free(&k->sweep);
	tcp_rows_free(&k->tcp_rows);
	traffic_keep_free(&k->traffic_keep);
	published_free(&k->published);
	protect_free(&k->protect);
	authz_close(&k->authz);
	counters_free(&k->counters);
	tcp_ledger_free(&k->ledger);
	loader_close(&k->loader);
	free(k->dir);
	free(k);
}

static void remove_dirs(const char *dir)
{
	static const char *const subs[] = { "link", "xdp", "qdisc", "prog", NULL };
	struct pin_path path;

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++) {
		int r = pin_path(&path, dir, subs[i], NULL);

		if (!r)
			r = pin_rmdir(path.s);
		if (r)
			log_warning("%s stays: %s", path.s, strerror(-r));
	}
}

int kernel_detach(const char *bpffs, bool shared)
{
	_cleanup_close_ int netlink = -1;
	int r = preflight_privileges();

	if (!r)
		r = preflight_bpffs(bpffs);
	if (r)
		return r;
	netlink = nl_open();
	if (netlink < 0)
		return log_err(netlink, "open a netlink socket");
	r = cgroup_detach(bpffs);
	if (!r && (r = xdp_remove_all(bpffs)))
		log_err(r, "take XDP programs off");
	if (!r)
		r = loader_unpin(bpffs);
	if (!r)
		r = shared ? attach_detach_pinned(bpffs, netlink)
			   : attach_detach_all(bpffs, netlink);
	if (!r && !shared)
		r = tproxy_remove(netlink);
	if (!r && !access(bpffs, F_OK))
		remove_dirs(bpffs);
	return r;
}

int kernel_explain(struct kernel *k, const struct question *q, struct verdict *out)
{
	char in[EXPLAIN_PACKET] = {}, answer[EXPLAIN_PACKET] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(in),
		    .data_out = answer, .data_size_out = sizeof(answer), .repeat = 1);

	memcpy(in, q, sizeof(*q));
	if (bpf_prog_test_run_opts(k->loader.prog[PROG_EXPLAIN], &opts))
		return log_err(-errno, "run the explain program");
	memcpy(out, answer, sizeof(*out));
	return 0;
}
