// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "cli/client.h"
#include "lib/explain/explain_gateway.h"
#include "lib/explain/explain_http.h"
#include "lib/base/json_io.h"
#include "cli/offline.h"

enum { PORT_MAX = 65535 };

struct question_words {
	struct file_names files;
	struct cmd_list headers;
	const char *from, *from_labels, *from_address, *gateway, *to, *to_address, *sni, *method,
		*scheme, *path, *enrol;
};

/* The same, taken apart. The words are copies, owned here. */
struct parts {
	char *from, *gateway, *target, *labels;
	struct kvs kvs;
	struct explain_query q;
};

static void parts_free(struct parts *p)
{
	free(p->from);
	free(p->gateway);
	free(p->target);
	free(p->labels);
	free(p->kvs.items);
}

static int copy(const char *word, char **out)
{
	*out = strdup(word);
	return *out ? 0 : cmd_failed("out of memory");
}

/* "HOST:PORT" or "[ADDRESS]:PORT", cut apart in place. */
static int split_target(const char *option, const char *word, struct parts *p, const char **host)
{
	char *colon, *end, *at;
	unsigned long port;
	int r = copy(word, &p->target);

	if (r)
		return r;
	at = p->target;
	colon = strrchr(at, ':');
	if (!colon || colon == at)
		return cmd_wrong("explain", "%s: HOST:PORT is expected, not \"%s\"", option, word);
	port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || port < 1 || port > PORT_MAX)
		return cmd_wrong("explain", "%s: a port from 1 to 65535 is expected, not \"%s\"",
				 option, colon + 1);
	*colon = 0;
	if (at[0] == '[' && colon[-1] == ']') {
		colon[-1] = 0;
		at++;
	}
	*host = at;
	p->q.port = (unsigned)port;
	return 0;
}

static int split_labels(const char *word, struct parts *p)
{
	int r = copy(word, &p->labels);
	size_t count = 1;

	if (r)
		return r;
	for (const char *at = word; *at; at++)
		count += *at == ',';
	p->kvs.items = calloc(count, sizeof(*p->kvs.items));
	if (!p->kvs.items)
		return cmd_failed("out of memory");
	for (char *at = p->labels, *next; at && *at; at = next) {
		char *equals = strchr(at, '=');

		next = strchr(at, ',');
		if (next)
			*next++ = 0;
		if (!equals || equals == at || (next && equals > next))
			return cmd_wrong("explain",
					 "--from-labels: KEY=VALUE is expected, not \"%s\"", at);
		*equals = 0;
		p->kvs.items[p->kvs.count++] = (struct kv){ .key = at, .value = equals + 1 };
	}
	p->q.labels = &p->kvs;
	return 0;
}

/* With files "NAMESPACE[/POD]", else "[NAMESPACE/]POD". */
static int split_from(const struct cli *cli, const struct question_words *w, struct parts *p)
{
	int r = copy(w->from, &p->from);
	char *slash;

	if (r)
		return r;
	slash = strchr(p->from, '/');
	if (slash && (slash == p->from || !slash[1]))
		return cmd_wrong("explain", "--from: NAMESPACE/POD is expected, not \"%s\"",
				 w->from);
	p->q.namespace = cli_namespace(cli);
	if (slash) {
		*slash = 0;
		p->q.namespace = p->from;
		p->q.pod = slash + 1;
	} else if (w->files.list.count) {
		p->q.namespace = p->from;
	} else {
		p->q.pod = p->from;
	}
	return 0;
}

static int split_gateway(const struct cli *cli, const char *word, struct parts *p)
{
	int r = copy(word, &p->gateway);
	char *slash;

	if (r)
		return r;
	slash = strchr(p->gateway, '/');
	p->q.gateway_namespace = slash ? p->gateway : cli_namespace(cli);
	p->q.gateway = slash ? slash + 1 : p->gateway;
	if (slash)
		*slash = 0;
	return 0;
}

static int take_apart(const struct cli *cli, const struct question_words *w, struct parts *p)
{
	int r = 0;

	if (w->from)
		r = split_from(cli, w, p);
	if (!r && w->gateway)
		r = split_gateway(cli, w->gateway, p);
	if (!r && w->from_labels)
		r = split_labels(w->from_labels, p);
	if (!r)
		r = w->to ? split_target("--to", w->to, p, &p->q.host)
			  : split_target("--to-address", w->to_address, p, &p->q.address);
	p->q.sni = w->sni;
	p->q.source = w->from_address;
	return r;
}

static int print(const struct cli *cli, json_t *json, char *text)
{
	if (cli->output)
		return client_print_json(json);
	fputs(text ? text : "", stdout);
	return text ? STATUS_DONE : cmd_failed("out of memory");
}

/* What the answer of the tables for TCP is: for a port that does not speak HTTP. */
static int explain_tcp(const struct cli *cli, const struct tables *t, const struct objects *objects,
		       const struct explain_query *q, struct errors *errors)
{
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	_cleanup_(json_decrefp) json_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	int r = explain(t, objects, q, NULL, NULL, &a, errors);

	if (r)
		return r;
	json = explain_json(&a);
	text = explain_text(&a);
	return print(cli, json, text);
}

static int ask(const struct cli *cli, const struct tables *t, const struct objects *objects,
	       const struct explain_query *q, const struct explain_request *request,
	       struct errors *errors)
{
	_cleanup_(json_decrefp) json_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	int r = explain_http(t->http, t, objects, q, request, NULL, &json, errors);

	if (r == -EPROTONOSUPPORT)
		return explain_tcp(cli, t, objects, q, errors);
	if (r)
		return r;
	text = explain_http_text(json);
	return print(cli, json, text);
}

static int ask_files(const struct cli *cli, struct offline *o, const struct explain_query *q,
		     const struct explain_request *request)
{
	_cleanup_(explain_gateway_free) struct explain_gateway alone = { 0 };
	int r;

	if (!q->gateway)
		return ask(cli, o->tables, &o->objects, q, request, &o->errors);
	r = explain_gateway_make(&o->objects, q, o->registry, &alone, &o->errors);
	return r ? r : ask(cli, alone.tables, &alone.objects, q, request, &o->errors);
}

static int explain_files(const struct cli *cli, const struct question_words *w,
			 const struct explain_query *q, const struct explain_request *request)
{
	_cleanup_(offline_free) struct offline o = { 0 };
	int r = offline_load_http(&o, &w->files, cli->namespace);

	if (!r)
		r = ask_files(cli, &o, q, request);
	offline_print(&o);
	if (r < 0)
		return errors_fatal(&o.errors) ? STATUS_FAILED : cmd_failed("%s", strerror(-r));
	return r;
}

static int explain_live(const struct cli *cli, const struct explain_query *q,
			const struct explain_request *http)
{
	const struct {
		const char *key, *value;
	} words[] = {
		{ "namespace", q->namespace },
		{ "pod", q->pod },
		{ "gateway_namespace", q->gateway_namespace },
		{ "gateway", q->gateway },
		{ "source", q->source },
		{ "host", q->host },
		{ "address", q->address },
		{ "sni", q->sni },
		{ "method", http->method },
		{ "scheme", http->scheme },
		{ "path", http->path },
	};
	_cleanup_(json_decrefp) json_t *data = NULL;
	json_t *request = client_request("explain"), *headers = json_array();
	int r;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (words[i].value)
			json_object_set_new(request, words[i].key, json_text(words[i].value));
	for (size_t i = 0; i < http->header_count; i++)
		json_array_append_new(headers, json_text(http->headers[i]));
	json_object_set_new(request, "headers", headers);
	json_object_set_new(request, "port", json_integer(q->port));
	r = client_ask(cli, request, NULL, &data);
	if (r)
		return r;
	if (cli->output)
		return client_print_json(json_object_get(data, "answer"));
	fputs(json_get_text(data, "text", ""), stdout);
	return STATUS_DONE;
}

/* Who is in the mesh, weftd knows; of files it must be said. */
static int check_words(const struct question_words *w)
{
	if (!w->from == !(w->gateway || w->from_address))
		return cmd_wrong("explain", "either --from or --gateway is expected, or "
					    "--from-address for a caller from outside");
	if (!w->to == !w->to_address)
		return cmd_wrong("explain", "either --to or --to-address is expected");
	if (w->from_labels && !w->files.list.count)
		return cmd_wrong(
			"explain",
			"--from-labels goes with -f: the labels of a running pod are known");
	if (w->enrol && !w->files.list.count)
		return cmd_wrong("explain", "--enrol goes with -f: weftd has been told");
	return 0;
}

static int run(const struct cli *cli, const struct question_words *w)
{
	const struct explain_request request = { .method = w->method,
						 .scheme = w->scheme,
						 .path = w->path,
						 .headers = w->headers.items,
						 .header_count = w->headers.count };
	_cleanup_(parts_free) struct parts p = { 0 };
	int r = check_words(w);

	if (!r)
		r = cmd_enrol("explain", w->enrol, &p.q.enrol);
	if (!r)
		r = take_apart(cli, w, &p);
	if (r)
		return r;
	return w->files.list.count ? explain_files(cli, w, &p.q, &request)
				   : explain_live(cli, &p.q, &request);
}

int cmd_explain(struct cli *cli, int argc, char **argv)
{
	struct question_words w = { 0 };
	const struct cmd_option options[] = {
		{ 'f', "filename", .list = &w.files.list },
		{ 'R', "recursive", .flag = &w.files.recursive },
		{ 0, "skip-unknown", .flag = &w.files.skip_unknown },
		{ 0, "from", .value = &w.from },
		{ 0, "from-labels", .value = &w.from_labels },
		{ 0, "from-address", .value = &w.from_address },
		{ 0, "gateway", .value = &w.gateway },
		{ 0, "to", .value = &w.to },
		{ 0, "to-address", .value = &w.to_address },
		{ 0, "sni", .value = &w.sni },
		{ 0, "method", .value = &w.method },
		{ 0, "scheme", .value = &w.scheme },
		{ 0, "path", .value = &w.path },
		{ 0, "header", .list = &w.headers },
		{ 0, "enrol", .value = &w.enrol },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (!r)
		r = argc > 1 ? cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1])
			     : run(cli, &w);
	file_names_free(&w.files);
	cmd_list_free(&w.headers);
	return r;
}
