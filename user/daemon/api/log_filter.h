/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_LOG_FILTER_H
#define WEFT_DAEMON_API_LOG_FILTER_H
/* clang-format off */
/*
 * Which entries of `weft logs` and `weft conns` are of interest. A request says so by lists of
 * texts, of which one has to hold, in each list that it has:
 *
 *	"from", "to"	NAME, NAMESPACE/NAME, NAMESPACE/, ADDRESS or CIDR: NAME is a pod's, a workload's,
 *			an app's or a service's, "*" and "?" in it as in a shell; a service also by its host
 *	"status"	200, 5xx, 400-499; 0: the client got none
 *	"verdict"	forwarded, answered, refused, failed (or dropped, error: Hubble's words for the last two)
 *	"protocol"	http, tcp
 *	"namespace"	(a text) either end is in it
 *
 * An entry says who is at its ends:
 *
 *	"source", "destination": {"address", "namespace", "pod", "workload", "app", "service", "host"}
 */
/* clang-format on */
#include <jansson.h>
#include <stdbool.h>

#include "daemon/api/reply.h"

/* Borrows the request. */
struct log_filter {
	const json_t *from, *to, *status, *verdict, *protocol; /* NULL: anything */
	const char *namespace;
};

/* 0; -EINVAL with an error that quotes what can't be meant. */
int log_filter_parse(const json_t *args, struct log_filter *out, struct reply *reply);
bool log_filter_holds(const struct log_filter *f, const json_t *entry);

#endif
