/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_FILES_H
#define WEFT_CLI_FILES_H
/*
 * What -f names, read.
 */
#include <jansson.h>
#include <stddef.h>

#include "cli/cmd.h"

struct file {
	char *name; /* as the user named it; "-" for standard input */
	size_t at;  /* of its bytes in files.bytes */
	size_t size;
};

/* All files of a call, their bytes one after the other. Zero-initialise; free with files_free(). */
struct files {
	struct file *items;
	size_t count;
	char *bytes;
	size_t size, room;
};

/* -f and -R, with which directories are gone through as a whole. */
struct file_names {
	struct cmd_list list;
	bool recursive;
	bool skip_unknown; /* kinds that weft does not carry out are passed over */
};

/* Reads files, "-", and directories: their .yaml, .yml and .json files in the order of their names.
 * 0, or STATUS_FAILED after a message for each that can't be read. */
int files_read(const struct file_names *names, struct files *out);
void files_free(struct files *f);
void file_names_free(struct file_names *names);

/* [{"name", "size"}...] for a request; a new value. */
json_t *files_json(const struct files *f);

#endif
