/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_MHD_H
#define WEFT_DAEMON_API_MHD_H
/*
 * libmicrohttpd, loaded when it is needed (lib/base/library.h), and what all that answer by it do
 * alike.
 */
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/loop/event.h"

/* Names without MHD_. */
/* clang-format off */
#define MHD_FUNCTIONS(do)                                                                          \
	do(start_daemon) do(stop_daemon) do(run) do(get_timeout) do(get_daemon_info)               \
	do(get_connection_info) do(add_connection) do(create_response_from_buffer)                 \
	do(create_response_from_callback) do(add_response_header) do(queue_response)               \
	do(destroy_response) do(suspend_connection) do(resume_connection)                          \
	do(lookup_connection_value) do(get_connection_values)
/* clang-format on */

#define MHD_POINTER(name) __typeof__(&MHD_##name) name;
struct mhd {
	MHD_FUNCTIONS(MHD_POINTER)
};

/* The library's functions, once mhd_load() has returned 0. */
extern struct mhd mhd;

/* 0, or -EIO after having logged. May be called again. */
int mhd_load(void);
/* For the library's call about a request: it calls once with the head, then for the body, which is
 * let go by, and at the end. Whether the request is to be answered now: at its end. */
bool mhd_is_whole(size_t *body_size, void **state);
/* Has ready(arg) called in the loop when the daemon, which is of MHD_USE_EPOLL, has something to
 * do. The descriptor stays the daemon's: event_forget() before it is stopped. 0 or -errno. */
int mhd_watch(struct MHD_Daemon *daemon, struct event_loop *loop, struct event *event,
	      void (*ready)(void *arg, uint32_t events), void *arg);

#endif
