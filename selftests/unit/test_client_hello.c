// SPDX-License-Identifier: Apache-2.0
/*
 * The reader of ClientHellos: good ones in all pieces, more than a hundred that are malformed, and
 * what OpenSSL makes of the same bytes.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "lib/wire/client_hello.h"

enum { ROOM = 40 * 1024, RECORD_HEAD = 5, MESSAGE_HEAD = 4 };

struct bytes {
	unsigned char at[ROOM];
	size_t n;
};

/* ---- messages ---- */

static void add(struct bytes *b, const void *bytes, size_t n)
{
	cr_assert_leq(b->n + n, sizeof(b->at));
	memcpy(b->at + b->n, bytes, n);
	b->n += n;
}

static void add_number(struct bytes *b, size_t n, unsigned size)
{
	unsigned char text[4] = { (unsigned char)(n >> 24), (unsigned char)(n >> 16),
				  (unsigned char)(n >> 8), (unsigned char)n };

	add(b, text + 4 - size, size);
}

/* With its length in front of it. */
static void add_part(struct bytes *b, const void *bytes, size_t n, unsigned size)
{
	add_number(b, n, size);
	add(b, bytes, n);
}

static void add_extension(struct bytes *b, unsigned type, const void *bytes, size_t n)
{
	add_number(b, type, 2);
	add_part(b, bytes, n, 2);
}

static void add_name(struct bytes *b, const char *name)
{
	size_t n = strlen(name);
	struct bytes e = { .n = 0 };

	add_number(&e, n + 3, 2);
	add_number(&e, 0, 1);
	add_part(&e, name, n, 2);
	add_extension(b, 0, e.at, e.n);
}

/* The body of a ClientHello with these extensions; `extensions` is NULL: it ends before them. */
static struct bytes body(const struct bytes *extensions)
{
	static const unsigned char session[32] = { 7 }, ciphers[] = { 0x13, 0x01, 0x0a, 0x0a };
	struct bytes b = { .n = 0 };

	add_number(&b, 0x0303, 2);
	add(&b, session, sizeof(session)); /* for the random number */
	add_part(&b, session, sizeof(session), 1);
	add_part(&b, ciphers, sizeof(ciphers), 2);
	add_part(&b, "", 1, 1);
	if (extensions)
		add_part(&b, extensions->at, extensions->n, 2);
	return b;
}

static struct bytes message(const struct bytes *contents)
{
	struct bytes b = { .n = 0 };

	add_number(&b, 1, 1);
	add_part(&b, contents->at, contents->n, 3);
	return b;
}

/* In records of `size` bytes at most. */
static struct bytes records(const struct bytes *m, size_t size)
{
	struct bytes b = { .n = 0 };

	for (size_t at = 0, n; at < m->n; at += n) {
		n = m->n - at < size ? m->n - at : size;
		add_number(&b, 22, 1);
		add_number(&b, 0x0301, 2);
		add_part(&b, m->at + at, n, 2);
	}
	return b;
}

static struct bytes hello_of(const struct bytes *extensions)
{
	struct bytes b = body(extensions), m = message(&b);

	return records(&m, 1 << 14);
}

static struct bytes hello(const char *name)
{
	struct bytes extensions = { .n = 0 };

	add_extension(&extensions, 0x0a0a, "", 0); /* GREASE (RFC 8701) */
	add_name(&extensions, name);
	add_extension(&extensions, 16, "\0\x0c\x02h2\x08http/1.1", 14);
	add_extension(&extensions, 0xfafa, "\0", 1);
	return hello_of(&extensions);
}

/* Read from memory that ends where they do. */
static int read_n(const struct bytes *b, size_t n, struct client_hello *out)
{
	unsigned char *exact = malloc(n ? n : 1);
	int r;

	memcpy(exact, b->at, n);
	r = client_hello_read(exact, n, out);
	free(exact);
	return r;
}

static int read_all(const struct bytes *b, struct client_hello *out)
{
	return read_n(b, b->n, out);
}

/* ---- good ones ---- */

Test(client_hello, its_name_and_protocols)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "a.example.com", "a.example.com" },
		{ "A.Example.COM", "a.example.com" },
		{ "a.example.com.", "a.example.com" },
		{ "x", "x" },
		{ ".", "." },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
	};
	struct client_hello out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bytes b = hello(rows[i].name);

		cr_assert_eq(read_all(&b, &out), 0, "%s", rows[i].name);
		cr_expect_str_eq(out.name, rows[i].want);
		cr_expect_eq(out.name_len, strlen(rows[i].want));
		cr_expect_str_eq(out.alpn, "h2,http/1.1");
	}
}

Test(client_hello, the_longest_name)
{
	char name[CLIENT_HELLO_NAME_MAX + 2];
	struct client_hello out;
	struct bytes b;

	memset(name, 'a', sizeof(name));
	name[CLIENT_HELLO_NAME_MAX + 1] = 0;
	b = hello(name);
	cr_expect_eq(read_all(&b, &out), -EPROTO);
	name[CLIENT_HELLO_NAME_MAX] = 0;
	b = hello(name);
	cr_assert_eq(read_all(&b, &out), 0);
	cr_expect_str_eq(out.name, name);
}

Test(client_hello, none_need_be_asked_for)
{
	struct bytes none = { .n = 0 }, without = hello_of(&none), old = hello_of(NULL);
	struct client_hello out;

	cr_assert_eq(read_all(&without, &out), 0);
	cr_expect_str_eq(out.name, "");
	cr_expect_eq(out.name_len, 0u);
	cr_expect_str_eq(out.alpn, "");
	cr_assert_eq(read_all(&old, &out), 0, "before TLS had extensions");
	cr_expect_eq(out.name_len, 0u);
}

Test(client_hello, with_ech_the_outer_name_counts)
{
	struct bytes inner = { .n = 0 }, extensions = { .n = 0 }, b;
	struct client_hello out;

	add_name(&inner, "inner.test"); /* it would be encrypted */
	add_extension(&extensions, 0xfe0d, inner.at, inner.n);
	add_name(&extensions, "outer.test");
	b = hello_of(&extensions);
	cr_assert_eq(read_all(&b, &out), 0);
	cr_expect_str_eq(out.name, "outer.test");
}

Test(client_hello, protocols_that_are_no_text_are_left_out)
{
	static const char list[] = "\0\x0f\x02\x0a\x0a\x02h2\x03"
				   "a,b\x04http";
	struct bytes extensions = { .n = 0 }, b;
	struct client_hello out;

	add_extension(&extensions, 16, list, sizeof(list) - 1);
	b = hello_of(&extensions);
	b.at[b.n - sizeof(list) + 2] = sizeof(list) - 3;
	cr_assert_eq(read_all(&b, &out), 0);
	cr_expect_str_eq(out.alpn, "h2,http");
}

static bool offers_mesh(const char *list, size_t n)
{
	struct bytes extensions = { .n = 0 }, protocols = { .n = 0 }, b;
	struct client_hello out;

	add_part(&protocols, list, n, 2);
	add_extension(&extensions, 16, protocols.at, protocols.n);
	b = hello_of(&extensions);
	cr_assert_eq(read_all(&b, &out), 0);
	return out.mesh;
}

Test(client_hello, the_mesh_s_protocols_are_known)
{
	static const struct {
		const char *list;
		bool mesh;
	} rows[] = {
		{ "\x05istio", true },
		{ "\x0eistio-http/1.1\x05istio\x08http/1.1", true },
		{ "\x13istio-peer-exchange", true },
		{ "\x08http/1.1\x05istio", true },
		{ "\x08http/1.1\x02h2", false },
		{ "\x06istio2", false },
		{ "\x04isti\x02h2", false },
		{ "\x0bistio,istio", false },
	};
	struct bytes many = { .n = 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(offers_mesh(rows[i].list, strlen(rows[i].list)), rows[i].mesh, "%zu",
			     i);
	/* Of those that no text has room for, too. */
	for (int i = 0; i < 50; i++)
		add_part(&many, "some-protocol", 13, 1);
	add_part(&many, "istio", 5, 1);
	cr_expect(offers_mesh((const char *)many.at, many.n));
}

/* ---- in pieces ---- */

/* What is asked for is never more than there will be, and each time more than there was. */
static void grow(const struct bytes *b, size_t step)
{
	struct client_hello out;
	size_t n = 0;
	int r;

	while ((r = read_n(b, n, &out)) == -EAGAIN) {
		cr_assert_gt(out.needed, n);
		cr_assert_leq(out.needed, b->n);
		n = step ? n + step : out.needed;
		cr_assert_leq(n, b->n + step);
		n = n < b->n ? n : b->n;
	}
	cr_assert_eq(r, 0, "%zu of %zu bytes", n, b->n);
	cr_expect_eq(n, b->n, "%zu of %zu bytes", n, b->n);
	cr_expect_str_eq(out.name, "a.example.com");
}

Test(client_hello, in_segments)
{
	struct bytes b = hello("a.example.com");

	for (size_t step = 0; step <= b.n; step++)
		grow(&b, step);
}

Test(client_hello, in_records_of_any_size)
{
	struct bytes whole = hello("a.example.com");
	struct bytes m = { .n = whole.n - RECORD_HEAD };

	memcpy(m.at, whole.at + RECORD_HEAD, m.n);
	for (size_t size = 1; size <= m.n; size++) {
		struct bytes b = records(&m, size);

		grow(&b, 0);
		grow(&b, 1);
		grow(&b, 7);
	}
}

Test(client_hello, in_two_records_cut_anywhere)
{
	struct bytes whole = hello("a.example.com");
	size_t n = whole.n - RECORD_HEAD;

	for (size_t cut = 1; cut < n; cut++) {
		struct bytes first = { .n = cut }, second = { .n = n - cut }, b, rest;

		memcpy(first.at, whole.at + RECORD_HEAD, cut);
		memcpy(second.at, whole.at + RECORD_HEAD + cut, n - cut);
		b = records(&first, 1 << 14);
		rest = records(&second, 1 << 14);
		add(&b, rest.at, rest.n);
		grow(&b, 0);
		grow(&b, 1);
	}
}

Test(client_hello, what_follows_is_not_looked_at)
{
	struct bytes b = hello("a.example.com");
	struct client_hello out;

	add(&b, "\x17\x03\x03\xff\xff early data", 16);
	cr_assert_eq(read_all(&b, &out), 0);
	cr_expect_str_eq(out.name, "a.example.com");
}

static struct bytes padded(size_t padding)
{
	static const char zeros[ROOM];
	struct bytes extensions = { .n = 0 }, b, m;

	add_extension(&extensions, 21, zeros, padding);
	add_name(&extensions, "a.example.com");
	b = body(&extensions);
	m = message(&b);
	return records(&m, 4096);
}

Test(client_hello, up_to_16_kib)
{
	struct bytes b = padded(0), largest, larger;
	size_t rest = CLIENT_HELLO_MAX - b.n - 3 * RECORD_HEAD;
	struct client_hello out;

	largest = padded(rest);
	cr_assert_eq(largest.n, (size_t)CLIENT_HELLO_MAX);
	grow(&largest, 0);
	larger = padded(rest + 1);
	cr_expect_eq(read_all(&larger, &out), -E2BIG);
	/* Its length says so long before. */
	cr_expect_eq(read_n(&larger, RECORD_HEAD + MESSAGE_HEAD, &out), -EAGAIN);
	larger = padded(20000);
	cr_expect_eq(read_n(&larger, RECORD_HEAD + MESSAGE_HEAD, &out), -E2BIG);
}

/* One byte in each record is five sixths heads. */
Test(client_hello, heads_of_records_count)
{
	struct bytes b = padded(3000), m = { .n = 0 }, small;
	struct client_hello out;

	for (size_t at = 0; at < b.n; at += RECORD_HEAD + 4096)
		add(&m, b.at + at + RECORD_HEAD,
		    b.n - at - RECORD_HEAD < 4096 ? b.n - at - RECORD_HEAD : 4096);
	small = records(&m, 1);
	cr_assert_gt(small.n, (size_t)CLIENT_HELLO_MAX);
	cr_expect_eq(read_all(&small, &out), -E2BIG);
	small = records(&m, 2);
	cr_assert_lt(small.n, (size_t)CLIENT_HELLO_MAX);
	cr_expect_eq(read_all(&small, &out), 0);
}

/* ---- malformed ones ---- */

/* Refused, and no beginning of it is taken for a whole one. */
static void refuse(const struct bytes *b, const char *what, size_t which)
{
	struct client_hello out;

	cr_expect_eq(read_all(b, &out), -EPROTO, "%s %zu", what, which);
	for (size_t n = 0; n < b->n; n++) {
		int r = read_n(b, n, &out);

		cr_expect(r == -EAGAIN || r == -EPROTO, "%s %zu: %zu bytes: %d", what, which, n, r);
	}
}

Test(client_hello, what_is_something_else)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
#define ROW(text) { text, sizeof(text) - 1 }
		ROW("G"),
		ROW("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
		ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		ROW("SSH-2.0-OpenSSH_9.2\r\n"),
		ROW("EHLO a.example.com\r\n"),
		ROW("\r\n"),
		ROW("\0"),
		ROW("\0\0\0\x08\x04\xd2\x16\x2f"),   /* PostgreSQL asks whether it may speak TLS */
		ROW("\x80\x2e\x01\x03\x01"),	     /* SSL 2.0 */
		ROW("\x14\x03\x01\0\x01\x01"),	     /* ChangeCipherSpec */
		ROW("\x15\x03\x01\0\x02\x01\0"),     /* an alert */
		ROW("\x17\x03\x03\0\x01x"),	     /* application data */
		ROW("\x18\x03\x03\0\x03\x01\x40\0"), /* a heartbeat */
		ROW("\x16\x02"),		     /* a version that there is not */
		ROW("\x16\x04"),
		ROW("\x16\0\0"),
		ROW("\x16\xfe\xff"),	     /* DTLS */
		ROW("\x16\x03\x01\0\0"),     /* a record with nothing in it */
		ROW("\x16\x03\x01\x40\x01"), /* one with more than any has */
		ROW("\x16\x03\x01\xff\xff"),
		ROW("\x16\x03\x01\0\x04\0"),	     /* HelloRequest */
		ROW("\x16\x03\x01\0\x04\x02"),	     /* ServerHello */
		ROW("\x16\x03\x01\0\x04\x0b\0\0\0"), /* Certificate */
		ROW("\x16\x03\x01\0\x04\x03\0\0\0"), /* HelloVerifyRequest */
		ROW("\x16\x03\x01\0\x04\x01\0\0\0"), /* a ClientHello without anything */
		ROW("\x16\x03\x01\0\x05\x01\0\0\x01x"),
		ROW("\x16\x03\x01\0\x01\x01\x17\x03\x03\0\x01x"), /* data before its end */
		ROW("\x16\x03\x01\0\x01\x01\x15\x03\x03\0\x02\x02\x28"),
		ROW("\x16\x03\x01\0\x01\x01\x16\x03\x01\0\0"),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bytes b = { .n = 0 };

		add(&b, rows[i].bytes, rows[i].n);
		refuse(&b, "row", i);
	}
}

/* The lengths outside of it are right. */
Test(client_hello, a_body_that_is_cut_anywhere)
{
	struct bytes extensions = { .n = 0 }, whole, none = body(NULL);
	size_t refused = 0;

	add_name(&extensions, "a.example.com");
	add_extension(&extensions, 16, "\0\x03\x02h2", 5);
	whole = body(&extensions);
	for (size_t n = 0; n < whole.n; n++) {
		struct bytes cut = { .n = n }, m, b;

		memcpy(cut.at, whole.at, n);
		if (n == none.n)
			continue; /* without extensions: a whole one */
		m = message(&cut);
		b = records(&m, 1 << 14);
		refuse(&b, "cut at", n);
		refused++;
	}
	cr_assert_geq(refused, 100u);
}

Test(client_hello, a_body_with_something_behind_it)
{
	struct bytes extensions = { .n = 0 }, b, m, r;

	add_name(&extensions, "a.example.com");
	b = body(&extensions);
	for (size_t more = 1; more < 8; more++) {
		add_number(&b, 0, 1);
		m = message(&b);
		r = records(&m, 1 << 14);
		refuse(&r, "bytes behind it", more);
	}
}

/* Where the lengths in the body of hello() are: session, ciphers, compressions, extensions. */
Test(client_hello, lengths_that_are_wrong)
{
	enum { SESSION = RECORD_HEAD + MESSAGE_HEAD + 34, CIPHERS = SESSION + 33 };
	enum { COMPRESSIONS = CIPHERS + 6, EXTENSIONS = COMPRESSIONS + 2 };
	static const struct {
		size_t at;
		unsigned char value;
	} rows[] = {
		{ SESSION, 33 },	 { SESSION, 31 },
		{ SESSION, 0 },		 { SESSION, 255 },
		{ CIPHERS, 1 },		 { CIPHERS, 255 },
		{ CIPHERS + 1, 0 },	 { CIPHERS + 1, 3 },
		{ CIPHERS + 1, 5 },	 { CIPHERS + 1, 6 },
		{ CIPHERS + 1, 255 },	 { COMPRESSIONS, 0 },
		{ COMPRESSIONS, 2 },	 { COMPRESSIONS, 255 },
		{ EXTENSIONS, 1 },	 { EXTENSIONS + 1, 0 },
		{ EXTENSIONS + 1, 1 },	 { EXTENSIONS + 1, 255 },
		{ EXTENSIONS + 5, 1 },				 /* of the first extension */
		{ EXTENSIONS + 4, 1 },	 { EXTENSIONS + 9, 17 }, /* of the name's */
		{ EXTENSIONS + 9, 0 },	 { EXTENSIONS + 8, 1 },
		{ EXTENSIONS + 11, 0 }, /* of the list */
		{ EXTENSIONS + 11, 15 }, { EXTENSIONS + 11, 17 },
		{ EXTENSIONS + 10, 1 },	 { EXTENSIONS + 12, 1 }, /* no host's name */
		{ EXTENSIONS + 14, 0 },				 /* of the name */
		{ EXTENSIONS + 14, 12 }, { EXTENSIONS + 14, 14 },
		{ EXTENSIONS + 13, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bytes b = hello("a.example.com");

		b.at[rows[i].at] = rows[i].value;
		refuse(&b, "length", i);
	}
}

Test(client_hello, names_that_are_none)
{
	static const char *const rows[] = { "",	     "a b",	 " ",	       "a\tb", "a\nb",
					    "a\x7f", "\xc3\xa4", "a.test\r\n", "a\x01" };
	struct bytes extensions = { .n = 0 }, b;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		b = hello(rows[i]);
		refuse(&b, "name", i);
	}
	add_extension(&extensions, 0,
		      "\0\x06\0\0\x03"
		      "a\0b",
		      8);
	b = hello_of(&extensions);
	refuse(&b, "with a NUL", 0);
	extensions.n = 0;
	add_extension(&extensions, 0, "", 0);
	b = hello_of(&extensions);
	refuse(&b, "an extension with nothing in it", 0);
	extensions.n = 0;
	add_extension(&extensions, 0, "\0\0", 2);
	b = hello_of(&extensions);
	refuse(&b, "an empty list", 0);
	extensions.n = 0;
	add_extension(&extensions, 0,
		      "\0\x08\0\0\x01"
		      "a\0\0\x01"
		      "b",
		      10);
	b = hello_of(&extensions);
	refuse(&b, "two in one list", 0);
	extensions.n = 0;
	add_name(&extensions, "a.test");
	add_name(&extensions, "b.test");
	b = hello_of(&extensions);
	refuse(&b, "two lists", 0);
}

/* ---- beside OpenSSL ---- */

struct seen {
	bool called;
	const unsigned char *name; /* the extension; NULL: none */
	size_t n;
	size_t ciphers; /* bytes */
};

static int on_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *ciphers;
	struct seen *s = arg;

	(void)alert;
	s->called = true;
	if (SSL_client_hello_get0_ext(ssl, 0, &s->name, &s->n) != 1)
		s->name = NULL;
	s->ciphers = SSL_client_hello_get0_ciphers(ssl, &ciphers);
	return SSL_CLIENT_HELLO_RETRY;
}

/* What it asks for by OpenSSL, in `b`. */
static void write_hello(SSL_CTX *ctx, const char *name, struct bytes *b)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *s = SSL_new(ctx);
	char *text;

	if (name)
		SSL_set_tlsext_host_name(s, name);
	SSL_set_bio(s, in, out);
	SSL_set_connect_state(s);
	cr_assert_leq(SSL_do_handshake(s), 0);
	b->n = (size_t)BIO_get_mem_data(out, &text);
	cr_assert_leq(b->n, sizeof(b->at));
	memcpy(b->at, text, b->n);
	SSL_free(s);
}

/* Whatever it takes for a ClientHello is one, with the same name. Whether it does. */
static bool same(SSL_CTX *ctx, const struct bytes *b, struct seen *seen)
{
	char name[CLIENT_HELLO_NAME_MAX + 1] = "";
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *s = SSL_new(ctx);
	struct client_hello own;
	size_t len = 0;
	int r = 0;

	*seen = (struct seen){ 0 };
	BIO_write(in, b->at, (int)b->n);
	SSL_set_bio(s, in, out);
	SSL_set_accept_state(s);
	(void)SSL_do_handshake(s);
	/* These two are looked into after that. */
	if (seen->called && (!seen->ciphers || seen->ciphers % 2))
		r = -EPROTO;
	else if (seen->called && seen->name)
		r = client_hello_name(seen->name, seen->n, name, &len);
	if (seen->called) {
		cr_expect_eq(read_all(b, &own), r);
		if (!r)
			cr_expect_str_eq(own.name, name);
	}
	SSL_free(s);
	return seen->called && !r;
}

Test(client_hello, as_openssl_reads_it, .timeout = 120)
{
	static const char *const names[] = { NULL, "a.example.com", "B.test" };
	enum { MUTANTS = 20000 };
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());
	unsigned random = 1, taken = 0;
	struct bytes b, m;
	struct seen seen;

	SSL_CTX_set_client_hello_cb(server, on_hello, &seen);
	SSL_CTX_set_alpn_protos(client, (const unsigned char *)"\x02h2\x08http/1.1", 12);
	for (int i = 0; i < 6; i++) {
		SSL_CTX_set_max_proto_version(client, i < 3 ? TLS1_2_VERSION : 0);
		write_hello(client, names[i % 3], &b);
		cr_expect(same(server, &b, &seen));
		cr_expect_eq(!seen.name, !names[i % 3]);
		for (int k = 0; k < MUTANTS / 6; k++) {
			m = b;
			for (unsigned n = 1 + k % 3; n; n--) {
				random = random * 1103515245 + 12345;
				/* Not the record's length: OpenSSL passes over empty ones. */
				m.at[RECORD_HEAD + (random >> 8) % (m.n - RECORD_HEAD)] =
					(unsigned char)(random >> 24) & (k % 2 ? 255 : 31);
			}
			taken += same(server, &m, &seen);
		}
	}
	cr_expect_gt(taken, MUTANTS / 20u, "%u", taken);
	cr_expect_lt(taken, MUTANTS * 19u / 20, "%u", taken);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}
