// SPDX-License-Identifier: Apache-2.0
#include "lib/authz/apart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/authz/authz.h"
#include "lib/base/cleanup.h"

enum { ADDR_BITS = 128, V4_BITS = 96 };

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

int authz_apart_subnet(struct authz_apart *a, const struct cidr *subnet)
{
	struct cidr *slot = table_push(&a->subnets);

	if (!slot)
		return -ENOMEM;
	*slot = (struct cidr){ network_of(subnet), subnet->prefix };
	return 0;
}

int authz_apart_port(struct authz_apart *a, __u32 port)
{
	__u32 *slot = table_push(&a->ports);

	if (!slot)
		return -ENOMEM;
	*slot = port;
	return 0;
}

static int compare_subnets(const void *a, const void *b)
{
	const struct cidr *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

static int compare_ports(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* How many are left. */
static size_t sort_once(void *items, size_t count, size_t size,
			int (*compare)(const void *a, const void *b))
{
	char *at = items;
	size_t kept = 1;

	qsort(items, count, size, compare);
	for (size_t i = 1; i < count; i++)
		if (compare(at + (kept - 1) * size, at + i * size) != 0)
			memmove(at + kept++ * size, at + i * size, size);
	return kept;
}

/* "::/0" is not all of IPv4. */
int authz_apart_settle(struct authz_apart *a)
{
	const struct cidr v6 = { .prefix = 0 };
	const struct cidr v4 = { .addr = { .b = { [10] = 0xff, [11] = 0xff } }, .prefix = V4_BITS };

	if (authz_apart_subnet(a, &v6) || authz_apart_subnet(a, &v4) || authz_apart_port(a, 0))
		return -ENOMEM;
	a->subnets.count =
		sort_once(a->subnets.items, a->subnets.count, sizeof(struct cidr), compare_subnets);
	a->ports.count = sort_once(a->ports.items, a->ports.count, sizeof(__u32), compare_ports);
	return 0;
}

void authz_apart_free(struct authz_apart *a)
{
	free(a->subnets.items);
	free(a->ports.items);
	*a = (struct authz_apart){ 0 };
}

/* ---- a policy ---- */

static int note_texts(struct authz_apart *a, enum authz_attribute attribute,
		      const struct strs *texts)
{
	struct cidr subnet;
	int r = 0;

	for (size_t i = 0; i < texts->count && !r; i++) {
		const char *text = texts->items[i];

		if (attribute == AUTHZ_DESTINATION_PORT)
			r = authz_apart_port(a, (__u32)strtoul(text, NULL, 10));
		else if (authz_subnet(text, &subnet))
			r = authz_apart_subnet(a, &subnet);
	}
	return r;
}

static int note(struct authz_apart *a, enum authz_attribute attribute,
		const struct authz_values *values)
{
	int r;

	if (attribute != AUTHZ_DESTINATION_PORT && attribute != AUTHZ_SOURCE_IP &&
	    attribute != AUTHZ_REMOTE_IP)
		return 0;
	r = note_texts(a, attribute, &values->yes);
	return r ? r : note_texts(a, attribute, &values->no);
}

static int note_rule(struct authz_apart *a, const struct authz_rule *rule)
{
	int r = 0;

	for (size_t i = 0; i < rule->from.count && !r; i++) {
		r = note(a, AUTHZ_SOURCE_IP, &rule->from.items[i].ip_blocks);
		if (!r)
			r = note(a, AUTHZ_REMOTE_IP, &rule->from.items[i].remote_ip_blocks);
	}
	for (size_t i = 0; i < rule->to.count && !r; i++)
		r = note(a, AUTHZ_DESTINATION_PORT, &rule->to.items[i].ports);
	for (size_t i = 0; i < rule->when.count && !r; i++)
		r = note(a, authz_condition_attribute(rule->when.items[i].key),
			 &rule->when.items[i].values);
	return r;
}

bool authz_fits(const struct authorization_policy *p)
{
	_cleanup_(authz_apart_free) struct authz_apart a = { 0 };
	int r = 0;

	for (size_t i = 0; i < p->rules.count && !r; i++)
		r = note_rule(&a, &p->rules.items[i]);
	if (!r)
		r = authz_apart_settle(&a);
	return r || (size_t)a.subnets.count * a.ports.count <= AUTHZ_ROWS_MOST;
}
