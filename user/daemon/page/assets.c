// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/assets.h"

#include <string.h>

/* The Makefile compresses what is named here into WEFT_ASSETS, and has this file depend on it. */
#define ASSETS(do)                                                                                                                                                                   \
	do                                                                                                                                                                           \
	(index, "index.html", "/", "text/html; charset=utf-8") do(style, "page.css", "/page.css", "text/css; charset=utf-8") do(icon, "icon.svg", "/icon.svg", "image/svg+xml") do(  \
		main, "main.js", "/main.js",                                                                                                                                         \
		"text/javascript") do(mesh, "mesh.js", "/mesh.js",                                                                                                                   \
				      "text/javascript") do(layout, "layout.js", "/layout.js",                                                                                       \
							    "text/javascript") do(graph,                                                                                             \
										  "graph.js",                                                                                        \
										  "/graph.js",                                                                                       \
										  "text/"                                                                                            \
										  "javascrip"                                                                                        \
										  "t") do(list,                                                                                      \
											  "list."                                                                                    \
											  "js",                                                                                      \
											  "/list."                                                                                   \
											  "js",                                                                                      \
											  "text/"                                                                                    \
											  "javasc"                                                                                   \
											  "rip"                                                                                      \
											  "t") do(details,                                                                           \
												  "details.js",                                                                      \
												  "/details.js",                                                                     \
												  "text/javascript") do(why,                                                         \
															"why.js",                                                    \
															"/why.js",                                                   \
															"text/javascript") do(dom,                                   \
																	      "dom.js",                              \
																	      "/dom.js",                             \
																	      "text/javascript") do(cytoscape,       \
																				    "cytoscape.js",  \
																				    "/cytoscape.js", \
																				    "text/javascript")

#define ASSET_BYTES(name, file, path, type)                      \
	__asm__(".pushsection .rodata\n"                         \
		".global asset_" #name ", asset_" #name "_end\n" \
		"asset_" #name ":\n"                             \
		".incbin \"" WEFT_ASSETS "/" file ".gz\"\n"      \
		"asset_" #name "_end:\n"                         \
		".popsection\n");                                \
	extern const char asset_##name[], asset_##name##_end[];
ASSETS(ASSET_BYTES)

#define ASSET_ROW(name, file, path, type) { path, type, asset_##name, asset_##name##_end },
static const struct {
	const char *path, *type, *bytes, *end;
} rows[] = { ASSETS(ASSET_ROW) };

bool asset_find(const char *path, struct asset *out)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(rows[i].path, path) != 0)
			continue;
		*out = (struct asset){ rows[i].type, rows[i].bytes,
				       (size_t)(rows[i].end - rows[i].bytes) };
		return true;
	}
	return false;
}
