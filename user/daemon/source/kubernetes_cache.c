// SPDX-License-Identifier: Apache-2.0
#include "daemon/source/kubernetes_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

#define MAGIC "weft-k3 "
#define FILE_NAME "kubernetes.cache"
#define NEW_NAME "kubernetes.cache.new"

enum {
	RECORD_HEADER = 8,
	RECORD_MAX = 64 << 20,
	COMPACT_LEAST = 1 << 20, /* bytes: less is not worth it */
};

struct kube_cache {
	int dir;
	char *head;   /* the first line, with its end */
	FILE *file;   /* NULL after a failure: nothing is written any more */
	FILE *before; /* while it is rewritten: the one that it replaces */
	size_t size;  /* of the file */
	size_t fresh; /* of the file after it was rewritten last */
};

/* What was known may be wrong soon: rather nothing than that. */
static void give_up(struct kube_cache *c, int r, const char *what)
{
	log_warning("%s of " FILE_NAME " failed (%s): after a restart of weftd nothing is known of "
		    "the cluster until its API server has answered",
		    what, strerror(-r));
	if (c->file)
		fclose(c->file);
	if (c->before)
		fclose(c->before);
	c->file = c->before = NULL;
	unlinkat(c->dir, FILE_NAME, 0);
	unlinkat(c->dir, NEW_NAME, 0);
}

static FILE *open_at(struct kube_cache *c, const char *name, int flags)
{
	int fd = openat(c->dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r+");

	if (fd >= 0 && !f)
		close(fd);
	return f;
}

static int begin(struct kube_cache *c)
{
	if (ftruncate(fileno(c->file), 0) || fseeko(c->file, 0, SEEK_SET) ||
	    fputs(c->head, c->file) < 0 || fflush(c->file))
		return -errno;
	c->size = c->fresh = strlen(c->head);
	return 0;
}

/* Whether it begins as it should; a new one is empty. */
static bool is_ours(struct kube_cache *c, bool *empty)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	ssize_t len = getline(&line, &room, c->file);

	*empty = len < 0;
	return len >= 0 && !strcmp(line, c->head);
}

static int check_head(struct kube_cache *c)
{
	bool empty;

	if (is_ours(c, &empty))
		return 0;
	if (!empty)
		log_warning(FILE_NAME
			    " is of another cluster or another version of weft: it is of no use");
	return begin(c);
}

int kube_cache_open(const char *dir, uint64_t fields, const char *key, struct kube_cache **out)
{
	struct kube_cache *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	if (!r && asprintf(&c->head, MAGIC "%016" PRIx64 " %s\n", fields, key) < 0) {
		c->head = NULL;
		r = -ENOMEM;
	}
	if (!r) {
		c->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		c->file = c->dir < 0 ? NULL : open_at(c, FILE_NAME, 0);
		r = c->file ? check_head(c) : -errno;
	}
	if (r) {
		kube_cache_close(c);
		return log_err(r, "open %s/" FILE_NAME, dir);
	}
	*out = c;
	return 0;
}

void kube_cache_close(struct kube_cache *c)
{
	if (!c)
		return;
	if (c->file)
		fclose(c->file);
	if (c->before)
		fclose(c->before);
	closep(&c->dir);
	free(c->head);
	free(c);
}

bool kube_cache_is_empty(const struct kube_cache *c)
{
	struct stat st;

	return c->file && !fstat(fileno(c->file), &st) && (size_t)st.st_size <= strlen(c->head);
}

void kube_cache_remove(const char *dir)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	unlinkat(fd, FILE_NAME, 0);
	unlinkat(fd, NEW_NAME, 0);
}

/* ---- reading ---- */

static int take_record(const char *payload, size_t size,
		       int (*take)(void *arg, const struct kube_record *r), void *arg)
{
	const char *end = memchr(payload, '\n', size);
	_cleanup_json_ json_t *json = end ? json_loadb(payload, (size_t)(end - payload), 0, NULL)
					  : NULL;
	struct kube_record r = {
		.resource = json_get_text(json, "resource", NULL),
		.namespace = json_get_text(json, "namespace", NULL),
		.name = json_get_text(json, "name", NULL),
		.version = json_get_text(json, "version", NULL),
		.bad = json_is_true(json_object_get(json, "bad")),
	};

	if (!r.resource || !r.namespace || !r.name || !r.version)
		return -EBADMSG;
	r.size = size - (size_t)(end + 1 - payload);
	r.object = r.size ? end + 1 : NULL;
	return take(arg, &r);
}

/* Of the record at `bytes`, as a whole; 0: there is none. */
static size_t record_size(const char *bytes, size_t left)
{
	size_t size;

	if (left < RECORD_HEADER)
		return 0;
	size = bytes_u32(bytes);
	if (!size || size > RECORD_MAX || size > left - RECORD_HEADER ||
	    crc32_z(0, (const unsigned char *)bytes + RECORD_HEADER, size) != bytes_u32(bytes + 4))
		return 0;
	return RECORD_HEADER + size;
}

/* Returns how many bytes of it are good, or what a record said. */
static long read_all(const char *bytes, size_t size, size_t at,
		     int (*take)(void *arg, const struct kube_record *r), void *arg)
{
	size_t n;

	while ((n = record_size(bytes + at, size - at))) {
		int r = take_record(bytes + at + RECORD_HEADER, n - RECORD_HEADER, take, arg);

		if (r == -EBADMSG)
			break;
		if (r)
			return r;
		at += n;
	}
	return (long)at;
}

static int cut_off(struct kube_cache *c, size_t good)
{
	log_warning("the end of " FILE_NAME " is not whole: it is left out");
	return ftruncate(fileno(c->file), (off_t)good) ? -errno : 0;
}

int kube_cache_load(struct kube_cache *c, int (*take)(void *arg, const struct kube_record *r),
		    void *arg, int64_t *since)
{
	size_t first = strlen(c->head);
	struct stat st;
	long good;
	char *bytes;
	int r = 0;

	*since = 0;
	if (fstat(fileno(c->file), &st))
		return -errno;
	if ((size_t)st.st_size <= first)
		return 0;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fileno(c->file), 0);
	if (bytes == MAP_FAILED)
		return -errno;
	good = read_all(bytes, (size_t)st.st_size, first, take, arg);
	munmap(bytes, (size_t)st.st_size);
	if (good >= 0 && good < st.st_size)
		r = cut_off(c, (size_t)good);
	if (good < 0 || r)
		return good < 0 ? (int)good : r;
	c->size = (size_t)good;
	*since = (size_t)good > first ? st.st_mtim.tv_sec : 0;
	return fseeko(c->file, 0, SEEK_END) ? -errno : 0;
}

/* ---- writing ---- */

/* The line in front of the object; a new text, NULL when out of memory. */
static char *head_of(const struct kube_record *r)
{
	_cleanup_json_ json_t *json = json_pack("{s:o, s:o, s:o, s:o}", "resource",
						json_text(r->resource), "namespace",
						json_text(r->namespace), "name", json_text(r->name),
						"version", json_text(r->version ? r->version : ""));

	if (json && r->bad && json_object_set_new(json, "bad", json_true()))
		return NULL;
	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

static int write_record(struct kube_cache *c, const struct kube_record *r)
{
	_cleanup_free_ char *head = head_of(r);
	size_t head_len = head ? strlen(head) : 0, size = head_len + 1 + (r->object ? r->size : 0);
	char framing[RECORD_HEADER];
	uLong crc;

	if (!head)
		return -ENOMEM;
	if (size > RECORD_MAX)
		return -E2BIG;
	head[head_len] = '\n'; /* in place of the NUL */
	crc = crc32_z(0, (const unsigned char *)head, head_len + 1);
	if (r->object)
		crc = crc32_z(crc, (const unsigned char *)r->object, r->size);
	bytes_put_u32(framing, size);
	bytes_put_u32(framing + 4, crc);
	if (fwrite(framing, 1, sizeof(framing), c->file) != sizeof(framing) ||
	    fwrite(head, 1, head_len + 1, c->file) != head_len + 1 ||
	    (r->object && fwrite(r->object, 1, r->size, c->file) != r->size))
		return -EIO;
	c->size += RECORD_HEADER + size;
	return 0;
}

void kube_cache_put(struct kube_cache *c, const struct kube_record *r)
{
	int e = c->file ? write_record(c, r) : 0;

	if (e)
		give_up(c, e, "writing");
}

void kube_cache_flush(struct kube_cache *c)
{
	if (c->file && fflush(c->file))
		give_up(c, -errno, "writing");
}

void kube_cache_touch(struct kube_cache *c)
{
	if (c->file)
		futimens(fileno(c->file), NULL);
}

bool kube_cache_wants_compaction(const struct kube_cache *c)
{
	return c->file && c->size > 2 * c->fresh + COMPACT_LEAST;
}

void kube_cache_rewrite(struct kube_cache *c)
{
	int r;

	if (!c->file)
		return;
	c->before = c->file;
	c->file = open_at(c, NEW_NAME, O_TRUNC);
	r = c->file ? begin(c) : -errno;
	if (r)
		give_up(c, r, "rewriting");
}

void kube_cache_rewritten(struct kube_cache *c)
{
	if (!c->file)
		return;
	if (fflush(c->file) || renameat(c->dir, NEW_NAME, c->dir, FILE_NAME)) {
		give_up(c, -errno, "rewriting");
		return;
	}
	fclose(c->before);
	c->before = NULL;
	c->fresh = c->size;
}
