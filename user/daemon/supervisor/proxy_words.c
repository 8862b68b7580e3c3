// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/proxy_words.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

enum {
	MESSAGES = 4096,
	AT_ONCE = 16, /* reads: the loop has other work */
	PERIOD_MS = 10000,
	PER_PERIOD = 64 * 1024, /* bytes; a proxy that logs what it should is far below */
};

static void begin_period(struct proxy_words *w)
{
	uint64_t now = clock_ms();

	if (w->since_ms && now - w->since_ms < PERIOD_MS)
		return;
	if (w->left_out)
		log_warning("weft-proxy says too much: %zu bytes were left out", w->left_out);
	*w = (struct proxy_words){ .since_ms = now };
}

/* False: nothing takes it. */
static bool pass_on(struct proxy_words *w, char *text, size_t n)
{
	size_t room = PER_PERIOD - w->bytes, some = n < room ? n : room;

	for (size_t i = 0; i < some; i++)
		if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
			text[i] = '?';
	w->bytes += some;
	w->left_out += n - some;
	return !some || write(STDERR_FILENO, text, some) >= 0;
}

void proxy_words_forward(struct proxy_words *w, int from)
{
	char text[MESSAGES];
	ssize_t n;

	begin_period(w);
	for (int i = 0; i < AT_ONCE && (n = read(from, text, sizeof(text))) > 0; i++)
		if (!pass_on(w, text, (size_t)n))
			return;
}

static void end_text(char *text, size_t size)
{
	text[size - 1] = 0;
	json_clean(text);
}

static void clean(struct proxy_request *row)
{
	end_text(row->state, sizeof(row->state));
	end_text(row->cluster, sizeof(row->cluster));
	end_text(row->route, sizeof(row->route));
	end_text(row->method, sizeof(row->method));
	end_text(row->authority, sizeof(row->authority));
	end_text(row->path, sizeof(row->path));
}

int proxy_words_requests(int fd, struct proxy_request **rows, size_t *count)
{
	_cleanup_free_ struct proxy_request *all = NULL;
	struct stat file;
	size_t n;

	if (fstat(fd, &file))
		return -errno;
	n = file.st_size < 0 ? 0 : (size_t)file.st_size / sizeof(*all);
	if (n > PROXY_REQUESTS_MAX) {
		log_warning("weft-proxy tells of %zu requests: the first %d are taken", n,
			    PROXY_REQUESTS_MAX);
		n = PROXY_REQUESTS_MAX;
	}
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	if (pread(fd, all, n * sizeof(*all), 0) != (ssize_t)(n * sizeof(*all)))
		return -EIO;
	for (size_t i = 0; i < n; i++)
		clean(&all[i]);
	*rows = TAKE_PTR(all);
	*count = n;
	return 0;
}
