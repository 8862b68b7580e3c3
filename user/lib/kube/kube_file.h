/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_KUBE_FILE_H
#define WEFT_LIB_KUBE_KUBE_FILE_H
/*
 * Files and error texts of a configuration.
 */
#include <stddef.h>

#include "lib/kube/config.h"

/* Formats into `error`. Returns `r`. */
__attribute__((format(printf, 3, 4))) int kube_error(char error[KUBE_ERROR_MAX], int r,
						     const char *fmt, ...);
/* A file's bytes with a NUL behind them, for the caller to free. 0; -EFBIG over 16 MiB; -errno. */
int kube_file_read(const char *path, char **out, size_t *size);
/* The same as one word or line, without the white space around it. */
int kube_file_word(const char *path, char **out);

#endif
