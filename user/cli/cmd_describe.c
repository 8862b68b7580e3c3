// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "cli/age.h"
#include "cli/client.h"
#include "cli/targets.h"
#include "lib/base/json_io.h"

/* Without outlier detection nothing is known of an endpoint's health. */
static void print_endpoint(const json_t *endpoint, int indent, int width)
{
	const json_t *ejected = json_object_get(endpoint, "ejected");
	const char *address = json_get_text(endpoint, "address", "");
	char age[AGE_TEXT_MAX];

	if (json_is_true(ejected))
		printf("%*s%-*s   EJECTED, for %s more\n", indent, "", width, address,
		       age_text(json_get_int(endpoint, "ejected_for_s", 0), age));
	else
		printf("%*s%-*s%s\n", indent, "", ejected ? width : 0, address,
		       ejected ? "   HEALTHY" : "");
}

static void print_cluster(const json_t *c, int indent)
{
	const json_t *endpoints = json_object_get(c, "endpoints");
	const char *subset = json_get_text(c, "subset", "");
	json_t *endpoint;
	int width = 0;
	size_t i;

	printf("%s%s%s port %lld%s\n", json_get_text(c, "host", ""), *subset ? " subset " : "",
	       subset, (long long)json_get_int(c, "port", 0),
	       json_is_false(json_object_get(c, "known")) ? " (does not exist: refused)" : "");
	json_array_foreach(endpoints, i, endpoint)
	{
		int len = (int)strlen(json_get_text(endpoint, "address", ""));

		width = len > width ? len : width;
	}
	json_array_foreach(endpoints, i, endpoint) print_endpoint(endpoint, indent, width);
	if (!i)
		printf("%*sno endpoint\n", indent, "");
}

static void print_destination(const json_t *d)
{
	printf("      weight %lld: ", (long long)json_get_int(d, "weight", 0));
	print_cluster(d, 8);
}

/* What a DestinationRule is about, or what a Pod is an endpoint of. */
static void print_clusters(const json_t *clusters)
{
	json_t *c;
	size_t i;

	puts("\nClusters:");
	json_array_foreach(clusters, i, c)
	{
		fputs("  ", stdout);
		print_cluster(c, 4);
	}
	if (!i)
		puts("  none");
}

static void print_rule(const json_t *rule)
{
	const char *conditions = json_get_text(rule, "conditions", "");
	json_t *d;
	size_t i;

	printf("    %s %s/%s %s (%s): %s%s%s\n", json_get_text(rule, "kind", ""),
	       json_get_text(rule, "namespace", ""), json_get_text(rule, "name", ""),
	       json_get_text(rule, "route", ""), json_get_text(rule, "at", ""),
	       json_get_text(rule, "action", ""), *conditions ? ", if " : "", conditions);
	json_array_foreach(json_object_get(rule, "destinations"), i, d) print_destination(d);
}

static const char *where(const json_t *service)
{
	const char *scope = json_get_text(service, "scope", "");

	return strcmp(scope, "node") == 0      ? " on every address of the node"
	       : strcmp(scope, "outside") == 0 ? ", from outside"
					       : "";
}

static void print_address(const json_t *service)
{
	const char *clients = json_get_text(service, "clients_of", NULL);
	json_t *entry;
	size_t i;

	const char *host = json_get_text(service, "host", NULL);
	const char *sni = json_get_text(service, "sni", NULL);

	printf("  %s%s%s%s%s%s%s%s\n", json_get_text(service, "address", ""), where(service),
	       host ? ", host " : "", host ? host : "", sni ? ", SNI " : "", sni ? sni : "",
	       clients ? ", for clients of namespace " : "", clients ? clients : "");
	if (sni && !json_array_size(json_object_get(service, "rules")))
		puts("    no rule: closed");
	json_array_foreach(json_object_get(service, "rules"), i, entry) print_rule(entry);
	json_array_foreach(json_object_get(service, "skipped"), i, entry)
		printf("    never: %s: %s\n", json_get_text(entry, "rule", ""),
		       json_get_text(entry, "why", ""));
}

/* One of connections that weft-proxy has. */
static void print_connections(const char *name, const json_t *route)
{
	json_t *d;
	size_t i;

	printf("  %s: connections by their SNI", name);
	if (json_object_get(route, "picks"))
		printf(", and %lld picks", (long long)json_get_int(route, "picks", 0));
	putchar('\n');
	json_array_foreach(json_object_get(route, "destinations"), i, d) print_destination(d);
}

/* A route of HTTP: what was asked, and what came back. */
static void print_requests(const char *name, const json_t *route)
{
	const json_t *answers = json_object_get(route, "answers");
	json_t *d;
	size_t i;

	printf("  %s: %lld requests", name, (long long)json_get_int(route, "requests", 0));
	if (answers)
		printf(", answered 2xx %lld, 3xx %lld, 4xx %lld, 5xx %lld",
		       (long long)json_get_int(answers, "2xx", 0),
		       (long long)json_get_int(answers, "3xx", 0),
		       (long long)json_get_int(answers, "4xx", 0),
		       (long long)json_get_int(answers, "5xx", 0));
	putchar('\n');
	json_array_foreach(json_object_get(route, "destinations"), i, d) print_destination(d);
}

static void print_routes(json_t *routes)
{
	const char *name, *cluster;
	json_t *route, *count;

	puts("\nCounters:");
	json_object_foreach(routes, name, route)
	{
		if (json_object_get(route, "requests")) {
			print_requests(name, route);
			continue;
		}
		if (json_is_array(json_object_get(route, "destinations"))) {
			print_connections(name, route);
			continue;
		}
		printf("  %s: %lld picks\n", name, (long long)json_get_int(route, "picks", 0));
		json_object_foreach(json_object_get(route, "destinations"), cluster, count)
			printf("    %s: %lld connections\n", cluster,
			       (long long)json_integer_value(count));
	}
}

static void print_mesh(const json_t *mesh)
{
	if (mesh)
		printf("\nMesh:\n  %s: %s\n",
		       json_is_true(json_object_get(mesh, "enrolled")) ? "in" : "not in",
		       json_get_text(mesh, "why", ""));
}

/* "  PERMISSIVE, 8080 STRICT, as spiffe://..." */
static void print_workload(const char *name, const json_t *w)
{
	const char *port;
	json_t *mode;

	printf("  %s%s%s", name, *name ? ": " : "", json_get_text(w, "mode", ""));
	json_object_foreach(json_object_get(w, "ports"), port, mode)
		printf(", %s %s", port, json_string_value(mode));
	printf(", as %s\n", json_get_text(w, "identity", ""));
}

static void print_mutual(const json_t *data)
{
	const json_t *one = json_object_get(data, "mutual_tls");
	json_t *pods = json_object_get(data, "mutual_tls_pods"), *w;
	const char *name;

	if (one || pods)
		puts("\nMutual TLS:");
	if (one)
		print_workload("", one);
	json_object_foreach(pods, name, w) print_workload(name, w);
}

/* Of a NetworkPolicy. */
static void print_policy(const json_t *policy)
{
	json_t *entry;
	size_t i;

	fputs("\nOnly what a NetworkPolicy lets through passes as ", stdout);
	json_array_foreach(json_object_get(policy, "closes"), i, entry)
		printf("%s%s", i ? " and " : "", json_string_value(entry));
	puts(" of pods:");
	json_array_foreach(json_object_get(policy, "pods"), i, entry)
		printf("  %s\n", json_string_value(entry));
	if (!i)
		puts("  none");
}

static void print_counts(json_t *counts)
{
	const char *name;
	json_t *count;

	json_object_foreach(counts, name, count)
		printf("  %-14s %lld\n", name, (long long)json_integer_value(count));
}

/* Of a ConnectionPolicy. */
static void print_protection(const json_t *p)
{
	printf("\nIn force:\n  %s\n\nPackets dropped, by reason:\n",
	       json_get_text(p, "in_force", ""));
	print_counts(json_object_get(p, "dropped"));
	puts("\nNew connections and SYN cookies:");
	print_counts(json_object_get(p, "counted"));
}

static void print_certificate(const json_t *c)
{
	const char *problem = json_get_text(c, "problem", "");
	time_t until = (time_t)json_get_int(c, "not_after", 0);
	char date[32] = "";

	printf("  %s, %s:", json_get_text(c, "server", ""), json_get_text(c, "credential", ""));
	if (json_is_true(json_object_get(c, "served"))) {
		strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&until));
		printf(" \"%s\" until %s%s", json_get_text(c, "subject", ""), date,
		       until < time(NULL) ? ", EXPIRED" : "");
	} else {
		fputs(" NONE: handshakes fail", stdout);
	}
	printf("%s%s\n", *problem ? "; what is there now: " : "", problem);
}

static void print_certificates(const json_t *list)
{
	json_t *c;
	size_t i;

	if (json_array_size(list))
		puts("\nCertificates:");
	json_array_foreach(list, i, c) print_certificate(c);
}

static int print(const json_t *data)
{
	const json_t *in_force = json_object_get(data, "in_force");
	const char *namespace = json_get_text(data, "namespace", NULL);
	json_t *entry;
	size_t i;

	printf("%s %s%s%s, from %s\n\n", json_get_text(data, "kind", ""),
	       namespace ? namespace : "", namespace ? "/" : "", json_get_text(data, "name", ""),
	       json_get_text(data, "at", ""));
	fputs(json_get_text(data, "yaml", ""), stdout);
	print_mesh(json_object_get(data, "mesh"));
	print_mutual(data);
	if (in_force)
		puts("\nIn force:");
	json_array_foreach(in_force, i, entry) print_address(entry);
	if (in_force && !i)
		puts("  nothing: connections pass untouched");
	if (json_object_get(data, "routes"))
		print_routes(json_object_get(data, "routes"));
	if (json_object_get(data, "clusters"))
		print_clusters(json_object_get(data, "clusters"));
	print_certificates(json_object_get(data, "certificates"));
	if (json_object_get(data, "policy"))
		print_policy(json_object_get(data, "policy"));
	if (json_object_get(data, "protection"))
		print_protection(json_object_get(data, "protection"));
	return STATUS_DONE;
}

struct query {
	struct targets targets;
	const char *selector;
	bool all_namespaces;
};

/* Which objects are meant, as `weft get` finds them. */
static int find(const struct cli *cli, const struct query *q, json_t **out)
{
	json_t *request = client_request("get");

	json_object_set(request, "targets", q->targets.list);
	if (q->selector)
		json_object_set_new(request, "selector", json_text(q->selector));
	if (!q->all_namespaces)
		json_object_set_new(request, "namespace", json_text(cli_namespace(cli)));
	return client_ask(cli, request, NULL, out);
}

static int ask_about(const struct cli *cli, const json_t *item, json_t **out)
{
	static const char *const members[] = { "kind", "name", "namespace" };
	json_t *request = client_request("describe");

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (json_is_string(json_object_get(item, members[i])))
			json_object_set(request, members[i], json_object_get(item, members[i]));
	return client_ask(cli, request, NULL, out);
}

/* What is named alone is no list. */
static int print_json(const json_t *list, bool single)
{
	return client_print_json(single ? json_array_get(list, 0) : list);
}

static int describe(const struct cli *cli, const struct query *q, const json_t *items)
{
	_cleanup_json_ json_t *list = json_array();
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		_cleanup_json_ json_t *data = NULL;
		int r = ask_about(cli, item, &data);

		if (r)
			return r;
		if (!cli->output) {
			fputs(i ? "\n\n" : "", stdout);
			print(data);
			continue;
		}
		json_object_del(data, "yaml");
		json_array_append(list, data);
	}
	return cli->output && (i || !q->targets.named)
		       ? print_json(list, q->targets.named &&
						  json_array_size(q->targets.list) == 1 &&
						  json_array_size(list) == 1)
		       : STATUS_DONE;
}

static int run(const struct cli *cli, const struct query *q)
{
	_cleanup_json_ json_t *data = NULL;
	int r = find(cli, q, &data), missing;
	const json_t *items;

	if (r)
		return r;
	items = json_object_get(data, "items");
	if (!json_array_size(items) && !q->targets.named)
		targets_none(&q->targets, q->all_namespaces ? NULL : cli_namespace(cli));
	r = describe(cli, q, items);
	missing = targets_missing(data);
	return r ? r : missing;
}

int cmd_describe(struct cli *cli, int argc, char **argv)
{
	struct query q = { 0 };
	const struct cmd_option options[] = {
		{ 'A', "all-namespaces", .flag = &q.all_namespaces },
		{ 'l', "selector", .value = &q.selector },
		{ 0 },
	};
	int r = cmd_options(cli, &argc, argv, options);

	if (!r)
		r = targets_parse(argc, argv, &q.targets);
	if (!r && q.targets.named && q.selector)
		r = cmd_wrong(argv[0], "either a NAME or -l SELECTOR is expected, not both");
	if (!r)
		r = run(cli, &q);
	targets_free(&q.targets);
	return r;
}
