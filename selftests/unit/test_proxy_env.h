/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TEST_PROXY_ENV_H
#define WEFT_TEST_PROXY_ENV_H
/*
 * A proxy of one worker in a thread, in a network namespace of the test's own; the test is its
 * client and its endpoint. Whatever takes longer than a few seconds fails.
 */
#include <stdint.h>

#include "lib/base/response_flags.h"
#include "proxy/route/route.h"
#include "proxy/request/http_worker.h"

struct env {
	struct http_worker worker;
	struct router router;
	/* What the router answers; change it while nothing is under way. */
	struct plan plan;
	enum pick pick;
	struct target target; /* the endpoint of the first try, and of all others unless: */
	struct target second; /* port 0: none */
	struct target mirror;
	/* What has been counted for the cluster, its route, and the mirrors' cluster. */
	struct http_cluster_stat cluster, shadow;
	struct http_route_stat route;
	/* What it has been told. */
	unsigned picks, dones, releases;
	enum outcome outcome;
	unsigned outcome_status;
	struct access_entry last; /* spans are gone */
	char flags[FLAGS_TEXT];	  /* its flags */
	unsigned logged;
	uint32_t gone;			      /* target.endpoint that is one no longer */
	bool other_rules;		      /* are to be gone over to */
	int listener, endpoint;		      /* listening sockets */
	int second_endpoint, mirror_endpoint; /* of env_second(), env_mirror(); or -1 */
	uint16_t port, endpoint_port;
	int sockets[5][10];	 /* the script's (test_proxy_script.h), or -1 */
	struct env_other *other; /* or NULL */
};

struct env *env_new(const struct worker_options *options); /* NULL: the defaults */
/* With a second worker, in a thread of its own. */
struct env *env_new_pair(void);
/* Also looks whether everything was given back. */
void env_free(struct env *e);

int env_client(struct env *e); /* a connection to the proxy */
int env_client_of_other(struct env *e);
struct http_worker *env_other_worker(struct env *e);
int env_accept(struct env *e); /* the proxy's next connection to the endpoint */
int env_accept_at(int listener);
/* A second endpoint, which is what the first is but for its port: for all tries but the first. */
void env_second(struct env *e);
/* An endpoint for copies of requests: `plan` sends one of each there, to the host h-shadow. */
void env_mirror(struct env *e);
/* Whether the proxy has connected again within a short time. */
int env_accept_maybe(struct env *e);
int env_listen(uint16_t *port);

/* What has been logged of the n-th request, once it has. */
const struct access_entry *env_log(struct env *e, unsigned n);

/* The line of a script that is being played, for messages. */
extern _Thread_local const char *env_line;

void put(int fd, const char *text);
void put_bytes(int fd, const char *bytes, size_t n);
/* Reads exactly what is expected. */
void want(int fd, const char *text);
/* Reads a head and the body that belongs to it by Content-Length, all of which must contain each of
 * these; NULL at the end. */
void want_message(int fd, ...);
/* Reads a head; returns it. Overwritten by the thread's next one. */
const char *get_head(int fd);
/* The same with the body that belongs to it by Content-Length. */
const char *get_message(int fd);
void want_end(int fd); /* an orderly end */
void wait_ms(unsigned ms);

#endif
