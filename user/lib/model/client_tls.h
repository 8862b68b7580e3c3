/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_CLIENT_TLS_H
#define WEFT_LIB_MODEL_CLIENT_TLS_H
/*
 * Files of a DestinationRule's tls: whoever may write one has no say in which of the node's files
 * weftd reads, but of those in a directory.
 */

#include <stdbool.h>

#include "lib/model/model.h"

enum { CLIENT_TLS_FILES = 4 };

/* The files that it is made of, without credentialName: clientCertificate, privateKey,
 * caCertificates and caCrl, each perhaps "". ISTIO_MUTUAL has none. False: there is none. */
bool client_tls_files(const struct client_tls *t, const char *out[CLIENT_TLS_FILES]);

/* What of a path is beneath the directory (an absolute path; NULL or "": nothing is beneath it);
 * NULL: it is not, or goes up somewhere. A path that does not begin with a slash counts from the
 * root directory, where Istio's proxy runs. Points into `path`. Nothing is looked up. */
const char *client_tls_beneath(const char *path, const char *dir);

#endif
