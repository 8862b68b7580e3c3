// SPDX-License-Identifier: Apache-2.0
/* What docs/ lists is what the code has. */
#include <criterion/criterion.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/schema/schema_refused.h"
#include "weft/http_stat.h"
#include "weft/policy.h"
#include "weft/tproxy.h"

enum { PAGE_MAX = 65536 };

static char *read_page(const char *path)
{
	static char text[PAGE_MAX];
	FILE *f = fopen(path, "r");
	size_t n;

	cr_assert(f, "%s is not there", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	return text;
}

/* 65535 as 65,535. */
static const char *with_comma(unsigned n)
{
	static char text[4][16];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof(text[0]), "%u,%03u", n / 1000, n % 1000);
	return out;
}

/* Wherever its lines are broken. */
static void check_says(const char *path, const char *sentence)
{
	char *page = read_page(path), *to = page;

	for (const char *at = page; *at; at++)
		if (*at != ' ' && *at != '\n')
			*to++ = *at;
		else if (to > page && to[-1] != ' ')
			*to++ = ' ';
	*to = 0;
	cr_expect(strstr(page, sentence), "%s does not say \"%s\"", path, sentence);
}

Test(docs, numbers_are_those_of_the_code)
{
	char text[256];

	snprintf(text, sizeof(text), "from the ports %d to %d and %d to %d", PROXY_PORT_FIRST,
		 PROXY_PORT_LAST, PROXY_PORT_HIGH_FIRST, PROXY_PORT_HIGH_LAST);
	check_says("docs/connections.md", text);
	snprintf(text, sizeof(text), "%s clusters, ", with_comma(CLUSTER_IDS_MAX - 1));
	check_says("docs/connections.md", text);
	snprintf(text, sizeof(text), "up to %s clusters and as many routes have lines of their own",
		 with_comma(HTTP_STAT_ROWS - 1));
	check_says("docs/observing.md", text);
}

/* The word by which a refusal is found in the page: the field's name, where it begins with it. */
static void word_of(const struct refusal *r, char out[64])
{
	static const struct {
		const char *what, *word;
	} others[] = {
		{ "matching on JWT claims", "JWT claims" },
		{ "loadBalancer PASSTHROUGH of a subset", "`PASSTHROUGH` of a subset" },
		{ "connectionPool.tcp beside loadBalancer PASSTHROUGH",
		  "with `connectionPool.tcp`" },
		{ "protocol UDP, HTTP_PROXY or HBONE", "protocols UDP, HTTP_PROXY and HBONE" },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(r->what, others[i].what)) {
			snprintf(out, 64, "%s", others[i].word);
			return;
		}
	snprintf(out, 64, "`%.*s", (int)strcspn(r->what, " "), r->what);
}

/* What the page's table has on a kind: from its first line to the next kind's. */
static char *rows_of(const char *page, const char *kind)
{
	char first[64];
	const char *at, *end;

	snprintf(first, sizeof(first), "\n| %s | ", kind);
	at = strstr(page, first);
	cr_assert(at, "there is no row \"%s\"", kind);
	end = strchr(at + 1, '\n');
	while (end && strncmp(end, "\n| | ", 5) == 0)
		end = strchr(end + 1, '\n');
	return strndup(at, end ? (size_t)(end - at) : strlen(at));
}

Test(docs, unsupported_has_all_that_is_refused)
{
	for (int i = REFUSED_NOTHING + 1; i < REFUSED_MAX; i++) {
		const struct refusal *r = &schema_refused[i];
		_cleanup_free_ char *rows = rows_of(read_page("docs/unsupported.md"), r->kind);
		char word[64];

		word_of(r, word);
		cr_expect(strstr(rows, word), "docs/unsupported.md has no %s for %s: %s", word,
			  r->kind, rows);
	}
}
