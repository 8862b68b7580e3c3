// SPDX-License-Identifier: Apache-2.0
#include "daemon/tracing/tracing.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/supervisor/fifo.h"
#include "daemon/tracing/names.h"
#include "daemon/tracing/otlp.h"
#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/kube/curl.h"

#define FIFO "spans"

enum {
	BATCH_LINES = 256, /* of up to two spans each */
	BATCH_MS = 1000,
	PAUSE_MS = 20, /* between reads: lines come one by one */
	AGAIN_MS = 1000,
	AGAIN_MAX_MS = 5000, /* whatever the collector says */
	CONNECT_S = 3,
	SEND_S = 10,
	ANSWER_MAX = 4096, /* bytes of an answer that are looked at */
	LINE_BYTES = 4096,
	READS = 64, /* in a row: sending has its turn, too */
};

/* Requests that weft-proxy, which is not trusted, may say it has lost at once. */
#define LOST_MAX (1ULL << 32)

/* A line that waits. */
struct line {
	char *text;
	size_t size;
};

/* What is being sent. */
struct batch {
	char *body; /* NULL: nothing is */
	size_t spans;
	bool again;	   /* it has been sent once already */
	bool under_way;	   /* the transfer is added */
	uint64_t begin_ms; /* not before */
	char answer[ANSWER_MAX];
	size_t answer_len;
};

struct tracing {
	struct collector to;
	int fifo; /* the thread reads it */
	int out;  /* for weft-proxy: with a dup of `fifo` it could make reads block (fifo.h) */
	struct names *names;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	char error[CURL_ERROR_SIZE];
	pthread_t thread;
	bool started;
	atomic_bool stop;
	_Atomic uint64_t sent, overflow, collector, rejected;
	/* The thread's alone. */
	struct line queue[TRACING_QUEUE];
	size_t first, count;
	uint64_t since_ms; /* when the first of the queue came */
	uint64_t rest_ms;  /* until then nothing is read */
	char part[LINE_BYTES];
	size_t part_len;
	bool skips;   /* a line that is too long */
	bool failing; /* which has been said */
	struct batch batch;
};

/* ---- lines ---- */

static size_t count_spans(const char *text, size_t size)
{
	static const char begin[] = "{\"span_id\":";
	size_t n = 0;

	for (const char *at = text;
	     (at = memmem(at, size - (size_t)(at - text), begin, sizeof(begin) - 1));
	     at += sizeof(begin) - 1)
		n++;
	return n;
}

/* {"lost":12}: weft-proxy had no room for so many. */
static bool take_loss(struct tracing *t, const char *text)
{
	unsigned long long lost;

	if (sscanf(text, "{\"lost\":%llu}", &lost) != 1)
		return false;
	if (lost <= LOST_MAX)
		t->overflow += lost;
	return true;
}

static void take_line(struct tracing *t, const char *text, size_t size)
{
	char *copy = t->count < TRACING_QUEUE ? malloc(size) : NULL;

	if (!copy) {
		t->overflow += count_spans(text, size);
		return;
	}
	memcpy(copy, text, size);
	t->queue[(t->first + t->count++) % TRACING_QUEUE] = (struct line){ copy, size };
	if (t->count == 1)
		t->since_ms = clock_ms();
}

static void end_line(struct tracing *t)
{
	t->part[t->part_len] = '\0';
	if (!t->skips && t->part_len && !take_loss(t, t->part))
		take_line(t, t->part, t->part_len);
	t->part_len = 0;
	t->skips = false;
}

static void take_bytes(struct tracing *t, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] == '\n')
			end_line(t);
		else if (t->part_len < LINE_BYTES - 1)
			t->part[t->part_len++] = bytes[i];
		else
			t->skips = true;
}

static void read_lines(struct tracing *t)
{
	char bytes[16 * 1024];
	ssize_t n;

	for (int i = 0; i < READS && !t->stop; i++) {
		n = read(t->fifo, bytes, sizeof(bytes));
		if (n <= 0)
			return;
		take_bytes(t, bytes, (size_t)n);
		t->rest_ms = clock_ms() + PAUSE_MS;
	}
}

/* ---- a batch ---- */

static struct line pop_line(struct tracing *t)
{
	const struct line l = t->queue[t->first];

	t->first = (t->first + 1) % TRACING_QUEUE;
	t->count--;
	t->since_ms = clock_ms();
	return l;
}

/* Lines that are none are left out. */
static size_t read_batch(struct tracing *t, struct otlp_line lines[BATCH_LINES])
{
	size_t n = 0;

	while (t->count && n < BATCH_LINES) {
		const struct line l = pop_line(t);

		if (!otlp_line_read(l.text, l.size, &lines[n]))
			n++;
		free(l.text);
	}
	return n;
}

/* Where the endpoint names a Service of the cluster, its address is known without DNS. */
static void set_address(struct tracing *t, const struct names_question *q)
{
	char address[ADDR_TEXT_MAX], entry[ADDR_TEXT_MAX + 8];

	curl_slist_free_all(t->connect_to);
	t->connect_to = NULL;
	if (q->has_address) {
		addr_format(&q->address, address);
		snprintf(entry, sizeof(entry),
			 addr_is_v4(&q->address) ? "::%s:" : "::[%s]:", address);
		t->connect_to = curl_slist_append(NULL, entry);
	}
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
}

static bool ask_names(struct tracing *t, struct otlp_line *lines, size_t count)
{
	struct names_end ends[2 * BATCH_LINES];
	struct names_question q = { .ends = ends, .count = 2 * count };
	bool answered;

	if (t->to.service[0]) {
		q.service = t->to.service;
		q.namespace = t->to.namespace;
	}
	for (size_t i = 0; i < count; i++) {
		ends[2 * i] = lines[i].client;
		ends[2 * i + 1] = lines[i].server;
	}
	answered = names_ask(t->names, &q);
	for (size_t i = 0; answered && i < count; i++) {
		lines[i].client = ends[2 * i];
		lines[i].server = ends[2 * i + 1];
	}
	if (answered)
		set_address(t, &q);
	return answered;
}

static void make_batch(struct tracing *t)
{
	struct otlp_line lines[BATCH_LINES];
	const size_t count = read_batch(t, lines);
	struct batch *b = &t->batch;

	if (count && ask_names(t, lines, count)) {
		b->body = otlp_write(lines, count);
		b->spans = 0;
		b->again = false;
		b->begin_ms = 0;
		for (size_t i = 0; i < count; i++)
			b->spans += lines[i].spans;
		if (!b->body)
			t->overflow += b->spans;
	}
	for (size_t i = 0; i < count; i++)
		otlp_line_free(&lines[i]);
}

static bool batch_is_due(const struct tracing *t, uint64_t now)
{
	return t->count >= BATCH_LINES || (t->count && now - t->since_ms >= BATCH_MS);
}

/* ---- sending ---- */

static size_t on_answer(char *bytes, size_t one, size_t n, void *arg)
{
	struct batch *b = arg;
	size_t room = sizeof(b->answer) - b->answer_len, some = n < room ? n : room;

	(void)one;
	memcpy(b->answer + b->answer_len, bytes, some);
	b->answer_len += some;
	return n;
}

static void drop_batch(struct tracing *t)
{
	free(t->batch.body);
	t->batch.body = NULL;
}

static void send_batch(struct tracing *t)
{
	struct batch *b = &t->batch;

	b->answer_len = 0;
	t->error[0] = '\0';
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, b->body);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(b->body));
	b->under_way = !curl_multi_add_handle(t->multi, t->easy);
	if (!b->under_way) {
		t->overflow += b->spans;
		drop_batch(t);
	}
}

/* {"partialSuccess": {"rejectedSpans": "3"}}: a number, as JSON or, as protobuf's 64 bits, a text.
 */
static size_t rejected_spans(const struct batch *b)
{
	_cleanup_json_ json_t *answer = json_loadb(b->answer, b->answer_len, 0, NULL);
	const json_t *n =
		json_object_get(json_object_get(answer, "partialSuccess"), "rejectedSpans");
	const long long spans = json_is_string(n) ? atoll(json_string_value(n))
						  : (long long)json_integer_value(n);

	return spans < 0 ? 0 : (size_t)spans > b->spans ? b->spans : (size_t)spans;
}

static void taken(struct tracing *t)
{
	const size_t rejected = rejected_spans(&t->batch);

	t->sent += t->batch.spans - rejected;
	t->rejected += rejected;
	if (t->failing)
		log_info("--tracing-endpoint: %s takes spans again", t->to.url);
	t->failing = false;
	drop_batch(t);
}

static void tell_failure(struct tracing *t, CURLcode code, long status)
{
	char why[64];

	snprintf(why, sizeof(why), "it answers %ld", status);
	if (!t->failing)
		log_warning("--tracing-endpoint: %s takes no spans, which are dropped: %s",
			    t->to.url,
			    !code	? why
			    : *t->error ? t->error
					: curl_easy_strerror(code));
	t->failing = true;
}

/* As OTLP says; a collector that can't be reached may be starting. */
static bool may_try_again(CURLcode code, long status)
{
	return code || status == 429 || status == 502 || status == 503 || status == 504;
}

static uint64_t pause_ms(struct tracing *t)
{
	curl_off_t wait = 0;

	if (curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &wait) || wait <= 0)
		return AGAIN_MS;
	return wait >= AGAIN_MAX_MS / 1000 ? AGAIN_MAX_MS : (uint64_t)wait * 1000;
}

static void finished(struct tracing *t, CURLcode code)
{
	struct batch *b = &t->batch;
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(t->multi, t->easy);
	b->under_way = false;
	if (!code && status >= 200 && status < 300) {
		taken(t);
	} else if (!b->again && may_try_again(code, status)) {
		b->again = true;
		b->begin_ms = clock_ms() + pause_ms(t);
	} else {
		tell_failure(t, code, status);
		t->collector += b->spans;
		drop_batch(t);
	}
}

static void go_on_sending(struct tracing *t)
{
	int running, left;
	CURLMsg *m;

	curl_multi_perform(t->multi, &running);
	while ((m = curl_multi_info_read(t->multi, &left)))
		if (m->msg == CURLMSG_DONE)
			finished(t, m->data.result);
}

/* ---- the thread ---- */

static int least(uint64_t now, uint64_t at, int ms)
{
	const uint64_t left = at > now ? at - now : 0;

	return left < (uint64_t)ms ? (int)left : ms;
}

static void wait_for_work(struct tracing *t)
{
	const uint64_t now = clock_ms();
	const bool rests = t->rest_ms > now;
	struct curl_waitfd fifo = { .fd = t->fifo, .events = CURL_WAIT_POLLIN };
	int ms = 60 * 1000;

	if (rests)
		ms = least(now, t->rest_ms, ms);
	if (t->batch.body && !t->batch.under_way)
		ms = least(now, t->batch.begin_ms, ms);
	if (!t->batch.body && t->count)
		ms = batch_is_due(t, now) ? 0 : least(now, t->since_ms + BATCH_MS, ms);
	curl_multi_poll(t->multi, &fifo, rests ? 0 : 1, ms, NULL);
}

static void *run(void *arg)
{
	struct tracing *t = arg;

	while (!t->stop) {
		if (clock_ms() >= t->rest_ms)
			read_lines(t);
		if (!t->batch.body && batch_is_due(t, clock_ms()))
			make_batch(t);
		if (t->batch.body && !t->batch.under_way && clock_ms() >= t->batch.begin_ms)
			send_batch(t);
		go_on_sending(t);
		wait_for_work(t);
	}
	return NULL;
}

/* ---- its life ---- */

static int set_up(struct tracing *t)
{
	static const char *const headers[] = { "Content-Type: application/json", "Expect:" };

	t->multi = curl_multi_init();
	t->easy = curl_easy_init();
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		struct curl_slist *more = curl_slist_append(t->headers, headers[i]);

		if (!more)
			return -ENOMEM;
		t->headers = more;
	}
	if (!t->multi || !t->easy)
		return -ENOMEM;
	curl_easy_setopt(t->easy, CURLOPT_URL, t->to.url);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "weft/" WEFT_VERSION);
	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "https,http");
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_SOCKOPTFUNCTION, curl_close_on_exec);
	/* Closing does not wait until a name is looked up. */
	curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT, (long)SEND_S);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, &t->batch);
	return 0;
}

DEFINE_CLEANUP(struct tracing *, tracing_close);

int tracing_open(const struct collector *to, const char *run_dir, struct event_loop *loop,
		 struct tracing **out)
{
	_cleanup_(tracing_closep) struct tracing *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return log_err(-ENOMEM, "--tracing-endpoint");
	t->to = *to;
	t->out = -1;
	t->fifo = fifo_open(run_dir, FIFO);
	if (t->fifo < 0)
		return log_err(t->fifo, "make a way for spans in %s", run_dir);
	t->out = fifo_open(run_dir, FIFO);
	if (t->out < 0)
		return log_err(t->out, "make a way for spans in %s", run_dir);
	r = curl_load();
	if (r)
		return r;
	r = set_up(t);
	if (!r)
		r = names_open(loop, &t->names);
	if (r)
		return log_err(r, "--tracing-endpoint");
	*out = TAKE_PTR(t);
	return 0;
}

int tracing_fd(const struct tracing *t)
{
	return t ? t->out : -1;
}

int tracing_begin(struct tracing *t, const struct engine *engine)
{
	sigset_t all, before;
	int r;

	if (!t)
		return 0;
	names_answer_by(t->names, engine);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&t->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	t->started = r == 0;
	return r ? log_err(-r, "--tracing-endpoint: start a thread") : 0;
}

struct tracing_counts tracing_counts(const struct tracing *t)
{
	return (struct tracing_counts){ .sent = t->sent,
					.overflow = t->overflow,
					.collector = t->collector,
					.rejected = t->rejected };
}

static void end_thread(struct tracing *t)
{
	t->stop = true;
	names_stop(t->names);
	curl_multi_wakeup(t->multi);
	pthread_join(t->thread, NULL);
}

void tracing_close(struct tracing *t)
{
	if (!t)
		return;
	if (t->started)
		end_thread(t);
	if (t->batch.under_way)
		curl_multi_remove_handle(t->multi, t->easy);
	if (t->easy)
		curl_easy_cleanup(t->easy);
	if (t->multi)
		curl_multi_cleanup(t->multi);
	if (t->headers || t->connect_to) {
		curl_slist_free_all(t->headers);
		curl_slist_free_all(t->connect_to);
	}
	drop_batch(t);
	while (t->count)
		free(pop_line(t).text);
	names_close(t->names);
	closep(&t->fifo);
	closep(&t->out);
	free(t);
}

void tracing_forget(const char *run_dir)
{
	fifo_remove(run_dir, FIFO);
}
