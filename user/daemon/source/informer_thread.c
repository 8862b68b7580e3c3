// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "daemon/source/informer_priv.h"
#include "lib/base/clock.h"

enum { POLL_MAX_MS = 60000 };

int informer_transfer_start(struct informer *i, struct informer_transfer *t,
			    void (*over)(struct informer_transfer *t, CURLcode code))
{
	t->over = over;
	curl_easy_setopt(t->kube.easy, CURLOPT_PRIVATE, t);
	return curl_multi_add_handle(i->multi, t->kube.easy) ? -ENOMEM : 0;
}

static void finish_transfers(struct informer *i)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(i->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		struct informer_transfer *t = NULL;

		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
		curl_multi_remove_handle(i->multi, easy);
		t->over(t, code);
	}
}

static int timeout(const struct informer *i)
{
	uint64_t now = clock_ms(), at = now + POLL_MAX_MS;
	uint64_t discovery = informer_discovery_deadline(i);

	at = discovery < at ? discovery : at;
	for (size_t k = 0; k < i->count; k++) {
		uint64_t deadline = informer_watch_deadline(&i->watches[k]);

		at = deadline < at ? deadline : at;
	}
	return at > now ? (int)(at - now) : 0;
}

void *informer_thread(void *informer)
{
	struct informer *i = informer;
	int running;

	while (!atomic_load(&i->stop)) {
		informer_calls_turn(i);
		informer_discovery_turn(i, clock_ms());
		for (size_t k = 0; k < i->count; k++)
			informer_watch_turn(&i->watches[k], clock_ms());
		curl_multi_perform(i->multi, &running);
		finish_transfers(i);
		informer_past_check(i);
		informer_flush(i);
		curl_multi_poll(i->multi, NULL, 0, timeout(i), NULL);
	}
	return NULL;
}
