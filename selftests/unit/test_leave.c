/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When weftd leaves its node: by what becomes of its DaemonSet and of the namespace that it is in.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/source/leave.h"

enum { DAEMONSET, NAMESPACE };

static struct leave *l;

static void setup(void)
{
	l = leave_new("weft-system", "weft");
	cr_assert(l);
}

static void teardown(void)
{
	leave_close(l);
}

TestSuite(leave, .init = setup, .fini = teardown);

static void put(unsigned resource, const char *name, const char *json)
{
	leave_event(l, &(struct informer_event){ .resource = resource,
						 .change = INFORMER_PUT,
						 .namespace = resource ? "" : "weft-system",
						 .name = name,
						 .json = json,
						 .size = strlen(json) });
}

static void gone(unsigned resource, const char *name)
{
	leave_event(l, &(struct informer_event){ .resource = resource,
						 .change = INFORMER_GONE,
						 .namespace = resource ? "" : "weft-system",
						 .name = name });
}

static const char there[] = "{\"metadata\": {\"name\": \"weft\"}}";
static const char going[] = "{\"metadata\": {\"deletionTimestamp\": \"2026-01-01T00:00:00Z\"}}";

Test(leave, while_the_daemonset_is_there_an_end_is_an_upgrade)
{
	cr_expect_not(leave_wanted(NULL));
	cr_expect_not(leave_wanted(l), "nothing is known yet");
	put(DAEMONSET, "weft", there);
	put(NAMESPACE, "weft-system", there);
	cr_expect_not(leave_wanted(l));
}

Test(leave, a_daemonset_that_is_deleted_ends_it)
{
	put(DAEMONSET, "weft", there);
	gone(DAEMONSET, "weft");
	cr_expect(leave_wanted(l));
}

Test(leave, one_that_waits_for_its_pods_is_deleted)
{
	put(DAEMONSET, "weft", there);
	put(DAEMONSET, "weft", going);
	cr_expect(leave_wanted(l));
}

Test(leave, a_namespace_goes_before_what_is_in_it)
{
	put(DAEMONSET, "weft", there);
	put(NAMESPACE, "weft-system", going);
	cr_expect(leave_wanted(l));
	put(NAMESPACE, "weft-system", there);
	cr_expect_not(leave_wanted(l), "it has been made anew");
	gone(NAMESPACE, "weft-system");
	cr_expect(leave_wanted(l));
}

Test(leave, a_daemonset_that_is_made_anew_takes_over)
{
	put(DAEMONSET, "weft", there);
	gone(DAEMONSET, "weft");
	put(DAEMONSET, "weft", there);
	cr_expect_not(leave_wanted(l));
}

Test(leave, others_are_not_its_own)
{
	put(DAEMONSET, "weft", there);
	put(DAEMONSET, "other", going);
	gone(DAEMONSET, "another");
	gone(NAMESPACE, "default");
	cr_expect_not(leave_wanted(l));
}

Test(leave, what_is_no_object_says_nothing)
{
	put(DAEMONSET, "weft", there);
	put(DAEMONSET, "weft", "{\"metadata\": ");
	cr_expect_not(leave_wanted(l));
}
