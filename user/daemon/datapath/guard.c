// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/guard.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "daemon/bpf/cgroup.h"
#include "daemon/bpf/pin.h"
#include "daemon/datapath/datapath_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	PERIOD_MS = 4000,
	SOON_MS = 50,
	PAUSE_MIN_MS = 500,
	PAUSE_MAX_MS = 8000,
	REST = 20,	  /* times what a check took until the next: the loop has other work */
	QUIET_MS = 10000, /* after so long without a removal the pauses start anew */
};

typedef void (*tell_fn)(void *arg, const char *what);

void guard_init(struct guard *g)
{
	*g = (struct guard){ .pins.fd = -1, .bpffs = -1 };
}

void guard_free(struct guard *g)
{
	event_timer_close(&g->timer);
	event_close(&g->pins);
	closep(&g->bpffs);
	free(g->mounted);
}

/* ---- the BPF file system ---- */

/* A descriptor keeps the inode of a file system that was unmounted: compares it with the path's. */
static bool is_same(int fd, const char *path)
{
	struct stat held, named;

	return !fstat(fd, &held) && !stat(path, &named) && held.st_dev == named.st_dev &&
	       held.st_ino == named.st_ino;
}

static void bpffs_missing(struct kernel *k, tell_fn tell, void *arg)
{
	char text[PATH_MAX + 32];

	if (is_same(k->guard.bpffs, k->dir))
		return;
	snprintf(text, sizeof(text), "directory %s on a bpf file system", k->dir);
	tell(arg, text);
}

/* The last directory on the way up from `path` that is on its file system. */
static int find_mount(const char *path, char **out)
{
	_cleanup_free_ char *at = realpath(path, NULL);
	struct stat here, above;
	char *slash;

	if (!at || stat(at, &here))
		return -errno;
	while ((slash = strrchr(at, '/')) && slash != at) {
		*slash = 0;
		if (stat(at, &above))
			return -errno;
		if (above.st_dev == here.st_dev)
			continue;
		*slash = '/';
		break;
	}
	*out = TAKE_PTR(at);
	return 0;
}

static int mount_again(const struct kernel *k)
{
	struct pin_path nearest;
	struct statfs s;
	int r = pin_nearest(&nearest, k->dir);

	if (r || statfs(nearest.s, &s))
		return r ? r : -errno;
	if (s.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", k->guard.mounted, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700")
		       ? -errno
		       : 0;
}

/* Links run as long as something holds them: it is they that get a new name, not others in their
 * place. */
static int move_pin(const char *from, const char *to)
{
	_cleanup_close_ int fd = bpf_obj_get(from);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return bpf_obj_pin(fd, to) && errno != EEXIST ? -errno : 0;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Of one directory; what is a directory in it is a mark. */
static int move_pins(const char *from, const char *to)
{
	_cleanup_(closedirp) DIR *d = opendir(from);
	struct pin_path a, b;
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	r = pin_mkdirs(to);
	while (!r && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		r = pin_path(&a, from, NULL, e->d_name);
		if (!r)
			r = pin_path(&b, to, NULL, e->d_name);
		if (!r)
			r = e->d_type == DT_DIR ? pin_mkdirs(b.s) : move_pin(a.s, b.s);
	}
	return r;
}

static void watch_pins(struct kernel *k)
{
	static const char *const subs[] = { NULL, "prog", "link", "xdp", "cgroup" };
	struct pin_path path;

	for (size_t i = 0; k->guard.pins.fd >= 0 && i < sizeof(subs) / sizeof(subs[0]); i++) {
		if (!pin_path(&path, k->dir, subs[i], NULL))
			(void)inotify_add_watch(k->guard.pins.fd, path.s,
						IN_DELETE | IN_DELETE_SELF);
	}
}

static int bpffs_restore(struct kernel *k)
{
	static const char *const subs[] = { NULL, "prog", "link", "xdp", "cgroup", "qdisc" };
	_cleanup_close_ int fd = -1;
	struct pin_path from, to;
	char old[32];
	int r = mount_again(k);

	if (!r)
		r = pin_mkdirs(k->dir);
	if (r)
		return r;
	/* The lock that keeps others from the directory was one on the old one. */
	fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	snprintf(old, sizeof(old), "/proc/self/fd/%d", k->guard.bpffs);
	for (size_t i = 0; !r && i < sizeof(subs) / sizeof(subs[0]); i++) {
		r = pin_path(&from, old, subs[i], NULL);
		if (!r)
			r = pin_path(&to, k->dir, subs[i], NULL);
		if (!r)
			r = move_pins(from.s, to.s);
	}
	if (r)
		return r;
	close(k->guard.bpffs);
	k->guard.bpffs = TAKE_FD(fd);
	return 0;
}

/* ---- pins of maps and programs; the cgroup ---- */

static void pins_missing(struct kernel *k, tell_fn tell, void *arg)
{
	loader_each_missing(&k->loader, k->dir, tell, arg);
}

static int pins_restore(struct kernel *k)
{
	return loader_pin_again(&k->loader, k->dir);
}

static void cgroup_missing(struct kernel *k, tell_fn tell, void *arg)
{
	cgroup_each_missing(&k->loader, k->dir, k->cgroup, k->guard.failed_hook, tell, arg);
}

static int cgroup_restore(struct kernel *k)
{
	return cgroup_put_back(&k->loader, k->dir, k->cgroup, k->guard.failed_hook);
}

/* ---- the node: interfaces, and the way to weft-proxy ---- */

static void interfaces_missing(struct kernel *k, tell_fn tell, void *arg)
{
	node_each_missing(k->node, NODE_INTERFACES, tell, arg);
}

static int interfaces_restore(struct kernel *k)
{
	return node_put_back(k->node, NODE_INTERFACES);
}

static void routing_missing(struct kernel *k, tell_fn tell, void *arg)
{
	node_each_missing(k->node, NODE_ROUTING, tell, arg);
}

static int routing_restore(struct kernel *k)
{
	return node_put_back(k->node, NODE_ROUTING);
}

static void netfilter_missing(struct kernel *k, tell_fn tell, void *arg)
{
	node_each_missing(k->node, NODE_NETFILTER, tell, arg);
}

static int netfilter_restore(struct kernel *k)
{
	return node_put_back(k->node, NODE_NETFILTER);
}

/* ---- the listening sockets ---- */

static void listeners_missing(struct kernel *k, tell_fn tell, void *arg)
{
	char text[64];

	for (unsigned i = 0; i < k->guard.listener_count; i++) {
		if (kernel_listens(k, i, k->guard.listeners[i]))
			continue;
		snprintf(text, sizeof(text), "listening socket of worker %u", i);
		tell(arg, text);
	}
}

/* One that was ended is shut down, and what it accepted would be, too, without a "disconnect". */
static int listen_again(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	socklen_t len = sizeof(int);
	int listens = 0;

	if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) && listens)
		return 0;
	return connect(fd, &none, sizeof(none)) || listen(fd, PROXY_BACKLOG) ? -errno : 0;
}

static int listeners_restore(struct kernel *k)
{
	const struct guard *g = &k->guard;

	for (unsigned i = 0; i < g->listener_count; i++) {
		int r = listen_again(g->listeners[i]);

		if (r)
			return r;
	}
	return kernel_set_listeners(k, g->listeners, g->listener_count);
}

/* ---- all of it ---- */

static const struct {
	const char *name; /* of its counter */
	void (*missing)(struct kernel *k, tell_fn tell, void *arg);
	int (*restore)(struct kernel *k);
} kinds[GUARD_KINDS] = {
	[GUARD_BPFFS] = { "bpffs", bpffs_missing, bpffs_restore },
	[GUARD_PINS] = { "pins", pins_missing, pins_restore },
	[GUARD_CGROUP] = { "cgroup", cgroup_missing, cgroup_restore },
	[GUARD_INTERFACES] = { "interfaces", interfaces_missing, interfaces_restore },
	[GUARD_ROUTING] = { "routing", routing_missing, routing_restore },
	[GUARD_NETFILTER] = { "netfilter", netfilter_missing, netfilter_restore },
	[GUARD_LISTENERS] = { "listeners", listeners_missing, listeners_restore },
};

unsigned guard_pause_ms(unsigned pause_ms, uint64_t quiet_ms)
{
	if (!pause_ms || quiet_ms >= QUIET_MS)
		return PAUSE_MIN_MS;
	return pause_ms < PAUSE_MAX_MS / 2 ? 2 * pause_ms : PAUSE_MAX_MS;
}

/* What a check has found missing: the first by name. */
struct found {
	unsigned count;
	char first[PATH_MAX + 32];
};

static void note(void *arg, const char *what)
{
	struct found *f = arg;

	if (!f->count++)
		snprintf(f->first, sizeof(f->first), "%s", what);
}

/* How many are missing. */
static unsigned check(struct kernel *k, enum guard_kind kind, struct found *f)
{
	f->count = 0;
	kinds[kind].missing(k, note, f);
	return f->count;
}

static const char *and_more(const struct found *f, char text[32])
{
	text[0] = 0;
	if (f->count > 1)
		snprintf(text, 32, " and %u more", f->count - 1);
	return text;
}

static void restore(struct kernel *k, enum guard_kind kind, const struct found *f)
{
	struct guarded *g = &k->guard.kinds[kind];
	uint64_t now = clock_ms();
	struct found left;
	char more[32];
	int r;

	g->pause_ms = guard_pause_ms(g->pause_ms, now - g->last_ms);
	r = kinds[kind].restore(k);
	g->last_ms = clock_ms();
	if (!r && !check(k, kind, &left)) {
		g->restored++;
		g->failing = false;
		log_warning("%s%s was taken away from weft: put back%s", f->first,
			    and_more(f, more),
			    g->pause_ms == PAUSE_MAX_MS ? "; from now on not more often than every "
							  "8 s"
							: "");
		return;
	}
	if (!g->failing)
		log_err(r, "%s%s was taken away from weft and can't be put back", f->first,
			and_more(f, more));
	g->failing = true;
}

static void check_in(struct guard *g, uint64_t ms)
{
	g->due_ms = clock_ms() + ms;
	event_timer_set(&g->timer, (unsigned)ms);
}

/* How many ms it is until this may be put back. */
static uint64_t wait_ms(const struct guarded *g)
{
	uint64_t now = clock_ms(), at = g->last_ms + g->pause_ms;

	if (!g->last_ms || now >= at || now - g->last_ms >= QUIET_MS)
		return 0;
	return at - now;
}

static void check_all(void *arg)
{
	struct kernel *k = arg;
	uint64_t next = PERIOD_MS, begun = clock_ms();

	for (int kind = 0; !k->guard.off && kind < GUARD_KINDS; kind++) {
		struct guarded *g = &k->guard.kinds[kind];
		struct found f;
		uint64_t wait;

		if (!check(k, kind, &f)) {
			if (g->failing)
				log_info("what weft missed is back (%s)", kinds[kind].name);
			g->failing = false;
			continue;
		}
		wait = wait_ms(g);
		if (!wait)
			restore(k, kind, &f);
		else if (wait < next)
			next = wait;
	}
	watch_pins(k);
	k->guard.took_ms = clock_ms() - begun;
	check_in(&k->guard, next);
}

/* Never later than it is set already: a series of changes must not put it off without end. */
void guard_soon(struct kernel *k)
{
	struct guard *g = &k->guard;
	uint64_t ms = REST * g->took_ms > SOON_MS ? REST * g->took_ms : SOON_MS;

	if (g->timer.event.loop && g->due_ms > clock_ms() + ms)
		check_in(g, ms);
}

static void on_pins(void *arg, uint32_t events)
{
	struct kernel *k = arg;
	char buf[8192];
	ssize_t n;

	(void)events;
	do
		n = read(k->guard.pins.fd, buf, sizeof(buf));
	while (n > 0 || (n < 0 && errno == EINTR));
	guard_soon(k);
}

int guard_open(struct kernel *k)
{
	struct guard *g = &k->guard;
	int r;

	g->bpffs = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = g->bpffs < 0 ? -errno : find_mount(k->dir, &g->mounted);
	if (r)
		return log_err(r, "watch %s", k->dir);
	g->failed_hook = cgroup_notices_failed(k->dir);
	g->pins = (struct event){ .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
				  .ready = on_pins,
				  .arg = k };
	if (g->pins.fd >= 0)
		r = event_watch(k->loop, &g->pins, EPOLLIN);
	if (!r)
		r = event_timer_open(k->loop, &g->timer, check_all, k);
	if (r)
		return log_err(r, "watch for what others take away");
	watch_pins(k);
	check_in(g, PERIOD_MS);
	return 0;
}

/* ---- what commands ask for ---- */

void kernel_guard(struct kernel *k, bool on)
{
	k->guard.off = !on;
}

void kernel_each_missing(struct kernel *k, void (*tell)(void *arg, const char *what), void *arg)
{
	for (int kind = 0; kind < GUARD_KINDS; kind++)
		kinds[kind].missing(k, tell, arg);
}

int kernel_each_guarded(struct kernel *k, int (*row)(void *arg, const char *name, __u64 restored),
			void *arg)
{
	int r = 0;

	for (int kind = 0; !r && kind < GUARD_KINDS; kind++)
		r = row(arg, kinds[kind].name, k->guard.kinds[kind].restored);
	return r;
}
