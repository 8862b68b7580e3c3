// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "daemon/source/journal.h"
#include "daemon/source/journal_record.h"

#define JOURNAL "rules.journal"
#define JOURNAL_NEW "rules.journal.new"
#define JOURNAL_BAD "rules.journal.bad"

static const char header[8] = { 'w', 'e', 'f', 't', '-', 'j', '1', '\n' };

/* Below this a journal is not worth rewriting. */
enum { COMPACT_MIN = 1 << 20 };

struct store {
	int dir, fd;
	off_t end;   /* of the last whole record */
	off_t undo;  /* where the last append began */
	size_t live; /* bytes of files that are referred to */
	bool torn;   /* found so: what is behind `end` is no record, and still there */
	bool stuck;  /* what is behind `end` could not be taken back */
};

DEFINE_CLEANUP(struct store *, store_close);

struct mapping {
	char *bytes;
	size_t len;
};

static void unmap(struct mapping *m)
{
	if (m->bytes)
		munmap(m->bytes, m->len);
}

static int map(int fd, size_t len, struct mapping *out)
{
	void *bytes = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	if (bytes == MAP_FAILED)
		return -errno;
	*out = (struct mapping){ bytes, len };
	return 0;
}

static int write_all(int fd, const char *bytes, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, bytes, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= n;
		at += n;
	}
	return 0;
}

/* Makes the file `name` of `head` bytes of the header and `bytes`, on disk when this returns.
 * Returns its descriptor. */
static int write_new(int dir, const char *name, size_t head, const char *bytes, size_t len)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, header, head, 0);
	if (!r)
		r = write_all(fd, bytes, len, (off_t)head);
	if (!r && fsync(fd))
		r = -errno;
	if (r) {
		unlinkat(dir, name, 0);
		return r;
	}
	return TAKE_FD(fd);
}

/* A journal of its own with `bytes` behind the header, in place of the present one. Returns its
 * descriptor. */
static int replace_journal(int dir, const char *bytes, size_t len)
{
	_cleanup_close_ int fd = write_new(dir, JOURNAL_NEW, sizeof(header), bytes, len);

	if (fd < 0)
		return fd;
	if (renameat(dir, JOURNAL_NEW, dir, JOURNAL)) {
		int r = -errno;

		unlinkat(dir, JOURNAL_NEW, 0);
		return r;
	}
	/* Too late to go back: after a crash the directory has either name, and both journals are
	 * whole. */
	if (fsync(dir))
		log_err(-errno, "sync the state directory");
	return TAKE_FD(fd);
}

/* What is no record is kept aside before anything is cut off: it may have been one. */
static int keep_tail(struct store *s, const char *bytes, size_t len)
{
	int fd = write_new(s->dir, JOURNAL_BAD, 0, bytes, len);

	if (fd < 0)
		return log_err(fd, "keep the torn end of the journal as " JOURNAL_BAD);
	close(fd);
	log_warning(JOURNAL
		    ": the last %zu bytes are not a whole transaction: kept as " JOURNAL_BAD,
		    len);
	s->torn = true;
	return 0;
}

/* The end of the last record. -EUCLEAN if there is damage in front of it. */
static int find_end(struct store *s, const char *bytes, size_t len)
{
	size_t n;

	s->end = sizeof(header);
	if (len < sizeof(header))
		return keep_tail(s, bytes, len);
	if (memcmp(bytes, header, sizeof(header)) != 0)
		return -EBADMSG;
	while ((n = record_check(bytes + s->end, len - s->end)))
		s->end += (off_t)n;
	if ((size_t)s->end == len)
		return 0;
	/* A crash only ever tears the last record. */
	if (record_find(bytes + s->end, len - s->end))
		return -EUCLEAN;
	return keep_tail(s, bytes + s->end, len - s->end);
}

static int open_journal(struct store *s)
{
	_cleanup_(unmap) struct mapping m = { 0 };
	struct stat st;
	int r;

	s->fd = openat(s->dir, JOURNAL, O_RDWR | O_CLOEXEC);
	if (s->fd < 0 && errno != ENOENT)
		return -errno;
	if (s->fd < 0) {
		s->fd = replace_journal(s->dir, "", 0);
		s->end = sizeof(header);
		return s->fd < 0 ? s->fd : 0;
	}
	if (fstat(s->fd, &st))
		return -errno;
	/* Nothing can't be mapped. */
	r = st.st_size ? map(s->fd, st.st_size, &m) : 0;
	return r ? r : find_end(s, m.bytes ? m.bytes : "", m.len);
}

int store_open(const char *dir, struct store **out)
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return log_err(-ENOMEM, "open %s", dir);
	s->fd = -1;
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return log_err(-errno, "open %s", dir);
	unlinkat(s->dir, JOURNAL_NEW, 0);
	r = open_journal(s);
	if (r == -EBADMSG) {
		log_err(0, "%s/" JOURNAL " is not a journal of this version of weft", dir);
		return r;
	}
	if (r == -EUCLEAN) {
		log_err(0,
			"%s/" JOURNAL " is damaged at byte %lld, in front of whole transactions: "
			"bring back a copy or move it away; what is in force stays",
			dir, (long long)s->end);
		return -EBADMSG;
	}
	if (r)
		return log_err(r, "open %s/" JOURNAL, dir);
	*out = TAKE_PTR(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	closep(&s->fd);
	closep(&s->dir);
	free(s);
}

static void file_release(struct origin *o)
{
	struct store_file *f = (struct store_file *)o;

	f->store->live -= f->size;
	free(f->name);
	free(f->namespace);
	free(f);
}

struct store_file *store_file_of(struct origin *o)
{
	return o && o->release == file_release ? (struct store_file *)o : NULL;
}

/* `namespace` may be NULL. */
static struct store_file *file_new(struct store *s, const char *name, const char *namespace,
				   off_t at, size_t size)
{
	struct store_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->name = strdup(name);
	f->namespace = namespace ? strdup(namespace) : NULL;
	if (!f->name || !f->namespace != !namespace) {
		free(f->name);
		free(f->namespace);
		free(f);
		return NULL;
	}
	f->origin = (struct origin){ 1, file_release };
	f->store = s;
	f->at = at;
	f->size = size;
	s->live += size;
	return f;
}

static void file_unref(struct store_file *f)
{
	origin_unref(f ? &f->origin : NULL);
}

static void drop_items(struct store_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		file_unref(items[i].file);
	free(items);
}

/* Makes the items of a record whose blob begins at `at` in the journal. */
static int make_items(struct store *s, const struct wire_frame *frame, off_t at,
		      struct store_item **out, size_t *count)
{
	json_t *files = json_object_get(frame->json, "files");
	struct store_item *items = calloc(json_array_size(files) + 1, sizeof(*items));
	size_t used = 0, i;
	json_t *file;

	if (!items)
		return -ENOMEM;
	json_array_foreach(files, i, file)
	{
		size_t size = json_get_int(file, "size", 0);

		if (size <= frame->blob_len - used)
			items[i].file = file_new(s, json_get_text(file, "name", ""),
						 json_get_text(file, "namespace", NULL),
						 at + (off_t)used, size);
		if (!items[i].file) {
			drop_items(items, i);
			return size > frame->blob_len - used ? -EBADMSG : -ENOMEM;
		}
		items[i].bytes = frame->blob + used;
		used += size;
	}
	*out = items;
	*count = i;
	return 0;
}

static int replay_one(struct store *s, const struct wire_frame *frame, off_t blob_at,
		      store_replay_fn replay, void *arg)
{
	struct store_item *items;
	size_t count;
	int r = make_items(s, frame, blob_at, &items, &count);

	if (r)
		return r;
	r = replay(arg, frame->json, items, count);
	drop_items(items, count);
	return r;
}

int store_replay(struct store *s, store_replay_fn replay, void *arg)
{
	_cleanup_(unmap) struct mapping m = { 0 };
	int r = map(s->fd, s->end, &m);

	for (size_t at = sizeof(header); !r && at < m.len;) {
		struct wire_frame frame;
		size_t n = record_parse(m.bytes + at, m.len - at, &frame);

		if (!n)
			return -EBADMSG;
		r = replay_one(s, &frame, frame.blob - m.bytes, replay, arg);
		json_decref(frame.json);
		at += n;
	}
	return r;
}

static size_t total_size(const struct store_input *files, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += files[i].size;
	return total;
}

static int register_files(struct store *s, const struct store_input *files, size_t count, off_t at,
			  struct store_file **items)
{
	for (size_t i = 0; i < count; i++) {
		items[i] = file_new(s, files[i].name, files[i].namespace, at, files[i].size);
		if (!items[i]) {
			while (i--)
				file_unref(items[i]);
			return -ENOMEM;
		}
		at += files[i].size;
	}
	return 0;
}

/* When this fails the disk may say anything about what is behind `end`. */
static int cut_back(struct store *s, off_t end)
{
	int r = ftruncate(s->fd, end) || fdatasync(s->fd) ? -errno : 0;

	if (!r)
		return 0;
	s->stuck = true;
	return log_err(r, "cut " JOURNAL " back");
}

int store_append(struct store *s, json_t *record, const struct store_input *files, size_t count,
		 struct store_file **items)
{
	_cleanup_free_ char *bytes = NULL;
	size_t len;
	int r = s->torn || s->stuck ? -EIO : record_pack(record, files, count, &bytes, &len);

	if (r)
		return r;
	r = write_all(s->fd, bytes, len, s->end);
	if (!r && fdatasync(s->fd))
		r = -errno;
	if (!r)
		r = register_files(s, files, count,
				   s->end + (off_t)(len - total_size(files, count)), items);
	if (r) {
		cut_back(s, s->end);
		return r;
	}
	s->undo = s->end;
	s->end += (off_t)len;
	return 0;
}

int store_undo(struct store *s)
{
	int r = cut_back(s, s->undo);

	if (!r)
		s->end = s->undo;
	return r;
}

bool store_is_empty(const struct store *s)
{
	return s->end == sizeof(header);
}

bool store_is_torn(const struct store *s)
{
	return s->torn;
}

int store_mend(struct store *s)
{
	struct stat st;
	int fd;

	if (!s->torn)
		return 0;
	if (fstat(s->fd, &st))
		return -errno;
	if (st.st_size >= s->end) {
		if (ftruncate(s->fd, s->end) || fsync(s->fd))
			return -errno;
	} else {
		fd = replace_journal(s->dir, "", 0);
		if (fd < 0)
			return fd;
		close(s->fd);
		s->fd = fd;
	}
	s->torn = false;
	return 0;
}

bool store_is_stuck(const struct store *s)
{
	return s->stuck;
}

int store_wants_compaction(const struct store *s)
{
	return s->end > COMPACT_MIN && (size_t)s->end > 2 * s->live + COMPACT_MIN;
}

int store_compact(struct store *s, json_t *objects, struct store_file **files, size_t count)
{
	_cleanup_(json_decrefp)
		json_t *record = json_pack("{s:s, s:O}", "type", "snapshot", "objects", objects);
	_cleanup_free_ struct store_input *inputs = calloc(count + 1, sizeof(*inputs));
	_cleanup_(unmap) struct mapping m = { 0 };
	_cleanup_free_ char *bytes = NULL;
	off_t at;
	size_t len;
	int r, fd;

	if (!record || !inputs)
		return -ENOMEM;
	r = map(s->fd, s->end, &m);
	if (r)
		return r;
	for (size_t i = 0; i < count; i++)
		inputs[i] = (struct store_input){ .name = files[i]->name,
						  .bytes = m.bytes + files[i]->at,
						  .size = files[i]->size,
						  .namespace = files[i]->namespace };
	r = record_pack(record, inputs, count, &bytes, &len);
	if (r)
		return r;
	fd = replace_journal(s->dir, bytes, len);
	if (fd < 0)
		return fd;
	close(s->fd);
	s->fd = fd;
	s->torn = s->stuck = false;
	s->end = s->undo = (off_t)(sizeof(header) + len);
	at = s->end - (off_t)total_size(inputs, count);
	for (size_t i = 0; i < count; i++) {
		files[i]->at = at;
		at += (off_t)files[i]->size;
	}
	return 0;
}
