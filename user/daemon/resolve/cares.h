/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_RESOLVE_CARES_H
#define WEFT_DAEMON_RESOLVE_CARES_H
/*
 * c-ares, loaded when there is a name to look up for the first time (base/library.h). Its functions
 * are called by their own names.
 */
#include <ares.h>

/* clang-format off */
#define CARES_FUNCTIONS(do) \
	do(ares_destroy) do(ares_free_data) do(ares_get_servers_ports) \
	do(ares_init_options) do(ares_library_init) do(ares_parse_a_reply) \
	do(ares_parse_aaaa_reply) do(ares_process_fd) do(ares_query) \
	do(ares_set_servers_ports_csv) do(ares_timeout)
/* clang-format on */

#define CARES_POINTER(name) __typeof__(&(name)) name##_at;
struct cares_functions {
	CARES_FUNCTIONS(CARES_POINTER)
};
#undef CARES_POINTER

extern struct cares_functions cares_functions;

/* Before anything else of c-ares; whatever comes after the first time costs nothing. 0, or -EIO
 * after having logged. */
int cares_load(void);

#define ares_destroy cares_functions.ares_destroy_at
#define ares_get_servers_ports cares_functions.ares_get_servers_ports_at
#define ares_free_data cares_functions.ares_free_data_at
#define ares_init_options cares_functions.ares_init_options_at
#define ares_library_init cares_functions.ares_library_init_at
#define ares_parse_a_reply cares_functions.ares_parse_a_reply_at
#define ares_parse_aaaa_reply cares_functions.ares_parse_aaaa_reply_at
#define ares_process_fd cares_functions.ares_process_fd_at
#define ares_query cares_functions.ares_query_at
#define ares_set_servers_ports_csv cares_functions.ares_set_servers_ports_csv_at
#define ares_timeout cares_functions.ares_timeout_at

#endif
