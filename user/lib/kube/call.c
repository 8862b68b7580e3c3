// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/kube/answer.h"
#include "lib/kube/call.h"
#include "lib/kube/kube_file.h"

enum { BODY_MAX = 256 << 20, TIMEOUT_S = 30 };

struct kube_client {
	struct kube_config *config;
	struct kube_credentials *credentials;
	struct kube_transfer transfer;
};

struct body {
	char *bytes;
	size_t size, room;
	int r;
};

int kube_client_open(struct kube_config *config, struct kube_client **out)
{
	_cleanup_(kube_client_closep) struct kube_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		kube_config_free(config);
		return -ENOMEM;
	}
	c->config = config;
	c->credentials = kube_credentials_new(config);
	r = c->credentials ? curl_load() : -ENOMEM;
	if (r)
		return r;
	*out = TAKE_PTR(c);
	return 0;
}

void kube_client_close(struct kube_client *c)
{
	if (!c)
		return;
	kube_transfer_close(&c->transfer);
	kube_credentials_free(c->credentials);
	kube_config_free(c->config);
	free(c);
}

const struct kube_config *kube_client_config(const struct kube_client *c)
{
	return c->config;
}

void kube_reply_free(struct kube_reply *reply)
{
	free(reply->body);
	*reply = (struct kube_reply){ 0 };
}

/* ---- what the answer says ---- */

const char *kube_status_text(long status, const char *body, size_t size, char error[KUBE_ERROR_MAX])
{
	_cleanup_(kube_status_free) struct kube_status said = { 0 };
	size_t line = 0;

	if (kube_read_status(body, size, &said) && said.message) {
		kube_error(error, 0, "%s", said.message);
		json_clean(error);
		return error;
	}
	while (body && line < size && line < KUBE_ERROR_MAX / 2 && body[line] != '\n' && body[line])
		line++;
	kube_error(error, 0, "the API server answered with status %ld%s%.*s", status,
		   line ? ": " : "", (int)line, body ? body : "");
	json_clean(error);
	return error;
}

static int code_of(long status)
{
	switch (status) {
	case 400:
	case 415:
	case 422:
		return -EINVAL;
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 409:
		return -EEXIST;
	}
	return status == 429 || status >= 500 ? -EAGAIN : -EPROTO;
}

/* ---- the call ---- */

static size_t take(char *bytes, size_t one, size_t size, void *arg)
{
	struct body *b = arg;
	size_t room = b->room ? b->room : 4096;

	(void)one;
	if (size > BODY_MAX - b->size) {
		b->r = -EFBIG;
		return 0;
	}
	while (room < b->size + size + 1)
		room *= 2;
	if (!b->bytes || room > b->room) {
		char *more = realloc(b->bytes, room);

		if (!more) {
			b->r = -ENOMEM;
			return 0;
		}
		b->bytes = more;
		b->room = room;
	}
	memcpy(b->bytes + b->size, bytes, size);
	b->size += size;
	b->bytes[b->size] = '\0';
	return size;
}

static int failed(const struct kube_client *c, CURLcode code, const struct body *body, char *error)
{
	if (body->r == -ENOMEM || code == CURLE_OUT_OF_MEMORY)
		return kube_error(error, -ENOMEM, "out of memory");
	if (body->r == -EFBIG)
		return kube_error(error, -EFBIG, "the answer of the API server at %s is too large",
				  c->config->server);
	kube_transfer_error(&c->transfer, c->config, code, error);
	return code == CURLE_COULDNT_CONNECT	  ? -ECONNREFUSED
	       : code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT
						  : -EIO;
}

/* 0 when there is an answer, whatever it says. */
static int perform(struct kube_client *c, const struct kube_request *request,
		   struct kube_reply *out, char *error)
{
	struct kube_request bounded = *request;
	struct body body = { 0 };
	CURLcode code;

	bounded.timeout_s = request->timeout_s ? request->timeout_s : TIMEOUT_S;
	if (kube_transfer_open(&c->transfer, c->config, c->credentials, &bounded))
		return kube_error(error, -ENOMEM, "out of memory");
	curl_easy_setopt(c->transfer.easy, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c->transfer.easy, CURLOPT_WRITEDATA, &body);
	code = curl_easy_perform(c->transfer.easy);
	if (code == CURLE_OK && !body.bytes)
		take("", 1, 0, &body);
	if (code != CURLE_OK || body.r) {
		free(body.bytes);
		return failed(c, code, &body, error);
	}
	curl_easy_getinfo(c->transfer.easy, CURLINFO_RESPONSE_CODE, &out->status);
	out->body = body.bytes;
	out->size = body.size;
	return 0;
}

int kube_call(struct kube_client *c, const struct kube_request *request, struct kube_reply *out,
	      char error[KUBE_ERROR_MAX])
{
	struct kube_reply reply = { 0 };
	int r = kube_credentials_renew(c->credentials, false, error);

	if (r == 0)
		r = perform(c, request, &reply, error);
	/* The token may have ended since it was read. */
	if (r == 0 && reply.status == 401 &&
	    kube_credentials_renew(c->credentials, true, error) == 0) {
		kube_reply_free(&reply);
		r = perform(c, request, &reply, error);
	}
	if (r)
		return r;
	*out = reply;
	if (reply.status >= 200 && reply.status < 300)
		return 0;
	kube_status_text(reply.status, reply.body, reply.size, error);
	return code_of(reply.status);
}
