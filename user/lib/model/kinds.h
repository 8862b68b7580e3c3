/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MODEL_KINDS_H
#define WEFT_LIB_MODEL_KINDS_H
/*
 * The kinds of objects by their names, API groups and versions.
 */
#include "lib/model/model.h"

/* All lower case but for the name. */
struct kind_info {
	const char *name;	 /* "VirtualService" */
	const char *words[4];	 /* as kubectl calls it; ends with NULL */
	const char *group;	 /* "networking.istio.io"; "" for the core group */
	const char *versions[4]; /* ends with NULL */
	bool istio;
	bool cluster_wide; /* its objects are in no namespace */
	const char *only;  /* the name that its one object has; NULL: there may be several */
};

extern const struct kind_info kind_infos[KIND_MAX];

/* "VirtualService"; never NULL for a valid kind. */
const char *kind_name(enum kind kind);
/* Accepts what kubectl accepts: VirtualService, virtualservice(s), vs, svc, po, ep, ns, dr, gw ...;
 * -1 if unknown. */
int kind_parse(const char *word);
/* The word for a kind that this one may have been meant to be; NULL: none is near. */
const char *kind_similar(const char *word);
/* "networking.istio.io"; "" for Kubernetes' core kinds. */
const char *kind_group(enum kind kind);

#endif
