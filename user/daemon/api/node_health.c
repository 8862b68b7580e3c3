// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/node_health.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/http_daemon.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mesh/health_ports.h"

enum {
	BACKLOG = 64,
	CONNECTIONS_MAX = 256, /* at all ports together */
	PER_ADDRESS_MAX = 16,
	/* Changes come in bursts: ports follow so much later, answers at once. */
	FOLLOW_MS = 100,
	AGAIN_MS = 5000, /* until a port that was taken is tried again */
	OK = 200,
	NOT_FOUND = 404,
	UNAVAILABLE = 503,
};

/* A Service's port. */
struct port {
	struct node_health *of;
	struct event event; /* its listening socket; -1 */
	uint16_t number;
	char *namespace, *name;
	size_t local;
	int error; /* -errno: it can't be listened at; -EAGAIN: it is left to kube-proxy still */
	bool told; /* of the error */
	uint64_t free_since; /* clock_ms() from which on no process was seen to have it; 0: one has
			      */
};

struct node_health {
	struct event_loop *loop;
	struct weftd *d;
	struct http_daemon *http;
	uint64_t wait_ms; /* how long a port is to be free first */
	struct event_timer timer;
	bool waits;	  /* the timer is set for a change */
	uint64_t counted; /* of the engine: when it was last counted */
	bool looked;
	uint64_t version;   /* of its Services, when a change was last noticed */
	uint64_t looked_at; /* likewise: whose ports these are, once `looked` */
	TABLE(struct port *) ports;
};

/* ---- ports ---- */

static void port_free(struct port *p)
{
	if (!p)
		return;
	event_close(&p->event);
	free(p->namespace);
	free(p->name);
	free(p);
}

DEFINE_CLEANUP(struct port *, port_free);

/* Of both families, or of IPv4 alone on a node without IPv6. A descriptor or -errno. Nobody else
 * is kept from listening there. */
static int bind_to(uint16_t number)
{
	const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(number) };
	const struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(number) };
	const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	_cleanup_close_ int fd = socket(AF_INET6, type, 0);
	const struct sockaddr *at = (const struct sockaddr *)&in6;
	socklen_t size = sizeof(in6);
	int one = 1, zero = 0;

	if (fd < 0 && errno == EAFNOSUPPORT) {
		fd = socket(AF_INET, type, 0);
		at = (const struct sockaddr *)&in4;
		size = sizeof(in4);
	} else if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero))) {
		return -errno;
	}
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, at, size))
		return -errno;
	return TAKE_FD(fd);
}

/* kube-proxy listens when it comes to the Service, at its first sync as well as later, and does
 * not get a port that weftd was quicker to take: so it comes first. */
static bool is_left(const struct node_health *n, struct port *p, int bound)
{
	uint64_t now = clock_ms();

	if (bound < 0)
		p->free_since = 0;
	else if (!p->free_since)
		p->free_since = now;
	return bound < 0 || now - p->free_since < n->wait_ms;
}

static void on_connection(void *arg, uint32_t events)
{
	struct port *p = arg;
	int fd = accept4(p->event.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		http_daemon_take(p->of->http, fd);
}

static void tell_taken(struct port *p)
{
	if (!p->told && p->error != -EAGAIN)
		log_info("healthCheckNodePort %u of service %s/%s is left to others: %s", p->number,
			 p->namespace, p->name, strerror(-p->error));
	p->told |= p->error != -EAGAIN;
}

static void port_listen(struct node_health *n, struct port *p)
{
	_cleanup_close_ int fd = bind_to(p->number);

	if (is_left(n, p, fd))
		p->error = fd < 0 ? fd : -EAGAIN;
	else
		p->error = listen(fd, BACKLOG) ? -errno : 0;
	if (p->error)
		return tell_taken(p);
	p->event = (struct event){ .fd = TAKE_FD(fd), .ready = on_connection, .arg = p };
	p->error = event_watch(n->loop, &p->event, EPOLLIN);
	if (p->error)
		event_close(&p->event);
	else
		log_info("healthCheckNodePort %u of service %s/%s is answered", p->number,
			 p->namespace, p->name);
}

static struct port *port_find(const struct node_health *n, const struct health_port *row)
{
	for (size_t i = 0; i < n->ports.count; i++) {
		struct port *p = n->ports.items[i];

		if (p->number == row->port && !strcmp(p->name, row->service->meta.name) &&
		    !strcmp(p->namespace, row->service->meta.namespace))
			return p;
	}
	return NULL;
}

static int port_add(struct node_health *n, const struct health_port *row)
{
	_cleanup_(port_freep) struct port *p = calloc(1, sizeof(*p));
	struct port **slot;

	if (!p)
		return -ENOMEM;
	p->of = n;
	p->event.fd = -1;
	p->number = row->port;
	p->namespace = strdup(row->service->meta.namespace);
	p->name = strdup(row->service->meta.name);
	p->local = row->local;
	slot = p->namespace && p->name ? table_push(&n->ports) : NULL;
	if (!slot)
		return -ENOMEM;
	port_listen(n, p);
	*slot = TAKE_PTR(p);
	return 0;
}

/* ---- the objects in force ---- */

static int find(const struct node_health *n, struct health_ports *out)
{
	_cleanup_free_ struct object **items = NULL;
	struct objects objects;
	int r = engine_list(n->d->engine, &objects);

	if (r)
		return r;
	items = objects.items;
	return health_ports_find(&objects, out);
}

/* The rows borrow from objects that may go with the next change. */
static void count(struct node_health *n, const struct health_ports *found)
{
	for (size_t i = 0; i < found->rows.count; i++) {
		struct port *p = port_find(n, &found->rows.items[i]);

		if (p)
			p->local = found->rows.items[i].local;
	}
	n->counted = engine_version(n->d->engine);
}

static bool is_wanted(const struct port *p, const struct health_ports *found)
{
	for (size_t i = 0; i < found->rows.count; i++) {
		const struct health_port *row = &found->rows.items[i];

		if (p->number == row->port && !strcmp(p->name, row->service->meta.name) &&
		    !strcmp(p->namespace, row->service->meta.namespace))
			return true;
	}
	return false;
}

static void drop_ports(struct node_health *n, const struct health_ports *found)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->ports.count; i++) {
		if (is_wanted(n->ports.items[i], found))
			n->ports.items[kept++] = n->ports.items[i];
		else
			port_free(n->ports.items[i]);
	}
	n->ports.count = kept;
}

static bool any_taken(const struct node_health *n)
{
	for (size_t i = 0; i < n->ports.count; i++)
		if (n->ports.items[i]->error)
			return true;
	return false;
}

static void try_again(struct node_health *n)
{
	for (size_t i = 0; i < n->ports.count; i++)
		if (n->ports.items[i]->error)
			port_listen(n, n->ports.items[i]);
}

/* Those that are no Service's any more first: another one may have the port. */
static int look_at_objects(struct node_health *n)
{
	struct health_ports found = { 0 };
	uint64_t version = engine_services_version(n->d->engine);
	int r = find(n, &found);

	if (!r) {
		drop_ports(n, &found);
		count(n, &found);
		try_again(n);
	}
	for (size_t i = 0; i < found.rows.count && !r; i++)
		if (!port_find(n, &found.rows.items[i]))
			r = port_add(n, &found.rows.items[i]);
	health_ports_free(&found);
	if (!r) {
		n->looked = true;
		n->looked_at = version;
	}
	return r;
}

/* All objects are gone through only where Services have changed: endpoints are
 * counted when a load balancer asks. */
static void look(struct node_health *n)
{
	int r = 0;

	if (n->looked && n->looked_at == engine_services_version(n->d->engine))
		try_again(n);
	else
		r = look_at_objects(n);
	if (r)
		log_err(r, "answer at healthCheckNodePorts");
	if (r || any_taken(n))
		event_timer_set(&n->timer, AGAIN_MS);
}

static void on_timer(void *arg)
{
	struct node_health *n = arg;

	n->waits = false;
	look(n);
}

void node_health_follow(struct node_health *n)
{
	uint64_t version = engine_services_version(n->d->engine);

	if (version == n->version)
		return;
	n->version = version;
	if (!n->waits)
		event_timer_set(&n->timer, FOLLOW_MS);
	n->waits = true;
}

/* ---- answers ---- */

/* What has changed since the last look counts. */
static void count_again(struct node_health *n)
{
	struct health_ports found = { 0 };

	if (n->counted != engine_version(n->d->engine) && !find(n, &found))
		count(n, &found);
	health_ports_free(&found);
}

static struct port *port_at(const struct node_health *n, uint16_t number)
{
	for (size_t i = 0; i < n->ports.count; i++)
		if (n->ports.items[i]->number == number && n->ports.items[i]->event.fd >= 0)
			return n->ports.items[i];
	return NULL;
}

/* With kube-proxy's words and headers: load balancers read them. */
static int on_ask(void *arg, const struct http_ask *ask,
		  int (*reply)(void *connection, const struct http_reply *r), void *connection)
{
	struct node_health *n = arg;
	struct port *p = port_at(n, ask->port);
	char weight[24], text[1024], gone[] = "";
	const char *const headers[] = { "X-Content-Type-Options", "nosniff",
					"X-Load-Balancing-Endpoint-Weight", weight, NULL };
	struct http_reply r = { .type = "application/json", .text = text, .headers = headers };

	if (!p) /* the Service has just gone */
		return reply(connection, &(struct http_reply){ .status = NOT_FOUND,
							       .type = "text/plain",
							       .text = gone });
	count_again(n);
	snprintf(weight, sizeof(weight), "%zu", p->local);
	snprintf(text, sizeof(text),
		 "{\n\t\"service\": {\n\t\t\"namespace\": \"%s\",\n\t\t\"name\": \"%s\"\n\t},\n"
		 "\t\"localEndpoints\": %zu,\n\t\"serviceProxyHealthy\": true\n}",
		 p->namespace, p->name, p->local);
	r.status = p->local ? OK : UNAVAILABLE;
	return reply(connection, &r);
}

json_t *node_health_json(struct node_health *n)
{
	json_t *list = json_array();

	if (n)
		count_again(n);
	for (size_t i = 0; n && i < n->ports.count; i++) {
		const struct port *p = n->ports.items[i];
		json_t *row = json_pack("{s:i, s:o, s:I}", "port", (int)p->number, "service",
					json_textf("%s/%s", p->namespace, p->name),
					"local_endpoints", (json_int_t)p->local);

		if (p->error)
			json_object_set_new(row, "error",
					    json_text(p->error == -EAGAIN ? "which may come still"
									  : strerror(-p->error)));
		json_array_append_new(list, row);
	}
	return list;
}

/* ---- */

DEFINE_CLEANUP(struct node_health *, node_health_close);

int node_health_open(struct event_loop *loop, struct weftd *d, unsigned wait_s,
		     struct node_health **out)
{
	_cleanup_(node_health_closep) struct node_health *n = calloc(1, sizeof(*n));
	const struct http_daemon_options http = { .loop = loop,
						  .ask = on_ask,
						  .arg = n,
						  .connections_max = CONNECTIONS_MAX,
						  .per_address_max = PER_ADDRESS_MAX };
	int r;

	if (!n)
		return -ENOMEM;
	n->loop = loop;
	n->d = d;
	n->wait_ms = (uint64_t)wait_s * 1000;
	r = http_daemon_open(&http, &n->http);
	if (!r)
		r = event_timer_open(loop, &n->timer, on_timer, n);
	if (r)
		return r;
	event_timer_set(&n->timer, 1); /* what is in force from before */
	*out = TAKE_PTR(n);
	return 0;
}

void node_health_close(struct node_health *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->ports.count; i++)
		port_free(n->ports.items[i]);
	free(n->ports.items);
	event_timer_close(&n->timer);
	http_daemon_close(n->http);
	free(n);
}
