/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_PREFLIGHT_H
#define WEFT_DAEMON_DATAPATH_PREFLIGHT_H
/*
 * Whether weft can work here at all. Each function logs one line for the first thing that is
 * missing and returns -errno.
 */
#include "daemon/datapath/datapath.h"

int preflight(const struct kernel_options *o);
/* The part that removing everything needs as well. */
int preflight_privileges(void);
/* Whether `dir`, or what of it exists, is on a bpf file system. */
int preflight_bpffs(const char *dir);

#endif
