/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_WIRE_WIRE_H
#define WEFT_LIB_WIRE_WIRE_H
/* clang-format off */
/*
 * The control protocol between weft and weftd, over the Unix stream socket RUN_DIR/weftd.sock.
 *
 * Both sides send frames. A client sends a request and waits for its reply before the next; weftd
 * answers each request with one reply. A frame, with integers in little-endian order:
 *
 *	offset 0   4 bytes  "weft"
 *	       4   u32      version, WIRE_VERSION
 *	       8   u32      bytes of JSON, 2..WIRE_JSON_MAX
 *	      12   u32      bytes of blob, 0..WIRE_BLOB_MAX
 *	      16            the JSON, one object, UTF-8
 *	                    the blob: the bytes of files one after the other, as they were read;
 *	                    it may hold anything
 *
 * The JSON of a request; "files" where it comes with files:
 *
 *	{"command": NAME, "files": [{"name", "size"}, ...], ...}
 *
 * The JSON of a reply; empty lists and absent data are left out:
 *
 *	{"ok": true|false, "errors": [TEXT...], "warnings": [TEXT...], "notes": [TEXT...], "data": ...}
 *
 * A frame that is not well-formed is answered with an error and the connection is closed. So is that
 * of a peer that stays silent in the middle of a frame, or does not read its reply, for WIRE_STALL_S
 * seconds.
 */
/* clang-format on */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_VERSION = 1,
	WIRE_HEADER = 16,
	WIRE_JSON_MAX = 256 << 20,
	WIRE_BLOB_MAX = 512 << 20,
	WIRE_STALL_S = 10,
};

enum wire_problem {
	WIRE_OK = 0,
	WIRE_BAD_MAGIC,
	WIRE_BAD_VERSION,
	WIRE_BAD_LENGTH,
	WIRE_BAD_JSON,
};

/* Points into the bytes it was parsed from, but owns `json`. */
struct wire_frame {
	json_t *json;
	const char *blob;
	size_t blob_len;
};

/*
 * Looks for one frame at the start of `bytes`. Returns its size in bytes with *out filled in (the
 * caller drops out->json), -1 when it is bad (*problem says how), -2 when there is more to come;
 * then, once the header is there, *need is the size of the whole frame (else WIRE_HEADER).
 */
long wire_parse(const char *bytes, size_t len, struct wire_frame *out, size_t *need,
		enum wire_problem *problem);

/* A sentence about it for the peer. */
const char *wire_problem_text(enum wire_problem problem);

/* One frame in memory of its own. 0, -E2BIG, -ENOMEM. */
int wire_pack(const json_t *json, const void *blob, size_t blob_len, char **out, size_t *out_len);

/* Bytes as they come in from a peer. Zero-initialise; wire_inbox_free() at the end. */
struct wire_inbox {
	char *bytes;
	size_t len, room;
};

/*
 * Reads once from `fd`, towards a frame of `need` bytes in all. Memory grows with what has arrived,
 * not with what was announced. Returns the number of bytes read, 0 at the end of the stream, or
 * -errno (-EAGAIN, -EINTR among them).
 */
long wire_inbox_read(struct wire_inbox *in, int fd, size_t need);
void wire_inbox_drop(struct wire_inbox *in, size_t n); /* the first n bytes are done with */
void wire_inbox_free(struct wire_inbox *in);

#endif
