// SPDX-License-Identifier: Apache-2.0
#include "proxy/process/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/log.h"

static int step(int failed, const char *what)
{
	return failed ? log_err(-errno, "sandbox: %s", what) : 0;
}

/* How many were detached: with others on top of them, not all are at first. */
static unsigned detach_some(FILE *mounts)
{
	const struct mntent *m;
	unsigned n = 0;

	rewind(mounts);
	while ((m = getmntent(mounts)))
		if (strcmp(m->mnt_dir, "/") != 0 &&
		    !umount2(m->mnt_dir, MNT_DETACH | UMOUNT_NOFOLLOW))
			n++;
	return n;
}

/* A copy of a mount keeps what is mounted busy: a volume, a pod's network namespace. */
static int detach_mounts(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");

	if (!mounts)
		return step(-1, "read /proc/self/mounts");
	while (detach_some(mounts))
		;
	endmntent(mounts);
	return 0;
}

/* Not pivot_root(): there are machines that run from an initramfs, which can't be put aside. */
static int empty_root(void)
{
	int r = step(unshare(CLONE_NEWNS), "make a mount namespace");

	if (!r)
		r = step(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
	if (!r)
		r = detach_mounts();
	if (!r)
		r = step(mount("weft-proxy", "/proc", "tmpfs",
			       MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			       "size=4k,nr_inodes=2,mode=0555"),
			 "mount an empty file system");
	if (!r)
		r = step(chdir("/proc") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot("."),
			 "change the root");
	return r ? r : step(chdir("/"), "change the directory");
}

static int drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap))
			return step(-1, "drop capabilities for good");
	return 0;
}

static int keep_one(int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	data[CAP_TO_INDEX(cap)].effective = data[CAP_TO_INDEX(cap)].permitted = CAP_TO_MASK(cap);
	return syscall(SYS_capset, &head, data) ? -1 : 0;
}

static int change_user(uid_t uid, gid_t gid)
{
	int r = step(setgroups(0, NULL) || setresgid(gid, gid, gid), "change the group");

	if (!r)
		r = step(prctl(PR_SET_KEEPCAPS, 1) || setresuid(uid, uid, uid), "change the user");
	return r ? r : step(keep_one(CAP_NET_RAW), "drop capabilities");
}

int sandbox_enter(uid_t uid, gid_t gid)
{
	static const struct rlimit none = { 0, 0 };
	int r = empty_root();

	if (!r)
		r = step(setrlimit(RLIMIT_CORE, &none), "do without core dumps");
	if (!r)
		r = drop_bounding_set();
	if (!r)
		r = change_user(uid, gid);
	return r ? r : step(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "do without new privileges");
}
