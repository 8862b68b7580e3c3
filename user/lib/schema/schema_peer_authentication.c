/* SPDX-License-Identifier: Apache-2.0 */
/* PeerAuthentication of security.istio.io: what Istio's own validation takes. */
#include <stdlib.h>
#include <string.h>

#include "lib/schema/decode.h"
#include "lib/schema/validate.h"

enum { PORTS = 64 }; /* of portLevelMtls: the API server prices each */

/* ---- the pods ---- */

static const struct field match_fields[] = {
	{ "matchLabels", FIELD_FULL_KVS, .selects = true, .check = validate_labels,
	  .pattern = CRD_LABEL_VALUE },
	{ 0 },
};

const struct message schema_match_labels = {
	.what = "a selector (a map with matchLabels)",
	.size = sizeof(struct kvs),
	.fields = match_fields,
};

/* ---- modes ---- */

static const struct word modes[] = {
	{ "UNSET", MTLS_UNSET },
	{ "DISABLE", MTLS_DISABLE },
	{ "PERMISSIVE", MTLS_PERMISSIVE },
	{ "STRICT", MTLS_STRICT },
	{ 0 },
};

static const struct field mtls_fields[] = {
	{ "mode", FIELD_ENUM, .words = modes },
	{ 0 },
};

static const struct message mtls_message = {
	.what = "a map with mode",
	.size = sizeof(int),
	.fields = mtls_fields,
};

/* ---- ports ---- */

static void check_port(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct port_mtls *p = self;

	if (!p->port)
		decode_error(d, self_node, NULL,
			     "expected a port as the key, 1 to 65535, not \"%s\"", p->key);
}

static void finish_port(struct decoder *d, const struct node *self_node, void *self)
{
	struct port_mtls *p = self;
	char *end;
	unsigned long port = strtoul(p->key, &end, 10);

	(void)d;
	(void)self_node;
	if (*p->key >= '0' && *p->key <= '9' && !*end && port <= UINT16_MAX)
		p->port = (uint16_t)port;
}

static const struct field port_fields[] = {
	{ "mode", FIELD_ENUM, .offset = offsetof(struct port_mtls, mode), .words = modes },
	{ 0 },
};

static const struct message port_message = {
	.what = "a map with mode",
	.size = sizeof(struct port_mtls),
	.fields = port_fields,
	.finish = finish_port,
	.check = check_port,
};

/* ---- the whole ---- */

/* "80" and "080" are one port. */
static bool is_named_twice(const struct peer_authentication *p, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (p->ports.items[k].port == p->ports.items[i].port)
			return true;
	return false;
}

static void check_spec(struct decoder *d, const struct node *self_node, const void *self)
{
	const struct peer_authentication *p = self;
	const struct node *ports = decode_at(d, self_node, "portLevelMtls");

	if (!decode_given(d, self_node, "portLevelMtls"))
		return;
	if (!p->ports.count)
		decode_error(d, ports, "portLevelMtls", "expected at least one port");
	if (!p->selector.count)
		decode_error(d, ports, "portLevelMtls",
			     "expected together with a selector that has labels: for a whole "
			     "namespace, or for the mesh, there are no ports");
	for (size_t i = 0; i < p->ports.count; i++)
		if (is_named_twice(p, i))
			decode_error(d, ports, "portLevelMtls", "expected port %u once, not twice",
				     p->ports.items[i].port);
}

static const struct cel cel_ports[] = {
	{ .rule = "self.all(key, 0 < int(key) && int(key) <= 65535)",
	  .message = "expected a port as the key, 1 to 65535" },
	{ .rule = "self.size() > 0", .message = "expected at least one port" },
	{ 0 },
};

static const struct cel cel_spec[] = {
	{ .rule = "!has(self.portLevelMtls) || (has(self.selector) && "
		  "has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)",
	  .message = "expected portLevelMtls together with a selector that has labels" },
	{ 0 },
};

static const struct field spec_fields[] = {
	{ "selector", FIELD_MESSAGE, .offset = offsetof(struct peer_authentication, selector),
	  .message = &schema_match_labels },
	{ "mtls", FIELD_MESSAGE, .offset = offsetof(struct peer_authentication, mode),
	  .message = &mtls_message },
	{ "portLevelMtls", FIELD_MAP, .offset = offsetof(struct peer_authentication, ports),
	  .max = PORTS, .message = &port_message, .cel = cel_ports },
	{ 0 },
};

static const struct message spec_message = {
	.what = "a PeerAuthentication's spec (a map)",
	.size = sizeof(struct peer_authentication),
	.fields = spec_fields,
	.cel = cel_spec,
	.check = check_spec,
};

static const struct field policy_fields[] = OBJECT_FIELDS(peer, spec_message, false);

const struct message schema_peer_authentication = {
	.what = "a PeerAuthentication (a map)",
	.size = OBJECT_SIZE(peer),
	.fields = policy_fields,
};
