// SPDX-License-Identifier: Apache-2.0
#include "daemon/resolve/answers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/table.h"

#define MAGIC "weft-d1\n"
#define FILE_NAME "dns.answers"
#define NEW_NAME "dns.answers.new"

/* ---- in memory ---- */

/* One block has all of it: rows, addresses, names. */
static struct answers *answers_room(const struct resolved_name *rows, size_t count)
{
	size_t size = sizeof(struct answers) + count * sizeof(*rows);

	for (size_t i = 0; i < count; i++)
		size += rows[i].count * sizeof(struct addr) + strlen(rows[i].name) + 1;
	return malloc(size);
}

struct answers *answers_new(const struct resolved_name *rows, size_t count)
{
	struct answers *a = answers_room(rows, count);
	struct resolved_name *out;
	struct addr *addrs;
	char *text;

	if (!a)
		return NULL;
	out = (struct resolved_name *)(a + 1);
	addrs = (struct addr *)(out + count);
	for (size_t i = 0; i < count; i++) {
		out[i] = (struct resolved_name){ .addrs = addrs, .count = rows[i].count };
		if (rows[i].count)
			memcpy(addrs, rows[i].addrs, rows[i].count * sizeof(*addrs));
		addrs += rows[i].count;
	}
	text = (char *)addrs;
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(rows[i].name) + 1;

		out[i].name = memcpy(text, rows[i].name, size);
		text += size;
	}
	*a = (struct answers){ .users = 1, .set = { .names = out, .count = count } };
	return a;
}

struct answers *answers_ref(struct answers *a)
{
	if (a)
		a->users++;
	return a;
}

void answers_unref(struct answers *a)
{
	if (a && !--a->users)
		free(a);
}

/* ---- in a file ---- */

static int path_of(char out[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The words behind the time. 0, -EINVAL or -ENOMEM. */
static int parse_addrs(char *text, struct addr **out, size_t *count)
{
	TABLE(struct addr) list = { 0 };
	char *rest = text;
	int r = 0;

	for (char *word; !r && (word = strsep(&rest, " "));) {
		struct addr *a = table_push(&list);

		r = a ? addr_parse(word, a) : -ENOMEM;
	}
	if (r) {
		free(list.items);
		return r;
	}
	*out = list.items;
	*count = list.count;
	return 0;
}

/* "NAME TIME ADDRESS..." 0: it was taken, or passed over. */
static int take_line(char *line,
		     int (*take)(void *arg, const struct resolved_name *row, int64_t answered),
		     void *arg)
{
	_cleanup_free_ struct addr *addrs = NULL;
	struct resolved_name row = { .name = line };
	char *time = strchr(line, ' '), *rest;
	int64_t answered;
	int r;

	if (!time)
		return 0;
	*time++ = '\0';
	answered = strtoll(time, &rest, 10);
	if (rest == time || *rest != ' ' || !*line)
		return 0;
	r = parse_addrs(rest + 1, &addrs, &row.count);
	if (r)
		return r == -EINVAL ? 0 : r;
	row.addrs = addrs;
	return take(arg, &row, answered);
}

int answers_load(const char *dir,
		 int (*take)(void *arg, const struct resolved_name *row, int64_t answered),
		 void *arg)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	char path[PATH_MAX];
	size_t room = 0;
	ssize_t len;
	int r = path_of(path, dir, FILE_NAME);

	if (r)
		return r;
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 : -errno;
	if (getline(&line, &room, f) < 0 || strcmp(line, MAGIC) != 0)
		return 0;
	while (!r && (len = getline(&line, &room, f)) > 0) {
		if (line[len - 1] != '\n')
			break; /* torn */
		line[len - 1] = '\0';
		r = take_line(line, take, arg);
	}
	return r;
}

static void write_rows(FILE *f, const struct resolved_name *rows, const int64_t *answered,
		       size_t count)
{
	char text[ADDR_TEXT_MAX];

	fputs(MAGIC, f);
	for (size_t i = 0; i < count; i++) {
		fprintf(f, "%s %" PRId64, rows[i].name, answered[i]);
		for (size_t k = 0; k < rows[i].count; k++) {
			addr_format(&rows[i].addrs[k], text);
			fprintf(f, " %s", text);
		}
		fputc('\n', f);
	}
}

/* Nothing is brought to the disk: where the machine dies, DNS is asked anew. */
int answers_store(const char *dir, const struct resolved_name *rows, const int64_t *answered,
		  size_t count)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int r = path_of(path, dir, FILE_NAME), fd;
	FILE *f;

	if (!r)
		r = path_of(fresh, dir, NEW_NAME);
	if (r)
		return r;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		r = -errno;
		closep(&fd);
		return r;
	}
	write_rows(f, rows, answered, count);
	r = ferror(f) ? -EIO : 0;
	if (fclose(f) && !r)
		r = -errno;
	if (!r && rename(fresh, path))
		r = -errno;
	return r;
}

void answers_remove(const char *dir)
{
	char path[PATH_MAX];

	if (!path_of(path, dir, FILE_NAME))
		unlink(path);
}
