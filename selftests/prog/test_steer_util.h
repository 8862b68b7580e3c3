/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROG_TEST_STEER_UTIL_H
#define WEFT_PROG_TEST_STEER_UTIL_H
/*
 * What the tests of steered packets share: one client calls one service, and its packets are looked
 * at as they leave.
 */
#include "env.h"

/* From the client to the service. */
struct tuple steer_client(const struct env *e);
/* Overwritten by the next call. */
const char *steer_show(const struct tuple *t);
void steer_expect(const char *what, const struct tuple *got, const struct tuple *want);
/* Runs a SYN through and checks that it is steered to the endpoint. Returns its addresses there. */
struct tuple steer_open(struct env *e, const struct tuple *from, const char *program, int action);
/* The same, at the client's interface. */
struct tuple steer_open_from_pod(struct env *e, const struct tuple *from);
/* The endpoint's answer to what it has got with addresses `there`. */
struct env_result steer_answer(struct env *e, const char *program, const struct tuple *there);
void steer_expect_untouched(const char *what, const struct env_result *r,
			    const struct env_packet *sent);

#endif
