// SPDX-License-Identifier: Apache-2.0
/* Whether what the API server has is what weftd has in force: `weft wait`. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cli/in_step.h"
#include "lib/base/json_io.h"

struct row {
	const char *what;
	const char *known;   /* what weftd says of default/a: an object's inside; NULL: nothing */
	const char *listed;  /* the version of it that the cluster has; NULL: none */
	const char *pending; /* what is waited for; NULL: nothing */
	const char *wrong;
};

static const struct row rows[] = {
	{ "as in the cluster", "'version':'7','state':'in force'", "7", NULL, NULL },
	{ "newer than the list", "'version':'12','state':'in force'", "7", NULL, NULL },
	{ "not told of yet", NULL, "7", "virtualservice/default/a", NULL },
	{ "an older version, by its number", "'version':'9','state':'in force'", "10",
	  "virtualservice/default/a", NULL },
	{ "not in force yet", "'version':'7','state':'pending'", "7", "virtualservice/default/a",
	  NULL },
	{ "wrong", "'version':'7','state':'wrong','error':'why'", "7", NULL, "why" },
	{ "wrong, but mended since", "'version':'6','state':'wrong','error':'why'", "7",
	  "virtualservice/default/a", NULL },
	{ "deleted, and still in force", "'version':'7','state':'in force'", NULL,
	  "virtualservice/default/a", NULL },
	{ "made after the list", "'version':'101','state':'in force'", NULL, NULL, NULL },
	{ "nowhere", NULL, NULL, NULL, NULL },
};

static json_t *json(const char *text)
{
	json_t *j;
	char *quoted = strdup(text);

	for (char *c = quoted; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	j = json_loads(quoted, 0, NULL);
	cr_assert(j, "%s", quoted);
	free(quoted);
	return j;
}

static void check(const struct row *r)
{
	_cleanup_json_ json_t *pending = json_array(), *wrong = json_array(), *list, *resource;
	char text[512];
	size_t n;

	snprintf(text, sizeof(text), "{'metadata':{'resourceVersion':'100'},'items':[%s%s%s]}",
		 r->listed ? "{'metadata':{'namespace':'default','name':'a','resourceVersion':'"
			   : "",
		 r->listed ? r->listed : "", r->listed ? "'}}" : "");
	list = json(text);
	snprintf(text, sizeof(text), "{'word':'virtualservice','objects':{%s%s%s}}",
		 r->known ? "'default/a':{" : "", r->known ? r->known : "", r->known ? "}" : "");
	resource = json(text);
	n = in_step_compare(list, resource, pending, wrong);
	cr_expect_eq(n, r->listed ? 1 : 0, "%s", r->what);
	cr_expect_str_eq(json_string_value(json_array_get(pending, 0)) ?: "", r->pending ?: "",
			 "%s", r->what);
	cr_expect_str_eq(json_string_value(json_array_get(wrong, 0)) ?: "", r->wrong ?: "", "%s",
			 r->what);
}

Test(in_step, what_is_waited_for)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(&rows[i]);
}

Test(in_step, what_is_in_no_namespace_is_named_without_one)
{
	_cleanup_json_ json_t *pending = json_array(), *wrong = json_array();
	_cleanup_json_ json_t *list = json("{'items':[{'metadata':{'name':'default'}}]}");
	_cleanup_json_ json_t *resource = json("{'word':'namespace','objects':{}}");

	cr_expect_eq(in_step_compare(list, resource, pending, wrong), 1);
	cr_expect_str_eq(json_string_value(json_array_get(pending, 0)), "namespace/default");
}
