/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_HTTP_ROWS_UTIL_H
#define WEFT_TEST_HTTP_ROWS_UTIL_H
/*
 * The proxy's router and heads over the rules of selftests/rules/routes, without a socket: a row's
 * request goes in, what would come of it comes out.
 */
#include <jansson.h>

#include "proxy/request/request.h"
#include "proxy/route/router.h"
#include "test_http_util.h"

enum { ROW_COPIES = 4, ROW_HEAD = 4096 };

/* A message as an endpoint or the client sees it. */
struct row_message {
	const char *pod; /* that received it; NULL: none did */
	char text[ROW_HEAD];
	struct h1_request request;
};

/* What comes of a request. */
struct row_result {
	bool refused;		       /* nothing listens there */
	unsigned status, tries, after; /* `after`: ms */
	struct h1_span body;	       /* of our own answers; p is NULL if it is another's */
	char text[ROW_HEAD];
	struct h1_response answer;
	struct row_message saw, copies[ROW_COPIES];
	size_t copy_count;
};

struct row_bench {
	struct http_tables tables;
	json_t *cluster; /* cluster.json's items */
	struct cluster_limit *limits;
	uint32_t *held;
	struct stats *stats;
	struct shared_state *state;
	struct snapshot_router *rules;
	struct buffer_pool buffers;
};

void row_bench_open(struct row_bench *b);
void row_bench_close(struct row_bench *b);
/* `row` asks, in IPv4 or IPv6. */
void row_run(struct row_bench *b, const json_t *row, int family, struct row_result *out);
/* A host with $NAME filled in; the caller frees. */
char *row_host(struct row_bench *b, const char *host, int family);

#endif
