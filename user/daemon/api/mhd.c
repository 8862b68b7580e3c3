// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/mhd.h"

#include <errno.h>
#include <sys/epoll.h>

#include "lib/base/library.h"

struct mhd mhd;

#define MHD_SYMBOL(name) { "MHD_" #name, (void *)&mhd.name },

int mhd_load(void)
{
	static const struct library_symbol symbols[] = { MHD_FUNCTIONS(MHD_SYMBOL) };

	return library_load("libmicrohttpd.so.12", symbols, sizeof(symbols) / sizeof(symbols[0]));
}

bool mhd_is_whole(size_t *body_size, void **state)
{
	static char begun;

	if (*state && !*body_size)
		return true;
	*state = &begun;
	*body_size = 0;
	return false;
}

int mhd_watch(struct MHD_Daemon *daemon, struct event_loop *loop, struct event *event,
	      void (*ready)(void *arg, uint32_t events), void *arg)
{
	const union MHD_DaemonInfo *info = mhd.get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (!info || info->epoll_fd < 0)
		return -ENOTSUP;
	*event = (struct event){ .fd = info->epoll_fd, .ready = ready, .arg = arg };
	return event_watch(loop, event, EPOLLIN);
}
