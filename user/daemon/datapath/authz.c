// SPDX-License-Identifier: Apache-2.0
#include "daemon/datapath/authz.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bpf/map_batch.h"
#include "lib/base/log.h"

/* ---- what there is ---- */

static int note_pod(void *arg, const void *key, const void *value)
{
	struct authz_live *a = arg;
	struct authz_pod *slot = table_push(&a->pods);

	if (!slot)
		return -ENOMEM;
	*slot = (struct authz_pod){ *(const struct addr *)key, *(const __u32 *)value };
	if (*(const __u32 *)value > a->sets)
		a->sets = *(const __u32 *)value;
	return 0;
}

/* An LPM trie hands its keys out one by one. */
static int read_keys(struct authz_live *a, int fd)
{
	struct authz_key *last = NULL, key, next;

	a->keys.count = 0;
	while (!bpf_map_get_next_key(fd, last, &next)) {
		struct authz_key *slot = table_push(&a->keys);

		if (!slot)
			return -ENOMEM;
		*slot = key = next;
		last = &key;
		if (key.set > a->sets)
			a->sets = key.set;
	}
	return errno == ENOENT ? 0 : -errno;
}

static int by_set(const void *a, const void *b)
{
	const struct authz_pod *x = a, *y = b;

	return (x->set > y->set) - (x->set < y->set);
}

static int read_live(struct authz_live *a, const struct loader *l)
{
	int r;

	a->known = false;
	a->pods.count = 0;
	r = map_walk(l->map[MAP_AUTHZ_PODS], sizeof(struct addr), sizeof(__u32), note_pod, a);
	if (a->pods.count)
		qsort(a->pods.items, a->pods.count, sizeof(*a->pods.items), by_set);
	return r ? r : read_keys(a, l->map[MAP_AUTHZ_RULES]);
}

int authz_open(struct authz_live *a, const struct loader *l)
{
	int r = read_live(a, l);

	return r ? log_err(r, "read the AuthorizationPolicies in force") : 0;
}

void authz_close(struct authz_live *a)
{
	free(a->pods.items);
	free(a->keys.items);
	free(a->wanted_pods.items);
	free(a->wanted_rows.items);
	*a = (struct authz_live){ 0 };
}

/* ---- bringing it up to date ---- */

static bool is_in_force(const struct authz_live *a, const struct authz_table *wanted)
{
	const size_t pods = wanted->pods.count * sizeof(*wanted->pods.items);
	const size_t rows = wanted->rows.count * sizeof(*wanted->rows.items);

	return a->known && a->wanted_pods.count == wanted->pods.count &&
	       a->wanted_rows.count == wanted->rows.count &&
	       (!pods || !memcmp(a->wanted_pods.items, wanted->pods.items, pods)) &&
	       (!rows || !memcmp(a->wanted_rows.items, wanted->rows.items, rows));
}

static int put_rows(const struct loader *l, const struct authz_table *wanted, __u32 before)
{
	for (size_t i = 0; i < wanted->rows.count; i++) {
		struct authz_key key = wanted->rows.items[i].key;

		key.set += before;
		if (bpf_map_update_elem(l->map[MAP_AUTHZ_RULES], &key,
					&wanted->rows.items[i].verdict, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int put_pods(const struct loader *l, const struct authz_table *wanted, __u32 before)
{
	for (size_t i = 0; i < wanted->pods.count; i++) {
		__u32 set = wanted->pods.items[i].set + before;

		if (bpf_map_update_elem(l->map[MAP_AUTHZ_PODS], &wanted->pods.items[i].addr, &set,
					BPF_ANY))
			return -errno;
	}
	return 0;
}

static bool has_pod(const struct authz_table *t, const struct addr *addr)
{
	for (size_t i = 0; i < t->pods.count; i++)
		if (!memcmp(&t->pods.items[i].addr, addr, sizeof(*addr)))
			return true;
	return false;
}

static int take_pods(const struct authz_live *a, const struct loader *l,
		     const struct authz_table *wanted)
{
	for (size_t i = 0; i < a->pods.count; i++)
		if (!has_pod(wanted, &a->pods.items[i].addr) &&
		    bpf_map_delete_elem(l->map[MAP_AUTHZ_PODS], &a->pods.items[i].addr) &&
		    errno != ENOENT)
			return -errno;
	return 0;
}

static int take_rows(const struct authz_live *a, const struct loader *l)
{
	for (size_t i = 0; i < a->keys.count; i++)
		if (bpf_map_delete_elem(l->map[MAP_AUTHZ_RULES], &a->keys.items[i]) &&
		    errno != ENOENT)
			return -errno;
	return 0;
}

static bool is_led_to(const struct authz_live *a, __u32 set)
{
	const struct authz_pod want = { .set = set };

	return a->pods.count && bsearch(&want, a->pods.items, a->pods.count, sizeof(want), by_set);
}

/* Rows that no pod is led to: what a change that failed, or that a weftd did not live to see the
 * end of, has left. With them there may be no room for another. */
static int sweep(const struct authz_live *a, const struct loader *l, void (*wait)(void *arg),
		 void *arg)
{
	bool waited = a->known;

	for (size_t i = 0; i < a->keys.count && !a->known; i++) {
		if (is_led_to(a, a->keys.items[i].set))
			continue;
		if (!waited)
			wait(arg);
		waited = true;
		if (bpf_map_delete_elem(l->map[MAP_AUTHZ_RULES], &a->keys.items[i]) &&
		    errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* A pod that both the old and the new policies select is never without any. */
static int change(struct authz_live *a, const struct loader *l, const struct authz_table *wanted,
		  void (*wait)(void *arg), void *arg)
{
	int r = put_rows(l, wanted, a->sets);

	if (!r && wanted->pods.count)
		r = loader_set_authz(l, true);
	if (!r)
		r = put_pods(l, wanted, a->sets);
	if (!r)
		r = take_pods(a, l, wanted);
	if (!r && !wanted->pods.count)
		r = loader_set_authz(l, false);
	if (r || !a->keys.count)
		return r;
	wait(arg);
	return take_rows(a, l);
}

static int keep(struct authz_live *a, const struct authz_table *wanted)
{
	a->wanted_pods.count = a->wanted_rows.count = 0;
	for (size_t i = 0; i < wanted->pods.count; i++) {
		struct authz_pod *slot = table_push(&a->wanted_pods);

		if (!slot)
			return -ENOMEM;
		*slot = wanted->pods.items[i];
	}
	for (size_t i = 0; i < wanted->rows.count; i++) {
		struct authz_table_row *slot = table_push(&a->wanted_rows);

		if (!slot)
			return -ENOMEM;
		*slot = wanted->rows.items[i];
	}
	a->known = true;
	return 0;
}

int authz_publish(struct authz_live *a, const struct loader *l, const struct authz_table *wanted,
		  void (*wait)(void *arg), void *arg)
{
	int r, left;

	if (is_in_force(a, wanted))
		return 0;
	if (!wanted->pods.count && !a->pods.count && !a->keys.count)
		return keep(a, wanted);
	r = sweep(a, l, wait, arg);
	if (!r)
		r = change(a, l, wanted, wait, arg);
	left = read_live(a, l);
	if (!r)
		r = left;
	if (!r)
		r = keep(a, wanted);
	return r ? log_err(r, "put the AuthorizationPolicies into the kernel") : 0;
}
