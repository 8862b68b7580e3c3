/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_API_SELECTION_H
#define WEFT_DAEMON_API_SELECTION_H
/* clang-format off */
/*
 * The known objects that a request means. KIND is a word as kubectl takes it, or "all":
 *
 *	"targets": [{"kind": KIND, "name": NAME}...]	without "name" all of the kind
 *	"namespace": NAME				without it those of all namespaces
 *	"selector": TEXT				without it those with any labels
 */
/* clang-format on */
#include "daemon/api/handlers.h"

/* Zero-initialise; free with selection_free(). Valid until the objects change. */
struct selection {
	/* In the order of the targets; those of one target by namespace and name. */
	const struct known **items;
	size_t count, room;
	struct errors missing; /* "virtualservice/x not found in namespace default" */
};

/* 0; -EINVAL with an error when the request says nothing that can be meant; -ENOMEM. */
int selection_make(const struct request *request, const struct known_set *set,
		   struct selection *out, struct reply *reply);
void selection_free(struct selection *s);

#endif
