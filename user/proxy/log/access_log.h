/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_LOG_ACCESS_LOG_H
#define WEFT_PROXY_LOG_ACCESS_LOG_H
/*
 * One line per request: Istio's default text format, or JSON with the keys that Istio has. One
 * access_log per worker, all for one file. Lines are collected until the worker has nothing else to
 * do; what is written is always whole lines. Workers never wait for a slow reader: lines for which
 * there is no room are lost, which is said once there is room again.
 */
#include "proxy/request/access_entry.h"

enum { ACCESS_LOG_SIZE = 64 * 1024 };

struct access_log {
	int fd; /* not owned */
	bool json;
	bool pipe;     /* the reader may be slow, and long writes of two workers may interleave */
	uint64_t lost; /* lines, since that was said */
	size_t len;
	char bytes[ACCESS_LOG_SIZE];
};

void access_log_open(struct access_log *log, int fd, bool json);
/* What has not been written by now is lost. */
void access_log_close(struct access_log *log);
/* Another file from now on. It gets what has not been written yet. */
void access_log_switch(struct access_log *log, int fd, bool json);
/* For worker_options; `arg` is a struct access_log. */
void access_log_write(void *arg, const struct access_entry *e);
/* Whether nothing is left to be written. */
bool access_log_flush(void *arg);

#endif
