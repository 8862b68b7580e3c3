// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kube/kube_file.h"

enum { FILE_MAX = 16 << 20, CHUNK = 16 << 10 };

static const char blanks[] = " \t\r\n";

int kube_error(char error[KUBE_ERROR_MAX], int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error, KUBE_ERROR_MAX, fmt, args);
	va_end(args);
	return r;
}

int kube_file_read(const char *path, char **out, size_t *size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *bytes = NULL;
	size_t used = 0, room = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (room - used < 2) {
			char *more = realloc(bytes, room += room ? room : CHUNK);

			if (!more)
				return -ENOMEM;
			bytes = more;
		}
		n = read(fd, bytes + used, room - used - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		used += n > 0 ? (size_t)n : 0;
		if (used > FILE_MAX)
			return -EFBIG;
	}
	bytes[used] = '\0';
	*out = TAKE_PTR(bytes);
	*size = used;
	return 0;
}

int kube_file_word(const char *path, char **out)
{
	_cleanup_free_ char *bytes = NULL;
	char *word, *end;
	size_t size;
	int r = kube_file_read(path, &bytes, &size);

	if (r || !bytes)
		return r;
	word = bytes + strspn(bytes, blanks);
	end = word + strlen(word);
	while (end > word && strchr(blanks, end[-1]))
		end--;
	*end = '\0';
	*out = strdup(word);
	return *out ? 0 : -ENOMEM;
}
