// SPDX-License-Identifier: Apache-2.0
/* What weft sysdump leaves out, and what it does not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/archive.h"
#include "cli/redact.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

#define PEM "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
#define CERT "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"

static const struct {
	const char *description, *text, *left;
} texts[] = {
	{ "nothing", "", "" },
	{ "a plain sentence", "GET /reviews/0 200", "GET /reviews/0 200" },
	{ "a private key", "a\n" PEM "\nb", "a\n" REDACTED "\nb" },
	{ "one that does not end", "a -----BEGIN PRIVATE KEY-----\nMHc", "a " REDACTED },
	{ "a certificate stays", CERT, CERT },
	{ "a web token", "x eyJhbGciOiJIUzI1NiJ9.e30.c2ln y", "x " REDACTED " y" },
	{ "what begins like one", "eyJust", "eyJust" },
	{ "a bearer", "Authorization Bearer abcdefgh12345", "Authorization Bearer " REDACTED },
	{ "in small letters", "bearer abcdefgh12345", "bearer " REDACTED },
	{ "a bearer of news", "bearer of news", "bearer of news" },
	{ "a password", "db password=hunter2&x=1", "db password=" REDACTED "&x=1" },
	{ "in JSON", "{\"token\": \"abc\", \"a\": 1}", "{\"token\": \"" REDACTED "\", \"a\": 1}" },
	{ "in a line of options", "--api-key=abc --port=80", "--api-key=" REDACTED " --port=80" },
	{ "its name alone", "no token here", "no token here" },
	{ "a short bearer by its header", "a\nauthorization: Bearer abcdef\nb",
	  "a\nauthorization: " REDACTED "\nb" },
	{ "all cookies", "Cookie: a=b; c=d\r\nX: y", "Cookie: " REDACTED "\r\nX: y" },
	{ "those that are set", "set-cookie: a=b; Path=/", "set-cookie: " REDACTED },
	{ "to the end of a quoted line", "{\"cookie\": \"a=b; c=\\\"d\\\"; e\", \"x\": 1}",
	  "{\"cookie\": \"" REDACTED "\", \"x\": 1}" },
	{ "of JSON in a text", "\"{\\\"cookie\\\": \\\"a=b; c=d\\\"}\"\nx",
	  "\"{\\\"cookie\\\": \\\"" REDACTED "\"\nx" },
	{ "a password with blanks", "password='a b' x=1", "password='" REDACTED "' x=1" },
	{ "none at all", "token=\"\" a=\"b\"", "token=\"\" a=\"b\"" },
	{ "an object", "api-key: {exact: abc}\nx", "api-key: " REDACTED "\nx" },
	{ "a policy", "authorizationpolicies: a", "authorizationpolicies: a" },
};

Test(redact, texts)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		_cleanup_free_ char *left = redact_text(texts[i].text);

		cr_expect_str_eq(left, texts[i].left, "%s: %s", texts[i].description, left);
	}
}

static const struct {
	const char *description, *json, *left;
} objects[] = {
	{ "a number, a list", "{\"a\":[1,true,null,\"x\"]}", "{\"a\":[1,true,null,\"x\"]}" },
	{ "a Secret's data", "{\"kind\":\"Secret\",\"data\":{\"tls.crt\":\"QQ==\"}}",
	  "{\"data\":{\"tls.crt\":\"" REDACTED "\"},\"kind\":\"Secret\"}" },
	{ "in a list of objects",
	  "{\"items\":[{\"kind\":\"Secret\",\"stringData\":{\"a\":\"b\"}}]}",
	  "{\"items\":[{\"kind\":\"Secret\",\"stringData\":{\"a\":\"" REDACTED "\"}}]}" },
	{ "data of others stay", "{\"kind\":\"ConfigMap\",\"data\":{\"a\":\"b\"}}",
	  "{\"data\":{\"a\":\"b\"},\"kind\":\"ConfigMap\"}" },
	{ "environment variables", "{\"env\":[{\"name\":\"A\",\"value\":\"b\"}]}",
	  "{\"env\":[{\"name\":\"A\",\"value\":\"" REDACTED "\"}]}" },
	{ "members by their name", "{\"authorization\":\"x\",\"Cookie\":\"y\",\"path\":\"/z\"}",
	  "{\"Cookie\":\"" REDACTED "\",\"authorization\":\"" REDACTED "\",\"path\":\"/z\"}" },
	{ "names of Secrets stay", "{\"secretName\":\"a\",\"credentialName\":\"b\"}",
	  "{\"credentialName\":\"b\",\"secretName\":\"a\"}" },
	{ "what was applied", "{\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\"}",
	  "{\"kubectl.kubernetes.io/last-applied-configuration\":\"" REDACTED "\"}" },
	{ "what a header is matched with",
	  "{\"headers\":{\"x-api-key\":{\"exact\":\"s\"},\"x-plain\":{\"exact\":\"t\"}}}",
	  "{\"headers\":{\"x-api-key\":{\"exact\":\"" REDACTED
	  "\"},\"x-plain\":{\"exact\":\"t\"}}}" },
	{ "however deep", "{\"cookie\":[{\"a\":{\"b\":[\"s\",1,null]}},\"t\"]}",
	  "{\"cookie\":[{\"a\":{\"b\":[\"" REDACTED "\",1,null]}},\"" REDACTED "\"]}" },
	{ "a cookie's name stays", "{\"httpCookie\":{\"name\":\"user\",\"ttl\":\"0s\"}}",
	  "{\"httpCookie\":{\"name\":\"user\",\"ttl\":\"0s\"}}" },
	{ "what a condition asks for",
	  "{\"when\":[{\"key\":\"request.headers[x-api-key]\",\"notValues\":[\"t\"],\"values\":"
	  "[\"s\"]}]}",
	  "{\"when\":[{\"key\":\"request.headers[x-api-key]\",\"notValues\":[\"" REDACTED
	  "\"],\"values\":[\"" REDACTED "\"]}]}" },
	{ "of what is no secret",
	  "{\"when\":[{\"key\":\"source.namespace\",\"values\":[\"shop\"]}]}",
	  "{\"when\":[{\"key\":\"source.namespace\",\"values\":[\"shop\"]}]}" },
	{ "in texts", "{\"note\":\"password=x\"}", "{\"note\":\"password=" REDACTED "\"}" },
};

Test(redact, json)
{
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		_cleanup_json_ json_t *value = json_loads(objects[i].json, 0, NULL);
		_cleanup_json_ json_t *clean = redact_json(value);
		_cleanup_free_ char *left = json_dumps(clean, JSON_COMPACT | JSON_SORT_KEYS);

		cr_expect_str_eq(left, objects[i].left, "%s: %s", objects[i].description, left);
	}
}

Test(redact, queries)
{
	_cleanup_json_ json_t *value = json_loads("{\"path\":\"/a?b=c\",\"e\":[{\"path\":\"/"
						  "d\",\"method\":\"?\",\"x_forwarded_path\":\"/"
						  "f?g\"}],\"uri\":\"/h?\"}",
						  0, NULL);
	_cleanup_free_ char *left = NULL;

	redact_queries(value);
	left = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
	cr_expect_str_eq(
		left,
		"{\"e\":[{\"method\":\"?\",\"path\":\"/d\",\"x_forwarded_path\":\"/f?" REDACTED
		"\"}],\"path\":\"/a?" REDACTED "\",\"uri\":\"/h?" REDACTED "\"}");
}

Test(archive, tar_reads_what_was_written)
{
	char path[] = "/tmp/weft-archive-XXXXXX", command[256], big[1500], line[64] = "";
	int fd = mkstemp(path);
	struct archive *a;
	FILE *f;

	memset(big, 'x', sizeof(big));
	cr_assert_eq(archive_open(fd, "top", &a), 0);
	cr_expect_eq(archive_add(a, "one.txt", "hello", 5), 0);
	cr_expect_eq(archive_add(a, "empty", "", 0), 0);
	cr_expect_eq(archive_add(a, "dir/big", big, sizeof(big)), 0);
	cr_expect_eq(archive_add(a,
				 "a/name/that/is/much/too/long/for/the/header/of/a/file/in/an/"
				 "archive/of/this/kind/which/has/room/for/a/hundred/bytes",
				 "", 0),
		     -E2BIG);
	cr_assert_eq(archive_close(a), 0);
	snprintf(command, sizeof(command),
		 "tar xzOf %s top/one.txt && tar xzOf %s top/dir/big | wc -c", path, path);
	f = popen(command, "r");
	cr_assert(f && fgets(line, sizeof(line), f));
	cr_expect_str_eq(line, "hello1500\n");
	cr_expect_eq(pclose(f), 0);
	unlink(path);
}
