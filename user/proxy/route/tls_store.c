// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/tls_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "lib/base/bytemap.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/route/route.h"
#include "lib/route/workload.h"
#include "lib/wire/credentials.h"
#include "proxy/route/tls_clients.h"
#include "proxy/route/tls_digest.h"
#include "proxy/route/tls_kept.h"

enum {
	BUCKETS = 256,
	SERVERS_MAX = 8192,	    /* beyond that, those that were made are forgotten */
	TICKETS_MAGIC = 0x77746b31, /* also the version of what the file looks like */
};

/* A server that has been made, or why not. */
struct made {
	struct made *next;
	uint64_t round;		     /* of the credentials that it was last compared with */
	struct tls_context *context; /* NULL: `error` */
	int error;
	unsigned char pem[TLS_DIGEST]; /* what it was made of */
	size_t len;
	char key[]; /* all that the snapshot says of it */
};

struct tls_store {
	pthread_mutex_t lock;
	/* Under the lock. */
	struct tls_base *base; /* NULL: TLS was never spoken */
	void *bytes;	       /* the file, mapped, or what was made of it; or NULL */
	size_t size;
	struct credentials *credentials; /* or NULL */
	int64_t end;	/* of a certificate that was kept, the first, Unix seconds; 0: none; read
			 * without the lock, too */
	uint64_t round; /* grows with every file; read without the lock, too */
	struct tls_clients clients;
	struct made *made[BUCKETS];
	size_t count;
};

struct tls_store *tls_store_new(void)
{
	struct tls_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->round = 1;
	return s;
}

/* ---- the credentials ---- */

static void free_file(void *bytes, size_t size)
{
	if (bytes)
		munmap(bytes, size);
}

static void free_made(struct made *m)
{
	tls_context_unref(m->context);
	free(m);
}

/* Under the lock: forgets servers that nobody has called since round `since`. */
static void forget_before(struct tls_store *s, uint64_t since)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct made **at = &s->made[i]; *at;) {
			struct made *m = *at;

			if (m->round >= since) {
				at = &m->next;
				continue;
			}
			*at = m->next;
			free_made(m);
			s->count--;
		}
}

void tls_store_free(struct tls_store *s)
{
	if (!s)
		return;
	forget_before(s, UINT64_MAX);
	tls_clients_forget_before(&s->clients, UINT64_MAX);
	credentials_close(s->credentials);
	free_file(s->bytes, s->size);
	tls_base_free(s->base);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int map(int fd, void **bytes, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size <= 0)
		return -EBADMSG;
	*size = (size_t)st.st_size;
	*bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (*bytes != MAP_FAILED)
		return 0;
	*bytes = NULL;
	return -errno;
}

/* A file of credentials. */
struct file {
	struct credentials *credentials; /* or NULL */
	void *bytes;			 /* that those are in; or NULL */
	size_t size;
	int64_t end; /* of a certificate that was kept */
};

static void close_file(struct file *f)
{
	credentials_close(f->credentials);
	free_file(f->bytes, f->size);
	*f = (struct file){ 0 };
}

static int open_file(int fd, struct file *out)
{
	int r = map(fd, &out->bytes, &out->size);

	if (!r)
		r = credentials_open(out->bytes, out->size, &out->credentials);
	if (r)
		close_file(out);
	return r;
}

/* `next` with the certificates of `last` that its identities lack; empty: there is none of them. */
static int kept_of(const struct credentials *next, const struct credentials *last, struct file *out)
{
	struct tls_kept kept;
	int r = tls_kept(next, last, (int64_t)time(NULL), &kept);

	*out = (struct file){ .bytes = kept.bytes, .size = kept.size, .end = kept.end };
	if (!r && out->bytes)
		r = credentials_open(out->bytes, out->size, &out->credentials);
	if (r)
		close_file(out);
	return r;
}

/* Under the lock. `f` becomes what it is with the certificates that identities keep. */
static int keep_certificates(struct tls_store *s, struct file *f)
{
	struct file kept = { 0 };
	int r = kept_of(f->credentials, s->credentials, &kept);

	if (!r && kept.credentials) {
		close_file(f);
		*f = kept;
	}
	return r;
}

/* Under the lock. `f` is what was there before from then on. */
static void exchange(struct tls_store *s, struct file *f)
{
	const struct file old = { s->credentials, s->bytes, s->size, s->end };

	s->credentials = f->credentials;
	s->bytes = f->bytes;
	s->size = f->size;
	__atomic_store_n(&s->end, f->end, __ATOMIC_RELAXED);
	*f = old;
	forget_before(s, s->round);
	tls_clients_forget_before(&s->clients, s->round);
	__atomic_store_n(&s->round, s->round + 1, __ATOMIC_RELEASE);
}

int tls_store_set(struct tls_store *s, int fd)
{
	struct file f = { 0 };
	int r = open_file(fd, &f);

	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	r = keep_certificates(s, &f);
	if (!r)
		exchange(s, &f);
	pthread_mutex_unlock(&s->lock);
	close_file(&f);
	return r;
}

int tls_store_tell_identities(struct tls_store *s, int fd)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = tls_kept_write(s->credentials, fd);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Those that are needed come from weftd: before that, all of them are there to be kept. */
int tls_store_take_identities(struct tls_store *s, int fd)
{
	struct file theirs = { 0 }, f = { 0 };
	int r = open_file(fd, &theirs);

	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	theirs.end = 1; /* they are looked at when one is needed */
	if (s->credentials)
		r = kept_of(s->credentials, theirs.credentials, &f);
	else
		exchange(s, &theirs);
	if (s->end && s->end < f.end)
		f.end = s->end;
	if (!r && f.credentials)
		exchange(s, &f);
	pthread_mutex_unlock(&s->lock);
	close_file(&theirs);
	close_file(&f);
	return r;
}

/* ---- a server ---- */

static struct tls_text text(const struct http_snapshot *s, struct hs_str str)
{
	return (struct tls_text){ hs_text(s, str), str.len };
}

static struct tls_text pem(struct credential_text t)
{
	return (struct tls_text){ t.at, t.len };
}

/* Lists of the snapshot, for as long as a server is made. */
struct lists {
	struct tls_text *items;
	size_t count;
};

static struct tls_texts put_list(struct lists *l, const struct http_snapshot *s,
				 struct hs_range range)
{
	struct tls_texts out = { l->items + l->count, range.count };

	for (uint32_t i = 0; i < range.count; i++)
		l->items[l->count++] = text(s, hs_text_row(s, range.first + i)->text);
	return out;
}

/* What a server is to be made for. */
struct wanted {
	/* NULL: it is that of pods, and `name` their identity. */
	const struct hs_server *server;
	const struct http_snapshot *snapshot; /* of the server */
	struct tls_text name, credential;
};

static bool is_identity(const char *uri, size_t len)
{
	struct authz_text ns, account;

	return !identity_parse(uri, len, &ns, &account);
}

static struct tls_settings workload_settings(const struct wanted *w, const struct credential *c)
{
	return (struct tls_settings){
		.name = w->name,
		.chain = pem(c->chain),
		.key = pem(c->key),
		.ca = pem(c->ca),
		.mode = TLS_MUTUAL,
		.min_version = TLS1_3_VERSION,
		.max_version = TLS1_3_VERSION,
		.takes_identity = is_identity,
	};
}

static int server_settings(const struct wanted *w, const struct credential *c,
			   struct tls_settings *out, struct lists *l)
{
	const struct http_snapshot *s = w->snapshot;
	const struct hs_server *server = w->server;

	l->items = calloc((size_t)server->alt_names.count + server->spkis.count +
				  server->hashes.count + 1,
			  sizeof(*l->items));
	if (!l->items)
		return -ENOMEM;
	*out = (struct tls_settings){
		.name = w->name,
		.chain = pem(c->chain),
		.key = pem(c->key),
		.ca = pem(c->ca),
		.crl = pem(c->crl),
		.mode = (enum tls_mode)server->mode,
		.min_version = (uint16_t)server->min_version,
		.max_version = (uint16_t)server->max_version,
		.ciphers = text(s, server->ciphers),
		.alt_names = put_list(l, s, server->alt_names),
		.spkis = put_list(l, s, server->spkis),
		.hashes = put_list(l, s, server->hashes),
		.opaque = server->kind == HS_SERVER_TCP,
	};
	return 0;
}

_Static_assert((int)HS_TLS_SIMPLE == (int)TLS_SIMPLE && (int)HS_TLS_MUTUAL == (int)TLS_MUTUAL &&
		       (int)HS_TLS_OPTIONAL_MUTUAL == (int)TLS_OPTIONAL_MUTUAL,
	       "a mode of the snapshot is one of tls.h");

/* Under the lock, as all below. */
static int base(struct tls_store *s)
{
	return s->base ? 0 : tls_base_new(&s->base);
}

static int make(struct tls_store *s, const struct wanted *w, const struct credential *c,
		struct tls_context **out)
{
	struct tls_settings settings;
	struct lists lists = { 0 };
	const char *why = "";
	int r = 0;

	if (w->server)
		r = server_settings(w, c, &settings, &lists);
	else
		settings = workload_settings(w, c);
	if (!r)
		r = base(s);
	if (!r)
		r = tls_context_new(s->base, &settings, out, &why);
	if (r == -EINVAL)
		log_err(0, "%.*s: its TLS handshakes fail: %s of %.*s", (int)w->name.len,
			w->name.at, why, (int)w->credential.len, w->credential.at);
	free(lists.items);
	return r;
}

/* Compares what the server was made of with what there is now; makes it again if that differs. */
static int renew(struct tls_store *s, struct made *m, const struct wanted *w)
{
	const struct credential *c =
		s->credentials
			? credentials_find(s->credentials, w->credential.at, w->credential.len)
			: NULL;
	struct tls_context *context = NULL;
	unsigned char now[TLS_DIGEST] = { 0 };
	int r;

	if (c && tls_lacks_certificate(c))
		c = NULL;
	if (c && !tls_digest(c, now))
		return -ENOMEM;
	if (c && m->context && !memcmp(now, m->pem, sizeof(now))) {
		m->round = s->round;
		return 0;
	}
	if (!c)
		log_err(0, "%.*s: its TLS handshakes fail: there is no %.*s", (int)w->name.len,
			w->name.at, (int)w->credential.len, w->credential.at);
	r = c ? make(s, w, c, &context) : -ENOKEY;
	if (r == -ENOMEM)
		return r;
	tls_context_unref(m->context);
	m->context = context;
	m->error = r;
	m->round = s->round;
	memcpy(m->pem, now, sizeof(now));
	return r;
}

/* ---- those that have been made ---- */

static char *put(char *at, const void *bytes, size_t n)
{
	return n ? mempcpy(at, bytes, n) : at;
}

/* Each with its length, so that no two servers have the same key. */
static char *put_text(char *at, const struct http_snapshot *s, struct hs_str str)
{
	return put(put(at, &str.len, sizeof(str.len)), hs_text(s, str), str.len);
}

static size_t list_size(const struct http_snapshot *s, struct hs_range range)
{
	size_t n = sizeof(uint32_t);

	for (uint32_t i = 0; i < range.count; i++)
		n += sizeof(uint32_t) + hs_text_row(s, range.first + i)->text.len;
	return n;
}

static char *put_texts(char *at, const struct http_snapshot *s, struct hs_range range)
{
	at = put(at, &range.count, sizeof(range.count));
	for (uint32_t i = 0; i < range.count; i++)
		at = put_text(at, s, hs_text_row(s, range.first + i)->text);
	return at;
}

/* A new one, with its key. NULL: no memory. No server has 0 for its mode. */
static struct made *made_for_identity(const struct tls_text *identity)
{
	const uint32_t mode = 0;
	struct made *m = calloc(1, sizeof(*m) + sizeof(mode) + identity->len);

	if (!m)
		return NULL;
	m->len = sizeof(mode) + identity->len;
	put(put(m->key, &mode, sizeof(mode)), identity->at, identity->len);
	return m;
}

/* Likewise. */
static struct made *made_new(const struct http_snapshot *s, const struct hs_server *server)
{
	const uint32_t numbers[] = { server->mode, server->min_version, server->max_version,
				     server->kind };
	size_t n = sizeof(numbers) + 3 * sizeof(uint32_t) + server->name.len +
		   server->credential.len + server->ciphers.len + list_size(s, server->alt_names) +
		   list_size(s, server->spkis) + list_size(s, server->hashes);
	struct made *m = calloc(1, sizeof(*m) + n);
	char *at;

	if (!m)
		return NULL;
	m->len = n;
	at = put(m->key, numbers, sizeof(numbers));
	at = put_text(at, s, server->name);
	at = put_text(at, s, server->credential);
	at = put_text(at, s, server->ciphers);
	at = put_texts(at, s, server->alt_names);
	at = put_texts(at, s, server->spkis);
	put_texts(at, s, server->hashes);
	return m;
}

/* The one with the key of `like`, which is freed or becomes it. */
static struct made *find(struct tls_store *s, struct made *like)
{
	struct made **bucket = &s->made[bytes_hash(like->key, like->len) % BUCKETS];

	for (struct made *m = *bucket; m; m = m->next)
		if (m->len == like->len && !memcmp(m->key, like->key, m->len)) {
			free(like);
			return m;
		}
	if (s->count == SERVERS_MAX)
		forget_before(s, UINT64_MAX);
	like->next = *bucket;
	*bucket = like;
	s->count++;
	return like;
}

/* A reference of the one with the key of `m`, which is taken over; NULL: no memory. */
static int get(struct tls_store *s, struct made *m, const struct wanted *w,
	       struct tls_context **out)
{
	int r = 0;

	if (!m)
		return -ENOMEM;
	pthread_mutex_lock(&s->lock);
	m = find(s, m);
	/* A new one has neither. */
	if (m->round != s->round || (!m->context && !m->error))
		r = renew(s, m, w);
	else
		r = m->error;
	if (!r)
		*out = tls_context_ref(m->context);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int tls_store_server(struct tls_store *s, const struct http_snapshot *snapshot,
		     const struct hs_server *server, struct tls_context **out)
{
	const struct wanted w = { .server = server,
				  .snapshot = snapshot,
				  .name = text(snapshot, server->name),
				  .credential = text(snapshot, server->credential) };

	return get(s, made_new(snapshot, server), &w, out);
}

int tls_store_workload(struct tls_store *s, const char *identity, size_t len,
		       struct tls_context **out)
{
	const struct tls_text name = { identity, len };
	const struct wanted w = { .name = name, .credential = name };

	return get(s, made_for_identity(&name), &w, out);
}

/* ---- clients ---- */

static bool is_over(const struct tls_store *s)
{
	int64_t end = __atomic_load_n(&s->end, __ATOMIC_RELAXED);

	return end && (int64_t)time(NULL) >= end;
}

/* What weftd has no other one for ends here: it does not know when. Without memory it is tried
 * again. */
static void end_certificates(struct tls_store *s)
{
	struct file f = { 0 };

	pthread_mutex_lock(&s->lock);
	if (is_over(s) && !kept_of(s->credentials, NULL, &f)) {
		if (f.credentials)
			exchange(s, &f);
		else
			__atomic_store_n(&s->end, f.end, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&s->lock);
	close_file(&f);
}

uint64_t tls_store_round(struct tls_store *s)
{
	if (is_over(s))
		end_certificates(s);
	return __atomic_load_n(&s->round, __ATOMIC_ACQUIRE);
}

int tls_store_client(struct tls_store *s, const struct http_snapshot *snapshot,
		     const struct hs_client_tls *row, struct tls_client **out)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = tls_clients_get(&s->clients, s->credentials, s->round, snapshot, row, out);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int tls_store_identity_client(struct tls_store *s, struct http_span identity,
			      struct tls_client **out)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = tls_clients_get_identity(&s->clients, s->credentials, s->round, identity, out);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- ticket keys ---- */

/* What is in their file. */
struct tickets {
	uint32_t magic;
	uint32_t count;
	struct tls_ticket_key keys[TLS_TICKET_KEYS];
};

int tls_store_tell_tickets(struct tls_store *s, int fd)
{
	struct tickets t = { .magic = TICKETS_MAGIC };
	int r;

	pthread_mutex_lock(&s->lock);
	if (s->base)
		t.count = (uint32_t)tls_base_tickets(s->base, t.keys);
	pthread_mutex_unlock(&s->lock);
	r = bytes_write(fd, &t, sizeof(t));
	OPENSSL_cleanse(&t, sizeof(t));
	return r;
}

static int read_tickets(int fd, struct tickets *out)
{
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	n = read(fd, out, sizeof(*out));
	if (n < 0)
		return -errno;
	return n == sizeof(*out) && out->magic == TICKETS_MAGIC && out->count <= TLS_TICKET_KEYS
		       ? 0
		       : -EBADMSG;
}

int tls_store_take_tickets(struct tls_store *s, int fd)
{
	struct tickets t = { 0 };
	int r = read_tickets(fd, &t);

	pthread_mutex_lock(&s->lock);
	if (!r && t.count)
		r = base(s);
	if (!r && t.count)
		tls_base_take_tickets(s->base, t.keys, t.count);
	pthread_mutex_unlock(&s->lock);
	OPENSSL_cleanse(&t, sizeof(t));
	return r;
}

int tls_store_base(struct tls_store *s, const struct tls_base **out)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = base(s);
	*out = s->base;
	pthread_mutex_unlock(&s->lock);
	return r;
}
