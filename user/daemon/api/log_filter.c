// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/log_filter.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/json_io.h"

enum { STATUS_MAX = 999 };

/* ---- statuses ---- */

static bool parse_number(const char *text, size_t len, unsigned *out)
{
	*out = 0;
	if (!len || len > 3)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		*out = *out * 10 + (unsigned)(text[i] - '0');
	}
	return true;
}

/* "200", "2xx", "200-299". */
static bool parse_status(const char *text, unsigned *least, unsigned *most)
{
	const char *dash = strchr(text, '-');

	if (isdigit((unsigned char)text[0]) && strcasecmp(text + 1, "xx") == 0) {
		*least = (unsigned)(text[0] - '0') * 100;
		*most = *least + 99;
		return true;
	}
	if (dash)
		return parse_number(text, (size_t)(dash - text), least) &&
		       parse_number(dash + 1, strlen(dash + 1), most) && *least <= *most;
	if (!parse_number(text, strlen(text), least))
		return false;
	*most = *least;
	return true;
}

static bool status_holds(const char *text, const json_t *entry)
{
	const json_t *status = json_object_get(entry, "status");
	unsigned least, most;

	return json_is_integer(status) && parse_status(text, &least, &most) &&
	       json_integer_value(status) >= least && json_integer_value(status) <= most;
}

static bool status_means(const char *text)
{
	unsigned least, most;

	return parse_status(text, &least, &most);
}

/* ---- words ---- */

static const char *const verdicts[] = { "forwarded", "answered", "refused", "failed", NULL };
static const char *const protocols[] = { "http", "tcp", NULL };

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcasecmp(text, *words) == 0)
			return true;
	return false;
}

static const char *verdict_of(const char *text)
{
	if (strcasecmp(text, "dropped") == 0)
		return "refused";
	return strcasecmp(text, "error") == 0 ? "failed" : text;
}

static bool verdict_means(const char *text)
{
	return is_one_of(verdict_of(text), verdicts);
}

static bool verdict_holds(const char *text, const json_t *entry)
{
	return strcasecmp(json_get_text(entry, "verdict", ""), verdict_of(text)) == 0;
}

static bool protocol_means(const char *text)
{
	return is_one_of(text, protocols);
}

static bool protocol_holds(const char *text, const json_t *entry)
{
	return strcasecmp(json_get_text(entry, "protocol", ""), text) == 0;
}

/* ---- ends ---- */

static bool name_holds(const char *name, const json_t *end)
{
	static const char *const members[] = { "pod", "workload", "app", "service", "host" };

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		const char *is = json_get_text(end, members[i], NULL);

		if (is && fnmatch(name, is, 0) == 0)
			return true;
	}
	return false;
}

/* "10.0.0.1", "10.0.0.0/8"; and not "shop/web". */
static bool as_cidr(const char *text, struct cidr *out)
{
	return (strchr(text, '.') || strchr(text, ':')) && cidr_parse(text, out);
}

static bool end_holds(const char *text, const json_t *end)
{
	const char *slash = strchr(text, '/'), *namespace = json_get_text(end, "namespace", "");
	struct addr addr;
	struct cidr cidr;

	if (as_cidr(text, &cidr))
		return addr_parse(json_get_text(end, "address", ""), &addr) == 0 &&
		       cidr_holds(&cidr, &addr);
	if (!slash)
		return name_holds(text, end);
	if (strlen(namespace) != (size_t)(slash - text) ||
	    memcmp(namespace, text, (size_t)(slash - text)) != 0)
		return false;
	return !slash[1] || name_holds(slash + 1, end);
}

static bool from_holds(const char *text, const json_t *entry)
{
	return end_holds(text, json_object_get(entry, "source"));
}

static bool to_holds(const char *text, const json_t *entry)
{
	return end_holds(text, json_object_get(entry, "destination"));
}

static bool end_means(const char *text)
{
	const char *slash = strchr(text, '/');
	struct cidr cidr;

	return *text &&
	       (!slash || as_cidr(text, &cidr) || (slash != text && !strchr(slash + 1, '/')));
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	size_t member;
	bool (*means)(const char *text);
	bool (*holds)(const char *text, const json_t *entry);
	const char *expected;
} lists[] = {
	{ "from", offsetof(struct log_filter, from), end_means, from_holds,
	  "NAME, NAMESPACE/NAME, NAMESPACE/ or an address" },
	{ "to", offsetof(struct log_filter, to), end_means, to_holds,
	  "NAME, NAMESPACE/NAME, NAMESPACE/ or an address" },
	{ "status", offsetof(struct log_filter, status), status_means, status_holds,
	  "a status as 200, 5xx or 400-499" },
	{ "verdict", offsetof(struct log_filter, verdict), verdict_means, verdict_holds,
	  "forwarded, answered, refused or failed" },
	{ "protocol", offsetof(struct log_filter, protocol), protocol_means, protocol_holds,
	  "http or tcp" },
};

enum { LISTS = sizeof(lists) / sizeof(*lists) };

static const json_t **member_of(struct log_filter *f, size_t i)
{
	return (const json_t **)((char *)f + lists[i].member);
}

static int check_list(size_t list, const json_t *texts, struct reply *reply)
{
	char option[16];
	json_t *text;
	size_t i;

	snprintf(option, sizeof(option), "--%s", lists[list].name);
	if (texts && !json_is_array(texts))
		return refuse(reply, option, "a list is expected");
	json_array_foreach(texts, i, text)
	{
		const char *value = json_string_value(text);

		if (!value || !lists[list].means(value))
			return refuse(reply, option, "%s is expected, not \"%s\"",
				      lists[list].expected, value ? value : "");
	}
	return 0;
}

int log_filter_parse(const json_t *args, struct log_filter *out, struct reply *reply)
{
	struct log_filter f = { .namespace = json_get_text(args, "namespace", NULL) };
	int r = 0;

	for (size_t i = 0; !r && i < LISTS; i++) {
		const json_t *texts = json_object_get(args, lists[i].name);

		r = check_list(i, texts, reply);
		*member_of(&f, i) = json_array_size(texts) ? texts : NULL;
	}
	if (!r)
		*out = f;
	return r;
}

static bool one_holds(size_t list, const json_t *texts, const json_t *entry)
{
	json_t *text;
	size_t i;

	json_array_foreach(texts, i, text)
	{
		if (lists[list].holds(json_string_value(text), entry))
			return true;
	}
	return false;
}

static bool in_namespace(const json_t *end, const char *namespace)
{
	return strcmp(json_get_text(end, "namespace", ""), namespace) == 0;
}

bool log_filter_holds(const struct log_filter *f, const json_t *entry)
{
	struct log_filter copy = *f;

	if (f->namespace && !in_namespace(json_object_get(entry, "source"), f->namespace) &&
	    !in_namespace(json_object_get(entry, "destination"), f->namespace))
		return false;
	for (size_t i = 0; i < LISTS; i++)
		if (*member_of(&copy, i) && !one_holds(i, *member_of(&copy, i), entry))
			return false;
	return true;
}
