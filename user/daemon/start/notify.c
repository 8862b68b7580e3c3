// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "daemon/start/notify.h"

static int send_to(const char *path, const char *text)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (len >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, len);
	if (at.sun_path[0] == '@') /* in the abstract namespace */
		at.sun_path[0] = 0;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&at,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	return 0;
}

void notify_ready(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int r = path ? send_to(path, "READY=1") : 0;

	if (r)
		log_err(r, "tell %s that weftd is ready", path);
}
