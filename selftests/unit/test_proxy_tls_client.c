// SPDX-License-Identifier: Apache-2.0
/*
 * A transport of TLS as a client, against one as a server, over a pair of sockets.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/addr.h"
#include "lib/base/cleanup.h"
#include "proxy/io/transport_tls.h"
#include "test_tls_util.h"

enum { PATIENCE = 10000 };

static struct made_cert ca, other_ca, server, own;
static char *ca_pem, *server_pem, *server_key, *own_pem, *own_key;
static struct tls_base *base;
static struct tls_context *context;
static struct tls_client *client;
static struct transport ours, theirs;
static struct tls_facts facts, server_facts;
static struct tls_call call;
static bool broken_off; /* connections end without a word */

static void setup(void)
{
	ca = cert_make("an authority", NULL, NULL, 10);
	other_ca = cert_make("another authority", NULL, NULL, 10);
	server = cert_make("server", "DNS:a.test,DNS:*.w.test,IP:10.0.0.1", &ca, 10);
	own = cert_make("client", "DNS:c.test", &ca, 10);
	ca_pem = cert_pem(&ca);
	server_pem = cert_pem(&server);
	server_key = cert_key_pem(&server);
	own_pem = cert_pem(&own);
	own_key = cert_key_pem(&own);
	cr_assert_eq(tls_base_new(&base), 0);
	cr_assert_eq(addr_parse("10.0.0.9", &call.addr), 0);
	call.port = 443;
	call.name = "a.test";
	call.check = true;
}

static void teardown(void)
{
	tls_client_unref(client);
	tls_context_unref(context);
	tls_base_free(base);
	cert_free(&ca);
	cert_free(&other_ca);
	cert_free(&server);
	cert_free(&own);
	free(ca_pem);
	free(server_pem);
	free(server_key);
	free(own_pem);
	free(own_key);
}

TestSuite(proxy_tls_client, .init = setup, .fini = teardown, .timeout = 60);

static int choose(void *arg, const char *name, size_t n, struct tls_context **out)
{
	(void)arg;
	(void)name;
	(void)n;
	*out = tls_context_ref(context);
	return 0;
}

static void ready(struct loop_io *io, unsigned events)
{
	(void)io;
	(void)events;
}

/* A server with that certificate, up to that version; `clients`: they need one of `ca`. */
static void serve(const char *pem, const char *key, uint16_t version, bool clients)
{
	struct tls_settings s = settings_make("s", pem, key, clients ? ca_pem : NULL);
	const char *why = "";

	s.max_version = version;
	s.opaque = !!call.peer; /* "istio" is no protocol of a Gateway's */
	tls_context_unref(context);
	context = NULL;
	cr_assert_eq(tls_context_new(base, &s, &context, &why), 0, "%s", why);
}

static void believe(const char *authorities, const char *list)
{
	const struct tls_client_settings s = {
		.chain = tls_text_of(own_pem),
		.key = tls_text_of(own_key),
		.ca = authorities ? tls_text_of(authorities) : (struct tls_text){ 0 },
		.crl = list ? tls_text_of(list) : (struct tls_text){ 0 },
	};
	const char *why = "";

	tls_client_unref(client);
	client = NULL;
	cr_assert_eq(tls_client_new(&s, &client, &why), 0, "%s", why);
}

/* What the client's handshake comes to; afterwards a byte goes each way, which brings sessions. */
static int handshake(void)
{
	int r = -EAGAIN, s = -EAGAIN;

	for (int i = 0; i < PATIENCE && (r == -EAGAIN || (!r && s == -EAGAIN)); i++) {
		if (r == -EAGAIN)
			r = transport_tls_handshake(&ours);
		if (s == -EAGAIN)
			s = transport_tls_handshake(&theirs);
	}
	return r;
}

static void exchange(void)
{
	struct iovec part = { (void *)"x", 1 };
	char got;

	cr_assert_eq(transport_send(&theirs, &part, 1), 1);
	cr_assert_eq(transport_recv(&ours, &got, 1), 1);
	cr_assert_eq(transport_send(&ours, &part, 1), 1);
	cr_assert_eq(transport_recv(&theirs, &got, 1), 1);
}

/* One connection from beginning to end; 0, or why there is none. */
static enum tls_failure connect_once(void)
{
	int fds[2], r;

	facts = server_facts = (struct tls_facts){ 0 };
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	ours = (struct transport){ .io = { fds[0], ready } };
	theirs = (struct transport){ .io = { fds[1], ready } };
	cr_assert_eq(transport_tls_connect(&ours, client, &call, &facts), 0);
	cr_assert_eq(transport_tls_open(&theirs, base, choose, NULL, &server_facts), 0);
	r = handshake();
	if (!r)
		exchange();
	cr_assert_eq(!r, facts.failure == TLS_NO_FAILURE);
	if (!broken_off)
		transport_shut(&ours);
	transport_close(&ours);
	transport_close(&theirs);
	tls_peer_free(&server_facts.peer);
	return facts.failure;
}

Test(proxy_tls_client, a_server_is_asked_for_by_its_name_and_believed)
{
	serve(server_pem, server_key, TLS1_3_VERSION, true);
	believe(ca_pem, NULL);
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	cr_expect_str_eq(server_facts.name, "a.test");
	cr_expect(server_facts.certified, "the client has shown its certificate");
	cr_expect_str_eq(facts.version, "TLSv1.3");
	cr_expect_not(facts.resumed);
}

Test(proxy_tls_client, names)
{
	static const struct {
		const char *name, *asked;
		bool check;
		enum tls_failure failure;
	} rows[] = {
		{ "x.w.test", "x.w.test", true, TLS_NO_FAILURE },
		{ "x.y.w.test", "x.y.w.test", true, TLS_FAIL_VERIFY_SAN },
		{ "b.test", "b.test", true, TLS_FAIL_VERIFY_SAN },
		{ "b.test", "b.test", false, TLS_NO_FAILURE },
		{ "10.0.0.1", "", true, TLS_NO_FAILURE }, /* RFC 6066 3: no address */
		{ "10.0.0.2", "", true, TLS_FAIL_VERIFY_SAN },
		{ NULL, "", false, TLS_NO_FAILURE },
	};

	serve(server_pem, server_key, TLS1_3_VERSION, false);
	believe(ca_pem, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		call.name = rows[i].name;
		call.check = rows[i].check;
		cr_expect_eq(connect_once(), rows[i].failure, "row %zu", i);
		cr_expect_str_eq(server_facts.name, rows[i].asked, "row %zu", i);
	}
}

Test(proxy_tls_client, certificates)
{
	struct made_cert expired = cert_make("server", "DNS:a.test", &ca, -1);
	char *expired_pem = cert_pem(&expired), *expired_key = cert_key_pem(&expired);
	char *other_pem = cert_pem(&other_ca);
	char *good = cert_list_pem(&ca, &own), *bad = cert_list_pem(&ca, &server);

	serve(server_pem, server_key, TLS1_3_VERSION, false);
	believe(other_pem, NULL);
	cr_expect_eq(connect_once(), TLS_FAIL_VERIFY_ERROR, "another authority's");
	believe(NULL, NULL);
	cr_expect_eq(connect_once(), TLS_NO_FAILURE, "nothing is verified");
	believe(ca_pem, good);
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	believe(ca_pem, bad);
	cr_expect_eq(connect_once(), TLS_FAIL_VERIFY_ERROR, "revoked");
	serve(expired_pem, expired_key, TLS1_3_VERSION, false);
	believe(ca_pem, NULL);
	cr_expect_eq(connect_once(), TLS_FAIL_VERIFY_ERROR, "expired");
	cert_free(&expired);
	free(expired_pem);
	free(expired_key);
	free(other_pem);
	free(good);
	free(bad);
}

Test(proxy_tls_client, sessions_are_resumed_with_the_same_server_and_name)
{
	/* With TLS 1.3 a session is used once; our own server gives two to begin with, and then
	 * one for each that was used. */
	static const struct {
		uint16_t version;
		int times;
	} rows[] = { { TLS1_2_VERSION, 3 }, { TLS1_3_VERSION, 4 } };

	for (size_t i = 0; i < 2; i++) {
		serve(server_pem, server_key, rows[i].version, false);
		believe(ca_pem, NULL);
		call.name = "a.test";
		call.port = 443;
		cr_expect_eq(connect_once(), TLS_NO_FAILURE);
		cr_expect_not(facts.resumed);
		for (int k = 0; k < rows[i].times; k++) {
			cr_expect_eq(connect_once(), TLS_NO_FAILURE);
			cr_expect(facts.resumed);
		}
		call.name = "x.w.test";
		cr_expect_eq(connect_once(), TLS_NO_FAILURE);
		cr_expect_not(facts.resumed, "by another name");
		call.name = "a.test";
		call.port = 444;
		cr_expect_eq(connect_once(), TLS_NO_FAILURE);
		cr_expect_not(facts.resumed, "at another port");
	}
}

Test(proxy_tls_client, a_connection_that_was_broken_off_leaves_its_sessions)
{
	serve(server_pem, server_key, TLS1_3_VERSION, false);
	believe(ca_pem, NULL);
	broken_off = true;
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	cr_expect(facts.resumed);
}

Test(proxy_tls_client, a_server_whose_name_was_not_checked_is_not_resumed_where_it_is)
{
	serve(server_pem, server_key, TLS1_2_VERSION, false);
	believe(ca_pem, NULL);
	call.name = "b.test";
	call.check = false;
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	call.check = true;
	cr_expect_eq(connect_once(), TLS_FAIL_VERIFY_SAN);
	call.check = false;
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	cr_expect(facts.resumed);
}

Test(proxy_tls_client, what_makes_no_client_is_told)
{
	const struct tls_client_settings bad[] = {
		{ .ca = tls_text_of("nothing") },
		{ .chain = tls_text_of(own_pem), .key = tls_text_of(server_key) },
		{ .chain = tls_text_of(own_pem) },
		{ .ca = tls_text_of(ca_pem), .crl = tls_text_of("nothing") },
	};
	static const char *const reasons[] = {
		"the certificates of the servers' authorities",
		"the key",
		"the key",
		"the revocation lists",
	};
	const char *why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_expect_eq(tls_client_new(&bad[i], &client, &why), -EINVAL, "row %zu", i);
		cr_expect_str_eq(why, reasons[i], "row %zu", i);
		cr_expect_null(client);
	}
}

/* ---- mutual TLS between workloads ---- */

static void become_workload(const char *roots)
{
	const struct tls_client_settings s = {
		.chain = tls_text_of(own_pem),
		.key = tls_text_of(own_key),
		.ca = tls_text_of(roots),
		.mutual = true,
	};
	const char *why = "";

	tls_client_unref(client);
	client = NULL;
	cr_assert_eq(tls_client_new(&s, &client, &why), 0, "%s", why);
}

Test(proxy_tls_client, a_workload_needs_all_that_makes_it_one)
{
	const struct tls_client_settings bad[] = {
		{ .mutual = true, .chain = tls_text_of(own_pem), .key = tls_text_of(own_key) },
		{ .mutual = true, .ca = tls_text_of(ca_pem), .chain = tls_text_of(own_pem) },
		{ .mutual = true, .ca = tls_text_of(ca_pem) },
	};
	static const char *const reasons[] = { "the certificates of the servers' authorities",
					       "the key", "the certificate chain" };
	const char *why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_expect_eq(tls_client_new(&bad[i], &client, &why), -EINVAL, "row %zu", i);
		cr_expect_str_eq(why, reasons[i], "row %zu", i);
	}
}

/* Neither is anyone let through because it was not said who is to be there. */
Test(proxy_tls_client, a_workload_says_whom_it_calls_and_others_do_not)
{
	struct tls_call without = { .addr = call.addr, .port = 443 }, with = without;

	with.peer = "spiffe://d/ns/n/sa/a";
	become_workload(ca_pem);
	cr_expect_null(tls_client_connect(client, &without));
	believe(NULL, NULL);
	cr_expect_null(tls_client_connect(client, &with));
}

Test(proxy_tls_client, an_identity_is_the_only_uri)
{
	static const struct {
		const char *names;
		uint16_t version;
		enum tls_failure failure;
	} rows[] = {
		{ "URI:spiffe://d/a", TLS1_3_VERSION, TLS_NO_FAILURE },
		{ "DNS:x.test,URI:spiffe://d/a", TLS1_3_VERSION, TLS_NO_FAILURE },
		{ "URI:spiffe://d/a", TLS1_2_VERSION, TLS_CONNECTION_ERROR },
		{ "URI:spiffe://d/b", TLS1_3_VERSION, TLS_FAIL_VERIFY_SAN },
		{ "URI:spiffe://d/ab", TLS1_3_VERSION, TLS_FAIL_VERIFY_SAN },
		{ "URI:spiffe://d/a,URI:spiffe://d/b", TLS1_3_VERSION, TLS_FAIL_VERIFY_SAN },
		{ "URI:spiffe://d/b,URI:spiffe://d/a", TLS1_3_VERSION, TLS_FAIL_VERIFY_SAN },
		{ "DNS:spiffe://d/a", TLS1_3_VERSION, TLS_FAIL_VERIFY_SAN },
		{ NULL, TLS1_3_VERSION, TLS_FAIL_VERIFY_SAN },
	};

	become_workload(ca_pem);
	call = (struct tls_call){ .addr = call.addr, .port = 443, .peer = "spiffe://d/a" };
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct made_cert cert = cert_make("w", rows[i].names, &ca, 10);
		_cleanup_free_ char *pem = cert_pem(&cert), *key = cert_key_pem(&cert);

		serve(pem, key, rows[i].version, true);
		call.port++; /* nothing is resumed */
		cr_expect_eq(connect_once(), rows[i].failure, "row %zu", i);
		cert_free(&cert);
	}
}

Test(proxy_tls_client, sessions_are_resumed_with_the_same_peer)
{
	struct made_cert cert = cert_make("w", "URI:spiffe://d/a", &ca, 10);
	_cleanup_free_ char *pem = cert_pem(&cert), *key = cert_key_pem(&cert);

	call = (struct tls_call){ .addr = call.addr, .port = 443, .peer = "spiffe://d/a" };
	serve(pem, key, TLS1_3_VERSION, true);
	become_workload(ca_pem);
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	/* A pod of another account has got the address: the old one's session is not for it. */
	call.peer = "spiffe://d/b";
	cr_expect_eq(connect_once(), TLS_FAIL_VERIFY_SAN);
	call.peer = "spiffe://d/a";
	cr_expect_eq(connect_once(), TLS_NO_FAILURE);
	cr_expect(facts.resumed);
	cert_free(&cert);
}

Test(proxy_tls_client, an_authority_is_no_workload)
{
	struct made_cert root = cert_make("w", "URI:spiffe://d/a", NULL, 10);
	_cleanup_free_ char *pem = cert_pem(&root), *key = cert_key_pem(&root);

	call = (struct tls_call){ .addr = call.addr, .port = 443, .peer = "spiffe://d/a" };
	serve(pem, key, TLS1_3_VERSION, true);
	become_workload(pem);
	cr_expect_eq(connect_once(), TLS_FAIL_VERIFY_SAN);
	cert_free(&root);
}
