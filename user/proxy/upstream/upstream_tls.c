// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/upstream_tls.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/log.h"

struct upstream_tls {
	struct tls_client *client; /* a reference */
	struct tls_call call;	   /* its name is `name`, or NULL; its peer is `peer` */
	struct http_cluster_stat *stat;
	struct tls_facts facts;
	char *peer;			    /* or NULL */
	char name[TLS_CLIENT_NAME_MAX + 1]; /* in lower case */
};

struct upstream_tls *upstream_tls_new(const struct target *t)
{
	const struct target_tls *wanted = &t->tls;
	struct upstream_tls *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (wanted->peer && !(s->peer = strdup(wanted->peer))) {
		free(s);
		return NULL;
	}
	s->client = tls_client_ref(wanted->client);
	s->stat = t->stat;
	for (size_t i = 0; i < wanted->name_len && i < TLS_CLIENT_NAME_MAX; i++)
		s->name[i] = (char)tolower((unsigned char)wanted->name[i]);
	s->call = (struct tls_call){ .addr = t->addr,
				     .port = t->port,
				     .name = *s->name ? s->name : NULL,
				     .check = wanted->check,
				     .peer = s->peer };
	return s;
}

void upstream_tls_free(struct upstream_tls *s)
{
	if (!s)
		return;
	tls_client_unref(s->client);
	free(s->peer);
	free(s);
}

static bool same_peer(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool upstream_tls_suits(const struct upstream_tls *s, const struct target_tls *wanted)
{
	if (!s || !wanted->client)
		return !s && !wanted->client;
	return s->client == wanted->client && s->call.check == wanted->check &&
	       same_peer(s->peer, wanted->peer) && strlen(s->name) == wanted->name_len &&
	       !strncasecmp(s->name, wanted->name, wanted->name_len);
}

bool upstream_tls_is_stale(const struct upstream_tls *s)
{
	return s && tls_client_is_retired(s->client);
}

const struct tls_facts *upstream_tls_facts(const struct upstream_tls *s)
{
	return &s->facts;
}

/* ---- the handshake ---- */

/* An endpoint that has ended the connection has no counter of its own: upstream_cx_connect_fail. */
static void count(const struct upstream_tls *s)
{
	struct http_cluster_stat *stat = s->stat;

	switch (s->facts.failure) {
	case TLS_NO_FAILURE:
		stat_inc(&stat->handshake);
		if (s->facts.resumed)
			stat_inc(&stat->session_reused);
		break;
	case TLS_FAIL_VERIFY_ERROR:
		stat_inc(&stat->fail_verify_error);
		break;
	case TLS_FAIL_VERIFY_SAN:
		stat_inc(&stat->fail_verify_san);
		break;
	case TLS_PEER_GONE:
		break;
	default:
		stat_inc(&stat->connection_error);
	}
}

static const char *reason(const struct upstream_tls *s)
{
	switch (s->facts.failure) {
	case TLS_PEER_GONE:
		return "the endpoint has ended the connection";
	case TLS_FAIL_VERIFY_ERROR:
		return "its certificate is not believed";
	case TLS_FAIL_VERIFY_SAN:
		return s->peer ? "its certificate is another workload's"
			       : "its certificate has none of the names";
	default:
		return "no TLS that both know, or an alert";
	}
}

static int failed(const struct upstream_tls *s)
{
	char text[ADDR_TEXT_MAX];

	count(s);
	addr_format_port(&s->call.addr, s->call.port, text);
	log_debug("TLS handshake with the endpoint %s as \"%s\": %s", text,
		  s->peer ? s->peer : s->name, reason(s));
	return -EPROTO;
}

int upstream_tls_handshake(struct upstream_tls *s, struct transport *t)
{
	int r = 0;

	if (transport_is_tcp(t))
		r = transport_tls_connect(t, s->client, &s->call, &s->facts);
	if (r)
		return r;
	r = transport_tls_handshake(t);
	if (r == -EAGAIN)
		return r;
	if (r)
		return failed(s);
	count(s);
	return 0;
}
