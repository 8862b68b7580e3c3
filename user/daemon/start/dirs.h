/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_START_DIRS_H
#define WEFT_DAEMON_START_DIRS_H
/*
 * The directories that a weftd has to itself.
 */
#include <stdbool.h>

/* Makes `dir` and what is above it. 0, or -errno after having logged. */
int dir_make(const char *dir);

/*
 * Locks DIR/weftd.lock for as long as the descriptor that is returned stays open. -EBUSY when
 * another weftd has it, with *pid set to that process (0 if unknown) and nothing logged; other
 * -errno after having logged.
 */
int dir_lock(const char *dir, long *pid);

/*
 * Locks the directory itself, for one in which files can't be made, for as long as the descriptor
 * that is returned stays open. Holds for all processes that see the directory, by whatever path and
 * from whatever mount namespace. -EBUSY when another process has it, -ENOENT when there is no such
 * directory, both with nothing logged; other -errno after having logged.
 */
int dir_lock_itself(const char *dir);

/* Whether both lead to one directory that is there. */
bool dir_same(const char *a, const char *b);

/* Leaves a line of text in the file DIR/NAME for a later process. 0, or -errno after having logged.
 */
int dir_note(const char *dir, const char *name, const char *text);
/* What dir_note() left, owned by the caller; NULL if nothing. */
char *dir_noted(const char *dir, const char *name);

/*
 * Removes the file DIR/NAME, which dir_note() left, and that of the lock, and the directory itself
 * if nothing else is in it. A directory of the node's that is mounted in this container
 * is removed where the node has it, if that is at the same path.
 */
void dir_leave(const char *dir, const char *name);

#endif
