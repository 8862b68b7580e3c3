// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest/files.h"

/* The Makefile makes the dashboards, in WEFT_GRAFANA, and has this file depend on all of them. */
#define FILE_BYTES(name, path)                    \
	__asm__(".pushsection .rodata\n"          \
		".global " #name "\n" #name ":\n" \
		".incbin \"" path "\"\n"          \
		".byte 0\n"                       \
		".popsection\n");                 \
	extern const char name[]

FILE_BYTES(manifest_file_mesh, WEFT_GRAFANA "/weft-mesh.json");
FILE_BYTES(manifest_file_service, WEFT_GRAFANA "/weft-service.json");
FILE_BYTES(manifest_file_workload, WEFT_GRAFANA "/weft-workload.json");
FILE_BYTES(manifest_file_agent, WEFT_GRAFANA "/weft-agent.json");
FILE_BYTES(manifest_rules_file, "packaging/prometheus/weft.rules.yaml");

const struct manifest_file manifest_dashboards[] = {
	{ "weft-mesh.json", manifest_file_mesh },
	{ "weft-service.json", manifest_file_service },
	{ "weft-workload.json", manifest_file_workload },
	{ "weft-agent.json", manifest_file_agent },
};

const size_t manifest_dashboard_count = sizeof(manifest_dashboards) / sizeof(*manifest_dashboards);
