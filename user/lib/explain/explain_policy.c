// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/explain_policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"

int explain_policies_init(struct explain_policies *p, const struct objects *objects,
			  const struct explain_client *client)
{
	int r;

	*p = (struct explain_policies){ .client = client };
	r = netpolicies_init(&p->index, objects);
	for (size_t i = 0; i < objects->count && p->index.all.policies.count && !r; i++)
		if (objects->items[i]->kind == KIND_POD &&
		    !netpolicy_pod_is_over(objects->items[i]))
			r = explain_add_pod(&p->pods, &p->pool, objects->items[i]);
	return r;
}

void explain_policies_free(struct explain_policies *p)
{
	netpolicies_free(&p->index);
	bytemap_free(&p->pods);
	pool_free(p->pool);
	*p = (struct explain_policies){ 0 };
}

/* By that one of its addresses that it calls the endpoint from. */
static struct netpolicy_party client_party(const struct explain_policies *p,
					   const struct addr *endpoint)
{
	static const struct kvs none;
	const struct explain_client *c = p->client;
	struct addr own;

	if (!c->pod)
		return (struct netpolicy_party){ .ns = c->namespace,
						 .labels = c->labels ? c->labels : &none };
	for (size_t i = 0; i < c->pod->pod.ips.count; i++)
		if (!addr_parse(c->pod->pod.ips.items[i], &own) &&
		    addr_is_v4(&own) == addr_is_v4(endpoint))
			return netpolicy_pod(c->pod, &own);
	return netpolicy_pod(c->pod, NULL);
}

static bool has_block(const struct object *policy)
{
	const struct policy_rules *rules = &policy->policy.ingress;

	for (size_t i = 0; i < rules->count; i++)
		for (size_t k = 0; k < rules->items[i].peers.count; k++)
			if (rules->items[i].peers.items[k].block)
				return true;
	return false;
}

/* What is outside has an address that is not known here. */
static bool depends(const struct explain_policies *p, const struct netpolicy_closed *c)
{
	for (size_t i = 0; i < c->ingress_count && !p->client->namespace; i++)
		if (has_block(c->ingress[i]))
			return true;
	return false;
}

static void write_client(FILE *f, const struct explain_client *c)
{
	if (c->pod)
		fprintf(f, "%s/%s", c->pod->meta.namespace, c->pod->meta.name);
	else if (c->namespace)
		fprintf(f, "such a client of namespace %s", c->namespace);
	else
		fputs("outside", f);
}

/* "NetworkPolicy default/deny-all (f.yaml:3:1) lets no connection from default/sleep in to port
 * 80" */
static const char *sentence(struct explain_policies *p, const struct netpolicy_closed *c,
			    unsigned port)
{
	const struct object **list = c->ingress_count ? c->ingress : c->egress;
	size_t count = c->ingress_count ? c->ingress_count : c->egress_count, size;
	_cleanup_free_ char *text = NULL;
	FILE *f = open_memstream(&text, &size);
	char at[PLACE_MAX];

	if (!f)
		return NULL;
	fputs(count > 1 ? "NetworkPolicies" : "NetworkPolicy", f);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "%s %s/%s (%s%s)", i ? "," : "", list[i]->meta.namespace,
			list[i]->meta.name, place_text(at, sizeof(at), list[i]->file, list[i]->pos),
			list[i]->stands_in ? ", which can't be read" : "");
	fputs(count > 1 ? " let no connection from " : " lets no connection from ", f);
	write_client(f, p->client);
	fprintf(f, " %s to port %u", c->ingress_count ? "in" : "out", port);
	return fclose(f) ? NULL : pool_copy(&p->pool, text, strlen(text));
}

int explain_policies_ask(struct explain_policies *p, const struct addr *endpoint, unsigned port,
			 const char **why)
{
	const struct object *pod = bytemap_get(&p->pods, endpoint, sizeof(*endpoint));
	const struct netpolicy_party client = client_party(p, endpoint),
				     to = pod ? netpolicy_pod(pod, endpoint)
					      : netpolicy_outside(endpoint);
	struct netpolicy_closed closed = { 0 };
	int r = p->index.all.policies.count
			? netpolicy_allows(&p->index, &client, &to, port, &closed)
			: 1;

	*why = NULL;
	if (r < 0)
		return r;
	if (r || depends(p, &closed))
		return 0;
	*why = sentence(p, &closed, port);
	return *why ? 0 : -ENOMEM;
}
