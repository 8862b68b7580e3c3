/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PKI_SECRET_H
#define WEFT_DAEMON_PKI_SECRET_H
/*
 * Private keys in memory.
 */

/* The process has private keys from now on: they are in no core dump, and only who
 * may trace all processes may look into it. */
void secret_dump_no_core(void);
/* Clears a text and frees it. Accepts NULL. */
void secret_free(char *text);

#endif
