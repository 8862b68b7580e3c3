/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_ARCHIVE_H
#define WEFT_CLI_ARCHIVE_H
/*
 * A .tar.gz as it is written (POSIX ustar).
 */
#include <stddef.h>

struct archive;

/* Takes `fd` over, also on failure. All files are in the directory `top`, borrowed. 0 or -errno. */
int archive_open(int fd, const char *top, struct archive **out);
/* A file `name` of at most 99 bytes together with `top`. 0 or -errno. */
int archive_add(struct archive *a, const char *name, const void *bytes, size_t size);
/* 0, or -errno: what has gone wrong in all that was written. Frees it. */
int archive_close(struct archive *a);

#endif
