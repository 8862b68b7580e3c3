/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOAD_H
#define WEFT_LOAD_H
/*
 * The parts of tcp-load: what was asked for (load_options.c), the connections (tcp-load.c), what is
 * printed (load_report.c).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { WORD_MAX = 64 };
enum end { END_FIN, END_RST, END_MIX, END_HALF, END_HOLD };
enum state { CONNECTING, ASKING, KEEPING, HALF_CLOSED, DONE };
enum output { OUT_SUMMARY, OUT_JSON, OUT_SEQUENCE, OUT_TIMES };

struct conn {
	int fd;
	enum state state;
	bool named;   /* the answer's first word is complete */
	bool settled; /* connected, and answered where it asks */
	uint64_t opened, connected, answered, keep_until;
	uint64_t deadline; /* of its live timer; others of it in the heap are stale */
	size_t sent, got;  /* bytes of the line; of the answer, without its first word */
	char result[WORD_MAX], word[WORD_MAX];
	uint16_t local_port;
};

struct options {
	struct sockaddr_storage to, from;
	socklen_t to_len;
	bool bound, fastopen;
	uint32_t total, concurrency;
	double rate, seconds;
	uint64_t keep_ns, every_ns, timeout_ns;
	char *line; /* with its newline; NULL: ask nothing */
	size_t line_len;
	enum end end;
	enum output output;
	const char *ready_file;
	unsigned source_port;
};

extern struct options opt;

/* Fills `opt`; exits on wrong usage. */
void options_parse(int argc, char **argv);

/* Prints the `count` connections, in order of opening, as `opt` wants it. May reorder them. `peak`
 * is how many were open at once. */
void report(struct conn *conns, uint32_t count, uint32_t peak);

/* realloc() that does not fail. */
void *grow(void *items, size_t size);

#endif
