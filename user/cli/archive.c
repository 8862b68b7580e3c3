// SPDX-License-Identifier: Apache-2.0
#include "cli/archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 512 };

struct archive {
	gzFile gz;
	const char *top;
	int error;
};

/* A header of ustar: texts, and numbers in octal. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[6], version[2], user[32], group[32], device[16], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

int archive_open(int fd, const char *top, struct archive **out)
{
	struct archive *a = calloc(1, sizeof(*a));

	if (!a) {
		close(fd);
		return -ENOMEM;
	}
	a->top = top;
	a->gz = gzdopen(fd, "wb6");
	if (!a->gz) {
		close(fd);
		free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

static void put(struct archive *a, const void *bytes, size_t size)
{
	if (!a->error && size && gzwrite(a->gz, bytes, (unsigned)size) != (int)size)
		a->error = errno ? -errno : -EIO;
}

static void set_checksum(struct header *h)
{
	unsigned sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += ((const unsigned char *)h)[i];
	snprintf(h->checksum, sizeof(h->checksum), "%06o", sum);
}

int archive_add(struct archive *a, const char *name, const void *bytes, size_t size)
{
	static const char zeros[BLOCK];
	struct header h = { .type = '0', .magic = "ustar", .version = { '0', '0' } };

	if (snprintf(h.name, sizeof(h.name), "%s/%s", a->top, name) >= (int)sizeof(h.name) ||
	    size > 1u << 30)
		return -E2BIG;
	snprintf(h.mode, sizeof(h.mode), "%07o", 0600);
	snprintf(h.uid, sizeof(h.uid), "%07o", 0);
	snprintf(h.gid, sizeof(h.gid), "%07o", 0);
	snprintf(h.size, sizeof(h.size), "%011zo", size);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo", (unsigned long long)time(NULL));
	set_checksum(&h);
	put(a, &h, sizeof(h));
	put(a, bytes, size);
	put(a, zeros, (BLOCK - size % BLOCK) % BLOCK);
	return a->error;
}

/* Two blocks of nothing are the end. */
int archive_close(struct archive *a)
{
	static const char zeros[2 * BLOCK];
	int r;

	put(a, zeros, sizeof(zeros));
	r = a->error;
	if (gzclose(a->gz) != Z_OK && !r)
		r = -EIO;
	free(a);
	return r;
}
