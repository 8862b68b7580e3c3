// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/informer_priv.h"

enum { BODY_MAX = 16 << 20, TIMEOUT_S = 30 };

struct informer_call {
	struct informer_transfer transfer; /* first */
	struct informer *informer;
	struct informer_call *next;
	char *method, *path, *type, *body; /* owned */
	size_t size;
	struct buffer answer;
	bool again; /* it is the second time: the first had a token that had ended */
	informer_reply_fn done;
	void *arg;
};

static void call_free(struct informer_call *c)
{
	if (!c)
		return;
	kube_transfer_close(&c->transfer.kube);
	buffer_wipe(&c->answer); /* the cluster's CA has its key in a Secret */
	free(c->method);
	free(c->path);
	free(c->type);
	free(c->body);
	free(c);
}
DEFINE_CLEANUP(struct informer_call *, call_free);

/* ---- in the thread of the loop ---- */

static struct informer_call *call_new(const char *method, const char *path, const char *type,
				      const char *body, size_t size)
{
	_cleanup_(call_freep) struct informer_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->method = strdup(method);
	c->path = strdup(path);
	c->type = type ? strdup(type) : NULL;
	c->body = body ? malloc(size + 1) : NULL;
	if (!c->method || !c->path || (type && !c->type) || (body && !c->body))
		return NULL;
	if (body)
		memcpy(c->body, body, size);
	c->size = size;
	return TAKE_PTR(c);
}

int informer_request(struct informer *i, const char *method, const char *path, const char *type,
		     const char *body, size_t size, informer_reply_fn done, void *arg)
{
	struct informer_call *c = call_new(method, path, type, body, size), **last = &i->asked;

	if (!c)
		return -ENOMEM;
	c->informer = i;
	c->done = done;
	c->arg = arg;
	pthread_mutex_lock(&i->lock);
	while (*last)
		last = &(*last)->next;
	*last = c;
	pthread_mutex_unlock(&i->lock);
	informer_wake(i);
	return 0;
}

/* ---- in the informer's ---- */

/* Tells what has become of it, and frees it. */
static void reply(struct informer_call *c, long status, const char *error)
{
	struct informer_message *m = informer_message_new(MESSAGE_REPLY);

	if (m) {
		m->done = c->done;
		m->arg = c->arg;
		m->code = status;
		snprintf(m->error, sizeof(m->error), "%s", error);
		m->bytes = c->answer;
		c->answer = (struct buffer){ 0 };
		informer_put(c->informer, m);
	}
	call_free(c);
}

static size_t take_body(char *bytes, size_t one, size_t size, void *arg)
{
	struct informer_call *c = arg;

	(void)one;
	if (size > BODY_MAX - c->answer.size)
		return 0;
	return buffer_add(&c->answer, bytes, size) ? 0 : size;
}

static void begin(struct informer_call *c);

static void unlink_call(struct informer_call *c)
{
	struct informer_call **at = &c->informer->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
}

static void over(struct informer_transfer *t, CURLcode code)
{
	struct informer_call *c = (struct informer_call *)t;
	char error[KUBE_ERROR_MAX] = "";
	long status = 0;

	unlink_call(c);
	if (code == CURLE_OK)
		curl_easy_getinfo(t->kube.easy, CURLINFO_RESPONSE_CODE, &status);
	else
		kube_transfer_error(&t->kube, c->informer->config, code, error);
	if (status == 401 && !c->again &&
	    !kube_credentials_renew(c->informer->credentials, true, error)) {
		c->again = true;
		buffer_free(&c->answer);
		begin(c);
		return;
	}
	if (buffer_add(&c->answer, "", 1))
		reply(c, 0, "out of memory");
	else
		reply(c, status, error);
}

static int open_transfer(struct informer_call *c)
{
	struct informer *i = c->informer;
	const struct kube_request request = { .method = c->method,
					      .path = c->path,
					      .type = c->type,
					      .body = c->body,
					      .size = c->size,
					      .timeout_s = TIMEOUT_S };

	if (kube_transfer_open(&c->transfer.kube, i->config, i->credentials, &request))
		return -ENOMEM;
	curl_easy_setopt(c->transfer.kube.easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c->transfer.kube.easy, CURLOPT_WRITEDATA, c);
	return informer_transfer_start(i, &c->transfer, over);
}

static void begin(struct informer_call *c)
{
	struct informer *i = c->informer;
	char error[KUBE_ERROR_MAX] = "out of memory";

	if (kube_credentials_renew(i->credentials, false, error) || open_transfer(c)) {
		reply(c, 0, error);
		return;
	}
	c->next = i->calls;
	i->calls = c;
}

void informer_calls_turn(struct informer *i)
{
	struct informer_call *c;

	pthread_mutex_lock(&i->lock);
	c = i->asked;
	i->asked = NULL;
	pthread_mutex_unlock(&i->lock);
	while (c) {
		struct informer_call *next = c->next;

		begin(c);
		c = next;
	}
}

void informer_calls_free(struct informer *i)
{
	struct informer_call *lists[] = { i->calls, i->asked };

	for (struct informer_call *c = i->calls; c; c = c->next)
		curl_multi_remove_handle(i->multi, c->transfer.kube.easy);
	for (size_t k = 0; k < 2; k++)
		while (lists[k]) {
			struct informer_call *next = lists[k]->next;

			call_free(lists[k]);
			lists[k] = next;
		}
}
