/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "http_load.h"

enum { TALLY_MAX = 256 };

size_t tally_add(struct tally *t, const char *text)
{
	size_t i = 0;

	if (t->len == TALLY_MAX)
		text = "others";
	while (i < t->len && strcmp(t->counts[i].text, text) != 0)
		i++;
	if (i == t->len) {
		t->counts = grow(t->counts, ++t->len * sizeof(*t->counts));
		t->counts[i] = (struct count){ strdup(text), 0 };
	}
	t->counts[i].n++;
	return i;
}

/* So that whatever a server puts into an answer is JSON. */
static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if (*text < ' ')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	putchar('"');
}

static void print_tally(const char *name, const struct tally *t)
{
	printf(",\"%s\":{", name);
	for (size_t i = 0; i < t->len; i++) {
		if (i)
			putchar(',');
		print_text(t->counts[i].text);
		printf(":%" PRIu64, t->counts[i].n);
	}
	putchar('}');
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_latency(uint64_t *ns, uint64_t n)
{
	static const struct {
		const char *name;
		double share;
	} points[] = {
		{ "p50", .5 }, { "p90", .9 }, { "p99", .99 }, { "p99_9", .999 }, { "max", 1 }
	};

	qsort(ns, n, sizeof(*ns), by_number);
	printf(",\"latency_us\":{");
	for (size_t i = 0; i < sizeof(points) / sizeof(*points) && n; i++)
		printf("%s\"%s\":%.1f", i ? "," : "", points[i].name,
		       (double)ns[(uint64_t)((double)(n - 1) * points[i].share)] / 1000);
	putchar('}');
}

static void print_sequence(const struct results *r)
{
	for (uint64_t i = 0; i < r->sent; i++)
		puts(r->sequence[i] ? r->lines.counts[r->sequence[i] - 1].text : "stopped");
}

void report(struct results *r)
{
	if (opt.output == OUT_SEQUENCE) {
		print_sequence(r);
		return;
	}
	printf("{\"requests\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"seconds\":%.3f,\"rate\":%.1f",
	       r->sent, r->answered, r->seconds,
	       r->seconds > 0 ? (double)r->answered / r->seconds : 0.0);
	print_tally("statuses", &r->statuses);
	print_tally("errors", &r->errors);
	print_tally("words", &r->words);
	print_latency(r->latency, r->answered);
	if (opt.cpu_count)
		printf(",\"cpu_us\":%" PRIu64, r->cpu_ns / 1000);
	printf(",\"bytes\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"reopened\":%" PRIu64
	       ",\"idle\":%" PRIu64 ",\"idle_lost\":%" PRIu64 "}\n",
	       r->bytes, r->opened, r->reopened, r->idle_open, r->idle_lost);
}
