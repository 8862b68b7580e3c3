/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_RESOLVE_DNS_H
#define WEFT_DAEMON_RESOLVE_DNS_H
/*
 * Questions to DNS servers, in the event loop: c-ares sends them, tries other servers, and asks by
 * TCP what an answer had no room for. Nothing here waits, and nothing is kept of an answer.
 */
#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/event.h"
#include "lib/base/addr.h"

struct dns;

enum {
	DNS_ADDRS_MAX = 128,   /* of one answer: the rest of it is left out */
	DNS_SERVERS_MAX = 256, /* bytes of dns_servers() */
};

enum dns_status {
	DNS_ANSWERED,  /* there is an address */
	DNS_EMPTY,     /* a server has said that there is none, or no such name */
	DNS_FAILED,    /* nothing is known */
	DNS_CANCELLED, /* dns_close() came before the answer */
};

/* Valid during the call. */
struct dns_answer {
	enum dns_status status;
	const char *why;	  /* unless it is answered: a few words, static */
	const struct addr *addrs; /* in the answer's order */
	size_t count;
	uint32_t ttl_s; /* the shortest of them all, aliases included */
};

typedef void (*dns_answer_fn)(void *arg, const struct dns_answer *answer);

/* server: ADDRESS[:PORT] or [ADDRESS]:PORT; NULL: those of `resolv_conf` (NULL: the system's),
 * which is read once. Loads c-ares. 0 or -errno after having logged. */
int dns_open(struct event_loop *loop, const char *server, const char *resolv_conf,
	     struct dns **out);
/* Answers every question that is still open with DNS_CANCELLED. Not to be called by one of those
 * callbacks. Accepts NULL. */
void dns_close(struct dns *d);
/* Asks for the name's addresses of one family, and calls done() once, perhaps before it returns.
 * The name is absolute: no search list is gone through. */
void dns_ask(struct dns *d, const char *name, enum family family, dns_answer_fn done, void *arg);
/* Who is asked: "10.96.0.10:53, ...", cut to DNS_SERVERS_MAX. */
void dns_servers(const struct dns *d, char out[DNS_SERVERS_MAX]);
/* Whether that is what dns_open() takes for a server. */
int dns_server_valid(const char *server);

#endif
