/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_KUBE_CURL_H
#define WEFT_LIB_KUBE_CURL_H
/*
 * libcurl, loaded when an API server is to be asked for the first time (base/library.h). Its
 * functions are called by their own names.
 */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#define CURL_FUNCTIONS(do)                                                                                                                                                         \
	do                                                                                                                                                                         \
	(easy_cleanup) do(easy_getinfo) do(easy_init) do(easy_perform) do(easy_reset) do(easy_setopt) do(easy_strerror) do(global_init) do(multi_add_handle) do(multi_cleanup) do( \
		multi_info_read) do(multi_init) do(multi_perform) do(multi_poll) do(multi_remove_handle) do(multi_setopt) do(multi_socket_action) do(multi_wakeup) do(slist_append) do(slist_free_all)

#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt
#define CURL_POINTER(name) __typeof__(&curl_##name) name;
struct curl_functions {
	CURL_FUNCTIONS(CURL_POINTER)
};
#undef CURL_POINTER

extern struct curl_functions curl_functions;

/* Once in a process, before anything else of libcurl and before any other thread begins. 0, or -EIO
 * after having logged. */
int curl_load(void);
/* For CURLOPT_SOCKOPTFUNCTION: a program that is started for a token must not keep sockets open. */
int curl_close_on_exec(void *arg, curl_socket_t fd, curlsocktype purpose);

#define curl_easy_cleanup curl_functions.easy_cleanup
#define curl_easy_getinfo curl_functions.easy_getinfo
#define curl_easy_init curl_functions.easy_init
#define curl_easy_perform curl_functions.easy_perform
#define curl_easy_reset curl_functions.easy_reset
#define curl_easy_setopt curl_functions.easy_setopt
#define curl_easy_strerror curl_functions.easy_strerror
#define curl_global_init curl_functions.global_init
#define curl_multi_add_handle curl_functions.multi_add_handle
#define curl_multi_cleanup curl_functions.multi_cleanup
#define curl_multi_info_read curl_functions.multi_info_read
#define curl_multi_init curl_functions.multi_init
#define curl_multi_perform curl_functions.multi_perform
#define curl_multi_poll curl_functions.multi_poll
#define curl_multi_remove_handle curl_functions.multi_remove_handle
#define curl_multi_setopt curl_functions.multi_setopt
#define curl_multi_socket_action curl_functions.multi_socket_action
#define curl_multi_wakeup curl_functions.multi_wakeup
#define curl_slist_append curl_functions.slist_append
#define curl_slist_free_all curl_functions.slist_free_all

#endif
