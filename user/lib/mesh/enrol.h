/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_MESH_ENROL_H
#define WEFT_LIB_MESH_ENROL_H
/*
 * Who is in the mesh: by the labels of pods and of their namespaces that users know from Istio.
 * Pure; everything is borrowed.
 */
#include "lib/model/model.h"

enum enrol_mode {
	ENROL_ALL, /* every pod that has a network of its own, labels or not */
	ENROL_LABELLED,
};

enum { ENROL_WHY_MAX = 384 };

struct enrolment {
	bool in;
	char why[ENROL_WHY_MAX]; /* "namespace default has istio-injection=enabled" */
};

/* "all" or "labelled"; -1 for other words. */
int enrol_mode_parse(const char *word);
const char *enrol_mode_name(enum enrol_mode mode);

/* The Namespace of that name, or NULL. */
const struct object *enrol_home(const struct objects *objects, const char *ns);

/*
 * Whether a Pod is in the mesh, and why. `home` is its Namespace, NULL where that is not known:
 * then it says nothing.
 */
struct enrolment enrol_pod(enum enrol_mode mode, const struct object *pod,
			   const struct object *home);
/* Whether ENROL_LABELLED takes it in; cheaper, for many. */
bool enrol_is_labelled(const struct object *pod, const struct object *home);
/* The same as enrol_pod() for a client of which no more is known than its labels (NULL: none). */
struct enrolment enrol_labels(enum enrol_mode mode, const char *ns, const struct kvs *labels,
			      const struct object *home);

/* What istioctl analyze would find: namespaces with rules and without a label, labels that
 * contradict each other. Nothing with ENROL_ALL. */
void enrol_remarks(enum enrol_mode mode, const struct objects *objects, struct errors *errors);

#endif
