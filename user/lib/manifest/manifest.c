// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest/manifest.h"

#include <string.h>

#include "lib/crd/crd.h"
#include "lib/manifest/text.h"

/* ---- templates ---- */

/* The path's value, or a name that is none: "${version}", "${labels}". */
static void print_named(const struct values *v, const char *name, size_t len, FILE *out)
{
	int value = values_find(name, len);

	if (value >= 0 && value_infos[value].type == VALUE_DURATION)
		fprintf(out, "%ld", values_seconds(v, (enum value)value));
	else if (value >= 0)
		fputs(values_get(v, (enum value)value), out);
	else if (len == strlen("version") && !memcmp(name, "version", len))
		fputs(WEFT_VERSION, out);
	else
		fputs(manifest_labels, out);
}

static void print_text(const struct values *v, const char *text, FILE *out)
{
	for (const char *at; (at = strstr(text, "${")); text = strchr(at, '}') + 1) {
		fwrite(text, 1, (size_t)(at - text), out);
		print_named(v, at + 2, (size_t)(strchr(at, '}') - at - 2), out);
	}
	fputs(text, out);
}

/* The text, if there is a value for it. */
static void print_given(const struct values *v, enum value value, const char *text, FILE *out)
{
	if (*values_get(v, value))
		print_text(v, text, out);
}

/* ---- objects ---- */

static void print_crds(const struct values *v, FILE *out)
{
	for (size_t i = 0; i < crd_kind_count; i++) {
		fputs("---\n", out);
		if (!i)
			print_text(v, manifest_crd_comment, out);
		crd_print(crd_kinds[i], manifest_labels, out);
	}
}

/* What kubelet sets is the Service's address. */
static void print_api_server(const struct values *v, FILE *out)
{
	if (!*values_get(v, VALUE_KUBERNETES_HOST))
		return;
	print_text(v, manifest_kubernetes_host, out);
	print_text(v,
		   *values_get(v, VALUE_KUBERNETES_PORT) ? manifest_kubernetes_port
							 : manifest_kubernetes_default_port,
		   out);
}

static void print_daemon_set(const struct values *v, FILE *out)
{
	bool privileged = strcmp(values_get(v, VALUE_SECURITY), "privileged") == 0;

	print_text(v, manifest_daemon_set, out);
	print_given(v, VALUE_PULL_SECRET, manifest_pull_secret, out);
	print_text(v, manifest_container, out);
	print_given(v, VALUE_WORKERS, manifest_workers, out);
	print_given(v, VALUE_DNS, manifest_dns, out);
	print_given(v, VALUE_NIC, manifest_nic, out);
	print_text(v, manifest_environment, out);
	print_api_server(v, out);
	print_text(v, manifest_probes, out);
	print_text(v, privileged ? manifest_privileged : manifest_capabilities, out);
	print_text(v, manifest_requests, out);
	if (*values_get(v, VALUE_LIMIT_CPU) || *values_get(v, VALUE_LIMIT_MEMORY))
		fputs("          limits:\n", out);
	print_given(v, VALUE_LIMIT_CPU, manifest_limit_cpu, out);
	print_given(v, VALUE_LIMIT_MEMORY, manifest_limit_memory, out);
	print_text(v, manifest_volumes, out);
}

static void print_gateway_service(const struct values *v, FILE *out)
{
	if (!values_true(v, VALUE_INGRESS))
		return;
	print_text(v, manifest_gateway, out);
	print_text(v, manifest_port_http2, out);
	print_given(v, VALUE_NODE_PORT_HTTP2, manifest_node_port_http2, out);
	print_text(v, manifest_port_https, out);
	print_given(v, VALUE_NODE_PORT_HTTPS, manifest_node_port_https, out);
	print_text(v, manifest_port_tcp, out);
	print_given(v, VALUE_NODE_PORT_TCP, manifest_node_port_tcp, out);
}

void manifest_generate(const struct values *v, FILE *out)
{
	print_text(v, manifest_namespaces, out);
	print_crds(v, out);
	print_text(v, manifest_rights, out);
	print_daemon_set(v, out);
	print_gateway_service(v, out);
}
