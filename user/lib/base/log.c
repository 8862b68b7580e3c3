/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The one piece of global state in the library: where a process's messages go is a property of the
 * process. */
static struct {
	const char *program;
	enum log_level level;
	bool journal; /* stderr is systemd's journal */
} config = { "weft", LOG_LEVEL_INFO, false };

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* syslog(3)'s priorities, as sd-daemon(3) has them. */
static const char *const journal_prefixes[] = {
	[LOG_LEVEL_ERROR] = "<3>",
	[LOG_LEVEL_WARNING] = "<4>",
	[LOG_LEVEL_INFO] = "<6>",
	[LOG_LEVEL_DEBUG] = "<7>",
};

int log_level_parse(const char *word)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++)
		if (!strcmp(word, level_names[i]))
			return (int)i;
	return -1;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

/* $JOURNAL_STREAM has the device and inode of what systemd has given a service for stderr. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && !fstat(2, &st) &&
	       st.st_dev == dev && st.st_ino == ino;
}

void log_set(const char *program, enum log_level level)
{
	config.program = program;
	config.level = level;
	config.journal = stderr_is_journal();
}

/* One write per line, so that the lines of several processes on one terminal don't mix. */
static void print_line(enum log_level level, const char *suffix, const char *fmt, va_list args)
{
	const char *name = level == LOG_LEVEL_INFO ? "" : level_names[level];
	char message[1024];

	if (level > config.level)
		return;
	vsnprintf(message, sizeof(message), fmt, args);
	fprintf(stderr, "%s%s: %s%s%s%s%s\n", config.journal ? journal_prefixes[level] : "",
		config.program, name, *name ? ": " : "", message, suffix ? ": " : "",
		suffix ? suffix : "");
}

int log_err(int r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(LOG_LEVEL_ERROR, r ? strerror(r < 0 ? -r : r) : NULL, fmt, args);
	va_end(args);
	return r;
}

void log_warning(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(LOG_LEVEL_WARNING, NULL, fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(LOG_LEVEL_INFO, NULL, fmt, args);
	va_end(args);
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(LOG_LEVEL_DEBUG, NULL, fmt, args);
	va_end(args);
}
