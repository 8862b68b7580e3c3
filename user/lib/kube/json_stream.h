/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_JSON_STREAM_H
#define WEFT_LIB_KUBE_JSON_STREAM_H
/*
 * Cuts JSON that comes in pieces of any size into its values: the events of a watch, or the items
 * of a list, so that no more than one of them is in memory.
 */
#include <stdbool.h>

#include "lib/base/buffer.h"

enum { JSON_VALUE_MAX = 16 << 20 };

enum json_stream_mode {
	JSON_STREAM_VALUES, /* objects one behind the other */
	JSON_STREAM_LIST,   /* one object; the values are those in its array "items" */
};

/* Zero-initialise but for the mode; free with json_stream_free(). */
struct json_stream {
	enum json_stream_mode mode;
	struct buffer value; /* the one that has begun */
	struct buffer rest;  /* of a list: all of it but its items */
	size_t depth;
	bool in_string, escaped;
	bool in_items;
	char key[8]; /* of the member of a list that comes or is being read, cut short */
	size_t key_len;
	bool is_key; /* the string that is being read may be one */
};

/* Takes a whole value, which is valid during the call. 0, or what is to end it. */
typedef int (*json_value_fn)(void *arg, const char *json, size_t size);

/* 0; -EPROTO if it is not what it should be; -EFBIG for a value over JSON_VALUE_MAX; -ENOMEM; or
 * what taken() has returned. There is nothing to be had of the stream after an error. */
int json_stream_feed(struct json_stream *s, const char *bytes, size_t size, json_value_fn taken,
		     void *arg);
/* Whether all that has begun has ended. */
bool json_stream_complete(const struct json_stream *s);
void json_stream_free(struct json_stream *s);

#endif
