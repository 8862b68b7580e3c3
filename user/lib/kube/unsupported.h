/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_UNSUPPORTED_H
#define WEFT_LIB_KUBE_UNSUPPORTED_H
/*
 * Istio's kinds that weft does not carry out: what is to be said of an object of one, and how
 * clusters name them. It is told of wherever it is seen, as it may be what its author relies on.
 */
#include <stdbool.h>
#include <stddef.h>

struct unsupported_kind {
	const char *group, *plural; /* "security.istio.io", "requestauthentications" */
	const char *name;	    /* "RequestAuthentication" */
	bool closes;		    /* with Istio it refuses requests: here they get through */
};

extern const struct unsupported_kind unsupported_kinds[];
extern const size_t unsupported_kind_count;

/* NULL: weft carries it out, or does not know it. */
const struct unsupported_kind *unsupported_find(const char *name);
/* "it closes nothing", "it has no effect". */
const char *unsupported_effect(const struct unsupported_kind *k);

#endif
