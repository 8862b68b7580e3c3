// SPDX-License-Identifier: Apache-2.0
#include "lib/route/shape.h"

#define STR(type, field)                                    \
	{                                                   \
		HS_REF_STR, 0, offsetof(struct type, field) \
	}
#define RANGE(type, field, table)                                 \
	{                                                         \
		HS_REF_RANGE, table, offsetof(struct type, field) \
	}
#define INDEX(type, field, table)                                 \
	{                                                         \
		HS_REF_INDEX, table, offsetof(struct type, field) \
	}
#define OPTION(type, field, table)                                 \
	{                                                          \
		HS_REF_OPTION, table, offsetof(struct type, field) \
	}
#define NUMBER(type, field, table)                                 \
	{                                                          \
		HS_REF_NUMBER, table, offsetof(struct type, field) \
	}
#define VALUE(type, field) STR(type, field.value), OPTION(type, field.regex, HS_REGEXES)

const struct hs_shape hs_shapes[HS_TABLES] = {
	[HS_BYTES] = { 1, { { 0 } } },
	[HS_NAMESPACES] = { sizeof(struct hs_namespace), { STR(hs_namespace, name) } },
	[HS_LISTENERS] = { sizeof(struct hs_listener),
			   { RANGE(hs_listener, exact, HS_DOMAINS),
			     RANGE(hs_listener, wild, HS_DOMAINS),
			     RANGE(hs_listener, sni_exact, HS_SNI),
			     RANGE(hs_listener, sni_wild, HS_SNI) } },
	[HS_DOMAINS] = { sizeof(struct hs_domain),
			 { STR(hs_domain, name), INDEX(hs_domain, vhost, HS_VHOSTS) } },
	[HS_VHOSTS] = { sizeof(struct hs_vhost),
			{ STR(hs_vhost, name), RANGE(hs_vhost, rules, HS_RULES),
			  RANGE(hs_vhost, skipped, HS_SKIPPED),
			  OPTION(hs_vhost, plain, HS_ACTIONS) } },
	[HS_RULES] = { sizeof(struct hs_rule),
		       { OPTION(hs_rule, match, HS_MATCHES), INDEX(hs_rule, action, HS_ACTIONS),
			 INDEX(hs_rule, place, HS_PLACES) } },
	[HS_MATCHES] = { sizeof(struct hs_match),
			 { VALUE(hs_match, uri), VALUE(hs_match, scheme), VALUE(hs_match, method),
			   VALUE(hs_match, authority), RANGE(hs_match, headers, HS_NAMED),
			   RANGE(hs_match, without_headers, HS_NAMED),
			   RANGE(hs_match, query_params, HS_NAMED), STR(hs_match, source_namespace),
			   RANGE(hs_match, source_labels, HS_LABELS),
			   STR(hs_match, source_labels_text) } },
	[HS_NAMED] = { sizeof(struct hs_named), { STR(hs_named, name), VALUE(hs_named, value) } },
	[HS_VALUES] = { sizeof(struct hs_value),
			{ STR(hs_value, value), OPTION(hs_value, regex, HS_REGEXES) } },
	[HS_LABELS] = { sizeof(struct hs_label), { STR(hs_label, key), STR(hs_label, value) } },
	[HS_ACTIONS] = { sizeof(struct hs_action),
			 { STR(hs_action, name), OPTION(hs_action, place, HS_PLACES),
			   RANGE(hs_action, request, HS_OPS), RANGE(hs_action, response, HS_OPS),
			   RANGE(hs_action, dests, HS_DESTS),
			   RANGE(hs_action, retries.statuses, HS_STATUSES),
			   STR(hs_action, retries.text),
			   OPTION(hs_action, rewrite_regex, HS_REGEXES), STR(hs_action, rewrite),
			   STR(hs_action, authority), RANGE(hs_action, mirrors, HS_MIRRORS),
			   OPTION(hs_action, cors, HS_CORS), STR(hs_action, abort_grpc),
			   STR(hs_action, scheme), STR(hs_action, host), STR(hs_action, path),
			   STR(hs_action, body) } },
	[HS_DESTS] = { sizeof(struct hs_dest),
		       { INDEX(hs_dest, cluster, HS_CLUSTERS), RANGE(hs_dest, request, HS_OPS),
			 RANGE(hs_dest, response, HS_OPS), STR(hs_dest, authority) } },
	[HS_OPS] = { sizeof(struct hs_op), { STR(hs_op, name), STR(hs_op, value) } },
	[HS_MIRRORS] = { sizeof(struct hs_mirror), { INDEX(hs_mirror, cluster, HS_CLUSTERS) } },
	[HS_CORS] = { sizeof(struct hs_cors),
		      { RANGE(hs_cors, origins, HS_VALUES), STR(hs_cors, methods),
			STR(hs_cors, headers), STR(hs_cors, expose), STR(hs_cors, max_age) } },
	[HS_STATUSES] = { sizeof(struct hs_status), { { 0 } } },
	[HS_CLUSTERS] = { sizeof(struct hs_cluster),
			  { STR(hs_cluster, name), STR(hs_cluster, host), STR(hs_cluster, subset),
			    RANGE(hs_cluster, endpoints, HS_ENDPOINTS), STR(hs_cluster, hash_name),
			    STR(hs_cluster, hash_attributes),
			    NUMBER(hs_cluster, client_tls, HS_CLIENT_TLS) } },
	[HS_ENDPOINTS] = { sizeof(struct hs_endpoint),
			   { NUMBER(hs_endpoint, ingress, HS_POLICIES) } },
	[HS_REGEXES] = { sizeof(struct hs_regex), { STR(hs_regex, pattern) } },
	[HS_PLACES] = { sizeof(struct hs_place),
			{ STR(hs_place, kind), STR(hs_place, ns), STR(hs_place, name),
			  STR(hs_place, route), STR(hs_place, file), STR(hs_place, label) } },
	[HS_SKIPPED] = { sizeof(struct hs_skipped),
			 { INDEX(hs_skipped, place, HS_PLACES), STR(hs_skipped, why) } },
	[HS_SOURCES] = { sizeof(struct hs_source),
			 { RANGE(hs_source, labels, HS_LABELS),
			   NUMBER(hs_source, egress, HS_POLICIES) } },
	[HS_DOORS] = { sizeof(struct hs_door), { { 0 } } },
	[HS_ADDRESSES] = { sizeof(struct hs_address),
			   { INDEX(hs_address, action, HS_ACTIONS),
			     RANGE(hs_address, sni_exact, HS_SNI),
			     RANGE(hs_address, sni_wild, HS_SNI) } },
	[HS_POLICIES] = { sizeof(struct hs_policy), { RANGE(hs_policy, rules, HS_POLICY_RULES) } },
	[HS_POLICY_RULES] = { sizeof(struct hs_policy_rule),
			      { RANGE(hs_policy_rule, classes, HS_CLASSES),
				RANGE(hs_policy_rule, blocks, HS_BLOCKS) } },
	[HS_CLASSES] = { sizeof(struct hs_class_bits), { { 0 } } },
	[HS_BLOCKS] = { sizeof(struct hs_block), { RANGE(hs_block, except, HS_EXCEPTS) } },
	[HS_EXCEPTS] = { sizeof(struct hs_except), { { 0 } } },
	[HS_PEERS] = { sizeof(struct hs_peer),
		       { NUMBER(hs_peer, ingress, HS_POLICIES),
			 NUMBER(hs_peer, egress, HS_POLICIES) } },
	[HS_SNI] = { sizeof(struct hs_sni),
		     { STR(hs_sni, name), INDEX(hs_sni, server, HS_SERVERS),
		       OPTION(hs_sni, match, HS_MATCHES) } },
	[HS_SERVERS] = { sizeof(struct hs_server),
			 { RANGE(hs_server, exact, HS_DOMAINS), RANGE(hs_server, wild, HS_DOMAINS),
			   STR(hs_server, name), STR(hs_server, credential),
			   STR(hs_server, ciphers), RANGE(hs_server, alt_names, HS_TEXTS),
			   RANGE(hs_server, spkis, HS_TEXTS), RANGE(hs_server, hashes, HS_TEXTS),
			   OPTION(hs_server, action, HS_ACTIONS),
			   OPTION(hs_server, place, HS_PLACES) } },
	[HS_TEXTS] = { sizeof(struct hs_text_row), { STR(hs_text_row, text) } },
	/* Of these authz_view_ok() looks after the references. */
	[HS_AUTHZ_SETS] = { sizeof(struct authz_set), { { 0 } } },
	[HS_AUTHZ_MEMBERS] = { sizeof(struct authz_member), { { 0 } } },
	[HS_AUTHZ_POLICIES] = { sizeof(struct authz_policy), { { 0 } } },
	[HS_AUTHZ_RULES] = { sizeof(struct authz_rule_row), { { 0 } } },
	[HS_AUTHZ_ALTERNATIVES] = { sizeof(struct authz_alternative), { { 0 } } },
	[HS_AUTHZ_CLAUSES] = { sizeof(struct authz_clause), { { 0 } } },
	[HS_AUTHZ_VALUES] = { sizeof(struct authz_value), { { 0 } } },
	[HS_AUTHZ_BYTES] = { 1, { { 0 } } },
	[HS_AUTHZ_PODS] = { sizeof(struct hs_authz_pod),
			    { NUMBER(hs_authz_pod, set, HS_AUTHZ_SETS) } },
	[HS_CLIENT_TLS] = { sizeof(struct hs_client_tls),
			    { STR(hs_client_tls, credential), STR(hs_client_tls, ca),
			      STR(hs_client_tls, sni),
			      RANGE(hs_client_tls, alt_names, HS_TEXTS) } },
	[HS_WORKLOADS] = { sizeof(struct hs_workload),
			   { STR(hs_workload, identity),
			     RANGE(hs_workload, ports, HS_WORKLOAD_PORTS) } },
	[HS_WORKLOAD_PORTS] = { sizeof(struct hs_workload_port),
				{ STR(hs_workload_port, service) } },
	[HS_TRACINGS] = { sizeof(struct hs_tracing), { RANGE(hs_tracing, tags, HS_TAGS) } },
	[HS_TAGS] = { sizeof(struct hs_tag),
		      { STR(hs_tag, name), STR(hs_tag, header), STR(hs_tag, value) } },
};
