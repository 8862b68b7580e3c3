/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static int by_result(const void *a, const void *b)
{
	return strcmp(((const struct conn *)a)->result, ((const struct conn *)b)->result);
}

static void print_counts(struct conn *conns, uint32_t opened)
{
	qsort(conns, opened, sizeof(*conns), by_result);
	putchar('{');
	for (uint32_t i = 0, n; i < opened; i += n) {
		for (n = 1; i + n < opened && !strcmp(conns[i].result, conns[i + n].result);)
			n++;
		printf("%s\"%s\":%" PRIu32, i ? "," : "", conns[i].result, n);
	}
	putchar('}');
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(const struct conn *conns, uint32_t opened, const char *name, bool refused)
{
	uint64_t *us = grow(NULL, (opened + 1) * sizeof(*us));
	uint32_t n = 0;

	for (uint32_t i = 0; i < opened; i++)
		if (conns[i].connected && refused == !strcmp(conns[i].result, "ECONNREFUSED"))
			us[n++] = (conns[i].connected - conns[i].opened) / 1000;
	qsort(us, n, sizeof(*us), by_number);
	us[n] = 0;
	printf(",\"%s\":{\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}", name,
	       us[n / 2], us[n - n / 100 - (n > 0)], us[n - (n > 0)]);
	free(us);
}

/* How long an answer took, from the call of connect() on. */
static void print_slowest_answer(const struct conn *conns, uint32_t opened)
{
	uint64_t slowest = 0;

	for (uint32_t i = 0; i < opened; i++)
		if (conns[i].answered && conns[i].answered - conns[i].opened > slowest)
			slowest = conns[i].answered - conns[i].opened;
	printf(",\"answer_us\":{\"max\":%" PRIu64 "}", slowest / 1000);
}

static void print_json(const struct conn *conns, uint32_t opened)
{
	putchar('[');
	for (uint32_t i = 0; i < opened; i++) {
		const struct conn *c = &conns[i];

		printf("%s{\"result\":\"%s\",\"connect_us\":%" PRIu64 ",\"local_port\":%u}",
		       i ? ",\n" : "", c->result,
		       c->connected ? (c->connected - c->opened) / 1000 : 0, c->local_port);
	}
	puts("]");
}

void report(struct conn *conns, uint32_t opened, uint32_t open_peak)
{
	if (opt.output == OUT_JSON) {
		print_json(conns, opened);
		return;
	}
	if (opt.output == OUT_SEQUENCE) {
		for (uint32_t i = 0; i < opened; i++)
			puts(conns[i].result);
		return;
	}
	if (opt.output == OUT_TIMES)
		fputs("{\"results\":", stdout);
	print_counts(conns, opened);
	if (opt.output == OUT_TIMES) {
		print_times(conns, opened, "connect_us", false);
		print_times(conns, opened, "refused_us", true);
		print_slowest_answer(conns, opened);
		printf(",\"peak_open\":%" PRIu32 "}", open_peak);
	}
	putchar('\n');
}
