/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_TELEMETRIES_H
#define WEFT_LIB_MESH_TELEMETRIES_H
/*
 * Telemetries, and what holds of traces for a pod, as Istio's pilot/pkg/model/telemetry.go merges
 * it: what the mesh's Telemetry says, the one without a selector in the root namespace; then the
 * namespace's, the oldest of those without a selector; then those of its namespace whose selectors
 * hold, from the oldest to the youngest. What one of them gives takes the place of what was given
 * before it, field by field. A Telemetry with a selector in the root namespace is for pods of that
 * namespace and, if it selects Istio's ingress gateway, for what calls through a Gateway.
 *
 * Different settings have a row each. Which rows there are, and their numbers, hang on Telemetries
 * alone, but for those of pods that several selectors hold for: such rows come last.
 */
#include "lib/base/pool.h"
#include "lib/base/table.h"
#include "lib/mesh/host_index.h"
#include "lib/model/model.h"

struct mesh;

/* What holds of the traces of some pods. */
struct tracing {
	unsigned sampling; /* of SAMPLING_ALL: how many are sampled of those that begin there */
	int told;	   /* whose spans are told: of TRACING_BOTH */
	const struct tracing_tag *tags; /* the objects' */
	size_t tag_count;
};

/* Zero-initialise. */
struct telemetries {
	struct bytemap by_namespace; /* -> what is private to telemetries.c */
	struct pool *pool;
	struct tracing mesh; /* of pods whose namespace has no Telemetry: row 0 */
	TABLE(struct tracing) rows;
	size_t fixed;  /* those that no pod has a part in */
	__u32 gateway; /* row of what calls through a Gateway */
	bool kept;     /* they are those of the tables before */
};

/* Makes mesh->telemetries of mesh->rules. 0 or -ENOMEM. */
int telemetries_index(struct mesh *mesh);
void telemetries_free(struct telemetries *t);

/* The row of what holds for a pod; of one whose labels can't be read that of its namespace. False:
 * several selectors hold for it, and no row is for that. */
bool telemetries_row(struct telemetries *t, const struct object *pod, __u32 *row);
/* The same; such a row is added. 0, and mesh->nomem, when out of memory. */
__u32 telemetries_row_made(struct mesh *mesh, const struct object *pod);
/* Forgets the rows that were added. */
void telemetries_forget(struct telemetries *t);
/* Whether there are any. */
bool telemetries_are_combined(const struct telemetries *t);
/* The Telemetry that takes its place, as it is older and for the same namespace, too; NULL: it
 * counts. */
const struct object *telemetries_older(struct telemetries *t, const struct object *telemetry);

#endif
