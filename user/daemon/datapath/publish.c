/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/publish.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>

#include "daemon/datapath/publish_callers.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
	TABLES = MAP_MAX - MAP_GEN_SERVICES,
	COUNTERS = 4, /* maps of counters */
	JOBS_MAX = GENERATION_SLOTS * TABLES,
	THREAD_ROWS = 4096,  /* worth a thread */
	TIDY_AFTER_MS = 200, /* far longer than a program runs */
};

void published_init(struct published *p)
{
	*p = (struct published){ .untidy = true }; /* of an earlier weftd */
	for (int id = 0; id < MAP_MAX; id++)
		inner_init(&p->table[id]);
}

void published_free(struct published *p)
{
	for (int id = 0; id < MAP_MAX; id++)
		inner_free(&p->table[id]);
	callers_free(&p->callers);
	free(p->selectors.items);
}

/* Tables on their way into the kernel. */
struct publication {
	struct published *last;
	struct loader *loader;
	struct counters *counters;
	const struct tables *tables;
	const struct callers_change *callers;
	struct selected_change selected;
	struct inner next[MAP_MAX];
	bool anew[MAP_MAX]; /* next[] is made; else the last one serves */
	bool in_place;	    /* as the last maps of callers do, once they are changed */
	TABLE(__u32) selectors;
	size_t endpoints_first, endpoints_end; /* rows that have changed */
	__u64 generation;
};

static void publication_free(struct publication *p)
{
	for (int id = 0; id < MAP_MAX; id++)
		inner_free(&p->next[id]);
	selected_change_free(&p->selected);
	free(p->selectors.items);
}

/* ---- what is to be done ---- */

static int list_selectors(struct publication *p)
{
	for (size_t i = 0; i < p->tables->selectors.count; i++) {
		__u32 *id = table_push(&p->selectors);

		if (!id)
			return -ENOMEM;
		*id = p->tables->selectors.items[i].id;
	}
	return 0;
}

static int compare_table(struct publication *p, enum map_id id)
{
	const struct inner *last = &p->last->table[id];
	int r = rows_open(&p->next[id].rows, p->tables, id);

	p->anew[id] = last->fd < 0 ||
		      !rows_equal(&p->next[id].rows, &last->rows, &p->loader->inner[id]);
	return r;
}

static int compare_callers(struct publication *p)
{
	int r = selected_compare(&p->last->table[MAP_GEN_SELECTED].rows, p->tables, &p->selected);

	if (r)
		return r;
	p->in_place = callers_fit(p->last, p->tables, p->callers, &p->selected);
	p->anew[MAP_GEN_SELECTED] = p->anew[MAP_GEN_SOURCES] = !p->in_place;
	return p->in_place ? 0
			   : rows_open(&p->next[MAP_GEN_SOURCES].rows, p->tables, MAP_GEN_SOURCES);
}

static int compare(struct publication *p)
{
	int r = list_selectors(p);

	for (int id = MAP_GEN_SERVICES; !r && id < MAP_MAX; id++)
		r = id == MAP_GEN_SOURCES ? 0 : compare_table(p, id);
	if (!r)
		r = compare_callers(p);
	if (!r)
		rows_changed(&p->last->table[MAP_GEN_ENDPOINTS].rows,
			     &p->next[MAP_GEN_ENDPOINTS].rows, sizeof(struct endpoint),
			     &p->endpoints_first, &p->endpoints_end);
	for (int id = MAP_GEN_SERVICES; !r && id < MAP_MAX; id++)
		if (p->anew[id])
			p->next[id].serial = ++p->last->serial;
	return r;
}

/* Callers alone make none, unless weft-proxy has been told of one: its snapshot has them. */
static bool is_generation(const struct publication *p)
{
	for (int id = MAP_GEN_SERVICES; id < MAP_MAX; id++)
		if (p->anew[id])
			return true;
	return p->tables->http;
}

/* ---- doing it ---- */

/*
 * Every write to an outer map waits until no program uses what it replaces, so that the tables go
 * out side by side rather than one after the other.
 */
struct job {
	int (*run)(struct job *j);
	struct publication *p;
	enum map_id map;
	__u32 slot;
	bool brief; /* not worth a thread */
	int result;
	pthread_t thread;
	bool threaded;
};

struct jobs {
	struct job items[COUNTERS + JOBS_MAX];
	size_t count;
};

static void *job_main(void *arg)
{
	struct job *j = arg;

	j->result = j->run(j);
	return NULL;
}

static struct job *add_job(struct jobs *jobs, struct publication *p, int (*run)(struct job *j))
{
	struct job *j = &jobs->items[jobs->count++];

	*j = (struct job){ .run = run, .p = p };
	return j;
}

/* The last of those that are worth a thread is done by this one, after the brief ones. */
static void start_threads(struct jobs *jobs)
{
	struct job *waits = NULL;

	for (size_t i = 0; i < jobs->count; i++) {
		struct job *j = &jobs->items[i];

		if (j->brief)
			continue;
		if (waits)
			waits->threaded = !pthread_create(&waits->thread, NULL, job_main, waits);
		waits = j;
	}
}

/* The first failure, after all have ended. */
static int run_jobs(struct jobs *jobs)
{
	int r = 0;

	start_threads(jobs);
	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->items[i].brief)
			job_main(&jobs->items[i]);
	for (size_t i = 0; i < jobs->count; i++)
		if (!jobs->items[i].brief && !jobs->items[i].threaded)
			job_main(&jobs->items[i]);
	for (size_t i = 0; i < jobs->count; i++) {
		if (jobs->items[i].threaded)
			pthread_join(jobs->items[i].thread, NULL);
		if (!r)
			r = jobs->items[i].result;
	}
	return r;
}

static int put_table(struct job *j)
{
	struct publication *p = j->p;
	struct inner *next = p->anew[j->map] ? &p->next[j->map] : &p->last->table[j->map];
	__u64 *held = &p->last->held[j->slot][j->map];
	int r;

	*held = 0;
	r = inner_put(next, p->loader, j->map, j->slot);
	if (r)
		return log_err(r, "put a table into %s", loader_map_name(j->map));
	*held = next->serial;
	return 0;
}

/* Of gen_sources `callers` has the rows. */
static int keep_rows(struct publication *p, enum map_id id)
{
	if (id != MAP_GEN_SOURCES)
		return rows_own(&p->next[id].rows, &p->loader->inner[id]);
	rows_free(&p->next[id].rows);
	return 0;
}

static int make_table(struct job *j)
{
	struct inner *next = &j->p->next[j->map];
	bool callers = j->map == MAP_GEN_SOURCES || j->map == MAP_GEN_SELECTED;
	int r = inner_make(next, j->p->loader, j->map,
			   callers ? callers_room(next->rows.count) : next->rows.count);

	if (!r)
		r = put_table(j);
	return r ? r : keep_rows(j->p, j->map);
}

static int add_clusters(struct job *j)
{
	return counters_add_clusters(j->p->counters, j->p->loader, j->p->tables);
}

static int add_endpoints(struct job *j)
{
	return counters_add_endpoints(j->p->counters, j->p->loader, j->p->tables,
				      j->p->endpoints_first, j->p->endpoints_end);
}

static int add_routes(struct job *j)
{
	return counters_add_routes(j->p->counters, j->p->loader, j->p->tables);
}

static int add_dests(struct job *j)
{
	return counters_add_dests(j->p->counters, j->p->loader, j->p->tables);
}

/* Of names that may be new. */
static void list_counters(struct publication *p, struct jobs *jobs)
{
	const bool *anew = p->anew, http = p->tables->http;
	bool destinations = anew[MAP_GEN_ROUTES] || anew[MAP_GEN_DESTS] || anew[MAP_GEN_CLUSTERS];

	if (anew[MAP_GEN_ENDPOINTS] || http)
		add_job(jobs, p, add_endpoints);
	if (anew[MAP_GEN_CLUSTERS] || http)
		add_job(jobs, p, add_clusters);
	if (anew[MAP_GEN_ROUTES] || http)
		add_job(jobs, p, add_routes);
	if (destinations)
		add_job(jobs, p, add_dests);
	for (size_t i = 0; i < jobs->count; i++)
		jobs->items[i].brief = p->last->table[MAP_GEN_ENDPOINTS].fd >= 0 ||
				       p->tables->endpoints.count < THREAD_ROWS;
}

static void list_tables(struct publication *p, struct jobs *jobs)
{
	__u32 slot = (__u32)(p->generation % GENERATION_SLOTS);

	for (int id = MAP_GEN_SERVICES; id < MAP_MAX; id++) {
		struct job *j;

		if (!p->anew[id] && p->last->held[slot][id] == p->last->table[id].serial)
			continue;
		j = add_job(jobs, p, p->anew[id] ? make_table : put_table);
		j->map = id;
		j->slot = slot;
	}
}

/*
 * The next generation's slot is that of one that may still be read unless programs were waited for
 * since the one after it came into force.
 */
static void wait_for_slot(struct publication *p)
{
	if (p->last->waited + GENERATION_SLOTS - 1 < p->generation)
		publish_wait(p->last, p->loader);
}

static int make_tables(struct publication *p)
{
	struct jobs jobs = { .count = 0 };
	size_t counters;
	int r;

	wait_for_slot(p);
	list_counters(p, &jobs);
	counters = jobs.count;
	list_tables(p, &jobs);
	r = run_jobs(&jobs);
	if (!r && jobs.count > counters)
		p->last->waited = p->generation - 1;
	return r;
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
static void keep(struct publication *p)
{
	for (int id = MAP_GEN_SERVICES; id < MAP_MAX; id++) {
		if (!p->anew[id])
			continue;
		inner_free(&p->last->table[id]);
		p->last->table[id] = p->next[id];
		inner_init(&p->next[id]);
	}
	if (p->in_place) {
		rows_free(&p->last->table[MAP_GEN_SELECTED].rows);
		p->last->table[MAP_GEN_SELECTED].rows = p->next[MAP_GEN_SELECTED].rows;
		p->next[MAP_GEN_SELECTED].rows = (struct rows){};
	}
	free(p->last->selectors.items);
	p->last->selectors.items = TAKE_PTR(p->selectors.items);
	p->last->selectors.count = p->selectors.count;
	p->last->selectors.room = p->selectors.room;
}

static int write_generation(struct publication *p)
{
	int r = make_live(p->loader, p->generation);

	if (r && p->in_place)
		callers_undo(p->last, p->callers);
	return r;
}

static int write_all(struct publication *p)
{
	bool generation = is_generation(p);
	int r = generation ? make_tables(p) : 0;

	if (!r && p->in_place)
		r = keep_rows(p, MAP_GEN_SELECTED);
	if (!r && p->in_place)
		r = callers_add(p->last, p->loader, p->callers, &p->selected);
	if (!r && generation)
		r = write_generation(p);
	if (generation) {
		p->last->written_ms = clock_ms();
		p->last->untidy = true;
	}
	if (!r && p->in_place)
		callers_remove(p->last, p->callers, &p->selected);
	return r;
}

int publish_tables(struct published *last, struct loader *l, struct counters *c,
		   const struct tables *t, const struct callers_change *change)
{
	_cleanup_(publication_free) struct publication p = {
		.last = last,
		.loader = l,
		.counters = c,
		.tables = t,
		.callers = change,
		.generation = publish_current(l) + 1,
	};
	int r;

	for (int id = 0; id < MAP_MAX; id++)
		inner_init(&p.next[id]);
	r = compare(&p);
	if (r)
		return log_err(r, "compare the tables with those in force");
	r = write_all(&p);
	if (!r)
		keep(&p);
	return r;
}

void publish_tidy(struct published *last, struct loader *l)
{
	struct publication p = { .last = last, .loader = l };
	__u64 generation = publish_current(l);
	struct jobs jobs = { .count = 0 };

	if (!last->untidy || !last->written_ms || clock_ms() < last->written_ms + TIDY_AFTER_MS)
		return;
	for (int n = 0; n < (GENERATION_SLOTS - 1) * TABLES; n++) {
		enum map_id id = MAP_GEN_SERVICES + n % TABLES;
		__u32 slot = (__u32)((generation + 1 + n / TABLES) % GENERATION_SLOTS);
		struct job *j;

		if (last->table[id].fd < 0 || last->held[slot][id] == last->table[id].serial)
			continue;
		j = add_job(&jobs, &p, put_table);
		j->map = id;
		j->slot = slot;
	}
	if (run_jobs(&jobs))
		log_warning("tables of an earlier generation stay in memory");
	if (jobs.count)
		last->waited = generation;
	last->untidy = false;
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
