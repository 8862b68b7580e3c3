// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest/template.h"

#include <string.h>

#include "lib/manifest/text.h"

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

void template_print(const struct values *v, const char *text, FILE *out)
{
	for (const char *at; (at = strstr(text, "${")); text = strchr(at, '}') + 1) {
		fwrite(text, 1, (size_t)(at - text), out);
		print_named(v, at + 2, (size_t)(strchr(at, '}') - at - 2), out);
	}
	fputs(text, out);
}

void template_print_lines(const char *text, int indent, FILE *out)
{
	for (size_t len; *text; text += len) {
		len = strcspn(text, "\n");
		fprintf(out, "%*s%.*s\n", len ? indent : 0, "", (int)len, text);
		len += text[len] == '\n';
	}
}
