/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_HTTP_UTIL_H
#define WEFT_TEST_HTTP_UTIL_H
/*
 * Rules as text -> HTTP tables -> what happens to a request, in a few words.
 */
#include "lib/compile/compile.h"
#include "lib/route/route.h"
#include "lib/schema/parse.h"

struct http_tables {
	struct objects objects;
	struct registry *registry;
	struct errors errors;
	struct tables *tables;
	struct http_snapshot *snapshot; /* the tables'; NULL if the rules were refused */
	int r;
};

/* Never fails itself: see `r`. */
void http_tables_text(struct http_tables *t, const char *yaml);
/* All rules of selftests/rules/routes together. */
void http_tables_routes(struct http_tables *t);
void http_tables_free(struct http_tables *t);

/* A request, with what is left out filled in: a client in "default", GET, http, "/", no headers. */
struct http_ask {
	const char *from;   /* namespace; "gateway": from outside */
	const char *labels; /* "app=sleep,version=v1" */
	const char *host;   /* as in the Host header */
	const char *sni;    /* of HTTPS; NULL: none */
	unsigned port;	    /* 80 */
	const char *method, *scheme, *path;
	const char *headers; /* "name: value" each on a line */
	unsigned turn;
};

/* "v1", "8000||httpbin", "404", "301 http://..." and what else is done. The caller frees. */
char *http_said(const struct http_tables *t, const struct http_ask *ask);
/* The same with the places of the rules that were passed over, and why. */
char *http_said_skipped(const struct http_tables *t, const struct http_ask *ask);

#endif
