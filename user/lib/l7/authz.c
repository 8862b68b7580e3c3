// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicies -> rows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/l7/l7_priv.h"

static int copy(struct http_compiler *c, enum hs_table table, const void *items, size_t count)
{
	size_t size = count * http_row_size(table);
	void *rows;

	if (!count)
		return 0;
	rows = malloc(size);
	if (!rows)
		return -ENOMEM;
	memcpy(rows, items, size);
	http_build_take(&c->build, table, rows, count);
	return 0;
}

static struct authz_str put_text(struct authz_rows *r, const char *text)
{
	struct authz_str s = { r->bytes.count, strlen(text) };

	return authz_rows_put(r, text, s.len) ? (struct authz_str){ 0, 0 } : s;
}

static int add_pod(struct http_compiler *c, const struct authorized_pod *p)
{
	const struct object *pod = p->pod;
	const char *account = pod->pod.service_account;
	struct hs_authz_pod row = { .set = p->set };

	row.ns = put_text(&c->mesh->authz, pod->meta.namespace);
	row.account = put_text(&c->mesh->authz, account && *account ? account : "default");
	if (!row.ns.len || !row.account.len)
		return -ENOMEM;
	for (size_t i = 0; i < pod->pod.ips.count; i++)
		if (!addr_parse(pod->pod.ips.items[i], &row.addr) &&
		    bytemap_get(&c->mesh->pods_by_addr, row.addr.b, sizeof(row.addr.b)) == pod)
			http_build_add(&c->build, HS_AUTHZ_PODS, &row);
	return 0;
}

static int compare_pods(const void *a, const void *b)
{
	const struct hs_authz_pod *x = a, *y = b;

	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

static int write_pods(struct http_compiler *c)
{
	__u32 count;
	int r = 0;

	for (size_t i = 0; i < c->mesh->authz_pods.count && !r; i++)
		r = add_pod(c, &c->mesh->authz_pods.items[i]);
	count = http_build_count(&c->build, HS_AUTHZ_PODS);
	if (!r && count)
		qsort(http_build_row(&c->build, HS_AUTHZ_PODS, 0), count,
		      sizeof(struct hs_authz_pod), compare_pods);
	return r;
}

int http_authz_write(struct http_compiler *c)
{
	const struct authz_rows *a = &c->mesh->authz;
	int r = write_pods(c);

	if (!r)
		r = copy(c, HS_AUTHZ_SETS, a->sets.items, a->sets.count);
	if (!r)
		r = copy(c, HS_AUTHZ_MEMBERS, a->members.items, a->members.count);
	if (!r)
		r = copy(c, HS_AUTHZ_POLICIES, a->policies.items, a->policies.count);
	if (!r)
		r = copy(c, HS_AUTHZ_RULES, a->rules.items, a->rules.count);
	if (!r)
		r = copy(c, HS_AUTHZ_ALTERNATIVES, a->alternatives.items, a->alternatives.count);
	if (!r)
		r = copy(c, HS_AUTHZ_CLAUSES, a->clauses.items, a->clauses.count);
	if (!r)
		r = copy(c, HS_AUTHZ_VALUES, a->values.items, a->values.count);
	return r ? r : copy(c, HS_AUTHZ_BYTES, a->bytes.items, a->bytes.count);
}
