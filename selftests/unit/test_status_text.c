// SPDX-License-Identifier: Apache-2.0
/*
 * What is written into the status of an object, and as an Event.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/source/status_text.h"
#include "lib/base/json_io.h"

#define NOW "2026-01-02T03:04:05Z"
#define PLACE "virtualservice/default/a"

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	cr_assert_not_null(json, "%s: %s", text, error.text);
	return json;
}

static struct status_said say(enum status_verdict verdict, size_t count,
			      const char *const *messages)
{
	struct errors errors = { 0 };
	struct status_said said = { 0 };

	errors_warn(&errors, PLACE, (struct pos){ 0 }, "a warning");
	for (size_t i = 0; i < count; i++)
		errors_add(&errors, PLACE, (struct pos){ 0 }, "%s", messages[i]);
	cr_assert_eq(status_say(&errors, verdict, &said), 0);
	errors_free(&errors);
	return said;
}

static struct status_said say_one(const char *message)
{
	return say(STATUS_LEFT_OUT, 1, &message);
}

static struct status_said say_two(void)
{
	static const char *const both[] = { "spec.hosts: expected one", "spec.tcp: expected none" };

	return say(STATUS_EARLIER, 2, both);
}

/* What becomes of an object by a merge patch (RFC 7396). */
static void merge(json_t *to, const json_t *patch)
{
	const char *key;
	json_t *value, *into;

	json_object_foreach((json_t *)patch, key, value)
	{
		if (json_is_null(value)) {
			json_object_del(to, key);
			continue;
		}
		if (!json_is_object(value)) {
			json_object_set(to, key, value);
			continue;
		}
		into = json_object_get(to, key);
		if (!json_is_object(into)) {
			into = json_object();
			json_object_set_new(to, key, into);
		}
		merge(into, value);
	}
}

static json_t *written(const char *object, const struct status_said *said)
{
	json_t *json = parse(object), *patch = status_patch(json, said, NOW);

	cr_assert_not_null(patch);
	merge(json, patch);
	json_decref(patch);
	return json;
}

static void expect_json(const json_t *is, const char *expected)
{
	_cleanup_json_ json_t *json = parse(expected);
	_cleanup_free_ char *text = is ? json_dumps(is, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	cr_expect(is && json_equal((json_t *)is, json), "%s is not %s", text ? text : "nothing",
		  expected);
}

static bool says(const json_t *object, const struct status_said *said)
{
	struct status_seen seen = { 0 };
	bool is;

	cr_assert_eq(status_see(object, &seen), 0);
	is = status_seen_is(&seen, said);
	status_seen_free(&seen);
	return is;
}

#define PLAIN "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"7\",\"generation\":3}}"

Test(status_text, the_status_says_where_what_and_of_which_generation)
{
	struct status_said said = say_one("spec.tcp[0].route[1].weight: expected 0, not \"-1\"");
	_cleanup_json_ json_t *o = written(PLAIN, &said);

	expect_json(json_object_get(o, "status"),
		    "{\"conditions\":[{\"type\":\"Reconciled\",\"status\":\"False\",\"reason\":"
		    "\"LeftOut\",\"message\":\"spec.tcp[0].route[1].weight: expected 0, not "
		    "\\\"-1\\\"\",\"lastTransitionTime\":\"" NOW "\"}],\"observedGeneration\":3,"
		    "\"validationMessages\":[{\"type\":{\"code\":\"IST0106\",\"name\":"
		    "\"SchemaValidationError\"},\"level\":\"ERROR\",\"documentationUrl\":\"https://"
		    "istio.io/latest/docs/reference/config/analysis/ist0106/\",\"message\":"
		    "\"spec.tcp[0].route[1].weight: expected 0, not \\\"-1\\\"\"}]}");
	cr_expect(says(o, &said));
	status_said_free(&said);
}

Test(status_text, a_write_is_about_one_version_of_the_object)
{
	struct status_said said = say_one("x");
	_cleanup_json_ json_t *o = parse(PLAIN), *patch = status_patch(o, &said, NOW);

	expect_json(json_object_get(patch, "metadata"), "{\"resourceVersion\":\"7\"}");
	status_said_free(&said);
}

Test(status_text, all_errors_are_told_and_no_warning)
{
	struct status_said said = say_two();

	cr_expect_str_eq(said.reason, "EarlierVersionInForce");
	cr_expect_str_eq(said.message, "spec.hosts: expected one; spec.tcp: expected none");
	cr_expect_eq(json_array_size(said.messages), 2);
	status_said_free(&said);
}

Test(status_text, of_very_many_errors_the_rest_is_counted)
{
	enum { MANY = 1000 };
	const char *messages[MANY];
	struct status_said said;

	for (int i = 0; i < MANY; i++)
		messages[i] = "spec.http[0].match[0].uri.regex: expected a regular expression that "
			      "is no longer than this sentence, which is not very short itself";
	said = say(STATUS_LEFT_OUT, MANY, messages);
	cr_expect_eq(json_array_size(said.messages), 50);
	cr_expect_lt(strlen(said.message), 4200);
	cr_expect_not_null(strstr(said.message, "; and 950 more"));
	status_said_free(&said);
}

Test(status_text, another_generation_or_another_message_is_another_status)
{
	struct status_said said = say_one("x"), other = say_one("y"), none = { 0 };
	_cleanup_json_ json_t *o = written(PLAIN, &said), *plain = parse(PLAIN);

	cr_expect_not(says(o, &other));
	cr_expect_not(says(o, &none));
	cr_expect(says(plain, &none));
	cr_expect_not(says(plain, &said));
	json_object_set_new(json_object_get(o, "metadata"), "generation", json_integer(4));
	cr_expect_not(says(o, &said));
	/* As istiod writes it. */
	json_object_set_new(json_object_get(o, "status"), "observedGeneration", json_string("4"));
	cr_expect(says(o, &said));
	status_said_free(&said);
	status_said_free(&other);
}

Test(status_text, the_time_is_that_of_the_first_refusal)
{
	struct status_said said = say_one("x"), other = say_one("y");
	_cleanup_json_ json_t *o = written(PLAIN, &said);
	_cleanup_json_ json_t *patch = status_patch(o, &other, "2027-01-01T00:00:00Z");
	const json_t *condition =
		json_array_get(json_object_get(json_object_get(patch, "status"), "conditions"), 0);

	cr_expect_str_eq(json_get_text(condition, "message", ""), "y");
	cr_expect_str_eq(json_get_text(condition, "lastTransitionTime", ""), NOW);
	status_said_free(&said);
	status_said_free(&other);
}

Test(status_text, what_is_mended_has_no_status)
{
	struct status_said said = say_one("x"), none = { 0 };
	_cleanup_json_ json_t *o = written(PLAIN, &said);
	_cleanup_free_ char *text = json_dumps(o, 0);
	_cleanup_json_ json_t *mended = written(text, &none);

	expect_json(mended, PLAIN);
	status_said_free(&said);
}

Test(status_text, what_others_have_written_stays)
{
	static const char theirs[] =
		"{\"metadata\":{\"resourceVersion\":\"1\",\"generation\":1},\"status\":{"
		"\"conditions\":[{\"type\":\"PassedAnalysis\",\"status\":\"True\"}],"
		"\"validationMessages\":[{\"type\":{\"code\":\"IST0102\"}}],\"more\":1}}";
	struct status_said said = say_one("x"), none = { 0 };
	_cleanup_json_ json_t *o = written(theirs, &said);
	_cleanup_free_ char *text = json_dumps(o, 0);
	_cleanup_json_ json_t *mended = written(text, &none);
	const json_t *status = json_object_get(o, "status");

	cr_expect_eq(json_array_size(json_object_get(status, "conditions")), 2);
	cr_expect_eq(json_array_size(json_object_get(status, "validationMessages")), 2);
	expect_json(json_object_get(json_object_get(mended, "status"), "conditions"),
		    "[{\"type\":\"PassedAnalysis\",\"status\":\"True\"}]");
	expect_json(json_object_get(json_object_get(mended, "status"), "validationMessages"),
		    "[{\"type\":{\"code\":\"IST0102\"}}]");
	status_said_free(&said);
}

Test(status_text, a_condition_of_anothers_is_none_of_wefts)
{
	static const char theirs[] =
		"{\"metadata\":{},\"status\":{\"conditions\":[{\"type\":"
		"\"Reconciled\",\"status\":\"True\",\"reason\":\"allAcked\"}]}}";
	struct status_said none = { 0 };
	_cleanup_json_ json_t *o = parse(theirs);

	cr_expect(says(o, &none));
}

Test(status_text, an_event_is_where_describe_looks_for_it)
{
	static const char object[] =
		"{\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\",\"uid\":\"u-1\","
		"\"resourceVersion\":\"7\"}}";
	_cleanup_json_ json_t *o = parse(object);
	struct status_said said = say_one("spec.hosts: expected one");
	struct status_event e = {
		o, "networking.istio.io/v1", "VirtualService", "node-a", NOW, ""
	};
	_cleanup_json_ json_t *event = status_event(&e, &said), *again = status_event(&e, &said),
			      *later = NULL;
	const json_t *metadata = json_object_get(event, "metadata");

	expect_json(
		json_object_get(event, "involvedObject"),
		"{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"VirtualService\","
		"\"name\":\"a\",\"namespace\":\"shop\",\"uid\":\"u-1\",\"resourceVersion\":\"7\"}");
	cr_expect_str_eq(json_get_text(event, "type", ""), "Warning");
	cr_expect_str_eq(json_get_text(event, "reason", ""), "LeftOut");
	cr_expect_str_eq(json_get_text(event, "message", ""), "left out: spec.hosts: expected one");
	cr_expect_str_eq(json_get_text(event, "reportingComponent", ""), "weft");
	cr_expect_str_eq(json_get_text(event, "reportingInstance", ""), "node-a");
	cr_expect_str_eq(json_get_text(metadata, "namespace", ""), "shop");
	cr_expect(!strncmp(json_get_text(metadata, "name", ""), "a.", 2));
	/* Told twice, it is one. */
	cr_expect(json_equal(metadata, json_object_get(again, "metadata")));
	e.mark = "later";
	later = status_event(&e, &said);
	cr_expect_not(json_equal(metadata, json_object_get(later, "metadata")));
	json_decref(later);
	later = NULL;
	status_said_free(&said);
}

Test(status_text, of_what_is_in_no_namespace_the_event_is_in_default)
{
	_cleanup_json_ json_t *o = parse("{\"metadata\":{\"name\":\"a\",\"uid\":\"u-1\"}}");
	struct status_said said = say_one("x");
	struct status_event e = { o, "v1", "Namespace", "node-a", NOW, "" };
	_cleanup_json_ json_t *event = status_event(&e, &said);

	cr_assert_not_null(event);
	cr_expect_str_eq(json_get_text(json_object_get(event, "metadata"), "namespace", ""),
			 "default");
	cr_expect_null(json_object_get(json_object_get(event, "involvedObject"), "namespace"));
	status_said_free(&said);
}

Test(status_text, an_object_in_force_that_is_warned_of_is_reconciled)
{
	struct status_said said = say(STATUS_WARNED, 0, NULL), wrong = say_one("x");
	_cleanup_json_ json_t *o = written(PLAIN, &said);
	_cleanup_json_ json_t *patch = status_patch(o, &wrong, "2027-01-01T00:00:00Z");
	const json_t *status = json_object_get(o, "status"),
		     *condition = json_array_get(json_object_get(status, "conditions"), 0),
		     *message = json_array_get(json_object_get(status, "validationMessages"), 0);

	cr_expect_str_eq(json_get_text(condition, "status", ""), "True");
	cr_expect_str_eq(json_get_text(condition, "reason", ""), "InForceWithWarnings");
	cr_expect_str_eq(json_get_text(condition, "message", ""), "a warning");
	cr_expect_str_eq(json_get_text(message, "level", ""), "WARNING");
	cr_expect(says(o, &said));
	/* Another status of the condition is a transition. */
	condition =
		json_array_get(json_object_get(json_object_get(patch, "status"), "conditions"), 0);
	cr_expect_str_eq(json_get_text(condition, "lastTransitionTime", ""),
			 "2027-01-01T00:00:00Z");
	status_said_free(&said);
	status_said_free(&wrong);
}
