// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/wire/wire.h"

static const char magic[4] = { 'w', 'e', 'f', 't' };

enum { INBOX_FIRST = 64 << 10 };

static enum wire_problem check_header(const char *bytes, size_t len)
{
	if (memcmp(bytes, magic, len < sizeof(magic) ? len : sizeof(magic)) != 0)
		return WIRE_BAD_MAGIC;
	if (len >= 8 && bytes_u32(bytes + 4) != WIRE_VERSION)
		return WIRE_BAD_VERSION;
	if (len >= 12 && (bytes_u32(bytes + 8) < 2 || bytes_u32(bytes + 8) > WIRE_JSON_MAX))
		return WIRE_BAD_LENGTH;
	if (len >= 16 && bytes_u32(bytes + 12) > WIRE_BLOB_MAX)
		return WIRE_BAD_LENGTH;
	return WIRE_OK;
}

long wire_parse(const char *bytes, size_t len, struct wire_frame *out, size_t *need,
		enum wire_problem *problem)
{
	size_t json_len, blob_len;
	json_t *json;

	*need = WIRE_HEADER;
	*problem = check_header(bytes, len);
	if (*problem)
		return -1;
	if (len < WIRE_HEADER)
		return -2;
	json_len = bytes_u32(bytes + 8);
	blob_len = bytes_u32(bytes + 12);
	*need = WIRE_HEADER + json_len + blob_len;
	if (len < *need)
		return -2;
	json = json_loadb(bytes + WIRE_HEADER, json_len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(json)) {
		json_decref(json);
		*problem = WIRE_BAD_JSON;
		return -1;
	}
	*out = (struct wire_frame){ json, bytes + WIRE_HEADER + json_len, blob_len };
	return (long)*need;
}

const char *wire_problem_text(enum wire_problem problem)
{
	switch (problem) {
	case WIRE_OK:
		return "no problem";
	case WIRE_BAD_MAGIC:
		return "not a frame of the weft control protocol";
	case WIRE_BAD_VERSION:
		return "another version of the weft control protocol: use the weft that came with "
		       "this weftd";
	case WIRE_BAD_LENGTH:
		return "a frame of a length that is out of bounds";
	case WIRE_BAD_JSON:
		return "a frame without a JSON object";
	}
	return "unknown problem";
}

int wire_pack(const json_t *json, const void *blob, size_t blob_len, char **out, size_t *out_len)
{
	_cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
	size_t json_len, size;
	char *frame;

	if (!text)
		return -ENOMEM;
	json_len = strlen(text);
	if (json_len > WIRE_JSON_MAX || blob_len > WIRE_BLOB_MAX)
		return -E2BIG;
	size = WIRE_HEADER + json_len + blob_len;
	frame = malloc(size);
	if (!frame)
		return -ENOMEM;
	memcpy(frame, magic, sizeof(magic));
	bytes_put_u32(frame + 4, WIRE_VERSION);
	bytes_put_u32(frame + 8, json_len);
	bytes_put_u32(frame + 12, blob_len);
	memcpy(frame + WIRE_HEADER, text, json_len);
	if (blob_len)
		memcpy(frame + WIRE_HEADER + json_len, blob, blob_len);
	*out = frame;
	*out_len = size;
	return 0;
}

static int make_room(struct wire_inbox *in, size_t need)
{
	size_t room = in->room ? 2 * in->room : INBOX_FIRST;
	char *bytes;

	if (in->len < in->room)
		return 0;
	if (room > need && need > in->len && need > INBOX_FIRST)
		room = need;
	bytes = realloc(in->bytes, room);
	if (!bytes)
		return -ENOMEM;
	in->bytes = bytes;
	in->room = room;
	return 0;
}

long wire_inbox_read(struct wire_inbox *in, int fd, size_t need)
{
	int r = make_room(in, need);
	ssize_t n;

	if (r)
		return r;
	n = read(fd, in->bytes + in->len, in->room - in->len);
	if (n < 0)
		return -errno;
	in->len += n;
	return n;
}

void wire_inbox_drop(struct wire_inbox *in, size_t n)
{
	if (n == in->len) {
		wire_inbox_free(in);
		return;
	}
	memmove(in->bytes, in->bytes + n, in->len - n);
	in->len -= n;
}

void wire_inbox_free(struct wire_inbox *in)
{
	free(in->bytes);
	*in = (struct wire_inbox){ 0 };
}
