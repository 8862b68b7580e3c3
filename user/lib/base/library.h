/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_LIBRARY_H
#define WEFT_LIB_BASE_LIBRARY_H
/*
 * Shared libraries that most processes never need, loaded when they are needed: with the libraries
 * that they bring they would cost each process megabytes and milliseconds. dlopen(3).
 */
#include <stddef.h>

struct library_symbol {
	const char *name;
	void *pointer; /* of the function's type: where its address is to go */
};

/* Loads `file` ("libcurl.so.4") for good, and fills all pointers. 0, or -EIO after having logged.
 */
int library_load(const char *file, const struct library_symbol *symbols, size_t count);

#endif
