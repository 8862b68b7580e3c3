/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_DATAPATH_SWEEP_RESET_H
#define WEFT_DAEMON_DATAPATH_SWEEP_RESET_H
/*
 * A TCP packet without data, as a rule a RST, as it goes on the wire, IP header and checksums
 * included. Pure.
 */
#include <stddef.h>

#include <linux/types.h>

#include "weft/event.h"

enum { RESET_MAX = 60 };

/* Returns the length: 40 for IPv4, 60 for IPv6, 0 if the two addresses are not of one family. */
size_t reset_build(const struct reset_event *e, __u8 out[RESET_MAX]);

#endif
