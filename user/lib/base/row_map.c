// SPDX-License-Identifier: Apache-2.0
#include "lib/base/row_map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/base/cleanup.h"

enum { STEP = 1 << 16 }; /* bytes, whole pages */

static size_t size_of(const struct row_map *m)
{
	return m->row_size * m->rows;
}

int row_map_open(struct row_map *m, int fd, int prot, size_t row_size, uint32_t rows)
{
	void *bytes;

	*m = (struct row_map){ .fd = -1, .prot = prot, .row_size = row_size, .rows = rows };
	bytes = mmap(NULL, size_of(m), fd < 0 ? prot : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (bytes == MAP_FAILED)
		return -errno;
	m->bytes = bytes;
	if (fd < 0)
		return 0;
	m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return m->fd < 0 ? -errno : 0;
}

void row_map_close(struct row_map *m)
{
	if (!m->bytes)
		return;
	munmap(m->bytes, size_of(m));
	m->bytes = NULL;
	closep(&m->fd);
	m->fd = -1;
}

int row_map_reach(struct row_map *m, uint32_t i)
{
	size_t want = ((i + 1) * m->row_size + STEP - 1) / STEP * STEP;
	void *more;

	if (want > size_of(m))
		want = size_of(m);
	if (m->fd < 0 || want <= m->mapped)
		return 0;
	more = mmap(m->bytes + m->mapped, want - m->mapped, m->prot, MAP_SHARED | MAP_FIXED, m->fd,
		    (off_t)m->mapped);
	if (more == MAP_FAILED)
		return -errno;
	m->mapped = want;
	return 0;
}
