/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/model/hostname.h"
#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

/* More than the API server has room for in a pod, as it sets no limit of its own. */
enum { PORTS_MAX = 1 << 17 };

static const struct field port_fields[] = {
	{ "name", FIELD_STRING, .offset = offsetof(struct pod_port, name) },
	{ "protocol", FIELD_STRING, .offset = offsetof(struct pod_port, protocol) },
	{ "containerPort", FIELD_UINT16, .required = true,
	  .offset = offsetof(struct pod_port, port), .min = 1, .max = 65535 },
	{ 0 },
};

static void init_port(void *self)
{
	struct pod_port *port = self;

	port->protocol = "TCP";
}

static const struct message port_message = {
	.what = "a port (a map)",
	.size = sizeof(struct pod_port),
	.fields = port_fields,
	.init = init_port,
};

/* A pod's ports are those of all of its containers. */
static void decode_container_ports(struct decoder *d, const struct node *value, void *target)
{
	struct pod_spec *pod = target;
	struct pod_port *all;
	void *items = NULL;
	size_t count = 0;

	if (!decode_at_most(d, value, pod->ports.count + node_target(value)->count, PORTS_MAX) ||
	    !decode_list(d, value, &port_message, &items, &count, false) || !count)
		return;
	all = decode_grow(d, pod->ports.items, pod->ports.count, count, sizeof(*all));
	if (!all)
		return;
	memcpy(all + pod->ports.count, items, count * sizeof(*all));
	pod->ports.items = all;
	pod->ports.count += count;
}

static const struct field container_fields[] = {
	{ "ports", FIELD_CUSTOM, .decode = decode_container_ports },
	{ 0 },
};

static const struct message container_message = { .what = "a container (a map)",
						  .fields = container_fields };

/* Every container decodes into the pod itself. */
static void decode_containers(struct decoder *d, const struct node *value, void *target)
{
	struct path here = { .up = d->path };

	if (node_target(value)->type != NODE_LIST) {
		decode_expected(d, value, NULL, "a list of containers");
		return;
	}
	d->path = &here;
	for (const struct node *n = node_target(value)->child; n; n = n->next, here.index++)
		decode_message(d, &container_message, n, target);
	d->path = here.up;
}

static const struct field spec_fields[] = {
	{ "containers", FIELD_CUSTOM, .decode = decode_containers },
	{ "initContainers", FIELD_CUSTOM, .decode = decode_containers },
	{ "serviceAccountName", FIELD_STRING,
	  .offset = offsetof(struct pod_spec, service_account) },
	{ "nodeName", FIELD_STRING, .offset = offsetof(struct pod_spec, node_name) },
	{ "subdomain", FIELD_STRING, .offset = offsetof(struct pod_spec, subdomain) },
	{ "hostname", FIELD_STRING, .offset = offsetof(struct pod_spec, hostname) },
	{ "hostNetwork", FIELD_BOOL, .offset = offsetof(struct pod_spec, host_network) },
	{ 0 },
};

static const struct message spec_message = { .what = "a Pod's spec (a map)",
					     .fields = spec_fields };

static void add_ip(struct decoder *d, struct pod_spec *pod, const char *ip, const struct node *at)
{
	for (size_t i = 0; i < pod->ips.count; i++)
		if (!strcmp(pod->ips.items[i], ip))
			return;
	if (!valid_ip(ip, NULL))
		decode_expected(d, at, NULL, "an IP address");
	else
		decode_strs_append(d, &pod->ips, ip, at);
}

static void decode_ip(struct decoder *d, const struct node *value, void *target)
{
	const char *ip;

	if (decode_string(d, value, &ip) && *ip)
		add_ip(d, target, ip, value);
}

static const struct field ip_fields[] = {
	{ "ip", FIELD_CUSTOM, .decode = decode_ip },
	{ 0 },
};

static const struct message ip_message = { .what = "a map with the field ip", .fields = ip_fields };

static void decode_ips(struct decoder *d, const struct node *value, void *target)
{
	struct path here = { .up = d->path };

	if (node_target(value)->type != NODE_LIST) {
		decode_expected(d, value, NULL, "a list of addresses");
		return;
	}
	if (!decode_count(d, value, node_target(value)->count))
		return;
	d->path = &here;
	for (const struct node *n = node_target(value)->child; n; n = n->next, here.index++)
		decode_message(d, &ip_message, n, target);
	d->path = here.up;
}

struct condition {
	const char *type, *status;
};

static const struct field condition_fields[] = {
	{ "type", FIELD_STRING, .offset = offsetof(struct condition, type) },
	{ "status", FIELD_STRING, .offset = offsetof(struct condition, status) },
	{ 0 },
};

static const struct message condition_message = {
	.what = "a condition (a map)",
	.size = sizeof(struct condition),
	.fields = condition_fields,
};

struct pod_status {
	struct {
		struct condition *items;
		size_t count;
	} conditions;
	bool given;
};

static const struct field conditions_fields[] = {
	{ "conditions", FIELD_LIST, .offset = offsetof(struct pod_status, conditions),
	  .given_at = AT(struct pod_status, given), .message = &condition_message },
	{ .name = "podIP", .type = FIELD_IGNORED },
	{ 0 },
};

static const struct message conditions_message = {
	.what = "a Pod's status (a map)",
	.size = sizeof(struct pod_status),
	.fields = conditions_fields,
};

static const struct field status_fields[] = {
	{ "phase", FIELD_STRING, .offset = offsetof(struct pod_spec, phase) },
	{ "podIP", FIELD_CUSTOM, .decode = decode_ip },
	{ "podIPs", FIELD_CUSTOM, .decode = decode_ips },
	{ 0 },
};

/* Ready as its condition says; without any, when it runs as far as is known. */
static void finish_status(struct decoder *d, const struct node *self_node, void *self)
{
	struct pod_status status = { 0 };
	struct pod_spec *pod = self;

	decode_message(d, &conditions_message, self_node, &status);
	pod->ready = !status.given && (!pod->phase || !strcmp(pod->phase, "Running"));
	for (size_t i = 0; i < status.conditions.count; i++) {
		const struct condition *c = &status.conditions.items[i];

		if (c->type && c->status && !strcmp(c->type, "Ready"))
			pod->ready = !strcmp(c->status, "True");
	}
}

static const struct message status_message = {
	.what = "a Pod's status (a map)",
	.fields = status_fields,
	.finish = finish_status,
};

static void init_pod(void *self)
{
	struct object *o = self;

	o->pod.ready = true; /* until its status says otherwise */
}

/* ---- what it belongs to ---- */

/* As a CronJob names its Jobs: "NAME-" and the minute. */
enum { JOB_DIGITS_MIN = 8, JOB_DIGITS_MAX = 10 };

static bool is_controller(const struct node *reference)
{
	const struct node *n = node_get(reference, "controller");

	return n && node_true(node_target(n));
}

/* NULL: it has none, or it can't be read, which is no reason to refuse a Pod. */
static const struct node *controller_of(const struct node *metadata)
{
	const struct node *list = node_get(metadata, "ownerReferences");
	const struct node *n;

	list = list ? node_target(list) : NULL;
	if (!list || list->type != NODE_LIST)
		return NULL;
	for (n = list->child; n && !is_controller(n); n = n->next)
		;
	return n;
}

/* How much of a ReplicaSet's name is that of its Deployment. */
static size_t deployment_len(const struct object *o, const char *name)
{
	const char *hash = labels_get(&o->meta.labels, "pod-template-hash");
	size_t len = strlen(name), tail = hash ? strlen(hash) : 0;

	return tail && len > tail + 1 && name[len - tail - 1] == '-' &&
			       !strcmp(name + len - tail, hash)
		       ? len - tail - 1
		       : len;
}

/* How much of a Job's name is that of its CronJob. */
static size_t cron_job_len(const char *name)
{
	const char *dash = strrchr(name, '-');
	size_t digits = dash ? strspn(dash + 1, "0123456789") : 0;

	return dash && dash > name && !dash[1 + digits] && digits >= JOB_DIGITS_MIN &&
			       digits <= JOB_DIGITS_MAX
		       ? (size_t)(dash - name)
		       : strlen(name);
}

static void find_workload(struct decoder *d, const struct node *metadata, struct object *o)
{
	const struct node *owner = controller_of(metadata);
	const struct node *kind_node = owner ? node_get(owner, "kind") : NULL;
	const struct node *name_node = owner ? node_get(owner, "name") : NULL;
	const char *kind = kind_node ? node_text(kind_node) : NULL;
	const char *name = name_node ? node_text(name_node) : NULL;
	size_t len;
	char *workload;

	if (!kind || !name || !*name || !valid_object_name(name))
		return;
	len = !strcmp(kind, "ReplicaSet") ? deployment_len(o, name)
	      : !strcmp(kind, "Job")	  ? cron_job_len(name)
					  : strlen(name);
	workload = decode_alloc(d, len + 1);
	if (!workload)
		return;
	memcpy(workload, name, len);
	o->pod.workload = workload;
}

static void finish_pod(struct decoder *d, const struct node *self_node, void *self)
{
	const struct node *metadata = node_get(self_node, "metadata");
	const struct node *deletion = node_get(metadata, "deletionTimestamp");
	struct object *o = self;

	find_workload(d, metadata, o);
	o->pod.deleting = deletion && !node_is_null(deletion);
}

static const struct field pod_fields[] = {
	{ "metadata", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, meta),
	  .message = &schema_meta },
	{ "spec", FIELD_MESSAGE, .required = true, .offset = offsetof(struct object, pod),
	  .message = &spec_message },
	{ "status", FIELD_MESSAGE, .offset = offsetof(struct object, pod),
	  .message = &status_message },
	{ 0 },
};

const struct message schema_pod = {
	.what = "a Pod (a map)",
	.size = OBJECT_SIZE(pod),
	.fields = pod_fields,
	.init = init_pod,
	.finish = finish_pod,
};
