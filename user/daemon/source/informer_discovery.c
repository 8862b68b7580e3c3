// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/source/discovery.h"
#include "daemon/source/informer_priv.h"
#include "lib/base/clock.h"

enum { TIMEOUT_S = 30 };

/* ---- what is made of the answer ---- */

static int take_group(void *arg, const char *json, size_t size)
{
	struct informer *i = ((struct informer_discovery *)arg)->informer;

	for (size_t k = 0; k < i->count; k++) {
		struct informer_watch *w = &i->watches[k];
		int version =
			discovery_version((struct json_span){ json, size }, w->reflector.resource);

		if (version != REFLECTOR_NONE)
			w->seen = version;
	}
	return 0;
}

static size_t take_body(char *bytes, size_t one, size_t size, void *arg)
{
	struct informer_discovery *d = arg;
	long status = 0;

	(void)one;
	curl_easy_getinfo(d->transfer.kube.easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		d->r = json_stream_feed(&d->stream, bytes, size, take_group, d);
	return d->r ? 0 : size;
}

static size_t take_header(char *line, size_t one, size_t size, void *arg)
{
	struct informer_discovery *d = arg;

	(void)one;
	discovery_take_header(line, size, d->seen_etag);
	return size;
}

/* Each resource that waits for it is told, and each that is still missing once another of them has
 * come. */
static void tell(struct informer *i)
{
	uint64_t now = clock_ms();
	bool news = false;

	for (size_t k = 0; k < i->count; k++)
		if (reflector_discovered(&i->watches[k].reflector, now, i->watches[k].served))
			news = true;
	for (size_t k = 0; news && k < i->count; k++)
		reflector_expect(&i->watches[k].reflector, now);
}

static void tell_failure(struct informer *i, const struct reflector_end *how)
{
	for (size_t k = 0; k < i->count; k++)
		reflector_undiscovered(&i->watches[k].reflector, clock_ms(), how);
}

/* Whether what came is a whole list. */
static bool take_list(struct informer_discovery *d)
{
	struct json_span around = { d->stream.rest.bytes, d->stream.rest.size };

	if (!json_stream_complete(&d->stream) || !discovery_is_list(around))
		return false;
	for (size_t k = 0; k < d->informer->count; k++)
		d->informer->watches[k].served = d->informer->watches[k].seen;
	snprintf(d->etag, sizeof(d->etag), "%s", d->seen_etag);
	return true;
}

static void finish(struct informer_discovery *d)
{
	json_stream_free(&d->stream);
	d->busy = false;
}

static void over(struct informer_transfer *t, CURLcode code)
{
	struct informer_discovery *d = (struct informer_discovery *)t;
	struct informer *i = d->informer;
	char error[KUBE_ERROR_MAX] = "", ignored[KUBE_ERROR_MAX];
	struct reflector_end how = { .complete = code == CURLE_OK, .error = error };
	curl_off_t retry_after = 0;

	if (code == CURLE_OK)
		curl_easy_getinfo(t->kube.easy, CURLINFO_RESPONSE_CODE, &how.status);
	else
		kube_transfer_error(&t->kube, i->config, code, error);
	curl_easy_getinfo(t->kube.easy, CURLINFO_RETRY_AFTER, &retry_after);
	how.retry_after_ms = 1000 * (uint64_t)retry_after;
	if (how.status == 401)
		kube_credentials_renew(i->credentials, true, ignored);
	if ((how.status == 304 && *d->etag) || (how.status == 200 && take_list(d)))
		tell(i);
	else
		tell_failure(i, &how);
	finish(d);
}

/* ---- the request ---- */

static int open_transfer(struct informer_discovery *d)
{
	const struct kube_request request = { .method = "GET",
					      .path = DISCOVERY_PATH,
					      .accept = DISCOVERY_ACCEPT,
					      .etag = *d->etag ? d->etag : NULL,
					      .timeout_s = TIMEOUT_S };
	struct informer *i = d->informer;
	CURL *easy;

	if (kube_transfer_open(&d->transfer.kube, i->config, i->credentials, &request))
		return -ENOMEM;
	easy = d->transfer.kube.easy;
	/* It is some hundred kilobytes of text that is all the same. */
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, d);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, d);
	return informer_transfer_start(i, &d->transfer, over);
}

static void begin(struct informer *i)
{
	struct informer_discovery *d = &i->discovery;
	char error[KUBE_ERROR_MAX] = "out of memory";
	const struct reflector_end failed = { .error = error };

	d->informer = i;
	d->r = 0;
	d->seen_etag[0] = '\0';
	d->stream.mode = JSON_STREAM_LIST;
	d->busy = true;
	for (size_t k = 0; k < i->count; k++)
		i->watches[k].seen = REFLECTOR_NONE;
	atomic_fetch_add(&d->requests, 1);
	if (kube_credentials_renew(i->credentials, false, error) || open_transfer(d)) {
		tell_failure(i, &failed);
		finish(d);
	}
}

uint64_t informer_discovery_deadline(const struct informer *i)
{
	uint64_t at = UINT64_MAX;

	for (size_t k = 0; !i->discovery.busy && k < i->count; k++) {
		const struct reflector *r = &i->watches[k].reflector;

		if (reflector_discovers(r) && r->not_before < at)
			at = r->not_before;
	}
	return at;
}

void informer_discovery_turn(struct informer *i, uint64_t now_ms)
{
	if (now_ms >= informer_discovery_deadline(i))
		begin(i);
}

void informer_discovery_close(struct informer *i)
{
	if (i->discovery.busy)
		curl_multi_remove_handle(i->multi, i->discovery.transfer.kube.easy);
	kube_transfer_close(&i->discovery.transfer.kube);
	json_stream_free(&i->discovery.stream);
}
