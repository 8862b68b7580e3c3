/* SPDX-License-Identifier: Apache-2.0 */
/* spec.http of a VirtualService: the route itself; its parts are in schema_http_*.c. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/schema/decode.h"
#include "lib/schema/schema_http.h"
#include "lib/schema/validate.h"

/* ---- delegate ---- */

static const struct field delegate_fields[] = {
	{ "name", FIELD_STRING, .required = true, .offset = offsetof(struct http_delegate, name),
	  .check = validate_object_name },
	{ "namespace", FIELD_STRING, .offset = offsetof(struct http_delegate, namespace),
	  .check = validate_namespace },
	{ 0 },
};

static const struct message delegate_message = {
	.what = "a delegate (a map)",
	.size = sizeof(struct http_delegate),
	.fields = delegate_fields,
	.pos_at = AT(struct http_delegate, pos),
};

/* ---- route ---- */

static const struct field destination_fields[] = {
	{ "destination", FIELD_MESSAGE, .required = true,
	  .offset = offsetof(struct http_route_destination, destination),
	  .message = &schema_destination },
	{ "weight", FIELD_INT32, .offset = offsetof(struct http_route_destination, weight),
	  .given_at = AT(struct http_route_destination, weight_given), .max = INT32_MAX },
	{ "headers", FIELD_MESSAGE, .offset = offsetof(struct http_route_destination, headers),
	  .message = &schema_http_headers },
	{ 0 },
};

static const struct message destination_message = {
	.what = "a route's destination (a map)",
	.size = sizeof(struct http_route_destination),
	.fields = destination_fields,
	.pos_at = AT(struct http_route_destination, pos),
};

/* ---- mirror ---- */

static void decode_mirror(struct decoder *d, const struct node *value, void *target)
{
	struct http_route *route = target;
	struct http_mirror *mirror = decode_alloc(d, sizeof(*mirror));

	if (!mirror)
		return;
	mirror->pos = node_pos(value);
	mirror->percent = 100;
	decode_message(d, &schema_destination, value, &mirror->destination);
	route->mirrors.items = mirror;
	route->mirrors.count = 1;
}

/* mirrorPercentage and the older mirrorPercent are read once the mirror is known; only their form
 * is checked here. */
static void decode_mirror_percentage(struct decoder *d, const struct node *value, void *target)
{
	double percent = 0;

	(void)target;
	decode_message(d, &schema_http_percentage, value, &percent);
}

static void decode_mirror_percent(struct decoder *d, const struct node *value, void *target)
{
	int64_t percent;

	(void)target;
	decode_integer(d, value, 0, 100, &percent);
}

static const struct field mirror_fields[] = {
	{ "destination", FIELD_MESSAGE, .required = true,
	  .offset = offsetof(struct http_mirror, destination), .message = &schema_destination },
	{ "percentage", FIELD_MESSAGE, .offset = offsetof(struct http_mirror, percent),
	  .message = &schema_http_percentage },
	{ 0 },
};

static void init_mirror(void *self)
{
	struct http_mirror *mirror = self;

	mirror->percent = 100;
}

/* A percentage without a value is one of 0. */
static void finish_mirror(struct decoder *d, const struct node *self_node, void *self)
{
	struct http_mirror *mirror = self;

	if (decode_given(d, self_node, "percentage") &&
	    !decode_given(d, decode_at(d, self_node, "percentage"), "value"))
		mirror->percent = 0;
}

static const struct message mirror_message = {
	.what = "a mirror (a map)",
	.size = sizeof(struct http_mirror),
	.fields = mirror_fields,
	.pos_at = AT(struct http_mirror, pos),
	.init = init_mirror,
	.finish = finish_mirror,
};

/* ---- the whole ---- */

static const struct field route_fields[] = {
	{ "name", FIELD_STRING, .offset = offsetof(struct http_route, name) },
	{ "match", FIELD_LIST, .offset = offsetof(struct http_route, match), .max = MATCHES_MAX,
	  .message = &schema_http_match },
	{ "route", FIELD_LIST, .offset = offsetof(struct http_route, route),
	  .max = DESTINATIONS_MAX, .message = &destination_message, .cel = cel_weights },
	{ "redirect", FIELD_POINTER, .offset = offsetof(struct http_route, redirect),
	  .message = &schema_http_redirect },
	{ "directResponse", FIELD_POINTER, .offset = offsetof(struct http_route, direct_response),
	  .message = &schema_http_direct_response },
	{ "delegate", FIELD_POINTER, .offset = offsetof(struct http_route, delegate),
	  .message = &delegate_message },
	{ "rewrite", FIELD_POINTER, .offset = offsetof(struct http_route, rewrite),
	  .message = &schema_http_rewrite },
	{ "timeout", FIELD_DURATION, .offset = offsetof(struct http_route, timeout), .min = 1 },
	{ "retries", FIELD_POINTER, .offset = offsetof(struct http_route, retries),
	  .message = &schema_http_retries },
	{ "fault", FIELD_POINTER, .offset = offsetof(struct http_route, fault),
	  .message = &schema_http_fault },
	{ "mirror", FIELD_CUSTOM, .shape = SHAPE_OBJECT, .message = &schema_destination,
	  .decode = decode_mirror },
	{ "mirrorPercent", FIELD_CUSTOM, .snake = true, .max = 100, .shape = SHAPE_INTEGER,
	  .decode = decode_mirror_percent },
	{ "mirrorPercentage", FIELD_CUSTOM, .shape = SHAPE_OBJECT,
	  .message = &schema_http_percentage, .decode = decode_mirror_percentage },
	{ "mirrors", FIELD_LIST, .offset = offsetof(struct http_route, mirrors), .max = MIRRORS_MAX,
	  .message = &mirror_message },
	{ "corsPolicy", FIELD_POINTER, .offset = offsetof(struct http_route, cors),
	  .message = &schema_http_cors },
	{ "headers", FIELD_MESSAGE, .offset = offsetof(struct http_route, headers),
	  .message = &schema_http_headers },
	{ 0 },
};

static void init_route(void *self)
{
	struct http_route *route = self;

	route->timeout = -1;
}

static void finish_route(struct decoder *d, const struct node *self_node, void *self)
{
	struct http_route *route = self;
	double *percent;

	if (!decode_given(d, self_node, "mirror") || route->mirrors.count != 1)
		return;
	percent = &route->mirrors.items->percent;
	if (decode_given(d, self_node, "mirrorPercentage")) {
		const struct node *given = decode_at(d, self_node, "mirrorPercentage");

		if (!node_number(decode_at(d, given, "value"), percent))
			*percent = 0;
	} else if (decode_given(d, self_node, "mirrorPercent")) {
		(void)node_number(decode_at(d, self_node, "mirrorPercent"), percent);
	}
}

/* What a redirect or a direct response excludes: there is no destination to do it to. */
static void check_alone(struct decoder *d, const struct node *node, const char *action)
{
	static const char *const others[] = { "route", "fault", "rewrite" };

	for (size_t i = 0; i < 3; i++)
		if (decode_given(d, node, others[i]))
			decode_error(d, decode_at(d, node, others[i]), others[i],
				     "expected no %s beside %s", others[i], action);
}

static void check_action(struct decoder *d, const struct node *node, const struct http_route *route)
{
	if (route->delegate) {
		static const char *const others[] = { "route", "redirect" };

		for (size_t i = 0; i < 2; i++)
			if (decode_given(d, node, others[i]))
				decode_error(d, decode_at(d, node, others[i]), others[i],
					     "expected no %s beside delegate", others[i]);
		return;
	}
	if (route->redirect)
		check_alone(d, node, "redirect");
	if (route->direct_response)
		check_alone(d, node, "directResponse");
	if (route->redirect && route->direct_response)
		decode_error(d, decode_at(d, node, "directResponse"), "directResponse",
			     "expected no directResponse beside redirect");
	if (!route->redirect && !route->direct_response && !route->route.count)
		decode_error(d, node, NULL,
			     "expected one of route, redirect, directResponse and delegate");
}

static void check_weights(struct decoder *d, const struct node *node,
			  const struct http_route *route)
{
	int64_t sum = 0;

	for (size_t i = 0; i < route->route.count; i++)
		sum += route->route.items[i].weight;
	if (route->route.count > 1 && !sum)
		decode_error(d, decode_at(d, node, "route"), "route",
			     "expected weights that add up to more than 0");
	if (sum > UINT32_MAX)
		decode_error(d, decode_at(d, node, "route"), "route",
			     "expected weights that add up to less than 2^32");
}

static bool is_authority(const char *header)
{
	return !strcasecmp(header, ":authority") || !strcasecmp(header, "host");
}

static size_t authorities(const struct kvs *kvs)
{
	size_t n = 0;

	for (size_t i = 0; i < kvs->count; i++)
		n += is_authority(kvs->items[i].key);
	return n;
}

static void check_authority(struct decoder *d, const struct node *node,
			    const struct http_route *route)
{
	size_t n =
		authorities(&route->headers.request.set) + authorities(&route->headers.request.add);

	if (route->rewrite && route->rewrite->authority && *route->rewrite->authority)
		n++;
	if (n > 1)
		decode_error(d, decode_at(d, node, "headers"), "headers",
			     "expected the authority to be set in one place, not in %zu", n);
}

/* What a match without a uri takes begins with the prefix "/". */
static bool replaces_a_prefix(const struct http_route *route)
{
	for (size_t i = 0; i < route->match.count; i++) {
		enum match_type type = route->match.items[i].uri.type;

		if (type == MATCH_EXACT || type == MATCH_REGEX)
			return false;
	}
	return true;
}

static void check_http_route(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct http_route *route = self;

	check_action(d, self_node, route);
	check_weights(d, self_node, route);
	check_authority(d, self_node, route);
	if (decode_given(d, self_node, "mirror") && decode_given(d, self_node, "mirrors"))
		decode_error(d, decode_at(d, self_node, "mirrors"), "mirrors",
			     "expected no mirrors beside mirror");
	if (route->redirect && route->redirect->prefix_rewrite && !replaces_a_prefix(route))
		decode_error(d, decode_at(d, self_node, "redirect"), "redirect.prefixRewrite",
			     "expected each uri to be matched by a prefix, which it replaces");
}

static const struct cel route_cel[] = {
	{ .rule = "has(self.delegate) || has(self.redirect) || has(self.directResponse) || "
		  "(has(self.route) && self.route.size() > 0)",
	  .message = "expected one of route, redirect, directResponse and delegate" },
	{ .rule = "!has(self.delegate) || !(has(self.route) || has(self.redirect))",
	  .message = "expected no route and no redirect beside delegate" },
	{ .rule = "has(self.delegate) || !has(self.redirect) || !(has(self.route) || "
		  "has(self.fault) || "
		  "has(self.rewrite) || has(self.directResponse))",
	  .message = "expected no route, fault, rewrite or directResponse beside redirect" },
	{ .rule = "has(self.delegate) || !has(self.directResponse) || !(has(self.route) || "
		  "has(self.fault) || has(self.rewrite))",
	  .message = "expected no route, fault or rewrite beside directResponse" },
	{ .rule = "!(has(self.mirror) && has(self.mirrors))",
	  .message = "expected no mirrors beside mirror" },
	{ 0 },
};

const struct message schema_http_route = {
	.what = "an HTTP route (a map)",
	.size = sizeof(struct http_route),
	.fields = route_fields,
	.cel = route_cel,
	.pos_at = AT(struct http_route, pos),
	.init = init_route,
	.finish = finish_route,
	.check = check_http_route,
};
