/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_BASE_HEAP_H
#define WEFT_LIB_BASE_HEAP_H
/*
 * How much of what is freed libc keeps for what is allocated next. For the whole process.
 */

/*
 * Little: a change to all that is known takes blocks of many pages for a moment, and they go back
 * to the system when they are freed, where glibc would learn from the first ones to keep the next.
 * Short-lived threads get no heaps of their own. To be called before there are threads.
 */
void heap_keep_little(void);
/*
 * The blocks of a change, for the next one: where one follows another, pages that come and go with
 * each cost more than the change itself. To be called once all is known that changes are made to.
 */
void heap_keep_changes(void);

#endif
