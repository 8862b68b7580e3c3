/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_LOG_ACCESS_LOGS_H
#define WEFT_PROXY_LOG_ACCESS_LOGS_H
/*
 * All that a worker tells of its requests: the access log, if there is one, what `weft logs` shows,
 * and spans.
 */
#include "proxy/log/access_log.h"
#include "proxy/log/access_tail.h"
#include "proxy/log/line_pipe.h"

struct access_logs {
	struct access_log *log;	  /* owned; NULL: there never was one */
	bool to_file;		  /* it is written */
	struct access_tail *tail; /* owned */
	struct line_pipe *spans;  /* owned; NULL: there never were any */
	bool to_spans;		  /* they are told */
};

/* For worker_options; `arg` is a struct access_logs. */
bool access_logs_wants(void *arg, uint64_t now);
void access_logs_write(void *arg, const struct access_entry *e);
void access_logs_trace(void *arg, const struct trace_entry *e);
bool access_logs_flush(void *arg);
/* What has not been written by now is lost. */
void access_logs_close(struct access_logs *l);

#endif
