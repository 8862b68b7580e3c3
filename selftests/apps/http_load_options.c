/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "http_common.h"
#include "http_load.h"

struct options opt = { .total = 1, .concurrency = 1, .timeout_ns = 5000000000ULL };

static const char help[] =
	"usage: http-load ADDRESS PORT [option...]\n"
	"  -n N              requests in all (1)\n"
	"  -d SECONDS        instead of -n: send requests for so long\n"
	"  -c N              over N connections (1)\n"
	"  -r RATE           send RATE requests a second; what waits for a connection is late, and "
	"its\n"
	"                    latency counts from when it should have been sent\n"
	"  -p PATH           the target (/)\n"
	"  -X METHOD         (GET; POST with a body)\n"
	"  -H 'NAME: VALUE'  a header; any number of them\n"
	"  -b TEXT           a body\n"
	"  --upload N        a body of N bytes; their sum must be in the answer, as of http-echo's "
	"/upload\n"
	"  --chunked         send it without its length\n"
	"  --verify          the answers' bodies must be those of http-echo's /bytes\n"
	"  --close           a connection for each request, closed by us\n"
	"  -t MS             give up connecting, or waiting while no byte moves (5000)\n"
	"  --source ADDRESS  bind to it\n"
	"  --count NAME      count the values of that header of the answers, not their bodies' "
	"first words\n"
	"  --idle N          beside: N connections that are used once, before all else, and kept "
	"open\n"
	"  --warm            use each of the connections once before, which counts only if it "
	"fails\n"
	"  --hold            keep those until SIGTERM\n"
	"  --cpu-of PID      say how much CPU time that process used meanwhile, in microseconds;\n"
	"                    given more than once: how much these did together\n"
	"  --ready FILE      create FILE when the idle connections are open\n"
	"  --sequence | --print\n"
	"                    a line for each request, in order of sending | the last answer, "
	"whole;\n"
	"                    otherwise the counts as JSON\n";

static int usage(const char *why)
{
	fprintf(stderr, "http-load: %s; --help says more\n", why);
	exit(2);
}

static double number(const char *word)
{
	char *end;
	double n = strtod(word, &end);

	if (end == word || *end || n < 0)
		usage("not a number");
	return n;
}

static socklen_t address(const char *word, unsigned port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, word, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, word, &six->sin6_addr) != 1)
		usage("not an address");
	six->sin6_family = AF_INET6;
	six->sin6_port = htons((uint16_t)port);
	return sizeof(*six);
}

/* ---- the request ---- */

static const char *method, *path = "/", *body;
static char *headers;
static bool chunked, has_host;

static void add_header(const char *line)
{
	size_t used = headers ? strlen(headers) : 0;

	headers = grow(headers, used + strlen(line) + 3);
	sprintf(headers + used, "%s\r\n", line);
	has_host |= !strncasecmp(line, "host:", 5);
}

static void add_framing(void)
{
	char line[64];

	snprintf(line, sizeof(line), "Content-Length: %" PRIu64,
		 opt.upload ? opt.upload : strlen(body));
	add_header(chunked ? "Transfer-Encoding: chunked" : line);
}

/* Of a chunked body, one chunk holds all. */
static void request_make(const char *address_word, const char *port)
{
	char host[128];
	FILE *out;

	snprintf(host, sizeof(host), strchr(address_word, ':') ? "Host: [%s]:%s" : "Host: %s:%s",
		 address_word, port);
	if (!has_host)
		add_header(host);
	if (opt.upload || body)
		add_framing();
	if (!method)
		method = opt.upload || body ? "POST" : "GET";
	opt.is_head = !strcmp(method, "HEAD");
	out = open_memstream(&opt.head, &opt.head_len);
	fprintf(out, "%s %s HTTP/1.1\r\n%s\r\n", method, path, headers);
	if (chunked)
		fprintf(out, "%" PRIx64 "\r\n", opt.upload ? opt.upload : strlen(body));
	if (body)
		fputs(body, out);
	if (fclose(out))
		usage("out of memory");
	opt.tail = chunked ? "\r\n0\r\n\r\n" : "";
	opt.size = opt.head_len + opt.upload + strlen(opt.tail);
	if (opt.upload &&
	    asprintf(&opt.upload_answer, "\"bytes\":%" PRIu64 ",\"adler32\":\"%08" PRIx32 "\"",
		     opt.upload, pattern_sum(opt.upload)) < 0)
		usage("out of memory");
}

/* ---- the options ---- */

enum {
	UPLOAD = 256,
	CHUNKED,
	VERIFY,
	CLOSE,
	SOURCE,
	COUNT,
	IDLE,
	WARM,
	HOLD,
	READY,
	CPU_OF,
	SEQUENCE,
	PRINT,
	HELP
};

static const struct option long_options[] = {
	{ "upload", required_argument, NULL, UPLOAD },
	{ "chunked", no_argument, NULL, CHUNKED },
	{ "verify", no_argument, NULL, VERIFY },
	{ "close", no_argument, NULL, CLOSE },
	{ "source", required_argument, NULL, SOURCE },
	{ "count", required_argument, NULL, COUNT },
	{ "idle", required_argument, NULL, IDLE },
	{ "warm", no_argument, NULL, WARM },
	{ "hold", no_argument, NULL, HOLD },
	{ "ready", required_argument, NULL, READY },
	{ "cpu-of", required_argument, NULL, CPU_OF },
	{ "sequence", no_argument, NULL, SEQUENCE },
	{ "print", no_argument, NULL, PRINT },
	{ "help", no_argument, NULL, HELP },
	{ 0 },
};

static void add_process(const char *pid)
{
	if (opt.cpu_count == CPU_OF_MAX)
		usage("too many processes");
	if (clock_getcpuclockid((pid_t)number(pid), &opt.cpu_of[opt.cpu_count++]))
		usage("no such process");
}

static void set_request(int option, const char *arg)
{
	switch (option) {
	case 'p':
		path = arg;
		break;
	case 'X':
		method = arg;
		break;
	case 'H':
		add_header(arg);
		break;
	case 'b':
		body = arg;
		break;
	case UPLOAD:
		opt.upload = (uint64_t)number(arg);
		break;
	case CHUNKED:
		chunked = true;
		break;
	default:
		usage("unknown option");
	}
}

static void set_answer(int option, const char *arg)
{
	switch (option) {
	case VERIFY:
		opt.verify = true;
		break;
	case COUNT:
		opt.count_header = arg;
		break;
	case SEQUENCE:
		opt.output = OUT_SEQUENCE;
		break;
	case PRINT:
		opt.output = OUT_PRINT;
		break;
	case READY:
		opt.ready_file = arg;
		break;
	case CPU_OF:
		add_process(arg);
		break;
	case HELP:
		fputs(help, stdout);
		exit(0);
	default:
		set_request(option, arg);
	}
}

static void set_option(int option, const char *arg)
{
	switch (option) {
	case 'n':
		opt.total = (uint64_t)number(arg);
		break;
	case 'd':
		opt.seconds = number(arg);
		break;
	case 'c':
		opt.concurrency = (uint32_t)number(arg);
		break;
	case 'r':
		opt.rate = number(arg);
		break;
	case 't':
		opt.timeout_ns = (uint64_t)(number(arg) * 1e6);
		break;
	case CLOSE:
		opt.close = true;
		break;
	case SOURCE:
		address(arg, 0, &opt.from);
		opt.bound = true;
		break;
	case IDLE:
		opt.idle = (uint32_t)number(arg);
		break;
	case WARM:
		opt.warm = true;
		break;
	case HOLD:
		opt.hold = true;
		break;
	default:
		set_answer(option, arg);
	}
}

void options_parse(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "n:d:c:r:p:X:H:b:t:", long_options, NULL)) != -1)
		set_option(option, optarg);
	if (argc - optind != 2)
		usage("expected an address and a port");
	if (!opt.concurrency)
		usage("no connections");
	if (opt.warm && opt.output == OUT_SEQUENCE)
		usage("--warm is not in the sequence");
	opt.to_len = address(argv[optind], (unsigned)number(argv[optind + 1]), &opt.to);
	request_make(argv[optind], argv[optind + 1]);
}
