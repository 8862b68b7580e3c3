// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/ask.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/wire/wire_client.h"

enum { PATIENCE_S = 20 };

void ask_open(struct ask *a)
{
	pthread_mutex_init(&a->lock, NULL);
	a->fd = -1;
}

void ask_close(struct ask *a)
{
	closep(&a->fd);
	pthread_mutex_destroy(&a->lock);
}

void ask_end(struct ask *a)
{
	pthread_mutex_lock(&a->lock);
	a->ended = true;
	if (a->fd >= 0)
		shutdown(a->fd, SHUT_RDWR);
	pthread_mutex_unlock(&a->lock);
}

/* From now on ask_end() finds it. 0 or -errno. */
static int connect_to(struct ask *a)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	_cleanup_close_ int fd = a->fd < 0 ? wire_connect(a->run_dir) : -1;
	int r = a->fd < 0 && fd < 0 ? fd : 0;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	pthread_mutex_lock(&a->lock);
	if (a->ended)
		r = -ESHUTDOWN;
	else if (fd >= 0)
		a->fd = TAKE_FD(fd);
	pthread_mutex_unlock(&a->lock);
	return r;
}

static void hang_up(struct ask *a)
{
	pthread_mutex_lock(&a->lock);
	closep(&a->fd);
	a->fd = -1;
	pthread_mutex_unlock(&a->lock);
}

/* weftd hangs up on who has been silent for a while: then once more. */
static int call(struct ask *a, const json_t *request, json_t **reply)
{
	bool again = a->fd >= 0;
	int r = connect_to(a);

	if (!r)
		r = wire_call(a->fd, request, NULL, 0, reply);
	if (r)
		hang_up(a);
	if (!r || !again || r == -EAGAIN || r == -ESHUTDOWN)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	return call(a, request, reply);
}

/* The errors of a refusal, one a line. */
static json_t *reasons(const json_t *reply)
{
	const json_t *errors = json_object_get(reply, "errors"), *error;
	_cleanup_free_ char *text = NULL;
	size_t size = 0, i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	json_array_foreach(errors, i, error)
		fprintf(f, "%s%s", i ? "\n" : "", json_string_value(error) ?: "");
	return fclose(f) ? NULL : json_text(text);
}

int ask_weftd(struct ask *a, json_t *request, json_t **data, json_t **why)
{
	_cleanup_json_ json_t *asked = request, *reply = NULL;
	int r = asked ? call(a, asked, &reply) : -ENOMEM;

	if (r)
		return r;
	if (!json_is_true(json_object_get(reply, "ok"))) {
		*why = reasons(reply);
		return -EINVAL;
	}
	*data = json_incref(json_object_get(reply, "data"));
	return 0;
}
