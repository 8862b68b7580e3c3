/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_ENGINE_IDENTITY_NODES_H
#define WEFT_DAEMON_ENGINE_IDENTITY_NODES_H
/*
 * Which nodes may have a certificate for an identity: those that run a pod of it.
 */
#include "daemon/objects/object_set.h"
#include "lib/mesh/enrol.h"

/* Whether one of the known Pods that are in the mesh is on that node, and has that identity. */
bool identity_runs_on(const struct known_set *known, enum enrol_mode mode, const char *node,
		      const char *identity);

#endif
