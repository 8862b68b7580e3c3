// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/wire/wire.h"

struct row {
	const char *description;
	const char *bytes;
	size_t len;
	long result; /* size of the frame, -1 bad, -2 more */
	enum wire_problem problem;
	size_t need;
	size_t blob_len;
};

#define BYTES(s) s, sizeof(s) - 1

static const struct row good[] = {
	{ "an empty object", BYTES("weft\1\0\0\0\2\0\0\0\0\0\0\0{}"), 18, WIRE_OK, 18, 0 },
	{ "a blob with NULs", BYTES("weft\1\0\0\0\2\0\0\0\3\0\0\0{}\0\377\0"), 21, WIRE_OK, 21, 3 },
	{ "more behind it", BYTES("weft\1\0\0\0\2\0\0\0\0\0\0\0{}weft"), 18, WIRE_OK, 18, 0 },
};

static const struct row bad[] = {
	{ "another protocol", BYTES("GET / HTTP/1.1\r\n"), -1, WIRE_BAD_MAGIC, 16, 0 },
	{ "one wrong byte", BYTES("x"), -1, WIRE_BAD_MAGIC, 16, 0 },
	{ "another version", BYTES("weft\2\0\0\0"), -1, WIRE_BAD_VERSION, 16, 0 },
	{ "no JSON at all", BYTES("weft\1\0\0\0\0\0\0\0"), -1, WIRE_BAD_LENGTH, 16, 0 },
	{ "too much JSON", BYTES("weft\1\0\0\0\1\0\0\x10\0\0\0\0"), -1, WIRE_BAD_LENGTH, 16, 0 },
	{ "too long a blob", BYTES("weft\1\0\0\0\2\0\0\0\1\0\0\x20"), -1, WIRE_BAD_LENGTH, 16, 0 },
	{ "no JSON in it", BYTES("weft\1\0\0\0\2\0\0\0\0\0\0\0}{"), -1, WIRE_BAD_JSON, 18, 0 },
	{ "a list", BYTES("weft\1\0\0\0\2\0\0\0\0\0\0\0[]"), -1, WIRE_BAD_JSON, 18, 0 },
	{ "JSON that is not UTF-8", BYTES("weft\1\0\0\0\7\0\0\0\0\0\0\0{\"\377\":1}"), -1,
	  WIRE_BAD_JSON, 23, 0 },
	{ "a key twice", BYTES("weft\1\0\0\0\15\0\0\0\0\0\0\0{\"a\":1,\"a\":2}"), -1, WIRE_BAD_JSON,
	  29, 0 },
};

static void check(const struct row *row)
{
	/* Memory of exactly this size, so that a byte read behind it is noticed. */
	char *bytes = malloc(row->len);
	enum wire_problem problem;
	struct wire_frame frame;
	size_t need;
	long n;

	memcpy(bytes, row->bytes, row->len);
	n = wire_parse(bytes, row->len, &frame, &need, &problem);
	cr_expect_eq(n, row->result, "%s: %ld", row->description, n);
	cr_expect_eq(problem, row->problem, "%s: %s", row->description, wire_problem_text(problem));
	cr_expect_eq(need, row->need, "%s: needs %zu", row->description, need);
	if (n > 0) {
		cr_expect_eq(frame.blob_len, row->blob_len, "%s", row->description);
		json_decref(frame.json);
	}
	free(bytes);
}

Test(wire, frames_that_are_whole_are_taken)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		check(&good[i]);
}

Test(wire, frames_that_are_bad_are_told_from_those_that_are_short)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		check(&bad[i]);
}

Test(wire, a_frame_may_come_byte_by_byte)
{
	const struct row *row = &good[1];
	enum wire_problem problem;
	struct wire_frame frame;
	size_t need;

	for (size_t len = 0; len < row->len; len++) {
		cr_expect_eq(wire_parse(row->bytes, len, &frame, &need, &problem), -2,
			     "after %zu bytes", len);
		cr_expect_gt(need, len);
	}
}

Test(wire, what_is_packed_is_parsed)
{
	json_t *json = json_pack("{s:s}", "command", "apply");
	enum wire_problem problem;
	struct wire_frame frame;
	size_t len, need;
	char *bytes;

	cr_assert_eq(wire_pack(json, "\0blob", 5, &bytes, &len), 0);
	cr_assert_eq(wire_parse(bytes, len, &frame, &need, &problem), (long)len);
	cr_expect(json_equal(frame.json, json));
	cr_expect_eq(frame.blob_len, 5);
	cr_expect_arr_eq(frame.blob, "\0blob", 5);
	json_decref(frame.json);
	json_decref(json);
	free(bytes);
}

Test(wire, memory_grows_with_what_came_not_with_what_was_announced)
{
	struct wire_inbox in = { 0 };
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(write(fds[0], "weft", 4), 4);
	cr_expect_eq(wire_inbox_read(&in, fds[1], WIRE_BLOB_MAX), 4);
	cr_expect_leq(in.room, 1 << 20);
	wire_inbox_drop(&in, 1);
	cr_expect_eq(in.len, 3);
	cr_expect_arr_eq(in.bytes, "eft", 3);
	wire_inbox_drop(&in, 3);
	cr_expect_eq(in.len, 0);
	close(fds[0]);
	cr_expect_eq(wire_inbox_read(&in, fds[1], WIRE_HEADER), 0);
	wire_inbox_free(&in);
	close(fds[1]);
}
