// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/informer_priv.h"

/* ---- in the thread of the loop: what is told ---- */

static void read_record(const struct informer_message *m, const struct informer_record *r,
			struct informer_event *e)
{
	const char *text = m->bytes.bytes + r->at;

	e->resource = r->resource;
	e->change = r->change;
	e->namespace = text;
	text += strlen(text) + 1;
	e->name = text;
	text += strlen(text) + 1;
	e->resource_version = text;
	text += strlen(text) + 1;
	e->json = r->change == INFORMER_PUT ? text : NULL;
	e->size = r->size;
}

static void tell_events(const struct informer *i, const struct informer_message *m)
{
	struct informer_event some[64];
	size_t n = 0;

	for (size_t k = 0; k < m->records.count; k++) {
		read_record(m, &m->records.items[k], &some[n++]);
		if (n < sizeof(some) / sizeof(*some) && k + 1 < m->records.count)
			continue;
		i->sink.events(i->sink.arg, some, n);
		n = 0;
	}
}

static void read_counts(struct informer_watch *w)
{
	w->shown.requests = atomic_load(&w->counts[COUNT_REQUESTS]);
	w->shown.lists = atomic_load(&w->counts[COUNT_LISTS]);
	w->shown.watches = atomic_load(&w->counts[COUNT_WATCHES]);
	w->shown.events = atomic_load(&w->counts[COUNT_EVENTS]);
	w->shown.bytes = atomic_load(&w->counts[COUNT_BYTES]);
}

static void tell_status(struct informer *i, const struct informer_message *m)
{
	struct informer_watch *w = &i->watches[m->resource];
	int64_t since = w->shown.since;

	if (m->status.phase == w->shown.phase && !strcmp(m->status.error, w->shown.error))
		return;
	since = m->status.phase == w->shown.phase ? since : m->status.since;
	w->shown = m->status;
	w->shown.since = since;
	read_counts(w);
	i->sink.status(i->sink.arg, m->resource, &w->shown);
}

static void tell_reply(const struct informer_message *m)
{
	m->done(m->arg, m->code, m->bytes.bytes, m->bytes.size ? m->bytes.size - 1 : 0,
		m->code ? NULL : m->error);
}

static void tell(struct informer *i, const struct informer_message *m)
{
	switch (m->kind) {
	case MESSAGE_EVENTS:
		tell_events(i, m);
		break;
	case MESSAGE_STATUS:
		tell_status(i, m);
		break;
	case MESSAGE_SYNCED:
		i->sink.synced(i->sink.arg);
		break;
	case MESSAGE_REPLY:
		tell_reply(m);
		break;
	}
}

static void ready(void *arg, uint32_t events)
{
	struct informer *i = arg;
	struct informer_message *m = informer_queue_take(&i->queue);

	(void)events;
	while (m) {
		struct informer_message *next = m->next;

		tell(i, m);
		informer_message_free(m);
		m = next;
	}
	if (i->sink.told)
		i->sink.told(i->sink.arg);
}

const struct informer_status *informer_status(struct informer *i, unsigned resource)
{
	struct informer_watch *w = &i->watches[resource];

	read_counts(w);
	return &w->shown;
}

uint64_t informer_discoveries(const struct informer *i)
{
	return atomic_load(&i->discovery.requests);
}

/* ---- its life ---- */

static int open_watches(struct informer *i, const struct informer_resource *resources, size_t count)
{
	i->watches = calloc(count, sizeof(*i->watches));
	if (!i->watches)
		return -ENOMEM;
	i->count = count;
	for (size_t k = 0; k < count; k++) {
		int r = informer_watch_open(i, (unsigned)k, &resources[k]);

		if (r)
			return r;
	}
	return 0;
}

static int open_server(struct informer *i, const struct kube_config *config)
{
	i->config = kube_config_copy(config);
	i->credentials = i->config ? kube_credentials_new(i->config) : NULL;
	if (!i->credentials)
		return -ENOMEM;
	if (curl_load())
		return -EIO;
	return informer_thread_open(i);
}

static int open_all(struct informer *i, const struct kube_config *config,
		    const struct informer_resource *resources, size_t count)
{
	int r = informer_queue_open(&i->queue);

	if (!r)
		r = open_server(i, config);
	return r ? r : open_watches(i, resources, count);
}

int informer_open(const struct kube_config *config, const struct informer_resource *resources,
		  size_t count, const struct informer_sink *sink, struct event_loop *loop,
		  struct informer **out)
{
	struct informer *i = calloc(1, sizeof(*i));
	int r;

	if (!i)
		return -ENOMEM;
	pthread_mutex_init(&i->lock, NULL);
	i->sink = *sink;
	i->epoll = i->wake = -1;
	r = open_all(i, config, resources, count);
	i->loop = loop;
	if (r)
		informer_close(i);
	else
		*out = i;
	return r;
}

int informer_seed(struct informer *i, unsigned resource, const char *namespace, const char *name,
		  const char *resource_version)
{
	struct json_span version = { resource_version, strlen(resource_version) };

	return reflector_seed(&i->watches[resource].reflector, told_key(namespace, name), version);
}

int informer_begin(struct informer *i)
{
	sigset_t all, before;
	int r;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&i->thread, NULL, informer_thread, i);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	i->started = r == 0;
	return -r;
}

int informer_start(struct informer *i)
{
	int r = i->started ? 0 : informer_begin(i);

	i->event = (struct event){ .fd = i->queue.fd, .ready = ready, .arg = i };
	return r ? r : event_watch(i->loop, &i->event, EPOLLIN);
}

static void stop(struct informer *i)
{
	if (!i->started)
		return;
	atomic_store(&i->stop, true);
	informer_queue_stop(&i->queue);
	informer_wake(i);
	pthread_join(i->thread, NULL);
}

void informer_close(struct informer *i)
{
	if (!i)
		return;
	stop(i);
	event_forget(&i->event);
	informer_calls_free(i);
	informer_discovery_close(i);
	for (size_t k = 0; k < i->count; k++)
		informer_watch_close(&i->watches[k]);
	free(i->watches);
	informer_thread_close(i);
	informer_message_free(i->batch);
	informer_queue_close(&i->queue);
	kube_credentials_free(i->credentials);
	kube_config_free(i->config);
	pthread_mutex_destroy(&i->lock);
	free(i);
}
