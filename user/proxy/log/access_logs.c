// SPDX-License-Identifier: Apache-2.0
#include "proxy/log/access_logs.h"

#include <stdlib.h>

#include "proxy/log/trace_line.h"

bool access_logs_wants(void *arg, uint64_t now)
{
	struct access_logs *l = arg;
	bool wanted = access_tail_wants(l->tail, now);

	return wanted || l->to_file;
}

void access_logs_write(void *arg, const struct access_entry *e)
{
	struct access_logs *l = arg;

	if (l->to_file)
		access_log_write(l->log, e);
	access_tail_write(l->tail, e);
}

void access_logs_trace(void *arg, const struct trace_entry *e)
{
	struct access_logs *l = arg;
	char *line = l->to_spans && l->spans->fd >= 0 ? line_pipe_room(l->spans) : NULL;

	if (line)
		line_pipe_add(l->spans, trace_line(line, e));
}

bool access_logs_flush(void *arg)
{
	struct access_logs *l = arg;
	bool done = access_tail_flush(l->tail);

	done &= !l->to_spans || line_pipe_flush(l->spans);
	return (!l->to_file || access_log_flush(l->log)) && done;
}

void access_logs_close(struct access_logs *l)
{
	if (l->log)
		access_log_close(l->log);
	free(l->log);
	free(l->tail);
	free(l->spans);
	*l = (struct access_logs){ 0 };
}
