// SPDX-License-Identifier: Apache-2.0
#include "daemon/page/assets.h"

#include <string.h>

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define SVG "image/svg+xml"
#define SCRIPT "text/javascript; charset=utf-8"

/* The Makefile compresses what is named here into WEFT_ASSETS, and has this file depend on it. */
/* clang-format off */
#define ASSETS(do)                                                      \
	do(index, "index.html", "/", HTML)                              \
	do(style, "page.css", "/page.css", CSS)                         \
	do(icon, "icon.svg", "/icon.svg", SVG)                          \
	do(main, "main.js", "/main.js", SCRIPT)                         \
	do(mesh, "mesh.js", "/mesh.js", SCRIPT)                         \
	do(layout, "layout.js", "/layout.js", SCRIPT)                   \
	do(overview, "overview.js", "/overview.js", SCRIPT)             \
	do(graph, "graph.js", "/graph.js", SCRIPT)                      \
	do(diagram, "diagram.js", "/diagram.js", SCRIPT)                \
	do(crowd, "crowd.js", "/crowd.js", SCRIPT)                      \
	do(crowd_paint, "crowd-paint.js", "/crowd-paint.js", SCRIPT)    \
	do(gestures, "gestures.js", "/gestures.js", SCRIPT)             \
	do(looks, "looks.js", "/looks.js", SCRIPT)                      \
	do(list, "list.js", "/list.js", SCRIPT)                         \
	do(details, "details.js", "/details.js", SCRIPT)                \
	do(why, "why.js", "/why.js", SCRIPT)                            \
	do(dom, "dom.js", "/dom.js", SCRIPT)                            \
	do(cytoscape, "cytoscape.js", "/cytoscape.js", SCRIPT)
/* clang-format on */

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
