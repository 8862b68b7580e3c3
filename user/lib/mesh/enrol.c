// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/enrol.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/bytemap.h"
#include "lib/base/pool.h"
#include "lib/base/text.h"
#include "lib/model/hostname.h"
#include "lib/model/kinds.h"
#include "lib/model/remarks.h"

#define MODE_LABEL "istio.io/dataplane-mode"
#define INJECT_LABEL "sidecar.istio.io/inject" /* of old an annotation, too */
#define NAMESPACE_LABEL "istio-injection"
#define REVISION_LABEL "istio.io/rev"

static const char *const mode_names[] = { [ENROL_ALL] = "all", [ENROL_LABELLED] = "labelled" };

int enrol_mode_parse(const char *word)
{
	for (size_t i = 0; i < sizeof(mode_names) / sizeof(*mode_names); i++)
		if (!strcmp(word, mode_names[i]))
			return (int)i;
	return -1;
}

const char *enrol_mode_name(enum enrol_mode mode)
{
	return mode_names[mode];
}

const struct object *enrol_home(const struct objects *objects, const char *ns)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_NAMESPACE && str_eq(o->meta.name, ns))
			return o;
	}
	return NULL;
}

/* ---- what a pod and its namespace say ---- */

enum word {
	SAYS_NOTHING,
	SAYS_IN,
	SAYS_OUT,
};

/* All that is asked of a pod. */
struct member {
	const char *ns;
	const struct kvs *labels, *annotations; /* may be NULL */
	const struct object *home;
};

static const char *value_of(const struct kvs *list, const char *key)
{
	const char *value = list ? labels_get(list, key) : NULL;

	return value && *value ? value : NULL;
}

/* `e` is NULL where the reason is not asked for, as for every pod of a compilation. */
__attribute__((format(printf, 3, 4))) static enum word say(struct enrolment *e, enum word word,
							   const char *fmt, ...)
{
	va_list args;

	if (!e)
		return word;
	va_start(args, fmt);
	vsnprintf(e->why, sizeof(e->why), fmt, args);
	va_end(args);
	e->in = word == SAYS_IN;
	return word;
}

/* Where both are there, the label counts; what is neither true nor false says nothing. */
static enum word inject_says(const struct member *m, const char **how)
{
	const char *value = value_of(m->labels, INJECT_LABEL);

	*how = "label";
	if (!value) {
		value = value_of(m->annotations, INJECT_LABEL);
		*how = "annotation";
	}
	if (!value)
		return SAYS_NOTHING;
	return !strcmp(value, "true") ? SAYS_IN : !strcmp(value, "false") ? SAYS_OUT : SAYS_NOTHING;
}

/* No other word of the label is one for us. */
static enum word mode_says(const struct kvs *labels)
{
	const char *value = value_of(labels, MODE_LABEL);

	if (!value)
		return SAYS_NOTHING;
	return !strcmp(value, "ambient") ? SAYS_IN
	       : !strcmp(value, "none")	 ? SAYS_OUT
					 : SAYS_NOTHING;
}

/* Those that a node and a mesh need to come up: a label on one of their pods is not enough. */
static bool is_system(const char *ns)
{
	static const char *const names[] = { "kube-system",  "kube-public", "kube-node-lease",
					     "istio-system", "weft-system", NULL };

	for (size_t i = 0; names[i]; i++)
		if (str_eq(ns, names[i]))
			return true;
	return false;
}

/* What a namespace says decides for its pods, where they do not opt out; istio-injection counts
 * before istio.io/rev, as in Istio's own webhooks. */
static enum word namespace_says(const struct member *m, struct enrolment *e)
{
	const struct kvs *labels = m->home ? &m->home->meta.labels : NULL;
	const char *injection = value_of(labels, NAMESPACE_LABEL),
		   *revision = value_of(labels, REVISION_LABEL);

	if (mode_says(labels) == SAYS_IN)
		return say(e, SAYS_IN, "namespace %s has " MODE_LABEL "=ambient", m->ns);
	if (injection)
		return say(e, !strcmp(injection, "enabled") ? SAYS_IN : SAYS_OUT,
			   "namespace %s has " NAMESPACE_LABEL "=%s", m->ns, injection);
	if (revision)
		return say(e, SAYS_IN, "namespace %s has " REVISION_LABEL "=%s", m->ns, revision);
	return say(e, SAYS_NOTHING,
		   m->home ? "namespace %s has no label for the mesh"
			   : "namespace %s is not known, and so has no label for the mesh",
		   m->ns);
}

/* A pod of a namespace that says nothing. The annotation does not opt in: Istio's webhook does not
 * look at it. */
static enum word pod_opts_in(const struct member *m, struct enrolment *e)
{
	const char *inject = value_of(m->labels, INJECT_LABEL),
		   *revision = value_of(m->labels, REVISION_LABEL);

	if (inject && !strcmp(inject, "true"))
		return say(e, SAYS_IN, "its label " INJECT_LABEL "=true");
	if (revision)
		return say(e, SAYS_IN, "its label " REVISION_LABEL "=%s", revision);
	return SAYS_NOTHING;
}

static enum word member_says(const struct member *m, struct enrolment *e)
{
	enum word mode = mode_says(m->labels), word;
	const char *how;

	if (mode == SAYS_OUT)
		return say(e, SAYS_OUT, "its label " MODE_LABEL "=none");
	if (mode == SAYS_IN && !is_system(m->ns))
		return say(e, SAYS_IN, "its label " MODE_LABEL "=ambient");
	if (mode != SAYS_IN && inject_says(m, &how) == SAYS_OUT)
		return say(e, SAYS_OUT, "its %s " INJECT_LABEL "=false", how);
	word = namespace_says(m, e);
	return word == SAYS_NOTHING && !is_system(m->ns) ? pod_opts_in(m, e) : word;
}

static enum word pod_says(enum enrol_mode mode, const struct object *pod, const struct object *home,
			  struct enrolment *e)
{
	const struct member m = { pod->meta.namespace, &pod->meta.labels, &pod->meta.annotations,
				  home };

	if (pod->pod.host_network)
		return say(e, SAYS_OUT, "hostNetwork: it is in the node's own network");
	if (mode == ENROL_ALL)
		return say(e, SAYS_IN, "weftd enrols all pods");
	return member_says(&m, e);
}

struct enrolment enrol_pod(enum enrol_mode mode, const struct object *pod,
			   const struct object *home)
{
	struct enrolment e = { 0 };

	pod_says(mode, pod, home, &e);
	return e;
}

bool enrol_is_labelled(const struct object *pod, const struct object *home)
{
	return pod_says(ENROL_LABELLED, pod, home, NULL) == SAYS_IN;
}

struct enrolment enrol_labels(enum enrol_mode mode, const char *ns, const struct kvs *labels,
			      const struct object *home)
{
	const struct member m = { .ns = ns, .labels = labels, .home = home };
	struct enrolment e = { 0 };

	if (mode == ENROL_ALL)
		say(&e, SAYS_IN, "weftd enrols all pods");
	else
		member_says(&m, &e);
	return e;
}

/* ---- remarks ---- */

/* A namespace as its rules and pods have it. */
struct place {
	const struct object *home, *rule; /* or NULL */
	bool member;			  /* one of its pods is in the mesh */
};

static const char *place_name(const struct object *o)
{
	return o->kind == KIND_NAMESPACE ? o->meta.name : o->meta.namespace;
}

static bool is_rule(const struct object *o)
{
	return o->kind == KIND_VIRTUAL_SERVICE || o->kind == KIND_DESTINATION_RULE;
}

/* By name, in the order in which they are met. */
struct places {
	struct bytemap map; /* name -> struct place */
	struct pool *pool;
};

/* NULL when out of memory: there is a remark less then. */
static struct place *place_of(struct places *all, const char *ns)
{
	void **at = bytemap_at(&all->map, ns, strlen(ns));

	if (at && !*at)
		*at = pool_alloc(&all->pool, sizeof(struct place));
	return at ? *at : NULL;
}

static void note_object(struct places *all, const struct object *o)
{
	bool counts = o->kind == KIND_NAMESPACE || is_rule(o);
	struct place *p = counts ? place_of(all, place_name(o)) : NULL;

	if (!p)
		return;
	if (o->kind == KIND_NAMESPACE)
		p->home = o;
	else if (!p->rule)
		p->rule = o;
}

static struct pos label_pos(const struct object *o, const char *key)
{
	for (size_t i = 0; i < o->meta.labels.count; i++)
		if (str_eq(o->meta.labels.items[i].key, key) && o->meta.labels.items[i].pos.line)
			return o->meta.labels.items[i].pos;
	return o->pos;
}

/* Istio itself looks at the first of the two only. */
static void remark_two_labels(const struct object *home, struct errors *errors)
{
	const char *injection = value_of(&home->meta.labels, NAMESPACE_LABEL),
		   *revision = value_of(&home->meta.labels, REVISION_LABEL);

	if (injection && revision)
		errors_remark(errors, REMARK_TWO_MESH_LABELS, home, label_pos(home, REVISION_LABEL),
			      "namespace %s: " NAMESPACE_LABEL "=%s counts, and " REVISION_LABEL
			      "=%s does not",
			      home->meta.name, injection, revision);
}

static void remark_contradiction(const struct object *pod, const struct enrolment *e,
				 struct errors *errors)
{
	const struct member m = { .labels = &pod->meta.labels,
				  .annotations = &pod->meta.annotations };
	const char *label = value_of(m.labels, INJECT_LABEL),
		   *annotation = value_of(m.annotations, INJECT_LABEL), *how;
	enum word mode = mode_says(m.labels), inject = inject_says(&m, &how);

	if (mode && inject && mode != inject)
		errors_remark(errors, REMARK_CONTRADICTION, pod, label_pos(pod, MODE_LABEL),
			      "pod %s/%s: " MODE_LABEL "=%s and " INJECT_LABEL
			      "=%s contradict each other: it is %s",
			      pod->meta.namespace, pod->meta.name, value_of(m.labels, MODE_LABEL),
			      label ? label : annotation,
			      e->in ? "in the mesh" : "not in the mesh");
	else if (label && annotation && strcmp(label, annotation) != 0)
		errors_remark(errors, REMARK_CONTRADICTION, pod, label_pos(pod, INJECT_LABEL),
			      "pod %s/%s: the label " INJECT_LABEL
			      "=%s counts, and the annotation, %s, does not",
			      pod->meta.namespace, pod->meta.name, label, annotation);
}

static void look_at_pod(struct places *all, const struct object *pod, struct errors *errors)
{
	struct place *p = bytemap_str(&all->map, pod->meta.namespace);
	struct enrolment e = enrol_pod(ENROL_LABELLED, pod, p ? p->home : NULL);

	if (p)
		p->member |= e.in;
	remark_contradiction(pod, &e, errors);
}

static void remark_unlabelled(const struct place *p, struct errors *errors)
{
	const struct object *at = p->home ? p->home : p->rule;
	const struct member m = { .ns = place_name(at), .home = p->home };
	struct enrolment e = { 0 };

	if (!p->rule || p->member || is_system(m.ns) || namespace_says(&m, &e) != SAYS_NOTHING)
		return;
	errors_remark(errors, REMARK_NOT_ENROLLED, at, at->pos,
		      "%s, while it has rules (%s %s): none of its pods is in the mesh", e.why,
		      kind_name(p->rule->kind), p->rule->meta.name);
}

static void remark_all(struct places *all, const struct objects *objects, struct errors *errors)
{
	for (size_t i = 0; i < objects->count; i++)
		note_object(all, objects->items[i]);
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_NAMESPACE)
			remark_two_labels(o, errors);
		else if (o->kind == KIND_POD)
			look_at_pod(all, o, errors);
	}
	for (size_t i = 0; i < all->map.count; i++)
		if (all->map.entries[i].value)
			remark_unlabelled(all->map.entries[i].value, errors);
}

void enrol_remarks(enum enrol_mode mode, const struct objects *objects, struct errors *errors)
{
	struct places all = { 0 };

	if (mode == ENROL_LABELLED)
		remark_all(&all, objects, errors);
	bytemap_free(&all.map);
	pool_free(all.pool);
}
