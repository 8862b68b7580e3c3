/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_OFFLINE_H
#define WEFT_CLI_OFFLINE_H
/*
 * Rules from files, without weftd.
 */
#include "cli/cmd.h"
#include "cli/files.h"
#include "lib/compile/compile.h"
#include "lib/mesh/enrol.h"

/* Zero-initialise; free with offline_free(). */
struct offline {
	struct objects objects;
	struct registry *registry;
	struct tables *tables; /* NULL unless everything is in order */
	struct errors errors;
	struct errors skipped;
};

/* Reads, parses and compiles what -f names; `namespace` is that of objects without one (NULL:
 * "default"), as apply -n has it. 0, or STATUS_FAILED; what is wrong is in `errors`, or
 * told already. */
int offline_load(struct offline *o, const struct file_names *names, const char *namespace);
/* The same for questions about HTTP, too: what requests are asked about is in o->tables->http, and
 * nothing of it in the rest. */
int offline_load_http(struct offline *o, const struct file_names *names, const char *namespace);
void offline_free(struct offline *o);

/* What --enrol says of who is in the mesh; ENROL_ALL, as weftd with files, for NULL. 0 or a status
 * to exit with. */
int cmd_enrol(const char *name, const char *word, enum enrol_mode *out);

/* Skipped objects, warnings and errors on stderr. */
void offline_print(const struct offline *o);

#endif
