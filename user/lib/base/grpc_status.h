/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_GRPC_STATUS_H
#define WEFT_LIB_BASE_GRPC_STATUS_H

#include <stddef.h>

/* The number of a gRPC status by its name, 0..16 (grpc.io, statuscodes), or -1. */
int grpc_status_parse(const char *name, size_t len);

#endif
