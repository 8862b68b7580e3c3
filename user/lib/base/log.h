/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_LOG_H
#define WEFT_LIB_BASE_LOG_H
/*
 * One line per event on stderr: "weftd: message" with a level in front when it is not info.
 * Where stderr is systemd's journal, the line begins with its priority, too ("<4>"), which the
 * journal takes off.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* "error", "warning", "info", "debug"; -1 if none of them. */
int log_level_parse(const char *word);
const char *log_level_name(enum log_level level);
void log_set(const char *program, enum log_level level);

/* Log and return `r` (0 or -errno); errors append ": strerror". */
__attribute__((format(printf, 2, 3))) int log_err(int r, const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *fmt, ...);

#endif
