// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "cli/age.h"
#include "cli/client.h"
#include "cli/status_trouble.h"
#include "lib/base/json_io.h"
#include "lib/wire/wire_client.h"

enum { POLL_MS = 50, TIMEOUT_MAX_S = 86400, TABLES_TOLD = 4 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_ready(const json_t *data)
{
	return json_is_true(json_object_get(data, "ready"));
}

static void pause_poll(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
}

/* Until `end`. weftd listens from the moment it is ready. */
static int wait_there(const struct cli *cli, double end, long seconds)
{
	for (;;) {
		int fd = wire_connect(cli->run_dir);

		if (fd >= 0) {
			close(fd);
			return 0;
		}
		if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN)
			return 0; /* client_ask() says what it is */
		if (now() >= end)
			return cmd_failed("weftd is not ready on %s after %ld s", cli->run_dir,
					  seconds);
		pause_poll();
	}
}

static json_t *status_request(bool tables)
{
	json_t *request = client_request("status");

	json_object_set_new(request, "tables", json_boolean(tables));
	return request;
}

/* Something may be missing that is being put back. Tables, which weftd has to walk over, are asked
 * for once, at the end. */
static int ask_until(struct cli *cli, double end, json_t **data)
{
	bool waiting = now() < end;
	int r;

	while (waiting) {
		r = client_ask(cli, status_request(false), NULL, data);
		if (r)
			return r;
		waiting = !is_ready(*data) && now() < end;
		json_decref(*data);
		*data = NULL;
		if (waiting)
			pause_poll();
	}
	return client_ask(cli, status_request(true), NULL, data);
}

static void print_cgroup(const json_t *data)
{
	const json_t *cgroup = json_object_get(data, "cgroup");
	long long unknown = json_get_int(data, "pods_unknown", 0),
		  foreign = json_get_int(cgroup, "foreign", 0);

	printf("connect()    %lld of %lld programs on %s\n",
	       (long long)json_get_int(cgroup, "hooks", 0),
	       (long long)json_get_int(cgroup, "wanted", 0), json_get_text(cgroup, "path", "?"));
	if (foreign)
		printf("             beside %lld of others\n", foreign);
	if (unknown)
		printf("             %lld pods' namespaces are not found: their packets are "
		       "steered\n",
		       unknown);
}

/* The part of the sentence that says since when. Returns `buf`. */
static const char *time_text(json_int_t at, char *buf, size_t size)
{
	time_t seconds = (time_t)at;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(buf, size, "%lld", (long long)at);
	return buf;
}

static void print_phase(const json_t *source)
{
	const char *phase = json_get_text(source, "phase", ""),
		   *server = json_get_text(source, "server", "?"),
		   *error = json_get_text(source, "error", "");
	char since[64];

	time_text(json_get_int(source, "since", 0), since, sizeof(since));
	if (!strcmp(phase, "waiting"))
		printf("waiting for the API server at %s", server);
	else if (!strcmp(phase, "cached"))
		printf("rules as of %s; the API server at %s has not answered yet", since, server);
	else if (!strcmp(phase, "synced"))
		printf("in step with the API server at %s since %s", server, since);
	else
		printf("not in step with the API server at %s since %s", server, since);
	printf("%s%s\n", *error ? ": " : "", error);
}

static void print_problems(const json_t *source)
{
	long long count = json_get_int(source, "problem_count", 0);
	json_t *problem;
	size_t i;

	if (count)
		printf("             %lld objects are wrong (weft analyze):\n", count);
	json_array_foreach(json_object_get(source, "problems"), i, problem)
	{
		const char *namespace = json_get_text(problem, "namespace", "");
		const json_t *messages = json_object_get(problem, "messages");
		const char *message = json_string_value(json_array_get(messages, 0));

		printf("             %s %s%s%s, %s: %s\n", json_get_text(problem, "kind", "?"),
		       namespace, *namespace ? "/" : "", json_get_text(problem, "name", "?"),
		       json_get_text(problem, "effect", "?"), message ? message : "?");
	}
}

/* What is wrong is said here, and where it should be said, too, it is not. */
static void print_writer(const json_t *source)
{
	const char *error = json_get_text(json_object_get(source, "status_writer"), "error", "");

	if (*error)
		printf("             the status of objects can't be written: %s\n", error);
}

/* Where objects come from, if not from files alone. */
static void print_sources(const json_t *data)
{
	json_t *source;
	size_t i;

	json_array_foreach(json_object_get(data, "sources"), i, source)
	{
		if (strcmp(json_get_text(source, "name", ""), "kubernetes") != 0)
			continue;
		printf("kubernetes   ");
		print_phase(source);
		print_problems(source);
		print_writer(source);
	}
}

/* The healthCheckNodePorts of Services, and who answers there. */
static void print_health_ports(const json_t *data)
{
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(data, "health_ports"), i, port)
	{
		const char *error = json_get_text(port, "error", "");

		printf("health port  %lld of service %s: ",
		       (long long)json_get_int(port, "port", 0),
		       json_get_text(port, "service", "?"));
		if (*error)
			printf("left to another process (%s)\n", error);
		else
			printf("%lld endpoints here\n",
			       (long long)json_get_int(port, "local_endpoints", 0));
	}
}

/* What DNS says of one name, and for how long it has. */
static void print_name(const json_t *name)
{
	json_int_t at = json_get_int(name, "answered", 0);
	const char *error = json_get_text(name, "error", "");
	json_t *address;
	char age[AGE_TEXT_MAX];
	size_t i;

	printf("             %s", json_get_text(name, "name", "?"));
	json_array_foreach(json_object_get(name, "addresses"), i, address)
		printf("%s%s", i ? ", " : " is at ", json_string_value(address));
	if (at)
		printf(", answered %s ago", age_text(time(NULL) - at, age));
	printf("%s%s\n", *error ? ": " : "", error);
}

static void print_names(const json_t *data)
{
	const json_t *dns = json_object_get(data, "dns");
	const char *servers = json_get_text(dns, "servers", "");
	long long count = json_get_int(dns, "count", 0), told;
	json_t *name;
	size_t i;

	if (!count)
		return;
	printf("DNS          %lld names are looked up at %s, %lld of them in vain\n", count,
	       *servers ? servers : "no server", (long long)json_get_int(dns, "failing", 0));
	json_array_foreach(json_object_get(dns, "names"), i, name) print_name(name);
	told = (long long)json_array_size(json_object_get(dns, "names"));
	if (told < count)
		printf("             and %lld more\n", count - told);
}

/* The certificates for mutual TLS, where there is a CA or one is missing. */
static void print_identities(const json_t *data)
{
	const json_t *ids = json_object_get(data, "identities"), *ca = json_object_get(ids, "ca");
	const char *subject = json_get_text(ca, "subject", ""),
		   *problem = json_get_text(ca, "problem", "");
	long long wanted = json_get_int(ids, "wanted", 0);
	json_int_t next = json_get_int(ids, "next_renewal", 0);
	char text[64];

	if (!wanted && !*json_get_text(ca, "from", ""))
		return;
	printf("identities   %lld, %lld of them with a certificate", wanted,
	       (long long)json_get_int(ids, "valid", 0));
	if (next)
		printf(", the next renewed at %s", time_text(next, text, sizeof(text)));
	printf("\n");
	if (*subject)
		printf("             signed by \"%s\" (%s) until %s; %lld roots are believed\n",
		       subject, json_get_text(ca, "from", ""),
		       time_text(json_get_int(ca, "not_after", 0), text, sizeof(text)),
		       (long long)json_get_int(ids, "roots", 0));
	if (!*problem)
		problem = json_get_text(ids, "problem", "");
	if (*problem)
		printf("             %s\n", problem);
}

static void print_draining(const json_t *proxy)
{
	json_t *pid;
	size_t i;

	json_array_foreach(json_object_get(proxy, "draining"), i, pid)
		printf("draining     process %lld\n", (long long)json_integer_value(pid));
}

/* "Service 3, Pod 2". */
static void print_objects(const json_t *data)
{
	const char *kind, *comma = "";
	json_t *count;

	printf("objects      ");
	json_object_foreach(json_object_get(data, "objects"), kind, count)
	{
		if (!json_integer_value(count))
			continue;
		printf("%s%s %lld", comma, kind, (long long)json_integer_value(count));
		comma = ", ";
	}
	printf("%s\n", *comma ? "" : "none");
}

static int by_fill(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;

	return status_percent(json_get_int(y, "entries", 0), json_get_int(y, "room", 0)) -
	       status_percent(json_get_int(x, "entries", 0), json_get_int(x, "room", 0));
}

/* The fullest of the kernel's, of those that should not be full. */
static void print_tables(const json_t *data)
{
	const json_t *tables = json_object_get(data, "tables");
	_cleanup_free_ json_t **items = calloc(json_array_size(tables) + 1, sizeof(*items));
	size_t count = 0, i;
	json_t *table;

	if (!items)
		return;
	json_array_foreach(tables, i, table)
	{
		if (!status_table_evicts(table))
			items[count++] = table;
	}
	if (!count)
		return;
	qsort(items, count, sizeof(*items), by_fill);
	printf("tables       ");
	for (i = 0; i < count && i < TABLES_TOLD; i++)
		printf("%s%s %d %%", i ? ", " : "", json_get_text(items[i], "name", "?"),
		       status_percent(json_get_int(items[i], "entries", 0),
				      json_get_int(items[i], "room", 0)));
	printf(" full%s\n", count > TABLES_TOLD ? ", others less" : "");
}

/* What has no line of its own. */
static void print_trouble(const json_t *data)
{
	json_t *text;
	size_t i;

	json_array_foreach(json_object_get(data, "trouble"), i, text)
	{
		const char *is = json_string_value(text);

		if (strncmp(is, "missing: ", 9) != 0 && strncmp(is, "certificate: ", 13) != 0)
			printf("trouble      %s\n", is);
	}
}

static int print(const json_t *data)
{
	const json_t *proxy = json_object_get(data, "proxy");
	json_t *missing;
	size_t i;

	printf("weftd %s is %s (process %lld)\n", json_get_text(data, "version", "?"),
	       is_ready(data) ? "ready" : "not ready", (long long)json_get_int(data, "pid", 0));
	json_array_foreach(json_object_get(data, "container_lacks"), i, missing)
		printf("lacks        %s\n", json_string_value(missing));
	json_array_foreach(json_object_get(data, "missing"), i, missing)
		printf("missing      %s\n", json_string_value(missing));
	json_array_foreach(json_object_get(data, "certificates"), i, missing)
		printf("certificate  %s\n", json_string_value(missing));
	print_trouble(data);
	print_sources(data);
	printf("generation   %lld\n", (long long)json_get_int(data, "generation", 0));
	print_objects(data);
	printf("pods         %lld, %lld of them in the mesh (--enrol %s); %lld NICs\n",
	       (long long)json_get_int(data, "pods", 0),
	       (long long)json_get_int(data, "pods_enrolled", 0), json_get_text(data, "enrol", "?"),
	       (long long)json_get_int(data, "nics", 0));
	printf("connections  %lld by sockets, %lld by packets, of %lld at most\n",
	       (long long)json_get_int(data, "sockets", 0),
	       (long long)json_get_int(data, "connections", 0),
	       (long long)json_get_int(data, "max_connections", 0));
	print_tables(data);
	print_cgroup(data);
	printf("short cut    %s\n", json_get_text(data, "shortcut", "?"));
	printf("XDP          %s\n", json_get_text(data, "xdp", "?"));
	printf("first line   %s\n", json_get_text(data, "connection_policy", "?"));
	printf("way out      %s\n", json_get_text(data, "outbound_traffic_policy", "?"));
	printf("proxy        process %lld, %lld workers, restarted %lld times\n",
	       (long long)json_get_int(proxy, "pid", 0),
	       (long long)json_get_int(proxy, "workers", 0),
	       (long long)json_get_int(proxy, "restarts", 0));
	print_draining(proxy);
	print_health_ports(data);
	print_names(data);
	print_identities(data);
	printf("kernel       %s, programs attached by %s\n", json_get_text(data, "kernel", "?"),
	       json_get_text(data, "attach", "?"));
	printf("pinned at    %s\n", json_get_text(data, "bpffs", "?"));
	printf("state in     %s\n", json_get_text(data, "state_dir", "?"));
	return STATUS_DONE;
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
	_cleanup_(json_decrefp) json_t *data = NULL;
	const char *timeout = "30";
	bool wait = false, well;
	const struct cmd_option options[] = {
		{ 0, "wait", .flag = &wait },
		{ 0, "timeout", .value = &timeout },
		{ 0 },
	};
	double end_at;
	char *end;
	long seconds;
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	seconds = strtol(timeout, &end, 10);
	/* "30s" is what kubectl's users type. */
	if (end == timeout || (*end && (end[0] != 's' || end[1])) || seconds < 0 ||
	    seconds > TIMEOUT_MAX_S)
		return cmd_wrong(argv[0], "--timeout: a number of seconds is expected, not \"%s\"",
				 timeout);
	end_at = wait ? now() + (double)seconds : 0;
	r = wait ? wait_there(cli, end_at, seconds) : 0;
	if (!r)
		r = ask_until(cli, end_at, &data);
	if (r)
		return r;
	json_object_set_new(data, "trouble", status_trouble(data));
	r = cli->output ? client_print_json(data) : print(data);
	/* Scripts that wait for it, or read it, decide by themselves what else is trouble. */
	well = is_ready(data) &&
	       (wait || cli->output || !json_array_size(json_object_get(data, "trouble")));
	return r ? r : well ? STATUS_DONE : STATUS_FAILED;
}
