// SPDX-License-Identifier: Apache-2.0
/*
 * Responses of the proxy's own.
 */
#include <errno.h>
#include <string.h>

#include "proxy/h1/http_status.h"
#include "proxy/request/request.h"
#include "lib/base/response_flags.h"
#include "proxy/request/request_traffic.h"

enum step request_answer(struct request *rq, const struct plan_answer *a)
{
	rq->status = a->status;
	flags_add(&rq->flags, a->flags);
	rq->details = a->details;
	if (rq->planned && rq->plan.action == PLAN_FORWARD)
		request_count_answer(rq);
	if (rq->planned)
		request_traffic_answer(rq, a);
	rq->worker->stats.responses_own++;
	rq->close |= a->last;
	/* What of the request has not come yet would be taken for the next one. */
	if (!body_discard(&rq->down->half))
		rq->close = true;
	if (rq->down->ops->send_answer(rq, a))
		return STEP_END;
	return request_send_rest(rq);
}

enum step request_answer_bad(struct request *rq, enum h1_error error)
{
	unsigned status = h1_error_status(error);
	const char *reason = status_reason(status);
	const struct plan_answer a = {
		.status = status,
		.body = { reason, strlen(reason) },
		.flags = "DPE",
		.details = "http1.codec_error",
	};

	rq->worker->stats.bad_requests++;
	rq->close = true;
	return request_answer(rq, &a);
}

enum step request_send_rest(struct request *rq)
{
	rq->state = REQUEST_ANSWER;
	request_wait(rq, rq->worker->options.stream_timeout_ms);
	return STEP_AGAIN;
}

enum step request_step_answer(struct request *rq)
{
	int r = half_flush(&rq->down->half);

	if (!r)
		return STEP_DONE;
	return r == -EAGAIN && !rq->fired ? STEP_WAIT : STEP_END;
}
