// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/page_api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"

enum { OK = 200, BAD_REQUEST = 400, NOT_FOUND = 404, UNAVAILABLE = 503 };
enum { CONNS_MAX = 500, CONNS_DEFAULT = 100, CONNS_KEPT_MS = 1000, WORDS_MAX = 8 };

#define NOT_SHOWN "(not shown)"

/* ---- what is not told ---- */

static bool is_secret(const char *name, size_t len)
{
	static const char *const names[] = {
		"authorization",
		"proxy-authorization",
		"cookie",
		"set-cookie",
		"x-api-key",
		"x-auth-token",
		"x-csrf-token",
		/* What kubectl keeps of an object: all of it again. */
		"kubectl.kubernetes.io/last-applied-configuration",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == len && !strncasecmp(names[i], name, len))
			return true;
	return false;
}

/* Of an AuthorizationPolicy's condition: its key, "request.headers[NAME]". */
static bool is_secret_key(const char *key, size_t len)
{
	static const char before[] = "request.headers[";
	const size_t lead = strlen(before);
	const char *end = len > lead ? memchr(key, ']', len) : NULL;

	return end && !strncmp(key, before, lead) &&
	       is_secret(key + lead, (size_t)(end - key) - lead);
}

static bool are_values(const char *name, size_t len)
{
	return (len == 6 && !memcmp(name, "values", len)) ||
	       (len == 9 && !memcmp(name, "notValues", len));
}

/* Of a line of YAML "  - KEY: value": where KEY begins, and its length; 0: it has none. */
static const char *yaml_key(const char *line, size_t size, size_t *len)
{
	const char *at = line + strspn(line, " ");
	const char *end = line + size, *colon;

	while (end - at > 2 && !strncmp(at, "- ", 2))
		at += 2 + strspn(at + 2, " ");
	if (at < end && (*at == '"' || *at == '\''))
		at++;
	colon = at < end ? memchr(at, ':', (size_t)(end - at)) : NULL;
	*len = colon ? (size_t)(colon - at) : 0;
	if (*len && (at[*len - 1] == '"' || at[*len - 1] == '\''))
		--*len;
	return at;
}

static size_t yaml_line(const char *yaml)
{
	size_t line = strcspn(yaml, "\n");

	return line + (yaml[line] == '\n');
}

/* "key: request.headers[x-api-key]", the value in quotes or not; `len` is the name's length. */
static bool is_secret_condition(const char *key, size_t len)
{
	const char *value = key + len;

	if (len != 3 || memcmp(key, "key", len) != 0)
		return false;
	value += strspn(value, "\"':");
	value += strspn(value, " \"'");
	return is_secret_key(value, strcspn(value, "\n"));
}

/* Empty lines are those of a text of several lines. */
static bool is_inside(const char *yaml, size_t item)
{
	size_t indent = strspn(yaml, " ");

	return indent >= item || yaml[indent] == '\n';
}

/* Of the item of a list that begins here: where the keys of its map stand, if one of them is such a
 * condition, wherever in the map; else 0. */
static size_t secret_item(const char *yaml)
{
	size_t line = yaml_line(yaml), len;
	const char *key = yaml_key(yaml, line, &len);
	const size_t at = (size_t)(key - yaml), indent = strspn(yaml, " ");
	bool secret = yaml[indent] == '-' && is_secret_condition(key, len);

	if (yaml[indent] != '-' || at == indent)
		return 0;
	for (yaml += line; !secret && *yaml && is_inside(yaml, at); yaml += line) {
		line = yaml_line(yaml);
		key = yaml_key(yaml, line, &len);
		secret = (size_t)(key - yaml) == at && is_secret_condition(key, len);
	}
	return secret ? at : 0;
}

/* What belongs to a key stands deeper than it, and items of its list may begin right below it. */
static bool is_below(const char *yaml, size_t line, size_t deep)
{
	size_t indent = strspn(yaml, " ");

	return indent > deep || line <= indent + 1 ||
	       (indent == deep && yaml[indent] == '-' && strchr(" \n", yaml[indent + 1]));
}

char *page_api_redact_yaml(const char *yaml)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, deep = 0, item = 0, len;
	bool hidden = false;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t line; *yaml; yaml += line) {
		size_t indent = strspn(yaml, " ");
		const char *key;

		line = yaml_line(yaml);
		if (hidden && is_below(yaml, line, deep))
			continue;
		if (!item || !is_inside(yaml, item))
			item = secret_item(yaml);
		key = yaml_key(yaml, line, &len);
		hidden = is_secret(key, len) ||
			 (item && (size_t)(key - yaml) == item && are_values(key, len));
		deep = (size_t)(key - yaml);
		if (hidden)
			deep -= deep > indent && (key[-1] == '"' || key[-1] == '\'');
		if (hidden)
			fprintf(f, "%.*s: " NOT_SHOWN "\n",
				(int)(key + len + (key[len] == '"' || key[len] == '\'') - yaml),
				yaml);
		else
			fwrite(yaml, 1, line, f);
	}
	return fclose(f) ? NULL : TAKE_PTR(text);
}

/* Behind "header ": "NAME exact VALUE", or "set: NAME: VALUE". */
static const char *header_name(const char *at)
{
	static const char *const verbs[] = { "set: ", "add: " };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strncmp(at, verbs[i], strlen(verbs[i])))
			return at + strlen(verbs[i]);
	return at;
}

/* What is said of such a header, up to the end of the line. */
char *page_api_redact_text(const char *text)
{
	static const char before[] = "header ";
	_cleanup_free_ char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	while (*text) {
		const char *at = strstr(text, before);
		const char *name = at ? header_name(at + strlen(before)) : text + strlen(text);
		size_t len = strcspn(name, " :=,\n");

		fwrite(text, 1, (size_t)(name - text) + len, f);
		text = name + len;
		if (at && is_secret(name, len)) {
			fputs(" " NOT_SHOWN, f);
			text += strcspn(text, "\n");
		}
	}
	return fclose(f) ? NULL : TAKE_PTR(out);
}

static int redact_member(json_t *object, const char *key, json_t *value)
{
	_cleanup_free_ char *text = NULL;

	if (is_secret(key, strlen(key)))
		return json_object_set_new(object, key, json_string(NOT_SHOWN)) ? -ENOMEM : 0;
	if (!json_is_string(value))
		return page_api_redact(value);
	text = strcmp(key, "yaml") == 0 ? page_api_redact_yaml(json_string_value(value))
					: page_api_redact_text(json_string_value(value));
	return !text || json_string_set(value, text) ? -ENOMEM : 0;
}

/* Of {"key": "request.headers[x-api-key]", "values": [...]}. */
static int redact_condition(json_t *object)
{
	const char *condition = json_get_text(object, "key", ""), *name;
	json_t *value;
	void *next;
	int r = 0;

	if (!is_secret_key(condition, strlen(condition)))
		return 0;
	json_object_foreach_safe(object, next, name, value)
	{
		if (are_values(name, strlen(name)) &&
		    json_object_set_new(object, name, json_string(NOT_SHOWN)))
			r = -ENOMEM;
	}
	return r;
}

int page_api_redact(json_t *json)
{
	const char *key;
	json_t *value;
	void *next;
	size_t i;
	int r = 0;

	json_object_foreach_safe(json, next, key, value)
	{
		r = r ? r : redact_member(json, key, value);
	}
	json_array_foreach(json, i, value)
	{
		r = r ? r : page_api_redact(value);
	}
	return r ? r : redact_condition(json);
}

/* Queries of requests may have anything in them. */
static void cut_path(json_t *connection)
{
	const char *path = json_get_text(connection, "path", "");
	size_t len = strcspn(path, "?");

	if (path[len])
		json_object_set_new(connection, "path", json_textf("%.*s?...", (int)len, path));
}

/* ---- answers ---- */

static int answer_json(unsigned status, const json_t *json, struct page_answer *out)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (!text)
		return -ENOMEM;
	*out = (struct page_answer){ .status = status,
				     .type = "application/json",
				     .bytes = text,
				     .size = strlen(text),
				     .malloced = true };
	return 0;
}

static int answer_error(unsigned status, const char *text, struct page_answer *out)
{
	_cleanup_json_ json_t *json = json_pack("{s:o}", "error", json_text(text));

	return answer_json(status, json, out);
}

/* Takes the request over. Into *data the answer's, NULL where *out has one already. */
static int ask_for(struct ask *ask, json_t *asked, json_t **data, struct page_answer *out)
{
	_cleanup_json_ json_t *why = NULL;
	int r = ask_weftd(ask, asked, data, &why);

	*out = (struct page_answer){ 0 };
	if (!r && *data)
		return page_api_redact(*data);
	if (r == -EINVAL)
		return answer_error(BAD_REQUEST, json_string_value(why) ?: "refused", out);
	return answer_error(UNAVAILABLE, r ? strerror(-r) : "weftd has nothing to say", out);
}

static int ask_and_answer(struct ask *ask, json_t *asked, struct page_answer *out)
{
	_cleanup_json_ json_t *data = NULL;
	int r = ask_for(ask, asked, &data, out);

	return r || out->status ? r : answer_json(OK, data, out);
}

static void set_value(json_t *asked, const char *name, const char *value)
{
	if (value && *value)
		json_object_set_new(asked, name, json_text(value));
}

/* Pods and Secrets are not told: what a Pod's env holds is nobody's business here. */
static bool kind_is_told(const char *kind)
{
	static const char *const kinds[] = {
		"Service",
		"VirtualService",
		"DestinationRule",
		"Gateway",
		"ServiceEntry",
		"Sidecar",
		"AuthorizationPolicy",
		"PeerAuthentication",
		"RequestAuthentication",
		"NetworkPolicy",
		"ConnectionPolicy",
		"Telemetry",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i], kind))
			return true;
	return false;
}

static int answer_object(struct page_api *a, const struct page_request *request,
			 struct page_answer *out)
{
	const char *kind = page_request_value(request, "kind") ?: "";
	json_t *asked;

	if (!kind_is_told(kind))
		return answer_error(BAD_REQUEST, "objects of this kind are not shown here", out);
	asked = json_pack("{s:s, s:s}", "command", "describe", "kind", kind);
	set_value(asked, "namespace", page_request_value(request, "namespace"));
	set_value(asked, "name", page_request_value(request, "name"));
	return ask_and_answer(a->ask, asked, out);
}

struct words {
	const char *items[WORDS_MAX];
	size_t count;
};

static void add_word(void *arg, const char *value)
{
	struct words *w = arg;

	if (*value && w->count < WORDS_MAX)
		w->items[w->count++] = value;
}

static bool has_word(const json_t *connection, const char *word)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)connection, key, value)
	{
		if (json_is_string(value) && strcasestr(json_string_value(value), word))
			return true;
	}
	return false;
}

static bool has_all(const json_t *connection, const struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (!has_word(connection, w->items[i]))
			return false;
	return true;
}

static size_t limit_of(const struct page_request *request)
{
	const char *text = page_request_value(request, "limit");
	unsigned long n = text ? strtoul(text, NULL, 10) : CONNS_DEFAULT;

	return n < CONNS_MAX ? n : CONNS_MAX;
}

/* All that ask have the same answer until asking again is not too much of weftd's time. */
static bool has_conns(const struct page_api *a)
{
	uint64_t keep = PAGE_SHARE * a->conns_took;

	return a->conns && clock_ms() - a->conns_ms < (keep > CONNS_KEPT_MS ? keep : CONNS_KEPT_MS);
}

/* Paths are cut before anything is looked for in them: finding it would tell it, too. */
static int ask_conns(struct page_api *a, struct page_answer *out)
{
	_cleanup_json_ json_t *data = NULL;
	uint64_t begun = clock_ms();
	int r = ask_for(a->ask, json_pack("{s:s}", "command", "conns"), &data, out);
	json_t *connection;
	size_t i;

	if (r || out->status)
		return r;
	json_array_foreach(json_object_get(data, "connections"), i, connection)
	{
		cut_path(connection);
	}
	json_decref(a->conns);
	a->conns = TAKE_PTR(data);
	a->conns_ms = clock_ms();
	a->conns_took = a->conns_ms - begun;
	return 0;
}

/* {"connections": [...], "count": how many there are} */
static int answer_conns(struct page_api *a, const struct page_request *request,
			struct page_answer *out)
{
	_cleanup_json_ json_t *list = json_array(), *told = NULL;
	size_t limit = limit_of(request), count = 0, i;
	struct words words = { .count = 0 };
	json_t *connection;
	int r;

	*out = (struct page_answer){ 0 };
	r = has_conns(a) ? 0 : ask_conns(a, out);
	if (r || out->status)
		return r;
	page_request_each(request, "q", add_word, &words);
	json_array_foreach(json_object_get(a->conns, "connections"), i, connection)
	{
		if (!has_all(connection, &words) || count++ >= limit)
			continue;
		json_array_append(list, connection);
	}
	told = json_pack("{s:O, s:I}", "connections", list, "count", (json_int_t)count);
	return answer_json(OK, told, out);
}

static void add_header(void *list, const char *value)
{
	json_array_append_new(list, json_text(value));
}

static int answer_explain(struct page_api *a, const struct page_request *request,
			  struct page_answer *out)
{
	static const char *const names[] = { "namespace", "pod",    "gateway_namespace",
					     "gateway",	  "source", "host",
					     "address",	  "sni",    "method",
					     "scheme",	  "path" };
	const char *port = page_request_value(request, "port");
	json_t *asked = json_pack("{s:s, s:i, s:[]}", "command", "explain", "port",
				  port ? (int)strtol(port, NULL, 10) : 0, "headers");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		set_value(asked, names[i], page_request_value(request, names[i]));
	page_request_each(request, "header", add_header, json_object_get(asked, "headers"));
	return ask_and_answer(a->ask, asked, out);
}

int page_api_answer(struct page_api *a, const struct page_request *request, struct page_answer *out)
{
	static const struct {
		const char *path;
		int (*answer)(struct page_api *a, const struct page_request *request,
			      struct page_answer *out);
	} rows[] = {
		{ "/api/object", answer_object },
		{ "/api/conns", answer_conns },
		{ "/api/explain", answer_explain },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(request->path, rows[i].path))
			return rows[i].answer(a, request, out);
	return answer_error(NOT_FOUND, "there is no such thing here", out);
}

void page_api_forget(struct page_api *a)
{
	if (!has_conns(a))
		page_api_close(a);
}

void page_api_close(struct page_api *a)
{
	json_decref(a->conns);
	a->conns = NULL;
}
