// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "cli/install.h"
#include "lib/base/json_io.h"
#include "lib/kube/unsupported.h"
#include "lib/wire/wire_client.h"

enum { BPFFS_MAGIC = 0xcafe4a11, KERNEL_MAJOR = 6, KERNEL_MINOR = 1 };

static void check_kernel(struct checklist *l)
{
	struct utsname u;
	int major = 0, minor = 0;
	bool known = !uname(&u) && sscanf(u.release, "%d.%d", &major, &minor) == 2;

	checklist_add(l,
		      known && (major > KERNEL_MAJOR ||
				(major == KERNEL_MAJOR && minor >= KERNEL_MINOR)),
		      "kernel is 6.1 or newer", json_text(known ? u.release : "unknown"));
}

static void check_btf(struct checklist *l)
{
	bool there = !access("/sys/kernel/btf/vmlinux", R_OK);

	checklist_add(l, there, "kernel has BTF",
		      json_text(there ? "/sys/kernel/btf/vmlinux" : strerror(errno)));
}

static void check_root(struct checklist *l)
{
	checklist_add(l, geteuid() == 0, "run by root", json_textf("uid %u", geteuid()));
}

/* The directory itself need not be there before weftd has run; what is above it decides. */
static void check_bpffs(struct checklist *l, const char *dir)
{
	_cleanup_free_ char *path = strdup(dir);
	struct statfs fs;
	char *slash;

	while (path && statfs(path, &fs) && (slash = strrchr(path, '/')) && slash != path)
		*slash = 0;
	checklist_add(l, path && !statfs(path, &fs) && (unsigned)fs.f_type == BPFFS_MAGIC,
		      "a BPF file system is mounted", json_text(dir));
}

static json_t *ask_status(const struct cli *cli)
{
	_cleanup_(json_decrefp) json_t *request = client_request("status");
	_cleanup_(json_decrefp) json_t *reply = NULL;
	_cleanup_close_ int fd = wire_connect(cli->run_dir);

	if (fd < 0 || wire_call(fd, request, NULL, 0, &reply))
		return NULL;
	return json_incref(json_object_get(reply, "data"));
}

static void check_hooks(struct checklist *l, const json_t *status)
{
	const json_t *cgroup = json_object_get(status, "cgroup");
	const char *netfilter = json_get_text(status, "netfilter", "");
	long long hooks = json_get_int(cgroup, "hooks", 0),
		  wanted = json_get_int(cgroup, "wanted", 0),
		  foreign = json_get_int(cgroup, "foreign", 0),
		  unknown = json_get_int(status, "pods_unknown", 0);

	checklist_add(l, wanted && hooks == wanted, "connections are steered at connect()",
		      json_textf("%lld of %lld programs on %s", hooks, wanted,
				 json_get_text(cgroup, "path", "?")));
	if (foreign)
		checklist_note(
			l, "programs of others run at connect(), too",
			json_textf("%lld: a socket load balancer sees the endpoint, or hides the "
				   "service",
				   foreign));
	if (*netfilter && json_is_true(json_object_get(status, "handover")))
		checklist_note(l, "rules in FORWARD do not see what weft-proxy sends on",
			       json_textf("netfilter: %s", netfilter));
	if (unknown)
		checklist_note(l, "pods whose network namespace is not found",
			       json_textf("%lld: their packets are steered", unknown));
}

/* What weftd has put into the kernel and does not find there. */
static void check_missing(struct checklist *l, const json_t *status)
{
	json_t *missing = json_object_get(status, "missing"), *what;
	size_t i;

	if (!json_array_size(missing))
		checklist_add(l, true, "all that weftd needs is in the kernel",
			      json_text("looked at now"));
	json_array_foreach(missing, i, what)
		checklist_add(l, false, "all that weftd needs is in the kernel",
			      json_textf("missing: %s", json_string_value(what)));
}

/* An object that opens what its author has closed is a fault of the installation; others that are
 * wrong are their authors' affair. */
static void check_objects(struct checklist *l, const json_t *source)
{
	json_t *problem;
	size_t i;

	json_array_foreach(json_object_get(source, "problems"), i, problem)
	{
		const char *kind = json_get_text(problem, "kind", "");
		const struct unsupported_kind *k = unsupported_find(kind);
		_cleanup_json_ json_t *what = json_textf("%s %s/%s", kind,
							 json_get_text(problem, "namespace", ""),
							 json_get_text(problem, "name", "?"));

		if (k && k->closes)
			checklist_add(l, false, json_string_value(what),
				      json_textf("weft does not carry out %s: %s", kind,
						 unsupported_effect(k)));
	}
	if (json_get_int(source, "problem_count", 0))
		checklist_note(l, "objects that are wrong",
			       json_textf("%lld: weft analyze",
					  (long long)json_get_int(source, "problem_count", 0)));
}

static void check_daemon(struct checklist *l, const struct cli *cli, const json_t *status)
{
	const json_t *proxy = json_object_get(status, "proxy");
	json_int_t pods = json_get_int(status, "pods", 0), nics = json_get_int(status, "nics", 0);
	json_t *source;
	size_t i;

	checklist_add(l, status != NULL, "weftd answers",
		      json_textf("%s/" WIRE_SOCKET, cli->run_dir));
	if (!status)
		return;
	checklist_add(l, strcmp(json_get_text(status, "version", ""), WEFT_VERSION) == 0,
		      "weft and weftd are of one version",
		      json_textf("%s and %s", WEFT_VERSION, json_get_text(status, "version", "?")));
	checklist_add(l, pods + nics > 0, "programs are attached",
		      json_textf("%lld pods, %lld interfaces to the outside, by %s",
				 (long long)pods, (long long)nics,
				 json_get_text(status, "attach", "?")));
	check_hooks(l, status);
	check_missing(l, status);
	checklist_add(l, json_get_int(proxy, "pid", 0) > 0, "weft-proxy runs",
		      json_textf("process %lld, %lld workers",
				 (long long)json_get_int(proxy, "pid", 0),
				 (long long)json_get_int(proxy, "workers", 0)));
	json_array_foreach(json_object_get(status, "sources"), i, source) check_objects(l, source);
}

/* What weftd has put on this machine. */
static void check_machine(struct checklist *l, const struct cli *cli)
{
	_cleanup_(json_decrefp) json_t *status = ask_status(cli);

	check_root(l);
	check_kernel(l);
	check_btf(l);
	check_bpffs(l, json_get_text(status, "bpffs", "/sys/fs/bpf/weft"));
	check_daemon(l, cli, status);
}

int cmd_verify_install(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *items = json_array();
	struct checklist l = { items, false };
	struct cluster_options cluster = { 0 };
	const char *file = NULL;
	const struct cmd_option options[] = {
		{ 'f', "filename", .value = &file },
		{ 0, "kubeconfig", .value = &cluster.kubeconfig },
		{ 0, "context", .value = &cluster.context },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (!file && (cluster.kubeconfig || cluster.context))
		return cmd_wrong(argv[0], "--kubeconfig and --context go with -f");
	if (file)
		r = verify_manifest(&cluster, file, &l);
	else
		check_machine(&l, cli);
	return r ? r : checklist_print(&l, cli->output);
}
