/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_START_NOTIFY_H
#define WEFT_DAEMON_START_NOTIFY_H

/*
 * Tells the service manager that weftd is ready, as sd_notify(3) does: `systemctl start` waits for
 * this. Does nothing where $NOTIFY_SOCKET is not set. What fails is logged, and no more.
 */
void notify_ready(void);

#endif
