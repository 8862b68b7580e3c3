// SPDX-License-Identifier: Apache-2.0
#include "proxy/log/access_log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/log/access_line.h"
#include "lib/base/log.h"

/* A pipe takes that much at once or not at all. */
_Static_assert(ACCESS_LINE_MAX <= PIPE_BUF, "a line may be cut in two");

void access_log_open(struct access_log *log, int fd, bool json)
{
	struct stat st;

	log->fd = fd;
	log->json = json;
	log->pipe = !fstat(fd, &st) && !S_ISREG(st.st_mode);
	log->lost = false;
	log->len = 0;
}

/* As many whole lines as go out at once. */
static size_t portion(const struct access_log *log, size_t from)
{
	const char *end;

	if (!log->pipe || log->len - from <= PIPE_BUF)
		return log->len - from;
	end = memrchr(log->bytes + from, '\n', PIPE_BUF);
	return (size_t)(end + 1 - (log->bytes + from));
}

static bool can_write(const struct access_log *log)
{
	struct pollfd p = { log->fd, POLLOUT, 0 };

	return !log->pipe || (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT));
}

static void note_loss(struct access_log *log, int error)
{
	if (!log->lost)
		log_err(error, "write the access log; lines are lost");
	log->lost = true;
}

bool access_log_flush(void *arg)
{
	struct access_log *log = arg;
	size_t done = 0;

	while (done < log->len && can_write(log)) {
		ssize_t n = write(log->fd, log->bytes + done, portion(log, done));

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			note_loss(log, -errno);
			done = log->len;
			break;
		}
		done += (size_t)n;
	}
	log->len -= done;
	memmove(log->bytes, log->bytes + done, log->len);
	return !log->len;
}

void access_log_write(void *arg, const struct access_entry *e)
{
	struct access_log *log = arg;

	if (ACCESS_LOG_SIZE - log->len < ACCESS_LINE_MAX)
		(void)access_log_flush(log);
	if (ACCESS_LOG_SIZE - log->len < ACCESS_LINE_MAX)
		note_loss(log, -EAGAIN);
	else
		log->len += access_line(log->bytes + log->len, log->json, e);
}
