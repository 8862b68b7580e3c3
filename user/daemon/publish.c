/* SPDX-License-Identifier: Apache-2.0 */
#include "publish.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>

#include "cleanup.h"
#include "counters_map.h"
#include "log.h"
#include "publish_rows.h"

enum { TABLES = MAP_MAX - MAP_GEN_SERVICES };

/*
 * Every write to an outer map waits until no program uses what it replaces, so that the tables go out side by side
 * rather than one after the other.
 */
struct job {
	int (*run)(struct job *j);
	const struct loader *loader;
	struct counters *counters;
	const struct tables *tables;
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

static int put_table(struct job *j)
{
	_cleanup_(rows_free) struct rows rows = {};
	const struct inner_layout *in = &j->loader->inner[j->map];
	_cleanup_close_ int fd = -1;
	int r = rows_open(&rows, j->tables, j->map);

	if (r)
		return r;
	fd = make_inner(j->loader, j->map, rows.count);
	if (fd < 0)
		return log_err(fd, "make a table for %s", loader_map_name(j->map));
	r = map_fill(fd, rows.keys, in->key_size, rows.values, in->value_size, rows.count);
	if (r)
		return log_err(r, "fill the table of %s", loader_map_name(j->map));
	if (bpf_map_update_elem(j->loader->map[j->map], &j->slot, &fd, BPF_ANY))
		return log_err(-errno, "put a table into %s", loader_map_name(j->map));
	return 0;
}

static int clear_table(struct job *j)
{
	__u32 id;

	if (bpf_map_lookup_elem(j->loader->map[j->map], &j->slot, &id))
		return 0; /* nothing there: spare the wait */
	return bpf_map_delete_elem(j->loader->map[j->map], &j->slot) && errno != ENOENT ? -errno : 0;
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
		jobs[i] = (struct job){ .run = run, .loader = l, .map = MAP_GEN_SERVICES + i,
					.slot = (__u32)(generation % GENERATION_SLOTS) };
	return run_jobs(jobs, TABLES);
}

static int put_all(const struct loader *l, struct counters *c, const struct tables *t, __u64 generation)
{
	static int (*const counters[])(struct job *j) = { add_endpoints, add_clusters, add_dests, add_routes };
	struct job jobs[4 + TABLES];
	size_t n = 0;

	for (; n < 4; n++)
		jobs[n] = (struct job){ .run = counters[n], .loader = l, .counters = c, .tables = t };
	for (int id = MAP_GEN_SERVICES; id < MAP_MAX; id++)
		jobs[n++] = (struct job){ .run = put_table, .loader = l, .tables = t, .map = id,
					  .slot = (__u32)(generation % GENERATION_SLOTS) };
	return run_jobs(jobs, n);
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

int publish_tables(const struct loader *l, struct counters *c, const struct tables *t)
{
	__u64 next = publish_current(l) + 1;
	int r = put_all(l, c, t, next);

	if (!r)
		r = make_live(l, next);
	if (r) {
		on_slot(l, next, clear_table);
		return r;
	}
	/* the one before stays: a program that began under it may still be looking */
	if (next >= 2 && on_slot(l, next - 2, clear_table))
		log_warning("tables of generation %llu are still in memory", (unsigned long long)next - 2);
	return 0;
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
