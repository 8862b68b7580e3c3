// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "daemon/source/journal_record.h"

size_t record_check(const char *bytes, size_t len)
{
	size_t payload;

	if (len < RECORD_HEADER)
		return 0;
	payload = bytes_u32(bytes);
	if (payload < WIRE_HEADER || payload > len - RECORD_HEADER)
		return 0;
	if (crc32_z(0, (const unsigned char *)bytes + RECORD_HEADER, payload) !=
	    bytes_u32(bytes + 4))
		return 0;
	return RECORD_HEADER + payload;
}

bool record_find(const char *bytes, size_t len)
{
	/* Files hold no zeros, so that they are not mistaken for a frame. */
	static const char frame[] = { 'w', 'e', 'f', 't', WIRE_VERSION, 0, 0, 0 };
	const char *end = bytes + len, *at = bytes;

	if (len < RECORD_HEADER)
		return false;
	for (at += RECORD_HEADER; (at = memmem(at, end - at, frame, sizeof(frame))); at++) {
		const char *record = at - RECORD_HEADER;

		if (record_check(record, end - record))
			return true;
	}
	return false;
}

size_t record_parse(const char *bytes, size_t len, struct wire_frame *out)
{
	size_t size = record_check(bytes, len), need;
	enum wire_problem problem;
	struct wire_frame frame;
	long n;

	if (!size)
		return 0;
	n = wire_parse(bytes + RECORD_HEADER, size - RECORD_HEADER, &frame, &need, &problem);
	if (n < 0)
		return 0;
	if ((size_t)n != size - RECORD_HEADER) {
		json_decref(frame.json);
		return 0;
	}
	*out = frame;
	return size;
}

static int add_files(json_t *record, const struct store_input *files, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *file = json_pack("{s:o, s:I}", "name", json_text(files[i].name), "size",
					 (json_int_t)files[i].size);

		if (files[i].namespace)
			json_object_set_new(file, "namespace", json_text(files[i].namespace));
		if (json_array_append_new(list, file)) {
			json_decref(list);
			return -ENOMEM;
		}
	}
	return json_object_set_new(record, "files", list) ? -ENOMEM : 0;
}

static char *join(const struct store_input *files, size_t count, size_t *size)
{
	size_t total = 0;
	char *all, *at;

	for (size_t i = 0; i < count; i++)
		total += files[i].size;
	all = malloc(total + 1);
	if (!all)
		return NULL;
	at = all;
	for (size_t i = 0; i < count; i++) {
		memcpy(at, files[i].bytes, files[i].size);
		at += files[i].size;
	}
	*size = total;
	return all;
}

int record_pack(json_t *record, const struct store_input *files, size_t count, char **out,
		size_t *len)
{
	_cleanup_free_ char *blob = NULL, *frame = NULL;
	size_t blob_len, frame_len;
	char *whole;
	int r = add_files(record, files, count);

	if (r)
		return r;
	blob = join(files, count, &blob_len);
	if (!blob)
		return -ENOMEM;
	r = wire_pack(record, blob, blob_len, &frame, &frame_len);
	if (r)
		return r;
	whole = malloc(RECORD_HEADER + frame_len);
	if (!whole)
		return -ENOMEM;
	bytes_put_u32(whole, frame_len);
	bytes_put_u32(whole + 4, crc32_z(0, (const unsigned char *)frame, frame_len));
	memcpy(whole + RECORD_HEADER, frame, frame_len);
	*out = whole;
	*len = RECORD_HEADER + frame_len;
	return 0;
}
