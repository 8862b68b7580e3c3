// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "cli/files.h"
#include "lib/base/json_io.h"
#include "lib/wire/wire.h"

enum { CHUNK = 64 << 10 };

static int make_room(struct files *f)
{
	size_t room = f->room ? 2 * f->room : CHUNK;
	char *bytes;

	if (f->size < f->room)
		return 0;
	bytes = realloc(f->bytes, room);
	if (!bytes)
		return -ENOMEM;
	f->bytes = bytes;
	f->room = room;
	return 0;
}

static int read_bytes(struct files *f, int fd)
{
	for (;;) {
		int r = make_room(f);
		ssize_t n;

		if (r)
			return r;
		n = read(fd, f->bytes + f->size, f->room - f->size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		f->size += n;
		if (f->size > WIRE_BLOB_MAX)
			return -EFBIG;
	}
}

static int read_file(struct files *f, const char *name)
{
	_cleanup_close_ int opened = -1;
	struct file *items;
	size_t at = f->size;
	int fd = STDIN_FILENO, r;

	if (strcmp(name, "-") != 0) {
		fd = opened = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return cmd_failed("%s: %s", name, strerror(errno));
	}
	r = read_bytes(f, fd);
	if (r)
		return cmd_failed("%s: %s", name, strerror(-r));
	items = reallocarray(f->items, f->count + 1, sizeof(*items));
	if (!items)
		return cmd_failed("out of memory");
	f->items = items;
	items[f->count] = (struct file){ strdup(name), at, f->size - at };
	return items[f->count++].name ? 0 : cmd_failed("out of memory");
}

static bool is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static bool is_rules(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot != name &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

static int is_entry(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

/* The locale has no say in the order in which rules are applied. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dir(struct files *f, const char *dir, bool recursive);

/* Other files than those with rules are passed over. */
static int read_entry(struct files *f, const char *dir, const char *entry, bool recursive)
{
	_cleanup_free_ char *path = NULL;
	size_t len = strlen(dir);

	if (asprintf(&path, "%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", entry) < 0) {
		path = NULL;
		return cmd_failed("out of memory");
	}
	if (is_dir(path))
		return recursive ? read_dir(f, path, true) : 0;
	return is_rules(entry) ? read_file(f, path) : 0;
}

static int read_dir(struct files *f, const char *dir, bool recursive)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_entry, by_name), r = 0;

	if (n < 0)
		return cmd_failed("%s: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (read_entry(f, dir, entries[i]->d_name, recursive))
			r = STATUS_FAILED;
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int read_named(struct files *f, const char *name, bool recursive)
{
	size_t before = f->count;
	int r;

	if (!is_dir(name))
		return read_file(f, name);
	r = read_dir(f, name, recursive);
	return r || f->count > before ? r
				      : cmd_failed("%s: no .yaml, .yml or .json file in it", name);
}

int files_read(const struct file_names *names, struct files *out)
{
	int r = 0;

	for (size_t i = 0; i < names->list.count; i++)
		if (read_named(out, names->list.items[i], names->recursive))
			r = STATUS_FAILED;
	return r;
}

void file_names_free(struct file_names *names)
{
	cmd_list_free(&names->list);
}

void files_free(struct files *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->items[i].name);
	free(f->items);
	free(f->bytes);
	*f = (struct files){ 0 };
}

json_t *files_json(const struct files *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->count; i++)
		json_array_append_new(list,
				      json_pack("{s:o, s:I}", "name", json_text(f->items[i].name),
						"size", (json_int_t)f->items[i].size));
	return list;
}
