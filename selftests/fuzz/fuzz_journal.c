/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as STATE_DIR/rules.journal: refused, or loaded; and what was loaded is loaded again
 * from what is then written. The checksums of records are set right before, unless the first byte
 * is odd.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "daemon/source/journal_load.h"
#include "daemon/source/journal_record.h"

enum { FILE_HEADER = 8 };

static char dir[] = "/tmp/weft-fuzz.XXXXXX";

static void remove_dir(void)
{
	static const char *const names[] = { "rules.journal", "rules.journal.new",
					     "rules.journal.bad" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (!mkdtemp(dir))
		abort();
	atexit(remove_dir);
	stderr = fopen("/dev/null", "we"); /* each input would have a line to itself */
	return 0;
}

/* A record that reaches beyond the end reaches to the end. */
static void set_right(char *bytes, size_t len)
{
	for (size_t at = FILE_HEADER; at + RECORD_HEADER <= len;) {
		size_t room = len - at - RECORD_HEADER;
		uint32_t n;

		memcpy(&n, bytes + at, sizeof(n));
		n = le32toh(n) < room ? le32toh(n) : (uint32_t)room;
		memcpy(bytes + at, &(uint32_t){ htole32(n) }, sizeof(n));
		memcpy(bytes + at + sizeof(n),
		       &(uint32_t){ htole32((uint32_t)crc32_z(
			       0, (const unsigned char *)bytes + at + RECORD_HEADER, n)) },
		       sizeof(n));
		at += RECORD_HEADER + n;
	}
}

static void write_journal(const char *bytes, size_t len)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/rules.journal", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		abort();
	close(fd);
}

static void drop(struct store *s, struct known_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		object_free(set->items[i].object);
		origin_unref(set->items[i].origin);
	}
	known_free(set);
	store_close(s);
}

/* How many objects; -1 where the journal is refused. With `save` it is written anew then. */
static long load(bool save)
{
	struct known_set set = { 0 };
	struct errors errors = { 0 };
	struct store *s;
	long count = -1;

	if (store_open(dir, &s))
		return -1;
	if (!engine_load(s, &set, &errors)) {
		count = (long)set.count;
		if (store_mend(s) || (save && engine_save(s, &set)))
			abort();
	}
	errors_free(&errors);
	drop(s, &set);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes;
	long count;

	if (!size)
		return 0;
	bytes = malloc(size);
	memcpy(bytes, data + 1, size - 1);
	if (!(data[0] & 1))
		set_right(bytes, size - 1);
	write_journal(bytes, size - 1);
	free(bytes);
	count = load(true);
	if (count >= 0 && load(false) != count)
		abort();
	return 0;
}
