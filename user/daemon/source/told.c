// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/told.h"
#include "lib/base/bytemap.h"

enum { SLOTS_MIN = 64 };

struct told_object {
	struct told_object *next;
	uint32_t hash, round;
	uint16_t namespace_len, name_len, version_len;
	char text[]; /* namespace, name and version, each with a NUL */
};

static const char *name_of(const struct told_object *o)
{
	return o->text + o->namespace_len + 1;
}

static const char *version_of(const struct told_object *o)
{
	return name_of(o) + o->name_len + 1;
}

struct told_key told_key(const char *namespace, const char *name)
{
	return (struct told_key){ { namespace, strlen(namespace) }, { name, strlen(name) } };
}

static uint32_t hash_of(struct told_key key)
{
	return bytes_hash(key.namespace.at, key.namespace.len) * 31 +
	       bytes_hash(key.name.at, key.name.len);
}

static bool is(const struct told_object *o, struct told_key key, uint32_t hash)
{
	return o->hash == hash && o->namespace_len == key.namespace.len &&
	       o->name_len == key.name.len &&
	       !memcmp(o->text, key.namespace.at, o->namespace_len) &&
	       !memcmp(name_of(o), key.name.at, o->name_len);
}

/* Where the pointer to it is; NULL: it is not known. */
static struct told_object **find(const struct told *k, struct told_key key)
{
	uint32_t hash = hash_of(key);
	struct told_object **at;

	if (!k->size)
		return NULL;
	at = &k->slots[hash & (k->size - 1)];
	while (*at && !is(*at, key, hash))
		at = &(*at)->next;
	return *at ? at : NULL;
}

static int grow(struct told *k)
{
	size_t size = k->size ? 2 * k->size : SLOTS_MIN;
	struct told_object **slots = calloc(size, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < k->size; i++)
		while (k->slots[i]) {
			struct told_object *o = k->slots[i], **to = &slots[o->hash & (size - 1)];

			k->slots[i] = o->next;
			o->next = *to;
			*to = o;
		}
	free(k->slots);
	k->slots = slots;
	k->size = size;
	return 0;
}

static char *put_text(char *at, struct json_span text)
{
	if (text.len)
		memcpy(at, text.at, text.len);
	at[text.len] = '\0';
	return at + text.len + 1;
}

static struct told_object *make(const struct told *k, struct told_key key, struct json_span version)
{
	struct told_object *o;
	char *at;

	if (key.namespace.len > UINT16_MAX || key.name.len > UINT16_MAX || version.len > UINT16_MAX)
		return NULL;
	o = malloc(sizeof(*o) + key.namespace.len + key.name.len + version.len + 3);
	if (!o)
		return NULL;
	o->hash = hash_of(key);
	o->round = k->round;
	o->namespace_len = (uint16_t)key.namespace.len;
	o->name_len = (uint16_t)key.name.len;
	o->version_len = (uint16_t)version.len;
	at = put_text(o->text, key.namespace);
	at = put_text(at, key.name);
	put_text(at, version);
	return o;
}

bool told_is(struct told *k, struct told_key key, struct json_span version)
{
	struct told_object **at = find(k, key);

	if (!at)
		return false;
	(*at)->round = k->round;
	return (*at)->version_len == version.len && version.len &&
	       !memcmp(version_of(*at), version.at, version.len);
}

int told_put(struct told *k, struct told_key key, struct json_span version)
{
	struct told_object *o = make(k, key, version), **at;

	if (!o || (k->count >= k->size && grow(k))) {
		free(o);
		return -ENOMEM;
	}
	at = find(k, key);
	if (at) {
		o->next = (*at)->next;
		free(*at);
	} else {
		at = &k->slots[o->hash & (k->size - 1)];
		o->next = *at;
		k->count++;
	}
	*at = o;
	return 0;
}

static void unlink_object(struct told *k, struct told_object **at)
{
	struct told_object *o = *at;

	*at = o->next;
	free(o);
	k->count--;
}

bool told_remove(struct told *k, struct told_key key)
{
	struct told_object **at = find(k, key);

	if (at)
		unlink_object(k, at);
	return at;
}

void told_begin(struct told *k)
{
	k->round++;
}

int told_sweep(struct told *k, int (*gone)(void *arg, const char *namespace, const char *name),
	       void *arg)
{
	for (size_t i = 0; i < k->size; i++) {
		struct told_object **at = &k->slots[i];

		while (*at) {
			int r;

			if ((*at)->round == k->round) {
				at = &(*at)->next;
				continue;
			}
			r = gone(arg, (*at)->text, name_of(*at));
			if (r)
				return r;
			unlink_object(k, at);
		}
	}
	return 0;
}

void told_free(struct told *k)
{
	for (size_t i = 0; i < k->size; i++)
		while (k->slots[i])
			unlink_object(k, &k->slots[i]);
	free(k->slots);
	*k = (struct told){ 0 };
}
