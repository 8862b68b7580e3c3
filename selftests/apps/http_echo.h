/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_ECHO_H
#define WEFT_HTTP_ECHO_H
/*
 * The parts of http-echo: what it answers (http_echo_answer.c) and how it gets there (http-echo.c).
 */
#include "proxy/h1/h1.h"

/* What becomes of an answer. */
enum fate {
	FATE_WHOLE,
	FATE_NOTHING,	/* the connection is closed instead */
	FATE_RESET,	/* likewise, by RST */
	FATE_HALF_HEAD, /* closed in the middle of the head */
	FATE_HALF_BODY, /* closed in the middle of the body */
};

struct answer {
	unsigned status;
	enum fate fate;
	bool chunked;
	bool tunnel; /* from then on, what comes is sent back */
	uint64_t delay_ms;
	uint64_t pattern; /* the body: so many bytes of the pattern, or, if 0, ... */
	char *body;	  /* ... this; malloc()ed or NULL */
	size_t body_len;
	char fields[1024]; /* more header lines */
};

/* What a request was, once all of it has come. */
struct asked {
	const struct h1_request *request;
	uint64_t body_bytes;
	uint32_t body_sum; /* adler32 */
	const char *peer;
	unsigned peer_port;
};

struct echo {
	const char *name;
	/* Set at run time; 0: not. */
	unsigned status, times;
	uint64_t delay_ms;
	/* Counted. */
	uint64_t requests, connections, open;
};

extern struct echo echo;

/* Takes `out` zeroed; its body is the caller's. */
void answer_make(const struct asked *asked, struct answer *out);

#endif
