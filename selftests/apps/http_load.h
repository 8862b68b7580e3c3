/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_HTTP_LOAD_H
#define WEFT_HTTP_LOAD_H
/*
 * The parts of http-load: what was asked for (http_load_options.c), the connections (http-load.c),
 * what came of it (http_load_report.c).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

enum output { OUT_JSON, OUT_SEQUENCE, OUT_PRINT };

enum { CPU_OF_MAX = 4 };

struct options {
	struct sockaddr_storage to, from;
	socklen_t to_len;
	bool bound;
	uint64_t total;
	uint32_t concurrency, idle;
	double rate, seconds;
	uint64_t timeout_ns;
	bool is_head;
	/* A request: this, so many bytes of the pattern, and this again; `size` bytes in all. */
	char *head;
	size_t head_len;
	uint64_t upload;
	const char *tail;
	uint64_t size;
	char *upload_answer; /* what http-echo says of such a body, or NULL */
	bool close;	     /* a connection for each request */
	bool verify;	     /* bodies of answers are the pattern */
	bool warm;	     /* uses each connection once before it begins */
	bool hold;	     /* the idle connections, until SIGTERM */
	const char *count_header;
	const char *ready_file;
	clockid_t cpu_of[CPU_OF_MAX]; /* what processes have used */
	unsigned cpu_count;
	enum output output;
};

extern struct options opt;

/* Fills `opt`; exits on wrong usage. */
void options_parse(int argc, char **argv);

/* Texts and how often each came. */
struct tally {
	struct count {
		char *text;
		uint64_t n;
	} * counts;
	size_t len;
};

/* Its index from then on. */
size_t tally_add(struct tally *t, const char *text);

/* What came of the requests. */
struct results {
	struct tally statuses, errors, words, lines;
	uint32_t *sequence; /* per request, in the order of sending: its line in `lines`, + 1 */
	uint64_t *latency;  /* ns, in the order of their ends */
	uint64_t sent, ended, answered; /* requests */
	uint64_t opened, reopened;	/* connections; those that were ended between requests */
	uint64_t bytes;			/* of bodies received */
	uint64_t idle_open, idle_lost;
	double seconds;
	uint64_t cpu_ns; /* of the processes of --cpu-of together, meanwhile */
};

void report(struct results *r);

/* realloc() that does not fail. */
void *grow(void *items, size_t size);

#endif
