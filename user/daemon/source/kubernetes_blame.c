// SPDX-License-Identifier: Apache-2.0
/*
 * What is wrong with the objects of the cluster, and the one that a message is about.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

static bool is_new(const struct errors *was, const struct errors *is)
{
	const char *a = was->count ? was->items[0].text : NULL;
	const char *b = is->count ? is->items[0].text : NULL;

	return b && (!a || strcmp(a, b) != 0);
}

static void tell(struct kube_source *s, const struct kube_object *o, const struct errors *errors)
{
	const struct kube_kind *k = &kube_kinds[o->kind];

	if (k->kind >= 0)
		log_warning("%s; it is %s", errors->items[0].text, kube_object_effect(o));
	else if (!(s->told & 1ull << o->kind))
		log_warning("%s; this is said once, and for as long as there are any in `weft "
			    "status`",
			    errors->items[0].text);
	if (k->kind < 0)
		s->told |= 1ull << o->kind;
}

void kube_source_blame(struct kube_source *s, struct kube_object *o, struct errors *errors)
{
	bool news = is_new(&o->errors, errors);

	s->bad += !o->errors.count;
	errors_free(&o->errors);
	errors_move(&o->errors, errors);
	/* It is wrong even if there is no memory for why. */
	if (!o->errors.count)
		s->bad--;
	else if (news)
		tell(s, o, &o->errors);
	status_writer_changed(s->writer);
}

void kube_source_acquit(struct kube_source *s, struct kube_object *o)
{
	char text[KUBE_TEXT_MAX];

	if (!o->errors.count)
		return;
	s->bad--;
	if (!o->gone)
		log_info("%s: is right, and in force", kube_object_text(o, text, sizeof(text)));
	errors_free(&o->errors);
	status_writer_changed(s->writer);
}

struct kube_object *kube_source_blamed(const struct kube_source *s, const struct error *e)
{
	_cleanup_free_ char *at = e->text ? strndup(e->text, e->place) : NULL;
	char *slash = at ? strchr(at, '/') : NULL, *name = slash ? strrchr(at, '/') : NULL;
	int kind = slash ? kube_kind_of_word(at, (size_t)(slash - at)) : -1;

	if (kind < 0)
		return NULL;
	*name++ = 0;
	return kube_objects_find(&s->objects, (unsigned)kind, name > slash + 1 ? slash + 1 : "",
				 name);
}
