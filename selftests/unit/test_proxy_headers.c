// SPDX-License-Identifier: Apache-2.0
/*
 * docs/headers.md, line by line: what a sender writes into each field, and what of it arrives.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_proxy_env.h"

#define SPAN(t) ((struct h1_span){ t, sizeof(t) - 1 })

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
	e->plan.identify = true;
	e->plan.count_tries = true;
	e->plan.scheme = SPAN("http");
	e->target.max_requests_per_connection = 1;
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_headers, .init = setup, .fini = teardown, .timeout = 60);

/* ---- the document ---- */

struct line {
	char name[64], says[2][160]; /* at a gateway, between pods */
	bool response;
};

static bool is_word(const char *says, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(says, word, n) && (!says[n] || strchr(" ,:;", says[n]));
}

static size_t read_lines(struct line *out, size_t most)
{
	FILE *f = fopen("docs/headers.md", "r");
	bool response = false;
	char text[512];
	size_t n = 0;

	cr_assert(f, "docs/headers.md is not there");
	while (fgets(text, sizeof(text), f)) {
		response |= !strcmp(text, "## Responses\n");
		if (strncmp(text, "| `", 3) != 0)
			continue;
		cr_assert_lt(n, most);
		cr_assert_eq(sscanf(text, "| `%63[^`]` | %159[^|]| %159[^|]|", out[n].name,
				    out[n].says[0], out[n].says[1]),
			     3, "%s", text);
		out[n++].response = response;
	}
	fclose(f);
	return n;
}

/* ---- what arrives ---- */

/* How many fields of that name a head has; the value of the last. */
static unsigned count(const char *head, const char *name, char value[256])
{
	size_t n = strlen(name);
	unsigned found = 0;

	for (const char *at = strstr(head, "\r\n"); at && at[2]; at = strstr(at + 2, "\r\n")) {
		if (strncasecmp(at + 2, name, n) != 0 || at[2 + n] != ':')
			continue;
		found++;
		cr_assert_eq(sscanf(at + 2 + n, ": %255[^\r]", value), 1);
	}
	return found;
}

/* With one field of the sender's own, or NULL. */
static const char *pass_request(const char *name)
{
	static char head[4096];
	int c = env_client(e), s;
	char text[256];

	snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: h\r\nforged: 1\r\n%s%s\r\n",
		 name ? name : "", name ? ": forged\r\n" : "");
	put(c, text);
	s = env_accept(e);
	snprintf(head, sizeof(head), "%s", get_head(s));
	put(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	get_head(c);
	close(c);
	close(s);
	return head;
}

static const char *pass_response(const char *name)
{
	int c = env_client(e), s;
	const char *head;
	char text[256];

	put(c, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
	s = env_accept(e);
	get_head(s);
	snprintf(text, sizeof(text),
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nforged: 1\r\n%s: forged\r\n\r\n", name);
	put(s, text);
	head = get_head(c);
	close(c);
	close(s);
	return head;
}

static void check(const struct line *l, bool gateway)
{
	const char *says = l->says[!gateway];
	const char *at = gateway ? "at a gateway" : "between pods";
	const char *head = l->response ? pass_response(l->name) : pass_request(l->name);
	char value[256] = "", ignored[256];
	unsigned n = count(head, l->name, value);

	if (is_word(says, "removed"))
		cr_expect_eq(n, 0u, "%s, %s, arrives: '%s'", l->name, at, value);
	else if (is_word(says, "set"))
		cr_expect(n == 1 && strcmp(value, "forged") != 0, "%s, %s, arrives as '%s'",
			  l->name, at, value);
	else if (is_word(says, "extended"))
		cr_expect(n == 1 && !strncmp(value, "forged, ", 8), "%s, %s, arrives as '%s'",
			  l->name, at, value);
	else if (is_word(says, "passed on") || is_word(says, "made"))
		cr_expect(n == 1 && !strcmp(value, "forged"), "%s, %s, arrives %u times: '%s'",
			  l->name, at, n, value);
	else
		cr_assert_fail("%s, %s: '%s'", l->name, at, says);
	if (is_word(says, "made"))
		cr_expect_eq(count(pass_request(NULL), l->name, ignored), 1u, "%s is not made",
			     l->name);
	if (!strcmp(l->name, "connection"))
		cr_expect_eq(count(head, "forged", ignored), 0u, "what it names arrives");
}

Test(proxy_headers, arrive_as_the_document_says)
{
	enum { MOST = 100 };
	static struct line lines[MOST];
	size_t n = read_lines(lines, MOST);

	cr_assert_gt(n, 60u);
	for (int gateway = 0; gateway < 2; gateway++) {
		e->plan.gateway = gateway;
		for (size_t i = 0; i < n; i++)
			check(&lines[i], gateway);
	}
}

/* All of what an outsider may try at once; the path that was rewritten is weft's to tell. */
Test(proxy_headers, forged_fields_from_outside_do_not_reach_the_endpoint)
{
	int c = env_client(e), s;

	e->plan.gateway = true;
	e->plan.path = SPAN("/rewritten");
	put(c, "GET /x HTTP/1.1\r\nHost: shop.example.com\r\n"
	       "X-Forwarded-Client-Cert: By=spiffe://cluster.local/ns/x/sa/y;URI=spiffe://admin\r\n"
	       "x-envoy-original-path: /admin\r\nx-envoy-decorator-operation: z\r\n"
	       "x-envoy-retry-on: 5xx\r\nx-envoy-upstream-rq-timeout-ms: 9000\r\n"
	       "x-envoy-expected-rq-timeout-ms: 9001\r\nConnection: close\r\n\r\n");
	s = env_accept(e);
	want_message(s, "x-envoy-original-path: /x\r\n", "!client-cert", "!/admin", "!decorator",
		     "!retry-on", "!timeout-ms", NULL);
	close(c);
	close(s);
}
