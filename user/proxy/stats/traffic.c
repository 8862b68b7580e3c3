// SPDX-License-Identifier: Apache-2.0
#include "proxy/stats/traffic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/base/row_map.h"
#include "proxy/stats/stats.h"

enum {
	ROWS = TRAFFIC_HTTP_ROWS,
	SLOTS = 2 * ROWS, /* of a hash table, a power of two */
	FULL = ROWS / 4 * 3,
	FORGET_MS = 60000, /* between two times that a worker forgets its counts' rows */
	TRIES = 3,	   /* at a row that weftd takes back at that very moment */
	ENDS = TRAFFIC_BUCKETS - 1,
	SPINS = 1 << 20, /* while another process writes a key: far longer than that takes */
};

static const double bucket_ends[ENDS] = TRAFFIC_BUCKET_ENDS;

static uint64_t hash_of(const struct http_traffic_key *key, const char *host, size_t len)
{
	const uint64_t odd = 0x9e3779b97f4a7c15;
	uint64_t words[3], h = 0;

	_Static_assert(sizeof(words) == sizeof(*key), "a key is three words");
	memcpy(words, key, sizeof(words));
	for (size_t i = 0; i < 3; i++) {
		h = (h ^ words[i]) * odd;
		h ^= h >> 29;
	}
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)host[i]) * odd;
	return h ^ h >> 32;
}

static bool is_of(const struct http_traffic_key *there, const char *there_host,
		  const struct http_traffic_key *key, const char *host, size_t len)
{
	if (memcmp(there, key, sizeof(*key)) != 0)
		return false;
	return key->cluster || ((!len || !memcmp(there_host, host, len)) && !there_host[len]);
}

/* Of a host as rows have it: none where a cluster says it. */
static size_t room_for(const struct http_traffic_key *key, size_t len)
{
	if (key->cluster)
		return 0;
	return len < TRAFFIC_HOST_MAX ? len : TRAFFIC_HOST_MAX - 1;
}

/* ---- rows of one caller ---- */

/* By caller: how many it has. */
struct owned {
	uint16_t rows[TRAFFIC_PEERS_MAX];
};

static uint16_t *owned_by(struct owned *o, const struct http_traffic_key *key)
{
	return &o->rows[key->source % TRAFFIC_PEERS_MAX];
}

/* 200 for all of 2xx, and no status of gRPC. */
static struct http_traffic_key fold(const struct http_traffic_key *key)
{
	struct http_traffic_key folded = *key;

	folded.code = (uint16_t)(key->code / 100 * 100);
	folded.grpc = TRAFFIC_GRPC_NONE;
	return folded;
}

/* ---- the rows ---- */

struct traffic_rows {
	pthread_mutex_t lock;
	struct row_map map;
	uint32_t epoch;	       /* of row 0, when the rows were looked at from the first one on */
	uint32_t known;	       /* rows that have been looked at since; the shared one is row 0 */
	uint16_t slots[SLOTS]; /* rows by key, with linear probing; 0: free */
	struct owned owned;    /* of the rows that are known */
	uint16_t again[ROWS];  /* rows that were TRAFFIC_FREE_AGAIN then, in their order ... */
	uint16_t again_count, again_next; /* ... those before the next are looked at once more */
	bool full;			  /* and that has been said */
};

static struct http_traffic *row_at(const struct traffic_rows *r, uint32_t i)
{
	return row_map_at(&r->map, i);
}

/* The slot where the row is, or belongs. */
static uint16_t *slot_of(struct traffic_rows *r, const struct http_traffic_key *key,
			 const char *host, size_t len)
{
	uint64_t i = hash_of(key, host, len) % SLOTS;

	while (r->slots[i]) {
		const struct http_traffic *row = row_at(r, r->slots[i]);

		if (is_of(&row->key, row->host, key, host, len))
			break;
		i = (i + 1) % SLOTS;
	}
	return &r->slots[i];
}

/* The row's state, once no other process is about to write its key; of one that has died then it
 * stays TRAFFIC_BEING_TAKEN. */
static uint32_t state_of(const struct http_traffic *row)
{
	uint32_t state = __atomic_load_n(&row->taken, __ATOMIC_ACQUIRE);

	for (int i = 0; state == TRAFFIC_BEING_TAKEN && i < SPINS; i++)
		state = __atomic_load_n(&row->taken, __ATOMIC_ACQUIRE);
	return state;
}

static void know(struct traffic_rows *r, uint32_t i)
{
	struct http_traffic *row = row_at(r, i);
	size_t len;

	row->host[TRAFFIC_HOST_MAX - 1] = 0; /* whatever an earlier process has left */
	len = room_for(&row->key, strlen(row->host));
	*slot_of(r, &row->key, row->host, len) = (uint16_t)i;
	++*owned_by(&r->owned, &row->key);
}

/* Unless another process is faster. */
static void claim(struct http_traffic *row, uint32_t state, const struct http_traffic_key *key,
		  const char *host, size_t len)
{
	if (!__atomic_compare_exchange_n(&row->taken, &state, TRAFFIC_BEING_TAKEN, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	row->key = *key;
	if (len)
		memcpy(row->host, host, len);
	row->host[len] = 0;
	__atomic_store_n(&row->taken, TRAFFIC_TAKEN, __ATOMIC_RELEASE);
}

/* Looks at the next row: one that others have taken, or with a key the first free one, which it
 * takes. False: there is none, or none that can be reached. */
static bool look_at_next(struct traffic_rows *r, const struct http_traffic_key *key,
			 const char *host, size_t len)
{
	struct http_traffic *row = row_at(r, r->known);
	uint32_t state;

	if (r->known == ROWS || row_map_reach(&r->map, r->known))
		return false;
	state = state_of(row);
	if (state == TRAFFIC_FREE && !key)
		return false;
	if (key && (state == TRAFFIC_FREE || state == TRAFFIC_FREE_AGAIN)) {
		claim(row, state, key, host, len);
		state = state_of(row);
	}
	if (state == TRAFFIC_TAKEN)
		know(r, r->known);
	else if (state == TRAFFIC_FREE_AGAIN)
		r->again[r->again_count++] = (uint16_t)r->known;
	r->known++;
	return true;
}

/* The same with rows that were passed over because they had no key yet. */
static bool look_again(struct traffic_rows *r, const struct http_traffic_key *key, const char *host,
		       size_t len)
{
	struct http_traffic *row;
	uint32_t i, state;

	if (!key || r->again_next == r->again_count)
		return false;
	i = r->again[r->again_next++];
	row = row_at(r, i);
	state = state_of(row);
	if (state == TRAFFIC_FREE_AGAIN) {
		claim(row, state, key, host, len);
		state = state_of(row);
	}
	if (state == TRAFFIC_TAKEN)
		know(r, i);
	return true;
}

/* From the first one on: weftd has given rows back, and takes others. */
static void look_at_all(struct traffic_rows *r)
{
	r->epoch = __atomic_load_n(&row_at(r, 0)->epoch, __ATOMIC_ACQUIRE);
	memset(r->slots, 0, sizeof(r->slots));
	memset(&r->owned, 0, sizeof(r->owned));
	r->again_count = r->again_next = 0;
	r->full = false;
	r->known = 1;
	while (look_at_next(r, NULL, NULL, 0))
		;
}

static struct http_traffic *shared_row(struct traffic_rows *r)
{
	if (!r->full)
		log_warning("there is no row for more than %d kinds of requests, nor for more "
			    "than %d of one caller: the others are counted together",
			    ROWS - 1, TRAFFIC_CALLER_ROWS_FOLDED);
	r->full = true;
	return row_at(r, 0);
}

/* 0: there is none. One is taken while its caller has fewer than `most`. */
static uint16_t find_row(struct traffic_rows *r, const struct http_traffic_key *key,
			 const char *host, size_t len, uint16_t most)
{
	const uint16_t *owned = owned_by(&r->owned, key);
	const struct http_traffic_key *wanted;
	uint16_t at;

	do {
		at = *slot_of(r, key, host, len);
		wanted = *owned < most ? key : NULL;
	} while (!at && (look_again(r, wanted, host, len) || look_at_next(r, wanted, host, len)));
	return at;
}

/* Whether the row is of that key in its epoch, which is read first. */
static bool is_still(const struct http_traffic *row, const struct http_traffic_key *key,
		     const char *host, size_t len, uint32_t *epoch)
{
	*epoch = __atomic_load_n(&row->epoch, __ATOMIC_ACQUIRE);
	return __atomic_load_n(&row->taken, __ATOMIC_ACQUIRE) == TRAFFIC_TAKEN &&
	       is_of(&row->key, row->host, key, host, len);
}

static struct http_traffic *row_of(struct traffic_rows *r, const struct http_traffic_key *key,
				   const char *host, size_t len, uint32_t *epoch)
{
	const struct http_traffic_key folded = fold(key);
	const struct http_traffic_key *as = key;
	uint16_t at;

	for (int i = 0; i < TRIES; i++) {
		as = key;
		at = find_row(r, key, host, len, TRAFFIC_CALLER_ROWS);
		if (!at) {
			as = &folded;
			at = find_row(r, as, host, len, TRAFFIC_CALLER_ROWS_FOLDED);
		}
		if (!at)
			break;
		if (is_still(row_at(r, at), as, host, len, epoch))
			return row_at(r, at);
		look_at_all(r); /* it is leaving */
	}
	*epoch = r->epoch;
	return shared_row(r);
}

struct http_traffic *traffic_row(struct traffic_rows *r, const struct http_traffic_key *key,
				 const char *host, size_t len, uint32_t *epoch)
{
	struct http_traffic *row;
	uint32_t ignored;

	pthread_mutex_lock(&r->lock);
	if (__atomic_load_n(&row_at(r, 0)->epoch, __ATOMIC_ACQUIRE) != r->epoch)
		look_at_all(r);
	row = row_of(r, key, host, room_for(key, len), epoch ?: &ignored);
	pthread_mutex_unlock(&r->lock);
	return row;
}

DEFINE_CLEANUP(struct traffic_rows *, traffic_rows_close);

int traffic_rows_open(int fd, struct traffic_rows **out)
{
	_cleanup_(traffic_rows_closep) struct traffic_rows *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	error = row_map_open(&r->map, fd, PROT_READ | PROT_WRITE, sizeof(struct http_traffic),
			     ROWS);
	if (!error)
		error = row_map_reach(&r->map, 0);
	if (error)
		return error;
	/* It is not to be taken for the end of the rows. */
	__atomic_store_n(&row_at(r, 0)->taken, TRAFFIC_TAKEN, __ATOMIC_RELEASE);
	look_at_all(r);
	*out = TAKE_PTR(r);
	return 0;
}

void traffic_rows_close(struct traffic_rows *r)
{
	if (!r)
		return;
	row_map_close(&r->map);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- a worker's counts ---- */

struct part {
	uint64_t sum;
	uint32_t buckets[TRAFFIC_BUCKETS];
};

struct count {
	struct http_traffic_key key;
	struct http_traffic *row; /* NULL: not asked for yet */
	uint32_t epoch;		  /* of the row, when it was this one's */
	uint16_t next;		  /* among those that wait */
	bool waits;
	uint64_t requests, closed;
	struct part duration, request_bytes, response_bytes;
	char host[TRAFFIC_HOST_MAX]; /* last: most have none */
};

struct traffic_counts {
	struct traffic_rows *rows;
	struct count *counts; /* ROWS of them; 0 is for those that found no other */
	uint32_t used;
	bool refused; /* one found no place of its own */
	uint64_t forgot_ms;
	uint16_t waiting; /* the first; 0 ends the list, and count 0 says by itself if it waits */
	uint64_t ends_us[ENDS], ends[ENDS];
	uint16_t slots[SLOTS];
	struct owned owned; /* of the counts: no caller is to use up those, either */
};

struct traffic_counts *traffic_counts_new(struct traffic_rows *r)
{
	struct traffic_counts *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	/* Memory that is zero as long as it isn't used. */
	c->counts = calloc(ROWS, sizeof(*c->counts));
	if (!c->counts) {
		free(c);
		return NULL;
	}
	c->rows = r;
	c->used = 1;
	for (int i = 0; i < ENDS; i++) {
		c->ends_us[i] = (uint64_t)(bucket_ends[i] * 1000);
		c->ends[i] = (uint64_t)bucket_ends[i];
	}
	return c;
}

void traffic_counts_free(struct traffic_counts *c)
{
	if (!c)
		return;
	traffic_counts_write(c);
	free(c->counts);
	free(c);
}

static uint16_t add_count(struct traffic_counts *c, const struct http_traffic_key *key,
			  const char *host, size_t len, uint16_t most)
{
	uint16_t *owned = owned_by(&c->owned, key);
	struct count *n = &c->counts[c->used];

	if (c->used == ROWS || *owned >= most) {
		c->refused = true;
		return 0;
	}
	n->key = *key;
	n->row = NULL;
	if (len)
		memcpy(n->host, host, len);
	n->host[len] = 0;
	++*owned;
	return (uint16_t)c->used++;
}

/* 0: there is none. One is added while its caller has fewer than `most`. */
static uint16_t find_count(struct traffic_counts *c, const struct http_traffic_key *key,
			   const char *host, size_t len, uint16_t most)
{
	uint64_t i = hash_of(key, host, len) % SLOTS;

	while (c->slots[i]) {
		const struct count *n = &c->counts[c->slots[i]];

		if (is_of(&n->key, n->host, key, host, len))
			return c->slots[i];
		i = (i + 1) % SLOTS;
	}
	c->slots[i] = add_count(c, key, host, len, most);
	return c->slots[i];
}

static struct count *count_of(struct traffic_counts *c, const struct traffic_sample *s)
{
	size_t len = room_for(&s->key, s->host_len);
	uint16_t at = find_count(c, &s->key, s->host, len, TRAFFIC_CALLER_ROWS);
	struct http_traffic_key folded;

	if (!at) {
		folded = fold(&s->key);
		at = find_count(c, &folded, s->host, len, TRAFFIC_CALLER_ROWS_FOLDED);
	}
	return &c->counts[at];
}

static void add(struct part *p, uint64_t value, const uint64_t ends[ENDS])
{
	unsigned i = 0;

	while (i < ENDS && value > ends[i])
		i++;
	p->buckets[i]++;
	p->sum += value;
}

static void wait(struct traffic_counts *c, struct count *n)
{
	if (n->waits)
		return;
	n->waits = true;
	n->next = c->waiting;
	if (n != c->counts)
		c->waiting = (uint16_t)(n - c->counts);
}

void traffic_count(struct traffic_counts *c, const struct traffic_sample *s)
{
	struct count *n = count_of(c, s);

	/* Row 0 is of requests. */
	if (s->key.is_tcp && n == c->counts)
		return;
	wait(c, n);
	if (s->key.is_tcp) {
		n->requests += s->requests;
		n->closed += s->closed;
		n->request_bytes.sum += s->request_bytes;
		n->response_bytes.sum += s->response_bytes;
		return;
	}
	n->requests++;
	add(&n->duration, s->duration_us, c->ends_us);
	add(&n->request_bytes, s->request_bytes, c->ends);
	add(&n->response_bytes, s->response_bytes, c->ends);
}

bool traffic_counts_wait(const struct traffic_counts *c)
{
	return c->waiting || c->counts[0].waits;
}

static void write_part(struct traffic_histogram *to, const struct part *p)
{
	for (int i = 0; i < TRAFFIC_BUCKETS; i++)
		if (p->buckets[i])
			stat_add(&to->buckets[i], p->buckets[i]);
	if (p->sum)
		stat_add(&to->sum, p->sum);
}

static void write_row(struct http_traffic *row, const struct count *n)
{
	stat_add(&row->requests, n->requests);
	if (n->closed)
		stat_add(&row->closed, n->closed);
	write_part(&row->duration, &n->duration);
	write_part(&row->request_bytes, &n->request_bytes);
	write_part(&row->response_bytes, &n->response_bytes);
}

/* Unless the row is another's by now, or is about to be. */
static bool write_to(struct http_traffic *row, uint32_t epoch, const struct count *n)
{
	bool is;

	/* Before the row's state is read: weftd reads them in the other order. */
	__atomic_fetch_add(&row->writers, 1, __ATOMIC_SEQ_CST);
	is = __atomic_load_n(&row->taken, __ATOMIC_SEQ_CST) == TRAFFIC_TAKEN &&
	     __atomic_load_n(&row->epoch, __ATOMIC_RELAXED) == epoch;
	if (is)
		write_row(row, n);
	__atomic_fetch_sub(&row->writers, 1, __ATOMIC_RELEASE);
	return is;
}

/* The shared row is of requests. */
static bool is_lost(const struct traffic_counts *c, const struct count *n)
{
	return n->key.is_tcp && n->row == row_at(c->rows, 0);
}

static void write_counted(struct traffic_counts *c, struct count *n)
{
	struct http_traffic *shared = row_at(c->rows, 0);

	for (int i = 0; i < TRIES; i++) {
		if (!n->row)
			n->row = traffic_row(c->rows, &n->key, n->host, strlen(n->host), &n->epoch);
		if (is_lost(c, n) && n->epoch == __atomic_load_n(&shared->epoch, __ATOMIC_RELAXED))
			return;
		if (!is_lost(c, n) && write_to(n->row, n->epoch, n))
			return;
		n->row = NULL;
	}
	if (!n->key.is_tcp)
		write_row(shared, n);
}

static void write_count(struct traffic_counts *c, struct count *n)
{
	if (n == c->counts)
		write_row(row_at(c->rows, 0), n);
	else
		write_counted(c, n);
	n->duration = n->request_bytes = n->response_bytes = (struct part){ 0 };
	n->requests = n->closed = 0;
	n->waits = false;
}

void traffic_counts_write(struct traffic_counts *c)
{
	while (c->waiting) {
		struct count *n = &c->counts[c->waiting];

		c->waiting = n->next;
		write_count(c, n);
	}
	if (c->counts[0].waits)
		write_count(c, &c->counts[0]);
}

void traffic_counts_tidy(struct traffic_counts *c, uint64_t now_ms)
{
	if (c->used < FULL && !c->refused)
		return;
	if (traffic_counts_wait(c) || (c->forgot_ms && now_ms - c->forgot_ms < FORGET_MS))
		return;
	memset(c->slots, 0, sizeof(c->slots));
	memset(&c->owned, 0, sizeof(c->owned));
	c->used = 1;
	c->refused = false;
	c->forgot_ms = now_ms;
}
