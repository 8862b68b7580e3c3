// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/metrics_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* What has been written is packed, if it is to be. */
static int written(struct metrics_out *out)
{
	int r;

	if (!out->gzip)
		return 0;
	r = metrics_gzip_text(out->gzip, out->text.bytes, out->text.size);
	out->text.size = 0;
	return r;
}

int metrics_begin(struct metrics_out *out, const struct metrics_family *f)
{
	static const char *const types[] = { "counter", "gauge", "histogram", "summary" };
	bool open = out->format == METRICS_OPENMETRICS;
	const char *suffix = !open && f->type == METRICS_COUNTER ? "_total" : "";
	char text[512];

	snprintf(text, sizeof(text), "# HELP %s%s %s\n# TYPE %s%s %s\n", f->name, suffix, f->help,
		 f->name, suffix, types[f->type]);
	if (buffer_add_text(&out->text, text))
		return -ENOMEM;
	if (open && f->unit) {
		snprintf(text, sizeof(text), "# UNIT %s %s\n", f->name, f->unit);
		if (buffer_add_text(&out->text, text))
			return -ENOMEM;
	}
	return written(out);
}

int metrics_float(struct metrics_out *out, const struct metrics_family *f, const char *suffix,
		  const char *labels, double value)
{
	char number[32];
	const char *const parts[] = {
		f->name, suffix, *labels ? "{" : "", labels, *labels ? "}" : "", " ", number, "\n"
	};

	snprintf(number, sizeof(number), isfinite(value) ? "%.15g" : "NaN", value);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (buffer_add_text(&out->text, parts[i]))
			return -ENOMEM;
	return written(out);
}

int metrics_finish(struct metrics_out *out)
{
	int r = 0;

	if (out->format == METRICS_OPENMETRICS)
		r = buffer_add_text(&out->text, "# EOF\n");
	if (!r)
		r = written(out);
	return r || !out->gzip ? r : metrics_gzip_end(out->gzip);
}

/* ---- lines that tell of traffic ---- */

static int put_line(struct metrics_out *out, const struct metrics_line *line)
{
	const char *end = metrics_end(out->format, line->end);
	size_t end_len = strlen(end);
	char *at;

	if (out->gzip)
		return metrics_gzip_line(out->gzip, line);
	if (buffer_reserve(&out->text,
			   line->name->len + line->labels.len + end_len + line->number->len))
		return -ENOMEM;
	at = out->text.bytes + out->text.size;
	at = mempcpy(at, line->name->text, line->name->len);
	at = mempcpy(at, line->labels.text, line->labels.len);
	at = mempcpy(at, end, end_len);
	at = mempcpy(at, metrics_number_text(line->number), line->number->len);
	out->text.size = (size_t)(at - out->text.bytes);
	return 0;
}

static int put_number(struct metrics_out *out, const struct metrics_name *name,
		      const struct metrics_labels *labels, struct metrics_number number)
{
	return put_line(out, &(struct metrics_line){ name, *labels, METRICS_END, &number });
}

int metrics_int(struct metrics_out *out, const struct metrics_name *name,
		const struct metrics_labels *labels, uint64_t value)
{
	return put_number(out, name, labels, metrics_number_of(value));
}

int metrics_histogram(struct metrics_out *out, const struct metrics_name names[METRICS_PARTS],
		      const struct metrics_labels *labels, const struct traffic_histogram *h,
		      bool is_us)
{
	struct metrics_number number;
	struct metrics_line line = { &names[METRICS_BUCKET], *labels, 0, &number };
	uint64_t count = 0;
	int r = 0;

	for (unsigned i = 0; !r && i < TRAFFIC_BUCKETS; i++) {
		count += h->buckets[i];
		if (h->buckets[i] || !i)
			number = metrics_number_of(count);
		line.end = i;
		r = put_line(out, &line);
	}
	if (!r)
		r = put_number(out, &names[METRICS_SUM], labels,
			       is_us ? metrics_number_of_thousandths(h->sum)
				     : metrics_number_of(h->sum));
	return r ? r : put_number(out, &names[METRICS_COUNT], labels, number);
}
