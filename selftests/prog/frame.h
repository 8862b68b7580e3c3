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

/* ---- frames that somebody has sent ---- */

/* Flips a few bits, mostly of the headers; sometimes cuts the frame or lets it grow. It has room
 * for FRAME_MAX bytes. rand(). */
void frame_mutate(__u8 *frame, size_t *size);
/* Whether it is TCP in IP without options, extension headers or fragments, and as long as it says.
 */
bool frame_is_plain(const __u8 *frame, size_t size);
/* Of plain frames: whether `a` has the same bytes as `b` but for MAC addresses, addresses, ports
 * and checksums. */
bool frame_only_addressed(const __u8 *a, const __u8 *b, size_t size);
bool frame_checksums_ok(const __u8 *frame);

#endif
