// SPDX-License-Identifier: Apache-2.0
/*
 * The file of certificates and keys: what is packed is found again, and no damaged one is taken.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/wire/credentials.h"

DEFINE_CLEANUP(struct credentials *, credentials_close);

static struct credential_text text(const char *s)
{
	return (struct credential_text){ s, strlen(s) };
}

static bool is(struct credential_text got, const char *want)
{
	return got.len == strlen(want) && !memcmp(got.at, want, got.len);
}

/* In another order than that of their names. */
static void pack_two(void **bytes, size_t *size)
{
	const struct credential items[] = {
		{ .name = text("kubernetes://ns/b"),
		  .chain = text("chain b"),
		  .key = text("key b") },
		{ .name = text("file:///c;/k;;"),
		  .chain = text("chain f"),
		  .key = text("key f"),
		  .ca = text("ca f"),
		  .crl = text("crl f") },
	};

	cr_assert_eq(credentials_pack(items, 2, bytes, size), 0);
}

Test(credentials, what_is_packed_is_found_by_its_name)
{
	_cleanup_(credentials_closep) struct credentials *c = NULL;
	_cleanup_free_ void *bytes = NULL;
	const struct credential *found;
	size_t size;

	pack_two(&bytes, &size);
	cr_assert_eq(credentials_open(bytes, size, &c), 0);
	cr_expect_eq(credentials_count(c), 2);
	found = credentials_find(c, "kubernetes://ns/b", strlen("kubernetes://ns/b"));
	cr_assert_not_null(found);
	cr_expect(is(found->chain, "chain b") && is(found->key, "key b"));
	cr_expect(!found->ca.len && !found->crl.len);
	found = credentials_find(c, "file:///c;/k;;", strlen("file:///c;/k;;"));
	cr_assert_not_null(found);
	cr_expect(is(found->ca, "ca f") && is(found->crl, "crl f"));
	cr_expect_null(credentials_find(c, "kubernetes://ns/", strlen("kubernetes://ns/")));
	cr_expect_null(credentials_find(c, "kubernetes://ns/bb", strlen("kubernetes://ns/bb")));
}

Test(credentials, a_file_of_none_is_good)
{
	_cleanup_(credentials_closep) struct credentials *c = NULL;
	_cleanup_free_ void *bytes = NULL;
	size_t size;

	cr_assert_eq(credentials_pack(NULL, 0, &bytes, &size), 0);
	cr_assert_eq(credentials_open(bytes, size, &c), 0);
	cr_expect_eq(credentials_count(c), 0);
	cr_expect_null(credentials_find(c, "", 0));
}

/* Every byte of head and rows, turned to each of some values: it is refused, or what it says lies
 * within the file. */
Test(credentials, a_damaged_file_leads_nowhere_outside_of_it)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
	_cleanup_free_ void *bytes = NULL;
	unsigned refused = 0;
	size_t size, rows;

	pack_two(&bytes, &size);
	rows = sizeof(struct credentials_head) + 2 * sizeof(struct credential_row);
	for (size_t at = 0; at < rows; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			_cleanup_(credentials_closep) struct credentials *c = NULL;
			_cleanup_free_ char *copy = malloc(size);
			unsigned sum = 0;

			memcpy(copy, bytes, size);
			copy[at] = (char)values[v];
			if (credentials_open(copy, size, &c)) {
				refused++;
				continue;
			}
			for (size_t i = 0; i < credentials_count(c); i++) {
				const struct credential *one = credentials_at(c, i);

				for (size_t k = 0; k < one->chain.len; k++)
					sum += (unsigned char)one->chain.at[k];
				for (size_t k = 0; k < one->key.len; k++)
					sum += (unsigned char)one->key.at[k];
			}
			cr_expect_lt(sum, 256 * size);
		}
	}
	cr_expect_gt(refused, rows);
	for (size_t n = 0; n < size; n++) {
		struct credentials *c = NULL;
		_cleanup_free_ char *copy = malloc(n + 1);

		memcpy(copy, bytes, n);
		cr_expect_eq(credentials_open(copy, n, &c), -EBADMSG);
	}
}

Test(credentials, no_name_is_there_twice)
{
	const struct credential items[] = { { .name = text("a") }, { .name = text("a") } };
	struct credentials *c = NULL;
	_cleanup_free_ void *bytes = NULL;
	size_t size;

	cr_assert_eq(credentials_pack(items, 2, &bytes, &size), 0);
	cr_expect_eq(credentials_open(bytes, size, &c), -EBADMSG);
}
