// SPDX-License-Identifier: Apache-2.0
#include "lib/model/remarks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

static const struct remark remarks[] = {
	[REMARK_NO_EFFECT] = { "WEFT0001", "NoEffect", "warning", NULL },
	[REMARK_NOT_FOUND] = { "IST0101", "ReferencedResourceNotFound", "error",
			       "create it, or mend the reference" },
	[REMARK_CONFLICTING_HOSTS] = { "IST0109", "ConflictingMeshGatewayVirtualServiceHosts",
				       "error", "put the rules of both into one VirtualService" },
	[REMARK_PORT_NEEDED] = { "IST0112", "VirtualServiceDestinationPortSelectorRequired",
				 "error", "give the destination a port.number" },
	[REMARK_NO_WORKLOAD] = { "IST0127", "NoMatchingWorkloadsFound", "warning",
				 "start a pod with these labels, or mend the selector" },
	[REMARK_UNREACHABLE] = { "IST0130", "VirtualServiceUnreachableRule", "warning",
				 "put it in front, give the earlier one a match, or delete it" },
	[REMARK_COVERED] = { "IST0131", "VirtualServiceIneffectiveMatch", "info",
			     "put the narrower match in front, or delete it" },
	[REMARK_HOST_NOT_AT_GATEWAY] = { "IST0132", "VirtualServiceHostNotFoundInGateway",
					 "warning", "add the host to a server of the Gateway" },
	[REMARK_CONFLICTING_GATEWAYS] = { "IST0145", "ConflictingGateways", "error",
					  "give one of them another port, or delete it" },
	[REMARK_SUBSET_WITHOUT_PODS] = { "IST0173", "DestinationRuleSubsetNotSelectPods", "error",
					 "start a pod with these labels, or mend the labels" },
	[REMARK_POLICY_WITHOUT_HOST] = { "IST0174", "UnknownDestinationRuleHost", "error",
					 "create it, or mend the host" },
	[REMARK_NOT_STEERED] = { "WEFT0101", "NotSteered", "warning",
				 "write it for a service with an address of its own, or delete "
				 "it" },
	[REMARK_PORT_NOT_FOUND] = { "WEFT0102", "PortNotFound", "warning",
				    "mend the port, or delete what names it" },
	[REMARK_TCP_RULE_ON_HTTP] = { "WEFT0103", "TCPRuleOnHTTPPort", "warning",
				      "write the rule under spec.http, or name the port tcp-..." },
	[REMARK_HTTP_RULE_ON_TCP] = { "WEFT0104", "HTTPRuleOnTCPPort", "warning",
				      "name the port http-..., or write the rule under spec.tcp" },
	[REMARK_IGNORED_AT_GATEWAY] = { "WEFT0105", "IgnoredAtGateway", "warning",
					"take the condition out, or the gateway" },
	[REMARK_POLICY_PART] = { "WEFT0106", "PolicyHiddenByAnother", "warning",
				 "put both into one DestinationRule, or delete one" },
	[REMARK_DELEGATE] = { "WEFT0107", "DelegateOutsideRoot", "warning",
			      "narrow the delegate's match within the root's, or delete it" },
	[REMARK_WEIGHTS] = { "WEFT0108", "WeightsAreNoShares", "info",
			     "let them add up to 100, so that they are shares" },
	[REMARK_ADDRESS_TWICE] = { "WEFT0109", "PodAddressTwice", "warning",
				   "delete the pod that is gone" },
	[REMARK_NO_CLUSTER_IP] = { "WEFT0110", "ServiceWithoutClusterIP", "warning",
				   "give it the clusterIP that the cluster has for it" },
	[REMARK_UNUSED_DELEGATE] = { "WEFT0112", "UnusedDelegate", "warning",
				     "give it hosts, name it as a delegate, or delete it" },
	[REMARK_TOO_MANY_ENDPOINTS] = { "WEFT0111", "TooManyEndpoints", "warning",
					"split the service, or have fewer pods" },
	[REMARK_MATCH_ELSEWHERE] = { "WEFT0114", "MatchOfOtherGateway", "warning",
				     "name the gateway in spec.gateways, too, or not in the "
				     "match" },
	[REMARK_HTTP2] = { "WEFT0113", "HTTP2NotRouted", "warning",
			   "let the port speak HTTP/1.1 and name it http-..., or delete the rule" },
	[REMARK_NOT_ENROLLED] = { "IST0102", "NamespaceNotInjected", "info",
				  "kubectl label namespace NAME istio-injection=enabled, or "
				  "=disabled to say that it is meant so" },
	[REMARK_TWO_MESH_LABELS] = { "IST0123", "NamespaceMultipleInjectionLabels", "warning",
				     "remove one of the two labels" },
	[REMARK_CONTRADICTION] = { "WEFT0115", "ContradictoryMeshLabels", "warning",
				   "remove one of the two" },
	[REMARK_EXTERNAL_TAKEN] = { "WEFT0116", "ExternalAddressTaken", "warning",
				    "give one of the two another address or port" },
	[REMARK_BAD_CREDENTIAL] = { "WEFT0117", "CredentialIncomplete", "error",
				    "put it into the Secret" },
	[REMARK_BAD_CERTIFICATE] = { "WEFT0118", "CertificateUnusable", "error",
				     "put a certificate there that is good" },
	[REMARK_TLS_RULE_WITHOUT_TLS] = { "WEFT0121", "TLSRuleWithoutTLS", "warning",
					  "name the port tls-..., give the match its port, or let "
					  "the gateway's server pass TLS through" },
	[REMARK_CA] = { "WEFT0130", "MutualTLSWithoutCA", "error",
			"give weftd a CA that is good: --ca-cert, --ca-key, --ca-root" },
	[REMARK_MTLS_CONFLICT] = { "WEFT0122", "ClientWithoutMutualTLS", "error",
				   "take the tls out, or let the PeerAuthentication be "
				   "PERMISSIVE" },
	[REMARK_MTLS_STRANGER] = { "WEFT0123", "MutualTLSOutsideMesh", "warning",
				   "take the pods into the mesh, or the tls out" },
	[REMARK_PEER_IGNORED] = { "WEFT0125", "PeerAuthenticationIgnored", "warning",
				  "put both into one, or write it for the pods' own namespace" },
	[REMARK_STRICT_OUTSIDE] = { "WEFT0126", "StrictFromOutside", "warning",
				    "let it be called through a Gateway for HTTP or TLS, or leave "
				    "the port out by portLevelMtls" },
	[REMARK_TELEMETRY_IGNORED] = { "IST0160", "MultipleTelemetriesWithoutWorkloadSelectors",
				       "error", "put both into one, or give this one a selector" },
	[REMARK_TRACING_NOWHERE] = { "WEFT0131", "TracingNowhere", "warning",
				     "give weftd --tracing-endpoint (tracing.endpoint in the "
				     "manifest)" },
};

void errors_remark(struct errors *e, enum remark_kind kind, const struct object *o, struct pos at,
		   const char *fmt, ...)
{
	const char *ns = !o ? NULL : o->kind == KIND_NAMESPACE ? o->meta.name : o->meta.namespace;
	const struct remark *r = &remarks[kind];
	_cleanup_free_ char *message = NULL;
	size_t before = e->count;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&message, fmt, args) < 0)
		message = NULL;
	va_end(args);
	errors_warn(e, o ? o->file : "weftd", at, "%s; %s [%s]",
		    message ? message : "out of memory", r->advice, r->code);
	if (e->count == before)
		return;
	e->items[before].remark = r;
	e->items[before].namespace = ns ? strdup(ns) : NULL;
}

const struct remark *remark_of(const struct error *e)
{
	static const struct remark invalid = { "IST0106", "SchemaValidationError", "error", NULL };

	return e->remark ? e->remark : !e->warning ? &invalid : &remarks[REMARK_NO_EFFECT];
}

bool remark_of_pods(const struct remark *r)
{
	return r == &remarks[REMARK_SUBSET_WITHOUT_PODS] || r == &remarks[REMARK_NO_WORKLOAD] ||
	       r == &remarks[REMARK_ADDRESS_TWICE] || r == &remarks[REMARK_TOO_MANY_ENDPOINTS] ||
	       r == &remarks[REMARK_MTLS_CONFLICT] || r == &remarks[REMARK_MTLS_STRANGER] ||
	       r == &remarks[REMARK_STRICT_OUTSIDE];
}

const struct remark *remark_of_text(const char *text)
{
	const char *code = strrchr(text, '[');
	size_t len = code ? strcspn(++code, "]") : 0;

	for (size_t i = 0;
	     code && !strcmp(code + len, "]") && i < sizeof(remarks) / sizeof(*remarks); i++)
		if (strlen(remarks[i].code) == len && !memcmp(remarks[i].code, code, len))
			return &remarks[i];
	return NULL;
}

const char *remark_message(const struct error *e, size_t *len)
{
	const char *message = e->text ? e->text + e->place + 2 : "out of memory";
	size_t tail = e->remark ? strlen(e->remark->advice) + strlen(e->remark->code) +
					  strlen("; ADVICE [CODE]") - strlen("ADVICECODE")
				: 0;

	*len = strlen(message);
	*len -= *len > tail ? tail : 0;
	return message;
}

static json_t *remark_json(const struct error *e)
{
	const struct remark *r = remark_of(e);
	size_t len;
	const char *message = remark_message(e, &len);
	json_t *j = json_object();

	json_object_set_new(j, "code", json_string(r->code));
	json_object_set_new(j, "level", json_string(r->level));
	if (e->namespace)
		json_object_set_new(j, "namespace", json_text(e->namespace));
	if (e->text)
		json_object_set_new(j, "at", json_stringn(e->text, e->place));
	json_object_set_new(j, "message", json_stringn(message, len));
	if (r->advice)
		json_object_set_new(j, "advice", json_string(r->advice));
	return j;
}

json_t *remarks_json(const struct errors *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->count; i++)
		json_array_append_new(list, remark_json(&e->items[i]));
	return list;
}
