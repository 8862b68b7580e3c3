/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/datapath/publish.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

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
	tables_free(p->tables);
}

/* Tables on their way into the kernel. */
struct publication {
	struct published *last;
	struct loader *loader;
	struct counters *counters;
	struct tables *tables, *kept; /* the same: `kept` are the next to be p->last->tables */
	const struct callers_change *callers;
	struct selected_change selected;
	struct inner next[MAP_MAX];
	bool anew[MAP_MAX];   /* next[] is made; else the last one serves */
	bool in_place;	      /* as the last maps of callers do, once they are changed */
	bool ranges_in_place; /* likewise those of clusters and endpoints */
	bool http_anew;	      /* the snapshot is not the last one with other endpoints */
	__u64 generation;
};

static void publication_free(struct publication *p)
{
	for (int id = 0; id < MAP_MAX; id++)
		inner_free(&p->next[id]);
	selected_change_free(&p->selected);
	tables_free(p->kept);
}

/* ---- what is to be done ---- */

static bool is_last(const struct publication *p, enum tables_group group)
{
	const struct tables *was = p->last->tables;

	return was && was->owner[group] == p->tables->owner[group];
}

static void compare_table(struct publication *p, enum map_id id)
{
	p->anew[id] = p->last->table[id].fd < 0 || !p->last->tables ||
		      !rows_same(p->last->tables, p->tables, id);
}

static int compare_callers(struct publication *p)
{
	int r = is_last(p, TABLES_SOURCES)
			? 0
			: selected_compare(p->last->tables, p->tables, &p->selected);

	if (r)
		return r;
	p->in_place = callers_fit(p->last, p->tables, p->callers, &p->selected);
	p->anew[MAP_GEN_SELECTED] = p->anew[MAP_GEN_SOURCES] = !p->in_place;
	return 0;
}

/* The clusters are the same then, and new rows of endpoints are those of no cluster in any
 * generation that may still be read: ranges are never shared by generations whose rows are not. */
static void compare_ranges(struct publication *p)
{
	const struct inner *clusters = &p->last->table[MAP_GEN_CLUSTERS];
	const struct inner *endpoints = &p->last->table[MAP_GEN_ENDPOINTS];

	p->ranges_in_place = clusters->at && endpoints->at && is_last(p, TABLES_RULES) &&
			     is_last(p, TABLES_ENDPOINTS) &&
			     p->tables->endpoints.count <= endpoints->room;
	if (p->ranges_in_place)
		p->anew[MAP_GEN_CLUSTERS] = p->anew[MAP_GEN_ENDPOINTS] = false;
}

static int compare(struct publication *p)
{
	int r;

	for (int id = MAP_GEN_SERVICES; id <= MAP_GEN_DESTS; id++)
		compare_table(p, id);
	compare_ranges(p);
	if (!p->ranges_in_place) {
		compare_table(p, MAP_GEN_CLUSTERS);
		compare_table(p, MAP_GEN_ENDPOINTS);
		p->anew[MAP_GEN_CLUSTERS] |= p->anew[MAP_GEN_ENDPOINTS];
	}
	p->http_anew = p->tables->http && !is_last(p, TABLES_HTTP) && !p->tables->http_patched;
	r = compare_callers(p);
	for (int id = MAP_GEN_SERVICES; !r && id < MAP_MAX; id++)
		if (p->anew[id])
			p->next[id].serial = ++p->last->serial;
	return r;
}

/* Callers and endpoints alone make none, unless weft-proxy has been told of one: its snapshot has
 * them. */
static bool is_generation(const struct publication *p)
{
	for (int id = MAP_GEN_SERVICES; id < MAP_MAX; id++)
		if (p->anew[id])
			return true;
	return p->tables->http && !is_last(p, TABLES_HTTP);
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
	struct published *last = j->p->last;
	__u64 *held = &last->held[j->slot][j->map];
	int r;

	*held = 0;
	r = inner_put(&last->table[j->map], j->p->loader, j->map, j->slot);
	if (!r)
		*held = last->table[j->map].serial;
	return r;
}

static size_t room_of(const struct tables *t, enum map_id map, size_t count)
{
	size_t room = t->owner[TABLES_ENDPOINTS]->endpoints_room;

	if (map == MAP_GEN_SOURCES || map == MAP_GEN_SELECTED)
		return callers_room(count);
	return map == MAP_GEN_ENDPOINTS && room ? room : count;
}

static int make_table(struct job *j)
{
	struct publication *p = j->p;
	const struct tables *t = p->tables;
	_cleanup_(inner_wanted_free) struct inner_wanted w = {
		.in_place = t->owner[TABLES_ENDPOINTS]->endpoints_room &&
			    (j->map == MAP_GEN_CLUSTERS || j->map == MAP_GEN_ENDPOINTS),
	};
	__u64 *held = &p->last->held[j->slot][j->map];
	int r = rows_open(&w.rows, t, j->map);

	*held = 0;
	if (r)
		return log_err(r, "make a table for %s", loader_map_name(j->map));
	w.room = room_of(t, j->map, w.rows.count);
	r = inner_make(&p->next[j->map], p->loader, j->map, j->slot, &w);
	if (!r)
		*held = p->next[j->map].serial;
	return r;
}

static int add_clusters(struct job *j)
{
	return counters_add_clusters(j->p->counters, j->p->loader, j->p->tables, j->p->http_anew);
}

static int add_endpoints(struct job *j)
{
	return counters_add_endpoints(j->p->counters, j->p->loader, j->p->tables, j->p->http_anew);
}

static int add_touched(struct job *j)
{
	return counters_add_touched(j->p->counters, j->p->loader, j->p->tables);
}

/* The first row of HS_ACTIONS that may have a name that is new. */
static __u32 new_http_routes(const struct publication *p)
{
	const struct tables *t = p->tables;

	if (p->http_anew)
		return 0;
	return t->http_routes_before ? t->http_routes_before : http_rows(t, HS_ACTIONS);
}

static int add_routes(struct job *j)
{
	const struct tables *t = j->p->tables;

	return counters_add_routes(j->p->counters, j->p->loader, t,
				   j->p->anew[MAP_GEN_ROUTES] ? 0 : t->routes.count,
				   new_http_routes(j->p));
}

static int add_dests(struct job *j)
{
	return counters_add_dests(j->p->counters, j->p->loader, j->p->tables);
}

/* Of names that may be new. */
static void list_counters(struct publication *p, struct jobs *jobs)
{
	const bool *anew = p->anew, http = p->http_anew;
	bool destinations = anew[MAP_GEN_ROUTES] || anew[MAP_GEN_DESTS] || anew[MAP_GEN_CLUSTERS];

	/* Rows of no cluster had lost their counters, and may be a cluster's again. */
	if (anew[MAP_GEN_CLUSTERS] || http)
		add_job(jobs, p, add_endpoints);
	else if (p->tables->touched.count)
		add_job(jobs, p, add_touched);
	if (anew[MAP_GEN_CLUSTERS] || http)
		add_job(jobs, p, add_clusters);
	if (anew[MAP_GEN_ROUTES] || http || p->tables->http_routes_before)
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

static int make_tables(struct publication *p, bool generation)
{
	struct jobs jobs = { .count = 0 };
	size_t counters;
	int r;

	list_counters(p, &jobs);
	counters = jobs.count;
	if (generation)
		list_tables(p, &jobs);
	if (jobs.count > counters)
		wait_for_slot(p);
	r = run_jobs(&jobs);
	if (!r && jobs.count > counters)
		p->last->waited = p->generation - 1;
	return r;
}

/* ---- endpoints, in place ---- */

static void change_ranges(struct publication *p)
{
	const struct inner_layout *in = p->loader->inner;
	const struct tables *was = p->last->tables, *t = p->tables;
	const struct cluster *old = was->clusters.items, *now = t->clusters.items;

	inner_write(&p->last->table[MAP_GEN_ENDPOINTS], &in[MAP_GEN_ENDPOINTS],
		    was->endpoints.count, t->endpoints.items + was->endpoints.count,
		    t->endpoints.count - was->endpoints.count);
	for (size_t i = 0; old != now && i < t->clusters.count; i++) {
		__u64 word;

		if (old[i].ep_first == now[i].ep_first && old[i].ep_count == now[i].ep_count)
			continue;
		memcpy(&word, &now[i].ep_first, sizeof(word));
		inner_store(&p->last->table[MAP_GEN_CLUSTERS], &in[MAP_GEN_CLUSTERS], i,
			    offsetof(struct cluster, ep_first), word);
	}
}

__u64 publish_current(const struct loader *l)
{
	__u32 zero = 0;
	__u64 generation = 0;

	if (bpf_map_lookup_elem(l->map[MAP_GENERATION], &zero, &generation))
		return 0;
	return generation;
}

static void open_ports(const struct tables *t, __u64 words[ANYWHERE_WORDS])
{
	for (size_t i = 0; t && i < t->services.count; i++) {
		const struct service_key *key = &t->services.items[i].key;

		if (key->scope == SCOPE_ANYWHERE)
			words[key->port / 64] |= 1ull << key->port % 64;
	}
}

/* What an earlier weftd has left. */
static int read_anywhere(const struct publication *p, __u64 words[ANYWHERE_WORDS])
{
	for (__u32 i = 0; i < ANYWHERE_WORDS; i++)
		if (bpf_map_lookup_elem(p->loader->map[MAP_ANYWHERE], &i, &words[i]))
			return log_err(-errno, "read the ports that are open for any address");
	return 0;
}

/* Those of the last generation stay: programs may be reading it. */
static int write_anywhere(const struct publication *p)
{
	__u64 words[ANYWHERE_WORDS] = { 0 }, *now = p->last->anywhere;
	int r = 0;

	if (p->last->tables && !p->anew[MAP_GEN_SERVICES])
		return 0;
	if (p->last->tables)
		open_ports(p->last->tables, words);
	else
		r = read_anywhere(p, now);
	if (r)
		return r;
	if (!p->last->tables)
		memcpy(words, now, sizeof(words));
	open_ports(p->tables, words);
	for (__u32 i = 0; i < ANYWHERE_WORDS; i++) {
		if (now[i] == words[i])
			continue;
		if (bpf_map_update_elem(p->loader->map[MAP_ANYWHERE], &i, &words[i], BPF_ANY))
			return log_err(-errno, "write the ports that are open for any address");
		now[i] = words[i];
	}
	return 0;
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
	tables_free(p->last->tables);
	p->last->tables = TAKE_PTR(p->kept);
}

static int write_generation(struct publication *p)
{
	int r = write_anywhere(p);

	if (!r)
		r = make_live(p->loader, p->generation);

	if (r && p->in_place)
		callers_undo(p->last, p->callers);
	return r;
}

static int write_all(struct publication *p)
{
	bool generation = is_generation(p);
	int r = make_tables(p, generation);

	if (!r && p->in_place)
		r = callers_add(p->last, p->loader, p->callers, &p->selected);
	if (!r && generation)
		r = write_generation(p);
	if (generation) {
		p->last->written_ms = clock_ms();
		p->last->untidy = true;
	}
	if (r)
		return r;
	if (p->ranges_in_place)
		change_ranges(p);
	if (p->in_place)
		callers_remove(p->last, p->callers, &p->selected);
	return 0;
}

int publish_tables(struct published *last, struct loader *l, struct counters *c, struct tables *t,
		   const struct callers_change *change)
{
	_cleanup_(publication_free) struct publication p = {
		.last = last,
		.loader = l,
		.counters = c,
		.tables = t,
		.kept = tables_sharing(t),
		.callers = change,
		.generation = publish_current(l) + 1,
	};
	int r;

	for (int id = 0; id < MAP_MAX; id++)
		inner_init(&p.next[id]);
	r = p.kept ? compare(&p) : -ENOMEM;
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
