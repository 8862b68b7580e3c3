/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_SCHEMA_HTTP_H
#define WEFT_LIB_SCHEMA_SCHEMA_HTTP_H
/*
 * The tables for the parts of an HTTP route.
 */
#include "lib/model/model_http.h"
#include "lib/schema/schema.h"

extern const struct message schema_http_match;		 /* struct http_match */
extern const struct message schema_http_headers;	 /* struct http_headers */
extern const struct message schema_http_redirect;	 /* struct http_redirect */
extern const struct message schema_http_direct_response; /* struct http_direct_response */
extern const struct message schema_http_rewrite;	 /* struct http_rewrite */
extern const struct message schema_http_retries;	 /* struct http_retries */
extern const struct message schema_http_fault;		 /* struct http_fault */
extern const struct message schema_http_cors;		 /* struct http_cors */
extern const struct message schema_http_string_match;	 /* struct string_match */
extern const struct message schema_http_percentage;	 /* double: { value: 12.5 } */

#endif
