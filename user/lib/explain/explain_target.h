/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_EXPLAIN_EXPLAIN_TARGET_H
#define WEFT_LIB_EXPLAIN_EXPLAIN_TARGET_H
/*
 * The client and what it calls, out of a struct explain_query.
 */
#include "lib/base/bytemap.h"
#include "lib/base/pool.h"
#include "lib/explain/explain.h"

struct explain_client {
	const char *namespace;	  /* NULL: from outside */
	const struct object *pod; /* NULL: no Pod of the tables; the labels speak for it */
	struct enrolment enrolment;
	const struct kvs *labels; /* may be NULL */
	struct addr addr;	  /* of `pod` */
	struct addr from;	  /* of a caller from outside; ::, if it is not known */
	__u32 ns;		  /* struct source.ns, 0 if the tables don't have the namespace */
};

struct explain_target {
	const struct service_entry *entry; /* that decide() will find; NULL: none */
	const struct service_origin *origin;
	const char *why;	      /* there is no entry */
	const struct object *service; /* that is called, also where it lacks the port; NULL: none */
	bool called;		      /* at `addr`, which the entry has not: it is open for any */
	struct addr addr;
};

/* The Service of that full name, or NULL. */
const struct object *explain_find_service(const struct objects *objects, const char *host);
bool explain_has_port(const struct object *service, unsigned port);
bool explain_is_from_outside(const struct explain_query *q);
/* The client's address as what it calls sees it; :: if it is not known. */
struct addr explain_client_addr(const struct tables *t, const struct explain_client *client,
				const struct addr *called);
/* "port 80" or "ports 80, 8080". The caller frees; NULL when out of memory. */
char *explain_service_ports(const struct object *service);

/* 0, or -ENOENT or -EINVAL when `errors` says why. */
int explain_find_client(const struct tables *t, const struct objects *objects,
			const struct explain_query *q, struct explain_client *out,
			struct errors *errors);
/* What the ConnectionPolicy does to a caller from outside, as protection_ask() has it; nothing to
 * others. */
int explain_protected(const struct tables *t, const struct objects *objects,
		      const struct explain_query *q, const struct explain_client *client,
		      const struct explain_target *to, bool *dropped, char **why);
int explain_find_target(const struct tables *t, const struct objects *objects,
			const struct explain_query *q, const struct explain_client *client,
			struct explain_target *out, struct errors *errors);

/* Notes the pod at each of its addresses that none has that goes before it (pod_goes_before()):
 * struct addr -> struct object. The keys are the pool's. 0 or -ENOMEM. */
int explain_add_pod(struct bytemap *pods, struct pool **pool, const struct object *pod);

#endif
