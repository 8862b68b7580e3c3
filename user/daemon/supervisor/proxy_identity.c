// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor/proxy_identity.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/fnv.h"
#include "weft/tproxy.h"

/* All BPF maps share an inode. 0: it is none. */
static unsigned map_id(int fd)
{
	_cleanup_fclose_ FILE *f = NULL;
	char line[128];
	unsigned id = 0;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", fd);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "map_id: %u", &id) == 1)
			break;
	return id;
}

static void put_fd(FILE *f, const char *option, int fd)
{
	unsigned id = map_id(fd);
	struct stat st;

	if (id)
		fprintf(f, " %s map %u", option, id);
	else if (!fstat(fd, &st))
		fprintf(f, " %s %llx:%llu", option, (unsigned long long)st.st_dev,
			(unsigned long long)st.st_ino);
}

/* Its bytes, by FNV-1a: the same program may well be another file, as it is in each container of an
 * image. */
static void put_program(FILE *f, const char *program)
{
	_cleanup_fclose_ FILE *from = fopen(program, "re");
	uint64_t hash = FNV1A_BEGIN;
	unsigned char bytes[8192];
	size_t n;

	while (from && (n = fread(bytes, 1, sizeof(bytes), from)) > 0)
		hash = fnv1a(hash, bytes, n);
	fprintf(f, " %016llx", (unsigned long long)hash);
}

char *proxy_identity(const struct supervisor_options *o, const char *program)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, WEFT_VERSION " --log-level %s --mark %u", log_level_name(o->log_level), o->mark);
	put_program(f, program);
	/* Replies to other ports don't find their way back to it (tproxy.h). */
	fprintf(f, " ports %d-%d,%d-%d", PROXY_PORT_FIRST, PROXY_PORT_LAST, PROXY_PORT_HIGH_FIRST,
		PROXY_PORT_HIGH_LAST);
	for (size_t i = 0; i < o->fd_count; i++)
		put_fd(f, o->fds[i].option, o->fds[i].fd);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
