// SPDX-License-Identifier: Apache-2.0
#include "proxy/io/transport_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/tls1.h>

#include "lib/base/cleanup.h"
#include "lib/wire/client_hello.h"
#include "proxy/io/tls_priv.h"

enum {
	RECORD_MAX = 16 * 1024, /* bytes that one record carries */
	RECORDS = 4,		/* that go out in one system call */
	FRAMING_MAX = 512,	/* bytes of a record beside what it carries, generously */
	GATHER_MAX = RECORDS * (RECORD_MAX + FRAMING_MAX),
	THROWS = 4, /* reads of what is thrown away, in one call */
};

struct tls {
	SSL *ssl;
	struct transport *transport;
	struct tls_context *context; /* NULL: no ClientHello has come yet */
	struct tls_client *client;   /* NULL: it is the server's side */
	struct tls_call call;	     /* of the client */
	tls_chooser choose;
	void *arg;
	void (*ready)(struct loop_io *io, unsigned events); /* the owner's */
	struct tls_facts *facts;			    /* the owner's */
	/* What SSL_write() was given when the socket had no room: it wants the very same bytes
	 * again, and how many of them are in a record already it does not say. NULL with `begun`:
	 * there was no memory for the copy, and no more can be sent. */
	char *held;
	size_t begun; /* bytes in it; 0: nothing waits */
	size_t ahead; /* at the beginning of what is offered next: these bytes have been sent */
	/* Records that the socket had no room for; NULL: none. What they and those that went out
	 * with them carry has not been told to be sent, and is offered again. */
	char *pending;
	size_t pending_at, pending_end, withheld;
	bool gathers;	 /* what OpenSSL writes waits in `gathered` */
	int end;	 /* what receiving has come to: 0 or -errno; of use where `over` is set */
	bool over;	 /* nothing more will be received: `end` is for ever */
	int error;	 /* why the handshake has failed: -errno; 0: it has not */
	int broken;	 /* what sending has come to: -errno for ever, or 0 */
	bool empty;	 /* the kernel has no more for this call */
	bool ended;	 /* the peer sends no more */
	bool touched;	 /* bytes have come */
	bool wants_room; /* to go on receiving, the socket needs room to send */
};

/* To OpenSSL a connection that ends without an alert has spoiled its session, which TLS has not
 * asked for since 1.1 (RFC 5246 7.2.1): requests are given up, and endpoints go away. */
static void spare_session(struct tls *s)
{
	if (s->client && !s->error && s->end != -EPROTO)
		SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN);
}

static void tls_free(struct tls *s)
{
	if (s->ssl)
		spare_session(s);
	SSL_free(s->ssl);
	tls_context_unref(s->context);
	tls_client_unref(s->client);
	free(s->held);
	free(s->pending);
	free(s);
}

DEFINE_CLEANUP(struct tls *, tls_free);

static struct tls *of(const struct transport *t)
{
	return t->state;
}

/* ---- the socket, as OpenSSL sees it ---- */

static int socket_read(BIO *b, char *to, int n)
{
	struct tls *s = BIO_get_data(b);
	ssize_t r = -1;

	BIO_clear_retry_flags(b);
	if (!s->empty) {
		do
			r = recv(s->transport->io.fd, to, (size_t)n, MSG_DONTWAIT);
		while (r < 0 && errno == EINTR);
		if (r < 0 && errno != EAGAIN)
			return -1;
	}
	if (r < 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	/* Less than asked for: to ask again would cost a system call that says so. */
	s->empty = r < n;
	s->ended = !r;
	s->touched |= r > 0;
	return (int)r;
}

/* How many, 0 where there is no room, or -errno. The socket does not tell of an error twice: to
 * receive from it would look like its end. EPIPE is none of the peer's. */
static ssize_t send_now(struct tls *s, const char *bytes, size_t n)
{
	ssize_t r;

	if (s->broken)
		return s->broken;
	do
		r = send(s->transport->io.fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r >= 0 || errno == EAGAIN)
		return r < 0 ? 0 : r;
	s->broken = errno == EPIPE ? 0 : -errno;
	return -errno;
}

/* Records that go out together: of one connection at a time, and never between two calls. */
static _Thread_local struct {
	size_t n;
	char bytes[GATHER_MAX];
} gathered;

/* 0: nothing is pending; -EAGAIN; another -errno. */
static int flush_pending(struct tls *s)
{
	ssize_t r;

	if (!s->pending)
		return 0;
	r = send_now(s, s->pending + s->pending_at, s->pending_end - s->pending_at);
	if (r < 0)
		return (int)r;
	s->pending_at += (size_t)r;
	if (s->pending_at < s->pending_end)
		return -EAGAIN;
	free(TAKE_PTR(s->pending));
	s->ahead += s->withheld;
	s->withheld = 0;
	return 0;
}

/* Likewise. What has no room is pending. */
static int flush_gathered(struct tls *s)
{
	size_t n = gathered.n;
	ssize_t sent = n ? send_now(s, gathered.bytes, n) : 0;

	gathered.n = 0;
	if (sent < 0 || (size_t)sent == n)
		return sent < 0 ? (int)sent : 0;
	s->pending_at = 0;
	s->pending_end = n - (size_t)sent;
	s->pending = malloc(s->pending_end);
	if (!s->pending)
		return -ENOMEM;
	memcpy(s->pending, gathered.bytes + sent, s->pending_end);
	return -EAGAIN;
}

static bool gather(const struct tls *s, const char *bytes, size_t n)
{
	if (!s->gathers || s->pending || n > GATHER_MAX - gathered.n)
		return false;
	memcpy(gathered.bytes + gathered.n, bytes, n);
	gathered.n += n;
	return true;
}

/* What there is to send before: 0, or as above. */
static int flush_before(struct tls *s)
{
	int r = flush_pending(s);

	return r || !s->gathers ? r : flush_gathered(s);
}

static int socket_write(BIO *b, const char *bytes, int n)
{
	struct tls *s = BIO_get_data(b);
	ssize_t r;

	BIO_clear_retry_flags(b);
	if (gather(s, bytes, (size_t)n))
		return n;
	r = flush_before(s);
	if (!r)
		r = send_now(s, bytes, (size_t)n);
	if (r > 0)
		return (int)r;
	if (!r || r == -EAGAIN)
		BIO_set_retry_write(b);
	return -1;
}

static long socket_control(BIO *b, int what, long n, void *p)
{
	const struct tls *s = BIO_get_data(b);

	(void)n;
	(void)p;
	if (what == BIO_CTRL_EOF)
		return s->ended;
	return what == BIO_CTRL_FLUSH;
}

static int socket_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

/* Made once for the process; OpenSSL has no other way to keep it. */
static BIO_METHOD *socket_method(void)
{
	static BIO_METHOD *method;
	BIO_METHOD *m = __atomic_load_n(&method, __ATOMIC_ACQUIRE), *none = NULL;

	if (m)
		return m;
	m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");
	if (!m || !BIO_meth_set_read(m, socket_read) || !BIO_meth_set_write(m, socket_write) ||
	    !BIO_meth_set_ctrl(m, socket_control) || !BIO_meth_set_create(m, socket_create) ||
	    !__atomic_compare_exchange_n(&method, &none, m, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		BIO_meth_free(m);
		return none;
	}
	return m;
}

/* ---- the ClientHello ---- */

_Static_assert((int)TLS_NAME_MAX == (int)CLIENT_HELLO_NAME_MAX, "a name may not fit");

/* -EBADMSG: it is malformed. */
static int hello_name(SSL *ssl, char out[TLS_NAME_MAX + 1], size_t *len)
{
	const unsigned char *at;
	size_t n;

	*len = 0;
	*out = 0;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at, &n) != 1)
		return 0;
	return client_hello_name(at, n, out, len) ? -EBADMSG : 0;
}

static int choose(struct tls *s, SSL *ssl)
{
	int r = s->choose(s->arg, s->facts->name, s->facts->name_len, &s->context);

	return r ? r : tls_context_use(s->context, ssl);
}

int tls_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *s = SSL_get_app_data(ssl);

	(void)arg;
	/* The second one, after a HelloRetryRequest, changes nothing. */
	if (s->context)
		return SSL_CLIENT_HELLO_SUCCESS;
	s->error = hello_name(ssl, s->facts->name, &s->facts->name_len);
	if (!s->error)
		s->error = choose(s, ssl);
	if (!s->error)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = s->error == -ENOENT	? SSL_AD_UNRECOGNIZED_NAME
		 : s->error == -EBADMSG ? SSL_AD_ILLEGAL_PARAMETER
					: SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

/* ---- the transport ---- */

/* What OpenSSL's call has come to: 0: the end; -EAGAIN; -errno: of no use any more. */
static int outcome(struct tls *s, int r)
{
	int error = SSL_get_error(s->ssl, r);

	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_WANT_WRITE:
		s->wants_room = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return -ECONNRESET;
	default:
		return -EPROTO;
	}
}

/* Closing with bytes unread would send a RST, and that could overtake the alert. Some at a time: a
 * client that goes on sending must not keep its worker from others. */
static ssize_t throw_away(struct transport *t)
{
	char bytes[4096];
	ssize_t r = 0;
	int times = 0;

	do
		r = recv(t->io.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while ((r > 0 && ++times < THROWS) || (r < 0 && errno == EINTR));
	t->more = r > 0;
	if (t->more)
		return -EAGAIN;
	return r < 0 ? -errno : 0;
}

/* Reads until there is no more, or no more for ever. */
static size_t read_records(struct tls *s, char *to, size_t n)
{
	size_t sum = 0, got;
	int r = 1;

	s->empty = s->wants_room = false;
	while (sum < n && (r = SSL_read_ex(s->ssl, to + sum, n - sum, &got)) > 0)
		sum += got;
	if (r > 0)
		return sum;
	s->end = outcome(s, r);
	if (!s->end)
		s->end = s->broken;
	s->over = s->end != -EAGAIN;
	return sum;
}

static ssize_t tls_recv(struct transport *t, void *to, size_t n)
{
	struct tls *s = of(t);
	size_t sum;

	if (s->error)
		return throw_away(t);
	t->more = false;
	sum = s->over ? 0 : read_records(s, to, n);
	/* The end is told when the bytes before it have been: the socket may have no event left for
	 * it. */
	t->more = sum && s->over;
	return sum ? (ssize_t)sum : s->end;
}

/* As much as a record carries of what is behind the first `skip` bytes of the parts: where it is,
 * if it is in one of them, else a copy in `room`. */
static const char *next_bytes(const struct iovec *parts, size_t count, size_t skip,
			      char room[RECORD_MAX], size_t *n)
{
	size_t left, take;

	for (; count && skip >= parts->iov_len; count--)
		skip -= parts++->iov_len;
	*n = 0;
	if (!count)
		return NULL;
	left = parts->iov_len - skip;
	if (count == 1 || left >= RECORD_MAX) {
		*n = left < RECORD_MAX ? left : RECORD_MAX;
		return (const char *)parts->iov_base + skip;
	}
	for (; count && *n < RECORD_MAX; count--, parts++, skip = 0) {
		take = parts->iov_len - skip;
		if (take > RECORD_MAX - *n)
			take = RECORD_MAX - *n;
		memcpy(room + *n, (const char *)parts->iov_base + skip, take);
		*n += take;
	}
	return room;
}

/* Keeps a copy of what is to be written again. */
static void hold(struct tls *s, const char *bytes, size_t n)
{
	s->held = malloc(n);
	s->begun = n;
	if (s->held)
		memcpy(s->held, bytes, n);
}

/* What had no room goes out, or -errno. It may be that not all of it is sent, for there may be more
 * than one record in it: the rest is offered again. */
static int flush_held(struct tls *s)
{
	size_t sent;
	int r;

	if (!s->begun)
		return 0;
	if (!s->held)
		return -ENOMEM;
	r = SSL_write_ex(s->ssl, s->held, s->begun, &sent);
	if (r <= 0)
		return outcome(s, r);
	s->ahead += sent;
	s->begun = 0;
	free(TAKE_PTR(s->held));
	return 0;
}

/* Makes records of the parts, behind their first *sum bytes, for as long as they can be gathered.
 */
static int write_records(struct tls *s, const struct iovec *parts, size_t count, size_t *sum)
{
	char room[RECORD_MAX];
	const char *at;
	size_t n, written;
	int r;

	while (GATHER_MAX - gathered.n >= RECORD_MAX + FRAMING_MAX &&
	       (at = next_bytes(parts, count, *sum, room, &n))) {
		r = SSL_write_ex(s->ssl, at, n, &written);
		if (r <= 0) {
			r = outcome(s, r);
			if (r == -EAGAIN)
				hold(s, at, n);
			return r;
		}
		*sum += written;
	}
	return 0;
}

/* Some records, as far as there is room. */
static int send_records(struct tls *s, const struct iovec *parts, size_t count, size_t *sum)
{
	size_t before = *sum;
	int r, sent;

	s->gathers = true;
	r = write_records(s, parts, count, sum);
	s->gathers = false;
	sent = flush_gathered(s);
	if (!sent)
		return r;
	/* Nothing of it has arrived. */
	if (sent == -EAGAIN)
		s->withheld = *sum - before;
	*sum = before;
	return sent;
}

static ssize_t tls_send(struct transport *t, const struct iovec *parts, size_t count)
{
	struct tls *s = of(t);
	size_t sum = 0, total = 0;
	int r = flush_pending(s);

	if (!r)
		r = flush_held(s);
	if (r)
		return r;
	for (size_t i = 0; i < count; i++)
		total += parts[i].iov_len;
	sum = s->ahead < total ? s->ahead : total;
	s->ahead -= sum;
	while (!r && sum < total)
		r = send_records(s, parts, count, &sum);
	return sum ? (ssize_t)sum : r;
}

static void tls_shut(struct transport *t)
{
	struct tls *s = of(t);

	if (!s->error && !s->begun && !s->pending && SSL_is_init_finished(s->ssl))
		(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
	shutdown(t->io.fd, SHUT_WR);
}

static void tls_close(struct transport *t)
{
	tls_free(of(t));
	t->state = NULL;
	t->ops = NULL;
}

static const struct transport_ops ops = { tls_recv, tls_send, tls_shut, tls_close };

/* What receiving waits for may be room. */
static void socket_ready(struct loop_io *io, unsigned events)
{
	struct tls *s = of((struct transport *)io);

	if (s->wants_room && (events & LOOP_WRITE))
		events |= LOOP_READ;
	/* Of a handshake: nothing else is to be sent yet. What is wrong the next call says. */
	if (events & LOOP_WRITE)
		(void)flush_pending(s);
	s->ready(io, events);
}

/* Takes `ssl` over, also on failure; NULL: there was no memory for it. */
static int begin(struct tls *s, SSL *ssl)
{
	BIO_METHOD *method = ssl ? socket_method() : NULL;
	BIO *bio = method ? BIO_new(method) : NULL;

	s->ssl = ssl;
	if (!bio) {
		ERR_clear_error();
		return -ENOMEM;
	}
	BIO_set_data(bio, s);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_app_data(ssl, s);
	return 0;
}

static void take_over(struct transport *t, struct tls *s, struct tls_facts *facts)
{
	s->transport = t;
	s->ready = t->io.ready;
	s->facts = facts;
	t->io.ready = socket_ready;
	t->ops = &ops;
	t->state = s;
}

int transport_tls_open(struct transport *t, const struct tls_base *b, tls_chooser chooser,
		       void *arg, struct tls_facts *facts)
{
	_cleanup_(tls_freep) struct tls *s = calloc(1, sizeof(*s));

	if (!s || begin(s, SSL_new(tls_base_context(b))))
		return -ENOMEM;
	SSL_set_accept_state(s->ssl);
	s->choose = chooser;
	s->arg = arg;
	take_over(t, TAKE_PTR(s), facts);
	return 0;
}

/* ---- as a client ---- */

const struct tls_call *transport_tls_call(const SSL *ssl)
{
	const struct tls *s = SSL_get_app_data(ssl);

	return &s->call;
}

int transport_tls_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *s = SSL_get_app_data(ssl);

	tls_client_keep(s->client, &s->call, session);
	return 1; /* the reference has been taken */
}

int transport_tls_connect(struct transport *t, struct tls_client *client,
			  const struct tls_call *call, struct tls_facts *facts)
{
	_cleanup_(tls_freep) struct tls *s = calloc(1, sizeof(*s));

	if (!s || begin(s, tls_client_connect(client, call)))
		return -ENOMEM;
	s->client = tls_client_ref(client);
	s->call = *call;
	take_over(t, TAKE_PTR(s), facts);
	return 0;
}

/* ---- the handshake ---- */

/* What is wrong with the peer's certificate. */
static enum tls_failure verify_failure(const struct tls *s)
{
	switch (SSL_get_verify_result(s->ssl)) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return TLS_FAIL_VERIFY_SAN;
	case X509_V_ERR_CERT_REJECTED:
		return TLS_FAIL_VERIFY_HASH;
	default:
		return TLS_FAIL_VERIFY_ERROR;
	}
}

/* `error`: OpenSSL's, 0: none. */
static enum tls_failure failure_of(const struct tls *s, unsigned long error)
{
	if (s->error == -ENOENT)
		return TLS_NO_SERVER;
	if (!error)
		return TLS_PEER_GONE;
	switch (ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return TLS_FAIL_VERIFY_NO_CERT;
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return verify_failure(s);
	default:
		return TLS_CONNECTION_ERROR;
	}
}

static int handshake_done(struct tls *s)
{
	s->facts->certified = SSL_get0_peer_certificate(s->ssl);
	s->facts->version = SSL_get_version(s->ssl);
	s->facts->cipher = SSL_get_cipher_name(s->ssl);
	s->facts->resumed = SSL_session_reused(s->ssl);
	if (s->client)
		return 0;
	return tls_peer_read(s->ssl, !s->context->takes_identity, &s->facts->peer);
}

int transport_tls_handshake(struct transport *t)
{
	struct tls *s = of(t);
	int r, sent;

	if (s->error)
		return s->error;
	s->empty = s->wants_room = false;
	s->gathers = !s->pending;
	r = SSL_do_handshake(s->ssl);
	s->gathers = false;
	sent = flush_gathered(s);
	if (sent && sent != -EAGAIN) {
		r = sent;
		s->facts->failure = TLS_PEER_GONE;
		ERR_clear_error();
	} else if (r == 1) {
		r = handshake_done(s);
	} else {
		/* What came before says why, such as a signature that is not right. */
		unsigned long why = ERR_peek_last_error();
		int error = outcome(s, r);

		if (error == -EAGAIN)
			return error;
		s->facts->failure = failure_of(s, why);
		/* What the ClientHello came to says more. */
		r = s->error ? s->error : error ? error : -ECONNRESET;
	}
	s->error = r;
	return r;
}

bool transport_tls_is_fresh(const struct transport *t)
{
	return !of(t)->touched;
}
