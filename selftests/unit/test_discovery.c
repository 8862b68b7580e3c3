/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
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
