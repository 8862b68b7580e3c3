// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicies -> the kernel's table of who may connect to which pod
 * (headers/weft/authz.h).
 *
 * Of a set all connections are judged beforehand: from each range of addresses that its policies
 * tell apart, to each port that they name and to any other; and from each pod of this node, where
 * who it is makes a difference.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/l4/l4.h"

enum { ADDR_BITS = 128, V4_BITS = 96 };

struct subnets {
	TABLE(struct cidr) list;
};

struct ports {
	TABLE(__u32) list; /* 0: all others */
};

/* A set of policies as it holds for some pods. */
struct writer {
	struct mesh *mesh;
	struct authz_view view;
	__u32 set;		 /* of the view */
	__u32 number;		 /* that the kernel knows it by */
	struct addr destination; /* of one pod, where policies ask for that */
	struct subnets subnets;
	struct ports ports;
};

static void writer_done(struct writer *w)
{
	free(w->subnets.list.items);
	free(w->ports.list.items);
}

/* ---- what policies tell apart ---- */

/* Without the bits beyond the prefix. */
static struct addr network_of(const struct cidr *c)
{
	struct addr out = { 0 };
	unsigned prefix = c->prefix < ADDR_BITS ? c->prefix : ADDR_BITS;
	unsigned bytes = prefix / 8, bits = prefix % 8;

	memcpy(out.b, c->addr.b, bytes);
	if (bits)
		out.b[bytes] = c->addr.b[bytes] & (0xff00 >> bits);
	return out;
}

static int add_subnet(struct writer *w, struct cidr c)
{
	struct cidr *slot;

	c.addr = network_of(&c);
	for (size_t i = 0; i < w->subnets.list.count; i++)
		if (w->subnets.list.items[i].prefix == c.prefix &&
		    !memcmp(&w->subnets.list.items[i].addr, &c.addr, sizeof(c.addr)))
			return 0;
	slot = table_push(&w->subnets.list);
	if (!slot)
		return -ENOMEM;
	*slot = c;
	return 0;
}

static int add_port(struct writer *w, __u32 port)
{
	__u32 *slot;

	for (size_t i = 0; i < w->ports.list.count; i++)
		if (w->ports.list.items[i] == port)
			return 0;
	slot = table_push(&w->ports.list);
	if (!slot)
		return -ENOMEM;
	*slot = port;
	return 0;
}

static int note_values(struct writer *w, enum authz_attribute attribute, struct authz_range values)
{
	int r = 0;

	for (__u32 i = 0; i < values.count && !r; i++) {
		const struct authz_value *v = &w->view.values[values.first + i];

		if (attribute == AUTHZ_DESTINATION_PORT)
			r = add_port(w, v->number);
		else if (attribute == AUTHZ_SOURCE_IP || attribute == AUTHZ_REMOTE_IP)
			r = add_subnet(w, (struct cidr){ v->addr, v->number });
	}
	return r;
}

/* Calls `each` for the clauses of the set's policies. */
static int each_clause(struct writer *w,
		       int (*each)(struct writer *w, const struct authz_clause *c))
{
	const struct authz_view *v = &w->view;
	struct authz_range members = v->sets[w->set - 1].members;
	int r = 0;

	for (__u32 i = 0; i < members.count; i++) {
		struct authz_range rules = v->policies[v->members[members.first + i].policy].rules;

		for (__u32 k = 0; k < rules.count && !r; k++) {
			const struct authz_rule_row *rule = &v->rules[rules.first + k];
			/* The alternatives of from and to, and the clauses of all of them and of
			 * when, are each in a row. */
			__u32 a = rule->from.first, end = rule->to.first + rule->to.count;
			__u32 c = a < end ? v->alternatives[a].clauses.first : rule->when.first;

			for (; c < rule->when.first + rule->when.count && !r; c++)
				r = each(w, &v->clauses[c]);
		}
	}
	return r;
}

static int note_clause(struct writer *w, const struct authz_clause *c)
{
	int r = note_values(w, c->attribute, c->yes);

	return r ? r : note_values(w, c->attribute, c->no);
}

static int asks_destination(struct writer *w, const struct authz_clause *c)
{
	(void)w;
	return c->attribute == AUTHZ_DESTINATION_IP;
}

/* Everything, by family: "::/0" is not all of IPv4. */
static int note_all(struct writer *w)
{
	const struct cidr v6 = { .prefix = 0 };
	const struct cidr v4 = { .addr = { .b = { [10] = 0xff, [11] = 0xff } }, .prefix = V4_BITS };
	int r = add_subnet(w, v6);

	if (!r)
		r = add_subnet(w, v4);
	if (!r)
		r = add_port(w, 0);
	return r ? r : each_clause(w, note_clause);
}

/* ---- verdicts ---- */

static int add_row(struct writer *w, __u32 port, bool local, const struct cidr *from, bool lets)
{
	struct authz_table_row *slot = table_push(&w->mesh->t->authz.rows);

	if (!slot)
		return -ENOMEM;
	slot->key = (struct authz_key){ .prefixlen = AUTHZ_KEY_BITS + from->prefix,
					.set = w->number,
					.port = (__u16)port,
					.local = local };
	memcpy(slot->key.addr, from->addr.b, sizeof(slot->key.addr));
	slot->verdict = lets ? AUTHZ_LETS : AUTHZ_CLOSES;
	return 0;
}

static bool lets(const struct writer *w, __u32 port, const struct cidr *from,
		 const struct object *pod)
{
	struct authz_question q = { .source = from->addr,
				    .remote = from->addr,
				    .destination = w->destination,
				    .wide = ADDR_BITS - from->prefix,
				    .port = port };

	if (pod) {
		const char *account = pod->pod.service_account;

		account = account && *account ? account : "default";
		q.ns = (struct authz_text){ pod->meta.namespace, strlen(pod->meta.namespace) };
		q.account = (struct authz_text){ account, strlen(account) };
	}
	return authz_judge(&w->view, w->set, &q).allowed;
}

/* A pod of which more is known than its address, where that makes a difference. */
static int write_caller(struct writer *w, __u32 port, const struct object *pod)
{
	struct cidr from = { .prefix = ADDR_BITS };
	int r = 0;

	for (size_t i = 0; i < pod->pod.ips.count && !r; i++) {
		bool known;

		if (addr_parse(pod->pod.ips.items[i], &from.addr) ||
		    bytemap_get(&w->mesh->pods_by_addr, from.addr.b, sizeof(from.addr.b)) != pod)
			continue;
		known = lets(w, port, &from, pod);
		if (known != lets(w, port, &from, NULL))
			r = add_row(w, port, true, &from, known);
	}
	return r;
}

static int write_port(struct writer *w, __u32 port)
{
	const struct mesh *mesh = w->mesh;
	int r = 0;

	for (size_t i = 0; i < w->subnets.list.count && !r; i++)
		r = add_row(w, port, false, &w->subnets.list.items[i],
			    lets(w, port, &w->subnets.list.items[i], NULL));
	for (size_t i = 0; i < mesh->authz_pods.count && !r; i++)
		r = write_caller(w, port, mesh->authz_pods.items[i].pod);
	return r;
}

/* The rows of w->set, as set `number` of the kernel's. */
static int write_set(struct writer *w)
{
	int r = note_all(w);

	w->number = ++w->mesh->t->authz.sets;
	for (size_t i = 0; i < w->ports.list.count && !r; i++)
		r = write_port(w, w->ports.list.items[i]);
	return r;
}

/* ---- pods ---- */

/* Each address has rows of its own where policies ask which one was called. */
static int add_address(struct mesh *mesh, const struct authorized_pod *p, const struct addr *addr,
		       __u32 *shared)
{
	_cleanup_(writer_done) struct writer w = { .mesh = mesh,
						   .view = authz_rows_view(&mesh->authz),
						   .set = p->set,
						   .destination = *addr };
	struct authz_pod *slot = table_push(&mesh->t->authz.pods);
	bool own = each_clause(&w, asks_destination);
	int r = 0;

	if (!slot)
		return -ENOMEM;
	slot->addr = *addr;
	if (own || !shared[p->set - 1]) {
		r = write_set(&w);
		shared[p->set - 1] = own ? 0 : w.number;
		slot->set = w.number;
	} else {
		slot->set = shared[p->set - 1];
	}
	return r;
}

static int add_pod(struct mesh *mesh, const struct authorized_pod *p, __u32 *shared)
{
	struct addr addr;
	int r = 0;

	for (size_t i = 0; p->set && i < p->pod->pod.ips.count && !r; i++)
		if (!addr_parse(p->pod->pod.ips.items[i], &addr) &&
		    bytemap_get(&mesh->pods_by_addr, addr.b, sizeof(addr.b)) == p->pod)
			r = add_address(mesh, p, &addr, shared);
	return r;
}

int l4_authorize(struct mesh *mesh)
{
	_cleanup_free_ __u32 *shared = calloc(mesh->authz.sets.count + 1, sizeof(*shared));
	int r = shared ? 0 : -ENOMEM;

	for (size_t i = 0; i < mesh->authz_pods.count && !r; i++)
		r = add_pod(mesh, &mesh->authz_pods.items[i], shared);
	return r;
}
