/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_CREDENTIALS_H
#define WEFT_LIB_KUBE_CREDENTIALS_H
/*
 * What a request shows of the user: a token, a certificate. Tokens rotate: the kubelet writes a
 * fresh one into the pod's file long before the old one ends, and a credential plugin says how
 * long what it gave is good for. For one thread.
 */
#include <stdbool.h>

#include "lib/kube/config.h"

struct kube_credentials;

/* Borrows the configuration. NULL without memory. */
struct kube_credentials *kube_credentials_new(const struct kube_config *config);
void kube_credentials_free(struct kube_credentials *c); /* accepts NULL */
DEFINE_CLEANUP(struct kube_credentials *, kube_credentials_free);

/*
 * To be called before a request: reads anew what is a minute old, or runs the plugin again when
 * what it gave has ended. After a request was `refused` (401): in any case, but not more than once
 * in some seconds. May take as long as a plugin does. 0; -ENOENT, -EINVAL, -EIO with why in
 * `error`, the old ones stay then; -ENOMEM.
 */
int kube_credentials_renew(struct kube_credentials *c, bool refused, char error[KUBE_ERROR_MAX]);

/* Valid until the next renewal; NULL: none. Certificate and key (PEM) are those of a plugin. */
const char *kube_credentials_token(const struct kube_credentials *c);
const char *kube_credentials_cert(const struct kube_credentials *c);
const char *kube_credentials_key(const struct kube_credentials *c);

#endif
