/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/preflight.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "daemon/bpf/cgroup.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "daemon/bpf/pin.h"
#include "daemon/netlink/netlink_query.h"
#include "daemon/node/match.h"

/* One line without an errno's words behind it. */
static __attribute__((format(printf, 2, 3))) int refuse(int r, const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	log_err(0, "%s", line);
	return r;
}

enum { KERNEL_MAJOR = 6, KERNEL_MINOR = 1 };

static const struct {
	int bit;
	const char *name;
} needed[] = {
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" }, { CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ CAP_NET_RAW, "CAP_NET_RAW" },	    { CAP_NET_BROADCAST, "CAP_NET_BROADCAST" },
	{ CAP_KILL, "CAP_KILL" }, /* weft-proxy is another user's */
};

int preflight_privileges(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &head, data))
		return log_err(-errno, "read the capabilities");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!(data[needed[i].bit / 32].effective & (1u << needed[i].bit % 32)))
			return refuse(-EPERM, "weftd must run as root: %s is missing",
				      needed[i].name);
	}
	return 0;
}

static int check_kernel(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	if (sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
	    (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)))
		return 0;
	return refuse(-ENOSYS, "Linux %s is too old: weft needs %d.%d or later", u.release,
		      KERNEL_MAJOR, KERNEL_MINOR);
}

static int check_btf(void)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK))
		return 0;
	return refuse(-ENOENT, "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF): "
			       "/sys/kernel/btf/vmlinux is not there");
}

int preflight_bpffs(const char *dir)
{
	struct pin_path at;
	struct statfs s;
	int r = pin_nearest(&at, dir);

	if (r || statfs(at.s, &s))
		return log_err(r ? r : -errno, "--bpffs %s", dir);
	if (s.f_type == BPF_FS_MAGIC)
		return 0;
	return refuse(-EINVAL, "--bpffs %s is not on a bpf file system: mount -t bpf bpf %s", dir,
		      at.s);
}

static int check_interface(void *arg, const char *pattern)
{
	const char *option = arg;

	if (match_is_glob(pattern) || if_nametoindex(pattern))
		return 0;
	return refuse(-ENODEV, "%s %s: no such interface", option, pattern);
}

/* The programs look for an Ethernet header, or for none. */
static int check_nic(void *arg, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct ifreq q = {};
	int r = strcmp(name, "auto") ? check_interface(arg, name) : 0;

	if (r || match_is_glob(name) || !strcmp(name, "auto"))
		return r;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(q.ifr_name, sizeof(q.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &q))
		return log_err(-errno, "--nic %s", name);
	if (nl_framing_of(q.ifr_hwaddr.sa_family) != NL_FRAMING_OTHER)
		return 0;
	return refuse(-EINVAL, "--nic %s: its packets are neither Ethernet frames nor bare IP",
		      name);
}

static int check_interfaces(const struct kernel_options *o)
{
	int r = 0;

	if (o->pods && strcmp(o->pods, "auto") != 0)
		r = match_each(o->pods, check_interface, "--pods");
	if (!r && o->nic)
		r = match_each(o->nic, check_nic, "--nic");
	return r;
}

static int check_cgroup(const char *dir, const char *bpffs)
{
	int r;

	if (dir) {
		r = cgroup_check(dir);
		return r ? r : cgroup_check_pinned(bpffs, dir);
	}
	return refuse(-ENOENT, "cgroup v2 is not mounted: mount -t cgroup2 cgroup2 DIR");
}

int preflight(const struct kernel_options *o)
{
	int r = preflight_privileges();

	if (!r)
		r = check_kernel();
	if (!r)
		r = check_btf();
	if (!r)
		r = preflight_bpffs(o->bpffs);
	if (!r)
		r = check_cgroup(o->cgroup, o->bpffs);
	if (!r)
		r = check_interfaces(o);
	return r;
}
