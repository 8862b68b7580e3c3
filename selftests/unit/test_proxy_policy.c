// SPDX-License-Identifier: Apache-2.0
/*
 * A NetworkPolicy lets no connection of the client's through: to the client it is a connection that
 * can't be made, to the endpoint it is nothing.
 */
#include <criterion/criterion.h>

#include "test_proxy_script.h"

static struct env *e;

static void setup(void)
{
	e = env_new(NULL);
}

static void teardown(void)
{
	env_free(e);
}

TestSuite(proxy_policy, .init = setup, .fini = teardown, .timeout = 60);

#define CLOSED                                                                               \
	"C< 503...upstream connect error or disconnect/reset before headers. reset reason: " \
	"connection failure"
#define LOGGED " 503 UF upstream_reset_before_response_started{connection_failure|network_policy}"

Test(proxy_policy, no_connection_is_made)
{
	e->target.closed = true;
	PLAY("C> GET /a", CLOSED, "U> -", "L1" LOGGED,
	     "S cluster only network_policy 1, upstream_rq_completed 1, upstream_rq_5xx 1");
	cr_expect_eq(e->dones, 1u);
	cr_expect_eq(e->outcome, OUTCOME_ABANDONED, "it says nothing about the endpoint");
}

Test(proxy_policy, a_connection_that_is_there_is_not_used)
{
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
	e->target.closed = true;
	PLAY("C> GET /a", CLOSED, "U> -", "L2" LOGGED);
	e->target.closed = false;
	PLAY("C> GET /a", "U> GET /a", "U< 200", "C< 200");
}

Test(proxy_policy, another_try_may_go_to_one_that_is_open)
{
	env_second(e);
	e->plan.retries = 1;
	e->plan.retry_on = PLAN_RETRY_CONNECT_FAILURE;
	e->target.closed = true;
	PLAY("C> GET /a", "V> GET /a", "V< 200", "C< 200",
	     "S cluster network_policy 1, upstream_rq_retry 1, upstream_rq_retry_success 1");
	e->plan.retry_on = PLAN_RETRY_4XX;
	PLAY("C> GET /a", CLOSED, "S cluster network_policy 2, upstream_rq_retry 1");
}

Test(proxy_policy, tries_that_are_used_up_are_told)
{
	e->plan.retries = 2;
	e->plan.retry_on = PLAN_RETRY_CONNECT_FAILURE;
	e->target.closed = true;
	PLAY("C> GET /a", CLOSED, "L1 503 UF,URX",
	     "S cluster network_policy 3, upstream_rq_retry 2, "
	     "upstream_rq_retry_limit_exceeded 1");
}
