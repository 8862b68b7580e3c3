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

#include "lib/authz/apart.h"
#include "lib/base/cleanup.h"
#include "lib/l4/l4.h"

enum { ADDR_BITS = 128 };

/* What there was no room for, of a set. */
enum lack {
	LACK_NONE,
	LACK_AUDIT, /* of what audits */
	LACK_ALL,   /* it is closed */
};

/* All sets, written one after the other. */
struct pass {
	struct mesh *mesh;
	__u32 *shared;	 /* by set of the view: its number, where pods have one together */
	enum lack *lack; /* likewise */
	bool blind;	 /* of no set what audits is written */
	bool audits;	 /* of some set it was */
	bool closes;	 /* some set is closed */
};

/* A set of policies as it holds for some pods. */
struct writer {
	struct pass *pass;
	struct mesh *mesh;
	struct authz_view view;
	__u32 set;		 /* of the view */
	__u32 number;		 /* that the kernel knows it by */
	struct addr destination; /* of one pod, where policies ask for that */
	struct authz_apart apart;
	bool full;  /* the kernel's table has no room for it */
	bool blind; /* what audits is passed over */
};

static void writer_done(struct writer *w)
{
	authz_apart_free(&w->apart);
}

/* ---- what policies tell apart ---- */

static int note_values(struct writer *w, enum authz_attribute attribute, struct authz_range values)
{
	int r = 0;

	for (__u32 i = 0; i < values.count && !r; i++) {
		const struct authz_value *v = &w->view.values[values.first + i];

		if (attribute == AUTHZ_DESTINATION_PORT)
			r = authz_apart_port(&w->apart, v->number);
		else if (attribute == AUTHZ_SOURCE_IP || attribute == AUTHZ_REMOTE_IP)
			r = authz_apart_subnet(&w->apart, &(struct cidr){ v->addr, v->number });
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
		const struct authz_policy *p = &v->policies[v->members[members.first + i].policy];
		struct authz_range rules = p->rules;

		if (w->blind && p->action == AUTHZ_AUDIT)
			continue;

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

static int note_all(struct writer *w)
{
	int r = each_clause(w, note_clause);

	return r ? r : authz_apart_settle(&w->apart);
}

/* ---- verdicts ---- */

static int add_row(struct writer *w, __u32 port, bool local, const struct cidr *from, __u32 verdict)
{
	struct authz_table_row *slot;

	if (w->mesh->t->authz.rows.count >= AUTHZ_ROWS_MOST) {
		w->full = true;
		return 0;
	}
	slot = table_push(&w->mesh->t->authz.rows);
	if (!slot)
		return -ENOMEM;
	slot->key = (struct authz_key){ .prefixlen = AUTHZ_KEY_BITS + from->prefix,
					.set = w->number,
					.port = (__u16)port,
					.local = local };
	memcpy(slot->key.addr, from->addr.b, sizeof(slot->key.addr));
	slot->verdict = verdict;
	return 0;
}

/* AUTHZ_LOGS, or 0. */
static __u32 judge_audit(const struct writer *w, const struct authz_question *q)
{
	struct authz_audit audit;
	__u32 at = 0;

	return !w->blind && authz_audit_next(&w->view, w->set, q, &at, &audit) ? AUTHZ_LOGS : 0;
}

/* Of enum authz_verdicts. */
static __u32 judge(const struct writer *w, __u32 port, const struct cidr *from,
		   const struct object *pod)
{
	struct authz_question q = { .source = from->addr,
				    .remote = from->addr,
				    .destination = w->destination,
				    .wide = ADDR_BITS - from->prefix,
				    .port = port };
	struct authz_verdict v;

	if (pod) {
		const char *account = pod->pod.service_account;

		account = account && *account ? account : "default";
		q.ns = (struct authz_text){ pod->meta.namespace, strlen(pod->meta.namespace) };
		q.account = (struct authz_text){ account, strlen(account) };
	}
	v = authz_judge(&w->view, w->set, &q);
	if (authz_is_plaintext(&w->view, &v))
		return AUTHZ_CLOSES_PLAINTEXT;
	if (!v.allowed)
		return AUTHZ_CLOSES | judge_audit(w, &q);
	return (w->view.sets[w->set - 1].authorizes ? AUTHZ_LETS : AUTHZ_PASSES) |
	       judge_audit(w, &q);
}

/* A pod of which more is known than its address, where that makes a difference. */
static int write_caller(struct writer *w, __u32 port, const struct object *pod)
{
	struct cidr from = { .prefix = ADDR_BITS };
	int r = 0;

	for (size_t i = 0; i < pod->pod.ips.count && !r; i++) {
		__u32 known;

		if (addr_parse(pod->pod.ips.items[i], &from.addr) ||
		    bytemap_get(&w->mesh->pods_by_addr, from.addr.b, sizeof(from.addr.b)) != pod)
			continue;
		known = judge(w, port, &from, pod);
		if (known != judge(w, port, &from, NULL))
			r = add_row(w, port, true, &from, known);
	}
	return r;
}

/* STRICT alone asks who a caller is, not which one: a pod may call before the cluster tells of its
 * address. */
static int write_port(struct writer *w, __u32 port)
{
	static const struct cidr everyone;
	const struct mesh *mesh = w->mesh;
	const struct authz_set *set = &w->view.sets[w->set - 1];
	int r = 0;

	for (size_t i = 0; i < w->apart.subnets.count && !r && !w->full; i++)
		r = add_row(w, port, false, &w->apart.subnets.items[i],
			    judge(w, port, &w->apart.subnets.items[i], NULL));
	if (!r && !set->authorizes && !set->audits)
		return add_row(w, port, true, &everyone, AUTHZ_PASSES);
	for (size_t i = 0; i < mesh->authz_pods.count && !r && !w->full; i++)
		r = write_caller(w, port, mesh->authz_pods.items[i].pod);
	return r;
}

/* What has no row is closed. */
static void close_set(struct writer *w, size_t rows)
{
	w->mesh->t->authz.rows.count = rows;
	w->pass->lack[w->set - 1] = LACK_ALL;
	w->pass->closes = true;
}

/* What audits is to close nothing: connections are not marked then. */
static void go_blind(struct writer *w, size_t rows)
{
	w->mesh->t->authz.rows.count = rows;
	w->blind = true;
	w->pass->lack[w->set - 1] = LACK_AUDIT;
	authz_apart_free(&w->apart);
	w->apart = (struct authz_apart){ 0 };
}

static int write_rows(struct writer *w)
{
	size_t before = w->mesh->t->authz.rows.count;
	int r = note_all(w);

	w->full = before + (size_t)w->apart.subnets.count * w->apart.ports.count > AUTHZ_ROWS_MOST;
	for (size_t i = 0; i < w->apart.ports.count && !r && !w->full; i++)
		r = write_port(w, w->apart.ports.items[i]);
	return r;
}

/* The rows of w->set, as set `number` of the kernel's. */
static int write_set(struct writer *w)
{
	size_t before = w->mesh->t->authz.rows.count;
	bool audits = w->view.sets[w->set - 1].audits;
	int r;

	w->number = ++w->mesh->t->authz.sets;
	r = write_rows(w);
	if (!r && w->full && audits && !w->blind) {
		go_blind(w, before);
		r = write_rows(w);
	}
	if (!r && w->full)
		close_set(w, before);
	w->pass->audits |= audits && !w->blind;
	return r;
}

/* ---- what there is no room for ---- */

/* One of the policies that a set is made of; `audits`: one that does. NULL: there is none. */
static const struct object *member_of(const struct mesh *mesh, __u32 set, bool audits)
{
	struct authz_view v = authz_rows_view(&mesh->authz);
	struct authz_range members = v.sets[set - 1].members;

	for (__u32 i = 0; i < members.count; i++) {
		__u32 policy = v.members[members.first + i].policy;

		if (!audits || v.policies[policy].action == AUTHZ_AUDIT)
			return authz_rows_object(&mesh->authz, policy);
	}
	return NULL;
}

static void warn_of(const struct mesh *mesh, const struct object *o, const char *follows)
{
	if (o)
		errors_warn(mesh->errors, o->file, o->pos,
			    "spec: together with the other policies there are more subnets, "
			    "ports and callers than there is room for in the kernel (%d rows): %s",
			    AUTHZ_ROWS_MOST, follows);
}

static void warn_of_blindness(const struct mesh *mesh)
{
	const struct object *o = NULL;

	for (__u32 i = 1; i <= mesh->authz.sets.count && !o; i++)
		o = member_of(mesh, i, true);
	warn_of(mesh, o, "policies with the action AUDIT mark requests, and no connections");
}

/* No errors: those would leave a policy out of force, and other policies and pods than those of
 * the change may be what there is no room for. */
static void warn_of_lack(const struct pass *p)
{
	if (p->blind)
		warn_of_blindness(p->mesh);
	for (__u32 i = 1; i <= p->mesh->authz.sets.count; i++)
		if (p->lack[i - 1] == LACK_ALL)
			warn_of(p->mesh, member_of(p->mesh, i, false),
				"connections to the pods that it selects are refused");
		else if (p->lack[i - 1] == LACK_AUDIT)
			warn_of(p->mesh, member_of(p->mesh, i, true),
				"policies with the action AUDIT mark requests to the pods that it "
				"selects, and no connections");
}

/* ---- pods ---- */

static void refuse_pod(const struct mesh *mesh, const struct authorized_pod *p)
{
	const struct object *o = member_of(mesh, p->set, false);

	o = o ? o : p->pod;
	errors_add(mesh->errors, o->file, o->pos,
		   "spec.selector: more pods are selected on this node than there is room for in "
		   "the kernel (%d addresses)",
		   AUTHZ_ADDRS_MOST);
}

/* Each address has rows of its own where policies ask which one was called. */
static int add_address(struct pass *pass, const struct authorized_pod *p, const struct addr *addr)
{
	struct mesh *mesh = pass->mesh;
	_cleanup_(writer_done) struct writer w = { .pass = pass,
						   .mesh = mesh,
						   .view = authz_rows_view(&mesh->authz),
						   .set = p->set,
						   .destination = *addr,
						   .blind = pass->blind };
	__u32 *shared = &pass->shared[p->set - 1];
	struct authz_pod *slot;
	bool own = each_clause(&w, asks_destination);
	int r = 0;

	if (mesh->t->authz.pods.count >= AUTHZ_ADDRS_MOST) {
		if (!pass->blind) /* it has been said */
			refuse_pod(mesh, p);
		return 0;
	}
	slot = table_push(&mesh->t->authz.pods);
	if (!slot)
		return -ENOMEM;
	slot->addr = *addr;
	if (own || !*shared) {
		r = write_set(&w);
		*shared = own ? 0 : w.number;
		slot->set = w.number;
	} else {
		slot->set = *shared;
	}
	return r;
}

static int add_pod(struct pass *pass, const struct authorized_pod *p)
{
	struct mesh *mesh = pass->mesh;
	struct addr addr;
	int r = 0;

	for (size_t i = 0; p->set && i < p->pod->pod.ips.count && !r; i++)
		if (!addr_parse(p->pod->pod.ips.items[i], &addr) &&
		    bytemap_get(&mesh->pods_by_addr, addr.b, sizeof(addr.b)) == p->pod)
			r = add_address(pass, p, &addr);
	return r;
}

static int add_pods(struct pass *pass)
{
	const struct mesh *mesh = pass->mesh;
	int r = 0;

	for (size_t i = 0; i < mesh->authz_pods.count && !r; i++)
		r = add_pod(pass, &mesh->authz_pods.items[i]);
	return r;
}

/* Rows of what audits have closed a set, maybe another one: all is written anew without them. */
static int add_pods_blind(struct pass *pass)
{
	const size_t sets = pass->mesh->authz.sets.count;
	struct tables *t = pass->mesh->t;

	t->authz.rows.count = t->authz.pods.count = 0;
	t->authz.sets = 0;
	memset(pass->shared, 0, sets * sizeof(*pass->shared));
	memset(pass->lack, 0, sets * sizeof(*pass->lack));
	pass->blind = true;
	return add_pods(pass);
}

int l4_authorize(struct mesh *mesh)
{
	const size_t sets = mesh->authz.sets.count + 1;
	_cleanup_free_ __u32 *shared = calloc(sets, sizeof(*shared));
	_cleanup_free_ enum lack *lack = calloc(sets, sizeof(*lack));
	struct pass pass = { .mesh = mesh, .shared = shared, .lack = lack };
	int r = shared && lack ? add_pods(&pass) : -ENOMEM;

	if (!r && pass.closes && pass.audits)
		r = add_pods_blind(&pass);
	if (!r)
		warn_of_lack(&pass);
	return r;
}
