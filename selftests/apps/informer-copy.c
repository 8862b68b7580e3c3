// SPDX-License-Identifier: Apache-2.0
/*
 * informer-copy [-q] [-f FIELD,...] KUBECONFIG PATH=APIVERSION/KIND[,OTHER-VERSION...]...
 *
 * Keeps a copy of these resources of an API server; with -q it is told of them and keeps nothing.
 * It says on stdout how each is going, obeys lines on stdin, and ends with its stdin:
 *
 * - `dump FILE` writes the copy: a line for each object, sorted, "PLACE NS/NAME VERSION JSON";
 * - `get PATH` asks for it once, and says the status and how many bytes came;
 * - `counts` says the counts of each resource, and what was told of those that are not told anew.
 */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/informer.h"
#include "lib/base/log.h"

enum { RESOURCES_MAX = 16, OTHERS_MAX = 4 };

struct object {
	char *key, *line;
};

static struct informer_resource resources[RESOURCES_MAX];
static const char *others[RESOURCES_MAX][OTHERS_MAX + 1];
static unsigned resource_count;
static void *copy;
static unsigned long puts_told, gone_told;
static struct informer *informer;
static bool done, quiet;
static FILE *dump_file;

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct object *)a)->key, ((const struct object *)b)->key);
}

static void forget(struct object *o)
{
	free(o->key);
	free(o->line);
	free(o);
}

static char *key_of(const struct informer_event *e)
{
	char *key;

	if (asprintf(&key, "%u %s/%s", e->resource, e->namespace, e->name) < 0)
		abort();
	return key;
}

static void put(const struct informer_event *e)
{
	struct object *o = calloc(1, sizeof(*o)), **at;

	o->key = key_of(e);
	if (asprintf(&o->line, "%s %s %s", o->key, e->resource_version, e->json) < 0)
		abort();
	at = tsearch(o, &copy, compare);
	if (*at != o) {
		forget(*at);
		*at = o;
	}
	puts_told += !resources[e->resource].anew;
}

static void gone(const struct informer_event *e)
{
	struct object wanted = { .key = key_of(e) }, **at = tfind(&wanted, &copy, compare);

	if (at) {
		struct object *o = *at;

		tdelete(o, &copy, compare);
		forget(o);
	} else {
		printf("unknown %s\n", wanted.key);
	}
	free(wanted.key);
	gone_told++;
}

static void events(void *arg, const struct informer_event *events, size_t count)
{
	(void)arg;
	for (size_t i = 0; i < count && !quiet; i++)
		(events[i].change == INFORMER_PUT ? put : gone)(&events[i]);
}

static void synced(void *arg)
{
	(void)arg;
	printf("synced\n");
}

static void status(void *arg, unsigned resource, const struct informer_status *s)
{
	static const char *const phases[] = { "connecting", "synced", "absent", "forbidden" };

	(void)arg;
	printf("%s %s %s: %s\n", resources[resource].path, s->api_version, phases[s->phase],
	       s->error);
}

static void replied(void *arg, long code, const char *body, size_t size, const char *error)
{
	(void)arg;
	(void)body;
	printf("got %ld %zu %s\n", code, size, error ? error : "");
}

static void write_object(const void *node, VISIT visit, int depth)
{
	(void)depth;
	if (visit == postorder || visit == leaf)
		fprintf(dump_file, "%s\n", (*(struct object *const *)node)->line);
}

static void dump(const char *file)
{
	dump_file = fopen(file, "w");
	if (!dump_file) {
		printf("%s: %s\n", file, strerror(errno));
		return;
	}
	twalk(copy, write_object);
	fclose(dump_file);
	printf("dumped\n");
}

static void counts(void)
{
	printf("told %lu %lu\n", puts_told, gone_told);
	printf("discoveries %llu\n", (unsigned long long)informer_discoveries(informer));
	for (unsigned k = 0; k < resource_count; k++) {
		const struct informer_status *s = informer_status(informer, k);

		printf("counts %s requests %llu lists %llu watches %llu events %llu "
		       "bytes %llu\n",
		       resources[k].path, (unsigned long long)s->requests,
		       (unsigned long long)s->lists, (unsigned long long)s->watches,
		       (unsigned long long)s->events, (unsigned long long)s->bytes);
	}
}

static void obey(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "dump ", 5))
		dump(line + 5);
	else if (!strncmp(line, "get ", 4))
		informer_request(informer, "GET", line + 4, NULL, NULL, 0, replied, NULL);
	else if (!strcmp(line, "counts"))
		counts();
	else
		printf("what is %s?\n", line);
}

static void commands(void *arg, uint32_t events)
{
	char line[4096];

	(void)arg;
	(void)events;
	/* The test writes one line at a time, and waits for what comes of it. */
	if (fgets(line, sizeof(line), stdin))
		obey(line);
	else
		done = true;
}

static const char **split(char *list, const char **out, size_t room)
{
	size_t n = 0;

	for (char *word; n < room && (word = strsep(&list, ","));)
		out[n++] = word;
	out[n] = NULL;
	return out;
}

static bool add(char *text)
{
	struct informer_resource *r = &resources[resource_count];
	char *equals = strchr(text, '='), *comma, *slash;

	if (!equals || resource_count == RESOURCES_MAX)
		return false;
	*equals = '\0';
	comma = strchr(equals + 1, ',');
	if (comma) {
		*comma = '\0';
		r->other_versions = split(comma + 1, others[resource_count], OTHERS_MAX);
	}
	slash = strrchr(equals + 1, '/');
	if (!slash)
		return false;
	*slash = '\0';
	r->path = text;
	r->api_version = equals + 1;
	r->kind = slash + 1;
	r->optional = strstr(text, ".io/");
	r->anew = !strcmp(text, "/api/v1/namespaces");
	resource_count++;
	return true;
}

int main(int argc, char **argv)
{
	static const char *fields[32];
	const struct informer_sink sink = { .events = events, .synced = synced, .status = status };
	_cleanup_(kube_config_freep) struct kube_config *config = NULL;
	struct event input = { .fd = 0, .ready = commands };
	char error[KUBE_ERROR_MAX];
	struct event_loop *loop;
	int at = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	quiet = argc > 1 && !strcmp(argv[1], "-q");
	at += quiet;
	if (argc > at + 1 && !strcmp(argv[at], "-f")) {
		split(argv[at + 1], fields, 31);
		at += 2;
	}
	for (int i = at + 1; i < argc; i++)
		if (!add(argv[i]))
			return 2;
	for (unsigned k = 0; *fields && k < resource_count; k++)
		resources[k].fields = fields;
	if (argc < at + 2 || kube_config_load(argv[at], NULL, &config, error)) {
		fprintf(stderr, "informer-copy: %s\n", argc < at + 2 ? "arguments" : error);
		return 2;
	}
	if (event_loop_open(&loop) ||
	    informer_open(config, resources, resource_count, &sink, loop, &informer) ||
	    event_watch(loop, &input, EPOLLIN) || informer_start(informer))
		return 1;
	while (!done)
		event_loop_turn(loop, -1);
	informer_close(informer);
	event_forget(&input);
	event_loop_close(loop);
	return 0;
}
