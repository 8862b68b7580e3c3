/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_PROXY_RULES_ENV_H
#define WEFT_TEST_PROXY_RULES_ENV_H
/*
 * The proxy's router with rules from YAML, in several workers, asked without any connection. All
 * tests of the suite proxy_rules have one, with no rules at first.
 */
#include "proxy/route/router.h"
#include "proxy/route/router_priv.h"

enum { WORKERS = 2, PODS = 4 };

extern struct cluster_limit *rules_limits;
extern struct snapshot_router *rules_workers[WORKERS];
extern struct buffer_pool rules_buffers;
extern void *rules_snapshot; /* the last one */
extern size_t rules_snapshot_size;

/* ---- rules ---- */

#define SERVICE                                                                                 \
	"apiVersion: v1\nkind: Service\nmetadata: {name: svc}\n"                                \
	"spec: {clusterIP: 10.96.0.1, selector: {app: svc}, ports: [{name: http, port: 80}]}\n" \
	"---\n"
#define POD(n, version)                                                                  \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: p" #n                               \
	", labels: {app: svc, version: " version "}}\nspec: {containers: [{name: c}]}\n" \
	"status: {phase: Running, podIP: 10.0.0." #n ", podIPs: [{ip: 10.0.0." #n        \
	"}], conditions: [{type: Ready, status: \"True\"}]}\n---\n"
#define CLUSTER SERVICE POD(1, "v1") POD(2, "v1") POD(3, "v2") POD(4, "v2")
#define POLICY                                                                               \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: svc}\n" \
	"spec:\n  host: svc\n"                                                               \
	"  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]\n"
#define RULE                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: svc}\n" \
	"spec:\n  hosts: [svc]\n  http:\n"

#define ROUTE "  - route: [{destination: {host: svc, subset: v1}}]\n"

/* A file with these bytes. */
int rules_file(const void *bytes, size_t size);
/* To all workers; closes it. How that went. */
int rules_offer(int fd);
/* Compiles them: rules_snapshot. The second time, ids stay what they were. */
void rules_compile(const char *yaml);
/* Likewise, and offers them. */
void rules_load(const char *yaml);
/* Offers what is in force by now, packed, as a new weft-proxy gets it. */
void rules_hand_over(void);
/* Adds pods to what was loaded, or puts them in the place of those of their names; `without`: one
 * that goes, or NULL. The workers get that as a patch. */
void rules_patch(const char *pods, const char *without);
/* Puts a VirtualService that has other requests into the place of the one of its name. Likewise. */
void rules_patch_requests(const char *virtual_service);
/* The same patch, or another file, to one worker. How that went. */
int rules_patch_one(int worker, int fd);
extern void *rules_last_patch;
extern size_t rules_last_patch_size;
extern struct shared_state *rules_state;

/* ---- requests ---- */

struct asked {
	char text[4096];
	struct h1_request q;
	struct plan plan;
	struct target target;
	int worker;
};

struct addr ipv4(unsigned a, unsigned b, unsigned c, unsigned d);
struct router *asked_router(const struct asked *a);
/* From 10.1.0.`client`, with fields of its own, each with CR LF behind it. */
void asked_plan(struct asked *a, unsigned client, const char *target, const char *fields);
/* The last number of the endpoint's address; 0: there is none. */
unsigned asked_pick(struct asked *a, unsigned n);
void asked_done(struct asked *a, enum outcome outcome, unsigned status);
void asked_release(struct asked *a);
/* A whole request; its endpoint. */
unsigned ask_as(int worker, unsigned client, const char *fields, unsigned status);
/* The first worker's. */
unsigned ask(unsigned status);

#endif
