/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "daemon/source/discovery.h"

static const char *const older[] = { "example.io/v1beta1", "example.io/v1alpha3", NULL };
static const struct informer_resource widgets = { .path = "/apis/example.io/v1/widgets",
						  .api_version = "example.io/v1",
						  .other_versions = older };

#define GROUP(name, versions) "{\"metadata\":{\"name\":\"" name "\"},\"versions\":[" versions "]}"
#define VERSION(name, resources) \
	"{\"version\":\"" name "\",\"resources\":[" resources "],\"freshness\":\"Current\"}"
#define RESOURCE(name) "{\"resource\":\"" name "\",\"verbs\":[\"list\",\"watch\"]}"

Test(discovery, the_first_version_that_a_group_has_the_resource_in)
{
	static const struct {
		const char *group;
		int version;
	} rows[] = {
		{ GROUP("example.io", VERSION("v1", RESOURCE("gears") "," RESOURCE("widgets"))),
		  0 },
		{ GROUP("example.io", VERSION("v1beta1", RESOURCE("widgets"))), 1 },
		{ GROUP("example.io", VERSION("v1alpha3", RESOURCE("widgets")) "," VERSION(
					      "v1beta1", RESOURCE("widgets"))),
		  1 },
		{ GROUP("example.io", VERSION("v1", RESOURCE("gears")) "," VERSION(
					      "v1alpha3", RESOURCE("widgets"))),
		  2 },
		{ GROUP("example.io", VERSION("v2", RESOURCE("widgets"))), REFLECTOR_NONE },
		{ GROUP("example.io", VERSION("v1", RESOURCE("widget"))), REFLECTOR_NONE },
		{ GROUP("example.io", VERSION("v1", "")), REFLECTOR_NONE },
		{ GROUP("example.com", VERSION("v1", RESOURCE("widgets"))), REFLECTOR_NONE },
		{ GROUP("example.i", VERSION("v1", RESOURCE("widgets"))), REFLECTOR_NONE },
		{ "{\"metadata\":{},\"versions\":null}", REFLECTOR_NONE },
		{ "[]", REFLECTOR_NONE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct json_span group = { rows[i].group, strlen(rows[i].group) };

		cr_expect_eq(discovery_version(group, &widgets), rows[i].version, "%s",
			     rows[i].group);
	}
}

Test(discovery, a_core_resource_is_in_no_group)
{
	static const struct informer_resource pods = { .path = "/api/v1/pods",
						       .api_version = "v1" };
	static const char group[] = GROUP("v1", VERSION("v1", RESOURCE("pods")));

	cr_expect_eq(discovery_version((struct json_span){ group, strlen(group) }, &pods),
		     REFLECTOR_NONE);
}

Test(discovery, an_older_server_answers_with_another_list)
{
	static const char is[] =
		"{\"kind\":\"APIGroupDiscoveryList\",\"metadata\":{},\"items\":[]}";
	static const char other[] = "{\"kind\":\"APIGroupList\",\"groups\":[]}";

	cr_expect(discovery_is_list((struct json_span){ is, strlen(is) }));
	cr_expect_not(discovery_is_list((struct json_span){ other, strlen(other) }));
	cr_expect_not(discovery_is_list((struct json_span){ NULL, 0 }));
}

Test(discovery, the_etag_of_an_answer)
{
	static const struct {
		const char *line, *etag;
	} rows[] = {
		{ "ETag: \"abc\"\r\n", "\"abc\"" },
		{ "etag:W/\"abc\" \r\n", "W/\"abc\"" },
		{ "Etag:\r\n", "" },
		{ "Etags: x\r\n", "before" },
		{ "eta", "before" },
		{ "\r\n", "before" },
		{ "HTTP/1.1 200 OK\r\n", "" },
		{ "HTTP/2 304\r\n", "" },
	};
	char etag[DISCOVERY_ETAG_MAX], line[2 * DISCOVERY_ETAG_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		strcpy(etag, "before");
		discovery_take_header(rows[i].line, strlen(rows[i].line), etag);
		cr_expect_str_eq(etag, rows[i].etag, "%s", rows[i].line);
	}
	for (int more = 0; more < 2; more++) {
		snprintf(line, sizeof(line), "ETag: %0*d\r\n", DISCOVERY_ETAG_MAX - 1 + more, 7);
		discovery_take_header(line, strlen(line), etag);
		cr_expect_eq(strlen(etag), more ? 0 : DISCOVERY_ETAG_MAX - 1);
	}
}
