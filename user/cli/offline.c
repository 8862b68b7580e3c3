// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/files.h"
#include "lib/schema/parse.h"
#include "lib/base/json_io.h"
#include "cli/offline.h"

/* Later versions of an object take the place of earlier ones, as with apply. */
static int replace_repeated(struct objects *set)
{
	_cleanup_(json_decrefp) json_t *seen = json_object();
	size_t kept = 0;

	for (size_t i = 0; seen && i < set->count; i++) {
		struct object *o = set->items[i];
		_cleanup_(json_decrefp) json_t *id =
			json_textf("%d/%s/%s", o->kind, o->meta.namespace ? o->meta.namespace : "",
				   o->meta.name);
		json_t *at = json_object_get(seen, json_string_value(id));

		set->items[i] = NULL;
		if (at) {
			object_free(set->items[json_integer_value(at)]);
			set->items[json_integer_value(at)] = o;
			continue;
		}
		json_object_set_new(seen, json_string_value(id), json_integer((json_int_t)kept));
		set->items[kept++] = o;
	}
	set->count = kept;
	return seen ? 0 : -ENOMEM;
}

static int parse(struct offline *o, const struct files *files, const struct parse_options *how)
{
	int r = 0;

	for (size_t i = 0; i < files->count; i++) {
		const struct file *f = &files->items[i];
		int bad = rules_parse_with(how, f->name, files->bytes + f->at, f->size, &o->objects,
					   &o->errors, &o->skipped);

		if (bad && (!r || bad != -EINVAL))
			r = bad;
	}
	if (r || o->objects.count || o->skipped.count)
		return r;
	errors_add(&o->errors, "-f", (struct pos){ 0 }, "no objects in what was given");
	return -EINVAL;
}

static int load(struct offline *o, const struct file_names *names, const char *namespace,
		enum compile_http http)
{
	const struct parse_options how = { .namespace = namespace,
					   .skip_unknown = names->skip_unknown };
	_cleanup_(files_free) struct files files = { 0 };
	int r = files_read(names, &files);

	if (r)
		return r;
	o->registry = registry_new();
	/* Which files weftd may read, and where it tells of spans, it alone knows. */
	o->objects.client_tls_dir = "/";
	o->objects.tracing.told = true;
	r = o->registry ? parse(o, &files, &how) : -ENOMEM;
	if (!r)
		r = replace_repeated(&o->objects);
	if (!r)
		r = compile(&o->objects, o->registry, http, &o->tables, &o->errors);
	if (r && r != -EINVAL)
		return cmd_failed("%s", strerror(-r));
	return r ? STATUS_FAILED : 0;
}

int offline_load(struct offline *o, const struct file_names *names, const char *namespace)
{
	return load(o, names, namespace, COMPILE_HTTP_NEEDED);
}

int offline_load_http(struct offline *o, const struct file_names *names, const char *namespace)
{
	return load(o, names, namespace, COMPILE_HTTP_APART);
}

void offline_free(struct offline *o)
{
	if (o->tables)
		tables_free(o->tables);
	objects_free(&o->objects);
	if (o->registry)
		registry_free(o->registry);
	errors_free(&o->errors);
	errors_free(&o->skipped);
}

void offline_print(const struct offline *o)
{
	for (size_t i = 0; i < o->skipped.count; i++)
		fprintf(stderr, "%s\n", o->skipped.items[i].text);
	for (size_t i = 0; i < o->errors.count; i++)
		fprintf(stderr, "%s%s\n", o->errors.items[i].warning ? "warning: " : "",
			o->errors.items[i].text);
}

int cmd_enrol(const char *name, const char *word, enum enrol_mode *out)
{
	int mode = word ? enrol_mode_parse(word) : ENROL_ALL;

	if (mode < 0)
		return cmd_wrong(name, "--enrol: all or labelled is expected, not \"%s\"", word);
	*out = (enum enrol_mode)mode;
	return 0;
}
