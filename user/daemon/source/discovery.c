// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "daemon/source/discovery.h"

static bool has_resource(struct json_span version, const char *plural)
{
	struct json_walk w = json_elements(json_member(version, "resources"));
	struct json_span resource;

	while (json_next_element(&w, &resource))
		if (json_span_is(json_plain(json_member(resource, "resource")), plural))
			return true;
	return false;
}

/* "networking.istio.io/v1" is what the group's name and the version's make. */
static bool is_version(const char *api_version, struct json_span group, struct json_span version)
{
	const char *slash = strchr(api_version, '/');

	return slash && (size_t)(slash - api_version) == group.len &&
	       !memcmp(api_version, group.at, group.len) && json_span_is(version, slash + 1);
}

/* The place of a version of the group among the resource's. */
static int place_of(const struct informer_resource *resource, struct json_span group,
		    struct json_span version)
{
	const char *const *others = resource->other_versions;

	if (is_version(resource->api_version, group, version))
		return 0;
	for (int i = 0; others && others[i]; i++)
		if (is_version(others[i], group, version))
			return i + 1;
	return REFLECTOR_NONE;
}

int discovery_version(struct json_span group, const struct informer_resource *resource)
{
	static const char *const name_at[] = { "metadata", "name", NULL };
	struct json_span name = json_plain(json_at(group, name_at)), version;
	struct json_walk w = json_elements(json_member(group, "versions"));
	const char *plural = strrchr(resource->path, '/') + 1;
	int best = REFLECTOR_NONE;

	while (name.at && json_next_element(&w, &version)) {
		int place = place_of(resource, name, json_plain(json_member(version, "version")));

		if (place != REFLECTOR_NONE && (best == REFLECTOR_NONE || place < best) &&
		    has_resource(version, plural))
			best = place;
	}
	return best;
}

bool discovery_is_list(struct json_span list)
{
	return json_span_is(json_plain(json_member(list, "kind")), "APIGroupDiscoveryList");
}

void discovery_take_header(const char *line, size_t size, char etag[DISCOVERY_ETAG_MAX])
{
	static const char status[] = "HTTP/", name[] = "etag:";
	const size_t name_len = sizeof(name) - 1;

	if (size >= sizeof(status) - 1 && !memcmp(line, status, sizeof(status) - 1))
		etag[0] = '\0';
	if (size < name_len || strncasecmp(line, name, name_len) != 0)
		return;
	line += name_len;
	size -= name_len;
	for (; size && isspace((unsigned char)*line); size--)
		line++;
	while (size && isspace((unsigned char)line[size - 1]))
		size--;
	size = size < DISCOVERY_ETAG_MAX ? size : 0;
	memcpy(etag, line, size);
	etag[size] = '\0';
}
