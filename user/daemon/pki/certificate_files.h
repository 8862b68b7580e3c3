/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PKI_CERTIFICATE_FILES_H
#define WEFT_DAEMON_PKI_CERTIFICATE_FILES_H
/*
 * The files of a server's serverCertificate, privateKey, caCertificates and caCrl, as weftd sees
 * them.
 */
#include "lib/wire/credentials.h"

enum { CERTIFICATE_FILES = 4, CERTIFICATE_FILE_MAX = 1 << 20 /* bytes of one */ };

struct certificate_files {
	struct credential c; /* without a name; points into `bytes` */
	char *bytes[CERTIFICATE_FILES];
};

/* Reads "CERTIFICATE;KEY;CA;CRL", of which any may be empty. With a directory `beneath` (NULL:
 * without; "": one that nothing is beneath) whatever leads out of it can't be read: a path, or a
 * symbolic link. 0; -ENOMEM; -EINVAL with *why, which the caller frees (NULL: out of memory): a
 * file can't be read. */
int certificate_files_read(const char *paths, const char *beneath, struct certificate_files *out,
			   char **why);
/* Reads the CAs that the system believes: the file that SSL_CERT_FILE names, or the first of those
 * where distributions have it. Likewise. */
int certificate_files_read_system(struct certificate_files *out, char **why);
void certificate_files_free(struct certificate_files *f); /* clears them first */

#endif
