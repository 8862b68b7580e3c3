// SPDX-License-Identifier: Apache-2.0
#include "lib/base/library.h"

#include <dlfcn.h>
#include <errno.h>

#include "lib/base/log.h"

int library_load(const char *file, const struct library_symbol *symbols, size_t count)
{
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return log_err(-EIO, "load a library: %s", dlerror());
	for (size_t i = 0; i < count; i++) {
		/* ISO C converts no object's address to a function's: dlsym(3) does it so. */
		void **at = symbols[i].pointer;

		*at = dlsym(library, symbols[i].name);
		if (!*at)
			return log_err(-EIO, "load a library: %s", dlerror());
	}
	return 0;
}
