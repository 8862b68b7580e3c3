/* SPDX-License-Identifier: Apache-2.0 */
#include "test_rules_util.h"

#include <criterion/criterion.h>
#include <string.h>

void parsed_bytes(struct parsed *p, const char *name, const char *bytes, size_t len)
{
	p->r = rules_parse(name, bytes, len, &p->objects, &p->errors, &p->skipped);
}

void parsed_text(struct parsed *p, const char *yaml)
{
	parsed_bytes(p, "t.yaml", yaml, strlen(yaml));
}

void parsed_free(struct parsed *p)
{
	objects_free(&p->objects);
	errors_free(&p->errors);
	errors_free(&p->skipped);
}

const struct object *parsed_object(struct parsed *p, const char *yaml)
{
	parsed_text(p, yaml);
	cr_assert_eq(p->r, 0, "%s", p->errors.count ? p->errors.items[0].text : "no message");
	cr_assert_geq(p->objects.count, 1);
	return p->objects.items[0];
}

char *stream_bytes(FILE *f, size_t *len)
{
	char *bytes = NULL;
	size_t n;
	FILE *out = open_memstream(&bytes, len);
	char buf[65536];

	cr_assert_not_null(out);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, out);
	fclose(out);
	return bytes;
}

char *file_bytes(const char *path, size_t *len)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	return f ? stream_bytes(f, len) : NULL;
}

char *messages(const struct errors *e)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; i < e->count; i++)
		fprintf(f, "%s%s\n", e->items[i].warning ? "warning: " : "", e->items[i].text);
	fclose(f);
	return text;
}
