// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/unix_listen.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

int unix_listen(const struct sockaddr_un *at, int type, int backlog)
{
	_cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return log_err(-errno, "open a socket for %s", at->sun_path);
	unlink(at->sun_path);
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)at, sizeof(*at)) ? -errno : 0;
	umask(mask);
	if (!r && listen(fd, backlog))
		r = -errno;
	return r ? log_err(r, "listen on %s", at->sun_path) : TAKE_FD(fd);
}
