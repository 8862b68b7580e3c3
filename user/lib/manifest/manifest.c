// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest/manifest.h"

#include <string.h>

#include "lib/crd/crd.h"
#include "lib/manifest/addons.h"
#include "lib/manifest/template.h"
#include "lib/manifest/text.h"

/* The text, if there is a value for it. */
static void print_given(const struct values *v, enum value value, const char *text, FILE *out)
{
	if (*values_get(v, value))
		template_print(v, text, out);
}

/* ---- objects ---- */

static void print_crds(const struct values *v, FILE *out)
{
	for (size_t i = 0; i < crd_kind_count; i++) {
		fputs("---\n", out);
		if (!i)
			template_print(v, manifest_crd_comment, out);
		crd_print(crd_kinds[i], manifest_labels, out);
	}
}

/* What kubelet sets is the Service's address. */
static void print_api_server(const struct values *v, FILE *out)
{
	if (!*values_get(v, VALUE_KUBERNETES_HOST))
		return;
	template_print(v, manifest_kubernetes_host, out);
	template_print(v,
		       *values_get(v, VALUE_KUBERNETES_PORT) ? manifest_kubernetes_port
							     : manifest_kubernetes_default_port,
		       out);
}

/* Where spans go: the add-on is that, unless there is another place. */
static void print_tracing(const struct values *v, FILE *out)
{
	print_given(v, VALUE_TRACING_ENDPOINT, manifest_tracing_endpoint, out);
	if (values_true(v, VALUE_TRACING) && !*values_get(v, VALUE_TRACING_ENDPOINT))
		template_print(v, manifest_tracing_addon, out);
}

static void print_daemon_set(const struct values *v, FILE *out)
{
	bool privileged = strcmp(values_get(v, VALUE_SECURITY), "privileged") == 0;

	template_print(v, manifest_daemon_set, out);
	print_given(v, VALUE_PULL_SECRET, manifest_pull_secret, out);
	template_print(v, manifest_container, out);
	print_tracing(v, out);
	print_given(v, VALUE_WORKERS, manifest_workers, out);
	print_given(v, VALUE_DNS, manifest_dns, out);
	print_given(v, VALUE_NIC, manifest_nic, out);
	if (values_true(v, VALUE_DASHBOARD))
		template_print(v, manifest_dashboard, out);
	template_print(v, manifest_environment, out);
	print_api_server(v, out);
	template_print(v, manifest_probes, out);
	template_print(v, privileged ? manifest_privileged : manifest_capabilities, out);
	template_print(v, manifest_requests, out);
	if (*values_get(v, VALUE_LIMIT_CPU) || *values_get(v, VALUE_LIMIT_MEMORY))
		fputs("          limits:\n", out);
	print_given(v, VALUE_LIMIT_CPU, manifest_limit_cpu, out);
	print_given(v, VALUE_LIMIT_MEMORY, manifest_limit_memory, out);
	template_print(v, manifest_volumes, out);
}

static void print_gateway_service(const struct values *v, FILE *out)
{
	if (!values_true(v, VALUE_INGRESS))
		return;
	template_print(v, manifest_gateway, out);
	template_print(v, manifest_port_http2, out);
	print_given(v, VALUE_NODE_PORT_HTTP2, manifest_node_port_http2, out);
	template_print(v, manifest_port_https, out);
	print_given(v, VALUE_NODE_PORT_HTTPS, manifest_node_port_https, out);
	template_print(v, manifest_port_tcp, out);
	print_given(v, VALUE_NODE_PORT_TCP, manifest_node_port_tcp, out);
}

void manifest_generate(const struct values *v, FILE *out)
{
	template_print(v, manifest_namespaces, out);
	print_crds(v, out);
	template_print(v, manifest_rights, out);
	print_daemon_set(v, out);
	print_gateway_service(v, out);
	if (values_true(v, VALUE_POD_MONITOR))
		template_print(v, manifest_pod_monitor, out);
	addons_print(v, out);
}
