// SPDX-License-Identifier: Apache-2.0
#include "cli/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

enum { TOKEN_MIN = 16 };

/* Parts of names whose values are nobody's business. */
static const char *const names[] = { "token",		"password", "passwd",  "authorization",
				     "cookie",		"apikey",   "api-key", "api_key",
				     "private",		"x-auth",   "secret",  "tls.key",
				     "client-key-data", NULL };
/* Names that have such a part, and say nothing secret. */
static const char *const harmless[] = {
	"secretName", "credentialName", "secretKeyRef", "automountServiceAccountToken",
	"secretRef",  "httpCookie",	"synCookies",	"authorization_policies",
	NULL
};
/* Those whose values have blanks and semicolons in them: up to the end of the line. */
static const char *const lines[] = { "authorization", "cookie", NULL };

static bool name_is_secret(const char *name)
{
	for (size_t i = 0; harmless[i]; i++)
		if (strcmp(name, harmless[i]) == 0)
			return false;
	for (size_t i = 0; names[i]; i++)
		if (strcasestr(name, names[i]))
			return true;
	return false;
}

/* ---- texts ---- */

static size_t token_length(const char *at)
{
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || (at[n] && strchr("-_.~+/=", at[n])))
		n++;
	return n;
}

/* "eyJhbGciOi...": a header of JSON in base64. */
static size_t web_token(const char *at)
{
	size_t n = strncmp(at, "eyJ", 3) == 0 ? token_length(at) : 0;

	return n >= TOKEN_MIN && memchr(at, '.', n) ? n : 0;
}

static size_t private_key(const char *at)
{
	static const char mark[] = "PRIVATE KEY-----";
	const char *line, *end;

	if (strncmp(at, "-----BEGIN ", 11) != 0)
		return 0;
	line = memmem(at, strnlen(at, 40 + sizeof(mark)), mark, sizeof(mark) - 1);
	if (!line)
		return 0;
	end = strstr(line + sizeof(mark) - 1, mark);
	return end ? (size_t)(end - at) + sizeof(mark) - 1 : strlen(at);
}

/* Behind "Bearer " and "Basic ". *kept: what stays of it. */
static size_t credentials(const char *at, size_t *kept)
{
	static const char *const schemes[] = { "Bearer ", "Basic " };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t len = strlen(schemes[i]), n;

		if (strncasecmp(at, schemes[i], len) != 0)
			continue;
		n = token_length(at + len);
		*kept = len;
		return n >= TOKEN_MIN / 2 ? len + n : 0;
	}
	return 0;
}

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

/* Behind `at`, between quotes: up to the one that ends it. */
static size_t quoted_length(const char *at, char quote)
{
	size_t n = 0;

	while (at[n] && at[n] != '\n' && at[n] != quote)
		n += at[n] == '\\' && at[n + 1] && at[n + 1] != '\n' ? 2 : 1;
	return n;
}

/* How long the value is that begins `at`, or behind blanks and a quote there, of which there are
 * *before. */
static size_t value_length(const char *at, const char *name, size_t *before)
{
	size_t skip = strspn(at, " ");

	skip += strspn(at + skip, "\\");
	*before = skip;
	if (at[skip] == '"' || at[skip] == '\'') {
		++*before;
		return quoted_length(at + skip + 1, at[skip]);
	}
	if (is_one_of(name, lines) || at[skip] == '[' || at[skip] == '{')
		return strcspn(at + skip, "\r\n");
	return strcspn(at + skip, " \t\n\"',;&");
}

/* "password=x", "token: x", "Cookie: a=x; b=y" and a line's end. Likewise. */
static size_t assignment(const char *at, size_t *kept)
{
	for (size_t i = 0; names[i]; i++) {
		size_t len = strlen(names[i]), before, n;

		if (strncasecmp(at, names[i], len) != 0)
			continue;
		len += strspn(at + len, "\\\"'");
		if (at[len] != '=' && at[len] != ':')
			continue;
		len++;
		n = value_length(at + len, names[i], &before);
		*kept = len + before;
		return n ? len + before + n : 0;
	}
	return 0;
}

/* How many bytes at `at` are no one's business; *kept of them stay. */
static size_t secret_at(const char *at, size_t *kept)
{
	size_t n;

	*kept = 0;
	n = private_key(at);
	if (!n)
		n = web_token(at);
	if (!n)
		n = credentials(at, kept);
	return n ? n : assignment(at, kept);
}

char *redact_text(const char *text)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	while (*text) {
		size_t kept, n = secret_at(text, &kept);

		if (n) {
			fwrite(text, 1, kept, f);
			fputs(REDACTED, f);
			text += n;
		} else {
			fputc(*text++, f);
		}
	}
	return fclose(f) ? NULL : out;
}

/* ---- JSON ---- */

static json_t *redact_string(const json_t *value)
{
	_cleanup_free_ char *text = redact_text(json_string_value(value));

	return text ? json_text(text) : NULL;
}

/* A Secret's data; the names stay. */
static json_t *hide_all(const json_t *object)
{
	json_t *out = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)object, key, value)
		json_object_set_new(out, key, json_string(REDACTED));
	return out;
}

/* Every string in it; names and what else there is stay. */
static json_t *hide_strings(const json_t *value)
{
	json_t *out, *member;
	const char *key;
	size_t i;

	if (json_is_string(value))
		return json_string(REDACTED);
	if (!json_is_object(value) && !json_is_array(value))
		return json_incref((json_t *)value);
	out = json_is_object(value) ? json_object() : json_array();
	json_object_foreach((json_t *)value, key, member)
		json_object_set_new(out, key, hide_strings(member));
	json_array_foreach(value, i, member) json_array_append_new(out, hide_strings(member));
	return out;
}

static json_t *redact_array(const json_t *array)
{
	json_t *out = json_array(), *value;
	size_t i;

	json_array_foreach(array, i, value) json_array_append_new(out, redact_json(value));
	return out;
}

/* [{"name": ..., "value": ...}] of a container. */
static json_t *redact_env(const json_t *array)
{
	json_t *out = redact_array(array), *value;
	size_t i;

	json_array_foreach(out, i, value)
	{
		if (json_object_get(value, "value"))
			json_object_set_new(value, "value", json_string(REDACTED));
	}
	return out;
}

/* Whole objects as they were applied, in one text. */
static bool is_copy(const char *key)
{
	return strstr(key, "last-applied-configuration") != NULL;
}

static json_t *redact_member(const char *key, const json_t *value, bool secret)
{
	if (secret && (strcmp(key, "data") == 0 || strcmp(key, "stringData") == 0) &&
	    json_is_object(value))
		return hide_all(value);
	if (is_copy(key))
		return json_string(REDACTED);
	if (name_is_secret(key))
		return hide_strings(value);
	if (strcmp(key, "env") == 0 && json_is_array(value))
		return redact_env(value);
	return redact_json(value);
}

/* {"key": "request.headers[x-api-key]", "values": [...]} of an AuthorizationPolicy. */
static void hide_values(json_t *condition)
{
	static const char *const members[] = { "values", "notValues" };

	if (!name_is_secret(json_get_text(condition, "key", "")))
		return;
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		const json_t *values = json_object_get(condition, members[i]);

		if (values)
			json_object_set_new(condition, members[i], hide_strings(values));
	}
}

static json_t *redact_object(const json_t *object)
{
	bool secret = strcmp(json_get_text(object, "kind", ""), "Secret") == 0;
	json_t *out = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)object, key, value)
		json_object_set_new(out, key, redact_member(key, value, secret));
	hide_values(out);
	return out;
}

json_t *redact_json(const json_t *value)
{
	if (json_is_object(value))
		return redact_object(value);
	if (json_is_array(value))
		return redact_array(value);
	return json_is_string(value) ? redact_string(value) : json_incref((json_t *)value);
}

static void cut_query(json_t *object, const char *key)
{
	const char *text = json_get_text(object, key, NULL),
		   *query = text ? strchr(text, '?') : NULL;

	if (query)
		json_object_set_new(object, key,
				    json_textf("%.*s?" REDACTED, (int)(query - text), text));
}

void redact_queries(json_t *value)
{
	json_t *member;
	const char *key;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach(value, i, member) redact_queries(member);
		return;
	}
	if (!json_is_object(value))
		return;
	cut_query(value, "path");
	cut_query(value, "x_forwarded_path");
	cut_query(value, "uri");
	json_object_foreach(value, key, member) redact_queries(member);
}
