/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_PROXY_WORKLOADS_H
#define WEFT_TEST_PROXY_WORKLOADS_H
/*
 * Pods of the mesh in the rules of test_proxy_rules_env.h: rows of a snapshot that are made by
 * hand.
 */
#include "lib/route/workload.h"
#include "test_proxy_rules_env.h"
#include "test_tls_util.h"

enum { POD_PORTS = 3, PODS_MAX = 16 };

#define IDENTITY(ns, account) SPIFFE_SCHEME "cluster.local/ns/" ns "/sa/" account

struct mesh_pod {
	struct addr addr;
	const char *identity;
	bool here;
	enum hs_mtls mode;
	struct hs_workload_port ports[POD_PORTS]; /* by port; port 0: no more */
};

/* Compiles the rules, adds those pods, which are ordered by address, and offers it all. */
void pods_load(const char *yaml, const struct mesh_pod *pods, size_t count);
/* A certificate of that identity by `by`; `names` beside it (",DNS:a"), or "". */
struct made_cert pod_cert(const char *identity, const char *names, const struct made_cert *by,
			  int days);
/* The store has one credential for each of these identities (NULL at the end), and no others:
 * certificates by `by`, and `roots` to believe clients by (NULL: `by`). */
void pods_certify(const char *const *identities, const struct made_cert *by, const char *roots);

#endif
