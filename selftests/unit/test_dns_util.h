/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_DNS_UTIL_H
#define WEFT_TEST_DNS_UTIL_H
/*
 * A DNS server on the loopback that says what a test tells it to, in the test's own event loop.
 */
#include "daemon/loop/event.h"

enum dns_mode {
	SAYS_ADDRESSES, /* NOERROR, also without any */
	SAYS_NXDOMAIN,
	SAYS_SERVFAIL,
	SAYS_NOTHING,
	SAYS_TRUNCATED, /* by UDP; addresses by TCP */
};

struct dns_zone {
	const char *name;     /* NULL: any other */
	const char *a, *aaaa; /* addresses, with blanks between them; NULL: none */
	unsigned ttl;	      /* seconds */
	enum dns_mode mode;
	enum dns_mode mode_v6;	  /* of AAAA, unless that is SAYS_ADDRESSES */
	unsigned asked, asked_v6; /* counted here */
	unsigned by_tcp;
};

struct dns_server;

/* Serves the zones, which the test changes as it likes; the last one has no name, or any other name
 * is NXDOMAIN. */
struct dns_server *dns_server_start(struct event_loop *loop, struct dns_zone *zones, size_t count);
/* "127.0.0.1:PORT" */
const char *dns_server_at(const struct dns_server *s);
void dns_server_stop(struct dns_server *s);

#endif
