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
/* How many mutated frames each program gets: $WEFT_MUTATED, or a share of the million that it is
 * for a full run. */
unsigned frame_mutations(void);
/* Whether it is TCP in IP without options, extension headers or fragments, and as long as it says.
 */
bool frame_is_plain(const __u8 *frame, size_t size);
bool frame_checksums_ok(const __u8 *frame);
/* Puts a VLAN's tag in. */
void frame_tag(__u8 *frame, size_t *size);
/*
 * What is wrong about a frame of `size` bytes that a program was given and has let go on, or NULL.
 * Of TCP, with options, extension headers or in fragments, and of ICMP errors about it, MAC
 * addresses, addresses and ports may be others, with every checksum that covers them changed by as
 * much, whether or not it was right; and there may be `hops` hops less. Of any other frame nothing
 * but MAC addresses may be.
 */
const char *frame_mangled(const __u8 *after, const __u8 *before, size_t size, unsigned hops);

#endif
