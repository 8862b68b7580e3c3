/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_H1_H1_H
#define WEFT_PROXY_H1_H1_H
/*
 * HTTP/1.x messages (RFC 9112), strictly: whatever two readers could understand differently is bad.
 *
 * Nothing is allocated and nothing is written to the input. Spans point into the caller's buffer
 * and are valid as long as it is. The parsers return how many bytes the head takes (> 0), or
 * H1_BAD, or H1_MORE when the input is fine so far but ends too early.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	H1_BAD = -1,
	H1_MORE = -2,
	H1_MAX_HEADERS = 100,
	H1_MAX_HEAD = 60 * 1024,   /* bytes of request or status line and all fields */
	H1_MAX_TRAILER = 8 * 1024, /* bytes of a trailer section */
	H1_MAX_CHUNK_DIGITS = 15,  /* of a chunk size: no arithmetic on 64 bits overflows */
	H1_MAX_EXTENSIONS = 4096, /* bytes behind chunk sizes beyond what their data makes up for */
};

/* Bytes of a message, not NUL-terminated. p is NULL if there is no such part. */
struct h1_span {
	const char *p;
	size_t n;
};

/* Why a message is bad. */
enum h1_error {
	H1_OK = 0,
	H1_ERR_LINE,	/* request line or status line */
	H1_ERR_VERSION, /* well-formed, but not HTTP/1 */
	H1_ERR_TARGET,
	H1_ERR_FIELD,	   /* the syntax of a field line, obs-fold included */
	H1_ERR_HOST,	   /* missing, repeated or malformed */
	H1_ERR_LENGTH,	   /* Content-Length */
	H1_ERR_CODING,	   /* Transfer-Encoding */
	H1_ERR_FRAMING,	   /* both, or where there must be none */
	H1_ERR_CONNECTION, /* Connection nominates a field that says how to read the message */
	H1_ERR_EXPECT,	   /* an expectation other than 100-continue */
	H1_ERR_TOO_LARGE,  /* more than H1_MAX_HEAD bytes */
	H1_ERR_TOO_MANY,   /* more than H1_MAX_HEADERS fields */
	H1_ERR_CHUNK,
	H1_ERR_MAX,
};

/* Fields that the proxy itself looks at. */
enum h1_field {
	H1_OTHER = 0,
	H1_HOST,
	H1_CONTENT_LENGTH,
	H1_TRANSFER_ENCODING,
	H1_CONNECTION,
	H1_KEEP_ALIVE,
	H1_PROXY_CONNECTION,
	H1_TE,
	H1_TRAILER,
	H1_UPGRADE,
	H1_EXPECT,
	H1_HTTP2_SETTINGS,
};

struct h1_header {
	struct h1_span name;
	struct h1_span value; /* without white space around it */
	uint8_t field;	      /* enum h1_field */
	bool hop; /* concerns this connection only: Connection, what it nominates, ... */
};

/* How the end of a body is found. */
enum h1_framing {
	H1_NO_BODY = 0,
	H1_LENGTH, /* content_length bytes, more than 0 */
	H1_CHUNKED,
	H1_UNTIL_CLOSE, /* responses only */
	H1_TUNNEL,	/* responses only: 101 */
};

/* What requests and responses have in common. */
struct h1_message {
	struct h1_header headers[H1_MAX_HEADERS]; /* in the order received */
	size_t header_count;
	uint64_t content_length;
	uint8_t minor;	  /* 0: HTTP/1.0, 1: HTTP/1.1 or later */
	uint8_t framing;  /* enum h1_framing */
	bool has_length;  /* Content-Length is given (a HEAD response has one, but no body) */
	bool chunked;	  /* Transfer-Encoding: chunked is given */
	bool keep_alive;  /* as its sender wants it; framing may be against it */
	bool has_upgrade; /* Connection: upgrade and an Upgrade to websocket, in HTTP/1.1 */
	uint8_t error;	  /* enum h1_error, after H1_BAD */
};

struct h1_request {
	struct h1_message m;
	struct h1_span method;
	struct h1_span target;	  /* as received */
	struct h1_span authority; /* of the target, else the value of Host, else NULL; without the
				     ':' of an empty port */
	struct h1_span path;	  /* with query; "/" for an absolute target with neither, "?query"
				     for one that has but a query; "*"; NULL for CONNECT */
	bool is_head, is_connect;
	bool expect_continue;
};

struct h1_response {
	struct h1_message m;
	unsigned status; /* 100..599 */
	struct h1_span reason;
};

/* What of a request decides how its response is read. */
enum h1_asked { H1_ASKED_OTHER, H1_ASKED_HEAD };

/*
 * `seen` is how many of the bytes the last call had already seen when it answered H1_MORE, 0 at
 * first: it only saves work.
 */
int h1_parse_request(const char *buf, size_t len, size_t seen, struct h1_request *out);
/*
 * Whether a connection that begins with those bytes speaks HTTP/1, rightly or not: 0: its first
 * line ends with "HTTP/1." and a digit; H1_MORE: there is no whole line yet, and no byte that a
 * request line has not; H1_BAD: it speaks something else.
 */
int h1_begins(const char *buf, size_t len);
int h1_parse_response(const char *buf, size_t len, size_t seen, enum h1_asked asked,
		      struct h1_response *out);

/* Short text for the log: "Content-Length"; never NULL. */
const char *h1_error_text(enum h1_error error);
/* What to answer a client whose request is bad: 400, 417 or 431. */
unsigned h1_error_status(enum h1_error error);

bool h1_is(struct h1_span s, const char *text);	       /* equal */
bool h1_is_nocase(struct h1_span s, const char *text); /* equal but for the case of letters */
/* Spans of the same length and bytes, but for the case of letters. */
bool h1_same_nocase(struct h1_span a, struct h1_span b);

/*
 * A chunked body, as it comes. Zero-initialise. Chunk extensions, and blanks behind a size, mean
 * nothing to any reader that this proxy knows of: they are checked and told apart, so that they
 * can be left out of what is passed on.
 */
struct h1_chunks {
	uint64_t left;	/* bytes of data that are next, 0 while framing is */
	uint64_t next;	/* private: the size of the next chunk, as far as it is read */
	uint32_t size;	/* of the trailer section so far */
	uint32_t extra; /* private: bytes of extensions that no data makes up for */
	uint8_t state;	/* private */
	uint8_t digits; /* of the current chunk size */
	uint8_t name_len;
	bool done;     /* the whole body, with its trailer section, is consumed */
	bool data;     /* what the last call consumed was data, not framing */
	bool ignored;  /* it was an extension, or blanks: not to be passed on */
	char name[20]; /* of the current trailer field, its beginning */
};

/*
 * Consumes bytes of framing, of data or of what is ignored, whichever is next, and returns how
 * many, 0 when `len` is 0 or the body is done; or H1_BAD. Bytes after the body are left alone.
 */
long h1_chunks_next(struct h1_chunks *c, const char *buf, size_t len);
/* As many data bytes, at most c->left, have gone past without being looked at. */
void h1_chunks_skip(struct h1_chunks *c, uint64_t n);

#endif
