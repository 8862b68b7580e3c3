// SPDX-License-Identifier: Apache-2.0
/*
 * A transport of TLS against OpenSSL's client, over a pair of sockets.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "proxy/io/transport_tls.h"
#include "test_tls_util.h"

enum { PATIENCE = 10000, BULK = 3 * 1024 * 1024 };

static struct made_cert ca, server, client;
static char *ca_pem, *server_pem, *server_key;
static struct tls_base *base;
static struct tls_context *context, *other;
static struct transport transport;
static struct tls_facts facts;
static enum tls_failure failure; /* of the last alert */
static SSL_CTX *client_ctx;
static SSL *peer;
static int fds[2], events;
static bool by_tcp; /* the pair of sockets is one of TCP, whose end may be a reset */

static void setup(void)
{
	ca = cert_make("an authority", NULL, NULL, 10);
	server = cert_make("server", "DNS:a.test,URI:spiffe://td/ns/n/sa/gw", &ca, 10);
	client = cert_make("client, \"quoted\"",
			   "URI:spiffe://td/ns/x/sa/y,DNS:c.test,email:m@c.test,IP:10.0.0.1", &ca,
			   10);
	ca_pem = cert_pem(&ca);
	server_pem = cert_pem(&server);
	server_key = cert_key_pem(&server);
	cr_assert_eq(tls_base_new(&base), 0);
	peer = NULL;
	client_ctx = NULL;
	context = other = NULL;
	fds[0] = fds[1] = -1;
	transport.ops = NULL;
}

static void hang_up(void)
{
	if (transport.ops)
		transport_close(&transport);
	tls_peer_free(&facts.peer);
	facts = (struct tls_facts){ 0 };
	if (fds[1] >= 0)
		close(fds[1]);
	if (peer)
		SSL_set_shutdown(peer, SSL_SENT_SHUTDOWN); /* its session is good all the same */
	SSL_free(peer);
	peer = NULL;
	fds[1] = -1;
}

static void teardown(void)
{
	hang_up();
	SSL_CTX_free(client_ctx);
	tls_context_unref(context);
	tls_context_unref(other);
	tls_base_free(base);
	cert_free(&ca);
	cert_free(&server);
	cert_free(&client);
	free(ca_pem);
	free(server_pem);
	free(server_key);
}

TestSuite(proxy_tls_transport, .init = setup, .fini = teardown, .timeout = 60);

static int choose(void *arg, const char *name, size_t n, struct tls_context **out)
{
	(void)arg;
	cr_assert_eq(strlen(name), n);
	if (!strcmp(name, "nobody.test"))
		return -ENOENT;
	if (!strcmp(name, "broken.test"))
		return -ENOKEY;
	*out = tls_context_ref(!strcmp(name, "other.test") ? other : context);
	return 0;
}

static void ready(struct loop_io *io, unsigned e)
{
	(void)io;
	events |= (int)e;
}

static void tcp_pair(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(fds[1], (struct sockaddr *)&at, len), 0);
	fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	cr_assert_geq(fds[0], 0);
	cr_assert_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	close(listener);
}

static void connect_to(const char *name)
{
	if (by_tcp)
		tcp_pair();
	else
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	transport = (struct transport){ .io = { fds[0], ready } };
	cr_assert_eq(transport_tls_open(&transport, base, choose, NULL, &facts), 0);
	peer = client_new(client_ctx, fds[1], name);
}

/* The server's result, once it has one; the client's goes to *done. */
static int handshake(bool *done)
{
	int r = -EAGAIN;

	*done = false;
	for (int i = 0; i < PATIENCE && (r == -EAGAIN || !*done); i++) {
		if (SSL_do_handshake(peer) == 1)
			*done = true;
		if (r == -EAGAIN)
			r = transport_tls_handshake(&transport);
		if (r && r != -EAGAIN) {
			(void)SSL_do_handshake(peer);
			break;
		}
	}
	return r;
}

static void serve(const struct tls_settings *s)
{
	const char *why = "";

	cr_assert_eq(tls_context_new(base, s, &context, &why), 0, "%s", why);
}

static void want_good(const char *name)
{
	bool done;

	connect_to(name);
	cr_assert_eq(handshake(&done), 0);
	cr_assert(done, "%s", client_alert());
}

/* The client sees that alert, at the latest when it reads: in TLS 1.3 its certificate is looked at
 * when its own handshake is over. */
static void want_alert(const char *name, int error, const char *alert)
{
	char c;
	bool done;

	connect_to(name);
	cr_expect_eq(handshake(&done), error);
	if (ERR_peek_error() == 0)
		cr_expect_leq(SSL_read(peer, &c, 1), 0);
	cr_expect_str_eq(client_alert(), alert);
	failure = facts.failure;
	hang_up();
}

static void send_to_client(const char *text)
{
	struct iovec part = { (void *)text, strlen(text) };
	char got[256] = "";

	cr_assert_eq(transport_send(&transport, &part, 1), (ssize_t)part.iov_len);
	cr_assert_eq(SSL_read(peer, got, sizeof(got)), (int)part.iov_len);
	cr_assert_str_eq(got, text);
}

Test(proxy_tls_transport, bytes_go_both_ways)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	char got[16] = "";

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	connect_to("A.Test.");
	cr_expect(transport_tls_is_fresh(&transport));
	hang_up();
	want_good("A.Test");
	cr_expect_not(transport_tls_is_fresh(&transport));
	cr_expect_str_eq(facts.name, "a.test");
	cr_expect_str_eq(facts.version, "TLSv1.3");
	cr_expect_null(facts.peer.forwarded);
	cr_assert_eq(transport_recv(&transport, got, sizeof(got)), -EAGAIN);
	cr_assert_eq(SSL_write(peer, "ab", 2), 2);
	cr_assert_eq(SSL_write(peer, "cd", 2), 2);
	cr_assert_eq(transport_recv(&transport, got, sizeof(got)), 4, "both records at once");
	cr_expect_str_eq(got, "abcd");
	send_to_client("hello");
	SSL_shutdown(peer);
	cr_expect_eq(transport_recv(&transport, got, sizeof(got)), 0);
	transport_shut(&transport);
	cr_expect_eq(SSL_read(peer, got, 1), 0);
	cr_expect_eq(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN, "close_notify");
}

Test(proxy_tls_transport, an_end_without_close_notify_is_an_end)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	char c;

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_good(NULL);
	cr_expect_str_eq(facts.name, "");
	shutdown(fds[1], SHUT_WR);
	cr_expect_eq(transport_recv(&transport, &c, 1), 0);
	cr_expect_eq(transport_recv(&transport, &c, 1), 0);
}

/* Bytes and what follows them are there at once: there is no other event for it. */
static void want_end_after_bytes(int end)
{
	char got[16];

	cr_expect_eq(transport_recv(&transport, got, sizeof(got)), 2);
	cr_expect(transport.more);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(transport_recv(&transport, got, sizeof(got)), end);
		cr_expect_not(transport.more);
	}
	hang_up();
}

Test(proxy_tls_transport, an_end_right_behind_bytes_is_told)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_good("a.test");
	cr_assert_eq(SSL_write(peer, "ab", 2), 2);
	SSL_shutdown(peer);
	want_end_after_bytes(0);
	want_good("a.test");
	cr_assert_eq(SSL_write(peer, "ab", 2), 2);
	cr_assert_eq(write(fds[1], "this is no record at all", 24), 24);
	want_end_after_bytes(-EPROTO);
}

/* The socket tells of a reset once. Where that is when what had no room is sent, what follows is no
 * orderly end. */
Test(proxy_tls_transport, a_reset_is_no_end)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	static char bulk[BULK];
	struct iovec part = { bulk, sizeof(bulk) };
	ssize_t sent = 0;
	char c;

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	by_tcp = true;
	want_good("a.test");
	for (int i = 0; i < PATIENCE && sent != -EAGAIN; i++) {
		sent = transport_send(&transport, &part, 1);
		cr_assert(sent > 0 || sent == -EAGAIN, "%zd", sent);
	}
	cr_assert_eq(sent, -EAGAIN);
	/* With bytes unread it is a reset. */
	close(fds[1]);
	fds[1] = -1;
	transport.io.ready(&transport.io, LOOP_READ | LOOP_WRITE);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(transport_recv(&transport, &c, 1), -ECONNRESET);
		cr_expect_eq(transport_send(&transport, &part, 1), -ECONNRESET);
	}
}

Test(proxy_tls_transport, who_can_not_be_served_is_told_by_an_alert)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_alert("nobody.test", -ENOENT, "unrecognized name");
	want_alert("broken.test", -ENOKEY, "internal error");
	cr_assert_eq(SSL_CTX_set_alpn_protos(client_ctx, (const unsigned char *)"\x02h2", 3), 0);
	want_alert("a.test", -EPROTO, "no application protocol");
	SSL_CTX_set_alpn_protos(client_ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12);
	want_good("a.test");
}

Test(proxy_tls_transport, versions_and_ciphers_are_the_server_s)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);

	s.max_version = TLS1_2_VERSION;
	s.ciphers = tls_text_of("ECDHE-ECDSA-AES256-GCM-SHA384");
	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_good("a.test");
	cr_expect_str_eq(facts.version, "TLSv1.2");
	cr_expect_str_eq(facts.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
	hang_up();
	SSL_CTX_set_security_level(client_ctx, 0);
	SSL_CTX_set_min_proto_version(client_ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(client_ctx, TLS1_1_VERSION);
	want_alert("a.test", -EPROTO, "protocol version");
	tls_context_unref(context);
	s.min_version = TLS1_VERSION;
	s.ciphers = tls_text_of("ECDHE-ECDSA-AES128-SHA");
	serve(&s);
	want_good("a.test");
	cr_expect_str_eq(facts.version, "TLSv1.1");
}

/* ---- clients' certificates ---- */

Test(proxy_tls_transport, a_client_s_certificate_is_told_on)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	const struct tls_peer *p;

	serve(&s);
	client_ctx = client_context(&ca, &client);
	want_good("a.test");
	p = &facts.peer;
	cr_expect_str_eq(p->subject, "CN=client\\, \\\"quoted\\\"");
	cr_expect_eq(strlen(p->forwarded), p->forwarded_len);
	cr_expect(!strncmp(p->forwarded, "By=spiffe://td/ns/n/sa/gw;Hash=", 31), "%s",
		  p->forwarded);
	cr_expect(strstr(p->forwarded, ";Cert=\"-----BEGIN%20CERTIFICATE-----%0A"), "%s",
		  p->forwarded);
	cr_expect(strstr(p->forwarded, ";Subject=\"CN=client\\, \\\"quoted\\\"\";"
				       "URI=spiffe://td/ns/x/sa/y;DNS=c.test"),
		  "%s", p->forwarded);
	cr_expect_null(strpbrk(p->forwarded, "\r\n"));
}

Test(proxy_tls_transport, a_name_can_not_pretend_to_be_another_field)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	struct made_cert liar = cert_make("x", "URI:http://a;URI=spiffe://td/admin", &ca, 10);

	serve(&s);
	client_ctx = client_context(&ca, &liar);
	want_good("a.test");
	cr_expect(strstr(facts.peer.forwarded, ";URI=http://a%3BURI=spiffe://td/admin"), "%s",
		  facts.peer.forwarded);
	cert_free(&liar);
}

Test(proxy_tls_transport, only_good_certificates_get_in)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	struct made_cert stranger = cert_make("another authority", NULL, NULL, 10);
	struct made_cert strange = cert_make("client", NULL, &stranger, 10);
	struct made_cert expired = cert_make("client", NULL, &ca, -1);
	char *list = cert_list_pem(&ca, &client);

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_alert("a.test", -EPROTO, "certificate required");
	cr_expect_eq(failure, TLS_FAIL_VERIFY_NO_CERT);
	SSL_CTX_free(client_ctx);
	client_ctx = client_context(&ca, &strange);
	want_alert("a.test", -EPROTO, "unknown CA");
	cr_expect_eq(failure, TLS_FAIL_VERIFY_ERROR);
	SSL_CTX_free(client_ctx);
	client_ctx = client_context(&ca, &expired);
	want_alert("a.test", -EPROTO, "certificate expired");
	cr_expect_eq(failure, TLS_FAIL_VERIFY_ERROR);
	SSL_CTX_free(client_ctx);
	client_ctx = client_context(&ca, &client);
	want_good("a.test");
	hang_up();
	tls_context_unref(context);
	s.crl = tls_text_of(list);
	serve(&s);
	want_alert("a.test", -EPROTO, "certificate revoked");
	cr_expect_eq(failure, TLS_FAIL_VERIFY_ERROR);
	free(list);
	list = cert_list_pem(&ca, &expired);
	tls_context_unref(context);
	s.crl = tls_text_of(list);
	serve(&s);
	want_good("a.test");
	free(list);
	cert_free(&stranger);
	cert_free(&strange);
	cert_free(&expired);
}

/* Versions before TLS 1.2 need OpenSSL's lowest level for themselves. */
Test(proxy_tls_transport, old_versions_let_no_weak_certificates_in)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	struct made_cert weak = client;

	s.min_version = TLS1_VERSION;
	serve(&s);
	client_ctx = client_context(&ca, &client);
	want_good("a.test");
	hang_up();
	SSL_CTX_free(client_ctx);
	weak.cert = X509_dup(client.cert);
	weak.key = EVP_RSA_gen(768);
	X509_set_pubkey(weak.cert, weak.key);
	cr_assert_gt(X509_sign(weak.cert, ca.key, EVP_sha256()), 0);
	client_ctx = client_context(&ca, NULL);
	SSL_CTX_set_security_level(client_ctx, 0);
	cr_assert_eq(SSL_CTX_use_certificate(client_ctx, weak.cert), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(client_ctx, weak.key), 1);
	SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION);
	want_alert("a.test", -EPROTO, "bad certificate");
	cert_free(&weak);
}

Test(proxy_tls_transport, where_it_is_optional_a_bad_one_is_refused_all_the_same)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	struct made_cert strange = cert_make("client", NULL, NULL, 10);

	s.mode = TLS_OPTIONAL_MUTUAL;
	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_good("a.test");
	cr_expect_null(facts.peer.forwarded);
	hang_up();
	SSL_CTX_free(client_ctx);
	client_ctx = client_context(&ca, &strange);
	want_alert("a.test", -EPROTO, "unknown CA");
	cert_free(&strange);
}

static void with_names(const char *name, bool good)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	struct tls_text names[] = { tls_text_of("nobody"), tls_text_of(name) };

	s.alt_names = (struct tls_texts){ names, 2 };
	failure = TLS_NO_FAILURE;
	serve(&s);
	if (good)
		want_good("a.test");
	else
		want_alert("a.test", -EPROTO, "bad certificate");
	cr_expect_eq(failure, good ? TLS_NO_FAILURE : TLS_FAIL_VERIFY_SAN);
	hang_up();
	tls_context_unref(context);
	context = NULL;
}

Test(proxy_tls_transport, any_of_the_names_will_do)
{
	struct made_cert wild = cert_make("w", "DNS:*.w.test", &ca, 10);

	client_ctx = client_context(&ca, &client);
	with_names("spiffe://td/ns/x/sa/y", true);
	with_names("C.test", true);
	with_names("m@c.test", true);
	with_names("10.0.0.1", true);
	with_names("spiffe://td/ns/x/sa", false);
	with_names("10.0.0.2", false);
	with_names("*.test", false);
	SSL_CTX_free(client_ctx);
	client_ctx = client_context(&ca, &wild);
	with_names("a.w.test", true);
	with_names("a.b.w.test", false);
	with_names("w.test", false);
	cert_free(&wild);
}

static void with_hashes(const char *spki, const char *hash, bool good)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	struct tls_text spkis[] = { tls_text_of(spki) }, hashes[] = { tls_text_of(hash) };

	s.spkis = (struct tls_texts){ spkis, spki ? 1 : 0 };
	s.hashes = (struct tls_texts){ hashes, hash ? 1 : 0 };
	failure = TLS_NO_FAILURE;
	serve(&s);
	if (good)
		want_good("a.test");
	else
		want_alert("a.test", -EPROTO, "bad certificate");
	cr_expect_eq(failure, good ? TLS_NO_FAILURE : TLS_FAIL_VERIFY_HASH);
	hang_up();
	tls_context_unref(context);
	context = NULL;
}

Test(proxy_tls_transport, either_of_the_hashes_will_do)
{
	static const char none[] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	unsigned char md[32], *key = NULL;
	char hash[65], spki[64];
	int n = i2d_PUBKEY(client.key, &key);

	X509_digest(client.cert, EVP_sha256(), md, NULL);
	for (size_t i = 0; i < sizeof(md); i++)
		snprintf(hash + 2 * i, 3, "%02x", md[i]);
	EVP_Digest(key, (size_t)n, md, NULL, EVP_sha256(), NULL);
	EVP_EncodeBlock((unsigned char *)spki, md, sizeof(md));
	OPENSSL_free(key);
	client_ctx = client_context(&ca, &client);
	with_hashes(NULL, hash, true);
	with_hashes(spki, NULL, true);
	with_hashes(spki, none, true);
	with_hashes("AAAA", hash, true);
	with_hashes("AAAA", none, false);
	with_hashes(NULL, none, false);
}

/* ---- sessions ---- */

static SSL_SESSION *session;

static int keep(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = s;
	return 1;
}

/* Another connection with the session of the one before. */
static bool resumes(const char *name)
{
	bool done;

	connect_to(name);
	SSL_set_session(peer, session);
	cr_assert_eq(handshake(&done), 0);
	cr_assert(done);
	send_to_client("x");
	return facts.resumed;
}

static void get_session(int version)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	const char *why;

	serve(&s);
	s.name = tls_text_of("another");
	cr_assert_eq(tls_context_new(base, &s, &other, &why), 0);
	client_ctx = client_context(&ca, &client);
	SSL_CTX_set_max_proto_version(client_ctx, version);
	SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(client_ctx, keep);
	want_good("a.test");
	send_to_client("x"); /* the tickets come before it */
	hang_up();
	cr_assert_not_null(session);
}

static void sessions_are_one_server_s(int version)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);
	char *list = cert_list_pem(&ca, NULL);

	get_session(version);
	cr_expect(resumes("a.test"));
	cr_expect_str_eq(facts.peer.subject, "CN=client\\, \\\"quoted\\\"",
			 "who it is is known all the same");
	hang_up();
	cr_expect_not(resumes("other.test"), "another server asks for other things");
	hang_up();
	tls_context_unref(context);
	s.crl = tls_text_of(list);
	serve(&s);
	cr_expect_not(resumes("a.test"), "what it was checked by has changed");
	free(list);
	SSL_SESSION_free(session);
	session = NULL;
}

/* What a client that is resumed has seen is the certificate of before. */
Test(proxy_tls_transport, sessions_end_with_the_server_s_certificate)
{
	struct made_cert next = cert_make("server", "DNS:a.test", &ca, 10);
	char *next_pem = cert_pem(&next), *next_key = cert_key_pem(&next);
	struct tls_settings s = settings_make("s", next_pem, next_key, ca_pem);

	get_session(TLS1_3_VERSION);
	tls_context_unref(context);
	serve(&s);
	cr_expect_not(resumes("a.test"));
	free(next_pem);
	free(next_key);
	cert_free(&next);
	SSL_SESSION_free(session);
	session = NULL;
}

/* Another process's server, with the same settings. */
static void serve_elsewhere(const struct tls_ticket_key *keys, size_t count)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, ca_pem);

	tls_context_unref(context);
	tls_context_unref(other);
	other = NULL;
	tls_base_free(base);
	cr_assert_eq(tls_base_new(&base), 0);
	tls_base_take_tickets(base, keys, count);
	serve(&s);
}

static void resumed_elsewhere(int version)
{
	struct tls_ticket_key keys[TLS_TICKET_KEYS], none[TLS_TICKET_KEYS];
	size_t count;

	get_session(version);
	count = tls_base_tickets(base, keys);
	cr_assert_eq(count, 1u);
	serve_elsewhere(keys, count);
	cr_expect_eq(tls_base_tickets(base, none), 1u, "a third one gets them from the second");
	cr_expect(resumes("a.test"));
	cr_expect_eq(tls_base_tickets(base, none), 2u, "what it gives itself is by its own key");
	hang_up();
	if (version == TLS1_3_VERSION) { /* before, OpenSSL's client changes the session itself */
		cr_expect(resumes("a.test"), "so is the ticket that it has given");
		hang_up();
	}
	serve_elsewhere(NULL, 0);
	cr_expect_not(resumes("a.test"), "another key than those");
	SSL_SESSION_free(session);
	session = NULL;
}

Test(proxy_tls_transport, a_successor_resumes_sessions_with_tls_1_3)
{
	resumed_elsewhere(TLS1_3_VERSION);
}

Test(proxy_tls_transport, a_successor_resumes_sessions_with_tls_1_2)
{
	resumed_elsewhere(TLS1_2_VERSION);
}

Test(proxy_tls_transport, keys_that_are_too_old_or_too_many_are_not_taken)
{
	struct tls_ticket_key keys[TLS_TICKET_KEYS + 1], got[TLS_TICKET_KEYS];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	memset(keys, 0, sizeof(keys));
	for (size_t i = 0; i < TLS_TICKET_KEYS + 1; i++) {
		keys[i].name[0] = (unsigned char)i;
		keys[i].made = now.tv_sec + 1;
	}
	keys[2].made = 0;
	keys[3].made = now.tv_sec + 1000;
	keys[4].made = now.tv_sec - 2 * 3600;
	tls_base_take_tickets(base, keys, TLS_TICKET_KEYS + 1);
	cr_expect_eq(tls_base_tickets(base, got), TLS_TICKET_KEYS - 2u);
	cr_expect_eq(got[2].name[0], 5);
	tls_base_take_tickets(base, keys, TLS_TICKET_KEYS + 1);
	cr_expect_eq(tls_base_tickets(base, got), TLS_TICKET_KEYS - 2u, "none twice");
	for (size_t i = 0; i < TLS_TICKET_KEYS + 1; i++) {
		keys[i].name[0] = (unsigned char)(100 + i);
		keys[i].made = now.tv_sec + 1;
	}
	tls_base_take_tickets(base, keys, TLS_TICKET_KEYS + 1);
	cr_expect_eq(tls_base_tickets(base, got), TLS_TICKET_KEYS);
}

Test(proxy_tls_transport, sessions_are_one_server_s_with_tls_1_3)
{
	sessions_are_one_server_s(TLS1_3_VERSION);
}

Test(proxy_tls_transport, sessions_are_one_server_s_with_tls_1_2)
{
	sessions_are_one_server_s(TLS1_2_VERSION);
}

/* A ticket lives longer than the certificate of the client that got it. */
static void expires(int version)
{
	enum { SECONDS = 2 };
	bool done;

	X509_gmtime_adj(X509_getm_notAfter(client.cert), SECONDS);
	cr_assert_gt(X509_sign(client.cert, ca.key, EVP_sha256()), 0);
	get_session(version);
	sleep(SECONDS + 1);
	connect_to("a.test");
	SSL_set_session(peer, session);
	cr_expect_eq(handshake(&done), -EPROTO);
	cr_expect_not(facts.resumed);
	SSL_SESSION_free(session);
	session = NULL;
}

Test(proxy_tls_transport, a_session_ends_with_the_client_s_certificate_with_tls_1_3)
{
	expires(TLS1_3_VERSION);
}

Test(proxy_tls_transport, a_session_ends_with_the_client_s_certificate_with_tls_1_2)
{
	expires(TLS1_2_VERSION);
}

/* ---- bytes ---- */

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

/* Until the socket is full. How many went out of the `n` from `at` on. */
static size_t send_some(const unsigned char *bytes, size_t n, size_t at, size_t head)
{
	/* As a head and a body; the division moves. */
	struct iovec parts[2] = { { (void *)(bytes + at), head < n - at ? head : n - at } };
	ssize_t r;

	parts[1].iov_base = (void *)(bytes + at + parts[0].iov_len);
	parts[1].iov_len = n - at - parts[0].iov_len;
	r = transport_send(&transport, parts, parts[1].iov_len ? 2 : 1);
	cr_assert(r > 0 || r == -EAGAIN, "%zd", r);
	return r > 0 ? (size_t)r : 0;
}

/* The client gets the `n` bytes, and no others. */
static void want_all(const unsigned char *bytes, size_t n)
{
	unsigned char *got = malloc(n);
	size_t sent = 0, received = 0;

	for (int i = 0; i < PATIENCE && (sent < n || received < n); i++) {
		int r;

		if (sent < n)
			sent += send_some(bytes, n, sent, (size_t)(i * 977) % 40000 + 1);
		r = SSL_read(peer, got + received, (int)(n - received));
		if (r > 0)
			received += (size_t)r;
	}
	cr_assert_eq(sent, n);
	cr_assert_eq(received, n);
	cr_expect_arr_eq(got, bytes, n);
	free(got);
}

static unsigned char *make_bulk(void)
{
	unsigned char *bytes = malloc(BULK);

	for (size_t i = 0; i < BULK; i++)
		bytes[i] = byte_at(i);
	return bytes;
}

/* With records of at most 512 bytes there are many in what the socket has no room for. */
static void send_bulk(bool small_records)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	unsigned char *bytes = make_bulk();

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	if (small_records)
		SSL_CTX_set_tlsext_max_fragment_length(client_ctx, TLSEXT_max_fragment_length_512);
	want_good("a.test");
	want_all(bytes, BULK);
	free(bytes);
}

Test(proxy_tls_transport, what_the_socket_has_no_room_for_is_sent_later)
{
	send_bulk(false);
}

Test(proxy_tls_transport, what_has_no_room_is_sent_later_in_small_records)
{
	send_bulk(true);
}

/* Bytes that are not TLS, until the socket is full. How many. */
static size_t fill_up(void)
{
	static const char junk[4096];
	size_t sum = 0;
	ssize_t r;

	for (size_t n = sizeof(junk); n; n /= 2)
		while ((r = send(fds[0], junk, n, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
			sum += (size_t)r;
	return sum;
}

static void take_away(size_t n)
{
	char junk[4096];

	while (n) {
		ssize_t r = recv(fds[1], junk, n < sizeof(junk) ? n : sizeof(junk), 0);

		cr_assert_gt(r, 0);
		n -= (size_t)r;
	}
}

/* The server's KeyUpdate goes before its bytes, and finds no room. */
static void update_keys(size_t n)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	unsigned char *bytes = make_bulk();
	size_t junk;
	char c;

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_good("a.test");
	send_to_client("the tickets come before it");
	cr_assert_eq(SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED), 1);
	cr_assert_eq(SSL_write(peer, "x", 1), 1);
	cr_assert_eq(transport_recv(&transport, &c, 1), 1);
	junk = fill_up();
	cr_assert_gt(junk, 0u);
	cr_assert_eq(send_some(bytes, n, 0, n), 0u);
	cr_assert_eq(send_some(bytes, n, 0, n), 0u);
	take_away(junk);
	want_all(bytes, n);
	free(bytes);
}

Test(proxy_tls_transport, a_key_update_that_has_no_room)
{
	update_keys(BULK);
}

Test(proxy_tls_transport, a_key_update_that_has_no_room_before_few_bytes)
{
	update_keys(2);
}

/* A record that waits for room holds more than is offered the next time. */
Test(proxy_tls_transport, less_may_be_offered_than_before)
{
	static unsigned char block[64 * 1024];
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	struct iovec all = { block, sizeof(block) }, few = { block, 100 };
	size_t sent = 0, received = 0;
	ssize_t r;

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	want_good("a.test");
	while ((r = transport_send(&transport, &all, 1)) > 0)
		sent += (size_t)r;
	cr_assert_eq(r, -EAGAIN);
	for (int i = 0; i < PATIENCE && received < sent + few.iov_len; i++) {
		int n = SSL_read(peer, block, sizeof(block));

		if (n > 0)
			received += (size_t)n;
		r = transport_send(&transport, &few, 1);
		cr_assert(r == -EAGAIN || r == (ssize_t)few.iov_len);
		if (r > 0)
			break;
	}
	cr_expect_eq(r, (ssize_t)few.iov_len);
}

/* A ClientHello's bytes, in `hello`. How many. */
static size_t take_hello(unsigned char *hello, size_t size)
{
	int pair[2];
	SSL *s;
	ssize_t n;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	s = client_new(client_ctx, pair[0], "a.test");
	(void)SSL_do_handshake(s);
	n = read(pair[1], hello, size);
	cr_assert_gt(n, 100);
	SSL_free(s);
	close(pair[0]);
	close(pair[1]);
	return (size_t)n;
}

Test(proxy_tls_transport, a_hello_byte_by_byte)
{
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	unsigned char hello[4096];
	size_t n;

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	n = take_hello(hello, sizeof(hello));
	connect_to("a.test");
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(transport_tls_handshake(&transport), -EAGAIN, "after %zu bytes", i);
		cr_assert_eq(write(fds[1], hello + i, 1), 1);
	}
	cr_assert_eq(transport_tls_handshake(&transport), -EAGAIN);
	cr_expect_gt(recv(fds[1], hello, sizeof(hello), 0), 300, "the server's turn");
}

Test(proxy_tls_transport, what_is_no_hello_is_refused)
{
	static const char bad[][64] = {
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
		"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
	};
	static const size_t lengths[] = { 26, 10, 48 };
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	char c[64];

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		connect_to("a.test");
		cr_assert_eq(write(fds[1], bad[i], lengths[i]), (ssize_t)lengths[i]);
		cr_expect_lt(transport_tls_handshake(&transport), 0, "%zu", i);
		cr_expect_neq(transport_tls_handshake(&transport), -EAGAIN, "%zu", i);
		/* What still comes is thrown away. */
		cr_assert_eq(write(fds[1], "more", 4), 4);
		cr_expect_eq(transport_recv(&transport, c, sizeof(c)), -EAGAIN);
		shutdown(fds[1], SHUT_WR);
		cr_expect_eq(transport_recv(&transport, c, sizeof(c)), 0);
		hang_up();
	}
}

static int unread(void)
{
	int n;

	cr_assert_eq(ioctl(fds[0], FIONREAD, &n), 0);
	return n;
}

Test(proxy_tls_transport, what_comes_after_a_failure_is_thrown_away_bit_by_bit)
{
	static const char junk[4096];
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	int before, times = 0;
	char c;

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	connect_to("a.test");
	cr_assert_eq(write(fds[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
	cr_expect_eq(transport_tls_handshake(&transport), -EPROTO);
	while (write(fds[1], junk, sizeof(junk)) > 0)
		;
	before = unread();
	cr_expect_eq(transport_recv(&transport, &c, 1), -EAGAIN);
	cr_expect(transport.more);
	cr_expect_lt(unread(), before);
	cr_expect_gt(unread(), before / 2);
	while (transport.more && times++ < PATIENCE)
		cr_expect_eq(transport_recv(&transport, &c, 1), -EAGAIN);
	cr_expect_eq(unread(), 0);
}

/* Each comes to an end: the server's turn, more bytes, or a refusal; never a name that is none. */
Test(proxy_tls_transport, a_hello_that_has_been_tampered_with)
{
	enum { TIMES = 3000 };
	struct tls_settings s = settings_make("s", server_pem, server_key, NULL);
	unsigned char hello[4096], bad[4096];
	unsigned refused = 0, seed = 7;
	size_t n;

	serve(&s);
	client_ctx = client_context(&ca, NULL);
	n = take_hello(hello, sizeof(hello));
	for (int i = 0; i < TIMES; i++) {
		size_t most = n;
		int r;

		memcpy(bad, hello, n);
		for (int k = 0; k <= i % 4; k++) {
			seed = seed * 1103515245 + 12345;
			bad[(seed >> 8) % n] = (unsigned char)(seed >> 24);
		}
		if (i % 7 == 0)
			most = (seed >> 4) % n;
		connect_to("a.test");
		cr_assert_eq(write(fds[1], bad, most), (ssize_t)most);
		r = transport_tls_handshake(&transport);
		cr_assert_lt(r, 0);
		refused += r != -EAGAIN;
		for (size_t k = 0; k < facts.name_len; k++)
			cr_assert(facts.name[k] > ' ' && facts.name[k] < 0x7f);
		hang_up();
	}
	cr_expect_gt(refused, (unsigned)TIMES / 4);
}

Test(proxy_tls_transport, what_makes_no_server_is_refused)
{
	struct tls_settings good = settings_make("s", server_pem, server_key, ca_pem), s;
	char *other_key = cert_key_pem(&client);
	const char *why;

	s = good;
	s.key = tls_text_of(other_key);
	cr_expect_eq(tls_context_new(base, &s, &context, &why), -EINVAL);
	cr_expect_str_eq(why, "the key");
	s = good;
	s.chain = tls_text_of("nothing");
	cr_expect_eq(tls_context_new(base, &s, &context, &why), -EINVAL);
	cr_expect_str_eq(why, "the certificate chain");
	s = good;
	s.ca = tls_text_of("");
	cr_expect_eq(tls_context_new(base, &s, &context, &why), -EINVAL);
	cr_expect_str_eq(why, "the certificates of the clients' authorities");
	s = good;
	s.crl = tls_text_of("nothing");
	cr_expect_eq(tls_context_new(base, &s, &context, &why), -EINVAL);
	cr_expect_str_eq(why, "the revocation lists");
	s = good;
	s.ciphers = tls_text_of("NONE-OF-THESE");
	cr_expect_eq(tls_context_new(base, &s, &context, &why), -EINVAL);
	cr_expect_str_eq(why, "the cipher suites");
	cr_expect_null(context);
	free(other_key);
}
