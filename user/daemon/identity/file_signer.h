/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_IDENTITY_FILE_SIGNER_H
#define WEFT_DAEMON_IDENTITY_FILE_SIGNER_H
/*
 * A CA in files of this node: --ca-cert, --ca-key and --ca-root. They are looked at every 5 s. What
 * can't be read, or is no CA, leaves what was there before in use.
 */
#include "daemon/identity/identity.h"

struct file_signer;

struct file_signer_options {
	const char *cert, *key; /* paths without a semicolon, borrowed */
	const char *roots;	/* likewise; NULL: the last certificate of `cert` */
	unsigned ttl_s;		/* of what it signs */
	struct event_loop *loop;
};

/* Signs for `ids` until it is closed, even if it can't yet: that is logged. 0 or -errno. */
int file_signer_open(const struct file_signer_options *options, struct identities *ids,
		     struct file_signer **out);
void file_signer_close(struct file_signer *f); /* accepts NULL */

/* Looks at the files now. */
void file_signer_look(struct file_signer *f);

#endif
