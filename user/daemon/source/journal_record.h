/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_SOURCE_JOURNAL_RECORD_H
#define WEFT_DAEMON_SOURCE_JOURNAL_RECORD_H
/*
 * One record of the journal (journal.h), in memory.
 */
#include "daemon/source/journal.h"
#include "lib/wire/wire.h"

enum { RECORD_HEADER = 8 };

/* The size of the whole and undamaged record at `bytes`; 0 if there is none. */
size_t record_check(const char *bytes, size_t len);

/* Whether a whole and undamaged record begins anywhere in `bytes`. */
bool record_find(const char *bytes, size_t len);

/* As record_check(), with *out filled in; the caller drops out->json. out->blob points into
 * `bytes`. */
size_t record_parse(const char *bytes, size_t len, struct wire_frame *out);

/* Adds "files" to `record` and packs both. The files are at the end of *out, one after the other. 0
 * or -errno. */
int record_pack(json_t *record, const struct store_input *files, size_t count, char **out,
		size_t *len);

#endif
