/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PAGE_PAGE_H
#define WEFT_DAEMON_PAGE_PAGE_H
/*
 * --dashboard: the mesh live in a browser, by a thread of its own. It shares nothing with the event
 * loop: what it shows it asks for by the control socket, as weft does, and only while somebody
 * looks. Nothing can be changed by it, and nothing secret is told.
 */
struct page;

struct page_options {
	const char *address; /* ADDRESS:PORT, see daemon/api/listen_address.h */
	const char *run_dir; /* where the control socket is; borrowed until page_close() */
};

/* Listens, and starts the thread. 0, or -errno after having logged. */
int page_open(const struct page_options *o, struct page **out);
void page_close(struct page *p); /* accepts NULL */

#endif
