// SPDX-License-Identifier: Apache-2.0
#include "daemon/source/informer_priv.h"
#include "lib/base/log.h"

static void list_all(struct informer *i)
{
	log_warning("the API server at %s has gone back to an earlier version of its objects: all "
		    "of them are listed anew",
		    i->config->server);
	for (size_t k = 0; k < i->count; k++) {
		informer_watch_cancel(&i->watches[k]);
		reflector_list_anew(&i->watches[k].reflector);
	}
	i->past = (struct informer_past){ .apart = i->past.apart };
}

static bool went_back(const struct informer *i)
{
	for (size_t k = 0; k < i->count; k++)
		if (i->watches[k].reflector.went_back)
			return true;
	return false;
}

static bool is_listed(const struct informer_watch *w)
{
	return w->reflector.ask == REFLECTOR_WATCH;
}

/* What the list of what tells the cluster is compared with: no later than that begins. */
void informer_past_asked(const struct informer_watch *w)
{
	struct informer *i = w->informer;
	struct informer_past *p = &i->past;

	if (!w->reflector.resource->anew || !reflector_begins_list(&w->reflector))
		return;
	p->version = 0;
	for (size_t k = 0; k < i->count; k++) {
		if (i->watches[k].reflector.newest <= p->version)
			continue;
		p->farthest = &i->watches[k];
		p->version = p->farthest->reflector.newest;
	}
}

/* The list has ended that tells how far the store is. */
static void compare(struct informer *i, const struct informer_watch *w)
{
	struct informer_past *p = &i->past;
	bool suspicious = w->reflector.newest && w->reflector.newest < p->version && !p->apart;

	p->version = 0;
	if (!suspicious)
		return;
	p->suspect = p->farthest;
	informer_watch_cancel(p->suspect);
	reflector_list_again(&p->suspect->reflector);
}

void informer_past_check(struct informer *i)
{
	struct informer_past *p = &i->past;

	if (went_back(i)) {
		list_all(i);
		return;
	}
	if (p->suspect && is_listed(p->suspect)) {
		p->suspect = NULL;
		p->apart = true;
	}
	for (size_t k = 0; p->version && k < i->count; k++)
		if (i->watches[k].reflector.resource->anew && is_listed(&i->watches[k]))
			compare(i, &i->watches[k]);
}
