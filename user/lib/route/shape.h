/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_ROUTE_SHAPE_H
#define WEFT_LIB_ROUTE_SHAPE_H
/*
 * Which fields of a snapshot's rows lead to other rows.
 */
#include "lib/route/snapshot.h"

enum hs_ref_kind {
	HS_REF_STR = 1,
	HS_REF_RANGE,  /* of `table` */
	HS_REF_INDEX,  /* into `table` */
	HS_REF_OPTION, /* the same, or HS_NONE */
	HS_REF_NUMBER, /* an index + 1, or 0 */
};

enum { HS_REFS_MAX = 20 };

struct hs_ref {
	__u8 kind; /* enum hs_ref_kind; 0 ends a list */
	__u8 table;
	__u16 at; /* the field's offset */
};

struct hs_shape {
	size_t size; /* of a row */
	struct hs_ref refs[HS_REFS_MAX];
};

extern const struct hs_shape hs_shapes[HS_TABLES];

#endif
