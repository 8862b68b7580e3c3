// SPDX-License-Identifier: Apache-2.0
#include "daemon/tracing/names.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "lib/base/addr.h"
#include "lib/base/cleanup.h"

struct names {
	const struct engine *engine; /* NULL: not yet */
	struct event event;	     /* an eventfd that wakes the loop */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct names_question *asked; /* by the lock; NULL: nothing is, or it is answered */
	bool stopped;
};

/* ---- in the loop ---- */

static bool is_unset(const struct addr *a)
{
	static const struct addr unset;

	return !memcmp(a, &unset, sizeof(unset));
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void look_up(const struct engine *e, struct names_end *end)
{
	const struct object *pod = is_unset(&end->addr) ? NULL : engine_pod_at(e, &end->addr);

	if (end->peer)
		end->name = copy(registry_name(engine_registry(e), REG_PEER, end->peer));
	if (end->cluster)
		end->cluster_name =
			copy(registry_name(engine_registry(e), REG_CLUSTER, end->cluster));
	if (!pod)
		return;
	end->pod = copy(pod->meta.name);
	end->node = copy(pod->pod.node_name);
}

static void look_up_service(const struct engine *e, struct names_question *q)
{
	const struct object_id id = { KIND_SERVICE, q->namespace, q->service };
	const struct known *k = known_find(engine_objects(e), &id);
	const struct strs *ips = k && k->object ? &k->object->service.cluster_ips : NULL;

	q->has_address = ips && ips->count && !addr_parse(ips->items[0], &q->address);
}

static void answer(const struct engine *e, struct names_question *q)
{
	for (size_t i = 0; i < q->count; i++)
		look_up(e, &q->ends[i]);
	if (q->service)
		look_up_service(e, q);
}

static void on_question(void *arg, uint32_t events)
{
	struct names *n = arg;
	struct names_question *q;
	uint64_t count;

	(void)events;
	if (!n->engine || read(n->event.fd, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&n->lock);
	q = n->stopped ? NULL : n->asked;
	if (q) /* the thread waits */
		answer(n->engine, q);
	n->asked = NULL;
	pthread_cond_signal(&n->answered);
	pthread_mutex_unlock(&n->lock);
}

DEFINE_CLEANUP(struct names *, names_close);

int names_open(struct event_loop *loop, struct names **out)
{
	_cleanup_(names_closep) struct names *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->answered, NULL);
	n->event = (struct event){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				   .ready = on_question,
				   .arg = n };
	r = n->event.fd < 0 ? -errno : event_watch(loop, &n->event, EPOLLIN);
	if (r)
		return r;
	*out = TAKE_PTR(n);
	return 0;
}

void names_answer_by(struct names *n, const struct engine *engine)
{
	n->engine = engine;
}

void names_stop(struct names *n)
{
	pthread_mutex_lock(&n->lock);
	n->stopped = true;
	pthread_cond_signal(&n->answered);
	pthread_mutex_unlock(&n->lock);
}

void names_close(struct names *n)
{
	if (!n)
		return;
	event_close(&n->event);
	pthread_cond_destroy(&n->answered);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

/* ---- in the thread ---- */

bool names_ask(struct names *n, struct names_question *q)
{
	const uint64_t one = 1;
	bool answered;

	pthread_mutex_lock(&n->lock);
	n->asked = q;
	(void)!write(n->event.fd, &one, sizeof(one));
	while (n->asked && !n->stopped)
		pthread_cond_wait(&n->answered, &n->lock);
	answered = !n->asked;
	n->asked = NULL;
	pthread_mutex_unlock(&n->lock);
	return answered;
}

void names_end_free(struct names_end *e)
{
	free(e->name);
	free(e->pod);
	free(e->node);
	free(e->cluster_name);
}
