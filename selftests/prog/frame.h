/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROG_FRAME_H
#define WEFT_PROG_FRAME_H
/*
 * Ethernet frames from and to struct env_packet, with every checksum.
 */
#include "env.h"

enum { FRAME_MAX = 4096 };

/* Writes at most FRAME_MAX bytes; returns how many. */
size_t frame_put(__u8 *frame, const struct env_packet *p);
/* Reads what came of `sent` into r->packet, r->quoted and r->checksums_ok. */
void frame_get(const __u8 *frame, const struct env_packet *sent, struct env_result *r);

#endif
