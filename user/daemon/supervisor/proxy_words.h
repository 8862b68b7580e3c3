/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SUPERVISOR_PROXY_WORDS_H
#define WEFT_DAEMON_SUPERVISOR_PROXY_WORDS_H
/*
 * What weft-proxy writes: messages for the log, and its requests. It is not trusted: an attacker
 * that has broken into it must not fill a disk or weftd's memory by them, keep weftd from its work,
 * or write to a terminal.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/wire/proxy_orders.h"

enum { PROXY_REQUESTS_MAX = 16384 }; /* that are told of */

/* Zero-initialise. */
struct proxy_words {
	uint64_t since_ms; /* a period in which `bytes` have been passed on */
	size_t bytes, left_out;
};

/* Passes on to stderr what has come out of the pipe, as much as may be; the rest waits in it or is
 * left out. */
void proxy_words_forward(struct proxy_words *w, int from);

/* The rows in a file: an array that the caller frees; those beyond PROXY_REQUESTS_MAX are left out.
 * Texts end, and are text. 0 or -errno. */
int proxy_words_requests(int fd, struct proxy_request **rows, size_t *count);

#endif
