// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "cleanup.h"
#include "cmd.h"
#include "yaml_text.h"

static int emit(yaml_emitter_t *e, yaml_event_t *event)
{
	return yaml_emitter_emit(e, event) ? 0 : -EIO;
}

/* Anything that YAML could read as another type than a string. Quoting more than needed does no
 * harm. */
static bool needs_quotes(const char *text)
{
	static const char *const words[] = { "",    "~", "null", "true", "false", "yes", "no", "on",
					     "off", "y", "n",	 ".nan", ".inf",  "<<",	 "=" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return strchr("+-.0123456789", text[0]) &&
	       strspn(text, "+-.0123456789abcdefxABCDEFX_:eE") == strlen(text);
}

static int emit_scalar(yaml_emitter_t *e, const char *text, bool is_string)
{
	yaml_scalar_style_t style = is_string && needs_quotes(text)
					    ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
					    : YAML_PLAIN_SCALAR_STYLE;
	yaml_event_t event;

	if (!yaml_scalar_event_initialize(&event, NULL, NULL, (yaml_char_t *)text, -1, 1, 1, style))
		return -ENOMEM;
	return emit(e, &event);
}

static int emit_value(yaml_emitter_t *e, const json_t *json);

static int emit_map(yaml_emitter_t *e, const json_t *map)
{
	yaml_event_t event;
	const char *key;
	json_t *value;
	int r;

	if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE))
		return -ENOMEM;
	r = emit(e, &event);
	json_object_foreach((json_t *)map, key, value)
	{
		if (!r)
			r = emit_scalar(e, key, true);
		if (!r)
			r = emit_value(e, value);
	}
	if (r)
		return r;
	return yaml_mapping_end_event_initialize(&event) ? emit(e, &event) : -ENOMEM;
}

static int emit_list(yaml_emitter_t *e, const json_t *list)
{
	yaml_event_t event;
	json_t *value;
	size_t i;
	int r;

	if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE))
		return -ENOMEM;
	r = emit(e, &event);
	json_array_foreach(list, i, value) if (!r) r = emit_value(e, value);
	if (r)
		return r;
	return yaml_sequence_end_event_initialize(&event) ? emit(e, &event) : -ENOMEM;
}

static int emit_value(yaml_emitter_t *e, const json_t *json)
{
	_cleanup_free_ char *text = NULL;

	if (json_is_object(json))
		return emit_map(e, json);
	if (json_is_array(json))
		return emit_list(e, json);
	if (json_is_string(json))
		return emit_scalar(e, json_string_value(json), true);
	text = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	return text ? emit_scalar(e, text, false) : -ENOMEM;
}

static int emit_document(yaml_emitter_t *e, const json_t *json)
{
	yaml_event_t event;
	int r;

	if (!yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING))
		return -ENOMEM;
	r = emit(e, &event);
	if (!r)
		r = yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)
			    ? emit(e, &event)
			    : -ENOMEM;
	if (!r)
		r = emit_value(e, json);
	if (!r)
		r = yaml_document_end_event_initialize(&event, 1) ? emit(e, &event) : -ENOMEM;
	if (!r)
		r = yaml_stream_end_event_initialize(&event) ? emit(e, &event) : -ENOMEM;
	return r;
}

int yaml_print(const json_t *json)
{
	yaml_emitter_t e;
	int r;

	if (!yaml_emitter_initialize(&e))
		return cmd_failed("out of memory");
	yaml_emitter_set_output_file(&e, stdout);
	yaml_emitter_set_unicode(&e, 1);
	yaml_emitter_set_width(&e, -1);
	r = emit_document(&e, json);
	yaml_emitter_delete(&e);
	if (!r && fflush(stdout))
		r = -errno;
	return r ? cmd_failed("stdout: %s", strerror(-r)) : STATUS_DONE;
}
