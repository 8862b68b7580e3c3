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
	log->lost = 0;
	log->len = 0;
	access_log_switch(log, fd, json);
}

void access_log_switch(struct access_log *log, int fd, bool json)
{
	struct stat st;

	log->fd = fd;
	log->json = json;
	log->pipe = !fstat(fd, &st) && !S_ISREG(st.st_mode);
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

static void tell_loss(struct access_log *log)
{
	if (log->lost)
		log_warning("%llu lines of the access log are lost: nothing took them",
			    (unsigned long long)log->lost);
	log->lost = 0;
}

static void lose_all(struct access_log *log)
{
	for (size_t i = 0; i < log->len; i++)
		log->lost += log->bytes[i] == '\n';
	log->len = 0;
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
			if (!log->lost)
				log_err(-errno, "write the access log; lines are lost");
			lose_all(log);
			return true;
		}
		done += (size_t)n;
		tell_loss(log);
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
		log->lost++;
	else
		log->len += access_line(log->bytes + log->len, log->json, e);
}

void access_log_close(struct access_log *log)
{
	lose_all(log);
	tell_loss(log);
}
