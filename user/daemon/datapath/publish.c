/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/publish.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>

#include "lib/base/cleanup.h"
#include "daemon/bpf/map_batch.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	TABLES = MAP_MAX - MAP_GEN_SERVICES,
	COUNTERS = 4,	     /* maps of counters */
	SPLIT_ROWS = 16384,  /* worth a second thread */
	TIDY_AFTER_MS = 200, /* far longer than a program runs */
};

void published_init(struct published *p)
{
	*p = (struct published){ .untidy = true }; /* of an earlier weftd */
	for (int id = 0; id < MAP_MAX; id++)
		p->table[id].fd = -1;
}

void published_free(struct published *p)
{
	for (int id = 0; id < MAP_MAX; id++) {
		closep(&p->table[id].fd);
		rows_free(&p->table[id].rows);
	}
}

/*
 * Every write to an outer map waits until no program uses what it replaces, so that the tables go
 * out side by side rather than one after the other.
 */
struct job {
	int (*run)(struct job *j);
	const struct loader *loader;
	struct counters *counters;
	const struct tables *tables;
	const struct published *last;
	struct rows rows; /* of put_table(), which owns them and the next */
	int fd;
	enum map_id map;
	__u32 slot;
	int result;
	pthread_t thread;
	bool threaded;
};

static void *job_main(void *arg)
{
	struct job *j = arg;

	j->result = j->run(j);
	return NULL;
}

/* The first failure, after all have ended. */
static int run_jobs(struct job *jobs, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count; i++) {
		jobs[i].threaded = !pthread_create(&jobs[i].thread, NULL, job_main, &jobs[i]);
		if (!jobs[i].threaded)
			job_main(&jobs[i]);
	}
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].threaded)
			pthread_join(jobs[i].thread, NULL);
		if (!r)
			r = jobs[i].result;
	}
	return r;
}

static int make_inner(const struct loader *l, enum map_id id, size_t count)
{
	const struct inner_layout *in = &l->inner[id];
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = in->flags, .btf_fd = (__u32)l->btf_fd,
		    .btf_key_type_id = in->key_type, .btf_value_type_id = in->value_type);
	int fd = bpf_map_create(in->type, loader_map_name(id), in->key_size, in->value_size,
				count ? (__u32)count : 1, &opts);

	return fd < 0 ? -errno : fd;
}

struct fill {
	int fd;
	const char *keys, *values;
	size_t key_size, value_size, count;
	int result;
};

static void *fill_main(void *arg)
{
	struct fill *f = arg;

	f->result = map_fill(f->fd, f->keys, f->key_size, f->values, f->value_size, f->count);
	return NULL;
}

/* In two halves at once if it is long. */
static int fill(int fd, const struct rows *rows, const struct inner_layout *in)
{
	size_t half = rows->count < SPLIT_ROWS ? 0 : rows->count / 2;
	struct fill one = { .fd = fd,
			    .keys = rows->keys,
			    .values = rows->values,
			    .key_size = in->key_size,
			    .value_size = in->value_size,
			    .count = half };
	struct fill two = one;
	pthread_t thread;
	bool threaded;

	two.keys += half * in->key_size;
	two.values += half * in->value_size;
	two.count = rows->count - half;
	threaded = half && !pthread_create(&thread, NULL, fill_main, &one);
	fill_main(&two);
	if (threaded)
		pthread_join(thread, NULL);
	else if (half)
		fill_main(&one);
	return two.result ? two.result : one.result;
}

static int make_table(struct job *j)
{
	int r;

	j->fd = make_inner(j->loader, j->map, j->rows.count);
	if (j->fd < 0)
		return log_err(j->fd, "make a table for %s", loader_map_name(j->map));
	r = fill(j->fd, &j->rows, &j->loader->inner[j->map]);
	return r ? log_err(r, "fill the table of %s", loader_map_name(j->map)) : 0;
}

static int put_table(struct job *j)
{
	const struct inner_layout *in = &j->loader->inner[j->map];
	int r = rows_open(&j->rows, j->tables, j->map), fd = j->last->table[j->map].fd;

	if (!r && (fd < 0 || !rows_equal(&j->rows, &j->last->table[j->map].rows, in))) {
		r = make_table(j);
		fd = j->fd;
	}
	if (!r)
		r = rows_own(&j->rows, in);
	if (r)
		return r;
	if (bpf_map_update_elem(j->loader->map[j->map], &j->slot, &fd, BPF_ANY))
		return log_err(-errno, "put a table into %s", loader_map_name(j->map));
	return 0;
}

static int clear_table(struct job *j)
{
	__u32 id;

	if (bpf_map_lookup_elem(j->loader->map[j->map], &j->slot, &id))
		return 0; /* nothing there: spare the wait */
	return bpf_map_delete_elem(j->loader->map[j->map], &j->slot) && errno != ENOENT ? -errno
											: 0;
}

static int add_clusters(struct job *j)
{
	return counters_add_clusters(j->counters, j->loader, j->tables);
}

static int add_endpoints(struct job *j)
{
	return counters_add_endpoints(j->counters, j->loader, j->tables);
}

static int add_routes(struct job *j)
{
	return counters_add_routes(j->counters, j->loader, j->tables);
}

static int add_dests(struct job *j)
{
	return counters_add_dests(j->counters, j->loader, j->tables);
}

/* All tables of one slot. */
static int on_slot(const struct loader *l, __u64 generation, int (*run)(struct job *j))
{
	struct job jobs[TABLES];

	for (int i = 0; i < TABLES; i++)
		jobs[i] = (struct job){ .run = run,
					.loader = l,
					.map = MAP_GEN_SERVICES + i,
					.slot = (__u32)(generation % GENERATION_SLOTS) };
	return run_jobs(jobs, TABLES);
}

static int write_all(struct job *jobs, const struct loader *l, struct counters *c,
		     const struct tables *t, __u64 generation)
{
	static int (*const counters[COUNTERS])(struct job * j) = { add_endpoints, add_clusters,
								   add_dests, add_routes };

	for (int n = 0; n < COUNTERS + TABLES; n++) {
		jobs[n].run = n < COUNTERS ? counters[n] : put_table;
		jobs[n].map = n < COUNTERS ? MAP_MAX : MAP_GEN_SERVICES + n - COUNTERS;
		jobs[n].loader = l;
		jobs[n].counters = c;
		jobs[n].tables = t;
		jobs[n].slot = (__u32)(generation % GENERATION_SLOTS);
		jobs[n].fd = -1;
	}
	return run_jobs(jobs, COUNTERS + TABLES);
}

__u64 publish_current(const struct loader *l)
{
	__u32 zero = 0;
	__u64 generation = 0;

	if (bpf_map_lookup_elem(l->map[MAP_GENERATION], &zero, &generation))
		return 0;
	return generation;
}

static int make_live(const struct loader *l, __u64 generation)
{
	__u32 zero = 0;

	if (bpf_map_update_elem(l->map[MAP_GENERATION], &zero, &generation, BPF_ANY))
		return log_err(-errno, "write the generation");
	return 0;
}

/* The tables are live: the next publish starts from them. */
static void keep(struct published *p, struct job *jobs)
{
	for (int n = COUNTERS; n < COUNTERS + TABLES; n++) {
		struct job *j = &jobs[n];

		if (j->fd < 0)
			continue; /* the one that is kept already */
		closep(&p->table[j->map].fd);
		rows_free(&p->table[j->map].rows);
		p->table[j->map].fd = TAKE_FD(j->fd);
		p->table[j->map].rows = j->rows;
		j->rows = (struct rows){};
	}
	p->written_ms = clock_ms();
	p->untidy = true;
}

int publish_tables(struct published *p, const struct loader *l, struct counters *c,
		   const struct tables *t)
{
	struct job jobs[COUNTERS + TABLES] = {};
	__u64 next = publish_current(l) + 1;
	int r;

	for (int n = 0; n < COUNTERS + TABLES; n++)
		jobs[n].last = p;
	r = write_all(jobs, l, c, t, next);
	if (!r)
		r = make_live(l, next);
	if (r)
		on_slot(l, next, clear_table);
	else
		keep(p, jobs);
	for (int n = 0; n < COUNTERS + TABLES; n++) {
		closep(&jobs[n].fd);
		rows_free(&jobs[n].rows);
	}
	return r;
}

void publish_tidy(struct published *p, const struct loader *l)
{
	__u64 generation = publish_current(l);

	if (!p->untidy || clock_ms() < p->written_ms + TIDY_AFTER_MS)
		return;
	for (__u64 other = generation + 1; other < generation + GENERATION_SLOTS; other++) {
		if (on_slot(l, other, clear_table))
			log_warning("tables of an earlier generation stay in memory");
	}
	p->untidy = false;
}

int publish_open_table(const struct loader *l, enum map_id outer)
{
	__u64 generation = publish_current(l);
	__u32 slot = (__u32)(generation % GENERATION_SLOTS), id;
	int fd;

	if (!generation)
		return -ENOENT;
	if (bpf_map_lookup_elem(l->map[outer], &slot, &id))
		return -errno;
	fd = bpf_map_get_fd_by_id(id);
	return fd < 0 ? -errno : fd;
}
