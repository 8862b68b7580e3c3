// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	NUMBER_ROOM = 32,
	BUCKET_ROOM = 64, /* of a bucket's line beside its name and labels */
};

/* ---- what is asked for ---- */

const char *metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

/* The weight of an element of such a list: 1 unless it says another. */
static double weight(const char *element, size_t len)
{
	const char *end = element + len;

	for (const char *at = element; (at = memchr(at, ';', (size_t)(end - at))); at++) {
		const char *p = at + 1 + strspn(at + 1, " \t");

		if (p + 1 < end && (*p == 'q' || *p == 'Q') && p[1] == '=')
			return strtod(p + 2, NULL);
	}
	return 1;
}

/* What a list gives a word: its weight, or that of what takes all; -1: it isn't there. */
static double weight_of(const char *list, const char *word)
{
	double found = -1;

	for (const char *at = list; *at; at += *at == ',') {
		size_t skip = strspn(at, " \t"), len = strcspn(at, ","), name;

		name = strcspn(at + skip, ",; \t");
		if (name == strlen(word) && !strncasecmp(at + skip, word, name))
			found = weight(at, len);
		at += len;
	}
	return found;
}

enum metrics_format metrics_accepted(const char *accept)
{
	double open, text;

	if (!accept)
		return METRICS_TEXT;
	open = weight_of(accept, "application/openmetrics-text");
	text = weight_of(accept, "text/plain");
	return open > 0 && open >= text ? METRICS_OPENMETRICS : METRICS_TEXT;
}

bool metrics_takes_gzip(const char *accept_encoding)
{
	return accept_encoding && weight_of(accept_encoding, "gzip") > 0;
}

/* ---- lines ---- */

int metrics_label(struct buffer *out, const char *name, const char *value)
{
	int r = buffer_add(out, ",", out->size ? 1 : 0);

	if (!r)
		r = buffer_add_text(out, name);
	if (!r)
		r = buffer_add_text(out, "=\"");
	for (const char *at = value; !r && *at;) {
		size_t plain = strcspn(at, "\\\"\n");

		r = buffer_add(out, at, plain);
		at += plain;
		if (!r && *at) {
			r = buffer_add_text(out, *at == '\n'  ? "\\n"
						 : *at == '"' ? "\\\""
							      : "\\\\");
			at++;
		}
	}
	return r ? r : buffer_add_text(out, "\"");
}

int metrics_begin(struct buffer *out, enum metrics_format format, const struct metrics_family *f)
{
	static const char *const types[] = { "counter", "gauge", "histogram", "summary" };
	const char *suffix = format == METRICS_TEXT && f->type == METRICS_COUNTER ? "_total" : "";
	char text[512];

	snprintf(text, sizeof(text), "# HELP %s%s %s\n# TYPE %s%s %s\n", f->name, suffix, f->help,
		 f->name, suffix, types[f->type]);
	if (buffer_add_text(out, text))
		return -ENOMEM;
	if (format == METRICS_TEXT || !f->unit)
		return 0;
	snprintf(text, sizeof(text), "# UNIT %s %s\n", f->name, f->unit);
	return buffer_add_text(out, text);
}

/* Decimal digits, not terminated. Returns how many. */
static size_t put_number(char out[NUMBER_ROOM], uint64_t v)
{
	char digits[NUMBER_ROOM];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

static int put_line(struct buffer *out, const struct metrics_family *f, const char *suffix,
		    const char *labels, const char *number, size_t len)
{
	if (buffer_add_text(out, f->name) || buffer_add_text(out, suffix))
		return -ENOMEM;
	if (*labels &&
	    (buffer_add(out, "{", 1) || buffer_add_text(out, labels) || buffer_add(out, "}", 1)))
		return -ENOMEM;
	return buffer_add(out, " ", 1) || buffer_add(out, number, len) || buffer_add(out, "\n", 1)
		       ? -ENOMEM
		       : 0;
}

int metrics_int(struct buffer *out, const struct metrics_family *f, const char *suffix,
		const char *labels, uint64_t value)
{
	char number[NUMBER_ROOM];

	return put_line(out, f, suffix, labels, number, put_number(number, value));
}

int metrics_float(struct buffer *out, const struct metrics_family *f, const char *suffix,
		  const char *labels, double value)
{
	char number[NUMBER_ROOM];
	int n = isfinite(value) ? snprintf(number, sizeof(number), "%.15g", value)
				: snprintf(number, sizeof(number), "NaN");

	return put_line(out, f, suffix, labels, number, (size_t)n);
}

/* ---- histograms ---- */

/* As the clients of either format write it, with the bracket: OpenMetrics has floats only. */
static const char *const ends[2][TRAFFIC_BUCKETS] = {
	[METRICS_TEXT] = { "0.5\"} ",	 "1\"} ",      "5\"} ",	      "10\"} ",	     "25\"} ",
			   "50\"} ",	 "100\"} ",    "250\"} ",     "500\"} ",     "1000\"} ",
			   "2500\"} ",	 "5000\"} ",   "10000\"} ",   "30000\"} ",   "60000\"} ",
			   "300000\"} ", "600000\"} ", "1800000\"} ", "3600000\"} ", "+Inf\"} " },
	[METRICS_OPENMETRICS] = { "0.5\"} ",	  "1.0\"} ",	 "5.0\"} ",	"10.0\"} ",
				  "25.0\"} ",	  "50.0\"} ",	 "100.0\"} ",	"250.0\"} ",
				  "500.0\"} ",	  "1000.0\"} ",	 "2500.0\"} ",	"5000.0\"} ",
				  "10000.0\"} ",  "30000.0\"} ", "60000.0\"} ", "300000.0\"} ",
				  "600000.0\"} ", "1.8e+06\"} ", "3.6e+06\"} ", "+Inf\"} " },
};

/* What stands before the end of a bucket, at `at`. Returns where it goes on. */
static char *put_bucket(char *at, const struct metrics_family *f, size_t name, const char *labels,
			size_t labels_len)
{
	at = mempcpy(at, f->name, name);
	at = mempcpy(at, "_bucket{", 8);
	at = mempcpy(at, labels, labels_len);
	return labels_len ? mempcpy(at, ",le=\"", 5) : mempcpy(at, "le=\"", 4);
}

/* The lines of its buckets. *count: all that is in them. */
static int put_buckets(struct buffer *out, enum metrics_format format,
		       const struct metrics_family *f, const char *labels,
		       const struct traffic_histogram *h, uint64_t *count)
{
	size_t name = strlen(f->name), labels_len = strlen(labels), digits = 0;
	size_t room = TRAFFIC_BUCKETS * (name + labels_len + BUCKET_ROOM);
	char number[NUMBER_ROOM], *at;

	if (buffer_reserve(out, room))
		return -ENOMEM;
	at = out->bytes + out->size;
	for (int i = 0; i < TRAFFIC_BUCKETS; i++) {
		*count += h->buckets[i];
		if (h->buckets[i] || !i)
			digits = put_number(number, *count);
		at = put_bucket(at, f, name, labels, labels_len);
		at = stpcpy(at, ends[format][i]);
		at = mempcpy(at, number, digits);
		*at++ = '\n';
	}
	out->size = (size_t)(at - out->bytes);
	return 0;
}

int metrics_histogram(struct buffer *out, enum metrics_format format,
		      const struct metrics_family *f, const char *labels,
		      const struct traffic_histogram *h, unsigned scale)
{
	uint64_t count = 0;
	int r = put_buckets(out, format, f, labels, h, &count);

	if (!r)
		r = scale == 1 ? metrics_int(out, f, "_sum", labels, h->sum)
			       : metrics_float(out, f, "_sum", labels, (double)h->sum / scale);
	return r ? r : metrics_int(out, f, "_count", labels, count);
}

int metrics_end(struct buffer *out, enum metrics_format format)
{
	return format == METRICS_OPENMETRICS ? buffer_add_text(out, "# EOF\n") : 0;
}
