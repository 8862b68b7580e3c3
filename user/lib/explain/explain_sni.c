// SPDX-License-Identifier: Apache-2.0
/*
 * What the SNI of a connection to a service chooses, and which rules it leaves aside.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/explain/explain_http.h"

enum { SKIPPED_MAX = 32 }; /* a port may have thousands of names */

struct left_aside {
	const struct hs_place *place;
	struct http_reason why;
};

/* The rules that are left aside. */
struct passed {
	const struct http_snapshot *s;
	const struct http_source *source;
	const struct hs_server *chosen;
	struct left_aside list[SKIPPED_MAX];
	size_t count;
};

/* Equal strings are stored once. */
static bool same_place(const struct hs_place *a, const struct hs_place *b)
{
	return a->kind.at == b->kind.at && a->ns.at == b->ns.at && a->name.at == b->name.at &&
	       a->route.at == b->route.at;
}

/* Of several rows for a rule, those for clients of one namespace come first: the last one's reason
 * is the rule's own. */
static void note(struct passed *p, __u32 place, const struct http_reason *why)
{
	const struct hs_place *at = place == HS_NONE ? NULL : hs_place(p->s, place);
	size_t i = 0;

	while (at && i < p->count && !same_place(p->list[i].place, at))
		i++;
	if (!at || i == SKIPPED_MAX)
		return;
	p->list[i] = (struct left_aside){ at, *why };
	if (i == p->count)
		p->count++;
}

/* What the client asks for as names are written: in lower case, without a dot at its end. */
static void lower(const char *name, char out[HOST_MAX])
{
	size_t len = strnlen(name, HOST_MAX - 1);

	if (len > 1 && name[len - 1] == '.')
		len--;
	for (size_t i = 0; i < len; i++)
		out[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
	out[len] = '\0';
}

static bool has_name(const struct http_snapshot *s, const struct hs_sni *row, bool wild,
		     const char *asked)
{
	const char *name = hs_text(s, row->name);
	size_t len = strlen(asked);

	if (!wild)
		return !strcmp(name, asked);
	return row->name.len <= len && !strcmp(asked + len - row->name.len, name);
}

/* The rows before the one that is chosen whose name is the client's, or below whose it is. */
static bool note_range(struct passed *p, struct hs_range range, bool wild, const char *asked)
{
	const struct http_snapshot *s = p->s;

	for (__u32 i = 0; i < range.count; i++) {
		const struct hs_sni *row = hs_sni(s, range.first + i);
		const struct hs_server *server = hs_server(s, row->server);
		const struct hs_match *m = row->match == HS_NONE ? NULL : hs_match(s, row->match);
		struct http_reason why;

		if (!has_name(s, row, wild, asked))
			continue;
		if (server == p->chosen)
			return true;
		if (!http_match_source(s, m, p->source, &why))
			note(p, server->place, &why);
	}
	return false;
}

/* The other names, where no tls rule is chosen. */
static void note_names(struct passed *p, struct hs_range range, bool wild, const char *asked)
{
	const struct http_snapshot *s = p->s;
	struct http_reason why;

	for (__u32 i = 0; i < range.count; i++) {
		const struct hs_sni *row = hs_sni(s, range.first + i);

		if (has_name(s, row, wild, asked))
			continue;
		snprintf(why.text, sizeof(why.text), "sniHosts: '%.100s' is not '%s%.100s'", asked,
			 wild ? "*" : "", hs_text(s, row->name));
		note(p, hs_server(s, row->server)->place, &why);
	}
}

/* Whether a tls rule has the connection: a tcp rule, or the service itself, else. */
static bool by_name(const struct http_snapshot *s, const struct hs_server *server)
{
	return server && server->place != HS_NONE &&
	       !strncmp(hs_text(s, hs_place(s, server->place)->route), "tls", 3);
}

/* By a row that is for this client, others being for those of another namespace. */
static bool is_chosen(const struct http_answer *a, const struct hs_place *place)
{
	return a->server && a->server->place != HS_NONE &&
	       same_place(hs_place(a->s, a->server->place), place);
}

int explain_sni_at(struct http_answer *a, const struct hs_address *row,
		   const struct http_source *source, json_t **out)
{
	struct passed p = { .s = a->s, .source = source };
	char asked[HOST_MAX];

	lower(a->sni, asked);
	p.chosen = a->server = http_server_at(a->s, row, source, http_span(a->sni));
	if (!note_range(&p, row->sni_exact, false, asked))
		note_range(&p, row->sni_wild, true, asked);
	if (!by_name(a->s, a->server)) {
		note_names(&p, row->sni_exact, false, asked);
		note_names(&p, row->sni_wild, true, asked);
	}
	for (size_t i = 0; i < p.count; i++)
		if (!is_chosen(a, p.list[i].place))
			explain_skip(a, p.list[i].place, p.list[i].why.text);
	*out = explain_sni_json(a, hs_action(a->s, row->action));
	/* Nobody looks for a ClientHello there. */
	if (*out && http_address_is_opaque(a->s, row)) {
		json_object_set_new(*out, "protocol", json_string("tcp"));
		json_object_del(*out, "tls");
	}
	return *out ? 0 : -ENOMEM;
}
