/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct options opt = { .total = 1, .concurrency = 1, .timeout_ns = 5000000000ULL };

static const char help[] =
	"usage: tcp-load ADDRESS PORT [option...]\n"
	"  -n N              connections in all (1)\n"
	"  -d SECONDS        instead of -n: open connections for so long\n"
	"  -c N              at most N at a time, held ones not counted (1)\n"
	"  -r RATE           begin RATE connections a second (as fast as -c lets)\n"
	"  -s LINE           send LINE, read the answer\n"
	"  --bytes N         send a line of N bytes\n"
	"  -k MS             keep open after that (0)\n"
	"  --every MS        while kept open, ask again every MS\n"
	"  -e, --end HOW     fin, rst, mix (fin or rst at random), half (shutdown, then wait for "
	"the other's FIN),\n"
	"                    hold (keep open until -k, or until SIGTERM)\n"
	"  -t MS             give up connecting, or waiting for an answer (5000)\n"
	"  --fastopen        with the line in the SYN\n"
	"  --source ADDRESS  bind to it\n"
	"  --source-port P   the nth connection comes from port P + n\n"
	"  --ready FILE      create FILE when every connection is answered, refused or failed\n"
	"  --json | --sequence | --times\n"
	"                    print every connection | every result, in order of opening | the "
	"counts, with times;\n"
	"                    otherwise the counts: {\"one\":8,\"two\":2}\n";

static int usage(const char *why)
{
	fprintf(stderr, "tcp-load: %s\n%s", why, help);
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

static enum end end_named(const char *word)
{
	static const char *const names[] = { "fin", "rst", "mix", "half", "hold" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(word, names[i]))
			return (enum end)i;
	return (enum end)usage("no such way to end");
}

static void set_line(const char *text, size_t len)
{
	opt.line = grow(NULL, len + 2);
	if (text)
		memcpy(opt.line, text, len);
	for (size_t i = 0; !text && i < len; i++)
		opt.line[i] = (char)('a' + i % 23);
	opt.line[len] = '\n';
	opt.line_len = len + 1;
}

static const struct option long_options[] = {
	{ "bytes", required_argument, NULL, 'b' },
	{ "every", required_argument, NULL, 'E' },
	{ "end", required_argument, NULL, 'e' },
	{ "source", required_argument, NULL, 'S' },
	{ "source-port", required_argument, NULL, 'P' },
	{ "fastopen", no_argument, NULL, 'F' },
	{ "ready", required_argument, NULL, 'R' },
	{ "json", no_argument, NULL, 'j' },
	{ "sequence", no_argument, NULL, 'q' },
	{ "times", no_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void set_pattern(int option, const char *arg)
{
	switch (option) {
	case 'n':
		opt.total = (uint32_t)number(arg);
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
	case 'k':
		opt.keep_ns = (uint64_t)(number(arg) * 1e6);
		break;
	case 'E':
		opt.every_ns = (uint64_t)(number(arg) * 1e6);
		break;
	case 't':
		opt.timeout_ns = (uint64_t)(number(arg) * 1e6);
		break;
	case 'e':
		opt.end = end_named(arg);
		break;
	default:
		usage("unknown option");
	}
}

static void set_option(int option, const char *arg)
{
	switch (option) {
	case 's':
		set_line(arg, strlen(arg));
		break;
	case 'b':
		set_line(NULL, (size_t)number(arg));
		break;
	case 'S':
		address(arg, 0, &opt.from);
		opt.bound = true;
		break;
	case 'P':
		opt.source_port = (unsigned)number(arg);
		break;
	case 'F':
		opt.fastopen = true;
		break;
	case 'R':
		opt.ready_file = arg;
		break;
	case 'j':
		opt.output = OUT_JSON;
		break;
	case 'q':
		opt.output = OUT_SEQUENCE;
		break;
	case 'T':
		opt.output = OUT_TIMES;
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		set_pattern(option, arg);
	}
}

void options_parse(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "n:d:c:r:s:k:e:t:h", long_options, NULL)) != -1)
		set_option(option, optarg);
	if (argc - optind != 2)
		usage("expected an address and a port");
	opt.to_len = address(argv[optind], (unsigned)number(argv[optind + 1]), &opt.to);
	if (opt.source_port && !opt.bound) {
		opt.from.ss_family = opt.to.ss_family;
		opt.bound = true;
	}
}
