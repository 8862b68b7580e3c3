/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node/match.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "lib/base/cleanup.h"

bool match_is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[");
}

int match_each(const char *list, int (*each)(void *arg, const char *pattern), void *arg)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *word;
	int r = copy ? 0 : -ENOMEM;

	while (!r && (word = strsep(&rest, ","))) {
		if (*word)
			r = each(arg, word);
	}
	return r;
}

static int matches(void *arg, const char *pattern)
{
	return fnmatch(pattern, arg, 0) == 0;
}

bool match_list(const char *list, const char *name)
{
	return match_each(list, matches, (void *)name) == 1;
}

static int is_word(void *arg, const char *element)
{
	return strcmp(element, arg) == 0;
}

bool match_has_word(const char *list, const char *word)
{
	return match_each(list, is_word, (void *)word) == 1;
}

enum role match_role(const struct role_question *q)
{
	bool automatic = !q->pods || !strcmp(q->pods, "auto");
	bool nic_automatic = !q->nic || match_has_word(q->nic, "auto");

	if (q->nic && match_list(q->nic, q->name))
		return ROLE_NIC;
	if (q->to_other_netns && !automatic && match_list(q->pods, q->name))
		return ROLE_POD;
	if (nic_automatic && (q->has_default_route || q->was_nic || q->is_tunnel))
		return ROLE_NIC;
	return q->to_other_netns && automatic && !q->was_nic ? ROLE_POD : ROLE_NONE;
}
